"""Write the spCalib file of one camera exposure."""

from bosscal.export import write_calib
from bosscal.exposure import CameraExposure
from bosscal.files import Arrays
from bosscal.job import logged


def main(exposure_path, calibration_path, law, release, output):
    write_calib(output, CameraExposure.read(exposure_path), Arrays(calibration_path), law, release)


with logged(snakemake.log[0]):
    params = snakemake.params
    main(
        snakemake.input.exposure,
        snakemake.input.calibration,
        params.noise_law,
        params.release,
        snakemake.output[0],
    )
