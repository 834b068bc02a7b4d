"""Whole plates: all fibers of a camera exposure in one figure, and all camera exposures of a plate in another."""

import math

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import CenteredNorm, LogNorm, Normalize

from bosscal.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PAGE_WIDTH,
    RED,
    WAVELENGTH_LABEL,
    finish,
    new_figure,
)

NO_DATA = "#bdbdbd"
FIBER_LABEL = "Fiber"
RATIO_LABEL = "Measured / predicted variance"

# Fixed, so that exposures can be compared by eye. Around float32 rounding, 6e-8; and from the tutorial's rounding,
# 1e-4, to its error at the two-phase jump of the red CCDs, 2e-2.
FLUX_RANGE = (3e-9, 3e-6)
TUTORIAL_RANGE = (3e-5, 3e-2)
IMAGE_COLUMNS = 1100  # about the pixels that a panel has at 200 dpi

# Markers on the frame are drawn whole; a layout that makes room for them fails where there are none.
ON_EDGE = {"clip_on": False, "in_layout": False}

# kind of fiber: (label, marker, its size [points], color)
KINDS = {
    "object": ("object", "o", 3.0, BLACK),
    "sky": ("sky", "s", 3.4, BLUE),
    "standard": ("standard star", "^", 4.6, ORANGE),
    "without data": ("without data", "x", 3.6, RED),
}


def fiber_kinds(objtype, has_data):
    """Kind of every fiber, a key of :data:`KINDS`.

    Parameters
    ----------
    objtype : 1D[nfiber] of str
        OBJTYPE of the plug map.
    has_data : 1D[nfiber] of bool
        False for fibers that are dead, unplugged or masked altogether.
    """
    objtype = np.asarray(objtype, dtype=str)
    is_sky, is_standard = objtype == "SKY", np.char.endswith(objtype, "_STD")
    return np.select([~np.asarray(has_data), is_sky, is_standard], ["without data", "sky", "standard"], "object")


def exposure_title(header, what):
    """Plate-mjd, camera, exposure and ``what`` a figure shows in one line."""
    return f"{header.plate}-{header.mjd}   {header.camera} #{header.expnum}   {what}"


def residual_images(exposure, flux_reldiff, tutorial_reldiff):
    """Where in a camera exposure the exact model and the tutorial's differ from the pipeline, fiber by row.

    Parameters
    ----------
    exposure : CameraExposure
        Of the per-plate files.
    flux_reldiff : 2D[nfiber, nrow] masked array
        Relative difference of the flux that the exact model predicts; masked without data.
    tutorial_reldiff : 2D[nfiber, nrow] masked array
        |a - b|/|a + b| of the applied and the tutorial's predicted calibration; masked without data.

    Returns
    -------
    matplotlib.figure.Figure
        A column of an image shows the largest value of a few adjacent rows.
    """
    # No lower, or some of 500 fibers fall between pixels at 200 dpi.
    figure = new_figure(PAGE_WIDTH, 6.9, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, sharey=True)
    first, last = _rows_with_data(exposure.row, flux_reldiff, tutorial_reldiff)
    group = math.ceil((last - first) / IMAGE_COLUMNS)
    _image(upper, exposure, flux_reldiff, group, FLUX_RANGE, "Flux, exact model\n|a − b| / |b|")
    _image(lower, exposure, tutorial_reldiff, group, TUTORIAL_RANGE, "Calibration, tutorial\n|a − b| / |a + b|")
    lower.set_xlabel("CCD row [pixel]")
    lower.set_xlim(first, last)
    _wavelength_axis(upper, exposure)
    title = f"predicted (a) against applied (b), largest of {group} rows; grey: no data"
    return finish(figure, exposure_title(exposure.header, title), exposure.header.simulated)


def _image(panel, exposure, reldiff, group, limits, label):
    """Image of relative differences on a logarithmic scale with its color bar."""
    low, high = limits
    row, fiber = exposure.row, exposure.fiber
    values = np.maximum(_largest(reldiff, group), low)  # 0 has no logarithm
    # Steps of 0.1 dex can be read off the bar, and halve the size of the file.
    colors = colormaps["viridis"].resampled(round(10 * math.log10(high / low))).with_extremes(bad=NO_DATA)
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


def _rows_with_data(row, *images):
    """Limits of an axis about the rows in which some fiber has data; all rows if none has."""
    lit = np.flatnonzero(np.any([~np.ma.getmaskarray(image).all(axis=0) for image in images], axis=0))
    first, last = (lit[0], lit[-1]) if lit.size else (0, len(row) - 1)
    margin = 0.01 * (last - first) + 0.5
    return max(row[first] - margin, row[0] - 0.5), min(row[last] + margin, row[-1] + 0.5)


def _largest(values, group):
    """Largest value of every ``group`` of adjacent rows; masked where all are. 2D[nfiber, ceil(nrow / group)]."""
    nfiber, nrow = values.shape
    padded = np.ma.masked_all((nfiber, -(-nrow // group) * group))
    padded[:, :nrow] = values
    return padded.reshape(nfiber, -1, group).max(axis=2)


def _wavelength_axis(panel, exposure):
    """Wavelengths of the middle fiber above a panel whose axis is the CCD row."""
    middle = len(exposure.fiber) // 2
    wave = 10 ** exposure.loglam[middle]
    ascending = np.argsort(wave)  # some reductions store blue spectra from red to blue
    axis = panel.secondary_xaxis("top")
    for step, minor in ((500, False), (100, True)):
        ticks = np.arange(np.ceil(wave.min() / step), wave.max() / step) * step
        place = np.interp(ticks, wave[ascending], exposure.row[ascending])
        axis.set_xticks(place, [] if minor else [f"{tick:.0f}" for tick in ticks], minor=minor)
    axis.tick_params(which="both", direction="out")
    axis.set_xlabel(f"{WAVELENGTH_LABEL} of fiber {exposure.fiber[middle]}")


def variance_ratios(exposure, table):
    """Measured over predicted variance of every fiber of a camera exposure: by number, and on the focal plane.

    Parameters
    ----------
    exposure : CameraExposure
        For positions; fibers whose position is unknown are left out of the maps.
    table : astropy.table.Table
        A row per fiber of the exposure, in its order, with ``noise_ratio_median`` and ``noise_ratio_scatter``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    median = np.ma.filled(np.ma.asarray(table["noise_ratio_median"], dtype=np.float64), np.nan)
    scatter = np.ma.filled(np.ma.asarray(table["noise_ratio_scatter"], dtype=np.float64), np.nan)
    kinds = fiber_kinds(exposure.objtype, np.isfinite(median))

    figure = new_figure(PAGE_WIDTH, 5.6, layout="constrained")
    rows = figure.subfigures(2, 1, height_ratios=(2.45, 3.0))
    _ratio_by_fiber(rows[0].subplots(), exposure.fiber, kinds, median, scatter)
    left, right = rows[1].subplots(1, 2, sharex=True, sharey=True)
    # The reference is a ratio of 1, so a map that diverges from it; colors saturate where a few fibers would rule.
    half_width = max(np.max(np.abs(_range(median) - 1)), 0.02)
    centered = CenteredNorm(1, half_width)
    _focal_plane(left, exposure, kinds, median, "RdBu_r", centered, f"{RATIO_LABEL}: median")
    sequential = Normalize(0, max(_range(scatter)[1], 0.01))
    _focal_plane(right, exposure, kinds, scatter, "cividis", sequential, f"{RATIO_LABEL}: robust rms")
    left.set_ylabel("YFOCAL [mm]")
    title = "median of the pixels of each fiber, bars: robust rms of its pixels"
    return finish(figure, exposure_title(exposure.header, title), exposure.header.simulated)


def _range(values):
    """1 % and 99 % quantiles of the finite values; (1, 1) if there are none."""
    values = values[np.isfinite(values)]
    return np.quantile(values, (0.01, 0.99)) if values.size else np.ones(2)


def _ratio_by_fiber(panel, fiber, kinds, median, scatter):
    """Median ratio and its scatter against fiber number."""
    low, high = _range(median - scatter)[0], _range(median + scatter)[1]
    margin = 0.15 * (high - low) + 0.02
    low, high = min(low - margin, 0.98), max(high + margin, 1.02)
    panel.axhline(1, color=GREEN, linewidth=0.8, zorder=0)
    panel.vlines(fiber, median - scatter, median + scatter, color=NO_DATA, linewidth=0.5, zorder=1)
    inset = 0.03 * (high - low)  # so that markers of what is beyond do not touch the frame
    clipped = np.clip(median, low + inset, high - inset)
    beyond = np.isfinite(median) & (clipped != median)
    shown = np.where(np.isfinite(median), clipped, low)
    for kind, (label, marker, size, color) in KINDS.items():
        chosen = kinds == kind
        inside = chosen & ~beyond
        edge = 0.8 if marker == "x" else 0
        panel.plot(fiber[inside], shown[inside], marker, color=color, markersize=size, markeredgewidth=edge,
                   label=f"{label} ({np.count_nonzero(chosen)})", **ON_EDGE)  # fmt: skip
    if beyond.any():
        panel.plot(fiber[beyond], shown[beyond], "D", color=RED, markersize=4, markerfacecolor="none",
                   label=f"beyond the axis ({np.count_nonzero(beyond)})", **ON_EDGE)  # fmt: skip
    panel.set_xlim(fiber[0] - 5, fiber[-1] + 5)
    panel.set_ylim(low, high)
    panel.set_xlabel(FIBER_LABEL)
    panel.set_ylabel(RATIO_LABEL)
    legend = panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=5, borderpad=0, handlelength=1.0)
    legend.set_in_layout(False)


def _focal_plane(panel, exposure, kinds, values, colors, norm, label):
    """Values as colors at the fibers' places in the focal plane."""
    x, y = exposure.xfocal, exposure.yfocal
    for kind, (_, marker, size, color) in KINDS.items():
        chosen = kinds == kind
        if kind == "without data":
            panel.scatter(x[chosen], y[chosen], marker=marker, s=size**2 * 1.6, color=color, linewidth=0.8)
            continue
        points = panel.scatter(x[chosen], y[chosen], c=values[chosen], marker=marker, s=size**2 * 1.6, cmap=colors,
                               norm=norm, edgecolor=BLACK, linewidth=0.3)  # fmt: skip
    panel.set_aspect("equal")
    panel.set_xlim(-345, 345)
    panel.set_ylim(-345, 345)
    panel.set_xlabel("XFOCAL [mm]")
    panel.figure.colorbar(points, ax=panel, extend="both", pad=0.02, aspect=28, shrink=0.9, label=label)


def plate_overview(tables):
    """Distributions over the fibers of every camera exposure of a plate.

    Parameters
    ----------
    tables : sequence of astropy.table.Table
        One per camera exposure, a row per fiber, with ``noise_ratio_median`` and ``tutorial_max_reldiff``.

    Returns
    -------
    matplotlib.figure.Figure
        A row of panels per camera, a bar per exposure.
    """
    by_camera = {}
    for table in tables:
        by_camera.setdefault(str(table["camera"][0]), {})[int(table["expnum"][0])] = table
    cameras = sorted(by_camera)
    expnums = sorted(set().union(*by_camera.values()))

    figure = new_figure(PAGE_WIDTH, 1.2 + 1.2 * len(cameras), layout="constrained")
    axes = figure.subplots(len(cameras), 2, sharex=True, sharey="col", squeeze=False)
    for panels, (name, title, scale) in zip(axes.T, OVERVIEW, strict=True):
        quantiles = np.array(
            [[_quantiles(by_camera[camera].get(number), name) for number in expnums] for camera in cameras]
        )
        panels[0].set_title(title)
        panels[0].set_yscale(scale)
        panels[0].set_ylim(*_quantile_limits(quantiles, scale))
        for camera, panel, values in zip(cameras, panels, quantiles, strict=True):
            color = BLUE if camera.startswith("b") else RED
            _distributions(panel, values, color)
            panel.set_ylabel(camera, rotation=0, ha="right", va="center", fontweight="bold", color=color)
        panels[-1].set_xticks(range(len(expnums)), [str(expnum) for expnum in expnums], rotation=90, fontsize=6)
        panels[-1].set_xlim(-0.7, len(expnums) - 0.3)
        panels[-1].set_xlabel("Exposure")
    for panel in axes[:, 0]:
        panel.axhline(1, color=GREEN, linewidth=0.8, zorder=0)
    first = tables[0]
    title = "bar 25–75 %, line 5–95 % of fibers, black median, dots extremes (▲ off the axis)"
    return finish(figure, f"{first['plate'][0]}-{first['mjd'][0]}   {title}", bool(first["simulated"][0]))


# column of the tables, title, scale of the axis
OVERVIEW = (
    ("noise_ratio_median", f"{RATIO_LABEL},\nmedian of each fiber's pixels", "linear"),
    (
        "tutorial_max_reldiff",
        "Tutorial (a) against applied calibration (b),\nlargest |a − b| / |a + b| of each fiber",
        "log",
    ),
)
QUANTILES = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)


def _quantiles(table, name):
    """:data:`QUANTILES` of a column's unmasked values; NaN if there are none or no table."""
    values = np.empty(0) if table is None else np.ma.compressed(np.ma.asarray(table[name], dtype=np.float64))
    return np.quantile(values, QUANTILES) if values.size else np.full(len(QUANTILES), np.nan)


def _quantile_limits(quantiles, scale):
    """Axis limits that show every 5-95 % line with some room, whatever single fibers do."""
    values = quantiles[..., [1, 5]]
    values = values[values > 0]  # nor NaN
    if values.size == 0:
        return 0.1, 10
    low, high = values.min(), values.max()
    if scale == "log":  # half a decade on either side, so that at least one tick has a label
        return low / 10**0.55, high * 10**0.55
    low, high = min(low, 1), max(high, 1)
    margin = 0.4 * (high - low) + 0.01
    return low - margin, high + margin


def _distributions(panel, quantiles, color):
    """Bars of :data:`QUANTILES`, 2D[nexposure, 7]."""
    place = np.arange(len(quantiles))
    smallest, line_low, bar_low, middle, bar_high, line_high, largest = quantiles.T
    panel.vlines(place, line_low, line_high, color=color, linewidth=0.9)
    panel.vlines(place, bar_low, bar_high, color=color, linewidth=4)
    panel.plot(place, middle, "_", color=BLACK, markersize=6, markeredgewidth=1)
    low, high = panel.get_ylim()
    for values, beyond, edge, marker in ((smallest, smallest < low, low, "v"), (largest, largest > high, high, "^")):
        panel.plot(place[~beyond], values[~beyond], ".", color=GREY, markersize=2.5)
        panel.plot(place[beyond], np.full(beyond.sum(), edge), marker, color=GREY, markersize=3, **ON_EDGE)
    panel.tick_params(axis="x", which="both", top=False, bottom=False)
