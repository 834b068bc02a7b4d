"""The calibration exactly as the pipeline does it: from flat-fielded electrons to flux.

Steps and symbols are those of ``docs/calibration.md``; the arithmetic is that of idlspec2d ``spcoadd_v5``.
Everything is float64 and vectorised over fibers.
"""

from dataclasses import dataclass, replace

import numpy as np

from bosscal.tracesets import bin_size

ERROR_FLOOR = 0.03  # fractional error added to every spectrum before it is calibrated
FLAT_THRESHOLD = 0.05  # a divisor below this fraction of its mean is treated as no data
APODIZED_ROWS = 100  # rows over which the inverse variance is ramped up from zero


@dataclass(frozen=True)
class Calibrated:
    """What the pipeline stores in an spCFrame file, and the vector that leads there.

    Attributes
    ----------
    flux, sky : 2D[nfiber, nrow]
        1e-17 erg/s/cm²/Å.
    ivar : 2D[nfiber, nrow]
        Inverse variance of ``flux``; 0 where there is no data.
    calib : 2D[nfiber, nrow]
        1e-17 erg/s/cm²/Å per flat-fielded electron; 0 where a threshold removed the pixel.
    additive : 2D[nfiber, nrow]
        Flux that is there without electrons, B D: flux = eflux calib + additive.
    """

    flux: np.ndarray
    sky: np.ndarray
    ivar: np.ndarray
    calib: np.ndarray
    additive: np.ndarray


def inverse(values):
    """1/values as float64, with 0 where ``values`` is 0: no data never becomes inf."""
    values = np.asarray(values, dtype=np.float64)
    return np.divide(1.0, values, out=np.zeros_like(values), where=values != 0)


def reciprocal_above(divisor, minimum):
    """1/divisor, or 0 where ``divisor`` <= ``minimum`` (idlspec2d ``divideflat``)."""
    divisor = np.asarray(divisor, dtype=np.float64)
    return np.divide(1.0, divisor, out=np.zeros_like(divisor), where=divisor > minimum)


def add_error_floor(eflux, eivar):
    """Inverse variance after the 3 % error floor (step 7 of ``docs/calibration.md``; applied first).

    Parameters
    ----------
    eflux : 2D[nfiber, nrow]
        Sky-subtracted flat-fielded electrons per row.
    eivar : 2D[nfiber, nrow]
        Their inverse variance.

    Returns
    -------
    2D[nfiber, nrow]
        1 / (1/eivar + (0.03 max(eflux, 0))²), and 0 where eivar is 0.
    """
    eivar = np.asarray(eivar, dtype=np.float64)
    floor = ERROR_FLOOR * np.maximum(np.asarray(eflux, dtype=np.float64), 0)
    return eivar / (1 + eivar * floor**2)


def apodization(nrow):
    """Factor on the inverse variance of every row: row/100 below row 100, then 1 (step 5). 1D[nrow]."""
    return np.minimum(np.arange(nrow) / APODIZED_ROWS, 1.0)


def coadd_loglam(npix, crval1, crpix1, cd1_1):
    """log10 wavelength [Å] of the coadd grid's points, 1D[npix]; FITS counts pixels from 1."""
    return crval1 + (np.arange(npix) + 1 - crpix1) * cd1_1


def interpolate_rows(position, values):
    """Linear interpolation of each row of ``values`` at fractional column ``position``, constant beyond the ends.

    Parameters
    ----------
    position : 2D[nfiber, nrow]
        Columns of ``values``, 0-based, not necessarily integer.
    values : 2D[nfiber, npix]
    """
    npix = values.shape[1]
    position = np.clip(position, 0, npix - 1)
    left = np.minimum(position.astype(np.int64), npix - 2)
    fraction = position - left
    low = np.take_along_axis(values, left, axis=1)
    high = np.take_along_axis(values, left + 1, axis=1)
    return low + fraction * (high - low)


def inverse_distortion(distort, grid, loglam):
    """1/D at the frame's own wavelengths (step 6).

    Parameters
    ----------
    distort : 2D[nfiber, npix]
        Flux distortion D on the coadd grid.
    grid : (crval1, crpix1, cd1_1)
        FITS keywords of the coadd grid in loglam.
    loglam : 2D[nfiber, nrow]
        log10 wavelength [Å].

    Returns
    -------
    2D[nfiber, nrow]
        Linear in loglam, and of 1/D rather than D; constant beyond the ends of the grid.
    """
    crval1, crpix1, cd1_1 = grid
    position = (np.asarray(loglam, dtype=np.float64) - crval1) / cd1_1 - (1 - crpix1)
    return interpolate_rows(position, inverse(distort))


def calibrate(
    eflux, esky, eivar, delta, spcalib, corr, corr_add, inv_distort, *, spcalib_mean, corr_mean, distort_mean
):
    """Flat-fielded electrons to flux, sky, inverse variance and calibration vector.

    Parameters
    ----------
    eflux, esky, eivar : 2D[nfiber, nrow]
        Sky-subtracted flat-fielded electrons per row, the sky that was subtracted, inverse variance of eflux.
    delta : 2D[nfiber, nrow]
        Bin size Delta in units of 1e-4 dex (:func:`bosscal.tracesets.bin_size`).
    spcalib : 2D[nfiber, nrow]
        Electrons per 1e-17 erg/s/cm²/Å in a bin of 1e-4 dex.
    corr, corr_add : 2D[nfiber, nrow]
        Multiplicative and additive flux correction A, B [1, 1e-17 erg/s/cm²/Å].
    inv_distort : 2D[nfiber, nrow]
        1/D (:func:`inverse_distortion`).
    spcalib_mean, corr_mean, distort_mean : float
        Means over the whole stored images, which set the thresholds.

    Returns
    -------
    Calibrated
        flux = (eflux A / (Delta spcalib) + B) D, sky without B, and calib = A D / (Delta spcalib), each
        of whose factors is 0 where its threshold bites.
    """
    per_bin = inverse(delta)
    per_flux = reciprocal_above(spcalib, FLAT_THRESHOLD * spcalib_mean)
    # A is applied as a division by 1/A, so the threshold is one on 1/A.
    corr = np.asarray(corr, dtype=np.float64)
    corr = np.where(inverse(corr) > FLAT_THRESHOLD / corr_mean, corr, 0.0)
    distort = reciprocal_above(inv_distort, FLAT_THRESHOLD / distort_mean)

    before_add = per_bin * per_flux * corr
    calib = before_add * distort
    flux = (np.asarray(eflux, dtype=np.float64) * before_add + corr_add) * distort
    sky = np.asarray(esky, dtype=np.float64) * calib
    ivar = add_error_floor(eflux, eivar) * apodization(calib.shape[1]) * inverse(calib) ** 2
    return Calibrated(flux=flux, sky=sky, ivar=ivar, calib=calib, additive=corr_add * distort)


def calibrate_exposure(exposure):
    """What the pipeline makes of a camera exposure's electrons, for all fibers.

    Parameters
    ----------
    exposure : CameraExposure
        Of the per-plate files.

    Returns
    -------
    Calibrated
        To compare with ``exposure.flux``, ``sky`` and ``ivar``. ``calib`` is per electron of the spFrame file: a
        chromatic fiber-position correction T (releases after DR12, :data:`bosscal.exposure.OPTIONAL_ARRAYS`) is in it.
    """
    spcalib_mean, corr_mean, distort_mean = exposure.means
    # T multiplies the electrons before all other steps, but not the sky.
    position = 1.0 if exposure.thrucorr is None else exposure.thrucorr.astype(np.float64)
    calibrated = calibrate(
        exposure.eflux * position,
        exposure.esky,
        exposure.eivar * inverse(position) ** 2,
        bin_size(exposure.trace_set("wave"), exposure.row, exposure.distort_grid[2]),
        exposure.spcalib,
        exposure.corr,
        exposure.corr_add,
        inverse_distortion(exposure.distort, exposure.distort_grid, exposure.loglam),
        spcalib_mean=spcalib_mean,
        corr_mean=corr_mean,
        distort_mean=distort_mean,
    )
    return replace(calibrated, calib=calibrated.calib * position)
