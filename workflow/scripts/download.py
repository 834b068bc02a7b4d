"""Bring one file of the survey into the local mirror."""

from pathlib import Path

from bosscal.base.log import amount, logged, logger
from bosscal.survey.fetch import MissingFileError, fetch


def main(servers, server_paths, local_path):
    """Fetch the first of some server paths that is there, from the server that holds its reduction."""
    url = next(url for folder, url in servers.items() if server_paths[0].startswith(folder))
    for path in server_paths:
        try:
            fetched = fetch(url, path, local_path)
        except MissingFileError as error:
            if path != server_paths[-1]:
                continue
            others = "".join(f" (nor at {other})" for other in server_paths[:-1])
            raise MissingFileError(f"{error}{others}") from error
        else:
            logger.info("%s %s from %s%s", fetched.how, amount(local_path), url.rstrip("/"), path)
            if fetched.how == "downloaded":
                logger.info("SHA-1 %s, verified against %s", fetched.sha1, fetched.verified)
            return


if "snakemake" in globals():
    with logged(snakemake.log[0]):
        main(snakemake.config["servers"], snakemake.params.server_paths, Path(snakemake.output[0]))
