# Simulated plates: a server's worth of files in the survey's format, made on demand below results/simulated/.
# README.md, section "The simulated plate", says what it contains.
from bosscal import simulation
from bosscal.base.provenance import digest

SIMULATION = {
    "seed": 20130402,
    # Only the simulation's own modules: an edit of the calibration is judged against data that stay as they were.
    "code": digest([SOURCE / "bosscal/base/elementary.py", *sorted((SOURCE / "bosscal/simulation").glob("*.py"))]),
}


def simulated(server_path):
    return f"{SIMULATED}/{server_path}"


def pattern(server_path, **wildcards):
    """Output pattern from the path of an example of the tutorial's plate: each value is replaced by its wildcard."""
    path = str(server_path)
    for name, value in ({"plate": str(simulation.PLATE), "mjd": str(simulation.MJD)} | wildcards).items():
        path = path.replace(value, f"{{{name}}}")
    return simulated(path)


wildcard_constraints:
    plate=r"\d{4,5}",
    mjd=r"\d{5}",
    expnum=r"\d{8}",


rule simulate_frames:
    output:
        [pattern(path, camera="b1", expnum="00158842") for path in simulation.camera_exposure_paths("b1", 158842)],
    log:
        "results/logs/simulate/{plate}/frames-{camera}-{expnum}.log",
    benchmark:
        "results/benchmarks/simulate/{plate}/frames-{camera}-{expnum}.tsv"
    group:
        "simulation"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory(500),
    params:
        **SIMULATION,
    script:
        "../scripts/simulate.py"


rule simulate_flat:
    output:
        pattern(simulation.flat_path("b1"), camera="b1", expnum=f"{simulation.TUTORIAL.flat:08d}"),
    log:
        "results/logs/simulate/{plate}/flat-{camera}-{expnum}.log",
    benchmark:
        "results/benchmarks/simulate/{plate}/flat-{camera}-{expnum}.tsv"
    group:
        "simulation"
    conda:
        ENVIRONMENT
    params:
        **SIMULATION,
    script:
        "../scripts/simulate.py"


rule simulate_fluxdistort:
    output:
        pattern(simulation.fluxdistort_path()),
    log:
        "results/logs/simulate/{plate}/fluxdistort-{mjd}.log",
    benchmark:
        "results/benchmarks/simulate/{plate}/fluxdistort-{mjd}.tsv"
    group:
        "simulation"
    conda:
        ENVIRONMENT
    params:
        **SIMULATION,
    script:
        "../scripts/simulate.py"


rule simulate_platelist:
    output:
        simulated(simulation.platelist_path()),
    log:
        "results/logs/simulate/platelist.log",
    benchmark:
        "results/benchmarks/simulate/platelist.tsv"
    group:
        "simulation"
    conda:
        ENVIRONMENT
    params:
        **SIMULATION,
    script:
        "../scripts/simulate.py"


rule simulate_spec_lite:
    output:
        pattern(simulation.spec_path(1, lite=True), fiber="0001"),
    log:
        "results/logs/simulate/{plate}/spec-lite-{mjd}-{fiber}.log",
    benchmark:
        "results/benchmarks/simulate/{plate}/spec-lite-{mjd}-{fiber}.tsv"
    group:
        "simulation"
    conda:
        ENVIRONMENT
    params:
        **SIMULATION,
    script:
        "../scripts/simulate.py"


def get_frames_of_spectrograph(wildcards):
    side = targets.spectrograph(int(wildcards.fiber))
    plate = simulation.Plate(int(wildcards.plate), int(wildcards.mjd))
    cameras = [camera for camera in simulation.CAMERAS if camera.endswith(str(side))]
    frames = [
        path
        for camera in cameras
        for expnum in plate.exposures
        for path in simulation.camera_exposure_paths(camera, expnum, plate)
    ]
    return list(map(simulated, [*frames, *(simulation.flat_path(camera, plate) for camera in cameras)]))


rule simulate_spec:
    input:
        get_frames_of_spectrograph,
    output:
        pattern(simulation.spec_path(1, lite=False), fiber="0001"),
    log:
        "results/logs/simulate/{plate}/spec-{mjd}-{fiber}.log",
    benchmark:
        "results/benchmarks/simulate/{plate}/spec-{mjd}-{fiber}.tsv"
    group:
        "simulation"
    conda:
        ENVIRONMENT
    params:
        **SIMULATION,
    script:
        "../scripts/simulate.py"


# The whole folder of the tutorial's plate with its checksums: `snakemake simulated_plate`.
rule simulated_plate:
    input:
        frames=[
            simulated(path)
            for camera in simulation.CAMERAS
            for expnum in simulation.EXPOSURES
            for path in simulation.camera_exposure_paths(camera, expnum)
        ],
        flats=[simulated(simulation.flat_path(camera)) for camera in simulation.CAMERAS],
        fluxdistort=simulated(simulation.fluxdistort_path()),
        platelist=rules.simulate_platelist.output,
    output:
        simulated(simulation.sha1sum_path()),
    log:
        "results/logs/simulate/sha1sum.log",
    benchmark:
        "results/benchmarks/simulate/sha1sum.tsv"
    conda:
        ENVIRONMENT
    params:
        **SIMULATION,
    script:
        "../scripts/simulate.py"
