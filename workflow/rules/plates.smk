# Whole plates (`fibers: all`): figures of each camera exposure and of all together instead of one for every fiber,
# and the fibers that stand out.


def get_whole_exposures(plate_mjd=None):
    """(plate_mjd, unit) of the camera exposures of which all fibers were asked for, of one night or of all."""
    units = {
        (target.plate_mjd, target.unit): None
        for target in get_targets()
        if target.whole_plate and target.products == "frames" and plate_mjd in (None, target.plate_mjd)
    }
    return list(units)


rule plot_exposure:
    input:
        exposure="results/extract_frame/{plate_mjd}/{exposure}.npz",
        calibration="results/calibrate/{plate_mjd}/{exposure}.npz",
        table="results/compare/{plate_mjd}/{exposure}.ecsv",
    output:
        residuals=report(
            "results/figures/{plate_mjd}-{exposure}-residuals.png",
            caption="../report/residuals.rst",
            category="Plates",
            labels={"exposure": "{plate_mjd} {exposure}", "figure": "residuals"},
        ),
        residuals_pdf="results/figures/{plate_mjd}-{exposure}-residuals.pdf",
        ratios=report(
            "results/figures/{plate_mjd}-{exposure}-ratios.png",
            caption="../report/ratios.rst",
            category="Plates",
            labels={"exposure": "{plate_mjd} {exposure}", "figure": "variance ratios"},
        ),
        ratios_pdf="results/figures/{plate_mjd}-{exposure}-ratios.pdf",
        outliers="results/outliers/{plate_mjd}/{exposure}.ecsv",
    log:
        "results/logs/plot_exposure/{plate_mjd}/{exposure}.log",
    benchmark:
        "results/benchmarks/plot_exposure/{plate_mjd}/{exposure}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=1500,
    params:
        code=code("plot_exposure.py"),
        mask_bits=mirror.mask_bits(),
        mask_allow=MASK_ALLOW,
    script:
        "../scripts/plot_exposure.py"


rule plot_plate:
    input:
        lambda wildcards: [
            f"results/compare/{plate_mjd}/{unit}.ecsv" for plate_mjd, unit in get_whole_exposures(wildcards.plate_mjd)
        ],
    output:
        png=report(
            "results/figures/{plate_mjd}-overview.png",
            caption="../report/overview.rst",
            category="Plates",
            labels={"exposure": "{plate_mjd}", "figure": "all camera exposures"},
        ),
        pdf="results/figures/{plate_mjd}-overview.pdf",
    log:
        "results/logs/plot_plate/{plate_mjd}.log",
    benchmark:
        "results/benchmarks/plot_plate/{plate_mjd}.tsv"
    conda:
        ENVIRONMENT
    params:
        code=code("plot_plate.py"),
    script:
        "../scripts/plot_plate.py"
