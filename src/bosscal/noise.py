"""The noise of an extracted spectrum: read noise by quadrant and the variance laws of ``docs/noise.md``."""

import numpy as np

# First CCD row and column of the upper amplifiers (idlspec2d ``sdssproc``).
AMPLIFIER_SPLIT = {"blue": (2056, 2048), "red": (2064, 2057)}


def quadrant(row, x, band):
    """Read-noise quadrant of every pixel, as in the pipeline's noise image.

    Parameters
    ----------
    row : 1D[nrow]
        CCD rows.
    x : 2D[nfiber, nrow]
        CCD column of the trace.
    band : {"blue", "red"}

    Returns
    -------
    2D[nfiber, nrow]
        q = 2 [x >= X] + [row >= Y], an index into RDNOISE0..3.
    """
    split_row, split_column = AMPLIFIER_SPLIT[band]
    return 2 * (np.asarray(x) >= split_column) + (np.asarray(row) >= split_row)


def tutorial_readnoise(readnoise, sigma):
    """Read noise of an extracted row by the tutorial's law, r sigma (4 pi)^(1/4).

    Parameters
    ----------
    readnoise : array
        RMS per CCD pixel [electrons].
    sigma : array
        Spatial width of the profile [pixels].
    """
    return readnoise * sigma * (4 * np.pi) ** 0.25


def tutorial_variance(electrons, readnoise, sigma):
    """Variance of detected electrons by the tutorial's law, max(N, 0) + (r sigma (4 pi)^(1/4))² [electrons²]."""
    return np.clip(electrons, 0, None) + tutorial_readnoise(readnoise, sigma) ** 2
