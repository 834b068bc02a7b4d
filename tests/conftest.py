"""Where the tests find data, and how they run the workflow."""

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data():
    """A mirror of real SDSS files, which only some machines have."""
    folder = Path(os.environ.get("BOSS_REAL_DATA") or REPOSITORY.parent / "shared" / "real")
    if not (folder / "sas").is_dir():
        pytest.skip(f"no real SDSS files at {folder}; set BOSS_REAL_DATA to a mirror's root")
    return folder


@pytest.fixture(scope="session")
def red_traceset_file():
    """A real two-phase red wavelength trace set of BOSS, which pydl ships with its tests."""
    import pydl.pydlutils

    return Path(pydl.pydlutils.__file__).parent / "tests" / "t" / "boss_traceset.fits"


class Workflow:
    """The workflow in a folder of its own, run as a user would, on a copy of the code that a test may edit."""

    def __init__(self, folder, code=REPOSITORY):
        self.folder = Path(folder)
        self.code = Path(code)

    def command(self, *arguments):
        command = [Path(sys.executable).parent / "snakemake", "--snakefile", self.code / "Snakefile"]
        command += ["--workflow-profile", self.code / "profiles" / "default", "--cores", "2"]
        command += ["--configfile", self.folder / "config.yaml"]
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


def count_finished(output):
    """Jobs that a run of snakemake reports as finished: {rule: count}, without the final ``all``."""
    counts = {}
    for line in output.splitlines():
        if line.startswith("Finished jobid:"):
            rule = line.rpartition("Rule: ")[2].rstrip(")")
            counts[rule] = counts.get(rule, 0) + 1
    counts.pop("all", None)
    return counts


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
from simulated import dark_fiber, red_exposure, red_prediction, red_table, simulated_root  # noqa: E402, F401
