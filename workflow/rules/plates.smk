# Whole plates (`fibers: all`): figures of each camera exposure and of all together instead of one for every fiber,
# and the fibers that stand out. bosscal.figures.kinds lists the kinds of figures.


def get_plate_figures(pattern, kinds_of_figures, label):
    """Outputs: every kind of figure as PNG, for Snakemake's report too, and as PDF."""
    for kind in kinds_of_figures:
        yield report(
            f"{pattern}{kind.suffix}.png",
            caption=f"../report/{kind.module}.rst",
            category="Plates",
            labels={"exposure": label, "figure": kind.words},
        )
        yield f"{pattern}{kind.suffix}.pdf"


rule plot_exposure:
    input:
        measured=get_measured,
        table="results/compare/{release}/{plate_mjd}/{exposure}.ecsv",
    output:
        *get_plate_figures(
            "results/figures/{release}/{plate_mjd}-{exposure}", kinds.OF_EXPOSURES, "{release} {plate_mjd} {exposure}"
        ),
        outliers="results/outliers/{release}/{plate_mjd}/{exposure}.ecsv",
    log:
        "results/logs/plot_exposure/{release}/{plate_mjd}/{exposure}.log",
    benchmark:
        "results/benchmarks/plot_exposure/{release}/{plate_mjd}/{exposure}.tsv"
    group:
        "camera_exposure"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(650),
    params:
        failed_before=failed_before("plot_exposure"),
        code=code("plot_exposure.py"),
        frames=get_frames,
        mask_bits=paths.mask_bits(),
    script:
        "../scripts/plot_exposure.py"


rule plot_plate:
    input:
        lambda wildcards: [
            f"results/compare/{folder}/{unit}.ecsv"
            for folder, unit in get_whole_exposures(f"{wildcards.release}/{wildcards.plate_mjd}")
        ],
    output:
        *get_plate_figures("results/figures/{release}/{plate_mjd}", kinds.OF_PLATES, "{release} {plate_mjd}"),
    log:
        "results/logs/plot_plate/{release}/{plate_mjd}.log",
    benchmark:
        "results/benchmarks/plot_plate/{release}/{plate_mjd}.tsv"
    conda:
        ENVIRONMENT
    params:
        failed_before=failed_before("plot_plate"),
        code=code("plot_plate.py"),
    script:
        "../scripts/plot_plate.py"
