"""The list of a release's plates: which nights each was observed on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike, write_text
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


class ListedPlate(NamedTuple):
    """A row of the list: a plate on a night; ``ra`` and ``dec`` are those of its center [deg]."""

    plate: int
    mjd: int
    quality: str
    run2d: str
    programme: str
    ra: float
    dec: float


def read_plates(path: Pathlike) -> list[ListedPlate]:
    """Plates of a release with what a query may ask for, in the order of the file."""
    file = FitsFile(path)
    numbers, words = ("racen", "deccen"), ("programname",)
    table = file.columns(1, (*numbers, *words), words=words)
    further = zip(*(table[name].tolist() for name in (*words, *numbers)), strict=True)
    return [ListedPlate(*row, *more) for row, more in zip(read_platelist(path), further, strict=True)]


def choose_plates(
    plates: Iterable[ListedPlate],
    run2d: str,
    *,
    numbers: tuple[int, int] | None = None,
    mjd: tuple[int, int] | None = None,
    quality: Collection[str] = ("good",),
    programmes: Collection[str] | None = None,
    ra: tuple[float, float] | None = None,
    dec: tuple[float, float] | None = None,
) -> list[ListedPlate]:
    """The plates of a reduction that a query asks for, by plate and night.

    Limits are included; None asks for all. Right ascensions from a larger to a smaller one go across 0. The case of a
    programme's name does not matter.
    """

    def within(value: float, limits: tuple[float, float] | None) -> bool:
        return limits is None or limits[0] <= value <= limits[1]

    wanted = {name.lower() for name in programmes or ()}
    across = ra is not None and ra[0] > ra[1]
    found = [
        row
        for row in plates
        if row.run2d == run2d
        and row.quality in quality
        and within(row.plate, numbers)
        and within(row.mjd, mjd)
        and within(row.dec, dec)
        and (not wanted or row.programme.lower() in wanted)
        and (ra is None or (row.ra >= ra[0] or row.ra <= ra[1] if across else within(row.ra, ra)))
    ]
    return sorted(found)


def write_target_table(path: Pathlike, plates: Sequence[ListedPlate], release: str, spectra: Mapping[str, Any]) -> None:
    """Write plates as a table of targets (CSV, :mod:`bosscal.run.tables`), with what the list says of each.

    ``spectra`` are the further keys of an entry of ``targets``, the same for all; lists are separated by blanks.
    """
    asked = {
        key: " ".join(map(str, value)) if isinstance(value, list) else str(value) for key, value in spectra.items()
    }
    lines = [",".join(["release", "plate", "mjd", *asked, "quality", "programme", "ra", "dec"])]
    for row in plates:
        cells = (release, row.plate, row.mjd, *asked.values(), row.quality, row.programme, row.ra, row.dec)
        lines.append(",".join(map(str, cells)))
    write_text(path, "\n".join(lines) + "\n")
