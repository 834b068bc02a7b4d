"""The geometry of every figure: no text on another or cut, none too small, nothing drawn beyond its axes unmarked."""

import itertools
import re

import numpy as np
import pytest
from astropy.table import Table
from drawn import drawn_texts
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.text import Text

from bosscal import simulation
from bosscal.calibration.coadd import weights_of
from bosscal.calibration.measurement import measure
from bosscal.figures import budget, coadds, eta, focalplane, kinds, noise, overview, panels, ratios, releases, residuals
from bosscal.figures.style import VECTOR_POINTS, Look, new_figure, save, style
from bosscal.results.coadds import PlateOfSpectra, rebuild, repeats_of
from bosscal.results.prediction import predict
from bosscal.results.spectrum import Spectrum
from bosscal.survey.coadds import read_coadd
from bosscal.survey.spectra import read_all_exposures, read_spec
from bosscal.survey.targets import Target

FIRST, SECOND = simulation.EXPOSURES
SMALLEST = 7  # points


def faults(figure):
    """What is wrong with the places and sizes of a figure's texts, a line each."""
    texts = [(text.get_text(), text.get_fontsize(), text.get_window_extent()) for text in drawn_texts(figure)]
    width, height = figure.bbox.size
    for text, size, box in texts:
        if size < SMALLEST:
            yield f"{text!r} has {size} points"
        if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height:
            yield f"{text!r} is cut by the edge"
    for (first, _, one), (second, _, other) in itertools.combinations(texts, 2):
        if one.padded(-1).overlaps(other.padded(-1)):
            yield f"{first!r} is on {second!r}"
    for text in figure.texts:
        patch = text.get_bbox_patch()
        if patch is not None:
            box = patch.get_window_extent()
            if box.x1 > width or box.y1 > height or box.x0 < 0:
                yield f"the box of {text.get_text()!r} is cut"
            for other, _, extent in texts:
                if other != text.get_text() and box.overlaps(extent):
                    yield f"the box of {text.get_text()!r} is on {other!r}"


def hidden(figure):
    """Lines, points and bars of which some are beyond their axes, a line of text each."""
    for axes in figure.axes:
        (left, right), (bottom, top) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
        for artist in (*axes.lines, *axes.collections):
            if isinstance(artist, Line2D):
                if artist.get_transform() != axes.transData:
                    continue  # across the axes
                places = np.asarray(artist.get_xydata(), dtype=float)
            elif isinstance(artist, PathCollection):
                places = np.ma.filled(np.ma.asarray(artist.get_offsets(), dtype=float), np.nan)
            elif isinstance(artist, LineCollection):
                segments = [segment for segment in artist.get_segments() if segment.size]
                places = np.concatenate([np.empty((0, 2)), *segments])
            else:
                continue
            places = places[np.isfinite(places).all(axis=1)]
            room_x, room_y = 1e-6 * (right - left), 1e-6 * (top - bottom)
            out = (places[:, 0] < left - room_x) | (places[:, 0] > right + room_x)
            out |= (places[:, 1] < bottom - room_y) | (places[:, 1] > top + room_y)
            if out.any():
                yield f"{axes.get_ylabel()!r}: {np.count_nonzero(out)} of {artist.get_label()!r}"


# ------------------------------------------------------------------------------------------------------- spectra


def one_of(exposure, prediction, fiber, products="frames", measurement=None, release="sim"):
    index = exposure.index(fiber)
    one = slice(index, index + 1)
    header = exposure.header
    target = Target(
        release, header.plate, header.mjd, fiber, header.band, header.camera, 1, header.expnum, products
    )  # fmt: skip
    measurement = (measurement or measure(exposure, prediction.calib)).take(one)
    return Spectrum(target, exposure.take(one), prediction.take(one), measurement)


def bright(exposure, fiber=1, factor=100.0):
    """The same exposure with an object of so many times the electrons, whose shot noise rules."""
    arrays = dict(exposure.arrays)
    variance = np.where(arrays["eivar"] > 0, 1 / np.where(arrays["eivar"] > 0, arrays["eivar"], 1), 0)
    more = (factor - 1) * np.maximum(arrays["eflux"], 0)
    scale = np.where(variance > 0, (variance + more) / np.where(variance > 0, variance, 1), 1)
    arrays["eflux"] = (arrays["eflux"] + more).astype(np.float32)
    arrays["eivar"] = (arrays["eivar"] / scale).astype(np.float32)
    arrays["flux"] = (arrays["flux"] * factor).astype(np.float32)
    arrays["ivar"] = (arrays["ivar"] / scale).astype(np.float32)
    return type(exposure)(exposure.header, arrays)


@pytest.fixture(scope="module")
def spectra(red_exposure, red_prediction, dark_fiber, simulated_root):
    """Representative spectra, by name."""
    bundle = slice(0, 20)
    some, predicted = red_exposure.take(bundle), red_prediction.take(bundle)
    many = bright(some)
    spec = read_spec(simulated_root / simulation.spec_path(1), "", "sim", 6641, 56383, 1, "r1", SECOND)
    blue = read_spec(simulated_root / simulation.spec_path(1), "", "sim", 6641, 56383, 1, "b1", FIRST)
    return {
        "frames": one_of(some, predicted, 1),
        "spec": one_of(spec, predict(spec, "optimal"), 1, "spec"),
        "blue": one_of(blue, predict(blue, "optimal"), 1, "spec"),
        "dead": one_of(red_exposure, red_prediction, dark_fiber),
        "bright": one_of(many, predict(many, "optimal"), 1),
        "bundle": one_of(some, predict(some, "bundle"), 2),
    }


NAMES = ["frames", "spec", "blue", "dead", "bright", "bundle"]
LOOKS = {
    "as it is": Look(),
    "narrow": Look(page_width=6.8, column_width=3.3),
    "no title": Look(title=False),
    "tutorial": Look(limits="tutorial"),
}


def figures_of(spectrum):
    """Every kind and every panel of a spectrum, by name."""
    for kind in kinds.of_spectra(spectrum.target.products):
        yield kind.module, {"panels": panels, "budget": budget, "noise": noise}[kind.module].draw(spectrum)
    for name in kinds.PANELS:
        yield name, panels.draw_panel(spectrum, name)


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        *((name, "as it is") for name in NAMES),
        *(("frames", chosen) for chosen in LOOKS if chosen != "as it is"),
        ("spec", "narrow"),
        ("dead", "no title"),
    ],
)
def test_figures_of_spectra(spectra, name, chosen):
    """Protects every kind and panel of representative spectra: text can be read, and what is drawn is within its axes,
    or marked at their edges; the tutorial's limits, which cut, have to be asked for."""
    chosen = LOOKS[chosen]
    with style(chosen):
        for what, figure in figures_of(spectra[name]):
            assert list(faults(figure)) == [], what
            if chosen.limits == "data":
                assert list(hidden(figure)) == [], what
            assert ("6641-56383" in "".join(text.get_text() for text in figure.findobj(Text))) == chosen.title


def test_the_tutorials_limits_cut(spectra):
    """Protects the test above from seeing nothing: with the tutorial's limits some of a spectrum is beyond."""
    with style(Look(limits="tutorial")):
        assert len(list(hidden(panels.draw(spectra["frames"])))) > 3


@pytest.mark.parametrize("name", ["frames", "spec", "bright"])
def test_what_is_beyond_is_counted(spectra, name):
    """Protects pixels from being lost: those drawn and those that the legend counts are all that are good."""
    spectrum = spectra[name]
    measurement = spectrum.measurement
    with style():
        flux, electrons = (panels.draw_panel(spectrum, panel).axes[0] for panel in ("flux", "electrons"))
    for axes, label, good in (
        (flux, "flux + sky", measurement.good), (electrons, "electrons", measurement.good_electrons),
    ):  # fmt: skip
        lines = {line.get_label(): line for line in axes.lines}
        shown = np.count_nonzero(np.isfinite(lines[label].get_ydata()))
        beyond = sum(len(line.get_xdata()) for line in axes.lines if line.get_label().startswith("below axis"))
        assert shown <= np.count_nonzero(good) <= shown + beyond
        for text in axes.get_legend().get_texts():
            if counted := re.fullmatch(r"below axis: (\d+)", text.get_text()):
                assert int(counted[1]) == beyond


def looks_of(line):
    """What tells a curve from others in grey print: its marker with size, its dashes, and how dark it is."""
    red, green, blue = to_rgb(line.get_color())
    return (
        line.get_marker() if line.get_linestyle() == "None" else None, line.get_markersize(),
        line.get_linestyle(), getattr(line, "_unscaled_dash_pattern", None), line.get_linewidth(),
        round(0.299 * red + 0.587 * green + 0.114 * blue, 1),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["frames", "spec"])
def test_curves_differ_in_more_than_hue(spectra, name):
    """Protects readers of grey prints: in a panel no two curves with a label have one marker, line and darkness."""
    with style():
        for what, figure in figures_of(spectra[name]):
            for axes in figure.axes:
                shown = [looks_of(line) for line in axes.lines if not line.get_label().startswith("_")]
                assert len(set(map(str, shown))) == len(shown), (what, axes.get_ylabel())


def test_legends_list_what_is_drawn(spectra):
    """Protects legends from entries of nothing: each is a curve with a value."""
    with style():
        for what, figure in figures_of(spectra["frames"]):
            for axes in figure.axes:
                for line in axes.lines:
                    assert np.isfinite(np.asarray(line.get_ydata(), dtype=float)).any(), (what, line.get_label())


def test_dots_do_not_hide_what_was_measured(spectra):
    """Protects measured pixels from what is predicted of them: that is a line, and lies on the dots."""
    with style():
        flux, electrons = panels.draw(spectra["bright"]).axes[:2]
    for axes, predicted, measured in ((flux, "from eflux", "variance"), (electrons, "predicted", "electrons")):
        lines = {line.get_label(): line for line in axes.lines}
        assert lines[measured].get_marker() == "."
        assert lines[predicted].get_marker() == "None"
        assert lines[predicted].get_linewidth() < 1
    lines = {line.get_label(): line for line in electrons.lines}
    # where electrons and variance are the same number, the smaller dots are on top
    assert lines["electrons"].get_markersize() < lines["variance"].get_markersize()
    assert lines["electrons"].get_zorder() > lines["variance"].get_zorder()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["frames", "spec"])
def test_files_are_small_and_fonts_embedded(spectra, tmp_path, name):
    """Protects uploads to a journal: no file has 1 MB, fonts are TrueType, few points are vectors and no image."""
    with style():
        for what, figure in figures_of(spectra[name]):
            paths = [tmp_path / f"{what}.{suffix}" for suffix in ("png", "pdf", "svg")]
            save(figure, *paths)
            assert all(path.stat().st_size < 1e6 for path in paths), what
            pdf = paths[1].read_bytes()
            assert b"/FontFile2" in pdf
            assert b"/Type3" not in pdf
            assert b"/Subtype /Image" not in pdf


def test_many_points_become_an_image(tmp_path):
    """Protects the size of files of many points: beyond the limit they are an image, within it they are not."""
    random = np.random.default_rng(1)
    with style():
        for number, image in ((VECTOR_POINTS[".pdf"], False), (VECTOR_POINTS[".pdf"] + 1, True)):
            figure = new_figure("page", 3)
            figure.subplots().plot(*random.random((2, number)), ".", markersize=1)
            path = tmp_path / f"{number}.pdf"
            save(figure, path)
            assert (b"/Subtype /Image" in path.read_bytes()) == image
            assert path.stat().st_size < 1e6


# ------------------------------------------------------------------------------------------------------- the others


def some_fibers():
    """A plate of which twelve fibers have a distortion."""
    number = np.arange(12)
    return Table({
        "release": ["sim"] * 12, "plate": [6641] * 12, "mjd": [56383] * 12, "fiber": 90 * number + 1,
        "xfocal": 300 * np.cos(number), "yfocal": 300 * np.sin(number),
        "distort_c0": 0.01 * np.sin(number), "distort_c1": 0.02 * np.cos(number), "distort_c2": 0.01 * number / 12,
    })  # fmt: skip


@pytest.fixture(scope="module")
def others(red_exposure, red_prediction, red_table, simulated_root):
    """Functions that draw the other kinds, by module."""
    spec = simulated_root / simulation.spec_path(1)
    coadd = read_coadd(spec, "", "sim", 6641, 56383, 1)
    exposures = list(read_all_exposures(spec, "", "sim", 6641, 56383, 1))
    repeats = repeats_of(exposures, "optimal", 0, False)
    correction = Table({
        "release": ["sim"] * 6, "camera": ["b1"] * 3 + ["r1"] * 3, "wavelength": [4000.0, 5000, 6000, 7000, 8000, 9000],
        "eta": [1.0, 2.5, 1.1, 0.4, 1.0, 1.2], "eta_error": [0.1, 0.5, 0.1, 0.1, 0.2, 0.1], "npair": [3] * 6,
    })  # fmt: skip
    changed = red_prediction.arrays | {"flux": red_prediction.flux * (1 + 1e-5)}
    wrong = type(red_prediction)(red_prediction.header, changed)
    return {
        "residuals": lambda: residuals.draw(red_exposure, wrong, red_table),
        "flat residuals": lambda: residuals.draw(red_exposure, red_prediction, red_table),
        "ratios": lambda: ratios.draw(red_exposure, red_prediction, red_table),
        "overview": lambda: overview.draw([red_table]),
        "coadds": lambda: coadds.draw(rebuild(coadd, weights_of("v5_7_0")), repeats),
        "eta": lambda: eta.draw(correction),
        "focalplane": lambda: focalplane.draw(PlateOfSpectra(some_fibers(), None)),
    }


@pytest.mark.parametrize("chosen", ["as it is", "narrow", "no title"])
@pytest.mark.parametrize("name", ["residuals", "flat residuals", "ratios", "overview", "coadds", "eta", "focalplane"])
def test_other_figures(others, name, chosen):
    """Protects figures of camera exposures, plates and spec files in the same way, and their mark of simulated data."""
    with style(LOOKS[chosen]):
        figure = others[name]()
        assert list(faults(figure)) == []
        assert list(hidden(figure)) == []
        assert "SIMULATED DATA" in [text.get_text() for text in figure.texts]


def test_flat_residuals_are_words(others):
    """Protects half a page from an image of one color: where the model is exact, a line says so."""
    with style():
        figure, both = others["flat residuals"](), others["residuals"]()
    images = [sum(bool(axes.images) for axes in each.axes) for each in (figure, both)]
    assert images == [1, 2]
    said = " ".join(text.get_text() for text in figure.findobj(Text))
    assert re.search(r"Flux, exact model, \|a − b\| / \|b\|: (0 in all \d+ pixels|below 3e-09 everywhere)", said)
    assert figure.get_figheight() < 0.7 * both.get_figheight()


def test_two_releases_and_a_plate(real_data):
    """Protects the figures that need real spectra: one object in two releases."""
    paths = [next(real_data.glob(f"sas/{name}/**/spec-6148-56209-0743.fits"), None) for name in ("dr12", "dr14")]
    if None in paths:
        pytest.skip("the mirror lacks spec-6148-56209-0743.fits of dr12 or dr14")
    earlier, later = (
        list(read_all_exposures(path, "", name, 6148, 56209, 743))
        for path, name in zip(paths, ("dr12", "dr14"), strict=True)
    )
    from bosscal.results.releases import pair_releases

    with style():
        figure = releases.draw(pair_releases(earlier, later, ("optimal_noisy", "optimal_noisy"), 0))
        assert list(faults(figure)) == []
        assert list(hidden(figure)) == []
        assert "SIMULATED DATA" not in [text.get_text() for text in figure.texts]
