"""Measured over predicted variance of every fiber of a camera exposure: by number, and on the focal plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from bosscal.figures.style import (
    BLACK,
    BLUE,
    FIBER_LABEL,
    GREEN,
    NO_DATA,
    ON_EDGE,
    ORANGE,
    RATIO_LABEL,
    RED,
    exposure_title,
    finish,
    new_figure,
)
from bosscal.results.prediction import Prediction
from bosscal.survey.exposure import CameraExposure, FrameExposure

if TYPE_CHECKING:
    from astropy.table import Table

# kind of fiber: (label, marker, its size [points], color)
KINDS = {
    "object": ("object", "o", 3.0, BLACK),
    "sky": ("sky", "s", 3.4, BLUE),
    "standard": ("standard star", "^", 4.6, ORANGE),
    "without data": ("without data", "x", 3.6, RED),
}


def fiber_kinds(objtype: ArrayLike, has_data: ArrayLike) -> NDArray[np.str_]:
    """Kind of every fiber, a key of :data:`KINDS`.

    Parameters
    ----------
    objtype : 1D[nfiber] of str
        OBJTYPE of the plug map.
    has_data : 1D[nfiber] of bool
        False for fibers that are dead, unplugged or masked altogether.
    """
    objtype = np.asarray(objtype, dtype=str)
    is_sky, is_standard = objtype == "SKY", np.char.endswith(objtype, "_STD")
    return np.select([~np.asarray(has_data), is_sky, is_standard], ["without data", "sky", "standard"], "object")


def draw(exposure: FrameExposure, prediction: Prediction, table: Table) -> Figure:
    """:func:`variance_ratios` of a camera exposure."""
    return variance_ratios(exposure, table)


def variance_ratios(exposure: CameraExposure, table: Table) -> Figure:
    """Measured over predicted variance of every fiber of a camera exposure: by number, and on the focal plane.

    Parameters
    ----------
    exposure : CameraExposure
        For positions; fibers whose position is unknown are left out of the maps.
    table : astropy.table.Table
        A row per fiber of the exposure, in its order, with ``noise_ratio_median`` and ``noise_ratio_scatter``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    median = np.ma.filled(np.ma.asarray(table["noise_ratio_median"], dtype=np.float64), np.nan)
    scatter = np.ma.filled(np.ma.asarray(table["noise_ratio_scatter"], dtype=np.float64), np.nan)
    kinds = fiber_kinds(exposure.objtype, np.isfinite(median))

    figure = new_figure("page", 5.6, layout="constrained")
    rows: Any = figure.subfigures(2, 1, height_ratios=(2.45, 3.0))
    _ratio_by_fiber(rows[0].subplots(), exposure.fiber, kinds, median, scatter)
    left, right = rows[1].subplots(1, 2, sharex=True, sharey=True)
    # The reference, a ratio of 1, is in the middle. Both maps go from dark to light: in grey print a map that
    # diverges is dark at both ends. Colors saturate where a few fibers would rule, and the bars' ends say so.
    half_width = max(np.max(np.abs(_range(median) - 1)), 0.02)
    centered = CenteredNorm(1, half_width)
    _focal_plane(left, exposure, kinds, median, "cividis", centered, f"{RATIO_LABEL}: median")
    sequential = Normalize(0, max(_range(scatter)[1], 0.01))
    _focal_plane(right, exposure, kinds, scatter, "viridis", sequential, f"{RATIO_LABEL}: robust rms")
    left.set_ylabel("YFOCAL [mm]")
    rows[1].supxlabel("median of the pixels of each fiber; bars, and map on the right: their robust rms", fontsize=7)
    return finish(figure, exposure_title(exposure.header, "variance ratios"), exposure.header.simulated)


def _range(values: NDArray) -> NDArray[np.float64]:
    """1 % and 99 % quantiles of the finite values; (1, 1) if there are none."""
    values = values[np.isfinite(values)]
    return np.quantile(values, (0.01, 0.99)) if values.size else np.ones(2)


def _ratio_by_fiber(panel: Axes, fiber: NDArray, kinds: NDArray[np.str_], median: NDArray, scatter: NDArray) -> None:
    """Median ratio and its scatter against fiber number."""
    low, high = _range(median - scatter)[0], _range(median + scatter)[1]
    margin = 0.15 * (high - low) + 0.02
    low, high = min(low - margin, 0.98), max(high + margin, 1.02)
    panel.axhline(1, color=GREEN, linewidth=0.8, zorder=0)
    lowest, highest = median - scatter, median + scatter
    cut = np.isfinite(median) & ((lowest < low) | (highest > high))
    panel.vlines(fiber, np.clip(lowest, low, high), np.clip(highest, low, high), color=NO_DATA, linewidth=0.5, zorder=1,
                 label=f"bar cut by the axis ({np.count_nonzero(cut)})" if cut.any() else "_")  # fmt: skip
    inset = 0.03 * (high - low)  # so that markers of what is beyond do not touch the frame
    clipped = np.clip(median, low + inset, high - inset)
    beyond = np.isfinite(median) & (clipped != median)
    shown = np.where(np.isfinite(median), clipped, low)
    for kind, (label, marker, size, color) in KINDS.items():
        chosen = kinds == kind
        inside = chosen & ~beyond
        edge = 0.8 if marker == "x" else 0
        panel.plot(fiber[inside], shown[inside], marker, color=color, markersize=size, markeredgewidth=edge,
                   label=f"{label} ({np.count_nonzero(chosen)})", **ON_EDGE)  # fmt: skip
    if beyond.any():
        panel.plot(fiber[beyond], shown[beyond], "D", color=RED, markersize=4, markerfacecolor="none",
                   label=f"beyond the axis ({np.count_nonzero(beyond)})", **ON_EDGE)  # fmt: skip
    panel.set_xlim(fiber[0] - 5, fiber[-1] + 5)
    panel.set_ylim(low, high)
    panel.set_xlabel(FIBER_LABEL)
    panel.set_ylabel(RATIO_LABEL)
    legend = panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=5, borderpad=0, handlelength=1.0)
    legend.set_in_layout(False)


def _focal_plane(
    panel: Axes,
    exposure: CameraExposure,
    kinds: NDArray[np.str_],
    values: NDArray,
    colors: str,
    norm: Normalize,
    label: str,
) -> None:
    """Values as colors at the fibers' places in the focal plane."""
    x, y = exposure.xfocal, exposure.yfocal
    for kind, (_, marker, size, color) in KINDS.items():
        chosen = kinds == kind
        if kind == "without data":
            panel.scatter(x[chosen], y[chosen], marker=marker, s=size**2 * 1.6, color=color, linewidth=0.8)
            continue
        points = panel.scatter(x[chosen], y[chosen], c=values[chosen], marker=marker, s=size**2 * 1.6, cmap=colors,
                               norm=norm, edgecolor=BLACK, linewidth=0.3)  # fmt: skip
    panel.set_aspect("equal")
    panel.set_xlim(-345, 345)
    panel.set_ylim(-345, 345)
    panel.set_xlabel("XFOCAL [mm]")
    panel.figure.colorbar(points, ax=panel, extend="both", pad=0.02, aspect=28, shrink=0.9, label=label)
