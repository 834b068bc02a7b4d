# The prediction of calibration and noise from their components, for every fiber of a camera exposure.


rule calibrate:
    input:
        "results/extract_frame/{release}/{plate_mjd}/{exposure}.npz",
    output:
        "results/calibrate/{release}/{plate_mjd}/{exposure}.npz",
    log:
        "results/logs/calibrate/{release}/{plate_mjd}/{exposure}.log",
    benchmark:
        "results/benchmarks/calibrate/{release}/{plate_mjd}/{exposure}.tsv"
    group:
        "camera_exposure"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(400),
    params:
        failed_before=failed_before("calibrate"),
        code=code("calibrate.py"),
        noise_law=lambda wildcards: RELEASES[wildcards.release].noise_law,
        mask_allow=MASK_ALLOW,
        thrucorr=lambda wildcards: RELEASES[wildcards.release].thrucorr,
    script:
        "../scripts/calibrate.py"
