"""What a full spec file tells of itself: distortion, coadd, repeated exposures, photometry; tables and FITS files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from bosscal.base.elementary import log, power_of_ten
from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike, replacing
from bosscal.base.tables import IDENTITY, build_table
from bosscal.calibration.coadd import Coadd, combine, weighted_means
from bosscal.calibration.distortion import Distortion, PlateDistortion, distortion_of, fit_distortion, fit_plate
from bosscal.calibration.measurement import measure
from bosscal.calibration.photometry import magnitude_difference, synthetic_flux, without_sky_residuals
from bosscal.noise.laws import LAWS
from bosscal.noise.repeats import Repeat, bootstrap, by_wavelength, compare_repeats
from bosscal.results.fits_table import FITS_FLUX, FITS_IVAR, FITS_VARIANCE, described_table
from bosscal.results.prediction import predict
from bosscal.survey.coadds import BANDS, COADD_STEP, CoaddSpectrum, ExposureSpectrum
from bosscal.survey.exposure import SpecExposure
from bosscal.survey.filters import filter_curves
from bosscal.survey.grid import coadd_loglam
from bosscal.survey.masks import COMBINEREJ

if TYPE_CHECKING:
    from astropy.table import Table

_SPECTRUM = ("release", "plate", "mjd", "fiber")
COADD_COLUMNS = {
    **{name: IDENTITY[name] for name in (*_SPECTRUM, "objtype")},
    "lambda_eff": ("Angstrom", "wavelength that the fiber is placed for (LAMBDA_EFF)"),
    "xfocal": ("mm", "focal position of the fiber (XFOCAL)"),
    "yfocal": ("mm", "focal position of the fiber (YFOCAL)"),
    "nexp": ("", "camera exposures in the coadd"),
    "loglam_first": ("dex(Angstrom)", "first point of the coadd"),
    "loglam_last": ("dex(Angstrom)", "its last point"),
    "distort_c0": ("", "ln D = c0 + c1 L + c2 L² with L = 1 - (5070 Å/wavelength)²: c0"),
    "distort_c1": ("", "the same: c1"),
    "distort_c2": ("", "the same: c2"),
    "distort_c0_error": ("", "1-sigma uncertainty of distort_c0"),
    "distort_c1_error": ("", "1-sigma uncertainty of distort_c1"),
    "distort_c2_error": ("", "1-sigma uncertainty of distort_c2"),
    "distort_residual": ("", "robust rms of ln D about that quadratic"),
    "coadd_flux_sigma_median": ("", "median of |rebuilt - published flux| over the published error"),
    "coadd_flux_sigma_99": ("", "its 99th percentile, three points at either end of a group left out"),
    "npix_near_end": ("", "those points, counted apart"),
    "npix_nonfinite": (
        "",
        "points and exposures' pixels that lost their inverse variance because a number of theirs in the file is none",
    ),
    "coadd_ivar_ratio_median": ("", "median of rebuilt over published ivar"),
    "coadd_ivar_within_1e3": ("", "fraction of the points whose ivar is within 1e-3"),
    "andmask_equal": ("", "fraction of equal and-masks, where the file holds every pixel that takes part"),
    "ormask_equal": ("", "the same of or-masks"),
    "coadd_variance_ratio": ("", "median of the spline's own variance times the ivar: less than 1, for it smooths"),
    "coadd_correlation": ("", "median correlation of neighboring points of the coadd"),
    **{f"specflux_{band}": ("", f"SPECTROFLUX in {band}, recomputed over the file's") for band in BANDS},
    **{f"synflux_{band}": ("", f"SPECTROSYNFLUX in {band}, recomputed over the file's") for band in BANDS},
    **{f"dmag_{band}": ("mag", f"spectrum less imaging in {band}: SPECTROFLUX against CALIBFLUX") for band in BANDS},
    **{f"dmag_psf_{band}": ("mag", f"the same against PSFFLUX in {band}") for band in BANDS},
}
REPEAT_COLUMNS = {
    **{name: IDENTITY[name] for name in (*_SPECTRUM, "camera")},
    "exp1": ("", "number of the first exposure"),
    "exp2": ("", "number of the second"),
    "npix": ("", "pixels compared, mask bits and sky lines left out"),
    "signal_to_noise": ("", "median flux of the first exposure over its error, without the floor"),
    "chi_stated": ("", "robust rms of the flux difference over the stated error"),
    "chi_without_floor": ("", "the same without the 3 % error floor"),
    "chi_law": ("", "the same with the variance of the expected noise law and its sky term"),
    "autocorrelation": ("", "of neighboring pixels of the difference"),
}
BIN_COLUMNS = {
    **{name: REPEAT_COLUMNS[name] for name in (*_SPECTRUM, "camera", "exp1", "exp2")},
    "wavelength": ("Angstrom", "middle of the bin, of 0.02 dex"),
    "npix": ("", "pixels of the bin"),
    "eta": ("", "mean square of the flux difference over the stated variance, the 3 % floor taken out, robust"),
}
CORRECTION_COLUMNS = {
    "release": IDENTITY["release"],
    "camera": IDENTITY["camera"],
    "wavelength": ("Angstrom", "middle of the bin, of 0.02 dex"),
    "npair": ("", "pairs of exposures"),
    "eta": ("", "what the variance without the floor has to be multiplied by: median over pairs"),
    "eta_error": ("", "its 1-sigma uncertainty, by bootstrap over pairs; masked with fewer than five"),
}
ETA_STEP = 0.02  # dex
PLATE_COLUMNS = {
    **{name: IDENTITY[name] for name in ("release", "plate", "mjd")},
    "nfiber": ("", "fibers that the model was fitted to"),
    "residual_c0": ("", "rms of their c0 about the model"),
    "residual_c1": ("", "the same of c1"),
    "residual_c2": ("", "the same of c2"),
    "left_out_max": (
        "",
        "largest difference in ln D over 3600-10300 Angstrom of a fiber inside the hull of the others to a model "
        "without it",
    ),
    "published_max": (
        "",
        "largest difference in ln D of the run's fibers, as measured, to the survey's spFluxdistort, if the mirror has "
        "that",
    ),
}
# Rows of a CCD that a spec file cuts off reach into the other camera's wavelengths: there masks have bits of pixels
# that the file does not hold. Å.
RED_CCD_BEGINS, BLUE_CCD_ENDS = 5060.0, 7300.0


@dataclass(frozen=True)
class RebuiltCoadd:
    """A spectrum with its distortion and its coadd rebuilt, distortion included.

    ``coadd`` has flux, ivar, sky and covariance with D; ``distortion`` is None where the sky does not tell it, and then
    the coadd is what comes out without one.
    """

    spectrum: CoaddSpectrum
    distortion: Distortion | None
    distortion_ratio: NDArray[np.float64]
    coadd: Coadd

    @property
    def corrected_sky(self) -> NDArray[np.float64]:
        """The published sky with the D that it lacks, 1D[npoint]."""
        if self.distortion is None:
            return self.spectrum.sky
        return self.spectrum.sky * self.distortion(self.spectrum.loglam)


def rebuild(spectrum: CoaddSpectrum, weights: str) -> RebuiltCoadd:
    """Rebuild the coadd of a spec file from all of its exposures.

    Parameters
    ----------
    spectrum : CoaddSpectrum
    weights : str
        How the release weighted, one of :data:`bosscal.calibration.coadd.WEIGHTS`.
    """
    rejected = [(exposure.mask & COMBINEREJ) != 0 for exposure in spectrum.exposures]
    with_distortion, _ = weighted_means(spectrum.exposures, spectrum.loglam, "sky", rejected)
    usable = spectrum.ivar > 0
    distortion = fit_distortion(spectrum.loglam, with_distortion * usable, spectrum.sky)
    ratio = np.full(usable.size, np.nan)
    known = usable & (with_distortion > 0) & (spectrum.sky > 0)
    ratio[known] = with_distortion[known] / spectrum.sky[known]
    coadd = combine(_without(spectrum.exposures, distortion), spectrum.loglam, weights, rejected)
    return RebuiltCoadd(spectrum, distortion, ratio, _with(coadd, distortion, spectrum.loglam))


def _without(exposures: Sequence[ExposureSpectrum], distortion: Distortion | None) -> list[ExposureSpectrum]:
    """The exposures without the distortion."""
    result = []
    for exposure in exposures:
        factor = np.ones_like(exposure.flux) if distortion is None else distortion(exposure.loglam)
        flux, ivar, sky = exposure.flux / factor, exposure.ivar * factor**2, exposure.sky / factor
        result.append(replace(exposure, flux=flux, ivar=ivar, sky=sky))
    return result


def _with(coadd: Coadd, distortion: Distortion | None, loglam: NDArray[np.float64]) -> Coadd:
    """The coadd with the distortion, all but its sky."""
    factor = np.ones(loglam.size) if distortion is None else distortion(loglam)
    pairs = np.stack([factor * np.append(factor[lag:], np.ones(lag)) for lag in range(len(coadd.covariance))])
    return replace(
        coadd,
        flux=coadd.flux * factor,
        ivar=coadd.ivar / factor**2,
        contributions=coadd.contributions / factor**2,
        covariance=coadd.covariance * pairs,
    )


def rebuild_subset(
    whole: RebuiltCoadd, weights: str, exposures: Sequence[int] | None, cameras: Sequence[str], name: str
) -> RebuiltCoadd:
    """A coadd of some of the exposures: with a rejection of its own, and the distortion that all of them tell.

    Parameters
    ----------
    whole : RebuiltCoadd
    weights : str
        As of :func:`rebuild`.
    exposures : sequence of int or None
        Sequence numbers of the science exposures, from 0 in time order; None for all.
    cameras : sequence of str
    name : str
        What the subset is called, for messages.

    Raises
    ------
    UserError
        If an exposure is not there, or none of the cameras has any.
    """
    spectrum = whole.spectrum
    sequence = sorted({exposure.expnum for exposure in spectrum.exposures})
    where = f"{spectrum.release} {spectrum.plate}-{spectrum.mjd}-{spectrum.fiber:04d}: coadd '{name}'"
    missing = [number for number in exposures or () if number >= len(sequence)]
    if missing:
        raise UserError(f"{where} asks for exposure {missing[0]}, and there are 0-{len(sequence) - 1}")
    wanted = set(sequence if exposures is None else (sequence[number] for number in exposures))
    chosen = tuple(one for one in spectrum.exposures if one.expnum in wanted and one.camera in cameras)
    if not chosen:
        raise UserError(f"{where} has no exposure of {', '.join(cameras)}")
    coadd = combine(_without(chosen, whole.distortion), spectrum.loglam, weights)
    return replace(
        whole, spectrum=replace(spectrum, exposures=chosen), coadd=_with(coadd, whole.distortion, spectrum.loglam)
    )


def complete_masks(spectrum: CoaddSpectrum) -> NDArray[np.bool_]:
    """Points of the grid whose every pixel is in the file, 1D[npoint]."""
    grid = spectrum.loglam
    ends = {}
    for band in "br":
        of_band = [exposure.loglam for exposure in spectrum.exposures if exposure.camera[0] == band]
        ends[band] = (max(loglam[0] for loglam in of_band), min(loglam[-1] for loglam in of_band)) if of_band else None
    complete = np.zeros(grid.size, dtype=bool)
    wavelength = power_of_ten(grid)
    if ends["b"]:
        complete |= (grid > ends["b"][0]) & (grid < ends["b"][1]) & (wavelength < RED_CCD_BEGINS)
    if ends["r"]:
        complete |= (grid > ends["r"][0]) & (grid < ends["r"][1]) & (wavelength > BLUE_CCD_ENDS)
    if ends["b"] and ends["r"]:
        complete |= (grid > ends["r"][0]) & (grid < ends["b"][1])
    return complete


def coadd_table(rebuilt: RebuiltCoadd) -> Table:
    """One row, :data:`COADD_COLUMNS`: how well distortion, coadd and photometry come out."""
    spectrum, coadd, distortion = rebuilt.spectrum, rebuilt.coadd, rebuilt.distortion
    row: dict[str, Any] = {
        name: getattr(spectrum, name) for name in (*_SPECTRUM, "objtype", "lambda_eff", "xfocal", "yfocal")
    }
    row |= {"nexp": len(spectrum.exposures), "loglam_first": spectrum.loglam[0], "loglam_last": spectrum.loglam[-1]}
    for order in range(3):
        row[f"distort_c{order}"] = distortion.coefficients[order] if distortion else np.nan
        row[f"distort_c{order}_error"] = distortion.errors[order] if distortion else np.nan
    row["distort_residual"] = distortion.residual if distortion else np.nan
    good = (spectrum.ivar > 0) & (coadd.ivar > 0) & ~coadd.near_end
    deviation = (np.abs(coadd.flux - spectrum.flux) * np.sqrt(spectrum.ivar))[good]
    ratio = coadd.ivar[good] / spectrum.ivar[good]
    complete = complete_masks(spectrum)
    variance = coadd.covariance[0]
    shared = good[:-1] & good[1:]
    roots = np.sqrt(variance[:-1] * variance[1:])
    some = good.any()
    row |= {
        "npix_nonfinite": spectrum.nonfinite,
        "npix_near_end": int((coadd.near_end & (spectrum.ivar > 0)).sum()),
        "coadd_flux_sigma_median": np.median(deviation) if some else np.nan,
        "coadd_flux_sigma_99": np.quantile(deviation, 0.99) if some else np.nan,
        "coadd_ivar_ratio_median": np.median(ratio) if some else np.nan,
        "coadd_ivar_within_1e3": np.mean(np.abs(ratio - 1) < 1e-3) if some else np.nan,
        "andmask_equal": np.mean((coadd.and_mask == spectrum.and_mask)[complete]) if complete.any() else np.nan,
        "ormask_equal": np.mean((coadd.or_mask == spectrum.or_mask)[complete]) if complete.any() else np.nan,
        "coadd_variance_ratio": np.median((variance * coadd.ivar)[good]) if some else np.nan,
        "coadd_correlation": np.median((coadd.covariance[1, :-1] / np.where(roots > 0, roots, 1))[shared])
        if shared.any()
        else np.nan,
    }
    return _table(
        [row | _photometry(spectrum)],
        COADD_COLUMNS,
        ("plate", "mjd", "fiber", "nexp", "npix_near_end", "npix_nonfinite"),
    )


def _photometry(spectrum: CoaddSpectrum) -> dict[str, float]:
    """Recomputed over the file's fluxes, and spectrum less imaging."""
    good = without_sky_residuals(spectrum.ivar, spectrum.or_mask) > 0
    curves = filter_curves()
    everywhere = np.isfinite(spectrum.model)
    recomputed = {
        "specflux": ("SPECTROFLUX", synthetic_flux(spectrum.loglam, spectrum.flux, good, curves)),
        "synflux": ("SPECTROSYNFLUX", synthetic_flux(spectrum.loglam, spectrum.model, everywhere, curves)),
    }
    found = {}
    for place, band in enumerate(BANDS, start=1):  # of u, g, r, i, z
        for name, (column, fluxes) in recomputed.items():
            of_file = spectrum.photometry[column][place]
            found[f"{name}_{band}"] = fluxes[band] / of_file if of_file else np.nan
        for name, column in (("dmag", "CALIBFLUX"), ("dmag_psf", "PSFFLUX")):
            pair = spectrum.photometry["SPECTROFLUX"][place], spectrum.photometry[column][place]
            found[f"{name}_{band}"] = magnitude_difference(*pair)
    return found


@dataclass(frozen=True)
class RepeatOfExposures:
    """A pair of neighboring exposures of one camera, and what comes out of comparing them."""

    camera: str
    exp1: int
    exp2: int
    repeat: Repeat


def repeats_of(
    exposures: Sequence[SpecExposure], law: str, mask_allow: int = 0, thrucorr: bool = False
) -> list[RepeatOfExposures]:
    """Compare each exposure of a spec file with the next one of its camera.

    Parameters
    ----------
    exposures : sequence of SpecExposure
        All of one fiber.
    law : str
        That the release's extraction follows.
    mask_allow : int
        SPPIXMASK bits to treat as harmless.
    thrucorr : bool
        Whether the release's calibration contains T.
    """
    by_camera: dict[str, list[tuple[int, Mapping[str, NDArray]]]] = {}
    for exposure in exposures:
        prediction = predict(exposure, law, mask_allow, thrucorr)
        measurement = measure(exposure, prediction.calib, mask_allow)
        per_electron = exposure.calib[0].astype(np.float64) ** 2
        ivar = exposure.ivar[0].astype(np.float64)
        content = {
            "loglam": exposure.loglam[0],
            "flux": exposure.flux[0].astype(np.float64),
            "valid": measurement.valid[0],
            "stated": np.divide(1, ivar, out=np.zeros_like(ivar), where=ivar > 0),
            "without_floor": measurement.variance[0] * per_electron,
            "law": (LAWS[law].variance(measurement)[0] + prediction.sky_variance[0]) * per_electron,
        }
        order = np.argsort(content["loglam"], kind="stable")
        content = {name: values[order] for name, values in content.items()}
        by_camera.setdefault(exposure.header.camera, []).append((exposure.header.expnum, content))
    found = []
    for camera, of_camera in sorted(by_camera.items()):
        of_camera.sort(key=lambda item: item[0])
        for (exp1, first), (exp2, second) in pairwise(of_camera):
            names = ("stated", "without_floor", "law")
            # A spec file that has lost its headers has no law: the other two need none.
            known = names if np.isfinite(first["law"]).any() and np.isfinite(second["law"]).any() else names[:2]
            repeat = compare_repeats(first, second, known, "without_floor")
            if repeat is not None:
                found.append(RepeatOfExposures(camera, exp1, exp2, repeat))
    return found


def repeat_table(spectrum: CoaddSpectrum, repeats: Sequence[RepeatOfExposures]) -> Table:
    """One row for each pair, :data:`REPEAT_COLUMNS`."""
    rows = [
        {
            **{name: getattr(spectrum, name) for name in _SPECTRUM},
            "camera": pair.camera,
            "exp1": pair.exp1,
            "exp2": pair.exp2,
            "npix": pair.repeat.npix,
            "signal_to_noise": pair.repeat.signal_to_noise,
            **{f"chi_{name}": pair.repeat.chi.get(name, np.nan) for name in ("stated", "without_floor", "law")},
            "autocorrelation": pair.repeat.autocorrelation,
        }
        for pair in repeats
    ]
    return _table(rows, REPEAT_COLUMNS, ("plate", "mjd", "fiber", "exp1", "exp2", "npix"))


def bin_table(spectrum: CoaddSpectrum, repeats: Sequence[RepeatOfExposures]) -> Table:
    """One row for each pair and bin of wavelength, :data:`BIN_COLUMNS`."""
    edges = np.arange(3.54, 4.03, ETA_STEP)
    rows = []
    for pair in repeats:
        npix, eta = by_wavelength(pair.repeat, edges)
        for place in np.flatnonzero(np.isfinite(eta)):
            rows.append(
                {name: getattr(spectrum, name) for name in _SPECTRUM}
                | {"camera": pair.camera, "exp1": pair.exp1, "exp2": pair.exp2}
                | {"wavelength": _middle(edges[place]), "npix": npix[place], "eta": eta[place]}
            )
    return _table(rows, BIN_COLUMNS, ("plate", "mjd", "fiber", "exp1", "exp2", "npix"))


def _middle(edge: float) -> float:
    return round(float(power_of_ten(edge + ETA_STEP / 2)), 1)


def correction_table(bins: Table) -> Table:
    """What stated variances are off by, by release, camera and wavelength, :data:`CORRECTION_COLUMNS`."""
    random = np.random.default_rng(0)
    groups: dict[tuple[str, str, float], list[float]] = {}
    for row in bins:
        groups.setdefault((str(row["release"]), str(row["camera"]), float(row["wavelength"])), []).append(row["eta"])
    rows = []
    for (release, camera, wavelength), values in sorted(groups.items()):
        eta, error = bootstrap(np.array(values), random)
        rows.append({
            "release": release, "camera": camera, "wavelength": wavelength, "npair": len(values), "eta": eta,
            "eta_error": error if len(values) >= 5 else np.nan,
        })  # fmt: skip
    return _table(rows, CORRECTION_COLUMNS, ("npair",))


def _table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, tuple[str, str]], whole: Sequence[str]) -> Table:
    """A table of rows; what is no number is masked, and columns of words and of whole numbers stay so without rows."""
    words = ("release", "objtype", "camera")
    values: dict[str, Any] = {}
    for name in columns:
        column = [row[name] for row in rows]
        if name in words:
            values[name] = np.array(column, dtype=str)
        elif name in whole:
            values[name] = np.array(column, dtype=int)
        else:
            values[name] = np.ma.masked_invalid(np.array(column, dtype=float))
    return build_table(values, columns)


# ------------------------------------------------------------------------------------------------------- FITS files


# An spCoadd begins as a spec file does, with names of columns as there: what reads those reads these.
# column of COADD: (FITS format, unit, meaning)
COADD_POINTS = {
    "flux": ("D", FITS_FLUX, "coadd of this file, flux distortion included"),
    "loglam": ("D", "", "log10 of the vacuum wavelength in Angstrom"),
    "ivar": ("D", FITS_IVAR, "inverse variance of flux; 0: no data"),
    "and_mask": ("J", "", "SPPIXMASK bits that all exposures have"),
    "or_mask": ("J", "", "SPPIXMASK bits that any exposure has"),
    "wdisp": ("E", "", "sigma of a line in 1e-4 dex of wavelength"),
    "sky": ("E", FITS_FLUX, "sky that was subtracted, without the distortion"),
    "distort": ("D", "", "flux distortion D, 1 where the sky does not tell it"),
    "near_end": ("L", "", "within three points of the end of a group"),
}
# column of PUBLISHED: the same of the survey's coadd
PUBLISHED_POINTS = {
    "flux": ("E", FITS_FLUX, "flux of the survey's coadd of all exposures"),
    "loglam": ("D", "", "log10 of the vacuum wavelength in Angstrom"),
    "ivar": ("E", FITS_IVAR, "its inverse variance; 0: no data"),
    "and_mask": ("J", "", "its and-mask"),
    "or_mask": ("J", "", "its or-mask"),
    "wdisp": ("E", "", "its sigma of a line in 1e-4 dex of wavelength"),
    "sky": ("E", FITS_FLUX, "its sky"),
    "sky_corrected": ("E", FITS_FLUX, "its sky times D, which it lacks"),
}
# image: (unit, dimensions, meaning)
COADD_IMAGES = {
    "CONTRIBUTIONS": (FITS_IVAR, "nexposure, npoint", "inverse variance that each exposure gave"),
    "COVARIANCE": (FITS_VARIANCE, "6, npoint", "covariance of each point with itself and the next five"),
}
COADD_EXPOSURES = {
    "CAMERA": ("2A", "", "camera"),
    "EXPOSURE": ("J", "", "exposure number"),
    "NREJECTED": ("J", "", "pixels that were rejected"),
}


DISTORTION_FIBERS = {
    "FIBERID": ("J", "", "fiber number, 1-1000"),
    "STATUS": ("9A", "", "measured, predicted by the plate's model, or unknown"),
    **{f"C{order}": ("D", "", f"distort_c{order}; 0 where unknown") for order in range(3)},
}


def write_coadd(path: Pathlike, rebuilt: RebuiltCoadd, name: str = "all") -> None:
    """Write an spCoadd file: the coadd in the layout of a spec file, the published one, what each exposure contributed,
    covariance.

    Parameters
    ----------
    path : path
    rebuilt : RebuiltCoadd
    name : str
        Which exposures it is of: all, or the name of the subset.

    Notes
    -----
    HDU 1, COADD: :data:`COADD_POINTS`. HDU 2, PUBLISHED: :data:`PUBLISHED_POINTS`. HDU 3 and 4: :data:`COADD_IMAGES`.
    HDU 5, EXPOSURES: a row an exposure, :data:`COADD_EXPOSURES`.
    """
    spectrum, coadd = rebuilt.spectrum, rebuilt.coadd
    header = _header(spectrum)
    header["COADD"] = (name, "exposures: all, or a name")
    ours = {column: getattr(coadd, column) for column in ("flux", "ivar", "and_mask", "or_mask", "wdisp", "sky")}
    ours |= {"loglam": spectrum.loglam, "distort": _distortion_or_one(rebuilt), "near_end": coadd.near_end}
    published = {column: getattr(spectrum, column) for column in PUBLISHED_POINTS if column != "sky_corrected"}
    exposures = {
        "CAMERA": [exposure.camera for exposure in spectrum.exposures],
        "EXPOSURE": [exposure.expnum for exposure in spectrum.exposures],
        "NREJECTED": [int(rejected.sum()) for rejected in coadd.rejected],
    }
    hdus = [
        fits.PrimaryHDU(header=header),
        described_table(COADD_POINTS, ours, "COADD"),
        described_table(PUBLISHED_POINTS, published | {"sky_corrected": rebuilt.corrected_sky}, "PUBLISHED"),
    ]
    for image, values in (("CONTRIBUTIONS", coadd.contributions), ("COVARIANCE", coadd.covariance)):
        hdu = fits.ImageHDU(values.astype(">f4"), name=image)
        hdu.header["BUNIT"], _, hdu.header["COMMENT"] = COADD_IMAGES[image]
        hdus.append(hdu)
    hdus.append(described_table(COADD_EXPOSURES, exposures, "EXPOSURES"))
    with replacing(path) as temporary:
        fits.HDUList(hdus).writeto(temporary, overwrite=True)


def _distortion_or_one(rebuilt: RebuiltCoadd) -> NDArray[np.float64]:
    grid = rebuilt.spectrum.loglam
    return np.ones(grid.size) if rebuilt.distortion is None else rebuilt.distortion(grid)


def _header(spectrum: CoaddSpectrum) -> fits.Header:
    header = fits.Header()
    header["PLATEID"] = (spectrum.plate, "plate number")
    header["MJD"] = (spectrum.mjd, "night of the observation")
    header["FIBERID"] = (spectrum.fiber, "fiber number")
    header["RELEASE"] = (spectrum.release, "data release")
    if spectrum.vers2d:  # the two by which readers of spec files know one
        header["TELESCOP"] = ("SDSS 2.5-M", "Sloan Digital Sky Survey")
        header["VERS2D"] = (spectrum.vers2d, "version of idlspec2d that made the spec file")
    header["BUNIT"] = (FITS_FLUX, "of the fluxes")
    if spectrum.simulated:
        header["SIMULATD"] = (True, "SIMULATED data, no observation")
    header["HISTORY"] = f"input {spectrum.source[0]}"
    header["HISTORY"] = f"  SHA-1 {spectrum.source[1]}"
    return header


# ----------------------------------------------------------------------------------------------------- whole plates


@dataclass(frozen=True)
class PlateOfSpectra:
    """The fibers of one plate and night whose distortion is measured, and the model through them."""

    table: Table
    model: PlateDistortion | None


def plate_of(coadds: Table) -> PlateOfSpectra:
    """Fit the plate's distortion to the rows of :func:`coadd_table` of one release, plate and night."""
    known = np.ma.filled(np.ma.asarray(coadds["distort_residual"]), np.nan) > 0
    known &= np.isfinite(np.ma.filled(np.ma.asarray(coadds["xfocal"]), np.nan))
    table = coadds[known]
    coefficients = np.stack([np.asarray(table[f"distort_c{order}"], dtype=float) for order in range(3)])
    fiber, xfocal, yfocal = (np.asarray(table[name]) for name in ("fiber", "xfocal", "yfocal"))
    return PlateOfSpectra(table, fit_plate(fiber, xfocal, yfocal, coefficients))


def plate_table(plate: PlateOfSpectra, published: tuple[NDArray, tuple[float, float, float]] | None = None) -> Table:
    """One row, :data:`PLATE_COLUMNS`.

    ``published`` is the survey's D, 2D[1000, npoint], and its grid (CRVAL1, CRPIX1, CD1_1), where it is at hand.
    """
    first, model = plate.table[0], plate.model
    left_out = model.left_out if model else np.full(1, np.nan)
    row = {
        **{name: first[name] for name in ("release", "plate", "mjd")},
        "nfiber": len(plate.table),
        **{f"residual_c{order}": model.residuals[order] if model else np.nan for order in range(3)},
        "left_out_max": np.nanmax(left_out) if np.isfinite(left_out).any() else np.nan,
        "published_max": np.nan if published is None else _largest_difference(plate.table, *published),
    }
    return _table([row], PLATE_COLUMNS, ("plate", "mjd", "nfiber"))


def _largest_difference(table: Table, distort: NDArray, grid: tuple[float, float, float]) -> float:
    """Of ln D of measured fibers to a published image, over the wavelengths that both have."""
    loglam = coadd_loglam(np.arange(distort.shape[1]), grid)
    low, high = max(table["loglam_first"]), min(table["loglam_last"])
    common = (loglam >= low) & (loglam <= high)
    largest = np.nan  # without a point that both have, nothing is known
    for row in table:
        measured = distortion_of([row[f"distort_c{order}"] for order in range(3)], loglam[common])
        of_survey = distort[row["fiber"] - 1, common].astype(np.float64)
        known = np.isfinite(of_survey) & (of_survey > 0)
        if known.any():
            largest = np.fmax(largest, np.abs(log(measured[known] / of_survey[known])).max())
    return float(largest)


def no_plates() -> Table:
    """The table of a run without a plate that has spec files enough."""
    return _table([], PLATE_COLUMNS, ("plate", "mjd", "nfiber"))


def write_distortion(
    path: Pathlike, plate: PlateOfSpectra, fiber: NDArray, xfocal: NDArray, yfocal: NDArray, grid: NDArray[np.float64]
) -> None:
    """Write an spFluxdistort in the survey's form: D of all fibers on the coadd's grid, reconstructed.

    Parameters
    ----------
    path : path
    plate : PlateOfSpectra
    fiber, xfocal, yfocal : 1D[nfiber]
        Fibers whose focal position [mm] is known.
    grid : 1D[npoint]
        log10 wavelength [Å], steps of 1e-4.

    HDU 0 is float32 [1000, npoint], 1 where nothing is known; HDU 1, FIBERS, says of each fiber whether its D was
    measured, predicted by the plate's model, or is unknown.
    """
    first = plate.table[0]
    distort = np.ones((1000, grid.size), dtype=">f4")
    status = np.full(1000, "unknown", dtype="U9")
    coefficients = np.full((3, 1000), np.nan)
    if plate.model is not None:
        predicted = plate.model.knows(fiber)
        index = np.asarray(fiber)[predicted] - 1
        of_model = plate.model.coefficients(
            np.asarray(fiber)[predicted], np.asarray(xfocal)[predicted], np.asarray(yfocal)[predicted]
        )
        coefficients[:, index], status[index] = of_model, "predicted"
    measured = np.asarray(plate.table["fiber"]) - 1
    for order in range(3):
        coefficients[order, measured] = plate.table[f"distort_c{order}"]
    status[measured] = "measured"
    for number in np.flatnonzero(status != "unknown"):
        distort[number] = distortion_of(coefficients[:, number], grid)
    header = fits.Header()
    cards = {"CTYPE1": "LOG10", "CRVAL1": float(grid[0]), "CRPIX1": 1.0, "CD1_1": COADD_STEP}
    header.update(cards | {"PLATEID": int(first["plate"]), "MJD": int(first["mjd"]), "RELEASE": str(first["release"])})
    header["RECONSTR"] = (True, "RECONSTRUCTED from spec files")
    columns = {"FIBERID": np.arange(1000) + 1, "STATUS": status}
    columns |= {f"C{order}": np.nan_to_num(values) for order, values in enumerate(coefficients)}
    with replacing(path) as temporary:
        hdus = [fits.PrimaryHDU(distort, header), described_table(DISTORTION_FIBERS, columns, "FIBERS")]
        fits.HDUList(hdus).writeto(temporary, overwrite=True)
