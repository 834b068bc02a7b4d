"""The list of a release's plates: which nights each was observed on."""

from __future__ import annotations

from bosscal.base.files import Pathlike
from bosscal.survey.fitsfile import FitsFile, text


def read_platelist(path: Pathlike) -> list[tuple[int, int, str, str]]:
    """Plates of a release: a list of (plate, mjd, quality, run2d), in the order of the file."""
    table = FitsFile(path).table(1)
    return [
        (int(plate), int(mjd), str(quality), str(run2d))
        for plate, mjd, quality, run2d in zip(
            table["PLATE"], table["MJD"], text(table["PLATEQUALITY"]), text(table["RUN2D"]), strict=True
        )
    ]
