"""Small linear systems, solved in a fixed order: no library of matrices, whose last digits depend on the processor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SINGULAR = 1e-12  # of a normal matrix: a pivot below this share of its diagonal element is 0


def inverse_normal(normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of symmetric matrices, 3D[n, n, number]; singular rows and columns become 0."""
    size = len(normal)
    matrix, result = normal.copy(), np.zeros_like(normal)
    result[np.arange(size), np.arange(size)] = 1
    original = np.einsum("iif->if", normal).copy()
    for pivot in range(size):
        regular = matrix[pivot, pivot] > _SINGULAR * original[pivot]
        per_pivot = 1 / np.where(regular, matrix[pivot, pivot], np.inf)
        result[pivot] *= per_pivot
        matrix[pivot] *= per_pivot  # 0 where that is singular, so that nothing is subtracted from the others
        factor = matrix[:, pivot].copy()
        factor[pivot] = 0
        result -= factor[:, np.newaxis] * result[pivot]
        matrix -= factor[:, np.newaxis] * matrix[pivot]
    return result


def least_squares(
    terms: NDArray[np.float64], values: NDArray[np.float64], weight: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Linear fit of values by a sum of terms.

    Parameters
    ----------
    terms : 2D[nterm, npoint]
    values : 1D[npoint]
    weight : 1D[npoint], optional

    Returns
    -------
    coefficients : 1D[nterm]
        0 where nothing determines one.
    inverse : 2D[nterm, nterm]
        Of the normal matrix: the covariance of the coefficients if the weights are inverse variances.
    """
    weighted = terms if weight is None else terms * weight
    number = len(terms)
    normal = np.empty((number, number, 1))
    for first in range(number):
        for second in range(number):
            normal[first, second] = (weighted[first] * terms[second]).sum()
    inverted = inverse_normal(normal)[..., 0]
    right = np.array([(term * values).sum() for term in weighted])
    return (inverted * right).sum(axis=1), inverted
