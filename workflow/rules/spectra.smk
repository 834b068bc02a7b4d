# Full spec files: extract, calibrate and compare for all camera exposures of a spectrum in one job, since starting a
# job takes longer than any of these. The npz and table of each camera exposure lie where those of frames do; the table
# of the whole spectrum is written last and stands for all of them.


def get_spec_name(wildcards):
    """Server path of a full spec file."""
    plate, mjd = map(int, wildcards.plate_mjd.split("-"))
    return get_spec_path(wildcards.release, "spec", plate, mjd, int(wildcards.fiber))


def get_lost_header_files(wildcards):
    """Beginnings of the spCFrame files of a spec file that has lost its headers; nothing for the others."""
    plate, mjd = map(int, wildcards.plate_mjd.split("-"))
    source = (wildcards.release, "spec", plate, mjd, int(wildcards.fiber))
    if source not in get_listing().lost:
        return []
    finder = FINDERS[wildcards.release]
    return [
        f"{get_input(wildcards.release, paths.frame_paths(finder, plate, mjd, camera, expnum, flat)[1])}.header"
        for camera, numbers in get_listing().exposures[source].items()
        for expnum, flat in numbers.items()
    ]


rule measure_spec:
    input:
        spec=lambda wildcards: get_input(wildcards.release, get_spec_name(wildcards)),
        headers=get_lost_header_files,
    output:
        "results/compare/{release}/{plate_mjd}/spec-{fiber}.ecsv",
    log:
        "results/logs/measure_spec/{release}/{plate_mjd}/spec-{fiber}.log",
    benchmark:
        "results/benchmarks/measure_spec/{release}/{plate_mjd}/spec-{fiber}.tsv"
    group:
        "spectra"
    conda:
        ENVIRONMENT
    params:
        failed_before=failed_before("measure_spec"),
        code=code("measure_spec.py"),
        name=get_spec_name,
        noise_law=lambda wildcards: RELEASES[wildcards.release].noise_law,
        mask_allow=MASK_ALLOW,
        thrucorr=lambda wildcards: RELEASES[wildcards.release].thrucorr,
    script:
        "../scripts/measure_spec.py"


def get_spec_tables(units):
    """The npz of camera exposures from spec files, by each the table that the same job writes."""
    return {
        f"results/extract_frame/{folder}/{unit}.npz": f"results/compare/{folder}/spec-{unit.split('-')[-1]}.ecsv"
        for folder, unit in units
    }


def get_two_spec_files(wildcards):
    """The full spec file of a target, and that of an earlier release in the run."""
    place = (f"{wildcards.release}/{wildcards.plate_mjd}", int(wildcards.fiber))
    if place not in get_earlier_releases():
        not_asked_for("an earlier release of {release}/{plate_mjd}-{fiber}".format(**wildcards))
    plate, mjd = map(int, wildcards.plate_mjd.split("-"))
    return [
        get_input(release, get_spec_path(release, "spec", plate, mjd, int(wildcards.fiber)))
        for release in (get_earlier_releases()[place], wildcards.release)
    ]


# One spectrum in two releases, of which only the later has a chromatic fiber-position correction T: its sky gives T.
rule compare_releases:
    input:
        get_two_spec_files,
    output:
        "results/compare/{release}/{plate_mjd}/releases-{fiber}.ecsv",
        report(
            "results/figures/{release}/{plate_mjd}-{fiber}-releases.png",
            caption="../report/releases.rst",
            category="Spectra",
            subcategory="Two releases",
            labels={"target": "{release} {plate_mjd}-{fiber}", "figure": "Two releases"},
        ),
        *in_formats("results/figures/{release}/{plate_mjd}-{fiber}-releases"),
    log:
        "results/logs/compare_releases/{release}/{plate_mjd}/{fiber}.log",
    benchmark:
        "results/benchmarks/compare_releases/{release}/{plate_mjd}/{fiber}.tsv"
    conda:
        ENVIRONMENT
    params:
        failed_before=failed_before("compare_releases"),
        code=code("compare_releases.py"),
        look=LOOK,
        releases=lambda wildcards: [
            get_earlier_releases()[f"{wildcards.release}/{wildcards.plate_mjd}", int(wildcards.fiber)],
            wildcards.release,
        ],
        noise_laws=lambda wildcards, input: [
            RELEASES[release].noise_law
            for release in (
                get_earlier_releases()[f"{wildcards.release}/{wildcards.plate_mjd}", int(wildcards.fiber)],
                wildcards.release,
            )
        ],
        mask_allow=MASK_ALLOW,
    script:
        "../scripts/compare_releases.py"
