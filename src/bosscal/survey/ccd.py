"""The CCDs: which amplifier reads a pixel, the step of two-phase readout, and the rows of the apodization."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bosscal.survey.tracesets import Jump

# First CCD row and column of the upper amplifiers (idlspec2d ``sdssproc``).
AMPLIFIER_SPLIT = {"blue": (2056, 2048), "red": (2064, 2057)}

# Index into RDNOISE0..3 = weight of the upper column + weight of the upper row.
QUADRANT_ORDER = {
    "image": (2, 1),  # how sdssproc fills its noise image, so what is in every published variance
    "measured": (1, 2),  # which amplifier's bias region each keyword was measured on
}

TWO_PHASE_JUMP = Jump(2062.5, 2064.5, 1 / 3)  # of every red CCD read in two phases, from MJD 55415 on


def quadrant(row: ArrayLike, x: ArrayLike, band: str, order: str = "image") -> NDArray[np.uint8]:
    """Read-noise quadrant of every pixel.

    Parameters
    ----------
    row : 1D[nrow]
        CCD rows.
    x : 2D[nfiber, nrow]
        CCD column of the trace.
    band : {"blue", "red"}
    order : {"image", "measured"}
        "image": q = 2 [x >= X] + [row >= Y], as in the pipeline's noise image. "measured": q = [x >= X] +
        2 [row >= Y], the amplifier that RDNOISEq was measured on. They differ in two of the four quadrants.

    Returns
    -------
    2D[nfiber, nrow]
        Index into RDNOISE0..3.
    """
    split_row, split_column = AMPLIFIER_SPLIT[band]
    of_column, of_row = QUADRANT_ORDER[order]
    upper = np.uint8(of_row) * (np.asarray(row) >= split_row)
    return np.uint8(of_column) * (np.asarray(x) >= split_column) + upper


def in_measured_order(readnoise: tuple[float, ...]) -> tuple[float, ...]:
    """RDNOISE0..3 such that an index in the order "image" finds the number of the order "measured"."""
    return tuple(readnoise[index] for index in (0, 2, 1, 3))
