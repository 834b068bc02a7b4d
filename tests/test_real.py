"""The workflow on real SDSS spec files, through file:// and HTTP."""

import importlib.util
import shutil

import numpy as np
import pytest
from astropy.io import fits
from conftest import REPOSITORY, Workflow, count_finished, serving

from bosscal.base.errors import UserError
from bosscal.noise.laws import LAWS
from bosscal.report.facts import facts_of
from bosscal.report.pages import start_of
from bosscal.report.statuses import judge, read_thresholds
from bosscal.results.comparison import compare_fibers
from bosscal.results.prediction import predict
from bosscal.run.releases import read_releases
from bosscal.survey.exposure import CameraExposure
from bosscal.survey.platelist import read_platelist
from bosscal.survey.spectra import read_all_exposures, read_exposures, read_spec
from bosscal.survey.targets import find_mjd

STANDARDS_OF_6118 = [48, 132, 142, 212, 306, 324, 418, 434, 478, 590, 600, 649, 674, 948, 956]
SOME_STANDARDS = [48, 478, 590, 956]  # two on each spectrograph
DR12_SPECTRA = "sas/dr12/boss/spectro/redux/v5_7_0/spectra"
DR17_SPECTRA = "sas/dr17/eboss/spectro/redux/v5_13_2/spectra"
TABLES = ("--", "results/compare/summary.ecsv")


def spec_target(release, plate, *fibers, **changes):
    return {"release": release, "plate": plate, "fibers": list(fibers), "products": "spec"} | changes


def both_releases():
    """Two objects as reduced for DR12 and for DR14; one with 28 camera exposures, which span nights; standards."""
    twice = [
        spec_target(release, *spectrum, exposures=exposures)
        for release in ("dr12", "dr14")
        for spectrum, exposures in (((5201, 178), [0, 3]), ((6148, 743), "all"))
    ]
    return [
        *twice,
        spec_target("dr12", 7332, 788, exposures="all"),
        spec_target("dr12", 4961, 378, bands=["blue"]),
        spec_target("dr14", 6118, *SOME_STANDARDS),
    ]


@pytest.fixture(scope="module")
def spectra(real_data, tmp_path_factory):
    """DR12 over HTTP and DR14 from a folder in one run: the tables, and the figures of one spectrum."""
    workflow = Workflow(tmp_path_factory.mktemp("spectra"))
    with serving(real_data) as url:
        workflow.configure(data={"url": {"DR12": url, "dr14": real_data.as_uri()}}, targets=both_releases())
        workflow.output = workflow.run(*TABLES, "results/figures/dr12/4961-55719-0378-b1-00131838.png").stdout
    workflow.summary = workflow.table()
    return workflow


def of(table, release, plate):
    return table[(table["release"] == release) & (table["plate"] == plate)]


@pytest.mark.workflow
def test_spec_files_make_these_jobs(spectra):
    """Protects the chain of spec files: one download a file, nights from the real platelists, one job a spectrum."""
    files = 4 + 2 + len(SOME_STANDARDS)
    assert count_finished(spectra.output) == {
        "download": files + 2, "find_mjd": 2, "list_exposures": 1, "measure_spec": files, "plot_spec": 1,
        "compare_releases": 2, "summarize": 1,
    }  # fmt: skip
    assert "Exception" not in spectra.output
    assert set(of(spectra.summary, "dr12", 7332)["mjd"]) == {56683}


@pytest.mark.workflow
def test_spec_files_make_these_files(spectra):
    """Protects the names of what users and other programs look for: npz and table of every camera exposure in the file,
    not only of those asked for, and the table of the spectrum."""
    folder = "dr12/7332-56683"
    units = {path.stem for path in (spectra.results / "compare" / folder).glob("[br]*.ecsv")}
    assert len(units) == 28
    assert "r2-00173096-0788" in units
    for step in ("extract_frame", "calibrate"):
        assert {path.stem for path in (spectra.results / step / folder).iterdir()} == units
    whole = spectra.table(f"{folder}/spec-0788")
    assert len(whole) == len(of(spectra.summary, "dr12", 7332)) == 28
    of_one = spectra.table(f"{folder}/r2-00173096-0788")
    same = (whole["camera"] == "r2") & (whole["expnum"] == 173096)
    assert list(whole[same][0]) == list(of_one[0])
    figures = {path.name for path in (spectra.results / "figures/dr12").iterdir()}
    assert figures == {
        f"4961-55719-0378-b1-00131838{kind}.{form}" for kind in ("", "-noise") for form in ("png", "pdf")
    }
    assert not list(spectra.results.rglob(".partial-*"))


@pytest.mark.workflow
def test_logs_of_spec_files_say_what_was_read_and_written(spectra):
    """Protects the means to see what a job did."""
    logs = list((spectra.results / "logs").rglob("*.log"))
    for path in logs:
        text = path.read_text(encoding="utf-8")
        assert " read results/" in text or "from http" in text or "from file" in text, path
        assert " wrote results/" in text or "download" in path.parts, path
    assert len(logs) == sum(count_finished(spectra.output).values())
    text = (spectra.results / "logs/measure_spec/dr12/7332-56683/spec-0788.log").read_text(encoding="utf-8")
    assert "28 camera exposures" in text


@pytest.mark.workflow
def test_dr14_reduction_is_not_mixed_with_dr12(spectra):
    """Protects against one release's numbers under the other's name: the same spectra, other reductions."""
    for plate in (5201, 6148):
        ours, theirs = (of(spectra.summary, release, plate) for release in ("dr12", "dr14"))
        assert list(ours["expnum"]) == list(theirs["expnum"])
        assert np.all(ours["evar_ratio_median"] != theirs["evar_ratio_median"])
        assert set(ours["noise_law"]) == {"optimal_noisy"}
        assert set(theirs["noise_law"]) == {"bundle"}


@pytest.mark.workflow
def test_order_of_the_summary_is_that_of_the_configuration(spectra):
    """Protects many targets of two releases and both spectrographs in one table."""
    order = list(dict.fromkeys(zip(spectra.summary["release"], spectra.summary["fiber"], strict=True)))
    assert order == [(entry["release"], fiber) for entry in both_releases() for fiber in entry["fibers"]]
    standards = of(spectra.summary, "dr14", 6118)
    assert list(standards["fiber"]) == [fiber for fiber in SOME_STANDARDS for _ in range(2)]
    assert set(standards["objtype"]) == {"SPECTROPHOTO_STD"}
    assert set(standards["camera"][standards["fiber"] > 500]) == {"b2", "r2"}


@pytest.mark.workflow
def test_error_floor_is_no_noise(spectra):
    """Protects the tutorial's number of a bright star's spec file, whose variance has the 3 % floor in it: with the
    floor left in, this one was 1.594."""
    (row,) = of(spectra.summary, "dr12", 4961)
    assert (row["camera"], row["expnum"]) == ("b1", 131838)
    assert row["evar_ratio_median"] == pytest.approx(1.03, abs=0.01)
    assert row["evar_ratio_median"] == row["ratio_tutorial"]


@pytest.mark.workflow
def test_what_a_spec_file_cannot_tell_is_masked(spectra):
    """Protects against zeros where there is no number."""
    for name in ("tutorial_max_absdiff", "tutorial_max_reldiff", "pipeline_max_reldiff"):
        assert spectra.summary[name].mask.all()
    assert not np.ma.is_masked(spectra.summary["evar_ratio_median"])
    assert np.all(spectra.summary["npix"] > 1000)
    assert not spectra.summary["simulated"].any()


@pytest.mark.workflow
def test_a_spec_container_equals_its_file(real_data, spectra):
    """Protects the extraction: every array is the file's own, and counts follow from calib."""
    path = real_data / DR12_SPECTRA / "7332/spec-7332-56683-0788.fits"
    exposure = CameraExposure.read(spectra.results / "extract_frame/dr12/7332-56683/r2-00173096-0788.npz")
    with fits.open(path) as hdus:
        table = next(hdu for hdu in hdus[4:] if hdu.name.startswith("R2-00173096")).data
        for name in ("flux", "sky", "ivar", "mask", "calib"):
            np.testing.assert_array_equal(getattr(exposure, name)[0], table[name])
        np.testing.assert_array_equal(exposure.loglam[0], table["loglam"])
    assert exposure.header.readnoise == pytest.approx([2.86, 2.9, 2.8, 2.8], rel=0.1)
    assert exposure.header.release == "dr12"
    assert [name for name, _ in exposure.header.inputs] == [f"/{DR12_SPECTRA}/7332/{path.name}"]


@pytest.mark.workflow
def test_script_called_by_hand_makes_the_same_bytes(spectra, tmp_path):
    """Protects the step as a plain function of files: called without Snakemake it writes what the workflow wrote."""
    script = REPOSITORY / "workflow/scripts/measure_spec.py"
    specification = importlib.util.spec_from_file_location("measure_spec", script)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    (path,) = spectra.results.glob("mirror*/sas/dr12/**/spec-6148-56209-0743.fits")
    name = f"/{DR12_SPECTRA}/6148/{path.name}"
    output = tmp_path / "compare/dr12/6148-56209/spec-0743.ecsv"
    module.main(path, [], name, "dr12", 6148, 56209, 743, "optimal_noisy", 0, False, tmp_path, output)
    written = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")]
    assert len(written) == 3 * 8 + 1
    for path in written:
        assert (tmp_path / path).read_bytes() == (spectra.results / path).read_bytes(), path


@pytest.mark.workflow
def test_an_exposure_reruns_figures_summary_and_report(spectra, tmp_path):
    """Protects spectra that are measured: a spec file's exposures are measured together, so one more costs its figures;
    and a plate added costs its own chain."""
    targets = [spec_target("dr12", 4961, 378, bands=["blue"])]
    workflow = spectra.copy(tmp_path).configure(**spectra.configuration() | {"targets": targets})
    assert workflow.executed() == {
        "find_mjd": 1, "list_exposures": 1, "measure_coadd": 1, "collect_coadds": 1, "summarize": 1, "report": 1,
    }  # fmt: skip
    targets[0]["exposures"] = [0, 1]
    workflow.configure(**spectra.configuration() | {"targets": targets})
    assert workflow.executed() == {"plot_spec": 1, "summarize": 1, "report": 1}
    targets.append(spec_target("dr14", 3586, 500, bands=["blue"]))
    workflow.configure(**spectra.configuration() | {"targets": targets})
    assert workflow.executed(*TABLES, "list_exposures") == {
        "find_mjd": 1, "download": 1, "list_exposures": 1, "measure_spec": 1, "summarize": 1,
    }  # fmt: skip


@pytest.mark.workflow
def test_one_object_in_two_releases(real_data, tmp_path):
    """Protects comparing releases: one run, one mirror, a row and figures of each, and capitals do not matter."""
    targets = [{"plate": 5201, "fibers": [178], "bands": ["blue"], "products": "spec"}]
    targets.append(targets[0] | {"release": "dr14"})
    workflow = Workflow(tmp_path).configure(release="DR12", data={"url": real_data.as_uri()}, targets=targets)
    assert workflow.executed() == {
        "download": 4, "find_mjd": 2, "list_exposures": 1, "measure_spec": 2, "plot_spec": 2, "compare_releases": 1,
        "measure_coadd": 2, "collect_coadds": 1, "summarize": 1, "report": 1,
    }  # fmt: skip
    assert list(workflow.table()["release"]) == ["dr12", "dr14"]
    assert len(set(workflow.table()["expnum"])) == 1
    (exposure,) = set(workflow.table()["expnum"])
    figures = {str(path.relative_to(workflow.results / "figures")) for path in workflow.results.glob("figures/*/*.png")}
    assert figures == {
        f"{release}/5201-55832-0178-b1-{exposure:08d}{kind}.png"
        for release in ("dr12", "dr14")
        for kind in ("", "-noise")
    } | {f"{release}/5201-55832-0178-coadd.png" for release in ("dr12", "dr14")} | {
        "dr14/5201-55832-0178-releases.png"
    }  # fmt: skip
    (mirror,) = workflow.results.glob("mirror*")
    assert {path.name for path in (mirror / "sas").iterdir()} == {"dr12", "dr14"}
    html = (workflow.results / "report/index.html").read_text(encoding="utf-8")
    pages = [path.read_text("utf-8") for path in (workflow.results / "report/pages").glob("dr1*.html")]
    assert sum(page.count("<img ") for page in pages) == 4 + 2 + 1 + 2  # own, coadds, releases, and ivar with each
    assert "SDSS-III Data Release 12" in html
    assert "SDSS-IV Data Release 14" in html


@pytest.mark.slow
@pytest.mark.workflow
def test_fifteen_standards_with_all_figures(real_data, tmp_path):
    """Protects many targets in one run, from the download to the report."""
    targets = [spec_target("dr14", 6118, *STANDARDS_OF_6118)]
    workflow = Workflow(tmp_path).configure(data={"url": real_data.as_uri()}, targets=targets)
    counts = workflow.executed()
    assert counts["measure_spec"] == 15
    assert counts["plot_spec"] == 30
    assert list(workflow.table()["fiber"]) == [fiber for fiber in STANDARDS_OF_6118 for _ in range(2)]
    assert set(workflow.table()["objtype"]) == {"SPECTROPHOTO_STD"}
    html = (workflow.results / "report/index.html").read_text(encoding="utf-8")
    pages = list((workflow.results / "report/pages").glob("dr14-*.html"))
    assert len(pages) == 30
    assert all(page.read_text("utf-8").count("<img ") == 2 + 1 + 1 + 1 for page in pages)  # two own, coadd, plate, run
    assert "SPECTROPHOTO_STD" in html
    (plate,) = workflow.table("plates")
    assert (plate["nfiber"], len(workflow.table("coadds")), len(workflow.table("repeats"))) == (15, 15, 60)


# -------------------------------------------------------------------------------------------------- dr17's layout

NEW, OLD = "7339/spec-7339-57544-0733.fits", "7338/spec-7338-57159-0233.fits"
DR17_TARGETS = [
    {"plate": 7339, "mjd": 57544, "fibers": [733], "products": "spec"},
    {"plate": 7338, "mjd": 57159, "fibers": [233], "products": "spec"},
]


@pytest.fixture(scope="module")
def both_layouts(real_data, tmp_path_factory):
    """A mirror of DR17 with one full spec file where the release has it, and one where earlier releases did."""
    mirror = tmp_path_factory.mktemp("layouts")
    for name, folder in ((NEW, "full/"), (OLD, "")):
        path = mirror / DR17_SPECTRA / f"{folder}{name}"
        path.parent.mkdir(parents=True)
        shutil.copy(real_data / DR17_SPECTRA / "full" / name, path)
    return mirror


@pytest.fixture(scope="module")
def dr17(real_data, tmp_path_factory):
    """The tables of two spectra from the release's own layout."""
    workflow = Workflow(tmp_path_factory.mktemp("dr17"))
    workflow.configure(release="dr17", data={"url": real_data.as_uri()}, targets=DR17_TARGETS)
    workflow.counts = workflow.executed(*TABLES)
    return workflow


@pytest.mark.workflow
def test_dr17_has_full_spec_files_in_a_folder_of_their_own(dr17):
    """Protects DR16 and later, whose full spec files lie in spectra/full/."""
    assert dr17.counts == {"download": 2, "list_exposures": 1, "measure_spec": 2, "summarize": 1}
    assert [tuple(row) for row in dr17.table()["release", "plate", "camera"]] == [
        ("dr17", 7339, "b2"), ("dr17", 7339, "r2"), ("dr17", 7338, "b1"), ("dr17", 7338, "r1"),
    ]  # fmt: skip
    exposure = CameraExposure.read(next(dr17.results.rglob("extract_frame/dr17/7339-57544/r2-*-0733.npz")))
    assert [name for name, _ in exposure.header.inputs] == [f"/{DR17_SPECTRA}/full/{NEW}"]


@pytest.mark.workflow
@pytest.mark.parametrize("how", ["server", "mirror", pytest.param("folder", marks=pytest.mark.slow)])
def test_dr17_from_mirrors_of_either_layout(dr17, both_layouts, tmp_path, how):
    """Protects mirrors that keep full spec files where earlier releases did: from a folder, over HTTP, and as the local
    mirror itself, the same table as from the release's own layout."""
    workflow = Workflow(tmp_path)
    with serving(both_layouts) as url:
        data = {
            "folder": {"url": both_layouts.as_uri()},
            "server": {"url": url},
            "mirror": {"url": "file:///nowhere", "mirror": str(both_layouts)},
        }[how]
        counts = workflow.configure(release="dr17", data=data, targets=DR17_TARGETS).executed(*TABLES)
    assert counts == dr17.counts
    path = "compare/summary.ecsv"
    assert (workflow.results / path).read_bytes() == (dr17.results / path).read_bytes()


# ------------------------------------------------------------------------------------------- the files themselves


@pytest.mark.parametrize(("release", "depth", "beyond"), [("dr12", 0.006, 0.012), ("dr14", 0.025, 0.025)])
def test_two_phase_jump_is_where_and_as_deep_as_predicted(real_data, release, depth, beyond):
    """Protects bin sizes and CCD rows against real data: `calib` per electron drops by 1/(1 + 1/6) in rows 2063 and
    2064 of two-phase red exposures, and nowhere else near (median over spectra; flats and standards blur each)."""
    dips = []
    offset = np.arange(-6, 8)
    beside = (offset < 0) | (offset > 1)
    for path in sorted(real_data.glob(f"sas/{release}/*/spectro/redux/*/spectra/[0-9]*/spec-*.fits")):
        plate, mjd, fiber = map(int, path.stem.split("-")[1:])
        cameras = read_exposures(path)
        for camera in cameras.keys() & {"r1", "r2"} if plate != 3586 else ():  # that plate was read in one phase
            expnum = min(cameras[camera])
            exposure = read_spec(path, "", release, plate, mjd, fiber, camera, expnum)
            calib = exposure.calib[0][offset + 2063 - exposure.row[0]].astype(float)
            dips.append(calib / np.polyval(np.polyfit(offset[beside], calib[beside], 2), offset))
    assert len(dips) >= 9
    dip = np.median(dips, axis=0)
    np.testing.assert_allclose(dip[~beside], 1 / (1 + 1 / 6), atol=depth)
    np.testing.assert_allclose(dip[beside], 1, atol=beyond)


def test_real_platelist_tells_the_night(real_data):
    """Protects the look-up against the survey's own list."""
    for release, run2d in (("dr12/boss", "v5_7_0"), ("dr14/eboss", "v5_10_0")):
        platelist = read_platelist(real_data / f"sas/{release}/spectro/redux/{run2d}/platelist.fits")
        assert find_mjd(platelist, 6641 if run2d == "v5_7_0" else 6118, run2d) in (56383, 56189)


def test_exposures_of_a_real_header(real_data):
    """Protects the reading of EXPID01..: 14 exposures of two cameras, with their flats; and EXPID001.. of DR17."""
    exposures = read_exposures(real_data / DR12_SPECTRA / "7332/spec-7332-56683-0788.fits")
    assert {camera: len(numbers) for camera, numbers in exposures.items()} == {"b2": 14, "r2": 14}
    assert exposures["b2"][173096] == 173095
    assert set(read_exposures(real_data / DR17_SPECTRA / "full" / NEW)) == {"b2", "r2"}


def test_a_spec_lite_file_is_not_a_full_one(real_data):
    """Protects against a lite file where a full one is needed: the exposure's table is missing, and is named."""
    path = real_data / DR12_SPECTRA / "lite/7102/spec-7102-56666-0082.fits"
    with pytest.raises(UserError, match="no HDU B1-00172276"):
        read_spec(path, "", "dr12", 7102, 56666, 82, "b1", 172276)
    with pytest.raises(UserError, match="a spec-lite file where the full spec file is needed"):
        list(read_all_exposures(path, "", "dr12", 7102, 56666, 82))


@pytest.mark.slow
def test_thresholds_are_those_of_the_real_files(real_data):
    """Protects the origin of the report's thresholds: by each of them 93 of 100 camera exposures that it concerns are
    ok (87 by blue masks, where seven spectra have more), and of noise only the one that docs/noise.md names is bad."""
    thresholds, releases = read_thresholds(), read_releases(REPOSITORY / "workflow/releases.yaml", LAWS)
    files = [path for path in sorted(real_data.rglob("spec-*.fits")) if "lite" not in path.parts]
    assert len(files) == 33
    levels, bad = {}, set()
    blue_masks = next(
        (number, check.column)
        for number, check in enumerate(thresholds.spectra)
        if check.column == "masked_fraction" and check.only["band"] == ("blue",)
    )
    for path in files:
        name = path.relative_to(real_data)
        release = name.parts[1]
        plate, mjd, fiber = map(int, path.stem.split("-")[1:])
        for exposure in read_all_exposures(path, f"/{name}", release, plate, mjd, fiber):
            law, thrucorr = releases[release].noise_law, releases[release].thrucorr
            table = compare_fibers(exposure, predict(exposure, law, 0, thrucorr))
            facts = facts_of(table[0], exposure.header) | {"band": exposure.header.band, "downloads": "verified"}
            standard = exposure.lambda_eff[0] == 5400
            for number, check in enumerate(thresholds.spectra):
                if check.topic in ("noise", "sky") and not standard:
                    continue  # whose sky lacks T in later releases
                for status in judge(facts, [check]):
                    levels.setdefault((number, check.column), []).append(status.level)
                    if check.column == "noise_ratio_median" and status.level == "bad":
                        bad.add((release, path.stem))
    assert {column for _, column in levels} >= {"noise_ratio_median", "masked_fraction", "skychi2", "readnoise_low"}
    for check, found in levels.items():
        least = 0.93 if check != blue_masks else 0.87
        assert found.count("ok") >= least * len(found), (check, found.count("ok"), len(found))
    assert bad <= {("dr12", "spec-5201-55832-0178")}


def test_exposures_begin_when_their_headers_say(real_data):
    """Protects the times in the report: DATE-OBS, which is in TAI too, says the same of every exposure."""
    path = real_data / DR12_SPECTRA / "7332/spec-7332-56683-0788.fits"
    with fits.open(path) as hdus:
        dates = {
            (hdu.header["CAMERAS"].strip(), hdu.header["EXPOSURE"]): hdu.header["DATE-OBS"].replace("T", " ")
            for hdu in hdus[4:]
        }
    starts = {
        (exposure.header.camera, exposure.header.expnum): start_of(exposure.header.tai)
        for exposure in read_all_exposures(path, "", "dr12", 7332, 56683, 788)
    }
    assert starts == dates
    assert start_of(None) == "–"
