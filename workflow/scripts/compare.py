"""Compare prediction and pipeline for every fiber of one camera exposure."""

from bosscal.comparison import compare_fibers
from bosscal.exposure import CameraExposure
from bosscal.files import Arrays
from bosscal.job import logged
from bosscal.tables import write_table


def main(exposure_path, calibration_path, law, output):
    write_table(output, compare_fibers(CameraExposure.read(exposure_path), Arrays(calibration_path), law))


with logged(snakemake.log[0]):
    main(snakemake.input.exposure, snakemake.input.calibration, snakemake.params.noise_law, snakemake.output[0])
