"""The flux distortion of a plate, from what it left in spec files.

At the end of the coaddition the pipeline divides the coadd's flux by 1/D, but for the sky only a left-over variable
(idlspec2d ``spcoadd_v5``): the coadd's sky lacks the D that is in the sky of every exposure, so that their ratio is D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bosscal.base.elementary import exp, log, power_of_ten
from bosscal.base.linear import least_squares
from bosscal.base.statistics import MAD_TO_SIGMA

PIVOT = 5070.0  # Å
PLATE_RADIUS = 325.0  # mm
FIBERS_PER_SPECTROGRAPH = 500
FEWEST_FIBERS = 10  # that a plate's model is fitted to: its constant alone has seven parameters
_ITERATIONS, _REJECTED = 10, 4.0  # residuals beyond so many robust standard deviations are left out


def red_term(loglam: ArrayLike) -> NDArray[np.float64]:
    """L = 1 - (5070 Å/wavelength)² at log10 wavelengths [Å] (idlspec2d ``flux_distortion``)."""
    per_wavelength = PIVOT * power_of_ten(-np.asarray(loglam, dtype=np.float64))
    return 1 - per_wavelength * per_wavelength


@dataclass(frozen=True)
class Distortion:
    """ln D of one fiber as a quadratic in L.

    Attributes
    ----------
    coefficients, errors : 1D[3]
        Of 1, L and L², and 1-sigma uncertainties from the scatter about the fit.
    residual : float
        Robust rms of ln D about it.
    npix : int
        Pixels that were used.
    """

    coefficients: NDArray[np.float64]
    errors: NDArray[np.float64]
    residual: float
    npix: int

    def __call__(self, loglam: ArrayLike) -> NDArray[np.float64]:
        """D at log10 wavelengths [Å]."""
        return distortion_of(self.coefficients, loglam)


def distortion_of(coefficients: ArrayLike, loglam: ArrayLike) -> NDArray[np.float64]:
    """D = exp(c0 + c1 L + c2 L²) at log10 wavelengths [Å]; coefficients broadcast: [3] or [3, nfiber, 1]."""
    red = red_term(loglam)
    constant, slope, bend = np.asarray(coefficients, dtype=np.float64)
    return exp(constant + red * (slope + red * bend))


def fit_distortion(
    loglam: NDArray[np.float64], with_distortion: NDArray[np.float64], without: NDArray[np.float64]
) -> Distortion | None:
    """ln D of a fiber from its sky with and without D, robustly.

    Parameters
    ----------
    loglam : 1D[npoint]
        Grid of the coadd [dex].
    with_distortion : 1D[npoint]
        Mean of the exposures' skies with the weights of the coadd; 0 where there is none.
    without : 1D[npoint]
        Sky of the coadd.

    Returns
    -------
    Distortion or None
        None with fewer than a hundred pixels of positive sky.
    """
    usable = (with_distortion > 0) & (without > 0)
    if usable.sum() < 100:
        return None
    red = red_term(loglam[usable])
    values = log(with_distortion[usable] / without[usable])
    terms = np.stack([np.ones_like(red), red, red * red])
    chosen = np.ones(values.size, dtype=bool)
    for _ in range(_ITERATIONS):
        coefficients, inverted = least_squares(terms[:, chosen], values[chosen])
        residual = values - (terms * coefficients[:, np.newaxis]).sum(axis=0)
        rms = float(MAD_TO_SIGMA * np.median(np.abs(residual[chosen])))
        kept = np.abs(residual) <= _REJECTED * max(rms, 1e-9)
        if np.array_equal(kept, chosen):
            break
        chosen = kept
    errors = rms * np.sqrt(np.maximum(np.diagonal(inverted), 0))
    return Distortion(coefficients, errors, rms, int(chosen.sum()))


@dataclass(frozen=True)
class PlateDistortion:
    """The 13-parameter model of a plate: ln D = ln(1 + a_s) + a2 x + a3 y + a4 xy + a5 x² + a6 y² + (a7 x + a8 y +
    b_s) L + c_s L², with x and y the focal position in plate radii and s the spectrograph.

    Attributes
    ----------
    place : 1D[7]
        ln(1 + a_1), ln(1 + a_2), a2 to a6: the constant of ln D.
    slope : 1D[4]
        b_1, b_2, a7, a8.
    bend : 1D[2]
        c_1, c_2.
    spectrographs : tuple of int
        Those that have fibers in the fit: of another nothing is known.
    residuals : 1D[3]
        RMS of the fibers' coefficients about the model.
    left_out : 1D[nfiber]
        Largest difference in ln D over 3600-10 300 Å between each fiber and a model without it; NaN where it is not
        inside the hull of the others of the plate, or where they are too few.
    """

    place: NDArray[np.float64]
    slope: NDArray[np.float64]
    bend: NDArray[np.float64]
    spectrographs: tuple[int, ...]
    residuals: NDArray[np.float64]
    left_out: NDArray[np.float64]

    def coefficients(self, fiber: ArrayLike, xfocal: ArrayLike, yfocal: ArrayLike) -> NDArray[np.float64]:
        """Of 1, L and L² at focal positions [mm], 2D[3, nfiber]."""
        return _predicted((self.place, self.slope, self.bend), fiber, xfocal, yfocal)

    def knows(self, fiber: ArrayLike) -> NDArray[np.bool_]:
        """Whether fibers are of a spectrograph that was fitted."""
        return np.isin(_spectrograph(fiber), self.spectrographs)


def _spectrograph(fiber: ArrayLike) -> NDArray[np.int64]:
    return (np.asarray(fiber) - 1) // FIBERS_PER_SPECTROGRAPH + 1


def _designs(fiber: ArrayLike, xfocal: ArrayLike, yfocal: ArrayLike) -> list[NDArray[np.float64]]:
    """Terms of the constant, of L and of L², each 2D[nterm, nfiber]."""
    side = _spectrograph(fiber)
    first, second = (side == 1).astype(np.float64), (side == 2).astype(np.float64)
    x, y = np.asarray(xfocal) / PLATE_RADIUS, np.asarray(yfocal) / PLATE_RADIUS
    return [
        np.stack([first, second, x, y, x * y, x * x, y * y]), np.stack([first, second, x, y]), np.stack([first, second])
    ]  # fmt: skip


def _predicted(model: Sequence[NDArray], fiber: ArrayLike, xfocal: ArrayLike, yfocal: ArrayLike) -> NDArray[np.float64]:
    designs = _designs(fiber, xfocal, yfocal)
    return np.stack([
        (design * values[:, np.newaxis]).sum(axis=0) for design, values in zip(designs, model, strict=True)
    ])  # fmt: skip


def _fitted(designs: Sequence[NDArray], coefficients: NDArray) -> list[NDArray[np.float64]]:
    return [least_squares(design, values)[0] for design, values in zip(designs, coefficients, strict=True)]


def fit_plate(
    fiber: NDArray[np.integer], xfocal: NDArray, yfocal: NDArray, coefficients: NDArray[np.float64]
) -> PlateDistortion | None:
    """The plate's model from the quadratics of some of its fibers.

    Parameters
    ----------
    fiber, xfocal, yfocal : 1D[nfiber]
        Numbers and focal positions [mm].
    coefficients : 2D[3, nfiber]
        Of :class:`Distortion`.

    Returns
    -------
    PlateDistortion or None
        None with fewer than :data:`FEWEST_FIBERS`.
    """
    number = len(fiber)
    if number < FEWEST_FIBERS:
        return None
    designs = _designs(fiber, xfocal, yfocal)
    model = _fitted(designs, coefficients)
    residuals = coefficients - _predicted(model, fiber, xfocal, yfocal)
    grid = log(np.linspace(3600, 10300, 200)) / log(10.0)
    red = red_term(grid)[:, np.newaxis]
    left_out = np.full(number, np.nan)
    for index in range(number):
        others = np.arange(number) != index
        same_side = _spectrograph(fiber[others]) == _spectrograph(fiber[index])
        if number - 1 < FEWEST_FIBERS or same_side.sum() < 2:
            continue
        if not _inside(xfocal[index], yfocal[index], xfocal[others], yfocal[others]):
            continue
        without = _fitted([design[:, others] for design in designs], coefficients[:, others])
        one = slice(index, index + 1)
        difference = coefficients[:, one] - _predicted(without, fiber[one], xfocal[one], yfocal[one])
        left_out[index] = np.abs(difference[0] + red * (difference[1] + red * difference[2])).max()
    return PlateDistortion(
        place=model[0],
        slope=model[1],
        bend=model[2],
        spectrographs=tuple(sorted(set(_spectrograph(fiber).tolist()))),
        residuals=np.sqrt((residuals**2).mean(axis=1)),
        left_out=left_out,
    )


def _inside(x: float, y: float, others_x: NDArray, others_y: NDArray) -> bool:
    """Whether a point is inside the convex hull of others: no line through it has all of them on one side."""
    dx, dy = others_x - x, others_y - y
    # Of each other point: is there one to the left and one to the right of the line through both?
    turn = dx[:, np.newaxis] * dy - dy[:, np.newaxis] * dx
    return bool(((turn > 0).any(axis=1) & (turn < 0).any(axis=1)).all())
