"""Collect the targets' rows of all comparison tables into one."""

from pathlib import Path

from astropy.table import Table

from bosscal.comparison import summarize
from bosscal.job import logged
from bosscal.tables import write_table
from bosscal.targets import Target


def main(paths, targets, output):
    tables = {(Path(path).parent.name, Path(path).stem): Table.read(path, format="ascii.ecsv") for path in paths}
    write_table(output, summarize([Target(**target) for target in targets], tables))


with logged(snakemake.log[0]):
    main(snakemake.input, snakemake.params.targets, snakemake.output[0])
