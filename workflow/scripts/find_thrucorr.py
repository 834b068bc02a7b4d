"""Bring an exposure's spXYthrucorr file into the mirror if the server has one, and leave a link or an empty file."""

from pathlib import Path

from bosscal.fetch import MissingFileError, fetch
from bosscal.job import logged


def main(url, server_path, mirror, output):
    output = Path(output)
    try:
        fetch(url, server_path, mirror)
    except MissingFileError:
        output.touch()
    else:
        output.symlink_to((Path(mirror) / server_path.lstrip("/")).resolve())


with logged(snakemake.log[0]):
    params = snakemake.params
    main(snakemake.config["data"]["url"], params.path, params.mirror, snakemake.output[0])
