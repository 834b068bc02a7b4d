"""One object in two releases: flux, the position correction T, and the noise with and without it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bosscal.figures.noise import RUNNING, running_median
from bosscal.figures.style import (
    BLACK,
    BLUE,
    GREY,
    PAGE_WIDTH,
    RED,
    WAVELENGTH_LABEL,
    finish,
    new_figure,
)
from bosscal.results.releases import Pair

NOISE_RANGE = (0.6, 1.6)


def draw(pairs: Sequence[Pair]) -> Figure:
    """Ratio of the fluxes, T of every exposure, and measured over predicted variance: medians of 75 pixels each."""
    figure = new_figure(PAGE_WIDTH, 5.6, layout="constrained")
    flux, correction, noise = figure.subplots(3, 1, sharex=True)
    for index, pair in enumerate(pairs):
        wavelength = 10 ** pair.later.loglam[0]
        _running(flux, wavelength, pair.flux_ratio, BLACK, None)
        if pair.correction is not None:
            known = np.isfinite(pair.correction.ratio)
            correction.plot(
                wavelength[known], pair.correction.ratio[known], color=GREY, alpha=0.35, linestyle="none", marker=".",
                markersize=1.2, markeredgewidth=0, rasterized=True,
            )  # fmt: skip
            correction.plot(wavelength[known], pair.correction.thrucorr[known], color=BLUE, linewidth=1.0)
        release = pair.later.header.release
        of_earlier = 10 ** pair.earlier.loglam[0]
        _running(noise, of_earlier, pair.ratio_earlier, GREY, None if index else pair.earlier.header.release)
        _running(noise, wavelength, pair.ratio, RED, None if index else f"{release} as it is")
        _running(noise, wavelength, pair.ratio_corrected, BLUE, None if index else f"{release} with T")
    header = pairs[0].later.header
    flux.set_ylabel(f"Flux, {header.release} /\n{pairs[0].earlier.header.release}")
    correction.set_ylabel("Position\ncorrection T")
    noise.set_ylabel("Measured / predicted\nvariance")
    noise.set_xlabel(WAVELENGTH_LABEL)
    flux.set_ylim(0.4, 1.8)
    values = np.concatenate([pair.correction.thrucorr for pair in pairs if pair.correction is not None] or [np.ones(1)])
    correction.set_ylim(max(values.min() - 0.25, 0), values.max() + 0.25)
    noise.set_ylim(*NOISE_RANGE)
    for axes in (flux, correction, noise):
        axes.axhline(1, color=BLACK, linewidth=0.6)
    if noise.get_legend_handles_labels()[0]:
        noise.legend(loc="upper left", ncol=3, fontsize=6)
    lambda_eff = pairs[0].later.lambda_eff[0]
    title = f"{header.plate}-{header.mjd}-{pairs[0].later.fiber[0]}   {pairs[0].later.objtype[0]}"
    placed = f"placed for {lambda_eff:.0f} Å" if np.isfinite(lambda_eff) else "LAMBDA_EFF unknown"
    return finish(figure, f"{title}   {placed}   {len(pairs)} camera exposures", header.simulated)


def _running(axes: object, wavelength: NDArray, values: NDArray, color: str, label: str | None) -> None:
    """Running median of what is a number."""
    used = np.isfinite(values)
    if used.sum() < RUNNING:
        return
    position, median = running_median(values[used], RUNNING)
    place = np.interp(position, np.arange(used.sum()), wavelength[used])
    axes.plot(place, median, color=color, linewidth=0.8, label=label)  # type: ignore[attr-defined]
