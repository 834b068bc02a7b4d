# Which spectra the configuration asks for. A plate's night and a coadd's exposures are only known from the
# survey's own files, so the two steps here are checkpoints. Their outputs are named by what was asked, so that an
# answer to another question is never taken for this one's.
import hashlib
from collections import defaultdict
from functools import cache


# On a cluster these run where snakemake does: they need the network, or take less time than a job takes to begin.
localrules:
    download,
    fetch_header,
    find_plates,
    find_mjd,
    list_exposures,


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
    sorted(targets.exposure_sources(REQUESTS, {(each.release, each.plate): 0 for each in REQUESTS})),
    *([QUERY.model_dump(mode="json")] if QUERY else []),
)
QUERY_QUESTION = name_of(QUERY.model_dump(mode="json"), SOURCES[QUERY.release].mirror) if QUERY else None


checkpoint find_plates:
    input:
        lambda wildcards: get_input(QUERY.release, FINDERS[QUERY.release].get_platelist_path()),
    output:
        f"results/targets/query-{QUERY_QUESTION}.csv",
    log:
        f"results/logs/find_plates/{QUERY_QUESTION}.log",
    benchmark:
        f"results/benchmarks/find_plates/{QUERY_QUESTION}.tsv"
    conda:
        ENVIRONMENT
    params:
        failed_before=failed_before("find_plates", f"results/targets/query-{QUERY_QUESTION}.csv"),
        code=code("find_plates.py"),
        release=QUERY and QUERY.release,
        run2d=QUERY and RELEASES[QUERY.release].run2d,
        wanted=QUERY
        and {
            "numbers": QUERY.plates,
            **{name: getattr(QUERY, name) for name in ("mjd", "quality", "programmes", "ra", "dec")},
        },
        spectra=QUERY
        and {
            "fibers": QUERY.fibers if QUERY.fibers == "all" else list(QUERY.fibers),
            "bands": list(QUERY.bands),
            "exposures": QUERY.exposures if QUERY.exposures == "all" else list(QUERY.exposures),
            "products": QUERY.products,
        },
    script:
        "../scripts/find_plates.py"


def get_query_files(wildcards=None):
    """The table of the plates that a query found, if there is a query."""
    return list(checkpoints.find_plates.get().output) if QUERY else []


@cache
def get_requests():
    """All that is asked for: what the configuration and its table name, and the plates that its query found."""
    files = get_query_files()
    if not files or read_outcome(files[0]):
        return REQUESTS
    with user_errors():
        found, places = read_target_table(files[0], RELEASES, None)
        if workflow.exec_mode == ExecMode.DEFAULT:
            print(f"bosscal: the query found {len(found)} plates: {files[0]}", file=sys.stderr)
        return targets.parse_requests([*CONFIGURATION.targets, *ENTRIES, *found], PLACES + places)


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


@cache
def get_exposure_sources():
    """The spec files that tell the exposures, each once, in the order of the configuration."""
    return targets.exposure_sources(get_requests(), get_nights().mjds)


def get_spec_path(release, products, plate, mjd, fiber):
    """Server path of the spec-lite file that tells the exposures of frames, or of a target's full spec file."""
    if products == "frames":
        return FINDERS[release].get_spec_path(plate, mjd, fiber, lite=True)
    return spec_paths(RELEASES[release], plate, mjd, fiber)[0]


def get_spec_files(wildcards):
    return [get_input(source[0], get_spec_path(*source)) for source in get_exposure_sources()]


checkpoint list_exposures:
    input:
        query=get_query_files,
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
        sources=lambda wildcards: get_exposure_sources(),
    script:
        "../scripts/list_exposures.py"


@cache
def get_listing():
    """What the spec files tell of the exposures."""
    return targets.listing_from_json(read_json(checkpoints.list_exposures.get().output[0]))


@cache
def get_flats():
    """(release, plate, mjd, camera) of frames to {science exposure: flat exposure}."""
    return {
        (release, plate, mjd, camera): flats
        for (release, products, plate, mjd, _), cameras in get_listing().exposures.items()
        if products == "frames"
        for camera, flats in cameras.items()
    }


@cache
def get_resolved():
    """What was asked for and is there, in blocks and in the order of the configuration, and what is not there."""
    return targets.find_blocks(get_requests(), get_nights().mjds, get_listing().exposures)


def get_blocks():
    return get_resolved()[0]


def get_block_parameters(wildcards=None):
    """All targets as a parameter of a step."""
    return [block.to_dict() for block in get_blocks()]


@cache
def get_failures(wildcards=None):
    """Why some targets cannot even be looked for, as dictionaries."""
    of_query = [failure for path in get_query_files() for failure in read_outcome(path)]
    of_nights = get_nights().failures
    of_sources = [failure for failures in get_listing().failures.values() for failure in failures]
    return list(map(asdict, unique([*of_query, *of_nights, *of_sources, *get_resolved()[1]])))


@cache
def get_listed_targets():
    """Those that are not one of a whole plate, and so have figures of their own."""
    return targets.single_spectra(block for block in get_blocks() if not block.whole_plate)


@cache
def get_targets_by_key():
    """The listed targets, and those of the whole plates by camera exposure: there are too many to name each."""
    listed = {target.key: target for target in get_listed_targets()}
    whole = defaultdict(list)
    for block in get_blocks():
        if block.whole_plate and block.products == "frames":
            for unit in block.units:
                whole[block.folder, unit].append(block)
    return listed, whole


def get_target(wildcards):
    """The spectrum of a figure: one that is listed, or one of a whole plate, whose figure was asked for by its name."""
    key = "{release}/{plate_mjd}-{fiber}-{exposure}".format(**wildcards)
    listed, whole = get_targets_by_key()
    if key in listed:
        return listed[key]
    of_exposure = whole.get((f"{wildcards.release}/{wildcards.plate_mjd}", wildcards.exposure), [])
    found = next((target for block in of_exposure for target in block.targets() if target.key == key), None)
    if found is None:
        not_asked_for(key)
    return found


@cache
def get_folders(products):
    """(folder, unit) of the camera exposures that the targets from these products are in, each once."""
    return list(
        dict.fromkeys(
            (block.folder, unit) for block in get_blocks() if block.products == products for unit in block.units
        )
    )


@cache
def get_whole_exposures_by_plate():
    """Folders of whole plates to the (folder, unit) of their camera exposures, each once."""
    found = defaultdict(dict)
    for block in get_blocks():
        if block.whole_plate and block.products == "frames":
            found[block.folder].update({(block.folder, unit): None for unit in block.units})
    return {folder: list(units) for folder, units in found.items()}


def get_whole_exposures(folder=None):
    """(folder, unit) of the camera exposures of which all fibers were asked for, of one plate and night or of all."""
    of_plates = get_whole_exposures_by_plate()
    return of_plates.get(folder, []) if folder else [each for units in of_plates.values() for each in units]


def get_comparisons(wildcards=None):
    """The tables of the comparison that the targets are in: of a camera exposure of frames, of a whole spec file."""
    frames = [f"results/compare/{folder}/{unit}.ecsv" for folder, unit in get_folders("frames")]
    spectra = {(block.folder, block.fibers[0]): None for block in get_blocks() if block.products == "spec"}
    return frames + [f"results/compare/{folder}/spec-{fiber:04d}.ecsv" for folder, fiber in spectra]


@cache
def get_earlier_releases():
    """(folder, fiber) of a target from a spec file whose release has T, to a release in the run that has it without."""
    spectra = defaultdict(list)
    for block in get_blocks():
        if block.products == "spec":
            spectra[block.plate_mjd, block.fibers[0]].append(block)
    pairs = {}
    for (plate_mjd, fiber), of_fiber in spectra.items():
        earlier = [block.release for block in of_fiber if not RELEASES[block.release].thrucorr]
        later = [block for block in of_fiber if RELEASES[block.release].thrucorr]
        pairs |= {(block.folder, fiber): earlier[0] for block in later if earlier}
    return pairs


def get_release_comparisons(wildcards=None):
    """The tables of spectra that the run has in two releases."""
    return [f"results/compare/{folder}/releases-{fiber:04d}.ecsv" for folder, fiber in get_earlier_releases()]
