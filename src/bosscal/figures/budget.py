"""The error budget of the tutorial for one fiber of a camera exposure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from bosscal.calibration.budget import APPROXIMATIONS
from bosscal.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    PAGE_WIDTH,
    PINK,
    RED,
    SKY,
    WAVELENGTH_LABEL,
    finish,
    margins,
    new_figure,
    place_labels,
    power_of_ten,
)
from bosscal.results.spectrum import Spectrum

JUMP_ROWS = (2055, 2072)  # shown enlarged: the two-phase jump of the red CCDs and its surroundings

# name: (color, size of its dots; None for what is smooth in CCD row and drawn as a line), in the order of the legend.
# All together comes last, in small dots: they lie on the larger ones of the part that explains them.
LOOKS = {
    "derivative": (RED, None),
    "float32": (SKY, 3),
    "grid_offset": (GREEN, None),
    "interpolation": (PINK, 1.5),
    "position_correction": (BLUE, None),
    "calibration": (BLACK, 1.4),
    "error_floor": (BLUE, 3),
    "apodization": (GREEN, None),
    "variance": (BLACK, 1.4),
}
ENLARGED = 2.5  # size of the enlarged rows' dots over that of the others
LEGEND_DOT = 6

# On the lines, so that a PDF file needs one image per panel.
DOTS: dict[str, Any] = {"linestyle": "none", "marker": ".", "markeredgewidth": 0, "rasterized": True, "zorder": 2.1}

# quantity: (title, columns of the legend, height [points] that the legend needs between axes and title)
HEADINGS = {"calibration": ("Calibration, flux/eflux", 4, 28), "variance": ("Variance of the flux", 5, 16)}

# Room around the panels, for labels and legends [inch].
ROOM: dict[str, Any] = {"left": 0.68, "right": 0.17, "bottom": 0.42, "top": 0.9, "between": (0.9, 0.2)}
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
    wave = 10 ** exposure.loglam[0]

    figure = new_figure(PAGE_WIDTH, 5.8)
    if exposure.trace_set("wave").jump is None:
        grid = figure.add_gridspec(2, 1, height_ratios=(1.4, 1), **margins(figure, (2, 1), **ROOM))
    else:
        room = margins(figure, (2, 2), **ROOM)
        grid = figure.add_gridspec(2, 2, height_ratios=(1.4, 1), width_ratios=(3, 1), **room)
        enlarged = figure.add_subplot(grid[0, 1])
        _draw(enlarged, exposure.row, rows, "calibration", enlarge=ENLARGED)
        enlarged.set_title("Two-phase jump", loc="left", pad=HEADINGS["calibration"][2])
        enlarged.set_xlim(JUMP_ROWS[0] - 0.5, JUMP_ROWS[1] + 0.5)
        enlarged.set_xlabel("CCD row")
        enlarged.tick_params(labelleft=False)
        place_labels(enlarged, *LABEL_PLACES)
    panels = {"calibration": figure.add_subplot(grid[0, 0]), "variance": figure.add_subplot(grid[1, :])}
    for quantity, panel in panels.items():
        _draw(panel, wave, rows, quantity)
        heading, columns, height = HEADINGS[quantity]
        panel.set_title(heading, loc="left", pad=height)
        panel.set_xlim(*_compared_range(wave, rows[quantity]))
        panel.set_xlabel(WAVELENGTH_LABEL)
        panel.set_ylabel("Relative difference\n|a − b| / |a + b|")
        place_labels(panel, *LABEL_PLACES)
        _legend(panel, columns)
    return finish(figure, spectrum.title, exposure.header.simulated)


def _draw(panel: Axes, position: NDArray, rows: Mapping[str, NDArray], quantity: str, enlarge: float = 1) -> None:
    """All approximations of a quantity against ``position``, 1D[nrow]; enlarged, lines have dots too."""
    compared = np.isfinite(rows[quantity]).any()
    largest = 0
    for name, (color, size) in LOOKS.items():
        if APPROXIMATIONS[name].quantity != quantity:
            continue
        nonzero = rows[name] > 0
        largest = max(largest, np.max(rows[name], where=nonzero, initial=0))
        values = np.where(nonzero, rows[name], np.nan)
        label = APPROXIMATIONS[name].label + (": 0" if compared and not nonzero.any() else "")
        if size is None:
            panel.plot(position, values, color=color, label=label)
        if size is not None or enlarge > 1:
            panel.plot(position, values, color=color, label=label, markersize=enlarge * (size or 3), **DOTS)
    panel.axhline(float(np.finfo(np.float32).eps), color=GREY, linestyle=":", zorder=1, label="float32 precision")
    lowest, highest = LIMITS[quantity]
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter(power_of_ten)
    panel.set_ylim(lowest, max(highest, 2 * largest))
    if not compared:
        panel.text(0.5, 0.5, "no pixel compared", transform=panel.transAxes, ha="center", va="center", color=GREY)


def _legend(panel: Axes, columns: int) -> None:
    """Legend between the axes and their title."""
    legend = panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=columns, borderpad=0)
    for handle in legend.legend_handles:
        cast(Line2D, handle).set_markersize(LEGEND_DOT)


def _compared_range(wave: NDArray, values: NDArray) -> tuple[float, float]:
    """First and last wavelength [Å] with a value; the whole spectrum's if none has one."""
    compared = np.flatnonzero(np.isfinite(values))
    ends = wave[compared[[0, -1]]] if compared.size else wave[[0, -1]]
    return ends.min(), ends.max()
