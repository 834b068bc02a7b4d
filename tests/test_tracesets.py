"""Trace sets against analytic Legendre series, pydl, and the jump of a real two-phase CCD."""

import numpy as np
import pytest
from astropy.io import fits

from bosscal.base.errors import UserError
from bosscal.survey.tracesets import Jump, TraceSet, bin_size


def test_low_orders_are_the_known_polynomials():
    """Protects the map from rows to the argument of the series: P0, P1 and P2 written out."""
    coeff = np.array([[2.0, 0, 0], [0, 3.0, 0], [0, 0, 1.0]])
    rows = np.array([0.0, 25.0, 50.0, 100.0])
    argument = np.array([-1, -0.5, 0, 1])
    expected = [np.full(4, 2.0), 3 * argument, (3 * argument**2 - 1) / 2]
    np.testing.assert_allclose(TraceSet(coeff, 0, 100)(rows), expected, atol=1e-15)


def test_jump_shifts_rows_by_its_value():
    """Protects the two-phase step: nothing below, a ramp in between, all of it above."""
    linear = TraceSet(np.array([[0.5, 0.5]]), 0, 1, Jump(2062.5, 2064.5, 1 / 3))  # value = row
    rows = np.array([0, 2062.5, 2063.5, 2064.5, 4127.0])
    np.testing.assert_allclose(linear(rows)[0] - rows, [0, 0, 1 / 6, 1 / 3, 1 / 3], atol=1e-12)


def test_real_red_trace_set_equals_pydl(red_traceset_file):
    """Protects agreement with the survey's own evaluation (idlutils traceset2xy, as pydl ports it)."""
    from pydl.pydlutils.trace import TraceSet as PydlTraceSet

    with fits.open(red_traceset_file) as hdus:
        ours = TraceSet.from_table(hdus[1].data)
        rows, theirs = PydlTraceSet(hdus[1].data).xy()
    assert ours.jump.value == pytest.approx(1 / 3, abs=1e-6)
    np.testing.assert_allclose(ours(rows[0]), theirs, rtol=0, atol=1e-12)


def test_gradient_against_exact_bin_size_at_the_jump(red_traceset_file):
    """Protects the finding that np.gradient is off by 2 % at the jump of a real red CCD, and nowhere else."""
    with fits.open(red_traceset_file) as hdus:
        wave = TraceSet.from_table(hdus[1].data)
    rows = np.arange(4128)
    exact = 1 / bin_size(wave, rows)
    gradient = 1e-4 / np.gradient(wave(rows), axis=1)
    reldiff = np.abs(gradient - exact) / (gradient + exact)
    worst = reldiff.max(axis=1)
    assert worst.min() > 0.0200
    assert worst.max() < 0.0212
    assert np.all(np.abs(reldiff.argmax(axis=1) - 2063.5) <= 1.5)
    away = np.abs(rows - 2063.5) > 3
    assert reldiff[:, away][:, 1:-1].max() < 1e-5


def test_bin_size_of_the_jump_rows_is_one_sixth_larger(red_traceset_file):
    """Protects the depth of the dip in `calib`: 1/(1 + 1/6) in exactly two rows."""
    with fits.open(red_traceset_file) as hdus:
        wave = TraceSet.from_table(hdus[1].data)
    with_jump = bin_size(wave, np.arange(4128))
    without = bin_size(TraceSet(wave.coeff, wave.xmin, wave.xmax), np.arange(4128))
    excess = with_jump / without - 1
    np.testing.assert_allclose(excess[:, [2063, 2064]], 1 / 6, atol=3e-4)
    np.testing.assert_allclose(excess[:, :2063], 0, atol=1e-12)
    assert np.abs(excess[:, 2065:]).max() < 2e-4  # what is left is the shift by 1/3 row


@pytest.mark.parametrize(
    ("function", "message"), [("poly", "only 'legendre'"), ("legendre", None), ("LEGENDRE ", None)]
)
def test_only_legendre_is_accepted(function, message):
    """Protects against evaluating another kind of series as if it were Legendre; padding and case do not matter."""
    table = np.array([(function, 0.0, 9.0, np.ones((2, 3)))], dtype=[
        ("FUNC", "U10"), ("XMIN", "f8"), ("XMAX", "f8"), ("COEFF", "f8", (2, 3))])  # fmt: skip
    if message is None:
        assert TraceSet.from_table(table).coeff.shape == (2, 3)
    else:
        with pytest.raises(UserError, match=message):
            TraceSet.from_table(table, "spFrame HDU 3")


def test_shapes_are_checked():
    """Protects against one-dimensional coefficients passing silently as one fiber, and empty domains."""
    with pytest.raises(ValueError, match="coeff must be 2D"):
        TraceSet(np.ones(3), 0, 1)
    with pytest.raises(ValueError, match="xmax"):
        TraceSet(np.ones((2, 3)), 5, 5)
