# Files of the survey, one a job, in bossdata's layout. They are kept in the mirror, which runs may share and where a
# file that is there is never fetched again; the run's own results have a link to each, or say why it cannot be had.
from types import SimpleNamespace

# Be kind to the survey's server: so many transfers at a time, unless --resources downloads=N says otherwise.
if "downloads" not in workflow.global_resources:
    workflow.register_resource("downloads", 4)


def get_mirror(wildcards):
    """Folder for the copies of a release's files. Another server makes no copy stale, another folder does."""
    if wildcards.release not in SOURCES:
        not_asked_for(f"release {wildcards.release}")
    return SOURCES[wildcards.release].mirror


def get_overlay(wildcards):
    """Folder for what is missing in a mirror that cannot be written."""
    return SOURCES[wildcards.release].overlay


def get_source(wildcards):
    """The simulated plate is made by a rule; a real server is not."""
    simulated = wildcards.release in SOURCES and SOURCES[wildcards.release].simulated
    return f"{SIMULATED}/{wildcards.server_path}" if simulated else []


def get_server_paths(wildcards):
    """Where on the server the file may lie: releases differ in the folder of full spec files."""
    path = f"/{wildcards.server_path}"
    return [path, *alternatives(RELEASES[wildcards.release], path)]


# Of a large file whose header alone is needed, the first blocks, under a name of their own.
rule fetch_header:
    output:
        f"{INPUTS}/{{release}}/{{server_path}}.header",
    log:
        "results/logs/download/{release}/{server_path}.header.log",
    benchmark:
        "results/benchmarks/download/{release}/{server_path}.header.tsv"
    wildcard_constraints:
        server_path="sas/.+/spCFrame-[^/]+\\.fits",
    conda:
        ENVIRONMENT
    resources:
        downloads=1,
    params:
        failed_before=failed_before("fetch_header"),
        code=code("fetch_header.py"),
        mirror=get_mirror,
        overlay=get_overlay,
    script:
        "../scripts/fetch_header.py"


ruleorder: fetch_header > download


rule download:
    input:
        get_source,
    output:
        f"{INPUTS}/{{release}}/{{server_path}}",
    log:
        "results/logs/download/{release}/{server_path}.log",
    benchmark:
        "results/benchmarks/download/{release}/{server_path}.tsv"
    wildcard_constraints:
        server_path="sas/.+",
    conda:
        ENVIRONMENT
    resources:
        downloads=1,
    params:
        failed_before=failed_before("download"),
        server_paths=get_server_paths,
        mirror=get_mirror,
        overlay=get_overlay,
    script:
        "../scripts/download.py"


def get_all_files():
    """(release, server path) of all that the configuration needs of the survey, each once."""
    asked = [*RELEASES_WITHOUT_MJD, *([QUERY.release] if QUERY else [])]
    nights = [(release, FINDERS[release].get_platelist_path()) for release in asked]
    sources = [(source[0], get_spec_path(*source)) for source in get_exposure_sources()]
    frames = [
        (release, path)
        for folder, unit in get_folders("frames")
        for release, plate_mjd in [Path(folder).parts]
        for path in get_frame_paths(SimpleNamespace(release=release, plate_mjd=plate_mjd, exposure=unit))
    ]
    return list(dict.fromkeys([*nights, *sources, *frames]))


def get_all_headers():
    """Pieces that stand for headers which spec files have lost."""
    spectra = {(*Path(folder).parts, int(unit.rpartition("-")[2])) for folder, unit in get_folders("spec")}
    return [
        path
        for release, plate_mjd, fiber in sorted(spectra)
        for path in get_lost_header_files(SimpleNamespace(release=release, plate_mjd=plate_mjd, fiber=fiber))
    ]


def get_wanted(wildcards):
    """What bosscal.survey.plan asks about each file that is not simulated."""
    return [
        (release, [path, *alternatives(RELEASES[release], path)], SOURCES[release].mirror, SOURCES[release].overlay)
        for release, path in get_all_files()
        if not SOURCES[release].simulated
    ]


# How many files and bytes would come. The few small ones that tell which these are come for it. It has no output, not
# even a benchmark: so it is made whenever it is asked for.
rule plan_fetch:
    input:
        lambda wildcards: get_listing() and get_spec_files(wildcards),
    log:
        "results/logs/plan_fetch/plan_fetch.log",
    conda:
        ENVIRONMENT
    params:
        code=code("plan_fetch.py"),
        files=get_wanted,
    script:
        "../scripts/plan_fetch.py"


# All that the configuration needs of the survey: then everything runs without a network.
rule fetch:
    input:
        lambda wildcards: [get_input(*file) for file in get_all_files()] + get_all_headers(),
