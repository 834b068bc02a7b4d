"""Statistics of each row's chosen pixels, with "no pixel" as a masked result rather than a number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAD_TO_SIGMA = 1.4826  # of a Gaussian


def row_maximum(values: NDArray, where: NDArray[np.bool_]) -> np.ma.MaskedArray:
    """Largest value of each row among the pixels ``where``. 1D[nfiber].

    Masked where there is no such pixel, and where one of them is not finite: then nothing is known of the largest.
    """
    largest = np.max(values, axis=1, where=where, initial=-np.inf)
    known = np.isfinite(largest)
    return np.ma.masked_array(np.where(known, largest, 0), ~known)


class SortedRows:
    """The pixels of each row in ascending order: every quantile of them then costs next to nothing.

    Parameters
    ----------
    values : ND[..., nrow]
        Positive infinity or NaN where a pixel does not count. They are sorted in place.
    """

    def __init__(self, values: NDArray) -> None:
        self._count = np.isfinite(values).sum(axis=-1)
        values.sort(axis=-1)  # what does not count comes last
        self._size, self._flat = values.shape[-1], values.reshape(-1)
        self._first = self._size * np.arange(self._count.size).reshape(self._count.shape)  # where each row begins

    def _masked(self, result: NDArray) -> np.ma.MaskedArray:
        return np.ma.masked_array(np.where(self._count > 0, result, 0.0), self._count == 0)

    def _middle(self) -> tuple[NDArray, NDArray]:
        """Places of the two values whose mean is the median, which are one if their number is odd."""
        return np.maximum(self._count - 1, 0) // 2, np.minimum(self._count // 2, np.maximum(self._count - 1, 0))

    def _at(self, place: NDArray) -> NDArray:
        return self._flat[self._first + place].astype(np.float64)

    def median(self) -> np.ma.MaskedArray:
        """Median of each row's chosen pixels; masked where there is none. ND[...]."""
        low, high = self._middle()
        empty = self._count == 0
        return self._masked(0.5 * (np.where(empty, 0, self._at(low)) + np.where(empty, 0, self._at(high))))

    def median_deviation(self, center: NDArray | float) -> np.ma.MaskedArray:
        """Median of \\|value - center\\| of each row's chosen pixels; masked where there is none. ND[...].

        The n + 1 values nearest to the center are neighbours in the sorted row, and the farthest of them is at one
        end: which neighbours they are is found by halving.
        """
        center = np.broadcast_to(center, self._count.shape)
        low, high = (self._nearest(place, center) for place in self._middle())
        return self._masked(0.5 * (low + high))

    def _nearest(self, number: NDArray, center: NDArray) -> NDArray:
        """The deviation that ``number`` others do not exceed."""
        first, last = np.zeros_like(self._count), np.maximum(self._count - 1 - number, 0)
        while np.any(first < last):
            middle = (first + last) // 2
            # The window may move on while its lower end is farther from the center than what comes after its upper.
            beyond = np.minimum(middle + number + 1, self._size - 1)
            on = (center - self._at(middle) > self._at(beyond) - center) & (first < last)
            first, last = np.where(on, middle + 1, first), np.where(on, last, middle)
        empty = self._count == 0
        below, above = (np.where(empty, 0, self._at(place)) for place in (first, first + number))
        return np.maximum(center - below, above - center)


class RowMedians:
    """Medians of the same pixels of each row, of one image after another, by one partition each.

    Parameters
    ----------
    where : 2D[nfiber, nrow] of bool
        Pixels that count.
    """

    def __init__(self, where: NDArray[np.bool_]) -> None:
        size, count = where.shape[1], where.sum(axis=1)
        # Of the pixels that do not count, half go below all others and half above: the middle stays in the middle.
        number_below = (size - count + 1 - size % 2) // 2
        below = ~where & (np.cumsum(~where, axis=1) <= number_below[:, np.newaxis])
        self._where, self._fill = where, np.where(below, np.float32(-np.inf), np.float32(np.inf))
        self._middle, self._odd, self._empty = size // 2, count % 2 == 1, count == 0

    def __call__(self, values: NDArray) -> np.ma.MaskedArray:
        """Median of each row, found in float32; masked where no pixel counts. 1D[nfiber]."""
        parted = np.where(self._where, values.astype(np.float32, copy=False), self._fill)
        parted.partition(self._middle, axis=1)
        upper = np.where(self._empty, 0.0, parted[:, self._middle].astype(np.float64))
        lower = parted[:, : self._middle].max(axis=1, initial=-np.inf)
        return np.ma.masked_array(0.5 * (np.where(self._odd | self._empty, upper, lower) + upper), self._empty)


def row_median(values: NDArray, where: NDArray[np.bool_]) -> np.ma.MaskedArray:
    """Median of each row among the pixels ``where``; masked where there is none. 1D[nfiber]."""
    return SortedRows(np.where(where, values, values.dtype.type(np.inf))).median()
