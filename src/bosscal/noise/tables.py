"""Tables that only a Monte Carlo calculation gives, and how they are looked up.

Each is a file beside this one, written by the script of its name in ``docs/tables/``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import yaml
from numpy.typing import ArrayLike, NDArray


@cache
def read_table(name: str) -> dict[str, Any]:
    """The content of ``name``.yaml."""
    content: dict[str, Any] = yaml.safe_load(files("bosscal.noise").joinpath(f"{name}.yaml").read_text("utf-8"))
    return content


def place_on_grid(
    values: ArrayLike, low: float, high: float, size: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Places of values on an even grid.

    Parameters
    ----------
    values : array
    low, high : float
        First and last point of the grid.
    size : int
        Number of its points.

    Returns
    -------
    index : array of int
        The grid point to the left.
    fraction : array
        Of a step beyond it; NaN outside the grid.
    """
    position: NDArray[np.float64] = np.subtract(values, low, dtype=np.float64)
    position *= (size - 1) / (high - low)
    if position.min(initial=0) >= 0 and position.max(initial=0) <= size - 1:
        index = position.astype(np.intp)
    else:
        inside = (position >= 0) & (position <= size - 1)
        position = np.where(inside, position, np.nan)
        index = np.where(inside, position, 0).astype(np.intp)
    index = np.minimum(index, size - 2)
    return index, position - index


class Grid:
    """Linear interpolation in several variables on even grids, constant beyond the ends of each.

    Parameters
    ----------
    axes : sequence of (first, step)
        Of each variable.
    values : array
        What is interpolated, by the axes.
    """

    def __init__(self, axes: Sequence[tuple[float, float]], values: ArrayLike) -> None:
        self._axes = axes
        # float32 resolves more than a Monte Carlo calculation, and is faster.
        table = np.asarray(values, dtype=np.float32)
        self._last = [size - 1 for size in table.shape]
        self._strides = [stride // table.itemsize for stride in table.strides]
        self._flat = table.ravel()

    def __call__(self, *coordinates: ArrayLike) -> NDArray[np.float32]:
        """The value at coordinates that broadcast, one array for each axis."""
        index: Any = 0
        fractions = []
        for (first, step), last, stride, values in zip(self._axes, self._last, self._strides, coordinates, strict=True):
            place = np.clip((np.asarray(values, dtype=np.float32) - np.float32(first)) / np.float32(step), 0, last)
            left = np.minimum(np.nan_to_num(place).astype(np.int32), last - 1)
            index = index + left * stride
            fractions.append(place - left)
        corners = [self._flat.take(index + offset) for offset in self._offsets()]
        for fraction in reversed(fractions):  # the last axis varies fastest
            corners = [low + fraction * (high - low) for low, high in zip(corners[::2], corners[1::2], strict=True)]
        return np.asarray(corners[0])

    def _offsets(self) -> list[int]:
        """From the lowest corner of a cell to each of its corners."""
        offsets = [0]
        for stride in self._strides:
            offsets = [offset + side * stride for offset in offsets for side in (0, 1)]
        return offsets
