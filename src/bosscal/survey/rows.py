"""CCD rows of the pixels of a full spec file, whose tables are trimmed without saying where they start."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bosscal.survey.ccd import AMPLIFIER_SPLIT, TWO_PHASE_JUMP

# log10 wavelength [Å] where the amplifiers meet. Red: middle of what two-phase files show (r1 8006-8039 Å, r2
# 8050-8085 Å over the slit). b2: 3.6992-3.7000, where the read noise and the gain step in spec files. b1: fiber 1 of
# plate 6641 has row 2056 at 4927 ± 6 Å in the tutorial's published figure, and the middle of the slit lies to the red.
CENTRAL_LOGLAM = {"b1": 3.694, "b2": 3.6996, "r1": 3.9043, "r2": 3.9068}
CENTRAL_ERROR = 30  # rows by which an estimated row can be off

_NEIGHBORS = 20  # steps on either side that tell how large an undisturbed step is
_TOLERANCE = 0.05  # rows, of the jump's height


def spec_rows(loglam: ArrayLike, camera: str, two_phase: bool) -> tuple[NDArray[np.integer], bool]:
    """CCD row of every pixel of one exposure's table in a full spec file.

    Where readout was in two phases, the step in the wavelength solution gives the row exactly: it is 1/3 row
    high, and float32 wavelengths resolve 1/300 row. Otherwise the row is that for which the pixel at
    :data:`CENTRAL_LOGLAM` is at the amplifier boundary, good to about :data:`CENTRAL_ERROR` rows; so at most
    the 60 rows about the boundary get the other amplifier's read noise.

    Parameters
    ----------
    loglam : 1D[nrow]
        log10 wavelength [Å], ascending, contiguous in row.
    camera : {"b1", "b2", "r1", "r2"}
    two_phase : bool
        TWOPHASE of the header.

    Returns
    -------
    1D[nrow] of int
        CCD row, 0-based.
    bool
        True if it is exact.
    """
    loglam = np.asarray(loglam, dtype=np.float64)
    index = np.arange(loglam.size)
    if camera[0] == "r" and two_phase:
        start = _start_from_jump(loglam)
        if start is not None:
            return index + start, True
    split_row = AMPLIFIER_SPLIT[{"b": "blue", "r": "red"}[camera[0]]][0]
    return index + split_row - np.searchsorted(loglam, CENTRAL_LOGLAM[camera]), False


def _start_from_jump(loglam: NDArray) -> int | None:
    """Row of the first pixel, or None if the table does not hold the jump."""
    first = int(np.floor(TWO_PHASE_JUMP.low))
    template = np.diff(TWO_PHASE_JUMP.shift(np.arange(first, int(np.ceil(TWO_PHASE_JUMP.high)) + 1)))
    step = np.diff(loglam)
    if step.size <= 2 * _NEIGHBORS:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(step, _NEIGHBORS, mode="edge"), 2 * _NEIGHBORS + 1)
    excess = step / np.median(windows, axis=1) - 1
    likeness = sum(
        weight * excess[place : excess.size - template.size + 1 + place] for place, weight in enumerate(template)
    )
    best = np.argmax(likeness)
    height = excess[best : best + template.size].sum()
    return int(first - best) if abs(height - TWO_PHASE_JUMP.value) < _TOLERANCE else None
