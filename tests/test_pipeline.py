"""The pipeline's calibration against hand-computed truths."""

from types import SimpleNamespace

import numpy as np
import pytest

from bosscal.base.arithmetic import interpolate_rows, inverse, inverse_where, reldiff, safe_ratio
from bosscal.calibration.pipeline import (
    above_threshold,
    add_error_floor,
    apodize,
    calibrate,
    calibrate_exposure,
    error_floor,
    inverse_distortion,
)
from bosscal.survey.grid import coadd_loglam
from bosscal.survey.tracesets import TraceSet, bin_size

NROW = 200


def flat_case(**changes):
    """One fiber whose every factor is a plain number, so that the result can be written down."""
    ones = np.ones((1, NROW))
    inputs = {
        "eflux": 10 * ones, "esky": 4 * ones, "eivar": 0.25 * ones, "delta": 2 * ones, "spcalib": 5 * ones,
        "corr": 1.5 * ones, "corr_add": 0.3 * ones, "inv_distort": ones / 1.1,
        "spcalib_mean": 5.0, "corr_mean": 1.5, "distort_mean": 1.1,
    }  # fmt: skip
    return calibrate(**(inputs | changes))


def test_every_factor_by_hand():
    """Protects the order of the steps: flux = (eflux A / (Delta spcalib) + B) D, and the sky without B."""
    result = flat_case()
    calib = 1.5 / (2 * 5) * 1.1
    np.testing.assert_allclose(result.calib, calib)
    np.testing.assert_allclose(result.flux, (10 * 1.5 / 10 + 0.3) * 1.1)
    np.testing.assert_allclose(result.sky, 4 * calib)
    variance = 1 / 0.25 + (0.03 * 10) ** 2
    np.testing.assert_allclose(result.ivar[0, 100:], 1 / (variance * calib**2))
    np.testing.assert_allclose(result.ivar[0, :100], np.arange(100) / 100 / (variance * calib**2))


def test_no_data_stays_no_data():
    """Protects ivar = 0: never inf or NaN, whatever else is zero."""
    eivar = np.full((1, NROW), 0.25)
    eivar[0, 150] = 0
    spcalib = np.full((1, NROW), 5.0)
    spcalib[0, 160] = 0.2  # at 4 % of the mean: the threshold of 5 % bites
    with np.errstate(all="raise"):
        result = flat_case(eivar=eivar, spcalib=spcalib)
    assert result.ivar[0, 150] == 0
    assert result.flux[0, 150] != 0
    assert result.ivar[0, 160] == result.calib[0, 160] == result.sky[0, 160] == 0
    assert result.flux[0, 160] == pytest.approx(0.3 * 1.1)  # B is added after the division
    for array in (result.flux, result.sky, result.ivar, result.calib):
        assert np.isfinite(array).all()


def test_thresholds_on_correction_and_distortion():
    """Protects the thresholds of the divisions by 1/A and 1/D, which are on the inverses."""
    corr = np.full((1, NROW), 1.5)
    corr[0, 120] = 1.5 * 20.1
    assert flat_case(corr=corr).calib[0, 120] == 0
    inv_distort = np.full((1, NROW), 1 / 1.1)
    inv_distort[0, 130] = 0.049 / 1.1
    result = flat_case(inv_distort=inv_distort)
    assert result.flux[0, 130] == result.ivar[0, 130] == 0


def test_error_floor_ignores_negative_flux():
    """Protects the clip of the 3 % floor at zero electrons."""
    eflux = np.array([[-50.0, 0.0, 100.0]])
    eivar = np.array([[0.1, 0.1, 0.1]])
    np.testing.assert_allclose(add_error_floor(eflux, eivar), [[0.1, 0.1, 1 / (10 + 9)]], rtol=1e-7)
    np.testing.assert_allclose(error_floor(eflux), [[0, 0, 9]], rtol=1e-7)


def test_apodization_ramp():
    """Protects the ramp's ends: zero in row 0, complete in row 100."""
    ramp = apodize(np.ones((1, NROW)))[0]
    assert ramp[0] == 0
    assert ramp[50] == 0.5
    assert np.all(ramp[100:] == 1)


def test_distortion_is_linear_in_loglam_of_the_inverse():
    """Protects grid offset, variable and quantity of the interpolation, and that it goes on beyond the grid's ends:
    exact for 1/D linear in loglam."""
    keywords = (3.55, 1.0, 1e-4)
    grid = coadd_loglam(np.arange(50), keywords)
    assert grid[0] == 3.55
    slope = np.array([[1.0], [-2.0]])
    distort = 1 / (1 + slope * (grid - 3.55))
    # A row may lie up to a step beyond either end of the grid.
    loglam = np.linspace(grid[0] - 1e-4, grid[-1] + 1e-4, 333)[np.newaxis].repeat(2, axis=0)
    np.testing.assert_allclose(inverse_distortion(distort, keywords, loglam), 1 + slope * (loglam - 3.55), rtol=1e-12)


def test_interpolation_equals_numpy_row_by_row():
    """Protects the vectorised interpolation against np.interp, beyond the ends too."""
    random = np.random.default_rng(1)
    values = random.normal(size=(3, 20))
    position = random.uniform(-3, 23, size=(3, 40))
    expected = [np.interp(x, np.arange(20), y) for x, y in zip(position, values, strict=True)]
    np.testing.assert_allclose(interpolate_rows(position, values), expected, atol=1e-14)


def test_inverses_of_zero_are_zero():
    """Protects the inverses from division by zero."""
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(inverse(np.array([0, 2, -4], dtype=np.float32)), [0, 0.5, -0.25])
        good = np.array([True, True, False])
        np.testing.assert_array_equal(inverse_where(np.array([0.0, 4, 2]), good), [0, 0.25, 0])
        np.testing.assert_array_equal(safe_ratio(np.array([3.0, 1]), np.array([2, 0])), [1.5, 0])


def test_inverse_is_taken_in_the_precision_of_the_file():
    """Protects agreement with the notebook, whose inverses of float32 images are rounded to float32."""
    values = np.array([3.0, 7.0], dtype=np.float32)
    result = inverse_where(values, np.ones(2, dtype=bool))
    assert result.dtype == np.float64
    assert result.tolist() == (1 / values).tolist()
    assert result[0] != 1 / 3
    assert inverse(values)[0] == 1 / 3


def test_reldiff_is_half_of_the_usual():
    """Protects the tutorial's definition, what makes factors and inverses comparable, and 0/0 = 0."""
    first, second = np.array([1.0, 3.0, 0.0]), np.array([1.02, -1.0, 0.0])
    np.testing.assert_allclose(reldiff(first, second), [0.02 / 2.02, 2, 0])
    np.testing.assert_allclose(reldiff(1 / first[:2], 1 / second[:2]), [0.02 / 2.02, 2])


def test_position_correction_multiplies_the_electrons_first():
    """Protects releases after DR12: T acts on eflux and its variance before all else, and not on the sky."""
    ones = np.ones((1, NROW))
    wave = TraceSet(np.array([[3.6, 2e-4 * (NROW - 1) / 2]]), 0, NROW - 1)  # 2e-4 dex a row: Delta = 2
    arrays = {
        "eflux": 10 * ones, "esky": 4 * ones, "eivar": 0.25 * ones, "spcalib": 5 * ones, "corr": 1.5 * ones,
        "corr_add": 0.3 * ones, "distort": np.full((1, 50), 1.1), "distort_grid": (3.6, 1.0, 1e-4),
        "loglam": wave(np.arange(NROW)), "row": np.arange(NROW), "means": (5.0, 1.5, 1.1),
        "mask": np.zeros((1, NROW), dtype=np.int32), "flux": ones, "sky": ones, "ivar": ones,
    }  # fmt: skip
    exposure = SimpleNamespace(**arrays, thrucorr=None, trace_set=lambda kind: wave)
    without = calibrate_exposure(exposure)
    np.testing.assert_allclose(without.flux, flat_case().flux)
    exposure.thrucorr = 1.2 * ones.astype(np.float32)
    corrected = calibrate_exposure(exposure)
    np.testing.assert_allclose(corrected.flux, (12 * 1.5 / 10 + 0.3) * 1.1, rtol=1e-6)
    np.testing.assert_allclose(corrected.sky, without.sky)
    np.testing.assert_allclose(corrected.calib, 1.2 * without.calib, rtol=1e-6)
    variance = 1.2**2 / 0.25 + (0.03 * 12) ** 2
    np.testing.assert_allclose(corrected.ivar[0, 100:], 1 / (variance * without.calib[0, 100:] ** 2), rtol=1e-6)
    np.testing.assert_allclose(corrected.flux, exposure.eflux * corrected.calib + corrected.additive)


def pixel_by_pixel(exposure, delta):
    """What the pipeline's source does, one pixel after the other and in its own types: flux, sky, inverse variance.

    Written down from idlspec2d spframe_read, correct_dlam, divideflat and spcoadd_v5, not from the model.
    """
    single, double = np.float32, np.float64
    results = np.zeros((3, *exposure.eflux.shape))
    thresholds = 0.05 * exposure.means[0], 0.05 / exposure.means[1], 0.05 / exposure.means[2]
    crval1, _, step = exposure.distort_grid
    for fiber, row in np.ndindex(exposure.eflux.shape):
        values = {"flux": exposure.eflux[fiber, row], "sky": exposure.esky[fiber, row]}
        values["ivar"] = exposure.eivar[fiber, row]
        assert {type(value) for value in values.values()} == {single}
        if values["ivar"] != 0:
            floor = single(0.03) * max(values["flux"], single(0))
            values["ivar"] = single(1) / (single(1) / values["ivar"] + floor * floor)
        if exposure.thrucorr is not None:
            factor = exposure.thrucorr[fiber, row]
            values["flux"], values["ivar"] = values["flux"] * factor, values["ivar"] / (factor * factor)

        def divide(divisor, threshold, values=values):
            for name, value in values.items():
                result = value * (divisor * divisor) if name == "ivar" else value / divisor
                values[name] = type(value)(result) if divisor > threshold else type(value)(0)

        divide(delta[fiber, row], 0)
        divide(exposure.spcalib[fiber, row], thresholds[0])
        divide(type(exposure.corr[fiber, row])(1) / exposure.corr[fiber, row], thresholds[1])
        if exposure.corr_add is not None:
            values["flux"] = values["flux"] + exposure.corr_add[fiber, row]
        if row < 100:
            values["ivar"] = values["ivar"] * single(row) / single(100)
        values = {name: getattr(exposure, name).dtype.type(value) for name, value in values.items()}
        # IDL's INTERPOL: between the two grid points about the row, or the last two where the grid ends.
        loglam = exposure.loglam[fiber, row]
        inverses = [single(1) / value for value in exposure.distort[fiber]]
        grid = [double(point) * step + crval1 for point in range(len(inverses))]
        left = min(max(sum(point <= loglam for point in grid) - 1, 0), len(grid) - 2)
        slope = (loglam - grid[left]) * double(inverses[left + 1] - inverses[left]) / (grid[left + 1] - grid[left])
        divide(slope + double(inverses[left]), thresholds[2], values)
        results[:, fiber, row] = values["flux"], values["sky"], values["ivar"]
    return results


@pytest.mark.parametrize("types", ["DR12", "v5_10", "v5_10 without seeing"])
def test_the_pipelines_number_types_to_the_bit(types):
    """Protects every rounding of the exact model: float32 after each division, divisors in the types that the source
    has, float64 from the additive term on in v5_10; rows beyond the ends of the distortion's grid, apodized rows,
    pixels without data and below a threshold included."""
    random = np.random.default_rng(7)
    shape = (3, 150)
    wave = TraceSet(np.array([[3.61, 0.0081, -3e-4], [3.612, 0.0078, 2e-4], [3.608, 0.0083, 1e-4]]), 0, 149)
    row = np.arange(150)
    loglam = wave(row)
    grid = (3.60, 1.0, 1e-4)
    distort = 1.2 + 0.2 * np.cumsum(random.uniform(-1e-3, 1e-3, (3, 195)), axis=1)
    place = (loglam - grid[0]) / grid[2]
    assert (place[1] > 194).any()
    assert (place.min(axis=1) < 195).all()
    later = types != "DR12"
    spcalib = random.uniform(5, 40, shape).astype(np.float32)
    spcalib[0, 20] = 0.1
    corr = random.uniform(0.6, 1.5, (3, 1)) * (1 + 1e-4 * row)
    eivar = random.uniform(1e-3, 0.1, shape).astype(np.float32)
    eivar[1, [30, 120]] = 0
    with_thrucorr = random.uniform(0.9, 1.3, shape)
    arrays = {
        "eflux": random.normal(50, 80, shape).astype(np.float32),
        "esky": random.uniform(20, 90, shape).astype(np.float32),
        "eivar": eivar, "spcalib": spcalib, "corr": corr.astype(np.float64 if later else np.float32),
        "corr_add": (0.1 * row * np.ones(shape)).astype(np.float64 if later else np.float32),
        "distort": distort.astype(np.float32), "distort_grid": np.array(grid), "loglam": loglam, "row": row,
        "means": (float(spcalib.mean()), float(corr.mean()), float(distort.mean())),
        "mask": np.zeros(shape, dtype=np.int32), "flux": np.zeros(shape, dtype=np.float64 if later else np.float32),
        "sky": np.zeros(shape, dtype=np.float32), "ivar": np.zeros(shape, dtype=np.float32),
        "thrucorr": {
            "DR12": None, "v5_10": with_thrucorr.astype(np.float32), "v5_10 without seeing": with_thrucorr
        }[types],
    }  # fmt: skip
    exposure = SimpleNamespace(**arrays, trace_set=lambda kind: wave)
    result = calibrate_exposure(exposure)
    expected = pixel_by_pixel(exposure, bin_size(wave, row))
    for name, values in zip(("flux", "sky", "ivar"), expected, strict=True):
        assert getattr(result, name).dtype == getattr(exposure, name).dtype
        np.testing.assert_array_equal(getattr(result, name), values, err_msg=name)
    np.testing.assert_allclose(result.flux, exposure.eflux * result.calib + result.additive, rtol=2e-6, atol=1e-6)
    assert result.ivar[0, 20] == result.ivar[1, 30] == result.ivar[0, 0] == 0


def test_the_files_mask_decides_next_to_a_threshold():
    """Protects the pixels whose threshold cannot be known, since IDL's own mean cannot: the file's mask says which
    side, and they are counted; farther away the mask says nothing."""
    spcalib = np.array([[0.2496, 0.2504, 0.2, 5.0]])
    good, by_mask = above_threshold(spcalib, 5.0, np.array([[False, True, False, True]]))
    assert good.tolist() == [[True, False, False, True]]
    assert by_mask.tolist() == [[True, True, False, False]]
    inputs = np.full((1, NROW), 5.0), np.zeros((1, NROW), dtype=bool)
    inputs[0][0, [150, 160]], inputs[1][0, 160] = 0.251, True
    result = flat_case(spcalib=inputs[0], flagged=inputs[1])
    assert np.flatnonzero(result.by_mask[0]).tolist() == [150, 160]
    assert result.calib[0, 150] > 0
    assert result.flux[0, 160] == pytest.approx(0.3 * 1.1)
    assert result.ivar[0, 160] == 0
