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


def get_fibers(products):
    """Numbers of the fibers asked for from these products, by release and plate."""
    fibers = defaultdict(set)
    for request in REQUESTS:
        if request.products == products:
            fibers[request.release, request.plate].update(request.fibers)
    return fibers


def get_pattern(fibers):
    """Regular expression of the names of these fibers' spectra, as far as they are known before any job."""
    names = [
        rf"{re.escape(release)}/{plate:04d}-\d+-({'|'.join(f'{fiber:04d}' for fiber in sorted(numbers))})-"
        for (release, plate), numbers in fibers.items()
        if numbers
    ]
    return "|".join(names) or "(?!)"


# Figures from frames and from spec files have names of the same form, so each rule is kept from the other's fibers. For
# a fiber that is asked for from both, only the checkpoints tell which exposure is from which.
FROM_FRAMES, FROM_SPEC = get_fibers("frames"), get_fibers("spec")
NOT_FROM_FRAMES = {plate: fibers - FROM_FRAMES[plate] for plate, fibers in FROM_SPEC.items()}
RELEASE = "|".join(map(re.escape, RELEASES))


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
        release=f"(?!{get_pattern(NOT_FROM_FRAMES)})({RELEASE})",
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
        release=f"(?={get_pattern(FROM_SPEC)})({RELEASE})",
    conda:
        ENVIRONMENT
    params:
        code=code("plot_spec.py"),
        target=lambda wildcards: get_target(wildcards).to_dict(),
        # Written beside the input, by the same job.
        exposure=get_step("extract_frame", "spec"),
        prediction=get_step("calibrate", "spec"),
    script:
        "../scripts/plot_spec.py"
