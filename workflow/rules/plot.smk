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


def releases_of(products):
    """Constraint of a figure's release that looks ahead: it fits the spectra asked for from these products alone."""
    asked = {request.products for request in REQUESTS if not request.whole_plate}
    if QUERY and QUERY.fibers != "all" and (asked := asked | {QUERY.products}) != {QUERY.products}:
        with user_errors():
            raise UserError(f"query.products: is {QUERY.products}, and that of some targets is not; give them one kind")
    if asked == {products}:
        return "|".join(map(re.escape, RELEASES))
    fibers = sorted(targets.fibers_from(products, REQUESTS, whole_plates=False))
    spectra = [
        rf"{re.escape(release)}/{plate:04d}-\d{{5}}-{fiber:04d}-{band}" for release, plate, fiber, band in fibers
    ]
    tables = [
        rf"{re.escape(release)}/{plate:04d}-\d{{5}}/{band}[12]-\d{{8}}-{fiber:04d}"
        for release, plate, fiber, band in fibers
    ]
    return f"(?={'|'.join(spectra + tables)})[^/]+" if fibers else "(?!)"


def get_spectrum(wildcards):
    """What a target is read from."""
    get_target(wildcards)  # or one line that it was not asked for
    return get_measured(wildcards)


def get_npz_of_spec(step):
    """Parameter function: the npz of a step that a target from a spec file is in."""

    def get(wildcards):
        target = get_target(wildcards)
        return f"results/{step}/{target.folder}/{target.unit}.npz"

    return get


rule plot:
    input:
        measured=get_spectrum,
        # What made this found the survey's files to belong together.
        table=lambda wildcards: (
            []
            if CONFIGURATION.keep_intermediates
            else "results/compare/{release}/{plate_mjd}/{exposure}.ecsv".format(**wildcards)
        ),
    output:
        *get_figures("frames"),
        table="results/budget/{release}/{plate_mjd}/{exposure}-{fiber}.ecsv",
    log:
        "results/logs/plot/{release}/{plate_mjd}/{exposure}-{fiber}.log",
    benchmark:
        "results/benchmarks/plot/{release}/{plate_mjd}/{exposure}-{fiber}.tsv"
    wildcard_constraints:
        release=releases_of("frames"),
    group:
        "camera_exposure"
    conda:
        ENVIRONMENT
    params:
        failed_before=failed_before("plot"),
        code=code("plot.py"),
        frames=get_frames,
        target=lambda wildcards: get_target(wildcards).to_dict(),
    script:
        "../scripts/plot.py"


rule plot_spec:
    input:
        lambda wildcards: "results/compare/{0.folder}/spec-{0.fiber:04d}.ecsv".format(get_target(wildcards)),
    output:
        *get_figures("spec"),
    log:
        "results/logs/plot_spec/{release}/{plate_mjd}/{exposure}-{fiber}.log",
    benchmark:
        "results/benchmarks/plot_spec/{release}/{plate_mjd}/{exposure}-{fiber}.tsv"
    wildcard_constraints:
        release=releases_of("spec"),
    group:
        "spectra"
    conda:
        ENVIRONMENT
    params:
        failed_before=failed_before("plot_spec"),
        code=code("plot_spec.py"),
        target=lambda wildcards: get_target(wildcards).to_dict(),
        # Written beside the input, by the same job.
        exposure=get_npz_of_spec("extract_frame"),
        prediction=get_npz_of_spec("calibrate"),
    script:
        "../scripts/plot_spec.py"
