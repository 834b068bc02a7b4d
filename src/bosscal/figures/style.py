"""The look that all figures share, and how they are saved."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from PIL import Image

from bosscal.base.files import Pathlike, replacing
from bosscal.survey.exposure import Header

# Okabe & Ito's palette, which readers with any colour vision can tell apart (https://jfly.uni-koeln.de/color/).
BLACK, ORANGE, SKY, GREEN, BLUE, RED, PINK = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
GREY = "#777777"

PAGE_WIDTH = 7.1  # two columns of a journal [inch]

FLUX_UNIT = "10⁻¹⁷ erg s⁻¹ cm⁻² Å⁻¹"  # characters of the font: mathtext takes long to parse and to draw
WAVELENGTH_LABEL = "Wavelength [Å]"
FIBER_LABEL = "Fiber"
RATIO_LABEL = "Measured / predicted variance"
NO_DATA = "#bdbdbd"

# Markers on the frame are drawn whole; a layout that makes room for them fails where there are none.
ON_EDGE: dict[str, Any] = {"clip_on": False, "in_layout": False}

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
    "pdf.fonttype": 3,  # text stays text with its font embedded; subsetting for type 42 takes longer than all drawing
    "figure.constrained_layout.h_pad": 0.09,
    "figure.constrained_layout.w_pad": 0.06,
}
DPI = 200  # of PNG files, and of what is rasterized in PDF files
_DIGIT_WIDTH = 0.636 * _SETTINGS["ytick.labelsize"] / 72  # of the tick labels' font [inch]
EDGE = 0.07  # between the edge of a figure and its title [inch]
TITLE_HEIGHT = 0.3  # of the title with the room around it [inch]


@contextmanager
def style() -> Iterator[None]:
    """matplotlib's settings for every figure; the user's own matplotlibrc has no say.

    A figure is ten thousands of objects that live until it is saved, so looking for garbage meanwhile is in vain.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(cast(Any, _SETTINGS))
            yield
    finally:
        if collecting:
            gc.enable()


def new_figure(width: float, height: float, layout: Literal["constrained"] | None = None) -> Figure:
    """Figure of a size [inch]; the layout engines that can be named take as long as drawing does."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout)
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
    labels = panel.yaxis.get_major_formatter().format_ticks(list(panel.get_yticks()))
    return _DIGIT_WIDTH * max(map(len, labels), default=0)


def finish(figure: Figure, title: str, simulated: bool) -> Figure:
    """Give a figure its title, and say on the figure itself if its data are simulated; returns the figure."""
    width, height = figure.get_size_inches()
    top = 1 - EDGE / height
    # a layout engine has a place of its own for it, and makes room
    figure.suptitle(title, fontsize=8.5, x=EDGE / width, y=None if figure.get_layout_engine() else top, ha="left")
    if simulated:
        figure.text(
            1 - EDGE / width, top, "SIMULATED DATA", ha="right", va="top", fontsize=7, fontweight="bold", color=RED,
            bbox={"boxstyle": "square,pad=0.25", "facecolor": "white", "edgecolor": RED, "linewidth": 0.8},
        )  # fmt: skip
    return figure


def legend_above(axes: Axes) -> None:
    """Legend in one row above the axes, where it hides no data; five entries stand closer than four."""
    close: dict[str, Any] = (
        {"handlelength": 0.7, "columnspacing": 0.5} if len(axes.get_legend_handles_labels()[0]) > 4 else {}
    )
    legend = axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=9, markerscale=5, borderpad=0, **close)
    legend.set_in_layout(False)  # or it would shrink the axes


def power_of_ten(value: float, _position: float | None = None) -> str:
    """Label of a tick at a power of ten, without mathtext."""
    return "10" + str(round(math.log10(value))).translate(_SUPERSCRIPTS)


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def save(figure: Figure, *paths: Pathlike) -> None:
    """Write a figure to PNG or PDF files, without dates: the same figure is the same bytes.

    Canvases are asked directly: ``savefig`` would draw twice where there is a layout engine.
    """
    for path in paths:
        figure.dpi = DPI  # the PDF canvas leaves its own behind
        with replacing(path) as temporary:
            if Path(path).suffix == ".png":
                canvas = FigureCanvasAgg(figure)
                canvas.draw()
                # Opaque, so three channels are enough; with little compression, which takes longer than drawing.
                image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
                image.save(temporary, format="png", dpi=(DPI, DPI), compress_level=1)
            else:
                metadata = {"CreationDate": None, "Producer": None, "Creator": "bosscal"}
                FigureCanvasPdf(figure).print_pdf(temporary, metadata=metadata)


def exposure_title(header: Header, what: str) -> str:
    """Release, plate-mjd, camera, exposure and ``what`` a figure shows in one line."""
    return f"{header.release}   {header.plate}-{header.mjd}   {header.camera} #{header.expnum}   {what}"
