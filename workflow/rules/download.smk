# Files of the survey, one a job, in bossdata's layout. A file that is there is never fetched again.


def get_source(wildcards):
    """The simulated plate is made by a rule; a real server is not."""
    path = f"/{wildcards.server_path}"
    simulated = any(
        source.simulated and path.startswith(paths.redux_folder(FINDERS[name])) for name, source in SOURCES.items()
    )
    return f"{SIMULATED}{path}" if simulated else []


def get_server_paths(wildcards):
    """Where on the server the file may lie: releases differ in the folder of full spec files."""
    path = f"/{wildcards.server_path}"
    of_release = next(name for name in SOURCES if path.startswith(paths.redux_folder(FINDERS[name])))
    return [path, *alternatives(RELEASES[of_release], path)]


# The path of a mirror may begin with a slash of its own.
FOLDER = "download" if all(map(os.path.isabs, MIRRORS)) else "download/"


# Of a large file whose header alone is needed, the first blocks, under a name of their own.
rule fetch_header:
    output:
        "{mirror}/{server_path}.header",
    log:
        f"results/logs/{FOLDER}{{mirror}}/{{server_path}}.header.log",
    benchmark:
        f"results/benchmarks/{FOLDER}{{mirror}}/{{server_path}}.header.tsv"
    wildcard_constraints:
        server_path="sas/.+/spCFrame-[^/]+\\.fits",
    conda:
        ENVIRONMENT
    resources:
        downloads=1,
    params:
        code=code("fetch_header.py"),
    script:
        "../scripts/fetch_header.py"


ruleorder: fetch_header > download


rule download:
    input:
        get_source,
    output:
        "{mirror}/{server_path}",
    log:
        f"results/logs/{FOLDER}{{mirror}}/{{server_path}}.log",
    benchmark:
        f"results/benchmarks/{FOLDER}{{mirror}}/{{server_path}}.tsv"
    wildcard_constraints:
        server_path="sas/.+",
    conda:
        ENVIRONMENT
    resources:
        downloads=1,
    params:
        server_paths=get_server_paths,
    script:
        "../scripts/download.py"
