"""Draw all fibers of a camera exposure, and find those that stand out."""

from bosscal.base.log import amount, logger, run_step
from bosscal.base.tables import read_table, write_table
from bosscal.figures.drawing import draw_exposure
from bosscal.figures.style import Look
from bosscal.results.measured import Frames, measured
from bosscal.results.outliers import find_outliers


def main(paths, frames, table_path, mask_bits, figures, outliers_path, look=None):
    """Draw the figures and write the table of outliers."""
    logger.info("read %s", ", ".join(map(amount, [*paths, table_path])))
    exposure, prediction = measured(paths, frames)
    table = read_table(table_path)
    draw_exposure(exposure, prediction, table, figures, look)
    outliers = find_outliers(exposure, prediction.flux, table, mask_bits, prediction.header.mask_allow)
    write_table(outliers_path, outliers)
    logger.info("%d fibers stand out, wrote %s", len(outliers), ", ".join([*figures, outliers_path]))


if "snakemake" in globals():
    files, output, params = snakemake.input, snakemake.output, snakemake.params
    frames = params.frames and Frames(**params.frames)
    figures = [path for path in output if path != output.outliers]
    look = Look(**params.look)
    run_step(
        snakemake,
        lambda: main(files.measured, frames, files.table, params.mask_bits, figures, output.outliers, look),
    )
