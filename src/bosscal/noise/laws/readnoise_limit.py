"""The limit in which read noise dominates every pixel."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bosscal.calibration.measurement import Measurement
from bosscal.noise.law import Law
from bosscal.noise.profile import shot_noise


def readnoise_limit_variance(electrons: ArrayLike, readnoise: ArrayLike, sigma: ArrayLike) -> NDArray[np.float64]:
    """Variance if read noise dominated every pixel, max(N, 0) + 2√π sigma r² [electrons²].

    The limit of :func:`bosscal.noise.laws.optimal.optimal_variance` for N << r², and of a profile that is wide against
    a pixel.
    """
    sigma, readnoise = np.asarray(sigma), np.asarray(readnoise, dtype=np.float64)
    return shot_noise(electrons) + 2 * math.sqrt(math.pi) * sigma * readnoise**2


class ReadnoiseLimit(Law):
    """:func:`readnoise_limit_variance` of a measurement."""

    name = "readnoise_limit"
    label = "read-noise limit"
    color = "#E69F00"
    source = "1/Σp² of a Gaussian that is wide against a pixel"
    place = 2
    curves = ()

    def variance(self, measurement: Measurement) -> NDArray[np.float64]:
        return readnoise_limit_variance(measurement.electrons, measurement.readnoise, measurement.sigma)
