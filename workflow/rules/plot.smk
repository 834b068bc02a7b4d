# Figures of single spectra, all kinds of one target in one job: starting to draw takes longer than drawing.
# bosscal.figures.kinds lists the kinds.

LOOK_OF_PANELS = LOOK | {"panels": CONFIGURATION.figures.panels or ()}
FIGURE = "results/figures/{release}/{plate_mjd}-{fiber}-{exposure}"


def get_figures(products):
    """Outputs: every kind of figure as PNG, for Snakemake's report too, and in the other formats."""
    for kind in kinds.of_spectra(products):
        yield report(
            f"{FIGURE}{kind.suffix}.png",
            caption=f"../report/{kind.module}.rst",
            category="Spectra",
            subcategory=kind.words,
            labels={"target": "{release} {plate_mjd}-{fiber}-{exposure}", "figure": kind.words},
        )
        yield from in_formats(f"{FIGURE}{kind.suffix}")


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


def get_npz(step):
    """Input or parameter function: the npz of a step that a target is in."""

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
        look=LOOK_OF_PANELS,
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
        look=LOOK_OF_PANELS,
        target=lambda wildcards: get_target(wildcards).to_dict(),
        # Written beside the input, by the same job.
        exposure=get_npz("extract_frame"),
        prediction=get_npz("calibrate"),
    script:
        "../scripts/plot_spec.py"


def get_panel_inputs(wildcards):
    """The npz of a target from frames; of one from a spec file the table that is written with them."""
    target = get_target(wildcards)
    if target.products == "spec":
        return {"record": f"results/compare/{target.folder}/spec-{target.fiber:04d}.ecsv"}
    return {"exposure": get_npz("extract_frame")(wildcards), "prediction": get_npz("calibrate")(wildcards)}


# One of the six panels alone, as wide as a column, when it is asked for by its name.
rule plot_panel:
    input:
        unpack(get_panel_inputs),
    output:
        f"{FIGURE}{kinds.PANEL_INFIX}{{panel}}.{{form}}",
    log:
        "results/logs/plot_panel/{release}/{plate_mjd}/{exposure}-{fiber}-{panel}-{form}.log",
    benchmark:
        "results/benchmarks/plot_panel/{release}/{plate_mjd}/{exposure}-{fiber}-{panel}-{form}.tsv"
    wildcard_constraints:
        panel="|".join(kinds.PANELS),
        form="png|pdf|svg",
    conda:
        ENVIRONMENT
    params:
        failed_before=failed_before("plot_panel"),
        code=code("plot_panel.py"),
        look=LOOK,
        target=lambda wildcards: get_target(wildcards).to_dict(),
        exposure=get_npz("extract_frame"),
        prediction=get_npz("calibrate"),
    script:
        "../scripts/plot_panel.py"
