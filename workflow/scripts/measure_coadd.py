"""Rebuild the coadd of one full spec file, and measure what it tells of distortion, noise and photometry."""

from bosscal.base.log import amount, logger, run_step
from bosscal.base.tables import write_table
from bosscal.calibration.coadd import weights_of
from bosscal.figures.drawing import draw_coadd
from bosscal.figures.style import Look
from bosscal.results.coadds import bin_table, coadd_table, rebuild, repeat_table, repeats_of, write_coadd
from bosscal.survey.coadds import read_coadd
from bosscal.survey.spectra import read_all_exposures, read_beginnings


def main(path, headers, name, release, plate, mjd, fiber, run2d, noise_law, mask_allow, thrucorr, outputs, look=None):
    """Write the spCoadd file, the three tables, and the figure."""
    logger.info("read %s", amount(path))
    spectrum = read_coadd(path, name, release, plate, mjd, fiber)
    rebuilt = rebuild(spectrum, weights_of(run2d))
    exposures = list(read_all_exposures(path, name, release, plate, mjd, fiber, read_beginnings(headers)))
    repeats = repeats_of(exposures, noise_law, mask_allow, thrucorr)
    coadd, table, pairs, bins, *figures = outputs
    write_coadd(coadd, rebuilt)
    write_table(table, coadd_table(rebuilt))
    write_table(pairs, repeat_table(spectrum, repeats))
    write_table(bins, bin_table(spectrum, repeats))
    draw_coadd(rebuilt, repeats, figures, look)
    logger.info(
        "%d exposures, %d pairs, wrote %s", len(spectrum.exposures), len(repeats), ", ".join(map(amount, outputs))
    )


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
            params.run2d,
            params.noise_law,
            params.mask_allow,
            params.thrucorr,
            list(snakemake.output),
            Look(**params.look),
        ),
    )
