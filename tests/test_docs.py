"""The documentation against the code: links, names, steps, configurations, and the numbers it quotes."""

import importlib
import importlib.util
import re
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.io import fits
from conftest import REPOSITORY
from PIL import Image

from bosscal import simulation
from bosscal.calibration import budget
from bosscal.calibration.measurement import measure
from bosscal.noise.laws import LAWS, PREDICTIONS, label_of
from bosscal.noise.profile import effective_width
from bosscal.noise.sky import clipped_chi2, sky_term
from bosscal.results.comparison import compare_fibers, stack
from bosscal.results.prediction import predict
from bosscal.results.releases import compare_releases, pair_releases
from bosscal.run.configuration import read_configuration
from bosscal.run.releases import read_releases, spec_paths
from bosscal.survey.frames import read_frames
from bosscal.survey.paths import mask_bits
from bosscal.survey.spectra import read_all_exposures
from bosscal.survey.targets import parse_fibers, spectrograph

# The pages of what is computed; the others are about running it.
# (two of them, docs/arrays.md and docs/api.md, are made from the code).
ON_RUNNING = {REPOSITORY / "docs" / name for name in ("figures.md", "recipes.md", "survey.md", "arrays.md", "api.md")}
DOCS = sorted(set((REPOSITORY / "docs").glob("*.md")) - ON_RUNNING)
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")), *DOCS, *sorted(ON_RUNNING)
]  # fmt: skip
CONFIGS = sorted((REPOSITORY / "docs/configs").glob("*.yaml"))
RELEASES = read_releases(REPOSITORY / "workflow/releases.yaml", LAWS)
SEED = 20130402  # of the workflow's simulated plate


def by_name(path):
    return path.name


def text(path):
    """A page without its blocks of code."""
    return re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def headings(path):
    return re.findall(r"^#+ (.+)$", text(path), flags=re.MULTILINE)


def anchor(heading):
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def links(path):
    """(text, target) of every link and image."""
    return re.findall(r"\[([^][]*)\]\(([^()\s]+)\)", text(path))


def cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def tables(path):
    """Every table as a list of rows of cells, headings first and without the line below them."""
    blocks = re.findall(r"(?:^\|.*\n)+", text(path), flags=re.MULTILINE)
    return [[cells(line) for line in block.splitlines()] for block in blocks]


def table_of(path, heading):
    """The one table whose first column has this heading, as {first cell: {heading: cell}}."""
    return [
        {row[0].strip("* "): dict(zip(table[0], row, strict=True)) for row in table[2:]}
        for table in tables(path)
        if table[0][0] == heading
    ]


def numbers(cell):
    """The numbers of a cell such as "1.02 ± 0.03" or "1e-3 (2e-4)"."""
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", cell.replace("−", "-"))]


# ------------------------------------------------------------------------------------------------------- pages


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_links_lead_somewhere(page):
    """Protects readers from dead links: files and headings that are linked, and images, exist."""
    for _, target in links(page):
        if re.match(r"https?://", target):
            continue
        name, _, fragment = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        if fragment:
            assert fragment in map(anchor, headings(file)), target


@pytest.mark.parametrize("page", DOCS, ids=by_name)
def test_named_code_exists(page):
    """Protects the names of functions and classes: what is linked as `module.name` is in that module's file."""
    named = [(label, target) for label, target in links(page) if "src/bosscal/" in target]
    assert len(named) > 8
    for label, target in named:
        module_name, _, name = label.strip("`").rpartition(".")
        module = importlib.import_module(f"bosscal.{module_name}")
        assert Path(module.__file__) == (page.parent / target).resolve(), label
        assert hasattr(module, name), label


def test_docstrings_refer_to_headings():
    """Protects references from the code: every page, section and step that a docstring names exists."""
    found = set()
    for source in sorted((REPOSITORY / "src/bosscal").rglob("*.*")):
        if source.suffix not in (".py", ".j2"):
            continue
        content = source.read_text(encoding="utf-8")
        pages = {REPOSITORY / name for name in re.findall(r"\bdocs/\w+\.md", content)}
        assert all(page.exists() for page in pages), source
        known = [heading for page in pages for heading in headings(page)]
        for name in re.findall(r'\bsection\s+"([^"]+)"', content) if pages else ():
            assert name in known, (source, name)
            found.add(name)
        for number in re.findall(r"\bsteps? (\d)", content) if pages else ():
            assert any(heading.startswith(f"Step {number}:") for heading in known), (source, number)
            found.add(int(number))
    assert {"Trace sets", 2, 5, 6, 7} <= found


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_tables_and_math_are_well_formed(page):
    """Protects the rendering: rows as long as their headings, math that is closed, backslashes that Markdown keeps."""
    for table in tables(page):
        assert {len(row) for row in table} == {len(table[0])}, table[0]
    for paragraph in re.split(r"\n\s*\n", re.sub(r"`[^`]*`", "", text(page))):
        assert paragraph.count("$") % 2 == 0, paragraph
        for formula in re.findall(r"\$\$.*?\$\$|\$[^$]*\$", paragraph, flags=re.DOTALL):
            assert not re.search(r"\\[^a-zA-Z]", formula), formula


@pytest.mark.parametrize("page", DOCS, ids=by_name)
def test_pages_are_short_and_equations_unique(page):
    """Protects readability: 80 to 400 lines a page, no displayed equation twice."""
    content = page.read_text(encoding="utf-8")
    assert 80 <= content.count("\n") <= 400
    equations = re.findall(r"\$\$.*?\$\$", content, flags=re.DOTALL)
    assert len(equations) == len(set(equations))
    assert len(equations) > 5 or page.name in ("simulation.md", "coadd.md", "repeats.md")  # which have few of their own


@pytest.mark.parametrize("page", [*DOCS, REPOSITORY / "docs/figures.md"], ids=by_name)
def test_figures_say_what_makes_them(page):
    """Protects the figures' origin: each is followed by the command that makes a file of its name."""
    content = page.read_text(encoding="utf-8")
    images = re.findall(r"^!\[.*\]\(images/(\S+)\)\n\n(.*)\n", content, flags=re.MULTILINE)
    assert len(images) == content.count("![") > 0
    for name, origin in images:
        if script := re.search(r"python (docs/tables/\S+\.py)", origin):
            assert f"docs/images/{name}" in (REPOSITORY / script[1]).read_text(encoding="utf-8")
            continue
        config = re.search(r"snakemake .*--configfile (docs/configs/\S+\.yaml);", origin)[1]
        (release,) = read_config(REPOSITORY / config).releases
        assert f"results/figures/{release}/{name} " in origin
        plate, _, fiber = map(int, name.split("-")[:3])
        assert any((plate, fiber) == (shown, number) for shown, _, number in spectra(read_config(REPOSITORY / config)))


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_pages_name_nothing_of_one_machine(page):
    """Protects readers elsewhere: no absolute paths, no lines that are too long but in tables, math and images."""
    content = page.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.:/…])/(home|tmp|work|Users|root)/", content)
    for line in content.splitlines():
        assert len(line) <= 120 or line.startswith(("|", "$$", "![", "<!--")), line


def test_rooms_are_listed_and_imports_go_one_way():
    """Protects README.md and CONTRIBUTING.md: all rooms are listed, and the rule on imports that both quote holds."""
    package = REPOSITORY / "src/bosscal"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    pages = [(REPOSITORY / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")]
    assert set(re.findall(r"`…/(\w+)/`", pages[0])) == rooms
    assert set(table_of(REPOSITORY / "CONTRIBUTING.md", "room")[0]) == {f"`{room}`" for room in rooms}
    rule = r"base\s←\ssurvey\s←\scalibration\s←\snoise\s←\sresults\s←\sfigures,\sreport;\srun\sand\ssimulation\sstand"
    assert all(re.search(rule, page) for page in pages)
    order = ("base", "survey", "calibration", "noise", "results")
    allowed = {room: {*order[:place], room} for place, room in enumerate(order)}
    allowed |= {room: {*order, room} for room in ("figures", "report", "run", "simulation")}
    for path in package.rglob("*.py"):
        if path.parent != package:
            room = path.relative_to(package).parts[0]
            imported = re.findall(r"^\s*(?:from|import) bosscal\.(\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert set(imported) <= allowed[room], path


def test_every_script_is_a_step():
    """Protects "one thin script per step" in README.md: no script is left over, none is missing."""
    rules = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "workflow/rules").glob("*.smk"))
    scripts = {path.name for path in (REPOSITORY / "workflow/scripts").glob("*.py")}
    assert set(re.findall(r'"\.\./scripts/(\w+\.py)"', rules)) == scripts


def test_readme_names_the_files_of_a_run():
    """Protects the table of README.md: what it calls a file is an output of some rule."""
    content = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    section = content.partition("## What you get\n")[2].partition("\n## ")[0]
    named = re.findall(r"`(results/(?!logs|report)[^`…]+?)`", section)
    rules = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "workflow/rules").glob("*.smk"))
    outputs = set(re.findall(r'"(?:\{COMPARE\}|results/)[^"]+', rules))
    outputs = {output.strip('"').replace("{COMPARE}", "results/compare") for output in outputs}
    assert len(named) >= 8
    for name in named:
        pattern = name.replace("PPPP-MMMMM", "{plate_mjd}").replace("RELEASE", "{release}").replace("FFFF", "{fiber}")
        pattern = pattern.replace("CC-EEEEEEEE", "{exposure}").partition(".png")[0].removesuffix("-residuals")
        assert any(output.startswith(pattern) for output in outputs) or re.search(r"/sim/|NAME", name), name


@pytest.mark.parametrize("image", sorted((REPOSITORY / "docs/images").iterdir()), ids=by_name)
def test_images_are_small_and_used(image):
    """Protects the repository's size, and against images that no page shows."""
    assert image.stat().st_size < 300_000
    with Image.open(image) as opened:
        assert opened.format == "PNG"
    assert any(target.endswith(f"images/{image.name}") for page in PAGES for _, target in links(page))


# ---------------------------------------------------------------------------------------------- configurations


def read_config(path):
    return read_configuration(yaml.safe_load(path.read_text()), RELEASES, mask_bits())


def spectra(config):
    """(plate, mjd, fiber) of every fiber of a configuration."""
    return [(target.plate, target.mjd, fiber) for target in config.targets for fiber in parse_fibers(target.fibers)]


@pytest.mark.parametrize("path", CONFIGS, ids=by_name)
def test_configurations_are_valid(path):
    """Protects the documentation's configurations, and that they work for readers without our files."""
    config = read_config(path)
    assert config.data.url is None
    assert f"--configfile docs/configs/{path.name}" in path.read_text()
    assert any(f"docs/configs/{path.name}" in page.read_text(encoding="utf-8") for page in DOCS)


def test_configurations_of_the_readme_are_valid():
    """Protects those who copy from README.md: every list of targets in it is one that a run accepts."""
    blocks = re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    with_targets = [block for block in blocks if "targets:" in block]
    assert len(with_targets) >= 2
    for block in with_targets:
        assert read_configuration(yaml.safe_load(block), RELEASES, mask_bits()).releases


@pytest.mark.parametrize(("release", "which"), [("dr12", 0), ("dr14", 1), ("dr17", 2)])
def test_noise_tables_list_what_is_configured(release, which):
    """Protects the tables' completeness: a row for each band of each configured fiber, in that order."""
    config = read_config(REPOSITORY / f"docs/configs/noise-{release}.yaml")
    assert all((target.bands, target.exposures) == (("blue", "red"), (0,)) for target in config.targets)
    expected = [
        f"{plate}-{mjd}-{fiber:04d} {color}{spectrograph(fiber)}"
        for plate, mjd, fiber in spectra(config)
        for color in "br"
    ]
    assert list(table_of(REPOSITORY / "docs/noise.md", "spectrum")[which]) == expected


# ------------------------------------------------------------------------------------------------ quoted numbers


@pytest.fixture(scope="session")
def exposures(real_data):
    """Function: all exposures of one camera in a real full spec file, in the order of time."""

    @cache
    def of_file(release, plate, mjd, fiber):
        names = spec_paths(RELEASES[release], plate, mjd, fiber)
        name = next(name for name in names if (real_data / name[1:]).exists())
        by_camera = {}
        for exposure in read_all_exposures(real_data / name[1:], name, release, plate, mjd, fiber):
            by_camera.setdefault(exposure.header.camera, []).append(exposure)
        return {
            camera: sorted(found, key=lambda exposure: exposure.header.expnum) for camera, found in by_camera.items()
        }

    return lambda *spectrum, camera: of_file(*spectrum)[camera]


@pytest.fixture(scope="session")
def measurements(exposures):
    """Function: the same as measurements, each with what is predicted of the exposure."""

    def get(release, *spectrum, camera):
        for exposure in exposures(release, *spectrum, camera=camera):
            prediction = predict(exposure, RELEASES[release].noise_law, 0, RELEASES[release].thrucorr)
            yield measure(exposure, prediction.calib), prediction

    return get


def listed(release):
    """(plate, mjd, fiber, camera) of every row of a release's noise table."""
    for plate, mjd, fiber in spectra(read_config(REPOSITORY / f"docs/configs/noise-{release}.yaml")):
        for color in "br":
            yield plate, mjd, fiber, f"{color}{spectrograph(fiber)}"


@pytest.fixture(scope="session")
def measured(exposures):
    """The rows of the summary for every spectrum of the noise tables, by release and by the tables' names."""
    rows = {}
    for release in ("dr12", "dr14", "dr17"):
        for plate, mjd, fiber, camera in listed(release):
            exposure = exposures(release, plate, mjd, fiber, camera=camera)[0]
            table = compare_fibers(
                exposure, predict(exposure, RELEASES[release].noise_law, 0, RELEASES[release].thrucorr)
            )
            rows[release, f"{plate}-{mjd}-{fiber:04d} {camera}"] = table[0]
    return rows


PREDICTION = {label_of(prediction): prediction for prediction in PREDICTIONS}


@pytest.mark.parametrize(("release", "which"), [("dr12", 0), ("dr14", 1), ("dr17", 2)])
def test_noise_tables_are_what_the_code_gives(measured, release, which):
    """Protects every number of the two tables of real spectra in docs/noise.md."""
    for name, row in table_of(REPOSITORY / "docs/noise.md", "spectrum")[which].items():
        found = measured[release, name]
        for heading, cell in row.items():
            if heading in PREDICTION:
                ratio, *scatter = numbers(cell)
                assert ratio == pytest.approx(found[f"ratio_{PREDICTION[heading]}"], abs=6e-4), (name, heading)
                for value in scatter:
                    assert value == pytest.approx(found[f"scatter_{PREDICTION[heading]}"], abs=6e-4), (name, heading)
        assert found["noise_best"] == PREDICTION[row["closest"]], name
        floor, error = numbers(row["b [%]"])
        assert floor == pytest.approx(100 * found["fit_b"], abs=0.006), name
        assert error == pytest.approx(max(100 * found["fit_b_error"], 0.01), abs=0.006), name
        if "place" in row:
            assert int(row["place"]) == (found["fiber"] - 1) % 20 + 1


def test_fits_and_ratios_in_the_text(measured):
    """Protects the numbers that docs/noise.md takes from the fit, and the one definition of the tutorial's ratio."""
    bright, later = measured["dr12", "4961-55719-0378 b1"], measured["dr14", "6118-56189-0674 b2"]
    assert bright["fit_a"] == pytest.approx(1.041, abs=6e-4)
    assert bright["fit_c"] == pytest.approx(16.6, abs=0.06)
    assert later["fit_a"] == pytest.approx(1.177, abs=6e-4)
    for name in ("6118-56189-0674 b2", "6118-56189-0948 b2"):
        assert measured["dr14", name]["fit_b"] == pytest.approx(0.03, abs=5e-5)
        assert measured["dr14", name]["fit_b_error"] < 1e-4
    assert bright["evar_ratio_median"] == pytest.approx(1.03, abs=6e-3)
    assert all(row["evar_ratio_median"] == row["ratio_tutorial"] for row in measured.values())


def test_floor_that_is_taken_out(measurements):
    """Protects what docs/noise.md says the tutorial's ratio would be with the error floor left in."""
    found, _ = next(measurements("dr12", 4961, 55719, 378, camera="b1"))
    ratio = (found.variance + found.floor) / LAWS["tutorial"].variance(found)
    assert np.median(ratio[found.valid]) == pytest.approx(1.59, abs=6e-3)


def test_lowest_ratios(measurements):
    """Protects the comparison of 5201-0178 with the other blue DR12 spectra: without sky term the lowest 5 % end so."""
    ends = {}
    for *spectrum, camera in listed("dr12"):
        if camera[0] == "b":
            found, _ = next(measurements("dr12", *spectrum, camera=camera))
            ends[spectrum[0]] = np.quantile((found.variance / LAWS["optimal"].variance(found))[found.valid], 0.05)
    assert ends.pop(5201) == pytest.approx(0.98, abs=6e-3)
    assert [min(ends.values()), max(ends.values())] == pytest.approx([0.99, 1.01], abs=6e-3)


def test_order_of_quadrants_cannot_be_told(measured):
    """Protects what docs/noise.md says of the two orders: at most 0.016 apart, 26 times nearer to 1 against 28."""
    rows = [row for (release, _), row in measured.items() if release != "dr17"]
    image = np.array([row["noise_ratio_median"] for row in rows])
    other = np.array([row["noise_ratio_measured_order"] for row in rows])
    assert np.abs(image - other).max() == pytest.approx(0.016, abs=5e-4)
    nearer = np.sign(np.abs(image - 1) - np.abs(other - 1))
    assert [np.sum(nearer > 0), np.sum(nearer < 0)] == [26, 28]


def test_effective_widths_of_the_table():
    """Protects the table of W in docs/noise.md, at r = 2."""
    (table,) = table_of(REPOSITORY / "docs/noise.md", "N [electron]")
    for electrons, row in table.items():
        for heading, cell in list(row.items())[1:]:
            width = effective_width(float(electrons) / 4, numbers(heading)[0])
            assert float(cell) == pytest.approx(width, abs=6e-3)


def test_scale_of_the_tutorial(measurements):
    """Protects the answer to the notebook's question: W and the scale it stands for, in blue DR12 spectra."""
    widths, alone, needed = [], [], []
    for *spectrum, camera in listed("dr12"):
        if camera[0] == "b":
            found, _ = next(measurements("dr12", *spectrum, camera=camera))
            electrons = np.maximum(found.electrons, 0)
            width = effective_width(electrons / found.readnoise**2, found.sigma)[found.valid]
            excess = (found.variance - electrons) / (found.readnoise * found.sigma) ** 2
            widths.append(np.median(width))
            alone.append(np.sqrt(np.median(width)) / found.sigma.item())
            needed.append(np.sqrt(np.median(excess[found.valid])))
    for values, low, middle, high in ((widths, 4.6, 5.6, 6.3), (alone, 2.04, 2.28, 2.48), (needed, 2.6, 2.8, 3.1)):
        assert [min(values), np.median(values), max(values)] == pytest.approx([low, middle, high], abs=0.05)


def test_implied_chi2_of_5201(measurements):
    """Protects the explanation of the one DR12 spectrum that does not fit: its SKYCHI2 is not its variance's."""
    implied, header = [], []
    for found, _ in measurements("dr12", 5201, 55832, 178, camera="b1"):
        law, sky = LAWS["optimal"].variance(found), LAWS["optimal"].sky_variance(found)
        implied.append(np.mean((1 + (found.variance - law) / sky)[found.valid]))
        header.append(found.header.skychi2)
        assert np.quantile((found.variance / law)[found.valid], 0.05) == pytest.approx(0.975, abs=0.006)
    assert implied == pytest.approx([1.19, 1.18, 1.17, 1.18], abs=0.01)
    assert header == pytest.approx([1.55, 1.46, 1.39, 1.37], abs=0.005)


@pytest.mark.parametrize(
    ("plate", "mjd", "fiber", "sky_range", "least_object"),
    [(5201, 55832, 178, (0.51, 1.05), 0.93), (6148, 56209, 743, (0.76, 1.12), 0.98)],
)
def test_sky_of_two_releases_differs(exposures, measurements, plate, mjd, fiber, sky_range, least_object):
    """Protects what docs/noise.md says of v5_10: another sky than DR12's, the same object, what DR12's sky mends."""
    ratios, objects, mended = [], [], []
    for camera in (f"{color}{spectrograph(fiber)}" for color in "br"):
        dr12 = zip(
            exposures("dr12", plate, mjd, fiber, camera=camera),
            measurements("dr12", plate, mjd, fiber, camera=camera),
            strict=True,
        )
        dr14 = zip(
            exposures("dr14", plate, mjd, fiber, camera=camera),
            measurements("dr14", plate, mjd, fiber, camera=camera),
            strict=True,
        )
        for (old_exposure, (old, _)), (new_exposure, (new, _)) in zip(dr12, dr14, strict=True):
            good = (old_exposure.calib[0] > 0) & (old_exposure.ivar[0] > 0)

            def at_new(electrons, old_exposure=old_exposure, new_exposure=new_exposure, good=good):
                return np.interp(new_exposure.loglam[0], old_exposure.loglam[0][good], electrons[0, good])

            old_sky, old_object = at_new(old.sky_electrons), at_new(old.object_electrons)
            sky, target = new.sky_electrons[0], new.object_electrons[0]
            used = np.flatnonzero(new.valid[0])
            ratios += [sky[block].sum() / old_sky[block].sum() for block in np.array_split(used, 20)[1:-1]]
            objects.append(target[used].sum() / old_object[used].sum())
            if camera[0] == "r":
                law = LAWS["readnoise_weighted"]
                with_old = replace(new, electrons=new.object_electrons + old_sky, sky_electrons=old_sky[np.newaxis])
                term = sky_term(new.header.skychi2, law.sky_variance(with_old))
                mended.append(np.median((new.variance / (law.variance(with_old) + term))[new.valid]))
    assert (min(ratios), max(ratios)) == pytest.approx(sky_range, abs=0.006)
    assert min(objects) == pytest.approx(least_object, abs=0.005)
    assert max(objects) < 1
    low, high = (0.96, 1.03) if plate == 5201 else (1.14, 1.15)
    assert (min(mended), max(mended)) == pytest.approx((low, high), abs=0.006)


@pytest.fixture(scope="session")
def ratios(exposures, measurements):
    """(camera, ratio without, with sky term, ratios in eighths) of every camera exposure of a release's table."""

    @cache
    def of_release(release):
        law, found = LAWS[RELEASES[release].noise_law], []
        for plate, mjd, fiber, camera in listed(release):
            of_file = exposures(release, plate, mjd, fiber, camera=camera)
            if release == "dr14" and of_file[0].lambda_eff[0] == 4000:
                continue
            for measurement, prediction in measurements(release, plate, mjd, fiber, camera=camera):
                valid = measurement.valid[0]
                rows = np.flatnonzero(valid)
                if rows.size < 300:
                    continue
                of_law = law.variance(measurement)[0]
                ratio = measurement.variance[0] / (of_law + prediction.sky_variance[0])
                edges = rows[0] + (rows[-1] + 1 - rows[0]) * np.arange(9) // 8
                parts = [ratio[low:high][valid[low:high]] for low, high in pairwise(edges)]
                eighths = [np.median(part) if part.size > 20 else np.nan for part in parts]
                without = np.median((measurement.variance[0] / of_law)[valid])
                found.append((camera, without, np.median(ratio[valid]), eighths))
        return found

    return of_release


@pytest.mark.parametrize("release", ["dr12", "dr14", "dr17"])
def test_expected_law_of_every_camera_exposure(ratios, release):
    """Protects the two tables over all camera exposures in docs/noise.md, and so how well the laws do."""
    bands = {"blue": "b", "red": "r"}
    rows = re.findall(rf"^\| {release.upper()} \| (.+) \|$", (REPOSITORY / "docs/noise.md").read_text(), re.MULTILINE)
    tables = [[cell.strip() for cell in row.split(" | ")] for row in rows]
    assert len(tables) == 8
    for camera, *cells in tables:
        chosen = [found for found in ratios(release) if found[0].startswith(bands.get(camera, camera))]
        _, without, with_sky, eighths = zip(*chosen, strict=True)
        if len(cells) == 8:
            assert [float(cell) for cell in cells] == pytest.approx(np.nanmedian(eighths, axis=0), abs=0.006)
            continue
        deviation = np.median(np.abs(np.array(with_sky) - 1))
        assert int(cells[0]) == len(chosen)
        assert [float(cell) for cell in cells[1:]] == pytest.approx(
            [np.median(without), np.median(with_sky), deviation], abs=6e-4
        )


def test_chi2_at_the_red_end_is_the_same_for_all_fibers(measurements):
    """Protects the reason that docs/noise.md gives for the last eighth of red rows: chi² of the sky, whatever the light
    of the fiber."""
    ends, before, light = [], [], []
    for plate, mjd, fiber, camera in listed("dr14"):
        if plate == 6118 and camera[0] == "r":
            found, _ = next(measurements("dr14", plate, mjd, fiber, camera=camera))
            valid = np.flatnonzero(found.valid[0])
            chi2 = 1 + ((found.variance - LAWS["bundle"].variance(found)) / LAWS["bundle"].sky_variance(found))[0]
            last = valid[valid >= valid[0] + 7 * (valid[-1] - valid[0]) // 8]
            ends.append(np.median(chi2[last]))
            before.append(np.median(chi2[valid[valid < last[0]]]))
            light.append(np.median(found.electrons[0, last]))
    assert [min(light), max(light)] == pytest.approx([65, 793], abs=1)
    assert [min(ends), max(ends)] == pytest.approx([1.9, 2.4], abs=0.06)
    assert [min(before), max(before)] == pytest.approx([1.1, 1.3], abs=0.06)


def test_what_clipping_makes_of_skychi2():
    """Protects the table of SKYCHI2 in docs/noise.md."""
    (table,) = table_of(REPOSITORY / "docs/noise.md", "SKYCHI2")
    for name, row in table.items():
        for heading, cell in list(row.items())[1:]:
            found = clipped_chi2(float(heading), "blue" if name == "blue" else "red", name.startswith("half"))
            assert float(cell) == pytest.approx(found, abs=6e-3), (name, heading)


def test_scatter_of_a_bright_star(measured):
    """Protects what docs/noise.md says of the scatter in DR12: hardly any of it is that of the weights."""
    row = measured["dr12", "4961-55719-0378 b1"]
    assert row["noise_ratio_scatter"] == pytest.approx(0.019, abs=6e-4)
    assert row["noise_ratio_scatter_weights"] < 0.002


def test_calib_drops_in_two_rows(exposures):
    """Protects the evidence for step 2: nine two-phase files drop by 1/6 in two rows, the one-phase file nowhere."""
    targets = [("dr12", *target) for target in spectra(read_config(REPOSITORY / "docs/configs/noise-dr12.yaml"))]
    for *target, fiber in (*targets, ("dr14", 3586, 55181, 500)):
        depths, around = [], []
        for exposure in exposures(*target, fiber, camera=f"r{spectrograph(fiber)}"):
            first = 2063 - exposure.row[0]
            calib = exposure.calib[0].astype(float)
            depths.append(calib[first : first + 2] / np.interp([0, 1], [-1, 2], calib[[first - 1, first + 2]]))
            around.append([calib[row] / np.median(calib[row - 4 : row + 5]) for row in range(first - 50, first + 52)])
        low = np.flatnonzero(np.median(around, axis=0) < 0.93) + 2063 - 50
        if target[0] == "dr12":
            assert low.tolist() == [2063, 2064]
            assert np.all(np.abs(np.median(depths, axis=0) - 0.8595) < 0.008)  # 0.852 to 0.867
        else:
            assert low.size == 0


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """Function: camera exposures of the workflow's simulated plate."""
    root = tmp_path_factory.mktemp("plate")
    simulation.write_fluxdistort(root, SEED)
    for camera in ("b1", "r1"):
        simulation.write_flat(root, camera, SEED)

    @cache
    def get(camera, expnum):
        simulation.simulate_camera_exposure(root, camera, expnum, SEED)
        spframe, spcframe, *components = simulation.camera_exposure_paths(camera, expnum)
        names = [
            *(spframe, spcframe, simulation.flat_path(camera)), *components, simulation.fluxdistort_path(),
        ]  # fmt: skip
        return read_frames(
            [root / name for name in names], list(map(str, names)), "sim", simulation.PLATE, simulation.MJD
        )

    return get


@pytest.mark.parametrize(
    ("camera", "exposure", "columns"),
    [
        ("b1", 0, {"fiber 1, b1": 1, "fiber 486, b1": 486}),
        ("r1", 0, {"fiber 1, r1": 1, "fiber 343, r1": 343}),
    ],
)
def test_error_budget_is_what_the_code_gives(simulated, camera, exposure, columns):
    """Protects every number of the error budget in docs/calibration.md."""
    (table,) = table_of(REPOSITORY / "docs/calibration.md", "approximation")
    assert len(table) == len(budget.APPROXIMATIONS)
    whole = simulated(camera, simulation.EXPOSURES[exposure])
    for heading, fiber in columns.items():
        one = whole.take(slice(whole.index(fiber), whole.index(fiber) + 1))
        compared = measure(one, predict(one, "optimal").calib).compared
        found = budget.budget_table(one, budget.effects(one, compared), fiber)
        for row, label in zip(found, table, strict=True):
            known = budget.APPROXIMATIONS[row["approximation"]]
            expected = f"{known.quantity}, all together" if known.label == "all together" else known.label
            assert label == expected
            for number, name in zip(numbers(table[label][heading]), ("max_reldiff", "median_reldiff"), strict=False):
                assert number == float(f"{row[name]:.1e}"), (label, heading)


@pytest.mark.parametrize(("camera", "exposure"), [("b1", 0), ("r1", 0), ("r1", 1)])
def test_exact_model_gives_the_stored_numbers(simulated, camera, exposure):
    """Protects "to the last bit in all but a few pixels of a million" in README.md: flux, sky and inverse variance."""
    whole = simulated(camera, simulation.EXPOSURES[exposure])
    prediction, with_data = predict(whole, "optimal"), whole.ivar > 0
    for name in ("flux", "sky", "ivar"):
        ours, stored = getattr(prediction, name)[with_data], getattr(whole, name)[with_data]
        assert np.mean(ours != stored) < 1e-5
        np.testing.assert_allclose(ours, stored, rtol=1.2e-7)


def test_wrong_row_of_the_distortion(tmp_path):
    """Protects what docs/calibration.md says the notebook's row of the distortion would cost fibers above 500."""
    simulation.write_fluxdistort(tmp_path, SEED)
    distort = fits.getdata(tmp_path / simulation.fluxdistort_path()).astype(float)
    own, other = distort[500:], distort[:500]
    worst = (np.abs(own - other) / (own + other)).max(axis=1)
    assert worst.max() == pytest.approx(0.264, abs=5e-3)
    assert np.median(worst) == pytest.approx(0.069, abs=5e-4)


# ------------------------------------------------------------------------------------------ the simulated plate


@pytest.fixture(scope="session")
def simulated_curves():
    """The script that writes the table of curves, as a module."""
    path = REPOSITORY / "docs/tables/simulated_curves.py"
    specification = importlib.util.spec_from_file_location("simulated_curves", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def curves_of_page():
    """Rows of the table of curves in docs/simulation.md: cells after the curve's name."""
    (table,) = (table for table in tables(REPOSITORY / "docs/simulation.md") if table[0][0] == "curve")
    return [(row[0], row[1], [number for cell in row[2:] for number in numbers(cell)]) for row in table[2:]]


def test_simulated_curves_of_the_page(simulated_curves):
    """Protects the simulated plate's shapes: what docs/simulation.md says that each curve is in each figure."""
    found = {name: simulated_curves.simulated(*figure) for name, figure in simulated_curves.FIGURES.items()}
    rows = curves_of_page()
    assert len(rows) == len(simulated_curves.CURVES) * len(found)
    names = {label: curve for curve, label in simulated_curves.CURVES.items()}
    for label, figure, values in rows:
        fiber, camera = figure.split(", ")
        curve = found[f"{camera}-{int(fiber):03d}"][names[label]][1]
        # At the published wavelengths, which end inside the data: no more than what a curve has.
        assert curve.min() - 6e-4 <= values[2] <= values[3] <= curve.max() + 6e-4, (label, figure)


def test_simulated_curves_follow_the_published(simulated_curves, published_data):
    """Protects the likeness: every number of the table, and differences within what can be read off a figure."""
    rows = simulated_curves.table(published_data)
    for (label, figure, values), line in zip(curves_of_page(), simulated_curves.lines_of(rows)[2:], strict=True):
        assert values == [number for cell in cells(line)[2:] for number in numbers(cell)], (label, figure)
        limit = {"fiber flat": 0.025, "read noise": 0.02}.get(label, 0.007)
        assert values[4] < limit, (label, figure)


@pytest.mark.slow
def test_the_tutorials_numbers_on_the_simulated_plate(default_run):
    """Protects the table that puts the tutorial's published differences beside those of the simulated plate, and that
    they are alike: in the same figure the relative ones to 15 %, the absolute ones to 40 %."""
    (table,) = table_of(REPOSITORY / "docs/simulation.md", "spectrum")
    summary = default_run.table()
    assert len(summary) == len(table)
    for row in summary:
        cells_of_row = re.search(
            rf"\| fiber {row['fiber']}, {row['camera']} \|(.*)\|\n", (REPOSITORY / "docs/simulation.md").read_text()
        )[1]
        relative, ours, absolute, our_absolute = numbers(cells_of_row)
        assert ours == pytest.approx(row["tutorial_max_reldiff"], abs=6e-6)
        assert our_absolute == pytest.approx(row["tutorial_max_absdiff"], abs=6e-6)
        assert ours == pytest.approx(relative, rel=0.15)
        assert our_absolute == pytest.approx(absolute, rel=0.4)


# ------------------------------------------------------------------------------------- two releases, free strengths


def test_position_correction_of_two_spectra(exposures):
    """Protects the numbers of T in docs/calibration.md, and what they do to the noise of the later release."""
    laws = RELEASES["dr12"].noise_law, RELEASES["dr14"].noise_law
    found = {}
    for target, camera in (((6148, 56209, 743), "r2"), ((5201, 55832, 178), "r1")):
        of_releases = [exposures(release, *target, camera=camera) for release in ("dr12", "dr14")]
        found[target[0]] = compare_releases(pair_releases(*of_releases, laws))
    table = found[6148]
    assert [table["thrucorr_red"].min(), table["thrucorr_red"].max()] == pytest.approx([1.22, 1.34], abs=6e-3)
    assert [table["altitude"].min(), table["altitude"].max()] == pytest.approx([60, 67], abs=0.5)
    assert [table["noise_ratio"].min(), table["noise_ratio"].max()] == pytest.approx([1.08, 1.13], abs=6e-3)
    assert np.abs(table["noise_ratio_thrucorr"] - 1.02).max() < 6e-3
    table = found[5201]
    assert table["thrucorr_red"].max() == pytest.approx(2, abs=0.1)
    assert [table["noise_ratio"].min(), table["noise_ratio"].max()] == pytest.approx([1.14, 1.19], abs=6e-3)
    assert [table["noise_ratio_thrucorr"].min(), table["noise_ratio_thrucorr"].max()] == pytest.approx(
        [0.85, 0.90], abs=6e-3
    )


@pytest.mark.slow
def test_free_strengths_of_the_page(exposures, simulated):
    """Protects the table of free strengths in docs/noise.md: median and middle 68 % over blue camera exposures."""
    (table,) = table_of(REPOSITORY / "docs/noise.md", "spectra")
    for name, row in table.items():
        fits = []
        if name.startswith("simulated"):
            whole = simulated("b1", simulation.EXPOSURES[0])
            fits = compare_fibers(whole, predict(whole, RELEASES["sim"].noise_law))
        else:
            release = name.split()[0].lower()
            settings = RELEASES[release]
            for *spectrum, camera in listed(release):
                of_file = exposures(release, *spectrum, camera=camera) if camera[0] == "b" else []
                for exposure in of_file:
                    if release == "dr12" or exposure.lambda_eff[0] != 4000:
                        fits.append(
                            compare_fibers(exposure, predict(exposure, settings.noise_law, 0, settings.thrucorr))
                        )
            fits = stack(fits)
        for heading, column in (
            ("strength of the sky term", "fit_sky"), ("background [electron per pixel]", "fit_background"),
        ):  # fmt: skip
            quantiles = np.quantile(np.ma.asarray(fits[column]).compressed(), [0.5, 0.16, 0.84])
            assert numbers(row[heading]) == pytest.approx(quantiles, abs=0.006), (name, column)
