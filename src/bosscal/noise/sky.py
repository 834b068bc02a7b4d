"""What imperfect sky subtraction adds to the variance: relative chi² of the sky fibers, or SKYCHI2 of the header."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bosscal.base.arithmetic import inverse
from bosscal.calibration.measurement import Measurement
from bosscal.noise.law import Law

GAUSSIAN_CHI2 = 0.9359  # 2/3 quantile of chi² with one degree of freedom
QUANTILE_ERROR = 1.95  # relative error of that quantile, times the root of the number of values
_VARIANCE_BIN_ROWS = 4 / 3  # rows over which the variance of a sky fiber is constant: a line of the sky takes 2 to 3
SKY_BIN_ROWS = 48  # rows over which chi² is taken to be constant: 4 % noise with 40 sky fibers
SKY_FIBERS = 2  # fewer say nothing of the other fibers


def sky_term(chi2: ArrayLike, sky_variance: ArrayLike) -> NDArray[np.float64]:
    """Variance that the pipeline adds for imperfect sky subtraction, (chi² - 1)₊ Var_sky.

    Parameters
    ----------
    chi2 : array
        Relative chi² of the sky fibers' residuals.
    sky_variance : array
        Variance of a sky fiber, in any unit.

    Returns
    -------
    array
        In the unit of ``sky_variance``; never negative.
    """
    return np.maximum(np.asarray(chi2, dtype=np.float64) - 1, 0) * np.asarray(sky_variance)


@dataclass(frozen=True)
class SkyStatistics:
    """How well the sky was subtracted in one camera exposure, as functions of wavelength.

    Attributes
    ----------
    chi2_loglam, chi2 : 1D[nbin]
        Relative chi² of the sky fibers, at least 1, at log10 wavelengths [Å] that ascend.
    variance_loglam, variance : 1D[nfine]
        Variance of a sky fiber, in the unit given to :func:`sky_statistics`, fine enough for the lines of the sky.
    """

    chi2_loglam: NDArray[np.float64]
    chi2: NDArray[np.float64]
    variance_loglam: NDArray[np.float64]
    variance: NDArray[np.float64]

    def term(self, loglam: NDArray) -> NDArray[np.float64]:
        """Variance for imperfect sky subtraction at any wavelengths, linear between bins, constant beyond."""
        chi2 = np.interp(loglam, self.chi2_loglam, self.chi2)
        return sky_term(chi2, np.interp(loglam, self.variance_loglam, self.variance))


def sky_statistics(
    loglam: NDArray, residual: NDArray, variance: NDArray, valid: NDArray[np.bool_], mean_chi2: float | None = None
) -> SkyStatistics:
    """Relative chi² and variance of the sky fibers of a camera exposure.

    ``variance`` has to be the extraction's alone, as a law predicts it: the stored inverse variance contains
    the very term that is to be predicted. Pixels of all sky fibers are pooled in wavelength. Chi² is the 2/3
    quantile of residual²/variance over that of a Gaussian (outliers do not move it) in bins of about
    :data:`SKY_BIN_ROWS` rows, smoothed over neighbouring bins and never below 1; the variance is the mean with
    weights 1/variance in bins of 4/3 rows, which resolve the lines of the sky. The pipeline (idlspec2d
    ``skysubtract``) takes the fine bins for both, whose noise is therefore in every published variance, and does
    not divide by the Gaussian's quantile.

    Parameters
    ----------
    loglam : 2D[nsky, nrow]
        log10 wavelength [Å] of the sky fibers.
    residual : 2D[nsky, nrow]
        Sky-subtracted flat-fielded electrons, eflux.
    variance : 2D[nsky, nrow]
        Predicted extraction variance of eflux, flat-fielded electrons².
    valid : 2D[nsky, nrow]
        True where a pixel may be used.
    mean_chi2 : float, optional
        SKYCHI2 of the header: the pipeline's own mean, free of our sampling error. Where the two agree within that
        error, and within what the pipeline's missing division by the Gaussian's quantile makes, chi² - 1 is scaled
        to it. A header mean that a few wavelengths dominate does not agree.

    Returns
    -------
    SkyStatistics

    Raises
    ------
    ValueError
        If fewer pixels than one bin of chi² needs are valid.
    """
    valid = valid & (variance > 0)
    nsky = int(np.count_nonzero(valid.any(axis=1)))
    order = np.argsort(loglam[valid], kind="stable")
    if order.size < SKY_BIN_ROWS * max(nsky, 1):
        raise ValueError(f"sky chi² needs sky fibers with at least {SKY_BIN_ROWS} valid pixels")

    def binned(values: NDArray, rows: float) -> NDArray[np.float64]:
        """Values in the order of wavelength, 2D[nbin, size], for bins of so many rows."""
        size = math.ceil(rows * nsky)
        number = order.size // size
        return np.asarray(values, dtype=np.float64)[valid][order[: number * size]].reshape(number, size)

    predicted = binned(variance, SKY_BIN_ROWS)
    ratio = binned(residual, SKY_BIN_ROWS) ** 2 / predicted
    chi2 = np.maximum(_smooth(np.quantile(ratio, 2 / 3, axis=1) / GAUSSIAN_CHI2), 1)
    mean = chi2.mean()
    sampling_error = QUANTILE_ERROR * mean / math.sqrt(ratio.size)
    if (
        mean_chi2 is not None
        and GAUSSIAN_CHI2 * mean - 4 * sampling_error < mean_chi2 < mean + 4 * sampling_error
        and min(mean, mean_chi2) > 1
    ):
        chi2 = 1 + (chi2 - 1) * (mean_chi2 - 1) / (mean - 1)
    return SkyStatistics(
        chi2_loglam=binned(loglam, SKY_BIN_ROWS).mean(axis=1),
        chi2=chi2,
        variance_loglam=binned(loglam, _VARIANCE_BIN_ROWS).mean(axis=1),
        variance=1 / (1 / binned(variance, _VARIANCE_BIN_ROWS)).mean(axis=1),
    )


def _smooth(values: NDArray) -> NDArray:
    """Weights 1/4, 1/2, 1/4 over neighbouring bins."""
    padded = np.pad(values, 1, mode="edge")
    return (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4


def statistics_of(sky: Measurement, loglam: NDArray, law: Law) -> SkyStatistics | None:
    """:func:`sky_statistics` of a camera exposure.

    Parameters
    ----------
    sky : Measurement
        Of the exposure's sky fibers.
    loglam : 2D[nsky, nrow]
        Their log10 wavelengths [Å].
    law : Law
        That the release's extraction follows.

    Returns
    -------
    SkyStatistics or None
        None where there are fewer than :data:`SKY_FIBERS`, or too few pixels with data: then SKYCHI2 has to do.
    """
    if len(sky.fiber) < SKY_FIBERS:
        return None
    valid = sky.good_electrons & (sky.flat > 0)
    per_flat = inverse(sky.flat)
    # From the sky that was subtracted, which has no noise of its own: a variance that is high where the residual
    # happens to be positive would make chi² low.
    predicted = law.sky_variance(sky) * per_flat**2
    try:
        return sky_statistics(loglam, sky.object_electrons * per_flat, predicted, valid, sky.header.skychi2)
    except ValueError:  # no sky fiber worth the name
        return None


def from_header(measurement: Measurement, law: Law) -> NDArray[np.float64]:
    """The sky-subtraction term from SKYCHI2 of the header and each fiber's own sky, 2D[nfiber, nrow] [electrons²].

    0 where there is no SKYCHI2.
    """
    skychi2 = measurement.header.skychi2
    return sky_term(1.0 if skychi2 is None else skychi2, law.sky_variance(measurement))
