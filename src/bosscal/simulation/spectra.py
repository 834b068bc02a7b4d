"""True spectra: quasars, galaxies, stars, and the sky.

Nothing here is a model of a real object. The shapes have what a calibration can go wrong on: broad and
narrow lines, a continuum that falls or rises, absorption, and a sky from tens to ten thousand electrons.
"""

from collections.abc import Iterable, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from bosscal.base.elementary import exp, log, log10, power_of_ten
from bosscal.simulation.plate import Fibers, conditions

STEP = 2e-5  # dex, a fifth of a row: fine enough to interpolate linearly in
REFERENCE = log10(6000.0)  # where Fibers.brightness applies

# Wavelength [Å], height relative to the continuum, velocity width sigma [km/s], in the rest frame.
QUASAR_LINES = (
    (1215.7, 3.0, 2200), (1240, 0.8, 2200), (1400, 0.35, 2500), (1549, 1.6, 2200), (1909, 0.7, 2600), (2798, 0.7, 2000),
    (3728, 0.1, 400), (4341, 0.2, 2000), (4863, 0.6, 2000), (4960, 0.4, 350), (5008, 1.2, 350), (6565, 2.0, 2000),
)  # fmt: skip
GALAXY_LINES = (
    (3728, 0.5, 200), (3835, -0.3, 500), (3934.8, -0.5, 500), (3969.6, -0.5, 500), (4305.6, -0.2, 600),
    (4862.7, -0.1, 300), (5176.6, -0.25, 700), (5895.6, -0.2, 400), (6564.6, 0.6, 200), (6585.3, 0.4, 200),
)  # fmt: skip
STAR_LINES = (
    (3798.9, -0.35, 700), (3836.5, -0.4, 800), (3890.2, -0.45, 900), (3934.8, -0.4, 300), (3971.2, -0.5, 900),
    (4102.9, -0.5, 900), (4341.7, -0.5, 900), (4862.7, -0.45, 900), (5176.6, -0.05, 500), (6564.6, -0.4, 800),
    (8500, -0.1, 200), (8544.4, -0.15, 200), (8664.5, -0.12, 200),
)  # fmt: skip

# Sky continuum [detected electrons in a bin of 1e-4 dex, of a fiber flat of 1], wavelength [Å]: level.
SKY_CONTINUUM = {
    "b": {
        3500: 4, 3600: 12, 3700: 26, 3850: 48, 4000: 67, 4150: 91, 4400: 105, 4700: 135, 5000: 135, 5300: 132,
        5550: 160, 5700: 145, 5850: 102, 5950: 73, 6050: 49, 6200: 28, 6300: 16, 6400: 8,
    },
    "r": {
        5800: 14, 5870: 45, 6000: 76, 6200: 120, 6500: 151, 7000: 160, 7300: 172, 8000: 179, 8500: 176, 9000: 171,
        9500: 150, 10000: 96, 10300: 25, 10450: 8,
    },
}  # fmt: skip
# Sky lines: wavelength [Å] and detected electrons at the peak of the line in a bin of 1e-4 dex.
SKY_LINES = {
    "b": (
        (4047.8, 250), (4359.6, 400), (4980.0, 60), (5200.5, 120), (5462.3, 700), (5578.9, 6500), (5685.0, 300),
        (5771.2, 350), (5792.3, 300), (5891.6, 500), (5897.6, 350), (6235.3, 30), (6302.1, 60),
    ),
    "r": (
        (5891.6, 300), (5897.6, 250), (6302.1, 1200), (6365.5, 450), (6500.5, 350), (6534.8, 420), (6555.4, 330),
        (6865.7, 900), (6925.1, 700), (6950.9, 450), (7278.4, 1500), (7286.5, 700), (7305.7, 700), (7318.3, 2200),
        (7331.2, 900), (7342.9, 2400), (7371.3, 1500), (7403.9, 600), (7526.1, 1100), (7573.8, 900), (7714.0, 500),
        (7752.8, 2500), (7796.3, 3800), (7810.6, 900), (7823.7, 3300), (7843.4, 1900), (7855.4, 600), (7915.9, 5200),
        (7951.4, 2100), (7966.8, 4800), (7995.6, 4000), (8028.0, 2200), (8290.9, 1700), (8301.2, 1200), (8313.0, 1000),
        (8346.9, 5200), (8355.1, 1800), (8384.7, 2200), (8401.5, 7600), (8417.5, 1000), (8432.5, 7900), (8454.6, 2400),
        (8467.7, 5800), (8495.7, 2500), (8507.0, 4400), (8763.4, 1500), (8770.0, 2600), (8780.5, 4000), (8793.6, 4200),
        (8829.5, 9000), (8838.7, 2500), (8852.1, 1800), (8870.1, 2400), (8888.3, 10000), (8905.6, 3900),
        (8922.1, 9200), (8945.9, 5200), (8960.5, 7300), (8990.9, 5300), (9003.9, 1500), (9040.6, 3300), (9052.0, 1800),
        (9315.8, 1900), (9326.0, 1500), (9340.5, 4600), (9378.5, 5600), (9402.0, 1800), (9422.3, 3400), (9442.3, 4700),
        (9461.1, 2700), (9479.5, 1100), (9505.3, 2500), (9521.9, 2600), (9555.1, 2000), (9569.7, 1900), (9722.6, 1100),
        (9794.1, 3300), (9875.5, 3800), (9917.8, 1400), (10015.0, 2700), (10085.0, 2400), (10127.0, 1600),
        (10177.0, 1800), (10215.0, 900), (10290.0, 250), (10300.0, 200), (10375.0, 50),
    ),
}  # fmt: skip
# Sigma of the line-spread function on the way through the band [1e-4 dex]; the real WAVEDISP at both ends and middle.
LINE_SIGMA = {"b": {3570: 1.085, 4900: 0.962, 6300: 0.92}, "r": {5850: 1.065, 8000: 0.81, 10340: 0.83}}


def loglam_grid(low: float, high: float) -> NDArray[np.float64]:
    """Fine grid of log10 wavelength [Å] from ``low`` to ``high`` [Å]. 1D[npoint]."""
    return np.arange(float(log10(low)), float(log10(high)), STEP)


def on_grid(grid: NDArray, values: NDArray, loglam: NDArray) -> NDArray[np.float64]:
    """A curve at any wavelengths: linear between the points of its grid, constant beyond the ends.

    Parameters
    ----------
    grid, values : 1D[npoint]
        The curve on :func:`loglam_grid`, whose even steps make this faster than ``np.interp``.
    loglam : array
        log10 wavelength [Å].
    """
    per_dex = (grid.size - 1) / (grid[-1] - grid[0])
    position = np.clip((loglam - grid[0]) * per_dex, 0, grid.size - 1)
    left = position.astype(np.int32)
    steps = np.diff(values, append=values[-1])
    return values.take(left) + (position - left) * steps.take(left)


def smooth_curve(grid: NDArray, nodes: Mapping[int, float], width: float = 0.004) -> NDArray[np.float64]:
    """Straight lines through ``nodes`` with the corners rounded, constant beyond the ends.

    Straight lines are a sum of ramps that begin at the nodes, so one ramp has to be rounded; a convolution of the
    whole curve is slower, and numpy's is a scalar product, which is not the same on every processor.

    Parameters
    ----------
    grid : 1D[npoint]
        Evenly spaced log10 wavelength [Å].
    nodes : dict
        Wavelength [Å]: value.
    width : float
        Sigma of the Gaussian that rounds the corners [dex].
    """
    reach = round(4 * width / STEP) - 1  # the last point within 4 sigma
    kernel = exp(-0.5 * (np.arange(-reach, reach + 1) * STEP / width) ** 2)
    # From reach steps before a node to reach after it. Further on the rounded ramp is the straight one.
    ramp = STEP * np.cumsum(np.append(0, np.cumsum(kernel / kernel.sum())))
    at, values = log10(list(nodes)), np.array(list(nodes.values()), dtype=np.float64)
    slopes = np.concatenate([[0], np.diff(values) / np.diff(at), [0]])
    total = np.full(grid.size, values[0])
    for node, bend in zip(at, np.diff(slopes), strict=True):
        distance = grid - node
        rounded = on_grid(STEP * np.arange(-reach, reach + 2), ramp, distance)
        total += bend * np.where(distance > reach * STEP, distance, rounded)
    return total


def _add_line(total: NDArray, grid: NDArray, center: NDArray, height: float, sigma: NDArray | float) -> None:
    """Add a Gaussian to a curve on a grid, as far as it matters: 9 sigma out it is 3e-18 of its height."""
    first, last = np.searchsorted(grid, [center - 9 * sigma, center + 9 * sigma])
    total[first:last] += height * exp(-0.5 * ((grid[first:last] - center) / sigma) ** 2)


def _lines(grid: NDArray, lines: Iterable[tuple[float, float, float]]) -> NDArray[np.float64]:
    """Sum of Gaussians of unit continuum; velocity widths are widths in log10 wavelength."""
    total = np.zeros(grid.size)
    for wavelength, height, velocity in lines:
        _add_line(total, grid, log10(wavelength), height, velocity / 2.998e5 / log(10.0))
    return total


def _rise(position: NDArray, width: float) -> NDArray[np.float64]:
    """Logistic step from 0 to 1 at position 0."""
    return 1 / (1 + exp(np.clip(-position / width, -50, 50)))


@cache
def templates() -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Shapes of the objects by OBJTYPE: (log10 rest wavelength [Å], relative flux), each 1D[npoint]."""
    rest = loglam_grid(850, 7500)
    quasar = power_of_ten(-1.5 * (rest - log10(3000))) * (1 + _lines(rest, QUASAR_LINES))
    # Absorption by the intergalactic medium shortward of Lyman alpha.
    quasar *= 1 - 0.35 * _rise(1200 - power_of_ten(rest), 8)

    redder = loglam_grid(1900, 9500)
    galaxy = 0.35 + 0.65 * _rise(power_of_ten(redder) - 3990, 35)
    galaxy *= power_of_ten(0.8 * np.minimum(redder - log10(4500), log10(1.3)))
    galaxy *= 1 + _lines(redder, GALAXY_LINES)

    star_grid = loglam_grid(3400, 10700)
    planck = power_of_ten(-5 * star_grid) / (exp(1.4388e8 / 6500 * power_of_ten(-star_grid)) - 1)
    star = planck * (1 + _lines(star_grid, STAR_LINES))
    return {
        "QSO": (rest, quasar),
        "NA": (rest, quasar),
        "GALAXY": (redder, galaxy),
        "SPECTROPHOTO_STD": (star_grid, star),
    }


def object_flux(fibers: Fibers, loglam: NDArray) -> NDArray[np.float64]:
    """True flux above the atmosphere, without sky.

    Parameters
    ----------
    fibers : Fibers
    loglam : 2D[nfiber, nrow]
        log10 wavelength [Å].

    Returns
    -------
    2D[nfiber, nrow]
        1e-17 erg/s/cm²/Å; 0 for sky fibers and where no light comes through.
    """
    flux = np.zeros(loglam.shape)
    for objtype, (grid, shape) in templates().items():
        chosen = np.flatnonzero((fibers.objtype == objtype) & ~fibers.dark)
        shift = log10(1 + fibers.redshift[chosen])[:, np.newaxis]
        level = fibers.brightness[chosen] / on_grid(grid, shape, REFERENCE - shift[:, 0])
        tilt = power_of_ten(fibers.slope[chosen][:, np.newaxis] * (loglam[chosen] - REFERENCE))
        flux[chosen] = level[:, np.newaxis] * tilt * on_grid(grid, shape, loglam[chosen] - shift)
    return flux


@cache
def _sky(band: str, expnum: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Log10 wavelength, continuum, and continuum with lines on a fine grid, three 1D[npoint]."""
    grid = loglam_grid(2500, 11500)
    of_exposure = conditions(expnum)  # continuum and lines change on their own
    continuum = of_exposure.sky_continuum * smooth_curve(grid, SKY_CONTINUUM[band])
    total = continuum.copy()
    for wavelength, peak in SKY_LINES[band]:
        center = log10(wavelength)
        _add_line(total, grid, center, of_exposure.sky_lines * peak, line_sigma(band, center) * 1e-4)
    return grid, continuum, total


def line_sigma(band: str, loglam: NDArray) -> NDArray[np.float64]:
    """Sigma of the line-spread function [1e-4 dex] at log10 wavelengths [Å]."""
    nodes = LINE_SIGMA[band]
    return np.interp(loglam, log10(list(nodes)), list(nodes.values()))


def sky_electrons(band: str, expnum: int, loglam: NDArray) -> NDArray[np.float64]:
    """Detected electrons of the sky in a bin of 1e-4 dex, where the fiber flat is 1.

    Parameters
    ----------
    band : {"b", "r"}
    expnum : int
    loglam : array
        log10 wavelength [Å].

    Returns
    -------
    array
        Electrons per 1e-4 dex, the same for every fiber.
    """
    grid, _, total = _sky(band, expnum)
    return on_grid(grid, total, loglam)


def is_bright_sky(band: str, expnum: int, loglam: NDArray) -> NDArray[np.bool_]:
    """True where a sky line outshines the continuum of the sky three times."""
    grid, continuum, total = _sky(band, expnum)
    return on_grid(grid, total / continuum, loglam) > 4
