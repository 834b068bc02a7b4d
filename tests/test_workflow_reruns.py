"""What runs again after a change, and that nothing else does.

The tests share one folder. What a change of the configuration makes is run; an edit of the code or of a file is
undone after Snakemake has said what it would run.
"""

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager

import numpy as np
import pytest
from astropy.io import fits
from conftest import Workflow, copy_code

from bosscal.base.arrays import Arrays

pytestmark = pytest.mark.workflow

PLATE = "sim/6641-56383"
MIRROR_FOLDER = "results/mirror/sas/sim/boss/spectro/redux/v5_7_0/6641"
FIBER_1 = {"plate": 6641, "mjd": 56383, "fibers": [1]}


@pytest.fixture(scope="module")
def rerun(tmp_path_factory, default_run):
    """Results of the default run, two of its targets left, and a copy of the code that a test may edit."""
    code = copy_code(tmp_path_factory.mktemp("code"))
    workflow = default_run.copy(tmp_path_factory.mktemp("reruns"), code).configure(release="sim", targets=[FIBER_1])
    workflow.targets = [FIBER_1]
    workflow.first = workflow.executed()
    return workflow


def add_target(workflow, **target):
    workflow.targets.append(target)
    workflow.configure(release="sim", targets=workflow.targets)


@contextmanager
def edited(path, old, new):
    """Edit a text file for a while, by replacing what it contains."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")


# --------------------------------------------------------------------------------------------- the configuration


def test_targets_removed_rerun_the_summary_and_the_report(rerun):
    """Protects old results: what a shorter list asks for is there, in other code's folder too."""
    assert rerun.first == {"summarize": 1, "report": 1}
    assert len(rerun.table()) == 2
    assert len(list((rerun.results / "report/pages").glob("sim-6641-*.html"))) == 2


def test_a_comment_in_the_configuration_reruns_nothing(rerun):
    """Protects against work for nothing: neither a second run nor a comment is a reason, and both are quiet."""
    config = rerun.folder / "config.yaml"
    config.write_text("# a comment\n" + config.read_text())
    output = rerun.run().stdout
    assert "Nothing to be done" in output
    assert "Exception" not in output


def test_a_fiber_reruns_its_figures_the_summary_and_the_report(rerun):
    """Protects camera exposures that are there: another fiber costs its figures."""
    add_target(rerun, plate=6641, mjd=56383, fibers=[20], bands=["red"])
    assert rerun.executed() == {"plot": 1, "summarize": 1, "report": 1}


def test_an_exposure_reruns_only_its_chain(rerun):
    """Protects old results when an exposure is added: only its own files are made, fetched and read."""
    add_target(rerun, plate=6641, mjd=56383, fibers=[12], bands=["red"], exposures=[1])
    assert rerun.executed() == {
        "simulate_frames": 1, "download": 4, "extract_frame": 1, "calibrate": 1, "compare": 1, "write_calib": 1,
        "plot": 1, "summarize": 1, "report": 1,
    }  # fmt: skip


def test_a_spectrograph_and_a_night_unknown_rerun_only_their_chain(rerun, tmp_path):
    """Protects old results when a plate's other spectrograph is added, and the look-up of a night."""
    workflow = rerun.copy(tmp_path)
    add = {"plate": 6641, "fibers": [600], "bands": ["blue"], "exposures": [0]}
    workflow.configure(release="sim", targets=[*rerun.targets, add])
    assert workflow.executed("--", "list_exposures", "summarize") == {
        "simulate_platelist": 1, "find_mjd": 1, "simulate_spec_lite": 1, "list_exposures": 1, "simulate_frames": 1,
        "simulate_flat": 1, "download": 7, "extract_frame": 1, "calibrate": 1, "compare": 1, "summarize": 1,
    }  # fmt: skip
    assert [tuple(row) for row in workflow.table()[-1:]["mjd", "fiber", "camera"]] == [(56383, 600, "b2")]


def test_other_harmless_bits_rerun_from_calibrate(rerun):
    """Protects the numbers from a mask of another configuration."""
    rerun.configure(release="sim", targets=rerun.targets, mask_allow=["BRIGHTSKY"])
    planned = rerun.planned()
    rerun.configure(release="sim", targets=rerun.targets)
    assert planned == {"calibrate": 3, "compare": 3, "write_calib": 3, "plot": 4, "summarize": 1, "report": 1}


def test_other_looks_of_figures_rerun_what_draws(rerun):
    """Protects the numbers' time from the looks: what is chosen of figures has the figures drawn again, and the report,
    which shows them and the configuration."""
    try:
        for chosen in ({"title": False}, {"formats": ["png", "svg"]}, {"limits": "tutorial", "panels": ["flux"]}):
            rerun.configure(release="sim", targets=rerun.targets, figures=chosen)
            assert rerun.planned() == {"plot": 4, "report": 1}, chosen
    finally:
        rerun.configure(release="sim", targets=rerun.targets)


# ------------------------------------------------------------------------------------------------------ the code


@pytest.mark.parametrize(
    ("name", "planned"),
    [
        ("src/bosscal/figures/style.py", {"plot": 4, "report": 1}),
        (
            "src/bosscal/calibration/pipeline.py",
            {"calibrate": 3, "compare": 3, "write_calib": 3, "plot": 4, "summarize": 1, "report": 1},
        ),
        ("src/bosscal/calibration/tutorial.py", {"compare": 3, "plot": 4, "summarize": 1, "report": 1}),
        ("src/bosscal/results/export.py", {"write_calib": 3}),
        ("src/bosscal/report/templates/index.html.j2", {"report": 1}),
        ("src/bosscal/run/configuration.py", {}),
        ("docs/noise.md", {"report": 1}),
        ("docs/figures.md", {}),
    ],
)
def test_code_reruns_the_steps_that_import_it(rerun, name, planned):
    """Protects against numbers of old code, and against work for nothing: an edit reruns the steps that import it, and
    what follows from them."""
    path = rerun.code / name
    with edited(path, path.read_text(encoding="utf-8"), path.read_text(encoding="utf-8") + "\n"):
        assert rerun.planned() == planned


def test_a_fresh_clone_over_old_results_reruns_nothing(rerun, tmp_path):
    """Protects old results: what counts is what the code says, not how old its files are."""
    code = tmp_path / "clone"
    shutil.copytree(rerun.code, code, copy_function=shutil.copyfile)  # without the times of modification
    assert Workflow(rerun.folder, code).planned() == {}


# ----------------------------------------------------------------------------------------------------- the files


def test_a_replaced_file_reruns_its_chain(rerun, tmp_path):
    """Protects against old numbers: a file of the mirror is replaced by another, and all that depends on it runs."""
    workflow = rerun.copy(tmp_path)
    path = workflow.folder / MIRROR_FOLDER / "spFluxcorr-r1-00158843.fits.gz"
    new = path.with_name("new.fits")
    with fits.open(path) as hdus:
        hdus[0].data = hdus[0].data * np.float32(1.01)
        hdus.writeto(new)
    new.replace(path)
    assert workflow.planned() == {
        "extract_frame": 1, "calibrate": 1, "compare": 1, "write_calib": 1, "plot": 1, "summarize": 1, "report": 1,
    }  # fmt: skip


def test_touching_a_small_file_reruns_nothing(rerun):
    """Protects against work for nothing: files under 1 MB count by content."""
    (rerun.results / f"compare/{PLATE}/b1-00158842.ecsv").touch()
    assert rerun.planned() == {}


def test_touching_a_large_file_reruns_its_chain(rerun, tmp_path):
    """Protects against old numbers: larger files count by time of modification."""
    workflow = rerun.copy(tmp_path)
    path = workflow.results / f"extract_frame/{PLATE}/b1-00158842.npz"
    new = path.with_name("new.npz")
    shutil.copyfile(path, new)  # the file itself may be shared with other folders
    new.replace(path)
    assert workflow.planned() == {
        "calibrate": 1, "compare": 1, "write_calib": 1, "plot": 1, "summarize": 1, "report": 1,
    }  # fmt: skip


def test_a_killed_run_picks_up_where_it_stopped(rerun, tmp_path):
    """Protects results from a run that was killed: nothing is half-written, no lock has to be removed, and what was
    finished stays."""
    workflow = rerun.copy(tmp_path).configure(release="sim", targets=[FIBER_1])
    for step in ("extract_frame", "calibrate", "compare"):
        shutil.rmtree(workflow.results / step)
    tables = ("--", "results/compare/summary.ecsv")
    process = subprocess.Popen(
        workflow.command(*tables),
        cwd=workflow.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not list((workflow.results / "calibrate").rglob("*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = list((workflow.results / "extract_frame").rglob("[br]*.npz"))
    assert finished
    for path in finished:
        Arrays(path)  # whole
    counts = workflow.executed(*tables)
    # Two jobs at most were at work.
    assert counts.pop("extract_frame", 0) <= 2 - len(finished) + 2
    assert set(counts) == {"calibrate", "compare", "summarize"}
    assert not list(workflow.results.rglob(".partial-*"))
    assert workflow.planned(*tables) == {}
