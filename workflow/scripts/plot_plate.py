"""Draw the distributions over the fibers of all camera exposures of a plate."""

from bosscal.base.log import logged, logger
from bosscal.base.tables import read_table
from bosscal.figures.drawing import draw_plate


def main(table_paths, figures):
    """Draw the figures."""
    logger.info("read %s", ", ".join(table_paths))
    draw_plate([read_table(path) for path in table_paths], figures)
    logger.info("wrote %s", ", ".join(figures))


if "snakemake" in globals():
    with logged(snakemake.log[0]):
        main(list(snakemake.input), list(snakemake.output))
