"""The spatial profile of a fiber, and the sums over it that variance laws are made of, tabulated.

The profile p is a Gaussian of width sigma *integrated* over pixels, as in the pipeline (idlspec2d ``gausspix``), and
what depends on where in a pixel the trace runs is averaged over that phase, which changes the variance by 5e-5 at
sigma = 1 and 1.4e-3 at sigma = 0.8.

Tables are the same bits on every processor: sums run in a fixed order, without matrix products, and entries are rounded
to float32, which the last digit of an error function does not survive.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bosscal.calibration.measurement import WIDTH_RANGE
from bosscal.noise.tables import place_on_grid

# The tables below are filled by interpolation between Chebyshev nodes, so building them takes 0.1 s, and are
# fine enough for linear look-up: 5e-6 of the variance at worst (tests/test_noise.py).
_SIGMA_STEP = 0.005
_LEVEL_STEP = 0.02
_LEVEL_MAX = math.log1p(1e8)  # of ln(1 + N/r²); beyond, read noise is below 1e-6 of the variance
_PHASES = (np.arange(8) + 0.5) / 16  # half a pixel: the profile is symmetric


def shot_noise(electrons: ArrayLike) -> NDArray[np.float64]:
    """Photon variance: electrons as float64, with what read noise made negative counted as 0 (as in sdssproc)."""
    return np.maximum(np.asarray(electrons, dtype=np.float64), 0)


def profile(sigma: float, phase: float) -> NDArray[np.float64]:
    """Gaussian of unit area integrated over pixels.

    Parameters
    ----------
    sigma : float
        Width [pixels].
    phase : float
        Center of the profile relative to the center of a pixel [pixels].

    Returns
    -------
    1D[2 reach + 1]
        Fractions of the light in pixels -reach to reach, beyond 9 sigma (1e-18 of the light is left out).
    """
    reach = math.ceil(9 * sigma) + 1
    edges = np.arange(-reach, reach + 2) - 0.5 - phase
    return np.diff([0.5 * math.erf(edge / (sigma * math.sqrt(2))) for edge in edges])


def _chebyshev_nodes(low: float, high: float, number: int) -> NDArray[np.float64]:
    return (low + high) / 2 + (high - low) / 2 * np.polynomial.chebyshev.chebpts1(number)


def _chebyshev_interpolation(
    values: NDArray[np.float64], low: float, high: float, points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Polynomial through ``values`` at the Chebyshev nodes of their first axis, at ``points``; in a fixed order."""
    number = len(values)
    at_nodes = np.polynomial.chebyshev.chebvander(np.polynomial.chebyshev.chebpts1(number), number - 1)
    argument = np.clip((2 * points - low - high) / (high - low), -1, 1)
    at_points = np.polynomial.chebyshev.chebvander(argument, number - 1)
    result = np.zeros((len(points), *values.shape[1:]))
    for order in range(number):
        # Chebyshev polynomials are orthogonal on their nodes, so no matrix has to be inverted.
        weights = at_nodes[:, order].reshape(-1, *[1] * (values.ndim - 1))
        coefficient = (weights * values).sum(axis=0) * ((2 if order else 1) / number)
        result += at_points[:, order].reshape(-1, *[1] * (values.ndim - 1)) * coefficient
    return result


def _grid(low: float, high: float, step: float) -> NDArray[np.float64]:
    return np.linspace(low, high, round((high - low) / step) + 1)


@cache
def _effective_width_table() -> NDArray[np.float32]:
    """W of :func:`effective_width` on a grid of sigma and ln(1 + N/r²), 2D[nsigma, nlevel]."""
    nsigma, nlevel = 40, 80
    ratio = np.expm1(_chebyshev_nodes(0, _LEVEL_MAX, nlevel))[:, np.newaxis]
    coarse = np.empty((nlevel, nsigma))
    for index, sigma in enumerate(_chebyshev_nodes(*WIDTH_RANGE, nsigma)):
        profiles = [profile(sigma, phase) for phase in _PHASES]
        coarse[:, index] = np.mean([1 / (p**2 / (ratio * p + 1)).sum(axis=1) - ratio[:, 0] for p in profiles], axis=0)
    fine = _chebyshev_interpolation(coarse, 0, _LEVEL_MAX, _grid(0, _LEVEL_MAX, _LEVEL_STEP))
    return _chebyshev_interpolation(fine.T, *WIDTH_RANGE, _grid(*WIDTH_RANGE, _SIGMA_STEP)).astype(np.float32)


@cache
def _profile_sums_table() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """1/Σp² and Σp³/(Σp²)² by sigma, averaged over phase, two 1D[nsigma]."""
    nodes = _chebyshev_nodes(*WIDTH_RANGE, 40)
    profiles = [[profile(width, phase) for phase in _PHASES] for width in nodes]
    readout = np.array([np.mean([1 / (p**2).sum() for p in phases]) for phases in profiles])
    photons = np.array([np.mean([(p**3).sum() / (p**2).sum() ** 2 for p in phases]) for phases in profiles])
    both = _chebyshev_interpolation(
        np.stack([readout, photons], axis=1), *WIDTH_RANGE, _grid(*WIDTH_RANGE, _SIGMA_STEP)
    )
    return both[:, 0].astype(np.float32), both[:, 1].astype(np.float32)


def effective_width(ratio: ArrayLike, sigma: ArrayLike) -> NDArray[np.float64]:
    """Number of pixels whose read noise enters an optimally weighted extraction.

    Parameters
    ----------
    ratio : array
        N/r²: electrons per row over the variance of one pixel's read noise.
    sigma : array
        Spatial width of the profile [pixels], within :data:`bosscal.calibration.measurement.WIDTH_RANGE`; NaN results
        outside.

    Returns
    -------
    array
        W = 1/Σ[p²/(N/r² p + 1)] - N/r²: 2√π sigma for N << r², growing as 2 sigma √(2 ln(N/(r² sigma √2π)))
        for N >> r², by linear interpolation in a table.
    """
    table = _effective_width_table()
    nsigma, nlevel = table.shape
    row, up = place_on_grid(sigma, *WIDTH_RANGE, nsigma)
    # The logarithm's last digit is another on other processors; it does not survive rounding to float32.
    level = np.log1p(np.asarray(ratio, dtype=np.float64)).astype(np.float32)
    column, right = place_on_grid(np.minimum(level, _LEVEL_MAX, dtype=np.float64), 0, _LEVEL_MAX, nlevel)
    flat, corner = table.ravel(), row * nlevel + column

    def along_levels(left: NDArray[np.intp]) -> NDArray[np.float64]:
        low, high = (flat.take(place, mode="clip").astype(np.float64) for place in (left, left + 1))
        high -= low
        high *= right
        high += low
        return high

    result, high = along_levels(corner), along_levels(corner + nlevel)
    high -= result
    high *= up
    result += high
    return result


def profile_sums(sigma: ArrayLike) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """1/Σp² and Σp³/(Σp²)², averaged over phase, by linear interpolation in a table.

    Parameters
    ----------
    sigma : array
        As of :func:`effective_width`.
    """
    tables = _profile_sums_table()
    left, fraction = place_on_grid(sigma, *WIDTH_RANGE, tables[0].size)
    readout, photons = (table[left] + fraction * (table[left + 1] - table[left]) for table in tables)
    return readout, photons
