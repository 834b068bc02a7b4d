"""The page of a survey: a small table of each plate, and one page over all of them, batch after batch."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Workflow
from simulated import HEADER

from bosscal import simulation
from bosscal.base.outcomes import Failure
from bosscal.base.tables import read_table, write_table
from bosscal.report.plates import COLUMNS, Fibers, middle, rows_of, summarize_plate
from bosscal.report.statuses import read_thresholds
from bosscal.report.survey import plate_of, write_survey

THRESHOLDS = read_thresholds()
MADE = {"version": "0", "commit": ""}
NFIBER = 20
# A spectrum in which nothing is wrong.
GOOD = {
    "npix": 3000, "npix_masked": 300, "npix_uncalibrated": 0, "npix_nonfinite": 0, "pipeline_max_reldiff": 6e-8,
    "tutorial_max_reldiff": 0.0206, "flux_max_reldiff": 0.0, "ivar_max_reldiff": 0.0, "noise_ratio_median": 1.0,
    "fit_sky": 1.0, "noise_law": "optimal_noisy", "sky_term": "sky fibers", "header": "file", "thrucorr": "none",
}  # fmt: skip


def table_of(plate, faults=(), nfaulty=NFIBER, mjd=55500, place=(180.0, 30.0), **header):
    """The table of a plate of one red exposure, with faults in the first fibers."""
    rows = [GOOD | (dict(faults) if fiber < nfaulty else {}) for fiber in range(NFIBER)]
    ra, dec = (np.full(NFIBER, value) for value in place)
    facts = replace(HEADER, plate=plate, mjd=mjd, **header)
    return summarize_plate([Fibers(rows, facts, "verified", ra, dec)], THRESHOLDS)


def written(tables, folder, failures=(), pages=None):
    """Text of the start page and of the page of all plates."""
    plates = [plate_of(table, (pages or {}).get(int(table["plate"][0]), "")) for table in tables]
    write_survey(plates, failures, THRESHOLDS, MADE, folder / "index.html")
    return [(folder / name).read_text(encoding="utf-8") for name in ("index.html", "pages/plates.html")]


def test_a_plate_has_its_counts_medians_and_place(tmp_path):
    """Protects the table that a survey is made from: numbers by hand, units, and the same when it is read back."""
    table = table_of(4000, {"noise_ratio_median": 1.2}, nfaulty=5)
    row = table[0]
    assert (row["spectra"], row["ok"], row["look"], row["bad"]) == (20, 15, 5, 0)
    assert (row["fraction_not_ok"], row["topics"], row["status"]) == (0.25, "noise 5", "ok")
    assert (row["noise_ratio_median"], row["noise_ratio_p84"]) == (1.0, 1.2)
    assert (row["readnoise_low"], row["readnoise_high"], row["skychi2"]) == (2.52, 2.9, 1.25)
    assert row["masked_fraction"] == pytest.approx(300 / 3300, rel=1e-15)
    assert (row["ra"], row["dec"]) == (180, 30)
    assert table.colnames == list(COLUMNS)
    assert all(column.info.description for column in table.itercols())
    write_table(tmp_path / "plate.ecsv", table)
    again = read_table(tmp_path / "plate.ecsv")
    assert rows_of(again) == rows_of(table)
    assert (tmp_path / "plate.ecsv").stat().st_size < 100e6 / 2500  # so much a plate for a survey below 100 MB


@pytest.mark.parametrize(
    ("faults", "nfaulty", "level", "words"),
    [
        ({"noise_ratio_median": 1.2}, 11, "look", "measured over predicted variance is 1.2, not 0.965–1.1"),
        ({"noise_ratio_median": 1.2}, 9, "look", "fraction of the spectra that are not ok is 0.45"),
        ({"pipeline_max_reldiff": 0.01}, 2, "look", "fraction of the spectra that are bad is 0.1, not ≤ 0.05"),
        ({"pipeline_max_reldiff": 0.01}, 20, "bad", "the exact model's calibration is 0.01"),
        ({"sky_term": "no sky model"}, 11, "bad", "no sky model"),
        ({"npix": 0, "npix_masked": 0, "noise_ratio_median": np.ma.masked}, 1, "ok", ""),
    ],
)
def test_a_fault_of_many_fibers_is_one_of_the_camera_exposure(faults, nfaulty, level, words):
    """Protects the status of plates: what is typical, or stands out in many fibers, counts; one dead fiber does not."""
    (row,) = table_of(4000, faults, nfaulty)
    assert row["status"] == level
    assert words in str(row["reasons"])


def test_a_header_is_judged_too():
    """Protects against bad sky subtraction and read noise, which the exposure's header tells."""
    assert table_of(4000, skychi2=2.5)["status"][0] == "bad"
    assert "SKYCHI2" in table_of(4000, skychi2=2.5)["reasons"][0]
    assert table_of(4000, readnoise=(2.9, 2.5, 2.5, 4.5))["status"][0] == "look"


def test_a_plate_from_spec_files_is_one_row_for_each_camera_exposure():
    """Protects the other route: each fiber comes by itself, with no components of the calibration."""
    nothing = dict.fromkeys(("pipeline_max_reldiff", "tutorial_max_reldiff", "flux_max_reldiff", "ivar_max_reldiff"),
                            np.ma.masked)  # fmt: skip
    one = np.array([180.0])
    measured = [
        Fibers([GOOD | nothing], replace(HEADER, products="spec", expnum=expnum), "verified", one + fiber / 10, one / 6)
        for fiber in range(5)
        for expnum in (2, 1)
    ]
    table = summarize_plate(measured, THRESHOLDS)
    assert [tuple(row) for row in table["products", "expnum", "spectra", "status", "ra"]] == [
        ("spec", 1, 5, "ok", 180.2), ("spec", 2, 5, "ok", 180.2)
    ]  # fmt: skip
    assert table["pipeline_max_reldiff"].mask.all()
    assert len(summarize_plate([], THRESHOLDS)) == 0


def test_the_middle_of_a_plate_across_zero_is_on_the_plate():
    """Protects the map: right ascensions have no end at 360, and fibers without a place move nothing."""
    ra, dec = np.array([359.0, 359.5, 0.1, 0.5, np.nan]), np.full(5, 2.0)
    assert middle(ra, dec) == (pytest.approx(359.8), 2.0)
    ra, dec = np.array([180.0, 0.0, 181.0, 182.0, 183.0]), np.array([30.0, 0.0, 31.0, 32.0, 33.0])
    assert middle(ra, dec) == (pytest.approx(182, abs=1), 31)
    assert np.isnan(middle(np.array([np.nan]), np.array([np.nan]))).all()


def test_the_worst_plates_come_first_with_the_reason(tmp_path):
    """Protects the reader of thousands of plates: what is wrong is on the first page, as bad as it is."""
    tables = [
        table_of(4001), table_of(4002, {"noise_ratio_median": 1.2}), table_of(4003, {"noise_ratio_median": 2.0}),
        table_of(4004, place=(np.nan, np.nan)),
    ]  # fmt: skip
    failure = Failure("summarize_plate", "dr12 4005-55500", "/sas/a.fits: truncated")
    start, everything = written(tables, tmp_path, [failure])
    worst = re.findall(r"<li>.*?</li>", start.partition('id="worst"')[2].partition("</ul>")[0], re.DOTALL)
    assert ["4003-55500" in worst[0], "4002-55500" in worst[1], len(worst)] == [True, True, 2]
    assert "✗" in worst[0]
    assert "r1 #158842: median of measured over predicted variance is 2, not 0.965–1.1" in worst[0]
    assert "/sas/a.fits: truncated" in start
    assert re.findall(r"<td>(\d{4})-55500</td>", everything) == ["4003", "4002", "4001", "4004"]
    assert re.findall(r'class="(?:ok|look|bad)">.*?<strong>(\d+)', start) == ["2", "1", "1"]
    assert start.count("<use ") == 3  # 4004 has no place
    assert "✗ bad: dr12 4003-55500" in start
    assert "simulated" not in start.partition("<body>")[2]
    with open(tmp_path / "pages/plates.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["plate"], row["status"]) for row in rows] == [
        ("4003", "bad"), ("4002", "look"), ("4001", "ok"), ("4004", "ok")
    ]  # fmt: skip
    assert list(read_table(tmp_path / "pages/plates.ecsv")["noise_ratio_median_red"]) == [2.0, 1.2, 1.0, 1.0]


def test_simulated_plates_say_so(tmp_path):
    """Protects from taking what was made up for an observation: every page says it, and of what it is true."""
    for text in written([table_of(4001, simulated=True, release="sim")], tmp_path):
        assert "Simulated data: every number" in text
    for text in written([table_of(4001, simulated=True, release="sim"), table_of(4002)], tmp_path):
        assert "Simulated data: what is of release sim" in text


def test_words_of_files_are_shown_as_words(tmp_path):
    """Protects the reader from what a table may say, of whatever folder it was copied from."""
    hostile = "<script>alert(1)</script>"
    table = table_of(4001, {"noise_ratio_median": 2.0}, release=hostile)
    table["reasons"] = [f"{hostile} is 3"]
    table["camera"] = [hostile]
    for text in written([table], tmp_path, [Failure(hostile, hostile, hostile)], {4001: 'results/"><script>'}):
        assert "&lt;script&gt;alert" in text
        assert "<script>" not in text
        assert '"><script' not in text


def test_links_are_relative_and_only_where_there_is_a_page(tmp_path, monkeypatch):
    """Protects the ways to plates: they lead to the page of the report, from either page, wherever the folder goes."""
    monkeypatch.chdir(tmp_path)
    page = Path("results/report/b/pages/plate-dr12-4001-55500.html")
    page.parent.mkdir(parents=True)
    page.touch()
    tables = [table_of(4001, skychi2=3.0), table_of(4002, skychi2=3.0)]
    folder = Path("results/survey")
    texts = written(tables, folder, pages={4001: str(page)})
    for text, where in zip(texts, (folder, folder / "pages"), strict=True):
        links = re.findall(r'<a href="([^"]*plate-[^"]*)"', text)
        assert links
        assert {(where / link).resolve() for link in links} == {page.resolve()}


def test_a_page_of_thousands_of_plates_is_small(tmp_path):
    """Protects disks and the first look: the pages grow by less than 2 kB for each plate, all of them in trouble."""
    sizes = []
    for number in (50, 150):
        tables = [table_of(4000 + place, {"noise_ratio_median": 1.2}, mjd=55200 + place) for place in range(number)]
        written(tables, tmp_path / str(number))
        sizes.append(sum(path.stat().st_size for path in (tmp_path / str(number)).rglob("*.*")))
    assert (sizes[1] - sizes[0]) / 100 < 2000


@pytest.mark.workflow
@pytest.mark.slow
def test_batches_end_in_one_page(tmp_path):
    """Protects surveys in batches: a second one adds its plates, makes nothing of the first anew, and
    the page follows from what any of them made."""
    good = [row.plate for row in simulation.listed_plates() if row.quality == "good" and len(row.plate.exposures)]
    first, second = good[8], good[9]

    def target(plate):
        return {"plate": plate.number, "mjd": plate.mjd, "fibers": [1], "products": "spec", "bands": ["blue"]}

    workflow = Workflow(tmp_path).configure(release="sim", targets=[target(first)])
    assert workflow.executed("survey")["summarize_plate"] == 1
    assert workflow.planned("survey") == {}
    table = workflow.results / f"plates/sim/{first.number}-{first.mjd}.ecsv"
    before = table.stat().st_mtime_ns
    assert list(read_table(table)["spectra"]) == [1]
    (tmp_path / "second.yaml").write_text(json.dumps({"release": "sim", "targets": [target(second)]}))
    done = workflow.executed("survey", "--configfile", "second.yaml")
    assert (done["summarize_plate"], done["write_survey"]) == (1, 1)
    assert table.stat().st_mtime_ns == before
    text = (workflow.results / "survey/pages/plates.html").read_text(encoding="utf-8")
    assert all(f"{plate.number}-{plate.mjd}" in text for plate in (first, second))
    assert workflow.planned("survey", "--configfile", "second.yaml") == {}
    # what an earlier batch made is other than it was
    content = table.read_text(encoding="utf-8")
    table.write_text(content.replace(" ok ", " bad ", 1), encoding="utf-8")
    assert workflow.planned("survey", "--configfile", "second.yaml") == {"write_survey": 1, "survey": 1}
