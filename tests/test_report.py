"""The report: what is judged how, curves that survive their packing, pages that are safe to open."""

import base64
import hashlib
import json
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
import yaml
from astropy.io import fits
from conftest import REPOSITORY
from simulated import HEADER
from test_docs import anchor, headings

from bosscal import simulation
from bosscal.calibration.coadd import weights_of
from bosscal.calibration.measurement import measure
from bosscal.report import pages, story
from bosscal.report.chain import Chain, chain_of, picture
from bosscal.report.docs import NAMES, document_of, documented, read_documents
from bosscal.report.facts import downloads_of
from bosscal.report.pages import ASSETS, TEMPLATES
from bosscal.report.plots import Moment, Residual, by_fiber, focal_plane, history, residuals_by_fiber
from bosscal.report.series import _packed, _runs, mask_counts, mask_runs, panels_of, script_of, table_of
from bosscal.report.statuses import (
    Check,
    Status,
    judge,
    read_thresholds,
    reasons,
    worst,
)
from bosscal.results.coadds import COADD_COLUMNS, coadd_table, rebuild
from bosscal.results.comparison import COLUMNS
from bosscal.results.prediction import predict
from bosscal.results.spectrum import Spectrum
from bosscal.survey.coadds import read_coadd
from bosscal.survey.exposure import SpecExposure
from bosscal.survey.inputs import STRUCTURE, SURVEY_SHA1, Fetched
from bosscal.survey.paths import mask_bits
from bosscal.survey.targets import Target

THRESHOLDS = read_thresholds()
FACTS = {"downloads", "skychi2", "readnoise_low", "readnoise_high", "masked_fraction"}
GOOD = {
    "npix": 3000, "pipeline_max_reldiff": 6e-8, "tutorial_max_reldiff": 0.0206, "band": "red", "flux_max_reldiff": 0.0,
    "ivar_max_reldiff": 0.0, "noise_ratio_median": 1.0, "noise_law": "optimal_noisy", "sky_term": "sky fibers",
    "skychi2": 1.2, "readnoise_low": 2.5, "readnoise_high": 2.9, "masked_fraction": 0.15, "npix_nonfinite": 0,
    "header": "file", "thrucorr": "none", "downloads": "verified",
}  # fmt: skip

# --------------------------------------------------------------------------------------------------------- statuses


def test_thresholds_are_of_columns_that_there_are():
    """Protects every threshold from judging nothing, and from having no origin."""
    assert {check.column for check in THRESHOLDS.spectra} <= set(COLUMNS) | FACTS
    assert {check.column for check in THRESHOLDS.coadds} <= set(COADD_COLUMNS)
    for check in (*THRESHOLDS.spectra, *THRESHOLDS.coadds):
        assert len(check.origin) > 10
        assert check.values or check.ok != (None, None)
    topics = {check.topic for check in (*THRESHOLDS.spectra, *THRESHOLDS.coadds)}
    assert topics >= {
        "calibration",
        "flux",
        "ivar",
        "noise",
        "sky",
        "read noise",
        "masked fraction",
        "photometry",
        "downloads",
    }


def test_a_good_spectrum_is_ok():
    """Protects the user from alarms where nothing is wrong."""
    assert worst(judge(GOOD, THRESHOLDS.spectra)) == "ok"
    assert reasons(judge(GOOD, THRESHOLDS.spectra)) == []


@pytest.mark.parametrize(
    ("fault", "level", "words"),
    [
        ({"npix": 0}, "look", "pixels that can be compared is 0"),
        ({"pipeline_max_reldiff": 2e-6}, "look", "the exact model's calibration is 2e-06, not ≤ 1e-06"),
        ({"pipeline_max_reldiff": 0.009}, "bad", "the exact model's calibration is 0.009"),
        ({"tutorial_max_reldiff": 0.04}, "look", "the tutorial's calibration is 0.04"),
        ({"tutorial_max_reldiff": 0.01, "band": "blue", "readnoise_low": 2.0, "readnoise_high": 2.2,
          "masked_fraction": 0.01}, "look", "the tutorial's calibration is 0.01"),
        ({"flux_max_reldiff": 0.02}, "bad", "flux is 0.02"),
        ({"ivar_max_reldiff": 0.02}, "bad", "ivar is 0.02"),
        ({"noise_ratio_median": 1.17}, "look", "predicted variance is 1.17, not 0.965–1.1"),
        ({"noise_ratio_median": 1.05, "noise_law": "readnoise_weighted"}, "look", "is 1.05, not 0.955–1.02"),
        ({"noise_ratio_median": 0.78}, "bad", "predicted variance is 0.78"),
        ({"noise_ratio_median": np.nan}, "bad", "predicted variance is nan"),
        ({"sky_term": "no sky model"}, "bad", "sky term of the noise is from: no sky model"),
        ({"skychi2": 1.8}, "look", "SKYCHI2"),
        ({"readnoise_high": 4.5}, "look", "the largest read noise"),
        ({"readnoise_low": 0.1}, "bad", "the least read noise"),
        ({"masked_fraction": 0.7}, "bad", "mask bit"),
        ({"npix_nonfinite": 3}, "look", "to a number that is none is 3"),
        ({"header": "lost"}, "look", "lost"),
        ({"downloads": "not verified"}, "look", "downloaded for it is: not verified"),
        ({"thrucorr": "unknown"}, "look", "position correction T"),
    ],
)  # fmt: skip
def test_each_fault_changes_the_status(fault, level, words):
    """Protects the judgement: what is wrong is seen, as bad as it is, and said in words with the number."""
    found = judge(GOOD | fault, THRESHOLDS.spectra)
    assert worst(found) == level
    (reason,) = reasons(found)
    assert words in reason


def test_what_is_not_there_is_not_judged():
    """Protects spec files, which do not tell everything, from being bad for it."""
    nothing = {name: np.ma.masked for name in ("pipeline_max_reldiff", "tutorial_max_reldiff", "flux_max_reldiff")}
    assert worst(judge(GOOD | nothing, THRESHOLDS.spectra)) == "ok"


def test_files_that_nobody_verified_need_a_look():
    """Protects from trusting downloads that the survey's checksums did not confirm."""
    fetched = Fetched("downloaded", "https://example.org", "/a", SURVEY_SHA1, "0", 1)
    doubtful = replace(fetched, verified=STRUCTURE)
    assert downloads_of([fetched, replace(doubtful, how="linked")], simulated=False) == "verified"
    for records in ([fetched, doubtful], [None]):
        assert downloads_of(records, simulated=False) == "not verified"
        assert downloads_of(records, simulated=True) == "verified"


def test_the_worst_counts_and_comes_first():
    """Protects the order of reasons, and thresholds that contradict themselves."""
    found = [Status("ok", "a"), Status("look", "b", "first"), Status("bad", "c", "second")]
    assert worst(found) == "bad"
    assert reasons(found) == ["second", "first"]
    assert worst([]) == "ok"
    assert len({Status(level, "").sign for level in ("ok", "look", "bad")}) == 3
    with pytest.raises(ValueError, match="what is ok is not within what needs a look"):
        Check(topic="a", column="a", words="a", origin="a", ok=(None, 2.0), look=(None, 1.0))


# ----------------------------------------------------------------------------------------------------------- curves


def unpacked(content, number):
    """What a page's script makes of the bytes, written anew."""
    values, total, place = [], 0, 0
    while len(values) < number:
        value = shift = 0
        while True:
            byte = content[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        total += -(value + 1) // 2 if value % 2 else value // 2
        values.append(total)
    return np.array(values), content[place:]


def test_packed_values_are_those_of_before_to_half_a_step():
    """Protects curves from their packing: small and huge numbers of either sign, and gaps."""
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(0, 1, 500), rng.normal(0, 1e9, 50), [0.0, -0.004, 1e12]])
    values[[0, 7, 8, 530]] = np.nan
    found, rest = unpacked(_packed(values, 0.01), len(values))
    assert rest == b""
    known = np.isfinite(values)
    np.testing.assert_allclose(found[known] * 0.01, values[known], rtol=1e-15, atol=0.005 + 1e-12)
    assert _runs(~known) == [[0, 0], [7, 8], [530, 530]]


@pytest.fixture
def red_spectrum(red_exposure, red_prediction):
    """Its first fiber."""
    target = Target("sim", 6641, 56383, int(red_exposure.fiber[0]), "red", "r1", 0, 158842, "frames")
    one = slice(0, 1)
    measurement = measure(red_exposure, red_prediction.calib).take(one)
    return Spectrum(target, red_exposure.take(one), red_prediction.take(one), measurement)


def test_a_spectrum_has_its_curves_in_a_script_and_a_table(red_spectrum):
    """Protects the numbers behind the curves: to a twentieth of the error in the script, exact in the table, in few
    bytes, with nothing in a name that could end the script."""
    spectrum, target = red_spectrum, red_spectrum.target
    panels = panels_of(spectrum)
    script = script_of(spectrum, panels, mask_bits())
    assert len(script) <= 40_000
    key, _, words = script.removeprefix("bosscal.hand_over(").removesuffix(");\n").partition(",")
    assert json.loads(key) == target.key
    content = json.loads(words)
    packed = zlib.decompress(base64.b64decode(content["packed"]))
    number = content["number"]
    wavelengths, packed = unpacked(packed, number)
    np.testing.assert_allclose(wavelengths * 0.01, 10 ** spectrum.exposure.loglam[0], atol=0.006)
    table = table_of(spectrum, panels)
    for panel, facts in zip(panels, content["panels"], strict=True):
        for curve, fact in zip(panel.curves, facts["curves"], strict=True):
            found, packed = unpacked(packed, number)
            known = np.isfinite(curve.values)
            assert _runs(~known) == content["gaps"][fact["gaps"]]
            np.testing.assert_allclose(found[known] * curve.step, curve.values[known], atol=0.51 * curve.step)
            np.testing.assert_array_equal(np.ma.filled(table[curve.name], np.nan)[known], curve.values[known])
            assert table[curve.name].info.description
    assert packed == b""
    plain = table_of(spectrum)
    assert plain.colnames == table.colnames
    (flux, error, _), good = panels[0].curves, spectrum.exposure.ivar[0] > 0
    assert flux.step <= np.percentile(error.values[good & np.isfinite(error.values)], 6) / 20
    assert (table["row"] == spectrum.exposure.row).all()
    hostile = replace(target, release="</script><b>")
    assert "<" not in script_of(replace(spectrum, target=hostile), panels, {}).partition(",")[2]


def test_mask_bits_are_named_and_counted():
    """Protects the names at the cursor and the answer to which bit costs most, the sign bit of the mask included."""
    bits = {"LOW": 1, "HIGH": 2, "TOP": 1 << 31}
    mask = np.array([0, 1, 1, 3, -(1 << 31), 0, 2])
    assert mask_runs(mask, bits) == [[1, 2, "LOW"], [3, 3, "LOW HIGH"], [4, 4, "TOP"], [6, 6, "HIGH"]]
    ivar = np.array([1, 1, 0, 1, 1, 1, 1])
    assert mask_counts(mask, ivar, bits) == [("HIGH", 2, 1), ("LOW", 2, 1), ("TOP", 1, 1)]


# ------------------------------------------------------------------------------------------------------ step by step


def heights_of(curve):
    """(place, height) of each point of a curve, from its path."""
    points = []
    for command, first, second in re.findall(r"([Ml])(\d+)\s?(-?\d+)", curve):
        place, height = int(first), int(second)
        points.append((place, height) if command == "M" else (points[-1][0] + place, points[-1][1] + height))
    return dict(points)


def test_the_equations_of_the_steps_give_the_flux(red_spectrum):
    """Protects the story of a spectrum: the numbers of the steps, put into the last equation, are the file's flux."""
    good = red_spectrum.measurement.compared[0]
    values = [values.astype(np.float64)[good] for *_, values in story._steps(red_spectrum)]
    electrons, flats, ratio, calib, correction, distortion, flux = values
    sky = red_spectrum.exposure.esky[0, good]
    found = (electrons / flats - sky) * ratio * correction * distortion / calib
    np.testing.assert_allclose(found, flux, rtol=1e-4, atol=1e-4 * np.median(np.abs(flux)))
    assert len(flux) > 2000


def test_each_step_has_its_curve_and_numbers_in_few_bytes(red_spectrum):
    """Protects the figure beside each step: medians over blocks of pixels, to a hundredth of its height, between the
    numbers that it states, with gaps where there are none."""
    exposure, good = red_spectrum.exposure, red_spectrum.measurement.compared[0].copy()
    steps = story.story_of(red_spectrum)
    assert [step.name for step in steps[:2]] == ["Detected electrons", "Flat fields"]
    assert len(steps) == 7
    rows = np.flatnonzero(good)
    block = (rows - rows[0]) * story.BLOCKS // (rows[-1] - rows[0] + 1)
    for step, (*_, values) in zip(steps, story._steps(red_spectrum), strict=True):
        assert len(step.curve) < 600
        medians = np.array([np.median(values[rows[block == number]]) for number in range(story.BLOCKS)])
        span = np.ptp(medians)
        wanted = 99 * (medians.max() - medians) / span if span else np.full(story.BLOCKS, 49)
        found = heights_of(step.curve)
        assert list(found) == list(range(story.BLOCKS))
        np.testing.assert_allclose(list(found.values()), wanted, atol=0.51)
        ends = f"{10 ** exposure.loglam[0, rows[0]]:.0f}–{10 ** exposure.loglam[0, rows[-1]]:.0f} Å"
        assert step.numbers.startswith(f"median {np.median(values[rows]):.3g}, from {medians.min():.3g} to ")
        assert f" to {medians.max():.3g}" in step.numbers
        assert step.numbers.endswith(f"; {ends}")
    compared = red_spectrum.measurement.compared.copy()
    compared[0, rows[len(rows) // 3] : rows[len(rows) // 2]] = False
    some = replace(red_spectrum, measurement=replace(red_spectrum.measurement, compared=compared))
    assert {step.curve.count("M") for step in story.story_of(some)} == {2}
    none = replace(red_spectrum, measurement=replace(red_spectrum.measurement, compared=np.zeros_like(compared)))
    assert {(step.curve, step.numbers) for step in story.story_of(none)} == {("", "nothing is compared")}


def test_a_spec_file_has_the_steps_that_it_tells():
    """Protects spec files from steps that they do not tell apart, and few pixels from a curve of nothing."""
    rows = np.arange(1000, 1030)
    images = {"flux": 2.0 + rows % 2, "sky": 1, "ivar": 40, "mask": 0, "quadrant": 0, "calib": 0.02}
    arrays = {name: np.broadcast_to(value, (1, len(rows))) for name, value in images.items()}
    arrays |= {name: [0] for name in ("ra", "dec", "xfocal", "yfocal")} | {"lambda_eff": [5400], "fiber": [1]}
    arrays |= {"objtype": ["QSO"], "row": rows, "loglam": 3.6 + 1e-4 * rows[np.newaxis]}
    exposure = SpecExposure.checked(replace(HEADER, products="spec", xsigma=1.1), arrays)
    prediction = predict(exposure, "optimal")
    target = Target("dr12", 6641, 56383, 1, "red", "r1", 0, 158842, "spec")
    steps = story.story_of(Spectrum(target, exposure, prediction, measure(exposure, prediction.calib)))
    assert [step.equation for step in steps] == ["N = (f + sky) / c", "c", "f = c (N − N₀)"]
    assert steps[0].numbers.startswith("median 175, from 150 to 200 electrons; ")
    assert sorted(set(heights_of(steps[2].curve).values())) == [0, 99]
    known = {anchor(heading) for heading in headings(REPOSITORY / "docs/calibration.md")}
    assert {step.section for step in steps} <= known


# ---------------------------------------------------------------------------------------------------- the rules' chain

LOGS = {
    "simulate/6641/frames-r1-00158842.log": "wrote results/simulated/sas/a-00158842.fits (2 MB)",
    "download/sim/sas/a-00158842.fits.log":
        "linked results/mirror/sas/a-00158842.fits from file:///x/results/simulated/sas/a-00158842.fits as "
        "results/inputs/sim/sas/a-00158842.fits",
    "download/sim/sas/a-00158843.fits.log": "an input was not made: simulate_frames",
    "list_exposures/01c78456c457.log":
        "read results/inputs/sim/sas/a-00158842.fits (2 MB)\n1 spec files, wrote results/targets/exposures-01c.json",
    "extract_frame/sim/6641-56383/r1-00158842.log":
        "read results/inputs/sim/sas/a-00158842.fits (2 MB)\n"
        "wrote results/extract_frame/sim/6641-56383/r1-00158842.npz",
    "compare/sim/6641-56383/r1-00158842.log":
        "read results/extract_frame/sim/6641-56383/r1-00158842.npz and results/inputs/sim/sas/a-00158842.fits\n"
        "wrote results/compare/sim/6641-56383/r1-00158842.ecsv",
    "compare/summarize.log":
        "read results/compare/sim/6641-56383/r1-00158842.ecsv\n5 targets, wrote results/compare/summary.ecsv (0.0 MB)",
    "write_calib/sim/6641-56383/r1-00158842.log":
        "read results/extract_frame/sim/6641-56383/r1-00158842.npz\nwrote results/calib/sim/a.fits",
    "report/report.log": "read results/compare/summary.ecsv",
    "report/mine/report.log": "read results/compare/mine/summary.ecsv\nwrote results/report/mine/index.html",
}  # fmt: skip
INPUTS = ["results/compare/summary.ecsv", "results/compare/sim/6641-56383/r1-00158842.ecsv"]


def written_logs(folder, names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"10:00:00 INFO    start\n10:00:00 INFO    {LOGS[name]}\n", encoding="utf-8")
    return folder


def test_the_chain_is_what_jobs_read_and_wrote(tmp_path):
    """Protects the picture of the rules: what led to the report, with the jobs on record, no arrow that a longer way
    stands for, and the same whether what the report does not read is done before it or after."""
    chain = chain_of(written_logs(tmp_path / "a", LOGS), INPUTS)
    assert chain.jobs == {
        "simulate": 1, "download": 2, "extract_frame": 1, "compare": 1, "list_exposures": 1, "summarize": 1, "report": 1
    }  # fmt: skip
    assert sorted(chain.leads) == [
        ("compare", "summarize"), ("download", "extract_frame"), ("download", "list_exposures"),
        ("extract_frame", "compare"), ("list_exposures", "report"), ("simulate", "download"), ("summarize", "report"),
    ]  # fmt: skip
    later = [name for name in reversed(LOGS) if not name.startswith(("write_calib", "report"))]
    assert chain_of(written_logs(tmp_path / "b", later), INPUTS) == chain
    assert picture(chain_of(tmp_path / "none", INPUTS)) == ""


def test_the_picture_of_the_rules_is_readable(tmp_path):
    """Protects the picture: every rule in a box of its own within it, not wider than a phone where that can be, and the
    whole chain in words, with what could be taken for HTML as text."""
    chain = chain_of(written_logs(tmp_path, LOGS), INPUTS)
    many = {f"rule_{number:02d}": number for number in range(9)} | {"<b>": 1, "report": 1}
    wide = Chain(many, frozenset((name, "report") for name in many if name != "report"))
    for shown in (chain, wide):
        drawn = picture(shown)
        width, height = map(int, re.search(r'viewBox="-1 -1 (\d+) (\d+)"', drawn).groups())
        boxes = [tuple(map(int, box)) for box in re.findall(r'<rect x="(-?\d+)" y="(\d+)" width="110"', drawn)]
        assert len(boxes) == len(set(boxes)) == len(shown.jobs)
        assert all(0 <= x <= width - 110 and y <= height - 34 for x, y in boxes)
        assert not any(a != b and abs(a[0] - b[0]) < 110 and abs(a[1] - b[1]) < 34 for a in boxes for b in boxes)
        assert width < 440  # as much as a phone shows, and a little: what is wider scrolls by itself
        assert drawn.count('class="tip"') == len(shown.leads)
        assert "<b>" not in drawn
    assert 'viewBox="-1 -1 346 ' in picture(chain)
    assert 'role="img"' in picture(chain)
    assert "download (2 jobs) leads to extract_frame and list_exposures; " in picture(chain)


# ------------------------------------------------------------------------------------------------------ documentation

DOCUMENTS = read_documents(REPOSITORY / "docs")


def test_documentation_is_in_the_report():
    """Protects who reads a report offline: its pages have what they refer to, with links that lead somewhere, equations
    that are none of LaTeX any more, and in few bytes."""
    assert tuple(DOCUMENTS) == NAMES
    assert sum(len(document.html.encode()) for document in DOCUMENTS.values()) < 250_000
    for name, document in DOCUMENTS.items():
        source = headings(REPOSITORY / f"docs/{name}.md")
        assert document.title == source[0]
        assert set(document.headings) == set(map(anchor, source))
        assert set(re.findall(r'<h[2-4] id="([^"]+)"', document.html)) == set(list(document.headings)[1:])
        for target in re.findall(r'href="([^"]+)"', document.html):
            page, _, section = target.partition("#")
            if not target.startswith("https://"):
                assert not section or section in DOCUMENTS[page.removesuffix(".html") or name].headings, target
        assert "<math" in document.html
        plain = re.sub(r"<pre.*?</pre>|<code>.*?</code>", "", document.html, flags=re.DOTALL)
        assert not re.search(r"\$|\\[a-zA-Z]|<img|\.\./|<!--", plain)


def test_words_of_the_report_lead_to_sections_that_there_are():
    """Protects the links to the documentation: each page and section that templates and thresholds name is there."""
    named = 0
    files = [*TEMPLATES.glob("*.j2"), REPOSITORY / "src/bosscal/report/thresholds.yaml"]
    for words in (path.read_text(encoding="utf-8") for path in files):
        for name, section in re.findall(r"docs/(\w+)\.md(?:#([\w-]*))?", words):
            named += 1
            assert not section or section in DOCUMENTS[name].headings, (name, section)
    assert named > 15


def test_words_become_links_where_there_is_something_to_link():
    """Protects pages without the documentation, where words stay words, and readers from what words may hide."""
    words = "<b> docs/noise.md#the-laws, docs/noise.md and docs/figures.md"
    assert documented(words, DOCUMENTS, "pages/") == (
        '&lt;b&gt; <a href="pages/docs/noise.html#the-laws">noise, The laws</a>, '
        '<a href="pages/docs/noise.html">docs/noise.md</a> and docs/figures.md'
    )
    assert documented(words, {}, "") == "&lt;b&gt; docs/noise.md, docs/noise.md and docs/figures.md"
    assert read_documents(REPOSITORY / "nowhere") == {}
    hostile = document_of("# A\n\n<script>a</script> [b](../src/b.py) [c](javascript:c) ![d <e>](f.png)\n", set())
    assert not re.search("<(script|img|a|e)", hostile.html)
    assert "&lt;script&gt;" in hostile.html
    assert "left out here: d &lt;e&gt;." in hostile.html


# ------------------------------------------------------------------------------------------------------------ pages


def test_of_very_many_spectra_only_what_is_not_ok_has_a_page(monkeypatch):
    """Protects disks from a page for each of a survey's spectra; what is listed by itself, or stands out, has one."""
    monkeypatch.setattr(pages, "MOST_PAGES", 2)
    plate = Target("sim", 6641, 56383, 1, "red", "r1", 0, 158842, "frames", whole_plate=True)
    good, bad = [Status("ok", "noise")], [Status("bad", "noise", "is 3")]
    few = [pages.Judged(replace(plate, fiber=fiber), None, good) for fiber in (1, 2)]
    assert pages._with_pages(few) == few
    more = [
        *few,
        pages.Judged(replace(plate, fiber=3), None, bad),
        pages.Judged(replace(plate, whole_plate=False), None, good),
    ]
    assert pages._with_pages(more) == more[2:]
    second = [replace(each, target=replace(each.target, expnum=158843)) for each in few]
    assert pages._with_pages([*few, *second]) == few  # of each fiber the first exposure
    plot = by_fiber([(1, 1.0, "", "ok", "QSO"), (2, 1.0, "two.html", "look", "QSO")])
    assert plot.count("<a href") == 1


def test_points_of_a_plate_name_their_fibers_and_escape_what_files_say():
    """Protects plots without scripts: each point is a link with its fiber, and a hostile OBJTYPE is shown as text."""
    points = [
        (1, 1.02, "one.html", "ok", "QSO"),
        (2, np.ma.masked, "two.html", "bad", "<b>&"),
        (3, 9.0, "x", "look", ""),
    ]
    plot = by_fiber(points)
    assert plot.count("<circle") == 2
    assert "fiber 1 (QSO): 1.020, ok" in plot
    assert 'href="one.html"' in plot
    plane = focal_plane(points, {1: (0.0, 10.0), 2: (5.0, 5.0), 3: (np.nan, 0.0)})
    assert plane.count("<title>") == 2
    assert "&lt;b&gt;&amp;" in plane
    assert "<b>" not in plane
    assert focal_plane(points, {}) == ""


def test_residuals_of_a_plate_are_where_their_decade_is():
    """Protects the plot of residuals: a mark for either calibration in its place on a logarithmic axis, what is exact
    at the lower end, what is not known left out, a hostile OBJTYPE as text."""
    points = [
        Residual(1, 1e-7, 1e-3, "one.html", "ok", "QSO"),
        Residual(2, 0.0, 1e-5, "", "look", "<b>&"),
        Residual(3, np.ma.masked, np.nan, "three.html", "bad", "QSO"),
    ]
    plot = residuals_by_fiber(points)
    assert (plot.count("<circle"), plot.count("<rect"), plot.count("<a href")) == (2, 2, 1)
    assert "fiber 1 (QSO): exact 1.0e-07, tutorial 1.0e-03, ok" in plot
    assert "fiber 2 (&lt;b&gt;&amp;): exact 0, tutorial 1.0e-05, look" in plot
    exact, zero = (float(y) for y in re.findall(r'<circle[^>]*cy="([\d.]+)"', plot))
    coarse, fine = (float(y) + 2.2 for y in re.findall(r'<rect[^>]* y="([\d.]+)"', plot))
    assert coarse < fine < exact < zero
    assert fine - coarse == pytest.approx(exact - fine, abs=0.2)  # two decades each
    grid = {label: float(y) - 4 for y, label in re.findall(r'y="([\d.]+)" text-anchor="end">([^<]+)<', plot)}
    assert (grid["0"], grid["1e-7"], grid["1e-3"]) == pytest.approx((zero, exact, coarse), abs=0.11)
    assert residuals_by_fiber(points[2:]) == ""


def test_history_of_a_camera_goes_by_time():
    """Protects the trends: marks in the order of the starts, or of the exposure numbers where a start is not known;
    values upwards, and numbers on the axis that differ."""

    def moment(expnum, tai, value):
        return Moment("r1", expnum, tai, f"at {tai}", value, f"#r1-{expnum}", "ok")

    points = [moment(10, 5e9, 1.0), moment(11, 5e9 + 900, 1.001), moment(12, 5e9 + 9000, np.ma.masked),
              moment(13, 5e9 + 3600, 0.999)]  # fmt: skip
    plot = history("ratio", "{:.3f}", points)
    assert re.findall('href="([^"]+)"', plot) == ["#r1-10", "#r1-11", "#r1-13"]
    corners = [(float(x), float(y)) for x, y in re.findall(r'<rect class="[^"]*" x="([\d.]+)" y="([\d.]+)"', plot)]
    (first, at), (second, above), (last, below) = corners
    assert above < at < below
    assert second - first == pytest.approx((last - first) / 4, abs=0.2)
    assert "r1 #11, at 5000000900.0 TAI: 1.001, ok" in plot
    assert "+1.0 h" in plot
    labels = re.findall(r'text-anchor="end">(-?\d\.\d+)<', plot)
    assert len(set(labels)) == 3
    unknown = history("ratio", "{:.3f}", [*points[:2], replace(points[3], tai=None)])
    corners = [float(x) for x in re.findall(r'<rect class="[^"]*" x="([\d.]+)"', unknown)]
    assert corners[1] - corners[0] == pytest.approx(corners[2] - corners[1], abs=0.2)
    assert "#13" in unknown
    assert "TAI" not in unknown.partition("<rect")[0]
    same = history("read noise", "{:.2f}", [moment(10, None, 2.5), moment(11, None, 2.5)])
    assert len(set(re.findall(r'text-anchor="end">(-?\d\.\d+)<', same))) == 3
    assert ">0</text>" in history("exact", "{:.1e}", [moment(10, None, 0.0)])
    assert history("ratio", "{:.3f}", [points[2]]) == ""


def test_a_whole_plates_page_has_residuals_and_trends_and_few_bytes(plate_report):
    """Protects the page of a plate: every fiber of every exposure is a point of each plot that leads to its page, each
    exposure a point of the trends that leads to its fibers, and 28 camera exposures stay a page that opens."""
    path = plate_report / "pages/plate-sim-6641-56383.html"
    page = path.read_text(encoding="utf-8")
    plots = dict(re.findall(r'<svg[^>]*aria-label="([^",]+)[^"]*">(.*?)</svg>', page, re.DOTALL))
    assert {"Variance ratio by fiber", "The focal plane", "Residuals of the calibration by fiber"} <= set(plots)
    for expnum in (158842, 158843):
        links = re.findall(rf'href="(sim-6641-56383-(\d+)-r1-00{expnum}.html)"', page)
        assert all((plate_report / "pages" / link).is_file() for link, _ in links)
        assert {int(fiber) for _, fiber in links} == set(range(1, 26))
        assert f'id="r1-00{expnum}"' in page
        assert page.count(f'href="#r1-00{expnum}"') == 7  # six trends, and the table
    trend = next(plot for title, plot in plots.items() if title.startswith("measured over predicted variance"))
    first, second = (float(value) for value in re.findall(r"TAI: ([\d.]+), ", trend))
    assert first == pytest.approx(1.02 * second, abs=0.0011)
    assert len(plots["Residuals of the calibration by fiber"]) < 25 * 300
    assert "simulated" in page


def test_other_exposures_of_a_fiber_are_found_once(plate_report):
    """Protects the ways between exposures of a fiber, and from a fiber's own page among them."""
    page = (plate_report / "pages/sim-6641-56383-0007-r1-00158842.html").read_text(encoding="utf-8")
    assert re.findall('data-key="([^"]+)">', page) == ["sim/6641-56383-0007-r1-00158843"]


def test_what_others_wrote_is_what_they_published():
    """Protects the report from scripts that somebody changed: versions, licences and checksums are on record."""
    entries = yaml.safe_load((ASSETS / "vendored.yaml").read_text(encoding="utf-8"))
    for entry in entries:
        content = (ASSETS / entry["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"], entry["file"]
    listed = {entry["file"] for entry in entries}
    own = {"report.css", "report.js", "curves.js", "__init__.py", "vendored.yaml"}
    assert {path.name for path in ASSETS.iterdir() if path.is_file()} == listed | own
    for package in {entry["package"].partition("-")[0] for entry in entries}:
        assert any(entry["package"].startswith(package) and "LICENSE" in entry["file"] for entry in entries)


def test_nothing_is_asked_of_a_network():
    """Protects pages that are read offline: our own scripts, styles and templates name no server to load from."""
    for path in (*TEMPLATES.glob("*.j2"), *ASSETS.glob("[cr]*.[cj]s*")):
        for address in re.findall(r"""(?:src|url\(|import|fetch)\s*[=(]?\s*["']?(https?:[^"')]+)""", path.read_text()):
            pytest.fail(f"{path.name}: {address}")
    assert (REPOSITORY / "src/bosscal/report/thresholds.yaml").is_file()


# ------------------------------------------------------------------------------------------- faults in spec files


def judged_coadd(path, release, plate, mjd, fiber):
    """The statuses of the coadd of a spec file."""
    spectrum = read_coadd(path, "", release, plate, mjd, fiber)
    table = coadd_table(rebuild(spectrum, weights_of(spectrum.vers2d)))
    return judge(table[0], THRESHOLDS.coadds)


def wave(size):
    """A ripple of ten periods, as no flux distortion has it."""
    return np.sin(np.linspace(0, 20 * np.pi, size))


def scaled(column, factor, every=1):
    def put(data):
        data[column][::every] *= factor

    return put


def shifted(sigmas):
    def put(data):
        data["flux"][::20] += sigmas / np.sqrt(np.maximum(data["ivar"][::20], 1e-30))

    return put


def other_bits(every):
    def put(data):
        data["and_mask"][::every] ^= 1

    return put


def rippled(height):
    def put(data):
        data["sky"] *= 1 + height * wave(len(data))

    return put


@pytest.mark.parametrize(
    ("fault", "level", "words"),
    [
        (scaled("flux", 1), "ok", ""),
        (shifted(0.2), "look", "rebuilt less published flux"),
        (shifted(2), "bad", "rebuilt less published flux"),
        (scaled("ivar", 1.01, every=4), "look", "whose ivar is rebuilt to 1e-3 is 0.75"),
        (scaled("ivar", 1.01), "bad", "whose ivar is rebuilt to 1e-3 is 0,"),
        (other_bits(20), "look", "fraction of equal and-masks is 0.95"),
        (other_bits(2), "bad", "fraction of equal and-masks is 0.5"),
        (rippled(0.003), "look", "ln D about its quadratic"),
        (rippled(0.1), "bad", "ln D about its quadratic"),
    ],
)
def test_each_fault_of_a_coadd_changes_its_status(simulated_root, tmp_path, fault, level, words):
    """Protects the judgement of coadds from the file on: a published coadd that its exposures do not give is seen, as
    bad as it is, and said with the number."""
    with fits.open(simulated_root / simulation.spec_path(1)) as hdus:
        fault(hdus[1].data)
        hdus.writeto(tmp_path / "spec.fits")
    found = judged_coadd(tmp_path / "spec.fits", "sim", 6641, 56383, 1)
    assert worst(found) == level, reasons(found)
    assert words in "; ".join(reasons(found))


@pytest.mark.parametrize(("factor", "level"), [(1, "ok"), (1.05, "look"), (1.5, "bad")])
def test_a_fault_of_the_photometry_changes_the_status(real_data, tmp_path, factor, level):
    """Protects the judgement of SPECTROFLUX, which the simulated spec files do not have."""
    with fits.open(next((real_data / "sas/dr12").rglob("spec-4961-55719-0378.fits"))) as hdus:
        hdus[2].data["SPECTROFLUX"] *= factor
        hdus.writeto(tmp_path / "spec.fits")
    found = judged_coadd(tmp_path / "spec.fits", "dr12", 4961, 55719, 378)
    assert worst(found) == level, reasons(found)
    assert sum("SPECTROFLUX" in reason for reason in reasons(found)) == (3 if factor != 1 else 0)
