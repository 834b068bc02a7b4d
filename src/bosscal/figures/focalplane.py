"""The flux distortion over a plate's focal plane, from the fibers whose spec files were read."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from bosscal.calibration.distortion import PLATE_RADIUS, distortion_of
from bosscal.figures.style import BLACK, GREY, PAGE_WIDTH, finish, new_figure
from bosscal.results.coadds import PlateOfSpectra

WAVELENGTHS = (3700.0, 5070.0, 10000.0)  # Å


def draw(plate: PlateOfSpectra) -> Figure:
    """D at three wavelengths: the plate's model as an image, and on it the fibers that were measured."""
    table, model = plate.table, plate.model
    figure = new_figure(PAGE_WIDTH, 3.1, layout="constrained")
    axes = figure.subplots(1, len(WAVELENGTHS), sharey=True)
    coefficients = np.stack([np.asarray(table[f"distort_c{order}"], dtype=float) for order in range(3)])
    measured = [
        distortion_of(coefficients[..., np.newaxis], np.log10([wavelength]))[:, 0] for wavelength in WAVELENGTHS
    ]  # fmt: skip
    side = np.linspace(-PLATE_RADIUS, PLATE_RADIUS, 121)
    x, y = np.meshgrid(side, side)
    for panel, wavelength, values in zip(axes, WAVELENGTHS, measured, strict=True):
        low, high = values.min(), values.max()
        image = None
        if model is not None:
            fiber = np.full(x.size, 1 if 1 in model.spectrographs else 501)
            of_model = model.coefficients(fiber, x.ravel(), y.ravel())
            image = distortion_of(of_model[..., np.newaxis], np.log10([wavelength]))[:, 0].reshape(x.shape)
            image = np.where(np.hypot(x, y) <= PLATE_RADIUS, image, np.nan)
            low, high = min(low, np.nanmin(image)), max(high, np.nanmax(image))
            panel.imshow(
                image, origin="lower", extent=(side[0], side[-1], side[0], side[-1]), cmap="viridis", vmin=low,
                vmax=high, interpolation="nearest",
            )  # fmt: skip
        first = np.asarray(table["fiber"]) <= 500
        for chosen, marker in ((first, "o"), (~first, "s")):
            points = panel.scatter(
                np.asarray(table["xfocal"])[chosen], np.asarray(table["yfocal"])[chosen], c=values[chosen],
                cmap="viridis", vmin=low, vmax=high, edgecolor=BLACK, linewidth=0.6, s=22, marker=marker,
            )  # fmt: skip
        panel.add_patch(Circle((0, 0), PLATE_RADIUS, fill=False, edgecolor=GREY, linewidth=0.6))
        panel.set_aspect("equal")
        panel.set_xlim(-1.05 * PLATE_RADIUS, 1.05 * PLATE_RADIUS)
        panel.set_ylim(-1.05 * PLATE_RADIUS, 1.05 * PLATE_RADIUS)
        panel.set_title(f"{wavelength:.0f} Å")
        panel.set_xlabel("XFOCAL [mm]")
        figure.colorbar(points, ax=panel, orientation="horizontal", pad=0.02, aspect=25, label="D")
    axes[0].set_ylabel("YFOCAL [mm]")
    row = table[0]
    what = "no model: too few fibers" if model is None else "image: the plate's model"
    if model is not None and len(model.spectrographs) == 2:
        what += ", with the terms of spectrograph 1"
    fibers = f"{len(table)} fibers (circles 1-500, squares 501-1000)"
    title = f"{row['release']}   {row['plate']}-{row['mjd']}   {fibers}; {what}"
    return finish(figure, title, False)
