"""Write the spCalib file of one camera exposure."""

from bosscal.base.log import amount, logger, run_step
from bosscal.results.export import write_calib
from bosscal.results.prediction import Prediction
from bosscal.survey.exposure import CameraExposure


def main(exposure_path, prediction_path, output):
    """Write calibration, electrons and noise of all fibers as FITS."""
    logger.info("read %s and %s", amount(exposure_path), amount(prediction_path))
    write_calib(output, CameraExposure.read(exposure_path), Prediction.read(prediction_path))
    logger.info("wrote %s", amount(output))


if "snakemake" in globals():
    run_step(snakemake, lambda: main(snakemake.input.exposure, snakemake.input.prediction, snakemake.output[0]))
