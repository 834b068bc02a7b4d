"""Compare prediction and pipeline for every fiber of one camera exposure."""

from bosscal.comparison import compare_fibers
from bosscal.exposure import CameraExposure
from bosscal.files import Arrays, write_table
from bosscal.job import logged


def main(exposure_path, calibration_path, output):
    write_table(output, compare_fibers(CameraExposure.read(exposure_path), Arrays(calibration_path)))


with logged(snakemake.log[0]):
    main(snakemake.input.exposure, snakemake.input.calibration, snakemake.output[0])
