"""Least-squares B-splines of many coefficients, summed in a fixed order: the same bytes on every processor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SINGULAR = 1e-10  # of a normal matrix: a pivot below this share of its diagonal element is none


class Spline:
    """A B-spline through data, as idlutils ``bspline_iterfit`` fits it, without its rejection of outliers.

    Parameters
    ----------
    x, y, weight : 1D[npoint]
        Data, and their inverse variance.
    breakpoints : 1D[nbreak]
        Ascending, from the first to the last x; further ones are added beyond both ends.
    order : int
        One more than the polynomials' degree.

    Attributes
    ----------
    knots : 1D[nknot]
    coefficients : 1D[nknot - order]
    order : int
    """

    def __init__(
        self,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        weight: NDArray[np.float64],
        breakpoints: NDArray[np.float64],
        order: int,
    ) -> None:
        beyond = np.arange(1, order) * (breakpoints[1] - breakpoints[0])
        self.knots = np.concatenate([breakpoints[0] - beyond[::-1], breakpoints, breakpoints[-1] + beyond])
        self.order = order
        first, basis = self.basis(x)
        number = self.knots.size - order
        bands = self._normal_bands(first, basis, weight)
        right = np.zeros(number)
        for column in range(order):
            right += np.bincount(first + column, basis[column] * weight * y, number)
        self.coefficients = np.array(_solve(bands, right))

    def normal_bands(self, x: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Normal matrix of data at x: its diagonal and those below it, 2D[order, ncoefficient]."""
        return self._normal_bands(*self.basis(x), weight)

    def _normal_bands(
        self, first: NDArray[np.intp], basis: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        number = self.knots.size - self.order
        bands = np.zeros((self.order, number))
        for column in range(self.order):
            weighted = basis[column] * weight
            for other in range(column, self.order):
                bands[other - column] += np.bincount(first + column, weighted * basis[other], number)
        return bands

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The spline at x, 1D; beyond its ends as at them."""
        first, basis = self.basis(x)
        total = np.zeros(x.size)
        for column in range(self.order):
            total += basis[column] * self.coefficients[first + column]
        return total

    def basis(self, x: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """The first function that is not 0 at each x, and its and the next ones' values, 2D[order, npoint]."""
        knots, order = self.knots, self.order
        x = np.clip(x, knots[order - 1], knots[-order])
        left = np.clip(np.searchsorted(knots, x, side="right") - 1, order - 1, knots.size - order - 1)
        values = np.zeros((order, x.size))
        values[0] = 1
        for degree in range(1, order):  # de Boor's recurrence
            saved = np.zeros(x.size)
            for place in range(degree):
                above, below = knots[left + place + 1], knots[left + place + 1 - degree]
                share = values[place] / (above - below)
                values[place] = saved + (above - x) * share
                saved = (x - below) * share
            values[degree] = saved
        return left - order + 1, values


def _solve(bands: NDArray[np.float64], right: NDArray[np.float64]) -> list[float]:
    """Solution of a banded symmetric system by Cholesky's method; 0 where nothing determines an unknown."""
    # Numbers, not arrays: rows are as short as the order of the spline.
    width, size = bands.shape
    rows = np.concatenate([bands, np.zeros((width, width))], axis=1).T.tolist()
    solution = [*right.tolist(), *[0.0] * width]
    for row in range(size):
        pivot, *below = rows[row]
        if pivot <= _SINGULAR * bands[0, row] or pivot <= 0:
            rows[row], solution[row] = [0.0] * width, 0.0
            continue
        for step, value in enumerate(below, start=1):
            if value:
                factor = value / pivot
                target = rows[row + step]
                for column in range(width - step):
                    target[column] -= factor * rows[row][column + step]
                solution[row + step] -= factor * solution[row]
    for row in range(size - 1, -1, -1):
        pivot, *below = rows[row]
        rest = solution[row]
        for step, value in enumerate(below, start=1):
            rest -= value * solution[row + step]
        solution[row] = rest / pivot if pivot > 0 else 0.0
    return solution[:size]
