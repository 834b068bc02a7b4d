# Files of the survey, one a job, in bossdata's layout. A file that is there is never fetched again.


def get_source(wildcards):
    """The simulated plate is made by a rule; a real server is not."""
    return f"{SIMULATED}/{wildcards.server_path}" if IS_SIMULATED else []


rule download:
    input:
        get_source,
    output:
        f"{MIRROR}/{{server_path}}",
    log:
        "results/logs/download/{server_path}.log",
    benchmark:
        "results/benchmarks/download/{server_path}.tsv"
    wildcard_constraints:
        server_path="sas/.+",
    conda:
        ENVIRONMENT
    resources:
        downloads=1,
    script:
        "../scripts/download.py"
