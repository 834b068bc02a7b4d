"""YAML as people write it, read strictly: what is wrong is said in one line, with file, line and column.

PyYAML's own loaders keep the last of two equal keys, make 90 of 1:30, build Python objects, and tell of a missing
bracket in the words of a grammar. Here PyYAML only parses the text; what it means is decided below.
"""

import datetime
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import Reader

from bosscal.base.errors import UserError

LARGEST_FILE = 50_000_000  # bytes
MOST_REPEATED = 100_000  # values that aliases may add to those that are written
LONGEST_NUMBER = 100  # characters

_STANDARD = "tag:yaml.org,2002:"
_STRING, _MERGE = f"{_STANDARD}str", f"{_STANDARD}merge"
_COLLECTIONS: dict[type[yaml.Node], str] = {yaml.MappingNode: f"{_STANDARD}map", yaml.SequenceNode: f"{_STANDARD}seq"}
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_SIXTIES = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Key = int | str


@dataclass(frozen=True)
class Place:
    """Where a value is written: a name of the text, and line and column in it, from 1."""

    source: str
    line: int
    column: int
    command_line: bool = False

    def __str__(self) -> str:
        if not self.command_line:
            return f"{self.source}, line {self.line}, column {self.column}"
        return f"{self.source}, column {self.column}" if self.column > 1 else self.source


# ------------------------------------------------------------------------------------------------------------ texts


def read_text(path: Path | str, name: str | None = None) -> str:
    """The text of a file in UTF-8, in which YAML could be written.

    Parameters
    ----------
    path : path
    name : str, optional
        What messages call the file.

    Raises
    ------
    UserError
        If there is no such file, if it cannot be read, or holds bytes that are no text.
    """
    name = name or str(path)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise UserError(f"{name}: is a folder; give a YAML file")
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{name}: is no regular file; every job reads the configuration, so save it in one")
        if status.st_size > LARGEST_FILE:
            raise UserError(f"{name}: has {status.st_size / 1e6:.0f} MB, which is no configuration; give a YAML file")
        content = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{name}: no such file; check the name and the folder ({os.getcwd()})") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{name}: cannot be read ({reason}); check its permissions and its name") from error
    return _decoded(content, name)


def _decoded(content: bytes, name: str) -> str:
    """UTF-8 with or without a byte-order mark as text."""
    # A byte-order mark, or the NUL beside every Latin letter.
    head = content[:4]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or (len(head) > 1 and (head[0] == 0) != (head[1] == 0)):
        raise UserError(f"{name}: is in UTF-16 or UTF-32; save it in UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        begin = content.rfind(b"\n", 0, error.start) + 1
        column = len(content[begin : error.start].decode("utf-8-sig", errors="replace")) + 1
        place = Place(name, content.count(b"\n", 0, error.start) + 1, column)
        raise UserError(
            f"{place}: the byte 0x{content[error.start]:02x} is no UTF-8; save the file in UTF-8"
        ) from error
    wrong = Reader.NON_PRINTABLE.search(text)
    if wrong:
        begin = text.rfind("\n", 0, wrong.start()) + 1
        place = Place(name, text.count("\n", 0, wrong.start()) + 1, wrong.start() - begin + 1)
        raise UserError(f"{place}: the character U+{ord(wrong[0]):04X} cannot be in YAML; delete it")
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text.replace("\t", " ")  # JSON is YAML, but for tabs between its values


# ------------------------------------------------------------------------------------------------------------ values


class Text:
    """A parsed text.

    Parameters
    ----------
    text : str
    source : str
        What messages call it.
    command_line : bool
        It is a value of the command line: one line, in which Python's None is null.

    Raises
    ------
    UserError
        With one line that names the place, for the first thing that is wrong.
    """

    def __init__(self, text: str, source: str, command_line: bool = False) -> None:
        self._source, self._command_line = source, command_line
        self._place_at = partial(Place, source, command_line=command_line)
        wrong = Reader.NON_PRINTABLE.search(text)
        if wrong:
            raise UserError(f"{source}: the character U+{ord(wrong[0]):04X} cannot be in YAML; leave it out")
        self._resolver = yaml.resolver.Resolver()
        self._constructor = yaml.constructor.SafeConstructor()
        self._items: dict[int, dict[str, tuple[yaml.Node, yaml.Node]]] = {}
        self._values: dict[int, Any] = {}
        self._open: set[int] = set()
        self._sizes: dict[int, int] = {}
        self.root = self._parsed(text)
        self.value: Any = None
        if self.root is not None:
            try:
                self._check_size(self.root)
                self.value = self._value(self.root)
            except RecursionError as error:
                raise self._mistake(self.root, "brackets or indentation are too deep; write it flatter") from error

    def _parsed(self, text: str) -> yaml.Node | None:
        loader = yaml.SafeLoader(text)
        try:
            if not loader.check_node():
                return None
            root = loader.get_node()
            if loader.check_node():
                place = self._place(loader.peek_event().start_mark)  # type: ignore[no-untyped-call]
                raise UserError(f"{place}: a second document begins here; keep one, and delete the line ---")
            return root
        except yaml.MarkedYAMLError as error:
            mark, words = _in_words(error, loader.marks[-1] if loader.marks else None)
            raise UserError(f"{self._place(mark) if mark else self._source}: {words}") from error
        except yaml.YAMLError as error:
            raise UserError(f"{self._source}: is no YAML ({' '.join(str(error).split())})") from error
        except RecursionError as error:
            words = "brackets or indentation are too deep; write it flatter"
            raise UserError(f"{self._place(loader.get_mark())}: {words}") from error
        except (ValueError, OverflowError) as error:  # e.g. an escape of a character that does not exist
            words = f"is no YAML ({error}); put a value in single quotes to have it as it is"
            raise UserError(f"{self._place(loader.get_mark())}: {words}") from error
        finally:
            loader.dispose()

    def _place(self, mark: yaml.Mark) -> Place:
        return self._place_at(mark.line + 1, mark.column + 1)

    def _mistake(self, node: yaml.Node, words: str) -> UserError:
        return UserError(f"{self._place(node.start_mark)}: {words}")

    def _check_size(self, root: yaml.Node) -> None:
        """Refuse aliases that make much of little, before anybody walks through it."""
        size = self._size(root)
        if size - len(self._sizes) > MOST_REPEATED:
            raise self._mistake(root, f"aliases repeat more than {MOST_REPEATED} values; write out what is meant")

    def _size(self, node: yaml.Node) -> int:
        """Number of values that a node comes to when every alias is followed."""
        key = id(node)
        if key in self._open:
            raise self._mistake(node, "an alias leads back to what it is in; write out what is meant")
        if key not in self._sizes:
            self._open.add(key)
            self._sizes[key] = 1 + sum(map(self._size, _children(node)))
            self._open.discard(key)
        return self._sizes[key]

    def _value(self, node: yaml.Node) -> Any:
        """What a node means; one that aliases lead to is the same object everywhere."""
        key = id(node)
        if key not in self._values:
            if isinstance(node, yaml.ScalarNode):
                self._values[key] = self._scalar(node)
            elif node.tag != _COLLECTIONS[type(node)]:
                raise self._mistake(node, _refused_tag(node.tag))
            elif isinstance(node, yaml.MappingNode):
                self._values[key] = {name: self._value(value) for name, (_, value) in self._pairs(node).items()}
            else:
                self._values[key] = [self._value(item) for item in node.value]
        return self._values[key]

    def _pairs(self, mapping: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """(key, value) of a mapping by the key as it is written, with those that << takes from elsewhere."""
        found = self._items.get(id(mapping))
        if found is not None:
            return found
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in mapping.value:
            if not isinstance(key, yaml.ScalarNode) or not key.value.strip():
                raise self._mistake(key, "a key has to be a word; write key: value")
            if key.tag == _MERGE:
                sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for source in sources:
                    if not isinstance(source, yaml.MappingNode):
                        raise self._mistake(value, "<< takes keys of other places, and these have none; give *NAME")
                    merged = {**self._pairs(source), **merged}
                continue
            if key.tag != _STRING and key.tag != self._implicit(key):
                raise self._mistake(key, _refused_tag(key.tag))
            name = self._checked(key, key.value)
            if name in own:
                first = self._place(own[name][0].start_mark)
                before = f"column {first.column}" if self._command_line else f"line {first.line}"
                raise self._mistake(
                    key, f"{name!r} is there twice (first in {before}), and one would be lost; keep one"
                )
            own[name] = key, value
        self._items[id(mapping)] = {**merged, **own}
        return self._items[id(mapping)]

    def _implicit(self, node: yaml.ScalarNode) -> str:
        """The tag that a scalar has if none is written."""
        if node.style is not None:
            return _STRING
        tag: str = self._resolver.resolve(yaml.ScalarNode, node.value, (True, False))  # type: ignore[no-untyped-call]
        return tag

    def _checked(self, node: yaml.Node, text: str) -> str:
        """A string without control characters: none is in a name, a folder or an address."""
        wrong = _CONTROL.search(text)
        if wrong:
            what = "a line break" if wrong[0] in "\r\n" else f"the character U+{ord(wrong[0]):04X}"
            raise self._mistake(node, f"{text[:40]!r} has {what} in it; write it on one line, without")
        return text

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text = node.value
        implicit = self._implicit(node)
        if node.tag == _STRING or (node.tag == implicit and implicit.removeprefix(_STANDARD) in ("merge", "value")):
            return None if self._command_line and node.style is None and text == "None" else self._checked(node, text)
        if node.tag != implicit:
            raise self._mistake(node, _refused_tag(node.tag))
        kind = implicit.removeprefix(_STANDARD)
        if kind in ("int", "float") and len(text) > LONGEST_NUMBER:
            raise self._mistake(node, f"a number of {len(text)} characters; write a shorter one, or put it in quotes")
        try:
            value = getattr(self._constructor, f"construct_yaml_{kind}")(node)
        except ValueError as error:
            what = kind.replace("timestamp", "date")
            words = f"YAML reads {text} as a {what}, and there is none such ({error}); put it in quotes"
            raise self._mistake(node, words) from error
        if kind == "int" and _OCTAL.fullmatch(text):
            decimal = text.replace("_", "").lstrip("+-0") or "0"
            raise self._mistake(node, f"YAML reads {text} as {value}, in octal; write {decimal} or {value}")
        if kind in ("int", "float") and _SIXTIES.fullmatch(text):
            parts = text.split(":")
            meant = f'"{parts[0]}-{parts[1]}" for a range, or ' if len(parts) == 2 and kind == "int" else ""
            words = f"YAML reads {text} as {value}, counting in sixties; write {meant}{value} for the number"
            raise self._mistake(node, words)
        return value

    def _walked(self, path: tuple[Key, ...]) -> Iterator[yaml.Node]:
        """The nodes on a path, the root first, as far as it leads."""
        node = self.root
        while node is not None:
            yield node
            if not path:
                return
            first, *rest = path
            path = tuple(rest)
            if isinstance(node, yaml.MappingNode):
                node = self._pairs(node).get(str(first), (None, None))[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(first, int) and first < len(node.value):
                node = node.value[first]
            else:
                return

    def reach(self, path: tuple[Key, ...]) -> tuple[int, bool]:
        """How many steps of a path lead somewhere, and whether what they lead to replaces what is written before."""
        nodes = list(self._walked(path))
        if not nodes:  # nothing, which is a value too
            return 0, True
        return len(nodes) - 1, any(not isinstance(node, yaml.MappingNode) for node in nodes)

    def place(self, path: tuple[Key, ...]) -> Place:
        """Where a value is written: its key, if it has one, or else the nearest thing around it."""
        nodes = list(self._walked(path))
        reached = len(nodes) - 1
        if reached > 0 and isinstance(nodes[-2], yaml.MappingNode):
            return self._place(self._pairs(nodes[-2])[str(path[reached - 1])][0].start_mark)
        return self._place(nodes[-1].start_mark) if nodes else self._place_at(1, 1)

    def misread(self, path: tuple[Key, ...]) -> str:
        """Of a value that YAML takes for another than it looks like: "yes, which YAML reads as true,"."""
        nodes = list(self._walked(path))
        if len(nodes) != len(path) + 1 or not isinstance(nodes[-1], yaml.ScalarNode):
            return ""
        text, value = nodes[-1].value, self._value(nodes[-1])
        if isinstance(value, str) or value is None:
            return ""
        if isinstance(value, datetime.date):  # of which datetime is a kind
            return f"{text}, which YAML reads as a date,"
        if text.lower() == str(value).lower():
            return ""
        return f"{text}, which YAML reads as {str(value).lower()},"


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _refused_tag(tag: str) -> str:
    short = f"!!{tag.removeprefix(_STANDARD)}" if tag.startswith(_STANDARD) else tag
    return f"the tag {short[:60]} is not allowed; leave it out, and write the value alone"


# ------------------------------------------------------------------------------------------------------------- words

_GOT = re.compile(r"but (?:got|found) '?(.+?)'?$")


def _in_words(error: yaml.MarkedYAMLError, opened: yaml.Mark | None) -> tuple[yaml.Mark | None, str]:
    """What the parser found wrong, in a user's words, and where; ``opened`` is the innermost list or mapping."""
    problem, context = error.problem or "", error.context or ""
    here, there = error.problem_mark or error.context_mark, error.context_mark or error.problem_mark
    got = _GOT.search(problem)
    end = got is not None and got[1] in ("<stream end>", "<document end>", "<document start>")
    if "cannot start any token" in problem:
        if "'\\t'" in problem:
            return here, "a tab, where YAML wants blanks; indent and separate with blanks"
        what = problem.removeprefix("found character ").partition(" that")[0]
        return here, f"no value can begin with {what}; put it in quotes"
    if "quoted scalar" in context:
        return (there, "the quote that opens here is not closed; close it") if "found unexpected" in problem else (
            here, f"in double quotes, {problem.removeprefix('found ')}; write \\\\ for \\, or use single quotes"
        )  # fmt: skip
    if "flow node" in context and end:
        return opened or here, "the bracket that opens here is not closed; close it"
    if "flow sequence" in context or "flow mapping" in context:
        opening, closing, what = ("[", "]", "list") if "sequence" in context else ("{", "}", "mapping")
        if end:
            return there, f"the bracket {opening} that opens here is not closed; close it with {closing}"
        which = f" of the {what} that opens in line {there.line + 1}" if there else ""
        return here, f"a comma or the {closing}{which} is missing before this"
    if "simple key" in context:
        return there, "this line has no colon; write key: value, or - value in a list"
    if "mapping values are not allowed" in problem:
        return here, "a colon where no key can be; check the indentation, or put text with ': ' in quotes"
    if "directive" in context or "directive" in problem or "YAML document" in problem:
        return here, "no line can begin with % here; put it in quotes, or delete the line"
    if got and got[1] in ("]", "}", ",", ":"):
        return here, f"{got[1]} has nothing before it that it closes or belongs to; delete it, or put it in quotes"
    if got and got[1] == "<scalar>":
        return here, "text after the end of a value; check the quotes before it (a ' inside of '…' is written '')"
    if "block" in context and got:
        return here, "the indentation does not fit the lines above; begin keys of one place in one column"
    if "document start" in problem and got:
        return here, "this does not fit what stands above; write key: value in every line, and close what was opened"
    if "undefined alias" in problem:
        name = problem.rpartition("alias ")[2].strip("'")
        return here, f"*{name} is nowhere defined, as &{name}; put text that begins with * in quotes"
    return here, f"is no YAML ({' '.join(f'{context} {problem}'.split())}); put text with special characters in quotes"


def read_mapping(text: str, source: str, advice: str = "write key: value", **options: Any) -> Text:
    """A parsed text that holds keys with values.

    Raises
    ------
    UserError
        If it holds anything else, or nothing.
    """
    parsed = Text(text, source, **options)
    if parsed.value is None:
        what = "has nothing in it but comments" if text.strip() else "is empty"
        raise UserError(f"{source}: {what}; {advice}")
    if not isinstance(parsed.value, Mapping):
        what = "a list" if isinstance(parsed.value, list) else "a value alone"
        blank = " (a colon needs a blank after it)" if isinstance(parsed.value, str) and ":" in parsed.value else ""
        raise UserError(f"{parsed.place(())}: {what}, where keys are wanted{blank}; {advice}")
    return parsed
