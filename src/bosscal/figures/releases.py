"""One object in two releases: flux, the position correction T, and the noise with and without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bosscal.base.elementary import power_of_ten
from bosscal.figures.noise import RUNNING
from bosscal.figures.style import (
    BLACK,
    BLUE,
    DASH_DOT,
    DASHED,
    NO_DATA,
    RED,
    SOLID,
    WAVELENGTH_LABEL,
    block_medians,
    finish,
    limits_of,
    mark_beyond,
    new_figure,
)
from bosscal.results.releases import Pair


def draw(pairs: Sequence[Pair]) -> Figure:
    """Ratio of the fluxes, T of every exposure, and measured over predicted variance: medians of 75 pixels each."""
    figure = new_figure("page", 5.6, layout="constrained")
    flux, correction, noise = figure.subplots(3, 1, sharex=True)
    curves = [pair.correction.thrucorr for pair in pairs if pair.correction is not None]
    correction.set_ylim(*limits_of([np.array([0.9, 1.1]), *curves], room=(0.6, 0.6)))
    places, ratios = [np.empty(0)], [np.empty(0)]
    for index, pair in enumerate(pairs):
        wavelength = power_of_ten(pair.later.loglam[0])
        _running(flux, wavelength, pair.flux_ratio, (BLACK, SOLID), None)
        if pair.correction is not None:
            known = np.isfinite(pair.correction.ratio)
            places.append(wavelength[known])
            ratios.append(pair.correction.ratio[known])
            correction.plot(wavelength[known], pair.correction.thrucorr[known], color=BLUE, linewidth=1.0)
        release = pair.later.header.release
        of_earlier = power_of_ten(pair.earlier.loglam[0])
        _running(
            noise, of_earlier, pair.ratio_earlier, (BLACK, DASH_DOT), None if index else pair.earlier.header.release
        )
        _running(noise, wavelength, pair.ratio, (RED, DASHED), None if index else f"{release} as it is")
        _running(noise, wavelength, pair.ratio_corrected, (BLUE, SOLID), None if index else f"{release} with T")
    place = np.concatenate(places)
    correction.plot(
        place, mark_beyond(correction, place, np.concatenate(ratios)), color=NO_DATA, linestyle="none", marker=".",
        markersize=1.2, markeredgewidth=0, zorder=1.5,
    )  # fmt: skip
    header = pairs[0].later.header
    flux.set_ylabel(f"Flux, {header.release} /\n{pairs[0].earlier.header.release}")
    correction.set_ylabel("Position\ncorrection T")
    noise.set_ylabel("Measured / predicted\nvariance")
    noise.set_xlabel(WAVELENGTH_LABEL)
    for axes, above in ((flux, 0.1), (noise, 0.3)):  # room for the legend
        drawn = [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines]
        axes.set_ylim(*limits_of([np.array([0.9, 1.1]), *drawn], room=(0.1, above)))
    for axes in (flux, correction, noise):
        axes.axhline(1, color=BLACK, linewidth=0.6)
    if noise.get_legend_handles_labels()[0]:
        noise.legend(loc="upper left", ncol=3)
    if correction.get_legend_handles_labels()[0]:
        correction.legend(loc="upper left", ncol=2)
    lambda_eff = pairs[0].later.lambda_eff[0]
    title = f"{header.plate}-{header.mjd}-{pairs[0].later.fiber[0]}   {pairs[0].later.objtype[0]}"
    placed = f"placed for {lambda_eff:.0f} Å" if np.isfinite(lambda_eff) else "LAMBDA_EFF unknown"
    return finish(figure, f"{title}   {placed}   {len(pairs)} camera exposures", header.simulated)


def _running(axes: Axes, wavelength: NDArray, values: NDArray, look: tuple[str, Any], label: str | None) -> None:
    """Running median of what is a number."""
    used = np.isfinite(values)
    if used.sum() < RUNNING:
        return
    color, line = look
    axes.plot(
        *block_medians(wavelength, values, RUNNING), color=color, linestyle=line, linewidth=0.8, label=label or "_"
    )
