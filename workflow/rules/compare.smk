# Predicted against actual: a table for every camera exposure, and one over all targets.


rule compare:
    input:
        exposure="results/extract_frame/{release}/{plate_mjd}/{exposure}.npz",
        prediction="results/calibrate/{release}/{plate_mjd}/{exposure}.npz",
    output:
        "results/compare/{release}/{plate_mjd}/{exposure}.ecsv",
    log:
        "results/logs/compare/{release}/{plate_mjd}/{exposure}.log",
    benchmark:
        "results/benchmarks/compare/{release}/{plate_mjd}/{exposure}.tsv"
    wildcard_constraints:
        exposure=WITH_NPZ,
    group:
        "camera_exposure"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(400),
    params:
        failed_before=failed_before("compare"),
        code=code("compare.py"),
    script:
        "../scripts/compare.py"


rule summarize:
    input:
        comparisons=get_comparisons,
        releases=get_release_comparisons,
    output:
        report(
            f"{COMPARE}/summary.ecsv",
            caption="../report/summary.rst",
            category="Summary",
            subcategory="One row per spectrum",
        ),
    log:
        f"{COMPARE.replace('results', 'results/logs', 1)}/summarize.log",
    benchmark:
        f"{COMPARE.replace('results', 'results/benchmarks', 1)}/summarize.tsv"
    conda:
        ENVIRONMENT
    params:
        failed_before=failed_before("summarize", f"{COMPARE}/summary.ecsv"),
        code=code("summarize.py"),
        targets=get_block_parameters,
        failures=get_failures,
    script:
        "../scripts/summarize.py"
