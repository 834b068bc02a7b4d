"""The error budget of the tutorial's approximations: analytic truths, then a real red trace set, then the whole."""

import re
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from drawn import drawn_texts

from bosscal.base.tables import write_table
from bosscal.calibration import budget, pipeline
from bosscal.calibration.measurement import measure
from bosscal.calibration.tutorial import reconstruct
from bosscal.figures.budget import draw
from bosscal.figures.style import style
from bosscal.results.comparison import compare_fibers
from bosscal.results.prediction import predict
from bosscal.results.spectrum import Spectrum
from bosscal.survey.exposure import FrameExposure, Header, SpecExposure, trace_set_arrays
from bosscal.survey.targets import Target
from bosscal.survey.tracesets import Jump, TraceSet

GRID = (3.55, 1.0, 1e-4)
NCOADD = 5000
JUMP = Jump(2062.5, 2064.5, 1 / 3)


def linear_wave(nrow, jump=None):
    """A trace set of two fibers whose loglam grows by 8e-5 dex a row, but for the jump."""
    half = 8e-5 * (nrow - 1) / 2
    return TraceSet(np.array([[3.56 + half, half]] * 2), 0, nrow - 1, jump)


def make_exposure(wave, nrow, camera="b1", **changes):
    """A camera exposure that the pipeline calibrated, of plain numbers but for ``changes`` to its arrays."""
    nfiber = len(wave.coeff)
    rows = {
        "eflux": 100.0, "esky": 50.0, "eivar": 0.1, "superflat": 1.0, "fiberflat": 1.0, "spcalib": 5.0,
        "corr": 1.5, "quadrant": 0, "flux": 0.0, "sky": 0.0, "ivar": 0.0, "mask": 0, "emask": 0,
    } | changes  # fmt: skip
    coadd = {"distort": rows.pop("distort", 1.1)}
    fibers = {name: 0 for name in ("ra", "dec", "xfocal", "yfocal", "lambda_eff", "fibermask")} | {"objtype": "QSO"}
    row = np.arange(nrow)
    arrays = {"fiber": np.arange(1, nfiber + 1), "row": row, "loglam": wave(row), "distort_grid": np.array(GRID)}
    for shape, values in (((nfiber, nrow), rows), ((nfiber, NCOADD), coadd), ((nfiber,), fibers)):
        arrays |= {name: np.broadcast_to(value, shape) for name, value in values.items()}
    arrays["means"] = np.array([arrays[name].mean() for name in ("spcalib", "corr", "distort")])
    arrays |= trace_set_arrays("wave", wave) | trace_set_arrays("width", TraceSet(np.full((nfiber, 1), 1.1), 0, nrow))
    header = Header(
        release="sim", plate=6641, mjd=56383, camera=camera, expnum=158842, products="frames", simulated=True,
        readnoise=(2.0, 2.0, 2.0, 2.0), exptime=900.0, xsigma=1.1, skychi2=1.2, vers2d="v5_7_0", inputs=(),
    )  # fmt: skip
    calibrated = pipeline.calibrate_exposure(FrameExposure.checked(header, arrays))
    arrays |= {name: getattr(calibrated, name) for name in ("flux", "sky", "ivar")}
    return FrameExposure.checked(header, arrays)


def compared_pixels(exposure):
    """The pixels that the comparison takes."""
    return measure(exposure, pipeline.calibrate_exposure(exposure).calib).compared


def all_effects(exposure):
    return budget.effects(exposure, np.ones(exposure.loglam.shape, dtype=bool))


@pytest.fixture(scope="module")
def red_wave(red_traceset_file):
    """Every 50th fiber of a real red trace set."""
    with fits.open(red_traceset_file) as hdus:
        wave = TraceSet.from_table(hdus[1].data)
    return TraceSet(wave.coeff[::50], wave.xmin, wave.xmax, wave.jump)


@pytest.fixture(scope="module")
def busy(red_wave):
    """An exposure of the real red trace set where nothing is plain, and every approximation costs something."""
    random = np.random.default_rng(7)
    shape = (len(red_wave.coeff), 4128)
    ramp = np.linspace(-1, 1, NCOADD)
    return make_exposure(
        red_wave, 4128, camera="r1",
        eflux=random.uniform(-20, 2000, shape), eivar=random.uniform(0.001, 0.1, shape),
        spcalib=random.uniform(2, 8, shape), corr=random.uniform(0.7, 1.5, shape),
        distort=1 + 0.05 * ramp + 0.02 * ramp**2,
        thrucorr=random.uniform(0.99, 1.02, shape),
    )  # fmt: skip


def test_constant_distortion_needs_no_grid():
    """Protects grid offset and interpolation against costs that are not theirs: of a constant D there are none."""
    effects = all_effects(make_exposure(linear_wave(300), 300))
    assert effects["grid_offset"].max() == 0
    assert effects["interpolation"].max() < 1e-7  # 1/D is float32 on its grid


def test_grid_offset_is_one_grid_point():
    """Protects size and direction of the offset: of an exponential D, one point is the same factor everywhere."""
    distort = np.exp(0.002 * np.arange(NCOADD))
    exposure = make_exposure(linear_wave(300), 300, distort=distort)
    np.testing.assert_allclose(all_effects(exposure)["grid_offset"], np.tanh(0.001), rtol=3e-4)  # D is float32
    notebook, _ = budget.APPROXIMATIONS["grid_offset"].pair(budget.Model(exposure))
    np.testing.assert_allclose(1 / notebook, reconstruct(exposure).distort_at_rows, rtol=5e-6)


def test_grid_offset_on_a_real_slope():
    """Protects what docs/calibration.md says of a real D, whose logarithm is a quadratic in 1 - (5070 Å/wavelength)²:
    through the values of fiber 486 of plate 6641 that the tutorial's figure shows."""
    wave = np.array([3600, 4000, 4500, 5000, 6000])
    shape = np.polyfit(1 - (5070 / wave) ** 2, np.log([1.51, 1.39, 1.23, 1.18, 1.14]), 2)
    distort = np.exp(np.polyval(shape, 1 - (5070 / 10 ** (GRID[0] + GRID[2] * np.arange(NCOADD))) ** 2))
    largest = all_effects(make_exposure(linear_wave(3000), 3000, distort=distort))["grid_offset"].max()
    assert largest == pytest.approx(1.3e-4, abs=0.2e-4)


def test_interpolation_by_hand():
    """Protects the interpolation's variable and quantity: halfway between two points of the grid, D by hand."""
    distort = np.ones(NCOADD)
    distort[1::2] = 2
    rows = np.arange(300)
    effects = all_effects(make_exposure(linear_wave(300), 300, distort=distort))
    position = (3.56 + 8e-5 * rows - GRID[0]) / 1e-4
    left = np.floor(position)
    of_wave = (10 ** (1e-4 * (position - left)) - 1) / (10**1e-4 - 1)  # fraction of the step in wavelength
    odd = left % 2 == 1
    notebook = np.where(odd, 2 - of_wave, 1 + of_wave)
    exact = 1 / np.where(odd, 0.5 + 0.5 * (position - left), 1 - 0.5 * (position - left))
    expected = np.abs(notebook - exact) / (notebook + exact)
    assert expected.max() > 0.05
    np.testing.assert_allclose(effects["interpolation"][0], expected, rtol=0, atol=1e-9)


def test_position_correction_by_hand():
    """Protects the correction T of later releases as an approximation of its own, which the floor leaves alone."""
    without = all_effects(make_exposure(linear_wave(300), 300))
    effects = all_effects(make_exposure(linear_wave(300), 300, thrucorr=1.25))
    assert without["position_correction"].max() == 0
    np.testing.assert_allclose(effects["position_correction"], 0.25 / 2.25)
    np.testing.assert_allclose(effects["calibration"], 0.25 / 2.25, rtol=0.01)
    np.testing.assert_array_equal(effects["error_floor"], without["error_floor"])


def test_derivative_of_a_straight_line_is_exact():
    """Protects the derivative against costs that are not its own: without curvature and jump there are none."""
    effects = all_effects(make_exposure(linear_wave(300), 300))
    assert effects["derivative"].max() < 1e-11


def test_derivative_at_the_jump_by_hand():
    """Protects the explanation of the tutorial's 2 %: the jump of 1/3 row between rows 2062.5 and 2064.5 makes it."""
    derivative = all_effects(make_exposure(linear_wave(4128, JUMP), 4128, camera="r1"))["derivative"][0]
    # Width of a row by the gradient, and exactly, in rows: the jump is complete by 1/4 and 3/4 at 2063 and 2064.
    outer = (1 + 1 / 24, 1)
    inner = (1 + 1 / 8, 1 + 1 / 6)
    expected = [abs(a - b) / (a + b) for a, b in (outer, inner, inner, outer)]
    np.testing.assert_allclose(derivative[2062:2066], expected, rtol=1e-6)
    derivative[2062:2066] = 0
    assert derivative.max() < 1e-11


def test_error_floor_by_hand():
    """Protects the missing floor's size, and that it concerns no negative flux."""
    eflux = np.full((2, 300), 100.0)
    eflux[1] = -100
    effects = all_effects(make_exposure(linear_wave(300), 300, eflux=eflux))
    np.testing.assert_allclose(effects["error_floor"][0], 9 / (2 * 10 + 9), rtol=1e-6)
    assert effects["error_floor"][1].max() == 0


def test_apodization_concerns_the_first_hundred_rows():
    """Protects where the apodization acts: by hand in rows below 100, not at all in the others."""
    apodization = all_effects(make_exposure(linear_wave(300), 300))["apodization"]
    ramp = np.arange(100) / 100
    np.testing.assert_allclose(apodization[:, :100], [(1 - ramp) / (1 + ramp)] * 2)
    assert apodization[:, 100:].max() == 0


def test_no_data_is_no_difference():
    """Protects masked pixels: no inverse variance is neither a warning nor a cost of floor or apodization."""
    eivar = np.full((2, 300), 0.1)
    eivar[:, 150] = 0
    effects = all_effects(make_exposure(linear_wave(300), 300, eivar=eivar))
    assert effects["error_floor"][:, 150].max() == effects["variance"][:, 150].max() == 0


def test_derivative_of_a_real_red_camera(busy):
    """Protects the measured 2 % of every real red fiber, in the four rows at the jump and nowhere else."""
    derivative = all_effects(busy)["derivative"][:, 1:-1]  # gradients at the very ends are one-sided
    largest = derivative.max(axis=1)
    assert np.all((largest > 0.0204) & (largest < 0.0210))
    at_jump = derivative[:, 2061:2065]
    assert at_jump.min() > 0.018
    assert np.all((at_jump[:, [0, 3]] > 0.0204) & (at_jump[:, [0, 3]] < 0.0210))
    assert np.delete(derivative, slice(2061, 2065), axis=1).max() < 1e-8


def test_float32_of_a_real_red_camera(busy):
    """Protects that rounding stays a tenth of the jump: below 2e-3, or 2.5e-3 beyond 10⁴ Å where float32 coarsens."""
    float32 = all_effects(busy)["float32"][:, 1:-1]
    coarse = busy.loglam[:, 1:-1] >= 4
    assert 5e-4 < float32[~coarse].max() < 2e-3
    assert 1e-3 < float32[coarse].max() < 2.5e-3


@pytest.mark.parametrize("quantity", ["calibration", "variance"])
def test_the_parts_explain_the_whole(busy, quantity):
    """Protects the completeness of the budget: no pixel differs by more, or by less, than the parts can make it.

    Logarithms of ratios add up, and arctanh(reldiff) is half of their size.
    """
    effects = budget.effects(busy, compared_pixels(busy))
    names = [name for name, known in budget.APPROXIMATIONS.items() if known.quantity == quantity and name != quantity]
    compared = np.isfinite(effects[quantity])
    parts = np.sort([np.arctanh(effects[name][compared]) for name in names], axis=0)
    whole = np.arctanh(effects[quantity][compared])
    assert compared.sum() > 0.95 * compared.size
    # The notebook divides float32 numbers, and reads flux and ivar as such, which were rounded after every step; where
    # the whole is close to 1, arctanh makes more of it.
    rounding = 6e-7 + 3e-6 * whole
    np.testing.assert_array_less(whole, parts.sum(axis=0) + rounding)
    np.testing.assert_array_less(2 * parts[-1] - parts.sum(axis=0), whole + rounding)
    assert all(np.nanmax(effects[name]) > 1e-10 for name in names)


def test_the_whole_is_what_the_comparison_reports(busy):
    """Protects agreement with the summary's largest reldiff, which is taken from the stored flux."""
    largest = np.nanmax(budget.effects(busy, compared_pixels(busy))["calibration"], axis=1)
    table = compare_fibers(busy, predict(busy, "optimal"))
    np.testing.assert_allclose(largest, table["tutorial_max_reldiff"], rtol=1e-5)


def test_masked_pixels_are_the_callers_choice(busy):
    """Protects that the selection alone decides: mask bits of selected pixels change nothing."""
    arrays = dict(busy.arrays)
    arrays["mask"], arrays["emask"] = arrays["mask"] + 1, arrays["emask"] + 1
    masked = all_effects(FrameExposure.checked(busy.header, arrays))
    for name, effect in all_effects(busy).items():
        np.testing.assert_array_equal(masked[name], effect)


def test_spec_files_have_no_budget(busy):
    """Protects against a budget of an exposure without calibration components."""
    header = Header.from_dict(busy.header.to_dict() | {"products": "spec"})
    with pytest.raises(ValueError, match="calibration components"):
        budget.effects(SpecExposure(header, {}), np.ones((1, 1), dtype=bool))


def test_table_finds_the_largest(busy):
    """Protects size and place of the largest effect, of the compared pixels only, and the fiber asked for."""
    compared = np.ones(busy.loglam.shape, dtype=bool)
    compared[3, 2064:] = False
    effects = budget.effects(busy, compared)
    table = budget.budget_table(busy, effects, 4)
    table.add_index("approximation")
    derivative = table.loc["derivative"]
    assert derivative["row"] == 2062
    assert derivative["max_reldiff"] == effects["derivative"][3, 2062] == np.nanmax(effects["derivative"][3])
    assert derivative["wavelength"] == pytest.approx(10 ** busy.loglam[3, 2062])
    assert derivative["npix"] == 2064
    assert table.loc["float32"]["median_reldiff"] == np.median(effects["float32"][3, :2064])
    assert list(table["approximation"]) == list(budget.APPROXIMATIONS)


def test_table_masks_what_does_not_apply():
    """Protects masked entries: nowhere is nothing largest, and without pixels there is no effect at all."""
    exposure = make_exposure(linear_wave(300), 300)
    compared = np.ones((2, 300), dtype=bool)
    compared[1] = False
    effects = budget.effects(exposure, compared)
    table = budget.budget_table(exposure, effects, 1)
    correction = table[table["approximation"] == "position_correction"]
    assert correction["max_reldiff"][0] == 0
    assert correction["row"].mask[0]
    assert correction["wavelength"].mask[0]
    empty = budget.budget_table(exposure, effects, 2)
    for name in ("max_reldiff", "median_reldiff", "wavelength", "row"):
        assert empty[name].mask.all()
    assert (empty["npix"] == 0).all()


def test_every_column_says_what_it_is(busy, tmp_path):
    """Protects units, descriptions and the target, in a table as it is written and read back."""
    write_table(tmp_path / "budget.ecsv", budget.budget_table(busy, all_effects(busy), 3))
    table = Table.read(tmp_path / "budget.ecsv", format="ascii.ecsv")
    assert table.colnames == list(budget.COLUMNS)
    assert all(table[name].description for name in table.colnames)
    assert (table["wavelength"].unit, table["row"].unit) == ("Angstrom", "pixel")
    assert set(table["fiber"]) == {3}
    assert set(table["camera"]) == {busy.header.camera}


def drawn(exposure, compared):
    """The figure of fiber 1, laid out."""
    fiber = exposure.take(slice(0, 1))
    prediction = predict(fiber, "optimal")
    measurement = replace(measure(fiber, prediction.calib), compared=compared[:1])
    band = exposure.header.band
    target = Target("sim", 6641, 56383, 1, band, exposure.header.camera, 0, exposure.header.expnum, "frames")
    with style():
        figure = draw(Spectrum(target, fiber, prediction, measurement))
        figure.draw_without_rendering()
    return figure


@pytest.mark.parametrize("case", ["red", "blue", "nothing compared"])
def test_figure_hides_nothing(busy, case):
    """Protects the figure: the jump enlarged in red alone, no text on text, legends off the data, simulated marked."""
    exposure = busy if case == "red" else make_exposure(linear_wave(4112), 4112)
    figure = drawn(exposure, np.full(exposure.loglam.shape, case != "nothing compared"))
    assert len(figure.axes) == {"red": 3, "blue": 2, "nothing compared": 0}[case]
    texts = drawn_texts(figure)
    words = [text.get_text() for text in texts]
    assert "SIMULATED DATA" in words
    assert any(word.startswith("No pixel ") for word in words) == (case == "nothing compared")
    # what changes nothing is said, and not in the legend of what is drawn
    said = " ".join(" ".join(words).split())
    assert bool(re.search(r"changes nothing: [^)]*no position correction", said)) == (case == "blue")
    assert "no position correction" not in words or case == "red"
    boxes = [text.get_window_extent() for text in texts]
    for index, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        assert not box.count_overlaps(boxes[:index]), words[index]
    for axes in figure.axes:
        if axes.get_legend():
            assert axes.get_legend().get_window_extent().y0 >= axes.bbox.y1 - 1


def test_one_pixel_is_enough(busy):
    """Protects a run from a spectrum of which one pixel is left to compare: the axis has a width."""
    compared = np.zeros(busy.loglam.shape, dtype=bool)
    compared[:, 1000] = True
    low, high = drawn(busy, compared).axes[1].get_xlim()
    assert high == pytest.approx(low + 1)


def test_a_gap_at_the_jump_is_said(busy):
    """Protects a run from an enlarged part of the figure in which nothing can be compared."""
    compared = np.ones(busy.loglam.shape, dtype=bool)
    compared[:, 1900:2200] = False
    enlarged = drawn(busy, compared).axes[0]
    assert [text.get_text() for text in enlarged.texts] == ["no pixel\ncompared"]


def test_figure_shows_every_calibration_and_variance_approximation(busy):
    """Protects each approximation's own line and color in the panel of its quantity."""
    calibration, variance = drawn(busy, np.ones(busy.loglam.shape, dtype=bool)).axes[1:]
    for axes, quantity in ((calibration, "calibration"), (variance, "variance")):
        expected = {known.label for known in budget.APPROXIMATIONS.values() if known.quantity == quantity}
        labels = {line.get_label(): line.get_color() for line in axes.lines}
        shown = {label.removesuffix(", largest of 15") for label in labels}
        assert expected == {label for label in shown if not label.startswith(("_", "float32 precision", "below axis"))}
        assert len(set(labels.values())) >= len(expected)
