"""Draw all fibers of a camera exposure, and find those that stand out."""

from bosscal.base.log import amount, logger, run_step
from bosscal.base.tables import read_table, write_table
from bosscal.figures.drawing import draw_exposure
from bosscal.figures.style import Look
from bosscal.results.outliers import find_outliers
from bosscal.results.prediction import Prediction
from bosscal.survey.exposure import CameraExposure


def main(exposure_path, prediction_path, table_path, mask_bits, figures, outliers_path, look=None):
    """Draw the figures and write the table of outliers."""
    logger.info("read %s, %s and %s", *map(amount, (exposure_path, prediction_path, table_path)))
    exposure, prediction = CameraExposure.read(exposure_path), Prediction.read(prediction_path)
    table = read_table(table_path)
    draw_exposure(exposure, prediction, table, figures, look)
    outliers = find_outliers(exposure, prediction.flux, table, mask_bits, prediction.header.mask_allow)
    write_table(outliers_path, outliers)
    logger.info("%d fibers stand out, wrote %s", len(outliers), ", ".join([*figures, outliers_path]))


if "snakemake" in globals():
    files, output = snakemake.input, snakemake.output
    figures = [path for path in output if path != output.outliers]
    run_step(
        snakemake,
        lambda: main(
            files.exposure,
            files.prediction,
            files.table,
            snakemake.params.mask_bits,
            figures,
            output.outliers,
            Look(**snakemake.params.look),
        ),
    )
