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
    """Medians of each row's smallest values, of images of which each is much like the one before.

    The first is sought near the median of a few columns, every other one near the last: next to nothing has to be
    sorted. Where it is not there, the whole row is.

    Parameters
    ----------
    count : 1D[nfiber] of int
        Number of values in each row that count, one at least: the smallest. What does not count must not be smaller.
    """

    _FEW = 8  # a first guess is from every so many columns
    _NARROW, _WIDE = 0.005, 0.2  # how far from a guess a median is sought, as a fraction

    def __init__(self, count: NDArray[np.integer]) -> None:
        self._low, self._high = (count - 1) // 2, count // 2
        self._guess: NDArray[np.float32] | None = None
        self._width = self._WIDE

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Median of each row, 1D[nfiber]; values are not negative, and not NaN."""
        guess = self._first_guess(values) if self._guess is None else self._guess
        median, missed = self._near(values, guess)
        if missed.any():
            ordered = np.sort(values[missed], axis=1)
            median[missed] = _mean_of(ordered, self._low[missed], self._high[missed])
        if self._guess is not None:
            moved = np.max(np.abs(median - guess) / np.maximum(guess, np.finfo(np.float32).tiny), initial=0)
            self._width = min(max(2 * float(moved), self._NARROW), self._WIDE)
        self._guess = median.astype(np.float32)
        return median

    def _first_guess(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        few = np.sort(values[:, :: self._FEW], axis=1)
        guess: NDArray[np.float32] = few[np.arange(len(few)), self._low * few.shape[1] // values.shape[1]]
        return guess

    def _near(self, values: NDArray[np.float32], guess: NDArray) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Medians among what is near a guess, and the rows in which they are not."""
        begin, end = (
            (guess * np.float32(1 + side * self._width))[:, np.newaxis].astype(np.float32) for side in (-1, 1)
        )
        below, near = values < begin, values <= end
        near ^= below
        number_below, number = below.sum(axis=1), near.sum(axis=1)
        # The values of each row, side by side, then infinity.
        found = np.full((len(values), max(int(number.max(initial=0)), 1)), np.inf, dtype=np.float32)
        found[np.arange(found.shape[1]) < number[:, np.newaxis]] = values[near]
        found.sort(axis=1)
        low, high = self._low - number_below, self._high - number_below
        missed = (low < 0) | (high >= number)
        return _mean_of(found, np.where(missed, 0, low), np.where(missed, 0, high)), missed


def _mean_of(ordered: NDArray[np.float32], low: NDArray[np.integer], high: NDArray[np.integer]) -> NDArray[np.float64]:
    """Mean of two values of each row, 1D[nfiber]."""
    row = np.arange(len(ordered))
    return 0.5 * (ordered[row, low].astype(np.float64) + ordered[row, high])


def row_median(values: NDArray, where: NDArray[np.bool_]) -> np.ma.MaskedArray:
    """Median of each row among the pixels ``where``; masked where there is none. 1D[nfiber]."""
    return SortedRows(np.where(where, values, values.dtype.type(np.inf))).median()
