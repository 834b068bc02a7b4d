"""Gather what the later steps need of one camera exposure in a full spec file."""

from bosscal.job import logged
from bosscal.surveyfiles import read_spec


def main(path, name, plate, mjd, fiber, camera, expnum, output):
    read_spec(path, name, plate, mjd, fiber, camera, expnum).write(output)


with logged(snakemake.log[0]):
    plate, mjd = map(int, snakemake.wildcards.plate_mjd.split("-"))
    camera, expnum = snakemake.wildcards.exposure.split("-")
    fiber = int(snakemake.wildcards.fiber)
    main(snakemake.input[0], snakemake.params.name, plate, mjd, fiber, camera, int(expnum), snakemake.output[0])
