"""Collect the targets' rows of all comparison tables into one."""

from bosscal.base.log import amount, logged, logger
from bosscal.base.tables import read_table, write_table
from bosscal.results.comparison import stack, summarize
from bosscal.survey.targets import Target


def main(paths, releases, targets, output):
    """Write a table with a row per target, in the order of the configuration."""
    tables = [read_table(path) for path in paths]
    logger.info("read %s", ", ".join([*paths, *releases]))
    write_table(output, summarize(targets, stack(tables), [read_table(path) for path in releases]))
    logger.info("%d targets, wrote %s", len(targets), amount(output))


if "snakemake" in globals():
    with logged(snakemake.log[0]):
        main(
            snakemake.input.comparisons,
            snakemake.input.releases,
            [Target(**target) for target in snakemake.params.targets],
            snakemake.output[0],
        )
