"""Find the night of every plate whose entry in the configuration gives none."""

from bosscal.files import write_json
from bosscal.job import logged
from bosscal.surveyfiles import read_platelist
from bosscal.targets import find_mjd


def main(platelist_path, plates, run2d, output):
    platelist = read_platelist(platelist_path)
    write_json(output, {plate: find_mjd(platelist, plate, run2d) for plate in plates})


with logged(snakemake.log[0]):
    main(snakemake.input[0], snakemake.params.plates, snakemake.params.run2d, snakemake.output[0])
