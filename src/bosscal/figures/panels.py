"""The tutorial's six panels for one fiber of a camera exposure, together and each alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from numpy.typing import NDArray

from bosscal.base.elementary import power_of_ten
from bosscal.base.errors import UserError
from bosscal.figures.style import (
    BLACK,
    BLUE,
    DASH_DOT,
    DASHED,
    DOTTED,
    EDGE,
    FLUX_UNIT,
    GREEN,
    GREY,
    LONG,
    ORANGE,
    PINK,
    RED,
    SKY,
    SOLID,
    WAVELENGTH_LABEL,
    Width,
    block_medians,
    finish,
    heading_height,
    legend_above,
    log_axis,
    log_limits,
    look,
    margins,
    mark_beyond,
    new_figure,
    place_labels,
    say_instead,
    tick_label_width,
)
from bosscal.noise.laws.tutorial import tutorial_readnoise, tutorial_variance
from bosscal.results.spectrum import Spectrum

NO_READ_NOISE = "read noise unknown:\nthe file has lost its headers"
SPCALIB_SCALE = 5  # the tutorial draws 5/spcalib so that it shares an axis with the other components
BLOCK = 15  # pixels of a median: of what is predicted for each pixel, and would hide what was measured

# Room [inch] for tick labels and an axis label below a panel, for a legend of two rows above it, for an axis label of
# two lines and all else beside it but the tick labels, which differ in width, and for half a tick label beyond its end.
BELOW, LEGEND, BESIDE, BEYOND = 0.41, 0.3, 0.42, 0.17
LABELS_BELOW, LABELS_BESIDE = 0.22, 0.08  # distances of axis labels, to which the width of the tick labels comes
STEPS = 6  # between the ticks of linear axes but wavelength: each tick takes time to draw
ROW_HEIGHT = {"page": 2.62, "column": 2.75}  # of a panel with all around it [inch]

# Measured pixels are dots, and what is on top is smaller and darker; what is predicted for them is a line.
DOTS: dict[str, Any] = {"linestyle": "none", "marker": ".", "markeredgewidth": 0}
HALO = [Stroke(linewidth=1.7, foreground="white"), Normal()]  # or a line is lost among dots in grey print
PREDICTED: dict[str, Any] = {"color": BLUE, "linewidth": 0.9, "median": True, "path_effects": HALO}
LARGE, SMALL = DOTS | {"markersize": 2.6}, DOTS | {"markersize": 1.5}


def draw(spectrum: Spectrum) -> Figure:
    """What the pipeline did to one fiber beside what the tutorial predicts.

    Returns
    -------
    matplotlib.figure.Figure
        Panels whose inputs the product lacks say so. Of a spectrum without data there are none, but why.
    """
    return _draw(spectrum, look().panels or tuple(PANELS))


def draw_panel(spectrum: Spectrum, name: str, axes: Axes | None = None) -> Figure:
    """One of the six panels, in a figure of its own or on given axes; returns the figure.

    Parameters
    ----------
    spectrum : Spectrum
    name : str
        One of :data:`PANELS`.
    axes : matplotlib.axes.Axes, optional
        Where to draw; what is around them is left as it is, but for legend and axis labels.

    Raises
    ------
    UserError
        If there is no panel of this name, or nothing to draw on given axes.
    """
    if name not in PANELS:
        raise UserError(f"panel '{name}' is not known; give one of {', '.join(PANELS)}")
    if axes is None:
        return _draw(spectrum, (name,))
    if not spectrum.measurement.good.any():
        raise UserError(f"{spectrum.name}: no pixel with data")
    _fill(axes, name, _rows(spectrum))
    return axes.figure  # type: ignore[return-value]


def _draw(spectrum: Spectrum, names: Sequence[str]) -> Figure:
    """The panels in two columns on a page; one alone as wide as a column."""
    simulated = spectrum.exposure.header.simulated
    width: Width = "page" if len(names) > 1 else "column"
    title = spectrum.title if width == "page" else spectrum.name
    if not spectrum.measurement.good.any():
        return say_instead(width, title, simulated, ["No pixel with data.", *spectrum.why_empty])
    rows = _rows(spectrum)
    columns = min(len(names), 2)
    shape = (-(-len(names) // columns), columns)
    heading = heading_height(width, simulated)
    figure = new_figure(width, heading + shape[0] * ROW_HEIGHT[width])
    axes = figure.subplots(*shape, squeeze=False)
    for panel, name in zip(axes.flat, names, strict=False):
        _fill(panel, name, rows)
    _lay_out(figure, axes, len(names), heading)
    for panel in axes.flat[len(names) :]:
        panel.remove()
    return finish(figure, title, simulated)


@dataclass
class Curve:
    """Values against wavelength, 1D[nrow], with NaN where there are none; ``looks`` are keywords of ``Axes.plot``."""

    label: str
    values: NDArray
    looks: dict[str, Any] = field(default_factory=dict)


def _rows(spectrum: Spectrum) -> dict[str, Any]:
    """What the panels show, each 1D[nrow] over the rows that have any of it; None where the product lacks it."""
    exposure, measurement, tutorial = spectrum.exposure, spectrum.measurement, spectrum.tutorial
    sigma = exposure.profile_width
    rows: dict[str, Any] = {
        "wave": power_of_ten(exposure.loglam),
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
    rows |= {"good": measurement.good[0], "egood": measurement.good_electrons[0]}
    # where the flat field is positive; all of a spec file's
    lit = np.flatnonzero(rows["flat"] > 0 if rows["flat"] is not None else np.isfinite(rows["wave"]))
    first, last = (lit[0], lit[-1]) if lit.size else (0, len(rows["wave"]) - 1)
    return {name: None if array is None else array[first : last + 1] for name, array in rows.items()}


def _lay_out(figure: Figure, axes: Any, number: int, heading: float) -> None:
    """Make room for the tick labels that there are, with axis labels in line, and add the legends."""
    for panel in axes.flat[:number]:
        if panel.get_yscale() == "linear" and panel.get_ylabel():
            panel.locator_params(axis="y", nbins=STEPS)
    widths = [max(tick_label_width(panel) for panel in column) for column in axes.T]
    between = (BELOW + LEGEND, BESIDE + widths[-1] + BEYOND)
    figure.subplots_adjust(
        **margins(figure, axes.shape, BESIDE + widths[0], BEYOND, BELOW, LEGEND + heading - EDGE, between)
    )
    for row in axes:
        for panel, width in zip(row, widths, strict=True):
            place_labels(panel, LABELS_BELOW, LABELS_BESIDE + width)
    for panel in axes.flat[:number]:
        legend_above(panel, figure.get_figwidth() * panel.get_position().width + BEYOND)


def _fill(panel: Axes, name: str, rows: Mapping[str, Any]) -> None:
    """Draw a panel; on axes that somebody else laid out, its legend stands above them too."""
    PANELS[name](panel, rows)
    if name != "variance":
        wave = rows["wave"]
        panel.set_xlim(wave.min(), wave.max())
        panel.set_xlabel(WAVELENGTH_LABEL)
        panel.locator_params(axis="x", nbins=STEPS)
    figure: Any = panel.figure
    if panel.get_legend() is None:
        legend_above(panel, figure.get_figwidth() * panel.get_position().width)


def _where(values: NDArray, keep: NDArray[np.bool_]) -> NDArray:
    """``values`` with NaN, which matplotlib leaves out, where not ``keep``."""
    return np.where(keep, values, np.nan)


def _top(values: NDArray, percent: float) -> float:
    """The tutorial's upper axis limit: a percentile of the values, or 1 where there is nothing to show."""
    values = values[np.isfinite(values)]
    top = np.percentile(values, percent) if values.size else 0
    return top if top > 0 else 1


def _plot(panel: Axes, wave: NDArray, curves: Sequence[Curve], tutorial_top: float) -> None:
    """Curves on a logarithmic axis that holds all of them, or on the tutorial's linear one, which cuts.

    One without a number, as all that takes the read noise of a file without headers, is left out of the legend too.
    """
    curves = [curve for curve in curves if np.isfinite(curve.values).any()]
    if not curves:
        _say(panel, "no pixel with data")
        return
    if look().limits == "tutorial":
        panel.set_ylim(0, tutorial_top)
    else:
        log_axis(panel, "y", *log_limits([curve.values for curve in curves]))
    hidden = []
    for order, curve in enumerate(curves):
        position, values = wave, curve.values
        if curve.looks.get("median"):
            position, values = block_medians(wave, values, BLOCK)
        if look().limits == "data":
            hidden.append((position, values))
            low = panel.get_ylim()[0]
            values = np.where(values < low, np.nan, values)
        looks = {name: value for name, value in curve.looks.items() if name != "median"}
        panel.plot(position, values, label=curve.label, zorder=2 + 0.01 * order, **looks)
    if hidden:
        mark_beyond(panel, *(np.concatenate(parts) for parts in zip(*hidden, strict=True)))


def _say(panel: Axes, what: str) -> None:
    """Say in an empty panel why it is empty, without numbers on its axes."""
    panel.text(0.5, 0.5, what, transform=panel.transAxes, ha="center", va="center", color=GREY)
    panel.set_yticks([])


def _flux(panel: Axes, rows: Mapping[str, Any]) -> None:
    observed, good = _where(rows["flux"] + rows["sky"], rows["good"]), rows["good"]
    curves = [
        Curve("flux + sky", observed, SMALL | {"color": BLACK}),
        Curve("variance", _where(rows["var"], good), LARGE | {"color": ORANGE}),
    ]
    if rows["var_pred"] is not None:
        predicted = _where(rows["var_pred"], good & rows["egood"])
        curves.append(Curve("from eflux", predicted, PREDICTED))
    _plot(panel, rows["wave"], curves, _top(observed, 99))
    panel.set_ylabel(f"Flux [{FLUX_UNIT}]\nand its variance [flux²]")


def _electrons(panel: Axes, rows: Mapping[str, Any]) -> None:
    good = rows["egood"]
    curves = [
        Curve("variance", _where(rows["evar"], good), LARGE | {"color": ORANGE}),
        Curve("electrons", _where(rows["electrons"], good), SMALL | {"color": BLACK}),
        Curve(
            "predicted",
            _where(rows["evar_pred"], good),
            PREDICTED,
        ),
    ]
    if rows["floor"] is not None:
        floor = _where(rows["floor"], good & (rows["floor"] > 0))
        curves.append(Curve("floor", floor, {"color": PINK, "linestyle": DASH_DOT, "median": True}))
    curves.append(Curve("read noise", rows["readnoise"], {"color": GREEN, "linestyle": DASHED}))
    _plot(panel, rows["wave"], curves, _top(rows["evar"], 99))
    panel.set_ylabel("Detected electrons [e⁻]\nand their variance [(e⁻)²]")


def _flats(panel: Axes, rows: Mapping[str, Any]) -> None:
    if rows["flat"] is None:
        _say(panel, "flat fields:\nnot in a spec file")
        return
    for name, label, color, line in (
        ("superflat", "superflat", RED, DASHED),
        ("fiberflat", "fiberflat", BLUE, DASH_DOT),
        ("flat", "both", BLACK, SOLID),
    ):
        panel.plot(rows["wave"], rows[name], color=color, linestyle=line, label=label)
    panel.set_ylim(0, None)
    panel.set_ylabel("Flat-field correction")


def _calibration(panel: Axes, rows: Mapping[str, Any]) -> None:
    applied = rows["calib_applied"]
    applied = _where(applied, rows["good"] & rows["egood"] & (applied > 0))
    known = np.flatnonzero(np.isfinite(applied))
    within = np.zeros(applied.shape, dtype=bool)
    if known.size:
        within[known[0] : known[-1] + 1] = True
    if rows["spcalib"] is None:
        curves = [Curve("applied; components not in a spec file", applied, {"color": BLACK})]
        panel.set_ylabel(f"Calibration [{FLUX_UNIT}\nper detected e⁻]")
    else:
        spcalib = _where(rows["spcalib"], rows["spcalib"] > 0)
        # each where light was calibrated: beyond, spcalib is anything
        curves = [
            Curve(label, _where(values, within), {"color": color, "linestyle": line})
            for label, values, color, line in (
                (f"{SPCALIB_SCALE}/spcalib", SPCALIB_SCALE / spcalib, RED, DASHED),
                ("corr", rows["corr"], BLUE, DASH_DOT),
                ("distort", rows["distort"], PINK, DOTTED),
                ("R", rows["bin_ratio"], GREEN, LONG),
                ("all", applied, BLACK, SOLID),
            )
        ]
        panel.set_ylabel(f"Calibration [{FLUX_UNIT}\nper e⁻] and its components")
    _plot(panel, rows["wave"], curves, 1.15 * max(_top(_where(curve.values, within), 95) for curve in curves))


def _excess(panel: Axes, rows: Mapping[str, Any]) -> None:
    excess = rows["evar"] - np.maximum(rows["electrons"], 0)
    good = rows["egood"]
    excess_rms = np.sign(excess) * np.sqrt(np.abs(np.where(good, excess, 0)))  # an excess below 0 has no rms
    curves = [Curve("√(variance − electrons)", _where(excess_rms, good), SMALL | {"color": BLACK})]
    top = _top(_where(excess_rms, good & (excess > 0)), 95)
    if rows["floor"] is not None:
        floor_rms = _where(np.sqrt(rows["floor"]), good & (rows["floor"] > 0))
        curves.append(Curve("3 % floor", floor_rms, {"color": PINK, "linestyle": DASH_DOT, "median": True}))
        top = max(top, _top(floor_rms, 95))
    curves.append(Curve("read noise", rows["readnoise"], {"color": RED, "path_effects": HALO}))
    _plot(panel, rows["wave"], curves, top)
    panel.set_ylabel("Excess rms over shot noise [e⁻]")


def _variances(panel: Axes, rows: Mapping[str, Any]) -> None:
    good, evar = rows["egood"], rows["evar"]
    panel.set_xlabel("Predicted electron variance [(e⁻)²]")
    panel.set_ylabel("Actual electron variance [(e⁻)²]")
    if not good.any():
        _say(panel, "no pixel with data")
        panel.set_xticks([])
        return
    predicted = rows["evar_pred"][good]
    if not np.isfinite(predicted).any():
        _say(panel, NO_READ_NOISE)
        panel.set_xticks([])
        return
    clouds = [("pixels", evar[good], SMALL | {"color": BLACK})]
    if rows["floor"] is not None:
        clouds.insert(0, ("with 3 % floor", (evar + rows["floor"])[good], LARGE | {"color": SKY}))
    if look().limits == "tutorial":
        low, high = 0.0, _top(evar, 99)
        panel.set_xlim(low, high)
        panel.set_ylim(low, high)
        equal = [low, high]
    else:
        (low, right), (bottom, top) = log_limits([predicted]), log_limits([values for _, values, _ in clouds])
        low = min(low, float(predicted.min()) / 1.05)
        log_axis(panel, "x", low, right)
        log_axis(panel, "y", bottom, top)
        equal = [max(low, bottom), min(right, top)]
    for label, values, looks in clouds:
        shown = values if look().limits == "tutorial" else np.where(values < panel.get_ylim()[0], np.nan, values)
        panel.plot(predicted, shown, label=label, **looks)
    panel.plot(equal, equal, color=RED, linestyle=DASHED, label="equal", path_effects=HALO)
    if look().limits == "data":
        mark_beyond(panel, *(np.concatenate(each) for each in ([predicted] * len(clouds), [c[1] for c in clouds])))


PANELS: dict[str, Callable[[Axes, Mapping[str, Any]], None]] = {
    "flux": _flux,
    "electrons": _electrons,
    "flats": _flats,
    "calibration": _calibration,
    "noise": _excess,
    "variance": _variances,
}
