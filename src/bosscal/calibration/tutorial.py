"""The tutorial's reconstruction of the calibration, kept as the notebook has it, for all fibers at once.

Its approximations, and what each costs, are in ``docs/calibration.md``. They stay here on purpose, down to the
float32 in which the notebook takes the wavelength's derivative; :mod:`bosscal.calibration.pipeline` is the exact
model. Two things are not kept. The notebook looks up the flux distortion of fiber f in row (f - 1) mod 500 of a map
of 1000 rows, which is another fiber's for f > 500; here every fiber has its own. And the notebook's logarithm of a
float32 wavelength rounds differently from processor to processor; here it is taken in float64 and rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bosscal.base.arithmetic import interpolate_rows, inverse_where
from bosscal.base.elementary import LN10, power_of_ten
from bosscal.survey.exposure import CameraExposure, FrameExposure, SpecExposure
from bosscal.survey.masks import good_pixels


@dataclass(frozen=True)
class Reconstruction:
    """The notebook's calibration of some fibers, each 2D[nfiber, nrow].

    Attributes
    ----------
    calib_applied
        What the pipeline applied, flux/eflux or, from a spec file, per detected electron; 0 without data.
    var
        Stated variance of the flux [(1e-17 erg/s/cm²/Å)²], 0 without data.
    calib_predicted, bin_ratio, distort_at_rows, var_pred
        corr distort R / spcalib; the notebook's R and D; the variance scaled from that of eflux. None for a spec
        file, which has no components.
    """

    calib_applied: NDArray[np.float64]
    var: NDArray[np.float64]
    # arrays like those above, or None
    calib_predicted: Any = None
    bin_ratio: Any = None
    distort_at_rows: Any = None
    var_pred: Any = None


@singledispatch
def reconstruct(exposure: CameraExposure, allowed_bits: int = 0) -> Reconstruction:
    """The notebook's arithmetic for every fiber of a camera exposure of either kind.

    Parameters
    ----------
    exposure : CameraExposure
    allowed_bits : int
        SPPIXMASK bits to treat as harmless.

    Returns
    -------
    Reconstruction
    """
    raise TypeError(f"no camera exposure: {type(exposure).__name__}")


@reconstruct.register
def _from_frames(exposure: FrameExposure, allowed_bits: int = 0) -> Reconstruction:
    good = good_pixels(exposure.mask, exposure.ivar, allowed_bits)
    good_electrons = good_pixels(exposure.emask, exposure.eivar, allowed_bits)
    # The spFrame and the spCFrame hold the same wavelengths; the notebook keeps them as float32.
    exact = power_of_ten(exposure.loglam)
    wave = exact.astype(np.float32)
    bin_ratio = _bin_ratio(_log10_of_rounded(exposure.loglam, exact, wave), exposure.distort_grid[2])
    distort = _distort(wave, exposure.distort, exposure.distort_grid)
    applied = np.where(good, exposure.flux, 0) * inverse_where(exposure.eflux, good_electrons)
    return Reconstruction(
        calib_applied=applied,
        var=inverse_where(exposure.ivar, good),
        calib_predicted=exposure.corr * distort * bin_ratio * inverse_where(exposure.spcalib, exposure.spcalib != 0),
        bin_ratio=bin_ratio,
        distort_at_rows=distort,
        var_pred=applied**2 * inverse_where(exposure.eivar, good_electrons),
    )


@reconstruct.register
def _from_spec(exposure: SpecExposure, allowed_bits: int = 0) -> Reconstruction:
    good = good_pixels(exposure.mask, exposure.ivar, allowed_bits)
    return Reconstruction(exposure.calib.astype(np.float64), inverse_where(exposure.ivar, good))


def _log10_of_rounded(loglam: NDArray[np.float64], wave: NDArray, rounded: NDArray) -> NDArray[np.float32]:
    """log10 of a rounded wavelength, in float32, from that of the wavelength itself: ``loglam`` = log10(``wave``)."""
    change = rounded / wave - 1  # 6e-8 at most: ln(1 + change) to 1e-22 by two terms of its series
    return (loglam + (change - change**2 / 2) / LN10).astype(np.float32)


def _bin_ratio(loglam: NDArray[np.float32], dloglam: float) -> NDArray[np.floating]:
    """Coadd bin over pixel width, the notebook's way: numpy's central differences of log10 of it in float32."""
    return np.float32(dloglam) / np.gradient(loglam, axis=1)


def _distort(wave: NDArray[np.float32], distort: NDArray, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Flux distortion at ``wave`` [Å] the notebook's way: linear in wavelength, on its grid of one point off.

    Parameters
    ----------
    wave : 2D[nfiber, nrow]
    distort : 2D[nfiber, ncoadd]
    grid : 1D[3]
        CRVAL1, CRPIX1, CD1_1 of the coadd grid.
    """
    crval1, crpix1, cd1_1 = grid
    point = np.arange(distort.shape[1])
    wave_coadd = power_of_ten(crval1 + (point - crpix1) * cd1_1)
    return interpolate_rows(np.interp(wave, wave_coadd, point), distort.astype(np.float64))
