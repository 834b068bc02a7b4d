"""Transfers over HTTP that survive: begun again where it is worth it, continued where they ended, never slower than a
least speed.

What has come so far is in a partial file under a name of its own, which no other process writes to. One that a killed
run left is taken over and continued, if the server still has the same file.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_exponential_jitter

from bosscal.base.errors import UserError
from bosscal.base.files import read_json, write_apart

if TYPE_CHECKING:
    import requests

ATTEMPTS = 6
TIMEOUT = (15.0, 60.0)  # s to connect, and without a byte
LEAST_SPEED = 2000  # bytes/s; a transfer that is slower over a window is begun again
SPEED_WINDOW = 30.0  # s
LONGEST_WAIT = 120.0  # s that a server's Retry-After is heeded
ABANDONED = 120.0  # s after which a partial file that nobody writes to may be taken over
SMALL_CHUNK = 1 << 16  # bytes
LARGEST_TEXT = 30_000_000  # bytes: more than any index of a folder
LONGEST_TEXT = 120.0  # s
SPARE = 10_000_000  # bytes that are left free on a disk

# What a transfer tells while it goes on: bytes that are there, and of how many (None where the server does not say).
Progress = Callable[[int, int | None], None]


class MissingFileError(UserError):
    """The server or mirror has no such file."""


class _AgainError(Exception):
    """What is worth another attempt; ``wait`` is the server's own wish [s]."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@contextlib.contextmanager
def new_session() -> Iterator[requests.Session]:
    """A session that asks for files as they are; proxies are those of the environment."""
    import requests  # takes 0.1 s: only where something is downloaded

    with requests.Session() as session:
        session.headers.update({"Accept-Encoding": "identity", "User-Agent": "bosscal"})
        session.max_redirects = 10
        yield session


# ---------------------------------------------------------------------------------------------------- partial files


@contextlib.contextmanager
def partial_file(local_path: Path) -> Iterator[Path]:
    """A name beside a file that is this process's own, perhaps with what a killed run left in it."""
    stem = f".partial-{local_path.name}."
    own = local_path.with_name(f"{stem}{uuid.uuid4().hex}")
    for left in sorted(local_path.parent.glob(f"{_escaped(stem)}*")):
        if left.suffix == ".json":
            continue
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > ABANDONED:
                os.rename(left, own)  # of two that try, one succeeds
                os.replace(_note(left), _note(own))
                break
    own.touch()  # where nothing can be written, no server need be asked
    try:
        yield own
    finally:
        if not own.exists() or not own.stat().st_size:
            own.unlink(missing_ok=True)
            _note(own).unlink(missing_ok=True)
        else:  # for the next attempt, which may take it over at once
            with contextlib.suppress(OSError):
                os.utime(own, (0, 0))


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _note(partial: Path) -> Path:
    """Where it is noted which file a partial one is of."""
    return partial.with_name(f"{partial.name}.json")


# -------------------------------------------------------------------------------------------------------- transfers


def complete(session: requests.Session, where: str, partial: Path, progress: Progress | None = None) -> None:
    """Download until a partial file is whole, beginning again where it is worth it.

    Parameters
    ----------
    session : requests.Session
    where : str
        Address of the file.
    partial : Path
        Of :func:`partial_file`.
    progress : callable, optional
        Told what is there, now and then.

    Raises
    ------
    MissingFileError
        If the server has no such file.
    UserError
        If the server refuses it, cannot be reached after several attempts, or the disk has no room for it.
    """
    _again(where, lambda: _transfer(session, where, partial, progress))


def first_bytes(session: requests.Session, where: str, number: int) -> bytes:
    """The beginning of a file on a server, by a Range request; from a server that ignores it no more is read.

    Raises as :func:`complete`.
    """

    def ask() -> bytes:
        with session.get(where, headers={"Range": f"bytes=0-{number - 1}"}, stream=True, timeout=TIMEOUT) as answer:
            _check_status(answer, where)
            return bytes(answer.raw.read(number, decode_content=False))

    return bytes(_again(where, ask))


def read_text(session: requests.Session, where: str) -> str | None:
    """A page of a server; None if it has none, or cannot be asked now."""
    import requests
    import urllib3

    begin, content = time.monotonic(), b""
    try:
        with session.get(where, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code != 200:
                return None
            for chunk in answer.iter_content(SMALL_CHUNK):
                content += chunk
                if len(content) > LARGEST_TEXT or time.monotonic() - begin > LONGEST_TEXT:
                    return None
    except (requests.RequestException, urllib3.exceptions.HTTPError):
        return None
    return content.decode("utf-8", "replace")


def size_of(session: requests.Session, where: str) -> int | None:
    """Bytes of a file on a server; None where the server does not say.

    Raises as :func:`complete`.
    """

    def ask() -> int | None:
        with session.head(where, allow_redirects=True, timeout=TIMEOUT) as answer:
            if answer.status_code in (405, 501):  # a server that knows no HEAD
                return None
            _check_status(answer, where)
            length = answer.headers.get("Content-Length", "")
            return int(length) if length.isdigit() else None

    found: int | None = _again(where, ask)
    return found


def _again(where: str, attempt: Callable[[], Any]) -> Any:
    """What an attempt gives, tried several times where that is worth it."""
    import requests
    import urllib3

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, _AgainError) else None
        return min(asked, LONGEST_WAIT) if asked is not None else float(_BACKOFF(state))

    worth_it = (_AgainError, requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError)
    retrying = Retrying(
        retry=retry_if_exception_type(worth_it), stop=stop_after_attempt(ATTEMPTS), wait=wait, reraise=True
    )
    try:
        return retrying(attempt)
    except requests.TooManyRedirects as error:
        raise UserError(f"{where}: the server leads round in circles; check data.url") from error
    except requests.exceptions.InvalidProxyURL as error:
        raise UserError(f"{where}: the proxy of the environment is no address; check $http_proxy") from error
    except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
        raise UserError(f"{where}: the server leads to something that is no http(s) address; check data.url") from error
    except worth_it as error:
        if isinstance(error, requests.exceptions.SSLError):
            raise UserError(f"{where}: the server's certificate is not valid ({_reason(error)})") from error
        raise UserError(f"{where}: download failed after {ATTEMPTS} attempts: {_reason(error)}") from error
    except requests.RequestException as error:
        raise UserError(f"{where}: what the server sends is no HTTP ({_reason(error)}); check data.url") from error


_BACKOFF = wait_exponential_jitter(initial=1, max=60)


def _reason(error: BaseException) -> str:
    """The innermost words of an error of the network, on one line."""
    text = " ".join(str(error).split())
    found = re.findall(r"(?:Error|Exception)\(.*?[\"']([^\"']+)[\"']", text)
    return (found[-1] if found else text)[:200]


def _transfer(session: requests.Session, where: str, partial: Path, progress: Progress | None) -> None:
    """One attempt, from where an earlier one ended."""
    import requests

    have = partial.stat().st_size if partial.exists() else 0
    known = _read_note(partial) if have else {}
    headers = {}
    if have and known.get("where") == where and known.get("validator"):
        headers = {"Range": f"bytes={have}-", "If-Range": known["validator"]}
    try:
        answer = session.get(where, headers=headers, stream=True, timeout=TIMEOUT)
    except requests.ConnectionError as error:
        if "NameResolutionError" in str(error) or "getaddrinfo" in str(error):
            raise UserError(f"{where}: there is no such server, or no network; check data.url") from error
        raise
    with answer:
        if answer.status_code == 416:  # what is here is no part of what is there
            partial.unlink(missing_ok=True)
        _check_status(answer, where)
        begin = _beginning_of(answer)
        if begin != (have if answer.status_code == 206 else 0):
            partial.unlink(missing_ok=True)
            raise _AgainError("the server gave another part than was asked for")
        total = _total(answer)
        _check_space(where, partial.parent, (total or 0) - begin)
        note = {"where": where, "validator": _validator(answer)}
        write_apart(_note(partial), json.dumps(note).encode())
        size = _write(answer, partial, begin, lambda there: progress(there, total) if progress else None)
    if total is not None and size != total:
        if size > total:
            partial.unlink(missing_ok=True)
        raise _AgainError(f"{size} of {total} bytes came")


def _read_note(partial: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        note = read_json(_note(partial))
        if isinstance(note, dict):
            return note
    return {}


def _check_status(answer: requests.Response, where: str) -> None:
    status = answer.status_code
    if status in (200, 206):
        return
    if status in (404, 410):
        hint = "check plate, mjd, fiber, release and data.url"
        raise MissingFileError(f"{where}: no such file on the server; {hint}")
    if status in (401, 403, 407):
        raise UserError(
            f"{where}: the server refuses this file (status {status}); is it public, and a proxy's login right?"
        )
    if status == 416 or status == 429 or status >= 500:
        waiting = answer.headers.get("Retry-After", "")
        raise _AgainError(f"status {status}", float(waiting) if waiting.isdigit() else None)
    raise UserError(f"{where}: the server answers with status {status}; check data.url")


def _check_space(where: str, folder: Path, needed: int) -> None:
    """Refuse what would fill a disk, before it does."""
    free = shutil.disk_usage(folder).free
    if needed > 0 and needed + SPARE > free:
        name = where.rpartition("/")[2]
        raise UserError(
            f"{folder}: {name} takes {needed / 1e6:.1f} MB, and {free / 1e6:.1f} MB are free; "
            "make room, or set data.mirror to a folder on another disk"
        )


def _beginning_of(answer: requests.Response) -> int:
    """Place in the file of the first byte of an answer."""
    if answer.status_code != 206:
        return 0
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(match[1]) if match else -1


def _total(answer: requests.Response) -> int | None:
    """Length of the whole file, if the server says it."""
    match = re.search(r"/(\d+)$", answer.headers.get("Content-Range", ""))
    if match:
        return int(match[1])
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdigit() and answer.status_code == 200 else None


def _validator(answer: requests.Response) -> str:
    """What tells whether the server's file is still the same; "" if it says nothing of that."""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _chunks(answer: requests.Response) -> Iterator[bytes]:
    """The body as it comes, not unpacked; one that ends too early just ends.

    ``stream`` would wait until so many bytes are there, for hours where they drip.
    """
    import urllib3

    try:
        while chunk := answer.raw.read1(SMALL_CHUNK, decode_content=False):
            yield chunk
    except urllib3.exceptions.ProtocolError as error:
        if "IncompleteRead" not in str(error):
            raise


def _write(answer: requests.Response, partial: Path, begin: int, progress: Callable[[int], None]) -> int:
    """Append an answer to a partial file; returns its size. Bytes are kept as they come, whatever they are called."""
    with open(partial, "r+b" if begin else "wb") as stream:
        stream.seek(begin)
        stream.truncate()
        since, counted = time.monotonic(), 0
        for chunk in _chunks(answer):
            stream.write(chunk)
            counted += len(chunk)
            progress(stream.tell())
            passed = time.monotonic() - since
            if passed > SPEED_WINDOW:
                if counted < LEAST_SPEED * passed:
                    raise _AgainError(f"less than {LEAST_SPEED} bytes a second came")
                since, counted = time.monotonic(), 0
        return stream.tell()
