"""Whole plates: fibers that stand out, and the figures of all fibers and all exposures."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from drawn import drawn_texts
from matplotlib.axis import Axis
from simulated import SEED

from bosscal import simulation
from bosscal.calibration import pipeline
from bosscal.figures import overview, ratios, residuals
from bosscal.figures.style import style
from bosscal.results import outliers
from bosscal.results.prediction import Prediction
from bosscal.survey import paths
from bosscal.survey.exposure import FrameExposure, Header, trace_set_arrays
from bosscal.survey.tracesets import TraceSet

NFIBER, NROW = 60, 1000
FAULTY = 17  # index of the fiber that a test spoils


@pytest.fixture(scope="module")
def bits():
    return paths.mask_bits()


# --- Outliers: an exposure without faults, and one fault at a time -------------------------------------------------


def clean_arrays():
    """A small camera exposure in which every fiber is as good as the others: a flat spectrum under a sky of lines."""
    random = np.random.default_rng(5)
    row = np.arange(NROW)
    image = np.ones((NFIBER, NROW))
    line = sum(np.exp(-0.5 * ((row - center) / 2) ** 2) for center in range(30, NROW, 60))
    esky = (50 + 600 * line) * image
    variance = 100 + esky + 20
    eflux = 100 + np.sqrt(variance) * random.standard_normal(image.shape)
    wave = TraceSet(np.full((NFIBER, 2), (3.8, 0.05)), 0.0, NROW - 1.0)
    fiber = np.arange(NFIBER)
    return {
        "fiber": fiber + 501,
        "objtype": np.where(fiber % 10 == 0, "SKY", np.where(fiber % 10 == 1, "SPECTROPHOTO_STD", "GALAXY")),
        "ra": 180 + fiber / 100, "dec": np.zeros(NFIBER),
        "xfocal": 5.0 * fiber - 150, "yfocal": 100 * np.sin(fiber), "lambda_eff": 5400.0 + 0 * fiber,
        "row": row, "quadrant": 0 * image, "loglam": wave(row),
        "flux": 0 * image, "sky": 0 * image, "ivar": image, "mask": np.zeros(image.shape, dtype=np.int32),
        "eflux": eflux, "esky": esky, "eivar": 1 / variance, "emask": np.zeros(image.shape, dtype=np.int32),
        "superflat": image, "fiberflat": 1 * image, "fibermask": np.zeros(NFIBER, dtype=np.int32),
        "spcalib": 10 * image, "corr": 1.2 * image, "corr_add": 0 * image,
        "distort": np.ones((NFIBER, 1200)), "distort_grid": np.array([3.74, 1, 1e-4]), "means": np.array([10, 1.2, 1]),
        **trace_set_arrays("wave", wave),
        **trace_set_arrays("width", TraceSet(np.full((NFIBER, 1), 1.1), 0.0, NROW - 1.0)),
    }  # fmt: skip


HEADER = Header(
    release="sim", plate=6641, mjd=56383, camera="r2", expnum=158842, products="frames", simulated=True,
    readnoise=(2.5, 2.5, 2.5, 2.5), exptime=900.0, xsigma=1.1, skychi2=1.1, vers2d="v5_7_0", inputs=(),
)  # fmt: skip


def calibrated(arrays):
    """The exposure of the arrays with the flux that the pipeline would make of them, and that flux."""
    result = pipeline.calibrate_exposure(FrameExposure.checked(HEADER, arrays))
    stored = arrays | {"flux": result.flux.astype(np.float32), "sky": result.sky, "ivar": result.ivar}
    return FrameExposure.checked(HEADER, stored), result.flux


def clean_table():
    random = np.random.default_rng(6)
    return Table({
        "flux_max_reldiff": MaskedColumn(random.uniform(3e-8, 6e-8, NFIBER)),
        "noise_ratio_median": MaskedColumn(random.normal(1.03, 0.03, NFIBER)),
    })  # fmt: skip


def found(arrays, table, bits, **options):
    """Outliers as (fiber, reason), and their lines."""
    exposure, flux = calibrated(arrays)
    result = outliers.find_outliers(exposure, flux, table, bits, **options)
    return list(zip(result["fiber"].tolist(), result["reason"].tolist(), strict=True)), list(result["line"])


def test_clean_exposure_has_no_outliers(bits):
    """Protects against false alarms, and the columns that reports and tables rely on even when empty."""
    exposure, flux = calibrated(clean_arrays())
    result = outliers.find_outliers(exposure, flux, clean_table(), bits)
    assert len(result) == 0
    assert result.colnames == list(outliers.COLUMNS)
    assert all(result[name].description for name in result.colnames)


def no_light(arrays, table, bits):
    for name in ("eflux", "eivar", "fiberflat"):
        arrays[name][FAULTY] = 0
    arrays["fibermask"][FAULTY] = bits["BADTRACE"] | bits["BADFLAT"]
    table["flux_max_reldiff"].mask[FAULTY] = table["noise_ratio_median"].mask[FAULTY] = True


def unplugged(arrays, table, bits):
    no_light(arrays, table, bits)
    arrays["fibermask"][FAULTY] = 0
    arrays["emask"][FAULTY] |= bits["NOPLUG"]  # some reductions have the bit in the pixels alone


def masked_columns(arrays, table, bits):
    arrays["mask"][FAULTY, 300:900] |= bits["NEARBADPIXEL"]


def sky_left_in(arrays, table, bits):
    arrays["eflux"][FAULTY] += 0.3 * (arrays["esky"][FAULTY] - 50)


def sky_shifted(arrays, table, bits):
    arrays["eflux"][FAULTY] += 0.5 * np.gradient(arrays["esky"][FAULTY])


def noisy(arrays, table, bits):
    table["noise_ratio_median"][FAULTY] = 1.3


def quiet(arrays, table, bits):
    table["noise_ratio_median"][FAULTY] = 0.8


def negative_correction(arrays, table, bits):
    arrays["corr"][FAULTY, 400:450] = -0.5


def extreme_correction(arrays, table, bits):
    arrays["corr"][FAULTY, 700:] = 7


def correction_at_threshold(arrays, table, bits):
    arrays["corr"][FAULTY, 200] = 1.2 * 20.1


def distortion_at_threshold(arrays, table, bits):
    arrays["distort"][FAULTY, 500:700] = 20.1
    arrays["distort"][FAULTY, :50] = 20.1  # at wavelengths of another camera, which nobody looks at here


def other_flux(arrays, table, bits):
    table["flux_max_reldiff"][FAULTY] = 3e-3


# Row 0 of the wavelengths is 10**3.75, the last 10**3.85 Å.
FAULTS = [
    (no_light, "dead", 0, "no pixel with data: BADTRACE, BADFLAT, flat field 0"),
    (unplugged, "unplugged", 0, "no fiber was plugged here (NOPLUG)"),
    (masked_columns, "mostly masked", 0.601, "60 % of 1000 pixels with light are masked (mostly NEARBADPIXEL)"),
    (sky_left_in, "sky-line residual", None, "times that beside them"),
    (sky_shifted, "sky-line residual", None, "times that beside them"),
    (noisy, "noise", 1.3, "measured variance is 1.300 times the predicted one (other fibers: "),
    (quiet, "noise", 0.8, "measured variance is 0.800 times the predicted one (other fibers: "),
    (negative_correction, "bad flux correction", 50, "A ≤ 0, so ivar is 0, in 50 pixels, 6167–6237 Å"),
    (extreme_correction, "bad flux correction", 300, "A > 5 in 300 pixels, 6608–7079 Å"),
    (correction_at_threshold, "bad flux correction", 1, "A above the pipeline's threshold, so ivar is 0, in 1 pixel"),
    (distortion_at_threshold, "bad flux correction", 199, "D above the pipeline's threshold, so ivar is 0, in 199"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "reason", "value", "line"), FAULTS, ids=[fault[0].__name__ for fault in FAULTS])
def test_each_fault_is_found_in_its_fiber_alone(bits, spoil, reason, value, line):
    """Protects every reason, its number and its line; and that one bad fiber makes no other look bad."""
    arrays, table = clean_arrays(), clean_table()
    spoil(arrays, table, bits)
    exposure, flux = calibrated(arrays)
    result = outliers.find_outliers(exposure, flux, table, bits)
    assert [
        tuple(row) for row in result["release", "plate", "mjd", "camera", "expnum", "fiber", "objtype", "reason"]
    ] == [("sim", 6641, 56383, "r2", 158842, 518, "GALAXY", reason)]
    assert line in result["line"][0]
    if value is not None:
        assert result["value"][0] == pytest.approx(value)


def test_flux_that_is_not_reproduced_is_located(bits):
    """Protects the place that the line names: the pixels that differ, not those without data."""
    arrays, table = clean_arrays(), clean_table()
    exposure, flux = calibrated(arrays)
    exposure.flux[FAULTY, 600:603] *= np.float32(1.003)
    exposure.flux[FAULTY, 800] = 1e9  # without inverse variance there is no flux
    exposure.ivar[FAULTY, 800] = 0
    other_flux(arrays, table, bits)
    result = outliers.find_outliers(exposure, flux, table, bits)
    assert [tuple(row) for row in result["fiber", "reason", "value"]] == [(518, "flux not reproduced", 3e-3)]
    assert result["line"][0] == "flux differs from the exact model by up to 3.0e-03 in 3 pixels, 6457–6460 Å"


def test_a_fiber_has_one_reason_the_cause(bits):
    """Protects readers from a list of consequences: what comes first in the pipeline is named, once."""
    arrays, table = clean_arrays(), clean_table()
    negative_correction(arrays, table, bits)
    arrays["corr"][FAULTY] = -0.5  # every pixel is zeroed, so the whole fiber is masked too
    noisy(arrays, table, bits)
    assert found(arrays, table, bits)[0] == [(518, "bad flux correction")]


def test_allowed_bits_and_sky_bits_mask_nothing(bits):
    """Protects ``mask_allow``, and bright sky, which is a property of the wavelength, from looking like a bad fiber."""
    arrays = clean_arrays()
    masked_columns(arrays, None, bits)
    assert found(arrays, clean_table(), bits, allowed_bits=bits["NEARBADPIXEL"])[0] == []
    arrays["mask"][FAULTY, 300:900] = bits["BRIGHTSKY"]
    assert found(arrays, clean_table(), bits)[0] == []


def test_exposure_without_any_data_is_all_masked(bits):
    """Protects against failures, warnings and silence where nothing has inverse variance."""
    arrays = clean_arrays()
    arrays["eivar"][:] = 0
    table = clean_table()
    for name in table.colnames:
        table[name].mask = True
    reasons, lines = found(arrays, table, bits)
    assert reasons == [(fiber, "mostly masked") for fiber in range(501, 561)]
    assert lines[0] == "100 % of 1000 pixels with light are masked (no bit dominates)"


def test_sky_line_ratio_of_expected_noise_is_one():
    """Protects the statistic's scale: 1 for noise as expected, the factor itself where noise on lines is larger."""
    arrays = clean_arrays()
    exposure, _ = calibrated(arrays)
    assert np.median(outliers.sky_line_ratio(exposure, 0)) == pytest.approx(1, abs=0.03)
    random = np.random.default_rng(8)
    on_line = arrays["esky"] > 75
    arrays["eflux"] += on_line * np.sqrt(3 / arrays["eivar"]) * random.standard_normal(on_line.shape)
    exposure, _ = calibrated(arrays)
    assert np.median(outliers.sky_line_ratio(exposure, 0)) == pytest.approx(2, abs=0.06)


def test_structure_of_the_spectrum_is_no_sky_line_residual():
    """Protects objects with lines of their own: what is as large beside the sky lines as on them is not the sky's."""
    arrays = clean_arrays()
    arrays["esky"][:, 500:] = 50  # no lines in this half, and no structure either
    structure = np.random.default_rng(11).standard_normal(500) * 3 / np.sqrt(arrays["eivar"][FAULTY, :500])
    arrays["eflux"][FAULTY, :500] += structure
    exposure, _ = calibrated(arrays)
    assert outliers.sky_line_ratio(exposure, 0)[FAULTY] == pytest.approx(1, abs=0.15)


def test_uncalibrated_wavelengths_mask_no_fiber(bits):
    """Protects against a list of all fibers: where no standard star calibrates, none has data."""
    arrays = clean_arrays()
    arrays["spcalib"][:, 300:900] = 0
    assert found(arrays, clean_table(), bits)[0] == []


# --- The simulated exposure ----------------------------------------------------------------------------------------


def test_simulated_outliers_are_the_dead_and_the_unplugged(red_exposure, red_prediction, red_table, bits):
    """Protects the thresholds: of 500 realistic fibers exactly those without light stand out."""
    fibers = simulation.plug_fibers(SEED).select(red_exposure.fiber)
    expected = {int(number): "dead" for number in fibers.number[fibers.dead]}
    expected |= {int(number): "unplugged" for number in fibers.number[fibers.unplugged]}
    result = outliers.find_outliers(red_exposure, red_prediction.flux, red_table, bits)
    assert dict(zip(result["fiber"].tolist(), result["reason"].tolist(), strict=True)) == expected


# --- Figures -------------------------------------------------------------------------------------------------------


def words(figure):
    return {text.get_text() for text in drawn_texts(figure)}


def assert_readable(figure):
    """No text overlaps another, and none is cut off."""
    drawn = [(text.get_text(), text.get_window_extent().padded(-1)) for text in drawn_texts(figure)]
    for (first, first_box), (second, second_box) in itertools.combinations(drawn, 2):
        assert not first_box.overlaps(second_box), (first, second)
    width, height = figure.bbox.size
    for text, box in drawn:
        assert box.x0 >= 0, text
        assert box.x1 <= width, text
        assert box.y0 >= 0, text
        assert box.y1 <= height, text


@pytest.fixture
def styled():
    with style():
        yield


@pytest.mark.usefixtures("styled")
def test_residual_images_say_what_they_show(red_exposure, red_prediction, red_table):
    """Protects labels, units and readability of the images, and the largest value of what one column merges."""
    flux = red_prediction.flux.copy()
    assert red_exposure.ivar[250, 3000] > 0
    flux[250, 3000] = 1.0001 * red_exposure.flux[250, 3000]
    prediction = Prediction(red_prediction.header, red_prediction.arrays | {"flux": flux})
    figure = residuals.draw(red_exposure, prediction, red_table)
    assert {
        "SIMULATED DATA", "Fiber", "CCD row [pixel]", "Wavelength [Å] of fiber 251",
        "Flux, exact model\n|a − b| / |b|", "Calibration, tutorial\n|a − b| / |a + b|",
    } <= words(figure)  # fmt: skip
    assert_readable(figure)
    upper, lower = (axes.images[0] for axes in figure.axes if axes.images)
    assert upper.get_array().max() == pytest.approx(1e-4, rel=1e-3)
    assert np.argmax(upper.get_array().max(axis=1)) == 250
    # the tutorial's error at the two-phase jump, rows 2062-2065, in the right place and of the right size
    left, right, bottom, top = lower.get_extent()
    assert (bottom, top) == (0.5, 500.5)
    column = int((2063.5 - left) / (right - left) * lower.get_array().shape[1])
    assert 0.019 < np.ma.median(lower.get_array()[:, column]) < 0.022
    dark = red_exposure.fibermask > 0
    assert np.ma.getmaskarray(upper.get_array())[dark].all()


@pytest.mark.usefixtures("styled")
def test_wavelength_axis_of_reversed_spectra():
    """Protects the wavelengths above the image where a reduction stores spectra from red to blue."""
    arrays = clean_arrays()
    arrays["loglam"] = arrays["loglam"][:, ::-1]
    exposure = FrameExposure.checked(HEADER, arrays)
    some = np.ma.masked_array(np.full((NFIBER, NROW), 1e-2), False)
    figure = residuals.residual_images(exposure, some, some)
    axis = next(axis for axis in figure.findobj(Axis) if axis.get_label_text().startswith("Wavelength"))
    wave = 10 ** exposure.loglam[NFIBER // 2]
    for tick, label in zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True):
        assert np.interp(tick, exposure.row, wave) == pytest.approx(float(label.get_text()), abs=0.01)


@pytest.mark.usefixtures("styled")
def test_variance_ratios_tell_kinds_apart_by_shape(red_exposure, red_prediction, red_table):
    """Protects labels, units, readability, and that kinds of fibers differ in more than color."""
    fibers = simulation.plug_fibers(SEED).select(red_exposure.fiber)
    sky, standard, dark = fibers.sky & ~fibers.dark, fibers.objtype == "SPECTROPHOTO_STD", fibers.dark
    others = 500 - np.count_nonzero(sky | standard | dark)
    figure = ratios.draw(red_exposure, red_prediction, red_table)
    assert {
        "SIMULATED DATA", "Fiber", "Measured / predicted variance", "XFOCAL [mm]", "YFOCAL [mm]",
        "Measured / predicted variance: median", "Measured / predicted variance: robust rms",
        f"object ({others})", f"sky ({sky.sum()})", f"standard star ({(standard & ~dark).sum()})", "without data (5)",
    } <= words(figure)  # fmt: skip
    assert_readable(figure)
    assert len({marker for _, marker, _, _ in ratios.KINDS.values()}) == len(ratios.KINDS)


@pytest.mark.usefixtures("styled")
def test_outlying_fiber_does_not_rule_the_axis(red_exposure, red_table):
    """Protects the view of 500 fibers from one: it is marked at the edge and counted."""
    table = red_table.copy()
    table["noise_ratio_median"][99] = 40
    figure = ratios.variance_ratios(red_exposure, table)
    assert "beyond the axis (1)" in words(figure)
    panel = next(axes for axes in figure.axes if axes.get_xlabel() == "Fiber")
    assert panel.get_ylim()[1] < 2


@pytest.mark.usefixtures("styled")
def test_overview_of_28_exposures_is_readable(red_table):
    """Protects the figure of a whole plate at its largest, a missing camera exposure included, and its quantiles."""
    names = ("release", "plate", "mjd", "camera", "expnum", "simulated", "noise_ratio_median", "tutorial_max_reldiff")
    table = red_table[names]
    random = np.random.default_rng(9)
    tables = []
    for camera, number in itertools.product(("b1", "b2", "r1", "r2"), range(28)):
        if (camera, number) == ("b2", 3):
            continue
        copy = table.copy(copy_data=True)
        copy["camera"], copy["expnum"] = camera, 158842 + number
        copy["noise_ratio_median"] *= random.normal(1, 0.02)
        tables.append(copy)
    tables[5]["noise_ratio_median"][100] = 3.0
    figure = overview.draw(tables)
    assert {
        "SIMULATED DATA", "b1", "b2", "r1", "r2", "Exposure", "158842", "158869",
        "Measured / predicted variance,\nmedian of each fiber's pixels",
        "Tutorial (a) against applied calibration (b),\nlargest |a − b| / |a + b| of each fiber",
    } <= words(figure)  # fmt: skip
    assert_readable(figure)
    first = figure.axes[0]
    assert first.get_ylim()[1] < 1.5
    medians = next(line for line in first.lines if line.get_marker() == "_").get_ydata()
    assert medians == pytest.approx([np.ma.median(copy["noise_ratio_median"]) for copy in tables[:28]])
    above = next(line for line in first.lines if line.get_marker() == "^").get_xdata()
    assert list(above) == [5]
    second = figure.axes[2]
    medians = next(line for line in second.lines if line.get_marker() == "_").get_ydata()
    assert np.flatnonzero(np.isnan(medians)).tolist() == [3]


@pytest.mark.usefixtures("styled")
def test_figures_without_any_data_are_drawn(red_exposure, red_table):
    """Protects a plate's run from one exposure that is masked altogether, and real data from the word SIMULATED."""
    real = FrameExposure(replace(red_exposure.header, simulated=False), red_exposure.arrays)
    table = red_table["release", "plate", "mjd", "camera", "expnum", "simulated"]
    table["simulated"] = False
    for name in ("noise_ratio_median", "noise_ratio_scatter", "tutorial_max_reldiff"):
        table[name] = MaskedColumn(red_table[name], mask=True)
    nothing = np.ma.masked_all(red_exposure.flux.shape)
    for figure in (
        residuals.residual_images(real, nothing, nothing),
        ratios.variance_ratios(real, table),
        overview.draw([table]),
    ):
        assert_readable(figure)
        assert "SIMULATED DATA" not in words(figure)


def test_kinds_of_fibers():
    """Protects the names that plug maps use."""
    objtype = ["GALAXY", "SKY", "SPECTROPHOTO_STD", "REDDEN_STD", "QSO", "SKY"]
    kinds = ratios.fiber_kinds(objtype, [True, True, True, True, True, False])
    assert kinds.tolist() == ["object", "sky", "standard", "standard", "object", "without data"]
