"""List the exposures of every coadd that a target is in."""

from bosscal.base.errors import UserError
from bosscal.base.files import write_json
from bosscal.base.log import amount, logger, run_step
from bosscal.base.outcomes import Failure, read_outcome, unique
from bosscal.survey.spectra import lost_headers, read_exposures
from bosscal.survey.targets import Listing, listing_to_json


def list_of(source, path, listing):
    """Add what one spec file tells to the listing: its exposures, or why they cannot be known."""
    failures = read_outcome(path)
    if not failures:
        try:
            listing.exposures[source] = read_exposures(path)
            if source[1] == "spec" and lost_headers(path):
                listing.lost.add(source)
        except UserError as error:
            release, _, plate, mjd, fiber = source
            failures = [Failure("list_exposures", f"{release} {plate:04d}-{mjd} {fiber:04d}", str(error))]
    if failures:
        listing.failures[source] = list(failures)
        return
    logger.info("read %s", amount(path))
    logger.info("%s: %s", source, {camera: sorted(numbers) for camera, numbers in listing.exposures[source].items()})


def main(spec_paths, sources, output):
    """Read the exposures from spec files and write them; returns what keeps any target from being found."""
    listing = Listing({}, set(), {})
    for source, path in zip(map(tuple, sources), spec_paths, strict=True):
        list_of(source, path, listing)
    if listing.lost:
        logger.warning("%d spec files have lost the headers of their exposures", len(listing.lost))
    write_json(output, listing_to_json(listing))
    logger.info("%d spec files, wrote %s", len(sources), amount(output))
    return unique(failure for of_source in listing.failures.values() for failure in of_source)


if "snakemake" in globals():
    job = snakemake
    run_step(job, lambda: main(job.input.spec, job.params.sources, job.output[0]), collects=True)
