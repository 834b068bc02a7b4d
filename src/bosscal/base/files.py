"""Writing files so that nothing is ever half-written, and the same content is always the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Pathlike = str | os.PathLike[str]


@contextmanager
def replacing(path: Pathlike) -> Iterator[Path]:
    """Yield a temporary name beside ``path`` that becomes ``path`` when the block succeeds.

    The temporary keeps the suffix, since writers choose their format by it. What a killed run leaves of it
    is overwritten by the next.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".partial-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_apart(path: Pathlike, content: bytes) -> None:
    """Write a small file that other processes may be writing too, each under a name of its own first."""
    path = Path(path)
    own = path.with_name(f".{uuid.uuid4().hex}")
    try:
        own.write_bytes(content)
        os.replace(own, path)
    finally:
        own.unlink(missing_ok=True)


def write_text(path: Pathlike, text: str) -> None:
    """Write UTF-8 text."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Pathlike, content: Any) -> None:
    """Write JSON with sorted keys."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def read_json(path: Pathlike) -> Any:
    """Read JSON."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def sha1sum(path: Pathlike) -> str:
    """SHA-1 of a file as hexadecimal text: the checksum that SDSS publishes beside its files."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha1").hexdigest()
