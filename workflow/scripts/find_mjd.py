"""Find the night of every plate whose entry in the configuration gives none."""

from bosscal.base.errors import UserError
from bosscal.base.files import write_json
from bosscal.base.log import amount, logger, run_step
from bosscal.base.outcomes import Failure, read_outcome
from bosscal.survey.platelist import read_platelist
from bosscal.survey.targets import Nights, find_mjd, nights_to_json


def look_up(platelist_path, plates, release, run2d):
    """The nights of the plates that have one, and why the others have none."""
    if failures := read_outcome(platelist_path):
        return Nights({}, list(failures))
    try:
        platelist = read_platelist(platelist_path)
    except UserError as error:
        return Nights({}, [Failure("find_mjd", release, str(error))])
    logger.info("read %s: %d plates", amount(platelist_path), len(platelist))
    nights = Nights({}, [])
    for plate in plates:
        try:
            nights.mjds[release, plate] = find_mjd(platelist, plate, run2d)
        except UserError as error:
            nights.failures.append(Failure("find_mjd", f"{release} {plate}", str(error)))
    return nights


def main(platelist_path, plates, release, run2d, output):
    """Look up the plates in a platelist; returns why some have no night."""
    nights = look_up(platelist_path, plates, release, run2d)
    write_json(output, nights_to_json(nights))
    logger.info("nights %s, wrote %s", nights.mjds, amount(output))
    for failure in nights.failures:
        logger.warning("%s", failure.line)
    return nights.failures


if "snakemake" in globals():
    job = snakemake
    run_step(
        job,
        lambda: main(job.input[0], job.params.plates, job.wildcards.release, job.params.run2d, job.output[0]),
        collects=True,
    )
