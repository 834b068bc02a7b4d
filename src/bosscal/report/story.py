"""The calibration of one spectrum step by step: equation, symbols, this spectrum's numbers and a small curve of each.

Steps and symbols are those of ``docs/calibration.md``, and so are the sections that are named here; the numbers are
what the pipeline applied, so that the last equation gives the flux of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bosscal.base.arithmetic import inverse_where
from bosscal.base.elementary import power_of_ten
from bosscal.calibration.pipeline import inverse_distortion
from bosscal.results.spectrum import Spectrum
from bosscal.survey.exposure import FrameExposure
from bosscal.survey.tracesets import bin_size

FLUX = "1e-17 erg/s/cm²/Å"
BLOCKS = 72  # of pixels, each one point of a curve: some 350 bytes, and a page of a whole plate is one of thousands
HEIGHT = 99  # of a curve in its own units: two digits a coordinate


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes
    ----------
    name, equation, words
        ``words`` define the symbols of the equation that are new.
    section
        Heading of docs/calibration.md that explains it, as the end of a link.
    numbers
        Median over the pixels that are compared, lowest and highest point of the curve, wavelengths at its ends.
    curve
        The values against wavelength as the path of an SVG of BLOCKS by HEIGHT, "" where nothing is compared.
    """

    name: str
    equation: str
    words: str
    section: str
    numbers: str
    curve: str


def story_of(spectrum: Spectrum) -> list[Step]:
    """The steps from detected electrons to flux, as far as the product tells them apart."""
    rows = np.flatnonzero(spectrum.measurement.compared[0])
    wave = power_of_ten(spectrum.exposure.loglam[0])[rows]
    blocks = (rows - rows[:1]) * BLOCKS // (np.ptp(rows) + 1) if rows.size else rows
    return [
        Step(name, equation, words, section, *_drawn(np.asarray(values, dtype=np.float64)[rows], unit, wave, blocks))
        for name, equation, words, section, unit, values in _steps(spectrum)
    ]


def _steps(spectrum: Spectrum) -> Iterator[tuple[str, str, str, str, str, NDArray[Any]]]:
    """(name, equation, words, section, unit, values by row) of every step."""
    exposure, measurement = spectrum.exposure, spectrum.measurement
    electrons = measurement.electrons[0]
    if not isinstance(exposure, FrameExposure):
        section = "the-calib-column-of-full-spec-files"
        words = "what the CCD counted in a row, sky included"
        yield "Detected electrons", "N = (f + sky) / c", words, section, "electrons", electrons
        words = "the flats and all factors of the calibration together, which a spec file does not tell apart"
        yield "Flux per detected electron", "c", words, section, f"{FLUX} per electron", exposure.calib[0]
        words = "N₀ are the electrons of the sky that was subtracted"
        yield "Flux", "f = c (N − N₀)", words, section, FLUX, exposure.flux[0]
        return
    step = "step-1-electrons"
    yield "Detected electrons", "N", "what the CCD counted in a row, sky included", step, "electrons", electrons
    words = "s is the superflat and g the fiber flat, what the CCD and the fiber let through: their product is drawn"
    yield "Flat fields", "e = N / (s g)", words, step, "", exposure.flat[0]
    words = "Δ is the width of the row, in bins of 10⁻⁴ in log₁₀ of the wavelength"
    width = bin_size(exposure.trace_set("wave"), exposure.row)[0]
    yield "Bin size", "R = 1 / Δ", words, "step-2-bin-size", "", inverse_where(width, width > 0)
    words = "electrons in a bin for a flux of one, from standard stars"
    step = "step-3-flux-calibration"
    yield "Flux calibration vector", "S", words, step, f"electrons per {FLUX}", exposure.spcalib[0]
    words = "makes the exposures of a spectrum agree"
    yield "Flux correction", "A", words, "step-4-flux-correction", "", exposure.corr[0]
    words = "what is left over the focal plane"
    inverse = inverse_distortion(exposure.distort, exposure.distort_grid, exposure.loglam)[0]
    yield "Flux distortion", "D", words, "step-6-flux-distortion", "", inverse_where(inverse, inverse > 0)
    factors = "R A D / S"
    if exposure.thrucorr is not None:
        words, factors = "the light that a fiber lost which was placed for another wavelength", "T R A D / S"
        step = "the-position-correction-t-of-later-releases"
        yield "Position correction", "T", words, step, "", exposure.thrucorr[0]
    words = "e₀ are the flat-fielded electrons of the sky that was subtracted"
    yield "Flux", f"f = (e − e₀) {factors}", words, "all-steps-together", FLUX, exposure.flux[0]


def _drawn(
    values: NDArray[np.float64], unit: str, wave: NDArray[np.float64], blocks: NDArray[np.integer]
) -> tuple[str, str]:
    """Numbers in words, and the curve, of values at some wavelengths [Å] that are sorted into blocks."""
    if not np.isfinite(values).any():
        return "nothing is compared", ""
    points = _medians(values, blocks)
    low, high = float(np.nanmin(points)), float(np.nanmax(points))
    median = np.median(values[np.isfinite(values)])
    numbers = f"median {median:.3g}, from {low:.3g} to {high:.3g} {unit}".rstrip()
    numbers += f"; {wave.min():.0f}–{wave.max():.0f} Å"
    return numbers, _curve(points, low, high)


def _medians(values: NDArray[np.float64], blocks: NDArray[np.integer]) -> NDArray[np.float64]:
    """Median of the finite values of each block, 1D[BLOCKS]; NaN where there is none."""
    number = np.bincount(blocks, minlength=BLOCKS)
    place = np.arange(len(blocks)) - (np.cumsum(number) - number)[blocks]
    by_block = np.full((BLOCKS, max(number)), np.nan)
    by_block[blocks, place] = np.where(np.isfinite(values), values, np.nan)
    by_block.sort(axis=1)  # NaN come last
    finite = np.count_nonzero(np.isfinite(by_block), axis=1)
    block = np.arange(BLOCKS)
    return (by_block[block, np.maximum(finite - 1, 0) // 2] + by_block[block, finite // 2]) / 2


def _curve(points: NDArray[np.float64], low: float, high: float) -> str:
    """A line from point to point as an SVG's path, with gaps where there is none."""
    span = high - low
    heights = [
        None if np.isnan(point) else round(HEIGHT * (high - point) / span) if span > 0 else HEIGHT // 2
        for point in points.tolist()
    ]
    parts, before = [], None
    for place, height in enumerate(heights):
        if height is not None:
            parts.append(f"M{place} {height}h0" if before is None else f"l1 {height - before}".replace(" -", "-"))
        before = height
    return "".join(parts)
