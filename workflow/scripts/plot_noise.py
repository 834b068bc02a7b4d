"""Draw measured against predicted noise for one target."""

from bosscal.exposure import CameraExposure, select
from bosscal.job import logged

from bosscal.base.files import Arrays
from bosscal.figures.noise import noise_panels
from bosscal.figures.panels import panel_title
from bosscal.figures.style import save, style
from bosscal.survey.targets import Target


def main(exposure_path, calibration_path, law, target, outputs):
    exposure, reconstruction = select(target.fiber, CameraExposure.read(exposure_path), Arrays(calibration_path))
    with style():
        save(noise_panels(exposure, reconstruction, law, panel_title(exposure, target)), *outputs)


with logged(snakemake.log[0]):
    params = snakemake.params
    main(
        snakemake.input.exposure,
        snakemake.input.calibration,
        params.noise_law,
        Target(**params.target),
        snakemake.output,
    )
