# All that the later steps need of a camera exposure, in one npz: for all fibers of the camera from the
# per-plate files. (A full spec file is small: spectra.smk does all of its exposures in one job.)


def get_frame_paths(wildcards):
    """Server paths of the files of a camera exposure."""
    release, plate_mjd = wildcards.release, wildcards.plate_mjd
    plate, mjd = map(int, plate_mjd.split("-"))
    camera, expnum = wildcards.exposure.split("-")
    # Frames are asked for by the targets on them, and one spec-lite file told the exposures of all.
    flats = get_flats().get((release, plate, mjd, camera), {})
    if int(expnum) not in flats:
        not_asked_for(f"{release} {plate_mjd} {wildcards.exposure}")
    frames = paths.frame_paths(FINDERS[release], plate, mjd, camera, int(expnum), flats[int(expnum)])
    if RELEASES[release].thrucorr:
        frames.append(paths.thrucorr_path(FINDERS[release], plate, camera, int(expnum)))
    return frames


def get_frame_files(wildcards):
    """The files of a camera exposure."""
    return [get_input(wildcards.release, path) for path in get_frame_paths(wildcards)]


rule extract_frame:
    input:
        get_frame_files,
    output:
        "results/extract_frame/{release}/{plate_mjd}/{exposure}.npz",
    log:
        "results/logs/extract_frame/{release}/{plate_mjd}/{exposure}.log",
    benchmark:
        "results/benchmarks/extract_frame/{release}/{plate_mjd}/{exposure}.tsv"
    group:
        "camera_exposure"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(500),
    params:
        failed_before=failed_before("extract_frame", judges=["calibrate"]),
        code=code("extract_frame.py"),
        names=get_frame_paths,
    script:
        "../scripts/extract_frame.py"
