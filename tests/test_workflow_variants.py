"""Other configurations, other folders, other processors, on the simulated plate."""

import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.table import Table
from conftest import Workflow, copy_code, count_finished, serving

from bosscal import simulation
from bosscal.base.outcomes import read_outcome
from bosscal.survey.exposure import CameraExposure

pytestmark = pytest.mark.workflow

PLATE = "sim/6641-56383"
REDUX = "sas/sim/boss/spectro/redux/v5_7_0"
TABLES = ("--", "results/compare/summary.ecsv")


# --------------------------------------------------------------------------------------------------- same bytes


def dispatched_features():
    """Extensions of this processor that numpy uses if it may."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return [name for name in __cpu_dispatch__ if __cpu_features__[name]]


OTHER_PROCESSOR = {"OPENBLAS_CORETYPE": "Sandybridge", "NPY_DISABLE_CPU_FEATURES": " ".join(dispatched_features())}
OTHER_MACHINE = {"TZ": "Pacific/Auckland", "LC_ALL": "C", "PYTHONHASHSEED": "7"}


@pytest.fixture(scope="module")
def elsewhere(default_run, tmp_path_factory):
    """The default configuration's tables, npz and spCalib files, and one spectrum's figures, from another folder, one
    core, another locale and time zone, and as if on an older processor."""
    folder = tmp_path_factory.mktemp("else") / "a user's folder"
    workflow = Workflow(folder / "run", copy_code(folder / "code")).configure(**default_run.configuration())
    calib = (f"results/calib/{PLATE}/spCalib-{camera}-00158842.fits" for camera in ("b1", "r1"))
    figure = "results/figures/sim/6641-56383-0486-r1-00158842.png"
    environment = OTHER_MACHINE | (OTHER_PROCESSOR if dispatched_features() else {})
    workflow.run("--cores", "1", *TABLES, *calib, figure, environment=environment)
    return workflow


def differing(first, second, steps):
    """Files of the second run that the first has not, or has otherwise; and the kinds of files there are."""
    files = [path.relative_to(second.results) for step in steps for path in (second.results / step).rglob("*.*")]
    other = [str(path) for path in files if (first.results / path).read_bytes() != (second.results / path).read_bytes()]
    return other, {path.suffix for path in files}


STEPS = ("simulated", "targets", "extract_frame", "calibrate", "calib", "compare", "budget", "figures")


def test_same_inputs_give_the_same_bytes(default_run, elsewhere):
    """Protects reproducibility: a folder with a blank and an apostrophe, one core, another locale and time zone, an
    older processor: the same bytes."""
    other, kinds = differing(default_run, elsewhere, STEPS)
    assert not other
    assert kinds == {".fits", ".gz", ".json", ".npz", ".ecsv", ".png", ".pdf"}


def test_the_other_processor_is_another_one(elsewhere):
    """Protects the test above: jobs of that run had fewer of the processor's extensions."""
    if not dispatched_features():
        pytest.skip("numpy uses no extension of this processor that could be turned off")
    code = f"import {__name__} as test; print(test.dispatched_features())"
    process = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | OTHER_PROCESSOR | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.strip() == "[]"


@pytest.mark.slow
def test_same_inputs_give_the_same_report(default_run, tmp_path):
    """Protects reproducibility of all that a run makes, the figures and the report too."""
    again = Workflow(tmp_path / "another folder").configure(**default_run.configuration())
    again.run("--cores", "1", environment=OTHER_MACHINE)
    other, kinds = differing(default_run, again, (*STEPS, "report"))
    # The one page that says when it was written, and how long the steps took.
    assert [path.rpartition("/")[2] for path in other] in ([], ["provenance.html"])
    assert ".html" in kinds


# ------------------------------------------------------------------------------------------ other configurations


@pytest.mark.slow
def test_a_whole_plate_has_figures_of_exposures_instead_of_fibers(default_run, tmp_path):
    """Protects `fibers: all`: the same rules, no figure per fiber, dead and unplugged fibers listed with the reason."""
    workflow = default_run.copy(tmp_path).configure(
        release="sim", targets=[{"plate": 6641, "mjd": 56383, "fibers": "all", "bands": ["blue"]}]
    )
    old = set((workflow.results / "figures").rglob("*"))
    assert workflow.executed() == {
        "simulate_spec_lite": 1, "simulate_frames": 1, "simulate_flat": 1, "download": 6, "list_exposures": 1,
        "extract_frame": 1, "calibrate": 1, "compare": 1, "write_calib": 1, "plot_exposure": 2, "plot_plate": 1,
        "summarize_plate": 1, "summarize": 1, "report": 1,
    }  # fmt: skip
    assert len(workflow.table()) == 1000
    names = {path.name for path in (workflow.results / "figures/sim").iterdir() if path not in old}
    exposures = [f"6641-56383-{camera}-00158842" for camera in ("b1", "b2")]
    expected = [f"{exposure}-{kind}" for exposure in exposures for kind in ("ratios", "residuals")]
    expected.append("6641-56383-overview")
    assert names == {f"{name}.{suffix}" for name in expected for suffix in ("png", "pdf")}
    header = fits.getheader(workflow.results / "simulated" / simulation.flat_path("b1"))
    fibers = simulation.plug_fibers(header["SIMSEED"])
    outliers = Table.read(workflow.results / f"outliers/{PLATE}/b2-00158842.ecsv")
    dark = np.flatnonzero(fibers.dark) + 1
    assert sorted(outliers["fiber"]) == sorted(dark[dark > 500])
    assert set(outliers["reason"]) == {"dead", "unplugged"}
    pages = workflow.results / "report/pages"
    html = (pages / "plate-sim-6641-56383.html").read_text(encoding="utf-8")
    assert all(f">fiber {fiber}<" in html for fiber in outliers["fiber"])
    assert html.count("<circle class=") > 2 * 990  # by fiber and on the focal plane, each with a link
    assert len(list(pages.glob("sim-6641-56383-*-b?-00158842.html"))) == 1000
    # of the survey, its table is there already, and its page leads to the plate's
    assert workflow.executed("survey") == {"write_survey": 1, "survey": 1}
    plates = workflow.results / "survey/pages/plates.html"
    (link,) = re.findall(r'href="([^"]*plate-[^"]*)"', plates.read_text(encoding="utf-8"))
    assert (plates.parent / link).resolve() == (pages / "plate-sim-6641-56383.html").resolve()
    assert "Simulated data: every number" in plates.read_text(encoding="utf-8")
    (found,) = (workflow.results / "plates").rglob("*.ecsv")
    assert [tuple(row) for row in Table.read(found)["camera", "expnum", "spectra"]] == [
        ("b1", 158842, 500), ("b2", 158842, 500)
    ]  # fmt: skip
    scripts = [path.stat().st_size for path in (pages / "data").glob("*.js")]
    assert len(scripts) == 1000
    assert max(scripts) <= 40_000
    assert not list((pages / "data").glob("*.ecsv"))
    size = sum(path.stat().st_size for path in (workflow.results / "report").rglob("*") if path.is_file())
    assert size < 60_000_000


def renamed_reduction(source, target):
    """The simulated plate's files under a folder of another reduction, which their headers name too."""
    old, new = (f"2D{{}}= '{run2d:<8}'" for run2d in (source.name, target.name))
    cards = [(old.format(gap).encode(), new.format(gap).encode()) for gap in ("   ", "  ")]  # RUN2D, VERS2D

    def renamed(content):
        for card in cards:
            content = content.replace(*card, 1)
        return content

    for path in filter(Path.is_file, source.rglob("*")):
        content = path.read_bytes()
        content = gzip.compress(renamed(gzip.decompress(content)), 1) if path.suffix == ".gz" else renamed(content)
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)


def link_tree(source, target):
    """A folder's files as links elsewhere, so that a test can take some away or add others."""
    for path in filter(Path.is_file, source.rglob("*")):
        link = target / path.relative_to(source)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())


@pytest.mark.slow
def test_a_release_with_a_position_correction_needs_it_of_every_exposure(tmp_path, default_run):
    """Protects releases after DR12, and frames over HTTP: T is used, a camera exposure without its spXYthrucorr file
    ends in one line and costs no other; and mirrors: what is there already is not fetched again."""
    server, mirror = (tmp_path / name / "sas/dr14/eboss/spectro/redux/v5_10_0" for name in ("server", "mirror"))
    renamed_reduction(default_run.results / "simulated" / REDUX, server)
    link_tree(server, mirror)
    missing = mirror / "6641/spCFrame-r1-00158842.fits"
    missing.unlink()
    correction = fits.PrimaryHDU(np.full((500, 4128), 1.0, dtype=np.float32))
    correction.writeto(server / "6641/spXYthrucorr-r1-00158842.fits.gz")
    workflow = Workflow(tmp_path / "run")
    with serving(tmp_path / "server") as url:
        workflow.configure(
            release="dr14",
            data={"url": url, "mirror": str(tmp_path / "mirror")},
            targets=[{"plate": 6641, "mjd": 56383, "fibers": [1]}],
        )
        process = workflow.run(*TABLES, check=False)
        assert "spXYthrucorr-b1-00158842.fits.gz: no such file on the server" in process.stdout
        done = CameraExposure.read(workflow.results / "extract_frame/dr14/6641-56383/r1-00158842.npz")
        assert len(done.header.inputs) == 7
        assert (done.thrucorr == 1).all()
        (failure,) = read_outcome(workflow.results / "extract_frame/dr14/6641-56383/b1-00158842.npz")
        assert failure.step == "download"
        assert set(workflow.table()["camera"]) == {"r1"}
        assert missing.is_file()
        assert not missing.is_symlink()
        fits.PrimaryHDU(np.full((500, 4112), 1.0, dtype=np.float32)).writeto(
            server / "6641/spXYthrucorr-b1-00158842.fits.gz"
        )
        process = workflow.run(*TABLES)
        assert "double '/'" not in process.stdout  # a warning for every file
        finished = count_finished(process.stdout)
        assert (finished["extract_frame"], finished["download"]) == (1, 1)
    summary = workflow.table()
    assert summary["pipeline_max_reldiff"].max() < 1e-6
    assert set(summary["thrucorr"]) == {"known"}
    assert set(summary["noise_law"]) == {"bundle"}


def test_a_spec_file_of_the_simulated_plate(tmp_path, default_run):
    """Protects `products: spec` where no real file is at hand: a full spec file of the simulated plate is made, and
    read like a real one, all of its camera exposures in one job."""
    target = {"plate": 6641, "mjd": 56383, "fibers": [1], "bands": ["red"], "products": "spec"}
    workflow = default_run.copy(tmp_path).configure(release="sim", targets=[target])
    figure = "results/figures/sim/6641-56383-0001-r1-00158842-noise.png"
    (workflow.folder / figure).unlink()
    assert workflow.executed(*TABLES, "list_exposures", figure) == {
        "simulate_frames": 2, "simulate_spec": 1, "download": 1, "list_exposures": 1, "measure_spec": 1,
        "plot_spec": 1, "summarize": 1,
    }  # fmt: skip
    assert len(workflow.table(f"{PLATE}/spec-0001")) == 4
    assert list(workflow.table()["products"]) == ["spec"]
    (row,) = workflow.table()
    assert row["noise_ratio_wide"] < row["noise_ratio_median"] < row["noise_ratio_narrow"]  # its width is not known
    assert abs(row["noise_ratio_median"] - 1) < 0.1
    # The npz is made beside the table: without it, figures and report say what to delete, and that then helps.
    npz = "results/extract_frame/sim/6641-56383/r1-00158842-0001.npz"
    record = "results/compare/sim/6641-56383/spec-0001.ecsv"
    advice = f"{npz}: is missing; delete {record} too, and run again: its job makes both"
    for output in (figure, "results/report/index.html"):
        (workflow.folder / npz).unlink()
        (workflow.folder / output).unlink(missing_ok=True)
        process = workflow.run(output, check=False)
        assert process.returncode != 0
        assert advice in process.stdout
        (workflow.folder / record).unlink()
        workflow.run(output)
        assert (workflow.folder / npz).is_file()


def test_configfile_has_results_of_its_own(tmp_path, default_run):
    """Protects the results of config.yaml from those of another configuration in the same folder, and what the other
    leaves out: it comes from config.yaml."""
    workflow = default_run.copy(tmp_path)
    mine = {"targets": [{"plate": 6641, "mjd": 56383, "fibers": [1], "bands": ["blue"]}]}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(mine))
    names = ("compare/summary.ecsv", "report/index.html")
    before = [(workflow.results / name).read_bytes() for name in names]
    assert workflow.executed("--configfile", "mine.yaml") == {"summarize": 1, "report": 1}
    assert [(workflow.results / name).read_bytes() for name in names] == before
    assert [tuple(row) for row in workflow.table("mine/summary")["release", "fiber"]] == [("sim", 1)]
    (page,) = (workflow.results / "report/mine/pages").glob("sim-*.html")
    links = re.findall(r'<img [^>]*src="([^"]+)"', page.read_text(encoding="utf-8"))
    assert len(links) == 3
    assert all((page.parent / link).is_file() for link in links)  # from one folder further down
    assert workflow.planned() == {}


def test_one_spectrum_in_two_releases(tmp_path, real_data):
    """Protects the comparison of releases: a quasar's T is measured where a run has an earlier release of it, its
    noise corrected in the summary, the figure in the report; alone, the later release has none of it."""
    quasar = {"plate": 6148, "mjd": 56209, "fibers": [743], "bands": ["red"], "products": "spec"}
    data = {"url": f"file://{real_data}"}
    workflow = Workflow(tmp_path).configure(data=data, targets=[quasar | {"release": "dr14"}])
    alone = workflow.executed()
    assert "compare_releases" not in alone
    assert workflow.table()["noise_ratio_thrucorr"].mask.all()
    workflow.configure(data=data, targets=[quasar | {"release": release} for release in ("dr12", "dr14")])
    assert workflow.executed() == {
        "download": 1, "list_exposures": 1, "measure_spec": 1, "compare_releases": 1, "plot_spec": 1,
        "measure_coadd": 1, "collect_coadds": 1, "summarize": 1, "report": 1,
    }  # fmt: skip
    earlier, later = workflow.table()
    assert np.ma.is_masked(earlier["noise_ratio_thrucorr"])
    assert later["noise_ratio_median"] > 1.07 > 1.03 > later["noise_ratio_thrucorr"] > 0.98
    figures = sorted(path.name for path in (workflow.results / "figures/dr14").glob("*releases*"))
    assert figures == ["6148-56209-0743-releases.pdf", "6148-56209-0743-releases.png"]
    page = next((workflow.results / "report/pages").glob("dr14-6148-56209-0743-*.html"))
    assert "Two releases of dr14/6148-56209-0743" in page.read_text("utf-8")
    assert workflow.planned() == {}


@pytest.mark.slow
def test_one_process_makes_the_same_without_intermediate_files(default_run, tmp_path):
    """Protects the disk of a survey: no npz is written, what is made of a camera exposure is the same bytes and stays
    up to date; an npz is made where it is asked for by its name, and is then no reason to make anything again."""
    workflow = Workflow(tmp_path).configure(**default_run.configuration() | {"keep_intermediates": False})
    for folder in ("inputs", "mirror", "simulated", "targets"):
        shutil.copytree(default_run.results / folder, workflow.results / folder, symlinks=True)
    executed = workflow.executed()
    assert executed["measure_frame"] == 2
    assert executed.keys() & {"extract_frame", "calibrate", "compare", "write_calib"} == set()
    # Neither there nor deleted: no step ran that writes one, and none left its folder.
    assert not list(workflow.results.rglob("*.npz"))
    assert not (workflow.results / "extract_frame").exists()
    made = ("budget", "calib", "compare", "figures", "outliers", "report")
    other, kinds = differing(default_run, workflow, made)
    # Pages that tell the configuration and the run times.
    assert {path.rpartition("/")[2] for path in other} <= {"index.html", "provenance.html"}
    assert {".ecsv", ".fits", ".png", ".pdf", ".html", ".js"} <= set(kinds)
    assert workflow.planned() == {}
    npz = [f"results/{step}/{PLATE}/b1-00158842.npz" for step in ("extract_frame", "calibrate")]
    assert workflow.executed("--", *npz) == {"extract_frame": 1, "calibrate": 1}
    for name in npz:
        assert (workflow.folder / name).read_bytes() == (default_run.folder / name).read_bytes()
    assert workflow.planned() == {}
    fewer = workflow.configuration()["targets"][:1]
    workflow.configure(**workflow.configuration() | {"targets": [*fewer, {**fewer[0], "fibers": [20]}]})
    assert workflow.executed() == {"plot": 2, "summarize": 1, "report": 1}
