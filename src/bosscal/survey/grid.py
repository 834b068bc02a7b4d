"""The grid of wavelengths that a coadd has, and the flux distortion with it: equal steps in log10 wavelength."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def coadd_loglam(point: ArrayLike, grid: ArrayLike) -> NDArray[np.float64]:
    """log10 wavelength [Å] of points of the coadd grid.

    Parameters
    ----------
    point : array
        Numbers of points, from 0.
    grid : (crval1, crpix1, cd1_1)
        FITS keywords of the grid in loglam; FITS counts pixels from 1.
    """
    crval1, crpix1, cd1_1 = np.asarray(grid, dtype=np.float64)
    return (np.asarray(point) + 1 - crpix1) * cd1_1 + crval1


def grid_position(loglam: ArrayLike, grid: ArrayLike) -> NDArray[np.float64]:
    """The inverse of :func:`coadd_loglam`: places on the coadd grid, from 0, not necessarily integer."""
    crval1, crpix1, cd1_1 = np.asarray(grid, dtype=np.float64)
    return (np.asarray(loglam, dtype=np.float64) - crval1) / cd1_1 - (1 - crpix1)
