# Which spectra the configuration asks for. A plate's night and a coadd's exposures are only known from the
# survey's own files, so the two steps here are checkpoints.
from functools import cache


checkpoint find_mjd:
    input:
        mirrored(FINDER.get_platelist_path()),
    output:
        "results/targets/mjd.json",
    params:
        code=code("find_mjd.py"),
        plates=sorted({request.plate for request in REQUESTS if request.mjd is None}),
        run2d=RELEASE["run2d"],
    log:
        "results/logs/find_mjd.log",
    benchmark:
        "results/benchmarks/find_mjd.tsv"
    conda:
        ENVIRONMENT
    script:
        "../scripts/find_mjd.py"


def get_mjd_file(wildcards=None):
    """The nights that were looked up, if any had to be."""
    return checkpoints.find_mjd.get().output[0] if any(request.mjd is None for request in REQUESTS) else []


def get_mjds():
    path = get_mjd_file()
    return {int(plate): mjd for plate, mjd in read_json(path).items()} if path else {}


def get_exposure_sources():
    """The spec files that tell the exposures, each once, in the order of the configuration."""
    return list(dict.fromkeys(targets.exposure_sources(REQUESTS, get_mjds()).values()))


def get_spec_path(products, plate, mjd, fiber):
    return FINDER.get_spec_path(plate, mjd, fiber, lite=products == "frames")


def get_spec_files(wildcards):
    return [mirrored(get_spec_path(*source)) for source in get_exposure_sources()]


checkpoint list_exposures:
    input:
        mjd=get_mjd_file,
        spec=get_spec_files,
    output:
        "results/targets/exposures.json",
    params:
        code=code("list_exposures.py"),
    log:
        "results/logs/list_exposures.log",
    benchmark:
        "results/benchmarks/list_exposures.tsv"
    conda:
        ENVIRONMENT
    script:
        "../scripts/list_exposures.py"


@cache
def get_exposures():
    """Source key to {camera: {science exposure: flat exposure}}."""
    return targets.exposures_from_json(read_json(checkpoints.list_exposures.get().output[0]))


@cache
def get_targets():
    """Every spectrum asked for, in the order of the configuration."""
    exposures = get_exposures()
    with user_errors():
        return targets.resolve(REQUESTS, get_mjds(), exposures)


def get_units():
    """(plate_mjd, unit) of the intermediate files that the targets are in, each once."""
    return list(dict.fromkeys((target.plate_mjd, target.unit) for target in get_targets()))
