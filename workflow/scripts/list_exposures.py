"""List the exposures of every coadd, and check that those asked for are among them."""

from bosscal.base.files import read_json, write_json
from bosscal.base.log import amount, logged, logger
from bosscal.survey.spectra import lost_headers, read_exposures
from bosscal.survey.targets import Request, exposure_sources, exposures_to_json, resolve


def main(spec_paths, mjd_paths, releases, requests, output):
    """Read the exposures from spec files, resolve the requests, and write the exposures."""
    logger.info("read %s", ", ".join(map(amount, [*mjd_paths, *spec_paths])))
    mjds = {
        (release, int(plate)): mjd
        for release, path in zip(releases, mjd_paths, strict=True)
        for plate, mjd in read_json(path).items()
    }
    sources = dict.fromkeys(exposure_sources(requests, mjds).values())
    exposures = {source: read_exposures(path) for source, path in zip(sources, spec_paths, strict=True)}
    for source, cameras in exposures.items():
        logger.info("%s: %s", source, {camera: sorted(numbers) for camera, numbers in cameras.items()})
    spectra = resolve(requests, mjds, exposures)
    lost = {
        source for source, path in zip(sources, spec_paths, strict=True) if source[1] == "spec" and lost_headers(path)
    }
    if lost:
        logger.warning("%d spec files have lost the headers of their exposures", len(lost))
    write_json(output, exposures_to_json(exposures, lost))
    logger.info("%d spectra, wrote %s", len(spectra), amount(output))


if "snakemake" in globals():
    with logged(snakemake.log[0]):
        main(
            snakemake.input.spec,
            snakemake.input.mjd,
            snakemake.params.releases,
            [Request(**request) for request in snakemake.config["requests"]],
            snakemake.output[0],
        )
