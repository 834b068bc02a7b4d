"""Summarize how the spectra of a plate stand: a small table with a row for each camera exposure."""

from contextlib import nullcontext
from pathlib import Path

from bosscal.base.errors import made_with
from bosscal.base.log import amount, logger, run_step
from bosscal.base.outcomes import sort_out, unique, write_outcome
from bosscal.base.tables import read_table, write_table
from bosscal.report.facts import downloads_of
from bosscal.report.plates import Fibers, rows_of, summarize_plate
from bosscal.report.statuses import read_thresholds
from bosscal.survey.exposure import CameraExposure
from bosscal.survey.inputs import INPUTS, read_record


def fibers_of(comparisons, spec_exposures, simulated):
    """What was measured, one table of a camera exposure or of a full spec file after the other."""
    of_table = {}
    for path, record in spec_exposures.items():
        of_table.setdefault(record, []).append(path)
    for table_path in comparisons:
        rows = rows_of(read_table(table_path))
        of_spec = of_table.get(table_path)
        frame = Path("results/extract_frame", *Path(table_path).parts[-3:]).with_suffix(".npz")
        for path in of_spec or [frame]:
            with made_with(table_path) if of_spec else nullcontext():
                exposure = CameraExposure.read(path)
                ra, dec = exposure.ra, exposure.dec
            header = exposure.header
            found = [row for row in rows if (row["camera"], row["expnum"]) == (header.camera, header.expnum)]
            records = [read_record(INPUTS / header.release / name.lstrip("/")) for name, _ in header.inputs]
            yield Fibers(found, header, downloads_of(records, simulated), ra, dec)


def main(comparisons, exposures, spec_exposures, simulated, output):
    """Write the table from what there is; returns why the rest is missing."""
    good, failures = sort_out(comparisons)
    failures = unique([*failures, *sort_out(exposures)[1]])
    if not good:
        write_outcome(output, failures)
        return failures
    logger.info("read %s", ", ".join(good))
    table = summarize_plate(fibers_of(good, spec_exposures, simulated), read_thresholds())
    write_table(output, table)
    logger.info("%d camera exposures, wrote %s", len(table), amount(output))
    return failures


if "snakemake" in globals():
    files, params = snakemake.input, snakemake.params
    run_step(
        snakemake,
        lambda: main(
            list(files.comparisons),
            list(files.exposures),
            params.spec_exposures,
            params.simulated,
            snakemake.output[0],
        ),
        collects=True,
    )
