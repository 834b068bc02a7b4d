# All that the later steps need of a camera exposure, in one npz: for all fibers of the camera from the
# per-plate files. (A full spec file is small: spectra.smk does all of its exposures in one job.)


def get_frame_paths(wildcards):
    """Server paths of the files of a camera exposure."""
    release, plate_mjd = wildcards.release, wildcards.plate_mjd
    plate, mjd = map(int, plate_mjd.split("-"))
    camera, expnum = wildcards.exposure.split("-")
    # Frames are asked for by the targets on them, and one spec-lite file told the exposures of all.
    flats = next(
        (
            cameras[camera]
            for (*source, _), cameras in get_exposures().items()
            if source == [release, "frames", plate, mjd] and camera in cameras
        ),
        {},
    )
    if int(expnum) not in flats:
        not_asked_for(f"{release} {plate_mjd} {wildcards.exposure}")
    return paths.frame_paths(FINDERS[release], plate, mjd, camera, int(expnum), flats[int(expnum)])


def get_thrucorr_path(wildcards):
    """Server path of a camera exposure's spXYthrucorr file, if there is one."""
    plate, _ = map(int, wildcards.plate_mjd.split("-"))
    camera, expnum = wildcards.exposure.split("-")
    return paths.thrucorr_path(FINDERS[wildcards.release], plate, camera, int(expnum))


def get_thrucorr(wildcards):
    """Where the answer to whether there is one lies, for releases that may have it."""
    pattern = "results/thrucorr/{release}/{plate_mjd}/spXYthrucorr-{exposure}.fits.gz"
    return [pattern.format(**wildcards)] if RELEASES[wildcards.release].thrucorr else []


# Whether an exposure has a spXYthrucorr file is only known by asking for it: a link to it, or an empty file.
rule find_thrucorr:
    output:
        "results/thrucorr/{release}/{plate_mjd}/spXYthrucorr-{exposure}.fits.gz",
    log:
        "results/logs/find_thrucorr/{release}/{plate_mjd}/{exposure}.log",
    benchmark:
        "results/benchmarks/find_thrucorr/{release}/{plate_mjd}/{exposure}.tsv"
    conda:
        ENVIRONMENT
    resources:
        downloads=1,
    params:
        code=code("find_thrucorr.py"),
        path=get_thrucorr_path,
        mirror=lambda wildcards: SOURCES[wildcards.release].mirror,
    script:
        "../scripts/find_thrucorr.py"


rule extract_frame:
    input:
        frames=lambda wildcards: [mirrored(wildcards.release, path) for path in get_frame_paths(wildcards)],
        thrucorr=get_thrucorr,
    output:
        "results/extract_frame/{release}/{plate_mjd}/{exposure}.npz",
    log:
        "results/logs/extract_frame/{release}/{plate_mjd}/{exposure}.log",
    benchmark:
        "results/benchmarks/extract_frame/{release}/{plate_mjd}/{exposure}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=700,
    params:
        code=code("extract_frame.py"),
        names=lambda wildcards: [*get_frame_paths(wildcards), get_thrucorr_path(wildcards)],
    script:
        "../scripts/extract_frame.py"
