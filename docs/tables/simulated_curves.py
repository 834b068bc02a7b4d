"""Compare the simulated plate's curves with those of the real plate's published figures.

    python docs/tables/simulated_curves.py FOLDER

FOLDER holds the curves that were read off the tutorial's five figures: one CSV file a figure, CC-FFF-lines.csv, with
columns curve, wavelength_A and value. Writes the table of docs/simulation.md and docs/images/simulated-curves.png.
"""

import csv
import re
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from bosscal.calibration.pipeline import inverse_distortion
from bosscal.noise.laws.tutorial import tutorial_readnoise
from bosscal.simulation.instrument import READNOISE, build_instrument, coadd_grid

REPOSITORY = Path(__file__).parents[2]
SEED = 20130402  # of the workflow's simulated plate
EXPOSURE = 158842
FIGURES = {"b1-001": ("b1", 1), "b1-486": ("b1", 486), "r1-001": ("r1", 1), "r1-012": ("r1", 12), "r1-486": ("r1", 486)}
# Curves of the figures: how the page calls them.
CURVES = {
    "superflat": "superflat", "fiberflat": "fiber flat", "5/spcalib": "5 / $S$", "corr_A": "$A$", "distort_D": "$D$",
    "R": "$R$", "calib_all": "calibration", "readnoise_tutorial": "read noise",
}  # fmt: skip
SHARP = ("5/spcalib", "calib_all", "fiberflat")  # curves that change from point to point
OUTLIER = 0.03  # a point this far from its neighbors' median was read where two curves cross


def published(folder, name):
    """{curve: (wavelength [Å], value)} of one figure, without points that were read at a crossing or at a cut."""
    points = {}
    with open(Path(folder) / f"{name}-lines.csv", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            points.setdefault(row["curve"], []).append((float(row["wavelength_A"]), float(row["value"])))
    found = {}
    for curve in CURVES:
        wavelength, value = np.array(points[curve]).T
        reach = 12 if curve in SHARP else 30
        middle = np.array([np.median(value[max(place - reach, 0) : place + reach + 1]) for place in range(value.size)])
        smooth = np.abs(value - middle) < (2 if curve in SHARP else 1) * OUTLIER * np.maximum(middle, 0.1)
        if curve in ("superflat", "readnoise_tutorial"):  # alone in their panels, and steep
            smooth[:] = True
        found[curve] = wavelength[smooth], value[smooth]
    return found


def simulated(camera, fiber):
    """{curve: (wavelength [Å], value)} of a fiber of the simulated plate, where it is calibrated."""
    tool = build_instrument(camera, EXPOSURE, SEED).take(slice(fiber - 1, fiber))
    row = tool.row
    loglam = tool.loglam[:, : row.size]
    used = (tool.lit & (tool.spcalib > 0))[0]
    corr = tool.corr[:, : row.size]
    distort = 1 / inverse_distortion(tool.distort, coadd_grid()[:3], loglam)
    ratio = 1 / np.where(tool.spcalib > 0, tool.spcalib, 1)
    readnoise = np.array(READNOISE[camera])[tool.quadrant]
    curves = {
        "superflat": tool.superflat, "fiberflat": tool.fiberflat, "5/spcalib": 5 * ratio, "corr_A": corr,
        "distort_D": distort, "R": 1 / tool.delta, "calib_all": corr * distort * ratio / tool.delta,
        "readnoise_tutorial": tutorial_readnoise(readnoise, tool.width(row)),
    }  # fmt: skip
    return {name: (10 ** loglam[0, used], np.asarray(values)[0, used]) for name, values in curves.items()}


def compare(real, ours):
    """(lowest, highest) of both at the published wavelengths, and median and 95th percentile of |difference|."""
    wavelength, value = real
    inside = (wavelength >= ours[0][0]) & (wavelength <= ours[0][-1])
    value, simulation = value[inside], np.interp(wavelength[inside], *ours)
    difference = np.abs(simulation - value)
    return (value.min(), value.max(), simulation.min(), simulation.max(), *np.percentile(difference, [50, 95]))


def table(folder):
    """Rows of the page's table: {(curve, figure): numbers}."""
    return {
        (curve, name): compare(real, simulated_curves[curve])
        for name, (camera, fiber) in FIGURES.items()
        for simulated_curves in [simulated(camera, fiber)]
        for curve, real in published(folder, name).items()
    }


def lines_of(rows):
    """The table in Markdown."""
    head = "| curve | fiber, camera | published | simulated | median difference | 95 % |"
    lines = [head, "|---" * 6 + "|"]
    for curve in CURVES:
        for name, (camera, fiber) in FIGURES.items():
            low, high, our_low, our_high, median, most = rows[curve, name]
            ranges = f"{low:.3f} to {high:.3f} | {our_low:.3f} to {our_high:.3f}"
            lines.append(f"| {CURVES[curve]} | {fiber}, {camera} | {ranges} | {median:.3f} | {most:.3f} |")
    return lines


def draw(folder, path):
    """Both sets of curves: a column a camera and fiber, a panel for each pair of curves."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from bosscal.figures.style import BLACK, PAGE_WIDTH, RED, style

    panels = (
        ("superflat", "fiberflat"),
        ("5/spcalib", "corr_A", "distort_D", "R", "calib_all"),
        ("readnoise_tutorial",),
    )
    labels = ("Flat fields", "Calibration and\nits components", "Read noise by the\ntutorial's law [e⁻]")
    with style():
        figure = Figure(figsize=(PAGE_WIDTH, 4.6), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(panels), len(FIGURES), sharex="col", sharey="row")
        for column, (name, (camera, fiber)) in enumerate(FIGURES.items()):
            real, ours = published(folder, name), simulated(camera, fiber)
            for axis, curves in zip(axes[:, column], panels, strict=True):
                for curve in curves:
                    axis.plot(*real[curve], ".", color=BLACK, markersize=1.5)
                    axis.plot(*ours[curve], color=RED, linewidth=0.8)
            axes[0, column].set_title(f"fiber {fiber}, {camera}")
            axes[-1, column].set_xlabel("Wavelength [Å]")
        for axis, label, limits in zip(axes[:, 0], labels, ((0, 2.1), (0, 1.75), (3.8, 7.3)), strict=True):
            axis.set_ylabel(label)
            axis.set_ylim(limits)
        figure.suptitle("Read off the published figures (points) and SIMULATED (lines)", fontsize=8)
        figure.savefig(path, dpi=200, metadata={"Software": None})
    with Image.open(path) as image:
        image.convert("RGB").quantize(32).save(path, optimize=True)


def main(folder):
    """Write the table and the figure."""
    page = REPOSITORY / "docs/simulation.md"
    content = page.read_text(encoding="utf-8")
    block = "\n".join(["<!-- curves: made by docs/tables/simulated_curves.py -->", "", *lines_of(table(folder)), ""])
    content = re.sub(r"<!-- curves.*?(?=\n<!-- end -->)", lambda match: block, content, flags=re.DOTALL)
    page.write_text(content, encoding="utf-8")
    draw(folder, REPOSITORY / "docs/images/simulated-curves.png")


if __name__ == "__main__":
    main(sys.argv[1])
