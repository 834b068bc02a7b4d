"""The environment and the rules as files: what they promise each other."""

import re
import tomllib

import pytest
import yaml
from conftest import REPOSITORY

LOCK = dict(re.findall(r"^([a-z0-9_.-]+)==([^ \\]+)", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE))
CONDA_NAMES = {"matplotlib-base": "matplotlib", "python-isal": "isal", "snakemake-minimal": "snakemake"}


def conda_packages():
    """Name and version of every package of envs/bosscal.yaml, those from pip included."""
    environment = yaml.safe_load((REPOSITORY / "envs/bosscal.yaml").read_text())
    for entry in environment["dependencies"]:
        if isinstance(entry, dict):
            yield from (item.split("==") for item in entry["pip"])
        elif entry != "pip":
            yield entry.split("=")


def test_conda_environment_agrees_with_the_lock():
    """Protects reproducibility between pip and conda: the same versions."""
    versions = {CONDA_NAMES.get(name, name): version for name, version in conda_packages()}
    assert float(versions.pop("python")) >= 3.11
    assert versions == {name: LOCK[name] for name in versions}


def test_every_dependency_is_locked_and_in_the_conda_environment():
    """Protects both environments from a dependency that only one of them has."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    direct = {re.split(r"[<>=]", name)[0] for name in project["dependencies"]}
    assert direct <= set(LOCK)
    assert direct <= {CONDA_NAMES.get(name, name) for name, _ in conda_packages()}


def rules():
    """Text of every rule and checkpoint by its name, but for the target rule."""
    found = {}
    for path in sorted((REPOSITORY / "workflow/rules").glob("*.smk")):
        for name, body in re.findall(
            r"^(?:rule|checkpoint) (\w+):\n((?:(?: .*)?\n)+)", path.read_text(), flags=re.MULTILINE
        ):
            found[name] = body
    return found


@pytest.mark.parametrize("name", rules())
def test_every_rule_has_log_benchmark_and_environment(name):
    """Protects the means to see what a job did and took, and to run it with conda."""
    for keyword in ("log:", "benchmark:", "conda:", "script:"):
        assert f"    {keyword}" in rules()[name]


def test_the_chain_has_its_names():
    """Protects the rule names that the documentation and other tools use."""
    assert {"download", "extract_frame", "calibrate", "compare", "plot", "report"} <= set(rules())
