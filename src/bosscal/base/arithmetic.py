"""Arithmetic on pixels in which no data never becomes inf or NaN."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def inverse(values: ArrayLike) -> NDArray[np.float64]:
    """1/values as float64, with 0 where ``values`` is 0: no data never becomes inf."""
    values = np.asarray(values, dtype=np.float64)
    return np.divide(1.0, values, out=np.zeros_like(values), where=values != 0)


def inverse_where(values: NDArray, good: NDArray[np.bool_]) -> NDArray[np.float64]:
    """1/values in the precision of ``values``, as float64, and 0 where not ``good`` or ``values`` is 0.

    A float32 array is inverted in float32, as the notebook's own ``inverse`` does it.
    """
    usable = good & (values != 0)
    result = np.zeros(values.shape)
    np.divide(1, values, out=result, where=usable, casting="same_kind", dtype=values.dtype)
    return result


def safe_ratio(numerator: ArrayLike, denominator: ArrayLike) -> NDArray[np.float64]:
    """numerator/denominator as float64, and 0 where the denominator is 0."""
    denominator = np.asarray(denominator)
    shape = np.broadcast_shapes(np.shape(numerator), denominator.shape)
    return np.divide(numerator, denominator, out=np.zeros(shape), where=denominator != 0)


def reldiff(first: NDArray, second: NDArray) -> NDArray[np.float64]:
    """The tutorial's relative difference |a - b| / |a + b|, half of the usual one.

    0 where both are 0, and infinite where they differ in nothing but the sign, which is no agreement.
    """
    difference, total = np.abs(first - second), np.abs(first + second)
    ratio = safe_ratio(difference, total)
    return np.where((total == 0) & (difference != 0), np.inf, ratio)


def interpolate_rows(position: NDArray, values: NDArray) -> NDArray[np.float64]:
    """Linear interpolation of each row of ``values`` at fractional column ``position``, constant beyond the ends.

    Parameters
    ----------
    position : 2D[nfiber, nrow]
        Columns of ``values``, 0-based, not necessarily integer.
    values : 2D[nfiber, npix]

    Returns
    -------
    2D[nfiber, nrow]
    """
    npix = values.shape[1]
    position = np.clip(position, 0, npix - 1)
    left = np.minimum(position.astype(np.int64), npix - 2)
    fraction = position - left
    low = np.take_along_axis(values, left, axis=1)
    high = np.take_along_axis(values, left + 1, axis=1)
    return low + fraction * (high - low)
