"""Draw the distributions over the fibers of all camera exposures of a plate."""

from bosscal.base.log import logger, run_step
from bosscal.base.outcomes import sort_out, write_outcome
from bosscal.base.tables import read_table
from bosscal.figures.drawing import draw_plate
from bosscal.figures.style import Look


def main(table_paths, figures, look=None):
    """Draw the figures of the camera exposures that there are; returns why the others are not."""
    good, failures = sort_out(table_paths)
    if not good:
        for path in figures:
            write_outcome(path, failures)
        return failures
    logger.info("read %s", ", ".join(good))
    draw_plate([read_table(path) for path in good], figures, look)
    logger.info("wrote %s", ", ".join(figures))
    return failures


if "snakemake" in globals():
    run_step(
        snakemake,
        lambda: main(list(snakemake.input), list(snakemake.output), Look(**snakemake.params.look)),
        collects=True,
    )
