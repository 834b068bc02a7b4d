"""What becomes of a step that fails on its data: its outputs say why, later steps pass that on, and no more is lost.

An outcome is a file in the place of an output. It begins with :data:`MARK`, which no npz, FITS, table, page or JSON
does; a figure's outcome is a picture of the same words, marked in its metadata. So it is never read as data.

How often a step has failed is kept in a folder of its own. The workflow makes that number a parameter of the step:
a step that failed is made again by the next run, and no other.
"""

from __future__ import annotations

import hashlib
import io
import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike, read_json, replacing, write_json

MARK = b"bosscal: this was not made. Why, as JSON:\n"
FOLDER = Path("results/failures")
_KEY = "bosscal-outcome"  # of the text in a PNG
_PICTURES = (".png", ".pdf")
_PICTURE_SIZE = (1400, 400)  # pixels


@dataclass(frozen=True, order=True)
class Failure:
    """Why something was not made: at which ``step``, of what (``place``), the ``cause`` with what to do about it.

    ``cause`` is one line. ``log`` is the step's log, "" where it has none.
    """

    step: str
    place: str
    cause: str
    log: str = ""

    @property
    def line(self) -> str:
        """All of it on one line."""
        return f"{' '.join(filter(None, (self.step, self.place)))}: {self.cause}"


# ----------------------------------------------------------------------------------------------------- as files


def write_outcome(path: Pathlike, failures: Sequence[Failure]) -> None:
    """Write, in the place of an output, why it was not made."""
    path = Path(path)
    content = json.dumps([asdict(failure) for failure in failures], indent=1).encode()
    content = _picture(path.suffix, failures, content) if path.suffix in _PICTURES else MARK + content + b"\n"
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def read_outcome(path: Pathlike) -> tuple[Failure, ...]:
    """Why a file was not made; nothing if it is no outcome, or not there.

    Raises
    ------
    UserError
        If it is an outcome, and a damaged one.
    """
    path = Path(path)
    try:
        with open(path, "rb") as stream:
            beginning = stream.read(len(MARK))
            if beginning == MARK:
                content = stream.read()
            elif path.suffix == ".png" and beginning.startswith(b"\x89PNG"):
                content = _text_of_picture(path)
            else:
                return ()
    except FileNotFoundError:
        return ()
    try:
        return tuple(Failure(**entry) for entry in json.loads(content)) if content else ()
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: damaged ({error}); delete it and run again") from error


def sort_out(paths: Iterable[Pathlike]) -> tuple[list[str], list[Failure]]:
    """The files that hold data, and the failures that the others tell, each once."""
    good: list[str] = []
    failures: list[Failure] = []
    for path in paths:
        found = read_outcome(path)
        failures.extend(found)
        if not found:
            good.append(str(path))
    return good, unique(failures)


def unique(failures: Iterable[Failure]) -> list[Failure]:
    """Each failure once, in their order."""
    return list(dict.fromkeys(failures))


def _picture(suffix: str, failures: Sequence[Failure], content: bytes) -> bytes:
    """A figure that says that there is none, and why."""
    from PIL import Image, ImageDraw, ImageFont, PngImagePlugin  # takes 0.05 s: only where something failed

    image = Image.new("RGB", _PICTURE_SIZE, "white")
    lines = [line for failure in failures[:3] for line in textwrap.wrap(failure.line, 100)]
    words = "\n".join(["This figure could not be made:", "", *lines])
    ImageDraw.Draw(image).multiline_text((40, 40), words, "black", ImageFont.load_default(24), spacing=10)
    stream = io.BytesIO()
    if suffix == ".png":
        facts = PngImagePlugin.PngInfo()
        facts.add_text(_KEY, content.decode())
        image.save(stream, "png", pnginfo=facts)
        return stream.getvalue()
    image.save(stream, "pdf", resolution=200.0, creationDate=None, modDate=None)
    return stream.getvalue()


def _text_of_picture(path: Path) -> bytes:
    """An outcome's text in a PNG, b"" if it is a figure; it stands before the pixels, so few bytes are read."""
    with open(path, "rb") as stream:
        stream.seek(8)
        while len(head := stream.read(8)) == 8:
            length, kind = int.from_bytes(head[:4], "big"), head[4:]
            if kind in (b"IDAT", b"IEND"):
                break
            body = stream.read(length + 4)[:-4]
            key, _, text = body.partition(b"\0")
            if kind == b"tEXt" and key == _KEY.encode():
                return text
    return b""


# ------------------------------------------------------------------------------------------- how often, for reruns


def step_name(rule: str, wildcards: Iterable[str], outputs: Sequence[Pathlike]) -> str:
    """What no other step of any configuration is called: its rule with what tells its jobs apart."""
    return " ".join([rule, *(wildcards or map(str, outputs[:1]))])


def note_failures(step: str, failures: Sequence[Failure]) -> None:
    """Note that a step failed once more, or, with no failures, that it did not."""
    record = FOLDER / f"{hashlib.sha256(step.encode()).hexdigest()[:16]}.json"
    known: dict[str, Any] = read_json(record) if record.exists() else {"attempts": 0, "failures": []}
    if failures or known["failures"]:
        write_json(
            record,
            {
                "step": step,
                "attempts": known["attempts"] + bool(failures),
                "failures": [asdict(failure) for failure in failures],
            },
        )


def noted_failures() -> dict[str, tuple[int, tuple[Failure, ...]]]:
    """Name of every step that ever failed here, to how often it did and why it did now."""
    noted = {}
    for record in sorted(FOLDER.glob("*.json")):
        try:
            known = read_json(record)
            failures = tuple(Failure(**entry) for entry in known["failures"])
            noted[str(known["step"])] = int(known["attempts"]), failures
        except (OSError, ValueError, KeyError, TypeError):
            record.unlink(missing_ok=True)  # half a record is none: its step is made again, no more
    return noted
