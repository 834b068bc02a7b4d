# The prediction of calibration and noise from their components, for every fiber of a camera exposure.


rule calibrate:
    input:
        "results/extract_frame/{plate_mjd}/{unit}.npz",
    output:
        "results/calibrate/{plate_mjd}/{unit}.npz",
    log:
        "results/logs/calibrate/{plate_mjd}/{unit}.log",
    benchmark:
        "results/benchmarks/calibrate/{plate_mjd}/{unit}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=1500,
    params:
        code=code("calibrate.py"),
        noise_law=RELEASE["noise_law"],
        mask_allow=MASK_ALLOW,
    script:
        "../scripts/calibrate.py"
