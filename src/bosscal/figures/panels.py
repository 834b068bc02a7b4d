"""The tutorial's six panels for one fiber of a camera exposure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bosscal.figures.style import (
    BLACK,
    BLUE,
    FLUX_UNIT,
    GREEN,
    GREY,
    ORANGE,
    PAGE_WIDTH,
    PINK,
    RED,
    SKY,
    TITLE_HEIGHT,
    WAVELENGTH_LABEL,
    finish,
    legend_above,
    margins,
    new_figure,
    place_labels,
    tick_label_width,
)
from bosscal.noise.laws.tutorial import tutorial_readnoise, tutorial_variance
from bosscal.results.spectrum import Spectrum

SPCALIB_SCALE = 5  # the tutorial draws 5/spcalib so that it shares an axis with the other components

# Room [inch] for tick labels and an axis label below a panel, for a legend above it, for an axis label of two lines
# and all else beside it but the tick labels, which differ in width, and for half a tick label beyond its right end.
BELOW, LEGEND, BESIDE, BEYOND = 0.41, 0.17, 0.42, 0.17
LABELS_BELOW, LABELS_BESIDE = 0.22, 0.08  # distances of axis labels, to which the width of the tick labels comes
STEPS = 6  # between the ticks of all axes but wavelength: each tick takes time to draw

DOTS: dict[str, Any] = {"linestyle": "none", "marker": ".", "markersize": 1.5, "markeredgewidth": 0, "rasterized": True}


def draw(spectrum: Spectrum) -> Figure:
    """What the pipeline did to one fiber beside what the tutorial predicts.

    Returns
    -------
    matplotlib.figure.Figure
        Panels whose inputs the product lacks say so.
    """
    rows = _rows(spectrum)
    figure = new_figure(PAGE_WIDTH, 8.6)
    axes = figure.subplots(3, 2)
    for panel, fill in zip(axes.flat, (_flux, _electrons, _flats, _calibration, _excess, _variances), strict=True):
        fill(panel, rows)
    limits = _lit_range(rows)
    for panel in axes.flat[:5]:
        panel.set_xlim(*limits)
        panel.set_xlabel(WAVELENGTH_LABEL)
    _lay_out(figure, axes)
    return finish(figure, spectrum.title, spectrum.exposure.header.simulated)


def _rows(spectrum: Spectrum) -> dict[str, Any]:
    """What the panels show, each 1D[nrow]; None where the product lacks it."""
    exposure, measurement, tutorial = spectrum.exposure, spectrum.measurement, spectrum.tutorial
    sigma = exposure.profile_width
    rows = {
        "wave": 10**exposure.loglam,
        "flux": exposure.flux,
        "sky": exposure.sky,
        "electrons": measurement.electrons,
        "evar": measurement.variance,
        "floor": measurement.floor,
        "evar_pred": tutorial_variance(measurement.electrons, measurement.readnoise, sigma),
        "readnoise": tutorial_readnoise(measurement.readnoise, sigma),
        "var": tutorial.var,
        "var_pred": tutorial.var_pred,
        "calib_applied": tutorial.calib_applied,
        "bin_ratio": tutorial.bin_ratio,
        "distort": tutorial.distort_at_rows,
        **{name: getattr(exposure, name, None) for name in ("superflat", "fiberflat", "corr", "spcalib")},
    }
    rows["flat"] = None if rows["superflat"] is None else measurement.flat
    rows = {name: None if array is None else array[0].astype(np.float64) for name, array in rows.items()}
    return rows | {"good": measurement.good[0], "egood": measurement.good_electrons[0]}


def _lay_out(figure: Figure, axes: Any) -> None:
    """Make room for the tick labels that there are, with axis labels in line."""
    for panel in axes.flat:
        if panel.get_ylabel():
            panel.locator_params(axis="y", nbins=STEPS)
    axes[-1, -1].locator_params(axis="x", nbins=STEPS)
    left, right = (max(map(tick_label_width, column)) for column in axes.T)
    between = (BELOW + LEGEND, BESIDE + right + BEYOND)
    figure.subplots_adjust(**margins(figure, axes.shape, BESIDE + left, BEYOND, BELOW, LEGEND + TITLE_HEIGHT, between))
    for row in axes:
        for panel, width in zip(row, (left, right), strict=True):
            place_labels(panel, LABELS_BELOW, LABELS_BESIDE + width)


def _where(values: NDArray, keep: NDArray[np.bool_]) -> NDArray:
    """``values`` with NaN, which matplotlib leaves out, where not ``keep``."""
    return np.where(keep, values, np.nan)


def _top(values: NDArray, percent: float, keep: NDArray[np.bool_] | None = None) -> float:
    """Upper axis limit: a percentile of the values, or 1 where there is nothing to show."""
    if keep is not None:
        values = values[keep]
    values = values[np.isfinite(values)]
    top = np.percentile(values, percent) if values.size else 0
    return top if top > 0 else 1


def _lit_range(rows: Mapping[str, Any]) -> tuple[float, float]:
    """Wavelengths [Å] where the flat field is positive; all of a spec file's."""
    lit = np.flatnonzero(rows["flat"] > 0) if rows["flat"] is not None else np.arange(len(rows["wave"]))
    ends = rows["wave"][lit[[0, -1]]] if lit.size else rows["wave"][[0, -1]]
    return ends.min(), ends.max()


def _say_if_empty(panel: Axes, shown: NDArray[np.bool_]) -> None:
    """Say in a panel of dots that there is none."""
    if not shown.any():
        panel.text(
            0.5, 0.5, "no pixel with data", transform=panel.transAxes, ha="center", va="center", color=GREY,
            backgroundcolor="white",
        )  # fmt: skip


def _missing(panel: Axes, what: str) -> None:
    """Say in an empty panel why it is empty."""
    panel.text(
        0.5, 0.5, f"{what}:\nnot in a spec file", transform=panel.transAxes, ha="center", va="center", color=GREY
    )
    panel.set_yticks([])


def _flux(panel: Axes, rows: Mapping[str, Any]) -> None:
    observed, good = rows["flux"] + rows["sky"], rows["good"]
    panel.plot(rows["wave"], _where(observed, good), color=BLACK, label="flux + sky", **DOTS)
    panel.plot(rows["wave"], _where(rows["var"], good), color=RED, label="variance", **DOTS)
    if rows["var_pred"] is not None:
        panel.plot(rows["wave"], _where(rows["var_pred"], good & rows["egood"]), color=BLUE, label="from eflux", **DOTS)
    panel.set_ylim(0, _top(observed, 99, good))
    _say_if_empty(panel, good)
    panel.set_ylabel(f"Flux [{FLUX_UNIT}]\nand its variance [flux²]")
    legend_above(panel)


def _electrons(panel: Axes, rows: Mapping[str, Any]) -> None:
    good = rows["egood"]
    panel.plot(rows["wave"], _where(rows["electrons"], good), color=BLACK, label="electrons", **DOTS)
    panel.plot(rows["wave"], _where(rows["evar"], good), color=RED, label="variance", **DOTS)
    panel.plot(rows["wave"], _where(rows["evar_pred"], good), color=BLUE, label="predicted", **DOTS)
    if rows["floor"] is not None:
        panel.plot(rows["wave"], _where(rows["floor"], good), color=ORANGE, linewidth=0.5, label="floor")
    panel.plot(rows["wave"], rows["readnoise"], color=GREEN, label="read noise")
    panel.set_ylim(0, _top(rows["evar"], 99))
    _say_if_empty(panel, good)
    panel.set_ylabel("Detected electrons [e⁻]\nand their variance [(e⁻)²]")
    legend_above(panel)


def _flats(panel: Axes, rows: Mapping[str, Any]) -> None:
    if rows["flat"] is None:
        _missing(panel, "flat fields")
        return
    panel.plot(rows["wave"], rows["superflat"], color=RED, label="superflat")
    panel.plot(rows["wave"], rows["fiberflat"], color=BLUE, label="fiberflat")
    panel.plot(rows["wave"], rows["flat"], color=BLACK, label="both")
    panel.set_ylim(0, None)
    panel.set_ylabel("Flat-field correction")
    legend_above(panel)


def _calibration(panel: Axes, rows: Mapping[str, Any]) -> None:
    wave, applied = rows["wave"], rows["calib_applied"]
    applied = _where(applied, rows["good"] & rows["egood"] & (applied > 0))
    if rows["spcalib"] is None:
        panel.plot(wave, applied, color=BLACK, label="applied; components not in a spec file")
        panel.set_ylabel(f"Calibration [{FLUX_UNIT}\nper detected e⁻]")
        curves = [applied]
    else:
        spcalib = _where(rows["spcalib"], rows["spcalib"] > 0)
        curves = [SPCALIB_SCALE / spcalib, rows["corr"], rows["distort"], rows["bin_ratio"], applied]
        labels = (f"{SPCALIB_SCALE}/spcalib", "corr", "distort", "R", "all")
        for curve, label, color in zip(curves, labels, (RED, BLUE, PINK, GREEN, BLACK), strict=True):
            panel.plot(wave, curve, color=color, label=label)
        panel.set_ylabel(f"Calibration [{FLUX_UNIT}\nper e⁻] and its components")
    lit = np.isfinite(applied)
    panel.set_ylim(0, 1.15 * max(_top(curve, 95, lit) for curve in curves) if lit.any() else 1)
    legend_above(panel)


def _excess(panel: Axes, rows: Mapping[str, Any]) -> None:
    excess = rows["evar"] - np.maximum(rows["electrons"], 0)
    shown = rows["egood"] & (excess > 0)
    excess_rms = np.sqrt(np.where(shown, excess, 0))
    panel.plot(rows["wave"], _where(excess_rms, shown), color=BLACK, label="√(variance − electrons)", **DOTS)
    panel.plot(rows["wave"], rows["readnoise"], color=RED, label="read noise")
    top = _top(excess_rms, 95, shown)
    if rows["floor"] is not None:
        floor_rms = np.sqrt(rows["floor"])
        panel.plot(rows["wave"], _where(floor_rms, shown), color=ORANGE, linewidth=0.5, label="3 % floor")
        top = max(top, _top(floor_rms, 95, shown))
    panel.set_ylim(0, top)
    _say_if_empty(panel, shown)
    panel.set_ylabel("Excess rms over shot noise [e⁻]")
    legend_above(panel)


def _variances(panel: Axes, rows: Mapping[str, Any]) -> None:
    limit = _top(rows["evar"], 99)
    good = rows["egood"]
    predicted = _where(rows["evar_pred"], good)
    if rows["floor"] is not None:
        panel.plot(predicted, rows["evar"] + rows["floor"], color=SKY, label="with 3 % floor", **DOTS)
    panel.plot(predicted, _where(rows["evar"], good), color=BLACK, label="pixels", **DOTS)
    panel.plot([0, limit], [0, limit], color=ORANGE, linestyle="--", label="equal")
    panel.set_xlim(0, limit)
    panel.set_ylim(0, limit)
    _say_if_empty(panel, good)
    panel.set_xlabel("Predicted electron variance [(e⁻)²]")
    panel.set_ylabel("Actual electron variance [(e⁻)²]")
    legend_above(panel)
