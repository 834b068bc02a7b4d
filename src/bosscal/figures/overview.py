"""Distributions over the fibers of all camera exposures of a plate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bosscal.figures.style import BLACK, BLUE, GREEN, GREY, ON_EDGE, RATIO_LABEL, RED, finish, log_axis, new_figure

if TYPE_CHECKING:
    from astropy.table import Table


def draw(tables: Sequence[Table]) -> Figure:
    """Distributions over the fibers of every camera exposure of a plate.

    Parameters
    ----------
    tables : sequence of astropy.table.Table
        One per camera exposure, a row per fiber, with ``noise_ratio_median`` and ``tutorial_max_reldiff``.

    Returns
    -------
    matplotlib.figure.Figure
        A row of panels per camera, a bar per exposure.
    """
    by_camera: dict[str, dict[int, Table]] = {}
    for table in tables:
        by_camera.setdefault(str(table["camera"][0]), {})[int(table["expnum"][0])] = table
    cameras = sorted(by_camera)
    expnums = sorted(set().union(*by_camera.values()))

    figure = new_figure("page", 1.2 + 1.2 * len(cameras), layout="constrained")
    axes = figure.subplots(len(cameras), 2, sharex=True, sharey="col", squeeze=False)
    for panels, (name, title, scale) in zip(axes.T, OVERVIEW, strict=True):
        quantiles = np.array(
            [[_quantiles(by_camera[camera].get(number), name) for number in expnums] for camera in cameras]
        )
        panels[0].set_title(title)
        panels[0].set_ylim(*_quantile_limits(quantiles, scale))
        if scale == "log":
            for panel in panels:
                log_axis(panel, "y", *_quantile_limits(quantiles, scale))
        for camera, panel, values in zip(cameras, panels, quantiles, strict=True):
            color = BLUE if camera.startswith("b") else RED
            _distributions(panel, values, color)
            panel.set_ylabel(camera, rotation=0, ha="right", va="center", fontweight="bold", color=color)
        panels[-1].set_xticks(range(len(expnums)), [str(expnum) for expnum in expnums], rotation=90, fontsize=7)
        panels[-1].set_xlim(-0.7, len(expnums) - 0.3)
        panels[-1].set_xlabel("Exposure")
    for panel in axes[:, 0]:
        panel.axhline(1, color=GREEN, linewidth=0.8, zorder=0)
    first = tables[0]
    figure.supxlabel("bar 25–75 %, line 5–95 % of fibers, black median, dots extremes (▲ ▼ off the axis)", fontsize=7)
    title = f"{first['release'][0]}   {first['plate'][0]}-{first['mjd'][0]}   all camera exposures"
    return finish(figure, title, bool(first["simulated"][0]))


# column of the tables, title, scale of the axis
OVERVIEW = (
    ("noise_ratio_median", f"{RATIO_LABEL},\nmedian of each fiber's pixels", "linear"),
    (
        "tutorial_max_reldiff",
        "Tutorial (a) against applied calibration (b),\nlargest |a − b| / |a + b| of each fiber",
        "log",
    ),
)
QUANTILES = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)


def _quantiles(table: Table | None, name: str) -> NDArray[np.float64]:
    """:data:`QUANTILES` of a column's unmasked values; NaN if there are none or no table."""
    values = np.empty(0) if table is None else np.ma.compressed(np.ma.asarray(table[name], dtype=np.float64))
    return np.quantile(values, QUANTILES) if values.size else np.full(len(QUANTILES), np.nan)


def _quantile_limits(quantiles: NDArray, scale: str) -> tuple[float, float]:
    """Axis limits that show every 5-95 % line with some room, whatever single fibers do."""
    values = quantiles[..., [1, 5]]
    values = values[values > 0]  # nor NaN
    if values.size == 0:
        return 0.1, 10
    low, high = values.min(), values.max()
    if scale == "log":  # half a decade on either side, so that at least one tick has a label
        return low / 10**0.55, high * 10**0.55
    low, high = min(low, 1), max(high, 1)
    margin = 0.4 * (high - low) + 0.01
    return low - margin, high + margin


def _distributions(panel: Axes, quantiles: NDArray, color: str) -> None:
    """Bars of :data:`QUANTILES`, 2D[nexposure, 7]."""
    place = np.arange(len(quantiles))
    smallest, line_low, bar_low, middle, bar_high, line_high, largest = quantiles.T
    panel.vlines(place, line_low, line_high, color=color, linewidth=0.9)
    panel.vlines(place, bar_low, bar_high, color=color, linewidth=4)
    panel.plot(place, middle, "_", color=BLACK, markersize=6, markeredgewidth=1)
    low, high = panel.get_ylim()
    for values, beyond, edge, marker in ((smallest, smallest < low, low, "v"), (largest, largest > high, high, "^")):
        panel.plot(place[~beyond], values[~beyond], ".", color=GREY, markersize=2.5)
        panel.plot(place[beyond], np.full(beyond.sum(), edge), marker, color=GREY, markersize=3, **ON_EDGE)
    panel.tick_params(axis="x", which="both", top=False, bottom=False)
