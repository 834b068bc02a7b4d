# Figures of single spectra, all kinds of one target in one job: starting to draw takes longer than drawing.
# bosscal.figures.kinds lists the kinds.

FIGURE = "results/figures/{release}/{plate_mjd}-{fiber}-{exposure}"


def get_figures(products):
    """Outputs: every kind of figure as PNG, for Snakemake's report too, and as PDF."""
    for kind in kinds.of_spectra(products):
        yield report(
            f"{FIGURE}{kind.suffix}.png",
            caption=f"../report/{kind.module}.rst",
            category="Figures",
            labels={"target": "{release} {plate_mjd}-{fiber}-{exposure}", "figure": kind.words},
        )
        yield f"{FIGURE}{kind.suffix}.pdf"


def asked_for(products):
    """Constraints on wildcards: the releases, plates and fibers that the configuration wants from these products.

    They tell which of the rules below draws a figure without a failed attempt at the other, and before any step has
    run. Only a configuration that wants both from one release, plate and fiber leaves that to the targets.
    """
    requests = [request for request in REQUESTS if request.products == products]
    plates = sorted({request.plate for request in requests})
    fibers = sorted({fiber for request in requests for fiber in request.fibers})
    nothing = "(?!)"
    return {
        "release": "|".join(sorted({re.escape(request.release) for request in requests})) or nothing,
        "plate_mjd": "|".join(rf"{plate:04d}-\d{{5}}" for plate in plates) or nothing,
        "fiber": "|".join(f"{fiber:04d}" for fiber in fibers) or nothing,
    }


def get_target_from(products):
    """Function from wildcards to a target from these products. Another has no such figures: for it the rule is none."""

    def get(wildcards):
        target = get_target(wildcards)
        if target.products != products:
            raise LookupError(f"{target.key} is from {target.products}, not from {products}")
        return target

    return get


def get_step(step, products, suffix=""):
    """Input function: the npz of a step that a target is in."""

    def get(wildcards):
        target = get_target_from(products)(wildcards)
        return f"results/{step}/{target.folder}/{target.unit}.npz"

    return get


rule plot:
    input:
        exposure=get_step("extract_frame", "frames"),
        prediction=get_step("calibrate", "frames"),
    output:
        *get_figures("frames"),
        table="results/budget/{release}/{plate_mjd}/{exposure}-{fiber}.ecsv",
    log:
        "results/logs/plot/{release}/{plate_mjd}/{exposure}-{fiber}.log",
    benchmark:
        "results/benchmarks/plot/{release}/{plate_mjd}/{exposure}-{fiber}.tsv"
    wildcard_constraints:
        **asked_for("frames"),
    conda:
        ENVIRONMENT
    params:
        code=code("plot.py"),
        target=lambda wildcards: get_target(wildcards).to_dict(),
    script:
        "../scripts/plot.py"


rule plot_spec:
    input:
        lambda wildcards: "results/compare/{0.folder}/spec-{0.fiber:04d}.ecsv".format(
            get_target_from("spec")(wildcards)
        ),
    output:
        *get_figures("spec"),
    log:
        "results/logs/plot_spec/{release}/{plate_mjd}/{exposure}-{fiber}.log",
    benchmark:
        "results/benchmarks/plot_spec/{release}/{plate_mjd}/{exposure}-{fiber}.tsv"
    wildcard_constraints:
        **asked_for("spec"),
    conda:
        ENVIRONMENT
    params:
        code=code("plot.py"),
        target=lambda wildcards: get_target(wildcards).to_dict(),
        # Written beside the input, by the same job.
        exposure=get_step("extract_frame", "spec"),
        prediction=get_step("calibrate", "spec"),
    script:
        "../scripts/plot_spec.py"
