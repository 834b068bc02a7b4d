"""The folder that a run works in: for one run at a time, of one layout, and named by the run's configuration."""

import fcntl
import logging
import re
from collections.abc import Collection
from pathlib import Path
from typing import TextIO

from bosscal.base.errors import UserError

log = logging.getLogger(__name__)

CAMERA_EXPOSURE = re.compile(r"(spCalib-)?[br][12]-\d{8}")
PLATE_MJD = re.compile(r"\d{4,5}-\d{5}")
STEPS_OF_0_1_0 = ("extract_frame", "calibrate", "compare", "calib", "outliers")


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
    # `report` holds folders that configurations name, which may be called anything.
    steps = [folder / name for name in STEPS_OF_0_1_0]
    old = next((inner for step in steps if step.is_dir() for inner in step.iterdir() if _is_old(inner)), None)
    if old is not None:
        raise UserError(
            f"{folder}: made by bosscal 0.1.0, which kept files in other places ({old}): move it away or delete it"
        )


def _is_old(path: Path) -> bool:
    """Whether 0.1.0 made this folder, results/STEP/PPPP-MMMMM, with files of camera exposures.

    A configuration may have that name too: in its folder is a summary.
    """
    if PLATE_MJD.fullmatch(path.name) is None or not path.is_dir():
        return False
    return any(CAMERA_EXPOSURE.match(file.name) for file in path.iterdir())


def configuration_name(
    configfile: Path | str | None, default: Path | str = "config.yaml", releases: Collection[str] = ()
) -> str | None:
    """NAME of ``--configfile NAME.yaml``, fit for the name of a folder.

    Parameters
    ----------
    configfile : path or None
        As given by the user, if it was.
    default : path
        The configuration that is used if none is given; ``config.yaml`` in the working directory is no other.
    releases : collection of str
        Names of the releases.

    Returns
    -------
    str or None
        None for the default.

    Raises
    ------
    UserError
        If the name is that of a release, whose tables lie in a folder of that name, or of a folder of the report.
    """
    if configfile is None or Path(configfile).resolve() in {Path(default).resolve(), Path("config.yaml").resolve()}:
        return None
    name = re.sub(r"[^A-Za-z0-9._-]", "-", Path(configfile).stem).lstrip(".") or "config"
    if name == "pages":  # a folder of the default report
        raise UserError(f"{configfile}: 'pages' is the name of a folder of the report; give another name")
    if name in releases:
        raise UserError(f"{configfile}: '{name}' is the name of a release; give the configuration another name")
    return name
