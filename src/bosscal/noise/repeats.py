"""The noise without a model: neighboring exposures of one fiber compared with each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from bosscal.base.statistics import MAD_TO_SIGMA

SMOOTH = 101  # rows of the running median that is taken for the part that is no noise
FEWEST = 300  # pixels that two exposures have to have in common
FEWEST_IN_BIN = 30  # pixels of a bin of wavelength
BOOTSTRAP = 200  # draws
ALIGNED = 6e-5  # dex: rows of two exposures that are no farther apart show the same light
_CLIP = 4.0  # chi beyond which a pixel counts as this in the autocorrelation


@dataclass(frozen=True)
class Repeat:
    """Two exposures of one fiber and camera.

    Attributes
    ----------
    npix : int
        Pixels compared.
    signal_to_noise : float
        Median of the first exposure's flux over its error by the reference.
    loglam : 1D[npix]
        Their log10 wavelengths [Å].
    chi_by_pixel : 1D[npix]
        Flux of the first less that of the second, without its smooth part, over its error by the reference.
    chi : dict
        Robust rms of the difference over the root of the summed variances, by what states them.
    autocorrelation : float
        Of neighboring pixels of the difference over its error.
    """

    npix: int
    signal_to_noise: float
    loglam: NDArray[np.float64]
    chi_by_pixel: NDArray[np.float64]
    chi: dict[str, float]
    autocorrelation: float


def compare_repeats(
    first: Mapping[str, NDArray], second: Mapping[str, NDArray], variances: tuple[str, ...], reference: str
) -> Repeat | None:
    """Compare two exposures pixel by pixel, aligned by wavelength to the nearest row.

    No row is interpolated, which would average the noise away; what is left of the object where the two do not agree
    (another calibration, a line that moved by half a row) goes with a running median, or is masked as bright sky.

    Parameters
    ----------
    first, second : mapping of 1D[nrow]
        ``loglam``, ascending, ``flux``, ``valid`` (bool), and variances of the flux by name.
    variances : tuple of str
        Those to judge; a pixel has to have all of them.
    reference : str
        The one that the autocorrelation is taken of.

    Returns
    -------
    Repeat or None
        None with fewer than :data:`FEWEST` pixels in common.
    """
    nearest = np.clip(np.searchsorted(second["loglam"], first["loglam"]), 1, second["loglam"].size - 1)
    below = nearest - 1
    closer = np.abs(second["loglam"][below] - first["loglam"]) < np.abs(second["loglam"][nearest] - first["loglam"])
    partner = np.where(closer, below, nearest)
    used = first["valid"] & second["valid"][partner]
    used &= np.abs(second["loglam"][partner] - first["loglam"]) < ALIGNED
    for name in variances:
        used &= (first[name] > 0) & (second[name][partner] > 0)
    if used.sum() < FEWEST:
        return None
    partner = partner[used]
    difference = first["flux"][used] - second["flux"][partner]
    difference = difference - running_median(difference)
    chis = {name: difference / np.sqrt(first[name][used] + second[name][partner]) for name in variances}
    clipped = np.clip(chis[reference], -_CLIP, _CLIP)
    return Repeat(
        npix=int(used.sum()),
        signal_to_noise=float(np.median(first["flux"][used] / np.sqrt(first[reference][used]))),
        loglam=first["loglam"][used],
        chi_by_pixel=chis[reference],
        chi={name: float(MAD_TO_SIGMA * np.median(np.abs(chi))) for name, chi in chis.items()},
        autocorrelation=float((clipped[1:] * clipped[:-1]).sum() / (clipped * clipped).sum()),
    )


def by_wavelength(repeat: Repeat, edges: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Pixels, and robust mean square of chi, in bins of log10 wavelength.

    Parameters
    ----------
    repeat : Repeat
    edges : 1D[nbin + 1]

    Returns
    -------
    npix, eta : 1D[nbin]
        ``eta`` is what the variance has to be multiplied by; NaN with fewer than 30 pixels.
    """
    bins = np.searchsorted(edges, repeat.loglam, side="right") - 1
    npix, eta = np.zeros(edges.size - 1, dtype=int), np.full(edges.size - 1, np.nan)
    for number in range(edges.size - 1):
        chi = np.abs(repeat.chi_by_pixel[bins == number])
        npix[number] = chi.size
        if chi.size >= FEWEST_IN_BIN:
            eta[number] = (MAD_TO_SIGMA * np.median(chi)) ** 2
    return npix, eta


def bootstrap(values: NDArray[np.float64], random: np.random.Generator) -> tuple[float, float]:
    """Median of the values of many pairs, and its uncertainty: the rms of the median over 200 draws of pairs."""
    draws = random.integers(values.size, size=(BOOTSTRAP, values.size))
    return float(np.median(values)), float(np.median(values[draws], axis=1).std())


def running_median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of the :data:`SMOOTH` values about each, reflected at the ends. 1D."""
    half = SMOOTH // 2
    return np.median(sliding_window_view(np.pad(values, half, mode="symmetric"), SMOOTH), axis=1)
