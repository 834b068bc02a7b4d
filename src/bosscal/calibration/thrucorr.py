"""The chromatic fiber-position correction T of later releases, measured where an earlier one has the same exposure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bosscal.base.splines import Spline
from bosscal.base.statistics import MAD_TO_SIGMA
from bosscal.calibration.measurement import Measurement

INTERVALS = 4  # of the spline over a camera's wavelengths: T is smooth
_ITERATIONS, _REJECTED = 6, 4.0  # residuals beyond so many robust standard deviations are left out


@dataclass(frozen=True)
class PositionCorrection:
    """T of one fiber in one camera exposure.

    Attributes
    ----------
    thrucorr : 1D[nrow]
        T at the rows of the later release, a spline; constant beyond the pixels that were used.
    ratio : 1D[nrow]
        The ratio of single pixels that it goes through; NaN where there is none.
    residual : float
        Robust rms of ratio / T - 1.
    """

    thrucorr: NDArray[np.float64]
    ratio: NDArray[np.float64]
    residual: float


def measure_thrucorr(
    earlier: Measurement, earlier_loglam: NDArray[np.float64], later: Measurement, later_loglam: NDArray[np.float64]
) -> PositionCorrection | None:
    """T from the sky of one camera exposure in a release without it and in one with it.

    From v5_9 on T multiplies the object's electrons, not those of the sky, but is in the one calibration that divides
    both (``docs/calibration.md``, section "The position correction T of later releases"). So a spec file's sky/calib
    is the detected sky over T, and T = (sky/calib) of the earlier release over (sky/calib) of the later.

    Parameters
    ----------
    earlier, later : Measurement
        Of one fiber each.
    earlier_loglam, later_loglam : 1D[nrow]
        Their log10 wavelengths [Å].

    Returns
    -------
    PositionCorrection or None
        None where too few pixels have a sky in both.
    """
    used = earlier.good_electrons[0] & (earlier.sky_electrons[0] > 0)
    valid = later.good_electrons[0] & (later.sky_electrons[0] > 0)
    if used.sum() < 2 or valid.sum() < 10 * INTERVALS:
        return None
    sky = np.interp(later_loglam, earlier_loglam[used], earlier.sky_electrons[0, used], left=0, right=0)
    valid &= sky > 0
    if valid.sum() < 10 * INTERVALS:
        return None
    ratio = np.full(later_loglam.size, np.nan)
    ratio[valid] = sky[valid] / later.sky_electrons[0, valid]
    ends = later_loglam[valid][[0, -1]]
    breakpoints = np.linspace(ends[0], ends[1], INTERVALS + 1)
    chosen, residual = valid, 0.0
    for _ in range(_ITERATIONS):
        spline = Spline(later_loglam[chosen], ratio[chosen], np.ones(chosen.sum()), breakpoints, 4)
        thrucorr = spline(later_loglam)
        difference = np.where(valid, ratio, 1) / thrucorr - 1
        residual = float(MAD_TO_SIGMA * np.median(np.abs(difference[chosen])))
        chosen = valid & (np.abs(difference) <= _REJECTED * residual)
    return PositionCorrection(thrucorr, ratio, residual)
