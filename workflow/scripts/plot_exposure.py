"""Draw all fibers of a camera exposure, and find those that stand out."""

import numpy as np
from astropy.table import Table

from bosscal.exposure import CameraExposure
from bosscal.figures.plate import residual_images, variance_ratios
from bosscal.figures.style import save, style
from bosscal.files import Arrays
from bosscal.job import logged
from bosscal.outliers import find_outliers
from bosscal.statistics import reldiff, safe_ratio
from bosscal.tables import write_table


def main(exposure_path, calibration_path, table_path, mask_bits, mask_allow, output):
    exposure, calibration = CameraExposure.read(exposure_path), Arrays(calibration_path)
    table = Table.read(table_path, format="ascii.ecsv")
    flux = exposure.flux.astype(np.float64)
    flux_reldiff = safe_ratio(np.abs(flux - calibration["pipeline_flux"]), np.abs(flux))
    tutorial_reldiff = reldiff(calibration["calib_applied"], calibration["calib_predicted"])
    with style():
        residuals = residual_images(
            exposure,
            np.ma.masked_array(flux_reldiff, exposure.ivar <= 0),
            np.ma.masked_array(tutorial_reldiff, ~calibration["compared"]),
        )
        save(residuals, output.residuals, output.residuals_pdf)
        save(variance_ratios(exposure, table), output.ratios, output.ratios_pdf)
    outliers = find_outliers(exposure, calibration["pipeline_flux"], table, mask_bits, mask_allow)
    write_table(output.outliers, outliers)


with logged(snakemake.log[0]):
    files, params = snakemake.input, snakemake.params
    main(files.exposure, files.calibration, files.table, params.mask_bits, params.mask_allow, snakemake.output)
