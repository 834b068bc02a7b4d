"""One measurement of either kind of file: electrons, variance, where the error floor is; and the notebook's."""

from dataclasses import replace

import notebook
import numpy as np
import pytest
from simulated import HEADER, NROW, frame_exposure, frame_files, read_simulated

from bosscal import simulation
from bosscal.base.errors import UserError
from bosscal.calibration.measurement import WIDTH_RANGE, measure
from bosscal.calibration.tutorial import reconstruct
from bosscal.noise.laws import LAWS
from bosscal.noise.laws.tutorial import tutorial_readnoise, tutorial_variance
from bosscal.results.prediction import predict
from bosscal.results.spectrum import read_spectrum
from bosscal.survey.exposure import CameraExposure, FrameExposure, SpecExposure, trace_set_arrays
from bosscal.survey.spectra import read_spec
from bosscal.survey.targets import Target
from bosscal.survey.tracesets import TraceSet

FIRST, SECOND = simulation.EXPOSURES

# ------------------------------------------------------------------------------------ analytic: a few plain numbers


def spec_exposure(**changes):
    """One fiber of a spec file: 100 electrons of the object, 60 of the sky, 0.1 flux units per electron."""
    rows = {"flux": 10.0, "sky": 6.0, "ivar": 1.0, "mask": 0, "calib": 0.1, "loglam": 3.7, "quadrant": 2} | changes
    arrays = {name: np.broadcast_to(value, (1, NROW)) for name, value in rows.items()}
    arrays |= {name: [5] for name in ("fiber", "ra", "dec", "xfocal", "yfocal", "lambda_eff")} | {"objtype": ["QSO"]}
    header = replace(HEADER, products="spec", xsigma=1.1)
    return SpecExposure.checked(header, arrays | {"row": np.arange(NROW)})


def test_electrons_of_a_spec_file_by_hand():
    """Protects what a spec file gives: flux and sky over its own calibration, and one width for all rows."""
    measurement = measure(spec_exposure(), np.float32([[0.1] * NROW]))
    np.testing.assert_allclose(measurement.electrons, [[160] * NROW], rtol=1e-6)
    np.testing.assert_allclose(measurement.object_electrons, [[100] * NROW], rtol=1e-6)
    np.testing.assert_allclose(measurement.sky_electrons, [[60] * NROW], rtol=1e-6)
    np.testing.assert_array_equal(measurement.neighbor_electrons, measurement.sky_electrons)
    assert measurement.electrons.dtype == np.float32
    assert measurement.sigma.tolist() == [[1.1]]
    assert measurement.flat.tolist() == [[1.0]]
    assert measurement.readnoise.tolist() == [[2.53] * NROW]


@pytest.mark.parametrize(("electrons", "floor"), [(100.0, 9.0), (0.0, 0.0), (-40.0, 0.0)])
def test_the_error_floor_is_taken_out_of_a_spec_file_once(electrons, floor):
    """Protects the measured variance: 150 electrons² and the floor of 3 % went in, 150 come out; light below 0 has
    none."""
    variance, calib = 150.0, 0.1
    exposure = spec_exposure(flux=electrons * calib, ivar=1 / ((variance + floor) * calib**2))
    measurement = measure(exposure, exposure.calib)
    np.testing.assert_allclose(measurement.variance, variance, rtol=1e-6)
    np.testing.assert_allclose(measurement.floor, floor, rtol=1e-6)
    np.testing.assert_allclose(measurement.flux_variance, variance + floor, rtol=1e-6)


def test_a_floor_that_explains_all_leaves_no_variance():
    """Protects the laws from negative variances: such a pixel has no measured variance, and is not compared with it."""
    exposure = spec_exposure(ivar=1 / (8 * 0.1**2))  # 8 electrons², less than the floor of 9
    measurement = measure(exposure, exposure.calib)
    assert measurement.variance.tolist() == [[0.0] * NROW]
    assert measurement.compared.all()
    assert not measurement.valid.any()


def test_frames_by_hand():
    """Protects what frames give: electrons times both flats, variances that have no floor yet, and the flux's own."""
    exposure = frame_exposure()
    calib = np.full((3, NROW), 0.1)
    measurement = measure(exposure, calib)
    np.testing.assert_allclose(measurement.electrons, 2.5 * 80)
    np.testing.assert_allclose(measurement.object_electrons, 2.5 * 50)
    np.testing.assert_allclose(measurement.sky_electrons, 2.5 * 30)
    np.testing.assert_allclose(measurement.variance, 2.5**2 / 0.01, rtol=1e-6)
    np.testing.assert_allclose(measurement.flux_variance, (2.5 / 0.1) ** 2 / 0.9, rtol=1e-6)
    assert measurement.floor is None
    assert measurement.valid.all()


def test_neighbors_are_the_others_of_the_bundle():
    """Protects the mean of the neighbours: without the fiber itself, of its own bundle alone, negative ones as 0."""
    eflux = np.array([[10.0], [20.0], [-90.0], [40.0], [60.0]]) - 30  # fibers 18, 19, 20 and 21, 22 of the next bundle
    measurement = measure(frame_exposure(5, eflux=eflux), np.ones((5, NROW)))
    expected = 2.5 * np.array([20 / 2, 10 / 2, 30 / 2, 60, 40])
    np.testing.assert_allclose(measurement.neighbor_electrons, expected[:, np.newaxis] + np.zeros(NROW))
    alone = measure(frame_exposure(1), np.ones((1, NROW)))
    assert alone.neighbor_electrons.tolist() == [[0.0] * NROW]


def test_pixels_without_data_are_neither_compared_nor_infinite():
    """Protects the selection: each reason to leave a pixel out, and variances of 0 rather than inf."""
    with np.errstate(all="raise"):
        exposure = frame_exposure(
            eivar=np.array([0, 1, 1, 1]), ivar=np.array([1, 0, 1, 1]), mask=np.array([0, 0, 4, 0]), flux=[[1, 1, 1, -1]]
        )
        measurement = measure(exposure, np.ones((3, NROW)))
        assert not measurement.compared.any()
        assert measurement.good.tolist() == [[True, False, False, True]] * 3
        assert measurement.good_electrons.tolist() == [[False, True, True, True]] * 3
        assert measurement.variance[:, 0].tolist() == [0, 0, 0]
        assert measurement.flux_variance[:, 1].tolist() == [0, 0, 0]
        allowed = measure(exposure, np.ones((3, NROW)), allowed_bits=4)
        assert allowed.compared.tolist() == [[False, False, True, False]] * 3
        of_spec = spec_exposure(ivar=[[0, 1, 1, 1]], mask=[[0, 1, 0, 0]], calib=[[0.1, 0.1, 0, -0.1]])
        measurement = measure(of_spec, of_spec.calib)
        assert not measurement.compared.any()
        assert np.isfinite(measurement.electrons).all()
        assert measurement.variance[0, 0] == 0


def test_widths_stay_within_what_laws_know():
    """Protects every pixel of a camera from the width that was fitted to a dead fiber."""
    exposure = frame_exposure()
    arrays = exposure.arrays | trace_set_arrays("width", TraceSet(np.array([[0.01], [1.1], [50.0]]), 0, NROW))
    measurement = measure(FrameExposure.checked(HEADER, arrays), np.ones((3, NROW)))
    assert measurement.sigma[:, 0].tolist() == [WIDTH_RANGE[0], 1.1, WIDTH_RANGE[1]]


def test_some_fibers_and_other_views_of_a_measurement():
    """Protects what laws and figures take of a measurement: some fibers, the sky alone, amplifiers as measured."""
    whole = measure(frame_exposure(5, eflux=np.arange(20.0).reshape(5, 4)), np.ones((5, NROW)))
    some = whole.take(slice(1, 3))
    assert some.fiber.tolist() == [19, 20]
    np.testing.assert_array_equal(some.electrons, whole.electrons[1:3])
    np.testing.assert_array_equal(some.neighbor_electrons, whole.neighbor_electrons[1:3])
    np.testing.assert_array_equal(some.row, whole.row)
    assert some.floor is None
    sky = whole.as_sky()
    np.testing.assert_array_equal(sky.electrons, whole.sky_electrons)
    assert not sky.object_electrons.any()
    np.testing.assert_array_equal(sky.variance, whole.variance)
    assert whole.readnoise[0, 0] == 2.59  # quadrant 1 by the noise image
    assert whole.with_measured_order().readnoise[0, 0] == 2.53
    of_spec = measure(spec_exposure(), np.float32([[0.1] * NROW]))
    assert of_spec.take(slice(0, 1)).flat.shape == (1, 1)


def test_only_camera_exposures_are_measured():
    """Protects against a container that is neither kind."""

    class OtherExposure(CameraExposure):
        flat = profile_width = None

    for function in (lambda other: measure(other, np.ones((1, NROW))), reconstruct):
        with pytest.raises(TypeError, match="no camera exposure: OtherExposure"):
            function(OtherExposure(HEADER, frame_exposure(1).arrays))


# --------------------------------------------------------- the same fiber by its frames and by its spec file


@pytest.fixture(scope="module", params=["b1", "r1"])
def both(request, simulated_root):
    """A fiber measured from frames, at the rows of its spec file, and from the spec file that was made of them."""
    spec = read_spec(simulated_root / simulation.spec_path(1), "", "sim", 6641, 56383, 1, request.param, FIRST)
    frames = read_simulated(simulated_root, request.param, FIRST)
    prediction = predict(frames, "optimal")
    measurement = measure(frames.take(slice(0, 20)), prediction.calib[:20]).take(slice(0, 1))
    # Blue rows of a spec file are an estimate: wavelengths tell which row is which.
    start = int(np.argmin(np.abs(frames.loglam[0] - spec.loglam[0, 0])))
    return measurement, measure(spec, spec.calib), slice(start, start + len(spec.row))


def test_both_kinds_of_files_give_the_same_electrons(both):
    """Protects the boundary: what follows need not know where a measurement comes from."""
    frames, spec, rows = both
    used = spec.compared[0]
    assert used.sum() > 2000
    # The object may be a small difference, so an error is measured against all the light that there is.
    light = (np.abs(frames.object_electrons) + frames.sky_electrons)[0, rows][used]
    for name in ("electrons", "object_electrons", "sky_electrons"):
        difference = getattr(spec, name)[0][used] - getattr(frames, name)[0, rows][used]
        np.testing.assert_array_less(np.abs(difference), 1e-6 * light, err_msg=name)
    # A spec file has the pixels that the coaddition rejected marked; these frames are as they were before.
    assert not np.any(spec.good & ~frames.good[:, rows])
    assert np.sum(frames.good[:, rows] & ~spec.good) < 10
    assert np.sum(frames.compared[:, rows] & ~spec.compared) < 10


def test_both_kinds_of_files_give_the_same_variances(both):
    """Protects the measured variance, from which the floor is out in both, and the flux's, which has it in both."""
    frames, spec, rows = both
    used = spec.compared[0] & (frames.row[rows] >= 100) & (frames.variance[0, rows] > 0)
    assert used.sum() > 2000
    # float32 numbers are rounded to 6e-8, and the floor that is taken out may be larger than what is left.
    stated = spec.flux_variance[0][used]
    np.testing.assert_array_less(np.abs(spec.variance[0] - frames.variance[0, rows])[used], 2e-6 * stated)
    np.testing.assert_allclose(stated, frames.flux_variance[0, rows][used], rtol=2e-6)
    assert spec.floor[0][used].max() > 0.05 * frames.variance[0, rows][used].min()


# ------------------------------------------------------------------------------------------------ the notebook


@pytest.mark.parametrize("fiber", [1, 12, "dark"])
def test_one_fiber_equals_the_notebook(simulated_root, dark_fiber, red_exposure, red_prediction, fiber):
    """Protects the vectorised arithmetic: every number that the notebook computes of a fiber, a broken one too."""
    fiber = dark_fiber if fiber == "dark" else fiber
    folder = frame_files(simulated_root, "r1", SECOND)[0].parent
    expected = notebook.plot_calib(folder, 6641, 56383, "r1", SECOND, 158840, fiber)
    one = slice(fiber - 1, fiber)
    exposure = red_exposure.take(one)
    measurement, tutorial = measure(exposure, red_prediction.calib[one]), reconstruct(exposure)
    width = exposure.profile_width
    found = {
        "electrons": measurement.electrons,
        "evar": measurement.variance,
        "flat": measurement.flat,
        "readnoise": tutorial_readnoise(measurement.readnoise, width),
        "evar_pred": tutorial_variance(measurement.electrons, measurement.readnoise, width),
        "var": tutorial.var,
        "var_pred": tutorial.var_pred,
        "bin_ratio": tutorial.bin_ratio,
        "distort": tutorial.distort_at_rows,
        "calib_applied": tutorial.calib_applied,
        "calib_predicted": tutorial.calib_predicted,
    }
    applied = np.ma.filled(expected["calib_applied"] > 0, False)
    assert expected["npix"] == measurement.compared.sum()
    assert (expected["npix"] > 0) == (fiber != dark_fiber)
    for name, values in found.items():
        wanted = np.ma.filled(np.ma.asarray(expected[name], dtype=float), np.nan)
        usable = applied if name.startswith("calib") else np.isfinite(wanted)
        rtol = 1e-12 if name.startswith("calib") else 1e-6
        np.testing.assert_allclose(values[0][usable], wanted[usable], rtol=rtol, err_msg=name)


# -------------------------------------------------------------------------------------------- one spectrum of many


def test_a_spectrum_is_a_row_of_the_whole(tmp_path, red_exposure, red_prediction):
    """Protects figures of one fiber: its neighbours are those of its bundle, though only its rows are kept."""
    red_exposure.write(tmp_path / "exposure.npz")
    red_prediction.write(tmp_path / "prediction.npz")
    target = Target("sim", 6641, 56383, 33, "red", "r1", 1, SECOND, "frames")
    spectrum = read_spectrum(tmp_path / "exposure.npz", tmp_path / "prediction.npz", target)
    whole = measure(red_exposure, red_prediction.calib)
    for name, values in vars(whole.take(slice(32, 33))).items():
        if name not in ("header", "floor"):
            np.testing.assert_array_equal(getattr(spectrum.measurement, name), values, err_msg=name)
    np.testing.assert_array_equal(spectrum.exposure.loglam, red_exposure.loglam[32:33])
    np.testing.assert_array_equal(spectrum.prediction.sky_variance, red_prediction.sky_variance[32:33])
    np.testing.assert_array_equal(
        spectrum.tutorial.distort_at_rows, reconstruct(red_exposure.take(slice(32, 33))).distort_at_rows
    )
    assert np.isfinite(spectrum.effects["calibration"]).sum() == spectrum.measurement.compared.sum()
    assert spectrum.title.startswith("sim   6641-56383-33   r1 #158843   ")
    assert spectrum.title.endswith(f"{red_exposure.objtype[32]}   read noise 2.90/2.59/2.53/2.52 e⁻")
    with pytest.raises(UserError, match="fiber 700 is not in the plug map"):
        read_spectrum(tmp_path / "exposure.npz", tmp_path / "prediction.npz", replace(target, fiber=700))


def test_some_rows_are_those_of_all(red_exposure, red_prediction):
    """Protects comparisons that leave out a camera's dark ends: every array is cut alike, and laws give the same."""
    places = next(iter(red_exposure.bundles()))
    whole = measure(red_exposure.take(places), red_prediction.calib[places])
    part = whole.rows(slice(1000, 1200))
    assert part.row.tolist() == list(range(1000, 1200))
    for name in ("electrons", "variance", "flux_variance", "flat", "sigma", "neighbor_electrons", "compared"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:, 1000:1200], err_msg=name)
    assert list(part.fiber) == list(whole.fiber)
    for law in LAWS.values():
        np.testing.assert_array_equal(law.variance(part), law.variance(whole)[:, 1000:1200], err_msg=law.name)
