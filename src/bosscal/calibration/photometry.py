"""Magnitudes from spectra, as the pipeline integrates them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bosscal.base.elementary import log10, power_of_ten
from bosscal.survey.masks import BADSKYCHI, REDMONSTER

SPEED_OF_LIGHT = 2.99792e18  # Å/s, with the digits of the source
# From flux in 1e-17 erg/s/cm²/Hz to nanomaggies.
NANOMAGGIES = float(power_of_ten((22.5 + 48.6 - 2.5 * 17.0) / 2.5))
_GROWTH = 2  # points about a bad one


def without_sky_residuals(ivar: NDArray[np.float64], or_mask: NDArray[np.integer]) -> NDArray[np.float64]:
    """Inverse variance, 0 within two points of where an exposure's sky residuals are too large (``skymask``)."""
    bad = (or_mask & (BADSKYCHI | REDMONSTER)) != 0
    near = bad.copy()
    for step in range(1, _GROWTH + 1):
        near[step:] |= bad[:-step]
        near[:-step] |= bad[step:]
    return np.where(near, 0, ivar)


def synthetic_flux(
    loglam: NDArray[np.float64],
    flux: NDArray[np.float64],
    good: NDArray[np.bool_],
    curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> dict[str, float]:
    """Flux in each filter [nanomaggies]: f_ν weighted with the throughput on the logarithmic grid.

    Parameters
    ----------
    loglam, flux : 1D[npoint]
        Even log10 wavelengths [Å] and flux [1e-17 erg/s/cm²/Å].
    good : 1D[npoint] of bool
        Points elsewhere are interpolated linearly, constant beyond the ends.
    curves : mapping
        Wavelength [Å] and throughput by band.

    Returns
    -------
    dict
        NaN where there is no good point (idlspec2d ``filter_thru``, called by ``spreduce1d``).
    """
    if not good.any():
        return dict.fromkeys(curves, np.nan)
    wavelength = power_of_ten(loglam)
    place = np.arange(flux.size)
    whole = np.where(good, flux, np.interp(place, place[good], flux[good]))
    per_frequency = whole * wavelength * wavelength / SPEED_OF_LIGHT
    found = {}
    for band, (at, throughput) in curves.items():
        response = np.interp(wavelength, at, throughput, left=0, right=0)
        found[band] = float((per_frequency * response).sum() / response.sum() * NANOMAGGIES)
    return found


def magnitude_difference(first: float, second: float) -> float:
    """-2.5 log10(first/second) [mag]; NaN where one of them is not positive."""
    if not (first > 0 and second > 0):
        return np.nan
    return float(-2.5 * log10(first / second))
