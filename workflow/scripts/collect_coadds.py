"""Collect what the spec files of a run tell: coadds, repeated exposures, plates, and a correction of ivar."""

from bosscal.base.log import amount, logger, run_step
from bosscal.base.outcomes import sort_out, unique, write_outcome
from bosscal.base.tables import read_table, write_table
from bosscal.figures.drawing import draw_run
from bosscal.figures.style import Look
from bosscal.results.coadds import correction_table, no_plates
from bosscal.results.comparison import stack


def main(coadds, repeats, bins, plates, outputs, look=None):
    """Write the four tables, in the order of the configuration, of what there is; returns why the rest is not."""
    (coadds, failures), (repeats, _), (bins, _), (plates, of_plates) = map(sort_out, (coadds, repeats, bins, plates))
    failures = unique([*failures, *of_plates])
    if not coadds:
        for path in outputs:
            write_outcome(path, failures)
        return failures
    collected = [stack([read_table(path) for path in paths]) for paths in (coadds, repeats, bins)]
    write_table(outputs.coadds, collected[0])
    write_table(outputs.repeats, collected[1])
    correction = correction_table(collected[2])
    write_table(outputs.correction, correction)
    stem = outputs.png.removesuffix("png")
    draw_run(correction, [path for path in outputs if path.startswith(stem) and path != outputs.correction], look)
    write_table(outputs.plates, stack([read_table(path) for path in plates]) if plates else no_plates())
    logger.info("%d spectra, wrote %s", len(collected[0]), ", ".join(map(amount, outputs)))
    return failures


if "snakemake" in globals():
    files = snakemake.input
    run_step(
        snakemake,
        lambda: main(
            files.coadds, files.repeats, files.bins, files.plates, snakemake.output, Look(**snakemake.params.look)
        ),
        collects=True,
    )
