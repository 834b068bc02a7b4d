"""The pipeline's calibration against hand-computed truths."""

from types import SimpleNamespace

import numpy as np
import pytest

from bosscal.base.arithmetic import interpolate_rows, inverse, inverse_where, reciprocal_above, reldiff, safe_ratio
from bosscal.calibration.pipeline import (
    add_error_floor,
    apodization,
    calibrate,
    calibrate_exposure,
    coadd_loglam,
    error_floor,
    inverse_distortion,
)
from bosscal.survey.tracesets import TraceSet

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
    np.testing.assert_allclose(add_error_floor(eflux, eivar), [[0.1, 0.1, 1 / (10 + 9)]])
    np.testing.assert_allclose(error_floor(eflux), [[0, 0, 9]])


def test_apodization_ramp():
    """Protects the ramp's ends: zero in row 0, complete in row 100."""
    ramp = apodization(np.arange(NROW))
    assert ramp[0] == 0
    assert ramp[50] == 0.5
    assert np.all(ramp[100:] == 1)


def test_distortion_is_linear_in_loglam_of_the_inverse():
    """Protects grid offset, variable and quantity of the interpolation: exact for 1/D linear in loglam."""
    crval1, crpix1, cd1_1 = 3.55, 1.0, 1e-4
    grid = coadd_loglam(50, crval1, crpix1, cd1_1)
    assert grid[0] == crval1
    slope = np.array([[1.0], [-2.0]])
    distort = 1 / (1 + slope * (grid - crval1))
    loglam = np.linspace(grid[0], grid[-1], 333)[np.newaxis].repeat(2, axis=0)
    expected = 1 + slope * (loglam - crval1)
    np.testing.assert_allclose(inverse_distortion(distort, (crval1, crpix1, cd1_1), loglam), expected, rtol=1e-12)


def test_interpolation_equals_numpy_row_by_row():
    """Protects the vectorised interpolation against np.interp, beyond the ends too."""
    random = np.random.default_rng(1)
    values = random.normal(size=(3, 20))
    position = random.uniform(-3, 23, size=(3, 40))
    expected = [np.interp(x, np.arange(20), y) for x, y in zip(position, values, strict=True)]
    np.testing.assert_allclose(interpolate_rows(position, values), expected, atol=1e-14)


def test_inverses_of_zero_are_zero():
    """Protects the two inverses from division by zero and below the threshold."""
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(inverse(np.array([0, 2, -4], dtype=np.float32)), [0, 0.5, -0.25])
        np.testing.assert_array_equal(reciprocal_above(np.array([0.0, 1, 2, -1]), 1), [0, 0, 0.5, 0])
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
