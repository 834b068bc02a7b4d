"""What a spec file tells of itself: its distortion, its coadd rebuilt, and its exposures compared with each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bosscal.base import elementary
from bosscal.figures.style import (
    BLACK,
    BLUE,
    DASH_DOT,
    DASHED,
    DOTTED,
    GREEN,
    GREY,
    ORANGE,
    RED,
    SKY,
    WAVELENGTH_LABEL,
    finish,
    limits_of,
    log_axis,
    mark_beyond,
    new_figure,
    power_of_ten,
)
from bosscal.results.coadds import RebuiltCoadd, RepeatOfExposures

CAMERA_COLORS = {"b1": BLUE, "b2": BLUE, "r1": RED, "r2": RED}
SMALLEST = 1e-6  # difference that is told from 0
BLOCK = 200  # pixels of a point of chi against wavelength


def draw(rebuilt: RebuiltCoadd, repeats: Sequence[RepeatOfExposures]) -> Figure:
    """Distortion with its quadratic; published and rebuilt coadd; differences; chi of repeated exposures."""
    spectrum, coadd = rebuilt.spectrum, rebuilt.coadd
    wavelength = elementary.power_of_ten(spectrum.loglam)
    figure = new_figure("page", 8.6, layout="constrained")
    panels = figure.subplots(5, 1, sharex=True, height_ratios=[1, 0.6, 1.2, 0.9, 1])
    _draw_distortion(panels[0], panels[1], rebuilt, wavelength)
    good = spectrum.ivar > 0
    flux = panels[2]
    # the rebuilt one lies on the published: a thin line on a wide one
    flux.set_ylim(*limits_of([spectrum.flux[good]], quantiles=(0.005, 0.995), room=(0.15, 0.3)))
    published = mark_beyond(flux, wavelength[good], spectrum.flux[good])
    rebuilt_flux = np.where(np.isfinite(published), np.clip(coadd.flux[good], *flux.get_ylim()), np.nan)
    flux.plot(wavelength[good], published, color=SKY, linewidth=1.4, label="published")
    flux.plot(wavelength[good], rebuilt_flux, color=BLACK, linewidth=0.4, label="rebuilt")
    flux.set_ylabel("Flux of the coadd\n[10⁻¹⁷ erg s⁻¹ cm⁻² Å⁻¹]")
    flux.legend(loc="upper right", ncol=4)
    _draw_differences(panels[3], rebuilt, wavelength)
    _draw_repeats(panels[4], repeats)
    panels[4].set_xlabel(WAVELENGTH_LABEL)
    placed = f"placed for {spectrum.lambda_eff:.0f} Å" if np.isfinite(spectrum.lambda_eff) else ""
    title = f"{spectrum.release}   {spectrum.plate}-{spectrum.mjd}-{spectrum.fiber}   {spectrum.objtype}   {placed}   "
    return finish(figure, f"{title}{len(spectrum.exposures)} camera exposures", spectrum.simulated)


def _draw_distortion(curve: Axes, residual: Axes, rebuilt: RebuiltCoadd, wavelength: Any) -> None:
    ratio = rebuilt.distortion_ratio
    known = np.isfinite(ratio)
    points: dict[str, Any] = {
        "color": GREY, "linestyle": "none", "marker": ".", "markersize": 1.5, "markeredgewidth": 0, "zorder": 1.5,
    }  # fmt: skip
    curve.set_ylabel("Distortion D, sky of\nexposures / of coadd")
    residual.set_ylabel("Δ ln D\n[10⁻⁴]")
    residual.axhline(0, color=BLACK, linewidth=0.6)
    if rebuilt.distortion is None:
        curve.text(0.5, 0.5, "too little sky", transform=curve.transAxes, ha="center", color=GREY)
        return
    model = rebuilt.distortion(rebuilt.spectrum.loglam)
    curve.plot(wavelength, model, color=BLUE, linewidth=0.9)
    curve.set_ylim(*limits_of([model, np.array([model.min() - 0.005, model.max() + 0.005])], room=(0.1, 0.3)))
    curve.plot(wavelength[known], mark_beyond(curve, wavelength[known], ratio[known]), **points)
    differences = 1e4 * elementary.log(ratio[known] / model[known])
    residual.set_ylim(*limits_of([differences], quantiles=(0.005, 0.995), room=(0.15, 0.3)))
    residual.plot(wavelength[known], mark_beyond(residual, wavelength[known], differences), **points)
    for axes in (curve, residual):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="lower right", ncol=2)
    words = ", ".join(f"c{order} = {value:.5f}" for order, value in enumerate(rebuilt.distortion.coefficients))
    curve.text(
        0.98, 0.9, f"{words}; rms {rebuilt.distortion.residual:.1e}", transform=curve.transAxes, ha="right", va="top",
        fontsize=7,
    )  # fmt: skip


def _draw_differences(axes: Axes, rebuilt: RebuiltCoadd, wavelength: Any) -> None:
    """Rebuilt less published flux in published errors, and the ratio of the inverse variances less 1."""
    spectrum, coadd = rebuilt.spectrum, rebuilt.coadd
    good = (spectrum.ivar > 0) & (coadd.ivar > 0)
    chi = np.abs(coadd.flux - spectrum.flux)[good] * np.sqrt(spectrum.ivar[good])
    ratio = np.abs(coadd.ivar[good] / spectrum.ivar[good] - 1)
    for values, color, label in ((chi, BLUE, "flux [σ]"), (ratio, ORANGE, "ivar, relative")):
        axes.plot(
            wavelength[good], np.maximum(values, SMALLEST), color=color, linestyle="none", marker=".",
            markersize=1.4, markeredgewidth=0, label=label,
        )  # fmt: skip
    log_axis(axes, "y", SMALLEST / 2, 3 * max(1, float(chi.max(initial=0)), float(ratio.max(initial=0))))
    axes.set_ylabel(f"|rebuilt − published|\n(at least {power_of_ten(SMALLEST)})")
    axes.legend(loc="upper right", ncol=2, markerscale=5)


def _draw_repeats(axes: Axes, repeats: Sequence[RepeatOfExposures]) -> None:
    """Robust chi of neighboring exposures in blocks of pixels, the floor taken out, a line a pair."""
    axes.axhline(1, color=BLACK, linewidth=0.6)
    drawn: list[Any] = [np.array([0.8, 1.2])]
    for pair in repeats:
        chi = np.abs(pair.repeat.chi_by_pixel)
        blocks = chi.size // BLOCK
        if not blocks:
            continue
        rms = 1.4826 * np.median(chi[: blocks * BLOCK].reshape(blocks, BLOCK), axis=1)
        middle = elementary.power_of_ten(pair.repeat.loglam[: blocks * BLOCK].reshape(blocks, BLOCK).mean(axis=1))
        axes.plot(middle, rms, color=CAMERA_COLORS[pair.camera], linewidth=0.8)
        drawn.append(rms)
    for name, color, line in (("stated", SKY, DASHED), ("without_floor", BLACK, DOTTED), ("law", GREEN, DASH_DOT)):
        known = [pair.repeat.chi[name] for pair in repeats if name in pair.repeat.chi]
        if known:
            value = np.median(known)
            axes.axhline(
                value, color=color, linewidth=0.9, linestyle=line, label=f"{name.replace('_', ' ')} {value:.3f}"
            )
            drawn.append(np.array([value]))
    axes.set_ylim(*limits_of(drawn, room=(0.1, 0.45)))
    axes.set_ylabel("Repeats: difference\n/ error, robust rms")
    if repeats:
        axes.legend(loc="upper left", ncol=3, title="median over pairs", title_fontsize=7)
    else:
        axes.text(0.5, 0.5, "no two exposures to compare", transform=axes.transAxes, ha="center", color=GREY)
