"""Coadd some of the exposures of one full spec file."""

from bosscal.base.log import amount, logger, run_step
from bosscal.calibration.coadd import weights_of
from bosscal.results.coadds import rebuild, rebuild_subset, write_coadd
from bosscal.survey.coadds import read_coadd


def main(path, server_name, release, plate, mjd, fiber, run2d, name, exposures, cameras, output):
    """Write the spCoadd file of the subset."""
    logger.info("read %s", amount(path))
    whole = rebuild(read_coadd(path, server_name, release, plate, mjd, fiber), weights_of(run2d))
    subset = rebuild_subset(whole, weights_of(run2d), exposures, cameras, name)
    write_coadd(output, subset, name)
    number, of_all = len(subset.spectrum.exposures), len(whole.spectrum.exposures)
    logger.info("%d of %d exposures, wrote %s", number, of_all, amount(output))


if "snakemake" in globals():
    plate, mjd = map(int, snakemake.wildcards.plate_mjd.split("-"))
    params = snakemake.params
    run_step(
        snakemake,
        lambda: main(
            snakemake.input[0],
            params.name,
            snakemake.wildcards.release,
            plate,
            mjd,
            int(snakemake.wildcards.fiber),
            params.run2d,
            snakemake.wildcards.subset,
            params.exposures,
            params.cameras,
            snakemake.output[0],
        ),
    )
