# Files of the survey, one a job, in bossdata's layout. They are kept in the mirror, which runs may share and where a
# file that is there is never fetched again; the run's own results have a link to each, or say why it cannot be had.


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
