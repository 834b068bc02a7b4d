# Predicted against actual: a table for every camera exposure, and one over all targets.


rule compare:
    input:
        exposure="results/extract_frame/{plate_mjd}/{unit}.npz",
        calibration="results/calibrate/{plate_mjd}/{unit}.npz",
    output:
        "results/compare/{plate_mjd}/{unit}.ecsv",
    log:
        "results/logs/compare/{plate_mjd}/{unit}.log",
    benchmark:
        "results/benchmarks/compare/{plate_mjd}/{unit}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=1500,
    params:
        code=code("compare.py"),
        noise_law=RELEASE["noise_law"],
    script:
        "../scripts/compare.py"


rule summarize:
    input:
        lambda wildcards: [f"results/compare/{plate_mjd}/{unit}.ecsv" for plate_mjd, unit in get_units()],
    output:
        report("results/compare/summary.ecsv", caption="../report/summary.rst", category="Tables"),
    log:
        "results/logs/summarize.log",
    benchmark:
        "results/benchmarks/summarize.tsv"
    conda:
        ENVIRONMENT
    params:
        code=code("summarize.py"),
        targets=lambda wildcards: [target.to_dict() for target in get_targets()],
    script:
        "../scripts/summarize.py"
