"""Fibers of a camera exposure that stand out, each with one reason and one line that says what and where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bosscal.base.elementary import power_of_ten
from bosscal.base.tables import IDENTITY, build_table
from bosscal.calibration.pipeline import above_threshold, inverse_distortion, reciprocal
from bosscal.survey.exposure import FrameExposure
from bosscal.survey.masks import good_pixels

if TYPE_CHECKING:
    from astropy.table import Table

Index = int | np.integer

# --- Thresholds, set on 2026-11-22 -----------------------------------------------------------------------------------

# Half of a spectrum gone is more than bad columns and cosmic rays take (a few percent of the pixels).
MASKED_FRACTION = 0.5

# The pipeline (idlspec2d ``spfluxcorr_v5``, 2012) discards a correction that leaves 0.1-10 anywhere; those it keeps
# are mostly within 0.5-2. A factor of five is legal, but means a fiber that barely sees its target.
CORRECTION_RANGE = (0.2, 5.0)

# The exact model meets float32 storage to 6e-8; the pipeline's own float32 arithmetic adds a few such roundings.
FLUX_RELDIFF = 1e-6

# Outliers from the plate's own distribution: beyond so many robust standard deviations, 1e-9 by chance if Gaussian,
# and by a factor that matters, since 500 equal fibers can have a very small scatter.
ROBUST_SIGMAS = 6.0
NOISE_FACTOR = 1.05  # a variance that is wrong by 5 %
# Residuals on sky lines half as large again as in other fibers: in the simulated plate, where a tenth of the lines'
# light is left (a fifth in blue, which has few lines), or lines are shifted by a tenth (a third) of a row.
SKY_LINE_FACTOR = 1.5

# A sky line is where the sky is half again as bright as the darker pixels of its surroundings, so that gaps in the
# crowded OH bands still count as continuum. Fewer pixels than this tell nothing about a scatter.
SKY_LINE_CONTRAST = 1.5
SKY_LINE_PIXELS = 20

# --------------------------------------------------------------------------------------------------------------------

_SURROUNDINGS = 50  # rows on either side of a pixel that define its continuum
_SKY_BLOCK = 128  # rows in which the darker pixels of the sky are sought

# SPPIXMASK bits that describe the sky at a wavelength, not the fiber.
_SKY_BITS = ("BRIGHTSKY", "BADSKYCHI", "REDMONSTER")


# name: (unit, description)
COLUMNS = {
    "release": IDENTITY["release"],
    "plate": IDENTITY["plate"],
    "mjd": IDENTITY["mjd"],
    "camera": IDENTITY["camera"],
    "expnum": IDENTITY["expnum"],
    "fiber": IDENTITY["fiber"],
    "objtype": IDENTITY["objtype"],
    "reason": ("", "why the fiber stands out"),
    "value": ("", "the number that decided; what it is depends on the reason"),
    "line": ("", "what stands out, and where"),
    "simulated": IDENTITY["simulated"],
}


def find_outliers(
    exposure: FrameExposure, flux_predicted: NDArray, table: Table, bits: Mapping[str, int], allowed_bits: int = 0
) -> Table:
    """Fibers that stand out, one row each.

    A fiber gets the first reason that applies, in an order in which causes come before what they entail:

    ==================== ======================================================== ============================
    reason               when                                                     value
    ==================== ======================================================== ============================
    unplugged            NOPLUG                                                   pixels with data
    dead                 no pixel with data, and BADTRACE, BADFLAT or a zero flat pixels with data, 0
    bad flux correction  A not within 0.2-5, or A or D beyond the threshold where pixels concerned
                         the pipeline sets ivar to 0
    mostly masked        half or more of the pixels that have light are unusable  their fraction
    flux not reproduced  ``flux_max_reldiff`` > 1e-6                              ``flux_max_reldiff``
    sky-line residual    scatter on sky lines over that beside them, relative to  that ratio
                         other fibers
    noise                ``noise_ratio_median`` far from that of other fibers     ``noise_ratio_median``
    ==================== ======================================================== ============================

    Parameters
    ----------
    exposure : FrameExposure
    flux_predicted : 2D[nfiber, nrow]
        What :func:`bosscal.calibration.pipeline.calibrate_exposure` predicts for ``exposure.flux`` [1e-17 erg/s/cm²/Å].
    table : astropy.table.Table
        A row per fiber of the exposure, in its order, with ``flux_max_reldiff`` and ``noise_ratio_median``, masked
        where there are none.
    bits : mapping
        Value of every SPPIXMASK bit by name (:func:`bosscal.survey.paths.mask_bits`).
    allowed_bits : int
        SPPIXMASK bits to treat as harmless.

    Returns
    -------
    astropy.table.Table
        The columns of :data:`COLUMNS`, in the order of the fibers.
    """
    allowed_bits |= sum(bits[name] for name in _SKY_BITS)
    checks = (
        ("unplugged", _unplugged(exposure, bits)),
        ("dead", _dead(exposure, bits)),
        ("bad flux correction", _bad_correction(exposure)),
        ("mostly masked", _mostly_masked(exposure, bits, allowed_bits)),
        ("flux not reproduced", _not_reproduced(exposure, flux_predicted, table["flux_max_reldiff"])),
        ("sky-line residual", _sky_line_residual(exposure, allowed_bits)),
        ("noise", _noise(table["noise_ratio_median"])),
    )
    found: dict[int, tuple[str, float, str]] = {}
    for reason, fibers in checks:
        for index, value, line in fibers:
            found.setdefault(int(index), (reason, float(value), line))
    return _table(exposure, found)


def _table(exposure: FrameExposure, found: Mapping[int, tuple[str, float, str]]) -> Table:
    header = exposure.header
    index = np.array(sorted(found), dtype=np.int64)
    reason, value, line = ([found[position][part] for position in index] for part in range(3))
    number = len(index)
    values = {
        name: np.full(number, getattr(header, name))
        for name in ("release", "plate", "mjd", "camera", "expnum", "simulated")
    }
    values |= {
        "fiber": exposure.fiber[index],
        "objtype": exposure.objtype[index],
        "reason": np.array(reason, dtype=str),
        "value": np.array(value, dtype=np.float64),
        "line": np.array(line, dtype=str),
    }
    return build_table(values, COLUMNS)


# What every check yields: index of the fiber, value, line.
Found = Iterator[tuple[Index, float | np.integer, str]]


def _fiber_bits(exposure: FrameExposure) -> NDArray[np.int32]:
    """Bits of the fiber in the flat, or on every pixel of its spectrum. 1D[nfiber]."""
    return exposure.fibermask | np.bitwise_and.reduce(exposure.emask, axis=1)


def _unplugged(exposure: FrameExposure, bits: Mapping[str, int]) -> Found:
    npix = np.count_nonzero(exposure.eivar > 0, axis=1)
    for index in np.flatnonzero(_fiber_bits(exposure) & bits["NOPLUG"]):
        yield index, npix[index], "no fiber was plugged here (NOPLUG)"


def _dead(exposure: FrameExposure, bits: Mapping[str, int]) -> Found:
    signs = {
        "BADTRACE": (_fiber_bits(exposure) & bits["BADTRACE"]) != 0,
        "BADFLAT": (_fiber_bits(exposure) & bits["BADFLAT"]) != 0,
        "flat field 0": ~(exposure.superflat * exposure.fiberflat > 0).any(axis=1),
    }
    dark = ~(exposure.eivar > 0).any(axis=1) & np.any(list(signs.values()), axis=0)
    for index in np.flatnonzero(dark):
        yield index, 0, f"no pixel with data: {', '.join(name for name, sign in signs.items() if sign[index])}"


def _bad_correction(exposure: FrameExposure) -> Found:
    data, corr = exposure.eivar > 0, exposure.corr
    _, corr_mean, distort_mean = exposure.means
    low, high = CORRECTION_RANGE
    # The pipeline divides by 1/A and by 1/D, so its thresholds are on the inverses (:func:`…pipeline.calibrate`).
    kept, _ = above_threshold(reciprocal(corr), 1 / corr_mean)
    inv_distort = inverse_distortion(exposure.distort, exposure.distort_grid, exposure.loglam)
    signs = {
        "A ≤ 0, so ivar is 0,": data & (corr <= 0),
        "A above the pipeline's threshold, so ivar is 0,": data & (corr > 0) & ~kept,
        f"A > {high:g}": data & (corr > high) & kept,
        f"0 < A < {low:g}": data & (corr > 0) & (corr < low),
        "D above the pipeline's threshold, so ivar is 0,": data & ~above_threshold(inv_distort, 1 / distort_mean)[0],
    }
    bad = np.any(list(signs.values()), axis=0)
    for index in np.flatnonzero(bad.any(axis=1)):
        parts = [
            f"{name} in {_places(exposure, index, sign[index])}" for name, sign in signs.items() if sign[index].any()
        ]
        yield index, np.count_nonzero(bad[index]), "; ".join(parts)


def _mostly_masked(exposure: FrameExposure, bits: Mapping[str, int], allowed_bits: int) -> Found:
    # Where the flat is zero or no standard star calibrates, every fiber is without data, and none stands out.
    expected = (exposure.superflat * exposure.fiberflat > 0) & above_threshold(exposure.spcalib, exposure.means[0])[0]
    masked = expected & ~good_pixels(exposure.mask, exposure.ivar, allowed_bits)
    nexpected, nmasked = np.count_nonzero(expected, axis=1), np.count_nonzero(masked, axis=1)
    for index in np.flatnonzero((nmasked >= MASKED_FRACTION * nexpected) & (nexpected > 0)):
        mask = exposure.mask[index, masked[index]]
        names = [
            name
            for name, bit in bits.items()
            if not bit & allowed_bits and np.count_nonzero(mask & bit) >= 0.5 * nmasked[index]
        ]
        fraction = nmasked[index] / nexpected[index]
        why = f"mostly {', '.join(names)}" if names else "no bit dominates"
        yield index, fraction, f"{100 * fraction:.0f} % of {nexpected[index]} pixels with light are masked ({why})"


def _not_reproduced(exposure: FrameExposure, flux_predicted: NDArray, reldiff: np.ma.MaskedArray) -> Found:
    reldiff = np.ma.filled(reldiff, 0.0)
    for index in np.flatnonzero(reldiff > FLUX_RELDIFF):
        flux = exposure.flux[index].astype(np.float64)
        difference = np.abs(flux_predicted[index] - flux)
        differs = (exposure.ivar[index] > 0) & (difference > FLUX_RELDIFF * np.abs(flux))
        line = f"flux differs from the exact model by up to {reldiff[index]:.1e} in {_places(exposure, index, differs)}"
        yield index, reldiff[index], line


def _sky_line_residual(exposure: FrameExposure, allowed_bits: int) -> Found:
    ratio = sky_line_ratio(exposure, allowed_bits)
    usual, sigma = _robust(ratio)
    far = (ratio > SKY_LINE_FACTOR * usual) & (ratio > usual + ROBUST_SIGMAS * sigma)
    for index in np.flatnonzero(far):
        line = (
            f"scatter on sky lines is {ratio[index]:.2f} times that beside them, each in units of its expected rms "
            f"(other fibers: {usual:.2f} ± {sigma:.2f})"
        )
        yield index, ratio[index], line


def _noise(ratio: np.ma.MaskedArray) -> Found:
    ratio = np.ma.filled(ratio.astype(np.float64), np.nan)
    usual, sigma = _robust(ratio)
    far = (np.abs(ratio - usual) > ROBUST_SIGMAS * sigma) & (
        (ratio > NOISE_FACTOR * usual) | (ratio < usual / NOISE_FACTOR)
    )
    for index in np.flatnonzero(far):
        line = (
            f"measured variance is {ratio[index]:.3f} times the predicted one (other fibers: {usual:.3f} ± {sigma:.3f})"
        )
        yield index, ratio[index], line


def _places(exposure: FrameExposure, index: Index, pixels: NDArray[np.bool_]) -> str:
    """Number of pixels and their range of wavelengths, for a fiber."""
    wave = power_of_ten(exposure.loglam[index, pixels])
    noun = "pixel" if wave.size == 1 else "pixels"
    where = f", {wave.min():.0f}–{wave.max():.0f} Å" if wave.size > 1 else "".join(f", {w:.0f} Å" for w in wave)
    return f"{wave.size} {noun}{where}"


def _robust(values: NDArray) -> tuple[float, float]:
    """Median and 1.4826 MAD of the finite values; NaN if there are none."""
    values = values[np.isfinite(values)]
    if values.size == 0:
        return np.nan, np.nan
    median = np.median(values)
    return median, 1.4826 * np.median(np.abs(values - median))


def sky_line_ratio(exposure: FrameExposure, allowed_bits: int) -> NDArray[np.float64]:
    """Scatter of the spectrum on sky lines, in units of its expected rms, over the same beside the lines.

    Residuals are relative to the mean of the pixels within 50 rows that are not on a sky line, and only pixels
    within 50 rows of a line are compared with it: a spectrum's own structure is about the same there.

    Parameters
    ----------
    exposure : FrameExposure
    allowed_bits : int
        SPPIXMASK bits that do not disqualify a pixel.

    Returns
    -------
    1D[nfiber]
        Ratio of the 68 % quantiles of |residual|/rms: 1 for noise as expected. NaN with too few pixels to tell.
    """
    valid = good_pixels(exposure.emask, exposure.eivar, allowed_bits)
    line = valid & on_sky_line(exposure.esky)
    beside = valid & ~line

    eflux = exposure.eflux.astype(np.float64)
    count = _window_sum(beside)
    continuum = _window_sum(np.where(beside, eflux, 0)) / np.maximum(count, 1)
    residual = np.abs(eflux - continuum) * np.sqrt(exposure.eivar)
    beside &= _window_sum(line) > 0
    line &= count >= SKY_LINE_PIXELS

    enough = (line.sum(axis=1) >= SKY_LINE_PIXELS) & (beside.sum(axis=1) >= SKY_LINE_PIXELS)
    ratio = np.full(len(eflux), np.nan)
    ratio[enough] = _quantile(residual[enough], line[enough], 0.68) / _quantile(residual[enough], beside[enough], 0.68)
    return ratio


def on_sky_line(esky: NDArray) -> NDArray[np.bool_]:
    """Where the sky is much brighter than the 25 % quantile of its block of rows. 2D[nfiber, nrow] of bool."""
    nfiber, nrow = esky.shape
    nblock = -(-nrow // _SKY_BLOCK)
    blocks = np.zeros((nfiber, nblock * _SKY_BLOCK), dtype=esky.dtype)
    blocks[:, :nrow] = esky
    blocks = blocks.reshape(nfiber, nblock, _SKY_BLOCK)
    floor = _quantile(blocks, blocks > 0, 0.25)  # infinite in a block without sky, where nothing exceeds it
    return (blocks > SKY_LINE_CONTRAST * floor[..., np.newaxis]).reshape(nfiber, -1)[:, :nrow]


def _quantile(values: NDArray, where: NDArray[np.bool_], level: float) -> NDArray:
    """Quantile along the last axis of the values ``where``, the next lower one if between two; inf if none."""
    ordered = np.sort(np.where(where, values, np.inf), axis=-1)
    index = (level * np.maximum(where.sum(axis=-1) - 1, 0)).astype(np.int64)
    return np.take_along_axis(ordered, index[..., np.newaxis], axis=-1)[..., 0]


def _window_sum(values: NDArray) -> NDArray[np.float64]:
    """Sum over the rows within 50 of each, 2D[nfiber, nrow]."""
    total = np.cumsum(np.pad(values, ((0, 0), (_SURROUNDINGS + 1, _SURROUNDINGS))), axis=1, dtype=np.float64)
    width = 2 * _SURROUNDINGS + 1
    return total[:, width:] - total[:, :-width]
