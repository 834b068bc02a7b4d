"""The look that all figures share, and how they are saved."""

from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bosscal.base.files import replacing

# Okabe & Ito's palette, which readers with any colour vision can tell apart (https://jfly.uni-koeln.de/color/).
BLACK, ORANGE, SKY, GREEN, BLUE, RED, PINK = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
GREY = "#777777"

PAGE_WIDTH = 7.1  # two columns of a journal [inch]

FLUX_UNIT = r"$10^{-17}$ erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$"
WAVELENGTH_LABEL = "Wavelength [Å]"

_SETTINGS = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "lines.linewidth": 0.9,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "legend.frameon": False,
    "legend.borderaxespad": 0.2,
    "legend.handlelength": 1.4,
    "legend.columnspacing": 1.0,
    "legend.handletextpad": 0.4,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # text stays text in a paper
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.09,
    "figure.constrained_layout.w_pad": 0.06,
}


@contextmanager
def style():
    """matplotlib's settings for every figure; the user's own matplotlibrc has no say."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def new_figure(width, height):
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def finish(figure, title, simulated):
    """Give a figure its title, and say on the figure itself if its data are simulated; returns the figure."""
    figure.suptitle(title, fontsize=8.5, x=0.01, ha="left")
    if simulated:
        figure.text(
            0.995, 0.995, "SIMULATED DATA", ha="right", va="top", fontsize=7, fontweight="bold", color=RED,
            bbox={"boxstyle": "square,pad=0.25", "facecolor": "white", "edgecolor": RED, "linewidth": 0.8},
        )  # fmt: skip
    return figure


def legend_above(axes):
    """Legend in one row above the axes, where it hides no data."""
    legend = axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=9, markerscale=5, borderpad=0)
    legend.set_in_layout(False)  # or it would shrink the axes


def save(figure, *paths):
    """Write a figure to PNG or PDF files, without dates: the same figure is the same bytes."""
    for path in paths:
        suffix = Path(path).suffix
        metadata = {".png": {"Software": None}, ".pdf": {"CreationDate": None, "Producer": None, "Creator": "bosscal"}}
        with replacing(path) as temporary:
            figure.savefig(temporary, format=suffix[1:], metadata=metadata[suffix])
