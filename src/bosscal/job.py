"""How a step of the workflow ends: a user's mistake as one line, a fault of ours with its traceback in the log."""

import sys
import traceback
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from bosscal.errors import UserError


@contextmanager
def logged(path):
    """Send what the block prints to a log file, and end the process with one line if it fails."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log):
        try:
            yield
        except UserError as error:
            message = f"bosscal: {error}"
            print(message, file=log)
        except Exception as error:  # anything else is ours: keep the traceback for the bug report
            traceback.print_exc(file=log)
            message = f"bosscal: unexpected {type(error).__name__}: {error} (a fault of bosscal; details in {path})"
        else:
            return
    sys.exit(message)
