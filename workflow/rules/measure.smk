# Where the npz of extract_frame and calibrate are not kept (`keep_intermediates: false`), one process does extract_frame,
# calibrate, compare and write_calib of a camera exposure, and steps that draw make in memory what they would read. The
# two npz are made only where somebody asks for them by name.


def get_measured(wildcards):
    """What a camera exposure and its prediction are read from: two npz, or the survey's files."""
    if CONFIGURATION.keep_intermediates:
        unit = f"{wildcards.release}/{wildcards.plate_mjd}/{wildcards.exposure}"
        return [f"results/{step}/{unit}.npz" for step in ("extract_frame", "calibrate")]
    return get_frame_files(wildcards)


def get_frames(wildcards):
    """How to make them from the survey's files (bosscal.results.measured.Frames), where the npz are not kept."""
    if CONFIGURATION.keep_intermediates:
        return None
    plate, mjd = map(int, wildcards.plate_mjd.split("-"))
    return {
        "names": get_frame_paths(wildcards),
        "release": wildcards.release,
        "plate": plate,
        "mjd": mjd,
        "noise_law": RELEASES[wildcards.release].noise_law,
        "mask_allow": MASK_ALLOW,
        "thrucorr": RELEASES[wildcards.release].thrucorr,
    }


rule measure_frame:
    input:
        get_frame_files,
    output:
        table="results/compare/{release}/{plate_mjd}/{exposure}.ecsv",
        calib="results/calib/{release}/{plate_mjd}/spCalib-{exposure}.fits",
    log:
        "results/logs/measure_frame/{release}/{plate_mjd}/{exposure}.log",
    benchmark:
        "results/benchmarks/measure_frame/{release}/{plate_mjd}/{exposure}.tsv"
    wildcard_constraints:
        exposure=WITHOUT_NPZ,
    group:
        "camera_exposure"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(600),
    params:
        failed_before=failed_before("measure_frame"),
        code=code("measure_frame.py"),
        frames=get_frames,
    script:
        "../scripts/measure_frame.py"
