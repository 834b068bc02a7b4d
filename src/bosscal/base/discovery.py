"""Modules that need no import of their own: they are found because they lie in a folder, or by their names in a list.

What imports this module is taken to depend on all modules beside it (:func:`bosscal.base.provenance.code_files`).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType


def import_one(package: str, name: str) -> ModuleType:
    """Import a module of a package."""
    return importlib.import_module(f"{package}.{name}")


def import_all(package: str, folders: Iterable[str]) -> None:
    """Import every module of a package, given its name and ``__path__``, in the order of their names."""
    for module in sorted(pkgutil.iter_modules(folders), key=lambda module: module.name):
        import_one(package, module.name)
