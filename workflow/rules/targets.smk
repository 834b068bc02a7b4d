# Which spectra the configuration asks for. A plate's night and a coadd's exposures are only known from the
# survey's own files, so the two steps here are checkpoints. Their outputs are named by what was asked, so that an
# answer to another question is never taken for this one's.
import hashlib
from collections import defaultdict
from functools import cache


def name_of(*question):
    return hashlib.sha256(repr(question).encode()).hexdigest()[:12]


def get_plates_without_mjd(release):
    return sorted({request.plate for request in REQUESTS if request.release == release and request.mjd is None})


def get_mjd_question(release):
    return name_of(release, SOURCES[release].mirror, get_plates_without_mjd(release))


RELEASES_WITHOUT_MJD = [name for name in SOURCES if get_plates_without_mjd(name)]
# whatever the nights are: the spec files that tell the exposures follow from the entries of the configuration
EXPOSURES_QUESTION = name_of(
    sorted((name, source.mirror) for name, source in SOURCES.items()),
    sorted(set(targets.exposure_sources(REQUESTS, {(each.release, each.plate): 0 for each in REQUESTS}).values())),
)


checkpoint find_mjd:
    input:
        lambda wildcards: get_input(wildcards.release, FINDERS[wildcards.release].get_platelist_path()),
    output:
        "results/targets/mjd-{release}-{question}.json",
    log:
        "results/logs/find_mjd/{release}-{question}.log",
    benchmark:
        "results/benchmarks/find_mjd/{release}-{question}.tsv"
    conda:
        ENVIRONMENT
    params:
        failed_before=failed_before("find_mjd"),
        code=code("find_mjd.py"),
        plates=lambda wildcards: get_plates_without_mjd(wildcards.release),
        run2d=lambda wildcards: RELEASES[wildcards.release].run2d,
    script:
        "../scripts/find_mjd.py"


def get_mjd_files(wildcards=None):
    """The nights that were looked up, of each release for which any had to be."""
    return [
        checkpoints.find_mjd.get(release=release, question=get_mjd_question(release)).output[0]
        for release in RELEASES_WITHOUT_MJD
    ]


@cache
def get_nights():
    """The nights that were looked up."""
    return targets.nights_from_json(map(read_json, get_mjd_files()))


def get_exposure_sources():
    """The spec files that tell the exposures, each once, in the order of the configuration."""
    return list(dict.fromkeys(targets.exposure_sources(REQUESTS, get_nights().mjds).values()))


def get_spec_path(release, products, plate, mjd, fiber):
    """Server path of the spec-lite file that tells the exposures of frames, or of a target's full spec file."""
    if products == "frames":
        return FINDERS[release].get_spec_path(plate, mjd, fiber, lite=True)
    return spec_paths(RELEASES[release], plate, mjd, fiber)[0]


def get_spec_files(wildcards):
    return [get_input(source[0], get_spec_path(*source)) for source in get_exposure_sources()]


checkpoint list_exposures:
    input:
        mjd=get_mjd_files,
        spec=get_spec_files,
    output:
        f"results/targets/exposures-{EXPOSURES_QUESTION}.json",
    log:
        f"results/logs/list_exposures/{EXPOSURES_QUESTION}.log",
    benchmark:
        f"results/benchmarks/list_exposures/{EXPOSURES_QUESTION}.tsv"
    conda:
        ENVIRONMENT
    params:
        failed_before=failed_before("list_exposures", f"results/targets/exposures-{EXPOSURES_QUESTION}.json"),
        code=code("list_exposures.py"),
    script:
        "../scripts/list_exposures.py"


@cache
def get_listing():
    """What the spec files tell of the exposures."""
    return targets.listing_from_json(read_json(checkpoints.list_exposures.get().output[0]))


@cache
def get_resolved():
    """Every spectrum that was asked for and is there, in the order of the configuration, and what is not there."""
    return targets.resolve(REQUESTS, get_nights().mjds, get_listing().exposures)


def get_targets():
    return get_resolved()[0]


def get_failures(wildcards=None):
    """Why some targets cannot even be looked for, as dictionaries."""
    of_nights = get_nights().failures
    of_sources = [failure for failures in get_listing().failures.values() for failure in failures]
    return list(map(asdict, unique([*of_nights, *of_sources, *get_resolved()[1]])))


def get_listed_targets():
    """Those that are not one of a whole plate, and so have figures of their own."""
    return [target for target in get_targets() if not target.whole_plate]


@cache
def get_targets_by_key():
    return {target.key: target for target in get_targets()}


def get_target(wildcards):
    key = "{release}/{plate_mjd}-{fiber}-{exposure}".format(**wildcards)
    if key not in get_targets_by_key():
        not_asked_for(key)
    return get_targets_by_key()[key]


def get_folders(products):
    """(folder, unit) of the camera exposures that the targets from these products are in, each once."""
    return list(dict.fromkeys((target.folder, target.unit) for target in get_targets() if target.products == products))


def get_whole_exposures(folder=None):
    """(folder, unit) of the camera exposures of which all fibers were asked for, of one plate and night or of all."""
    return list(
        dict.fromkeys(
            (target.folder, target.unit)
            for target in get_targets()
            if target.whole_plate and target.products == "frames" and folder in (None, target.folder)
        )
    )


def get_comparisons(wildcards=None):
    """The tables of the comparison that the targets are in: of a camera exposure of frames, of a whole spec file."""
    frames = [f"results/compare/{folder}/{unit}.ecsv" for folder, unit in get_folders("frames")]
    spectra = {(target.folder, target.fiber): None for target in get_targets() if target.products == "spec"}
    return frames + [f"results/compare/{folder}/spec-{fiber:04d}.ecsv" for folder, fiber in spectra]


@cache
def get_earlier_releases():
    """(folder, fiber) of a target from a spec file whose release has T, to a release in the run that has it without."""
    spectra = defaultdict(list)
    for target in get_targets():
        if target.products == "spec":
            spectra[target.plate_mjd, target.fiber].append(target)
    pairs = {}
    for (plate_mjd, fiber), of_fiber in spectra.items():
        earlier = [target.release for target in of_fiber if not RELEASES[target.release].thrucorr]
        later = [target for target in of_fiber if RELEASES[target.release].thrucorr]
        pairs |= {(target.folder, fiber): earlier[0] for target in later if earlier}
    return pairs


def get_release_comparisons(wildcards=None):
    """The tables of spectra that the run has in two releases."""
    return [f"results/compare/{folder}/releases-{fiber:04d}.ecsv" for folder, fiber in get_earlier_releases()]
