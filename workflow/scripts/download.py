"""Have one file of the survey: in the mirror, verified, and linked from the run's own results."""

from pathlib import Path

from bosscal.base.log import amount, logger, run_step
from bosscal.survey.fetch import MissingFileError, fetch, link_input, write_record


def main(servers, server_paths, mirror, link):
    """Fetch the first of some server paths that is there, from the server that holds its reduction."""
    url = next(url for folder, url in servers.items() if server_paths[0].startswith(folder))
    for path in server_paths:
        local_path = Path(f"{mirror}{path}")
        try:
            fetched = fetch(url, path, local_path)
        except MissingFileError as error:
            if path != server_paths[-1]:
                continue
            others = "".join(f" (nor at {other})" for other in server_paths[:-1])
            raise MissingFileError(f"{error}{others}") from error
        link_input(local_path, link)
        write_record(link, fetched)
        logger.info("%s %s from %s%s as %s", fetched.how, amount(local_path), url.rstrip("/"), path, link)
        if fetched.how == "downloaded":
            logger.info("SHA-1 %s, verified against %s", fetched.sha1, fetched.verified)
        return


if "snakemake" in globals():
    params = snakemake.params
    run_step(
        snakemake,
        lambda: main(snakemake.config["servers"], params.server_paths, params.mirror, Path(snakemake.output[0])),
    )
