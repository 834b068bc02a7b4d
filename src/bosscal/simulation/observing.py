"""From true flux to what the extraction records: the calibration run backwards, with noise."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from bosscal.base.arithmetic import inverse
from bosscal.base.elementary import cosine, log10
from bosscal.base.splines import Spline
from bosscal.noise.laws.optimal import optimal_variance
from bosscal.noise.laws.optimal_noisy import noisy_weights_ratio, noisy_weights_scatter
from bosscal.noise.sky import sky_term
from bosscal.simulation.extraction import expose_and_extract
from bosscal.simulation.instrument import (
    BUNDLE,
    CALIBRATED,
    NBUNDLE,
    READNOISE,
    Instrument,
    build_instrument,
    lamp,
    throughput,
)
from bosscal.simulation.plate import NFIBER, TUTORIAL, Fibers, Plate, fiber_blocks
from bosscal.simulation.spectra import is_bright_sky, loglam_grid, object_flux, on_grid, sky_electrons

# Bits of SPPIXMASK that the simulation sets.
NOPLUG, BADTRACE, BADFLAT = 1 << 0, 1 << 1, 1 << 2
NEARBADPIXEL, FULLREJECT, PARTIALREJECT = 1 << 16, 1 << 18, 1 << 19
BRIGHTSKY, NODATA, BADFLUXFACTOR = 1 << 23, 1 << 24, 1 << 26

REJECTED_FRACTION = 0.002  # of all pixels with light
EXTRACTED_BUNDLES = (0, NBUNDLE - 1)  # whose noise comes from pixels; the tutorial's fibers are in them
SKY_MODEL_STEP = 0.01  # dex between breakpoints of what the extraction loses of the sky


@dataclass(frozen=True)
class Truth:
    """What is true of one camera exposure, before noise.

    Attributes
    ----------
    seed : int
    camera : str
    expnum : int
    fibers : Fibers
        The 500 fibers of the camera: which are sky, dead, unplugged.
    loglam : 2D[nfiber, nrow]
        log10 wavelength [Å].
    lit : 2D[nfiber, nrow]
        True where light reaches the camera.
    flux : 2D[nfiber, nrow]
        True object flux [1e-17 erg/s/cm²/Å]; 0 for sky fibers.
    eflux, esky : 2D[nfiber, nrow]
        Flat-fielded electrons per row of object and sky; 0 where not lit.
    electrons : 2D[nfiber, nrow]
        Detected electrons per row, superflat · fiberflat · (eflux + esky).
    sky_chi2 : 2D[nfiber, nrow]
        Relative chi² of the sky fibers, a smooth function of wavelength alone.
    sky_variance : 2D[nfiber, nrow]
        Variance of a typical sky fiber [flat-fielded electrons²]: a fiber flat of 1, the camera's mean read noise and
        its XSIGMA.
    variance : 2D[nfiber, nrow]
        Variance of ``electrons`` [electrons²]: that of the optimal extraction, and sky subtraction's.
    """

    seed: int
    camera: str
    expnum: int
    fibers: Fibers
    loglam: NDArray[np.float64]
    lit: NDArray[np.bool_]
    flux: NDArray[np.float64]
    eflux: NDArray[np.float64]
    esky: NDArray[np.float64]
    electrons: NDArray[np.float64]
    sky_chi2: NDArray[np.float64]
    sky_variance: NDArray[np.float64]
    variance: NDArray[np.float64]


@dataclass(frozen=True)
class Observation:
    """What the extraction records, as spFrame stores it. Each 2D[nfiber, nrow].

    Attributes
    ----------
    eflux, esky, eivar : float32
        Sky-subtracted flat-fielded electrons per row, the sky that was subtracted, inverse variance of eflux: that of
        the extraction alone. The sky is the true one less what the extraction loses of it on average.
    mask : int32
        SPPIXMASK bits.
    """

    eflux: NDArray[np.float32]
    esky: NDArray[np.float32]
    eivar: NDArray[np.float32]
    mask: NDArray[np.int32]


def sky_chi2(camera: str, expnum: int, seed: int, loglam: NDArray, plate: Plate = TUTORIAL) -> NDArray[np.float64]:
    """Relative chi² of the sky fibers at log10 wavelengths [Å]: 1.00-1.08, another curve for every exposure."""
    return on_grid(*_sky_chi2_curve(camera, expnum, seed, plate), loglam)


@cache
def _sky_chi2_curve(
    camera: str, expnum: int, seed: int, plate: Plate
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Grid of log10 wavelength [Å] and relative chi², two 1D[npoint]."""
    random = plate.random(seed, "sky chi2", camera, expnum)
    grid = loglam_grid(2500, 11500)
    low, high = log10(CALIBRATED[camera])
    argument = (grid - low) / (high - low)
    slow, fast = random.random(2)
    wave = 0.65 * cosine(0.7 * argument + slow) + 0.35 * cosine(1.9 * argument + fast)
    return grid, 1.04 + 0.04 * wave


def truth(camera: str, expnum: int, seed: int, plate: Plate = TUTORIAL) -> Truth:
    """What is true of one camera exposure.

    Parameters
    ----------
    camera : {"b1", "b2", "r1", "r2"}
    expnum, seed : int
    plate : Plate

    Returns
    -------
    Truth
    """
    return truth_with(build_instrument(camera, expnum, seed, plate))


def truth_with(instrument: Instrument) -> Truth:
    """The same as :func:`truth` for an instrument that is there already, or for some of its fibers."""
    seed, camera, expnum, fibers = instrument.seed, instrument.camera, instrument.expnum, instrument.fibers
    nrow = instrument.row.size
    loglam = instrument.loglam[:, :nrow]
    corr = instrument.corr[:, :nrow]
    lit = instrument.lit
    flux = object_flux(fibers, loglam)
    # flux = eflux A D / (Delta spcalib), solved for eflux; light also falls where no standard calibrates it.
    per_flux = throughput(camera, expnum, loglam) * instrument.delta / corr
    eflux = lit * flux * instrument.inv_distort * per_flux
    # The curve of the sky is in electrons that a fiber flat of 1 detects.
    superflat = lamp(camera[0], loglam)
    esky = lit * sky_electrons(camera[0], expnum, loglam) * instrument.delta / superflat

    flat = instrument.flat
    electrons = flat * (eflux + esky)
    chi2 = sky_chi2(camera, expnum, seed, loglam, instrument.plate)
    mean_readnoise = np.mean(READNOISE[camera])
    sky_variance = optimal_variance(superflat * esky, mean_readnoise, instrument.xsigma) * inverse(superflat) ** 2
    variance = optimal_variance(electrons, *instrument.pixel_noise) + flat**2 * sky_term(chi2, sky_variance)
    return Truth(
        seed, camera, expnum, fibers, loglam, lit, flux, eflux, esky, electrons, chi2, sky_variance, variance
    )  # fmt: skip


def observe(instrument: Instrument) -> Observation:
    """Record a camera exposure's electrons with noise and their variance, estimated from themselves.

    Two bundles and all sky fibers are extracted from pixels (:mod:`bosscal.simulation.extraction`). Of the others,
    electrons are drawn with the variance of the optimal law, and less the few that noisy weights lose of the sky
    fibers; their stated variance is that law times the ratio and the scatter that noisy weights have.
    """
    camera, expnum, seed = instrument.camera, instrument.expnum, instrument.seed
    shape = instrument.fiberflat.shape
    electrons, extracted, variance = np.zeros((3, *shape))
    esky = np.zeros(shape)
    of_subtraction = np.zeros(shape, dtype=np.float32)
    mask, rejected = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=bool)
    random, of_law, of_rejection = (
        instrument.plate.random(seed, purpose, camera, expnum)
        for purpose in ("electrons", "stated variance", "rejected pixels")
    )
    for block in fiber_blocks(NFIBER):
        tool = instrument.take(block)
        true = truth_with(tool)
        electrons[block], esky[block] = true.electrons, true.esky
        # What sky subtraction gets wrong, in flat-fielded electrons.
        rms = np.sqrt(sky_term(true.sky_chi2, true.sky_variance))
        of_subtraction[block] = rms * random.standard_normal(rms.shape)
        mask[block], rejected[block] = _mask(true, of_rejection)

    from_pixels = _from_pixels(instrument, electrons, extracted, variance)
    lost = _lost_sky(instrument, electrons, extracted)
    esky32, eflux, eivar = np.zeros((3, *shape), dtype=np.float32)
    for block in fiber_blocks(NFIBER):
        tool, flat = instrument.take(block), instrument.flat[block]
        by_law = ~from_pixels[block]
        missing = on_grid(*lost, tool.loglam[:, : shape[1]])
        if by_law.any():
            noise = (tool.pixel_noise[0][by_law], tool.pixel_noise[1][by_law])
            rms = np.sqrt(optimal_variance(electrons[block][by_law], *noise))
            number = electrons[block][by_law] + (flat * missing)[by_law] + rms * random.standard_normal(rms.shape)
            spread = noisy_weights_scatter(number, *noise) * np.clip(of_law.standard_normal(rms.shape), -4, 4)
            stated = optimal_variance(number, *noise) * noisy_weights_ratio(number, *noise) * (1 + spread)
            extracted[block][by_law], variance[block][by_law] = number, stated
        lit, inverse_flat = tool.lit, inverse(flat)
        esky32[block] = lit * (esky[block] + missing)
        eflux[block] = lit * (extracted[block] * inverse_flat + of_subtraction[block] - esky32[block])
        good = lit & ~rejected[block]
        eivar[block] = np.where(good, inverse(variance[block] * inverse_flat**2), 0)
    return Observation(eflux, esky32, eivar, mask)


def _from_pixels(instrument: Instrument, electrons: NDArray, extracted: NDArray, variance: NDArray) -> NDArray:
    """Extract two bundles and all sky fibers into the last two arrays; which fibers these are, 1D[nfiber] of bool."""
    random = instrument.plate.random(instrument.seed, "pixels", instrument.camera, instrument.expnum)
    sigma, x, row, lit = instrument.width(instrument.row), instrument.x, instrument.row, instrument.lit
    done = np.zeros(NFIBER, dtype=bool)
    for bundle in EXTRACTED_BUNDLES:
        fibers = slice(bundle * BUNDLE, (bundle + 1) * BUNDLE)
        rows = np.flatnonzero(lit[fibers].any(axis=0))
        extracted[fibers, rows], variance[fibers, rows] = expose_and_extract(
            electrons[fibers, rows], x[fibers, rows], sigma[fibers, rows], row[rows], instrument.camera, random
        )
        done[fibers] = True
    # Sky fibers elsewhere lie apart, each with no light of its neighbors.
    alone = np.flatnonzero(instrument.fibers.sky & ~done)
    fiber, rows = np.nonzero(lit[alone])
    pixel = alone[fiber], rows
    of_pixel = [np.asarray(values[pixel])[np.newaxis] for values in (electrons, x, sigma)]
    found, stated = expose_and_extract(of_pixel[0], of_pixel[1], of_pixel[2], rows, instrument.camera, random)
    extracted[pixel], variance[pixel] = found[0], stated[0]
    done[alone] = True
    return done


def _lost_sky(instrument: Instrument, electrons: NDArray, extracted: NDArray) -> tuple[NDArray, NDArray]:
    """What the extraction finds more of the sky than there is, on average (less, since noisy weights lose electrons).

    Returns
    -------
    loglam, lost : 1D[npoint]
        Even log10 wavelengths [Å], and flat-fielded electrons: a spline through all sky fibers.
    """
    sky = np.flatnonzero(instrument.fibers.sky & ~instrument.fibers.dark)
    fiber, row = np.nonzero(instrument.lit[sky])
    pixel = sky[fiber], row
    loglam = instrument.loglam[pixel]
    order = np.argsort(loglam, kind="stable")
    flat, loglam = instrument.flat[pixel][order], loglam[order]
    residual = (extracted[pixel] - electrons[pixel])[order] * inverse(flat)
    # The weight is of detected electrons, in which the loss is much the same everywhere.
    breakpoints = np.linspace(loglam[0], loglam[-1], round((loglam[-1] - loglam[0]) / SKY_MODEL_STEP) + 1)
    grid = loglam_grid(3000, 11500)
    return grid, Spline(loglam, residual, flat**2, breakpoints, 4)(grid)


def fiber_mask(fibers: Fibers) -> NDArray[np.int32]:
    """SPPIXMASK bits of whole fibers, 1D[nfiber] int32: the FIBERMASK of spFlat."""
    return (NOPLUG * fibers.unplugged | (BADTRACE | BADFLAT) * fibers.dead).astype(np.int32)


def _mask(truth: Truth, random: np.random.Generator) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """SPPIXMASK bits, 2D[nfiber, nrow] int32, and which pixels have no inverse variance left."""
    rejected = truth.lit & (random.random(truth.lit.shape, dtype=np.float32) < REJECTED_FRACTION)
    near = np.zeros_like(rejected)  # a cosmic ray touches the rows beside, which keep their inverse variance
    near[:, 1:] |= rejected[:, :-1]
    near[:, :-1] |= rejected[:, 1:]
    bright = truth.lit & is_bright_sky(truth.camera[0], truth.expnum, truth.loglam)
    mask = np.zeros(truth.lit.shape, dtype=np.int32)
    mask |= fiber_mask(truth.fibers)[:, np.newaxis]
    mask |= np.where(truth.lit, 0, NODATA).astype(np.int32)
    mask |= np.where(rejected, NEARBADPIXEL | FULLREJECT | PARTIALREJECT, 0).astype(np.int32)
    mask |= np.where(near & truth.lit, NEARBADPIXEL, 0).astype(np.int32)
    mask |= np.where(bright, BRIGHTSKY, 0).astype(np.int32)
    return mask, rejected
