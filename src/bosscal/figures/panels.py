"""The tutorial's six panels for one fiber of a camera exposure."""

import numpy as np

from bosscal.figures.style import (
    BLACK,
    BLUE,
    FLUX_UNIT,
    GREEN,
    GREY,
    ORANGE,
    PAGE_WIDTH,
    PINK,
    RED,
    TITLE_HEIGHT,
    WAVELENGTH_LABEL,
    finish,
    legend_above,
    margins,
    new_figure,
    place_labels,
    tick_label_width,
)

SPCALIB_SCALE = 5  # the tutorial draws 5/spcalib so that it shares an axis with the other components

# Room [inch] for tick labels and an axis label below a panel, for a legend above it, for an axis label of two lines
# and all else beside it but the tick labels, which differ in width, and for half a tick label beyond its right end.
BELOW, LEGEND, BESIDE, BEYOND = 0.41, 0.17, 0.42, 0.17
LABELS_BELOW, LABELS_BESIDE = 0.22, 0.08  # distances of axis labels, to which the width of the tick labels comes
STEPS = 6  # between the ticks of all axes but wavelength: each tick takes time to draw

DOTS = {"linestyle": "none", "marker": ".", "markersize": 1.5, "markeredgewidth": 0, "rasterized": True}


def six_panels(exposure, reconstruction, title):
    """Draw what the pipeline did to one fiber beside what the tutorial predicts.

    Parameters
    ----------
    exposure : CameraExposure
        Of one fiber.
    reconstruction : mapping of 2D[1, nrow]
        From :func:`bosscal.prediction.predict`.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
        Panels whose inputs the product lacks say so.
    """

    def of(array):
        """The fiber's row as float64; None if the product lacks it."""
        return None if array is None else np.asarray(array[0], dtype=np.float64)

    rows = {name: of(getattr(exposure, name)) for name in EXPOSURE_ROWS}
    rows |= {name: of(reconstruction.get(name)) for name in RECONSTRUCTION_ROWS}
    rows["good"] = reconstruction["good"][0]
    rows["egood"] = reconstruction["egood"][0] if "egood" in reconstruction else rows["good"]
    rows["wave"] = 10 ** rows["loglam"]

    figure = new_figure(PAGE_WIDTH, 8.6)
    axes = figure.subplots(3, 2)
    for draw, panel in zip((_flux, _electrons, _flats, _calibration, _excess, _variances), axes.flat, strict=True):
        draw(panel, rows)
    limits = _lit_range(rows)
    for panel in axes.flat[:5]:
        panel.set_xlim(*limits)
        panel.set_xlabel(WAVELENGTH_LABEL)
    _lay_out(figure, axes)
    return finish(figure, title, exposure.header.simulated)


def _lay_out(figure, axes):
    """Make room for the tick labels that there are, with axis labels in line."""
    for panel in axes.flat:
        if panel.get_ylabel():
            panel.locator_params(axis="y", nbins=STEPS)
    axes[-1, -1].locator_params(axis="x", nbins=STEPS)
    left, right = (max(map(tick_label_width, column)) for column in axes.T)
    between = (BELOW + LEGEND, BESIDE + right + BEYOND)
    figure.subplots_adjust(**margins(figure, axes.shape, BESIDE + left, BEYOND, BELOW, LEGEND + TITLE_HEIGHT, between))
    for row in axes:
        for panel, width in zip(row, (left, right), strict=True):
            place_labels(panel, LABELS_BELOW, LABELS_BESIDE + width)


def panel_title(exposure, target):
    """Plate-mjd-fiber, camera, exposure, OBJTYPE and read noise of a target in one line."""
    objtype = exposure.objtype[exposure.fiber == target.fiber][0]
    readnoise = "/".join(f"{value:.2f}" for value in exposure.header.readnoise)
    return (
        f"{target.plate}-{target.mjd}-{target.fiber}   {target.camera}[{target.expidx}] = #{target.expnum}   "
        f"{objtype}   read noise {readnoise} e⁻"
    )


EXPOSURE_ROWS = ("loglam", "flux", "sky", "superflat", "fiberflat", "corr", "spcalib")
RECONSTRUCTION_ROWS = (
    "electrons", "readnoise", "evar", "evar_pred", "var", "var_pred", "flat", "bin_ratio", "distort", "calib_applied",
)  # fmt: skip


def _where(values, keep):
    """``values`` with NaN, which matplotlib leaves out, where not ``keep``."""
    return np.where(keep, values, np.nan)


def _top(values, percent, keep=None):
    """Upper axis limit: a percentile of the values, or 1 where there is nothing to show."""
    if keep is not None:
        values = values[keep]
    values = values[np.isfinite(values)]
    top = np.percentile(values, percent) if values.size else 0
    return top if top > 0 else 1


def _lit_range(rows):
    """Wavelengths [Å] where the flat field is positive; all of a spec file's."""
    lit = np.flatnonzero(rows["flat"] > 0) if rows["flat"] is not None else np.arange(len(rows["wave"]))
    ends = rows["wave"][lit[[0, -1]]] if lit.size else rows["wave"][[0, -1]]
    return ends.min(), ends.max()


def _say_if_empty(panel, shown):
    """Say in a panel of dots that there is none."""
    if not shown.any():
        panel.text(
            0.5, 0.5, "no pixel with data", transform=panel.transAxes, ha="center", va="center", color=GREY,
            backgroundcolor="white",
        )  # fmt: skip


def _missing(panel, what):
    """Say in an empty panel why it is empty."""
    panel.text(
        0.5, 0.5, f"{what}:\nnot in a spec file", transform=panel.transAxes, ha="center", va="center", color=GREY
    )
    panel.set_yticks([])


def _flux(panel, rows):
    observed, good = rows["flux"] + rows["sky"], rows["good"]
    panel.plot(rows["wave"], _where(observed, good), color=BLACK, label="flux + sky", **DOTS)
    panel.plot(rows["wave"], _where(rows["var"], good), color=RED, label="variance", **DOTS)
    if rows["var_pred"] is not None:
        panel.plot(rows["wave"], _where(rows["var_pred"], good & rows["egood"]), color=BLUE, label="from eflux", **DOTS)
    panel.set_ylim(0, _top(observed, 99, good))
    _say_if_empty(panel, good)
    panel.set_ylabel(f"Flux [{FLUX_UNIT}]\nand its variance [flux²]")
    legend_above(panel)


def _electrons(panel, rows):
    good = rows["egood"]
    panel.plot(rows["wave"], _where(rows["electrons"], good), color=BLACK, label="electrons", **DOTS)
    panel.plot(rows["wave"], _where(rows["evar"], good), color=RED, label="variance", **DOTS)
    panel.plot(rows["wave"], _where(rows["evar_pred"], good), color=BLUE, label="predicted", **DOTS)
    panel.plot(rows["wave"], rows["readnoise"], color=GREEN, label="read noise")
    panel.set_ylim(0, _top(rows["evar"], 99))
    _say_if_empty(panel, good)
    panel.set_ylabel("Detected electrons [e⁻]\nand their variance [(e⁻)²]")
    legend_above(panel)


def _flats(panel, rows):
    if rows["flat"] is None:
        _missing(panel, "flat fields")
        return
    panel.plot(rows["wave"], rows["superflat"], color=RED, label="superflat")
    panel.plot(rows["wave"], rows["fiberflat"], color=BLUE, label="fiberflat")
    panel.plot(rows["wave"], rows["flat"], color=BLACK, label="both")
    panel.set_ylim(0, None)
    panel.set_ylabel("Flat-field correction")
    legend_above(panel)


def _calibration(panel, rows):
    wave, applied = rows["wave"], rows["calib_applied"]
    applied = _where(applied, rows["good"] & rows["egood"] & (applied > 0))
    if rows["spcalib"] is None:
        panel.plot(wave, applied, color=BLACK, label="applied; components not in a spec file")
        panel.set_ylabel(f"Calibration [{FLUX_UNIT}\nper detected e⁻]")
        curves = [applied]
    else:
        spcalib = _where(rows["spcalib"], rows["spcalib"] > 0)
        curves = [SPCALIB_SCALE / spcalib, rows["corr"], rows["distort"], rows["bin_ratio"], applied]
        labels = (f"{SPCALIB_SCALE}/spcalib", "corr", "distort", "R", "all")
        for curve, label, color in zip(curves, labels, (RED, BLUE, PINK, GREEN, BLACK), strict=True):
            panel.plot(wave, curve, color=color, label=label)
        panel.set_ylabel(f"Calibration [{FLUX_UNIT}\nper e⁻] and its components")
    lit = np.isfinite(applied)
    panel.set_ylim(0, 1.15 * max(_top(curve, 95, lit) for curve in curves) if lit.any() else 1)
    legend_above(panel)


def _excess(panel, rows):
    excess = rows["evar"] - np.maximum(rows["electrons"], 0)
    shown = rows["egood"] & (excess > 0)
    excess_rms = np.sqrt(np.where(shown, excess, 0))
    panel.plot(rows["wave"], _where(excess_rms, shown), color=BLACK, label="√(variance − electrons)", **DOTS)
    panel.plot(rows["wave"], rows["readnoise"], color=RED, label="predicted read noise")
    panel.set_ylim(0, _top(excess_rms, 95, shown))
    _say_if_empty(panel, shown)
    panel.set_ylabel("Excess rms over shot noise [e⁻]")
    legend_above(panel)


def _variances(panel, rows):
    limit = _top(rows["evar"], 99)
    good = rows["egood"]
    panel.plot(_where(rows["evar_pred"], good), _where(rows["evar"], good), color=BLACK, label="pixels", **DOTS)
    panel.plot([0, limit], [0, limit], color=ORANGE, linestyle="--", label="equal")
    panel.set_xlim(0, limit)
    panel.set_ylim(0, limit)
    _say_if_empty(panel, good)
    panel.set_xlabel("Predicted electron variance [(e⁻)²]")
    panel.set_ylabel("Actual electron variance [(e⁻)²]")
    legend_above(panel)
