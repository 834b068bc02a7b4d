"""Bring one file of the survey into the local mirror."""

from bosscal.fetch import fetch
from bosscal.job import logged

with logged(snakemake.log[0]):
    server_path = f"/{snakemake.wildcards.server_path}"
    fetch(snakemake.config["data"]["url"], server_path, snakemake.output[0].removesuffix(server_path))
