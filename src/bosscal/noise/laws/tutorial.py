"""The law that the tutorial notebook supposes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bosscal.calibration.measurement import Measurement
from bosscal.noise.law import Law
from bosscal.noise.profile import shot_noise


def tutorial_readnoise(readnoise: ArrayLike, sigma: ArrayLike) -> NDArray[np.float64]:
    """Read noise of an extracted row by the tutorial's law, r sigma (4 pi)^(1/4) [electrons].

    Parameters
    ----------
    readnoise : array
        RMS per CCD pixel [electrons].
    sigma : array
        Spatial width of the profile [pixels].
    """
    return np.asarray(readnoise, dtype=np.float64) * np.asarray(sigma) * math.sqrt(math.sqrt(4 * math.pi))


def tutorial_variance(electrons: ArrayLike, readnoise: ArrayLike, sigma: ArrayLike) -> NDArray[np.float64]:
    """Variance of detected electrons by the tutorial's law, max(N, 0) + (r sigma (4 pi)^(1/4))² [electrons²]."""
    return shot_noise(electrons) + tutorial_readnoise(readnoise, sigma) ** 2


class Tutorial(Law):
    """:func:`tutorial_variance` of a measurement."""

    name = "tutorial"
    label = "tutorial"
    color = "#D55E00"
    source = "bossdata's BOSS Calibration Tutorial notebook"
    place = 1
    curves = ("",)

    def variance(self, measurement: Measurement) -> NDArray[np.float64]:
        return tutorial_variance(measurement.electrons, measurement.readnoise, measurement.sigma)
