"""The folder that a run works in: for one run at a time, of one layout, and named by the run's configuration."""

import fcntl
import logging
import re
from pathlib import Path
from typing import TextIO

from bosscal.base.errors import UserError

log = logging.getLogger(__name__)

PLATE_MJD = re.compile(r"\d{4,5}-\d{5}")


def lock_run(folder: Path | str) -> TextIO:
    """Keep other runs out of a folder of results for as long as the returned file is open.

    Snakemake's own lock outlives a killed run and has to be removed by hand; this one ends with its process.

    Parameters
    ----------
    folder : path
        Of the results; it is made if it is not there.

    Returns
    -------
    file
        To be kept: when it is closed or collected, the lock is gone.

    Raises
    ------
    UserError
        If another run holds the lock, or the folder cannot be written.
    """
    path = Path(folder) / ".lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = open(path, "w", encoding="utf-8")  # noqa: SIM115 (it stays open)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); run in a folder of your own") from error
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        stream.close()
        raise UserError("another run is at work in this folder: wait for it to end, or run in another one") from error
    except OSError as error:
        # Some network file systems have no locks. That is no reason not to run there.
        log.warning("%s: no lock on this file system (%s); do not start a second run here", path, error.strerror)
    return stream


def refuse_old_results(folder: Path | str) -> None:
    """Refuse a folder of results that version 0.1.0 made: there, no release came before plate and night.

    Raises
    ------
    UserError
        If there is such a folder; its files would be taken for others, or lie beside them for ever.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return
    old = next(
        (inner for step in folder.iterdir() if step.is_dir() for inner in step.iterdir() if _is_old(inner)), None
    )
    if old is not None:
        raise UserError(
            f"{folder}: made by bosscal 0.1.0, which kept files in other places ({old}): move it away or delete it"
        )


def _is_old(path: Path) -> bool:
    """Whether 0.1.0 made this folder: results/STEP/PPPP-MMMMM, or results/mirror/RELEASE with a server's files."""
    if path.parent.name == "mirror":
        return (path / "sas").is_dir()
    return PLATE_MJD.fullmatch(path.name) is not None and path.is_dir()


def configuration_name(configfile: Path | str | None, default: Path | str = "config.yaml") -> str | None:
    """NAME of ``--configfile NAME.yaml``, fit for the name of a folder.

    Parameters
    ----------
    configfile : path or None
        As given by the user, if it was.
    default : path
        The configuration that is used if none is given; ``config.yaml`` in the working directory is no other.

    Returns
    -------
    str or None
        None for the default.
    """
    if configfile is None or Path(configfile).resolve() in {Path(default).resolve(), Path("config.yaml").resolve()}:
        return None
    return re.sub(r"[^A-Za-z0-9._-]", "-", Path(configfile).stem).lstrip(".") or "config"
