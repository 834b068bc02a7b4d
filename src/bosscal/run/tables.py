"""Targets from a table: CSV or ECSV with a row for each plate, or for each fiber, written by hand or by a program."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike
from bosscal.run.configuration import Known, TargetEntry, complaints_about_plates, describer
from bosscal.run.releases import Release
from bosscal.run.validation import MOST_LINES, closest, complaints
from bosscal.run.yamltext import read_text

COLUMNS = ("release", "plate", "mjd", "fibers", "bands", "exposures", "products")
NOTES = ("quality", "programme", "ra", "dec")  # of plates that a query found: said for people, and not read
_LISTS = ("fibers", "bands", "exposures")
_SEPARATOR = re.compile(r"[\s,;]+")
_DELIMITER = re.compile(r"#\s*delimiter:\s*'?(.)'?\s*$")


def read_target_table(
    path: Pathlike, releases: Mapping[str, Release], default: str | None
) -> tuple[list[TargetEntry], list[str]]:
    """Entries of a table, as ``targets`` of a configuration has them.

    Parameters
    ----------
    path : path
        Of a CSV file, whose first line names the columns, or an ECSV file. Columns are keys of an entry of
        ``targets``; ``plate`` and ``fibers`` have to be there. A list in a cell is separated by blanks, semicolons or
        commas; an empty cell is the key's default.
    releases : mapping
    default : str or None
        Release of the rows that name none.

    Returns
    -------
    list of TargetEntry
    list of str
        What messages call the row of each.

    Raises
    ------
    UserError
        With a line for each mistake (the first fifty), naming file, row and column.
    """
    describe = describer(releases)
    known = Known(releases, ())
    entries, places, lines, wrong = [], [], [], 0
    for place, values in _rows(str(path)):
        try:
            entry = TargetEntry.model_validate({"release": default} | values, context=known)
        except ValidationError as error:
            wrong += 1
            lines += [f"{place}, column {line}" for line in complaints(error, TargetEntry, describe)]
            continue
        if entry.release is None:
            wrong += 1
            lines.append(f"{place}, column release: missing; give it here, or release above")
        entries.append(entry)
        places.append(place)
    lines += complaints_about_plates(entries, releases, places=[f"{place}, column " for place in places])
    if lines:
        more = [f"{path}: … and more of these, in {wrong} rows"] if len(lines) > MOST_LINES else []
        raise UserError("\n".join(lines[:MOST_LINES] + more))
    if not entries:
        raise UserError(f"{path}: has no rows; give one for each plate below the names of the columns")
    return entries, places


def _rows(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What to call each row, and its values by column."""
    text = read_text(path)
    lines = text.splitlines()
    head = [line for line in lines if line.startswith("#")]
    delimiter = next((match[1] for line in head if (match := _DELIMITER.match(line))), None)
    delimiter = delimiter or (" " if head and head[0].startswith("# %ECSV") else ",")
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip() and line[0] != "#"]
    reader = csv.reader((line for _, line in numbered), delimiter=delimiter, strict=True)
    try:
        cells = list(reader)
    except csv.Error as error:
        where = numbered[min(reader.line_num, len(numbered)) - 1][0]
        raise UserError(f"{path}, line {where}: {error}; write a row on one line, and a list in quotes") from error
    if not cells:
        raise UserError(f"{path}: is empty; give a line with the names of columns ({', '.join(COLUMNS)}), and rows")
    columns = [name.strip() for name in cells[0]]
    _check_columns(path, columns)
    if len(cells) != len(numbered):
        raise UserError(f"{path}: a quoted cell goes over several lines; write each row on one line")
    for row, ((number, _), values) in enumerate(zip(numbered[1:], cells[1:], strict=True), start=1):
        place = f"{path}, row {row} (line {number})"
        if len(values) != len(columns):
            raise UserError(f"{place}: has {len(values)} cells, the line of names has {len(columns)}")
        named = zip(columns, map(str.strip, values), strict=True)
        yield place, {name: _value(name, cell) for name, cell in named if cell and name not in NOTES}


def _check_columns(path: str, columns: Sequence[str]) -> None:
    lines = []
    for name in dict.fromkeys(columns):
        if columns.count(name) > 1:
            lines.append(f"{path}, column {name}: is there twice; remove one")
        if name not in COLUMNS + NOTES:
            lines.append(f"{path}, column {name}: unknown{closest(name, COLUMNS)} (known: {', '.join(COLUMNS)})")
    lines += [f"{path}: column {name} is missing" for name in ("plate", "fibers") if name not in columns]
    if lines:
        raise UserError("\n".join(lines))


def _value(name: str, cell: str) -> Any:
    """A cell as it would be in YAML."""
    if name in _LISTS and cell != "all":
        return [_number(part) for part in _SEPARATOR.split(cell.strip("[]()"))]
    return _number(cell) if name in ("plate", "mjd") else cell


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text
