"""The files of a plate's folder: frames, flats, flux calibration and distortion, checksums."""

from pathlib import Path

import numpy as np
from astropy.io import fits

from bosscal import pipeline
from bosscal.base.files import sha1sum, write_text
from bosscal.simulation.fits_format import (
    Hdu,
    exposure_header,
    mark_simulated,
    plug_map_table,
    science_cards,
    trace_set_table,
    write_fits,
)
from bosscal.simulation.instrument import (
    CALIBRATED,
    COADD_GRID,
    build_instrument,
    distortion,
    flat_fields,
    spatial_width,
    trace,
)
from bosscal.simulation.observing import BADFLUXFACTOR, NODATA, fiber_mask, observe, truth_with, xsigma
from bosscal.simulation.plate import (
    FLAT,
    FOLDER,
    NROW,
    NROW_STORED,
    camera_exposure_paths,
    fiber_numbers,
    flat_path,
    fluxdistort_path,
    plug_fibers,
    sha1sum_path,
)


def simulate_camera_exposure(root, camera, expnum, seed):
    """Write spFrame, spCFrame, spFluxcalib and spFluxcorr of one camera exposure.

    Parameters
    ----------
    root : path
        Files are written below it, at :func:`~bosscal.simulation.plate.camera_exposure_paths`.
    camera : {"b1", "b2", "r1", "r2"}
    expnum : int
        One of :data:`~bosscal.simulation.plate.EXPOSURES`.
    seed : int
        The whole plate has one; the same seed always gives the same bytes.
    """
    spframe, spcframe, spfluxcalib, spfluxcorr = (Path(root) / path for path in camera_exposure_paths(camera, expnum))
    instrument = build_instrument(camera, expnum, seed)
    truth = truth_with(instrument, camera, expnum, seed)
    observation = observe(truth, instrument)
    cards = science_cards(camera, expnum, xsigma(instrument, camera), truth.skychi2)
    header = exposure_header(camera, expnum, seed, cards)
    del truth  # a dozen images

    _write_spframe(spframe, camera, seed, instrument, observation, header)
    _write_spcframe(spcframe, camera, seed, instrument, observation, header)

    wavemin, wavemax = CALIBRATED[camera]
    calibrated = mark_simulated(fits.Header({"WAVEMIN": wavemin, "WAVEMAX": wavemax}), seed)
    write_fits(spfluxcalib, [Hdu.primary(calibrated, instrument.spcalib)])
    corrected = mark_simulated(fits.Header(), seed)
    write_fits(spfluxcorr, [Hdu.primary(corrected, instrument.corr), Hdu.image(instrument.corr_add, "f4")])


def _write_spframe(path, camera, seed, instrument, observation, header):
    hdus = [
        Hdu.primary(header, observation.eflux),
        Hdu.image(observation.eivar, "f4"),
        Hdu.image(observation.mask, "i4"),
        trace_set_table(instrument.wave),
        trace_set_table(instrument.dispersion),
        plug_map_table(camera, seed),
        Hdu.image(observation.esky, "f4"),
        Hdu.image(instrument.x, "f4"),
        Hdu.image(instrument.superflat, "f4"),
    ]
    write_fits(path, hdus)


def _write_spcframe(path, camera, seed, instrument, observation, header):
    nrow = NROW[camera[0]]
    calibrated = pipeline.calibrate(
        observation.eflux,
        observation.esky,
        observation.eivar,
        instrument.delta,
        instrument.spcalib,
        instrument.corr[:, :nrow],
        instrument.corr_add[:, :nrow],
        instrument.inv_distort,
        **instrument.means,
    )
    mask = observation.mask | np.where(calibrated.calib == 0, BADFLUXFACTOR, 0).astype(np.int32)
    # The dispersion is stored in units of the coadd grid's bins.
    wavedisp = instrument.dispersion(np.arange(nrow)) * instrument.delta
    header = header.copy()
    header["BUNIT"] = "1E-17 erg/cm^2/s/Ang"
    hdus = [
        Hdu.primary(header, _stored(calibrated.flux)),
        Hdu.image(_stored(calibrated.ivar), "f4", "IVAR"),
        Hdu.image(_stored(mask, NODATA), "i4", "MASK"),
        Hdu.image(instrument.loglam, "f8", "WAVELENGTH"),
        Hdu.image(_stored(wavedisp), "f4", "WAVEDISP"),
        plug_map_table(camera, seed, "PLUGMAP"),
        Hdu.image(_stored(calibrated.sky), "f4", "SKY"),
        Hdu.image(_stored(instrument.x), "f4", "X"),
        Hdu.image(_stored(instrument.superflat), "f4", "SUPERFLAT"),
    ]
    write_fits(path, hdus)


def _stored(rows, padding=0):
    """Rows padded at the end to the length of red ones."""
    return np.pad(rows, ((0, 0), (0, NROW_STORED - rows.shape[1])), constant_values=padding)


def write_flat(root, camera, seed):
    """Write a camera's spFlat: fiber flat, trace positions, FIBERMASK, spatial width."""
    fibers = plug_fibers(seed).select(fiber_numbers(camera))
    _, fiberflat = flat_fields(camera, seed)
    hdus = [
        Hdu.primary(exposure_header(camera, FLAT, seed, {}), fiberflat),
        trace_set_table(trace(camera)),
        Hdu.image(fiber_mask(fibers), "i4"),
        trace_set_table(spatial_width(camera, seed)),
    ]
    write_fits(Path(root) / flat_path(camera), hdus)


def write_fluxdistort(root, seed):
    """Write the plate's spFluxdistort."""
    crval1, crpix1, cd1_1 = COADD_GRID
    header = fits.Header({"CTYPE1": "LOG10", "CRVAL1": crval1, "CRPIX1": crpix1, "CD1_1": cd1_1})
    write_fits(Path(root) / fluxdistort_path(), [Hdu.primary(mark_simulated(header, seed), distortion(seed))])


def write_sha1sum(root):
    """Write the checksums of all that lies in the plate's folder: SHA-1, two blanks, name."""
    path = Path(root) / sha1sum_path()
    files = sorted(file for file in (Path(root) / FOLDER).iterdir() if file != path)
    write_text(path, "".join(f"{sha1sum(file)}  {file.name}\n" for file in files))
