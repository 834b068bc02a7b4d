"""Get the beginning of an spCFrame file, for the header that a spec file has lost."""

from pathlib import Path

from bosscal.base.log import amount, logger, run_step
from bosscal.survey.fetch import fetch_beginning, link_input


def main(servers, server_path, mirror, link):
    """Fetch the first blocks of a file from the server that holds its reduction; an empty file if it has none."""
    url = next(url for folder, url in servers.items() if server_path.startswith(folder))
    local_path = Path(f"{mirror}{server_path}.header")
    fetch_beginning(url, server_path, local_path)
    link_input(local_path, link)
    if local_path.stat().st_size:
        logger.info("%s: a piece of %s%s, which cannot be verified", amount(link), url.rstrip("/"), server_path)
    else:
        logger.warning("%s%s is not there; delete %s to ask again", url.rstrip("/"), server_path, local_path)


if "snakemake" in globals():
    job = snakemake
    run_step(
        job,
        lambda: main(job.config["servers"], f"/{job.wildcards.server_path}", job.params.mirror, Path(job.output[0])),
    )
