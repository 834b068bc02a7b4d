"""What fitting a background under every bundle of fibers adds to the variance (v5_8 and later, so DR13 and later).

Fibers come in bundles of 20, and the pipeline extracts a bundle's row by one linear fit of 20 profiles and a
background of two Legendre terms (idlspec2d ``extract_bundle_row``). Up to v5_7 the published variance is that
of an isolated profile; from v5_8 on it is the fit's own, in which the background's uncertainty inflates the
fibers at a bundle's ends by about 10 %, those in its middle by 3 %. Neighbouring profiles do not overlap enough
to matter.
"""

import math
from functools import cache

import numpy as np

FIBERS = 20  # in a bundle
PITCH = 6.6  # pixels between fibers, measured on the x of full spec files
_MARGIN = 8  # pixels beyond the outer fibers that are fitted
_BACKGROUND = 2  # Legendre terms
SIGMA = np.linspace(0.7, 1.8, 23)  # pixels; beyond, profiles overlap and the model is not the pipeline's
_PHASES = np.array([0.125, 0.375, 0.625, 0.875])


def _design(sigma, phase):
    """Profiles and background of a bundle, 2D[npixel, 20 + 2]."""
    center = _MARGIN + 0.5 + phase + PITCH * np.arange(FIBERS)
    edge = np.arange(math.ceil(center[-1] + _MARGIN) + 1)
    cumulative = [[0.5 * math.erf((x - c) / (sigma * math.sqrt(2))) for c in center] for x in edge]
    middle = (edge[:-1] + edge[1:]) / 2
    argument = 2 * (middle - middle[0]) / (middle[-1] - middle[0]) - 1
    return np.hstack([np.diff(cumulative, axis=0), np.polynomial.legendre.legvander(argument, _BACKGROUND - 1)])


@cache
def _coefficients():
    """Variance per electron of the fiber, per electron in each other fiber, per r²; 3D[3, nsigma, 20]."""
    table = np.zeros((3, SIGMA.size, FIBERS))
    for index, sigma in enumerate(SIGMA):
        for phase in _PHASES:
            design = _design(sigma, phase)
            weights = np.linalg.pinv(design)[:FIBERS] ** 2
            response = weights @ design[:, :FIBERS]
            own = np.diagonal(response)
            table[:, index] += np.array([own, response.sum(axis=1) - own, weights.sum(axis=1)]) / _PHASES.size
    return table


def bundle_variance(electrons, readnoise, sigma, fiber, neighbors):
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
    sigma = np.asarray(sigma, dtype=np.float64)
    fiber = np.asarray(fiber)
    position = (sigma - SIGMA[0]) / (SIGMA[1] - SIGMA[0])
    inside = (position >= 0) & (position <= SIGMA.size - 1)
    left = np.minimum(np.where(inside, position, 0).astype(np.int64), SIGMA.size - 2)
    fraction = np.where(inside, position - left, np.nan)
    place = (fiber - 1) % FIBERS
    own, others, readout = (
        (1 - fraction) * table[left, place] + fraction * table[left + 1, place] for table in _coefficients()
    )
    electrons = np.maximum(np.asarray(electrons, dtype=np.float64), 0)
    neighbors = np.maximum(np.asarray(neighbors, dtype=np.float64), 0)
    return own * electrons + others * neighbors + readout * np.asarray(readnoise, dtype=np.float64) ** 2
