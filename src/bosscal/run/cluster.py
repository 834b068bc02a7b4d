"""What a run on a SLURM cluster asks of it beside what Snakemake's executor does."""

from __future__ import annotations

import logging
import subprocess
import time
from pathlib import Path

from bosscal.base.errors import UserError

JOB_NAME = "bosscal"  # how names of jobs begin: `slurm-jobname-prefix` of profiles/slurm
LONGEST = 300  # s that a job may take to end
log = logging.getLogger(__name__)


def end_orphans(folder: Path) -> list[str]:
    """End the jobs of a run that was killed, and wait until they have: they would write what this run writes.

    Snakemake ends its jobs when it is interrupted. One that is killed, or whose machine fails, leaves them.

    Parameters
    ----------
    folder : path
        In which the runs were started. This run has it for itself, so that none of the jobs are another's.

    Returns
    -------
    list of str
        Numbers of the jobs.

    Raises
    ------
    UserError
        If the cluster does not answer, or jobs do not end.
    """
    orphans = _jobs_of(folder)
    if orphans:
        log.warning("ending %d jobs that a killed run left on the cluster: %s", len(orphans), " ".join(orphans))
        _ask("scancel", *orphans)
    end = time.monotonic() + LONGEST
    while left := _jobs_of(folder):
        if time.monotonic() > end:
            raise UserError(f"jobs {' '.join(left)} of a killed run do not end on the cluster: scancel them, run again")
        time.sleep(1)
    return orphans


def _jobs_of(folder: Path) -> list[str]:
    """Numbers of the jobs that wait, run or are about to end and were submitted from a folder."""
    rows = [line.split(maxsplit=2) for line in _ask("squeue", "--me", "--noheader", "--format=%i %j %Z").splitlines()]
    return [number for number, name, where in rows if name.startswith(f"{JOB_NAME}_") and Path(where) == folder]


def _ask(*command: str) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        words = " ".join(str(getattr(error, "stderr", "") or error).split())
        raise UserError(f"the cluster does not answer ({command[0]}: {words}); run again when it does") from error
