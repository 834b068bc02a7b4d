"""Write src/bosscal/noise/noisy_weights.yaml: what weights from the noisy pixels do to the stated variance.

    python docs/tables/noisy_weights.py

Pixels of a row are drawn with photon and read noise, and extracted as idlspec2d does it to v5_7: weights and stated
variance come from the variance r² + max(pixel, 0) of each pixel itself. The table has the median and the robust scatter
of the stated variance over the optimal law of the electrons that were extracted. A minute.
"""

from pathlib import Path

import numpy as np

from bosscal.base.statistics import MAD_TO_SIGMA
from bosscal.noise.laws.optimal import optimal_variance
from bosscal.noise.profile import profile

SEED = 20261126
DRAWS = 48000  # of a point of the table
PHASES = (np.arange(8) + 0.5) / 16  # of the trace in a pixel
# First point, step and number of points of the table's axes.
AXES = {"root_electrons": (0.0, 2.0, 32), "readnoise": (1.5, 0.5, 5), "sigma": (0.8, 0.2, 5)}


def extract(electrons, readnoise, sigma, number, random):
    """Extracted electrons and stated variance of so many rows of an isolated fiber, two 1D[number]."""
    extracted, stated = np.empty((2, len(PHASES), number // len(PHASES)))
    for place, phase in enumerate(PHASES):
        shares = profile(sigma, phase)
        shares = shares[shares > 1e-7]
        pixels = random.poisson(electrons * shares, (extracted.shape[1], shares.size)).astype(float)
        pixels += readnoise * random.standard_normal(pixels.shape)
        variance = readnoise**2 + np.maximum(pixels, 0)
        stated[place] = 1 / (shares**2 / variance).sum(axis=1)
        extracted[place] = (shares * pixels / variance).sum(axis=1) * stated[place]
    return extracted.ravel(), stated.ravel()


def point(electrons, readnoise, sigma, random):
    """Median electrons extracted, and median and scatter of stated over optimal variance."""
    extracted, stated = extract(electrons, readnoise, sigma, DRAWS, random)
    ratio = stated / optimal_variance(extracted, readnoise, sigma)
    return np.median(extracted), np.median(ratio), MAD_TO_SIGMA * np.median(np.abs(ratio - np.median(ratio)))


def main():
    """Write the table."""
    random = np.random.default_rng(SEED)
    roots, readnoises, sigmas = (first + step * np.arange(number) for first, step, number in AXES.values())
    ratio, scatter = np.empty((2, roots.size, readnoises.size, sigmas.size))
    for i, readnoise in enumerate(readnoises):
        for j, sigma in enumerate(sigmas):
            # What is known of a row is what was extracted, so the table is by that.
            true = np.append(roots**2, (roots[-1] + 2) ** 2)
            extracted, medians, scatters = np.array([point(n, readnoise, sigma, random) for n in true]).T
            ratio[:, i, j] = np.interp(roots**2, extracted, medians)
            scatter[:, i, j] = np.interp(roots**2, extracted, scatters)
    lines = [
        "# Stated over optimal variance, [√electrons][readnoise][sigma], where weights come from the noisy pixels.",
        f"# Written by docs/tables/noisy_weights.py, seed {SEED}. Axes: first point and step.",
        *(f"{name}: {[first, step]}" for name, (first, step, _) in AXES.items()),
    ]
    for name, table in (("ratio", ratio), ("scatter", scatter)):
        lines.append(f"{name}:")
        lines += [f"- {[[round(float(value), 4) for value in row] for row in plane]}" for plane in table]
    path = Path(__file__).parents[2] / "src/bosscal/noise/noisy_weights.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
