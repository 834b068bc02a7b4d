"""Measured against predicted variance of one spectrum: comparison, ranking of the laws, and a free fit."""

from dataclasses import dataclass

import numpy as np

_HUBER = 1.5  # residuals beyond this many robust standard deviations lose weight
_ITERATIONS = 30


@dataclass(frozen=True)
class Comparison:
    """Measured/predicted variance over the valid pixels.

    ``median`` and ``scatter`` (1.4826 MAD) of the ratio, and ``deviation``, the median of \\|ratio - 1\\|, which
    is small only where both bias and scatter are. NaN where no pixel is valid.
    """

    median: float
    scatter: float
    deviation: float
    npix: int


def compare(measured, predicted, valid):
    """Compare two variances pixel by pixel.

    Parameters
    ----------
    measured, predicted : array
        Variances in the same unit, of the same shape.
    valid : array of bool
        True where a pixel counts.

    Returns
    -------
    Comparison
    """
    measured, predicted = np.asarray(measured, np.float64)[valid], np.asarray(predicted, np.float64)[valid]
    if measured.size == 0:
        return Comparison(np.nan, np.nan, np.nan, 0)
    ratio = measured / predicted
    median = np.median(ratio)
    return Comparison(
        median=float(median),
        scatter=float(1.4826 * np.median(np.abs(ratio - median))),
        deviation=float(np.median(np.abs(ratio - 1))),
        npix=ratio.size,
    )


def rank(measured, predictions, valid):
    """Order predictions by how far measured/predicted is from 1.

    Parameters
    ----------
    measured : array
        Variance.
    predictions : dict of str to array
        Predicted variances by the name of their law.
    valid : array of bool

    Returns
    -------
    dict of str to Comparison
        Best law first.
    """
    compared = {name: compare(measured, predicted, valid) for name, predicted in predictions.items()}
    return dict(sorted(compared.items(), key=lambda item: item[1].deviation))


@dataclass(frozen=True)
class VarianceFit:
    """Var = a N + (b object)² + c with 1-sigma uncertainties.

    ``a`` [electrons² per electron], ``b`` (the error floor as a fraction), ``c`` [electrons²]; ``scatter`` is
    the robust relative scatter about the fit. ``b`` is negative where the fitted b² is.
    """

    a: float
    b: float
    c: float
    a_error: float
    b_error: float
    c_error: float
    scatter: float
    npix: int


def fit_variance(variance, electrons, object_electrons, valid):
    """Robust linear fit of Var = a N + b² object² + c.

    Weights are 1/(fitted variance)², since a variance's error is a fraction of itself, and Huber's for
    outliers; the scatter about the fit sets the uncertainties.

    Parameters
    ----------
    variance : 1D[npix]
        Variance of the detected electrons, error floor included [electrons²].
    electrons : 1D[npix]
        Detected electrons N per row, sky included; negative ones count as 0.
    object_electrons : 1D[npix]
        Those of the object alone; negative ones count as 0.
    valid : 1D[npix] of bool

    Returns
    -------
    VarianceFit

    Raises
    ------
    ValueError
        If fewer than four pixels are valid.
    """
    variance = np.asarray(variance, dtype=np.float64)[valid]
    if variance.size < 4:
        raise ValueError(f"{variance.size} valid pixels cannot determine three coefficients")
    electrons = np.maximum(np.asarray(electrons, dtype=np.float64)[valid], 0)
    floor = np.maximum(np.asarray(object_electrons, dtype=np.float64)[valid], 0) ** 2
    terms = np.column_stack([electrons, floor, np.ones_like(variance)])
    # Columns of very different size would cost digits.
    size = np.maximum(np.abs(terms).max(axis=0), np.finfo(np.float64).tiny)
    terms = terms / size

    expected, weight = variance, np.ones_like(variance)
    for _ in range(_ITERATIONS):
        design = terms * (weight / expected)[:, np.newaxis]
        coefficients, *_ = np.linalg.lstsq(design, variance * weight / expected, rcond=None)
        # A fit may go through zero on the way; the measurement bounds how small a variance can be.
        expected = np.maximum(terms @ coefficients, 0.1 * variance)
        residual = variance / expected - 1
        scatter = 1.4826 * np.median(np.abs(residual))
        weight = np.sqrt(np.minimum(1, _HUBER * scatter / np.maximum(np.abs(residual), np.finfo(np.float64).tiny)))
    covariance = scatter**2 * np.linalg.pinv(design.T @ design)
    value, error = coefficients / size, np.sqrt(np.diag(covariance)) / size
    b = np.sign(value[1]) * np.sqrt(abs(value[1]))
    return VarianceFit(
        a=float(value[0]),
        b=float(b),
        c=float(value[2]),
        a_error=float(error[0]),
        # Near b = 0 the linear propagation from b² diverges, the square root of its error does not.
        b_error=float(min(error[1] / (2 * abs(b)) if b else np.inf, np.sqrt(error[1]))),
        c_error=float(error[2]),
        scatter=float(scatter),
        npix=variance.size,
    )
