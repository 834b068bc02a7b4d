"""Fit the flux distortion of a plate to what its spec files tell of it."""

import numpy as np

from bosscal.base.errors import UserError
from bosscal.base.log import amount, logger, run_step
from bosscal.base.outcomes import sort_out
from bosscal.base.tables import read_table, write_table
from bosscal.calibration.distortion import FEWEST_FIBERS
from bosscal.figures.drawing import draw_focal_plane
from bosscal.figures.style import Look
from bosscal.results.coadds import plate_of, plate_table, write_distortion
from bosscal.results.comparison import stack
from bosscal.survey.coadds import COADD_STEP
from bosscal.survey.fitsfile import FitsFile
from bosscal.survey.frames import read_plug_map

PLUG_MAP = 5  # HDU of an spFrame and of an spPlate


def positions(tables, plug_maps):
    """Fiber numbers and focal positions of the run's own fibers, or of all in the plug maps that are there."""
    known = {int(row["fiber"]): (row["xfocal"], row["yfocal"]) for row in tables}
    for path in plug_maps:
        plugged = read_plug_map(FitsFile(path), PLUG_MAP)
        for fiber, *place in zip(*(np.asarray(plugged[name]) for name in ("fiber", "xfocal", "yfocal")), strict=True):
            known[int(fiber)] = tuple(place)
    fibers = np.array(sorted(known))
    return fibers, *(np.array([known[number][axis] for number in fibers.tolist()], dtype=float) for axis in (0, 1))


def published_distortion(paths):
    """The survey's D and its grid, or None where it is not at hand."""
    if not paths:
        return None
    file = FitsFile(paths[0])
    return np.asarray(file.image(0)), tuple(float(file.header()[key]) for key in ("CRVAL1", "CRPIX1", "CD1_1"))


def main(paths, plug_maps, published, outputs, look=None):
    """Write the plate's row, its spFluxdistort, and the figure; returns why fibers are missing."""
    paths, failures = sort_out(paths)
    if len(paths) < FEWEST_FIBERS:
        raise UserError(
            f"{len(paths)} of the plate's spec files could be used, its distortion needs {FEWEST_FIBERS}; add fibers"
        )
    coadds = stack([read_table(path) for path in paths])
    logger.info("read %d tables and %d plug maps", len(paths), len(plug_maps))
    plate = plate_of(coadds)
    table, distortion, *figures = outputs
    write_table(table, plate_table(plate, published_distortion(published)))
    first, last = min(coadds["loglam_first"]), max(coadds["loglam_last"])
    grid = first + COADD_STEP * np.arange(round((last - first) / COADD_STEP) + 1)
    write_distortion(distortion, plate, *positions(plate.table, plug_maps), grid)
    draw_focal_plane(plate, figures, look)
    logger.info("%d fibers, wrote %s", len(plate.table), ", ".join(map(amount, outputs)))
    return failures


if "snakemake" in globals():
    files = snakemake.input
    run_step(
        snakemake,
        lambda: main(
            list(files.tables),
            list(files.plug_maps),
            list(files.published),
            list(snakemake.output),
            Look(**snakemake.params.look),
        ),
        collects=True,
    )
