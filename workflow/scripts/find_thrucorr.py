"""Bring an exposure's spXYthrucorr file into the mirror if the server has one, and leave a link or an empty file."""

from pathlib import Path

from bosscal.base.log import amount, logged, logger
from bosscal.survey.fetch import MissingFileError, fetch


def main(servers, server_path, mirror, output):
    """Fetch the file, and link ``output`` to it; make it empty if there is none."""
    url = next(url for folder, url in servers.items() if server_path.startswith(folder))
    output, local_path = Path(output), Path(f"{mirror}{server_path}")
    try:
        fetch(url, server_path, local_path)
    except MissingFileError:
        logger.info("none at %s%s: T is 1", url.rstrip("/"), server_path)
        output.touch()
    else:
        logger.info("%s from %s%s", amount(local_path), url.rstrip("/"), server_path)
        output.symlink_to(local_path.resolve())
    logger.info("wrote %s", output)


if "snakemake" in globals():
    with logged(snakemake.log[0]):
        params = snakemake.params
        main(snakemake.config["servers"], params.path, params.mirror, snakemake.output[0])
