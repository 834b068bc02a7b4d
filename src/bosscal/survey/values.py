"""Whether what a file holds are numbers, and such as a CCD and its calibration can give.

A pixel with a number that is none (NaN, infinite, beyond all bounds) loses its inverse variance and costs nothing but
itself: the number is replaced by 0, so that it reaches no other pixel, no other fiber and no result, and is counted. A
file that is full of them is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bosscal.base.errors import UserError

# [electrons]: the survey's CCDs have 1.7-3.7; below 0.5 no amplifier reads, and beyond 50 there is no spectrum.
READNOISE = (0.5, 50.0)
# [pixels], spatial width: the survey's are 1.0-1.5, and variance laws are tabulated for these.
XSIGMA = (0.5, 3.0)
# Mean chi² of sky subtraction: the survey's is 0.8-3.5. The pipeline leaves 0 where it could not tell.
SKYCHI2 = (0.0, 100.0)
# [s]: the survey exposes for 900 s; a CCD that collected sky for more than two hours is no exposure of it.
EXPTIME = (1.0, 7200.0)
# log10 wavelength [Å] of the coadd's grid: 3500 to 10500 Å are 3.54 to 4.02.
LOGLAM_RANGE = (3.3, 4.3)  # the whole of a CCD, with no fiber's light at its ends, has 3.5 to 4.03
# A step over one row more is twice its neighbors; where the two phases of readout meet it is 1.17 times them.
GAP = 1.5
NEAR_LOGLAM = 0.05  # dex; blue and red cameras are 0.2 dex apart
GRID_BEGIN, GRID_STEP, GRID_PIXEL = (3.3, 4.2), (1e-5, 1e-3), (-1e5, 1e5)


@dataclass(frozen=True)
class Bounds:
    """What the numbers of an image can be: at most ``largest`` from 0, and if not 0, at least ``smallest``."""

    largest: float
    smallest: float = 0.0
    positive: bool = False


# A full well is 1e5 electrons, and flux and sky are a few times 1e5 at most. What is larger is no measurement, and the
# square of much larger ones is infinite in single precision.
SIGNAL = Bounds(1e10)
# Of electrons at most 1, of flux at most 1e8; 1/ivar has to be a number in single precision too.
IVAR = Bounds(1e15, 1e-15, positive=True)
# Flats, A, D, T are about 1, spcalib and calib less than 1e3 and more than 1e-3. One that is almost 0 has no inverse.
FACTOR = Bounds(1e6, 1e-10)
COLUMN = Bounds(1e5)  # pixels: a CCD has 4096 columns
LOGLAM = Bounds(1e5)  # dex, or Å by mistake
COEFFICIENT = Bounds(1e6)


def wrong_numbers(values: NDArray, bounds: Bounds) -> NDArray[np.bool_] | None:
    """Where values are none that can be, in their shape; None where all are well, which two passes tell."""
    with np.errstate(invalid="ignore"):
        low, high = values.min(), values.max()
        least = 0.0 if bounds.positive else -bounds.largest
        if least <= low and high <= bounds.largest and not _tiny(values, bounds).any():
            return None
        return ~((values >= least) & (values <= bounds.largest)) | _tiny(values, bounds)


def _tiny(values: NDArray, bounds: Bounds) -> NDArray[np.bool_]:
    if not bounds.smallest:
        return np.zeros(1, dtype=bool)
    size = values if bounds.positive else np.abs(values)
    return (size > 0) & (size < bounds.smallest)


class Cleaned:
    """The images of one camera exposure, and which pixels have a number that is none in any of them.

    Parameters
    ----------
    fiber : 1D[nfiber]
        Fiber numbers, for messages.
    shape : (nfiber, nrow)
    """

    def __init__(self, fiber: NDArray[np.integer], shape: tuple[int, ...]) -> None:
        self._fiber, self._shape = fiber, shape
        self._bad: NDArray[np.bool_] | None = None
        self._without_ivar: list[NDArray[np.bool_]] = []

    def clean(self, where: str, image: NDArray, bounds: Bounds, empty: bool = False) -> NDArray[np.bool_] | None:
        """Put 0 for what is no number in an image, in place.

        Parameters
        ----------
        where : str
            File and HDU, for messages.
        image : 2D[nfiber, nrow]
            Or more rows, which are put in order too but do not count.
        bounds : Bounds
        empty : bool
            Whether it may be 0 everywhere.

        Returns
        -------
        2D of bool or None
            Where; None where all is well.

        Raises
        ------
        UserError
            If it is 0 everywhere, or no number in more than half of its pixels.
        """
        wrong = wrong_numbers(image, bounds)
        if wrong is not None:
            refuse_if_full(where, wrong, self._fiber)
            image[wrong] = 0
            inside = wrong[:, : self._shape[1]]
            self.mark(inside)
            if bounds is IVAR:
                self._without_ivar.append(inside)
        if not empty and not image.any():
            raise UserError(f"{where} is 0 everywhere; delete the file and run again")
        return wrong

    def mark(self, wrong: NDArray[np.bool_]) -> None:
        """Note pixels, 2D[nfiber, nrow], or whole fibers, 2D[nfiber, 1]."""
        if wrong.any():
            self._bad = np.zeros(self._shape, dtype=bool) if self._bad is None else self._bad
            self._bad |= wrong

    def take_ivar(self, ivars: tuple[NDArray, ...], others: tuple[NDArray, ...]) -> NDArray[np.int32] | None:
        """Put 0 for inverse variances and other values of the pixels that were noted, in place.

        Returns
        -------
        1D[nfiber] or None
            How many pixels lost an inverse variance; one that has none in the file has nothing to lose, and does not
            count. None where all is well.
        """
        if self._bad is None:
            return None
        lost = self._bad & np.any([ivar != 0 for ivar in ivars] + self._without_ivar, axis=0)
        for image in (*ivars, *others):
            image[self._bad] = 0
        return lost.sum(axis=1, dtype=np.int32)


def refuse_if_full(where: str, wrong: NDArray[np.bool_], fiber: NDArray[np.integer]) -> None:
    """Refuse an image that is no number in more than half of its pixels.

    Raises
    ------
    UserError
        Naming fiber and row of the first.
    """
    if 2 * np.count_nonzero(wrong) > wrong.size:
        index, row = np.argwhere(wrong)[0]
        raise UserError(
            f"{where} has no usable number in {np.count_nonzero(wrong)} of {wrong.size} pixels, the first in fiber "
            f"{fiber[index]}, row {row}; delete the file and run again"
        )


def mended(coeff: NDArray[np.float64], where: str, fiber: NDArray[np.integer]) -> tuple[NDArray, NDArray[np.bool_]]:
    """Coefficients of a trace set, and which fibers, 2D[nfiber, 1], have those of the nearest fiber for want of own.

    Raises
    ------
    UserError
        If more than half of the fibers have none.
    """
    wrong = wrong_numbers(coeff, COEFFICIENT)
    if wrong is None:
        return coeff, np.zeros((len(coeff), 1), dtype=bool)
    fibers: NDArray[np.bool_] = np.any(wrong, axis=1, keepdims=True)
    refuse_if_full(where, fibers, fiber)
    places = np.flatnonzero(~fibers)
    nearest = places[np.abs(np.arange(len(coeff))[:, np.newaxis] - places).argmin(axis=1)]
    return coeff[nearest], fibers


def wavelengths(
    where: str, loglam: NDArray, fiber: int, center: float | None = None
) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """log10 wavelengths [Å] of adjacent rows, one of its neighbors where one is no number; and where that is, if any.

    Parameters
    ----------
    where : str
    loglam : 1D[nrow]
    fiber : int
    center : float, optional
        That of the middle of the camera, which has to be among them or near.

    Raises
    ------
    UserError
        If they are no logarithms, do not rise, leave out a row, or are those of another camera.
    """
    wrong = wrong_numbers(loglam, LOGLAM)
    with np.errstate(invalid="ignore"):
        loglam = loglam.astype(np.float64)
    if wrong is not None:
        refuse_if_full(where, wrong[np.newaxis], np.array([fiber]))
        row = np.arange(loglam.size)
        loglam = np.where(wrong, np.interp(row, row[~wrong], loglam[~wrong]), loglam)
    low, high = loglam.min(), loglam.max()
    if low < LOGLAM_RANGE[0] or high > LOGLAM_RANGE[1]:
        raise UserError(f"{where} are {low:g} to {high:g}, no log10 wavelengths in Å; delete the file and run again")
    step = np.diff(loglam)
    if np.any(step <= 0):
        raise UserError(f"{where} do not rise at row {np.argmax(step <= 0) + 1}; delete the file and run again")
    beside = np.pad(step, 1, mode="reflect") if step.size > 1 else np.full(step.size + 2, np.inf)
    gap = step > GAP * np.minimum(beside[:-2], beside[2:])
    if gap.any():
        raise UserError(f"{where} leave out rows after row {np.argmax(gap)}; delete the file and run again")
    if center is not None and not low - NEAR_LOGLAM < center < high + NEAR_LOGLAM:
        raise UserError(
            f"{where} are {low:.4f} to {high:.4f}, and the middle of the camera is at {center:g}: they are another "
            "camera's; delete the file and run again"
        )
    return loglam, wrong
