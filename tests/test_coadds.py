"""What spec files tell of themselves: distortion, coadd, repeats, magnitudes; analytic truths, then real files."""

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from conftest import REPOSITORY, Workflow, serving
from test_docs import numbers, table_of, tables

from bosscal.base.errors import UserError
from bosscal.calibration.coadd import WEIGHTS, banded_inverse, combine, spline_weights, weights_of
from bosscal.calibration.distortion import (
    FEWEST_FIBERS,
    PLATE_RADIUS,
    distortion_of,
    fit_distortion,
    fit_plate,
    red_term,
)
from bosscal.calibration.photometry import magnitude_difference, synthetic_flux, without_sky_residuals
from bosscal.noise.laws import LAWS
from bosscal.noise.repeats import bootstrap, by_wavelength, compare_repeats
from bosscal.results.coadds import (
    PLATE_COLUMNS,
    bin_table,
    coadd_table,
    correction_table,
    no_plates,
    plate_of,
    plate_table,
    rebuild,
    rebuild_subset,
    repeats_of,
    write_coadd,
    write_distortion,
)
from bosscal.results.comparison import compare_fibers, stack
from bosscal.results.prediction import predict
from bosscal.run.releases import read_releases
from bosscal.survey.coadds import ExposureSpectrum, read_coadd
from bosscal.survey.filters import filter_curves
from bosscal.survey.masks import BADSKYCHI, COMBINEREJ, NODATA, REDMONSTER
from bosscal.survey.paths import mask_bits
from bosscal.survey.spectra import lost_headers, read_all_exposures, read_beginnings

RELEASES = read_releases(REPOSITORY / "workflow/releases.yaml", LAWS)
GRID = 3.6 + 1e-4 * np.arange(400)


def exposure(loglam, flux=10.0, ivar=4.0, mask=0, sky=3.0, wdisp=1.0, camera="b1", expnum=1):
    """An exposure of plain numbers or arrays."""
    values = [
        np.broadcast_to(np.asarray(value, dtype=float), loglam.shape).copy() for value in (flux, ivar, wdisp, sky)
    ]
    bits = np.broadcast_to(np.asarray(mask, dtype=np.int32), loglam.shape).copy()
    return ExposureSpectrum(camera, expnum, loglam, values[0], values[1], bits, values[2], values[3])


def two_exposures(random=None, **changes):
    """Two exposures over the whole grid, the second shifted by a third of a row."""
    loglam = 3.5995 + 0.9e-4 * np.arange(460)
    return [exposure(loglam + shift, **changes) for shift in (0, 0.3e-4)]


# ------------------------------------------------------------------------------------------------------- distortion


def test_distortion_of_a_fiber_is_found():
    """Protects D: the quadratic in L is found to its errors, whatever a few points do, and too little sky is None."""
    random = np.random.default_rng(1)
    grid = np.arange(3.55, 4.01, 1e-4)
    true = (0.03, -0.15, 0.08)
    without = 5 + np.sin(30 * grid)
    ratio = distortion_of(true, grid) * random.normal(1, 3e-5, grid.size)
    ratio[::97] *= 1.5
    found = fit_distortion(grid, ratio * without, without)
    assert np.all(np.abs(found.coefficients - true) < 5 * found.errors)
    assert found.residual == pytest.approx(3e-5, rel=0.1)
    np.testing.assert_allclose(found(grid), distortion_of(true, grid), rtol=1e-5)
    assert fit_distortion(grid, np.zeros(grid.size), without) is None


def test_red_term():
    """Protects L: 0 at 5070 Å, 3/4 at twice that."""
    np.testing.assert_allclose(red_term(np.log10([5070, 10140])), [0, 0.75], atol=1e-14)


def plate_of_fibers(number, random, spread=1.0):
    """Fibers of both spectrographs at random places, with the coefficients of a known model."""
    fiber = np.sort(random.choice(np.arange(1, 1001), number, replace=False))
    x, y = random.uniform(-0.7, 0.7, (2, number)) * spread
    second = fiber > 500
    constant = np.where(second, 0.06, -0.02) + 0.1 * x - 0.2 * y + 0.03 * x * y + 0.2 * x**2 + 0.1 * y**2
    slope = np.where(second, 0.25, -0.3) - 0.05 * x + 0.5 * y
    return fiber, x * PLATE_RADIUS, y * PLATE_RADIUS, np.stack([constant, slope, np.where(second, 0.001, 0.07)])


def test_plate_model_is_found_and_predicts():
    """Protects the 13 parameters: exact for fibers that follow the model, so that a fiber left out is predicted; a
    fiber outside the hull of the others is not judged; too few fibers have no model."""
    fiber, x, y, coefficients = plate_of_fibers(20, np.random.default_rng(2))
    model = fit_plate(fiber, x, y, coefficients)
    assert model.residuals.max() < 1e-12
    np.testing.assert_allclose(model.coefficients(fiber, x, y), coefficients, atol=1e-12)
    assert np.isnan(model.left_out).any()
    assert np.nanmax(model.left_out) < 1e-10
    assert fit_plate(*(values[..., : FEWEST_FIBERS - 1] for values in (fiber, x, y, coefficients))) is None


def test_a_plate_of_one_spectrograph_knows_that_one_alone():
    """Protects fibers of a spectrograph that nobody measured from a prediction."""
    fiber, x, y, coefficients = plate_of_fibers(60, np.random.default_rng(3))
    one = fiber <= 500
    model = fit_plate(fiber[one], x[one], y[one], coefficients[:, one])
    assert model.spectrographs == (1,)
    assert model.knows(fiber).tolist() == one.tolist()


# ------------------------------------------------------------------------------------------------------------ coadd


def test_coadd_of_equal_exposures():
    """Protects the coaddition: a constant stays one, inverse variances add up, wdisp and sky are means, bits are
    combined by and and by or."""
    first, second = two_exposures()
    second = replace(second, mask=second.mask | 4, sky=second.sky * 2)
    second.mask[:] |= 2
    first.mask[:] |= 4
    result = combine([first, second], GRID, "ivar")
    np.testing.assert_allclose(result.flux, 10, rtol=1e-10)
    np.testing.assert_allclose(result.ivar, 8)
    np.testing.assert_allclose(result.sky, 4.5)
    np.testing.assert_allclose(result.wdisp, 1)
    assert set(result.and_mask) == {4}
    assert set(result.or_mask) == {6}
    assert result.contributions.shape == (2, GRID.size)
    assert not np.concatenate(result.rejected).any()


def test_gaps_and_bad_regions():
    """Protects what has no data: a gap splits the spline, loses two more points at either side, is interpolated, and
    no number becomes inf or NaN."""
    exposures = two_exposures(flux=np.linspace(5, 15, 460))
    for one in exposures:
        one.ivar[200:220] = 0
    with np.errstate(all="raise"):
        result = combine(exposures, GRID, "ivar")
    lost = np.flatnonzero(result.ivar == 0)
    gap = exposures[0].loglam[[200, 219]]
    assert GRID[lost[0]] <= gap[0] - 0.9e-4
    assert GRID[lost[-1]] >= gap[1] + 0.9e-4
    assert np.diff(lost).max() == 1
    inside = slice(lost[0], lost[-1] + 1)
    np.testing.assert_allclose(np.diff(result.flux[inside], 2), 0, atol=1e-9)  # a straight line
    assert np.isfinite(result.flux).all()
    assert not result.covariance[:, lost].any()
    assert result.near_end.sum() == 12


def test_points_without_any_data_are_marked():
    """Protects NODATA beyond the ends of all exposures, and an object without data at all from an error."""
    loglam = GRID[100] + 1e-4 * np.arange(-2, 150)
    result = combine([exposure(loglam, mask=1)], GRID, "ivar")
    good = np.flatnonzero(result.ivar)
    assert (result.or_mask[: good[0]] & NODATA).all()
    assert (result.or_mask[good[-1] + 1 :] & NODATA).all()
    assert not (result.or_mask[good] & NODATA).any()
    dark = combine(two_exposures(ivar=0.0), GRID, "ivar")
    assert not dark.ivar.any()
    assert not dark.flux.any()


def test_outliers_are_rejected_one_of_each_run():
    """Protects the rejection: cosmic rays are found, of two neighbors first the worse, and the good pixels stay; the
    pixel is marked COMBINEREJ and leaves no inverse variance."""
    random = np.random.default_rng(4)
    exposures = [
        replace(one, flux=one.flux + random.normal(0, 0.5, one.flux.size)) for one in two_exposures() + two_exposures()
    ]
    exposures[0].flux[150] += 40
    exposures[2].flux[300:302] += [30, 60]
    result = combine(exposures, GRID, "ivar")
    assert result.rejected[0][150]
    assert result.rejected[2][300:302].all()
    assert sum(rejected.sum() for rejected in result.rejected) < 12
    place = np.argmin(np.abs(GRID - exposures[0].loglam[150]))
    assert result.ivar[place] < 12.5 < 16
    assert result.or_mask[place] & COMBINEREJ


def test_weights_by_release():
    """Protects the weights: the pixels' own to v5_7, a running median over pixels with data from v5_8 on, left alone at
    the ends, or reflected from v5_11 on."""
    assert [weights_of(name) for name in ("v5_7_0", "v5_7_2", "v5_9_0", "v5_10_0", "v5_13_0", "v5_13_2")] == [
        "ivar", "ivar", "median", "median", "median_reflected", "median_reflected",
    ]  # fmt: skip
    ivar = np.where(np.arange(500) % 7 == 3, 0, 5.0 + (np.arange(500) % 2))
    weights = {kind: spline_weights(ivar, kind) for kind in WEIGHTS}
    np.testing.assert_array_equal(weights["ivar"], ivar)
    for kind in ("median", "median_reflected"):
        assert not weights[kind][ivar == 0].any()
        assert set(weights[kind][100:400][ivar[100:400] > 0]) <= {5.0, 6.0}
        assert np.ptp(weights[kind][150:300][ivar[150:300] > 0]) <= 1
    np.testing.assert_array_equal(weights["median"][:40], ivar[:40])
    assert np.any(weights["median_reflected"][:40] != ivar[:40])


def test_inverse_near_the_diagonal():
    """Protects the covariance: elements of the inverse of a banded matrix are those of numpy's."""
    random = np.random.default_rng(5)
    size, bands = 40, np.zeros((3, 40))
    bands[0], bands[1, :-1] = random.uniform(4, 6, size), random.uniform(-1, 1, size - 1)
    bands[2, :-2] = random.uniform(-1, 1, size - 2)
    matrix = np.diag(bands[0])
    for below in (1, 2):
        values = bands[below, : size - below]
        matrix += np.diag(values, -below) + np.diag(values, below)
    found, expected = banded_inverse(bands, 12), np.linalg.inv(matrix)
    for distance in range(13):
        np.testing.assert_allclose(
            found[distance, : size - distance], np.diagonal(expected, distance), rtol=1e-7, atol=1e-9
        )


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["ivar", "median_reflected"])
def test_covariance_by_monte_carlo(weights):
    """Protects the covariance that is written: variances and correlations of coadds of nothing but noise."""
    random = np.random.default_rng(6)
    rms = 0.5 + 0.3 * np.sin(np.arange(460) / 20)
    exposures = two_exposures(ivar=1 / rms**2)
    nothing = [np.zeros(460, dtype=bool)] * 2
    noise = ([replace(one, flux=rms * random.standard_normal(460)) for one in exposures] for _ in range(600))
    draws = np.array([combine(drawn, GRID, weights, nothing).flux for drawn in noise])
    expected = combine(exposures, GRID, weights, nothing).covariance
    inner = slice(5, -10)
    scale = np.median(expected[0, inner])
    for lag in range(6):
        found = (draws[:, : GRID.size - lag] * draws[:, lag:]).mean(axis=0)
        difference = (found - expected[lag, : GRID.size - lag])[inner]
        assert abs(difference.mean()) < 0.01 * scale
        assert difference.std() < 0.12 * scale


# ------------------------------------------------------------------------------------------------------- magnitudes


def test_synthetic_flux_of_a_flat_spectrum():
    """Protects the integral: a spectrum of constant f_ν has the same flux in every band, that of the AB system, and a
    point without data is interpolated."""
    loglam = np.arange(3.55, 4.01, 1e-4)
    nanomaggie = 3.631e-29  # W/m²/Hz are 3.631e-29 erg/s/cm²/Hz: AB 22.5
    flux = nanomaggie * 2.99792e18 / 10 ** (2 * loglam) / 1e-17
    found = synthetic_flux(
        loglam, np.where(np.arange(loglam.size) == 2000, 1e9, flux), np.arange(loglam.size) != 2000, filter_curves()
    )
    assert list(found) == ["g", "r", "i"]
    for value in found.values():
        assert value == pytest.approx(1, rel=2e-4)  # of the digits in 3.631
    assert all(
        np.isnan(value) for value in synthetic_flux(loglam, flux, np.zeros(loglam.size, bool), filter_curves()).values()
    )


def test_sky_residuals_take_their_neighbors_along():
    """Protects the magnitudes from bad sky: BADSKYCHI and REDMONSTER, and two points on either side."""
    mask = np.zeros(20, dtype=np.int32)
    mask[[5, 15]] = BADSKYCHI, REDMONSTER
    found = without_sky_residuals(np.ones(20), mask)
    assert np.flatnonzero(found == 0).tolist() == [3, 4, 5, 6, 7, 13, 14, 15, 16, 17]


def test_magnitude_difference():
    """Protects the sign: fainter is positive, and nothing is known of a flux that is not positive."""
    assert magnitude_difference(1, 100) == pytest.approx(5)
    assert np.isnan(magnitude_difference(-1, 100))


# ---------------------------------------------------------------------------------------------------------- repeats


def noisy(random, shift=0.0, slope=0.0, rms=1.0):
    """One exposure of noise with unit error stated."""
    loglam = 3.6 + 1e-4 * np.arange(3000) + shift
    flux = 50 + slope * np.arange(3000) + rms * random.standard_normal(3000)
    ones = np.ones(3000)
    return {"loglam": loglam, "flux": flux, "valid": ones > 0, "stated": ones, "right": rms**2 * ones}


def test_repeats_measure_the_true_noise():
    """Protects chi: noise of 1.3 times its stated error gives 1.3 by the stated and 1 by the right one, whatever slow
    difference of the calibrations there is; aligned by wavelength, and uncorrelated."""
    random = np.random.default_rng(7)
    first, second = noisy(random, rms=1.3), noisy(random, shift=7e-4 + 2e-5, slope=0.002, rms=1.3)
    found = compare_repeats(first, second, ("stated", "right"), "right")
    assert found.npix == 2993
    assert found.chi["stated"] == pytest.approx(1.3, rel=0.04)
    assert found.chi["right"] == pytest.approx(1, rel=0.04)
    assert abs(found.autocorrelation) < 0.05
    npix, eta = by_wavelength(found, np.arange(3.6, 3.95, 0.1))
    assert npix.sum() == found.npix
    assert np.nanmedian(eta) == pytest.approx(1, abs=0.1)
    assert compare_repeats(first, first | {"valid": np.zeros(3000, bool)}, ("stated",), "stated") is None


def test_bootstrap_is_the_error_of_the_median():
    """Protects the uncertainty: of a Gaussian's median it is 1.25 sigma/√n, the same whenever it is drawn."""
    values = np.random.default_rng(8).normal(3, 1, 400)
    median, error = bootstrap(values, np.random.default_rng(0))
    assert median == np.median(values)
    assert error == pytest.approx(1.25 / 20, rel=0.3)
    assert (median, error) == bootstrap(values, np.random.default_rng(0))


def test_correction_of_many_pairs():
    """Protects the table for ivar: a row for each release, camera and bin, an uncertainty only where pairs suffice."""
    rows = [("dr12", "b1", 4000.0, eta) for eta in (0.9, 1.0, 1.1, 1.0, 1.2)] + [("dr12", "r1", 7000.0, 1.3)]
    bins = Table(rows=rows, names=("release", "camera", "wavelength", "eta"))
    table = correction_table(bins)
    assert table["npair"].tolist() == [5, 1]
    assert table["eta"].tolist() == [1.0, 1.3]
    assert table["eta_error"].mask.tolist() == [False, True]
    assert len(correction_table(bins[:0])) == 0


# ------------------------------------------------------------------------------------------------------- real files


@pytest.fixture(scope="session")
def spectra(real_data):
    """Function: (spectrum, exposures) of every real full spec file of a release."""

    @cache
    def of_release(release):
        found = []
        folder = real_data / RELEASES[release].sas_path.lstrip("/") / "spectro/redux" / RELEASES[release].run2d
        for path in sorted((folder / "spectra").rglob("spec-*.fits")):
            if "lite" not in path.parts:
                plate, mjd, fiber = map(int, re.fullmatch(r"spec-(\d+)-(\d+)-(\d+)", path.stem).groups())
                exposures = list(read_all_exposures(path, path.name, release, plate, mjd, fiber))
                found.append((read_coadd(path, path.name, release, plate, mjd, fiber), exposures))
        return found

    return of_release


@pytest.fixture(scope="session")
def coadds(spectra):
    """Function: the rebuilt coadds of a release."""

    @cache
    def of_release(release):
        return [rebuild(spectrum, weights_of(RELEASES[release].run2d)) for spectrum, _ in spectra(release)]

    return of_release


@pytest.mark.slow
@pytest.mark.parametrize("release", ["dr12", "dr14", "dr17"])
def test_every_real_coadd_comes_out(coadds, release):
    """Protects every number of the table in docs/coadd.md, and how well coadds have to come out: see the limits."""
    (page,) = table_of(REPOSITORY / "docs/coadd.md", "spectrum")
    rows = {name: row for name, row in page.items() if name.startswith(release.upper())}
    assert len(rows) == len(coadds(release))
    limit = {"dr12": (0.002, 0.02)}.get(release, (0.003, 0.05))
    for rebuilt in coadds(release):
        spectrum, found = rebuilt.spectrum, coadd_table(rebuilt)[0]
        name = f"{release.upper()} {spectrum.plate}-{spectrum.mjd}-{spectrum.fiber:04d}"
        magnitudes = max(abs(found[f"{kind}_{band}"] - 1) for kind in ("specflux", "synflux") for band in "gri")
        expected = [
            found["nexp"], 1e5 * found["distort_residual"], found["coadd_flux_sigma_median"],
            found["coadd_flux_sigma_99"], 100 * found["coadd_ivar_within_1e3"], 100 * found["andmask_equal"],
            100 * found["ormask_equal"],
        ]  # fmt: skip
        steps = (0, 0.06, 6e-5, 6e-4, 0.06, 0.006, 0.006)
        cells = [float(cell) for cell in list(rows[name].values())[1:]]
        for value, number, step in zip(cells, expected, steps, strict=False):
            assert value == pytest.approx(number, abs=step), name
        assert cells[-1] == float(f"{magnitudes:.0e}"), name
        assert found["distort_residual"] < 1e-4
        assert found["coadd_flux_sigma_median"] < limit[0]
        assert found["coadd_flux_sigma_99"] < limit[1]
        assert found["coadd_ivar_within_1e3"] > 0.97
        assert min(found["andmask_equal"], found["ormask_equal"]) > 0.99
        assert found["coadd_ivar_ratio_median"] == pytest.approx(1, abs=1e-5)
        assert magnitudes < 0.01
        assert 0.7 < found["coadd_variance_ratio"] < 0.82


@pytest.mark.slow
def test_rejection_from_nothing(coadds):
    """Protects the numbers of rejected pixels in docs/coadd.md: found again without the file's own marks."""
    expected = {("dr12", 4961, 378): (51, 51), ("dr17", 7339, 733): (1446, 1462)}
    for (release, plate, fiber), (both, marked) in expected.items():
        (rebuilt,) = (one for one in coadds(release) if (one.spectrum.plate, one.spectrum.fiber) == (plate, fiber))
        exposures = []
        for one in rebuilt.spectrum.exposures:
            factor = rebuilt.distortion(one.loglam)
            exposures.append(replace(one, flux=one.flux / factor, ivar=one.ivar * factor**2))
        found = combine(exposures, rebuilt.spectrum.loglam, weights_of(RELEASES[release].run2d))
        of_file = np.concatenate([(one.mask & COMBINEREJ != 0) & (one.ivar > 0) for one in exposures])
        of_ours = np.concatenate(found.rejected)
        assert [np.sum(of_file & of_ours), np.sum(of_file)] == [both, marked]


@pytest.mark.slow
def test_rounding_of_wavelengths(coadds):
    """Protects what docs/coadd.md says of float32 wavelengths: what moving them within their rounding changes."""
    expected = {("dr12", 4961, 378): (0.0006, 0.005, 0.0002), ("dr14", 6118, 956): (0.0008, 0.005, 0.004)}
    for (release, plate, fiber), (median, most, missing) in expected.items():
        (rebuilt,) = (one for one in coadds(release) if (one.spectrum.plate, one.spectrum.fiber) == (plate, fiber))
        spectrum, random = rebuilt.spectrum, np.random.default_rng(1)
        half = np.spacing(np.float32(3.7)) / 2
        moved = [
            replace(one, loglam=one.loglam + random.uniform(-half, half, one.loglam.size)) for one in spectrum.exposures
        ]
        kind = weights_of(RELEASES[release].run2d)
        rejected = [one.mask & COMBINEREJ != 0 for one in moved]
        first, second = (combine(list(of), spectrum.loglam, kind, rejected) for of in (spectrum.exposures, moved))
        good = (first.ivar > 0) & (second.ivar > 0) & ~first.near_end
        change = np.abs(first.flux - second.flux)[good] * np.sqrt(first.ivar[good])
        assert np.median(change) == pytest.approx(median, abs=2e-4)
        assert np.quantile(change, 0.99) == pytest.approx(most, rel=0.3)
        assert np.mean(np.abs(second.ivar[good] / first.ivar[good] - 1) > 1e-3) == pytest.approx(missing, rel=0.4)


@pytest.mark.slow
def test_plate_of_fifteen_standards(coadds, tmp_path):
    """Protects the plate's model on real data, its numbers in docs/coadd.md, and the file in the survey's form."""
    standards = [one for one in coadds("dr14") if one.spectrum.plate == 6118]
    plate = plate_of(stack([coadd_table(one) for one in standards]))
    (row,) = plate_table(plate)
    assert row["nfiber"] == 15
    assert [row[f"residual_c{order}"] for order in range(3)] == pytest.approx([5e-7, 2e-6, 3.1e-6], rel=0.1)
    assert row["left_out_max"] == pytest.approx(9e-6, rel=0.1)
    fiber = np.append(np.asarray(plate.table["fiber"]), [100, 700])
    x, y = (np.append(np.asarray(plate.table[name]), [50.0, -60.0]) for name in ("xfocal", "yfocal"))
    grid = 3.55 + 1e-4 * np.arange(4650)
    write_distortion(tmp_path / "spFluxdistort.fits", plate, fiber, x, y, grid)
    with fits.open(tmp_path / "spFluxdistort.fits") as hdus:
        assert hdus[0].header["RECONSTR"] is True
        assert hdus[0].data.shape == (1000, 4650)
        status = np.char.strip(hdus["FIBERS"].data["STATUS"])
        assert {name: int(np.sum(status == name)) for name in set(status)} == {
            "measured": 15, "predicted": 2, "unknown": 983,
        }  # fmt: skip
        assert (hdus[0].data[500] == 1).all()
        first = standards[0]
        np.testing.assert_allclose(hdus[0].data[first.spectrum.fiber - 1], first.distortion(grid), rtol=1e-6)
        image, keys = np.array(hdus[0].data), ("CRVAL1", "CRPIX1", "CD1_1")
        published = image, tuple(hdus[0].header[key] for key in keys)
    assert np.ma.is_masked(row["published_max"])
    assert plate_table(plate, published)["published_max"][0] < 1e-6  # float32, read back
    image[plate.table["fiber"][3] - 1] *= 1.01
    assert plate_table(plate, published)["published_max"][0] == pytest.approx(np.log(1.01), rel=1e-3)
    assert list(no_plates().colnames) == list(PLATE_COLUMNS)


def test_the_file_of_a_coadd(coadds, tmp_path):
    """Protects the spCoadd file: what was published as it was, what was rebuilt, what each exposure contributed, the
    covariance, and the same bytes every time."""
    rebuilt = coadds("dr12")[0]
    for name in ("one.fits", "two.fits"):
        write_coadd(tmp_path / name, rebuilt)
    assert (tmp_path / "one.fits").read_bytes() == (tmp_path / "two.fits").read_bytes()
    with fits.open(tmp_path / "one.fits") as hdus:
        assert [hdu.name for hdu in hdus[1:]] == ["COADD", "PUBLISHED", "CONTRIBUTIONS", "COVARIANCE", "EXPOSURES"]
        table, published = hdus["COADD"].data, hdus["PUBLISHED"].data
        np.testing.assert_array_equal(published["flux"], rebuilt.spectrum.flux.astype(np.float32))
        np.testing.assert_array_equal(table["flux"], rebuilt.coadd.flux)
        np.testing.assert_allclose(published["sky_corrected"], rebuilt.spectrum.sky * table["distort"], rtol=1e-6)
        assert hdus["COVARIANCE"].data.shape == (6, len(table))
        np.testing.assert_allclose(hdus["CONTRIBUTIONS"].data.sum(axis=0)[table["ivar"] > 0],
                                   table["ivar"][table["ivar"] > 0], rtol=1e-5)  # fmt: skip
        assert len(hdus["EXPOSURES"].data) == len(rebuilt.spectrum.exposures)


@pytest.mark.slow
@pytest.mark.parametrize("release", ["dr12", "dr14", "dr17"])
def test_repeats_of_the_page(spectra, release):
    """Protects both tables of docs/repeats.md, and that errors without the floor are right to 3 %."""
    settings, lines = RELEASES[release], mask_bits()["BRIGHTSKY"]
    of_page = {row[0]: row[1:] for table in tables(REPOSITORY / "docs/repeats.md") for row in table[2:]}
    for allowed, words in ((0, ""), (lines, ", lines too")):
        pairs = [
            pair
            for _, exposures in spectra(release)
            for pair in repeats_of(exposures, settings.noise_law, allowed, settings.thrucorr)
        ]
        for band, letter in (("blue", "b"), ("red", "r")):
            row = of_page.get(f"{release.upper()} {band}{words}")
            if row is None:
                assert words
                assert letter == "b"
                continue
            chosen = [pair.repeat for pair in pairs if pair.camera.startswith(letter)]
            if not words:
                assert int(row.pop(0)) == len(chosen)
                assert numbers(row.pop())[0] == pytest.approx(
                    np.median([repeat.autocorrelation for repeat in chosen]), abs=6e-4
                )
            for cell, name in zip(row, ("stated", "without_floor", "law"), strict=True):
                values = np.array([repeat.chi[name] for repeat in chosen])
                median, *error = numbers(cell)
                assert median == pytest.approx(np.median(values), abs=6e-4), (release, band, name)
                if error:
                    assert error[0] == pytest.approx(bootstrap(values, np.random.default_rng(0))[1], rel=0.35)
            if not words:
                assert np.median([repeat.chi["without_floor"] for repeat in chosen]) == pytest.approx(1, abs=0.035)


def test_bins_of_a_real_spectrum(spectra):
    """Protects the table that the correction of ivar is made of: all pairs, bins of 0.02 dex, values about 1."""
    spectrum, exposures = next(item for item in spectra("dr17") if item[0].mjd == 57544)
    table = bin_table(spectrum, repeats_of(exposures, "readnoise_weighted", 0, True))
    assert len(set(zip(table["camera"], table["exp1"], strict=True))) == 30
    assert np.median(table["eta"]) == pytest.approx(1, abs=0.08)
    assert table["npix"].min() >= 30


def test_magnitudes_of_the_standards(coadds):
    """Protects the differences of spectrum and imaging in docs/coadd.md."""
    standards = stack([coadd_table(one) for one in coadds("dr14") if one.spectrum.plate == 6118])
    found = [np.median(standards[f"dmag_{band}"]) for band in "gri"]
    of_page = re.search(r"medians of (\S+), (\S+) and (\S+) mag", (REPOSITORY / "docs/coadd.md").read_text("utf-8"))
    assert [float(value.replace("−", "-")) for value in of_page.groups()] == pytest.approx(found, abs=6e-4)


def test_offset_of_fibers_for_blue_light(coadds):
    """Protects what docs/coadd.md says of objects that are placed for 4000 Å: too blue, in DR12 and in DR14."""
    found = {}
    for release, wavelength in (("dr12", 4000), ("dr12", 5400), ("dr14", 4000)):
        rows = [coadd_table(one)[0] for one in coadds(release) if one.spectrum.lambda_eff == wavelength]
        colors = [row["dmag_g"] - row["dmag_r"] for row in rows if not np.ma.is_masked(row["dmag_g"])]
        found[release, wavelength] = (len(colors), round(float(np.median(colors)), 2))
    assert found == {("dr12", 4000): (2, -0.29), ("dr12", 5400): (7, 0.0), ("dr14", 4000): (3, -0.26)}


def test_repeats_by_signal_to_noise(spectra):
    """Protects the table of docs/repeats.md by S/N, of all releases together."""
    pairs = []
    for release in ("dr12", "dr14", "dr17"):
        settings = RELEASES[release]
        for _, exposures in spectra(release):
            pairs += [pair.repeat for pair in repeats_of(exposures, settings.noise_law, 0, settings.thrucorr)]
    (page,) = table_of(REPOSITORY / "docs/repeats.md", "S/N of a pixel")
    edges = {"below 2": (-9, 2), "2 to 5": (2, 5), "above 5": (5, 1e3)}
    assert set(page) == set(edges)
    for name, (low, high) in edges.items():
        chosen = [repeat for repeat in pairs if low <= repeat.signal_to_noise < high]
        assert int(page[name]["pairs"]) == len(chosen)
        for heading, key in (("stated", "stated"), ("without floor", "without_floor"), ("law", "law")):
            assert float(page[name][heading]) == pytest.approx(np.median([one.chi[key] for one in chosen]), abs=6e-4)


def test_upper_case_columns_and_lost_names(real_data, tmp_path):
    """Protects files of DR16 and DR17 as they are: columns in capitals, exposures whose names are lost are those of
    EXPID in its order, and a file without either says so."""
    path = next((real_data / "sas/dr12").rglob("spec-4961-55719-0378.fits"))
    whole = read_coadd(path, "x", "dr12", 4961, 55719, 378)
    with fits.open(path) as hdus:
        for hdu in hdus[1:]:
            for column in hdu.columns:
                column.name = column.name.upper()
        for hdu in hdus[4:]:
            hdu.name = ""
        hdus.writeto(tmp_path / "spec.fits")
        for key in [key for key in hdus[0].header if key.startswith("EXPID")]:
            del hdus[0].header[key]
        hdus.writeto(tmp_path / "without.fits")
    lost = read_coadd(tmp_path / "spec.fits", "x", "dr12", 4961, 55719, 378)
    assert [(one.camera, one.expnum) for one in lost.exposures] == [(one.camera, one.expnum) for one in whole.exposures]
    np.testing.assert_array_equal(lost.exposures[3].flux, whole.exposures[3].flux)
    with pytest.raises(UserError, match="no EXPID says which camera exposure it is"):
        read_coadd(tmp_path / "without.fits", "x", "dr12", 4961, 55719, 378)


def test_subsets_are_coadded_anew(coadds):
    """Protects coadds of some exposures: all of them are the whole coadd, each half has about half of its inverse
    variance and rejects for itself, one camera has data in its own wavelengths alone; what is not there is named."""
    whole = next(one for one in coadds("dr17") if one.spectrum.mjd == 57544)
    kind = weights_of("v5_13_2")
    everything = rebuild_subset(whole, kind, None, ("b1", "b2", "r1", "r2"), "everything")
    good = (whole.coadd.ivar > 0) & (everything.coadd.ivar > 0)
    assert np.mean(np.abs(everything.coadd.ivar / np.where(good, whole.coadd.ivar, 1) - 1)[good] < 1e-6) > 0.98
    first, second = (rebuild_subset(whole, kind, half, ("b2", "r2"), "half") for half in (range(8), range(8, 16)))
    both = good & (first.coadd.ivar > 0) & (second.coadd.ivar > 0)
    ratio = (first.coadd.ivar + second.coadd.ivar)[both] / whole.coadd.ivar[both]
    assert np.median(ratio) == pytest.approx(1, abs=1e-3)
    error = np.sqrt(first.coadd.covariance[0] + second.coadd.covariance[0])[both]
    chi = (first.coadd.flux - second.coadd.flux)[both] / error
    assert 1.4826 * np.median(np.abs(chi - np.median(chi))) == pytest.approx(1, abs=0.08)
    red = rebuild_subset(whole, kind, None, ("r2",), "red")
    assert 10 ** red.spectrum.loglam[np.flatnonzero(red.coadd.ivar)[0]] > 5800
    with pytest.raises(UserError, match=r"dr17 7339-57544-0733: coadd 'late' asks for exposure 16, and there are 0-15"):
        rebuild_subset(whole, kind, [16], ("b2",), "late")
    with pytest.raises(UserError, match="coadd 'other' has no exposure of b1"):
        rebuild_subset(whole, kind, None, ("b1",), "other")


# ---------------------------------------------------------------------------------------- files that lost their headers


def without_headers(path, output):
    """A spec file as many of DR16 and DR17 are: no headers of exposures, columns in capitals."""
    with fits.open(path) as hdus:
        kept = [hdus[0], *hdus[1:4]]
        for hdu in hdus[4:]:
            columns = [
                fits.Column(column.name.upper(), column.format, array=hdu.data[column.name]) for column in hdu.columns
            ]
            kept.append(fits.BinTableHDU.from_columns(columns))
        output.parent.mkdir(parents=True, exist_ok=True)
        fits.HDUList(kept).writeto(output)
    return output


def header_of_spcframe(hdu):
    """The header of an exposure without what makes it a table's."""
    kept = [
        card
        for card in hdu.header.cards
        if not re.match("T(TYPE|FORM|DIM|FIELDS)|NAXIS|XT|BITPIX|PC|GC|EXTN", card.keyword)
    ]
    return fits.Header(kept)


def test_exposures_of_a_file_are_in_the_order_of_its_list(real_data):
    """Protects files whose HDUs have lost their names: in the six of DR17 that have them, HDU 4 and after are in the
    order of EXPID."""
    paths = [path for path in sorted((real_data / "sas/dr17").rglob("spec-*.fits")) if "lite" not in path.parts]
    assert len(paths) == 6
    for path in paths:
        with fits.open(path) as hdus:
            listed = [value.upper() for key, value in hdus[0].header.items() if re.fullmatch(r"EXPID\d+", key)]
            assert [hdu.name for hdu in hdus[4:]] == [name.strip() for name in listed]


def test_a_file_without_headers(real_data, tmp_path):
    """Protects files that have lost their headers: said so, read with those of spCFrame where these are at hand, and
    without them still of use: everything but what needs read noise or width, which is NaN and compared with nothing."""
    path = next((real_data / "sas/dr17").rglob("spec-7339-57544-0733.fits"))
    lost = without_headers(path, tmp_path / "spec.fits")
    assert lost_headers(lost)
    assert not lost_headers(path)
    whole = list(read_all_exposures(path, "x", "dr17", 7339, 57544, 733))[:2]
    with fits.open(path) as hdus:
        for hdu in hdus[4:6]:
            cards = header_of_spcframe(hdu)
            name = f"spCFrame-{hdu.header['CAMERAS'].strip()}-{hdu.header['EXPOSURE']:08d}.fits.header"
            fits.PrimaryHDU(header=cards).writeto(tmp_path / name, output_verify="silentfix")
    (tmp_path / "spCFrame-b2-00000001.fits.header").write_bytes(b"")
    (tmp_path / "spCFrame-b2-00000002.fits.header").write_bytes(b"no FITS file")
    headers = read_beginnings(sorted(tmp_path.glob("*.header")))
    assert len(headers) == 2
    found = list(read_all_exposures(lost, "x", "dr17", 7339, 57544, 733, headers))
    assert [one.header.origin for one in found[:3]] == ["spCFrame", "spCFrame", "lost"]
    for one, other in zip(found, whole, strict=False):
        assert replace(one.header, origin="file", inputs=()) == replace(other.header, inputs=())
        np.testing.assert_array_equal(one.calib, other.calib)
        np.testing.assert_array_equal(one.row, other.row)
    table = compare_fibers(found[2], predict(found[2], "readnoise_weighted", 0, True))
    assert table["header"][0] == "lost"
    for name in ("noise_ratio_median", "ratio_tutorial", "noise_best", "rdnoise0"):
        assert np.ma.is_masked(table[name][0]), name
    assert table["fit_a"][0] == pytest.approx(1.18, abs=0.1)
    pairs = repeats_of(found[2:6], "readnoise_weighted", 0, True)
    assert all(set(pair.repeat.chi) == {"stated", "without_floor"} for pair in pairs)


@pytest.mark.slow
@pytest.mark.workflow
def test_the_workflow_with_lost_headers(real_data, tmp_path):
    """Protects a run over such files from a server: the beginnings of the spCFrame files that are there are fetched by
    Range under names of their own, those that are not cost their exposures' noise alone, and the report says both."""
    path = next((real_data / "sas/dr17").rglob("spec-7339-57544-0733.fits"))
    server = tmp_path / "server"
    without_headers(path, server / path.relative_to(real_data))
    redux = server / "sas/dr17/eboss/spectro/redux/v5_13_2"
    (redux / "7339").mkdir()
    with fits.open(path) as hdus:
        for hdu in hdus[4:8]:
            cards = header_of_spcframe(hdu)
            name = f"spCFrame-{hdu.header['CAMERAS'].strip()}-{hdu.header['EXPOSURE']:08d}.fits"
            fits.PrimaryHDU(np.zeros((100, 4000), dtype=">f4"), cards).writeto(
                redux / "7339" / name, output_verify="silentfix"
            )
    target = {"release": "dr17", "plate": 7339, "mjd": 57544, "fibers": [733], "products": "spec", "exposures": [0, 15]}
    with serving(server) as url:
        workflow = Workflow(tmp_path / "run").configure(data={"url": url}, targets=[target])
        counts = workflow.executed("results/compare/summary.ecsv", "results/report/index.html")
    assert counts["fetch_header"] == 32
    pieces = sorted((workflow.folder / "results").glob("mirror*/sas/**/spCFrame*"))
    assert all(piece.suffix == ".header" and piece.stat().st_size < 200_000 for piece in pieces)
    assert sum(piece.stat().st_size > 0 for piece in pieces) == 4
    summary = workflow.table()
    assert list(zip(summary["camera"], summary["header"], strict=True)) == [
        ("b2", "spCFrame"), ("b2", "lost"), ("r2", "lost"), ("r2", "lost"),
    ]  # fmt: skip
    assert np.ma.getmaskarray(summary["noise_ratio_median"]).tolist() == (summary["header"] == "lost").tolist()
    html = (workflow.results / "report/index.html").read_text("utf-8")
    assert "3 camera exposures have lost their headers" in html
    assert "of 1 camera exposures, whose spec files have lost their headers" in " ".join(html.split())


def test_damaged_pixels_cost_themselves_alone(real_data, tmp_path):
    """Protects the coadd of a spec file from pixels that are no numbers: they have no data, and nothing else changes;
    a coadd without inverse variance at all has a row without numbers."""
    path = next((real_data / "sas/dr12").rglob("spec-4961-55719-0378.fits"))
    with fits.open(path) as hdus:
        hdus[4].data["flux"][1000] = np.nan
        hdus[5].data["sky"][1500] = np.inf
        hdus[6].data["loglam"][20] = np.nan
        hdus.writeto(tmp_path / "damaged.fits")
        for hdu in hdus[4:]:
            hdu.data["ivar"] = 0
        hdus[1].data["ivar"] = 0
        hdus.writeto(tmp_path / "dark.fits")
    spectrum = read_coadd(tmp_path / "damaged.fits", "x", "dr12", 4961, 55719, 378)
    assert [spectrum.exposures[0].ivar[1000], spectrum.exposures[1].ivar[1500]] == [0, 0]
    with np.errstate(all="raise"):
        row = coadd_table(rebuild(spectrum, "ivar"))[0]
    assert row["coadd_flux_sigma_median"] < 0.002
    assert row["coadd_ivar_within_1e3"] > 0.99
    dark = coadd_table(rebuild(read_coadd(tmp_path / "dark.fits", "x", "dr12", 4961, 55719, 378), "ivar"))[0]
    for name in ("distort_c0", "coadd_flux_sigma_median", "coadd_ivar_within_1e3", "coadd_correlation"):
        assert np.ma.is_masked(dark[name]), name
