"""Draw the tutorial's six panels for one target."""

from bosscal.exposure import CameraExposure
from bosscal.figures.panels import panel_title, six_panels
from bosscal.figures.style import save, style
from bosscal.files import Arrays
from bosscal.job import logged
from bosscal.targets import Target


def main(exposure_path, calibration_path, target, outputs):
    exposure = CameraExposure.read(exposure_path)
    with style():
        figure = six_panels(exposure, Arrays(calibration_path), target.fiber, panel_title(exposure, target))
        save(figure, *outputs)


with logged(snakemake.log[0]):
    main(snakemake.input.exposure, snakemake.input.calibration, Target(**snakemake.params.target), snakemake.output)
