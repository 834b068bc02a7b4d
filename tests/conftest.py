"""Where the tests find data, and how they run the workflow."""

import os
import re
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from astropy.table import Table

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data():
    """A mirror of real SDSS files, which only some machines have."""
    folder = Path(os.environ.get("BOSS_REAL_DATA") or REPOSITORY.parent / "shared" / "real")
    if not (folder / "sas").is_dir():
        pytest.skip(f"no real SDSS files at {folder}; set BOSS_REAL_DATA to a mirror's root")
    return folder


@pytest.fixture(scope="session")
def published_data():
    """Curves that were read off the tutorial's published figures, which only some machines have."""
    folder = Path(os.environ.get("BOSS_PUBLISHED_DATA") or REPOSITORY.parent / "shared" / "published")
    if not folder.is_dir():
        pytest.skip(f"no curves of the published figures at {folder}; set BOSS_PUBLISHED_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def red_traceset_file():
    """A real two-phase red wavelength trace set of BOSS, which pydl ships with its tests."""
    import pydl.pydlutils

    return Path(pydl.pydlutils.__file__).parent / "tests" / "t" / "boss_traceset.fits"


LARGE = 1_000_000  # bytes; what Snakemake compares by content, and what it compares by time, is about the same


def copy_code(folder):
    """A copy of the code, of what runs and nothing else, that a test may edit; returns the folder."""
    for name in ("Snakefile", "workflow", "src", "profiles", "envs", "docs"):
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "*.png"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder)
    return folder


class Workflow:
    """The workflow in a folder of its own, run as a user would, on a copy of the code that a test may edit."""

    def __init__(self, folder, code=REPOSITORY):
        self.folder = Path(folder)
        self.code = Path(code)
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def results(self):
        return self.folder / "results"

    def configure(self, **config):
        """Write config.yaml; returns the workflow."""
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        return self

    def configuration(self):
        """What config.yaml says."""
        return yaml.safe_load((self.folder / "config.yaml").read_text(encoding="utf-8"))

    def copy(self, folder, code=None):
        """A workflow in another folder that has the same results.

        Large files are shared: steps replace files, and never change them in place.
        """

        def copy_or_link(source, target):
            (os.link if os.path.getsize(source) > LARGE else shutil.copy2)(source, target)

        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True, copy_function=copy_or_link)
        return Workflow(folder, code or self.code)

    def command(self, *arguments):
        # As a module: the scripts of an environment do not work in a folder with a blank in its path.
        command = [sys.executable, "-m", "snakemake", "--snakefile", self.code / "Snakefile"]
        command += ["--workflow-profile", self.code / "profiles" / "default", "--cores", "2"]
        return [str(word) for word in (*command, *arguments)]

    def run(self, *arguments, check=True, environment=None):
        """Run snakemake; returns the finished process, with stdout and stderr as one text."""
        process = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=os.environ | (environment or {}),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if check:
            assert process.returncode == 0, process.stdout
        return process

    def executed(self, *arguments, **options):
        """Run snakemake and count the jobs that it finished: {rule: count}, without the final ``all``."""
        return count_finished(self.run(*arguments, **options).stdout)

    def planned(self, *arguments):
        """Ask snakemake what it would run: {rule: count}, without the final ``all``."""
        return count_planned(self.run("--dry-run", *arguments).stdout)

    def table(self, name="summary"):
        """A table of the comparison by its path below results/compare/."""
        return Table.read(self.results / f"compare/{name}.ecsv")


def count_finished(output):
    """Jobs that a run of snakemake reports as finished: {rule: count}, without the final ``all``."""
    counts = {}
    for rule in re.findall(r"^step \d+(?: of \d+)?: (\w+):", output, re.MULTILINE):
        counts[rule] = counts.get(rule, 0) + 1
    return counts


def count_planned(output):
    """Jobs in the table of a dry run: {rule: count}, without the final ``all``."""
    if "Nothing to be done" in output:
        return {}
    table = output.partition("Job stats:")[2].partition("\n\n")[0]
    counts = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
    assert counts.pop("total"), output
    counts.pop("all", None)
    return counts


@pytest.fixture(scope="session")
def default_run(tmp_path_factory):
    """The shipped configuration, run once: what a newcomer sees. Tests read it, or make a copy to work in."""
    workflow = Workflow(tmp_path_factory.mktemp("default"))
    shutil.copy(REPOSITORY / "config.yaml", workflow.folder)
    workflow.output = workflow.run().stdout
    return workflow


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@contextmanager
def serving(folder):
    """The folder as a server on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# Fixtures of the unit tests.
from simulated import (  # noqa: E402
    dark_fiber,  # noqa: F401
    plate_report,  # noqa: F401
    red_exposure,  # noqa: F401
    red_prediction,  # noqa: F401
    red_table,  # noqa: F401
    simulated_root,  # noqa: F401
)
