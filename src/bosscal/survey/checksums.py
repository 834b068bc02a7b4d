"""The survey's lists of SHA-1: of each folder on the server one, whose name differs by release."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from bosscal.base.files import read_json, write_apart

KEPT_LIST = ".sha1sum.json"
_LINE = re.compile(r"([0-9a-f]{40}) [ *]([\w.+-]+)")
_ENTRY = re.compile(r'href="([\w.+-]+\.sha1sum)"')


def published_sha1(read: Callable[[str], str | None], folder_url: str, name: str, folder: Path) -> str | None:
    """What the survey's list of a folder on the server says of a file.

    The list is that of the entries ``*.sha1sum`` of the folder's index. It is fetched once for a folder, and kept
    beside the files.

    Parameters
    ----------
    read : callable
        The text at an address; None where there is none.
    folder_url : str
        Address of the folder, with a ``/`` at its end.
    name : str
        Name of the file in there.
    folder : Path
        Where local copies of the folder's files are kept.

    Returns
    -------
    str or None
        None where there is no list, or the file is not in it.
    """
    kept = folder / KEPT_LIST
    with contextlib.suppress(OSError, ValueError):
        found = read_json(kept).get(name)
        return found if isinstance(found, str) else None
    sums = _fetch_list(read, folder_url)
    if sums:  # that there is none may be a mishap, or be so of this server alone
        write_apart(kept, json.dumps(sums, indent=1, sort_keys=True).encode())
    return sums.get(name)


def sha1_beside(local_path: Path) -> str | None:
    """What the survey's list says of a local file: the list kept when it was fetched, or beside the linked file."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found = read_json(local_path.parent / KEPT_LIST).get(local_path.name)
        return found if isinstance(found, str) else None
    return _lists_in(Path(os.path.realpath(local_path)).parent).get(local_path.name)


@functools.cache
def _lists_in(folder: Path) -> dict[str, str]:
    """Checksums by name of all lists in a folder of a mirror."""
    sums: dict[str, str] = {}
    for path in sorted(folder.glob("*.sha1sum")):
        with contextlib.suppress(OSError):
            sums.update(_checksums(path.read_text(encoding="utf-8", errors="replace")))
    return sums


def _fetch_list(read: Callable[[str], str | None], folder_url: str) -> dict[str, str]:
    """Checksums by name of a folder on the server; empty if it has no list, or cannot be asked."""
    sums: dict[str, str] = {}
    for name in sorted(set(_ENTRY.findall(read(folder_url) or ""))):
        sums |= _checksums(read(f"{folder_url}{name}") or "")
    return sums


def _checksums(text: str) -> dict[str, str]:
    """Checksums by name of a list as sha1sum writes it; names with a folder in them are ignored."""
    return {match[2]: match[1] for match in map(_LINE.fullmatch, text.splitlines()) if match}
