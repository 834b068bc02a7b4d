"""The coadd of a fiber, rebuilt from its exposures as idlspec2d ``combine1fiber`` makes it.

Exposures go in without the flux distortion, and the coadd gets it at the end. All of it is one linear operation on the
fluxes, once the rejected pixels are known, so that the covariance of neighboring pixels of the coadd follows from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from bosscal.base.splines import Spline
from bosscal.survey.coadds import COADD_STEP, ExposureSpectrum
from bosscal.survey.masks import COMBINEREJ, NODATA
from bosscal.survey.versions import version

ORDER = 3  # quadratic
BREAKPOINTS = 1.2 * COADD_STEP  # dex
SEPARATION = 2.0 * COADD_STEP  # dex; pixels farther apart begin a new group
MEDIAN_WIDTH = 101  # rows of the running median that weights are smoothed by
REJECTION, ITERATIONS = 3.0, 50  # standard deviations, and the most rounds
DIAGONALS = 6  # of the covariance: a pixel and its next five
_EPSILON = 1.19e-7  # of single precision
_REACH = 24  # breakpoints over which the inverse of the spline's normal matrix is kept

# How exposures' inverse variances become weights of the spline, from which version of idlspec2d on.
WEIGHTS = {"ivar": (), "median": (5, 8), "median_reflected": (5, 11)}


@dataclass(frozen=True)
class Coadd:
    """A coadd on its grid, each 1D[npoint].

    ``contributions`` is 2D[nexposure, npoint]: the inverse variance that each exposure adds. ``near_end`` marks the
    three points at either end of a group of pixels. ``rejected`` has, for each exposure, the pixels that the spline
    left out.
    """

    flux: NDArray[np.float64]
    ivar: NDArray[np.float64]
    and_mask: NDArray[np.int32]
    or_mask: NDArray[np.int32]
    wdisp: NDArray[np.float64]
    sky: NDArray[np.float64]
    contributions: NDArray[np.float64]
    near_end: NDArray[np.bool_]
    rejected: tuple[NDArray[np.bool_], ...]
    covariance: NDArray[np.float64]


def weights_of(vers2d: str) -> str:
    """Name in :data:`WEIGHTS` of how a version of idlspec2d weighted."""
    return [name for name, first in WEIGHTS.items() if version(vers2d) >= first][-1]


def spline_weights(ivar: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """Weights of an exposure's pixels in the spline, 1D[nrow].

    To v5_7 they are the inverse variances. From v5_8 on these are smoothed by a running median over the pixels that
    have one, since weights that know a pixel's own noise bias the mean; at the ends they are left as they are
    ("median"), and from v5_11 on continued by reflection ("median_reflected").
    """
    weights = ivar.copy()
    if kind == "ivar":
        return weights
    good = np.flatnonzero(ivar > 0)
    half = MEDIAN_WIDTH // 2
    if good.size < MEDIAN_WIDTH:
        return weights
    values = ivar[good]
    if kind == "median_reflected":
        values = np.pad(values, half, mode="symmetric")
    smooth = np.median(sliding_window_view(values, MEDIAN_WIDTH), axis=1)
    weights[good if kind == "median_reflected" else good[half:-half]] = smooth
    return weights


def _interpolate(at: NDArray, loglam: NDArray, values: NDArray) -> NDArray[np.float64]:
    return np.interp(at, loglam, values)


def weighted_means(
    exposures: Sequence[ExposureSpectrum],
    grid: NDArray[np.float64],
    quantity: str,
    rejected: Sequence[NDArray[np.bool_]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of the exposures' sky or wdisp on the grid, weighted as the pipeline does, and the summed ivar.

    Each exposure's inverse variance and quantity are interpolated linearly; where a pixel without data or a rejected
    one takes part, the exposure has no weight.
    """
    total, weight = np.zeros((2, grid.size))
    for exposure, bad in zip(exposures, rejected, strict=True):
        inside, ivar = _ivar_on_grid(exposure, grid, bad)
        total[inside] += _interpolate(grid[inside], exposure.loglam, getattr(exposure, quantity)) * ivar
        weight[inside] += ivar
    return np.divide(total, weight, out=np.zeros(grid.size), where=weight > 0), weight


def _ivar_on_grid(
    exposure: ExposureSpectrum, grid: NDArray[np.float64], rejected: NDArray[np.bool_]
) -> tuple[slice, NDArray[np.float64]]:
    """Part of the grid within an exposure's wavelengths, and its inverse variance there."""
    low, high = np.searchsorted(grid, exposure.loglam[0]), np.searchsorted(grid, exposure.loglam[-1], side="right")
    inside = slice(int(low), int(high))
    used = (exposure.ivar > 0) & ~rejected
    ivar = _interpolate(grid[inside], exposure.loglam, exposure.ivar * used)
    whole = _interpolate(grid[inside], exposure.loglam, used.astype(np.float64))
    return inside, np.where(whole < 1 - _EPSILON, 0, ivar)


def combine(
    exposures: Sequence[ExposureSpectrum],
    grid: NDArray[np.float64],
    weights: str,
    rejected: Sequence[NDArray[np.bool_]] | None = None,
) -> Coadd:
    """Coadd of exposures from which the flux distortion is divided out.

    Parameters
    ----------
    exposures : sequence of ExposureSpectrum
    grid : 1D[npoint]
        log10 wavelength [Å], even steps.
    weights : str
        One of :data:`WEIGHTS`.
    rejected : sequence of 1D[nrow] of bool, optional
        Pixels of each exposure that are known to be left out; found by :func:`reject` if this is not given.

    Returns
    -------
    Coadd
        Without the distortion. The order of the steps is that of idlspec2d ``combine1fiber``.
    """
    of_pixel = _Pixels.of(exposures, weights)
    if rejected is None:
        left_out = of_pixel.reject()
        rejected = of_pixel.of_exposures(left_out, exposures)
    else:
        left_out = of_pixel.gather(rejected)
    flux, known, near_end = np.zeros(grid.size), np.zeros(grid.size, dtype=bool), np.zeros(grid.size, dtype=bool)
    covariance = np.zeros((DIAGONALS, grid.size))
    for group in of_pixel.groups():
        loglam = of_pixel.loglam[group]
        inside = slice(
            int(np.searchsorted(grid, loglam[0] - _EPSILON)), int(np.searchsorted(grid, loglam[-1] + _EPSILON, "right"))
        )
        weight = of_pixel.weight[group] * ~left_out[group]
        spline = _spline(loglam, of_pixel.flux[group], weight)
        if spline is None or inside.start == inside.stop:
            continue
        flux[inside], known[inside] = spline(grid[inside]), True
        near_end[inside.start : inside.start + 3] = near_end[max(inside.stop - 3, inside.start) : inside.stop] = True
        variance = np.divide(1, of_pixel.ivar[group], out=np.zeros(loglam.size), where=of_pixel.ivar[group] > 0)
        covariance[:, inside] = _covariance(spline, loglam, weight, variance, grid[inside])
    contributions = np.zeros((len(exposures), grid.size))
    for place, (exposure, bad) in enumerate(zip(exposures, rejected, strict=True)):
        inside, ivar = _ivar_on_grid(exposure, grid, bad)
        contributions[place, inside] = ivar * known[inside]
    ivar = _without_bad_regions(contributions.sum(axis=0))
    and_mask, or_mask = _masks(exposures, grid, rejected, ivar)
    return Coadd(
        flux=_filled(flux, ivar > 0),
        ivar=ivar,
        and_mask=and_mask,
        or_mask=or_mask,
        wdisp=weighted_means(exposures, grid, "wdisp", rejected)[0],
        sky=weighted_means(exposures, grid, "sky", rejected)[0],
        contributions=contributions,
        near_end=near_end,
        rejected=tuple(rejected),
        covariance=covariance * (ivar > 0),
    )


@dataclass(frozen=True)
class _Pixels:
    """All exposures' pixels with data in the order of their wavelengths, each 1D[npixel]."""

    loglam: NDArray[np.float64]
    flux: NDArray[np.float64]
    ivar: NDArray[np.float64]
    weight: NDArray[np.float64]
    exposure: NDArray[np.intp]
    row: NDArray[np.intp]

    @classmethod
    def of(cls, exposures: Sequence[ExposureSpectrum], weights: str) -> _Pixels:
        parts = []
        for number, exposure in enumerate(exposures):
            row = np.flatnonzero(exposure.ivar > 0)
            weight = spline_weights(exposure.ivar, weights)
            of_exposure = np.full(row.size, number)
            parts.append((exposure.loglam[row], exposure.flux[row], exposure.ivar[row], weight[row], of_exposure, row))
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        order = np.argsort(columns[0], kind="stable")
        return cls(*(column[order] for column in columns))

    def groups(self) -> list[slice]:
        """Pixels without gaps; groups of less than three are none."""
        cuts = np.flatnonzero(np.diff(self.loglam) > SEPARATION) + 1
        edges = [0, *cuts.tolist(), self.loglam.size]
        return [slice(*edge) for edge in pairwise(edges) if edge[1] - edge[0] > 2]

    def gather(self, of_exposures: Sequence[NDArray]) -> NDArray:
        """What is given for each exposure's rows, in the order of the pixels."""
        result = np.empty(self.loglam.size, dtype=of_exposures[0].dtype)
        for number, values in enumerate(of_exposures):
            mine = self.exposure == number
            result[mine] = values[self.row[mine]]
        return result

    def of_exposures(self, values: NDArray[np.bool_], exposures: Sequence[ExposureSpectrum]) -> list[NDArray[np.bool_]]:
        """The inverse of :meth:`gather`; False where an exposure has no data."""
        result = [np.zeros(exposure.loglam.size, dtype=bool) for exposure in exposures]
        for number, rows in enumerate(result):
            mine = self.exposure == number
            rows[self.row[mine]] = values[mine]
        return result

    def reject(self) -> NDArray[np.bool_]:
        """Pixels that the spline leaves out: more than 3 sigma off, in each run of them the worst, and so on.

        That is idlutils ``djs_reject`` with maxrej = 1 and groups of bad pixels, within ``bspline_iterfit``.
        """
        left_out = np.zeros(self.loglam.size, dtype=bool)
        for group in self.groups():
            loglam, flux, weight = self.loglam[group], self.flux[group], self.weight[group]
            root, bad = np.sqrt(weight), left_out[group]
            for _ in range(ITERATIONS):
                spline = _spline(loglam, flux, weight * ~bad)
                if spline is None:
                    break
                chi = np.abs(flux - spline(loglam)) * root * ~bad
                worst = _worst_of_each_run(np.where(chi > REJECTION, chi, 0))
                if not worst.size:
                    break
                bad[worst] = True
        return left_out


def _worst_of_each_run(badness: NDArray[np.float64]) -> NDArray[np.intp]:
    """Place of the largest value in each run of adjacent positive ones."""
    positive = badness > 0
    if not positive.any():
        return np.zeros(0, dtype=np.intp)
    starts = np.flatnonzero(positive & ~np.append(False, positive[:-1]))
    run = np.cumsum(positive & ~np.append(False, positive[:-1])) - 1
    places = np.flatnonzero(positive)
    largest = np.maximum.reduceat(np.where(positive, badness, 0), starts)
    top = places[badness[places] == largest[run[places]]]
    _, first = np.unique(run[top], return_index=True)
    return top[first]


def _spline(loglam: NDArray, flux: NDArray, weight: NDArray) -> Spline | None:
    """Quadratic spline with a breakpoint every 1.2e-4 dex (idlutils ``bspline_bkpts``); None without data."""
    if not weight.any():
        return None
    extent = loglam[-1] - loglam[0]
    number = max(int(extent / np.float32(BREAKPOINTS)) + 1, 2)
    # In single precision, as the pipeline has them.
    breakpoints = (np.arange(number) * (extent / (number - 1)) + loglam[0]).astype(np.float32).astype(np.float64)
    breakpoints[0], breakpoints[-1] = min(breakpoints[0], loglam[0]), max(breakpoints[-1], loglam[-1])
    if number < 3 or np.any(np.diff(breakpoints) <= 0):
        return None
    return Spline(loglam, flux, weight, breakpoints, ORDER)


def _without_bad_regions(ivar: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where three neighbors have no inverse variance, the points two on have none either."""
    result = ivar.copy()
    middle = np.flatnonzero((ivar[:-2] == 0) & (ivar[1:-1] == 0) & (ivar[2:] == 0)) + 1
    ends = [place for place in (0, ivar.size - 1) if ivar[place] == 0]  # which IDL's SMOOTH leaves as they are
    places = np.concatenate([middle, np.array(ends, dtype=np.intp)])
    result[np.maximum(places - 2, 0)] = 0
    result[np.minimum(places + 2, ivar.size - 1)] = 0
    return result


def _filled(flux: NDArray[np.float64], good: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Linear over points without inverse variance, constant beyond the ends (idlutils ``djs_maskinterp``)."""
    if not good.any():
        return flux
    place = np.arange(flux.size)
    return np.where(good, flux, np.interp(place, place[good], flux[good]))


def _masks(
    exposures: Sequence[ExposureSpectrum],
    grid: NDArray[np.float64],
    rejected: Sequence[NDArray[np.bool_]],
    ivar: NDArray[np.float64],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Mask bits that all, and that any, of the pixels beside each point have."""
    and_mask, or_mask = np.full(grid.size, -1, dtype=np.int32), np.zeros(grid.size, dtype=np.int32)
    for exposure, bad in zip(exposures, rejected, strict=True):
        bits = (exposure.mask | np.where(bad, COMBINEREJ, 0)).astype(np.int32)
        low = np.floor((exposure.loglam - grid[0]) / COADD_STEP).astype(np.intp)
        for place in (low, low + 1):
            inside = (place >= 0) & (place < grid.size)
            # One exposure's pixels that share a point: the last one counts, as in an assignment to an array.
            last = np.full(grid.size, -1, dtype=np.intp)
            last[place[inside]] = np.flatnonzero(inside)
            taken = last >= 0
            and_mask[taken] &= bits[last[taken]]
            or_mask[taken] |= bits[last[taken]]
    good = np.flatnonzero(ivar > 0)
    if good.size:
        outside = np.ones(grid.size, dtype=bool)
        outside[good[0] : good[-1] + 1] = False
        and_mask[outside] |= NODATA
        or_mask[outside] |= NODATA
    return np.where(and_mask == -1, 0, and_mask).astype(np.int32), or_mask


def _covariance(
    spline: Spline, loglam: NDArray, weight: NDArray, variance: NDArray, at: NDArray
) -> NDArray[np.float64]:
    """Covariance of the spline at points with those one to five points on, 2D[6, npoint].

    The coefficients are N⁻¹ Bᵀ W y, N = Bᵀ W B, so that their covariance is N⁻¹ (Bᵀ W V W B) N⁻¹ with V the pixels'
    variances; N⁻¹ falls off within a few breakpoints, and is kept over :data:`_REACH` of them.
    """
    normal, middle = spline.normal_bands(loglam, weight), spline.normal_bands(loglam, weight**2 * variance)
    inverse = banded_inverse(normal, _REACH)
    of_coefficients = _sandwich(inverse, middle)
    first, basis = spline.basis(at)
    result = np.zeros((DIAGONALS, at.size))
    reach = len(of_coefficients) - 1
    for lag in range(min(DIAGONALS, at.size)):
        end = at.size - lag
        for one in range(spline.order):
            for other in range(spline.order):
                low = first[:end] + one
                high = first[lag:] + other
                distance = np.abs(high - low)
                element = of_coefficients[np.minimum(distance, reach), np.minimum(low, high)] * (distance <= reach)
                result[lag, :end] += basis[one, :end] * basis[other, lag:] * element
    return result


def banded_inverse(bands: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Elements of the inverse of a banded symmetric matrix near its diagonal.

    Parameters
    ----------
    bands : 2D[width, size]
        The diagonal and those below it: element [k, i] is that of row i + k and column i.
    reach : int
        Diagonals that are wanted beside the main one.

    Returns
    -------
    2D[reach + 1, size]
        In the same form, by Takahashi's recurrence from the Cholesky factors. Where nothing determines an unknown its
        row and column are 0.
    """
    width, size = bands.shape
    lower, pivots = np.zeros((width, size)), bands[0].copy()
    padded = np.concatenate([bands, np.zeros((width, width))], axis=1)
    for row in range(size):
        pivot = padded[0, row]
        if pivot <= 1e-10 * bands[0, row] or pivot <= 0:
            padded[:, row] = 0
            pivots[row] = 0
            continue
        pivots[row] = pivot
        below = padded[1:, row] / pivot
        for step in range(1, width):
            if below[step - 1]:
                padded[: width - step, row + step] -= below[step - 1] * padded[step:, row]
        lower[1:, row] = below
    inverse = np.zeros((reach + 1, size + reach + width))
    for row in range(size - 1, -1, -1):
        if pivots[row] <= 0:
            continue
        # Elements of this row with those after it, from those of later rows with one another.
        for distance in range(min(reach, size - 1 - row), -1, -1):
            total = 1 / pivots[row] if distance == 0 else 0.0
            for step in range(1, width):
                later, other = row + step, row + distance
                gap = abs(other - later)
                if later < size and gap <= reach:
                    total -= lower[step, row] * inverse[gap, min(other, later)]
            inverse[distance, row] = total
    return inverse[:, :size]


def _sandwich(outer: NDArray[np.float64], inner: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bands of Z Q Z from those of the symmetric Z and Q, as far as DIAGONALS and the spline need."""
    size = outer.shape[1]
    reach, width = len(outer) - 1, len(inner) - 1

    def diagonal(bands: NDArray, offset: int) -> NDArray[np.float64]:
        """Element [i, i + offset] for every i, 0 outside."""
        result = np.zeros(size)
        distance = abs(offset)
        if distance < len(bands) and distance < size:
            values = bands[distance, : size - distance]
            if offset >= 0:
                result[: size - distance] = values
            else:
                result[distance:] = values
        return result

    def shifted(values: NDArray, offset: int) -> NDArray[np.float64]:
        """values[i + offset], 0 outside."""
        result = np.zeros(size)
        if abs(offset) < size:
            if offset >= 0:
                result[: size - offset] = values[offset:]
            else:
                result[-offset:] = values[:offset]
        return result

    # First Z Q, whose bands are not symmetric, then that times Z.
    span = reach + width
    product = {
        offset: sum(
            diagonal(outer, offset - step) * shifted(diagonal(inner, step), offset - step)
            for step in range(-width, width + 1)
            if abs(offset - step) <= reach
        )
        for offset in range(-span, span + 1)
    }
    wanted = DIAGONALS + ORDER + 2
    result = np.zeros((wanted + 1, size))
    for distance in range(wanted + 1):
        for offset, values in product.items():
            if abs(distance - offset) <= reach:
                result[distance] += values * shifted(diagonal(outer, distance - offset), offset)
    return result
