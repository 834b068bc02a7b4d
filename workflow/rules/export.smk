# What others can use: per camera exposure one FITS file with calibration, electrons and noise of all fibers.


rule write_calib:
    input:
        exposure="results/extract_frame/{release}/{plate_mjd}/{exposure}.npz",
        prediction="results/calibrate/{release}/{plate_mjd}/{exposure}.npz",
    output:
        "results/calib/{release}/{plate_mjd}/spCalib-{exposure}.fits",
    log:
        "results/logs/write_calib/{release}/{plate_mjd}/{exposure}.log",
    benchmark:
        "results/benchmarks/write_calib/{release}/{plate_mjd}/{exposure}.tsv"
    wildcard_constraints:
        exposure=WITH_NPZ,
    group:
        "camera_exposure"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(400),
    params:
        failed_before=failed_before("write_calib"),
        code=code("write_calib.py"),
    script:
        "../scripts/write_calib.py"


def get_calib_files(wildcards):
    """Of every camera exposure from frames: a spec file is one itself."""
    return [f"results/calib/{folder}/spCalib-{unit}.fits" for folder, unit in get_folders("frames")]
