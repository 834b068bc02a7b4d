# Whole plates (`fibers: all`): figures of each camera exposure and of all together instead of one for every fiber,
# and the fibers that stand out. bosscal.figures.kinds lists the kinds of figures.


def get_plate_figures(pattern, kinds_of_figures, label):
    """Outputs: every kind of figure as PNG, for Snakemake's report too, and in the other formats."""
    for kind in kinds_of_figures:
        yield report(
            f"{pattern}{kind.suffix}.png",
            caption=f"../report/{kind.module}.rst",
            category="Plates",
            subcategory=kind.words,
            labels={"exposure": label, "figure": kind.words},
        )
        yield from in_formats(f"{pattern}{kind.suffix}")


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
        look=LOOK,
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
        look=LOOK,
    script:
        "../scripts/plot_plate.py"


@cache
def get_units_by_plate():
    """Folders of plates and nights to the (products, unit) of their camera exposures, each once."""
    found = defaultdict(list)
    for products in ("frames", "spec"):
        for folder, unit in get_folders(products):
            found[folder].append((products, unit))
    return dict(found)


def get_plate_units(wildcards, products):
    folder = f"{wildcards.release}/{wildcards.plate_mjd}"
    if folder not in get_units_by_plate():
        not_asked_for(f"plate {folder}")
    return [(folder, unit) for of_unit, unit in get_units_by_plate()[folder] if of_unit == products]


def get_plate_comparisons(wildcards):
    frames = [f"results/compare/{folder}/{unit}.ecsv" for folder, unit in get_plate_units(wildcards, "frames")]
    return frames + list(dict.fromkeys(get_spec_tables(get_plate_units(wildcards, "spec")).values()))


# Small, and made when the plate is done: all that the page of a survey reads, whatever batches the plates were in.
rule summarize_plate:
    input:
        comparisons=get_plate_comparisons,
        calibs=lambda wildcards: [
            f"results/calib/{folder}/spCalib-{unit}.fits" for folder, unit in get_plate_units(wildcards, "frames")
        ],
    output:
        "results/plates/{release}/{plate_mjd}.ecsv",
    log:
        "results/logs/summarize_plate/{release}/{plate_mjd}.log",
    benchmark:
        "results/benchmarks/summarize_plate/{release}/{plate_mjd}.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    params:
        failed_before=failed_before("summarize_plate"),
        code=code("summarize_plate.py"),
        simulated=lambda wildcards: SOURCES[wildcards.release].simulated,
        # Written beside the tables of spec files, by the same jobs.
        spec_exposures=lambda wildcards: get_spec_tables(get_plate_units(wildcards, "spec")),
    script:
        "../scripts/summarize_plate.py"


def get_whole_plate_tables(wildcards):
    """Of the plates of which all fibers were asked for."""
    whole = dict.fromkeys(block.folder for block in get_blocks() if block.whole_plate)
    return [f"results/plates/{folder}.ecsv" for folder in whole]
