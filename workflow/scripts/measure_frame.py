"""Extract, calibrate and compare a camera exposure and write its spCalib file, all in memory."""

from bosscal.base.log import amount, logger, run_step
from bosscal.base.tables import write_table
from bosscal.results.comparison import compare_fibers
from bosscal.results.export import write_calib
from bosscal.results.measured import Frames, measured


def main(paths, frames, table_path, calib_path):
    """Write the table and the spCalib file."""
    for path in paths:
        logger.info("read %s", amount(path))
    exposure, prediction = measured(paths, frames)
    table = compare_fibers(exposure, prediction)
    write_table(table_path, table)
    logger.info("%s: %d fibers, wrote %s", exposure.header.where, len(table), amount(table_path))
    write_calib(calib_path, exposure, prediction)
    logger.info("wrote %s", amount(calib_path))


if "snakemake" in globals():
    output = snakemake.output
    run_step(snakemake, lambda: main(snakemake.input, Frames(**snakemake.params.frames), output.table, output.calib))
