"""From true flux to what the extraction records: the calibration run backwards, with noise."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from bosscal.base.arithmetic import inverse
from bosscal.base.elementary import cosine, log10
from bosscal.noise.laws.optimal import optimal_variance
from bosscal.noise.sky import sky_term
from bosscal.simulation.instrument import LIT, READNOISE, Instrument, build_instrument, throughput
from bosscal.simulation.plate import Fibers, random_stream
from bosscal.simulation.spectra import is_bright_sky, loglam_grid, object_flux, on_grid, sky_electrons

# Bits of SPPIXMASK that the simulation sets.
NOPLUG, BADTRACE, BADFLAT = 1 << 0, 1 << 1, 1 << 2
NEARBADPIXEL, FULLREJECT, PARTIALREJECT = 1 << 16, 1 << 18, 1 << 19
BRIGHTSKY, NODATA, BADFLUXFACTOR = 1 << 23, 1 << 24, 1 << 26

REJECTED_FRACTION = 0.002  # of all pixels with light


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
        Flat-fielded electrons per row of object and sky; 0 where not lit. The sky is stored as it is: its model
        has no error of its own, and what sky subtraction adds to the noise is drawn with the electrons.
    electrons : 2D[nfiber, nrow]
        Detected electrons per row, superflat · fiberflat · (eflux + esky).
    sky_chi2 : 2D[nfiber, nrow]
        Relative chi² of the sky fibers, a smooth function of wavelength alone.
    sky_variance : 2D[nfiber, nrow]
        Variance of a typical sky fiber [flat-fielded electrons²]: unit flat, the camera's mean read noise and
        median spatial width.
    variance : 2D[nfiber, nrow]
        Variance with which ``electrons`` are drawn [electrons²].
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
        the extraction alone.
    mask : int32
        SPPIXMASK bits.
    """

    eflux: NDArray[np.float32]
    esky: NDArray[np.float32]
    eivar: NDArray[np.float32]
    mask: NDArray[np.int32]


def sky_chi2(camera: str, expnum: int, seed: int, loglam: NDArray) -> NDArray[np.float64]:
    """Relative chi² of the sky fibers at log10 wavelengths [Å]: 1.05-1.5, another curve for every exposure."""
    return on_grid(*_sky_chi2_curve(camera, expnum, seed), loglam)


@cache
def _sky_chi2_curve(camera: str, expnum: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Grid of log10 wavelength [Å] and relative chi², two 1D[npoint]."""
    random = random_stream(seed, "sky chi2", camera, expnum)
    grid = loglam_grid(2500, 11500)
    low, high = log10(LIT[camera[0]])
    argument = (grid - low) / (high - low)
    slow, fast = random.random(2)
    wave = 0.65 * cosine(0.7 * argument + slow) + 0.35 * cosine(1.9 * argument + fast)
    return grid, 1.275 + 0.22 * wave


def truth(camera: str, expnum: int, seed: int) -> Truth:
    """What is true of one camera exposure.

    Parameters
    ----------
    camera : {"b1", "b2", "r1", "r2"}
    expnum, seed : int

    Returns
    -------
    Truth
    """
    return truth_with(build_instrument(camera, expnum, seed))


def truth_with(instrument: Instrument) -> Truth:
    """The same as :func:`truth` for an instrument that is there already, or for some of its fibers."""
    seed, camera, expnum, fibers = instrument.seed, instrument.camera, instrument.expnum, instrument.fibers
    nrow = instrument.row.size
    loglam = instrument.loglam[:, :nrow]
    corr = instrument.corr[:, :nrow]
    lit = instrument.fiberflat > 0
    flux = object_flux(fibers, loglam)
    # flux = eflux A D / (Delta spcalib), solved for eflux; light also falls where no standard calibrates it.
    per_flux = throughput(camera, expnum, loglam) * instrument.delta / corr
    eflux = lit * flux * instrument.inv_distort * per_flux
    esky = lit * sky_electrons(camera[0], expnum, loglam) * instrument.delta

    flat = instrument.flat
    electrons = flat * (eflux + esky)
    chi2 = sky_chi2(camera, expnum, seed, loglam)
    sky_variance = optimal_variance(esky, np.mean(READNOISE[camera]), instrument.xsigma)
    variance = optimal_variance(electrons, *instrument.pixel_noise) + flat**2 * sky_term(chi2, sky_variance)
    return Truth(
        seed, camera, expnum, fibers, loglam, lit, flux, eflux, esky, electrons, chi2, sky_variance, variance
    )  # fmt: skip


def noise_streams(camera: str, expnum: int, seed: int) -> list[np.random.Generator]:
    """Streams of random numbers for the electrons and for the rejected pixels of a camera exposure."""
    return [random_stream(seed, purpose, camera, expnum) for purpose in ("electrons", "rejected pixels")]


def observe(truth: Truth, instrument: Instrument, streams: list[np.random.Generator]) -> Observation:
    """Record electrons with noise, and estimate their variance from themselves, as the pipeline has to.

    Parameters
    ----------
    truth : Truth
    instrument : Instrument
        Both of all fibers, or of the next fibers.
    streams : list
        :func:`noise_streams` of the camera exposure, from which all fibers' noise is drawn in order.

    Returns
    -------
    Observation
    """
    random, random_rejection = streams
    flat = instrument.flat
    inverse_flat = inverse(flat)
    esky = truth.esky.astype(np.float32)
    electrons = truth.electrons + np.sqrt(truth.variance) * random.standard_normal(truth.electrons.shape)
    eflux = ((electrons * inverse_flat - esky) * truth.lit).astype(np.float32)

    recorded = flat * (eflux.astype(np.float64) + esky)
    variance = optimal_variance(recorded, *instrument.pixel_noise) * inverse_flat**2
    mask, rejected = _mask(truth, random_rejection)
    eivar = np.where(truth.lit & ~rejected, inverse(variance), 0)
    return Observation(eflux, esky, eivar.astype(np.float32), mask)


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
