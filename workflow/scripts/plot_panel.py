"""Draw one panel of one target, from frames or from a full spec file."""

from contextlib import nullcontext

from bosscal.base.errors import made_with
from bosscal.base.log import amount, logger, run_step
from bosscal.figures.drawing import draw_one_panel
from bosscal.figures.style import Look
from bosscal.results.spectrum import read_spectrum
from bosscal.survey.targets import Target


def main(exposure_path, prediction_path, target, record, panel, figure, look=None):
    """Draw the panel; ``record`` is the table of the job that writes the npz files of a spec file."""
    with made_with(record) if record else nullcontext():
        spectrum = read_spectrum(exposure_path, prediction_path, target)
    logger.info("read %s and %s", amount(exposure_path), amount(prediction_path))
    draw_one_panel(spectrum, panel, figure, look)
    logger.info("wrote %s", figure)


if "snakemake" in globals():
    params = snakemake.params
    run_step(
        snakemake,
        lambda: main(
            params.exposure,
            params.prediction,
            Target(**params.target),
            snakemake.input.get("record"),
            snakemake.wildcards.panel,
            snakemake.output[0],
            Look(**params.look),
        ),
    )
