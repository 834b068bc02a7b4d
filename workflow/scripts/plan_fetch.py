"""Say how many files and bytes a configuration would fetch, and refuse where there is no room for them."""

import sys

from bosscal.base.log import logger, run_step
from bosscal.survey.plan import Wanted, plan_fetch


def main(servers, files):
    """Ask the servers for sizes, and print what would come."""
    plan = plan_fetch([Wanted(servers[release], *rest) for release, *rest in files])
    logger.info("%s", plan.line)
    print(f"bosscal: {plan.line}", file=sys.__stdout__, flush=True)


if "snakemake" in globals():
    run_step(snakemake, lambda: main(snakemake.config["servers"], snakemake.params.files), collects=True)
