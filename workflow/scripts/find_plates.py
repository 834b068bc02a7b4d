"""Look up the plates that a query asks for, and record them as a table of targets."""

from bosscal.base.errors import UserError
from bosscal.base.log import amount, logger, run_step
from bosscal.survey.platelist import choose_plates, read_plates, write_target_table


def main(platelist_path, release, run2d, wanted, spectra, output):
    """Write a row for each plate: the night, what is asked of it, and what the list says of it."""
    plates = read_plates(platelist_path)
    logger.info("read %s: %d plates", amount(platelist_path), len(plates))
    found = choose_plates(plates, run2d, **wanted)
    if not found:
        raise UserError(f"query: none of the {len(plates)} plates of {release} is what it asks for; ask for less")
    write_target_table(output, found, release, spectra)
    logger.info("%d plates, wrote %s", len(found), amount(output))


if "snakemake" in globals():
    params = snakemake.params
    run_step(
        snakemake,
        lambda: main(
            snakemake.input[0], params.release, params.run2d, params.wanted, params.spectra, snakemake.output[0]
        ),
    )
