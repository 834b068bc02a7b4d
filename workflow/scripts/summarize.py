"""Collect the targets' rows of all comparison tables into one."""

from bosscal.base.log import amount, logger, run_step
from bosscal.base.outcomes import Failure, sort_out, unique, write_outcome
from bosscal.base.tables import read_table, write_tables
from bosscal.results.comparison import stack, summarize
from bosscal.survey.targets import Block, spectra_by_plate


def rows_of_plates(good, releases, blocks, failures):
    """The rows of one plate's targets after the other; adds to the failures why some lack."""
    there, there_is_one, empty = set(good), False, []
    for targets in spectra_by_plate(blocks):
        wanted = dict.fromkeys(f"results/compare/{target.folder}/{target.table}.ecsv" for target in targets)
        tables = [read_table(path) for path in wanted if path in there]
        if not tables:
            continue
        table, lacking = summarize(targets, stack(tables), releases)
        failures.extend(Failure("summarize", target, cause) for target, cause in lacking.items())
        if len(table):
            there_is_one = True
            yield table
        empty = empty or [table]
    if not there_is_one:  # not a single target: a table without rows
        yield from empty


def main(paths, releases, blocks, failures, output):
    """Write a table with a row per target that has one, in the order of the configuration; returns why others lack."""
    good, of_tables = sort_out(paths)
    good_releases, of_releases = sort_out(releases)
    failures = unique([*failures, *of_tables, *of_releases])
    if not good:
        write_outcome(output, failures)
        return failures
    logger.info("read %s", ", ".join([*good, *good_releases]))
    number = write_tables(output, rows_of_plates(good, list(map(read_table, good_releases)), blocks, failures))
    logger.info("%d targets, wrote %s", number, amount(output))
    return failures


if "snakemake" in globals():
    files, params = snakemake.input, snakemake.params
    run_step(
        snakemake,
        lambda: main(
            files.comparisons,
            files.releases,
            list(map(Block.from_dict, params.targets)),
            [Failure(**failure) for failure in params.failures],
            snakemake.output[0],
        ),
        collects=True,
    )
