"""Summarize how the spectra of a plate stand: a small table with a row for each camera exposure."""

from pathlib import Path

import numpy as np

from bosscal.base.errors import made_with
from bosscal.base.log import amount, logger, run_step
from bosscal.base.outcomes import sort_out, unique, write_outcome
from bosscal.base.tables import read_table, write_table
from bosscal.report.facts import downloads_of
from bosscal.report.plates import Fibers, rows_of, summarize_plate
from bosscal.report.statuses import read_thresholds
from bosscal.results.calib import read_positions
from bosscal.results.comparison import header_of
from bosscal.survey.exposure import CameraExposure
from bosscal.survey.inputs import INPUTS, read_record


def exposures_of(table_path, calibs, spec_exposures):
    """Header and positions of the camera exposures that a table is of: of a spec file by the npz beside it."""
    for path in spec_exposures:
        with made_with(table_path):
            exposure = CameraExposure.read(path)
            found = exposure.header, exposure.ra, exposure.dec
        yield found
    if not spec_exposures:
        unknown = np.full((2, 1), np.nan)
        calib = calibs.get(Path(table_path).stem)
        yield header_of(table_path), *(read_positions(calib) if calib else unknown)


def fibers_of(comparisons, calibs, spec_exposures, simulated):
    """What was measured, one table of a camera exposure or of a full spec file after the other."""
    of_table = {}
    for path, record in spec_exposures.items():
        of_table.setdefault(record, []).append(path)
    for table_path in comparisons:
        rows = rows_of(read_table(table_path))
        for header, ra, dec in exposures_of(table_path, calibs, of_table.get(table_path, ())):
            found = [row for row in rows if (row["camera"], row["expnum"]) == (header.camera, header.expnum)]
            records = [read_record(INPUTS / header.release / name.lstrip("/")) for name, _ in header.inputs]
            yield Fibers(found, header, downloads_of(records, simulated), ra, dec)


def main(comparisons, calibs, spec_exposures, simulated, output):
    """Write the table from what there is; returns why the rest is missing."""
    good, failures = sort_out(comparisons)
    calibs, without = sort_out(calibs)
    failures = unique([*failures, *without])
    if not good:
        write_outcome(output, failures)
        return failures
    logger.info("read %s", ", ".join(good))
    by_unit = {Path(path).stem.removeprefix("spCalib-"): path for path in calibs}
    table = summarize_plate(fibers_of(good, by_unit, spec_exposures, simulated), read_thresholds())
    write_table(output, table)
    logger.info("%d camera exposures, wrote %s", len(table), amount(output))
    return failures


if "snakemake" in globals():
    files, params = snakemake.input, snakemake.params
    run_step(
        snakemake,
        lambda: main(
            list(files.comparisons),
            list(files.calibs),
            params.spec_exposures,
            params.simulated,
            snakemake.output[0],
        ),
        collects=True,
    )
