"""The optimal extraction with weights from the noisy pixels themselves: what DR12 did."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bosscal.calibration.measurement import Measurement
from bosscal.noise.law import Law
from bosscal.noise.laws.optimal import optimal_variance
from bosscal.noise.profile import shot_noise
from bosscal.noise.tables import Grid, read_table


@cache
def _grid(name: str) -> Grid:
    """A quantity of the table by √N, r and sigma."""
    table = read_table("noisy_weights")
    return Grid([table[axis] for axis in ("root_electrons", "readnoise", "sigma")], table[name])


def noisy_weights_ratio(electrons: ArrayLike, readnoise: ArrayLike, sigma: ArrayLike) -> NDArray[np.float32]:
    """Stated variance over the optimal one where pixels are weighted by their own noisy counts: the median over noise.

    The pipeline takes v = r² + max(pixel, 0) for a pixel's variance and states 1/Σ(p²/v) (idlspec2d ``sdssproc``,
    ``extract_bundle_row`` to v5_7). The optimal law is taken of the electrons N that this same extraction found, since
    a spectrum holds no others: the weights make them too few by 3-5 electrons, and the variance too small by as much,
    so that little remains of the ratio. Against the *true* N it would be 0.94 at N = 20 and 0.97 at 100. By Monte
    Carlo: ``docs/tables/noisy_weights.py``.

    Parameters as of :func:`bosscal.noise.laws.optimal.optimal_variance`, electrons as extracted.

    Returns
    -------
    array
    """
    return _grid("ratio")(np.sqrt(shot_noise(electrons)), readnoise, sigma)


def noisy_weights_scatter(electrons: ArrayLike, readnoise: ArrayLike, sigma: ArrayLike) -> NDArray[np.float32]:
    """Robust scatter (1.4826 MAD) over noise of the ratio whose median is :func:`noisy_weights_ratio`."""
    return _grid("scatter")(np.sqrt(shot_noise(electrons)), readnoise, sigma)


class OptimalNoisy(Law):
    """:func:`bosscal.noise.laws.optimal.optimal_variance` of a measurement times :func:`noisy_weights_ratio`."""

    name = "optimal_noisy"
    label = "optimal, noisy"
    color = "#56B4E9"
    source = "idlspec2d sdssproc and extract_bundle_row to v5_7"
    releases = "to v5_7"
    place = 4

    def variance(self, measurement: Measurement) -> NDArray[np.float64]:
        arguments = measurement.electrons, measurement.readnoise, measurement.sigma
        return np.asarray(optimal_variance(*arguments) * noisy_weights_ratio(*arguments), dtype=np.float64)

    def scatter(self, measurement: Measurement) -> NDArray[np.float32]:
        return noisy_weights_scatter(measurement.electrons, measurement.readnoise, measurement.sigma)
