"""What the terminal shows of a run: a user's words, and at its end why something was not made.

Snakemake tells of a failed job in its own terms, several times. Here that is left to its log file: a step has said why
it failed, in its outcome or its log, and the run ends with those lines. Of what goes well one line is shown a step, and
at the end how the spectra stand.
"""

from __future__ import annotations

import csv
import logging
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bosscal.base.outcomes import Failure, unique

STREAM_HANDLER = "DefaultStreamHandler"  # Snakemake's name of its handler that writes to the terminal
_ENDS = ("At least one job did not complete successfully", "Exiting because a job execution failed")
# What Snakemake says while all goes well, and a user wants to know: of a cluster too.
_TELLING = ("Nothing to be done", "Trying to restart job", "has been submitted")
FEW = 5  # lines on what is not ok
ROOM = 1_000_000  # bytes: a disk with less is full
_OF_JOBS = ("RuleException", "CalledProcessError")


class Terminal(logging.Filter):
    """A filter of what Snakemake writes to the terminal: it says in words of the field which steps are done, and
    remembers the jobs that ended without an outcome.

    Parameters
    ----------
    plans_anew : callable
        Whether steps are still to come that nobody knows yet: then no total is told, which would jump.
    is_dry : callable
        Whether nothing is run: then all is shown as Snakemake has it.
    write : callable
        Takes a line for the terminal.
    """

    def __init__(
        self,
        plans_anew: Callable[[], bool] = lambda: False,
        is_dry: Callable[[], bool] = lambda: False,
        write: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
    ) -> None:
        super().__init__()
        self._broken: list[Failure] = []
        self._plans_anew, self._is_dry, self._write = plans_anew, is_dry, write
        self._begun: dict[Any, str] = {}
        self._ended: list[str] = []

    def take_over(self, logger: logging.Logger) -> None:
        """Stand between Snakemake's logger and the terminal."""
        # Of the logger for what is remembered, of the handler for what is shown.
        logger.addFilter(self._remember)
        for handler in logger.handlers:
            if handler.name == STREAM_HANDLER:
                handler.addFilter(self)

    def _remember(self, record: logging.LogRecord) -> bool:
        """Note which jobs begin, end and break; let the record pass."""
        event = _event(record)
        if event == "job_error":
            self._broken.append(_failure(record))
        elif event == "job_info":
            self._begun[vars(record).get("jobid")] = step_in_words(vars(record))
        elif event == "job_finished":
            self._ended.append(self._begun.pop(vars(record).get("job_id"), ""))
        return True

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown as it is: nothing of a job that failed is, for the end of the run tells it."""
        event = _event(record)
        if event in ("job_error", "group_error"):
            return False
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            return not any(words in text for words in _ENDS) and not text.startswith(_OF_JOBS)
        if self._is_dry():
            return True
        if event == "progress":
            self._tell(int(vars(record)["done"]), int(vars(record)["total"]))
        return any(words in text for words in _TELLING)

    def _tell(self, done: int, total: int) -> None:
        """A line for each step that has ended since the last."""
        for number, words in enumerate(self._ended, start=done - len(self._ended) + 1):
            if words:
                place = f"step {number}" if self._plans_anew() else f"step {number} of {total}"
                self._write(f"{place}: {words}")
        self._ended.clear()

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


# What each rule does, as one would say it; the rule's name in front of it is that of the log.
WORDS = {
    "calibrate": "predicted calibration and sky noise of",
    "collect_coadds": "put the tables of coadds and repeats together",
    "compare": "compared prediction and file of",
    "compare_releases": "compared two releases of",
    "download": "fetched",
    "extract_frame": "read the files of",
    "fit_distortion": "fitted the distortion of the plate",
    "find_mjd": "looked up nights in the platelist of",
    "list_exposures": "listed the exposures of all coadds",
    "measure_coadd": "rebuilt the coadd of",
    "measure_subset": "rebuilt some exposures' coadd of",
    "measure_spec": "read and compared the spec file of",
    "plot": "drew figures of",
    "plot_exposure": "drew the camera exposure",
    "plot_panel": "drew a panel of",
    "plot_plate": "drew the plate",
    "plot_spec": "drew figures of",
    "report": "wrote the report",
    "simulate_flat": "simulated the flat of",
    "simulate_fluxdistort": "simulated the flux distortion of",
    "simulate_frames": "simulated frames of",
    "simulate_platelist": "simulated the list of plates",
    "simulate_spec": "simulated the spec file of",
    "simulate_spec_lite": "simulated the spec-lite file of",
    "summarize": "put the summary together",
    "write_calib": "wrote spCalib of",
    "measure_frame": "measured and wrote spCalib of",
}


def step_in_words(facts: Mapping[str, Any]) -> str:
    """A step as Snakemake describes a job: its rule, what it does, and of what.

    "" for one that only asks for others.
    """
    rule = str(facts.get("rule_name") or "")
    if rule in ("", "all", "fetch", "simulated_plate"):
        return ""
    wildcards = dict(facts.get("wildcards") or {})
    wildcards.pop("question", None)
    if path := wildcards.pop("server_path", ""):
        wildcards = {"file": str(path).rpartition("/")[2]}
    return " ".join(filter(None, (f"{rule}:", WORDS.get(rule, ""), *map(str, wildcards.values()))))


def ending(report: Path | str) -> list[str]:
    """What a run that made everything ends with: how its spectra stand, what to look at, and where.

    Parameters
    ----------
    report : path
        The start page. Nothing is said where the run made none.
    """
    table = Path(report).parent / "pages" / "summary.csv"
    if not table.is_file():
        return []
    levels: Counter[str] = Counter()
    worst: dict[str, list[str]] = {"bad": [], "look": []}
    with open(table, encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):  # of which there may be millions: none is kept
            level = row["status"]
            levels[level] += 1
            if level in worst and len(worst[level]) < FEW:
                name = f"{row['release']} {row['plate']}-{row['mjd']}-{row['fiber']} {row['camera']} #{row['expnum']}"
                worst[level].append(f"bosscal: {level}: {name}: {row['reasons']}")
    stand = ", ".join(f"{levels[level]} {level}" for level in ("ok", "look", "bad") if levels[level])
    number = levels.total()
    lines = [f"bosscal: {number} spectr{'um' if number == 1 else 'a'}: {stand}"]
    lines += [line for of_level in worst.values() for line in of_level][:FEW]
    more = levels["bad"] + levels["look"] - FEW
    if more > 0:
        lines.append(f"bosscal: and {more} more")
    return [*lines, f"bosscal: look at {report}; edit config.yaml and run again for other targets"]


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
    elif shutil.disk_usage(".").free < ROOM or (os.path.exists("results") and shutil.disk_usage("results").free < ROOM):
        cause = "no space left on device; make room there, and run again"
    else:
        cause = (
            "ended before it could say why, as a job does that is killed: most often because memory ran out; "
            "run again with fewer --cores, or where there is more"
        )
    rule = str(facts.get("rule_name") or "a job")
    place = str(logs[0]).removeprefix("results/logs/").removeprefix(f"{rule}/").removesuffix(".log").replace("/", " ")
    return Failure(rule, place, f"{cause} (log: {logs[0]})" if logs[0] not in cause else cause, str(logs[0]))
