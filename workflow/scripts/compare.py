"""Compare prediction and pipeline for every fiber of one camera exposure."""

from bosscal.base.log import amount, logger, run_step
from bosscal.base.tables import write_table
from bosscal.results.comparison import compare_fibers
from bosscal.results.prediction import Prediction
from bosscal.survey.exposure import CameraExposure


def main(exposure_path, prediction_path, output):
    """Write a table with a row per fiber."""
    logger.info("read %s and %s", amount(exposure_path), amount(prediction_path))
    table = compare_fibers(CameraExposure.read(exposure_path), Prediction.read(prediction_path))
    write_table(output, table)
    logger.info("%d fibers, wrote %s", len(table), amount(output))


if "snakemake" in globals():
    run_step(snakemake, lambda: main(snakemake.input.exposure, snakemake.input.prediction, snakemake.output[0]))
