"""The documentation against the code: links, names, steps, configurations, and the numbers it quotes."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.io import fits
from conftest import REPOSITORY
from PIL import Image

from bosscal import budget, noise, simulation, surveyfiles
from bosscal.comparison import compare_fibers
from bosscal.config import check_config
from bosscal.exposure import select
from bosscal.mirror import mask_bits
from bosscal.noise_bundle import bundle_variance
from bosscal.pipeline import inverse
from bosscal.prediction import predict
from bosscal.tutorial import reconstruct
from bosscal.variance import LABELS, SKY_SUFFIX, extraction_variance, pixel_noise

DOCS = sorted((REPOSITORY / "docs").glob("*.md"))
PAGES = [REPOSITORY / "README.md", *DOCS]
CONFIGS = sorted((REPOSITORY / "docs/configs").glob("*.yaml"))
RELEASES = yaml.safe_load((REPOSITORY / "workflow/releases.yaml").read_text())
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
    assert len(named) > 10
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
    """Protects readability: 150 to 300 lines a page, no displayed equation twice."""
    content = page.read_text(encoding="utf-8")
    assert 150 <= content.count("\n") <= 300
    equations = re.findall(r"\$\$.*?\$\$", content, flags=re.DOTALL)
    assert len(equations) == len(set(equations)) > 5


@pytest.mark.parametrize("page", DOCS, ids=by_name)
def test_figures_say_what_makes_them(page):
    """Protects the figures' origin: each is followed by the command that makes a file of its name."""
    content = page.read_text(encoding="utf-8")
    images = re.findall(r"^!\[.*\]\(images/(\S+)\)\n\n(.*)\n", content, flags=re.MULTILINE)
    assert len(images) == content.count("![") > 0
    for name, origin in images:
        config = re.search(r"snakemake .*--configfile (docs/configs/\S+\.yaml);", origin)[1]
        assert f"results/figures/{name} " in origin
        plate, _, fiber = map(int, name.split("-")[:3])
        targets = yaml.safe_load((REPOSITORY / config).read_text())["targets"]
        assert any(target["plate"] == plate and fiber in target["fibers"] for target in targets)


@pytest.mark.parametrize("image", sorted((REPOSITORY / "docs/images").iterdir()), ids=by_name)
def test_images_are_small_and_used(image):
    """Protects the repository's size, and against images that no page shows."""
    assert image.stat().st_size < 300_000
    with Image.open(image) as opened:
        assert opened.format == "PNG"
    assert any(target.endswith(f"images/{image.name}") for page in PAGES for _, target in links(page))


# ---------------------------------------------------------------------------------------------- configurations


def read_config(path):
    schema = yaml.safe_load((REPOSITORY / "workflow/schemas/config.schema.yaml").read_text())
    return check_config(yaml.safe_load(path.read_text()), schema, RELEASES, mask_bits())


def spectra(config):
    """(plate, mjd, fiber) of every fiber of a configuration."""
    return [(target["plate"], target["mjd"], fiber) for target in config["targets"] for fiber in target["fibers"]]


@pytest.mark.parametrize("path", CONFIGS, ids=by_name)
def test_configurations_are_valid(path):
    """Protects the documentation's configurations, and that they work for readers without our files."""
    config = read_config(path)
    assert config["data"]["url"] is None
    assert f"--configfile docs/configs/{path.name}" in path.read_text()
    assert any(f"docs/configs/{path.name}" in page.read_text(encoding="utf-8") for page in DOCS)


@pytest.mark.parametrize(("release", "which"), [("dr12", 0), ("dr14", 1)])
def test_noise_tables_list_what_is_configured(release, which):
    """Protects the tables' completeness: a row for each band of each configured fiber, in that order."""
    config = read_config(REPOSITORY / f"docs/configs/noise-{release}.yaml")
    assert all(target["bands"] == ["blue", "red"] and target["exposures"] == [0] for target in config["targets"])
    expected = [
        f"{plate}-{mjd}-{fiber:04d} {color}{1 if fiber <= 500 else 2}"
        for plate, mjd, fiber in spectra(config)
        for color in "br"
    ]
    assert list(table_of(REPOSITORY / "docs/noise.md", "spectrum")[which]) == expected


# ------------------------------------------------------------------------------------------------ quoted numbers


def spec_path(real_data, release, plate, mjd, fiber):
    known = RELEASES[release]
    return (
        real_data
        / f"{known['sas_path'][1:]}/spectro/redux/{known['run2d']}/spectra/{plate}/spec-{plate}-{mjd}-{fiber:04d}.fits"
    )


def exposures(real_data, release, plate, mjd, fiber, camera):
    """All exposures of one camera in a full spec file, in the order of time."""
    path = spec_path(real_data, release, plate, mjd, fiber)
    for expnum in sorted(surveyfiles.read_exposures(path)[camera]):
        yield surveyfiles.read_spec(path, path.name, plate, mjd, fiber, camera, expnum)


def read(real_data, release, *which):
    """The same, with what is predicted for each."""
    for exposure in exposures(real_data, release, *which):
        yield exposure, predict(exposure, 0, RELEASES[release]["noise_law"])


@pytest.fixture(scope="module")
def measured(real_data):
    """The rows of the summary for every spectrum of the noise tables, by release and by the tables' names."""
    rows = {}
    for release in ("dr12", "dr14"):
        for plate, mjd, fiber in spectra(read_config(REPOSITORY / f"docs/configs/noise-{release}.yaml")):
            for camera in surveyfiles.read_exposures(spec_path(real_data, release, plate, mjd, fiber)):
                exposure, predicted = next(read(real_data, release, plate, mjd, fiber, camera))
                table = compare_fibers(exposure, predicted, RELEASES[release]["noise_law"])
                rows[release, f"{plate}-{mjd}-{fiber:04d} {camera}"] = table[0]
    return rows


PREDICTION = {label: law for law, label in LABELS.items()}
PREDICTION |= {f"{label} + sky": f"{law}{SKY_SUFFIX}" for label, law in PREDICTION.items()}


@pytest.mark.parametrize(("release", "which"), [("dr12", 0), ("dr14", 1)])
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


def test_order_of_quadrants_cannot_be_told(measured):
    """Protects what docs/noise.md says of the two orders: at most 0.019 apart, 31 times nearer to 1 against 21."""
    image = np.array([row["noise_ratio_median"] for row in measured.values()])
    other = np.array([row["noise_ratio_measured_order"] for row in measured.values()])
    assert np.abs(image - other).max() == pytest.approx(0.019, abs=5e-4)
    nearer = np.sign(np.abs(image - 1) - np.abs(other - 1))
    assert [np.sum(nearer > 0), np.sum(nearer < 0)] == [31, 21]


def test_effective_widths_of_the_table():
    """Protects the table of W in docs/noise.md, at r = 2."""
    (table,) = table_of(REPOSITORY / "docs/noise.md", "N [electron]")
    for electrons, row in table.items():
        for heading, cell in list(row.items())[1:]:
            width = noise.effective_width(float(electrons) / 4, numbers(heading)[0])
            assert float(cell) == pytest.approx(width, abs=6e-3)


def test_scale_of_the_tutorial(real_data, measured):
    """Protects the answer to the notebook's question: W and the scale it stands for, in blue DR12 spectra."""
    widths, alone, needed = [], [], []
    for release, name in measured:
        if release == "dr12" and name.endswith(("b1", "b2")):
            plate, mjd, fiber = map(int, name.split()[0].split("-"))
            exposure, arrays = next(read(real_data, release, plate, mjd, fiber, name[-2:]))
            readnoise, sigma = pixel_noise(exposure)
            electrons = np.maximum(arrays["electrons"], 0)
            variance = extraction_variance(exposure, arrays)
            valid = arrays["compared"] & (variance > 0)
            width = noise.effective_width(electrons / readnoise**2, sigma)[valid]
            widths.append(np.median(width))
            alone.append(np.sqrt(np.median(width)) / sigma)
            needed.append(np.sqrt(np.median(((variance - electrons) / (readnoise * sigma) ** 2)[valid])))
    for values, low, middle, high in ((widths, 4.6, 5.6, 6.3), (alone, 2.04, 2.28, 2.48), (needed, 2.6, 2.8, 3.1)):
        assert [min(values), np.median(values), max(values)] == pytest.approx([low, middle, high], abs=0.05)


def test_implied_chi2_of_5201(real_data):
    """Protects the explanation of the one DR12 spectrum that does not fit: its SKYCHI2 is not its variance's."""
    implied, header = [], []
    for exposure, arrays in read(real_data, "dr12", 5201, 55832, 178, "b1"):
        readnoise, sigma = pixel_noise(exposure)
        variance = extraction_variance(exposure, arrays)
        valid = arrays["compared"] & (variance > 0)
        law = noise.optimal_variance(arrays["electrons"], readnoise, sigma)
        sky = noise.optimal_variance(exposure.sky * inverse(exposure.calib), readnoise, sigma)
        implied.append(np.mean((1 + (variance - law) / sky)[valid]))
        header.append(exposure.header.skychi2)
        assert np.quantile((variance / law)[valid], 0.05) == pytest.approx(0.975, abs=0.006)
    assert implied == pytest.approx([1.19, 1.18, 1.17, 1.18], abs=0.01)
    assert header == pytest.approx([1.55, 1.46, 1.39, 1.37], abs=0.005)


@pytest.mark.parametrize(
    ("plate", "mjd", "fiber", "sky_range", "least_object"),
    [(5201, 55832, 178, (0.51, 1.05), 0.93), (6148, 56209, 743, (0.76, 1.12), 0.98)],
)
def test_sky_of_two_releases_differs(real_data, plate, mjd, fiber, sky_range, least_object):
    """Protects what docs/noise.md says of v5_10: another sky than DR12's, the same object, what DR12's sky mends."""
    ratios, objects, mended = [], [], []
    spectrograph = 1 if fiber <= 500 else 2
    for camera in (f"b{spectrograph}", f"r{spectrograph}"):
        both = [read(real_data, release, plate, mjd, fiber, camera) for release in ("dr12", "dr14")]
        for (old, _), (new, arrays) in zip(*both, strict=True):
            good = (old.calib[0] > 0) & (old.ivar[0] > 0)

            def old_electrons(name, old=old, new=new, good=good):
                electrons = (getattr(old, name) * inverse(old.calib))[0]
                return np.interp(new.loglam[0], old.loglam[0][good], electrons[good])

            sky, target = (getattr(new, name) * inverse(new.calib) for name in ("sky", "flux"))
            variance = extraction_variance(new, arrays)
            valid = arrays["compared"] & (variance > 0)
            used = np.flatnonzero(valid[0])
            old_sky = old_electrons("sky")
            ratios += [sky[0, block].sum() / old_sky[block].sum() for block in np.array_split(used, 20)[1:-1]]
            objects.append(target[0, used].sum() / old_electrons("flux")[used].sum())
            law, arguments = noise.readnoise_weighted_variance, pixel_noise(new)
            term = noise.sky_term(new.header.skychi2, law(old_sky, *arguments))
            if camera[0] == "r":
                mended.append(np.median((variance / (law(target + old_sky, *arguments) + term))[valid]))
    assert (min(ratios), max(ratios)) == pytest.approx(sky_range, abs=0.006)
    assert min(objects) == pytest.approx(least_object, abs=0.005)
    assert max(objects) < 1
    low, high = (0.96, 1.03) if plate == 5201 else (1.14, 1.15)
    assert (min(mended), max(mended)) == pytest.approx((low, high), abs=0.006)


def test_what_is_left_on_plate_6118(real_data):
    """Protects the additive rest that docs/noise.md leaves open, camera by camera."""
    rest = {}
    for plate, mjd, fiber in spectra(read_config(REPOSITORY / "docs/configs/noise-dr14.yaml")):
        for camera in (f"{color}{1 if fiber <= 500 else 2}" for color in "br") if plate == 6118 else ():
            exposure, arrays = next(read(real_data, "dr14", plate, mjd, fiber, camera))
            readnoise, sigma = pixel_noise(exposure)
            sky = exposure.sky * inverse(exposure.calib)
            of_sky = noise.readnoise_weighted_variance(sky, readnoise, sigma)
            expected = bundle_variance(arrays["electrons"], readnoise, sigma, fiber, sky)
            expected = expected + noise.sky_term(exposure.header.skychi2, of_sky)
            variance = extraction_variance(exposure, arrays)
            valid = arrays["compared"] & (variance > 0)
            excess = (variance - expected)[valid]
            rest.setdefault(camera, []).append((np.median(excess), np.median(excess / of_sky[valid])))
    found = {camera: np.median(values, axis=0).tolist() for camera, values in rest.items()}
    for camera, excess, of_chi2 in (("b1", 4, 0.08), ("b2", 7, 0.13), ("r1", -11, -0.07), ("r2", 32, 0.22)):
        assert found[camera][0] == pytest.approx(excess, abs=0.5)
        assert found[camera][1] == pytest.approx(of_chi2, abs=0.006)
    assert max(rest["b1"])[0] == pytest.approx(25, abs=0.5)


def test_calib_drops_in_two_rows(real_data):
    """Protects the evidence for step 2: nine two-phase files drop by 1/6 in two rows, the one-phase file nowhere."""
    targets = [("dr12", *target) for target in spectra(read_config(REPOSITORY / "docs/configs/noise-dr12.yaml"))]
    for *target, fiber in (*targets, ("dr14", 3586, 55181, 500)):
        depths, around = [], []
        for exposure in exposures(real_data, *target, fiber, f"r{1 if fiber <= 500 else 2}"):
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


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Reader of camera exposures of the workflow's simulated plate."""
    root = tmp_path_factory.mktemp("plate")
    simulation.write_fluxdistort(root, SEED)
    for camera in ("b1", "r1"):
        simulation.write_flat(root, camera, SEED)

    def get(camera, expnum):
        simulation.simulate_camera_exposure(root, camera, expnum, SEED)
        spframe, spcframe, spfluxcalib, spfluxcorr = simulation.camera_exposure_paths(camera, expnum)
        names = [
            spframe,
            spcframe,
            simulation.flat_path(camera),
            spfluxcalib,
            spfluxcorr,
            simulation.fluxdistort_path(),
        ]
        return surveyfiles.read_frames([root / name for name in names], names, simulation.PLATE, simulation.MJD)

    return get


@pytest.mark.parametrize(
    ("camera", "exposure", "columns"),
    [
        ("b1", 0, {"fiber 1, b1": 1}),
        ("r1", 0, {"fiber 1, r1": 1, "fiber 213, r1": 213}),
        ("r1", 1, {"fiber 1, r1, second exposure": 1}),
    ],
)
def test_error_budget_is_what_the_code_gives(simulated, camera, exposure, columns):
    """Protects every number of the error budget in docs/calibration.md."""
    (table,) = table_of(REPOSITORY / "docs/calibration.md", "approximation")
    assert len(table) == len(budget.APPROXIMATIONS)
    whole = simulated(camera, simulation.EXPOSURES[exposure])
    for heading, fiber in columns.items():
        one, _ = select(fiber, whole, {})
        found = budget.budget_table(one, budget.effects(one, reconstruct(one)["compared"]), fiber)
        for row, label in zip(found, table, strict=True):
            known = budget.APPROXIMATIONS[row["approximation"]]
            expected = f"{known.quantity}, all together" if known.label == "all together" else known.label
            assert label == expected
            for number, name in zip(numbers(table[label][heading]), ("max_reldiff", "median_reldiff"), strict=False):
                assert number == pytest.approx(row[name], rel=0.06, abs=1e-12), (label, heading)


def test_wrong_row_of_the_distortion(tmp_path):
    """Protects what docs/calibration.md says the notebook's row of the distortion would cost fibers above 500."""
    simulation.write_fluxdistort(tmp_path, SEED)
    distort = fits.getdata(tmp_path / simulation.fluxdistort_path()).astype(float)
    own, other = distort[500:], distort[:500]
    worst = (np.abs(own - other) / (own + other)).max(axis=1)
    assert worst.max() == pytest.approx(0.041, abs=5e-4)
    assert np.median(worst) == pytest.approx(0.012, abs=5e-4)
