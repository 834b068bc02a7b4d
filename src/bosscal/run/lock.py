"""The folder that a run works in: for one run at a time, of one layout, and named by the run's configuration."""

import atexit
import fcntl
import json
import logging
import os
import re
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Self, TextIO

from bosscal.base.errors import UserError

log = logging.getLogger(__name__)

BEAT = 15  # s between two touches of a run's signature
FORGOTTEN = 120  # s without one, after which a run on another machine counts as killed
CAMERA_EXPOSURE = re.compile(r"(spCalib-)?[br][12]-\d{8}")
PLATE_MJD = re.compile(r"\d{4,5}-\d{5}")
STEPS_OF_0_1_0 = ("extract_frame", "calibrate", "compare", "calib", "outliers")


class RunLock:
    """The right of one run to a folder of results, as long as this is open; its process ends it at the latest.

    A lock of the kernel keeps out other runs on this machine, and on others where the file system carries locks
    between them. Not all do: so the run also signs a file, which one process alone can create, and touches it every
    :data:`BEAT` seconds. A run on another machine finds it fresh and does not begin; an old one is of a run that was
    killed. Times are those that the file system gives, so that clocks of machines may differ.
    """

    def __init__(self, stream: TextIO, signature: Path, on_lost: Callable[[str], None]) -> None:
        self._stream, self._signature, self._on_lost = stream, signature, on_lost
        self._process, self._token = os.getpid(), ""
        self._ended = threading.Event()

    def sign(self, locked: bool) -> None:
        """Create the signature, in the place of one whose run has ended.

        Parameters
        ----------
        locked : bool
            Whether the kernel's lock is held: then a run that signed on the same machine has ended.

        Raises
        ------
        UserError
            If the run that signed is at work.
        """
        record = {"host": socket.gethostname(), "machine": machine(), "token": uuid.uuid4().hex}
        while True:
            try:
                with open(self._signature, "x", encoding="utf-8") as stream:
                    json.dump(record, stream)
                break
            except FileExistsError:
                self._remove_old(locked)
        self._token = record["token"]
        atexit.register(self.close)
        threading.Thread(target=self._beat, daemon=True).start()

    def _remove_old(self, locked: bool) -> None:
        try:
            signed = self._signature.stat().st_mtime
        except FileNotFoundError:
            return
        os.utime(self._stream.name)
        age = Path(self._stream.name).stat().st_mtime - signed
        other = _signed_by(self._signature)
        ended_here = locked and other.get("machine") == machine()
        if age < FORGOTTEN and not ended_here:
            raise UserError(
                f"another run is at work in this folder, on {other.get('host', 'another machine')}: wait for it to "
                f"end, or run in another one (if it was killed, it is forgotten {FORGOTTEN} s after that)"
            )
        if not ended_here:
            log.warning("a run on %s was killed here; this one goes on", other.get("host", "another machine"))
        self._signature.unlink(missing_ok=True)

    def _beat(self) -> None:
        """Touch the signature; stop the run if it is another's, which took this one for killed."""
        while not self._ended.wait(BEAT):
            other = _signed_by(self._signature)
            if other and other["token"] != self._token:
                self._on_lost(
                    f"a run on {other['host']} took over this folder, for this one did not move; it ends here"
                )
                return
            with suppress(OSError):  # of a file server that does not answer: the next time
                os.utime(self._signature)

    def close(self) -> None:
        """Let other runs begin."""
        if self._ended.is_set() or os.getpid() != self._process:
            return
        self._ended.set()
        if _signed_by(self._signature).get("token") == self._token:
            self._signature.unlink(missing_ok=True)
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def machine() -> str:
    """What tells this machine from others: processes of one machine see each other's locks."""
    return f"{socket.gethostname()} {uuid.getnode():012x}"  # nodes may all be called localhost


def _signed_by(signature: Path) -> dict[str, str]:
    """Who signed; nothing where nobody did, or is just about to."""
    try:
        record: dict[str, str] = json.loads(signature.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record


def _interrupt(words: str) -> None:
    """End this run as Ctrl-C does."""
    print(f"bosscal: {words}", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGINT)


def lock_run(folder: Path | str, on_lost: Callable[[str], None] = _interrupt) -> RunLock:
    """Keep other runs, of this machine and of others, out of a folder of results until the returned lock is closed.

    Snakemake's own lock outlives a killed run and has to be removed by hand; this one does not.

    Parameters
    ----------
    folder : path
        Of the results; it is made if it is not there.
    on_lost : callable
        Takes words where a run on another machine has taken over, since this one was halted for long.

    Returns
    -------
    RunLock
        To be kept: when it is closed, or its process ends, the lock is gone.

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
    locked = True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        stream.close()
        raise UserError("another run is at work in this folder: wait for it to end, or run in another one") from error
    except OSError:
        locked = False  # some network file systems have no locks: the signature alone tells
    run = RunLock(stream, path.with_name(".run"), on_lost)
    try:
        run.sign(locked)
    except UserError:
        stream.close()
        raise
    return run


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
