"""Predictions, the comparison of every fiber, the summary, and the spCalib file."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from simulated import HEADER, SEED, frame_exposure, read_simulated

from bosscal import simulation
from bosscal.calibration.measurement import measure
from bosscal.calibration.pipeline import calibrate_exposure
from bosscal.calibration.thrucorr import measure_thrucorr
from bosscal.calibration.tutorial import reconstruct
from bosscal.noise.laws.optimal import optimal_variance
from bosscal.noise.sky import sky_statistics
from bosscal.results import comparison
from bosscal.results.comparison import compare_fibers, stack, summarize
from bosscal.results.export import IMAGES, calibration_images, write_calib
from bosscal.results.prediction import Prediction, predict
from bosscal.survey.exposure import FrameExposure
from bosscal.survey.spectra import read_all_exposures
from bosscal.survey.targets import Target

FIRST, SECOND = simulation.EXPOSURES


@pytest.fixture(scope="module")
def spec_tables(simulated_root, dark_fiber):
    """Exposures, predictions and tables of a fiber with light and of a broken one from their spec files."""
    found = {}
    for fiber in (1, dark_fiber):
        path = simulated_root / simulation.spec_path(fiber)
        for exposure in read_all_exposures(path, "", "sim", 6641, 56383, fiber):
            prediction = predict(exposure, "optimal")
            key = fiber, exposure.header.camera, exposure.header.expnum
            found[key] = exposure, prediction, compare_fibers(exposure, prediction)
    return found


# ------------------------------------------------------------------------------------------------------ prediction


def test_prediction_is_the_exact_model(red_exposure, red_prediction):
    """Protects what is stored of the model: all fibers at once give what bundles give, in float32, without inf or NaN,
    and the flux is the file's to the rounding."""
    calibrated = calibrate_exposure(red_exposure)
    for name in ("calib", "flux", "sky", "ivar"):
        stored = getattr(red_prediction, name)
        assert stored.dtype == np.float32
        np.testing.assert_array_equal(stored, getattr(calibrated, name).astype(np.float32))
    for name, array in red_prediction.arrays.items():
        assert array.dtype.kind == "U" or np.isfinite(array).all(), name
    np.testing.assert_allclose(red_prediction.flux, red_exposure.flux, rtol=1e-6, atol=1e-6)
    assert (red_prediction.sky_variance >= 0).all()


def test_prediction_survives_its_file(tmp_path, red_prediction, spec_tables):
    """Protects predictions on their way through a file, absent arrays too."""
    red_prediction.write(tmp_path / "frames.npz")
    back = Prediction.read(tmp_path / "frames.npz")
    assert back.header == red_prediction.header
    for name in Prediction.FIELDS:
        np.testing.assert_array_equal(getattr(back, name), getattr(red_prediction, name))
    _, prediction, _ = spec_tables[1, "r1", SECOND]
    prediction.write(tmp_path / "spec.npz")
    back = Prediction.read(tmp_path / "spec.npz")
    assert back.flux is back.ivar is back.additive is None
    np.testing.assert_array_equal(back.calib, prediction.calib)


def test_no_additive_term_is_absent(simulated_root):
    """Protects the meaning of absent: an exposure whose B is 0 everywhere has no image of zeros."""
    exposure = read_simulated(simulated_root, "r1", FIRST).take(slice(0, 20))
    assert predict(exposure, "optimal").additive is None


# ------------------------------------------------------------------------------------------------------ comparison


def test_every_column_says_what_it_is(red_table):
    """Protects units and descriptions, and the order of the columns."""
    assert red_table.colnames == [name for name in comparison.COLUMNS if name not in comparison.TARGET_COLUMNS]
    for name in red_table.colnames:
        unit, description = comparison.COLUMNS[name]
        assert red_table[name].description == description
        assert red_table[name].unit == (unit or None)
    assert red_table["fiber"].tolist() == list(range(1, 501))
    assert set(red_table["release"]) == {"sim"}
    assert [red_table[f"rdnoise{amplifier}"][0] for amplifier in range(4)] == [2.9, 2.59, 2.53, 2.52]


def test_comparison_by_plain_means(red_exposure, red_prediction, red_table):
    """Protects the columns that decide: written out with numpy's masked arrays and one law, all fibers at once."""
    exposure, header = red_exposure, red_exposure.header
    measurement, tutorial = measure(exposure, red_prediction.calib), reconstruct(exposure)
    flat = (exposure.superflat * exposure.fiberflat).astype(float)
    readnoise = np.array(header.readnoise)[exposure.quadrant]
    variance = optimal_variance(flat * (exposure.eflux + exposure.esky), readnoise, exposure.profile_width)
    of_sky = optimal_variance(flat * exposure.esky, readnoise, exposure.profile_width)
    sky = np.flatnonzero((exposure.objtype == "SKY") & (flat.max(axis=1) > 0))
    per_flat = np.divide(1, flat, out=np.zeros_like(flat), where=flat > 0)
    statistics = sky_statistics(
        exposure.loglam[sky], exposure.eflux[sky], exposure.esky[sky], (of_sky * per_flat**2)[sky],
        (exposure.eivar[sky] > 0) & (exposure.emask[sky] & (3 << 16) == 0) & (flat[sky] > 0), 4128, 3,
    )  # fmt: skip
    hidden = ~measurement.compared
    with np.errstate(divide="ignore", invalid="ignore"):
        evar = np.where(exposure.eivar > 0, flat**2 / exposure.eivar, 0)
        ratio = np.ma.masked_array(evar / (variance + flat**2 * statistics.term(exposure.loglam)), hidden | (evar == 0))
        flux = exposure.flux.astype(float)
        of_flux = np.ma.masked_array(np.abs(red_prediction.flux - flux) / np.abs(flux), exposure.ivar <= 0)
        applied, predicted = tutorial.calib_applied, tutorial.calib_predicted
        of_calib = np.ma.masked_array(np.abs(applied - predicted) / np.abs(applied + predicted), hidden)
    median = np.ma.median(ratio, axis=1)
    scatter = 1.4826 * np.ma.median(np.abs(ratio - median[:, np.newaxis]), axis=1)
    for name, expected, tolerance in (  # the measured variance is kept in float32
        ("noise_ratio_median", median, {"rtol": 1e-6}),
        ("noise_ratio_scatter", scatter, {"rtol": 1e-6, "atol": 1e-6}),
        ("flux_max_reldiff", of_flux.max(axis=1), {"rtol": 1e-12}),
        ("tutorial_max_reldiff", of_calib.max(axis=1), {"rtol": 1e-12}),
    ):
        np.testing.assert_array_equal(np.ma.getmaskarray(red_table[name]), np.ma.getmaskarray(expected), err_msg=name)
        dark = np.ma.getmaskarray(expected)
        np.testing.assert_allclose(red_table[name][~dark], expected[~dark], **tolerance, err_msg=name)


def test_other_order_of_amplifiers(red_exposure, red_prediction, red_table):
    """Protects the column that tells whether the pipeline takes the read noises in the order of their measurement:
    the same law and sky term, with RDNOISE1 and RDNOISE2 exchanged."""
    measurement = measure(red_exposure, red_prediction.calib)
    zero, one, two, three = red_exposure.header.readnoise
    readnoise = np.array([zero, two, one, three])[red_exposure.quadrant]
    predicted = optimal_variance(measurement.electrons, readnoise, measurement.sigma) + red_prediction.sky_variance
    ratio = np.ma.masked_array(measurement.variance / predicted, ~measurement.valid)
    lit = red_table["npix"] > 0
    expected = np.ma.median(ratio, axis=1)[lit]
    np.testing.assert_allclose(red_table["noise_ratio_measured_order"][lit], expected, rtol=1e-6)
    assert np.any(red_table["noise_ratio_measured_order"][lit] != red_table["noise_ratio_median"][lit])


def test_simulated_noise_follows_its_law(red_table):
    """Protects the chain from law to ranking on a plate with the extraction of DR12: no law that differs by more than
    the sky term's own uncertainty wins, and stars show the floor."""
    lit = red_table["npix"] > 0
    assert set(red_table["noise_best"][lit]) <= {"optimal_sky", "optimal_noisy_sky", "tutorial_sky"}  # a percent apart
    np.testing.assert_allclose(red_table["noise_ratio_median"][lit], 1, atol=0.015)
    bright = lit & (red_table["objtype"] == "SPECTROPHOTO_STD")
    assert np.ma.median(red_table["fit_b"][bright]) == pytest.approx(0.028, abs=0.003)
    assert (np.abs(red_table["ratio_readnoise_weighted_sky"][bright] - 1) > 0.05).all()


def test_every_pixel_is_counted_once(red_exposure, red_table):
    """Protects the counts: compared or left out for one reason, every pixel of every fiber."""
    reasons = ("npix", "npix_nodata", "npix_masked", "npix_uncalibrated")
    total = sum(np.asarray(red_table[name]) for name in reasons)
    assert (total == len(red_exposure.row)).all()
    np.testing.assert_array_equal(red_table["npix_ivar"], np.count_nonzero(red_exposure.ivar > 0, axis=1))


def test_fibers_without_light_have_no_numbers(red_table):
    """Protects against a difference of 0, "perfect", or a ratio of 1 where nothing was compared."""
    dark = np.flatnonzero(simulation.plug_fibers(SEED).select(red_table["fiber"]).dark)
    assert (red_table["npix"][dark] == 0).all()
    for name, (unit, _) in comparison.COLUMNS.items():
        measured = unit or name.startswith(("ratio_", "scatter_", "noise_ratio", "fit_", "tutorial_", "pipeline_"))
        if (
            name not in comparison.TARGET_COLUMNS
            and measured
            and not name.startswith(("rdnoise", "lambda_eff", "noise_ratio_narrow", "noise_ratio_wide"))
        ):
            assert red_table[name].mask[dark].all(), name
            assert not red_table[name].mask.all(), name


def test_ratio_of_the_tutorial_has_one_definition(red_exposure, red_prediction, red_table, spec_tables):
    """Protects ``evar_ratio_median`` from a meaning of its own: it is the tutorial's law without sky, for both kinds,
    of variances from which the floor is out."""
    for table in (red_table, *(table for _, _, table in spec_tables.values())):
        np.testing.assert_array_equal(table["evar_ratio_median"], table["ratio_tutorial"])
        np.testing.assert_array_equal(
            np.ma.getmaskarray(table["evar_ratio_median"]), np.ma.getmaskarray(table["ratio_tutorial"])
        )
    for camera in ("b1", "r1"):
        _, _, table = spec_tables[1, camera, SECOND]
        assert table["evar_ratio_median"][0] > 0
    assert spec_tables[1, "r1", SECOND][2]["evar_ratio_median"][0] == pytest.approx(
        red_table["evar_ratio_median"][0],
        abs=0.05,  # a spec file has the largest of the quadrants' widths
    )


def test_what_a_spec_file_cannot_tell_is_masked(spec_tables, dark_fiber):
    """Protects against zeros where there is no number: no components, no model, and nothing of a broken fiber."""
    for (fiber, _, _), (_, _, table) in spec_tables.items():
        for name in ("tutorial_max_absdiff", "tutorial_max_reldiff", "pipeline_max_reldiff", "flux_max_reldiff"):
            assert table[name].mask.all()
        assert (table["npix"][0] > 2000) == (fiber != dark_fiber)
        assert np.ma.getmaskarray(table["noise_ratio_median"])[0] == (fiber == dark_fiber)


def test_width_of_a_spec_file_is_a_range(spec_tables, red_table):
    """Protects the honesty of spec files: the ratio lies between those of the widths that their one number allows, and
    frames, which hold the width, have no such range."""
    _, _, table = spec_tables[1, "r1", SECOND]
    assert table["noise_ratio_narrow"][0] > table["noise_ratio_median"][0] > table["noise_ratio_wide"][0] > 0.8
    assert red_table["noise_ratio_narrow"].mask.all()
    assert red_table["noise_ratio_wide"].mask.all()


def test_both_kinds_of_files_give_the_same_noise(spec_tables, red_table):
    """Protects the comparison from the kind of file: the same law explains the same fiber's variance alike."""
    _, _, table = spec_tables[1, "r1", SECOND]
    for name in ("ratio_optimal", "ratio_readnoise_weighted", "ratio_tutorial", "ratio_readnoise_limit"):
        assert table[name][0] == pytest.approx(red_table[name][0], abs=0.05)
    # Of a spec file, the sky term is one number for all wavelengths, and so is the width, the largest there is.
    assert table["noise_ratio_median"][0] == pytest.approx(1, abs=0.1)


def test_allowed_bits_let_pixels_in(red_exposure):
    """Protects ``mask_allow``: pixels with harmless bits are compared, and none else."""
    few = red_exposure.take(slice(0, 20))
    strict, lenient = (compare_fibers(few, predict(few, "optimal", allowed)) for allowed in (0, 1 << 23))
    bright_sky = np.count_nonzero((few.mask == 1 << 23) & (few.ivar > 0), axis=1)
    assert bright_sky.max() > 100
    assert (strict["npix_masked"] - lenient["npix_masked"] == bright_sky).all()
    assert (lenient["npix"] >= strict["npix"]).all()


def test_an_exposure_without_any_data_is_compared():
    """Protects a plate's run from one exposure that is masked altogether: masked columns, no failure, no warning."""
    exposure = frame_exposure(eivar=0.0, ivar=0.0, flux=0.0)
    table = compare_fibers(exposure, predict(exposure, "optimal"))
    assert (table["npix"] == 0).all()
    for name in ("noise_ratio_median", "noise_best", "fit_a", "tutorial_max_reldiff", "flux_max_reldiff"):
        assert table[name].mask.all(), name


# --------------------------------------------------------------------------------------------------------- summary


def target(**changes):
    known = {"release": "sim", "plate": 6641, "mjd": 56383, "fiber": 12, "band": "red", "camera": "r1", "expidx": 1,
             "expnum": SECOND, "products": "frames"}  # fmt: skip
    return Target(**(known | changes))


def test_summary_is_in_the_order_of_the_targets(red_table, spec_tables):
    """Protects the summary: one row a target, its own, whatever the order of the tables, and whichever kind of file."""
    everything = stack([spec_tables[1, "r1", SECOND][2], red_table])
    targets = [target(), target(fiber=1), target(fiber=1, products="spec"), target(fiber=400, expidx=7)]
    summary, lacking = summarize(targets, everything)
    assert lacking == {}
    assert summary.colnames == list(comparison.COLUMNS)
    assert summary["fiber"].tolist() == [12, 1, 1, 400]
    assert summary["products"].tolist() == ["frames", "frames", "spec", "frames"]
    assert summary["expidx"].tolist() == [1, 1, 1, 7]
    assert set(summary["band"]) == {"red"}
    assert summary["noise_ratio_median"][0] == red_table["noise_ratio_median"][11]
    assert summary["tutorial_max_reldiff"].mask.tolist() == [False, False, True, False]


@pytest.mark.parametrize("changes", [{"release": "dr12"}, {"expnum": FIRST}, {"camera": "b1"}])
def test_a_target_that_is_nowhere_has_no_row(red_table, changes):
    """Protects against another exposure's or release's row: who could not make the camera exposure has said why."""
    summary, lacking = summarize([target(), target(**changes)], red_table)
    assert (summary["fiber"].tolist(), summary["release"].tolist(), lacking) == ([12], ["sim"], {})


def test_a_fiber_that_the_plug_map_lacks_is_named(red_table):
    """Protects against another fiber's row, and against a target that is lost without a word."""
    summary, lacking = summarize([target(), target(fiber=501)], red_table)
    assert summary["fiber"].tolist() == [12]
    key = f"sim/6641-56383-0501-r1-{SECOND:08d}"
    assert lacking == {key: f"fiber 501 is not in the plug map of r1-{SECOND:08d}"}


# ---------------------------------------------------------------------------------------------------- spCalib files


def test_export_turns_flux_into_electrons_and_back(red_exposure, red_prediction):
    """Protects the promise of the spCalib file: flux = (electrons - sky) calib + additive, wherever there is data."""
    images = calibration_images(red_exposure, red_prediction)
    assert list(images) == list(IMAGES)
    lit = (images["CALIB"] > 0) & (red_exposure.ivar > 0)
    assert lit.sum() > 0.5 * lit.size
    of_object = images["ELECTRONS"].astype(float) - images["SKY"]
    flux = of_object * images["CALIB"] + images["ADDITIVE"]
    scale = (np.abs(images["ELECTRONS"]) + images["SKY"]) * images["CALIB"] + np.abs(images["ADDITIVE"])
    np.testing.assert_array_less(np.abs(flux - red_exposure.flux)[lit], 1e-6 * scale[lit] + 1e-9)
    ratio = np.median((images["EVAR"] / np.maximum(images["EVARPRED"], 1e-9))[lit & (images["EVAR"] > 0)])
    assert ratio == pytest.approx(1, abs=0.01)
    assert (images["EVARPRED"] >= images["EVARSKY"]).all()
    for name, image in images.items():
        assert image.shape == red_exposure.flux.shape
        assert np.isfinite(image).all(), name


def test_export_is_a_fits_file_that_says_what_it_holds(tmp_path, red_exposure, red_prediction):
    """Protects readers of the file: names, units, law, provenance and plug map; the same bytes every time."""
    few = FrameExposure.checked(
        replace(red_exposure.header, inputs=HEADER.inputs), dict(red_exposure.take(slice(0, 20)).arrays)
    )
    prediction = red_prediction.take(slice(0, 20))
    for name in ("a.fits", "b.fits"):
        write_calib(tmp_path / name, few, prediction)
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()
    images = calibration_images(few, prediction)
    with fits.open(tmp_path / "a.fits") as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus] == ["PRIMARY", *IMAGES, "PLUGMAP"]
        for name, (unit, _) in IMAGES.items():
            np.testing.assert_array_equal(hdus[name].data, images[name])
            assert hdus[name].header.get("BUNIT", "") == unit
        header = hdus[0].header
        expected = {"PLATEID": 6641, "MJD": 56383, "CAMERAS": "r1", "EXPOSURE": SECOND, "RELEASE": "sim",
                    "NOISELAW": "optimal_sky", "RDNOISE3": 2.52, "SIMULATD": True}  # fmt: skip
        assert {key: header[key] for key in expected} == expected
        assert list(header["HISTORY"]) == [
            "input /sas/dr12/spFrame", "  SHA-1 0123", "input /sas/dr12/spCFrame", "  SHA-1 4567"
        ]  # fmt: skip
        assert hdus["PLUGMAP"].data["FIBERID"].tolist() == list(range(1, 21))
        assert hdus["PLUGMAP"].data["OBJTYPE"].tolist() == few.objtype.tolist()


# ------------------------------------------------------------------------------------------------- two releases


def test_thrucorr_from_two_skies():
    """Protects T: the ratio of the electrons of the two skies, smooth, whatever single pixels do; a pixel without data
    in one of the releases takes no part."""
    random = np.random.default_rng(3)
    loglam = np.linspace(3.56, 3.80, 2500)
    true = 1 + 1.5 * (loglam - 3.6)
    sky = 60 + 30 * np.sin(40 * loglam)

    def one(electrons):
        good = np.ones((1, loglam.size), dtype=bool)
        return SimpleNamespace(good_electrons=good, sky_electrons=electrons[np.newaxis])

    earlier = one(sky * random.normal(1, 0.02, sky.size))
    later = one(sky / true)
    later.sky_electrons[0, 100:110] *= 5
    later.good_electrons[0, 500] = False
    found = measure_thrucorr(earlier, loglam, later, loglam)
    np.testing.assert_allclose(found.thrucorr, true, rtol=0.006)
    assert found.residual == pytest.approx(0.02, rel=0.1)
    assert np.isnan(found.ratio[500])
    later.good_electrons[:] = False
    assert measure_thrucorr(earlier, loglam, later, loglam) is None


def test_summary_takes_the_corrected_ratio_of_its_spectrum(red_table):
    """Protects `noise_ratio_thrucorr`: that of the same camera exposure, and masked elsewhere."""
    key = {name: red_table[name][0] for name in ("release", "plate", "mjd", "camera", "expnum")}
    releases = Table({**{name: [value] for name, value in key.items()}, "fiber": [1], "noise_ratio_thrucorr": [0.97]})
    summary, _ = summarize([target(fiber=1), target(fiber=12)], red_table, [releases])
    assert summary["noise_ratio_thrucorr"][0] == 0.97
    assert summary["noise_ratio_thrucorr"].mask.tolist() == [False, True]
