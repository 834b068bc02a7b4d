"""What an output was made by: a digest of the code that a step runs, and the versions of its libraries."""

from __future__ import annotations

import ast
import hashlib
import subprocess
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from bosscal.base.files import Pathlike

PACKAGE = Path(__file__).parent.parent
DATA_SUFFIXES = (".j2", ".yaml", ".css", ".js")
LIBRARIES = ("numpy", "astropy", "matplotlib", "bossdata", "snakemake", "pyyaml")


@lru_cache(1024)  # every step asks for the modules at the bottom of the house, and parsing takes longest
def _imported_names(source: str) -> tuple[str, ...]:
    """Names that the text of a Python file imports, anywhere in it; of `from a import b` both a and a.b."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found += [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return tuple(found)


def _imported_modules(path: Path) -> Iterator[Path]:
    """Files of this package that a Python file imports, anywhere in it."""
    for name in _imported_names(path.read_text(encoding="utf-8")):
        package, *rest = name.split(".")
        if package != PACKAGE.name:
            continue
        base = PACKAGE.joinpath(*rest)
        for candidate in (base.with_suffix(".py"), base / "__init__.py"):
            if candidate.is_file():
                yield candidate


def code_files(script: Pathlike) -> list[Path]:
    """A script, every module of this package that it imports, directly or not, and their data files; sorted.

    What finds modules by itself (:mod:`bosscal.base.discovery`) imports all those beside it.
    """
    found: set[Path] = set()
    waiting = [Path(script)]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        imported = list(_imported_modules(path))
        waiting.extend(imported)
        if path.name == "__init__.py":  # templates and numbers that lie beside the code
            found.update(file for file in path.parent.iterdir() if file.is_file() and file.suffix in DATA_SUFFIXES)
        if PACKAGE / "base" / "discovery.py" in imported:
            waiting.extend(path.parent.glob("*.py"))
    return sorted(found)


def digest(paths: Iterable[Path]) -> str:
    """Digest of files' names and contents."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def code_digest(script: Pathlike) -> str:
    """Digest of the code that a script runs: it changes when an edit concerns the script, and only then."""
    return digest(code_files(script))


def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that the numbers and figures come from."""
    return {name: version(name) for name in LIBRARIES}


def commit_of(folder: Pathlike) -> str:
    """The commit of the code in a folder, "" if it lies in no repository."""
    command = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
