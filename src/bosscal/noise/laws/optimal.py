"""Every pixel weighted by its inverse variance, which is taken to be known."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bosscal.calibration.measurement import Measurement
from bosscal.noise.law import SKY_SUFFIX, Law
from bosscal.noise.profile import effective_width, shot_noise


def optimal_variance(electrons: ArrayLike, readnoise: ArrayLike, sigma: ArrayLike) -> NDArray[np.float64]:
    """Variance of an extraction that weights every pixel by its inverse variance, if that is known.

    1/Σ_x[p²/(N p + r²)] = N + r² W, with N clipped at 0 and W of :func:`bosscal.noise.profile.effective_width` (Horne
    1986, PASP 98, 609, with the profile known).

    Parameters
    ----------
    electrons : array
        Detected electrons per row N, sky included.
    readnoise : array
        RMS per CCD pixel r [electrons].
    sigma : array
        Spatial width of the profile [pixels].

    Returns
    -------
    array
        electrons².
    """
    shot = shot_noise(electrons)
    variance = np.asarray(readnoise, dtype=np.float64) ** 2
    # A vanishing divisor leaves W finite, so that no read noise means no read-noise term.
    return shot + variance * effective_width(shot / np.maximum(variance, 1e-30), sigma)


class Optimal(Law):
    """:func:`optimal_variance` of a measurement."""

    name = "optimal"
    label = "optimal"
    color = "#0072B2"
    source = "Horne 1986, PASP 98, 609"
    place = 3
    curves = ("", SKY_SUFFIX)

    def variance(self, measurement: Measurement) -> NDArray[np.float64]:
        return optimal_variance(measurement.electrons, measurement.readnoise, measurement.sigma)
