"""Faults put into the survey's own files, each in a fiber or an exposure of its own, and what a report says of them."""

import gzip
import html
import shutil

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from conftest import Workflow

from bosscal import simulation
from bosscal.survey.paths import mask_bits

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

REDUX = "sas/sim/boss/spectro/redux/v5_7_0"
FIRST, SECOND = simulation.EXPOSURES
HDUS = {"flux": 0, "ivar": 1, "mask": 2, "sky": 6}  # the same in spFrame and spCFrame
MIDDLE = slice(1500, 2500)  # rows, of which all have data


def multiplied(name, factor, rows=MIDDLE):
    """A fault: some rows of an image times a factor."""

    def put(hdus, place):
        hdus[HDUS[name]].data[place, rows] *= factor

    return put


def set_to(name, value, rows=MIDDLE):
    """A fault: another value in some rows of an image."""

    def put(hdus, place):
        hdus[HDUS[name]].data[place, rows] = value

    return put


def corrected(factor):
    """A fault: another flux correction vector than the one that was applied."""

    def put(hdus, place):
        hdus[0].data[place] *= factor

    return put


EVERYWHERE = slice(None)
ONE = slice(2000, 2001)
BRIGHTSKY = mask_bits()["BRIGHTSKY"]
FLUXCORR, SPFRAME, SPCFRAME = "spFluxcorr", "spFrame", "spCFrame"
# By fiber: what is done to which files of r1's first exposure, the status that follows, and words of its reason.
FAULTS = {
    2: ({SPCFRAME: multiplied("flux", 1.01, ONE)}, "bad", "the exact model's flux is 0.0099"),
    3: ({SPCFRAME: multiplied("flux", 1 + 1e-4, ONE)}, "look", "the exact model's flux is 0.0001"),
    4: ({SPCFRAME: multiplied("ivar", 1.01, ONE)}, "bad", "the exact model's ivar is 0.0099"),
    5: ({FLUXCORR: corrected(1.01)}, "bad", "the exact model's calibration is 0.00498"),
    6: ({FLUXCORR: corrected(1 + 2e-5)}, "look", "the exact model's calibration is 1.01e-05"),
    7: (
        {SPFRAME: multiplied("ivar", 0.5, EVERYWHERE), SPCFRAME: multiplied("ivar", 0.5, EVERYWHERE)},
        "bad",
        "median of measured over predicted variance is 2",
    ),
    8: ({SPFRAME: set_to("sky", 0, EVERYWHERE), SPCFRAME: set_to("sky", 0, EVERYWHERE)}, "bad", "no sky model"),
    10: ({SPCFRAME: set_to("mask", BRIGHTSKY, slice(1000, 3500))}, "bad", "that a mask bit is set in is 0."),
    11: ({SPCFRAME: set_to("flux", np.nan, slice(2000, 2010))}, "look", "to a number that is none is 10"),
    12: ({SPCFRAME: set_to("flux", np.nan)}, "bad", "to a number that is none is 1000"),
    13: ({SPCFRAME: set_to("ivar", 0, EVERYWHERE)}, "look", "pixels that can be compared is 0"),
}
# By card of r1's second exposure.
CARDS = {"RDNOISE0": 9.0, "SKYCHI2": 3.0}
GOOD = 1


def change(path, put):
    """Another file in place of this one, which stays as it is where it is linked to."""
    packed = path.suffix == ".gz"
    with gzip.open(path) if packed else open(path, "rb") as stream, fits.open(stream, memmap=False) as hdus:
        for hdu in hdus:
            hdu.data  # noqa: B018  # or it stays in the file that is replaced
        put(hdus)
        path.unlink()
        with gzip.open(path, "wb", compresslevel=1) if packed else open(path, "wb") as output:
            hdus.writeto(output)


@pytest.fixture(scope="module")
def judged(simulated_root, tmp_path_factory):
    """The statuses of one run on files with all the faults: rows of its table by camera, exposure and fiber."""
    folder = tmp_path_factory.mktemp("statuses")
    shutil.copytree(simulated_root, folder / "server")
    plate = folder / "server" / REDUX / "6641"

    def put_faults(product):
        def put(hdus):
            for fiber, (faults, _, _) in FAULTS.items():
                if product in faults:
                    faults[product](hdus, fiber - 1)

        return put

    def put_cards(hdus):
        hdus[0].header.update(CARDS)

    for product in (SPFRAME, SPCFRAME, FLUXCORR):
        (path,) = plate.glob(f"{product}-r1-{FIRST:08d}.fits*")
        change(path, put_faults(product))
    for product in (SPFRAME, SPCFRAME):
        (path,) = plate.glob(f"{product}-r1-{SECOND:08d}.fits*")
        change(path, put_cards)
    simulation.write_sha1sum(folder / "server")  # as if the survey's own files were so
    common = {"plate": 6641, "mjd": 56383}
    workflow = Workflow(folder / "run").configure(
        release="sim",
        data={"url": (folder / "server").as_uri()},
        targets=[
            {**common, "fibers": [GOOD, *FAULTS], "bands": ["red"], "exposures": [0]},
            {**common, "fibers": [GOOD], "exposures": [1]},
        ],
        figures={"formats": ["png"]},
    )
    workflow.run("results/report/index.html")
    table = Table.read(workflow.results / "report/pages/summary.ecsv")
    yield {(row["camera"], row["expnum"], row["fiber"]): row for row in table}, workflow
    shutil.rmtree(folder)


def test_a_good_spectrum_beside_bad_ones_is_ok(judged):
    """Protects the good from the faults of their neighbors, and users from alarms."""
    rows, _ = judged
    assert rows["r1", FIRST, GOOD]["status"] == "ok", rows["r1", FIRST, GOOD]["reasons"]
    assert rows["b1", SECOND, GOOD]["status"] == "ok", rows["b1", SECOND, GOOD]["reasons"]


@pytest.mark.parametrize("fiber", FAULTS)
def test_each_fault_is_seen(judged, fiber):
    """Protects the judgement from the file to the page: a fault in the survey's files has the status that it deserves,
    with a reason that names the number."""
    rows, workflow = judged
    _, level, words = FAULTS[fiber]
    row = rows["r1", FIRST, fiber]
    assert (row["status"], words in row["reasons"]) == (level, True), row["reasons"]
    page = workflow.results / f"report/pages/sim-6641-56383-{fiber:04d}-r1-{FIRST:08d}.html"
    assert words in html.unescape(page.read_text("utf-8"))


def test_what_an_exposure_s_header_says_is_judged(judged):
    """Protects from amplifiers and skies that are out of order: both are named."""
    rows, _ = judged
    row = rows["r1", SECOND, GOOD]
    assert row["status"] == "bad"
    assert "the largest read noise of the four amplifiers [electrons] is 9" in row["reasons"]
    assert "SKYCHI2, the mean chi² of the sky subtraction, is 3" in row["reasons"]
