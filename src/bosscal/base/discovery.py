"""Packages whose modules need no list: each is found because it lies there."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable


def import_all(package: str, folders: Iterable[str]) -> None:
    """Import every module of a package, given its name and ``__path__``, in the order of their names."""
    for module in sorted(pkgutil.iter_modules(folders), key=lambda module: module.name):
        importlib.import_module(f"{package}.{module.name}")
