"""Read-noise quadrants, variance laws, the sky term, fits of the variance, and rows of full spec files."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bosscal.noise import fit as noise_fit
from bosscal.noise.laws import bundle
from bosscal.noise.laws.bundle import bundle_variance
from bosscal.noise.laws.optimal import optimal_variance
from bosscal.noise.laws.optimal_noisy import noisy_weights_ratio, noisy_weights_scatter
from bosscal.noise.laws.readnoise_limit import readnoise_limit_variance
from bosscal.noise.laws.readnoise_weighted import readnoise_weighted_variance
from bosscal.noise.laws.tutorial import tutorial_variance
from bosscal.noise.profile import effective_width, profile
from bosscal.noise.sky import _edges, clipped_chi2, halves_of, is_split, sky_statistics, sky_term
from bosscal.survey.ccd import AMPLIFIER_SPLIT, TWO_PHASE_JUMP, in_measured_order, quadrant
from bosscal.survey.rows import CENTRAL_ERROR, spec_rows

REPOSITORY = Path(__file__).parents[1]

# Laws of an isolated fiber: (electrons, read noise, width) to variance.
ISOLATED = {
    "tutorial": tutorial_variance,
    "readnoise_limit": readnoise_limit_variance,
    "optimal": optimal_variance,
    "readnoise_weighted": readnoise_weighted_variance,
}

# First exposure of a band, first and last 100 rows left out: (file below sas/, band, median of measured/predicted).
DR12 = "dr12/boss/spectro/redux/v5_7_0/spectra"
DR14 = "dr14/eboss/spectro/redux/v5_10_0/spectra"
OPTIMAL = [
    (f"{DR12}/4961/spec-4961-55719-0378.fits", "blue", 0.999),
    (f"{DR12}/5047/spec-5047-55833-0936.fits", "red", 0.996),
    (f"{DR12}/6148/spec-6148-56209-0743.fits", "blue", 0.995),
    (f"{DR12}/7332/spec-7332-56683-0788.fits", "blue", 1.002),
    (f"{DR12}/3764/spec-3764-55514-0972.fits", "red", 1.003),
]
WEIGHTED = [
    (f"{DR14}/6118/spec-6118-56189-0132.fits", "red", 1.006),
    (f"{DR14}/6118/spec-6118-56189-0212.fits", "blue", 1.027),
]


def compare(measured, predicted, valid):
    """noise_fit.compare of one spectrum: median, scatter and deviation as numbers."""
    result = noise_fit.compare(np.atleast_2d(measured), [np.atleast_2d(predicted)], np.atleast_2d(valid))
    return SimpleNamespace(**{name: value[0, 0] for name, value in vars(result).items()})


def rank(measured, predictions, valid):
    """Comparisons of one spectrum by name, best first, and the first is what noise_fit.best names."""
    together = noise_fit.compare(
        np.atleast_2d(measured), [np.atleast_2d(p) for p in predictions.values()], np.atleast_2d(valid)
    )
    parts = {name: list(value) for name, value in vars(together).items()}
    compared = {
        name: noise_fit.Comparison(**{part: values[place] for part, values in parts.items()})
        for place, name in enumerate(predictions)
    }
    ranking = sorted(compared, key=lambda name: compared[name].deviation[0])
    assert noise_fit.best(compared)[0] == ranking[0]
    return {name: compare(measured, predictions[name], valid) for name in ranking}


def fit_variance(variance, electrons, object_electrons, valid):
    """noise_fit.fit_variance of one spectrum, with numbers as results."""
    fit = noise_fit.fit_variance(*map(np.atleast_2d, (variance, electrons, object_electrons, valid)))
    return SimpleNamespace(**{name: value[0] for name, value in vars(fit).items()})


def profile_sums(ratio, sigma, number=37):
    """1/Σ[p²/(ratio p + 1)], 1/Σp² and Σp³/(Σp²)² by brute force, averaged over ``number`` phases."""
    profiles = [profile(sigma, phase) for phase in (np.arange(number) + 0.3) / number]
    return np.mean(
        [(1 / (p**2 / (ratio * p + 1)).sum(), 1 / (p**2).sum(), (p**3).sum() / (p**2).sum() ** 2) for p in profiles],
        axis=0,
    )


def exposures(path, band=None):
    """Header and detected electrons of every exposure of a full spec file, the error floor kept and removed."""
    from astropy.io import fits

    found = []
    with fits.open(path, memmap=False) as hdus:
        for hdu in hdus[4:]:
            in_band = {"b": "blue", "r": "red"}[hdu.header["CAMERAS"][0]]
            if band not in (None, in_band):
                continue
            flux, sky, ivar, calib = (hdu.data[name].astype(float) for name in ("flux", "sky", "ivar", "calib"))
            usable = (calib != 0) & (ivar > 0)
            calib = np.where(usable, calib, 1)
            row = np.arange(flux.size)
            variance = 1 / np.where(usable, ivar * calib**2, 1)
            found.append(
                {
                    "header": hdu.header,
                    "band": in_band,
                    "loglam": hdu.data["loglam"],
                    "x": hdu.data["x"],
                    "object": flux / calib,
                    "sky": sky / calib,
                    "variance": variance,
                    "without_floor": variance - (0.03 * np.maximum(flux / calib, 0)) ** 2,
                    "valid": usable & (hdu.data["mask"] == 0) & (row >= 100) & (row < flux.size - 100),
                }
            )
    return found


def mean_readnoise(exposure):
    """Mean of the two amplifiers on the trace's side: the row is not needed at this accuracy."""
    split = AMPLIFIER_SPLIT[exposure["band"]][1]
    upper = int(np.median(exposure["x"]) >= split)
    return np.mean([exposure["header"][f"RDNOISE{2 * upper + high}"] for high in (0, 1)])


def predicted(exposure, law):
    readnoise, sigma = mean_readnoise(exposure), exposure["header"]["XSIGMA"]
    sky_variance = law(exposure["sky"], readnoise, sigma)
    term = sky_term(exposure["header"]["SKYCHI2"], sky_variance)
    return law(exposure["object"] + exposure["sky"], readnoise, sigma) + term


# ---------------------------------------------------------------------------------------------- quadrants


@pytest.mark.parametrize("band", ["blue", "red"])
def test_quadrants_of_the_four_corners(band):
    """Protects which amplifier a pixel belongs to, in both orders, on both sides of both splits."""
    split_row, split_column = AMPLIFIER_SPLIT[band]
    row = np.array([split_row - 1, split_row])
    x = np.array([[split_column - 0.001] * 2, [split_column] * 2])
    assert quadrant(row, x, band).tolist() == [[0, 1], [2, 3]]
    assert quadrant(row, x, band, order="measured").tolist() == [[0, 2], [1, 3]]
    readnoise = (2.0, 2.1, 2.2, 2.3)
    by_image = np.array(in_measured_order(readnoise))[quadrant(row, x, band)]
    assert by_image.tolist() == np.array(readnoise)[quadrant(row, x, band, order="measured")].tolist()


# ----------------------------------------------------------------------------------------------- the laws


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
def test_profile_is_unit_area_at_any_phase(sigma):
    """Protects the normalisation that makes N the electrons per row, wherever in a pixel the trace runs."""
    for phase in (-0.5, -0.2, 0, 0.31, 0.5):
        assert profile(sigma, phase).sum() == pytest.approx(1, abs=1e-14)


def test_profile_has_the_moments_of_a_box_smoothed_gaussian():
    """Protects that p is integrated over pixels: mean = phase, variance = sigma² + 1/12."""
    p = profile(1.3, 0.2)
    pixel = np.arange(p.size) - p.size // 2
    assert (p * pixel).sum() == pytest.approx(0.2, abs=1e-9)
    assert (p * (pixel - 0.2) ** 2).sum() == pytest.approx(1.3**2 + 1 / 12, abs=1e-9)


@pytest.mark.parametrize("law", ISOLATED.values(), ids=ISOLATED)
def test_laws_broadcast_count_negative_electrons_as_none_and_return_float64(law):
    """Protects the common calling convention of all laws."""
    electrons = np.array([[-30.0, 0.0, 500.0]] * 2, dtype=np.float32)
    variance = law(electrons, np.float32(2), np.array([[1.0], [1.2]]))
    assert variance.dtype == np.float64
    assert variance.shape == (2, 3)
    assert np.all(variance[:, 0] == variance[:, 1])
    assert np.all(variance[:, 2] > variance[:, 1])
    assert np.all(variance[1] > variance[0])
    assert law(10, 2, 1.0) == pytest.approx(law(np.array([10.0]), 2, 1.0)[0])


@pytest.mark.parametrize("sigma", [0.6, 1.0, 1.5, 2.9])
def test_no_light_leaves_the_read_noise_of_the_profile(sigma):
    """Protects the limit N -> 0: r²/Σp² for both extractions, which wide profiles make 2√π sigma r²."""
    exact = 9 * profile_sums(0, sigma)[1]
    assert optimal_variance(0, 3, sigma) == pytest.approx(exact, rel=1e-5)
    assert readnoise_weighted_variance(0, 3, sigma) == pytest.approx(exact, rel=1e-5)
    # Pixel integration widens a Gaussian by 1/12 pixel² in both factors of p².
    wide = 9 * 2 * np.sqrt(np.pi) * np.sqrt(sigma**2 + 1 / 12)
    assert optimal_variance(0, 3, sigma) == pytest.approx(wide, rel=1e-3 if sigma > 0.9 else 0.02)
    assert readnoise_limit_variance(0, 3, 2.0) == pytest.approx(9 * 4 * np.sqrt(np.pi))


def test_much_light_leaves_photon_noise_and_a_slowly_growing_width():
    """Protects the limit N >> r²: V = N + r² W with W near 2 sigma √(2 ln(N/(r² sigma √2π)))."""
    ratio, sigma = np.array([1e3, 1e4, 1e5, 1e6]), 1.1
    width = effective_width(ratio, sigma)
    leading = 2 * sigma * np.sqrt(2 * np.log(ratio / (sigma * np.sqrt(2 * np.pi))))
    assert np.all(np.diff(width) > 0)
    assert width == pytest.approx(leading, rel=0.12)
    assert optimal_variance(1e6, 1, sigma) / 1e6 == pytest.approx(1, abs=2e-5)


def test_weighting_by_read_noise_costs_2_over_sqrt_3_in_photon_noise():
    """Protects the photon term of v5_8 and later: Σp³/(Σp²)² = 2/√3 for a profile wide against a pixel."""
    assert readnoise_weighted_variance(1, 0, 2.5) == pytest.approx(2 / np.sqrt(3), rel=1e-3)


def test_optimal_weights_are_never_worse():
    """Protects the meaning of optimal: below the other extraction everywhere, equal to it without light."""
    electrons, sigma = np.meshgrid(np.geomspace(1e-3, 1e6, 40), np.linspace(0.5, 3, 20))
    assert np.all(
        optimal_variance(electrons, 2.5, sigma) <= readnoise_weighted_variance(electrons, 2.5, sigma) * (1 + 1e-5)
    )


def test_no_read_noise_leaves_photon_noise():
    """Protects r = 0 and N = 0 from a division by zero."""
    assert optimal_variance(np.array([0.0, 7.0]), 0, 1.0).tolist() == [0, 7]
    # Nor is any light too much for the table, whatever its end is rounded to.
    width = effective_width(np.array([9e7, 1e8, 1.1e8, 1e12]), 1.0)
    np.testing.assert_allclose(width, width[0], rtol=0.01)


def test_widths_outside_the_table_are_not_extrapolated():
    """Protects against a silent extrapolation: an impossible width makes the pixel invalid, without a warning."""
    sigma = np.array([0.4, 3.1, np.nan, 1.0])
    for law in (optimal_variance, readnoise_weighted_variance):
        assert np.isnan(law(100, 2, sigma)).tolist() == [True, True, True, False]
    assert np.isnan(optimal_variance(np.array([np.nan, 1]), 2, 1.0)).tolist() == [True, False]


def test_tables_against_brute_force():
    """Protects the stated accuracy, 1e-5 over N/r² in [0, 1e6] and sigma in [0.5, 3], with other phases."""
    random = np.random.default_rng(20130611)
    sigma = np.concatenate([random.uniform(0.5, 3, 300), random.uniform(0.5, 0.6, 100), [0.5, 3]])
    ratio = np.concatenate([[0, 1e6], np.expm1(random.uniform(0, np.log1p(1e6), sigma.size - 2))])
    exact = np.array([profile_sums(t, s) for t, s in zip(ratio, sigma, strict=True)])
    assert optimal_variance(4 * ratio, 2, sigma) == pytest.approx(4 * exact[:, 0], rel=1e-5)
    weighted = readnoise_weighted_variance(4 * ratio, 2, sigma)
    assert weighted == pytest.approx(4 * (ratio * exact[:, 2] + exact[:, 1]), rel=1e-5)


# ---------------------------------------------------------------------------------------------- sky term


def test_sky_term_is_never_negative():
    """Protects that a good sky subtraction never reduces the variance."""
    chi2 = np.array([0.0, 0.9, 1.0, 1.5])
    assert sky_term(chi2, 40.0).tolist() == [0, 0, 0, 20]


def sky_fibers(chi2, seed=1, nsky=45, nrow=2000):
    """Residuals of sky fibers whose variance is ``chi2`` times a variance that grows with wavelength."""
    random = np.random.default_rng(seed)
    loglam = 3.7 + 1e-4 * (np.arange(nrow) + random.uniform(-5, 5, (nsky, 1)))
    variance = 50 * 10 ** (2 * (loglam - 3.7)) * random.uniform(0.9, 1.1, (nsky, 1))
    residual = random.normal(size=variance.shape) * np.sqrt(variance * chi2(loglam))
    return loglam, residual, variance


def statistics(loglam, residual, variance, valid=None, nbin=1500):
    """sky_statistics of fibers with the same sky everywhere, by the recipe of a whole camera."""
    valid = np.ones(loglam.shape, bool) if valid is None else valid
    return sky_statistics(loglam, residual, np.full(loglam.shape, 60.0), variance, valid, nbin, 3)


def test_sky_chi2_follows_the_residuals():
    """Protects size and wavelength dependence of chi² and of the variance: the 67th percentile of a Gaussian's chi² is
    0.947, which n/(n - 3) raises."""

    def truth(loglam):
        return np.where(loglam > 3.8, 2.5, 1.5)

    loglam, residual, variance = sky_fibers(truth)
    sky = statistics(loglam, residual, variance)
    inside = (np.abs(sky.loglam - 3.8) > 0.01) & (sky.loglam > 3.705) & (sky.loglam < 3.895)
    relative = sky.chi2 / truth(sky.loglam)
    pixels = loglam.size / 1500
    assert np.mean(relative[inside]) == pytest.approx(0.947 * pixels / (pixels - 3), abs=0.02)
    assert 0.1 < np.std(relative[inside]) < 0.25  # the noise that is in every stated variance
    assert sky.variance[inside] == pytest.approx(50 * 10 ** (2 * (sky.loglam[inside] - 3.7)), rel=0.04)
    term = sky.term(loglam)
    assert term.shape == loglam.shape
    assert term.min() >= 0


def test_sky_chi2_ignores_outliers_and_masked_pixels_and_adds_nothing_below_one():
    """Protects against cosmic rays in sky fibers, against using bad pixels, and against a negative term."""
    loglam, residual, variance = sky_fibers(lambda loglam: 2.0 + 0 * loglam)
    valid = np.ones(loglam.shape, bool)
    clean = statistics(loglam, residual, variance)
    outliers = residual.copy()
    outliers[:, ::100] = 1e4
    assert np.median(statistics(loglam, outliers, variance).chi2 / clean.chi2) < 1.05
    masked = residual.copy()
    masked[::2] = 1e4
    valid[::2] = False
    spoiled = statistics(loglam, masked, variance, valid)
    assert np.mean(spoiled.chi2) == pytest.approx(np.mean(clean.chi2), rel=0.1)
    quiet = statistics(loglam, residual / 4, variance)
    assert quiet.chi2.max() < 1
    assert np.all(quiet.term(loglam) == 0)


def test_sky_bins_have_the_same_signal_to_noise():
    """Protects the bins: four times the sky in a few rows takes twice the bins of √(S/N) there."""
    wave = np.sort(np.random.default_rng(2).uniform(3.7, 3.9, 80000))
    root = np.where((wave > 3.78) & (wave < 3.82), 2.0, 1.0)
    edges = _edges(wave, root, 40, 2000)
    assert edges[0] == wave[0]
    assert edges[-1] == wave[-1]
    number, _ = np.histogram(edges, [3.72, 3.77, 3.785, 3.815, 3.83, 3.88])
    density = number / np.diff([3.72, 3.77, 3.785, 3.815, 3.83, 3.88])
    assert density[2] / density[0] == pytest.approx(2, rel=0.03)
    assert density[4] / density[0] == pytest.approx(1, rel=0.03)


def test_sky_chi2_needs_sky_fibers():
    """Protects the error of an exposure whose sky fibers are all bad."""
    loglam, residual, variance = sky_fibers(lambda loglam: 1.0 + 0 * loglam, nrow=50)
    with pytest.raises(ValueError, match="sky fibers"):
        statistics(loglam, residual, variance, np.zeros(loglam.shape, bool))


@pytest.mark.parametrize(
    ("band", "split", "published"),
    [
        ("blue", False, {0.82: 1.01, 0.93: 1.04, 1.03: 1.09, 1.13: 1.16, 1.24: 1.25, 1.43: 1.44}),
        ("red", False, {0.82: 1.02, 0.92: 1.05, 1.02: 1.10, 1.13: 1.17, 1.24: 1.26}),
        ("red", True, {0.90: 1.07, 1.03: 1.14, 1.11: 1.19, 1.23: 1.28, 1.33: 1.37}),
    ],
)
def test_clipping_raises_the_mean_of_chi2(band, split, published):
    """Protects the table against another Monte Carlo calculation of the same recipe, and its continuation upwards."""
    for before, after in published.items():
        assert clipped_chi2(before, band, split) == pytest.approx(after, abs=0.02)
    assert clipped_chi2(5.0, band, split) == pytest.approx(5.0, abs=0.02)


def test_clipped_mean_is_that_of_the_recipe():
    """Protects the table against a change of the recipe: one of its points is drawn again."""
    script = runpy.run_path(str(REPOSITORY / "docs/tables/sky_chi2.py"))
    random = np.random.default_rng(3)
    before, after = np.mean([script["means"]("half", 1.2, random) for _ in range(2)], axis=0)
    assert clipped_chi2(before, "red", True) == pytest.approx(after, abs=0.01)


@pytest.mark.parametrize(
    ("camera", "mjd", "vers2d", "split"),
    [
        ("r2", 55299, "v5_7_0", False), ("r2", 55300, "v5_7_0", True), ("r1", 57000, "v5_7_2", False),
        ("r1", 57000, "v5_10_0", True), ("r1", 56857, "v5_10_0", False), ("b2", 57000, "v5_10_0", False),
    ],
)  # fmt: skip
def test_which_skies_are_split(camera, mjd, vers2d, split):
    """Protects the cameras whose halves have sky models of their own, by date and version."""
    assert is_split(camera, mjd, vers2d) == split
    halves = list(halves_of(np.array([[0, 0, 1], [2, 2, 3], [2, 3, 3]]), split))
    assert [half.tolist() for half in halves] == (
        [[True, False, False], [False, True, True]] if split else [[True] * 3]
    )


# ---------------------------------------------------------------------------------- weights from noisy pixels


@pytest.mark.parametrize(
    ("electrons", "published", "scatter"),
    [(20, 0.94, 0.18), (50, 0.956, 0.13), (100, 0.971, 0.10), (200, 0.983, 0.07), (500, 0.992, 0.04)],
)
def test_noisy_weights_against_true_and_extracted_electrons(electrons, published, scatter):
    """Protects the finding that the published ratio is against the true electrons, and that of the electrons which the
    same weights extract nearly nothing of it is left; and that the table has the latter."""
    script = runpy.run_path(str(REPOSITORY / "docs/tables/noisy_weights.py"))
    extracted, stated = script["extract"](electrons, 2.0, 1.0, 20000, np.random.default_rng(5))
    to_true = stated / optimal_variance(electrons, 2.0, 1.0)
    assert np.median(to_true) == pytest.approx(published, abs=0.006)
    assert 1.4826 * np.median(np.abs(to_true - np.median(to_true))) == pytest.approx(scatter, abs=0.012)
    of_spectrum = stated / optimal_variance(extracted, 2.0, 1.0)
    assert np.median(of_spectrum) == pytest.approx(float(noisy_weights_ratio(np.median(extracted), 2, 1)), abs=3e-3)
    assert 1 < np.median(of_spectrum) < 1.015
    found = 1.4826 * np.median(np.abs(of_spectrum - np.median(of_spectrum)))
    assert found == pytest.approx(float(noisy_weights_scatter(np.median(extracted), 2, 1)), rel=0.15)


# ------------------------------------------------------------------------------------ comparison and fit


def test_comparison_and_ranking():
    """Protects the definition of median and scatter, the mask, and which of two laws is called better."""
    measured = np.array([10.0, 11.0, 12.0, 13.0, 14.0, 1e9])
    valid = np.array([True] * 5 + [False])
    comparison = compare(measured, np.full(6, 10.0), valid)
    assert comparison.median == pytest.approx(1.2)
    assert comparison.scatter == pytest.approx(1.4826 * 0.1)
    assert compare(measured, measured, np.zeros(6, bool)).median is np.ma.masked
    ranking = rank(measured, {"low": measured * 0.8, "good": measured * 1.01}, valid)
    assert list(ranking) == ["good", "low"]


@pytest.mark.parametrize("seed", range(5))
def test_fit_recovers_known_coefficients(seed):
    """Protects a, b, c and their uncertainties, with outliers and masked pixels present."""
    random = np.random.default_rng(seed)
    sky = random.uniform(30, 150, 4000)
    star = random.uniform(0, 3000, sky.size)
    truth = {"a": 1.03, "b": 0.03, "c": 19.0}
    variance = truth["a"] * (sky + star) + (truth["b"] * star) ** 2 + truth["c"]
    variance *= 1 + 0.02 * random.normal(size=sky.size)
    variance[::50] *= 5
    valid = np.ones(sky.size, bool)
    valid[1::50] = False
    variance[1::50] = np.nan
    fit = fit_variance(variance, sky + star, star, valid)
    for name, value in truth.items():
        assert abs(getattr(fit, name) - value) < 4 * getattr(fit, f"{name}_error"), name
    assert fit.b_error < 2e-4
    assert fit.a_error < 5e-3
    assert fit.scatter == pytest.approx(0.02, rel=0.15)


def test_fit_uncertainties_are_those_of_repeated_experiments():
    """Protects the size of the quoted uncertainties: a pull of unit width."""
    random = np.random.default_rng(7)
    sky, star = random.uniform(30, 150, 1000), random.uniform(0, 3000, 1000)
    variance = 1.1 * (sky + star) + (0.03 * star) ** 2 + 25
    pulls = []
    for _ in range(60):
        fit = fit_variance(variance * (1 + 0.03 * random.normal(size=1000)), sky + star, star, np.ones(1000, bool))
        pulls.append([(fit.a - 1.1) / fit.a_error, (fit.b - 0.03) / fit.b_error, (fit.c - 25) / fit.c_error])
    assert np.std(pulls, axis=0) == pytest.approx(1, abs=0.3)
    assert np.mean(pulls, axis=0) == pytest.approx(0, abs=0.5)


def test_fit_without_an_object_still_has_a_and_c():
    """Protects sky fibers, where nothing determines b."""
    sky = np.linspace(30, 150, 500)
    fit = fit_variance(1.2 * sky + 20, sky, np.zeros(500), np.ones(500, bool))
    assert (fit.a, fit.c) == (pytest.approx(1.2), pytest.approx(20))
    assert fit.b == 0


def test_fit_needs_pixels():
    """Protects against a fit of three coefficients to nothing."""
    fit = fit_variance(np.ones(5), np.ones(5), np.ones(5), np.arange(5) < 3)
    assert fit.a is np.ma.masked


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_fit_leaves_out_a_pixel_without_a_variance(wrong):
    """Protects all fibers from one pixel of one of them: it is left out, as if it were not valid."""
    random = np.random.default_rng(3)
    sky, star = random.uniform(30, 150, (3, 500)), random.uniform(0, 3000, (3, 500))
    variance = 1.1 * (sky + star) + (0.03 * star) ** 2 + 25 + random.normal(size=sky.shape)
    valid = np.ones(sky.shape, dtype=bool)
    spoiled = variance.copy()
    spoiled[1, 77] = wrong
    found = noise_fit.fit_variance(spoiled, sky + star, star, valid)
    valid[1, 77] = False
    expected = noise_fit.fit_variance(variance, sky + star, star, valid)
    for name, values in vars(expected).items():
        assert not np.ma.is_masked(values)
        np.testing.assert_array_equal(getattr(found, name), values)
    np.testing.assert_allclose(expected.a.data, 1.1, atol=0.01)


def test_fit_of_fibers_that_cannot_be_fitted_masks_them_alone():
    """Protects the other fibers from one without data, with three pixels, or whose light is all the same."""
    random = np.random.default_rng(4)
    light = random.uniform(30, 3000, (4, 200))
    light[3] = 100
    variance = 1.1 * light + 25
    valid = np.ones(light.shape, dtype=bool)
    valid[0] = False
    valid[1, 3:] = False
    fit = noise_fit.fit_variance(variance, light, np.zeros(light.shape), valid)
    assert fit.a.mask.tolist() == [True, True, False, False]
    assert (fit.a[2], fit.c[2]) == (pytest.approx(1.1), pytest.approx(25))
    assert all(np.isfinite(values[3]) for values in vars(fit).values())  # a and c cannot be told apart, no more


def test_fits_of_blocks_are_those_of_all():
    """Protects the fit bundle by bundle: every fiber's fit is its own."""
    random = np.random.default_rng(5)
    light = random.uniform(30, 3000, (5, 300))
    variance = (1.1 * light + 25) * random.normal(1, 0.02, light.shape)
    arguments = variance, light, 0.7 * light, random.random(light.shape) < 0.9
    whole = noise_fit.fit_variance(*arguments)
    blocks = [noise_fit.fit_variance(*(array[places] for array in arguments)) for places in (slice(2), slice(2, 5))]
    for name, values in vars(whole).items():
        np.testing.assert_array_equal(np.ma.concatenate([getattr(block, name) for block in blocks]), values)


# ------------------------------------------------------------------------------------- fibers in bundles


def test_bundle_without_its_background_would_be_an_isolated_fiber(monkeypatch):
    """Protects the profile sums of the bundle: without background it is the read-noise weighted law."""
    design = bundle._design
    monkeypatch.setattr(bundle, "_design", lambda sigma, phase: design(sigma, phase)[:, : bundle.BUNDLE])
    table = bundle._coefficients.__wrapped__()
    at = int(np.argmin(np.abs(bundle.SIGMA - 1.1)))
    sigma = bundle.SIGMA[at]
    assert table[0, at] == pytest.approx(float(readnoise_weighted_variance(1, 0, sigma)), rel=2e-3)
    assert table[2, at] == pytest.approx(float(readnoise_weighted_variance(0, 1, sigma)), rel=2e-3)
    assert table[1, at].max() < 1e-3


def test_bundle_inflates_its_ends_most():
    """Protects shape and size of the background's share: symmetric, 3 % in the middle, about 10 % at the ends."""
    fiber = np.arange(1, 41)
    ratio = bundle_variance(60, 2, 1.1, fiber, 60) / readnoise_weighted_variance(60, 2, 1.1)
    assert ratio[:20].tolist() == ratio[20:].tolist()
    assert ratio[:20] == pytest.approx(ratio[19::-1], rel=5e-3)
    assert 1.02 < ratio.min() < 1.04
    assert 1.08 < ratio.max() < 1.12
    assert np.argmax(ratio[:10]) == 0


def test_bundle_width_outside_the_table_is_not_extrapolated():
    """Protects against a silent extrapolation, as for the laws."""
    result = bundle_variance(60, 2, np.array([0.6, 1.1, 1.9, np.nan]), 7, 60)
    assert np.isnan(result).tolist() == [True, False, True, True]


# ---------------------------------------------------------------------------------- rows of spec files


def wavelengths(row, jump=True):
    """float32 loglam of a red camera, as in a spec file."""
    row = row + (TWO_PHASE_JUMP.shift(row) if jump else 0)
    argument = (row - 2063.5) / 2063.5
    return np.polynomial.legendre.legval(argument, [3.899, 0.1651, -0.0188, 0.0012]).astype(np.float32)


@pytest.mark.parametrize("first", [28, 531, 1000, 2040])
def test_two_phase_jump_gives_the_row(first):
    """Protects that the jump is found to the row, also when float32 and a short table blur it."""
    row, known = spec_rows(wavelengths(np.arange(first, 3600)), "r1", True)
    assert known
    assert row[0] == first
    assert row[-1] == 3599


def test_row_is_an_estimate_where_there_is_no_jump():
    """Protects honesty: no jump, or a table that misses it, gives an estimate that says so."""
    row, known = spec_rows(wavelengths(np.arange(500, 3600), jump=False), "r1", False)
    assert not known
    assert abs(row[0] - 500) < 100
    for rows in (np.arange(2100, 3600), np.arange(500, 2000), np.arange(500, 520)):
        row, known = spec_rows(wavelengths(rows), "r1", True)
        assert not known
        assert row.shape == rows.shape
        assert np.all((row >= 2064) == (rows >= 2064))


# ------------------------------------------------------------------------------------------- real files


@pytest.mark.parametrize(("path", "band", "expected"), OPTIMAL)
def test_optimal_law_predicts_dr12(real_data, path, band, expected):
    """Protects the finding that DR12's variance is that of an optimal extraction, with no free parameter."""
    exposure = exposures(real_data / "sas" / path, band)[0]
    predictions = {name: predicted(exposure, law) for name, law in ISOLATED.items()}
    ranking = rank(exposure["without_floor"], predictions, exposure["valid"])
    assert ranking["optimal"].median == pytest.approx(expected, abs=0.01)
    assert abs(ranking["optimal"].median - 1) < abs(ranking["readnoise_weighted"].median - 1)


@pytest.mark.parametrize(("path", "band", "expected"), WEIGHTED)
def test_readnoise_weighted_law_predicts_dr14(real_data, path, band, expected):
    """Protects the finding that later releases weight by read noise alone."""
    exposure = exposures(real_data / "sas" / path, band)[0]
    predictions = {name: predicted(exposure, law) for name, law in ISOLATED.items()}
    ranking = rank(exposure["without_floor"], predictions, exposure["valid"])
    assert next(iter(ranking)) == "readnoise_weighted"
    assert ranking["readnoise_weighted"].median == pytest.approx(expected, abs=0.01)


def test_fit_finds_the_error_floor(real_data):
    """Protects the 3 % error floor: a star's variance shows it without being told."""
    exposure = exposures(real_data / "sas" / OPTIMAL[0][0], "blue")[0]
    total = exposure["object"] + exposure["sky"]
    fit = fit_variance(exposure["variance"], total, exposure["object"], exposure["valid"])
    assert fit.b == pytest.approx(0.030, abs=0.001)
    assert fit.a == pytest.approx(1.03, abs=0.01)
    assert fit.c == pytest.approx(19, abs=2)


@pytest.mark.parametrize("fiber", ["0324", "0418", "0674", "0948"])
def test_bundle_explains_bright_standards_of_dr14(real_data, fiber):
    """Protects the finding that the background of the bundle is what the isolated law lacks in v5_10."""
    path = real_data / "sas" / DR14 / "6118" / f"spec-6118-56189-{fiber}.fits"
    for exposure in exposures(path, "blue"):
        readnoise, sigma = mean_readnoise(exposure), exposure["header"]["XSIGMA"]
        isolated = predicted(exposure, readnoise_weighted_variance)
        sky = exposure["sky"]
        term = sky_term(exposure["header"]["SKYCHI2"], readnoise_weighted_variance(sky, readnoise, sigma))
        in_bundle = bundle_variance(exposure["object"] + sky, readnoise, sigma, int(fiber), sky) + term
        before = compare(exposure["without_floor"], isolated, exposure["valid"])
        after = compare(exposure["without_floor"], in_bundle, exposure["valid"])
        assert before.median > 1.015
        assert after.median == pytest.approx(1, abs=0.015)


def test_rows_of_real_red_tables_lie_on_the_read_ccd(real_data):
    """Protects the row: idlspec2d uses red rows 28-3668 only, and many tables end on that very row."""
    last = []
    for path in sorted((real_data / "sas" / DR14 / "6118").glob("spec-*.fits")):
        for exposure in exposures(path, "red"):
            row, known = spec_rows(
                exposure["loglam"], exposure["header"]["CAMERAS"].strip(), exposure["header"]["TWOPHASE"]
            )
            assert known
            assert row[0] >= 28
            assert row[-1] <= 3668
            last.append(row[-1])
    assert len(last) == 45
    assert max(last) == 3668


def test_estimated_blue_rows_hardly_matter(real_data):
    """Protects the claim that an error of 30 rows changes no median by more than 0.001."""
    exposure = exposures(real_data / "sas" / DR12 / "3764" / "spec-3764-55514-0972.fits", "blue")[0]
    row, known = spec_rows(exposure["loglam"], "b2", exposure["header"]["TWOPHASE"])
    assert not known
    assert 700 < row[0] < 800
    readnoise = np.array([exposure["header"][f"RDNOISE{q}"] for q in range(4)])
    medians = []
    for shift in (-CENTRAL_ERROR, 0, CENTRAL_ERROR):
        of_pixel = readnoise[quadrant(row + shift, exposure["x"], "blue")]
        total = exposure["object"] + exposure["sky"]
        variance = optimal_variance(total, of_pixel, exposure["header"]["XSIGMA"])
        medians.append(compare(exposure["without_floor"], variance, exposure["valid"]).median)
    assert np.ptp(medians) < 1e-3


def test_fit_of_strengths_finds_what_is_there():
    """Protects the free strengths: a sky term of 1.3 times its size and 2 electrons in every pixel are found, and a
    fiber without a sky term has no strength of one."""
    random = np.random.default_rng(5)
    electrons = random.uniform(20, 400, (2, 3000))
    law = optimal_variance(electrons, 2.0, 1.1)
    sky = random.uniform(0, 40, electrons.shape)
    sky[1] = 0
    per_electron = (optimal_variance(electrons, np.sqrt(4.1), 1.1) - law) / 0.1
    variance = (law + 1.3 * sky + 2 * per_electron) * random.normal(1, 0.01, law.shape)
    fit = noise_fit.fit_strengths(variance, law, sky, per_electron, np.ones(law.shape, dtype=bool))
    assert fit.sky[0] == pytest.approx(1.3, abs=4 * fit.sky_error[0])
    np.testing.assert_allclose(fit.background, 2, atol=4 * fit.background_error.max())
    assert 0 < fit.background_error.max() < 0.05
    assert fit.sky.mask.tolist() == fit.sky_error.mask.tolist() == [False, True]
