"""The pipeline's calibration of a camera exposure, written a second time: what fills the simulated spCFrame files.

The exact model of :mod:`bosscal.calibration.pipeline` is to be judged by files that it did not make, so this module
shares no code with it: written from the source alone (idlspec2d ``spframe_read``, ``correct_dlam``, ``divideflat``,
``spcoadd_v5`` at v5_7_0, 1f9f478f; idlutils ``traceset2xy``, ``flegendre``), in its order and its number types. It is
the one permitted second copy of an equation (CONTRIBUTING.md).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bosscal.survey.tracesets import TraceSet


class Means(NamedTuple):
    """Means of the whole stored images, of which a twentieth is a threshold."""

    spcalib: float
    corr: float
    distort: float


class Reduced(NamedTuple):
    """Images of an spCFrame, 2D[nfiber, nrow] float32, and where a division by spcalib or 1/A found no divisor."""

    flux: NDArray[np.float32]
    sky: NDArray[np.float32]
    ivar: NDArray[np.float32]
    rejected: NDArray[np.bool_]


def evaluate(trace_set: TraceSet, rows: NDArray) -> NDArray[np.float64]:
    """A trace set at rows, 2D[nfiber, npoint]: Legendre polynomials by their recursion, lowest order first."""
    rows = np.asarray(rows, dtype=np.float64)
    if trace_set.jump is not None:
        low, high, value = trace_set.jump.low, trace_set.jump.high, trace_set.jump.value
        rows = rows + np.minimum(np.maximum((rows - low) / (high - low), 0), 1) * value
    middle, length = 0.5 * (trace_set.xmin + trace_set.xmax), trace_set.xmax - trace_set.xmin
    argument = 2.0 * (rows - middle) / length
    older, newer = np.ones_like(argument), argument
    total = trace_set.coeff[:, :1] * older
    for order in range(1, trace_set.coeff.shape[1]):
        if order > 1:
            older, newer = newer, ((2 * order - 1) * argument * newer - (order - 1) * older) / order
        total += trace_set.coeff[:, order : order + 1] * newer
    return total


def bin_size(trace_set: TraceSet, rows: NDArray) -> NDArray[np.float64]:
    """Size of rows in loglam [1e-4 dex], 2D[nfiber, nrow], between consecutive rows' common edges."""
    edges = evaluate(trace_set, np.append(rows, rows[-1] + 1) - 0.5)
    return np.abs(edges[:, 1:] - edges[:, :-1]) / 1e-4


def inverse_distortion(distort: NDArray[np.float32], first: float, loglam: NDArray[np.float64]) -> NDArray[np.float64]:
    """1/D at log10 wavelengths [Å], 2D[nfiber, nrow], by IDL's INTERPOL: it goes on straight beyond the grid's ends.

    ``distort``, 2D[nfiber, ncoadd], begins at loglam ``first`` and has steps of 1e-4 dex.
    """
    inverse = np.float32(1) / distort
    grid = np.arange(distort.shape[1]) * 1e-4 + first
    left = np.searchsorted(grid, loglam.ravel(), side="right").reshape(loglam.shape) - 1
    left = np.minimum(np.maximum(left, 0), grid.size - 2)
    fiber = np.arange(len(distort))[:, np.newaxis]
    here, there = inverse[fiber, left], inverse[fiber, left + 1]
    return (loglam - grid[left]) * (there - here) / (grid[left + 1] - grid[left]) + here


def reduce(
    eflux: NDArray[np.float32],
    esky: NDArray[np.float32],
    eivar: NDArray[np.float32],
    sizes: NDArray[np.float64],
    spcalib: NDArray[np.float32],
    corr: NDArray[np.float32],
    inverse_distort: NDArray[np.float64],
    means: Means,
) -> Reduced:
    """What the pipeline makes of electrons: flux and sky [1e-17 erg/s/cm²/Å], and the flux's inverse variance.

    Parameters
    ----------
    eflux, esky, eivar : 2D[nfiber, nrow]
        Of the spFrame file, float32.
    sizes : 2D[nfiber, nrow]
        :func:`bin_size`.
    spcalib, corr : 2D[nfiber, nrow]
        Electrons per flux unit and bin, and A; float32.
    inverse_distort : 2D[nfiber, nrow]
        :func:`inverse_distortion`.
    means : Means
    """
    images = [np.array(image, dtype=np.float32) for image in (eflux, esky, eivar)]
    rejected = np.zeros(eflux.shape, dtype=bool)

    def divide(divisor: NDArray, least: float) -> NDArray[np.bool_]:
        bad = divisor <= least
        usable = np.where(bad, divisor.dtype.type(1), divisor)
        for image, result in zip(images, (images[0] / usable, images[1] / usable, images[2] * usable**2), strict=True):
            image[...] = result
            image[bad] = 0
        return bad

    # spframe_read, before anything else: an error of 3 % of the object, in single precision.
    data = images[2] > 0
    error = np.float32(0.03) * np.maximum(images[0][data], np.float32(0))
    images[2][data] = np.float32(1) / (np.float32(1) / images[2][data] + error**2)
    divide(sizes, 0)
    rejected |= divide(spcalib, 0.05 * means.spcalib)
    rejected |= divide(np.float32(1) / corr, 0.05 / means.corr)
    first_rows = np.arange(100, dtype=np.float32)
    images[2][:, :100] = images[2][:, :100] * first_rows / np.float32(100)
    divide(inverse_distort, 0.05 / means.distort)
    return Reduced(images[0], images[1], images[2], rejected)
