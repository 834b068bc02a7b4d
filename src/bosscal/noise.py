"""The noise of an extracted spectrum: read noise by quadrant and the variance laws of ``docs/noise.md``.

All laws take (electrons, readnoise, sigma), which broadcast against each other, and return float64
electrons² per extracted row. The spatial profile p is a Gaussian of width sigma *integrated* over pixels, as
in the pipeline (idlspec2d ``gausspix``), and a law that depends on where in a pixel the trace runs is averaged
over that phase, which changes the variance by 5e-5 at sigma = 1 and 1.4e-3 at sigma = 0.8.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

# First CCD row and column of the upper amplifiers (idlspec2d ``sdssproc``).
AMPLIFIER_SPLIT = {"blue": (2056, 2048), "red": (2064, 2057)}

# Index into RDNOISE0..3 = weight of the upper column + weight of the upper row.
QUADRANT_ORDER = {
    "image": (2, 1),  # how sdssproc fills its noise image, so what is in every published variance
    "measured": (1, 2),  # which amplifier's bias region each keyword was measured on
}

SIGMA_RANGE = (0.5, 3.0)  # widths [pixels] that the profile sums are tabulated for

# The tables below are filled by interpolation between Chebyshev nodes, so building them takes 0.1 s, and are
# fine enough for linear look-up: 5e-6 of the variance at worst (tests/test_noise.py).
_SIGMA_STEP = 0.005
_LEVEL_STEP = 0.02
_LEVEL_MAX = math.log1p(1e8)  # of N/r²; beyond, read noise is below 1e-6 of the variance
_PHASES = (np.arange(8) + 0.5) / 16  # half a pixel: the profile is symmetric

GAUSSIAN_CHI2 = 0.9359  # 2/3 quantile of chi² with one degree of freedom
QUANTILE_ERROR = 1.95  # relative error of that quantile, times the root of the number of values
_VARIANCE_BIN_ROWS = 4 / 3  # rows over which the variance of a sky fiber is constant: a line of the sky takes 2 to 3
SKY_BIN_ROWS = 48  # rows over which chi² is taken to be constant: 4 % noise with 40 sky fibers


def quadrant(row, x, band, order="image"):
    """Read-noise quadrant of every pixel.

    Parameters
    ----------
    row : 1D[nrow]
        CCD rows.
    x : 2D[nfiber, nrow]
        CCD column of the trace.
    band : {"blue", "red"}
    order : {"image", "measured"}
        "image": q = 2 [x >= X] + [row >= Y], as in the pipeline's noise image. "measured": q = [x >= X] +
        2 [row >= Y], the amplifier that RDNOISEq was measured on. They differ in two of the four quadrants.

    Returns
    -------
    2D[nfiber, nrow]
        Index into RDNOISE0..3.
    """
    split_row, split_column = AMPLIFIER_SPLIT[band]
    of_column, of_row = QUADRANT_ORDER[order]
    return of_column * (np.asarray(x) >= split_column) + of_row * (np.asarray(row) >= split_row)


def profile(sigma, phase):
    """Gaussian of unit area integrated over pixels.

    Parameters
    ----------
    sigma : float
        Width [pixels].
    phase : float
        Center of the profile relative to the center of a pixel [pixels].

    Returns
    -------
    1D[2 reach + 1]
        Fractions of the light in pixels -reach to reach, beyond 9 sigma (1e-18 of the light is left out).
    """
    reach = math.ceil(9 * sigma) + 1
    edges = np.arange(-reach, reach + 2) - 0.5 - phase
    return np.diff([0.5 * math.erf(edge / (sigma * math.sqrt(2))) for edge in edges])


def _chebyshev_nodes(low, high, number):
    return (low + high) / 2 + (high - low) / 2 * np.polynomial.chebyshev.chebpts1(number)


def _chebyshev_matrix(low, high, number, points):
    """Matrix from values at the Chebyshev nodes to the interpolating polynomial's values at ``points``."""
    nodes = np.polynomial.chebyshev.chebvander(np.polynomial.chebyshev.chebpts1(number), number - 1)
    argument = np.clip((2 * points - low - high) / (high - low), -1, 1)
    return np.polynomial.chebyshev.chebvander(argument, number - 1) @ np.linalg.inv(nodes)


def _grid(low, high, step):
    return np.linspace(low, high, round((high - low) / step) + 1)


@cache
def _effective_width_table():
    """W of :func:`optimal_variance` on a grid of sigma and ln(1 + N/r²), 2D[nsigma, nlevel]."""
    nsigma, nlevel = 40, 80
    ratio = np.expm1(_chebyshev_nodes(0, _LEVEL_MAX, nlevel))[:, np.newaxis]
    coarse = np.empty((nsigma, nlevel))
    for index, sigma in enumerate(_chebyshev_nodes(*SIGMA_RANGE, nsigma)):
        profiles = [profile(sigma, phase) for phase in _PHASES]
        coarse[index] = np.mean([1 / (p**2 / (ratio * p + 1)).sum(axis=1) - ratio[:, 0] for p in profiles], axis=0)
    to_sigma = _chebyshev_matrix(*SIGMA_RANGE, nsigma, _grid(*SIGMA_RANGE, _SIGMA_STEP))
    to_level = _chebyshev_matrix(0, _LEVEL_MAX, nlevel, _grid(0, _LEVEL_MAX, _LEVEL_STEP))
    return to_sigma @ coarse @ to_level.T


@cache
def _profile_sums_table():
    """sigma [pixels], 1/Σp² and Σp³/(Σp²)², averaged over phase, as three 1D[nsigma]."""
    sigma = _grid(*SIGMA_RANGE, _SIGMA_STEP)
    profiles = [[profile(width, phase) for phase in _PHASES] for width in sigma]
    readout = [np.mean([1 / (p**2).sum() for p in phases]) for phases in profiles]
    photons = [np.mean([(p**3).sum() / (p**2).sum() ** 2 for p in phases]) for phases in profiles]
    return sigma, np.array(readout), np.array(photons)


def _position(value, low, high, size):
    """Index of the grid point to the left and the fraction of a step beyond it; NaN fraction outside the grid."""
    position = (value - low) * ((size - 1) / (high - low))
    inside = (position >= 0) & (position <= size - 1)
    index = np.minimum(np.where(inside, position, 0).astype(np.int64), size - 2)
    return index, np.where(inside, position - index, np.nan)


def effective_width(ratio, sigma):
    """Number of pixels whose read noise enters an optimally weighted extraction.

    Parameters
    ----------
    ratio : array
        N/r²: electrons per row over the variance of one pixel's read noise.
    sigma : array
        Spatial width of the profile [pixels], within :data:`SIGMA_RANGE`; NaN results outside.

    Returns
    -------
    array
        W = 1/Σ[p²/(N/r² p + 1)] - N/r²: 2√π sigma for N << r², growing as 2 sigma √(2 ln(N/(r² sigma √2π)))
        for N >> r², by linear interpolation in a table.
    """
    table = _effective_width_table()
    nsigma, nlevel = table.shape
    row, up = _position(np.asarray(sigma, dtype=np.float64), *SIGMA_RANGE, nsigma)
    column, right = _position(np.minimum(np.log1p(ratio), _LEVEL_MAX), 0, _LEVEL_MAX, nlevel)
    flat, corner = table.ravel(), row * nlevel + column
    low, high = flat[corner], flat[corner + nlevel]
    low = low + right * (flat[corner + 1] - low)
    high = high + right * (flat[corner + nlevel + 1] - high)
    return low + up * (high - low)


def _shot(electrons):
    """Photon variance: electrons as float64, with what read noise made negative counted as 0 (as in sdssproc)."""
    return np.maximum(np.asarray(electrons, dtype=np.float64), 0)


def tutorial_readnoise(readnoise, sigma):
    """Read noise of an extracted row by the tutorial's law, r sigma (4 pi)^(1/4) [electrons].

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
    return _shot(electrons) + np.asarray(tutorial_readnoise(readnoise, sigma), dtype=np.float64) ** 2


def readnoise_limit_variance(electrons, readnoise, sigma):
    """Variance if read noise dominated every pixel, max(N, 0) + 2√π sigma r² [electrons²].

    The limit of :func:`optimal_variance` for N << r², and of a profile that is wide against a pixel.
    """
    return _shot(electrons) + 2 * math.sqrt(math.pi) * sigma * np.asarray(readnoise, dtype=np.float64) ** 2


def optimal_variance(electrons, readnoise, sigma):
    """Variance of an extraction that weights every pixel by its inverse variance (DR12, to v5_7).

    1/Σ_x[p²/(N p + r²)] = N + r² W, with N clipped at 0 and W of :func:`effective_width` (Horne 1986, PASP 98,
    609, with the profile known).

    Parameters
    ----------
    electrons : array
        Detected electrons per row N, sky included.
    readnoise : array
        RMS per CCD pixel r [electrons].
    sigma : array
        Spatial width of the profile [pixels].

    Returns
    -------
    array
        electrons².
    """
    shot = _shot(electrons)
    variance = np.asarray(readnoise, dtype=np.float64) ** 2
    # A vanishing divisor leaves W finite, so that no read noise means no read-noise term.
    return shot + variance * effective_width(shot / np.maximum(variance, 1e-30), sigma)


def readnoise_weighted_variance(electrons, readnoise, sigma):
    """Variance of an extraction that weights by read noise alone (v5_8 and later, so DR13 and later).

    N Σp³/(Σp²)² + r²/Σp², N clipped at 0: equal weights make no bias, and cost 15 % in photon noise.

    Parameters and result as in :func:`optimal_variance`.
    """
    widths, readout, photons = _profile_sums_table()
    sigma = np.asarray(sigma, dtype=np.float64)
    of_shot = np.interp(sigma, widths, photons, left=np.nan, right=np.nan)
    of_readout = np.interp(sigma, widths, readout, left=np.nan, right=np.nan)
    return _shot(electrons) * of_shot + np.asarray(readnoise, dtype=np.float64) ** 2 * of_readout


def sky_term(chi2, sky_variance):
    """Variance that the pipeline adds for imperfect sky subtraction, (chi² - 1)₊ Var_sky.

    Parameters
    ----------
    chi2 : array
        Relative chi² of the sky fibers' residuals.
    sky_variance : array
        Variance of a sky fiber, in any unit.

    Returns
    -------
    array
        In the unit of ``sky_variance``; never negative.
    """
    return np.maximum(np.asarray(chi2, dtype=np.float64) - 1, 0) * sky_variance


@dataclass(frozen=True)
class SkyStatistics:
    """How well the sky was subtracted in one camera exposure, as functions of wavelength.

    Attributes
    ----------
    chi2_loglam, chi2 : 1D[nbin]
        Relative chi² of the sky fibers, at least 1, at log10 wavelengths [Å] that ascend.
    variance_loglam, variance : 1D[nfine]
        Variance of a sky fiber, in the unit given to :func:`sky_statistics`, fine enough for the lines of the sky.
    """

    chi2_loglam: np.ndarray
    chi2: np.ndarray
    variance_loglam: np.ndarray
    variance: np.ndarray

    def term(self, loglam):
        """Variance for imperfect sky subtraction at any wavelengths, linear between bins, constant beyond."""
        chi2 = np.interp(loglam, self.chi2_loglam, self.chi2)
        return sky_term(chi2, np.interp(loglam, self.variance_loglam, self.variance))


def sky_statistics(loglam, residual, variance, valid, mean_chi2=None):
    """Relative chi² and variance of the sky fibers of a camera exposure.

    ``variance`` has to be the extraction's alone, as a law predicts it: the stored inverse variance contains
    the very term that is to be predicted. Pixels of all sky fibers are pooled in wavelength. Chi² is the 2/3
    quantile of residual²/variance over that of a Gaussian (outliers do not move it) in bins of about
    :data:`SKY_BIN_ROWS` rows, smoothed over neighbouring bins and never below 1; the variance is the mean with
    weights 1/variance in bins of 4/3 rows, which resolve the lines of the sky. The pipeline (idlspec2d
    ``skysubtract``) takes the fine bins for both, whose noise is therefore in every published variance, and does
    not divide by the Gaussian's quantile.

    Parameters
    ----------
    loglam : 2D[nsky, nrow]
        log10 wavelength [Å] of the sky fibers.
    residual : 2D[nsky, nrow]
        Sky-subtracted flat-fielded electrons, eflux.
    variance : 2D[nsky, nrow]
        Predicted extraction variance of eflux, flat-fielded electrons².
    valid : 2D[nsky, nrow]
        True where a pixel may be used.
    mean_chi2 : float, optional
        SKYCHI2 of the header: the pipeline's own mean, free of our sampling error. Where the two agree within that
        error, and within what the pipeline's missing division by the Gaussian's quantile makes, chi² - 1 is scaled
        to it. A header mean that a few wavelengths dominate does not agree.

    Returns
    -------
    SkyStatistics

    Raises
    ------
    ValueError
        If fewer pixels than one bin of chi² needs are valid.
    """
    valid = valid & (variance > 0)
    nsky = np.count_nonzero(valid.any(axis=1))
    order = np.argsort(loglam[valid], kind="stable")
    if order.size < SKY_BIN_ROWS * max(nsky, 1):
        raise ValueError(f"sky chi² needs sky fibers with at least {SKY_BIN_ROWS} valid pixels")

    def binned(values, rows):
        """Values in the order of wavelength, 2D[nbin, size], for bins of so many rows."""
        size = math.ceil(rows * nsky)
        number = order.size // size
        return np.asarray(values, dtype=np.float64)[valid][order[: number * size]].reshape(number, size)

    predicted = binned(variance, SKY_BIN_ROWS)
    ratio = binned(residual, SKY_BIN_ROWS) ** 2 / predicted
    chi2 = np.maximum(_smooth(np.quantile(ratio, 2 / 3, axis=1) / GAUSSIAN_CHI2), 1)
    mean = chi2.mean()
    sampling_error = QUANTILE_ERROR * mean / math.sqrt(ratio.size)
    agrees = mean_chi2 is not None and (
        GAUSSIAN_CHI2 * mean - 4 * sampling_error < mean_chi2 < mean + 4 * sampling_error
    )
    if agrees and mean > 1 and mean_chi2 > 1:
        chi2 = 1 + (chi2 - 1) * (mean_chi2 - 1) / (mean - 1)
    return SkyStatistics(
        chi2_loglam=binned(loglam, SKY_BIN_ROWS).mean(axis=1),
        chi2=chi2,
        variance_loglam=binned(loglam, _VARIANCE_BIN_ROWS).mean(axis=1),
        variance=1 / (1 / binned(variance, _VARIANCE_BIN_ROWS)).mean(axis=1),
    )


def _smooth(values):
    """Weights 1/4, 1/2, 1/4 over neighbouring bins."""
    padded = np.pad(values, 1, mode="edge")
    return (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4


@dataclass(frozen=True)
class Law:
    """A variance law that tables and figures iterate over.

    ``variance(electrons, readnoise, sigma)`` is in electrons² per row; ``label`` names it.
    """

    variance: Callable
    label: str


LAWS = {
    "tutorial": Law(tutorial_variance, "tutorial"),
    "readnoise_limit": Law(readnoise_limit_variance, "read-noise limit"),
    "optimal": Law(optimal_variance, "optimal"),
    "readnoise_weighted": Law(readnoise_weighted_variance, "read-noise weighted"),
}
