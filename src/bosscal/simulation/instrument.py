"""The simulated spectrographs: trace sets, flat fields, throughput, flux corrections and distortion.

Their curves follow the five figures of the real plate 6641 that the tutorial published, read off to a few parts in a
thousand; ``docs/simulation.md`` puts both side by side. What the files store is float32, and the equations of the
calibration hold for what is stored, so everything that goes into a file is rounded here, before any electron is made
of it.
"""

import math
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bosscal.base.elementary import exp, log, log10, power_of_ten, sine
from bosscal.simulation import reduction
from bosscal.simulation.plate import (
    CAMERAS,
    EXPOSURES,
    NFIBER,
    NROW,
    NROW_STORED,
    PLATE_RADIUS,
    TUTORIAL,
    Fibers,
    Plate,
    conditions,
    fiber_blocks,
    fiber_numbers,
    plug_fibers,
)
from bosscal.simulation.spectra import loglam_grid, on_grid, smooth_curve
from bosscal.survey.ccd import quadrant
from bosscal.survey.tracesets import Jump, TraceSet

NBUNDLE, BUNDLE = 25, 20  # fibers come in bundles that are glued to the slit head one by one

# RDNOISE0..3 [electrons]; those of b1 and r1 are the tutorial's.
READNOISE = {
    "b1": (2.24, 2.18, 2.07, 2.04),
    "b2": (2.05, 2.12, 2.03, 1.93),
    "r1": (2.90, 2.59, 2.53, 2.52),
    "r2": (2.86, 2.80, 2.74, 2.72),
}
# CCD rows that sdssproc leaves unmasked, and the range [Å] in which standard stars calibrate (WAVEMIN, WAVEMAX).
DATA_ROWS = {"b": (696, 3516), "r": (28, 3668)}
CALIBRATED = {"b1": (3563.05, 6292.65), "b2": (3590.0, 6336.5), "r1": (5850.0, 10349.5), "r2": (5865.0, 10394.5)}

# The flat lamp's spectrum as the camera sees it, over its mean: the superflat, at wavelengths [Å].
LAMP = {
    "b": {
        3400: 0.004, 3527: 0.023, 3645: 0.087, 3786: 0.248, 3951: 0.573, 3998: 0.620, 4056: 0.802, 4221: 1.124,
        4374: 1.466, 4456: 1.589, 4527: 1.760, 4633: 1.903, 4680: 1.934, 4704: 1.923, 4727: 1.887, 4751: 1.922,
        4798: 1.907, 4974: 1.748, 5033: 1.678, 5268: 1.331, 5292: 1.315, 5351: 1.316, 5386: 1.346, 5504: 1.515,
        5527: 1.536, 5562: 1.529, 5598: 1.467, 5633: 1.354, 5727: 0.945, 5809: 0.635, 5856: 0.501, 5904: 0.400,
        5951: 0.313, 5998: 0.256, 6080: 0.218, 6315: 0.032, 6400: 0.008, 6700: 0.002,
    },
    "r": {
        5600: 0.002, 5780: 0.010, 5850: 0.030, 5903: 0.094, 5996: 0.199, 6294: 0.336, 6518: 0.318, 6611: 0.359,
        6685: 0.437, 6741: 0.523, 7002: 1.036, 7058: 1.105, 7132: 1.149, 7300: 1.159, 7598: 1.038, 7691: 1.037,
        7877: 0.994, 8268: 1.012, 8454: 1.092, 8752: 1.284, 9050: 1.500, 9255: 1.597, 9386: 1.583, 9423: 1.562,
        9497: 1.574, 9572: 1.556, 9665: 1.496, 9721: 1.431, 9795: 1.317, 9888: 1.135, 10186: 0.441, 10316: 0.192,
        10420: 0.05, 10700: 0.01,
    },
}  # fmt: skip
LAMP_LIMIT = 0.03  # where the superflat is no more than this the pipeline has no data: divideflat's MINVAL
DARK_LIMIT = 0.02  # and about here the lamp is too faint for a fiber flat, which is 0 there

# log10 of the electrons per 1e-17 erg/s/cm²/Å in a bin of 1e-4 dex, flat-fielded: 15 at 3600 Å, 4.7 at 4600 Å, 44 at
# 6290 Å; in red with the absorption of oxygen and water.
LOG_THROUGHPUT = {
    "b": {
        3540: 1.255, 3598: 1.179, 3680: 1.060, 3715: 1.047, 3904: 0.878, 4009: 0.811, 4327: 0.698, 4460: 0.678,
        4598: 0.670, 4692: 0.687, 4821: 0.739, 5304: 1.009, 5398: 1.008, 5527: 0.965, 5574: 0.979, 5633: 1.028,
        5680: 1.093, 5739: 1.192, 5833: 1.392, 5904: 1.483, 6115: 1.559, 6198: 1.617, 6245: 1.640, 6292: 1.650,
    },
    "r": {
        5845: 1.440, 5907: 1.502, 6186: 1.599, 6410: 1.798, 6503: 1.808, 6596: 1.796, 6689: 1.735, 6838: 1.556,
        6857: 1.467, 6875: 1.458, 6912: 1.477, 7173: 1.375, 7564: 1.470, 7583: 1.254, 7596: 1.100, 7608: 1.150,
        7657: 1.432, 7695: 1.492, 8048: 1.520, 8180: 1.500, 8216: 1.464, 8253: 1.504, 8570: 1.504, 8868: 1.464,
        8924: 1.443, 8998: 1.365, 9035: 1.403, 9147: 1.350, 9200: 1.371, 9278: 1.340, 9325: 1.090, 9352: 1.000,
        9371: 1.112, 9389: 1.230, 9408: 1.255, 9426: 0.980, 9440: 1.120, 9464: 1.179, 9557: 1.243, 9594: 1.226,
        9687: 1.306, 9743: 1.281, 9966: 1.305, 10004: 1.334, 10041: 1.291, 10171: 1.306, 10264: 1.265, 10302: 1.297,
        10400: 1.220,
    },
}  # fmt: skip

# Flux distortion of the plate, which the figures show for fibers 1, 12 and 486 (idlspec2d flux_distortion):
# (1 + a[s]) exp(x, y, xy, x², y² + (x, y, b[s]) L + c[s] L²), [s] that of each spectrograph.
DISTORT_PLACE = (-0.07754, 0.05613, 0.012, -0.010, 0.008)  # x, y, xy, x², y²
DISTORT_SLOPE = (0.11051, -0.10016)  # x L, y L
DISTORT_SPECTROGRAPH = ((0.08977, -0.01325, 0.11429), (0.064, 0.012, 0.0961))  # a, b, c of 1 and of 2
COADD_STEP = 1e-4  # dex

# Spatial width of fiber 1 and of fiber 500 [pixels]: Legendre coefficients in the row.
WIDTH = {
    "b": ((1.0186, -0.0321, -0.1026), (1.2550, -0.1680, -0.2970)),
    "r": ((1.2668, 0.0552, 0.0780), (1.2669, 0.2705, 0.0496)),
}
# Fiber flats of the published fibers, size and period [rows] of bumps, and where the rise at the blue end is 1 [dex].
FLAT_LEVEL = {1: {"b": 0.78, "r": 0.75}, 12: {"b": 0.98, "r": 0.985}, 486: {"b": 0.93, "r": 0.93}}
FLAT_BUMPS = ((0.0025, 140.0), (0.006, 620.0), (0.012, 2600.0))
BLUE_END = 3.5465
CORRECTION_OF_FIBER_1 = {EXPOSURES[0]: 0.700, EXPOSURES[1]: 0.715}

# Wavelength solutions. Coefficient k of a fiber is WAVE[band][k] . P(fiber), with P the Legendre polynomials of
# order 0-3 on fibers 0-499 -> [-1, 1]. Red is fitted to the trace set that pydl ships for its tests
# (pydl/pydlutils/tests/t/boss_traceset.fits, an r1 frame); blue to loglam of nine b1 spectra of plate 6118 (DR14),
# which fixes it but for the row at which a wavelength falls: the slit is as curved as in red, and the amplifiers of
# fiber 1 meet at 4927 Å, where the published figure of that fiber has the step.
WAVE = {
    "b": np.array([
        [3.68020003, 1.27938670e-3, 1.57768990e-3, -5.5628e-5],
        [2.01966807e-1, -3.678192e-4, -1.3880663e-3, 1.0449e-5],
        [-2.39312729e-2, -3.61376e-5, 2.043778e-4, 2.05154e-5],
        [5.512827e-4, 5.28063e-5, 2.971556e-4, -2.85013e-5],
        [5.70376e-4, -2.75118e-5, -7.13923e-5, 1.24939e-5],
        [-2.6948e-4, 8.16e-6, 1.1669e-4, -1.366e-5],
    ]),
    "r": np.array([
        [3.89460556, 1.057942e-3, 1.360804e-3, -5.24420e-5],
        [1.64698738e-1, -3.53798e-4, -1.643333e-3, 2.7134e-5],
        [-1.8701052e-2, 4.2305e-5, 3.67503e-4, -3.7e-8],
        [1.239759e-3, 2.266e-6, -2.794e-6, 5.859e-6],
        [-1.8818e-5, 2.505e-6, -6.733e-6, 3.13e-6],
        [-1.5817e-5, 3.426e-6, 3.425e-6, 2.301e-6],
    ]),
}  # fmt: skip
# How far each bundle is off that smooth red solution: [coefficient 0-2][offset, half the slope][bundle], 1e-7 dex.
BUNDLE_STEPS = np.array([
    [
        [-206, 39, 106, -132, 147, 93, 306, 295, 279, 174, -1664, 148, -20, 66, 157, 134, 153, 152, -626, 132, 250,
         342, 9, -101, -162],
        [275, 212, 112, 186, 54, 61, 84, -30, -5, -58, -113, 7, -84, -25, -73, -35, -53, -20, 16, -29, -144, -102,
         -291, 5, -225],
    ],
    [
        [162, 19, -80, -54, -112, -73, -118, -85, -92, -15, 553, -2, 56, 38, -3, 16, -30, -58, 152, -116, -143, -151,
         -56, 49, 155],
        [-218, -195, -102, -141, -81, -79, -49, -4, -14, 11, 18, -25, 35, 13, 34, 32, 45, 6, 19, 57, 96, 95, 167, 80,
         211],
    ],
    [
        [-43, 16, -6, -5, 30, 30, 46, 49, 26, 9, -134, -18, -27, -26, -27, -2, 10, 24, -27, 39, 44, 63, 13, -14, -49],
        [67, 51, 82, 44, 12, -2, 12, 23, 2, -7, -39, -15, 6, 2, -25, -5, -7, -16, -15, 1, -20, -21, -65, -54, -48],
    ],
]) * 1e-7  # fmt: skip
# A step of the slit head moves blue spectra by as many rows as red ones; rows of blue are a quarter wider in dex.
BLUE_PER_RED_STEP = 1.25
# log10 wavelength by which a spectrum of spectrograph 2 lies off one of spectrograph 1, from where amplifiers meet.
SPECTROGRAPH_2 = {"b": 5.6e-3, "r": 2.5e-3}
RED_JUMP = Jump(2062.5, 2064.5, float(np.float32(1 / 3)))  # stored as float32


def _fiber_argument() -> NDArray[np.float64]:
    return np.linspace(-1, 1, NFIBER)


def some_fibers(trace_set: TraceSet, fibers: slice) -> TraceSet:
    """The trace set of a slice of its fibers."""
    return replace(trace_set, coeff=trace_set.coeff[fibers])


def wavelength(camera: str, expnum: int) -> TraceSet:
    """Trace set of log10 wavelength [Å] of one camera exposure: 500 fibers, 6 coefficients."""
    band = camera[0]
    across = np.polynomial.legendre.legvander(_fiber_argument(), 3)
    # Term by term: a matrix product sums in another order on another processor.
    coeff = sum(across[:, order, np.newaxis] * WAVE[band][:, order] for order in range(4))
    fiber = np.arange(NFIBER)
    bundle, place = fiber // BUNDLE, (fiber % BUNDLE - (BUNDLE - 1) / 2) / ((BUNDLE - 1) / 2)
    steps = BUNDLE_STEPS[:, 0, bundle] + BUNDLE_STEPS[:, 1, bundle] * place
    if band == "r":
        coeff[:, :3] += steps.T
    else:
        coeff[:, 0] += BLUE_PER_RED_STEP * steps[0]
    if camera[1] == "2":
        coeff[:, 0] += SPECTROGRAPH_2[band]
    coeff[:, 0] += conditions(expnum).flexure * 0.9e-4  # dex per row
    return TraceSet(coeff, 0.0, NROW[band] - 1.0, RED_JUMP if band == "r" else None)


def dispersion(camera: str) -> TraceSet:
    """Trace set of the line-spread function's sigma [rows]: 500 fibers, 4 coefficients."""
    band = camera[0]
    coeff = np.tile({"b": (1.07, 0.20, 0.075, 0.0), "r": (1.13, 0.18, 0.13, 0.01)}[band], (NFIBER, 1))
    return TraceSet(coeff * (1 + 0.03 * _fiber_argument()[:, np.newaxis] ** 2), 0.0, NROW[band] - 1.0)


def trace(camera: str) -> TraceSet:
    """Trace set of the CCD column of every fiber [pixels]: 500 fibers, 7 coefficients.

    Fibers are 6.62 pixels apart, with a gap of 15.1 pixels between bundles; the field is slightly barrel-shaped
    and tilted, as in the real frames.
    """
    fiber = np.arange(NFIBER)
    middle = 285 + 140.9 * (fiber // BUNDLE) + 6.62 * (fiber % BUNDLE)
    off_axis = middle - 2050
    coeff = np.zeros((NFIBER, 7))
    coeff[:, 0] = middle + 0.0081 / 3 * off_axis
    coeff[:, 1] = {"b": 1.5, "r": 7.6}[camera[0]] + 0.00125 * off_axis
    coeff[:, 2] = 0.0081 * 2 / 3 * off_axis
    return TraceSet(coeff, 0.0, NROW[camera[0]] - 1.0)


def spatial_width(camera: str, seed: int, plate: Plate = TUTORIAL) -> TraceSet:
    """Trace set of the Gaussian sigma of the spatial profile [pixels]: 500 fibers, 3 coefficients, 1.0-1.5."""
    random = plate.random(seed, "spatial width", camera)
    argument = _fiber_argument()[:, np.newaxis]
    first, last = np.array(WIDTH[camera[0]])
    coeff = (first + last) / 2 + (last - first) / 2 * argument
    # The figures show fibers at the ends of the slit; between them the focus is better, and every bundle has its own.
    coeff[:, 0] -= {"b": 0.02, "r": 0.10}[camera[0]] * (1 - argument[:, 0] ** 2) ** 2
    coeff[BUNDLE:-BUNDLE, 0] += np.repeat(random.uniform(-0.01, 0.01, NBUNDLE), BUNDLE)[BUNDLE:-BUNDLE]
    return TraceSet(coeff, 0.0, NROW[camera[0]] - 1.0)


@cache
def _curve(kind: str, band: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Grid of log10 wavelength [Å] and the lamp or the throughput at transparency 1 on it, two 1D[npoint]."""
    grid = loglam_grid(3000, 11500)
    if kind == "lamp":
        return grid, smooth_curve(grid, LAMP[band], width=1e-3)
    return grid, power_of_ten(smooth_curve(grid, LOG_THROUGHPUT[band], width=2.5e-4))


def lamp(band: str, loglam: NDArray) -> NDArray[np.float64]:
    """The superflat [1] at log10 wavelengths [Å], the same for every fiber."""
    return on_grid(*_curve("lamp", band), loglam)


def throughput(camera: str, expnum: int, loglam: NDArray) -> NDArray[np.float64]:
    """Flat-fielded electrons per 1e-17 erg/s/cm²/Å in a bin of 1e-4 dex, at log10 wavelengths [Å]."""
    return conditions(expnum).transparency * on_grid(*_curve("throughput", camera[0]), loglam)


def fiber_flat(camera: str, seed: int, plate: Plate = TUTORIAL) -> NDArray[np.float32]:
    """Fiber flat.

    Parameters
    ----------
    camera : str
    seed : int
    plate : Plate

    Returns
    -------
    2D[nfiber, nrow]
        float32, 0.75-1.15: what a fiber transmits, the same in both arms but for bumps, and a rise at the blue end. 0
        in rows that are masked or too dark for the lamp, and in fibers that are dead or unplugged.
    """
    fibers = plug_fibers(seed, plate).select(fiber_numbers(camera))
    # Drawn for every fiber, used or not: which fibers are dark or published does not change the others.
    level = np.clip(plate.random(seed, f"fiber flat {camera[1]}").normal(0.96, 0.07, NFIBER), 0.76, 1.13)
    for number, published in FLAT_LEVEL.items() if plate.is_tutorial else ():
        level[fibers.number == number] = published[camera[0]]
    random = plate.random(seed, "fiber flat", camera)
    phases, rise = random.random((3, NFIBER, 1)), random.uniform(0.1, 0.35, (NFIBER, 1))
    row = np.arange(NROW[camera[0]])
    first, last = DATA_ROWS[camera[0]]
    usable = (row >= first) & (row <= last) & ~fibers.dark[:, np.newaxis]
    wave = wavelength(camera, plate.flat)
    # Of each bump sin(row + phase), the sines and cosines taken of each alone.
    bumps = [
        (size * sine(row / period), size * sine(row / period + 0.25), sine(phase + 0.25), sine(phase))
        for (size, period), phase in zip(FLAT_BUMPS, phases, strict=True)
    ]
    flat = np.empty((NFIBER, row.size), dtype=np.float32)
    for block in fiber_blocks(NFIBER):
        loglam = some_fibers(wave, block)(row)
        shape = np.ones_like(loglam)
        for row_sine, row_cosine, phase_cosine, phase_sine in bumps:
            shape += row_sine * phase_cosine[block] + row_cosine * phase_sine[block]
        if camera[0] == "b":
            shape += rise[block] * exp((BLUE_END - loglam) / 0.012)
        flat[block] = level[block, np.newaxis] * shape * (usable[block] & (lamp(camera[0], loglam) > DARK_LIMIT))
    return flat


def is_calibrated(camera: str, loglam: NDArray) -> NDArray[np.bool_]:
    """True between WAVEMIN and WAVEMAX; beyond them the pipeline stores spcalib = 0."""
    low, high = log10(CALIBRATED[camera])
    return (loglam >= low) & (loglam <= high)


def flux_correction(camera: str, expnum: int, seed: int, plate: Plate = TUTORIAL) -> NDArray[np.float64]:
    """Multiplicative flux correction A; the additive one is 0, as in every release.

    Returns
    -------
    1D[nfiber]
        A [1] from 0.7 to 1.4, one number for both arms; 1 for sky fibers, and those without light.
    """
    fibers = plug_fibers(seed, plate).select(fiber_numbers(camera))
    # Drawn for every fiber, used or not: which fibers are dark does not change the others.
    level = plate.random(seed, f"flux corrections {camera[1]}", expnum=expnum).uniform(0.7, 1.4, NFIBER)
    if plate.is_tutorial:
        level[(fibers.number == 1)] = CORRECTION_OF_FIBER_1[expnum]
    return np.where(fibers.sky | fibers.dark, 1, level)


@cache
def coadd_grid(plate: Plate = TUTORIAL) -> tuple[float, float, float, int]:
    """CRVAL1, CRPIX1, CD1_1 and number of points of the coadd's grid.

    The grid is multiples of 1e-4 dex from the first above the bluest calibrated pixel of the plate to the last below
    the reddest (idlspec2d ``spcoadd_v5``), so that pixels of many fibers lie beyond its ends.
    """
    ends = np.array([ends_of_data(camera, expnum) for camera in CAMERAS for expnum in plate.exposures])
    first = math.floor((ends[:, 0].min() - 3.5) / COADD_STEP) + 1
    last = math.floor((ends[:, 1].max() - 3.5) / COADD_STEP)
    return 3.5 + first * COADD_STEP, 1.0, COADD_STEP, last - first + 1


def ends_of_data(camera: str, expnum: int) -> tuple[float, float]:
    """log10 wavelength [Å] of the bluest and of the reddest pixel of a camera exposure that can have data."""
    rows = np.arange(DATA_ROWS[camera[0]][0], DATA_ROWS[camera[0]][1] + 1)
    loglam = wavelength(camera, expnum)(rows)
    data = loglam[is_calibrated(camera, loglam) & (lamp(camera[0], loglam) > LAMP_LIMIT)]
    return float(data.min()), float(data.max())


def distortion(seed: int, plate: Plate = TUTORIAL) -> NDArray[np.float32]:
    """Flux distortion of the plate on the coadd grid.

    Returns
    -------
    2D[1000, ncoadd]
        float32 D of all fibers: :data:`DISTORT_PLACE`, with x and y the focal position in units of the plate's radius
        and L = 1 - (5070 Å/wavelength)².
    """
    fibers = plug_fibers(seed, plate)
    x, y = fibers.xfocal[:, np.newaxis] / PLATE_RADIUS, fibers.yfocal[:, np.newaxis] / PLATE_RADIUS
    crval1, _, step, number = coadd_grid(plate)
    red = 1 - (5070 * power_of_ten(-(crval1 + np.arange(number) * step))) ** 2
    a, b, c = np.array(DISTORT_SPECTROGRAPH)[(fibers.number - 1) // NFIBER].T[..., np.newaxis]
    terms = zip(DISTORT_PLACE, (x, y, x * y, x**2, y**2), strict=True)
    place = log(1 + a) + sum(factor * term for factor, term in terms)
    slope = DISTORT_SLOPE[0] * x + DISTORT_SLOPE[1] * y + b
    distort = np.empty((x.size, number), dtype=np.float32)
    for block in fiber_blocks(x.size):
        distort[block] = exp(place[block] + slope[block] * red + c[block] * red**2)
    return distort


@dataclass(frozen=True)
class Instrument:
    """One camera exposure's way from flux to electrons, as the files store it.

    Attributes
    ----------
    seed : int
    plate : Plate
    camera : str
    expnum : int
    fibers : Fibers
        What is plugged into the camera's fibers.
    wave, dispersion, width : TraceSet
        log10 wavelength [Å], sigma of the line-spread function [rows], sigma of the spatial profile [pixels].
    loglam : 2D[nfiber, 4128]
        log10 wavelength [Å]; in blue the last 16 entries are beyond the CCD.
    x : 2D[nfiber, nrow]
        float32 CCD column of the trace [pixels].
    superflat, fiberflat : 2D[nfiber, nrow]
        float32 flat fields.
    spcalib : 2D[nfiber, nrow]
        float32 electrons per 1e-17 erg/s/cm²/Å in a bin of 1e-4 dex; 0 outside the calibrated range.
    corr : 2D[nfiber, 4128]
        float32 A [1]. B is 0.
    distort : 2D[nfiber, ncoadd]
        float32 D on the coadd grid.
    means : reduction.Means
        Of the whole stored spcalib, A and D, which set the thresholds.
    xsigma : float
        Largest of the four quadrants' median spatial widths [pixels].

    What follows from these is computed when it is asked for, so that a few fibers can be worked on at a time
    (:meth:`take`).
    """

    seed: int
    plate: Plate
    camera: str
    expnum: int
    fibers: Fibers
    wave: TraceSet
    dispersion: TraceSet
    width: TraceSet
    loglam: NDArray[np.float64]
    x: NDArray[np.float32]
    superflat: NDArray[np.float32]
    fiberflat: NDArray[np.float32]
    spcalib: NDArray[np.float32]
    corr: NDArray[np.float32]
    distort: NDArray[np.float32]
    means: reduction.Means
    xsigma: float

    def take(self, fibers: slice) -> Self:
        """The same for a slice of the fibers, without a copy."""
        images = ("loglam", "x", "superflat", "fiberflat", "spcalib", "corr", "distort")
        trace_sets = ("wave", "dispersion", "width")
        taken: dict[str, Any] = {name: getattr(self, name)[fibers] for name in images}
        taken |= {name: some_fibers(getattr(self, name), fibers) for name in trace_sets}
        return replace(self, fibers=self.fibers.take(fibers), **taken)

    @property
    def row(self) -> NDArray[np.int64]:
        """CCD rows, 1D[nrow]."""
        return np.arange(NROW[self.camera[0]])

    @cached_property
    def delta(self) -> NDArray[np.float64]:
        """Size of the rows [1e-4 dex], 2D[nfiber, nrow]."""
        return reduction.bin_size(self.wave, self.row)

    @cached_property
    def inv_distort(self) -> NDArray[np.float64]:
        """1/D at the rows, 2D[nfiber, nrow]."""
        return reduction.inverse_distortion(self.distort, coadd_grid(self.plate)[0], self.loglam[:, : self.row.size])

    @cached_property
    def lit(self) -> NDArray[np.bool_]:
        """True where there are data: rows that are not masked, fibers with light, a lamp that is bright enough."""
        return (self.fiberflat > 0) & (self.superflat > LAMP_LIMIT)

    @cached_property
    def flat(self) -> NDArray[np.float64]:
        """Superflat times fiber flat, 2D[nfiber, nrow]."""
        return self.superflat.astype(np.float64) * self.fiberflat

    @property
    def quadrant(self) -> NDArray[np.uint8]:
        """Index into the read noises, 2D[nfiber, nrow]."""
        return quadrant(self.row, self.x, {"b": "blue", "r": "red"}[self.camera[0]])

    @cached_property
    def pixel_noise(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Read noise of every row [electrons] and width of its profile [pixels], two 2D[nfiber, nrow]."""
        return np.array(READNOISE[self.camera])[self.quadrant], self.width(self.row)


def build_instrument(camera: str, expnum: int, seed: int, plate: Plate = TUTORIAL) -> Instrument:
    """The instrument of one camera exposure (:class:`Instrument`)."""
    row = np.arange(NROW[camera[0]])
    wave, columns, width = wavelength(camera, expnum), trace(camera), spatial_width(camera, seed, plate)
    loglam = np.empty((NFIBER, NROW_STORED))
    x, spcalib, superflat, widths = np.empty((4, NFIBER, row.size), dtype=np.float32)
    for block in fiber_blocks(NFIBER):
        loglam[block] = some_fibers(wave, block)(np.arange(NROW_STORED))
        on_ccd = loglam[block, : row.size]
        spcalib[block] = throughput(camera, expnum, on_ccd) * is_calibrated(camera, on_ccd)
        superflat[block] = lamp(camera[0], on_ccd)
        x[block] = some_fibers(columns, block)(row) + conditions(expnum).flexure / 2
        widths[block] = some_fibers(width, block)(row)
    corr = flux_correction(camera, expnum, seed, plate).astype(np.float32)
    corr = np.repeat(corr[:, np.newaxis], NROW_STORED, axis=1)
    distort = distortion(seed, plate)
    own = fiber_numbers(camera)
    of_quadrant = quadrant(row, x, {"b": "blue", "r": "red"}[camera[0]])
    return Instrument(
        seed=seed,
        plate=plate,
        camera=camera,
        expnum=expnum,
        fibers=plug_fibers(seed, plate).select(own),
        wave=wave,
        dispersion=dispersion(camera),
        width=width,
        loglam=loglam,
        x=x,
        superflat=superflat,
        fiberflat=fiber_flat(camera, seed, plate),
        spcalib=spcalib,
        corr=corr,
        distort=distort[own - 1],
        means=reduction.Means(*(float(image.mean(dtype=np.float64)) for image in (spcalib, corr, distort))),
        xsigma=max(float(np.median(widths[of_quadrant == number])) for number in range(4)),
    )
