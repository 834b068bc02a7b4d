"""Find the night of every plate whose entry in the configuration gives none."""

from bosscal.base.files import write_json
from bosscal.base.log import amount, logged, logger
from bosscal.survey.platelist import read_platelist
from bosscal.survey.targets import find_mjd


def main(platelist_path, plates, run2d, output):
    """Look up the plates in a platelist and write {plate: mjd}."""
    platelist = read_platelist(platelist_path)
    logger.info("read %s: %d plates", amount(platelist_path), len(platelist))
    mjds = {plate: find_mjd(platelist, plate, run2d) for plate in plates}
    write_json(output, mjds)
    logger.info("nights %s, wrote %s", mjds, amount(output))


if "snakemake" in globals():
    with logged(snakemake.log[0]):
        main(snakemake.input[0], snakemake.params.plates, snakemake.params.run2d, snakemake.output[0])
