"""A fiber fitted together with its bundle and a background under it: the extraction of v5_8 and later.

Fibers come in bundles of 20, and the pipeline extracts a bundle's row by one linear fit of 20 profiles and a
background of two Legendre terms (idlspec2d ``extract_bundle_row``). Up to v5_7 the published variance is that
of an isolated profile; from v5_8 on it is the fit's own, in which the background's uncertainty inflates the
fibers at a bundle's ends by about 10 %, those in its middle by 3 %. Neighbouring profiles do not overlap enough
to matter.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bosscal.calibration.measurement import Measurement
from bosscal.noise.law import Law
from bosscal.noise.profile import shot_noise
from bosscal.noise.tables import place_on_grid
from bosscal.survey.exposure import BUNDLE

PITCH = 6.6  # pixels between fibers, measured on the x of full spec files
_MARGIN = 8  # pixels beyond the outer fibers that are fitted
_BACKGROUND = 2  # Legendre terms
SIGMA = np.linspace(0.7, 1.8, 23)  # pixels; beyond, profiles overlap and the model is not the pipeline's
_PHASES = (0.125, 0.375, 0.625, 0.875)


def _design(sigma: float, phase: float) -> NDArray[np.float64]:
    """Profiles and background of a bundle, 2D[npixel, 20 + 2]."""
    center = _MARGIN + 0.5 + phase + PITCH * np.arange(BUNDLE)
    edge = np.arange(math.ceil(center[-1] + _MARGIN) + 1)
    cumulative = [[0.5 * math.erf((x - c) / (sigma * math.sqrt(2))) for c in center] for x in edge]
    middle = (edge[:-1] + edge[1:]) / 2
    argument = 2 * (middle - middle[0]) / (middle[-1] - middle[0]) - 1
    return np.hstack([np.diff(cumulative, axis=0), np.polynomial.legendre.legvander(argument, _BACKGROUND - 1)])


def _pseudo_inverse(design: NDArray[np.float64]) -> NDArray[np.float64]:
    """(PᵀP)⁻¹Pᵀ of many designs of full rank, 3D[ndesign, nterm, npixel], by elimination in a fixed order."""
    transposed = np.ascontiguousarray(design.transpose(0, 2, 1))
    nterm = transposed.shape[1]
    normal = np.einsum("dix,djx->dij", transposed, transposed)
    for pivot in range(nterm):
        others = np.arange(nterm) != pivot
        factor = normal[:, others, pivot] / normal[:, pivot, pivot][:, np.newaxis]
        normal[:, others] -= factor[..., np.newaxis] * normal[:, np.newaxis, pivot]
        transposed[:, others] -= factor[..., np.newaxis] * transposed[:, np.newaxis, pivot]
    return transposed / np.einsum("dii->di", normal)[..., np.newaxis]


@cache
def _coefficients() -> NDArray[np.float32]:
    """Variance per electron of the fiber, per electron in each other fiber, per r²; 3D[3, nsigma, 20].

    Rounded to float32, so that no processor's last digit is in it.
    """
    table = np.zeros((3, SIGMA.size, BUNDLE))
    for phase in _PHASES:
        design = np.stack([_design(sigma, phase) for sigma in SIGMA])
        weights = _pseudo_inverse(design)[:, :BUNDLE] ** 2
        response = np.einsum("dix,dxj->dij", weights, design[..., :BUNDLE])
        own = np.einsum("dii->di", response)
        table += np.array([own, response.sum(axis=2) - own, weights.sum(axis=2)]) / len(_PHASES)
    return table.astype(np.float32)


def bundle_variance(
    electrons: ArrayLike, readnoise: ArrayLike, sigma: ArrayLike, fiber: ArrayLike, neighbors: ArrayLike
) -> NDArray[np.float64]:
    """Variance of the read-noise weighted extraction of a fiber in its bundle.

    Parameters
    ----------
    electrons : array
        Detected electrons per row, sky included; negative ones count as 0.
    readnoise : array
        RMS per CCD pixel [electrons].
    sigma : array
        Spatial width of the profile [pixels], 0.7 to 1.8; NaN results outside.
    fiber : array of int
        Fiber number, 1-1000.
    neighbors : array
        Mean electrons per row in the bundle's other fibers; those of the sky are a good guess.

    Returns
    -------
    array
        electrons². All arguments broadcast.
    """
    left, fraction = place_on_grid(sigma, SIGMA[0], SIGMA[-1], SIGMA.size)
    place = left * BUNDLE + (np.asarray(fiber) - 1) % BUNDLE
    own, others, readout = (
        flat[place] + fraction * (flat[place + BUNDLE] - flat[place])
        for flat in _coefficients().reshape(3, -1).astype(np.float64)
    )
    squared = np.asarray(readnoise, dtype=np.float64) ** 2
    return own * shot_noise(electrons) + others * shot_noise(neighbors) + readout * squared


class Bundle(Law):
    """:func:`bundle_variance` of a measurement."""

    name = "bundle"
    label = "bundle fit"
    color = "#CC79A7"
    source = "idlspec2d extract_bundle_row"
    releases = "v5_8 to v5_10_8"
    place = 6

    def variance(self, measurement: Measurement) -> NDArray[np.float64]:
        width = np.clip(measurement.sigma, SIGMA[0], SIGMA[-1])
        return bundle_variance(
            measurement.electrons,
            measurement.readnoise,
            width,
            measurement.fiber[:, np.newaxis],
            measurement.neighbor_electrons,
        )
