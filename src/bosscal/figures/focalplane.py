"""The flux distortion over a plate's focal plane, from the fibers whose spec files were read."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from bosscal.calibration.distortion import PLATE_RADIUS, distortion_of
from bosscal.figures.style import BLACK, GREY, finish, new_figure
from bosscal.results.coadds import PlateOfSpectra

WAVELENGTHS = (3700.0, 5070.0, 10000.0)  # Å


def draw(plate: PlateOfSpectra) -> Figure:
    """D at three wavelengths: the plate's model as an image, and on it the fibers that were measured."""
    table, model = plate.table, plate.model
    figure = new_figure("page", 3.1, layout="constrained")
    axes = figure.subplots(1, len(WAVELENGTHS), sharey=True)
    coefficients = np.stack([np.asarray(table[f"distort_c{order}"], dtype=float) for order in range(3)])
    measured = [
        distortion_of(coefficients[..., np.newaxis], np.log10([wavelength]))[:, 0] for wavelength in WAVELENGTHS
    ]  # fmt: skip
    side = np.linspace(-PLATE_RADIUS, PLATE_RADIUS, 121)
    x, y = np.meshgrid(side, side)
    fiber, known = _spectrograph_of(plate, y)
    known &= np.hypot(x, y) <= PLATE_RADIUS
    for panel, wavelength, values in zip(axes, WAVELENGTHS, measured, strict=True):
        margin = 0.1 * np.ptp(values) + 1e-3
        low, high = values.min() - margin, values.max() + margin
        if model is not None:
            of_model = model.coefficients(fiber.ravel(), x.ravel(), y.ravel())
            image = distortion_of(of_model[..., np.newaxis], np.log10([wavelength]))[:, 0].reshape(x.shape)
            panel.imshow(
                np.where(known, image, np.nan), origin="lower", extent=(side[0], side[-1], side[0], side[-1]),
                cmap="viridis", vmin=low, vmax=high, interpolation="nearest",
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
    what = "no model" if model is None else "image: the plate's model"
    fibers = f"{len(table)} fibers (circles: 1–500, squares: 501–1000)"
    title = f"{row['release']}   {row['plate']}-{row['mjd']}   {fibers}; {what}"
    return finish(figure, title, str(row["release"]) == "sim")


def _spectrograph_of(plate: PlateOfSpectra, y: NDArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """A fiber of the spectrograph that each place belongs to, and whether that was measured.

    Each spectrograph has one half of a plate, in y; which one its measured fibers tell.
    """
    fiber, yfocal = np.asarray(plate.table["fiber"]), np.asarray(plate.table["yfocal"])
    upper = {}
    for first, chosen in ((1, fiber <= 500), (501, fiber > 500)):
        if chosen.any():
            upper[bool(np.median(yfocal[chosen]) > 0)] = first
    above, below = upper.get(True, 0), upper.get(False, 0)
    of_place = np.where(y > 0, above, below)
    return np.where(of_place > 0, of_place, 1), of_place > 0
