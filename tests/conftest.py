"""Where the tests find data, and how they run the workflow."""

import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from bosscal import simulation
from bosscal.results.comparison import compare_fibers
from bosscal.results.prediction import predict
from bosscal.survey.frames import read_frames

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


# ------------------------------------------------------------------- simulated files, one set for all unit tests

SEED = 7
SPECTROGRAPH_1 = [(camera, expnum) for camera in ("b1", "r1") for expnum in simulation.EXPOSURES]


@pytest.fixture(scope="session")
def dark_fiber():
    """A fiber of the simulated spectrograph 1 that is broken."""
    fibers = simulation.plug_fibers(SEED)
    return int(fibers.number[fibers.dead][0])


@pytest.fixture(scope="session")
def simulated_root(tmp_path_factory, dark_fiber):
    """Everything of the simulated spectrograph 1, 450 MB, deleted at the end; nobody may change it."""
    root = tmp_path_factory.mktemp("simulated")
    for camera, expnum in SPECTROGRAPH_1:
        simulation.simulate_camera_exposure(root, camera, expnum, SEED)
    for camera in ("b1", "r1"):
        simulation.write_flat(root, camera, SEED)
    simulation.write_fluxdistort(root, SEED)
    simulation.write_platelist(root, SEED)
    simulation.write_spec_lite(root, 1, SEED)
    for fiber in (1, dark_fiber):
        simulation.write_spec(root, fiber)
    simulation.write_sha1sum(root)
    yield root
    shutil.rmtree(root)


def frame_files(root, camera, expnum):
    """A simulated camera exposure's files in the order of ``read_frames``."""
    spframe, spcframe, spfluxcalib, spfluxcorr = simulation.camera_exposure_paths(camera, expnum)
    names = [spframe, spcframe, simulation.flat_path(camera), spfluxcalib, spfluxcorr, simulation.fluxdistort_path()]
    return [root / name for name in names]


def read_simulated(root, camera, expnum):
    """A simulated camera exposure as the workflow reads it."""
    paths = frame_files(root, camera, expnum)
    names = [f"/{path.relative_to(root)}" for path in paths]
    return read_frames(paths, names, "sim", simulation.PLATE, simulation.MJD)


@pytest.fixture(scope="session")
def red_exposure(simulated_root):
    """r1's second exposure, the one with an additive flux correction."""
    return read_simulated(simulated_root, "r1", simulation.EXPOSURES[1])


@pytest.fixture(scope="session")
def red_prediction(red_exposure):
    """What the models predict for it."""
    return predict(red_exposure, "optimal")


@pytest.fixture(scope="session")
def red_table(red_exposure, red_prediction):
    """The table of its fibers."""
    return compare_fibers(red_exposure, red_prediction)


def run_elsewhere(module, function, argument):
    """What a function of a test module returns on an older processor, as JSON has it.

    That is a process in which numpy does without the vector instructions it would choose, OpenBLAS takes other
    kernels, and the C library its plainest functions.
    """
    features = np.show_config(mode="dicts")["SIMD Extensions"].get("found")
    if not features:
        pytest.skip("numpy reports no dispatched processor feature that could be disabled")
    code = f"import json, sys, {module}; print(json.dumps({module}.{function}(sys.argv[1])))"
    environment = {
        "NPY_DISABLE_CPU_FEATURES": " ".join(features),
        "OPENBLAS_CORETYPE": "Sandybridge",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA",
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY / "tests")]),
    }
    command = [sys.executable, "-c", code, str(argument)]
    return json.loads(
        subprocess.run(command, env=os.environ | environment, check=True, capture_output=True, text=True).stdout
    )
