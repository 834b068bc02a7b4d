# Pages with everything: what was run, how it stands, the numbers, the curves, and what they were made from.
# The script finds every file by its name, so that the order of the inputs does not matter.
from bosscal.base.provenance import digest
from bosscal.report.docs import paths_of


def get_spectra_figures(wildcards):
    return [
        f"results/figures/{target.key}{kind.suffix}.png"
        for target in get_listed_targets()
        for kind in kinds.of_spectra(target.products)
    ]


def get_releases_figures(wildcards):
    return [
        f"results/figures/{folder}-{fiber:04d}{kind.suffix}.png"
        for folder, fiber in get_earlier_releases()
        for kind in kinds.OF_RELEASES
    ]


def get_all_figures(wildcards):
    """Every figure in every format."""
    figures = get_spectra_figures(wildcards) + get_plates_figures(wildcards) + get_releases_figures(wildcards)
    figures += get_coadd_figures() + get_focal_plane_figures()
    return figures + [other for path in figures for other in in_formats(path.removesuffix(".png"))]


def get_budget_tables(wildcards):
    return [
        f"results/budget/{target.folder}/{target.unit}-{target.fiber:04d}.ecsv"
        for target in get_listed_targets()
        if target.products == "frames"
    ]


def get_plates_figures(wildcards):
    exposures = get_whole_exposures()
    of_plates = [
        f"results/figures/{folder}{kind.suffix}.png"
        for folder in dict.fromkeys(folder for folder, _ in exposures)
        for kind in kinds.OF_PLATES
    ]
    return of_plates + [
        f"results/figures/{folder}-{unit}{kind.suffix}.png" for folder, unit in exposures for kind in kinds.OF_EXPOSURES
    ]


def get_outliers(wildcards):
    return [f"results/outliers/{folder}/{unit}.ecsv" for folder, unit in get_whole_exposures()]


def of_frames(get):
    """What an input function tells of every camera exposure from frames, by folder and unit."""
    found = {}
    for folder, unit in get_folders("frames"):
        release, plate_mjd = Path(folder).parts
        wildcards = SimpleNamespace(release=release, plate_mjd=plate_mjd, exposure=unit)
        found[f"{folder}/{unit}"] = get(wildcards)
    return found


def get_all_measured(wildcards):
    return list(dict.fromkeys(path for files in of_frames(get_measured).values() for path in files))


rule report:
    input:
        comparisons=get_comparisons,
        summary=rules.summarize.output[0],
        figures=get_spectra_figures,
        releases=lambda wildcards: get_releases_figures(wildcards) + get_coadd_figures(),
        focal_planes=get_focal_plane_figures,
        runs=lambda wildcards: [rules.collect_coadds.output.png] if get_spectra() else [],
        budget_tables=get_budget_tables,
        plates=get_plates_figures,
        outliers=get_outliers,
        measured=get_all_measured,
        coadds=lambda wildcards: [rules.collect_coadds.output.coadds] if get_spectra() else [],
    output:
        f"{REPORT}/index.html",
        directory(f"{REPORT}/pages"),
    log:
        f"{REPORT.replace('results', 'results/logs', 1)}/report.log",
    benchmark:
        f"{REPORT.replace('results', 'results/benchmarks', 1)}/report.tsv"
    conda:
        ENVIRONMENT
    params:
        failed_before=failed_before("report", f"{REPORT}/index.html"),
        code=code("report.py"),
        documents=digest(paths_of(WORKFLOW / "docs")),
        releases={name: (RELEASES[name].title, RELEASES[name].noise_law) for name in SOURCES},
        sources={
            name: "a simulated mirror made by this workflow" if source.simulated else source.url
            for name, source in SOURCES.items()
        },
        citations={name: citation(RELEASES[name]) for name in SOURCES},
        simulated=[name for name, source in SOURCES.items() if source.simulated],
        mask_allow=CONFIGURATION.mask_allow,
        mask_bits=paths.mask_bits(),
        configuration=shown(CONFIGURATION),
        targets=get_block_parameters,
        failures=get_failures,
        frames=lambda wildcards: {} if CONFIGURATION.keep_intermediates else of_frames(get_frames),
        # Written beside the tables of spec files, by the same jobs.
        spec_exposures=lambda wildcards: get_spec_tables(get_folders("spec")),
    script:
        "../scripts/report.py"
