"""The house rules: which room may import which, and that everything public says what it is."""

import ast
import re

import pytest
from conftest import REPOSITORY

import bosscal

PACKAGE = REPOSITORY / "src" / "bosscal"
(ORDER,) = re.findall(r"A room imports only from those before it: (.+)\.\n", bosscal.__doc__)
ORDER = tuple(ORDER.split(" < "))
# room: the rooms that it may import from, itself left out
ALLOWED = {room: set(ORDER[:place]) for place, room in enumerate(ORDER)} | {
    "run": {"base", "survey"},
    "simulation": {"base", "survey", "calibration", "noise"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path):
    return str(path.relative_to(PACKAGE))


def imports(path):
    """(module, line) of all that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module, node.lineno
            if node.module == "bosscal":
                yield from ((f"bosscal.{alias.name}", node.lineno) for alias in node.names)


def test_rule_is_stated_and_complete():
    """Protects the rule that the package states: no room is without a place in it, and nothing lives outside."""
    assert ORDER == ("base", "survey", "calibration", "noise", "results", "figures", "report")
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").is_file()}
    assert rooms == set(ALLOWED)
    assert [path.name for path in PACKAGE.glob("*.py")] == ["__init__.py"]


def test_rooms_import_only_what_is_before_them():
    """Protects the layers: science knows of no figures, figures of no report, nobody of how a run is set up."""
    wrong = []
    for path in MODULES:
        parts = path.relative_to(PACKAGE).parts
        room = parts[0] if len(parts) > 1 else None
        for module, line in imports(path):
            package, *rest = module.split(".")
            if package == "snakemake" or (package == "bosscal" and rest and room is None):
                wrong.append(f"{name_of(path)}:{line}: {module}")
            if package == "bosscal" and rest and room is not None and rest[0] not in ALLOWED[room] | {room}:
                wrong.append(f"{name_of(path)}:{line}: {module}")
    assert not wrong, "\n".join(wrong)


def test_base_knows_nothing_of_astronomy_but_its_tables():
    """Protects the ground that every room stands on: arrays, files and statistics load no library but numpy."""
    wanted = {name.split(".")[0] for path in PACKAGE.glob("base/*.py") for name, _ in imports(path)}
    assert not wanted & {"bossdata", "matplotlib", "pydl", "yaml", "pydantic", "snakemake"}


class Documented(ast.NodeVisitor):
    """Collects public functions, classes and methods without a docstring."""

    def __init__(self):
        self.missing = []
        self.inherited = [False]

    def check(self, node):
        if not node.name.startswith("_") and not ast.get_docstring(node):
            self.missing.append(f"{node.lineno}: {node.name}")

    def visit_ClassDef(self, node):
        self.check(node)
        bases = {ast.unparse(base) for base in node.bases}
        # What overrides is documented where it is declared; the methods of a protocol are fields, in the class's docs.
        self.inherited.append(bool(bases & {"Law", "Protocol"}))
        if not node.name.startswith("_"):
            for child in node.body:
                self.visit(child)
        self.inherited.pop()

    def visit_FunctionDef(self, node):
        overrides = any(ast.unparse(decorator) == "override" for decorator in node.decorator_list)
        if not self.inherited[-1] and not overrides:
            self.check(node)  # and not what is defined inside it


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_everything_public_is_documented(path):
    """Protects readers: every module, public class, function and method says what it is."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    visitor = Documented()
    visitor.visit(tree)
    assert not visitor.missing, visitor.missing
