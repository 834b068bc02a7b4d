# The tutorial's six panels for every target.


def get_target(wildcards):
    return next(target for target in get_targets() if target.name == wildcards.target)


rule plot:
    input:
        exposure=lambda wildcards: "results/extract_frame/{0.plate_mjd}/{0.unit}.npz".format(get_target(wildcards)),
        calibration=lambda wildcards: "results/calibrate/{0.plate_mjd}/{0.unit}.npz".format(get_target(wildcards)),
    output:
        png=report(
            "results/figures/{target}.png",
            caption="../report/panels.rst",
            category="Figures",
            labels={"target": "{target}"},
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
