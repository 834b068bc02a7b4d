"""Measured against predicted noise of one spectrum, law by law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bosscal.base.elementary import power_of_ten
from bosscal.figures.style import (
    BLACK,
    DASH_DOT,
    DASHED,
    DOTTED,
    EDGE,
    GREY,
    LONG,
    NO_DATA,
    SKY,
    SOLID,
    WAVELENGTH_LABEL,
    block_medians,
    finish,
    legend_above,
    limits_of,
    look,
    margins,
    mark_beyond,
    new_figure,
    place_labels,
    say_instead,
    tick_label_width,
)
from bosscal.noise.fit import compare
from bosscal.noise.law import SKY_SUFFIX
from bosscal.noise.laws import LAWS, PREDICTIONS, label_of, law_of
from bosscal.results.comparison import of_widths
from bosscal.results.spectrum import Spectrum

RUNNING = 75  # pixels of the running median
LEAST_RANGE = (0.9, 1.1)  # of the ratios on both axes, which else follow what is drawn
TUTORIAL_RANGE = (0.6, 1.6)
# Room around the panels, for labels and a legend of two rows [inch].
ROOM: dict[str, Any] = {"left": 0.58, "right": 0.44, "bottom": 0.52, "between": (0, 1.5)}
ABOVE = 0.32
BELOW, BESIDE = 0.21, 0.1  # distances of axis labels, to the latter of which the width of tick labels comes [inch]


def draw(spectrum: Spectrum) -> Figure:
    """Ratio of measured to predicted variance against wavelength, and its median and scatter for every law."""
    measurement, predictions = spectrum.measurement, spectrum.variances
    measured, valid = measurement.variance, measurement.valid
    used = valid[0]
    of_rows = power_of_ten(spectrum.exposure.loglam[0])
    wave = of_rows[used]
    expected = f"{spectrum.prediction.header.noise_law}{SKY_SUFFIX}"

    simulated = measurement.header.simulated
    if measurement.header.origin == "lost":
        why = ["No law can be judged: the file has lost its headers, and the read noise is not known."]
        return say_instead("page", spectrum.title, simulated, why)
    if len(wave) < RUNNING:
        why = [f"The variance can be judged in {len(wave)} pixels; it takes {RUNNING}.", *spectrum.why_empty]
        return say_instead("page", spectrum.title, simulated, why)
    top = (0.3 if look().title or simulated else 0.05) + ABOVE
    figure = new_figure("page", 2.8 + top)
    ratio, ranking = figure.subplots(1, 2, width_ratios=[1.5, 1], gridspec_kw=margins(figure, (1, 2), top=top, **ROOM))
    of_pixels = measured[0][used] / predictions[expected][0][used]
    medians = {
        name: block_medians(of_rows, _ratio(measured[0], predictions[name][0], used), RUNNING)
        for name in (f"{law.name}{suffix}" for law in LAWS.values() for suffix in law.curves)
    }
    shown = [median for _, median in medians.values()]
    ratio.set_xlabel(WAVELENGTH_LABEL)
    ratio.set_ylabel("Measured / predicted variance of electrons")
    widths = None
    if measurement.header.products == "spec":
        widths = of_widths(measurement, spectrum.prediction.sky_variance, spectrum.prediction.header.noise_law)
        if spectrum.thrucorr == "unknown":
            ratio.text(
                0.02, 0.03, "T unknown: the sky's electrons are not right", transform=ratio.transAxes, color=BLACK,
                fontsize=7,
            )  # fmt: skip
    shown += _rank(ranking, measured, predictions, valid, expected, widths)
    shown.append(np.quantile(of_pixels, (0.02, 0.98)))
    limits = (
        limits_of([np.array(LEAST_RANGE), *shown], room=(0.04, 0.04)) if look().limits == "data" else TUTORIAL_RANGE
    )
    ratio.set_ylim(*limits)
    ranking.set_xlim(*limits)
    _draw_ratios(ratio, wave, of_pixels, medians, expected)
    ratio.axhline(1, color=BLACK, linewidth=0.6)
    ratio.set_xlim(wave.min(), wave.max())
    ratio.locator_params(axis="x", nbins=6)
    legend_above(ratio, figure.get_figwidth() - ROOM["left"] - EDGE)
    place_labels(ratio, BELOW, BESIDE + tick_label_width(ratio))
    place_labels(ranking, BELOW, BESIDE)
    return finish(figure, spectrum.title, simulated)


def _ratio(measured: NDArray, predicted: NDArray, used: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Measured over predicted variance, 1D[nrow], NaN in pixels that are not used."""
    return np.divide(measured, predicted, out=np.full(used.shape, np.nan), where=used)


def _draw_ratios(
    axes: Axes, wave: NDArray, of_pixels: NDArray, medians: Mapping[str, tuple[NDArray, NDArray]], expected: str
) -> None:
    """The ratio of the pixels for the expected law, and running medians of it for the laws that matter."""
    others = cycle((LONG, DASH_DOT, DOTTED))
    for name, (position, median) in medians.items():
        dashes = SOLID if name == expected else next(others) if name.endswith(SKY_SUFFIX) else DASHED
        axes.plot(
            position, median, color=law_of(name).color, label=label_of(name), linestyle=dashes,
            linewidth=1.6 if name == expected else 0.9,
        )  # fmt: skip
    shown = mark_beyond(axes, wave, of_pixels) if look().limits == "data" else of_pixels
    axes.plot(
        wave, shown, color=NO_DATA, linestyle="none", marker=".", markersize=1.5, markeredgewidth=0, zorder=1.5,
        label="pixels",
    )  # fmt: skip


def _rank(
    axes: Axes,
    measured: NDArray,
    predictions: Mapping[str, NDArray],
    valid: NDArray[np.bool_],
    expected: str,
    widths: Sequence[NDArray] | None,
) -> list[NDArray]:
    """Median and robust scatter of the ratio for every law, a line each; the expected law's is marked. Returns the ends
    of what is drawn.

    ``widths`` are the expected law's variances at the widths between which a spec file's profile lies.
    """
    shown: list[NDArray] = []
    comparison = compare(measured, [predictions[name] for name in reversed(PREDICTIONS)], valid)
    medians, scatters = comparison.median[:, 0], comparison.scatter[:, 0]
    for place, name in enumerate(reversed(PREDICTIONS)):
        if np.ma.is_masked(medians[place]):
            continue
        median, scatter = float(medians[place]), float(scatters[place])
        color = law_of(name).color
        shown.append(np.array([median - scatter, median + scatter]))
        axes.errorbar(
            median, place, xerr=scatter, color=color, marker="o", markersize=3.5,
            markerfacecolor=color if name.endswith(SKY_SUFFIX) else "white", linewidth=0.9,
        )  # fmt: skip
        axes.annotate(f"{median:.3f}", (1, place), xycoords=("axes fraction", "data"), xytext=(3, 0),
                      textcoords="offset points", fontsize=7, va="center")  # fmt: skip
    if widths is not None:
        ends = np.ma.filled(compare(measured, widths, valid).median[:, 0], np.nan)
        place = len(PREDICTIONS) - 1 - PREDICTIONS.index(expected)
        shown.append(ends)
        axes.plot(ends, [place, place], color=GREY, linewidth=5, alpha=0.6, solid_capstyle="butt")
    axes.axvline(1, color=BLACK, linewidth=0.6)
    axes.set_ylim(-0.7, len(PREDICTIONS) - 0.3)
    axes.set_yticks(range(len(PREDICTIONS)), [label_of(name) for name in reversed(PREDICTIONS)], fontsize=7)
    for tick, name in zip(axes.get_yticklabels(), reversed(PREDICTIONS), strict=True):
        tick.set_fontweight("bold" if name == expected else "normal")
    axes.tick_params(axis="y", length=0)
    axes.axhspan(
        len(PREDICTIONS) - 1.5 - PREDICTIONS.index(expected), len(PREDICTIONS) - 0.5 - PREDICTIONS.index(expected),
        color=SKY, alpha=0.25, linewidth=0,
    )  # fmt: skip
    meaning = "(shaded: expected of the release)"
    if widths is not None:
        meaning = "(shaded: expected; grey: σ 1.0–1.45)"
    axes.set_xlabel(f"Median ± robust scatter\n{meaning}")
    return shown
