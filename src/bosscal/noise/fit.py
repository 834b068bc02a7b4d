"""Measured against predicted variance, fiber by fiber: comparison, ranking of the laws, and a free fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bosscal.base.arithmetic import inverse
from bosscal.base.statistics import MAD_TO_SIGMA, RowMedians, SortedRows

_HUBER = 1.5  # residuals beyond this many robust standard deviations lose weight
_ITERATIONS = 12  # the fit has settled to 1e-3 of its uncertainties by then
_SINGULAR = 1e-12  # of a normal matrix: a pivot below this share of its diagonal element is 0


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
            excess[place] = measured / prediction - 1
    excess[:, ~valid] = np.inf
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
    valid = valid & np.isfinite(variance) & (variance > 0) & np.isfinite(electrons) & np.isfinite(object_electrons)
    fitted = valid.sum(axis=1) >= 4
    valid = valid[fitted]
    variance = np.where(valid, variance[fitted].astype(np.float64), 1.0)
    light = np.where(valid, np.maximum(electrons[fitted].astype(np.float64), 0), 0.0)
    floor = np.where(valid, np.maximum(object_electrons[fitted].astype(np.float64), 0), 0.0) ** 2
    # Columns of very different size would cost digits; a column of zeros (no object light) stays one.
    size = np.stack([np.maximum(term.max(axis=1), np.finfo(np.float64).tiny) for term in (light, floor)])
    light /= size[0, :, np.newaxis]
    floor /= size[1, :, np.newaxis]

    nfiber = len(light)
    normal, right = np.empty((3, 3, nfiber)), np.empty((3, nfiber))
    least = 0.1 * variance
    weight = np.where(valid, 1 / variance**2, 0.0)
    medians = RowMedians(valid)
    for _ in range(_ITERATIONS):
        of_light, of_floor = weight * light, weight * floor
        for row, term in enumerate((of_light, of_floor, weight)):
            right[row] = np.einsum("fr,fr->f", term, variance)
        normal[0, 0] = np.einsum("fr,fr->f", of_light, light)
        normal[0, 1] = normal[1, 0] = np.einsum("fr,fr->f", of_light, floor)
        normal[1, 1] = np.einsum("fr,fr->f", of_floor, floor)
        normal[0, 2] = normal[2, 0] = of_light.sum(axis=1)
        normal[1, 2] = normal[2, 1] = of_floor.sum(axis=1)
        normal[2, 2] = weight.sum(axis=1)
        inverse_normal = _inverse(normal)
        coefficients = (inverse_normal * right).sum(axis=1)
        expected = coefficients[0][:, np.newaxis] * light
        expected += np.multiply(coefficients[1][:, np.newaxis], floor, out=of_floor)
        expected += coefficients[2][:, np.newaxis]
        # A fit may go through zero on the way; the measurement bounds how small a variance can be.
        np.maximum(expected, least, out=expected)
        per_expected = np.reciprocal(expected, out=expected)
        residual = np.multiply(variance, per_expected, out=of_light)
        residual -= 1
        size_of_residual = np.abs(residual.astype(np.float32))
        scatter = MAD_TO_SIGMA * np.ma.filled(medians(size_of_residual), 0)
        # Huber's weight is 1 up to the allowed residual, then falls as its inverse.
        allowed = np.maximum(_HUBER * scatter, np.finfo(np.float32).tiny).astype(np.float32)[:, np.newaxis]
        huber = np.divide(allowed, np.maximum(size_of_residual, allowed), out=size_of_residual)
        huber *= valid
        weight = np.multiply(per_expected, per_expected, out=weight)
        weight *= huber
    diagonal = np.maximum(np.einsum("iif->if", inverse_normal), 0)
    scale = np.stack([*size, np.ones_like(size[0])])
    errors = scatter * np.sqrt(diagonal) / scale
    a, squared, c = coefficients / scale
    b = np.sign(squared) * np.sqrt(np.abs(squared))
    # Near b = 0 the linear propagation from b² diverges, the square root of its error does not.
    linear = np.divide(errors[1], 2 * np.abs(b), out=np.full(b.shape, np.inf), where=b != 0)
    b_error = np.minimum(linear, np.sqrt(errors[1]))

    def of_all(values: NDArray) -> np.ma.MaskedArray:
        result = np.ma.masked_all(fitted.shape, dtype=np.float64)
        result[fitted] = values
        return result

    return VarianceFit(*map(of_all, (a, b, c, errors[0], b_error, errors[2], scatter)))


def _inverse(normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of symmetric matrices, 3D[n, n, nfiber], in a fixed order; singular rows and columns become 0."""
    size = len(normal)
    matrix, result = normal.copy(), np.zeros_like(normal)
    result[np.arange(size), np.arange(size)] = 1
    original = np.einsum("iif->if", normal).copy()
    for pivot in range(size):
        per_pivot = inverse(np.where(matrix[pivot, pivot] > _SINGULAR * original[pivot], matrix[pivot, pivot], 0))
        result[pivot] *= per_pivot
        matrix[pivot] *= per_pivot
        for other in range(size):
            if other != pivot:
                factor = np.where(per_pivot > 0, matrix[other, pivot], 0)
                result[other] -= factor * result[pivot]
                matrix[other] -= factor * matrix[pivot]
    return result
