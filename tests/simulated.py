"""Simulated files for the unit tests, one set for all, and what the package makes of one exposure."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.table import vstack

from bosscal import simulation
from bosscal.results.comparison import compare_fibers
from bosscal.results.prediction import predict
from bosscal.survey.exposure import FrameExposure, Header, trace_set_arrays
from bosscal.survey.frames import read_frames
from bosscal.survey.tracesets import TraceSet

REPOSITORY = Path(__file__).resolve().parent.parent
# Of an exposure that is made up.
HEADER = Header(
    release="dr12", plate=6641, mjd=56383, camera="r1", expnum=158842, products="frames", simulated=False,
    readnoise=(2.9, 2.59, 2.53, 2.52), exptime=900.0, xsigma=None, skychi2=1.25, vers2d="v5_7_0",
    inputs=(("/sas/dr12/spFrame", "0123"), ("/sas/dr12/spCFrame", "4567")),
)  # fmt: skip
NROW = 4


def frame_exposure(nfiber=3, **changes):
    """Fibers of frames: 50 object electrons per flat-fielded row and 30 of the sky, flats of 2 x 1.25."""
    rows = {
        "eflux": 50.0, "esky": 30.0, "eivar": 0.01, "emask": 0, "superflat": 2.0, "fiberflat": 1.25, "flux": 5.0,
        "sky": 3.0, "ivar": 0.9, "mask": 0, "quadrant": 1, "spcalib": 10.0, "corr": 1.0,
    } | changes  # fmt: skip
    arrays = {name: np.broadcast_to(value, (nfiber, NROW)) for name, value in rows.items()}
    arrays |= {name: np.zeros(nfiber) for name in ("ra", "dec", "xfocal", "yfocal", "lambda_eff", "fibermask")}
    arrays |= {"fiber": np.arange(nfiber) + 18, "objtype": ["QSO"] * nfiber, "row": np.arange(NROW)}
    arrays |= {"distort": np.ones((nfiber, 9)), "distort_grid": [3.5, 1, 1e-4], "means": [10, 1, 1]}
    arrays |= trace_set_arrays("wave", TraceSet(np.tile([3.7, 2e-4], (nfiber, 1)), 0, NROW))
    arrays |= trace_set_arrays("width", TraceSet(np.full((nfiber, 1), 1.1), 0, NROW))
    return FrameExposure.checked(HEADER, arrays)


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
    """r1's second exposure."""
    return read_simulated(simulated_root, "r1", simulation.EXPOSURES[1])


@pytest.fixture(scope="session")
def red_prediction(red_exposure):
    """What the models predict for it."""
    return predict(red_exposure, "optimal")


@pytest.fixture(scope="session")
def red_table(red_exposure, red_prediction):
    """The table of its fibers."""
    return compare_fibers(red_exposure, red_prediction)


@pytest.fixture(scope="session")
def plate_report(tmp_path_factory, red_exposure, red_prediction, red_table):
    """Pages of a whole plate of 25 fibers in two exposures of r1, the second with the numbers of the first but two."""
    from bosscal.report.pages import Content, Run, write_pages
    from bosscal.report.statuses import read_thresholds
    from bosscal.results.spectrum import spectrum_of
    from bosscal.survey.paths import mask_bits
    from bosscal.survey.targets import Target

    first, second = simulation.EXPOSURES
    targets, headers, tables = [], [], []
    for expnum in (first, second):
        of_exposure = red_table[:25].copy()
        of_exposure["expnum"], of_exposure["band"] = expnum, "red"
        of_exposure["noise_ratio_median"] *= 1.0 if expnum == second else 1.02
        tables.append(of_exposure)
        tai = red_exposure.header.tai - (0 if expnum == second else 1200)
        headers.append(replace(red_exposure.header, expnum=expnum, tai=tai))
        targets += [
            Target("sim", simulation.PLATE, simulation.MJD, int(fiber), "red", "r1", int(expnum == second), expnum,
                   "frames", whole_plate=True)
            for fiber in of_exposure["fiber"]
        ]  # fmt: skip
    focal = zip(red_exposure.xfocal.tolist(), red_exposure.yfocal.tolist(), strict=True)
    places = dict(zip(red_exposure.fiber.tolist(), focal, strict=True))
    run = Run(
        releases={"sim": ("the simulated plate", "optimal")}, sources={"sim": "simulated"}, citations={"sim": []},
        mask_allow=[], summary="summary.ecsv", configuration="release: sim", version="0", commit="0", versions={},
        written="today",
    )  # fmt: skip
    content = Content(
        run=run, targets=targets, summary=vstack(tables), budget=None, coadds=None, outliers=None, images={},
        headers=headers, records={}, failures={}, thresholds=read_thresholds(),
        spectrum_of=lambda target: spectrum_of(red_exposure, red_prediction, target),
        focal_positions=lambda target: places, bits=mask_bits(),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("plate_report")
    write_pages(content, folder / "index.html")
    return folder


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
