"""What imperfect sky subtraction adds to the variance: relative chi² of the sky fibers, or SKYCHI2 of the header.

Where frames have sky fibers, chi² follows the recipe of idlspec2d ``skysubtract``, whose own noise is in every stated
variance. A spec file has one number, the mean of that curve *before* it is clipped at 1; what clipping makes of it is
tabulated by a Monte Carlo calculation of the same recipe.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bosscal.base.arithmetic import inverse
from bosscal.base.splines import Spline
from bosscal.calibration.measurement import Measurement
from bosscal.noise.law import Law
from bosscal.noise.tables import read_table
from bosscal.survey.versions import version

SKY_FIBERS = 3  # the pipeline takes no variance from fewer
BINS_PER_ROW = {"blue": 0.75, "red": 1.0}  # of chi², along a CCD column
# Coefficients of the sky model across the slit at each wavelength: of a whole camera, and of half of one.
POLYNOMIALS = {"whole": 3, "half": 2}
# First MJD at which the two halves of a camera's fibers have sky models of their own, and the version it needs.
SPLIT = {"r2": (55300, (5,)), "r1": (56858, (5, 8))}
# From v5_10_9 on SKYCHI2 is of a second pass, after the first has already widened the errors.
SECOND_PASS = (5, 10, 9)

_SMOOTHED = 7  # breakpoints that are averaged, so that they are not those of single pixels
_ENDS = 7  # breakpoints at either end that are not
_GRID_STEP = 2e-5  # dex, a fifth of a row: curves are linear in between
_GAUSSIAN_WIDTH = math.sqrt(12)  # width of a running mean over the sigma of the Gaussian that smooths as much


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
    """How well the sky was subtracted, as functions of wavelength.

    Attributes
    ----------
    loglam : 1D[npoint]
        log10 wavelength [Å], even steps.
    chi2 : 1D[npoint]
        Relative chi² of the sky fibers; below 1 where the spline is.
    variance : 1D[npoint]
        Variance of a sky fiber, in the unit given to :func:`sky_statistics`.
    """

    loglam: NDArray[np.float64]
    chi2: NDArray[np.float64]
    variance: NDArray[np.float64]

    def term(self, loglam: NDArray) -> NDArray[np.float64]:
        """Variance for imperfect sky subtraction at any wavelengths, linear between points, constant beyond."""
        return np.interp(loglam, self.loglam, sky_term(self.chi2, self.variance))


def sky_statistics(
    loglam: NDArray, residual: NDArray, sky: NDArray, variance: NDArray, valid: NDArray[np.bool_], nbin: int, npoly: int
) -> SkyStatistics:
    """Relative chi² and variance of the sky fibers, by the recipe of idlspec2d ``skysubtract``.

    Pixels of all sky fibers are pooled in wavelength, in bins with the same sum of √(S/N). Chi² of a bin is the 67th
    percentile of residual²/variance, times n/(n - npoly) of its n pixels, and these are smoothed by a quadratic spline
    with a breakpoint at every second bin. The variance is a cubic spline with the bins' edges as breakpoints.

    Parameters
    ----------
    loglam : 2D[nsky, nrow]
        log10 wavelength [Å] of the sky fibers.
    residual, sky : 2D[nsky, nrow]
        Sky-subtracted flat-fielded electrons, eflux, and the sky that was subtracted.
    variance : 2D[nsky, nrow]
        Variance of eflux, flat-fielded electrons². It has to be the extraction's alone, as a law predicts it: the
        stored one contains the very term that is to be predicted.
    valid : 2D[nsky, nrow]
        True where a pixel may be used.
    nbin : int
        Bins over the whole CCD column.
    npoly : int
        Coefficients of the sky model at each wavelength.

    Returns
    -------
    SkyStatistics

    Raises
    ------
    ValueError
        If there are fewer valid pixels than in a column of the CCD.
    """
    valid = valid & (variance > 0)
    nsky = int(np.count_nonzero(valid.any(axis=1)))
    if np.count_nonzero(valid) < max(loglam.shape[1], 2 * nbin):
        raise ValueError("too few valid pixels of sky fibers")
    order = np.argsort(loglam[valid], kind="stable")
    wave, residual, sky, variance = (
        np.asarray(values, dtype=np.float64)[valid][order] for values in (loglam, residual, sky, variance)
    )
    edges = _edges(wave, np.sqrt(np.maximum(sky, 0) / np.sqrt(variance)), nsky, nbin)
    bins = np.searchsorted(edges, wave, side="right") - 1  # the last edge is the last pixel, which has no bin
    inside = (bins >= 0) & (bins < edges.size - 1)
    bins = bins[inside]
    number = np.bincount(bins, minlength=edges.size - 1)
    ratio = (residual**2 / variance)[inside]
    by_ratio = np.lexsort((ratio, bins))
    first = np.cumsum(number) - number
    used = number > npoly + 1
    percentile = ratio[by_ratio][(first + np.ceil(2 * number / 3).astype(int) - 1)[used]]
    chi2 = percentile * number[used] / (number[used] - npoly)
    center = np.bincount(bins, wave[inside], edges.size - 1)[used] / number[used]
    breakpoints = np.append(center[::2][: max(center.size // 2 - 1, 1)], center[-1])
    grid = np.arange(wave[0], wave[-1] + _GRID_STEP, _GRID_STEP)
    return SkyStatistics(
        loglam=grid,
        chi2=Spline(center, chi2, np.ones_like(chi2), breakpoints, 3)(grid),
        variance=np.maximum(Spline(wave, variance, 1 / variance, edges, 4)(grid), 0),
    )


def _edges(wave: NDArray, root: NDArray, nsky: int, nbin: int) -> NDArray[np.float64]:
    """Edges of bins with the same sum of √(S/N), 1D, from the first to the last pixel.

    ``wave`` ascends; ``root`` is √(S/N) of each pixel, which is smoothed over two rows of all sky fibers.
    """
    half = round(_GAUSSIAN_WIDTH * nsky)
    total = np.cumsum(np.concatenate([np.zeros(half + 1), root, np.zeros(half)]))
    summed = np.cumsum(total[2 * half + 1 :] - total[: -2 * half - 1])
    place = np.minimum((summed / summed[-1] * nbin).astype(int), nbin - 2)
    last = np.flatnonzero(np.append(np.diff(place) > 0, True))
    edges = wave[last]
    edges[0] = wave[0]
    if edges.size > 2 * _ENDS + _SMOOTHED:
        windows = [edges[start : edges.size - _SMOOTHED + 1 + start] for start in range(_SMOOTHED)]
        smooth = sum(windows[1:], windows[0]) / _SMOOTHED
        inner = slice(_ENDS, edges.size - _ENDS)
        edges[inner] = smooth[_ENDS - _SMOOTHED // 2 : edges.size - _ENDS - _SMOOTHED // 2]
    edges[-1] = wave[-1]
    return np.unique(edges)


def is_split(camera: str, mjd: int, vers2d: str) -> bool:
    """Whether the two halves of a camera have sky models of their own (idlspec2d ``spreduce2d``)."""
    first_mjd, needed = SPLIT.get(camera, (np.inf, ()))
    return mjd >= first_mjd and version(vers2d) >= needed


def halves_of(quadrant: NDArray[np.integer], split: bool) -> Iterator[NDArray[np.bool_]]:
    """Which fibers share a sky model, 1D[nfiber] of bool each: all, or those on either side of the CCD's middle.

    ``quadrant``, 2D[nfiber, nrow], tells the side: it is 2 or 3 at large x.
    """
    if not split:
        yield np.ones(len(quadrant), dtype=bool)
        return
    right = quadrant[:, quadrant.shape[1] // 2] >= 2
    yield ~right
    yield right


def bins_and_polynomials(band: str, nrow: int, split: bool) -> tuple[int, int]:
    """Number of bins of chi² over a CCD column, and of coefficients of the sky model at each wavelength."""
    return int(BINS_PER_ROW[band] * nrow), POLYNOMIALS["half" if split else "whole"]


def statistics_of(sky: Measurement, loglam: NDArray, law: Law) -> SkyStatistics | None:
    """:func:`sky_statistics` of the sky fibers that share a sky model.

    Parameters
    ----------
    sky : Measurement
        Of these fibers.
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
    header = sky.header
    valid = sky.good_electrons & (sky.flat > 0)
    per_flat = inverse(sky.flat)
    # From the sky that was subtracted, which has no noise of its own: a variance that is high where the residual
    # happens to be positive would make chi² low.
    predicted = law.sky_variance(sky) * per_flat**2
    if not (valid & (sky.sky_electrons > 0)).any():
        return None
    split = is_split(header.camera, header.mjd, header.vers2d)
    nbin, npoly = bins_and_polynomials(header.band, len(sky.row), split)
    residual, model = sky.object_electrons * per_flat, sky.sky_electrons * per_flat
    try:
        return sky_statistics(loglam, residual, model, predicted, valid, nbin, npoly)
    except ValueError:  # no sky fiber worth the name
        return None


@cache
def _clipped_mean(kind: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means of chi² before and after it is clipped at 1, of a blue or red camera or half a red one."""
    return tuple(np.array(values) for values in read_table("sky_chi2")[kind])  # type: ignore[return-value]


def clipped_chi2(skychi2: float, band: str, split: bool) -> float:
    """Mean of max(chi², 1) from the mean of chi², which is SKYCHI2.

    Chi² is a noisy curve, so that clipping it at 1 raises its mean, by 0.06 where the mean is 1. By Monte Carlo of
    :func:`sky_statistics` with 40 sky fibers, 20 of a half: ``docs/tables/sky_chi2.py``.

    Parameters
    ----------
    skychi2 : float
    band : {"blue", "red"}
    split : bool
        Whether the sky model is of half a camera.

    Returns
    -------
    float
        At least 1.
    """
    before, after = _clipped_mean("half" if split else band)
    if skychi2 > before[-1]:  # hardly ever below 1: nothing is clipped
        return float(skychi2 + after[-1] - before[-1])
    return float(np.interp(skychi2, before, after))


def from_header(measurement: Measurement, law: Law) -> tuple[NDArray[np.float64], str]:
    """The sky-subtraction term from SKYCHI2 of the header and each fiber's own sky.

    From v5_10_9 on SKYCHI2 is of the second of two passes, and the term is (SKYCHI2 - 1)₊ Var_sky, the least that the
    second alone can have added; what the first added no header tells.

    Returns
    -------
    2D[nfiber, nrow]
        electrons²; 0 where there is no SKYCHI2.
    str
        Where it is from.
    """
    header = measurement.header
    if header.skychi2 is None:
        chi2, origin = 1.0, "none"
    elif version(header.vers2d) >= SECOND_PASS:
        chi2, origin = header.skychi2, "SKYCHI2, second pass"
    else:
        split = is_split(header.camera, header.mjd, header.vers2d)
        chi2, origin = clipped_chi2(header.skychi2, header.band, split), "SKYCHI2"
    return sky_term(chi2, law.sky_variance(measurement)), origin
