"""Draw the tutorial's six panels for one target."""

from bosscal.exposure import CameraExposure, select
from bosscal.figures.panels import panel_title, six_panels
from bosscal.figures.style import save, style
from bosscal.files import Arrays
from bosscal.job import logged
from bosscal.targets import Target


def main(exposure_path, calibration_path, target, outputs):
    exposure, reconstruction = select(target.fiber, CameraExposure.read(exposure_path), Arrays(calibration_path))
    with style():
        save(six_panels(exposure, reconstruction, panel_title(exposure, target)), *outputs)


with logged(snakemake.log[0]):
    main(snakemake.input.exposure, snakemake.input.calibration, Target(**snakemake.params.target), snakemake.output)
