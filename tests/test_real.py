"""The workflow on real SDSS spec files, through file:// and HTTP."""

import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.table import Table
from conftest import Workflow, serving

from bosscal.exposure import CameraExposure
from bosscal.surveyfiles import read_exposures, read_platelist, read_spec
from bosscal.survey.targets import find_mjd

STANDARDS_OF_6118 = [48, 132, 142, 212, 306, 324, 418, 434, 478, 590, 600, 649, 674, 948, 956]


def run(folder, **config):
    folder.mkdir(exist_ok=True)
    workflow = Workflow(folder)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    workflow.counts = workflow.executed()
    workflow.summary = Table.read(folder / "results/compare/summary.ecsv")
    return workflow


def spec_target(plate, *fibers, **changes):
    return {"plate": plate, "fibers": list(fibers), "products": "spec", "exposures": "all"} | changes


@pytest.fixture(scope="module")
def dr12(real_data, tmp_path_factory):
    """Three DR12 spec files over HTTP, one of them with 28 camera exposures, one that spans nights."""
    with serving(real_data) as url:
        return run(
            tmp_path_factory.mktemp("dr12"),
            release="dr12",
            data={"url": url},
            targets=[spec_target(5201, 178, exposures=[0, 3]), spec_target(6148, 743), spec_target(7332, 788)],
        )


@pytest.fixture(scope="module")
def dr14(real_data, tmp_path_factory):
    """The same two objects as reduced for DR14, and all fifteen standards of plate 6118, from a folder."""
    return run(
        tmp_path_factory.mktemp("dr14"),
        release="dr14",
        data={"url": real_data.as_uri()},
        targets=[
            spec_target(5201, 178, exposures=[0, 3]),
            spec_target(6148, 743),
            spec_target(6118, *STANDARDS_OF_6118, exposures=[0]),
        ],
    )


def test_dr12_makes_these_jobs(dr12):
    """Protects the chain of spec files: one download a file, nights from the real platelist."""
    exposures = 4 + 8 + 28
    assert dr12.counts == {
        "download": 4, "find_mjd": 1, "list_exposures": 1, "extract_spec": exposures, "calibrate": exposures,
        "compare": exposures, "plot": exposures, "plot_noise": exposures, "summarize": 1, "report": 1,
    }  # fmt: skip
    assert set(dr12.summary["mjd"][dr12.summary["plate"] == 7332]) == {56683}


def test_dr14_reduction_is_not_mixed_with_dr12(dr12, dr14):
    """Protects against one release's numbers under the other's name: the same spectra, other reductions."""
    for plate in (5201, 6148):
        ours, theirs = (run.summary[run.summary["plate"] == plate] for run in (dr12, dr14))
        assert list(ours["expnum"]) == list(theirs["expnum"])
        assert np.all(ours["evar_ratio_median"] != theirs["evar_ratio_median"])


def test_fifteen_standards_in_one_run(dr14):
    """Protects many targets on both spectrographs, in the order of the configuration."""
    standards = dr14.summary[dr14.summary["plate"] == 6118]
    assert list(standards["fiber"]) == [fiber for fiber in STANDARDS_OF_6118 for _ in range(2)]
    assert set(standards["objtype"]) == {"SPECTROPHOTO_STD"}
    assert set(standards["camera"][standards["fiber"] > 500]) == {"b2", "r2"}


def test_what_a_spec_file_cannot_tell_is_masked(dr12):
    """Protects against zeros where there is no number."""
    for name in ("tutorial_max_absdiff", "tutorial_max_reldiff"):
        assert dr12.summary[name].mask.all()
    assert not np.ma.is_masked(dr12.summary["evar_ratio_median"])
    assert np.all(dr12.summary["npix"] > 1000)
    assert not dr12.summary["simulated"].any()


def test_a_spec_container_equals_its_file(real_data, dr12):
    """Protects the extraction: every array is the file's own, and counts follow from calib."""
    path = real_data / "sas/dr12/boss/spectro/redux/v5_7_0/spectra/7332/spec-7332-56683-0788.fits"
    exposure = CameraExposure.read(dr12.folder / "results/extract_frame/7332-56683/r2-00173096-0788.npz")
    with fits.open(path) as hdus:
        table = next(hdu for hdu in hdus[4:] if hdu.name.startswith("R2-00173096")).data
        for name in ("flux", "sky", "ivar", "mask", "calib", "x"):
            np.testing.assert_array_equal(getattr(exposure, name)[0], table[name])
    assert exposure.header.readnoise == pytest.approx([2.86, 2.9, 2.8, 2.8], rel=0.1)


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
            exposure = read_spec(path, "", plate, mjd, fiber, camera, expnum)
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
    """Protects the reading of EXPID01..: 14 exposures of two cameras, with their flats."""
    path = real_data / "sas/dr12/boss/spectro/redux/v5_7_0/spectra/7332/spec-7332-56683-0788.fits"
    exposures = read_exposures(path)
    assert {camera: len(numbers) for camera, numbers in exposures.items()} == {"b2": 14, "r2": 14}
    assert exposures["b2"][173096] == 173095


def test_a_spec_lite_file_is_not_a_full_one(real_data):
    """Protects against a lite file where a full one is needed: the exposure's table is missing, and is named."""
    from bosscal.base.errors import UserError

    path = real_data / "sas/dr12/boss/spectro/redux/v5_7_0/spectra/lite/7102/spec-7102-56666-0082.fits"
    with pytest.raises(UserError, match="no HDU B1-00172276"):
        read_spec(path, "", 7102, 56666, 82, "b1", 172276)


def test_plate_added_reruns_only_its_chain(dr14):
    """Protects old results when a plate is added to the configuration."""
    config = yaml.safe_load((dr14.folder / "config.yaml").read_text())
    config["targets"].append(spec_target(3586, 500, exposures=[0], bands=["blue"]))
    (dr14.folder / "config.yaml").write_text(yaml.safe_dump(config))
    assert dr14.executed() == {
        "find_mjd": 1, "download": 1, "list_exposures": 1, "extract_spec": 1, "calibrate": 1, "compare": 1,
        "plot": 1, "plot_noise": 1, "summarize": 1, "report": 1,
    }  # fmt: skip
