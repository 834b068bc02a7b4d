"""The look that all figures share, and how they are saved."""

from __future__ import annotations

import gc
import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from bosscal.base import elementary
from bosscal.base.files import Pathlike, replacing
from bosscal.survey.exposure import Header

# Okabe & Ito's palette, which readers with any colour vision can tell apart (https://jfly.uni-koeln.de/color/).
BLACK, ORANGE, SKY, GREEN, BLUE, RED, PINK = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
GREY = "#777777"

FLUX_UNIT = "10⁻¹⁷ erg s⁻¹ cm⁻² Å⁻¹"  # characters of the font: mathtext takes long to parse and to draw
WAVELENGTH_LABEL = "Wavelength [Å]"
FIBER_LABEL = "Fiber"
RATIO_LABEL = "Measured / predicted variance"
NO_DATA = "#bdbdbd"

# Markers on the frame are drawn whole; a layout that makes room for them fails where there are none.
ON_EDGE: dict[str, Any] = {"clip_on": False, "in_layout": False}

# Of lines, in order: with them, curves can be told apart in grey print too.
SOLID, DASHED, DOTTED, DASH_DOT, LONG = "-", (0, (4, 1.5)), (0, (1, 1.3)), (0, (5, 1.5, 1, 1.5)), (0, (9, 2))


@dataclass(frozen=True)
class Look:
    """What the configuration chooses of the figures (``figures`` in config.yaml).

    Attributes
    ----------
    page_width, column_width : float
        Widths of figures of several panels and of one [inch]: two columns of a journal, and one.
    panels : tuple of str
        Which of :data:`bosscal.figures.kinds.PANELS` the figure of six panels has; empty: all.
    limits : {"data", "tutorial"}
        Axes that hold all data, or the tutorial's, which cut what is beyond.
    title : bool
        False leaves the title to the paper's caption; the mark of simulated data stays.
    """

    page_width: float = 7.0
    column_width: float = 3.35
    panels: tuple[str, ...] = ()
    limits: Literal["data", "tutorial"] = "data"
    title: bool = True


_LOOK: ContextVar[Look] = ContextVar("look")


def look() -> Look:
    """What :func:`style` was given."""
    return _LOOK.get(Look())


_SETTINGS: dict[str, Any] = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.formatter.limits": (-5, 9),  # a power of ten above the axis would be where the legend is
    "axes.titley": 1.0,  # where it is anyway if there is nothing above the axes; matplotlib need not measure that
    "lines.linewidth": 0.9,
    "xtick.major.pad": 4.5,  # or labels at the corner of a panel touch
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "legend.frameon": False,
    "legend.borderaxespad": 0.2,
    "legend.handlelength": 1.2,
    "legend.columnspacing": 0.9,
    "legend.handletextpad": 0.4,
    "text.hinting": "none",  # fitting glyphs to whole pixels takes time and is not needed at this resolution
    "pdf.fonttype": 42,  # TrueType, which journals ask for: text stays text with its font embedded
    "svg.hashsalt": "bosscal",  # or names within the file are random
    "figure.constrained_layout.h_pad": 0.09,
    "figure.constrained_layout.w_pad": 0.06,
}
DPI = 200  # of PNG files, and of what is rasterized in PDF files
_DIGIT_WIDTH = 0.636 * _SETTINGS["ytick.labelsize"] / 72  # of the tick labels' font [inch]
EDGE = 0.07  # between the edge of a figure and its title [inch]
LINE = 0.21  # of the title or the mark with the room around it [inch]
# The most points that are drawn as such and not as an image, so that no file is larger than 1 MB.
VECTOR_POINTS = {".pdf": 60_000, ".svg": 7_000}


@contextmanager
def style(chosen: Look | None = None) -> Iterator[None]:
    """matplotlib's settings and the look for every figure; the user's own matplotlibrc has no say.

    A figure is ten thousands of objects that live until it is saved, so looking for garbage meanwhile is in vain.
    """
    collecting = gc.isenabled()
    gc.disable()
    token = _LOOK.set(chosen or Look())
    try:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(cast(Any, _SETTINGS))
            yield
    finally:
        _LOOK.reset(token)
        if collecting:
            gc.enable()


Width = Literal["page", "column"]


def new_figure(width: Width, height: float, layout: Literal["constrained"] | None = None) -> Figure:
    """Figure as wide as a page or a column, of a height [inch].

    The layout engines that can be named take as long as drawing does.
    """
    inches = look().page_width if width == "page" else look().column_width
    figure = Figure(figsize=(inches, height), dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def margins(
    figure: Figure,
    shape: tuple[int, ...],
    left: float,
    right: float,
    bottom: float,
    top: float,
    between: tuple[float, float] = (0, 0),
) -> dict[str, float]:
    """Keywords of a grid of panels that leave room for what is written around them.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    shape : (int, int)
        Rows and columns of the grid.
    left, right, bottom, top : float
        Room between the grid and the edges of the figure [inch].
    between : (float, float)
        Room between rows and between columns [inch].

    Returns
    -------
    dict
    """
    width, height = figure.get_size_inches()
    (rows, columns), (vertical, horizontal) = shape, between
    # matplotlib counts the room between panels in their mean size
    panel_height = (height - top - bottom - (rows - 1) * vertical) / rows
    panel_width = (width - left - right - (columns - 1) * horizontal) / columns
    return {
        "left": left / width, "right": 1 - right / width, "bottom": bottom / height, "top": 1 - top / height,
        "hspace": vertical / panel_height, "wspace": horizontal / panel_width,
    }  # fmt: skip


def place_labels(panel: Axes, below: float, beside: float) -> None:
    """Put the labels of a panel's axes at these distances [inch]; matplotlib would measure every tick label for it."""
    width, height = cast(Figure, panel.figure).get_size_inches() * panel.get_position().size
    panel.xaxis.set_label_coords(0.5, -below / height)
    panel.yaxis.set_label_coords(-beside / width, 0.5)


def tick_label_width(panel: Axes) -> float:
    """Width of the widest tick label of a panel's vertical axis [inch], digits taken for the widest character."""
    low, high = sorted(panel.get_ylim())
    ticks = [tick for tick in panel.get_yticks() if low <= tick <= high]
    labels = panel.yaxis.get_major_formatter().format_ticks(ticks)
    return _DIGIT_WIDTH * max(map(len, labels), default=0)


def is_column(figure: Figure) -> bool:
    """Whether a figure is as wide as one column of a journal, and not two."""
    return bool(figure.get_figwidth() < 5)


def heading_height(width: Width, simulated: bool) -> float:
    """Room that the title and the mark of simulated data take above the panels [inch]; in a column one each line."""
    lines = int(look().title) + int(simulated)
    return LINE * (lines if width == "column" else min(lines, 1)) + EDGE


def finish(figure: Figure, title: str, simulated: bool) -> Figure:
    """Give a figure its title, and say on the figure itself if its data are simulated; returns the figure."""
    width, height = figure.get_size_inches()
    top = 1 - EDGE / height
    column, engine = is_column(figure), figure.get_layout_engine()
    if look().title or (engine and simulated):  # a layout engine has a place of its own for a title, and makes room
        figure.suptitle(
            title if look().title else " ", fontsize=7.5 if column else 8.5, x=EDGE / width, y=None if engine else top,
            ha="left",
        )  # fmt: skip
    if simulated:
        below = LINE / height if column and look().title else 0
        pad = 0.035  # of the box, which else would end beyond the edge [inch]
        figure.text(
            1 - (EDGE + pad) / width, top - pad / height - below, "SIMULATED DATA", ha="right", va="top", fontsize=7,
            fontweight="bold", color=RED,
            bbox={"boxstyle": "square,pad=0.25", "facecolor": "white", "edgecolor": RED, "linewidth": 0.8},
        )  # fmt: skip
    return figure


def say_instead(width: Width, title: str, simulated: bool, lines: Sequence[str]) -> Figure:
    """A figure without axes, which says why there is nothing to show; lines are wrapped."""
    size, room = 8 if width == "page" else 7, (look().page_width if width == "page" else look().column_width) - 0.4
    characters = int(room / (0.6 * size / 72))
    wrapped = [part for line in lines for part in textwrap.wrap(line, characters, subsequent_indent="    ")]
    heading = heading_height(width, simulated)
    height = heading + 0.35 + 0.17 * len(wrapped)
    figure = new_figure(width, height)
    figure.text(0.2 / figure.get_figwidth(), 1 - (heading + 0.15) / height, "\n".join(wrapped), va="top", fontsize=size,
                linespacing=1.35)  # fmt: skip
    return finish(figure, title, simulated)


def legend_above(axes: Axes, room: float, size: float = 7) -> int:
    """Legend above the axes, where it hides no data, in as many rows as it takes.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    room : float
        Width that is there [inch].
    size : float
        Of the letters [points].

    Returns
    -------
    int
        Number of rows.
    """
    handles, labels = axes.get_legend_handles_labels()
    if not labels:
        return 0
    handle, gap, spacing = 1.6, 0.4, 0.9
    widths = [(handle + gap + spacing) * size / 72 + 0.56 * size / 72 * len(label) for label in labels]
    columns = len(labels)
    while columns > 1 and sum(max(widths[start::columns]) for start in range(columns)) > room:
        columns -= 1
    rows = -(-len(labels) // columns)
    # matplotlib fills columns, and reads like a table so: the order by rows
    order = [row * columns + column for column in range(columns) for row in range(rows)]
    order = [index for index in order if index < len(labels)]
    legend = axes.legend(
        [handles[index] for index in order], [labels[index] for index in order], loc="lower left",
        bbox_to_anchor=(0, 1), ncol=columns, borderpad=0, handlelength=handle, handletextpad=gap,
        columnspacing=spacing, labelspacing=0.25, fontsize=size,
    )  # fmt: skip
    for shown in legend.legend_handles:
        if isinstance(shown, Line2D) and shown.get_marker() in (".", "o") and shown.get_linestyle() == "None":
            shown.set_markersize(max(5.0, 2.5 * shown.get_markersize()))
    legend.set_in_layout(False)  # or it would shrink the axes
    return rows


def running_median(values: NDArray, width: int) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Median over blocks of ``width`` values, at the blocks' middles: two 1D arrays, positions and medians."""
    blocks = len(values) // width
    position = (np.arange(blocks) + 0.5) * width - 0.5
    return position, np.median(values[: blocks * width].reshape(blocks, width), axis=1)


def runs_of(values: NDArray, gap: int) -> list[NDArray[np.intp]]:
    """Places of the finite ones of values, in runs that are more than ``gap`` apart; a list of 1D arrays."""
    known = np.flatnonzero(np.isfinite(values))
    return np.split(known, np.flatnonzero(np.diff(known) > gap) + 1) if known.size else []


def block_medians(position: NDArray, values: NDArray, width: int) -> tuple[NDArray, NDArray]:
    """Medians of the finite ones of values over blocks of ``width`` of them, at the blocks' middle positions.

    No block, and no line from one to the next, goes over a gap that is wider than a block: NaN stand in it.
    """
    found = []
    for run in runs_of(values, width):
        middle, median = running_median(values[run], min(width, run.size))
        found += [np.stack([np.interp(middle, np.arange(run.size), position[run]), median]), np.full((2, 1), np.nan)]
    return tuple(np.concatenate(found[:-1], axis=1)) if found else (np.empty(0), np.empty(0))


def limits_of(
    curves: Sequence[NDArray], quantiles: tuple[float, float] = (0, 1), room: tuple[float, float] = (0.05, 0.05)
) -> tuple[float, float]:
    """Limits of a linear axis that holds all finite values, or the greater part of them, with room below and above."""
    values = np.concatenate([np.ravel(curve) for curve in curves] or [np.empty(0)])
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.quantile(values, quantiles)
    width = (high - low) or abs(high) or 1.0
    return float(low - room[0] * width), float(high + room[1] * width)


def log_limits(curves: Sequence[NDArray]) -> tuple[float, float]:
    """Limits of a logarithmic axis: below the lowest hundredth of each curve's positive values, above all values."""
    positive = [curve[np.isfinite(curve) & (curve > 0)] for curve in curves]
    positive = [curve for curve in positive if curve.size]
    if not positive:
        return 0.1, 10.0
    low = min(float(np.quantile(curve, 0.01)) for curve in positive)
    high = max(float(curve.max()) for curve in positive)
    low = max(low, 1e-5 * high)
    room = (high / low) ** 0.04 * 1.05
    return float(f"{low / room:.3g}"), float(f"{high * room:.3g}")  # a power's last digit depends on the processor


def log_axis(panel: Axes, which: Literal["x", "y"], low: float, high: float) -> None:
    """A logarithmic axis whose ticks are at plain numbers, few of which have labels."""
    axis = panel.xaxis if which == "x" else panel.yaxis
    # matplotlib's own logarithm has another last digit on another processor, which vector points would show
    scale = {"functions": (_log10, _ten_to)}
    if which == "x":
        panel.set_xscale("function", **scale)
        panel.set_xlim(low, high)
    else:
        panel.set_yscale("function", **scale)
        panel.set_ylim(low, high)
    decades = np.arange(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1,) if high / low > 300 else (1, 2, 5) if high / low > 12 else (1, 2, 3, 4, 6, 8)
    every = -(-len(decades) // 7)  # of many decades, some
    major = [step * 10.0 ** int(decade) for decade in decades[::every] for step in steps]
    minor = [step * 10.0 ** int(decade) for decade in decades for step in range(1, 10)]
    axis.set_major_locator(FixedLocator([tick for tick in major if low <= tick <= high]))
    axis.set_minor_locator(FixedLocator([tick for tick in minor if low <= tick <= high and tick not in major]))
    axis.set_major_formatter(FuncFormatter(_plain if low > 9e-4 and high < 1.1e5 else power_of_ten))
    axis.set_minor_formatter(NullFormatter())
    if which == "y":
        panel.tick_params(axis="y", which="minor", right=False)


def _log10(values: ArrayLike) -> NDArray[np.float64]:
    """log10 with the same bits on every processor; NaN of what has none."""
    values = np.asarray(values, dtype=np.float64)
    positive = values > 0
    return np.where(positive, elementary.log10(np.where(positive, values, 1)), np.nan)


def _ten_to(values: ArrayLike) -> NDArray[np.float64]:
    """10**values in the same way; of what is beyond all numbers NaN, which matplotlib asks for where there is none."""
    values = np.asarray(values, dtype=np.float64)
    finite = np.abs(values) < 300
    return np.where(finite, elementary.power_of_ten(np.where(finite, values, 0)), np.nan)


def _plain(value: float, _position: float | None = None) -> str:
    return f"{value:.6g}"


def mark_beyond(panel: Axes, position: NDArray, values: NDArray) -> NDArray[np.floating]:
    """Mark values beyond the limits of a panel's vertical axis at its edge, each by a triangle, and count them.

    Returns
    -------
    1D array
        The values, NaN where they are beyond.
    """
    low, high = panel.get_ylim()
    to_data = panel.transScale + panel.transLimits  # of data to parts of the axes
    with np.errstate(invalid="ignore"):
        above, below = values > high, values < low
    for beyond, part, marker, word in ((below, 0.02, "v", "below"), (above, 0.98, "^", "above")):
        if beyond.any():
            edge = to_data.inverted().transform((0, part))[1]
            panel.plot(
                position[beyond], np.full(np.count_nonzero(beyond), edge), color=GREY, linestyle="none", marker=marker,
                markersize=2.2, markeredgewidth=0, label=f"{word} axis: {np.count_nonzero(beyond)}",
            )  # fmt: skip
    return np.where(above | below, np.nan, values)


def power_of_ten(value: float, _position: float | None = None) -> str:
    """Label of a tick at a power of ten, without mathtext."""
    return "10" + str(round(math.log10(value))).translate(_SUPERSCRIPTS)


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def save(figure: Figure, *paths: Pathlike) -> None:
    """Write a figure to PNG, PDF or SVG files, without dates: the same figure is the same bytes.

    Canvases are asked directly: ``savefig`` would draw twice where there is a layout engine.
    """
    for path in paths:
        figure.dpi = DPI  # the PDF canvas leaves its own behind
        suffix = Path(path).suffix
        with replacing(path) as temporary:
            if suffix == ".png":
                canvas = FigureCanvasAgg(figure)
                canvas.draw()
                # Opaque, so three channels are enough; with little compression, which takes longer than drawing.
                image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
                image.save(temporary, format="png", dpi=(DPI, DPI), compress_level=1)
            elif suffix == ".pdf":
                _draw_points_as(figure, suffix)
                metadata = {"CreationDate": None, "Producer": None, "Creator": "bosscal"}
                FigureCanvasPdf(figure).print_pdf(temporary, metadata=metadata)
            else:
                _draw_points_as(figure, suffix)
                FigureCanvasSVG(figure).print_svg(temporary, metadata={"Date": None, "Creator": "bosscal"})


def _draw_points_as(figure: Figure, suffix: str) -> None:
    """Points as points where there are few enough for the format, else as an image."""
    lines = [line for axes in figure.axes for line in axes.lines if line.get_linestyle() == "None"]
    number = sum(np.size(line.get_xdata()) for line in lines)
    for line in lines:
        line.set_rasterized(number > VECTOR_POINTS[suffix])


def exposure_title(header: Header, what: str) -> str:
    """Release, plate-mjd, camera, exposure and ``what`` a figure shows in one line."""
    return f"{header.release}   {header.plate}-{header.mjd}   {header.camera} #{header.expnum}   {what}"
