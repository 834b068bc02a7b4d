"""Have one file of the survey: in the mirror, verified, and linked from the run's own results."""

from pathlib import Path

from bosscal.base.log import Progress, amount, logger, run_step
from bosscal.survey.fetch import fetch
from bosscal.survey.inputs import link_input, write_record


def main(servers, server_paths, mirror, overlay, link):
    """Fetch a file from the first server that has it whole, under the first of some paths that is there."""
    local_path, fetched = fetch(servers, server_paths, mirror, overlay, Progress(link.name))
    link_input(local_path, link)
    write_record(link, fetched)
    logger.info("%s %s from %s%s as %s", fetched.how, amount(local_path), fetched.server, fetched.path, link)
    logger.info("SHA-1 %s, verified against %s", fetched.sha1, fetched.verified)


if "snakemake" in globals():
    job, params = snakemake, snakemake.params
    servers = job.config["servers"][job.wildcards.release]
    run_step(job, lambda: main(servers, params.server_paths, params.mirror, params.overlay, Path(job.output[0])))
