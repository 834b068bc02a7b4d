"""Mask bits of pixels (SPPIXMASK), and which pixels have data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Bits of SPPIXMASK: a bad pixel is near, the flat field is low, there are no data, the coaddition left the pixel out, a
# factor of the calibration is too low to divide by, and two of sky residuals that are too large.
NEARBADPIXEL, LOWFLAT, NODATA, COMBINEREJ, BADFLUXFACTOR = 1 << 16, 1 << 17, 1 << 24, 1 << 25, 1 << 26
BADSKYCHI, REDMONSTER = 1 << 27, 1 << 28


def good_pixels(mask: NDArray[np.integer], ivar: NDArray, allowed_bits: int = 0) -> NDArray[np.bool_]:
    """Pixels the notebook uses: some inverse variance, and no mask bit set but the allowed ones.

    Parameters
    ----------
    mask : 2D[nfiber, nrow]
        SPPIXMASK bits.
    ivar : 2D[nfiber, nrow]
    allowed_bits : int
        Bits to treat as harmless.

    Returns
    -------
    2D[nfiber, nrow] of bool
    """
    return ((mask & ~np.int64(allowed_bits)) == 0) & (ivar > 0)
