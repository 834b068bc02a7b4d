"""One spectrum in two releases: what the later one's position correction T is, and what it does to the noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bosscal.base.arithmetic import inverse
from bosscal.base.tables import IDENTITY, build_table
from bosscal.calibration.measurement import Measurement, measure
from bosscal.calibration.thrucorr import PositionCorrection, measure_thrucorr
from bosscal.noise.laws import LAWS
from bosscal.noise.sky import from_header
from bosscal.results.comparison import STANDARD_LAMBDA_EFF
from bosscal.results.prediction import predict
from bosscal.survey.exposure import SpecExposure

if TYPE_CHECKING:
    from astropy.table import Table

# name: (unit, description) of every column, in the order of the table
COLUMNS = {
    **{name: IDENTITY[name] for name in ("release", "plate", "mjd", "fiber", "camera", "expnum", "objtype")},
    "lambda_eff": ("Angstrom", "wavelength that the fiber is placed for (LAMBDA_EFF)"),
    "earlier": ("", "release without the correction that has the same exposure"),
    "altitude": ("deg", "altitude of the telescope (ALT)"),
    "seeing": ("arcsec", "median seeing of the guider (SEEING50)"),
    "npix": ("", "pixels with a sky in both releases"),
    "thrucorr_blue": ("", "T at the blue end of the camera exposure, from the ratio of the two skies' electrons"),
    "thrucorr_middle": ("", "T in the middle"),
    "thrucorr_red": ("", "T at the red end"),
    "thrucorr_residual": ("", "robust rms of single pixels about T, relative"),
    "sky_electrons": ("electron", "median electrons of the sky per row in this release, as the file gives them"),
    "sky_electrons_thrucorr": ("electron", "the same times T: as they were detected"),
    "flux_ratio": ("", "median flux of this release over that of the earlier one"),
    "noise_ratio_earlier": ("", "median of measured over predicted variance in the earlier release, by its own law"),
    "noise_ratio": ("", "the same in this release, with sky electrons as the file gives them: without T"),
    "noise_ratio_thrucorr": ("", "the same with sky electrons times T; only where T is not 1 by lambda_eff"),
}


@dataclass(frozen=True)
class Pair:
    """A camera exposure of one fiber in two releases.

    Attributes
    ----------
    earlier, later : SpecExposure
    correction : PositionCorrection or None
        None where nothing can be compared.
    flux_ratio : 1D[nrow]
        Flux of the later over that of the earlier release, NaN without either.
    sky_electrons : 1D[nrow]
        Electrons of the sky in the later release, without T; NaN without data.
    ratio_earlier, ratio, ratio_corrected : 1D[nrow]
        Measured over predicted variance in the earlier release, in the later as its file is, and with T; NaN where
        nothing is to be compared.
    """

    earlier: SpecExposure
    later: SpecExposure
    correction: PositionCorrection | None
    flux_ratio: NDArray[np.float64]
    ratio_earlier: NDArray[np.float64]
    ratio: NDArray[np.float64]
    ratio_corrected: NDArray[np.float64]
    sky_electrons: NDArray[np.float64]


def with_thrucorr(measurement: Measurement, thrucorr: NDArray[np.float64]) -> Measurement:
    """The measurement with the sky's electrons times T, 1D[nrow], as they were detected."""
    sky = measurement.sky_electrons * thrucorr
    electrons = (measurement.object_electrons + sky).astype(np.float32)
    return replace(measurement, electrons=electrons, sky_electrons=sky, neighbor_electrons=sky)


def _ratio(measurement: Measurement, law: str) -> NDArray[np.float64]:
    """Measured over predicted variance of one fiber by its law and SKYCHI2; NaN where it is not compared."""
    term, _ = from_header(measurement, LAWS[law])
    predicted = LAWS[law].variance(measurement) + term
    return np.where(measurement.valid, measurement.variance * inverse(predicted), np.nan)[0]


def pair_releases(
    earlier: Sequence[SpecExposure], later: Sequence[SpecExposure], laws: tuple[str, str], mask_allow: int = 0
) -> list[Pair]:
    """The camera exposures that two full spec files of one target have in common.

    Parameters
    ----------
    earlier, later : sequence of SpecExposure
        Of a release without T and of one with it.
    laws : (str, str)
        Names of the laws that the two releases' extractions follow.
    mask_allow : int
        SPPIXMASK bits to treat as harmless.

    Returns
    -------
    list of Pair
        In the order of ``later``.
    """
    by_exposure = {(exposure.header.camera, exposure.header.expnum): exposure for exposure in earlier}
    pairs = []
    for exposure in later:
        other = by_exposure.get((exposure.header.camera, exposure.header.expnum))
        if other is None:
            continue
        old, new = (
            measure(one, predict(one, law, mask_allow).calib, mask_allow)
            for one, law in zip((other, exposure), laws, strict=True)
        )
        correction = measure_thrucorr(old, other.loglam[0], new, exposure.loglam[0])
        nothing = np.full(len(exposure.row), np.nan)
        corrected = nothing
        if correction is not None and exposure.lambda_eff[0] != STANDARD_LAMBDA_EFF:
            corrected = _ratio(with_thrucorr(new, correction.thrucorr), laws[1])
        flux = (
            np.interp(exposure.loglam[0], other.loglam[0][old.good[0]], other.flux[0][old.good[0]], np.nan, np.nan)
            if old.good.any()
            else nothing
        )
        flux_ratio = np.where(new.good[0] & (flux > 0), exposure.flux[0] / np.where(flux > 0, flux, 1), np.nan)
        ratios = (_ratio(old, laws[0]), _ratio(new, laws[1]), corrected)
        sky = np.where(new.good[0], new.sky_electrons[0], np.nan)
        pairs.append(Pair(other, exposure, correction, flux_ratio, *ratios, sky))
    return pairs


def _median(values: NDArray) -> float:
    """Median of what is a number; NaN if nothing is."""
    return float(np.median(values[np.isfinite(values)])) if np.isfinite(values).any() else np.nan


def compare_releases(pairs: Sequence[Pair]) -> Table:
    """One row per camera exposure that two releases have in common, :data:`COLUMNS`; what is not known is masked."""
    rows = []
    for pair in pairs:
        header, correction = pair.later.header, pair.correction
        thrucorr = correction.thrucorr[np.isfinite(correction.ratio)] if correction else np.full(1, np.nan)
        rows.append({
            **{name: getattr(header, name) for name in ("release", "plate", "mjd", "camera", "expnum")},
            "fiber": int(pair.later.fiber[0]),
            "objtype": str(pair.later.objtype[0]),
            "lambda_eff": float(pair.later.lambda_eff[0]),
            "earlier": pair.earlier.header.release,
            "altitude": header.altitude,
            "seeing": header.seeing,
            "npix": int(np.isfinite(correction.ratio).sum()) if correction else 0,
            "thrucorr_blue": thrucorr[0],
            "thrucorr_middle": thrucorr[thrucorr.size // 2],
            "thrucorr_red": thrucorr[-1],
            "thrucorr_residual": correction.residual if correction else np.nan,
            "sky_electrons": _median(pair.sky_electrons),
            "sky_electrons_thrucorr": _median(pair.sky_electrons * correction.thrucorr) if correction else np.nan,
            "flux_ratio": _median(pair.flux_ratio),
            "noise_ratio_earlier": _median(pair.ratio_earlier),
            "noise_ratio": _median(pair.ratio),
            "noise_ratio_thrucorr": _median(pair.ratio_corrected),
        })  # fmt: skip
    values = {}
    for name in COLUMNS:
        column = [row[name] for row in rows]
        numbers = not any(isinstance(value, str) for value in column)
        values[name] = np.ma.masked_invalid(np.array(column, dtype=float)) if numbers else np.array(column, dtype=str)
    for name in ("plate", "mjd", "fiber", "expnum", "npix"):
        values[name] = np.ma.filled(values[name]).astype(int)
    return build_table(values, COLUMNS)
