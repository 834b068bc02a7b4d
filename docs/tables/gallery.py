"""Draw the gallery of docs/figures.md from the results of the default configuration.

    python docs/tables/gallery.py RESULTS [FOLDER]

RESULTS is the folder of the results; the images go to docs/images/, or to FOLDER. They have 256 colors, which is small.
"""

import sys
from pathlib import Path

from PIL import Image

from bosscal import figures
from bosscal.figures.kinds import PANELS

REPOSITORY = Path(__file__).parents[2]
SPECTRUM = "sim/6641-56383-0001-r1-00158842"
# image: kind of figure, or panel
IMAGES = {
    "docs/images/panel-flux.png": "flux",
    "docs/images/panel-electrons.png": "electrons",
    "docs/images/panel-flats.png": "flats",
    "docs/images/panel-calibration.png": "calibration",
    "docs/images/panel-noise.png": "noise",
    "docs/images/panel-variance.png": "variance",
    "docs/images/six-panels.png": "panels",
    "docs/images/6641-56383-0001-r1-00158842-budget.png": "budget",
    "docs/images/noise-laws.png": "noise laws",
}


def main(results, folder=REPOSITORY / "docs/images"):
    """Write all images."""
    spectrum = figures.load(SPECTRUM, results)
    for name, what in IMAGES.items():
        kind = {"noise laws": "noise"}.get(what, what)
        figure = figures.draw_panel(spectrum, what) if what in PANELS else figures.draw(spectrum, kind)
        path = Path(folder) / Path(name).name
        figures.save(figure, path)
        with Image.open(path) as image:
            image.quantize(256, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
