"""What the stated variances of a run's spectra are off by, over wavelength, from repeated exposures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bosscal.figures.style import BLACK, GREY, ORANGE, RED, SKY, WAVELENGTH_LABEL, finish, limits_of, new_figure
from bosscal.figures.style import BLUE as DARK_BLUE

if TYPE_CHECKING:
    from astropy.table import Table

CAMERA_COLORS = {"b1": DARK_BLUE, "b2": SKY, "r1": RED, "r2": ORANGE}
CAMERA_MARKERS = {"b1": "o", "b2": "s", "r1": "^", "r2": "D"}


def draw(table: Table) -> Figure:
    """The correction of each release in a panel of its own, a line for each camera, with bootstrap errors."""
    releases = list(dict.fromkeys(table["release"]))
    number = max(len(releases), 1)
    figure = new_figure("page", 0.9 + 1.6 * number, layout="constrained")
    panels = figure.subplots(number, 1, sharex=True, squeeze=False)[:, 0]
    for panel, release in zip(panels, releases, strict=False):
        panel.axhline(1, color=BLACK, linewidth=0.6)
        drawn = [np.array([0.9, 1.1])]
        for camera, color in CAMERA_COLORS.items():
            rows = table[(table["release"] == release) & (table["camera"] == camera)]
            if len(rows):
                error: NDArray[np.float64] = np.ma.filled(np.ma.asarray(rows["eta_error"], dtype=float), 0)
                eta: NDArray[np.float64] = np.ma.filled(np.ma.asarray(rows["eta"], dtype=float), np.nan)
                drawn += [eta - error, eta + error]
                panel.errorbar(
                    rows["wavelength"], rows["eta"], yerr=error, color=color, marker=CAMERA_MARKERS[camera],
                    markersize=2.8, linewidth=0.8,
                    label=f"{camera}, {int(max(rows['npair']))} pairs",
                )  # fmt: skip
        panel.set_ylim(*limits_of(drawn, room=(0.05, 0.3)))
        panel.set_ylabel(f"{release}\nη, variance of repeats\n/ stated, without floor")
        panel.legend(loc="upper left", ncol=4)
    if not releases:
        panels[0].text(0.5, 0.5, "no repeated exposures", transform=panels[0].transAxes, ha="center", color=GREY)
    panels[-1].set_xlabel(WAVELENGTH_LABEL)
    return finish(figure, "Correction of ivar from repeated exposures", "sim" in releases)
