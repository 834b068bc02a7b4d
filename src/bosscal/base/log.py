"""How a step of the workflow reports and ends: what it did in its log, a user's mistake as its outcome.

Steps log with the standard library's ``logging``; a fault of ours leaves its traceback in the log, and ends the step.
"""

from __future__ import annotations

import errno
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Protocol, TextIO

from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike
from bosscal.base.outcomes import Failure, note_failures, sort_out, step_name, write_outcome

logger = logging.getLogger("bosscal")


def amount(path: Pathlike) -> str:
    """A file and its size, for a line of a log."""
    return f"{path} ({Path(path).stat().st_size / 1e6:.1f} MB)"


class Progress:
    """Says how a transfer goes on: in the log each half minute, and on a terminal each five seconds.

    Parameters
    ----------
    name : str
        What is transferred.
    terminal : file, optional
        Where the frequent lines go; the terminal, if the process has one.
    clock : callable, optional
        Seconds.
    """

    ON_TERMINAL, IN_LOG = 5.0, 30.0  # s

    def __init__(self, name: str, terminal: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        if terminal is None and sys.__stderr__ is not None and sys.__stderr__.isatty():
            terminal = sys.__stderr__
        self._name, self._terminal, self._clock = name, terminal, clock
        self._begin: tuple[float, int] | None = None
        self._shown = self._logged = clock()

    def __call__(self, there: int, total: int | None) -> None:
        """Note that so many bytes are there, of ``total`` if that is known."""
        now = self._clock()
        if self._begin is None:
            self._begin = now, there
        if now - self._logged >= self.IN_LOG:
            self._logged = now
            logger.info("%s", self._words(now, there, total))
        if self._terminal is not None and now - self._shown >= self.ON_TERMINAL:
            self._shown = now
            print(self._words(now, there, total), file=self._terminal, flush=True)

    def _words(self, now: float, there: int, total: int | None) -> str:
        begin, had = self._begin or (now, there)
        rate = (there - had) / max(now - begin, 1e-3)
        of = "" if total is None else f" of {total / 1e6:.0f}"
        left = "" if total is None or rate <= 0 else f", {_duration((total - there) / rate)} left"
        return f"{self._name}: {there / 1e6:.0f}{of} MB, {rate / 1e6:.2f} MB/s{left}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class Job(Protocol):
    """What a step is told: the names of its rule and of what it works on, and its files."""

    @property
    def rule(self) -> str: ...
    @property
    def wildcards(self) -> Iterable[str]: ...
    @property
    def input(self) -> Sequence[str]: ...
    @property
    def output(self) -> Sequence[str]: ...
    @property
    def log(self) -> Sequence[str]: ...


def run_step(job: Job, work: Callable[[], Sequence[Failure] | None], collects: bool = False) -> None:
    """Do a step's work, so that what fails costs what needs it and nothing else.

    Where an input was not made, or the work ends with a :class:`UserError`, every output says why
    (:mod:`bosscal.base.outcomes`), and the step itself has ended well: whatever else can be made is.

    Parameters
    ----------
    job : Job
    work : callable
        Writes the outputs. A step that collects returns the failures of which it has made what it could.
    collects : bool
        Whether the step sorts out by itself which of its inputs were not made.
    """
    step = step_name(job.rule, job.wildcards, job.output)
    with logged(job.log[0]):
        failures = [] if collects else sort_out(job.input)[1]
        if failures:
            logger.info("an input was not made: %s", "; ".join(failure.line for failure in failures))
            for path in job.output:
                write_outcome(path, failures)
            return
        try:
            left_out = work()
        except (UserError, OSError) as error:
            cause = _cause(error)
            logger.info("%s", cause)
            own = [Failure(job.rule, " ".join(job.wildcards), cause, str(job.log[0]))]
            try:
                for path in job.output:
                    write_outcome(path, own)
                note_failures(step, own)
            except OSError as second:  # there is no room for these either
                raise UserError(_cause(second)) from second
        else:
            note_failures(step, left_out or [])


def _cause(error: UserError | OSError) -> str:
    """A mistake on one line; a disk without room is one, other errors of the system are raised again."""
    if isinstance(error, UserError):
        return "; ".join(str(error).splitlines())
    # astropy gives no number of the error
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or "enough space on disk" in str(error):
        where = error.filename or Path("results").resolve()
        return f"{where}: no space left on device; make room there, and run again"
    raise error


@contextmanager
def logged(path: Pathlike) -> Iterator[None]:
    """Send what the block logs and prints to a file; if it fails, end the process with one line as the file's last."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    with open(path, "w", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log), _logging_to(log):
        logger.info("start")
        try:
            yield
        except UserError as error:
            with suppress(OSError):
                print(f"bosscal: {error}", file=log, flush=True)
        except Exception as error:  # anything else is ours: keep the traceback for the bug report
            logger.exception("failed")
            words = " ".join(str(error).split())
            print(
                f"bosscal: unexpected {type(error).__name__}: {words} (a fault of bosscal; details in {path})", file=log
            )
        else:
            logger.info("done in %.2f s", time.monotonic() - begin)
            return
    sys.exit(1)  # the run's last lines tell what the log does


@contextmanager
def _logging_to(stream: TextIO) -> Iterator[None]:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
