"""Gather what the later steps need of one camera exposure's per-plate files."""

from bosscal.job import logged
from bosscal.surveyfiles import read_frames


def main(paths, names, plate, mjd, output):
    read_frames(paths, names, plate, mjd).write(output)


with logged(snakemake.log[0]):
    plate, mjd = map(int, snakemake.wildcards.plate_mjd.split("-"))
    main(snakemake.input, snakemake.params.names, plate, mjd, snakemake.output[0])
