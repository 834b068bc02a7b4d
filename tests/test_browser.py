"""The report in a real browser, offline: tables that sort, search and filter, curves that zoom, paper, and nothing that
an accessibility engine finds."""

import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from astropy import units
from astropy.table import Table
from test_survey_page import table_of, written

from bosscal.survey.paths import mask_bits

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTHS = (360, 768, 1280, 1920)
PATIENCE = 30_000  # ms


@pytest.fixture(scope="module")
def browser():
    """A browser of the system's; on Debian it is installed if it is not there."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], capture_output=True, check=False)
        found = shutil.which("chromium")
    if found is None:
        pytest.skip("there is no Chromium here, and none can be installed")
    with api.sync_playwright() as playwright:
        try:
            instance = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except api.Error as error:
            pytest.skip(f"{found} does not start here: {str(error).splitlines()[0]}")
        yield instance
        instance.close()


@pytest.fixture
def opened(browser):
    """Opens pages; afterwards, none may have complained or asked for anything but files."""
    complaints, contexts = [], []

    def open_page(path, width=1280, scheme="light", watched=True, **options):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, **options
        )
        contexts.append(context)
        page = context.new_page()
        if not watched:
            page.goto(path.resolve().as_uri())
            return page
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(("file:", "data:", "blob:")) else complaints.append(request.url)
            ),
        )
        page.goto(path.resolve().as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def report(default_run):
    return default_run.results / "report"


@pytest.fixture(scope="module")
def target_page(report):
    return report / "pages/sim-6641-56383-0001-r1-00158842.html"


def rows(page, table="#table-spectra"):
    """Text of the rows of a table that are shown."""
    return page.locator(f"{table} tbody tr").all_inner_texts()


def shows(page, number, first="", table="#table-spectra"):
    """Wait until a table has so many rows, the first of them with these words: it sorts and searches by itself."""
    from playwright.sync_api import expect

    found = page.locator(f"{table} tbody tr")
    expect(found).to_have_count(number, timeout=PATIENCE)
    expect(found.first).to_contain_text(first, timeout=PATIENCE)


def choice(page, name):
    """The list of values that the table of spectra is filtered by."""
    return page.locator(".filters label", has_text=name).locator("select").first


def test_the_table_sorts_searches_and_filters(opened, report):
    """Protects the way to one spectrum among many."""
    page = opened(report / "index.html")
    shows(page, 5)
    heading = page.locator("#table-spectra thead th", has_text="fiber").first
    heading.click()
    shows(page, 5, "-0001-")
    heading.click()
    shows(page, 5, "-0486-")
    page.locator("input[type=search]").first.fill("0486")
    shows(page, 2, "-0486-")
    page.locator("input[type=search]").first.fill("")
    choice(page, "OBJTYPE").select_option("QSO")
    shows(page, 2, "-0001-")
    choice(page, "camera").select_option("b1[0]")
    shows(page, 1, "-b1-")
    choice(page, "status").select_option("✓ ok")
    shows(page, 1, "-b1-")


def test_a_link_leads_to_the_target_and_on(opened, report):
    """Protects the ways between pages: to a target, to the next, to another exposure of the fiber, and back."""
    page = opened(report / "index.html")
    page.get_by_role("link", name="6641-56383-0001-b1-00158842").first.click()
    assert page.title().startswith("6641-56383-0001-b1-00158842")
    page.locator("a[rel=next]").click()
    assert page.title().startswith("6641-56383-0001-r1-00158842")
    page.get_by_role("link", name="b1[0]").click()
    assert page.title().startswith("6641-56383-0001-b1-00158842")
    page.get_by_role("link", name="Provenance").click()
    page.get_by_role("link", name="Thresholds").click()
    page.get_by_role("link", name="Report").click()
    assert page.title().startswith("From detected electrons")


def test_curves_zoom_and_tell_where_the_cursor_is(opened, target_page):
    """Protects the curves: all panels are drawn, dragging zooms all of them, the cursor names wavelength and row."""
    page = opened(target_page)
    page.wait_for_selector("#curves-here[data-drawn]")
    panels = page.locator(".uplot")
    assert panels.count() == 7
    over = panels.first.locator(".u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    told = panels.first.locator(".u-legend .u-value").first
    page.wait_for_function("() => document.querySelector('.u-legend .u-value').textContent.includes('row')")
    before = float(told.inner_text().split(" ")[0])
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 40, steps=5)
    page.mouse.up()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.wait_for_function(
        f"() => Math.abs(parseFloat(document.querySelector('.u-legend .u-value').textContent) - {before}) > 200"
    )


def series(page):
    """{panel: (wavelengths, {label: values})} of the curves that a page draws; NaN where there are none."""
    page.wait_for_selector("#curves-here[data-drawn]")
    found = page.evaluate(
        "bosscal.drawn.map(({panel, plot}) => [panel.title, plot.series.slice(1).map((each) => each.label), plot.data])"
    )
    return {
        title: (
            np.array(data[0]),
            {label: np.array(values, dtype=float) for label, values in zip(labels, data[1:], strict=True)},
        )
        for title, labels, data in found
    }


def tick(page, words, on=True):
    """Tick an exposure, or take the tick away, with the keyboard; wait until the page says what is drawn."""
    from playwright.sync_api import expect

    box = page.locator("#overlays input").first
    box.focus()
    page.keyboard.press("Space")
    expect(page.locator("#overlaid")).to_have_text(words, timeout=PATIENCE)
    assert box.is_checked() == on


def zoom(page, low, high):
    """Zoom to a range of wavelengths [Å]."""
    page.evaluate(f"bosscal.drawn.forEach(({{plot}}) => plot.setScale('x', {{min: {low}, max: {high}}}))")
    page.wait_for_function(f"() => bosscal.drawn.every(({{plot}}) => plot.scales.x.min === {low})")


def test_another_exposure_is_laid_over_every_panel(opened, target_page):
    """Protects comparisons of exposures: ticked, an exposure has its curves in every panel, with the values that its
    own page has at the nearest wavelength, at the zoom that there was; unticked, all is as before."""
    page = opened(target_page)
    own, other = series(page), series(opened(target_page.with_name(target_page.name.replace("-r1-", "-b1-"))))
    assert len(own) == len(other) == 7
    zoom(page, 5900, 6300)
    tick(page, "Dashed: b1[0] over 7 panels.")
    over = series(page)
    for title, (wavelengths, curves) in own.items():
        added = {
            label.removesuffix(", b1[0]"): values for label, values in over[title][1].items() if label not in curves
        }
        expected = list(curves) if title == "Components of the calibration" else list(curves)[:1]
        assert list(added) == expected, title
        theirs = other[title][0]
        for label, values in added.items():
            known = np.flatnonzero(np.isfinite(values))
            assert len(known) > 100, (title, label)
            for place in known:
                distance = np.abs(theirs - wavelengths[place])
                assert distance.min() < 2
                assert values[place] in other[title][1][label][distance < distance.min() + 1e-6], (title, label, place)
            within = (wavelengths > theirs[0]) & (wavelengths < theirs[-1]) & (wavelengths < 6200)
            assert np.isfinite(values[within]).mean() > 0.5
        for label, values in curves.items():
            np.testing.assert_array_equal(over[title][1][label], values)
    assert page.evaluate("bosscal.drawn.map(({plot}) => [plot.scales.x.min, plot.scales.x.max])") == [[5900, 6300]] * 7
    strokes = page.evaluate(
        "bosscal.drawn.map(({plot}) => plot.series.slice(1).map((each, place) => each.stroke(plot, place + 1)))"
    )
    for colors, (_, curves) in zip(strokes, own.values(), strict=True):
        assert not set(colors[len(curves) :]) & set(colors[: len(curves)])
    tick(page, "", on=False)
    assert {title: list(curves) for title, (_, curves) in series(page).items()} == {
        title: list(curves) for title, (_, curves) in own.items()
    }
    tick(page, "Dashed: b1[0] over 7 panels.")
    assert len(series(page)["Flux"][1]) == len(own["Flux"][1]) + 1


def test_an_exposure_whose_curves_are_gone_is_said(opened, target_page, tmp_path):
    """Protects a folder that lost a file: the page says which, and the tick goes."""
    shutil.copytree(target_page.parent, tmp_path / "pages")
    (tmp_path / "pages/data" / target_page.name.replace("-r1-", "-b1-").replace(".html", ".js")).unlink()
    page = opened(tmp_path / "pages" / target_page.name, watched=False)
    page.wait_for_selector("#curves-here[data-drawn]")
    tick(page, "b1[0] cannot be read: data/sim-6641-56383-0001-b1-00158842.js is not there.", on=False)


def saved(page, folder):
    """The table that a page saves, and the lines above it."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the numbers shown as CSV").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    text = path.read_text(encoding="utf-8")
    return path.name, Table.read(text, format="ascii.csv", comment="#"), re.findall("^# (.*)$", text, re.MULTILINE)


def test_the_numbers_shown_can_be_saved(opened, target_page, tmp_path):
    """Protects the numbers behind curves: the file has what is drawn, rounded by no more than it says, with units and
    the word simulated; zoomed, its rows; ticked, the other exposure."""
    page = opened(target_page)
    name, table, lines = saved(page, tmp_path)
    assert name == target_page.name.replace(".html", ".csv")
    assert lines[0] == "sim/6641-56383-0001-r1-00158842, simulated data"
    exact = Table.read(target_page.parent / "data" / target_page.name.replace(".html", ".ecsv"))
    assert f"; {len(exact)} of {len(exact)} rows" in lines[1]
    assert (table["row"] == exact["row"]).all()
    np.testing.assert_allclose(table["wavelength"], exact["wavelength"], atol=0.0051)
    assert set(exact.colnames) <= set(table.colnames)
    about = {line.partition(":")[0].partition(" ")[0]: line for line in lines[2:]}
    assert list(about) == table.colnames
    for column in set(exact.colnames) - {"row", "wavelength", "mask"}:
        step = float(about[column].rpartition("in steps of ")[2])
        (unit,) = re.findall(r"^\w+ \[(.*?)\]: ", about[column]) or [""]
        assert units.Unit(unit) == (exact[column].unit or units.dimensionless_unscaled), column
        lacking = np.ma.getmaskarray(exact[column])
        np.testing.assert_array_equal(np.ma.getmaskarray(table[column]), lacking)
        np.testing.assert_allclose(table[column][~lacking], exact[column][~lacking], rtol=1e-8, atol=0.501 * step)
    bits = mask_bits()
    for value, words in zip(exact["mask"].tolist(), np.ma.filled(table["mask"].astype(str), ""), strict=True):
        assert (words if words != "--" else "") == " ".join(
            name for name, bit in bits.items() if value & 0xFFFFFFFF & bit
        )
    tick(page, "Dashed: b1[0] over 7 panels.")
    zoom(page, 6000, 6200)
    _, table, lines = saved(page, tmp_path)
    assert 100 < len(table) < 300
    assert f"; {len(table)} of {len(exact)} rows" in lines[1]
    assert table["wavelength"].min() >= 6000
    assert table["wavelength"].max() <= 6200
    drawn = series(page)
    shown = np.isin(exact["row"], table["row"])
    np.testing.assert_allclose(
        np.ma.filled(table["flux_b1_00158842"].astype(float), np.nan), drawn["Flux"][1]["flux, b1[0]"][shown], rtol=1e-8
    )
    assert len(table.colnames) == 3 + sum(len(curves) for _, curves in drawn.values())


def test_a_plates_points_are_reached_by_mouse_and_keyboard(opened, plate_report):
    """Protects the way from a point to its page: the mouse names and follows it, the Tab key comes to each plot once,
    arrows go from fiber to fiber, and without scripts every point is a link of its own."""
    path = plate_report / "pages/plate-sim-6641-56383.html"
    page = opened(path)
    plots = page.locator("[aria-labelledby='r1-00158843'] svg")
    assert plots.count() == 3
    for plot in plots.all():
        assert plot.locator("a").count() >= 20
        assert plot.locator("a:not([tabindex='-1'])").count() == 1
    residuals = page.locator("[aria-labelledby='r1-00158843'] svg[aria-label^='Residuals']")
    residuals.locator("a").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.querySelector('title').textContent").startswith("fiber 2 (")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sim-6641-56383-0002-r1-00158843.html")
    page = opened(path)
    residuals = page.locator("[aria-labelledby='r1-00158842'] svg[aria-label^='Residuals']")
    residuals.locator("a[href*='-0011-'] rect").click()
    page.wait_for_url("**/sim-6641-56383-0011-r1-00158842.html")
    page = opened(path)
    page.locator("[aria-labelledby=trends] svg a[href='#r1-00158843'] rect").first.click()
    page.wait_for_url("**#r1-00158843")
    page = opened(path, java_script_enabled=False)
    assert page.locator("[aria-labelledby='r1-00158843'] svg a[tabindex]").count() == 0
    assert page.locator("[aria-labelledby=trends] tbody tr").count() == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_of_a_plate_fit_every_screen_and_reader(opened, plate_report, scheme):
    """Protects phones and readers with a screen reader: a plate's page, and that of a fiber with another laid over."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    for name in ("plate-sim-6641-56383.html", "sim-6641-56383-0007-r1-00158842.html"):
        for width in WIDTHS:
            page = opened(plate_report / "pages" / name, width, scheme, watched=False)
            if "plate-sim" not in name:
                page.wait_for_selector("#curves-here[data-drawn]")
                page.locator("summary", has_text="not rounded").click()
                tick(page, "Dashed: r1[1] over 7 panels.")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        found = axe.Axe().run(page)
        assert found.violations_count == 0, f"{name}\n{found.generate_report()}"


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_the_screen(opened, report, target_page, width):
    """Protects phones and large screens: only tables and code scroll sideways, by themselves."""
    for path in (
        report / "index.html",
        target_page,
        report / "pages/provenance.html",
        report / "pages/thresholds.html",
        report / "pages/docs/calibration.html",
    ):
        page = opened(path, width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name


def test_it_can_be_read_without_scripts(opened, report, target_page):
    """Protects readers whose browser runs none: tables and figures are there."""
    page = opened(report / "index.html", java_script_enabled=False)
    assert len(rows(page)) == 5
    page = opened(target_page, java_script_enabled=False)
    assert page.locator("figure img").count() == 3
    assert page.locator(".story svg").count() == 7
    page.get_by_role("link", name="calibration, Step 2: bin size").click()
    assert page.url.endswith("docs/calibration.html#step-2-bin-size")
    assert page.locator("math").first.bounding_box()["width"] > 0
    page.get_by_role("link", name="Provenance").click()
    page.get_by_role("img", name="calibrate (2 jobs) leads to compare and plot").wait_for(timeout=PATIENCE)


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_paper_loses_no_column(opened, report, paper, tmp_path):
    """Protects print: every cell of the widest table lies on the page."""
    page = opened(report / "index.html", width=790 if paper == "A4" else 816)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    right = page.evaluate(
        "Math.max(...Array.from(document.querySelectorAll('td, th'), (cell) => cell.getBoundingClientRect().right))"
    )
    assert right <= page.viewport_size["width"]
    page.pdf(path=tmp_path / "report.pdf", format=paper)
    assert (tmp_path / "report.pdf").stat().st_size > 10_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_accessibility_engine_finds_nothing(opened, report, target_page, scheme):
    """Protects readers with a screen reader, a keyboard or weak eyes: contrast, landmarks, names, alternatives."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    for path in (
        report / "index.html",
        target_page,
        report / "pages/provenance.html",
        report / "pages/thresholds.html",
        report / "pages/docs/calibration.html",
    ):
        page = opened(path, scheme=scheme, watched=False)  # the engine itself asks for styles, in vain
        if path == target_page:
            page.wait_for_selector("#curves-here[data-drawn]")
        found = axe.Axe().run(page)
        assert found.violations_count == 0, f"{path.name}\n{found.generate_report()}"


def test_hostile_words_are_shown_as_words(opened, default_run, tmp_path):
    """Protects the reader from what a configuration or a file may say: it is text on the page, and never runs."""
    workflow = default_run.copy(tmp_path)
    table = workflow.results / "compare/summary.ecsv"
    hostile = "<script>document.title='taken'</script>"
    content = table.read_text(encoding="utf-8")
    table.write_text(content.replace(" QSO ", f' "{hostile}" '), encoding="utf-8")
    workflow.run("--", "results/report/index.html")
    page = opened(workflow.results / "report/index.html")
    assert page.title() != "taken"
    assert any(hostile in row for row in rows(page))


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A survey's pages over forty plates, some of them in trouble, one with hostile words."""
    folder = tmp_path_factory.mktemp("survey")
    tables = [
        table_of(4000 + number, {"noise_ratio_median": 1 + 0.3 * (number % 7 == 3)}, mjd=55200 + 30 * number,
                 place=(110.0 + 3 * number, number), skychi2=2.5 if number == 20 else 1.1, simulated=True)
        for number in range(40)
    ]  # fmt: skip
    tables[20]["reasons"] = ["<script>document.title='taken'</script> is 3"]
    written(tables, folder)
    return folder


def test_the_survey_can_be_sorted_filtered_and_read_without_scripts(opened, survey):
    """Protects the way to one plate among thousands, with scripts and without."""
    page = opened(survey / "pages/plates.html")
    shows(page, 25, table="#table-plates")
    choice(page, "status").select_option("✗ bad")
    page.locator("#table-plates tbody tr", has_text="4020-55800").wait_for(timeout=PATIENCE)
    assert page.title().startswith("All plates")
    page = opened(survey / "pages/plates.html", java_script_enabled=False)
    assert len(rows(page, "#table-plates")) == 40
    page = opened(survey / "index.html", java_script_enabled=False)
    assert page.locator("svg use").count() == 40
    page.get_by_role("link", name="All plates").click()
    assert page.title().startswith("All plates")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_survey_fits_every_screen_and_reader(opened, survey, width, scheme):
    """Protects phones, large screens and readers with a screen reader, as the report's other pages do."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    for name in ("index.html", "pages/plates.html", "pages/thresholds.html"):
        page = opened(survey / name, width, scheme, watched=False)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        found = axe.Axe().run(page)
        assert found.violations_count == 0, f"{name}\n{found.generate_report()}"
