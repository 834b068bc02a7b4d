"""What the stated variances of a run's spectra are off by, over wavelength, from repeated exposures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bosscal.figures.style import BLACK, GREY, PAGE_WIDTH, RED, SKY, WAVELENGTH_LABEL, finish, new_figure
from bosscal.figures.style import BLUE as DARK_BLUE

if TYPE_CHECKING:
    from astropy.table import Table

CAMERA_COLORS = {"b1": DARK_BLUE, "b2": SKY, "r1": RED, "r2": "#E69F00"}
ETA_RANGE = (0.6, 1.6)


def draw(table: Table) -> Figure:
    """The correction of each release in a panel of its own, a line for each camera, with bootstrap errors."""
    releases = list(dict.fromkeys(table["release"]))
    number = max(len(releases), 1)
    figure = new_figure(PAGE_WIDTH, 0.9 + 1.6 * number, layout="constrained")
    panels = figure.subplots(number, 1, sharex=True, squeeze=False)[:, 0]
    for panel, release in zip(panels, releases, strict=False):
        panel.axhline(1, color=BLACK, linewidth=0.6)
        for camera, color in CAMERA_COLORS.items():
            rows = table[(table["release"] == release) & (table["camera"] == camera)]
            if len(rows):
                error: NDArray[np.float64] = np.ma.filled(np.ma.asarray(rows["eta_error"], dtype=float), 0)
                panel.errorbar(
                    rows["wavelength"], rows["eta"], yerr=error, color=color, marker="o", markersize=2.5, linewidth=0.8,
                    label=f"{camera}, {int(max(rows['npair']))} pairs",
                )  # fmt: skip
        panel.set_ylim(*ETA_RANGE)
        panel.set_ylabel(f"{release}\nη, variance of repeats\n/ stated, without floor")
        panel.legend(loc="upper left", ncol=4, fontsize=6)
    if not releases:
        panels[0].text(0.5, 0.5, "no repeated exposures", transform=panels[0].transAxes, ha="center", color=GREY)
    panels[-1].set_xlabel(WAVELENGTH_LABEL)
    return finish(figure, "Correction of ivar from repeated exposures", "sim" in releases)
