"""Write one of the simulated plate's files; which one follows from the rule."""

from bosscal import simulation
from bosscal.base.log import amount, logger, run_step


def plate_of(wildcards):
    """The plate that a file is of, by its night or by the number of its exposure; the tutorial's if it says neither."""
    if not wildcards.get("plate"):
        return simulation.TUTORIAL
    if wildcards.get("expnum"):
        return simulation.plate_of_exposure(int(wildcards.plate), int(wildcards.expnum))
    return simulation.Plate(int(wildcards.plate), int(wildcards.mjd))


def write(rule, root, seed, wildcards):
    """Write the file or files of a rule below ``root``."""
    plate = plate_of(wildcards)
    if rule == "simulate_frames":
        simulation.simulate_camera_exposure(root, wildcards.camera, int(wildcards.expnum), seed, plate)
    elif rule == "simulate_flat":
        simulation.write_flat(root, wildcards.camera, seed, plate)
    elif rule == "simulate_fluxdistort":
        simulation.write_fluxdistort(root, seed, plate)
    elif rule == "simulate_platelist":
        simulation.write_platelist(root, seed)
    elif rule == "simulate_spec_lite":
        simulation.write_spec_lite(root, int(wildcards.fiber), seed, plate)
    elif rule == "simulate_spec":
        simulation.write_spec(root, int(wildcards.fiber), plate)
    elif rule == "simulated_plate":
        simulation.write_sha1sum(root)


def main(rule, seed, wildcards, inputs, outputs):
    """Write the outputs of a rule, and say so."""
    for path in inputs:
        logger.info("read %s", amount(path))
    write(rule, outputs[0].partition("/sas/")[0], seed, wildcards)
    for path in outputs:
        logger.info("wrote %s", amount(path))


if "snakemake" in globals():
    job = snakemake
    run_step(job, lambda: main(job.rule, job.params.seed, job.wildcards, list(job.input), list(job.output)))
