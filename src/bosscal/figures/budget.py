"""The error budget of the tutorial for one fiber of a camera exposure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bosscal.base.elementary import power_of_ten
from bosscal.calibration.budget import APPROXIMATIONS
from bosscal.figures.style import (
    BLACK,
    BLUE,
    DASH_DOT,
    DASHED,
    DOTTED,
    EDGE,
    GREEN,
    GREY,
    PINK,
    RED,
    SKY,
    SOLID,
    WAVELENGTH_LABEL,
    finish,
    legend_above,
    log_axis,
    look,
    margins,
    mark_beyond,
    new_figure,
    place_labels,
    runs_of,
    say_instead,
)
from bosscal.results.spectrum import Spectrum

JUMP_ROWS = (2055, 2072)  # shown enlarged: the two-phase jump of the red CCDs and its surroundings

# name: (color, size of its dots; of what is smooth in CCD row, and drawn as a line, its style). What all cost together
# is close to the largest of them, so it is a line along their upper edge, under which they stay to be seen.
LOOKS: dict[str, tuple[str, Any]] = {
    "derivative": (RED, DASHED),
    "float32": (SKY, 2.6),
    "grid_offset": (GREEN, DASH_DOT),
    "interpolation": (PINK, 1.5),
    "position_correction": (BLUE, DOTTED),
    "calibration": (BLACK, SOLID),
    "error_floor": (SKY, 2.6),
    "apodization": (GREEN, DASH_DOT),
    "variance": (BLACK, SOLID),
}
ALL = ("calibration", "variance")  # everything together, of each quantity
BLOCK = 15  # rows of which the line of all together shows the largest value
ENLARGED = 2.5  # size of the enlarged rows' dots over that of the others

DOTS: dict[str, Any] = {"linestyle": "none", "marker": ".", "markeredgewidth": 0}

# quantity: title
HEADINGS = {"calibration": "Calibration, flux/eflux", "variance": "Variance of the flux"}

# Room around the panels, for labels, titles and legends of two rows [inch].
ROOM: dict[str, Any] = {"left": 0.68, "right": 0.17, "bottom": 0.42}
ABOVE, BETWEEN = 0.46, 0.95
LINE_HEIGHT = 0.135  # of a further line of a title
LABEL_PLACES = (0.22, 0.37)  # distances of the axis labels below and beside a panel [inch]

# Axis limits that most targets share; differences below the lower ones concern nobody.
LIMITS = {"calibration": (3e-12, 0.1), "variance": (1e-9, 0.1)}


def draw(spectrum: Spectrum) -> Figure:
    """What each approximation of the tutorial costs one fiber, against wavelength.

    Returns
    -------
    matplotlib.figure.Figure
        The calibration above, in red with the rows of the two-phase jump enlarged beside it, the variance below.
        An approximation that changes nothing says so in the legend, since a logarithmic axis has no 0.
    """
    exposure = spectrum.exposure
    rows = {name: spectrum.effects[name][0] for name in APPROXIMATIONS}
    wave = power_of_ten(exposure.loglam[0])
    simulated = exposure.header.simulated
    if not any(np.isfinite(rows[name]).any() for name in ALL):
        why = ["No pixel can be compared."]
        if not spectrum.measurement.good.any():
            why = ["No pixel with data.", *spectrum.why_empty]
        return say_instead("page", spectrum.title, simulated, why)

    headings = {quantity: _heading(quantity, rows) for quantity in HEADINGS}
    further = {quantity: LINE_HEIGHT * heading.count("\n") for quantity, heading in headings.items()}
    figure = new_figure("page", 5.8 + sum(further.values()))
    top = (0.3 if look().title or simulated else 0.05) + ABOVE + further["calibration"]
    place: dict[str, Any] = ROOM | {"top": top, "between": (BETWEEN + further["variance"], 0.2)}
    enlarged = None
    if exposure.trace_set("wave").jump is None:
        grid = figure.add_gridspec(2, 1, height_ratios=(1.4, 1), **margins(figure, (2, 1), **place))
    else:
        room = margins(figure, (2, 2), **place)
        grid = figure.add_gridspec(2, 2, height_ratios=(1.4, 1), width_ratios=(3, 1), **room)
        enlarged = figure.add_subplot(grid[0, 1])
        near = (exposure.row >= JUMP_ROWS[0]) & (exposure.row <= JUMP_ROWS[1])
        of_jump = {name: values[near] for name, values in rows.items()}
        _draw(enlarged, exposure.row[near], of_jump, "calibration", enlarged=True)
        enlarged.set_xlim(JUMP_ROWS[0] - 0.5, JUMP_ROWS[1] + 0.5)
        enlarged.set_xlabel("CCD row")
        enlarged.tick_params(labelleft=False)
        place_labels(enlarged, *LABEL_PLACES)
    panels = {"calibration": figure.add_subplot(grid[0, 0]), "variance": figure.add_subplot(grid[1, :])}
    for quantity, panel in panels.items():
        shown = _compared(rows[quantity])
        _draw(panel, wave[shown], {name: values[shown] for name, values in rows.items()}, quantity)
        # a legend may go on above the panel beside it
        lines = legend_above(panel, figure.get_figwidth() * (1 - panel.get_position().x0) - EDGE)
        panel.set_title(headings[quantity], loc="left", pad=4 + 10 * lines)
        low, high = float(wave[shown].min()), float(wave[shown].max())
        panel.set_xlim(low, high if high > low else low + 1)  # of one pixel, 1 Å
        panel.set_xlabel(WAVELENGTH_LABEL)
        panel.set_ylabel("Relative difference\n|a − b| / |a + b|")
        place_labels(panel, *LABEL_PLACES)
        if quantity == "calibration" and enlarged is not None:
            enlarged.set_ylim(*panel.get_ylim())
            enlarged.set_title("Two-phase jump", loc="left", pad=4 + 10 * lines)
    return finish(figure, spectrum.title, simulated)


def _draw(panel: Axes, position: NDArray, rows: Mapping[str, NDArray], quantity: str, enlarged: bool = False) -> None:
    """All approximations of a quantity against ``position``, 1D[nrow], that change it; enlarged, all have dots."""
    own = [name for name in LOOKS if APPROXIMATIONS[name].quantity == quantity]
    largest = max(float(np.max(rows[name], where=rows[name] > 0, initial=0)) for name in own)
    lowest, highest = LIMITS[quantity]
    log_axis(panel, "y", lowest, max(highest, 2 * largest))
    hidden = []
    for name in own:
        color, looks = LOOKS[name]
        nonzero = rows[name] > 0
        label = APPROXIMATIONS[name].label
        if not nonzero.any():
            continue
        values = np.where(nonzero, rows[name], np.nan)
        hidden.append(np.where(values < lowest, values, np.nan))
        values = np.where(values < lowest, np.nan, values)
        if name in ALL and not enlarged:
            panel.plot(*_upper_edge(position, values), color=color, linewidth=0.8, label=f"{label}, largest of {BLOCK}")
        elif name in ALL:  # around the dots of what explains it
            panel.plot(
                position, values, color=color, linestyle="none", marker="o", markersize=6, markerfacecolor="none",
                markeredgewidth=0.7, label=label,
            )  # fmt: skip
        elif isinstance(looks, float):
            panel.plot(position, values, color=color, label=label, markersize=looks * (ENLARGED if enlarged else 1),
                       **DOTS)  # fmt: skip
        else:
            panel.plot(position, values, color=color, linestyle=looks, label=label)
            if enlarged:
                panel.plot(position, values, color=color, markersize=2.6 * ENLARGED, **DOTS)
    panel.axhline(float(np.finfo(np.float32).eps), color=GREY, linestyle=DOTTED, zorder=1, label="float32 precision")
    if hidden:
        mark_beyond(panel, position, np.fmin.reduce(hidden))
    elif not any(np.isfinite(rows[name]).any() for name in own):
        panel.text(0.5, 0.5, "no pixel\ncompared", transform=panel.transAxes, ha="center", va="center", color=GREY)


def _heading(quantity: str, rows: Mapping[str, NDArray]) -> str:
    """Title of a panel, with those approximations that change nothing and so are not drawn."""
    nothing = [
        known.label
        for name, known in APPROXIMATIONS.items()
        if known.quantity == quantity and not (rows[name] > 0).any()
    ]
    heading = HEADINGS[quantity] + (f"   (changes nothing: {', '.join(nothing)})" if nothing else "")
    return textwrap.fill(heading, 88, subsequent_indent="   ")


def _upper_edge(position: NDArray, values: NDArray) -> tuple[NDArray, NDArray]:
    """Largest of each block of values that are numbers, where it is; two 1D arrays, with NaN in a gap."""
    found = []
    for run in runs_of(values, BLOCK):
        places = [block[np.argmax(values[block])] for block in np.array_split(run, max(len(run) // BLOCK, 1))]
        found += [np.stack([position[places], values[places]]), np.full((2, 1), np.nan)]
    where, largest = np.concatenate(found[:-1], axis=1)
    return where, largest


def _compared(values: NDArray) -> slice:
    """Rows from the first to the last with a value; all if none has one."""
    compared = np.flatnonzero(np.isfinite(values))
    return slice(compared[0], compared[-1] + 1) if compared.size else slice(None)
