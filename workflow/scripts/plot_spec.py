"""Draw all figures of one target from a full spec file."""

from bosscal.base.errors import made_with
from bosscal.base.log import amount, logger, run_step
from bosscal.figures.drawing import draw_spectrum
from bosscal.figures.style import Look
from bosscal.results.spectrum import read_spectrum
from bosscal.survey.targets import Target


def main(exposure_path, prediction_path, target, record, figures, look=None):
    """Draw the figures; ``record`` is the table of the job that writes the npz files."""
    with made_with(record):
        spectrum = read_spectrum(exposure_path, prediction_path, target)
    logger.info("read %s and %s", amount(exposure_path), amount(prediction_path))
    draw_spectrum(spectrum, figures, look)
    logger.info("wrote %s", ", ".join(figures))


if "snakemake" in globals():
    params = snakemake.params
    run_step(
        snakemake,
        lambda: main(
            params.exposure,
            params.prediction,
            Target(**params.target),
            snakemake.input[0],
            list(snakemake.output),
            Look(**params.look),
        ),
    )
