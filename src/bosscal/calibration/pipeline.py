"""The calibration exactly as the pipeline does it: from flat-fielded electrons to flux.

Steps and symbols are those of ``docs/calibration.md``; the arithmetic is that of idlspec2d ``spcoadd_v5``.
Everything is float64 and vectorised over fibers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bosscal.base.arithmetic import interpolate_rows, inverse, reciprocal_above
from bosscal.survey.exposure import FrameExposure
from bosscal.survey.tracesets import bin_size

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

    flux: NDArray[np.float64]
    sky: NDArray[np.float64]
    ivar: NDArray[np.float64]
    calib: NDArray[np.float64]
    additive: NDArray[np.float64]


def error_floor(electrons: ArrayLike) -> NDArray[np.float64]:
    """Variance (0.03 max(electrons, 0))² that is added to every spectrum (step 7), in the square of their unit."""
    return (ERROR_FLOOR * np.maximum(np.asarray(electrons, dtype=np.float64), 0)) ** 2


def add_error_floor(eflux: ArrayLike, eivar: ArrayLike) -> NDArray[np.float64]:
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
    return eivar / (1 + eivar * error_floor(eflux))


def apodization(row: NDArray) -> NDArray[np.float64]:
    """Factor on the inverse variance of every CCD row: row/100 below row 100, then 1 (step 5). 1D[nrow]."""
    return np.minimum(row / APODIZED_ROWS, 1.0)


def coadd_loglam(npix: int, crval1: float, crpix1: float, cd1_1: float) -> NDArray[np.floating]:
    """log10 wavelength [Å] of the coadd grid's points, 1D[npix]; FITS counts pixels from 1."""
    return crval1 + (np.arange(npix) + 1 - crpix1) * cd1_1


def inverse_distortion(distort: NDArray, grid: ArrayLike, loglam: ArrayLike) -> NDArray[np.float64]:
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
    crval1, crpix1, cd1_1 = np.asarray(grid, dtype=np.float64)
    position = (np.asarray(loglam, dtype=np.float64) - crval1) / cd1_1 - (1 - crpix1)
    return interpolate_rows(position, inverse(distort))


def calibrate(
    eflux: NDArray,
    esky: NDArray,
    eivar: NDArray,
    delta: NDArray,
    spcalib: NDArray,
    corr: NDArray,
    corr_add: NDArray | float,
    inv_distort: NDArray,
    *,
    spcalib_mean: float,
    corr_mean: float,
    distort_mean: float,
) -> Calibrated:
    """Flat-fielded electrons to flux, sky, inverse variance and calibration vector.

    Parameters
    ----------
    eflux, esky, eivar : 2D[nfiber, nrow]
        Sky-subtracted flat-fielded electrons per row, the sky that was subtracted, inverse variance of eflux.
    delta : 2D[nfiber, nrow]
        Bin size Delta in units of 1e-4 dex (:func:`bosscal.survey.tracesets.bin_size`).
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
    ivar = add_error_floor(eflux, eivar) * apodization(np.arange(calib.shape[1])) * inverse(calib) ** 2
    return Calibrated(flux=flux, sky=sky, ivar=ivar, calib=calib, additive=corr_add * distort)


def calibrate_exposure(exposure: FrameExposure) -> Calibrated:
    """What the pipeline makes of a camera exposure's electrons, for all fibers.

    Parameters
    ----------
    exposure : FrameExposure

    Returns
    -------
    Calibrated
        To compare with ``exposure.flux``, ``sky`` and ``ivar``. ``calib`` is per electron of the spFrame file: a
        chromatic fiber-position correction T (releases after DR12) is in it.
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
        0.0 if exposure.corr_add is None else exposure.corr_add,
        inverse_distortion(exposure.distort, exposure.distort_grid, exposure.loglam),
        spcalib_mean=spcalib_mean,
        corr_mean=corr_mean,
        distort_mean=distort_mean,
    )
    return replace(calibrated, calib=calibrated.calib * position)
