"""Write src/bosscal/noise/sky_chi2.yaml: the mean of chi² of the sky, before and after it is clipped at 1.

    python docs/tables/sky_chi2.py

Residuals of 40 sky fibers (20 of half a camera) are drawn with a chi² that is the same at every wavelength, and go
through the recipe of idlspec2d ``skysubtract`` (bosscal.noise.sky.sky_statistics). Half a minute.
"""

from pathlib import Path

import numpy as np

from bosscal.noise.laws.optimal import optimal_variance
from bosscal.noise.sky import bins_and_polynomials, sky_statistics
from bosscal.simulation.spectra import sky_electrons

SEED = 20261126
DRAWS = 6  # of a point of the table
CHI2 = np.arange(0.7, 1.61, 0.05)  # true chi²
# Band, sky fibers, rows of the CCD, the first and last with data, their wavelengths [Å].
CAMERAS = {
    "blue": ("blue", 40, 4112, (696, 3516), (3560, 6380)),
    "red": ("red", 40, 4128, (28, 3668), (5650, 10400)),
    "half": ("red", 20, 4128, (28, 3668), (5650, 10400)),
}


def means(kind, chi2, random):
    """Mean of the spline of chi² over the pixels, and of the same clipped at 1."""
    band, nsky, nrow, (first, last), ends = CAMERAS[kind]
    row = np.arange(nrow)
    low, high = np.log10(ends)
    # Fibers are shifted along the slit by some rows.
    shift = 30 * np.linspace(-1, 1, nsky)[:, np.newaxis] ** 2 * (high - low) / (last - first)
    loglam = low + (row - first) / (last - first) * (high - low) + shift
    with_data = np.broadcast_to((row >= first) & (row <= last), loglam.shape)
    sky = sky_electrons(band[0], 158842, loglam)
    variance = optimal_variance(sky, 2.1 if band == "blue" else 2.6, 1.15)
    residual = np.sqrt(chi2 * variance) * random.standard_normal(sky.shape)
    recipe = bins_and_polynomials(band, nrow, kind == "half")
    statistics = sky_statistics(loglam, residual, sky, variance, with_data, *recipe)
    at_pixels = np.interp(loglam[with_data], statistics.loglam, statistics.chi2)
    return at_pixels.mean(), np.maximum(at_pixels, 1).mean()


def main():
    """Write the table."""
    random = np.random.default_rng(SEED)
    lines = [
        "# Mean of chi² of the sky fibers' residuals, and of max(chi², 1).",
        f"# Written by docs/tables/sky_chi2.py, seed {SEED}.",
    ]
    for kind in CAMERAS:
        drawn = np.array([np.mean([means(kind, chi2, random) for _ in range(DRAWS)], axis=0) for chi2 in CHI2])
        lines.append(f"{kind}:")
        lines += [f"- {[round(float(value), 4) for value in column]}" for column in drawn.T]
    path = Path(__file__).parents[2] / "src/bosscal/noise/sky_chi2.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
