"""What a user wrote for a run: config.yaml, files of ``--configfile``, values of ``--config``, and the place of each.

Snakemake would read all three itself, and lose what is written twice, numbers of the command line (which it leaves as
text), and the places; but they are put together here in its way.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bosscal.base.errors import UserError
from bosscal.run.yamltext import Key, Place, Text, read_mapping, read_text

ADVICE = "write at least release: NAME and targets: with a list"
TEMPLATE = "__use_yte__"  # what makes Snakemake take a file for a template with Python in it
WHAT = ("targets", "table", "query")  # what is analysed: who says it anew means nothing that was said before
CONFIG_KEY = re.compile(r"[a-zA-Z_][\w-]*\w")  # as Snakemake has it


class Written:
    """All that was written, put together: later values replace earlier ones, key by key.

    ``values`` are those that hold.
    """

    def __init__(self, layers: Iterable[tuple[tuple[Key, ...], Text]] = ()) -> None:
        # Each with the keys above it: a value of the command line is that of one key.
        self._layers = list(layers)
        self.values: dict[str, Any] = {}
        for above, text in self._layers:
            value = text.value
            for key in reversed(above):
                value = {key: value}
            self.values = _merged(self._kept(value, bool(above)), value)

    def _kept(self, value: Any, command_line: bool) -> dict[str, Any]:
        """What of earlier values holds beside a later text: of what is analysed nothing that a file does not say.

        The command line goes on with a table or a query, e.g. with other plates of it, but not with ``targets``.
        """
        if not any(key in value for key in WHAT):
            return self.values
        dropped = ("targets",) if command_line else tuple(key for key in WHAT if key not in value)
        return {key: kept for key, kept in self.values.items() if key not in dropped or key in value}

    def _text(self, path: tuple[Key, ...]) -> tuple[Text, tuple[Key, ...]] | None:
        """What tells a value: the text that holds for its path, or for most of it, and the path in there."""
        found, deepest = None, 0
        for above, text in reversed(self._layers):
            if path[: len(above)] == above:
                inner = path[len(above) :]
                depth, final = text.reach(inner)
                depth += len(above)
                if depth > deepest:
                    found, deepest = (text, inner), depth
                if depth and final:  # what was written before does not hold
                    break
        return found

    def place(self, path: Sequence[Key]) -> Place | None:
        """Where a value is written, or what is around it; None if nothing is."""
        found = self._text(tuple(path))
        return found[0].place(found[1]) if found else None

    def misread(self, path: Sequence[Key]) -> str:
        """How YAML reads a value that looks like another; see :meth:`bosscal.run.yamltext.Text.misread`."""
        found = self._text(tuple(path))
        return found[0].misread(found[1]) if found else ""


def _merged(below: Any, above: Any) -> Any:
    """Keys of mappings come together, anything else is replaced."""
    if not isinstance(above, Mapping):
        return above
    merged = dict(below) if isinstance(below, Mapping) else {}
    for key, value in above.items():
        merged[key] = _merged(merged.get(key), value)
    return merged


def read_file(path: Path | str) -> Text:
    """A configuration file, parsed.

    Raises
    ------
    UserError
        With one line that names file, line and column.
    """
    name = _in_short(path)
    text = read_mapping(read_text(path, name), name, ADVICE)
    if TEMPLATE in text.value:
        advice = "write the values as they are, and delete this line"
        raise UserError(f"{text.place((TEMPLATE,))}: {TEMPLATE} would run parts of the file as Python; {advice}")
    return text


def _in_short(path: Path | str) -> str:
    """A file's name as seen from the working directory, if it lies there."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def read_argument(argument: str) -> tuple[tuple[Key, ...], Text]:
    """KEY and value of ``--config KEY=VALUE``; the value is YAML, or what Python prints of lists and dictionaries.

    Raises
    ------
    UserError
        With one line that names the key and the column of the value.
    """
    key, equals, value = argument.partition("=")
    if not equals:
        raise UserError(f"--config {key}: a value is missing; write --config KEY=VALUE, without blanks around =")
    if not CONFIG_KEY.fullmatch(key):
        raise UserError(f"--config {key}: is no key; write --config KEY=VALUE, e.g. --config release=sim")
    return (key,), Text(value, f"--config {key}", command_line=True)


def read_written(
    configfiles: Sequence[Path | str], arguments: Sequence[str], default: Path | str = "config.yaml", only: bool = False
) -> Written:
    """What holds for a run.

    Parameters
    ----------
    configfiles : sequence of path
        Of ``--configfile``, in their order.
    arguments : sequence of str
        KEY=VALUE of ``--config``.
    default : path
        The file that is read first, if it is there.
    only : bool
        What the command line gives replaces all of that file (``--replace-workflow-config``).

    Raises
    ------
    UserError
        With one line for each file or value that cannot be read.
    """
    readers: list[tuple[Any, Path | str]] = []
    if os.path.lexists(default) and not (only and (configfiles or arguments)):
        readers.append((_layer, default))
    elif not configfiles and not arguments:
        readers.append((_layer, default))  # which says that it is not there
    readers += [(_layer, path) for path in configfiles]
    readers += [(read_argument, argument) for argument in arguments]
    layers, lines = [], []
    for read, what in readers:
        try:
            layers.append(read(what))
        except UserError as error:
            lines.append(str(error))
    if lines:
        raise UserError("\n".join(dict.fromkeys(lines)))
    return Written(layers)


def _layer(path: Path | str) -> tuple[tuple[Key, ...], Text]:
    return (), read_file(path)


# ------------------------------------------------------------------------------------------------------ command line


def check_command_line(arguments: Sequence[str]) -> None:
    """Read what a command line of Snakemake gives as configuration, to say what is wrong before Snakemake does.

    Parameters
    ----------
    arguments : sequence of str
        ``sys.argv[1:]``.

    Raises
    ------
    UserError
        With one line for each file or value that cannot be read.
    """
    files, values = named(arguments)
    if files or values:
        read_written(files, values, only=True)


def end_with_mistakes(arguments: Sequence[str]) -> None:
    """End the process with the lines of :func:`check_command_line`, if there are any; profiles/default/ calls this."""
    try:
        check_command_line(arguments)
    except UserError as error:
        sys.exit("\n".join(f"bosscal: {line}" for line in str(error).splitlines()))


def named(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Files of ``--configfile`` and values of ``--config`` on a command line of Snakemake; the last of each counts."""
    given: dict[str, list[str]] = {"file": [], "value": []}
    options = {"--configfile": "file", "--configfiles": "file", "--config": "value", "-C": "value"}
    collecting: list[str] | None = None
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if argument == "--":
            break
        if argument.startswith("-") and len(argument) > 1:
            collecting = None
            if option in options:
                collecting = given[options[option]] = [value] if equals else []
                if equals:
                    collecting = None
        elif collecting is not None:
            collecting.append(argument)
    return given["file"], given["value"]
