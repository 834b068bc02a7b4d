"""Compute and draw what each of the tutorial's approximations costs for one target."""

from bosscal.budget import budget_table, effects
from bosscal.exposure import CameraExposure, select
from bosscal.job import logged
from bosscal.tables import write_table

from bosscal.base.files import Arrays
from bosscal.figures.budget import budget_panels
from bosscal.figures.panels import panel_title
from bosscal.figures.style import save, style
from bosscal.survey.targets import Target


def main(exposure_path, calibration_path, target, figure_paths, table_path):
    exposure, reconstruction = select(target.fiber, CameraExposure.read(exposure_path), Arrays(calibration_path))
    reldiffs = effects(exposure, reconstruction["compared"])
    write_table(table_path, budget_table(exposure, reldiffs, target.fiber))
    with style():
        save(budget_panels(exposure, reldiffs, target.fiber, panel_title(exposure, target)), *figure_paths)


with logged(snakemake.log[0]):
    output = snakemake.output
    main(
        snakemake.input.exposure,
        snakemake.input.calibration,
        Target(**snakemake.params.target),
        [output.png, output.pdf],
        output.table,
    )
