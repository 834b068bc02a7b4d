"""From what pydantic finds wrong to lines that a user can act on: the key, its value, and what to give instead."""

import difflib
import re
from collections.abc import Callable, Collection, Hashable, Iterable
from datetime import date
from typing import Any, Protocol, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

MOST_LINES = 50  # of one report; a list of a thousand wrong numbers is one mistake, not a thousand
LONGEST_VALUE = 100  # characters of a value that is shown

UNKNOWN_NAME, MISTAKE = "unknown_name", "mistake"
# What pydantic adds to a path: the tags of alternatives, which this package writes in brackets, and "[key]".
ADDED = re.compile(r"^\[[a-z]+\]$")
NUMBER = re.compile(r"[0-9]{1,9}")

Path = tuple[int | str, ...]


class Source(Protocol):
    """What knows where values are written; see :class:`bosscal.run.written.Written`."""

    def place(self, path: Path) -> object | None: ...
    def misread(self, path: Path) -> str: ...


Values = TypeVar("Values", bound=Iterable[Hashable])


def as_written(path: Iterable[int | str]) -> str:
    """A key as the user would write it: targets[0].fibers."""
    text = ""
    for part in path:
        if isinstance(part, str) and len(part) > LONGEST_VALUE:
            part = f"{part[:LONGEST_VALUE]}…"
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def plain(markdown: str) -> str:
    """A description without its links and backticks."""
    return re.sub(r"\[([^][]+)\]\([^()\s]+\)", r"\1", markdown).replace("`", "")


def closest(word: object, known: Iterable[str]) -> str:
    """The hint for a word that is almost a known one, whatever its capitals; nothing if there is none."""
    spellings = {name.lower(): name for name in known}
    near = difflib.get_close_matches(str(word)[:LONGEST_VALUE].lower(), spellings, n=1)
    return f"; did you mean '{spellings[near[0]]}'?" if near else ""


def unknown_name(value: str, known: Collection[str], wrong: str = "is not known") -> PydanticCustomError:
    """The mistake of a name that is not in a list, to be raised by a validator."""
    text = f"{shown(value)} {wrong}{closest(value, known)} (known: {', '.join(known)})"
    return PydanticCustomError(UNKNOWN_NAME, "{text}", {"text": text})


def mistake(text: str) -> PydanticCustomError:
    """Any other mistake that says more than that a value is not allowed, to be raised by a validator."""
    return PydanticCustomError(MISTAKE, "{text}", {"text": text})


def distinct(values: Values) -> Values:
    """The values, if none is there twice.

    Raises
    ------
    PydanticCustomError
        Naming the first that is.
    """
    seen = set()
    for value in values:
        if value in seen:
            raise mistake(f"{value!r} is listed twice; remove one")
        seen.add(value)
    return values


def some(values: Any) -> Any:
    """The values, unless they are an empty list: there would be nothing to do.

    To be asked before the items are checked; pydantic's own ``min_length`` counts those that are right.
    """
    if isinstance(values, list | tuple) and not values:
        raise ValueError("empty")
    return values


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, or a list of which it holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(section_of, get_args(annotation))), None)


def _look_up(model: type[BaseModel], path: Path) -> tuple[type[BaseModel], FieldInfo | None]:
    """The innermost section that a path leads into, and the last field on it."""
    section, field = model, None
    for part in path:
        if isinstance(part, str):
            field = section.model_fields.get(part)
            inner = section_of(field.annotation) if field else None
            if inner is None:
                break
            section = inner
    return section, field


def shown(value: object) -> str:
    """A value as a message shows it: on one line, and not all of a long one."""
    if value is None:
        return "nothing"
    try:
        text = repr(value)
    except ValueError:  # an integer with more digits than Python writes
        text = f"a {type(value).__name__} without end"
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def complaints(
    error: ValidationError,
    model: type[BaseModel],
    describe: Callable[[str], str] = plain,
    above: Path = (),
    source: Source | None = None,
) -> list[str]:
    """The lines for all that a model finds wrong.

    Parameters
    ----------
    error : ValidationError
        As the model raised it.
    model : type of BaseModel
        Its fields' descriptions say what to give.
    describe : callable
        Makes a description into plain text.
    above : tuple
        Where the model's values lie: keys that go before theirs.
    source : Source, optional
        Tells the place that each line ends with, and values that YAML takes for others than they look like.

    Returns
    -------
    list of str
        One for each of the first fifty mistakes; any others are counted in one more.
    """
    found = error.errors(include_url=False)
    lines = [_complaint(dict(each), model, describe, above, source) for each in found[:MOST_LINES]]
    if len(found) > MOST_LINES:
        lines.append(f"… and {len(found) - MOST_LINES} more of these")
    return lines


def _complaint(
    error: dict[str, Any], model: type[BaseModel], describe: Callable[[str], str], above: Path, source: Source | None
) -> str:
    """The line for one mistake."""
    path = tuple(part for part in error["loc"] if not (isinstance(part, str) and ADDED.match(part)))
    where = at((*above, *path), source)
    kind = error["type"]
    if kind in ("extra_forbidden", "invalid_key"):
        known = list(_look_up(model, path[:-1])[0].model_fields)
        key = str(path[-1])
        name = as_written((*above, *path[:-1], key))
        return f"{name}: unknown key{closest(key, known)} (known here: {', '.join(known)}){where}"
    full_path = path
    if kind == UNKNOWN_NAME and (error["loc"][-1] == "[key]" or isinstance(path[-1], int)):
        # A name in a list, or as a key: the message has the name itself, so its place need not.
        path = path[:-1]
    name = as_written((*above, *path)) or "config"
    if kind in (UNKNOWN_NAME, MISTAKE):
        return f"{name}: {error['msg']}{where}"
    field = _look_up(model, path)[1]
    wanted = describe(field.description or "") if field else "keys with values"
    if kind == "missing":
        return f"{name}: missing; give {wanted}{where}"
    value = error["input"]
    if isinstance(value, str) and kind in ("int_type", "string_pattern_mismatch") and NUMBER.fullmatch(value):
        wanted += f"; without quotes: {int(value)}"
    elif kind == "string_type" and isinstance(value, int | float | date):
        wanted += "; text is put in quotes"
    misread = source.misread((*above, *full_path)) if source else ""
    return f"{name}: {misread or shown(value)} is not allowed; give {wanted}{where}"


def at(path: Path, source: Source | None) -> str:
    """The end of a line that says where a value is written, if that is known."""
    place = source.place(path) if source else None
    return f" ({place})" if place else ""
