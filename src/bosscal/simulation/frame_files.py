"""The files of a plate's folder: frames, flats, flux calibration and distortion, checksums."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from bosscal.base.arithmetic import inverse
from bosscal.base.elementary import log10
from bosscal.base.files import Pathlike, sha1sum, write_text
from bosscal.base.splines import Spline
from bosscal.noise.sky import bins_and_polynomials, halves_of, is_split, sky_statistics
from bosscal.simulation import reduction
from bosscal.simulation.fits_format import (
    Hdu,
    exposure_header,
    mark_simulated,
    plug_map_table,
    science_cards,
    spline_set_table,
    standard_stars_table,
    trace_set_table,
    write_fits,
)
from bosscal.simulation.instrument import (
    CALIBRATED,
    Instrument,
    build_instrument,
    coadd_grid,
    distortion,
    ends_of_data,
    fiber_flat,
    lamp,
    spatial_width,
    throughput,
    trace,
)
from bosscal.simulation.observing import BADFLUXFACTOR, NODATA, fiber_mask, observe
from bosscal.simulation.plate import (
    NFIBER,
    NROW_STORED,
    RUN2D,
    TUTORIAL,
    Plate,
    camera_exposure_paths,
    fiber_blocks,
    fiber_numbers,
    flat_path,
    fluxdistort_path,
    plug_fibers,
    sha1sum_path,
)


def simulate_camera_exposure(root: Pathlike, camera: str, expnum: int, seed: int, plate: Plate = TUTORIAL) -> None:
    """Write spFrame, spCFrame, spFluxcalib and spFluxcorr of one camera exposure.

    Parameters
    ----------
    root : path
        Files are written below it, at :func:`~bosscal.simulation.plate.camera_exposure_paths`.
    camera : {"b1", "b2", "r1", "r2"}
    expnum : int
        One of the plate's exposures.
    seed : int
        The whole plate has one; the same seed always gives the same bytes.
    plate : Plate
    """
    paths = camera_exposure_paths(camera, expnum, plate)
    spframe, spcframe, spfluxcalib, spfluxcorr = (Path(root) / path for path in paths)
    instrument = build_instrument(camera, expnum, seed, plate)
    frame, cframe, skychi2 = _expose(instrument)
    cards = science_cards(camera, expnum, instrument.xsigma, skychi2, plate)
    header = exposure_header(camera, expnum, seed, cards, plate)
    _write_spframe(spframe, instrument, frame, header)
    _write_spcframe(spcframe, instrument, cframe, header)

    wavemin, wavemax = CALIBRATED[camera]
    calibrated = mark_simulated(fits.Header({"WAVEMIN": wavemin, "WAVEMAX": wavemax}), seed)
    low, high = log10([wavemin, wavemax]).tolist()
    solution = spline_set_table(spline_of(partial(throughput, camera, expnum), low, high, 100))
    stars = standard_stars_table(instrument.fibers, instrument.loglam[:, : instrument.row.size], plate)
    write_fits(spfluxcalib, [Hdu.primary(calibrated, instrument.spcalib), solution, stars])
    corrected = mark_simulated(fits.Header(), seed)
    write_fits(spfluxcorr, [Hdu.primary(corrected, instrument.corr), Hdu.image(np.zeros_like(instrument.corr), "f4")])


def _expose(instrument: Instrument) -> tuple[dict[str, NDArray], dict[str, NDArray], float]:
    """Expose, extract and calibrate.

    Returns
    -------
    frame, cframe : dict
        Images of spFrame, 2D[nfiber, nrow], and of spCFrame, 2D[nfiber, 4128], as they are stored.
    skychi2 : float
        Mean relative chi² of the sky fibers: SKYCHI2 of the header.
    """
    nrow = instrument.row.size
    observation = observe(instrument)
    frame = {name: getattr(observation, name) for name in ("eflux", "eivar", "mask", "esky")}
    skychi2 = _widen(instrument, frame)
    cframe = _empty_images(("flux", "ivar", "mask", "wavedisp", "sky", "x", "superflat"), NROW_STORED)
    cframe["mask"][:, nrow:] = NODATA
    for block in fiber_blocks(NFIBER):
        tool = instrument.take(block)
        reduced = reduction.reduce(
            frame["eflux"][block],
            frame["esky"][block],
            frame["eivar"][block],
            tool.delta,
            tool.spcalib,
            tool.corr[:, :nrow],
            tool.inv_distort,
            instrument.means,
        )
        stored = {
            "flux": reduced.flux,
            "ivar": reduced.ivar,
            "mask": frame["mask"][block] | np.where(reduced.rejected, BADFLUXFACTOR, 0).astype(np.int32),
            # The dispersion is stored in units of the coadd grid's bins.
            "wavedisp": tool.dispersion(tool.row) * tool.delta,
            "sky": reduced.sky,
            "x": tool.x,
            "superflat": tool.superflat,
        }
        for name, image in stored.items():
            cframe[name][block, :nrow] = image
    return frame, cframe, skychi2


def _widen(instrument: Instrument, frame: Mapping[str, NDArray]) -> float:
    """Add to the variance what the sky fibers' residuals say of sky subtraction, as the pipeline does; SKYCHI2."""
    camera, nrow = instrument.camera, instrument.row.size
    loglam = instrument.loglam[:, :nrow]
    split = is_split(camera, instrument.plate.mjd, RUN2D)
    recipe = bins_and_polynomials({"b": "blue", "r": "red"}[camera[0]], nrow, split)
    means = []
    for half in halves_of(instrument.quadrant, split):
        sky = half & instrument.fibers.sky & ~instrument.fibers.dark
        ivar = frame["eivar"][sky].astype(np.float64)
        statistics = sky_statistics(
            loglam[sky], frame["eflux"][sky], frame["esky"][sky], inverse(ivar), ivar > 0, *recipe
        )
        for block in fiber_blocks(NFIBER):
            fibers = np.flatnonzero(half[block]) + block.start
            ivar = frame["eivar"][fibers].astype(np.float64)
            frame["eivar"][fibers] = ivar / (1 + ivar * statistics.term(loglam[fibers]))
        with_data = frame["eivar"][sky] > 0
        means.append(np.interp(loglam[sky][with_data], statistics.loglam, statistics.chi2).mean())
    return float(means[0])  # of a split sky, the header has the first half's


def _empty_images(names: Iterable[str], nrow: int) -> dict[str, NDArray]:
    """Images of zeros by name in the byte order of FITS, 2D[nfiber, nrow]."""
    return {name: np.zeros((NFIBER, nrow), dtype=">i4" if name == "mask" else ">f4") for name in names}


def _write_spframe(path: Path, instrument: Instrument, frame: Mapping[str, NDArray], header: fits.Header) -> None:
    hdus = [
        Hdu.primary(header, frame["eflux"]),
        Hdu.image(frame["eivar"], "f4"),
        Hdu.image(frame["mask"], "i4"),
        trace_set_table(instrument.wave),
        trace_set_table(instrument.dispersion),
        plug_map_table(instrument.camera, instrument.seed, instrument.plate),
        Hdu.image(frame["esky"], "f4"),
        Hdu.image(instrument.x, "f4"),
        Hdu.image(instrument.superflat, "f4"),
    ]
    write_fits(path, hdus)


def _write_spcframe(path: Path, instrument: Instrument, cframe: Mapping[str, NDArray], header: fits.Header) -> None:
    header = header.copy()
    header["BUNIT"] = "1E-17 erg/cm^2/s/Ang"
    hdus = [
        Hdu.primary(header, cframe["flux"]),
        Hdu.image(cframe["ivar"], "f4", "IVAR"),
        Hdu.image(cframe["mask"], "i4", "MASK"),
        Hdu.image(instrument.loglam, "f8", "WAVELENGTH"),
        Hdu.image(cframe["wavedisp"], "f4", "WAVEDISP"),
        plug_map_table(instrument.camera, instrument.seed, instrument.plate, "PLUGMAP"),
        Hdu.image(cframe["sky"], "f4", "SKY"),
        Hdu.image(cframe["x"], "f4", "X"),
        Hdu.image(cframe["superflat"], "f4", "SUPERFLAT"),
    ]
    write_fits(path, hdus)


def write_flat(root: Pathlike, camera: str, seed: int, plate: Plate = TUTORIAL) -> None:
    """Write a camera's spFlat: fiber flat, trace positions, FIBERMASK, spatial width, the superflat's spline."""
    fibers = plug_fibers(seed, plate).select(fiber_numbers(camera))
    hdus = [
        Hdu.primary(exposure_header(camera, plate.flat, seed, {"NBRIGHT": 0}, plate), fiber_flat(camera, seed, plate)),
        trace_set_table(trace(camera)),
        Hdu.image(fiber_mask(fibers), "i4"),
        trace_set_table(spatial_width(camera, seed, plate)),
        spline_set_table(spline_of(partial(lamp, camera[0]), *ends_of_data(camera, plate.flat), 1500)),
    ]
    write_fits(Path(root) / flat_path(camera, plate), hdus)


def spline_of(curve: Callable[[NDArray], NDArray], low: float, high: float, number: int) -> Spline:
    """Cubic B-spline through a function of log10 wavelength, with so many intervals."""
    loglam = np.linspace(low, high, 4 * number)
    return Spline(loglam, curve(loglam), np.ones_like(loglam), np.linspace(low, high, number + 1), 4)


def write_fluxdistort(root: Pathlike, seed: int, plate: Plate = TUTORIAL) -> None:
    """Write the plate's spFluxdistort."""
    crval1, crpix1, cd1_1, _ = coadd_grid(plate)
    header = fits.Header({"CTYPE1": "LOG10", "CRVAL1": crval1, "CRPIX1": crpix1, "CD1_1": cd1_1})
    image = Hdu.primary(mark_simulated(header, seed), distortion(seed, plate))
    write_fits(Path(root) / fluxdistort_path(plate), [image])


def write_sha1sum(root: Pathlike, plate: Plate = TUTORIAL) -> None:
    """Write the checksums of all that lies in the plate's folder: SHA-1, two blanks, name."""
    path = Path(root) / sha1sum_path(plate)
    files = sorted(file for file in path.parent.iterdir() if file != path)
    write_text(path, "".join(f"{sha1sum(file)}  {file.name}\n" for file in files))
