"""Draw all figures of one target from frames, and write what each of the tutorial's approximations costs it."""

from bosscal.base.log import amount, logger, run_step
from bosscal.base.tables import write_table
from bosscal.calibration.budget import budget_table
from bosscal.figures.drawing import draw_spectrum
from bosscal.figures.style import Look
from bosscal.results.spectrum import read_spectrum
from bosscal.survey.targets import Target


def main(exposure_path, prediction_path, target, figures, table, look=None):
    """Draw the figures and write the table of the error budget."""
    logger.info("read %s and %s", amount(exposure_path), amount(prediction_path))
    spectrum = read_spectrum(exposure_path, prediction_path, target)
    draw_spectrum(spectrum, figures, look)
    write_table(table, budget_table(spectrum.exposure, spectrum.effects, target.fiber))
    logger.info("wrote %s", ", ".join([*figures, table]))


if "snakemake" in globals():
    files, target, look = snakemake.input, Target(**snakemake.params.target), Look(**snakemake.params.look)
    figures = [path for path in snakemake.output if path != snakemake.output.table]
    run_step(snakemake, lambda: main(files.exposure, files.prediction, target, figures, snakemake.output.table, look))
