# Full spec files: extract, calibrate and compare for all camera exposures of a spectrum in one job, since starting a
# job takes longer than any of these. The npz and table of each camera exposure lie where those of frames do; the table
# of the whole spectrum is written last and stands for all of them.


def get_spec_name(wildcards):
    """Server path of a full spec file."""
    plate, mjd = map(int, wildcards.plate_mjd.split("-"))
    return get_spec_path(wildcards.release, "spec", plate, mjd, int(wildcards.fiber))


rule measure_spec:
    input:
        lambda wildcards: mirrored(wildcards.release, get_spec_name(wildcards)),
    output:
        "results/compare/{release}/{plate_mjd}/spec-{fiber}.ecsv",
    log:
        "results/logs/measure_spec/{release}/{plate_mjd}/spec-{fiber}.log",
    benchmark:
        "results/benchmarks/measure_spec/{release}/{plate_mjd}/spec-{fiber}.tsv"
    conda:
        ENVIRONMENT
    params:
        code=code("measure_spec.py"),
        name=get_spec_name,
        noise_law=lambda wildcards: RELEASES[wildcards.release].noise_law,
        mask_allow=MASK_ALLOW,
        thrucorr=lambda wildcards: RELEASES[wildcards.release].thrucorr,
    script:
        "../scripts/measure_spec.py"
