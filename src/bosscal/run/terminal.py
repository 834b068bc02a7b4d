"""What the terminal shows of a run: a user's words, and at its end why something was not made.

Snakemake tells of a failed job in its own terms, several times. Here that is left to its log file: a step has said why
it failed, in its outcome or its log, and the run ends with those lines.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bosscal.base.outcomes import Failure, unique

STREAM_HANDLER = "DefaultStreamHandler"  # Snakemake's name of its handler that writes to the terminal
_ENDS = ("At least one job did not complete successfully", "Exiting because a job execution failed")
_TIDYING = "Removing output files of failed job"
_OF_JOBS = ("RuleException", "CalledProcessError")


class Terminal(logging.Filter):
    """A filter of what Snakemake writes to the terminal, which remembers the jobs that ended without an outcome."""

    def __init__(self) -> None:
        super().__init__()
        self._broken: list[Failure] = []

    @classmethod
    def take_over(cls, logger: logging.Logger) -> Terminal:
        """Stand between Snakemake's logger and the terminal."""
        terminal = cls()
        # Of the logger for what is remembered, of the handler for what is shown.
        logger.addFilter(terminal._remember)
        for handler in logger.handlers:
            if handler.name == STREAM_HANDLER:
                handler.addFilter(terminal)
        return terminal

    def _remember(self, record: logging.LogRecord) -> bool:
        """Note a job that broke; let the record pass."""
        if _event(record) == "job_error":
            self._broken.append(_failure(record))
        return True

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown: nothing of a job that failed is, for the end of the run tells it."""
        if _event(record) in ("job_error", "group_error"):
            return False
        text = record.getMessage()
        if record.levelno < logging.ERROR:
            return not text.startswith(_TIDYING)
        return not any(words in text for words in _ENDS) and not text.startswith(_OF_JOBS)

    def all_is_made(self) -> None:
        """Forget the jobs that broke: each was tried again, and ended well."""
        self._broken.clear()

    def causes(self, failures: Iterable[Failure]) -> list[str]:
        """The last lines of a run: all that failed, each once; none if nothing did."""
        lines = [f"bosscal: {failure.line}" for failure in unique([*failures, *self._broken])]
        if not lines:
            return []
        number = f"{len(lines)} thing{'s' if len(lines) > 1 else ''}"
        rest = "; whatever does not need them is there" if not self._broken else ""
        return [f"bosscal: {number} could not be made{rest}. Run again to try these, and nothing else:", *lines]


def _event(record: logging.LogRecord) -> str:
    event = getattr(record, "event", None)
    return str(getattr(event, "value", event) or "")


def _failure(record: logging.LogRecord) -> Failure:
    """Of a job that ended without an outcome: what its log says last."""
    facts: dict[str, Any] = vars(record)
    logs: Sequence[str] = facts.get("log") or [""]
    try:
        last = Path(logs[0]).read_text(encoding="utf-8", errors="replace").rstrip().rpartition("\n")[2]
    except OSError:
        last = ""
    if last.startswith("bosscal: "):
        cause = last.removeprefix("bosscal: ")
    else:
        cause = (
            "ended before it could say why, as a job does that is killed: most often because memory ran out; "
            "run again with fewer --cores, or where there is more"
        )
    rule = str(facts.get("rule_name") or "a job")
    place = str(logs[0]).removeprefix("results/logs/").removeprefix(f"{rule}/").removesuffix(".log").replace("/", " ")
    return Failure(rule, place, f"{cause} (log: {logs[0]})" if logs[0] not in cause else cause, str(logs[0]))
