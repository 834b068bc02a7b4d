# Figures of single spectra: the tutorial's six panels, the error budget of its approximations, and the noise.


def get_target(wildcards):
    return get_targets_by_name()[wildcards.target]


def get_extracted(wildcards):
    target = get_target(wildcards)
    return f"results/extract_frame/{target.plate_mjd}/{target.unit}.npz"


def get_calibrated(wildcards):
    target = get_target(wildcards)
    return f"results/calibrate/{target.plate_mjd}/{target.unit}.npz"


rule plot:
    input:
        exposure=get_extracted,
        calibration=get_calibrated,
    output:
        png=report(
            "results/figures/{target}.png",
            caption="../report/panels.rst",
            category="Figures",
            labels={"target": "{target}", "figure": "six panels"},
        ),
        pdf="results/figures/{target}.pdf",
    log:
        "results/logs/plot/{target}.log",
    benchmark:
        "results/benchmarks/plot/{target}.tsv"
    conda:
        ENVIRONMENT
    params:
        code=code("plot.py"),
        target=lambda wildcards: get_target(wildcards).to_dict(),
    script:
        "../scripts/plot.py"


rule plot_noise:
    input:
        exposure=get_extracted,
        calibration=get_calibrated,
    output:
        png=report(
            "results/figures/{target}-noise.png",
            caption="../report/noise.rst",
            category="Figures",
            labels={"target": "{target}", "figure": "noise"},
        ),
        pdf="results/figures/{target}-noise.pdf",
    log:
        "results/logs/plot_noise/{target}.log",
    benchmark:
        "results/benchmarks/plot_noise/{target}.tsv"
    conda:
        ENVIRONMENT
    params:
        code=code("plot_noise.py"),
        noise_law=RELEASE["noise_law"],
        target=lambda wildcards: get_target(wildcards).to_dict(),
    script:
        "../scripts/plot_noise.py"


# Only for targets from frames: a spec file has no calibration components.
rule plot_budget:
    input:
        exposure=get_extracted,
        calibration=get_calibrated,
    output:
        png=report(
            "results/figures/{target}-budget.png",
            caption="../report/budget.rst",
            category="Figures",
            labels={"target": "{target}", "figure": "error budget"},
        ),
        pdf="results/figures/{target}-budget.pdf",
        table="results/budget/{target}.ecsv",
    log:
        "results/logs/plot_budget/{target}.log",
    benchmark:
        "results/benchmarks/plot_budget/{target}.tsv"
    conda:
        ENVIRONMENT
    params:
        code=code("plot_budget.py"),
        target=lambda wildcards: get_target(wildcards).to_dict(),
    script:
        "../scripts/plot_budget.py"
