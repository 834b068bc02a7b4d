"""The electrons of CCD pixels, drawn with photon and read noise, and their extraction as DR12 did it.

So the noise of two bundles of every camera and of all sky fibers is not drawn from a law that is found in it
afterwards: it comes from pixels. Their extraction is that of idlspec2d to v5_7 (``extract_bundle_row``): profiles of
known position and width are fitted to all pixels of a bundle's row, each weighted by the inverse of the variance
r² + max(pixel, 0) that it has by its own noisy count; the stated variance is one over the diagonal of the normal
matrix.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from bosscal.simulation.instrument import READNOISE
from bosscal.simulation.spectra import on_grid
from bosscal.survey.ccd import quadrant

REACH = 8  # pixels from a trace within which its light falls: more than 5 sigma
_POINTS = 4096  # points worked on at a time, so that their pixels stay in the processor's cache


@cache
def _cumulative() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Grid of distances [sigma] and the share of a Gaussian below each, two 1D[npoint]."""
    grid = np.linspace(-12, 12, 48001)
    shares = np.array([0.5 * math.erfc(-distance / math.sqrt(2)) for distance in grid.tolist()])
    return grid, np.round(shares, 13)  # coarser than the last digits, in which C libraries differ


def _profiles(x: NDArray, sigma: NDArray) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """First pixel of each trace's window, 1D[npoint], and the share of its light in each pixel, 2D[npoint, npixel]."""
    first = np.floor(x + 0.5).astype(np.intp) - REACH
    edges = first[:, np.newaxis] - 0.5 + np.arange(2 * REACH + 2)
    below = on_grid(*_cumulative(), (edges - x[:, np.newaxis]) / sigma[:, np.newaxis])
    return first, np.diff(below, axis=1)


def expose_and_extract(
    electrons: NDArray, x: NDArray, sigma: NDArray, row: NDArray, camera: str, random: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the pixels of some rows, and extract the fibers that lie side by side in them.

    Parameters
    ----------
    electrons, x, sigma : 2D[nfiber, npoint]
        Electrons per row, CCD column and spatial width [pixels]: of the fibers of a bundle in their order, or of one.
    row : 1D[npoint]
        CCD rows; of one fiber, rows of several may follow one another.
    camera : str
    random : numpy Generator

    Returns
    -------
    extracted, variance : 2D[nfiber, npoint]
        Electrons, and their variance as the extraction states it.
    """
    extracted, variance = np.empty((2, *electrons.shape))
    for start in range(0, row.size, _POINTS):
        part = slice(start, start + _POINTS)
        extracted[:, part], variance[:, part] = _extract(
            electrons[:, part], x[:, part], sigma[:, part], row[part], camera, random
        )
    return extracted, variance


def _extract(
    electrons: NDArray, x: NDArray, sigma: NDArray, row: NDArray, camera: str, random: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    fibers = [_profiles(*of_fiber) for of_fiber in zip(x, sigma, strict=True)]
    left = fibers[0][0]
    width = int((fibers[-1][0] - left).max()) + 2 * REACH + 1
    point = np.arange(row.size)[:, np.newaxis]
    places = [(first - left)[:, np.newaxis] + np.arange(2 * REACH + 1) for first, _ in fibers]
    light = np.zeros((row.size, width))
    for number, place, (_, shares) in zip(electrons, places, fibers, strict=True):
        light[point, place] += number[:, np.newaxis] * shares
    columns = left[:, np.newaxis] + np.arange(width)
    readnoise = np.array(READNOISE[camera])[quadrant(row[:, np.newaxis], columns, {"b": "blue", "r": "red"}[camera[0]])]
    pixels = random.poisson(light) + readnoise * random.standard_normal(light.shape)
    weight = 1 / (readnoise**2 + np.maximum(pixels, 0))

    # The normal equations of a row: profiles overlap those of their neighbors, and no others.
    diagonal, beside, right = np.zeros((3, *electrons.shape))
    before = np.zeros_like(light)
    for index, (place, (_, shares)) in enumerate(zip(places, fibers, strict=True)):
        of_pixel = weight[point, place] * shares
        diagonal[index] = (of_pixel * shares).sum(axis=1)
        beside[index] = (of_pixel * before[point, place]).sum(axis=1)
        right[index] = (of_pixel * pixels[point, place]).sum(axis=1)
        before[...] = 0
        before[point, place] = shares
    return _solve(diagonal, beside, right), 1 / diagonal


def _solve(diagonal: NDArray, beside: NDArray, right: NDArray) -> NDArray[np.float64]:
    """Solutions of tridiagonal systems, [unknown, system]; ``beside`` couples each unknown to the one before."""
    pivot, solution = diagonal.copy(), right.copy()
    for index in range(1, len(diagonal)):
        factor = beside[index] / pivot[index - 1]
        pivot[index] -= factor * beside[index]
        solution[index] -= factor * solution[index - 1]
    solution[-1] /= pivot[-1]
    for index in range(len(diagonal) - 2, -1, -1):
        solution[index] = (solution[index] - beside[index + 1] * solution[index + 1]) / pivot[index]
    return solution
