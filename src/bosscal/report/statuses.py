"""What passed, what needs a look and what is bad: every number of a report against dated thresholds.

The thresholds stand in ``thresholds.yaml``, each with where it is from; nothing here knows a number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

PATH = Path(__file__).parent / "thresholds.yaml"
LEVELS = ("ok", "look", "bad")
SIGNS = {"ok": "✓", "look": "?", "bad": "✗"}

Level = Literal["ok", "look", "bad"]
Range = tuple[float | None, float | None]


class Check(BaseModel):
    """A number of a table's row, and between which values it is ``ok``, and between which it needs a ``look``.

    ``only`` names values of other columns that a row needs for the check to concern it; ``words`` say what the number
    is, ``origin`` where its thresholds are from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: str
    column: str
    words: str
    origin: str
    ok: Range = (None, None)
    look: Range = (None, None)
    values: dict[str, Level] = Field(default_factory=dict)
    only: dict[str, tuple[Any, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _nested(self) -> Check:
        """Whatever is ok would pass as what needs a look too."""
        low, high = self.ok
        outer_low, outer_high = self.look
        if (outer_low is not None and (low is None or low < outer_low)) or (
            outer_high is not None and (high is None or high > outer_high)
        ):
            raise ValueError(f"{self.column}: what is ok is not within what needs a look")
        return self


class Thresholds(BaseModel):
    """All checks, of the rows of the summary, of the table of coadds and of whole camera exposures.

    ``date`` tells when they were set. What is typical of a camera exposure is judged as its spectra are; ``exposures``
    are about how many of these stand out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    date: date
    spectra: Annotated[tuple[Check, ...], Field(min_length=1)]
    coadds: tuple[Check, ...]
    exposures: tuple[Check, ...]


@dataclass(frozen=True)
class Status:
    """How a number stands: its ``level``, what it is about, and the reason in words, "" where all is well."""

    level: Level
    topic: str
    reason: str = ""

    @property
    def sign(self) -> str:
        """What tells the level without its color."""
        return SIGNS[self.level]


def read_thresholds(path: Path = PATH) -> Thresholds:
    """The thresholds, checked."""
    return Thresholds.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def judge(row: Mapping[str, Any], checks: Iterable[Check]) -> list[Status]:
    """How every number of a row stands.

    Parameters
    ----------
    row : mapping
        Values by column; masked ones are not there to be judged.
    checks : iterable of Check

    Returns
    -------
    list of Status
        One for each check that concerns the row.
    """
    return [_judged(row, check) for check in checks if _concerns(check, row)]


def _concerns(check: Check, row: Mapping[str, Any]) -> bool:
    if np.ma.is_masked(row[check.column]):
        return False
    return all(str(row[name]) in map(str, values) for name, values in check.only.items())


def _judged(row: Mapping[str, Any], check: Check) -> Status:
    value = row[check.column]
    if check.values:
        level = check.values.get(str(value), "ok")
        return Status(level, check.topic, "" if level == "ok" else f"{check.words}: {value}")
    if _within(float(value), check.ok):
        return Status("ok", check.topic)
    outside: Level = "look" if _within(float(value), check.look) else "bad"
    return Status(outside, check.topic, f"{check.words} is {_number(float(value))}, not {_range(check.ok)}")


def _within(value: float, limits: Range) -> bool:
    low, high = limits
    return (low is None or value >= low) and (high is None or value <= high)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e6 else f"{value:.3g}"


def _range(limits: Range) -> str:
    low, high = limits
    if low is None:
        return f"≤ {_number(high)}" if high is not None else "a number"
    return f"≥ {_number(low)}" if high is None else f"{_number(low)}–{_number(high)}"


def worst(statuses: Sequence[Status]) -> Level:
    """The level of the worst of some statuses."""
    return max((status.level for status in statuses), key=LEVELS.index, default="ok")


def reasons(statuses: Iterable[Status]) -> list[str]:
    """Why not all is well, the bad ones first."""
    found = [status for status in statuses if status.level != "ok"]
    return [status.reason for status in sorted(found, key=lambda status: -LEVELS.index(status.level))]
