"""The figures: pure functions from arrays to a matplotlib Figure, and one way to save them.

For use in a notebook or script beside a run's results::

    from bosscal import figures

    spectrum = figures.load("sim/6641-56383-0001-r1-00158842")
    figures.save(figures.draw(spectrum, "noise"), "noise.pdf")
    figures.draw_panel(spectrum, "flux", axes)

docs/figures.md shows all that can be drawn.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from bosscal.base.errors import UserError

# What takes long to import is imported where it is used: the names of figures are wanted by every run.
if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bosscal.base.files import Pathlike
    from bosscal.figures.style import Look
    from bosscal.results.spectrum import Spectrum

NAME = re.compile(r"([\w.-]+)/(\d{4,5})-(\d{5})-(\d{4})-([br][12])-(\d{8})")


def load(name: str, results: Pathlike = "results") -> Spectrum:
    """A spectrum of a run, with all that its figures show.

    Parameters
    ----------
    name : str
        RELEASE/PPPP-MMMMM-FFFF-CC-EEEEEEEE, as files of figures are called.
    results : path-like
        Folder of the run's results.

    Raises
    ------
    UserError
        If the name is not of this form, or the run has no results of the spectrum.
    """
    from bosscal.results.spectrum import read_spectrum
    from bosscal.survey.targets import Target

    found = NAME.fullmatch(name)
    if not found:
        raise UserError(f"'{name}' is no name of a spectrum; give RELEASE/PPPP-MMMMM-FFFF-CC-EEEEEEEE")
    release, camera = found[1], found[5]
    plate, mjd, fiber, expnum = (int(found[place]) for place in (2, 3, 4, 6))
    for products in ("spec", "frames"):
        # which of the coadd's exposures it is, the files do not tell, and no figure shows
        target = Target(
            release, plate, mjd, fiber, "blue" if camera[0] == "b" else "red", camera, -1, expnum, products
        )  # fmt: skip
        exposure, prediction = (
            Path(results, step, target.folder, f"{target.unit}.npz") for step in ("extract_frame", "calibrate")
        )
        if exposure.exists() and prediction.exists():
            return read_spectrum(exposure, prediction, target)
    raise UserError(f"{name}: no npz of it in {results}; list it among the configuration's targets, and run snakemake")


def draw(spectrum: Spectrum, kind: str = "panels", look: Look | None = None) -> Figure:
    """A figure of a spectrum.

    Parameters
    ----------
    spectrum : bosscal.results.spectrum.Spectrum
    kind : str
        Module of one of :data:`bosscal.figures.kinds.OF_SPECTRA`: ``panels``, ``budget``, ``noise``.
    look : bosscal.figures.style.Look, optional
        Widths, limits, panels and title, as ``figures`` of the configuration has them.

    Raises
    ------
    UserError
        If there is no such kind, or none from the spectrum's products.
    """
    from bosscal.base.discovery import import_one
    from bosscal.figures.kinds import of_spectra
    from bosscal.figures.style import style

    known = [each.module for each in of_spectra(spectrum.target.products)]
    if kind not in known:
        raise UserError(
            f"figure '{kind}' is not one of a spectrum from {spectrum.target.products}; give one of {', '.join(known)}"
        )
    with style(look):
        figure: Figure = import_one("bosscal.figures", kind).draw(spectrum)
        return figure


def draw_panel(spectrum: Spectrum, panel: str, axes: Axes | None = None, look: Look | None = None) -> Figure:
    """One of the six panels, in a figure of its own or on given axes; returns the figure.

    Parameters
    ----------
    spectrum : bosscal.results.spectrum.Spectrum
    panel : str
        One of :data:`bosscal.figures.kinds.PANELS`.
    axes : matplotlib.axes.Axes, optional
        Where to draw. Whoever made them says which data are simulated, and lays out the figure.
    look : bosscal.figures.style.Look, optional
        As in :func:`draw`.

    Raises
    ------
    UserError
        If there is no panel of this name, or on given axes nothing to draw.
    """
    from bosscal.figures import panels
    from bosscal.figures.style import style

    with style(look):
        return panels.draw_panel(spectrum, panel, axes)


def save(figure: Figure, *paths: Pathlike) -> None:
    """Write a figure to PNG, PDF or SVG files: the same bytes each time, with fonts that journals accept."""
    from bosscal.figures import style

    with style.style():
        style.save(figure, *paths)
