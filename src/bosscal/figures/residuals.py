"""Where in a camera exposure the exact model and the tutorial's differ from the pipeline, fiber by row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bosscal.base.arithmetic import reldiff, safe_ratio
from bosscal.base.elementary import power_of_ten
from bosscal.calibration.measurement import measure
from bosscal.calibration.tutorial import reconstruct
from bosscal.figures.style import (
    FIBER_LABEL,
    WAVELENGTH_LABEL,
    exposure_title,
    finish,
    new_figure,
    say_instead,
)
from bosscal.results.prediction import Prediction
from bosscal.survey.exposure import FrameExposure

if TYPE_CHECKING:
    from astropy.table import Table

# Fixed, so that exposures can be compared by eye. Around float32 rounding, 6e-8; and from the tutorial's rounding,
# 1e-4, to its error at the two-phase jump of the red CCDs, 2e-2.
FLUX_RANGE = (3e-9, 3e-6)
TUTORIAL_RANGE = (3e-5, 3e-2)
IMAGE_COLUMNS = 1100  # about the pixels that a panel has at 200 dpi


def draw(exposure: FrameExposure, prediction: Prediction, table: Table) -> Figure:
    """:func:`residual_images` of what was predicted for a camera exposure."""
    flux = exposure.flux.astype(np.float64)
    of_flux = safe_ratio(np.abs(flux - prediction.flux), np.abs(flux))
    tutorial_reldiff = np.ma.masked_all(flux.shape)
    for places in exposure.bundles():
        bundle, allowed = exposure.take(places), prediction.header.mask_allow
        tutorial = reconstruct(bundle, allowed)
        compared = measure(bundle, prediction.calib[places], allowed).compared
        of_calib = reldiff(tutorial.calib_applied, tutorial.calib_predicted)
        tutorial_reldiff[places] = np.ma.masked_array(of_calib, ~compared)
    return residual_images(exposure, np.ma.masked_array(of_flux, exposure.ivar <= 0), tutorial_reldiff)


def residual_images(
    exposure: FrameExposure, flux_reldiff: np.ma.MaskedArray, tutorial_reldiff: np.ma.MaskedArray
) -> Figure:
    """Where in a camera exposure the exact model and the tutorial's differ from the pipeline, fiber by row.

    Parameters
    ----------
    exposure : FrameExposure
    flux_reldiff : 2D[nfiber, nrow] masked array
        Relative difference of the flux that the exact model predicts; masked without data.
    tutorial_reldiff : 2D[nfiber, nrow] masked array
        |a - b|/|a + b| of the applied and the tutorial's predicted calibration; masked without data.

    Returns
    -------
    matplotlib.figure.Figure
        A column of an image shows the largest value of a few adjacent rows.
    """
    images = [
        (flux_reldiff, FLUX_RANGE, "Flux, exact model\n|a − b| / |b|"),
        (tutorial_reldiff, TUTORIAL_RANGE, "Calibration, tutorial\n|a − b| / |a + b|"),
    ]
    shown = [image for image in images if np.ma.max(image[0]) > image[1][0]]
    flat = [_in_words(*image) for image in images if not np.ma.max(image[0]) > image[1][0]]
    title = "predicted (a) against applied (b)"
    simulated = exposure.header.simulated
    if not shown:
        return say_instead("page", exposure_title(exposure.header, title), simulated, flat)
    first, last = _rows_with_data(exposure.row, flux_reldiff, tutorial_reldiff)
    group = math.ceil((last - first) / IMAGE_COLUMNS)
    # No lower, or some of 500 fibers fall between pixels at 200 dpi.
    figure = new_figure("page", 0.9 + 3.05 * len(shown), layout="constrained")
    panels = figure.subplots(len(shown), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for panel, (differences, limits, label) in zip(panels, shown, strict=True):
        _image(panel, exposure, differences, group, limits, label)
    panels[-1].set_xlabel("CCD row [pixel]")
    figure.supxlabel("\n".join([f"Largest of {group} rows; white: no data.", *flat]), fontsize=7)
    panels[-1].set_xlim(first, last)
    _wavelength_axis(panels[0], exposure)
    return finish(figure, exposure_title(exposure.header, title), simulated)


def _in_words(reldiff: np.ma.MaskedArray, limits: tuple[float, float], label: str) -> str:
    """What an image that would be of one color shows."""
    values = np.ma.compressed(reldiff)
    label = label.replace("\n", ", ")
    if not values.size:
        return f"{label}: no pixel with data."
    if not values.any():
        return f"{label}: 0 in all {values.size} pixels with data."
    return f"{label}: below {limits[0]:.0e} everywhere, at most {values.max():.1e}."


def _image(
    panel: Axes,
    exposure: FrameExposure,
    reldiff: np.ma.MaskedArray,
    group: int,
    limits: tuple[float, float],
    label: str,
) -> None:
    """Image of relative differences on a logarithmic scale with its color bar."""
    low, high = limits
    row, fiber = exposure.row, exposure.fiber
    values = np.maximum(_largest(reldiff, group), low)  # 0 has no logarithm
    # Steps of 0.1 dex can be read off the bar, and halve the size of the file.
    colors = colormaps["viridis"].resampled(round(10 * math.log10(high / low))).with_extremes(bad="white")
    right = row[0] + group * values.shape[1]
    image = panel.imshow(
        values,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(row[0] - 0.5, right - 0.5, fiber[0] - 0.5, fiber[-1] + 0.5),
        cmap=colors,
        norm=LogNorm(low, high),
    )
    panel.set_ylabel(FIBER_LABEL)
    panel.tick_params(direction="out", top=False, right=False)
    panel.figure.colorbar(image, ax=panel, extend="both", pad=0.015, aspect=28, label=label)


def _rows_with_data(row: NDArray, *images: np.ma.MaskedArray) -> tuple[float, float]:
    """Limits of an axis about the rows in which some fiber has data; all rows if none has."""
    lit = np.flatnonzero(np.any([~np.ma.getmaskarray(image).all(axis=0) for image in images], axis=0))
    first, last = (lit[0], lit[-1]) if lit.size else (0, len(row) - 1)
    margin = 0.01 * (last - first) + 0.5
    return max(row[first] - margin, row[0] - 0.5), min(row[last] + margin, row[-1] + 0.5)


def _largest(values: np.ma.MaskedArray, group: int) -> np.ma.MaskedArray:
    """Largest value of every ``group`` of adjacent rows; masked where all are. 2D[nfiber, ceil(nrow / group)]."""
    nfiber, nrow = values.shape
    padded = np.ma.masked_all((nfiber, -(-nrow // group) * group))
    padded[:, :nrow] = values
    return padded.reshape(nfiber, -1, group).max(axis=2)


def _wavelength_axis(panel: Axes, exposure: FrameExposure) -> None:
    """Wavelengths of the middle fiber above a panel whose axis is the CCD row."""
    middle = len(exposure.fiber) // 2
    wave = power_of_ten(exposure.loglam[middle])
    ascending = np.argsort(wave)  # some reductions store blue spectra from red to blue
    axis = panel.secondary_xaxis("top")
    for step, minor in ((500, False), (100, True)):
        ticks = np.arange(np.ceil(wave.min() / step), wave.max() / step) * step
        place = np.interp(ticks, wave[ascending], exposure.row[ascending])
        axis.set_xticks(place, [] if minor else [f"{tick:.0f}" for tick in ticks], minor=minor)
    axis.tick_params(which="both", direction="out")
    axis.set_xlabel(f"{WAVELENGTH_LABEL} of fiber {exposure.fiber[middle]}")
