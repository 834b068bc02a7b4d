# Which spectra the configuration asks for. A plate's night and a coadd's exposures are only known from the
# survey's own files, so the two steps here are checkpoints. Their outputs are named by what was asked, so that an
# answer to another question is never taken for this one's.
from collections import defaultdict
from functools import cache


def name_of(question):
    return hashlib.sha256(repr((config["release"], MIRROR, question)).encode()).hexdigest()[:12]


PLATES_WITHOUT_MJD = sorted({request.plate for request in REQUESTS if request.mjd is None})
MJD_QUESTION = name_of(PLATES_WITHOUT_MJD)
# whatever the nights are: the spec files that tell the exposures follow from the entries of the configuration
EXPOSURES_QUESTION = name_of(sorted(set(targets.exposure_sources(REQUESTS, defaultdict(int)).values())))


checkpoint find_mjd:
    input:
        mirrored(FINDER.get_platelist_path()),
    output:
        f"results/targets/mjd-{MJD_QUESTION}.json",
    log:
        "results/logs/find_mjd.log",
    benchmark:
        "results/benchmarks/find_mjd.tsv"
    conda:
        ENVIRONMENT
    params:
        code=code("find_mjd.py"),
        plates=PLATES_WITHOUT_MJD,
        run2d=RELEASE["run2d"],
    script:
        "../scripts/find_mjd.py"


def get_mjd_file(wildcards=None):
    """The nights that were looked up, if any had to be."""
    return checkpoints.find_mjd.get().output[0] if PLATES_WITHOUT_MJD else []


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
        f"results/targets/exposures-{EXPOSURES_QUESTION}.json",
    log:
        "results/logs/list_exposures.log",
    benchmark:
        "results/benchmarks/list_exposures.tsv"
    conda:
        ENVIRONMENT
    params:
        code=code("list_exposures.py"),
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


@cache
def get_targets_by_name():
    return {target.name: target for target in get_targets()}


def get_units():
    """(plate_mjd, unit) of the intermediate files that the targets are in, each once."""
    return list(dict.fromkeys((target.plate_mjd, target.unit) for target in get_targets()))
