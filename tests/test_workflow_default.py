"""The shipped configuration end to end on the simulated plate: its files, and its numbers against the notebook's."""

import gzip
import importlib.util
import json
import re
import shutil
from html import unescape

import notebook
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from conftest import REPOSITORY, count_finished

from bosscal import simulation
from bosscal.base.arrays import Arrays
from bosscal.base.discovery import import_one
from bosscal.figures.kinds import OF_SPECTRA
from bosscal.figures.style import style
from bosscal.noise.laws.tutorial import tutorial_readnoise, tutorial_variance
from bosscal.report.docs import NAMES
from bosscal.results.prediction import Prediction
from bosscal.results.spectrum import read_spectrum
from bosscal.survey.exposure import CameraExposure
from bosscal.survey.targets import Target

pytestmark = pytest.mark.workflow

PLATE = "sim/6641-56383"
PLATE_FOLDER = "sas/sim/boss/spectro/redux/v5_7_0/6641"
CAMERAS = ("b1", "r1")


def target(camera, fiber):
    """A spectrum of the exposure that the default configuration asks for."""
    band = {"b": "blue", "r": "red"}[camera[0]]
    return Target("sim", 6641, 56383, fiber, band, camera, 0, 158842, "frames")


def spectrum(run, camera, fiber):
    """What the figures of a spectrum show."""
    exposure, prediction = (run.results / step / PLATE / f"{camera}-00158842.npz" for step in STEPS)
    return read_spectrum(exposure, prediction, target(camera, fiber))


STEPS = ("extract_frame", "calibrate")


# -------------------------------------------------------------------------------------------------------- files


def test_default_run_makes_these_jobs(default_run):
    """Protects the number of jobs of a first run: one download a file, one chain a camera exposure."""
    assert count_finished(default_run.output) == {
        "simulate_spec_lite": 1, "simulate_frames": 2, "simulate_flat": 2, "simulate_fluxdistort": 1,
        "download": 12, "list_exposures": 1, "extract_frame": 2, "calibrate": 2, "compare": 2,
        "write_calib": 2, "plot": 5, "summarize": 1, "report": 1,
    }  # fmt: skip
    assert "Exception" not in default_run.output


def test_default_run_makes_these_files(default_run):
    """Protects the names of what users and other programs look for, and against files that nobody announced."""
    names = ("0001-b1", "0001-r1", "0012-r1", "0486-b1", "0486-r1")
    suffixes = [f"{kind}.{form}" for kind in ("", "-budget", "-noise") for form in ("pdf", "png")]
    expected = {f"figures/sim/6641-56383-{name}-00158842{suffix}" for name in names for suffix in suffixes}
    expected |= {f"budget/{PLATE}/{name[5:]}-00158842-{name[:4]}.ecsv" for name in names}
    for camera in CAMERAS:
        exposure = f"{camera}-00158842"
        expected |= {f"{step}/{PLATE}/{exposure}.npz" for step in STEPS}
        expected |= {f"compare/{PLATE}/{exposure}.ecsv", f"calib/{PLATE}/spCalib-{exposure}.fits"}
    expected |= {"compare/summary.ecsv", "report/index.html"}
    others = {".lock", "benchmarks", "fetched", "inputs", "logs", "mirror", "simulated", "targets"}
    found = {path.relative_to(default_run.results) for path in default_run.results.rglob("*") if not path.is_dir()}
    made = {str(path) for path in found if path.parts[0] not in others}
    assert {path for path in made if not path.startswith("report/pages/")} == expected
    assert not [path for path in found if path.name.startswith(".partial-")]


def detailed_summary(run):
    """(output, log, inputs) of every file that a run's rules made, by Snakemake's own account."""
    lines = run.run("--detailed-summary").stdout.splitlines()
    begin = next(place for place, line in enumerate(lines) if line.startswith("output_file\t"))
    names = lines[begin].split("\t")
    for line in lines[begin + 1 :]:
        entry = dict(zip(names, line.split("\t"), strict=False))
        if entry.get("log-file(s)"):
            yield entry["output_file"], entry["log-file(s)"], entry["input-file(s)"].split(",")


def test_every_log_says_what_was_read_and_written(default_run):
    """Protects the means to see what a job did: each log is named after its output, ends with the time it took, and
    names every file that was read and written; every job has a benchmark too."""
    logs = {str(path.relative_to(default_run.folder)) for path in (default_run.results / "logs").rglob("*.log")}
    seen = set()
    for output, log, inputs in detailed_summary(default_run):
        text = (default_run.folder / log).read_text(encoding="utf-8")
        assert re.search(r"done in [0-9.]+ s\n$", text), log
        assert "wrote " in text or "/download/" in log, log
        for path in filter(None, [output, *inputs]):
            # The report only waits for these tables: of spec files, they stand for the npz beside them.
            assert path in text or (log.endswith("report.log") and path.startswith("results/compare/sim/")), (log, path)
        benchmark = log.replace("results/logs", "results/benchmarks").removesuffix(".log") + ".tsv"
        assert (default_run.folder / benchmark).stat().st_size, benchmark
        seen.add(log)
    assert seen == logs


def test_logs_and_benchmarks_are_where_the_outputs_are(default_run):
    """Protects finding the log of a file: below the rule's name, the same path."""
    for rule in ("extract_frame", "calibrate", "compare", "write_calib"):
        assert (default_run.results / f"logs/{rule}/{PLATE}/b1-00158842.log").exists()
        assert (default_run.results / f"benchmarks/{rule}/{PLATE}/b1-00158842.tsv").exists()
    assert (default_run.results / f"logs/plot/{PLATE}/b1-00158842-0001.log").exists()


def test_files_in_the_mirror_are_links(default_run):
    """Protects disks: a file:// mirror is linked, never copied."""
    files = [path for path in (default_run.results / "mirror").rglob("*") if not path.is_dir()]
    assert len(files) == 12
    assert all(path.is_symlink() for path in files)


def test_containers_read_back_whole(default_run):
    """Protects the documented names, shapes and types of the intermediate files."""
    exposure, prediction = (default_run.results / step / PLATE / "b1-00158842.npz" for step in STEPS)
    exposure, prediction = CameraExposure.read(exposure), Prediction.read(prediction)
    for container in (exposure, prediction):
        for name, field in container.FIELDS.items():
            array = container.arrays.get(name)
            assert array is not None or field.optional, name
            if array is not None:
                assert array.dtype == np.dtype(field.type_of(array)), name
                assert array.ndim == len(field.dimensions), name
    assert exposure.eflux.shape == exposure.flux.shape == exposure.loglam.shape == (500, 4112)
    assert prediction.calib.shape == prediction.sky_variance.shape == (500, 4112)
    assert exposure.loglam.dtype == np.float64
    assert exposure.distort.shape[0] == 500
    assert exposure.header.simulated
    assert len(exposure.header.inputs) == 6
    assert all(path.startswith("/sas/sim/") for path, _ in exposure.header.inputs)
    np.testing.assert_allclose(exposure.trace_set("wave")(exposure.row), exposure.loglam, atol=1e-12)
    assert (prediction.header.noise_law, prediction.header.mask_allow) == ("optimal_noisy", 0)


def test_no_output_holds_inf_or_nan(default_run):
    """Protects ivar = 0 as the only way to say "no data"."""
    for path in (default_run.results / "calibrate").rglob("*.npz"):
        for name, array in Arrays(path).items():
            assert array.dtype.kind == "U" or np.isfinite(array).all(), (path.name, name)
    for path in (default_run.results / "compare").rglob("*.ecsv"):
        table = Table.read(path)
        for name in table.colnames:
            if table[name].dtype.kind == "f":
                assert np.isfinite(np.ma.asarray(table[name]).compressed()).all(), (path.name, name)


def load(script):
    """A script of the workflow as a module, without Snakemake."""
    specification = importlib.util.spec_from_file_location(f"script_{script.stem}", script)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


SCRIPTS = sorted((REPOSITORY / "workflow/scripts").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_scripts_can_be_imported(script):
    """Protects using a step from elsewhere: a script without Snakemake defines ``main``, and runs nothing."""
    assert callable(load(script).main)


def test_every_script_is_of_a_rule():
    """Protects against scripts that no rule runs any more."""
    rules = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "workflow/rules").glob("*.smk"))
    assert {script.name for script in SCRIPTS} == set(re.findall(r'"\.\./scripts/(\w+\.py)"', rules))
    # The digest among a rule's parameters is that of its own script.
    for rule in re.split(r"^(?:rule|checkpoint) ", rules, flags=re.MULTILINE)[1:]:
        for name in re.findall(r'code=code\("(\w+\.py)"\)', rule):
            assert f'"../scripts/{name}"' in rule, rule.partition(":")[0]


def test_scripts_called_by_hand_make_the_same_bytes(default_run, tmp_path):
    """Protects the steps as plain functions of files: called without Snakemake they write what the workflow wrote."""
    results = default_run.results
    exposure, prediction, table = (
        f"{step}/{PLATE}/r1-00158842.{suffix}"
        for step, suffix in (("extract_frame", "npz"), ("calibrate", "npz"), ("compare", "ecsv"))
    )
    header = CameraExposure.read(results / exposure).header
    names = [name for name, _ in header.inputs]
    frames = [results / f"mirror{name}" for name in names]
    scripts = {script.stem: load(script) for script in SCRIPTS}
    scripts["extract_frame"].main(frames, names, "sim", 6641, 56383, tmp_path / exposure)
    scripts["calibrate"].main(tmp_path / exposure, "optimal_noisy", 0, False, tmp_path / prediction)
    scripts["compare"].main(tmp_path / exposure, tmp_path / prediction, tmp_path / table)
    for name in (exposure, prediction, table):
        assert (tmp_path / name).read_bytes() == (results / name).read_bytes(), name


# ------------------------------------------------------------------------------------------------------ numbers


@pytest.fixture(scope="module")
def fibers_to_check(default_run):
    """The targets, one fiber of every kind, dead and unplugged ones too, and some at random."""
    table = default_run.table(f"{PLATE}/b1-00158842")
    of_each_kind = [int(table["fiber"][table["objtype"] == objtype][1]) for objtype in np.unique(table["objtype"])]
    without_data = list(table["fiber"][table["npix"] == 0][:2])
    assert without_data
    random = np.random.default_rng(3).choice(np.arange(1, 501), 12, replace=False)
    return [int(fiber) for fiber in {1, 12, 486, 500, *of_each_kind, *without_data, *random}]


@pytest.fixture(scope="module")
def unpacked_plate(default_run, tmp_path_factory):
    """The plate's files under their names, but not compressed: the notebook opens each for every fiber."""
    folder = tmp_path_factory.mktemp("unpacked")
    for path in (default_run.results / "simulated" / PLATE_FOLDER).iterdir():
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as packed, open(folder / path.name, "wb") as out:
            shutil.copyfileobj(packed, out, 1 << 24)
    return folder


@pytest.mark.parametrize("camera", CAMERAS)
def test_whole_chain_equals_the_notebook_fiber_by_fiber(default_run, unpacked_plate, fibers_to_check, camera):
    """Protects the vectorised arithmetic, the readers and the containers: all equal a plain run of the notebook's
    steps on the FITS files, for every kind of fiber, dead ones included."""
    table = default_run.table(f"{PLATE}/{camera}-00158842")
    assert list(table["fiber"]) == list(range(1, 501))
    for fiber in fibers_to_check:
        expected = notebook.plot_calib(unpacked_plate, 6641, 56383, camera, 158842, 158840, fiber)
        row = table[fiber - 1]
        assert row["objtype"] == expected["objtype"]
        assert row["npix"] == expected["npix"]
        assert [row[f"rdnoise{i}"] for i in range(4)] == pytest.approx(list(expected["readnoise_per_quad"]))
        for name, column in (
            ("max_absdiff", "tutorial_max_absdiff"),
            ("max_reldiff", "tutorial_max_reldiff"),
            ("evar_ratio_median", "evar_ratio_median"),
        ):
            if expected["npix"] == 0:
                assert np.ma.is_masked(row[column]), (fiber, column)
            else:
                assert row[column] == pytest.approx(float(expected[name]), rel=1e-6), (fiber, column)
        ours = notebook_arrays(spectrum(default_run, camera, fiber))
        for name in ("electrons", "readnoise", "evar", "evar_pred", "var", "var_pred", "flat", "bin_ratio", "distort"):
            wanted = np.ma.filled(np.ma.asarray(expected[name], dtype=float), np.nan)
            usable = np.isfinite(wanted)
            np.testing.assert_allclose(ours[name][usable], wanted[usable], rtol=2e-6, err_msg=name)
        for name in ("calib_applied", "calib_predicted"):
            wanted = np.ma.filled(expected[name], 0.0)
            usable = np.ma.filled(expected["calib_applied"] > 0, False)
            np.testing.assert_allclose(ours[name][usable], wanted[usable], rtol=1e-12, err_msg=name)


def notebook_arrays(found):
    """Of a spectrum, what the notebook computes, by the notebook's names."""
    measurement, tutorial, sigma = found.measurement, found.tutorial, found.exposure.profile_width
    arrays = {
        "electrons": measurement.electrons,
        "readnoise": tutorial_readnoise(measurement.readnoise, sigma),
        "evar": measurement.variance,
        "evar_pred": tutorial_variance(measurement.electrons, measurement.readnoise, sigma),
        "flat": measurement.flat,
    }
    arrays |= {
        name: getattr(tutorial, name) for name in ("var", "var_pred", "bin_ratio", "calib_applied", "calib_predicted")
    }
    arrays["distort"] = tutorial.distort_at_rows
    return {name: array[0] for name, array in arrays.items()}


@pytest.mark.parametrize("camera", CAMERAS)
def test_exact_model_reproduces_flux_ivar_and_calibration(default_run, camera):
    """Protects the exact model on every fiber: flux, ivar, calibration to float32 precision, every pixel counted."""
    table = default_run.table(f"{PLATE}/{camera}-00158842")
    live = table["npix"] > 0
    assert live.sum() > 480
    for name in ("pipeline_max_reldiff", "flux_max_reldiff", "ivar_max_reldiff"):
        assert not np.ma.is_masked(table[name][live])
        assert table[name][live].max() < 1e-6
    total = sum(table[name] for name in ("npix", "npix_nodata", "npix_masked", "npix_uncalibrated"))
    assert set(total) == {4112 if camera == "b1" else 4128}


@pytest.mark.parametrize("camera", CAMERAS)
def test_noise_of_every_live_fiber_is_explained(default_run, camera):
    """Protects the noise model, sky-subtraction term included: within 1 % for every fiber that has light."""
    table = default_run.table(f"{PLATE}/{camera}-00158842")
    ratio = np.ma.asarray(table["noise_ratio_median"]).compressed()
    assert len(ratio) > 480
    assert np.abs(ratio - 1).max() < 0.01
    assert set(np.ma.asarray(table["noise_best"]).compressed()) <= {
        "optimal_sky", "optimal_noisy_sky", "tutorial_sky",
    }  # fmt: skip


def test_summary_has_the_targets_in_order_with_units(default_run):
    """Protects the table that other programs read: order of the configuration, units, descriptions."""
    summary = default_run.table()
    assert [tuple(row) for row in summary["release", "fiber", "camera", "expidx", "expnum", "objtype"]] == [
        ("sim", 1, "b1", 0, 158842, "QSO"), ("sim", 1, "r1", 0, 158842, "QSO"), ("sim", 486, "b1", 0, 158842, "SKY"),
        ("sim", 486, "r1", 0, 158842, "SKY"), ("sim", 12, "r1", 0, 158842, "SKY"),
    ]  # fmt: skip
    assert summary["rdnoise0"].unit == "electron"
    assert summary["simulated"].all()
    assert all(column.info.description for column in summary.itercols())
    # the tutorial's finding: 2 % in red, at the two-phase jump, and below 0.2 % in blue
    red = summary["camera"] == "r1"
    assert np.all((summary["tutorial_max_reldiff"][red] > 0.019) & (summary["tutorial_max_reldiff"][red] < 0.022))
    assert np.all(summary["tutorial_max_reldiff"][~red] < 0.002)
    assert list(summary["evar_ratio_median"]) == list(summary["ratio_tutorial"])


def test_calib_file_reads_back_and_equals_the_calib_column(default_run, tmp_path):
    """Protects the spCalib file: units in every HDU, flux from electrons and back, and the same calibration per
    detected electron as a full spec file's own column."""
    path = default_run.results / "calib" / PLATE / "spCalib-r1-00158842.fits"
    server = default_run.copy(tmp_path / "copy").results / "simulated"
    seed = fits.getheader(server / simulation.flat_path("r1"))["SIMSEED"]
    for camera in CAMERAS:
        simulation.simulate_camera_exposure(server, camera, 158843, seed)
    simulation.write_spec(server, 1)
    with fits.open(server / simulation.spec_path(1)) as hdus:
        spec = next(hdu for hdu in hdus[4:] if hdu.name.startswith("R1-00158842")).data
    with fits.open(path) as hdus:
        assert hdus[0].header["SIMULATD"]
        assert hdus[0].header["RELEASE"] == "sim"
        assert hdus[0].header["NOISELAW"] == "optimal_noisy_sky"
        assert any("SHA-1" in line for line in hdus[0].header["HISTORY"])
        for name in ("LOGLAM", "CALIB", "ADDITIVE", "ELECTRONS", "SKY", "EVAR", "EVARPRED", "EVARSKY"):
            assert hdus[name].header["BUNIT"]
            assert hdus[name].data.shape == (500, 4128)
            assert np.isfinite(hdus[name].data).all()
        assert list(hdus["PLUGMAP"].data["FIBERID"]) == list(range(1, 501))
        first = np.flatnonzero(np.float32(hdus["LOGLAM"].data[0]) == spec["loglam"][0])[0]
        rows = slice(first, first + len(spec))
        with_calib = spec["calib"] > 0
        assert with_calib.sum() > 2500
        calib = hdus["CALIB"].data[0, rows].astype(float)
        np.testing.assert_allclose(calib[with_calib], spec["calib"][with_calib], rtol=1e-6)
        electrons = hdus["ELECTRONS"].data[0, rows] - hdus["SKY"].data[0, rows].astype(float)
        flux = electrons * calib + hdus["ADDITIVE"].data[0, rows]
        np.testing.assert_allclose(flux[with_calib], spec["flux"][with_calib], rtol=2e-4, atol=1e-4)


# ---------------------------------------------------------------------------------------------- figures, report


@pytest.mark.parametrize("fiber", [1, "dead"])
def test_figures_have_units_and_say_simulated(default_run, fiber):
    """Protects figures that leave the report: every axis has a unit or is a ratio, the data are called simulated, and
    a fiber without data says why it has none."""
    table = default_run.table(f"{PLATE}/r1-00158842")
    fiber = int(table["fiber"][table["npix"] == 0][0]) if fiber == "dead" else fiber
    found = spectrum(default_run, "r1", fiber)
    with_unit = re.compile(
        r"\[.+\]|correction|predicted variance|[Rr]elative difference|robust scatter|CCD row", re.DOTALL
    )
    texts = ""
    for kind in OF_SPECTRA:
        with style():
            figure = import_one("bosscal.figures", kind.module).draw(found)
            figure.draw_without_rendering()
        words = [text.get_text() for text in figure.texts]
        assert "SIMULATED DATA" in words
        texts += "".join(words)
        for axes in figure.axes:
            assert with_unit.search(axes.get_xlabel()), (kind.module, axes.get_xlabel())
            assert not axes.get_ylabel() or with_unit.search(axes.get_ylabel()), (kind.module, axes.get_ylabel())
        assert (figure.axes == []) == (fiber != 1)
    assert ("BADTRACE" in texts) == (fiber != 1)


def test_report_stands_alone_and_says_simulated(default_run):
    """Protects a report that is read from a folder: every link leads to a file among the results, none to a network,
    and there is no doubt about what the data are."""
    report = default_run.results / "report"
    pages = [report / "index.html", *(report / "pages").glob("*.html")]
    assert len(pages) == 1 + 5 + 2
    documents = list((report / "pages/docs").glob("*.html"))
    assert {path.stem for path in documents} == set(NAMES)
    linked = set()
    for page in pages:
        html = page.read_text(encoding="utf-8")
        for link in re.findall(r'(?:src|href)="([^"#]+)', html):
            if not link.startswith("data:"):
                linked.add((page.parent / link).resolve())
        assert "Simulated data: every number and figure" in html
        assert str(default_run.folder) not in html
    assert all(path.is_file() for path in linked), sorted(linked)
    assert {path for path in documents if path.stem in ("calibration", "noise", "coadd", "simulation")} <= linked
    images = {path for path in linked if path.suffix in (".png", ".pdf")}
    assert images == set((default_run.results / "figures").resolve().rglob("*.p*"))
    assert "The tutorial's numbers" not in (report / "index.html").read_text("utf-8")  # those are of the real plate
    row = default_run.table()[0]
    page = (report / f"pages/sim-6641-56383-{row['fiber']:04d}-{row['camera']}-00158842.html").read_text("utf-8")
    for alt in re.findall(r'alt="([^"]+)', page):  # for who cannot see the figures
        assert f": {row['npix']} pixels compared" in alt
        assert f"variance {row['noise_ratio_median']:.3f}" in alt
    provenance = (report / "pages/provenance.html").read_text("utf-8")
    for step in ("simulate (6 jobs) leads to download;", "calibrate (2 jobs) leads to compare and plot;"):
        assert step in provenance
    jobs = dict(re.findall(r"<tr><td>(\w+)</td><td>(\d+)</td>", provenance))
    assert jobs.items() >= {"simulate": "6", "compare": "2", "summarize": "1"}.items()
    assert "report" not in jobs  # that is not done yet
    for name in ("numpy", "snakemake", "spFrame-b1-00158842.fits.gz", "extract_frame", "there is nothing to cite"):
        assert name in provenance


def test_a_whole_plates_page_says_how_its_numbers_are_had(default_run, plate_report, tmp_path, monkeypatch):
    """Protects the way to the numbers behind the curves of a fiber that has no table: the lines of Python that its page
    shows write the table that a listed target has."""
    name = "sim-6641-56383-0001-r1-00158842"
    page = (plate_report / f"pages/{name}.html").read_text(encoding="utf-8")
    assert not (plate_report / f"pages/data/{name}.ecsv").exists()
    (lines,) = re.findall(r"<pre[^>]*>(from bosscal.*?)</pre>", page, re.DOTALL)
    (tmp_path / "results").symlink_to(default_run.results)
    monkeypatch.chdir(tmp_path)
    exec(compile(unescape(lines), name, "exec"), {})
    found, listed = Table.read(f"{name}.ecsv"), Table.read(default_run.results / f"report/pages/data/{name}.ecsv")
    assert found.colnames == listed.colnames
    for column in found.colnames:
        np.testing.assert_array_equal(np.ma.filled(found[column], -1), np.ma.filled(listed[column], -1))
        assert found[column].unit == listed[column].unit


def test_default_run_is_ok(default_run):
    """Protects the first look: of the shipped configuration nothing is bad, and its table says so too."""
    table = Table.read(default_run.results / "report/pages/summary.ecsv")
    assert set(table["status"]) == {"ok"}
    assert len(table) == 5
    assert (default_run.results / "report/pages/summary.csv").read_text("utf-8").count("\n") == 6
    size = sum(path.stat().st_size for path in (default_run.results / "report").rglob("*") if path.is_file())
    assert size < 6_000_000


def embedded(html, name):
    """What Snakemake's report holds under a name, as JSON."""
    start = f"var {name} = "
    (place,) = (match.end() for match in re.finditer(re.escape(start) + r'(?={"results/|{"\w+": {")', html))
    return json.JSONDecoder().raw_decode(html, place)[0]


def test_snakemakes_own_report_is_short_and_complete(default_run, tmp_path):
    """Protects `snakemake --report`: every figure and the summary once, each in the category of its kind, with
    a short caption that says simulated, and nothing that only works in another folder."""
    path = tmp_path / "report.html"
    default_run.run("--report", path)
    html = path.read_text(encoding="utf-8")
    assert "Undefined substitution" not in html
    assert "system-message" not in html  # what a mistake in a caption becomes
    found = embedded(html, "results")
    figures = {str(file.relative_to(default_run.folder)) for file in (default_run.results / "figures").rglob("*.png")}
    assert len(figures) == 15
    assert set(found) == figures | {"results/compare/summary.ecsv"}
    assert len({entry["data_uri"] for entry in found.values()}) == len(found)
    words = dict(zip(("", "-budget", "-noise"), ("Six panels", "Error budget", "Noise"), strict=True))
    categories = {"Summary": {"One row per spectrum": ["results/compare/summary.ecsv"]}, "Spectra": {}}
    for suffix, kind in words.items():
        of_kind = sorted(name for name in figures if re.search(rf"-\d{{8}}{suffix}\.png$", name))
        categories["Spectra"][kind] = of_kind
    listed = embedded(html, "categories")
    assert {name: {kind: sorted(of) for kind, of in kinds.items()} for name, kinds in listed.items()} == categories
    for name, entry in found.items():
        caption = re.sub(r"<[^>]+>", "", entry["caption"])
        assert 50 < len(caption) < 420, caption
        assert "simulated" in caption
        if name in figures:
            spectrum = re.search(r"\d{4}-\d{5}-\d{4}-[br]\d-\d{8}", name)[0]
            assert caption.startswith(f"Spectrum {spectrum} (sim)")
            assert spectrum in entry["labels"]["target"]
    assert "results/report/index.html" in html  # where the other report is
    assert "<strong>simulated data</strong>, no observation" in html  # what it says of the whole
