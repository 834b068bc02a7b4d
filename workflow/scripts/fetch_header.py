"""Get the beginning of an spCFrame file, for the header that a spec file has lost."""

from pathlib import Path

from bosscal.base.log import amount, logged, logger
from bosscal.survey.fetch import fetch_beginning


def main(servers, server_path, local_path):
    """Fetch the first blocks of a file from the server that holds its reduction; an empty file if it has none."""
    url = next(url for folder, url in servers.items() if server_path.startswith(folder))
    fetch_beginning(url, server_path, local_path)
    if local_path.stat().st_size:
        logger.info("%s: a piece of %s%s, which cannot be verified", amount(local_path), url.rstrip("/"), server_path)
    else:
        logger.warning("%s%s is not there; delete %s to ask again", url.rstrip("/"), server_path, local_path)


if "snakemake" in globals():
    with logged(snakemake.log[0]):
        main(snakemake.config["servers"], f"/{snakemake.wildcards.server_path}", Path(snakemake.output[0]))
