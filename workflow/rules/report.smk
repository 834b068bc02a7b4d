# One page with everything: what was run, the numbers, the figures, and what they were made from.


rule report:
    input:
        summary="results/compare/summary.ecsv",
        figures=lambda wildcards: [f"results/figures/{target.name}.png" for target in get_targets()],
        exposures=lambda wildcards: [f"results/extract_frame/{plate_mjd}/{unit}.npz" for plate_mjd, unit in get_units()],
    output:
        report("results/report/index.html", caption="../report/report.rst", category="Report"),
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    conda:
        ENVIRONMENT
    params:
        code=code("report.py"),
        release=config["release"],
        title=RELEASE["title"],
        source="a simulated mirror made by this workflow" if IS_SIMULATED else URL,
        mask_allow=config["mask_allow"],
        targets=lambda wildcards: [target.to_dict() for target in get_targets()],
    script:
        "../scripts/report.py"
