"""Collect the targets' rows of all comparison tables into one."""

from bosscal.base.log import amount, logger, run_step
from bosscal.base.outcomes import Failure, sort_out, unique, write_outcome
from bosscal.base.tables import read_table, write_table
from bosscal.results.comparison import stack, summarize
from bosscal.survey.targets import Block, single_spectra


def main(paths, releases, targets, failures, output):
    """Write a table with a row per target that has one, in the order of the configuration; returns why others lack."""
    good, of_tables = sort_out(paths)
    good_releases, of_releases = sort_out(releases)
    failures = unique([*failures, *of_tables, *of_releases])
    if not good:
        write_outcome(output, failures)
        return failures
    logger.info("read %s", ", ".join([*good, *good_releases]))
    table, lacking = summarize(targets, stack([read_table(path) for path in good]), map(read_table, good_releases))
    lacking = [Failure("summarize", target, cause) for target, cause in lacking.items()]
    write_table(output, table)
    logger.info("%d of %d targets, wrote %s", len(table), len(targets), amount(output))
    return [*failures, *lacking]


if "snakemake" in globals():
    files, params = snakemake.input, snakemake.params
    run_step(
        snakemake,
        lambda: main(
            files.comparisons,
            files.releases,
            single_spectra(map(Block.from_dict, params.targets)),
            [Failure(**failure) for failure in params.failures],
            snakemake.output[0],
        ),
        collects=True,
    )
