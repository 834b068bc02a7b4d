"""The calibration exactly as the pipeline does it: from flat-fielded electrons to flux, to the last bit.

Steps and symbols are those of ``docs/calibration.md``; the arithmetic is that of idlspec2d ``spcoadd_v5``, in its
order and with its number types: flux, sky and inverse variance are arrays into which every step writes its result back,
float32 in DR12, so that they are rounded after each; a step itself computes in the wider type of its operands. The
section "Number types" has the list. Everything is vectorised over fibers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bosscal.survey.exposure import FrameExposure
from bosscal.survey.grid import coadd_loglam, grid_position
from bosscal.survey.masks import BADFLUXFACTOR
from bosscal.survey.tracesets import bin_size

# Fractional error added to every spectrum before it is calibrated: a literal of single precision in the source.
ERROR_FLOOR = np.float32(0.03)
FLAT_THRESHOLD = 0.05  # a divisor below this fraction of its mean is treated as no data
# A divisor this close to its threshold, as a fraction, is on the side that the file's own mask says. The pipeline takes
# the mean of two million float32 in float32, which is good to about as much, and in an order that is not known.
THRESHOLD_ERROR = 0.01
APODIZED_ROWS = 100  # rows over which the inverse variance is ramped up from zero


class StoredTypes(NamedTuple):
    """Number types of the arrays that a spCFrame holds: the last step writes into arrays of these."""

    flux: Any = np.float32
    sky: Any = np.float32
    ivar: Any = np.float32


@dataclass(frozen=True)
class Calibrated:
    """What the pipeline stores in an spCFrame file, and the vector that leads there.

    Attributes
    ----------
    flux, sky : 2D[nfiber, nrow]
        1e-17 erg/s/cm²/Å, in the type of the file.
    ivar : 2D[nfiber, nrow]
        Inverse variance of ``flux``; 0 where there is no data.
    calib : 2D[nfiber, nrow]
        1e-17 erg/s/cm²/Å per electron of the spFrame file; 0 where a threshold removed the pixel. float64, not rounded
        in between, for it is in no file.
    additive : 2D[nfiber, nrow] or None
        Flux that is there without electrons, B D: flux = eflux calib + additive. None where B is 0.
    by_mask : 2D[nfiber, nrow] of bool
        Pixels with a divisor so close to its threshold that the file's mask decided.
    """

    flux: NDArray[np.floating]
    sky: NDArray[np.floating]
    ivar: NDArray[np.floating]
    calib: NDArray[np.float64]
    additive: NDArray[np.floating] | None
    by_mask: NDArray[np.bool_]


def error_floor(electrons: NDArray[np.floating]) -> NDArray[np.floating]:
    """Variance (0.03 max(electrons, 0))² that is added to every spectrum (step 7), in the square of their unit."""
    return (ERROR_FLOOR * np.maximum(electrons, 0)) ** 2


def add_error_floor(eflux: NDArray[np.floating], eivar: NDArray[np.floating]) -> NDArray[np.floating]:
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
        1 / (1/eivar + (0.03 max(eflux, 0))²) in the type of the arguments, and 0 where eivar is 0 (idlspec2d
        ``spframe_read``).
    """
    good = eivar != 0
    return 1 / (1 / (eivar + ~good) + error_floor(eflux)) * good


def apodize(ivar: NDArray[np.floating]) -> NDArray[np.floating]:
    """Inverse variance from row 0 on, times row/100 below row 100 (step 5). 2D[nfiber, nrow]."""
    number = min(APODIZED_ROWS, ivar.shape[1])
    apodized = ivar.copy()
    # First times the row, then by the number of rows: two roundings.
    apodized[:, :number] = ivar[:, :number] * np.arange(number, dtype=ivar.dtype) / number
    return apodized


def inverse_distortion(
    distort: NDArray[np.floating], grid: ArrayLike, loglam: NDArray[np.float64]
) -> NDArray[np.float64]:
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
        Of 1/D, rounded to the type of ``distort``, rather than D; linear in loglam between the grid's points, and
        beyond them as between the last two (IDL ``INTERPOL``).
    """
    inverse = reciprocal(distort)
    left = np.clip(np.floor(grid_position(loglam, grid)), 0, distort.shape[1] - 2).astype(np.intp)
    low = np.take_along_axis(inverse, left, axis=1)
    rise = np.take_along_axis(inverse, left + 1, axis=1) - low
    start, end = coadd_loglam(left, grid), coadd_loglam(left + 1, grid)
    return (loglam - start) * rise / (end - start) + low


def reciprocal(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """1/values in their own type, and 0 where they are 0."""
    return np.divide(1, values, out=np.zeros_like(values), where=values != 0)


class _Spectra(NamedTuple):
    """Spectra on their way through the pipeline's divisions, each 2D[nfiber, nrow] in its own type."""

    flux: NDArray[np.floating]
    sky: NDArray[np.floating]
    ivar: NDArray[np.floating]
    calib: NDArray[np.float64]

    def divided(self, divisor: NDArray[np.floating], good: NDArray[np.bool_]) -> _Spectra:
        """By the divisor, the inverse variance times its square; 0 where not good: idlspec2d ``divideflat``."""
        bad = None if good.all() else ~good
        if bad is not None:
            divisor = np.where(bad, 1, divisor)
        # A step writes into the arrays that are there: in the wider type of the two, then rounded to the array's.
        steps = (self.flux / divisor, self.sky / divisor, self.ivar * (divisor * divisor), self.calib / divisor)
        images = _Spectra(*(new.astype(old.dtype, copy=False) for new, old in zip(steps, self, strict=True)))
        if bad is not None:
            for image in images:
                image[bad] = 0
        return images


def above_threshold(
    divisor: NDArray[np.floating], mean: float, flagged: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where a divisor is good: above 0.05 times its mean.

    Parameters
    ----------
    divisor : 2D[nfiber, nrow]
    mean : float
        Over the whole stored image.
    flagged : 2D[nfiber, nrow] of bool, optional
        Pixels that the file's mask says are not good; it decides within :data:`THRESHOLD_ERROR` of the threshold.

    Returns
    -------
    good, by_mask : 2D[nfiber, nrow] of bool
        Pixels that are above, and those of which the mask decided.
    """
    threshold = FLAT_THRESHOLD * mean
    good = divisor > threshold
    if flagged is None:
        return good, np.zeros_like(good)
    close = np.abs(divisor - threshold) <= THRESHOLD_ERROR * abs(threshold)
    return np.where(close, ~flagged, good), close


def calibrate(
    eflux: NDArray[np.floating],
    esky: NDArray[np.floating],
    eivar: NDArray[np.floating],
    delta: NDArray[np.float64],
    spcalib: NDArray[np.floating],
    corr: NDArray[np.floating],
    corr_add: NDArray[np.floating] | None,
    inv_distort: NDArray[np.float64],
    *,
    spcalib_mean: float,
    corr_mean: float,
    distort_mean: float,
    thrucorr: NDArray[np.floating] | None = None,
    flagged: NDArray[np.bool_] | None = None,
    stored: StoredTypes | None = None,
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
        Multiplicative and additive flux correction A, B [1, 1e-17 erg/s/cm²/Å]; no B: 0.
    inv_distort : 2D[nfiber, nrow]
        1/D (:func:`inverse_distortion`).
    spcalib_mean, corr_mean, distort_mean : float
        Means over the whole stored images, which set the thresholds.
    thrucorr : 2D[nfiber, nrow], optional
        Chromatic fiber-position correction T.
    flagged : 2D[nfiber, nrow] of bool, optional
        BADFLUXFACTOR of the file's mask (:func:`above_threshold`).
    stored : StoredTypes, optional
        Types of the file's arrays; those that the steps before lead to, if left out.

    Returns
    -------
    Calibrated
        flux = (eflux T A / (Delta spcalib) + B) D, sky without T and B, and calib = T A D / (Delta spcalib), each of
        whose factors is 0 where its threshold bites.
    """
    ivar = add_error_floor(eflux, eivar)
    calib = np.ones(eflux.shape)
    if thrucorr is not None:  # of the object's light alone: the sky keeps what it lost
        squared = thrucorr * thrucorr
        ivar = np.divide(ivar, squared, out=np.zeros_like(ivar * squared), where=squared != 0)
        eflux, calib = eflux * thrucorr, calib * thrucorr
    spectra = _Spectra(eflux, esky, ivar, calib).divided(delta, delta > 0)
    good, by_mask = above_threshold(spcalib, spcalib_mean, flagged)
    spectra = spectra.divided(spcalib, good)
    inv_corr = reciprocal(corr)
    good, close = above_threshold(inv_corr, 1 / corr_mean, flagged)
    spectra = spectra.divided(inv_corr, good)
    if corr_add is not None:  # in the wider type of the two, from here on
        spectra = spectra._replace(flux=spectra.flux + corr_add)
    spectra = spectra._replace(ivar=apodize(spectra.ivar))
    if stored is not None:
        spectra = spectra._replace(
            **{name: getattr(spectra, name).astype(dtype) for name, dtype in stored._asdict().items()}
        )
    good, _ = above_threshold(inv_distort, 1 / distort_mean)
    spectra = spectra.divided(inv_distort, good)
    additive = None if corr_add is None else np.divide(corr_add, inv_distort, where=good, out=np.zeros(good.shape))
    return Calibrated(spectra.flux, spectra.sky, spectra.ivar, spectra.calib, additive, by_mask | close)


def calibrate_exposure(exposure: FrameExposure) -> Calibrated:
    """What the pipeline makes of a camera exposure's electrons, for all fibers.

    Parameters
    ----------
    exposure : FrameExposure

    Returns
    -------
    Calibrated
        To compare with ``exposure.flux``, ``sky`` and ``ivar``. ``calib`` is per electron of the spFrame file: a
        chromatic fiber-position correction T (v5_9 and later) is in it.
    """
    spcalib_mean, corr_mean, distort_mean = exposure.means
    return calibrate(
        exposure.eflux,
        exposure.esky,
        exposure.eivar,
        bin_size(exposure.trace_set("wave"), exposure.row, exposure.distort_grid[2]),
        exposure.spcalib,
        exposure.corr,
        exposure.corr_add,
        inverse_distortion(exposure.distort, exposure.distort_grid, exposure.loglam),
        spcalib_mean=spcalib_mean,
        corr_mean=corr_mean,
        distort_mean=distort_mean,
        thrucorr=exposure.thrucorr,
        flagged=(exposure.mask & BADFLUXFACTOR) != 0,
        stored=StoredTypes(exposure.flux.dtype, exposure.sky.dtype, exposure.ivar.dtype),
    )
