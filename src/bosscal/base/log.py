"""How a step of the workflow reports and ends: what it did in its log, a user's mistake as one line.

Steps log with the standard library's ``logging``; a fault of ours leaves its traceback in the log.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TextIO

from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike

logger = logging.getLogger("bosscal")


def amount(path: Pathlike) -> str:
    """A file and its size, for a line of a log."""
    return f"{path} ({Path(path).stat().st_size / 1e6:.1f} MB)"


@contextmanager
def logged(path: Pathlike) -> Iterator[None]:
    """Send what the block logs and prints to a file, and end the process with one line if it fails."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    with open(path, "w", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log), _logging_to(log):
        logger.info("start")
        try:
            yield
        except UserError as error:
            message = f"bosscal: {error}"
            print(message, file=log)
        except Exception as error:  # anything else is ours: keep the traceback for the bug report
            logger.exception("failed")
            message = f"bosscal: unexpected {type(error).__name__}: {error} (a fault of bosscal; details in {path})"
        else:
            logger.info("done in %.2f s", time.monotonic() - begin)
            return
    sys.exit(message)


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
