# All that the later steps need of a camera exposure, in one npz: for all fibers of the camera from the
# per-plate files, or for one fiber from its full spec file.


def get_frame_paths(wildcards):
    """Server paths of the files of a camera exposure."""
    plate, mjd = map(int, wildcards.plate_mjd.split("-"))
    camera, expnum = wildcards.exposure.split("-")
    # Frames are asked for by the targets on them, and one spec-lite file told the exposures of all.
    cameras = next(
        cameras
        for (products, *plate_mjd, _), cameras in get_exposures().items()
        if products == "frames" and plate_mjd == [plate, mjd] and camera in cameras
    )
    return mirror.frame_paths(FINDER, plate, mjd, camera, int(expnum), cameras[camera][int(expnum)])


def get_thrucorr_path(wildcards):
    """Server path of a camera exposure's spXYthrucorr file, if there is one."""
    plate, _ = map(int, wildcards.plate_mjd.split("-"))
    camera, expnum = wildcards.exposure.split("-")
    return mirror.thrucorr_path(FINDER, plate, camera, int(expnum))


# Whether an exposure has a spXYthrucorr file is only known by asking for it: a link to it, or an empty file.
rule find_thrucorr:
    output:
        "results/thrucorr/{plate_mjd}/spXYthrucorr-{exposure}.fits.gz",
    log:
        "results/logs/find_thrucorr/{plate_mjd}/{exposure}.log",
    benchmark:
        "results/benchmarks/find_thrucorr/{plate_mjd}/{exposure}.tsv"
    conda:
        ENVIRONMENT
    resources:
        downloads=1,
    params:
        code=code("find_thrucorr.py"),
        path=get_thrucorr_path,
        mirror=MIRROR,
    script:
        "../scripts/find_thrucorr.py"


rule extract_frame:
    input:
        frames=lambda wildcards: [mirrored(path) for path in get_frame_paths(wildcards)],
        thrucorr=rules.find_thrucorr.output if RELEASE["thrucorr"] else [],
    output:
        "results/extract_frame/{plate_mjd}/{exposure}.npz",
    log:
        "results/logs/extract_frame/{plate_mjd}/{exposure}.log",
    benchmark:
        "results/benchmarks/extract_frame/{plate_mjd}/{exposure}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=1500,
    params:
        code=code("extract_frame.py"),
        names=lambda wildcards: [*get_frame_paths(wildcards), get_thrucorr_path(wildcards)],
    script:
        "../scripts/extract_frame.py"


def get_spec_name(wildcards):
    """Server path of a full spec file."""
    plate, mjd = map(int, wildcards.plate_mjd.split("-"))
    return get_spec_path("spec", plate, mjd, int(wildcards.fiber))


rule extract_spec:
    input:
        lambda wildcards: mirrored(get_spec_name(wildcards)),
    output:
        "results/extract_frame/{plate_mjd}/{exposure}-{fiber}.npz",
    log:
        "results/logs/extract_frame/{plate_mjd}/{exposure}-{fiber}.log",
    benchmark:
        "results/benchmarks/extract_frame/{plate_mjd}/{exposure}-{fiber}.tsv"
    conda:
        ENVIRONMENT
    params:
        code=code("extract_spec.py"),
        name=get_spec_name,
    script:
        "../scripts/extract_spec.py"
