"""Exponential, logarithm and cosine with the same last bit on every processor.

Those of numpy and of the C library are other series on other processors, and differ in the last bit, so that
files made with them would differ. Here they are sums and products alone, which IEEE 754 defines to the last bit;
numpy's sums, products and square roots of arrays are the same everywhere as long as no matrix product is among them.
All are correct to some 1e-16 and return float64.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

# ln 2 in two parts: the first ends in so many zero bits that its multiples by an exponent are exact.
_LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_LN2 = _LN2_HIGH + _LN2_LOW
LN10 = float.fromhex("0x1.26bb1bbb55516p+1")

_EXP_ORDER = 13  # |x| <= ln 2 / 2
_CHUNK = 1 << 14  # of a long series' argument: 128 kB that stay in the cache from term to term
_LOG_ORDER = 10  # |(m - 1)/(m + 1)| <= 0.172 for √½ <= m < √2
_COSINE_ORDER = 8  # |angle| <= π/4


def exp(x: ArrayLike) -> NDArray[np.float64]:
    """e**x, for finite results."""
    x = np.asarray(x, dtype=np.float64)
    result = np.empty(x.shape)
    flat, total = x.reshape(-1), result.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        _exp_series(flat[chunk], total[chunk])
    return result[()]


def _exp_series(x: NDArray[np.float64], total: NDArray[np.float64]) -> None:
    """e**x, 1D, into ``total``."""
    power = np.rint(x * (1 / _LN2))
    rest = x - power * _LN2_HIGH
    rest -= power * _LN2_LOW
    total[:] = 1 / math.factorial(_EXP_ORDER)
    for order in range(_EXP_ORDER - 1, -1, -1):
        total *= rest
        total += 1 / math.factorial(order)
    if power.any():
        np.ldexp(total, power.astype(np.int32), out=total)


def power_of_ten(x: ArrayLike) -> NDArray[np.float64]:
    """10**x."""
    return exp(np.asarray(x, dtype=np.float64) * LN10)


def log(x: ArrayLike) -> NDArray[np.float64]:
    """ln x, for positive x."""
    mantissa, power = np.frexp(np.asarray(x, dtype=np.float64))
    small = mantissa < math.sqrt(0.5)
    mantissa, power = np.where(small, 2 * mantissa, mantissa), power - small
    ratio = (mantissa - 1) / (mantissa + 1)
    square = ratio**2
    total = np.zeros_like(ratio)
    for order in range(_LOG_ORDER, -1, -1):  # 2 artanh(ratio)
        total *= square
        total += 1 / (2 * order + 1)
    return power * _LN2_HIGH + (power * _LN2_LOW + 2 * ratio * total)


def log10(x: ArrayLike) -> NDArray[np.float64]:
    """log10 x, for positive x."""
    return log(x) / LN10


def cosine(turns: ArrayLike) -> NDArray[np.float64]:
    """cos(2π turns)."""
    turns = np.asarray(turns, dtype=np.float64)
    turns = turns - np.rint(turns)
    quarter = np.rint(4 * turns)
    angle = 2 * math.pi * (turns - quarter / 4)
    square = angle**2
    even, odd = np.zeros_like(angle), np.zeros_like(angle)
    for order in range(_COSINE_ORDER, -1, -1):
        even = 1 / math.factorial(2 * order) - square * even
        odd = 1 / math.factorial(2 * order + 1) - square * odd
    odd = angle * odd
    return np.select([quarter == 0, quarter == 1, quarter == -1], [even, -odd, odd], -even)


def sine(turns: ArrayLike) -> NDArray[np.float64]:
    """sin(2π turns)."""
    return cosine(np.asarray(turns, dtype=np.float64) - 0.25)
