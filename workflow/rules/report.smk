# One page with everything: what was run, the numbers, the figures, and what they were made from.


def get_figures(kind, products=("frames", "spec")):
    """Input function: a figure of every target that can have it."""
    return lambda wildcards: [
        f"results/figures/{target.name}{kind}.png" for target in get_targets() if target.products in products
    ]


def get_budget_tables(wildcards):
    return [f"results/budget/{target.name}.ecsv" for target in get_targets() if target.products == "frames"]


rule report:
    input:
        summary="results/compare/summary.ecsv",
        panels=get_figures(""),
        noise=get_figures("-noise"),
        budgets=get_figures("-budget", products=["frames"]),
        budget_tables=get_budget_tables,
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
        noise_law=RELEASE["noise_law"],
        source="a simulated mirror made by this workflow" if IS_SIMULATED else URL,
        mask_allow=config["mask_allow"],
        targets=lambda wildcards: [target.to_dict() for target in get_targets()],
    script:
        "../scripts/report.py"
