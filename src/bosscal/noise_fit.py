"""Measured against predicted variance, fiber by fiber: comparison, ranking of the laws, and a free fit."""

from dataclasses import dataclass

import numpy as np

from bosscal.statistics import row_median

_HUBER = 1.5  # residuals beyond this many robust standard deviations lose weight
_ITERATIONS = 12  # the fit has settled to 1e-3 of its uncertainties by then
MAD_TO_SIGMA = 1.4826  # of a Gaussian


@dataclass(frozen=True)
class Comparison:
    """Measured/predicted variance of every fiber over its valid pixels, four 1D[nfiber]; masked where there is none.

    ``median`` and ``scatter`` (1.4826 MAD) of the ratio, and ``deviation``, the median of \\|ratio - 1\\|, which
    is small only where both bias and scatter are; it ranks the laws.
    """

    median: np.ma.MaskedArray
    scatter: np.ma.MaskedArray
    deviation: np.ma.MaskedArray


def compare(measured, predicted, valid):
    """Compare two variances pixel by pixel.

    Parameters
    ----------
    measured, predicted : 2D[nfiber, nrow]
        Variances in the same unit.
    valid : 2D[nfiber, nrow] of bool
        True where a pixel counts.

    Returns
    -------
    Comparison
    """
    ratio = np.divide(measured, predicted, out=np.zeros(valid.shape), where=valid)
    median = row_median(ratio, valid)
    return Comparison(
        median=median,
        scatter=MAD_TO_SIGMA * row_median(np.abs(ratio - np.ma.filled(median, 0)[:, np.newaxis]), valid),
        deviation=row_median(np.abs(ratio - 1), valid),
    )


def best(comparisons):
    """Name of the law that comes closest, 1D[nfiber], masked where none was compared.

    Parameters
    ----------
    comparisons : dict of str to Comparison
    """
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


def fit_variance(variance, electrons, object_electrons, valid):
    """Robust linear fit of Var = a N + b² object² + c for every fiber at once.

    Weights are 1/(fitted variance)², since a variance's error is a fraction of itself, and Huber's for
    outliers; the scatter about the fit sets the uncertainties.

    Parameters
    ----------
    variance : 2D[nfiber, nrow]
        Variance of the detected electrons, error floor included [electrons²].
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
    fitted = valid.sum(axis=1) >= 4
    valid = valid[fitted]
    variance = np.where(valid, np.asarray(variance, dtype=np.float64)[fitted], 1)
    terms = np.stack(
        [
            np.where(valid, np.maximum(np.asarray(electrons, dtype=np.float64)[fitted], 0), 0),
            np.where(valid, np.maximum(np.asarray(object_electrons, dtype=np.float64)[fitted], 0), 0) ** 2,
            valid.astype(np.float64),
        ]
    )
    # Columns of very different size would cost digits; a column of zeros (no object light) stays one.
    size = np.maximum(terms.max(axis=2), np.finfo(np.float64).tiny)
    terms = terms / size[:, :, np.newaxis]

    expected, weight = variance, valid.astype(np.float64)
    for _ in range(_ITERATIONS):
        scale = weight / expected
        design = terms * scale
        normal = np.einsum("ifr,jfr->fij", design, design)
        inverse_normal = np.linalg.pinv(normal, hermitian=True)
        coefficients = np.einsum("fij,jfr,fr->if", inverse_normal, design, variance * scale, optimize=True)
        # A fit may go through zero on the way; the measurement bounds how small a variance can be.
        expected = np.maximum(np.einsum("if,ifr->fr", coefficients, terms), 0.1 * variance)
        residual = variance / expected - 1
        scatter = MAD_TO_SIGMA * np.ma.filled(row_median(np.abs(residual), valid), 0)
        allowed = _HUBER * scatter[:, np.newaxis] / np.maximum(np.abs(residual), np.finfo(np.float64).tiny)
        weight = valid * np.sqrt(np.minimum(1, allowed))
    errors = scatter * np.sqrt(np.maximum(np.einsum("fii->if", inverse_normal), 0)) / size
    a, floor, c = coefficients / size
    b = np.sign(floor) * np.sqrt(np.abs(floor))
    # Near b = 0 the linear propagation from b² diverges, the square root of its error does not.
    linear = np.divide(errors[1], 2 * np.abs(b), out=np.full(b.shape, np.inf), where=b != 0)
    b_error = np.minimum(linear, np.sqrt(errors[1]))

    def of_all(values):
        result = np.ma.masked_all(fitted.shape, dtype=np.float64)
        result[fitted] = values
        return result

    return VarianceFit(*map(of_all, (a, b, c, errors[0], b_error, errors[2], scatter)))
