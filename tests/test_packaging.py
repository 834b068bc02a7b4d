"""The environments, the rules, the lanes of tests and the automation as files: what they promise each other."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile

import pytest
import yaml
from conftest import REPOSITORY

from bosscal.results.export import write_calib

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
LOCK_TEXT = (REPOSITORY / "requirements.lock").read_text()
LOCK = dict(re.findall(r"^([a-z0-9_.-]+)==([^ \\]+)", LOCK_TEXT, re.MULTILINE))
CONDA_NAMES = {"matplotlib-base": "matplotlib", "python-isal": "isal", "snakemake-minimal": "snakemake"}
# Which package a module that the code imports is of, where the names differ.
PACKAGES = {
    "PIL": "pillow", "markdown_it": "markdown-it-py", "mdit_py_plugins": "mdit-py-plugins", "pydantic_core": "pydantic",
    "yaml": "pyyaml",
}  # fmt: skip
PYTHON = PROJECT["project"]["requires-python"].removeprefix(">=")


# --- Dependencies -------------------------------------------------------------------------------------------------


def names(requirements):
    """Names of packages from requirements, extras and versions left out."""
    return {re.split(r"[\[<>=]", requirement)[0] for requirement in requirements}


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
    assert as_numbers(versions.pop("python")) >= as_numbers(PYTHON)
    assert versions == {name: LOCK[name] for name in versions}


def test_every_dependency_is_locked_and_in_the_conda_environment():
    """Protects both environments from a dependency that only one of them has."""
    direct = names(PROJECT["project"]["dependencies"])
    assert direct <= set(LOCK)
    assert direct <= {CONDA_NAMES.get(name, name) for name, _ in conda_packages()}


def test_what_pip_installs_for_conda_finds_its_own_dependencies_there():
    """Protects the conda environment from packages in versions that nobody has tried, which pip would add."""
    required_by = re.findall(r"^([a-z0-9_.-]+)==(?:.*\n)((?:    .*\n)+)", LOCK_TEXT + "\n", re.MULTILINE)
    of_bossdata = {name for name, lines in required_by if re.search(r"# +(via )?bossdata$", lines, re.MULTILINE)}
    assert of_bossdata >= {"fitsio", "pydl"}
    assert of_bossdata <= {CONDA_NAMES.get(name, name) for name, _ in conda_packages()}


def test_tools_of_the_makefile_are_locked():
    """Protects `make test` and `make lint` from tools that are whatever version is there."""
    for extra in ("test", "build"):
        assert names(PROJECT["project"]["optional-dependencies"][extra]) <= set(LOCK)


def test_lock_is_checked_by_hashes_and_names_no_server():
    """Protects every index: what is installed follows from content, not from where it is served."""
    entries = re.split(r"^(?=[a-z0-9])", LOCK_TEXT, flags=re.MULTILINE)
    assert all("--hash=sha256:" in entry for entry in entries if entry.strip())
    assert not re.search(r"https?:|file:|index-url|find-links", LOCK_TEXT)


def imports():
    """Top-level names that the package and the scripts import."""
    for folder in ("src", "workflow/scripts"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    yield from (alias.name.split(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    yield node.module.split(".")[0]


def test_package_imports_what_it_declares():
    """Protects a run from an import that only the tools of the tests bring, and the lock from what nothing uses."""
    found = {PACKAGES.get(name, name) for name in set(imports()) - sys.stdlib_module_names - {"bosscal"}}
    needed, optional = PROJECT["project"]["dependencies"], PROJECT["project"]["optional-dependencies"]["spectra"]
    assert found | {"snakemake"} == names([*needed, *optional])


# What one who installed the library does, without the repository: read, compute, and what needs files of the package.
USE = """
import pathlib, sys
import numpy as np
import bosscal
from bosscal.noise.laws import LAWS, PREDICTIONS
from bosscal.report.statuses import read_thresholds
from bosscal.results.calib import read_calib

assert pathlib.Path(bosscal.__file__).is_relative_to(sys.prefix), bosscal.__file__
assert read_thresholds()
calib = read_calib(sys.argv[1])
electrons = calib.electrons(1, np.full(len(calib.wavelength(1)), 3.0))
for law in PREDICTIONS:
    assert np.isfinite(calib.variance(1, electrons, law)).all()
print(len(LAWS), "laws")
"""


@pytest.mark.slow
def test_wheel_has_all_and_works(tmp_path, red_exposure, red_prediction):
    """Protects `pip install .`: the wheel has every file of the package, and works without the repository."""
    source = tmp_path / "source"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        source.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / name, source)
    shutil.copytree(REPOSITORY / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, source], check=True)
    (wheel,) = tmp_path.glob("bosscal-*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("bosscal/")}
    here = {path.relative_to(source / "src").as_posix() for path in (source / "src/bosscal").rglob("*.*")}
    assert packed == here
    assert any(name.endswith(".j2") for name in packed)
    # A fresh environment: the dependencies are those of this one, but for the package itself.
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-deps", "--no-index", wheel],
        check=True,
    )
    write_calib(tmp_path / "spCalib.fits", red_exposure, red_prediction)
    environment = os.environ | {"PYTHONPATH": sysconfig.get_path("purelib")}
    command = [python, "-W", "error", "-c", USE, tmp_path / "spCalib.fits"]
    process = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert re.fullmatch(r"\d+ laws\n", process.stdout)


# --- Rules --------------------------------------------------------------------------------------------------------


COLLECT = ("fetch", "survey")  # rules that only ask for what others make, as `all` does


def rules():
    """Text of every rule and checkpoint by its name, but for those that have no step."""
    found = {}
    for path in sorted((REPOSITORY / "workflow/rules").glob("*.smk")):
        for name, body in re.findall(
            r"^(?:rule|checkpoint) (\w+):\n((?:(?: .*)?\n)+)", path.read_text(), flags=re.MULTILINE
        ):
            if name not in COLLECT:
                found[name] = body
    return found


RULES = rules()


def test_rules_are_found():
    """Protects the tests of each rule from looking at none."""
    declared = re.compile(r"^(?:rule|checkpoint) (\w+):", re.MULTILINE)
    files = sorted((REPOSITORY / "workflow/rules").glob("*.smk"))
    names = [name for path in files for name in declared.findall(path.read_text())]
    assert list(RULES) == [name for name in names if name not in COLLECT]
    assert {"simulate_spec", "measure_spec"} <= set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_has_log_benchmark_and_environment(name):
    """Protects the means to see what a job did and took, and to run it with conda."""
    for keyword in ("log:", "benchmark:", "conda:", "script:"):
        if (name, keyword) == ("plan_fetch", "benchmark:"):
            continue  # which would be an output, and the step has none
        assert f"    {keyword}\n" in RULES[name]


@pytest.mark.parametrize("name", RULES)
def test_every_rule_reruns_when_its_own_script_is_edited(name):
    """Protects results from code that is no longer there. A download alone is never repeated."""
    script = re.search(r'"\.\./scripts/(\w+\.py)"', RULES[name])[1]
    if name == "download":
        assert "code=" not in RULES[name]
    elif script == "simulate.py":
        assert "        **SIMULATION,\n" in RULES[name]  # with a digest of the simulation's modules alone
    else:
        assert f'        code=code("{script}"),\n' in RULES[name]


def test_every_script_is_of_a_rule():
    """Protects readers from scripts that nothing runs."""
    used = set(re.findall(r'"\.\./scripts/(\w+\.py)"', "".join(RULES.values())))
    assert {path.name for path in (REPOSITORY / "workflow/scripts").glob("*.py")} == used


def test_the_chain_has_its_names():
    """Protects the rule names that the documentation and other tools use."""
    assert {"download", "extract_frame", "calibrate", "compare", "plot", "report"} <= set(RULES)


# --- Lanes of tests and automation --------------------------------------------------------------------------------


def recipes():
    """Recipe of every target of the Makefile by its name."""
    text = (REPOSITORY / "Makefile").read_text()
    return dict(re.findall(r"^([a-z][a-z-]*):[^\n=]*\n((?:\t.*\n)*)", text, re.MULTILINE))


RECIPES = recipes()


def test_lanes_are_told_apart_by_registered_marks():
    """Protects the lanes: a mark that is not registered, or not the one that a lane leaves out, would be ignored."""
    marks = {mark.partition(":")[0] for mark in PROJECT["tool"]["pytest"]["ini_options"]["markers"]}
    assert marks == {"workflow", "slow"}
    assert RECIPES["check"].rstrip().endswith('$(PYTEST) -m "not workflow and not slow"')
    assert RECIPES["test"].rstrip().endswith('$(PYTEST) -m "not slow"')
    assert RECIPES["test-all"].rstrip().endswith("$(PYTEST)")


def test_what_starts_snakemake_is_marked():
    """Protects `make check` from taking minutes: tests with the fixture's class are the workflow's."""
    for path in sorted((REPOSITORY / "tests").glob("test_*.py")):
        if re.search(r"^from conftest import .*\bWorkflow\b", path.read_text(), re.MULTILINE):
            assert "pytest.mark.workflow" in path.read_text(), path.name


def test_makefile_names_its_targets_and_needs_no_console_script():
    """Protects the overview at its top, and folders of any name: pip's scripts hold the path of their interpreter."""
    text = (REPOSITORY / "Makefile").read_text()
    described = set(re.findall(r"^# make (\S+)  ", text, re.MULTILINE))
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())
    assert phony == set(RECIPES) == described | {"run"}
    for recipe in RECIPES.values():
        assert not re.search(r"/bin/(?!python)", recipe)
        assert "$(CURDIR)" not in recipe  # a quote in it would end the shell's


def test_clean_removes_no_result():
    """Protects results from `make clean`, which docs/recipes.md says leaves them."""
    assert "results" not in RECIPES["clean"]
    assert "$(VENV)" in RECIPES["clean"]


def workflow_steps():
    """(name of the job, step) of the automation."""
    for path in sorted((REPOSITORY / ".github/workflows").glob("*.yaml")):
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            yield from ((name, step) for step in job["steps"])


def test_automation_runs_what_there_is():
    """Protects the automation, which is not tried before it is pushed, from targets and files that are gone."""
    commands = [step["run"].split() for _, step in workflow_steps() if "run" in step]
    assert ["make", "lint"] in commands
    assert ["make", "check"] in commands
    assert ["make", "test"] in commands
    for command, *arguments in commands:
        if command == "make":
            assert set(arguments) <= set(RECIPES)
        else:
            assert command == "snakemake"
            assert (REPOSITORY / "Snakefile").is_file()
    for _, step in workflow_steps():
        for key in ("environment-file", "cache-dependency-path"):
            assert (REPOSITORY / step.get("with", {}).get(key, ".")).exists()
    assert set(re.search(r"for part in (.*);", (REPOSITORY / ".ci/run").read_text())[1].split()) <= set(RECIPES)


def as_numbers(version):
    return tuple(map(int, version.split(".")))


def test_every_promised_python_is_tried():
    """Protects the promise of pyproject.toml: the oldest Python it allows is tried, checked for, and none is older."""
    jobs = yaml.safe_load((REPOSITORY / ".github/workflows/ci.yaml").read_text())["jobs"]
    tried = jobs["check"]["strategy"]["matrix"]["python"]
    assert min(tried, key=as_numbers) == PYTHON
    for _, step in workflow_steps():
        version = step.get("with", {}).get("python-version", PYTHON)
        assert version in tried or "matrix.python" in version
    conda = next(version for name, version in conda_packages() if name == "python")
    assert conda in tried
    assert PROJECT["tool"]["ruff"]["target-version"] == "py" + PYTHON.replace(".", "")
    assert PROJECT["tool"]["mypy"]["python_version"] == PYTHON
    assert f"--python-version {PYTHON} " in RECIPES["lock"]
    assert f"sys.version_info < {as_numbers(PYTHON)}" in (REPOSITORY / "Makefile").read_text()


def test_hooks_fetch_nothing():
    """Protects commits without a network, and their agreement with `make lint`: the same tools, the same calls."""
    config = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    for hook in config["repos"][0]["hooks"]:
        assert hook["language"] == "system"
        interpreter, _, module, *_ = hook["entry"].split()
        assert interpreter == ".venv/bin/python"
        assert f"-m {module}" in RECIPES["lint"]


def test_templates_of_the_forge_are_complete():
    """Protects reports of mistakes from lacking what it takes to repeat them."""
    folder = REPOSITORY / ".github/ISSUE_TEMPLATE"
    forms = {path.stem: yaml.safe_load(path.read_text()) for path in folder.glob("*.yaml")}
    assert set(forms) == {"bug", "feature"}
    required = {item["id"] for item in forms["bug"]["body"] if item.get("validations", {}).get("required")}
    assert {"log", "config", "release"} <= required
    template = (REPOSITORY / ".github/PULL_REQUEST_TEMPLATE.md").read_text()
    for target in re.findall(r"`make (\S+)`", template):
        assert target in RECIPES


# --- Other machines -----------------------------------------------------------------------------------------------


def tracked_texts():
    """(name, text) of every text file of the repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git repository")
    for name in filter(None, listed.stdout.split("\0")):
        path = REPOSITORY / name
        if path.is_file() and b"\0" not in path.read_bytes()[:8192]:
            yield name, path.read_text(encoding="utf-8", errors="replace")


def test_no_file_names_a_place_on_one_machine():
    """Protects other machines: nothing refers to somebody's home or to a temporary folder."""
    place = re.compile(r"(?<![\w.:/}\])])/(?:home|root|tmp|Users|mnt|opt|work|private|var)/\w+")
    found = [f"{name}: {match[0]}" for name, text in tracked_texts() for match in place.finditer(text)]
    assert found == []


def test_code_asks_nothing_that_only_linux_answers():
    """Protects runs on macOS: no /proc, no processor affinity, no other call that only Linux has."""
    only_linux = re.compile(
        r"/proc/|/sys/|/dev/shm|sched_[gs]etaffinity|memfd_create|copy_file_range|posix_fadvise|O_TMPFILE|prctl"
        r"|sendfile|readlink -f|sed -i|date -d|nproc"
    )
    files = [REPOSITORY / "Snakefile", REPOSITORY / "Makefile", REPOSITORY / ".ci/run"]
    for folder, suffix in (("src", "py"), ("workflow", "py"), ("workflow", "smk")):
        files += (REPOSITORY / folder).rglob(f"*.{suffix}")
    found = [path.name for path in files if only_linux.search(path.read_text())]
    assert found == []
