"""Writing files so that nothing is ever half-written, and the same content is always the same bytes."""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bosscal.errors import UserError


@contextmanager
def replacing(path):
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


def write_text(path, text):
    """Write UTF-8 text."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path, content):
    """Write JSON with sorted keys."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def read_json(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_arrays(path, arrays, meta):
    """Write named arrays and a dictionary of facts about them as an uncompressed npz, without pickle."""
    with replacing(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, meta=np.array(json.dumps(meta, sort_keys=True)), **arrays)


class Arrays(Mapping):
    """Arrays of an npz file by name, each read when first asked for, and the ``meta`` written with them."""

    def __init__(self, path):
        try:
            self._npz = np.load(path, allow_pickle=False)
            self.meta = json.loads(str(self._npz["meta"]))
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{path}: not a file that bosscal wrote ({error}); delete it and run again") from error
        self._names = [name for name in self._npz.files if name != "meta"]
        self._loaded = {}

    def __getitem__(self, name):
        if name not in self._loaded:
            self._loaded[name] = self._npz[name]
        return self._loaded[name]

    def __iter__(self):
        return iter(self._names)

    def __len__(self):
        return len(self._names)


def sha1sum(path):
    """SHA-1 of a file as hexadecimal text: the checksum that SDSS publishes beside its files."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha1").hexdigest()
