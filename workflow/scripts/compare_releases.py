"""Compare the camera exposures that two releases of one full spec file have in common."""

from bosscal.base.errors import UserError
from bosscal.base.log import amount, logger, run_step
from bosscal.base.tables import write_table
from bosscal.figures.drawing import draw_releases
from bosscal.figures.style import Look
from bosscal.results.releases import compare_releases, pair_releases
from bosscal.survey.spectra import read_all_exposures


def main(paths, releases, plate, mjd, fiber, noise_laws, mask_allow, outputs, look=None):
    """Write the table and the figure."""
    logger.info("read %s", ", ".join(amount(path) for path in paths))
    earlier, later = (
        list(read_all_exposures(path, path, release, plate, mjd, fiber))
        for path, release in zip(paths, releases, strict=True)
    )
    pairs = pair_releases(earlier, later, tuple(noise_laws), mask_allow)
    if not pairs:
        raise UserError(f"{releases[1]} {plate}-{mjd}-{fiber:04d}: no camera exposure is in {releases[0]} too")
    table, *figures = outputs
    write_table(table, compare_releases(pairs))
    draw_releases(pairs, figures, look)
    logger.info("%d camera exposures, wrote %s", len(pairs), ", ".join(map(amount, outputs)))


if "snakemake" in globals():
    plate, mjd = map(int, snakemake.wildcards.plate_mjd.split("-"))
    params = snakemake.params
    run_step(
        snakemake,
        lambda: main(
            list(snakemake.input),
            params.releases,
            plate,
            mjd,
            int(snakemake.wildcards.fiber),
            params.noise_laws,
            params.mask_allow,
            list(snakemake.output),
            Look(**params.look),
        ),
    )
