"""Tables with units and descriptions, and how they are written."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from bosscal.base.files import Pathlike, replacing

if TYPE_CHECKING:
    from astropy.table import Table

# name: (unit, description) of the columns that say what a row of any table is about
IDENTITY = {
    "release": ("", "data release"),
    "plate": ("", "plate number"),
    "mjd": ("", "night of the observation (MJD)"),
    "fiber": ("", "fiber number, 1-1000"),
    "camera": ("", "camera: b1, b2, r1 or r2"),
    "expnum": ("", "exposure number"),
    "objtype": ("", "OBJTYPE of the plug map"),
    "simulated": ("", "whether the data are simulated"),
}


def build_table(values: Mapping[str, Any], columns: Mapping[str, tuple[str, str]]) -> Table:
    """A table of columns in the order of their definitions.

    Parameters
    ----------
    values : mapping
        Values of every column by name.
    columns : mapping
        (unit, description) of every column by name; an empty unit is none.

    Raises
    ------
    KeyError
        If there are values without a column, or a column without values: neither may vanish without a word.
    """
    from astropy.table import Column, MaskedColumn, Table

    astray = set(values) ^ set(columns)
    if astray:
        raise KeyError(f"columns and their values do not agree: {', '.join(sorted(astray))}")
    table = Table()
    for name, (unit, description) in columns.items():
        content = values[name]
        # A column is masked only where one of its values is: so it is when it has been read back.
        kind = MaskedColumn if np.ma.is_masked(content) else Column
        content = content if kind is MaskedColumn else np.ma.getdata(content)
        table[name] = kind(content, unit=unit or None, description=description)
    return table


def write_table(path: Pathlike, table: Table) -> None:
    """Write an astropy table as ECSV: text with units, descriptions and masked values."""
    with replacing(path) as temporary:
        plain(table).write(temporary, format="ascii.ecsv", overwrite=True)


def write_tables(path: Pathlike, tables: Iterable[Table]) -> int:
    """Write tables of the same columns as one (:func:`write_table`), with one of them at a time in memory.

    A column whose type differs between them has that of all; each number is written as the table that it is from has
    it. Returns the number of rows.

    Raises
    ------
    ValueError
        If there is no table, or one has other columns than the first.
    """
    from astropy.table import Column, Table

    first: Table | None = None
    types: dict[str, Any] = {}
    number = 0
    with replacing(path) as temporary, tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as bodies:
        for table in tables:
            if first is None:
                first = table[:0]
            if table.colnames != first.colnames:
                raise ValueError(f"columns of a table are not those of the first: {table.colnames}")
            for name in table.colnames:
                types[name] = np.result_type(types.get(name, table[name].dtype), table[name].dtype)
            text = io.StringIO()
            plain(table).write(text, format="ascii.ecsv")
            text.seek(0)
            while text.readline().startswith("#"):  # and, last, the line of the names
                pass
            shutil.copyfileobj(text, bodies)
            number += len(table)
        if first is None:
            raise ValueError("there is no table")
        columns = [
            Column([], name, dtype=types[name], unit=column.unit, description=column.description)
            for name, column in zip(first.colnames, first.itercols(), strict=True)
        ]
        bodies.seek(0)
        with open(temporary, "w", encoding="utf-8", newline="") as stream:
            Table(columns).write(stream, format="ascii.ecsv")
            shutil.copyfileobj(bodies, stream)
    return number


def plain(table: Table) -> Table:
    """The same table, whose masked columns are written quickly."""
    from astropy.table import MaskedColumn, Table

    class Plain(MaskedColumn):  # type: ignore[misc]
        """A masked column that gives single values without asking whether they are masked: the writer does that."""

        def __getitem__(self, item: Any) -> Any:
            return np.ndarray.__getitem__(self, item) if isinstance(item, int) else super().__getitem__(item)

    columns = [Plain(column) if isinstance(column, MaskedColumn) else column for column in table.itercols()]
    return Table(columns, meta=table.meta, copy=False)


def read_meta(path: Pathlike) -> dict[str, Any]:
    """What an ECSV table says beside its columns and rows, of which none is read."""
    from astropy.table.meta import get_header_from_yaml

    with open(path, encoding="utf-8") as stream:
        lines = [line[2:] for line in takewhile(lambda line: line.startswith("# "), stream)]
    meta: dict[str, Any] = get_header_from_yaml(lines[1:]).get("meta", {})  # the first tells the format
    return meta


def read_table(path: Pathlike) -> Table:
    """Read an ECSV table."""
    from astropy.table import Table

    return Table.read(path, format="ascii.ecsv")
