"""Draw the distributions over the fibers of all camera exposures of a plate."""

from astropy.table import Table

from bosscal.figures.plate import plate_overview
from bosscal.figures.style import save, style
from bosscal.job import logged


def main(table_paths, outputs):
    tables = [Table.read(path, format="ascii.ecsv") for path in table_paths]
    with style():
        save(plate_overview(tables), *outputs)


with logged(snakemake.log[0]):
    main(snakemake.input, snakemake.output)
