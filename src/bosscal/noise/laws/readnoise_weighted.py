"""Every pixel weighted alike but for the profile, of an isolated fiber: the extraction of v5_10_9 and later."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bosscal.calibration.measurement import Measurement
from bosscal.noise.law import Law
from bosscal.noise.profile import profile_sums, shot_noise


def readnoise_weighted_variance(electrons: ArrayLike, readnoise: ArrayLike, sigma: ArrayLike) -> NDArray[np.float64]:
    """Variance of an extraction that weights by read noise alone (v5_10_9 and later, so DR16 and DR17).

    N Σp³/(Σp²)² + r²/Σp², N clipped at 0: equal weights make no bias, and cost 15 % in photon noise.

    Parameters and result as of :func:`bosscal.noise.laws.optimal.optimal_variance`.
    """
    of_readout, of_shot = profile_sums(sigma)
    return shot_noise(electrons) * of_shot + np.asarray(readnoise, dtype=np.float64) ** 2 * of_readout


class ReadnoiseWeighted(Law):
    """:func:`readnoise_weighted_variance` of a measurement."""

    name = "readnoise_weighted"
    label = "read-noise weighted"
    color = "#009E73"
    source = "idlspec2d extract_bundle_row of v5_10_9 and later"
    releases = "v5_10_9 and later"
    place = 5

    def variance(self, measurement: Measurement) -> NDArray[np.float64]:
        return readnoise_weighted_variance(measurement.electrons, measurement.readnoise, measurement.sigma)
