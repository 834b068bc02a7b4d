"""Draw all figures of one target from frames, and write what each of the tutorial's approximations costs it."""

from bosscal.base.log import amount, logger, run_step
from bosscal.base.tables import write_table
from bosscal.calibration.budget import budget_table
from bosscal.figures.drawing import draw_spectrum
from bosscal.figures.style import Look
from bosscal.results.measured import Frames, measured
from bosscal.results.spectrum import spectrum_of
from bosscal.survey.targets import Target


def main(paths, frames, target, figures, table, look=None):
    """Draw the figures and write the table of the error budget."""
    logger.info("read %s", ", ".join(map(amount, paths)))
    spectrum = spectrum_of(*measured(paths, frames), target)
    draw_spectrum(spectrum, figures, look)
    write_table(table, budget_table(spectrum.exposure, spectrum.effects, target.fiber))
    logger.info("wrote %s", ", ".join([*figures, table]))


if "snakemake" in globals():
    params, target = snakemake.params, Target(**snakemake.params.target)
    frames, look = params.frames and Frames(**params.frames), Look(**params.look)
    figures = [path for path in snakemake.output if path != snakemake.output.table]
    run_step(snakemake, lambda: main(snakemake.input.measured, frames, target, figures, snakemake.output.table, look))
