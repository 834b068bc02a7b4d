"""Figures of single spectra: every kind is made, says what it shows, and tells when there is nothing to show."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from bossdata.bits import SPPIXMASK
from conftest import REPOSITORY
from PIL import Image
from simulated import HEADER

from bosscal import simulation
from bosscal.base.discovery import import_one
from bosscal.base.elementary import power_of_ten as power_of_ten_of
from bosscal.base.errors import UserError
from bosscal.calibration.measurement import measure
from bosscal.figures import budget, kinds, noise, panels
from bosscal.figures.drawing import draw_plate, draw_spectrum
from bosscal.figures.noise import RUNNING
from bosscal.figures.panels import BLOCK
from bosscal.figures.style import DPI, Look, block_medians, new_figure, power_of_ten, running_median, save, style
from bosscal.noise.laws import LAWS, PREDICTIONS, label_of
from bosscal.results.prediction import predict
from bosscal.results.spectrum import Spectrum
from bosscal.survey.spectra import read_spec
from bosscal.survey.targets import Target

FIRST, SECOND = simulation.EXPOSURES
ALL_KINDS = (*kinds.OF_SPECTRA, *kinds.OF_EXPOSURES, *kinds.OF_PLATES)
# An axis says its unit, or what it is where it has none.
WITH_UNIT = re.compile(r"\[.+\]|correction|predicted variance|robust scatter", re.DOTALL)


def spectrum_of(exposure, prediction, fiber, products):
    """A spectrum as it is read from the files of its camera exposure."""
    index = exposure.index(fiber)
    one = slice(index, index + 1)
    target = Target("sim", 6641, 56383, fiber, "red", "r1", 1, SECOND, products)
    measurement = measure(exposure, prediction.calib).take(one)
    return Spectrum(target, exposure.take(one), prediction.take(one), measurement)


@pytest.fixture(scope="module")
def lit(red_exposure, red_prediction):
    return spectrum_of(red_exposure.take(slice(0, 20)), red_prediction.take(slice(0, 20)), 1, "frames")


@pytest.fixture(scope="module")
def dead(red_exposure, red_prediction, dark_fiber):
    return spectrum_of(red_exposure, red_prediction, dark_fiber, "frames")


@pytest.fixture(scope="module")
def of_spec_file(simulated_root):
    exposure = read_spec(simulated_root / simulation.spec_path(1), "", "sim", 6641, 56383, 1, "r1", SECOND)
    return spectrum_of(exposure, predict(exposure, "optimal"), 1, "spec")


@pytest.fixture
def styled():
    with style():
        yield


def texts(artist):
    """Everything that a figure or panel writes beside its axes."""
    return [text.get_text() for text in artist.texts]


# ----------------------------------------------------------------------------------------------------------- kinds


def test_kinds_are_told_apart():
    """Protects files from overwriting each other, and rules, captions and report from a kind that they do not know."""
    for group in (kinds.OF_SPECTRA, kinds.OF_EXPOSURES, kinds.OF_PLATES):
        assert len({kind.suffix for kind in group}) == len(group)
    assert len({kind.module for kind in ALL_KINDS}) == len({kind.words for kind in ALL_KINDS}) == len(ALL_KINDS)
    assert [kind.module for kind in kinds.of_spectra("spec")] == ["panels", "noise"]
    assert kinds.of_spectra("frames") == kinds.OF_SPECTRA


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: kind.module)
def test_each_kind_has_a_module_and_a_caption(kind):
    """Protects whoever adds a figure: its module draws, and its caption is where the report looks for it."""
    assert callable(import_one("bosscal.figures", kind.module).draw)
    assert (REPOSITORY / "workflow" / "report" / f"{kind.module}.rst").read_text().strip()
    assert set(kind.products) <= {"frames", "spec"}


def test_wanted_figures_are_drawn_and_no_others(tmp_path, lit, monkeypatch):
    """Protects the names of files: the longest suffix that fits decides, whatever the name before it holds."""
    drawn = []

    class Recorder:
        def __init__(self, module):
            self.module = module

        def draw(self, spectrum):
            drawn.append((self.module, spectrum))

    saved = []
    monkeypatch.setattr("bosscal.figures.drawing.import_one", lambda package, module: Recorder(module))
    monkeypatch.setattr("bosscal.figures.drawing.save", lambda figure, *paths: saved.append(paths))
    draw_spectrum(lit, ["a/x-noise.png", "a/x.png", "a/x-noise.pdf"])
    assert drawn == [("noise", lit), ("panels", lit)]
    assert saved == [("a/x-noise.png", "a/x-noise.pdf"), ("a/x.png",)]
    draw_plate([], ["a/6641-56383-overview.png"])
    assert drawn[-1] == ("overview", [])


# ---------------------------------------------------------------------------------------------------- files of figures


def test_same_figure_same_bytes(tmp_path):
    """Protects reproducibility: no date in PNG or PDF, whichever is written first, in the size that was asked for."""
    with style():
        for name in ("a", "b"):
            figure = new_figure("column", 1.5)
            figure.subplots().plot([1, 2], [3, 4], ".", label="Å ⁻¹")
            files = [tmp_path / f"{name}.{suffix}" for suffix in ("png", "pdf", "svg")]
            save(figure, *(files if name == "a" else reversed(files)))
    for suffix in ("png", "pdf", "svg"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (3.35 * DPI, 1.5 * DPI)
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    # journals ask for fonts that are embedded as TrueType, and refuse type 3
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf


def test_powers_of_ten_are_written_with_characters():
    """Protects labels of logarithmic axes, which are not given to mathtext."""
    assert [power_of_ten(value) for value in (1e-12, 0.1, 1, 1000)] == ["10⁻¹²", "10⁻¹", "10⁰", "10³"]


# ----------------------------------------------------------------------------------------------------------- panels


@pytest.mark.usefixtures("styled")
@pytest.mark.parametrize("which", ["lit", "of_spec_file"])
def test_figures_say_what_they_show(request, which):
    """Protects figures that leave the report: every axis has a unit or is a ratio, the data are called simulated, the
    title is the spectrum's."""
    spectrum = request.getfixturevalue(which)
    six, of_noise = panels.draw(spectrum), noise.draw(spectrum)
    assert len(six.axes) == 6
    for figure in (six, of_noise):
        assert "SIMULATED DATA" in texts(figure)
        assert figure.get_suptitle() == spectrum.title
    for axes in (*six.axes, *of_noise.axes):
        assert WITH_UNIT.search(axes.get_xlabel()), axes.get_xlabel()
        assert not axes.get_ylabel() or WITH_UNIT.search(axes.get_ylabel()), axes.get_ylabel()


@pytest.mark.usefixtures("styled")
def test_a_dead_fiber_says_why(dead):
    """Protects readers from axes that were made up: there are none, and the bits that made the fiber dead are named,
    as the plug map of the simulation has them."""
    assert dead.exposure.fibermask[0] == SPPIXMASK.BADTRACE | SPPIXMASK.BADFLAT
    for figure in (panels.draw(dead), budget.draw(dead), noise.draw(dead), panels.draw_panel(dead, "flux")):
        assert figure.axes == []
        said = " ".join(" ".join(texts(figure)).split())
        assert "SIMULATED DATA" in said
        assert "Mask bits of the fiber in the flat: BADTRACE, BADFLAT." in said
        assert f"NODATA ({dead.exposure.row.size})" in said
    with pytest.raises(UserError, match="no pixel with data"):
        panels.draw_panel(dead, "flux", new_figure("column", 2).subplots())


def curves(panel):
    """Values of a panel's curves by their labels."""
    return {line.get_label(): np.asarray(line.get_ydata()) for line in panel.lines}


def rows_shown(panel, spectrum):
    """The rows of a spectrum between the ends of a panel, and its measured pixels in them."""
    low, high = panel.get_xlim()
    wave = power_of_ten_of(spectrum.exposure.loglam[0])
    return np.flatnonzero((wave >= low) & (wave <= high))


@pytest.mark.usefixtures("styled")
def test_panels_show_the_numbers(lit):
    """Protects the six panels: each curve is the quantity that its label names, and masked pixels are left out."""
    axes = panels.draw(lit).axes
    flux, electrons, flats, calibration, excess, _ = map(curves, axes)
    exposure, measurement = lit.exposure, lit.measurement
    rows = rows_shown(axes[0], lit)
    good, usable = measurement.good[0][rows], measurement.good_electrons[0][rows]
    for shown, values, wanted, low in (
        (flux["flux + sky"], (exposure.flux + exposure.sky)[0][rows], good, axes[0].get_ylim()[0]),
        (electrons["electrons"], measurement.electrons[0][rows], usable, axes[1].get_ylim()[0]),
    ):
        drawn = wanted & (values >= low)
        np.testing.assert_array_equal(np.isfinite(shown), drawn)
        np.testing.assert_allclose(shown[drawn], values[drawn], rtol=1e-6)
    predicted = lit.variances["tutorial"][0][rows][usable]
    assert electrons["predicted"][3] == pytest.approx(np.median(predicted[3 * BLOCK : 4 * BLOCK]))
    both = exposure.superflat[0].astype(float) * exposure.fiberflat[0]
    np.testing.assert_allclose(flats["both"], both[rows], rtol=1e-6)
    assert set(calibration) == {"5/spcalib", "corr", "distort", "R", "all"}
    assert "3 % floor" not in electrons  # frames have none yet
    assert "√(variance − electrons)" in excess


@pytest.mark.usefixtures("styled")
def test_panels_of_a_spec_file_say_what_is_missing(of_spec_file):
    """Protects readers from an empty panel, and shows the floor that was taken out."""
    axes = panels.draw(of_spec_file).axes
    assert texts(axes[2]) == ["flat fields:\nnot in a spec file"]
    assert list(curves(axes[3])) == ["applied; components not in a spec file"]
    assert "from eflux" not in curves(axes[0])
    measurement = of_spec_file.measurement
    good, floor = measurement.good_electrons[0], measurement.floor[0]
    floor = floor[good & (floor > 0)]
    assert curves(axes[1])["floor"][3] == pytest.approx(np.median(floor[3 * BLOCK : 4 * BLOCK]))


@pytest.mark.usefixtures("styled")
@pytest.mark.parametrize("limits", ["data", "tutorial"])
def test_a_spectrum_without_read_noise(simulated_root, monkeypatch, limits):
    """Protects the figures of a spec file that has lost its headers: what takes the read noise is left out, legends
    too, and where nothing is left the figure says why."""
    monkeypatch.setattr(panels, "look", lambda: Look(limits=limits))
    monkeypatch.setattr(noise, "look", lambda: Look(limits=limits))
    exposure = read_spec(simulated_root / simulation.spec_path(1), "", "sim", 6641, 56383, 1, "r1", SECOND)
    unknown = replace(exposure.header, origin="lost", readnoise=(math.nan,) * len(exposure.header.readnoise))
    exposure = type(exposure)(unknown, exposure.arrays)
    spectrum = spectrum_of(exposure, predict(exposure, "optimal"), 1, "spec")
    axes = panels.draw(spectrum).axes
    assert list(curves(axes[1]))[:4] == ["variance", "electrons", "floor", "below axis: 2"][: 3 + (limits == "data")]
    assert texts(axes[5]) == ["read noise unknown:\nthe file has lost its headers"]
    said = " ".join(" ".join(texts(noise.draw(spectrum))).split())
    assert "the file has lost its headers, and the read noise is not known." in said
    assert "read noise unknown" in spectrum.title
    assert "nan" not in said


# ------------------------------------------------------------------------------------------------------------ noise


def test_no_curve_goes_over_a_gap():
    """Protects readers from a line where nothing was measured: blocks end at a gap that is wider than one, and the
    curve is broken there; a narrow gap is none, and a short run has a median too."""
    values = np.arange(30.0)
    values[[3, 4]] = np.nan
    values[10:20] = np.nan
    position, median = block_medians(10 * np.arange(30.0), values, 4)
    np.testing.assert_array_equal(median, [np.median([0, 1, 2, 5]), 7.5, np.nan, 21.5, 25.5])
    np.testing.assert_array_equal(position, [15, 75, np.nan, 215, 255])
    assert [len(part) for part in block_medians(np.arange(3.0), np.array([np.nan, 7, np.nan]), 4)] == [1, 1]
    assert [len(part) for part in block_medians(np.arange(3.0), np.full(3, np.nan), 4)] == [0, 0]


def test_running_median_of_blocks():
    """Protects the curves of the noise figure: medians of whole blocks, at their middles."""
    position, median = running_median(np.array([1.0, 9, 2, 5, 5, 8, 100]), 3)
    assert position.tolist() == [1, 4]
    assert median.tolist() == [2, 5]


@pytest.mark.usefixtures("styled")
def test_noise_figure_ranks_every_law(lit):
    """Protects the ranking: a line for every prediction, its median beside it, the release's own law marked."""
    ratio, ranking = noise.draw(lit).axes
    names = [label.get_text() for label in ranking.get_yticklabels()]
    assert names == [label_of(name) for name in reversed(PREDICTIONS)]
    bold = [label.get_text() for label in ranking.get_yticklabels() if label.get_fontweight() == "bold"]
    assert bold == [label_of("optimal_sky")]
    measurement, expected = lit.measurement, []
    for name in reversed(PREDICTIONS):
        valid = measurement.valid
        expected.append(f"{np.median((measurement.variance / lit.variances[name])[valid]):.3f}")
    assert texts(ranking) == expected
    drawn = {line.get_label(): line for line in ratio.lines}
    wanted = {label_of(f"{law.name}{suffix}"): law.color for law in LAWS.values() for suffix in law.curves}
    assert {label: drawn[label].get_color() for label in wanted} == wanted
    assert len(drawn[label_of("optimal_sky")].get_xdata()) == measurement.valid.sum() // RUNNING


@pytest.mark.usefixtures("styled")
def test_real_data_are_not_called_simulated(lit):
    """Protects figures of observations from the word."""
    exposure = type(lit.exposure)(HEADER, lit.exposure.arrays)
    measurement = measure(exposure, lit.prediction.calib)
    spectrum = Spectrum(lit.target, exposure, lit.prediction, measurement)
    assert "SIMULATED DATA" not in texts(panels.draw(spectrum)) + texts(noise.draw(spectrum))
