"""List the exposures of every coadd, and check that those asked for are among them."""

from bosscal.files import read_json, write_json
from bosscal.job import logged
from bosscal.surveyfiles import read_exposures
from bosscal.targets import exposure_sources, exposures_to_json, parse_requests, resolve


def main(spec_paths, mjd_path, config_targets, output):
    requests = parse_requests(config_targets)
    mjds = {int(plate): mjd for plate, mjd in read_json(mjd_path).items()} if mjd_path else {}
    sources = dict.fromkeys(exposure_sources(requests, mjds).values())
    exposures = {source: read_exposures(path) for source, path in zip(sources, spec_paths, strict=True)}
    resolve(requests, mjds, exposures)
    write_json(output, exposures_to_json(exposures))


with logged(snakemake.log[0]):
    main(snakemake.input.spec, snakemake.input.mjd, snakemake.config["targets"], snakemake.output[0])
