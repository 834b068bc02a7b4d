# What others can use: per camera exposure one FITS file with calibration, electrons and noise of all fibers.


rule write_calib:
    input:
        exposure="results/extract_frame/{plate_mjd}/{exposure}.npz",
        calibration="results/calibrate/{plate_mjd}/{exposure}.npz",
    output:
        "results/calib/{plate_mjd}/spCalib-{exposure}.fits",
    log:
        "results/logs/write_calib/{plate_mjd}/{exposure}.log",
    benchmark:
        "results/benchmarks/write_calib/{plate_mjd}/{exposure}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=1500,
    params:
        code=code("write_calib.py"),
        noise_law=RELEASE["noise_law"],
        release=config["release"],
    script:
        "../scripts/write_calib.py"


def get_calib_files(wildcards):
    """Of every camera exposure from frames: a spec file is one itself."""
    units = {(target.plate_mjd, target.unit): None for target in get_targets() if target.products == "frames"}
    return [f"results/calib/{plate_mjd}/spCalib-{unit}.fits" for plate_mjd, unit in units]
