"""Statistics of each row's chosen pixels against numpy's masked arrays."""

import numpy as np
import pytest

from bosscal.base.statistics import RowMedians, SortedRows, row_maximum, row_median

NROW = 24


def sample(seed, ties=False):
    """Values and a mask of rows with every number of chosen pixels, none and all included."""
    random = np.random.default_rng(seed)
    values = random.normal(1, 3, (4 * (NROW + 1), NROW))
    if ties:
        values = np.round(values)
    chosen = np.argsort(random.random(values.shape), axis=1) < np.tile(np.arange(NROW + 1), 4)[:, np.newaxis]
    assert set(chosen.sum(axis=1)) == set(range(NROW + 1))
    return values, chosen


def masked_median(values, where):
    """What numpy says: median of each row's chosen pixels, masked where there is none."""
    return np.ma.median(np.ma.masked_array(values, ~where), axis=-1)


def sorted_rows(values, where):
    """Sorted rows of the chosen pixels: the others are infinite."""
    return SortedRows(np.where(where, values, np.inf))


def assert_same(result, expected, **tolerance):
    np.testing.assert_array_equal(np.ma.getmaskarray(result), np.ma.getmaskarray(expected))
    np.testing.assert_allclose(result.compressed(), expected.compressed(), **tolerance)
    assert np.isfinite(result.data).all()  # what is masked is not inf or NaN either: it would warn in a sum


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_medians_of_odd_even_and_no_pixels(seed, ties):
    """Protects every median in the tables: one or two middle values, and no pixel is no number."""
    values, where = sample(seed, ties)
    expected = masked_median(values, where)
    assert expected.mask.sum() == 4
    assert_same(sorted_rows(values, where).median(), expected, rtol=1e-15)
    assert_same(row_median(values, where), expected, rtol=1e-15)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_deviations_about_any_center(seed, ties):
    """Protects scatter and ranking: the median deviation about the median, 0, and centers beyond all values."""
    values, where = sample(seed, ties)
    rows = sorted_rows(values, where)
    median = rows.median().filled(0)
    for center in (median, 0.0, 50.0, -50.0, np.linspace(-9, 9, len(values))):
        deviation = np.abs(values - np.broadcast_to(center, len(values))[:, np.newaxis])
        assert_same(rows.median_deviation(center), masked_median(deviation, where), rtol=1e-14, atol=1e-15)


def test_many_laws_share_one_mask():
    """Protects the comparison of all laws at once: a mask that broadcasts over the first axis."""
    values, where = sample(5)
    both = sorted_rows(np.stack([values, 2 * values]), where)
    assert_same(both.median()[0], masked_median(values, where), rtol=1e-15)
    assert_same(both.median()[1], 2 * masked_median(values, where), rtol=1e-15)
    assert_same(both.median_deviation(1.0)[1], masked_median(np.abs(2 * values - 1), where), rtol=1e-14)


def smallest(values, where):
    """Values as float32, and the largest of them where they do not count."""
    return np.where(where, values, values.max()).astype(np.float32)


@pytest.mark.parametrize("change", [0.0, 1e-4, 0.05, 3.0])
@pytest.mark.parametrize("nrow", [1, 2, 3, 8, 9, 400])
def test_row_medians_of_one_image_after_another(nrow, change):
    """Protects the fit's medians, sought near the last, from any number of pixels and from images that jump."""
    random = np.random.default_rng(nrow)
    where = random.random((200, nrow)) < 0.6
    where[where.sum(axis=1) == 0, 0] = True
    medians = RowMedians(where.sum(axis=1))
    values = np.abs(random.normal(size=where.shape))
    for _ in range(4):
        found = smallest(values, where)
        np.testing.assert_array_equal(medians(found), masked_median(found.astype(np.float64), where))
        values = values * random.lognormal(0, change, size=(200, 1)) * random.lognormal(0, change, size=where.shape)


@pytest.mark.parametrize("value", [0.0, 0.25])
def test_row_medians_of_a_row_of_one_value(value):
    """Protects a fit that meets its pixels exactly: a median of 0, about which nothing is near."""
    medians = RowMedians(np.array([5, 4]))
    images = [np.tile(np.float32([value] * 5 + [9]), (2, 1)) for _ in range(3)]
    images[1][1, 1:] = 9, 0, 0, 0, 7
    assert [medians(image).tolist() for image in images] == [[value] * 2, [value, 0], [value] * 2]


def test_what_does_not_count_may_be_anything():
    """Protects medians from NaN and inf in the pixels that are left out."""
    values, where = sample(9)
    spoiled = np.where(where, values, np.resize([np.nan, np.inf, -np.inf], values.shape))
    expected = masked_median(values, where)
    with np.errstate(all="raise"):
        assert_same(sorted_rows(spoiled, where).median(), expected, rtol=1e-15)
        assert_same(row_maximum(spoiled, where), np.ma.masked_array(values, ~where).max(axis=1), rtol=0)


def test_the_largest_of_nothing_or_of_an_unknown_is_no_number():
    """Protects tables from a largest difference of 0, "perfect", where nothing is known of it."""
    values = np.array([[1.0, 3.0, 2.0], [1, np.nan, 2], [1, np.inf, 2], [5, 6, 7], [-3, -2, -1]])
    where = np.ones(values.shape, dtype=bool)
    where[3] = False
    largest = row_maximum(values, where)
    assert np.ma.getmaskarray(largest).tolist() == [False, True, True, True, False]
    assert largest.compressed().tolist() == [3, -1]
    where[1, 1] = where[2, 1] = False
    assert row_maximum(values, where)[1:3].tolist() == [2, 2]
