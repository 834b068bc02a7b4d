"""Get the beginning of an spCFrame file, for the header that a spec file has lost."""

from pathlib import Path

from bosscal.base.errors import UserError
from bosscal.base.log import amount, logger, run_step
from bosscal.base.outcomes import Failure
from bosscal.survey.fetch import fetch_beginning
from bosscal.survey.inputs import link_input


def main(servers, server_path, mirror, overlay, job):
    """Fetch the first blocks of a file from a server that holds its reduction.

    An empty file says that there is none, or none now: what needs no header goes on.
    """
    link = Path(job.output[0])
    try:
        local_path = fetch_beginning(servers, server_path, mirror, overlay)
    except UserError as error:
        link.write_bytes(b"")
        logger.warning("%s", error)
        return [Failure(job.rule, server_path, f"{error}; what needs this header is not made", str(job.log[0]))]
    if local_path is None:
        link.write_bytes(b"")
        logger.warning("%s is on no server; delete %s to ask again", server_path, link)
    else:
        link_input(local_path, link)
        logger.info("%s: a piece of %s, which cannot be verified", amount(link), server_path)
    return []


if "snakemake" in globals():
    job, params = snakemake, snakemake.params
    servers = job.config["servers"][job.wildcards.release]
    run_step(job, lambda: main(servers, f"/{job.wildcards.server_path}", params.mirror, params.overlay, job))
