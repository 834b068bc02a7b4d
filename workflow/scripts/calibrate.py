"""Predict calibration and noise of one camera exposure."""

from bosscal.base.log import amount, logger, run_step
from bosscal.results.prediction import predict
from bosscal.survey.exposure import CameraExposure


def main(exposure_path, noise_law, mask_allow, thrucorr, output):
    """Write the npz of a prediction."""
    logger.info("read %s", amount(exposure_path))
    predict(CameraExposure.read(exposure_path), noise_law, mask_allow, thrucorr).write(output)
    logger.info("noise law %s, wrote %s", noise_law, amount(output))


if "snakemake" in globals():
    params = snakemake.params
    run_step(
        snakemake,
        lambda: main(snakemake.input[0], params.noise_law, params.mask_allow, params.thrucorr, snakemake.output[0]),
    )
