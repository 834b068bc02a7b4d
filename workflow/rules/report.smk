# One page with everything: what was run, the numbers, the figures, and what they were made from.


def get_figures(kind, products=("frames", "spec")):
    """Input function: a figure of every target that has one of its own."""
    return lambda wildcards: [
        f"results/figures/{target.name}{kind}.png"
        for target in get_targets()
        if target.products in products and not target.whole_plate
    ]


def get_budget_tables(wildcards):
    return [path.replace("figures", "budget").replace("-budget.png", ".ecsv") for path in get_budgets(wildcards)]


get_budgets = get_figures("-budget", products=["frames"])


def get_of_whole_exposures(path):
    """Input function: a file of every camera exposure of a whole plate."""
    return lambda wildcards: [path.format(plate_mjd=plate_mjd, unit=unit) for plate_mjd, unit in get_whole_exposures()]


def get_overviews(wildcards):
    plates = dict.fromkeys(plate_mjd for plate_mjd, _ in get_whole_exposures())
    return [f"results/figures/{plate_mjd}-overview.png" for plate_mjd in plates]


rule report:
    input:
        summary="results/compare/summary.ecsv",
        panels=get_figures(""),
        noise=get_figures("-noise"),
        budgets=get_budgets,
        budget_tables=get_budget_tables,
        overviews=get_overviews,
        ratios=get_of_whole_exposures("results/figures/{plate_mjd}-{unit}-ratios.png"),
        residuals=get_of_whole_exposures("results/figures/{plate_mjd}-{unit}-residuals.png"),
        outliers=get_of_whole_exposures("results/outliers/{plate_mjd}/{unit}.ecsv"),
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
