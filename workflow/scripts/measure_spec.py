"""Extract, calibrate and compare every camera exposure of one full spec file."""

from pathlib import Path

from bosscal.base.log import amount, logger, run_step
from bosscal.base.tables import write_table
from bosscal.results.comparison import compare_fibers, stack
from bosscal.results.prediction import predict
from bosscal.survey.spectra import read_all_exposures, read_beginnings


def main(path, headers, name, release, plate, mjd, fiber, noise_law, mask_allow, thrucorr, results, output):
    """Write npz and table of each camera exposure below ``results``, then the table of the spectrum."""
    logger.info("read %s", amount(path))
    tables = []
    for exposure in read_all_exposures(path, name, release, plate, mjd, fiber, read_beginnings(headers)):
        header = exposure.header
        unit = f"{release}/{plate:04d}-{mjd}/{header.camera}-{header.expnum:08d}-{fiber:04d}"
        exposure.write(results / "extract_frame" / f"{unit}.npz")
        prediction = predict(exposure, noise_law, mask_allow, thrucorr)
        prediction.write(results / "calibrate" / f"{unit}.npz")
        tables.append(compare_fibers(exposure, prediction))
        write_table(results / "compare" / f"{unit}.ecsv", tables[-1])
        logger.info("%s: %d rows", unit, len(exposure.row))
    write_table(output, stack(tables))
    logger.info("%d camera exposures, wrote %s", len(tables), amount(output))


if "snakemake" in globals():
    plate, mjd = map(int, snakemake.wildcards.plate_mjd.split("-"))
    params = snakemake.params
    run_step(
        snakemake,
        lambda: main(
            snakemake.input.spec,
            snakemake.input.headers,
            params.name,
            snakemake.wildcards.release,
            plate,
            mjd,
            int(snakemake.wildcards.fiber),
            params.noise_law,
            params.mask_allow,
            params.thrucorr,
            Path("results"),
            snakemake.output[0],
        ),
    )
