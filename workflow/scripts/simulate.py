"""Write one of the simulated plate's files; which one follows from the rule."""

from bosscal import simulation
from bosscal.base.log import amount, logged, logger


def main(rule, root, seed, wildcards):
    """Write the file or files of a rule below ``root``."""
    if rule == "simulate_frames":
        simulation.simulate_camera_exposure(root, wildcards.camera, int(wildcards.expnum), seed)
    elif rule == "simulate_flat":
        simulation.write_flat(root, wildcards.camera, seed)
    elif rule == "simulate_fluxdistort":
        simulation.write_fluxdistort(root, seed)
    elif rule == "simulate_platelist":
        simulation.write_platelist(root, seed)
    elif rule == "simulate_spec_lite":
        simulation.write_spec_lite(root, int(wildcards.fiber), seed)
    elif rule == "simulate_spec":
        simulation.write_spec(root, int(wildcards.fiber))
    elif rule == "simulated_plate":
        simulation.write_sha1sum(root)


if "snakemake" in globals():
    with logged(snakemake.log[0]):
        root = snakemake.output[0].partition("/sas/")[0]
        for path in snakemake.input:
            logger.info("read %s", amount(path))
        main(snakemake.rule, root, snakemake.params.seed, snakemake.wildcards)
        for path in snakemake.output:
            logger.info("wrote %s", amount(path))
