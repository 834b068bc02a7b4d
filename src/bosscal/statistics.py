"""Comparing pixels fiber by fiber, with "no pixel" as a masked result rather than a number."""

import numpy as np


def safe_ratio(numerator, denominator):
    """numerator/denominator, and 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros(np.shape(denominator)), where=denominator != 0)


def reldiff(first, second):
    """The tutorial's relative difference |a - b| / |a + b|, half of the usual one; 0 where both are 0."""
    return safe_ratio(np.abs(first - second), np.abs(first + second))


def row_maximum(values, where):
    """Largest value of each row among the pixels ``where``; masked where there is none. 1D[nfiber]."""
    largest = np.max(values, axis=1, where=where, initial=-np.inf)
    return np.ma.masked_array(np.where(np.isfinite(largest), largest, 0), ~where.any(axis=1))


def row_median(values, where):
    """Median of each row among the pixels ``where``; masked where there is none. 1D[nfiber]."""
    result = np.ma.masked_all(len(values), dtype=np.float64)
    used = where.any(axis=1)
    if used.any():
        result[used] = np.nanmedian(np.where(where[used], values[used], np.nan), axis=1)
    return result
