"""Measured against predicted noise of one spectrum, law by law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bosscal.figures.style import (
    BLACK,
    GREY,
    PAGE_WIDTH,
    SKY,
    WAVELENGTH_LABEL,
    finish,
    margins,
    new_figure,
    place_labels,
)
from bosscal.noise.fit import compare
from bosscal.noise.law import SKY_SUFFIX
from bosscal.noise.laws import LAWS, PREDICTIONS, label_of, law_of
from bosscal.results.comparison import of_widths
from bosscal.results.spectrum import Spectrum

RUNNING = 75  # pixels of the running median
LEAST_RANGE = (0.9, 1.1)  # of the ratios on both axes, which else follow what is drawn
# Room around the panels, for labels [inch].
ROOM: dict[str, Any] = {"left": 0.48, "right": 0.4, "bottom": 0.5, "top": 0.6, "between": (0, 1.35)}
LABEL_PLACES = (0.21, 0.27)  # distances of the axis labels below and beside a panel [inch]


def running_median(values: NDArray, width: int) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Median over blocks of ``width`` values, at the blocks' middles: two 1D arrays, positions and medians."""
    blocks = len(values) // width
    position = (np.arange(blocks) + 0.5) * width
    return position, np.median(values[: blocks * width].reshape(blocks, width), axis=1)


def draw(spectrum: Spectrum) -> Figure:
    """Ratio of measured to predicted variance against wavelength, and its median and scatter for every law."""
    measurement, predictions = spectrum.measurement, spectrum.variances
    measured, valid = measurement.variance, measurement.valid
    used = valid[0]
    wave = 10 ** spectrum.exposure.loglam[0][used]
    expected = f"{spectrum.prediction.header.noise_law}{SKY_SUFFIX}"

    figure = new_figure(PAGE_WIDTH, 3.4)
    ratio, ranking = figure.subplots(1, 2, width_ratios=[1.5, 1], gridspec_kw=margins(figure, (1, 2), **ROOM))
    for axes in (ratio, ranking):
        axes.grid(visible=False)
    shown: list[NDArray] = []
    if len(wave) < RUNNING:
        ratio.text(0.5, 0.5, "too few pixels with data", transform=ratio.transAxes, ha="center", color=GREY)
    else:
        shown += _draw_ratios(
            ratio, wave, measured[0][used], {name: array[0][used] for name, array in predictions.items()}, expected
        )
    ratio.axhline(1, color=BLACK, linewidth=0.6)
    ratio.set_xlabel(WAVELENGTH_LABEL)
    ratio.set_ylabel("Measured / predicted variance of electrons")
    widths = None
    if measurement.header.products == "spec":
        widths = of_widths(measurement, spectrum.prediction.sky_variance, spectrum.prediction.header.noise_law)
        if spectrum.thrucorr == "unknown":
            ratio.text(
                0.02, 0.03, "T unknown: the sky's electrons are not right", transform=ratio.transAxes, color=BLACK,
                fontsize=6,
            )  # fmt: skip
    shown += _rank(ranking, measured, predictions, valid, expected, widths)
    limits = _limits(shown)
    ratio.set_ylim(*limits)
    ranking.set_xlim(*limits)
    for axes in (ratio, ranking):
        place_labels(axes, *LABEL_PLACES)
    return finish(figure, spectrum.title, measurement.header.simulated)


def _draw_ratios(
    axes: Axes, wave: NDArray, measured: NDArray, predictions: Mapping[str, NDArray], expected: str
) -> list[NDArray]:
    """Running medians of the ratio for the laws that matter, over the pixels of the expected one; returns them."""
    medians = []
    axes.plot(
        wave, measured / predictions[expected], color=GREY, alpha=0.5, linestyle="none", marker=".", markersize=1.5,
        markeredgewidth=0, rasterized=True,
    )  # fmt: skip
    for name in (f"{law.name}{suffix}" for law in LAWS.values() for suffix in law.curves):
        position, median = running_median(measured / predictions[name], RUNNING)
        medians.append(median)
        axes.plot(
            np.interp(position, np.arange(len(wave)), wave), median, color=law_of(name).color,
            label=label_of(name), linestyle="-" if name.endswith(SKY_SUFFIX) else "--",
            linewidth=1.6 if name == expected else 0.9,
        )  # fmt: skip
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=3, fontsize=6, borderpad=0)
    return medians


def _limits(shown: Sequence[NDArray]) -> tuple[float, float]:
    """Limits of an axis of ratios that holds all that is shown."""
    values = np.concatenate([np.ravel(LEAST_RANGE), *map(np.ravel, shown)])
    values = values[np.isfinite(values)]
    room = 0.04 * (values.max() - values.min())
    return float(values.min() - room), float(values.max() + room)


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
                      textcoords="offset points", fontsize=6, va="center")  # fmt: skip
    if widths is not None:
        ends = np.ma.filled(compare(measured, widths, valid).median[:, 0], np.nan)
        place = len(PREDICTIONS) - 1 - PREDICTIONS.index(expected)
        shown.append(ends)
        axes.plot(ends, [place, place], color=GREY, linewidth=5, alpha=0.6, solid_capstyle="butt")
    axes.axvline(1, color=BLACK, linewidth=0.6)
    axes.set_ylim(-0.7, len(PREDICTIONS) - 0.3)
    axes.set_yticks(range(len(PREDICTIONS)), [label_of(name) for name in reversed(PREDICTIONS)], fontsize=6)
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
