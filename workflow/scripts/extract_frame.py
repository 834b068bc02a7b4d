"""Gather what the later steps need of one camera exposure's per-plate files."""

from bosscal.base.log import amount, logger, run_step
from bosscal.survey.frames import read_frames


def main(paths, names, release, plate, mjd, output):
    """Read the files of a camera exposure into one npz."""
    for path in paths:
        logger.info("read %s", amount(path))
    exposure = read_frames(paths, names, release, plate, mjd)
    nfiber, nrow = exposure.flux.shape
    logger.info("%s: %d fibers, %d rows", exposure.header.where, nfiber, nrow)
    exposure.write(output)
    logger.info("wrote %s", amount(output))


if "snakemake" in globals():
    plate, mjd = map(int, snakemake.wildcards.plate_mjd.split("-"))
    run_step(
        snakemake,
        lambda: main(
            snakemake.input,
            snakemake.params.names,
            snakemake.wildcards.release,
            plate,
            mjd,
            snakemake.output[0],
        ),
    )
