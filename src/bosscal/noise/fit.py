"""Measured against predicted variance, fiber by fiber: comparison, ranking of the laws, and a free fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bosscal.base.arithmetic import inverse_where
from bosscal.base.linear import inverse_normal
from bosscal.base.statistics import MAD_TO_SIGMA, RowMedians, SortedRows

_HUBER = 1.5  # residuals beyond this many robust standard deviations lose weight
_LEAST = 0.1  # of the measured variance: what is expected is not less
# By then half of the fits have settled to 1e-7 of their uncertainties, 99 % to 0.03 (the simulated plate).
_ITERATIONS = 12


@dataclass(frozen=True)
class Comparison:
    """Measured/predicted variance of every fiber over its valid pixels, by prediction; masked without any.

    ``median`` and ``scatter`` (1.4826 MAD) of the ratio, and ``deviation``, the median of \\|ratio - 1\\|, which
    is small only where both bias and scatter are; it ranks the laws.
    """

    median: np.ma.MaskedArray
    scatter: np.ma.MaskedArray
    deviation: np.ma.MaskedArray


def compare(measured: NDArray, predicted: Sequence[NDArray], valid: NDArray[np.bool_]) -> Comparison:
    """Compare a variance with several predictions, pixel by pixel.

    Parameters
    ----------
    measured : 2D[nfiber, nrow]
    predicted : sequence of 2D[nfiber, nrow]
        In the same unit, of npred laws.
    valid : 2D[nfiber, nrow] of bool
        True where a pixel counts; one whose prediction is not positive and finite does not.

    Returns
    -------
    Comparison
        Of arrays 2D[npred, nfiber].
    """
    # How far the ratio is from 1, which float32 resolves to 1e-8 where it matters.
    excess = np.empty((len(predicted), *valid.shape), dtype=np.float32)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # where nothing is valid
        for place, prediction in enumerate(predicted):
            ratio = measured / prediction
            ratio -= 1
            excess[place] = ratio
    np.copyto(excess, np.inf, where=~valid)
    ordered = SortedRows(excess)
    median = ordered.median()
    return Comparison(
        median=1 + median,
        scatter=MAD_TO_SIGMA * ordered.median_deviation(np.ma.filled(median, 0)),
        deviation=ordered.median_deviation(0.0),
    )


def best(comparisons: Mapping[str, Comparison]) -> np.ma.MaskedArray:
    """Name of the law that comes closest, 1D[nfiber], masked where none was compared."""
    names = np.array(list(comparisons))
    deviations = np.ma.stack([comparison.deviation for comparison in comparisons.values()])
    return np.ma.masked_array(names[deviations.argmin(axis=0)], deviations.mask.all(axis=0))


@dataclass(frozen=True)
class VarianceFit:
    """Var = a N + (b object)² + c with 1-sigma uncertainties, each 1D[nfiber]; masked where too few pixels are valid.

    ``a`` [electrons² per electron], ``b`` (the error floor as a fraction), ``c`` [electrons²]; ``scatter`` is
    the robust relative scatter about the fit. ``b`` is negative where the fitted b² is.
    """

    a: np.ma.MaskedArray
    b: np.ma.MaskedArray
    c: np.ma.MaskedArray
    a_error: np.ma.MaskedArray
    b_error: np.ma.MaskedArray
    c_error: np.ma.MaskedArray
    scatter: np.ma.MaskedArray


def fit_variance(
    variance: NDArray, electrons: NDArray, object_electrons: NDArray, valid: NDArray[np.bool_]
) -> VarianceFit:
    """Robust linear fit of Var = a N + b² object² + c for every fiber at once.

    Weights are 1/(fitted variance)², since a variance's error is a fraction of itself, and Huber's for
    outliers; the scatter about the fit sets the uncertainties.

    Parameters
    ----------
    variance : 2D[nfiber, nrow]
        Variance of the detected electrons, error floor included [electrons²]. A pixel whose variance is 0 or not
        finite is left out.
    electrons : 2D[nfiber, nrow]
        Detected electrons N per row, sky included; negative ones count as 0.
    object_electrons : 2D[nfiber, nrow]
        Those of the object alone; negative ones count as 0.
    valid : 2D[nfiber, nrow] of bool

    Returns
    -------
    VarianceFit
        Masked for fibers with fewer than four valid pixels, which cannot determine three coefficients.
    """
    valid = valid & np.isfinite(electrons) & np.isfinite(object_electrons)
    terms = (
        np.where(valid, np.maximum(electrons, 0), 0.0),
        np.where(valid, np.maximum(object_electrons, 0), 0.0) ** 2,
        np.ones(valid.shape),
    )
    (a, squared, c), (a_error, squared_error, c_error), scatter = fit_terms(variance, terms, valid)
    # In plain arrays, where masked fibers are 0.
    plain, error = np.ma.filled(squared, 0), np.ma.filled(squared_error, 0)
    b = np.sign(plain) * np.sqrt(np.abs(plain))
    # Near b = 0 the linear propagation from b² diverges, the square root of its error does not.
    linear = np.divide(error, 2 * np.abs(b), out=np.full(b.shape, np.inf), where=b != 0)
    b_error = np.minimum(linear, np.sqrt(error))
    mask = np.ma.getmaskarray(squared)
    return VarianceFit(
        a, np.ma.masked_array(b, mask), c, a_error, np.ma.masked_array(b_error, mask), c_error, scatter
    )  # fmt: skip


@dataclass(frozen=True)
class StrengthFit:
    """Var = law + ``sky`` · sky term + ``background`` · dlaw/dr², with 1-sigma uncertainties, each 1D[nfiber].

    ``sky`` is the strength of the sky term, 1 where it is right; ``background`` [electrons per pixel] the light that
    is in every pixel's variance besides the fiber's. Masked where too few pixels are valid, or nothing determines it.
    """

    sky: np.ma.MaskedArray
    background: np.ma.MaskedArray
    sky_error: np.ma.MaskedArray
    background_error: np.ma.MaskedArray


def fit_strengths(
    variance: NDArray, of_law: NDArray, of_sky: NDArray, of_background: NDArray, valid: NDArray[np.bool_]
) -> StrengthFit:
    """Robust linear fit of how strong the sky term is, and of light in the background of the pixels.

    Parameters
    ----------
    variance : 2D[nfiber, nrow]
        Measured variance of the detected electrons [electrons²].
    of_law, of_sky : 2D[nfiber, nrow]
        Variance by the expected law, and its sky term [electrons²].
    of_background : 2D[nfiber, nrow]
        What an electron in every pixel adds to the law's variance [electrons² per electron].
    valid : 2D[nfiber, nrow] of bool

    Returns
    -------
    StrengthFit
    """
    terms = (of_sky, of_background)
    strengths, errors, _ = fit_terms(variance, terms, valid, offset=of_law)
    # Where there is no sky term, nothing says how strong it is.
    (sky, background), (sky_error, background_error) = (
        [np.ma.masked_where(error == 0, value) for value, error in zip(values, errors, strict=True)]
        for values in (strengths, errors)
    )
    return StrengthFit(sky, background, sky_error, background_error)


def fit_terms(
    variance: NDArray, terms: Sequence[NDArray], valid: NDArray[np.bool_], offset: NDArray | None = None
) -> tuple[list[np.ma.MaskedArray], list[np.ma.MaskedArray], np.ma.MaskedArray]:
    """Robust linear fit of a variance by a sum of terms, for every fiber at once.

    Weights are 1/(fitted variance)², since a variance's error is a fraction of itself, and Huber's for
    outliers; the scatter about the fit sets the uncertainties.

    Parameters
    ----------
    variance : 2D[nfiber, nrow]
        A pixel whose variance is 0 or not finite is left out.
    terms : sequence of 2D[nfiber, nrow]
        None negative.
    valid : 2D[nfiber, nrow] of bool
    offset : 2D[nfiber, nrow], optional
        Part of the variance that is not fitted.

    Returns
    -------
    coefficients, errors : list of 1D[nfiber]
        Of each term, and 1-sigma uncertainties; masked for fibers with no more valid pixels than terms, and 0 where a
        term is 0 or like another.
    scatter : 1D[nfiber]
        Robust relative scatter about the fit.
    """
    valid = valid & np.isfinite(variance) & (variance > 0)
    count = valid.sum(axis=1)
    fitted = count > len(terms)
    chosen = slice(None) if fitted.all() else fitted
    valid = valid[chosen]
    # Everything as a fraction of the measured variance, and 0 where a pixel is not valid.
    per_variance = inverse_where(np.asarray(variance[chosen], dtype=np.float64), valid)
    columns = [np.where(valid, term[chosen], 0.0) * per_variance for term in terms]
    constant = None if offset is None else np.where(valid, offset[chosen], 0.0) * per_variance
    number, nfiber = len(columns), len(valid)
    normal, right = np.empty((number, number, nfiber)), np.empty((number, nfiber))
    # What the sums are of, but for the weights, is the same in every iteration.
    products = {
        (place, other): columns[place] * columns[other] for place in range(number) for other in range(place, number)
    }
    above = columns if constant is None else [column * (1 - constant) for column in columns]
    weight = np.ones(valid.shape)  # of the fractions: a variance's error is a fraction of itself
    expected, part = np.empty_like(weight), np.empty_like(weight)
    size_of_residual = np.empty(valid.shape, dtype=np.float32)
    medians = RowMedians(count[chosen])
    for _ in range(_ITERATIONS):
        for (place, other), product in products.items():
            normal[place, other] = normal[other, place] = np.einsum("fr,fr->f", weight, product)
        for place, product in enumerate(above):
            right[place] = np.einsum("fr,fr->f", weight, product)
        inverted = inverse_normal(normal)
        coefficients = (inverted * right).sum(axis=1)
        np.multiply(coefficients[0][:, np.newaxis], columns[0], out=expected)
        for coefficient, column in zip(coefficients[1:], columns[1:], strict=True):
            expected += np.multiply(coefficient[:, np.newaxis], column, out=part)
        if constant is not None:
            expected += constant
        # A fit may go through zero on the way; the measurement bounds how small a variance can be. What is not valid
        # is there, and no residual is larger.
        np.maximum(expected, _LEAST, out=expected)
        per_expected = np.reciprocal(expected, out=expected)
        np.subtract(per_expected, 1, out=size_of_residual, casting="same_kind")
        np.abs(size_of_residual, out=size_of_residual)
        scatter = MAD_TO_SIGMA * medians(size_of_residual)
        # Huber's weight is 1 up to the allowed residual, then falls as its inverse.
        allowed = np.maximum(_HUBER * scatter, np.finfo(np.float32).tiny).astype(np.float32)[:, np.newaxis]
        np.maximum(size_of_residual, allowed, out=size_of_residual)
        np.divide(allowed, size_of_residual, out=part, casting="same_kind")
        np.multiply(per_expected, per_expected, out=weight)
        weight *= part
    diagonal = np.einsum("iif->if", inverted)
    errors = scatter * np.sqrt(np.maximum(diagonal, 0))

    def of_all(values: NDArray) -> np.ma.MaskedArray:
        result = np.ma.masked_all(fitted.shape, dtype=np.float64)
        result[fitted] = values
        return result

    return [of_all(values) for values in coefficients], [of_all(values) for values in errors], of_all(scatter)
