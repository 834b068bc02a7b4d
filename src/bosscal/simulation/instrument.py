"""The simulated spectrographs: trace sets, flat fields, throughput, flux corrections and distortion.

What the files store is float32, and the equations of the calibration hold for what is stored, so everything
that goes into a file is rounded here, before any electron is made of it.
"""

from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bosscal.base.elementary import cosine, exp, log10, power_of_ten, sine
from bosscal.calibration.pipeline import coadd_loglam, inverse_distortion
from bosscal.simulation.plate import (
    FLAT,
    NFIBER,
    NROW,
    NROW_STORED,
    PLATE_RADIUS,
    Fibers,
    fiber_blocks,
    fiber_numbers,
    plug_fibers,
    random_stream,
)
from bosscal.simulation.spectra import loglam_grid, on_grid, smooth_curve
from bosscal.survey.ccd import quadrant
from bosscal.survey.tracesets import Jump, TraceSet, bin_size

NBUNDLE, BUNDLE = 25, 20  # fibers come in bundles that are glued to the slit head one by one

# RDNOISE0..3 [electrons]; those of b1 and r1 are the tutorial's.
READNOISE = {
    "b1": (2.24, 2.18, 2.07, 2.04),
    "b2": (2.05, 2.12, 2.03, 1.93),
    "r1": (2.90, 2.59, 2.53, 2.52),
    "r2": (2.86, 2.80, 2.74, 2.72),
}
# Light that reaches the camera [Å], and the range in which standard stars calibrate it (WAVEMIN, WAVEMAX).
LIT = {"b": (3560.0, 6380.0), "r": (5650.0, 10400.0)}
CALIBRATED = {"b1": (3563.05, 6292.65), "b2": (3609.5, 6336.5), "r1": (5655.0, 10349.5), "r2": (5655.0, 10394.5)}

# log10 of the electrons per 1e-17 erg/s/cm²/Å in a bin of 1e-4 dex. Its blue end in red is below 5 % of the mean.
LOG_THROUGHPUT = {
    "b": {
        3550: -0.5, 3600: -0.15, 3700: 0.2, 3850: 0.45, 4100: 0.7, 4500: 0.86, 5000: 0.92, 5500: 0.93, 5900: 0.83,
        6100: 0.58, 6200: 0.35, 6300: 0.05, 6400: -0.4,
    },
    "r": {
        5600: -1.4, 5700: -0.9, 5800: -0.3, 5900: 0.15, 6000: 0.55, 6200: 0.93, 6600: 1.2, 7200: 1.33, 8000: 1.4,
        8800: 1.37, 9400: 1.22, 9900: 0.9, 10200: 0.5, 10450: 0.1,
    },
}  # fmt: skip
TRANSPARENCY = {158842: 1.0, 158843: 0.93}
FLEXURE = {FLAT: 0.0, 158842: 0.0, 158843: 0.12}  # rows by which a spectrum has moved, and columns half as many

# Coadd grid of the distortion: CRVAL1, CRPIX1, CD1_1 and the number of points.
COADD_GRID, NCOADD = (3.551, 1.0, 1e-4), 4660

# Wavelength solutions. Coefficient k of a fiber is WAVE[band][k] . P(fiber), with P the Legendre polynomials of
# order 0-3 on fibers 0-499 -> [-1, 1]. Red is fitted to the trace set that pydl ships for its tests
# (pydl/pydlutils/tests/t/boss_traceset.fits, an r1 frame); blue to loglam of nine b1 spectra of plate 6118 (DR14),
# which fixes it but for the row at which a wavelength falls: that is chosen so that the slit is as curved as in red.
WAVE = {
    "b": np.array([
        [3.67297575, 1.29003e-3, 1.6121e-3, -5.437e-5],
        [2.0445337e-1, -3.603e-4, -1.39627e-3, 6.29e-6],
        [-2.396809e-2, -4.759e-5, 1.2904e-4, 2.831e-5],
        [3.9878e-4, 5.997e-5, 3.1954e-4, -3.215e-5],
        [6.5651e-4, -3.012e-5, -1.0869e-4, 1.686e-5],
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
RED_JUMP = Jump(2062.5, 2064.5, float(np.float32(1 / 3)))  # stored as float32


def _fiber_argument() -> NDArray[np.float64]:
    return np.linspace(-1, 1, NFIBER)


def some_fibers(trace_set: TraceSet, fibers: slice) -> TraceSet:
    """The trace set of a slice of its fibers."""
    return replace(trace_set, coeff=trace_set.coeff[fibers])


def _across_band(camera: str, loglam: NDArray) -> NDArray[np.float64]:
    """-1 at the blue end of the camera's light, +1 at the red end, linear in log10 wavelength, constant beyond."""
    low, high = log10(LIT[camera[0]])
    return np.clip(2 * (loglam - low) / (high - low) - 1, -1, 1)


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
    if camera[1] == "2":  # the real spectrograph 2 lies about ten rows off spectrograph 1
        coeff[:, 0] += 0.8e-3
    coeff[:, 0] += FLEXURE[expnum] * 0.9e-4  # dex per row
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


def spatial_width(camera: str, seed: int) -> TraceSet:
    """Trace set of the Gaussian sigma of the spatial profile [pixels]: 500 fibers, 3 coefficients, 1.0-1.25."""
    random = random_stream(seed, "spatial width", camera)
    argument = _fiber_argument()
    middle = {"b": 1.055, "r": 1.13}[camera[0]]
    coeff = np.empty((NFIBER, 3))
    # The focus is best half-way out and is a little different for every bundle.
    bundles = np.repeat(random.uniform(-0.01, 0.01, NBUNDLE), BUNDLE)
    coeff[:, 0] = middle + 0.02 * cosine(3 * argument / (2 * np.pi)) + bundles
    coeff[:, 1] = 0.008 * argument
    coeff[:, 2] = 0.012 + 0.006 * argument**2
    return TraceSet(coeff, 0.0, NROW[camera[0]] - 1.0)


def flat_fields(camera: str, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Superflat and fiber flat.

    Parameters
    ----------
    camera : str
    seed : int

    Returns
    -------
    superflat, fiberflat : 2D[nfiber, nrow]
        float32. The fiber flat is 0 where no light reaches the camera: in rows beyond either end of the
        spectrum, and in fibers that are dead or unplugged.
    """
    random = random_stream(seed, "flat fields", camera)
    dark = plug_fibers(seed).select(fiber_numbers(camera)).dark
    row = np.arange(NROW[camera[0]])
    low, high = log10(LIT[camera[0]])
    wave = wavelength(camera, FLAT)
    phase = random.random((NFIBER, 1))
    scatter = np.clip(random.normal(1, 0.07, NFIBER), 0.75, 1.25)[:, np.newaxis]
    tilt = random.normal(0, 0.02, NFIBER)[:, np.newaxis]

    superflat, fiberflat = np.empty((2, NFIBER, row.size), dtype=np.float32)
    # sin(row + phase), the sines and cosines taken of each alone.
    row_sine, row_cosine, sine_phase, cosine_phase = sine(row / 350), cosine(row / 350), sine(phase), cosine(phase)
    for block in fiber_blocks(NFIBER):
        loglam = some_fibers(wave, block)(row)
        argument = _across_band(camera, loglam)
        ripple = 0.01 * (row_sine * cosine_phase[block] + row_cosine * sine_phase[block])
        superflat[block] = 1 + 0.06 * argument - 0.08 * argument**2 + ripple
        flat = scatter[block] * (1 + tilt[block] * argument)
        flat *= 1 + 0.004 * random.standard_normal(loglam.shape)
        flat[(loglam < low) | (loglam > high)] = 0
        flat[dark[block]] = 0
        fiberflat[block] = flat
    return superflat, fiberflat


@cache
def _throughput_curve(band: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Grid of log10 wavelength [Å] and throughput at transparency 1, two 1D[npoint]."""
    grid = loglam_grid(3000, 11500)
    return grid, power_of_ten(smooth_curve(grid, LOG_THROUGHPUT[band], width=0.003))


def throughput(camera: str, expnum: int, loglam: NDArray) -> NDArray[np.float64]:
    """Electrons per 1e-17 erg/s/cm²/Å in a bin of 1e-4 dex, at log10 wavelengths [Å], for a unit flat field."""
    return TRANSPARENCY[expnum] * on_grid(*_throughput_curve(camera[0]), loglam)


def is_calibrated(camera: str, loglam: NDArray) -> NDArray[np.bool_]:
    """True between WAVEMIN and WAVEMAX; beyond them the pipeline stores spcalib = 0."""
    low, high = log10(CALIBRATED[camera])
    return (loglam >= low) & (loglam <= high)


def flux_correction(camera: str, expnum: int, seed: int, loglam: NDArray) -> NDArray[np.float32]:
    """Multiplicative flux correction; the additive one is 0, as in every release.

    Parameters
    ----------
    camera : str
    expnum, seed : int
    loglam : 2D[nfiber, nrow]
        log10 wavelength [Å].

    Returns
    -------
    2D[nfiber, nrow]
        float32 A [1], a parabola in loglam between 0.5 and 2. Sky fibers, and those without light, have A = 1.
    """
    fibers = plug_fibers(seed).select(fiber_numbers(camera))
    random = random_stream(seed, "flux corrections", camera, expnum)
    # Drawn for every fiber, used or not: which fibers are dark does not change the others.
    level, tilt, bend = random.uniform([[0.7], [-0.2], [-0.08]], [[1.45], [0.2], [0.08]], (3, NFIBER))[..., np.newaxis]
    corrected = ~(fibers.sky | fibers.dark)
    corr = np.empty(loglam.shape, dtype=np.float32)
    for block in fiber_blocks(NFIBER):
        argument = _across_band(camera, loglam[block])
        parabola = level[block] * (1 + tilt[block] * argument + bend[block] * argument**2)
        corr[block] = np.where(corrected[block, np.newaxis], parabola, 1)
    return corr


def distortion(seed: int) -> NDArray[np.float32]:
    """Flux distortion of the plate on the coadd grid.

    Returns
    -------
    2D[1000, ncoadd]
        float32 D for all fibers: (1 + a0) exp(a2 x + a3 y + a4 x y + a5 x² + a6 y² + (a7 x + a8 y + a9) L + a11 L²),
        x and y the focal position in units of the plate's radius, L = 1 - (5070 Å/wavelength)².
    """
    random = random_stream(seed, "flux distortion")
    a0, a2, a3, a4, a5, a6, a7, a8, a9, a11 = random.normal(0, 0.015, 10)
    fibers = plug_fibers(seed)
    x, y = fibers.xfocal[:, np.newaxis] / PLATE_RADIUS, fibers.yfocal[:, np.newaxis] / PLATE_RADIUS
    red = 1 - (5070 * power_of_ten(-coadd_loglam(np.arange(NCOADD), COADD_GRID))) ** 2
    position = a2 * x + a3 * y + a4 * x * y + a5 * x**2 + a6 * y**2
    slope = a7 * x + a8 * y + a9
    distort = np.empty((x.size, NCOADD), dtype=np.float32)
    for block in fiber_blocks(x.size):
        distort[block] = (1 + a0) * exp(position[block] + slope[block] * red + a11 * red**2)
    return distort


@dataclass(frozen=True)
class Instrument:
    """One camera exposure's way from flux to electrons, as the files store it.

    Attributes
    ----------
    seed : int
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
    means : dict
        spcalib_mean, corr_mean, distort_mean: means of the whole stored images, which set the thresholds.
    xsigma : float
        Median spatial width of the camera [pixels].

    What follows from these is computed when it is asked for, so that a few fibers can be worked on at a time
    (:meth:`take`).
    """

    seed: int
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
    means: dict[str, float]
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
        return bin_size(self.wave, self.row)

    @cached_property
    def inv_distort(self) -> NDArray[np.float64]:
        """1/D at the rows, 2D[nfiber, nrow]."""
        return inverse_distortion(self.distort, COADD_GRID, self.loglam[:, : self.row.size])

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


def build_instrument(camera: str, expnum: int, seed: int) -> Instrument:
    """The instrument of one camera exposure (:class:`Instrument`)."""
    row = np.arange(NROW[camera[0]])
    wave, columns, width = wavelength(camera, expnum), trace(camera), spatial_width(camera, seed)
    loglam = np.empty((NFIBER, NROW_STORED))
    widths = np.empty((NFIBER, row.size))
    x, spcalib = np.empty((2, NFIBER, row.size), dtype=np.float32)
    for block in fiber_blocks(NFIBER):
        loglam[block] = some_fibers(wave, block)(np.arange(NROW_STORED))
        on_ccd = loglam[block, : row.size]
        spcalib[block] = throughput(camera, expnum, on_ccd) * is_calibrated(camera, on_ccd)
        x[block] = some_fibers(columns, block)(row) + FLEXURE[expnum] / 2
        widths[block] = some_fibers(width, block)(row)
    superflat, fiberflat = flat_fields(camera, seed)
    corr = flux_correction(camera, expnum, seed, loglam)
    distort = distortion(seed)
    means = {"spcalib_mean": spcalib, "corr_mean": corr, "distort_mean": distort}
    own = fiber_numbers(camera)
    return Instrument(
        seed=seed,
        camera=camera,
        expnum=expnum,
        fibers=plug_fibers(seed).select(own),
        wave=wave,
        dispersion=dispersion(camera),
        width=width,
        loglam=loglam,
        x=x,
        superflat=superflat,
        fiberflat=fiberflat,
        spcalib=spcalib,
        corr=corr,
        distort=distort[own - 1],
        means={name: float(image.mean(dtype=np.float64)) for name, image in means.items()},
        xsigma=float(np.median(widths, overwrite_input=True)),
    )
