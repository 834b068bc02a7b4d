"""Drawing all figures of something: every kind of :mod:`bosscal.figures.kinds` whose files are wanted.

``look`` is what the configuration chooses of them. The modules that draw are found by the names in that list
(:mod:`bosscal.base.discovery`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bosscal.base.discovery import import_one
from bosscal.base.files import Pathlike
from bosscal.figures.kinds import (
    OF_COADDS,
    OF_EXPOSURES,
    OF_FOCAL_PLANES,
    OF_PLATES,
    OF_RELEASES,
    OF_RUNS,
    OF_SPECTRA,
    Kind,
)
from bosscal.figures.style import Look, save, style
from bosscal.results.prediction import Prediction
from bosscal.results.spectrum import Spectrum
from bosscal.survey.exposure import FrameExposure

if TYPE_CHECKING:
    from astropy.table import Table

    from bosscal.results.coadds import PlateOfSpectra, RebuiltCoadd, RepeatOfExposures
    from bosscal.results.releases import Pair


def draw_spectrum(spectrum: Spectrum, paths: Iterable[Pathlike], look: Look | None = None) -> None:
    """Draw the figures of a spectrum whose files are among ``paths``."""
    _draw(OF_SPECTRA, paths, look, spectrum)


def draw_one_panel(spectrum: Spectrum, panel: str, path: Pathlike, look: Look | None = None) -> None:
    """Draw one of the six panels of a spectrum alone."""
    from bosscal.figures.panels import draw_panel

    with style(look):
        save(draw_panel(spectrum, panel), path)


def draw_exposure(
    exposure: FrameExposure, prediction: Prediction, table: Table, paths: Iterable[Pathlike], look: Look | None = None
) -> None:
    """Draw the figures of a camera exposure, given its table of fibers."""
    _draw(OF_EXPOSURES, paths, look, exposure, prediction, table)


def draw_plate(tables: Sequence[Table], paths: Iterable[Pathlike], look: Look | None = None) -> None:
    """Draw the figures of a plate, given the tables of its camera exposures."""
    _draw(OF_PLATES, paths, look, tables)


def draw_releases(pairs: Sequence[Pair], paths: Iterable[Pathlike], look: Look | None = None) -> None:
    """Draw the figures of a spectrum in two releases."""
    _draw(OF_RELEASES, paths, look, pairs)


def draw_coadd(
    rebuilt: RebuiltCoadd, repeats: Sequence[RepeatOfExposures], paths: Iterable[Pathlike], look: Look | None = None
) -> None:
    """Draw the figures of a full spec file."""
    _draw(OF_COADDS, paths, look, rebuilt, repeats)


def draw_focal_plane(plate: PlateOfSpectra, paths: Iterable[Pathlike], look: Look | None = None) -> None:
    """Draw the figures of a plate many of whose spec files were read."""
    _draw(OF_FOCAL_PLANES, paths, look, plate)


def draw_run(correction: Table, paths: Iterable[Pathlike], look: Look | None = None) -> None:
    """Draw the figures of all spec files of a run."""
    _draw(OF_RUNS, paths, look, correction)


def _draw(kinds: Sequence[Kind], paths: Iterable[Pathlike], look: Look | None, *content: Any) -> None:
    wanted: dict[str, list[Pathlike]] = {}
    for path in paths:
        stem = Path(path).stem
        # The kind without a suffix fits every name, so the longest suffix that fits is the file's.
        kind = max((kind for kind in kinds if stem.endswith(kind.suffix)), key=lambda kind: len(kind.suffix))
        wanted.setdefault(kind.module, []).append(path)
    with style(look):
        for module, files in wanted.items():
            save(import_one("bosscal.figures", module).draw(*content), *files)
