"""The survey's files among a run's own results: a link to each in the mirror, and a record of how it came there."""

from __future__ import annotations

import os
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from bosscal.base.files import read_json, write_json

INPUTS = Path("results/inputs")  # links to the files in the mirror, by release and server path
RECORDS = Path("results/fetched")

SURVEY_SHA1 = "the survey's SHA-1"
STRUCTURE = "its own structure alone"


@dataclass(frozen=True)
class Fetched:
    """How a file came to the mirror.

    ``how`` is "there", "linked" or "downloaded", ``server`` and ``path`` say from where; ``verified`` says against
    what it was compared: :data:`SURVEY_SHA1` or :data:`STRUCTURE`. ``size`` is in bytes.
    """

    how: str
    server: str
    path: str
    verified: str
    sha1: str
    size: int


def link_input(local_path: Path, link: Path) -> None:
    """Link a file of the mirror from the run's own results, which then can be moved with a mirror among them."""
    if not local_path.is_absolute():
        local_path = Path(os.path.relpath(local_path, link.parent))
    own = link.with_name(f".{uuid.uuid4().hex}")
    own.symlink_to(local_path)
    os.replace(own, link)


def record_of(link: Path) -> Path:
    """Where it is recorded how the file behind a link of the run's own results came there."""
    return RECORDS / link.relative_to(INPUTS).with_name(f"{link.name}.json")


def write_record(link: Path, fetched: Fetched) -> None:
    """Record how a file came to the mirror: for the report; no step reads it, so a new one reruns nothing."""
    write_json(record_of(link), asdict(fetched))


def read_record(link: Path) -> Fetched | None:
    """How a file came to the mirror, if that is known."""
    try:
        return Fetched(**read_json(record_of(link)))
    except (OSError, ValueError, TypeError):
        return None
