"""The list of a release's plates: which nights each was observed on."""

from __future__ import annotations

from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike
from bosscal.survey.fitsfile import FitsFile
from bosscal.survey.identity import check_kind


def read_platelist(path: Pathlike) -> list[tuple[int, int, str, str]]:
    """Plates of a release: a list of (plate, mjd, quality, run2d), in the order of the file."""
    file = FitsFile(path)
    check_kind(file, "a platelist")
    table = file.columns(1, ("plate", "mjd", "platequality", "run2d"), words=("platequality", "run2d"))
    for name in ("plate", "mjd"):
        if table[name].dtype.kind not in "iu":
            raise UserError(f"{path}: HDU 1: column {name} is not of whole numbers")
    return list(
        zip(
            table["plate"].tolist(),
            table["mjd"].tolist(),
            table["platequality"].tolist(),
            table["run2d"].tolist(),
            strict=True,
        )
    )
