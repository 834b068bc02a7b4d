"""What a spec file tells of itself: its distortion, its coadd rebuilt, and its exposures compared with each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bosscal.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PAGE_WIDTH,
    RED,
    SKY,
    WAVELENGTH_LABEL,
    finish,
    new_figure,
)
from bosscal.results.coadds import RebuiltCoadd, RepeatOfExposures

DISTORTION_RANGE = 5e-4  # of the residual's axis
CAMERA_COLORS = {"b1": BLUE, "b2": BLUE, "r1": RED, "r2": RED}
BLOCK = 200  # pixels of a point of chi against wavelength


def draw(rebuilt: RebuiltCoadd, repeats: Sequence[RepeatOfExposures]) -> Figure:
    """Distortion with its quadratic; published and rebuilt coadd; differences; chi of repeated exposures."""
    spectrum, coadd = rebuilt.spectrum, rebuilt.coadd
    wavelength = 10**spectrum.loglam
    figure = new_figure(PAGE_WIDTH, 8.6, layout="constrained")
    panels = figure.subplots(5, 1, sharex=True, height_ratios=[1, 0.6, 1.2, 0.9, 1])
    _draw_distortion(panels[0], panels[1], rebuilt, wavelength)
    good = spectrum.ivar > 0
    flux = panels[2]
    flux.plot(wavelength[good], spectrum.flux[good], color=GREY, linewidth=0.6, label="published", rasterized=True)
    flux.plot(wavelength[good], coadd.flux[good], color=BLUE, linewidth=0.4, label="rebuilt", rasterized=True)
    low, high = np.quantile(spectrum.flux[good], [0.005, 0.995]) if good.any() else (0, 1)
    flux.set_ylim(low - 0.2 * (high - low), high + 0.4 * (high - low))
    flux.set_ylabel("Flux of the coadd\n[10⁻¹⁷ erg s⁻¹ cm⁻² Å⁻¹]")
    flux.legend(loc="upper right", ncol=2)
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
        "color": GREY, "linestyle": "none", "marker": ".", "markersize": 1.2, "markeredgewidth": 0, "rasterized": True,
    }  # fmt: skip
    curve.set_ylabel("Distortion D, sky of\nexposures / of coadd")
    residual.set_ylabel("Δ ln D\n[10⁻⁴]")
    residual.set_ylim(-1e4 * DISTORTION_RANGE, 1e4 * DISTORTION_RANGE)
    residual.axhline(0, color=BLACK, linewidth=0.6)
    if rebuilt.distortion is None:
        curve.text(0.5, 0.5, "too little sky", transform=curve.transAxes, ha="center", color=GREY)
        return
    model = rebuilt.distortion(rebuilt.spectrum.loglam)
    curve.plot(wavelength[known], ratio[known], **points)
    curve.plot(wavelength, model, color=BLUE, linewidth=0.9)
    margin = 0.15 * np.ptp(model) + 0.005
    curve.set_ylim(model.min() - margin, model.max() + margin)
    residual.plot(wavelength[known], 1e4 * np.log(ratio[known] / model[known]), **points)
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
            wavelength[good], np.maximum(values, 1e-6), color=color, linestyle="none", marker=".", markersize=1.4,
            markeredgewidth=0, label=label, rasterized=True,
        )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(5e-7, 3)
    axes.set_ylabel("|rebuilt − published|")
    axes.legend(loc="upper right", ncol=2, markerscale=5)


def _draw_repeats(axes: Axes, repeats: Sequence[RepeatOfExposures]) -> None:
    """Robust chi of neighboring exposures in blocks of pixels, the floor taken out, a line a pair."""
    axes.axhline(1, color=BLACK, linewidth=0.6)
    for pair in repeats:
        chi = np.abs(pair.repeat.chi_by_pixel)
        blocks = chi.size // BLOCK
        if not blocks:
            continue
        rms = 1.4826 * np.median(chi[: blocks * BLOCK].reshape(blocks, BLOCK), axis=1)
        middle = 10 ** pair.repeat.loglam[: blocks * BLOCK].reshape(blocks, BLOCK).mean(axis=1)
        axes.plot(middle, rms, color=CAMERA_COLORS[pair.camera], linewidth=0.8)
    for name, color in (("stated", SKY), ("without_floor", BLACK), ("law", GREEN)):
        known = [pair.repeat.chi[name] for pair in repeats if name in pair.repeat.chi]
        if known:
            value = np.median(known)
            axes.axhline(
                value, color=color, linewidth=0.9, linestyle="--", label=f"{name.replace('_', ' ')} {value:.3f}"
            )
    axes.set_ylim(0.6, 1.5)
    axes.set_ylabel("Repeats: difference\n/ error, robust rms")
    if repeats:
        axes.legend(loc="upper left", ncol=3, fontsize=6, title="median over pairs", title_fontsize=6)
    else:
        axes.text(0.5, 0.5, "no two exposures to compare", transform=axes.transAxes, ha="center", color=GREY)
