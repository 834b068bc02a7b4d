"""Bringing one file of the survey into the local mirror: linked from a folder, or downloaded, verified, then named.

A file has its name only when it is whole: until then it is a partial one under a name of its own, which no other
process writes to. A partial file that a killed run left is taken over and continued, if the server still has the same
file.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_exponential_jitter

from bosscal.base.errors import UserError
from bosscal.base.files import read_json, write_json
from bosscal.survey.fitsfile import FitsFile

if TYPE_CHECKING:
    import requests

ATTEMPTS = 6
TIMEOUT = (15.0, 60.0)  # s to connect, and without a byte
LEAST_SPEED = 2000  # bytes/s; a transfer that is slower over a window is begun again
SPEED_WINDOW = 30.0  # s
LONGEST_WAIT = 120.0  # s that a server's Retry-After is heeded
ABANDONED = 120.0  # s after which a partial file that nobody writes to may be taken over
CHUNK = 1 << 20  # bytes
BEGINNING = 40 * 2880  # bytes: more than the longest primary header of an spCFrame
INPUTS = Path("results/inputs")  # links to the files in the mirror, by release and server path
RECORDS = Path("results/fetched")
KEPT_LIST = ".sha1sum.json"
_SHA1_LINE = re.compile(r"([0-9a-f]{40}) [ *]([\w.+-]+)")
_SHA1_LIST = re.compile(r'href="([\w.+-]+\.sha1sum)"')


class MissingFileError(UserError):
    """The server or mirror has no such file."""


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


class _AgainError(Exception):
    """What is worth another attempt; ``wait`` is the server's own wish [s]."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def fetch(url: str, remote_path: str, local_path: Path) -> Fetched:
    """Link a file of a ``file://`` mirror, or download it from a server; leave it alone if it is there.

    Parameters
    ----------
    url : str
        ``https://…``, ``http://…`` or ``file:///…``.
    remote_path : str
        Path on the server.
    local_path : Path
        Where the file is kept.

    Returns
    -------
    Fetched

    Raises
    ------
    MissingFileError
        If there is no such file.
    UserError
        If the server refuses it, cannot be reached after several attempts, or gives what is not the survey's file.
    """
    server = url.rstrip("/")
    if local_path.exists():
        return _verified("there", server, remote_path, local_path)
    try:
        local_path.parent.mkdir(parents=True, exist_ok=True)
        if url.startswith("file://"):
            _link(Path(unquote(url.removeprefix("file://"))) / remote_path.lstrip("/"), local_path)
            return _verified("linked", server, remote_path, local_path)
        return _download(server, remote_path, local_path)
    except PermissionError as error:
        advice = "set data.mirror to a folder of your own"
        raise UserError(f"{error.filename}: cannot be written ({error.strerror}); {advice}") from error
    except OSError as error:
        if error.errno is None:
            raise
        raise UserError(f"{local_path}: cannot be written ({error.strerror})") from error


def _verified(how: str, server: str, remote_path: str, local_path: Path) -> Fetched:
    """A file that was there before: read to its end, and compared with the survey's list if that is beside it."""
    expected = _list_beside(local_path).get(local_path.name)
    problem, sha1 = _problem(local_path, expected)
    if problem:
        advice = "put a good one in its place" if local_path.is_symlink() else "delete it, and run again to fetch it"
        raise UserError(f"{os.path.realpath(local_path)}: {problem}; {advice}")
    size = local_path.stat().st_size
    return Fetched(how, server, remote_path, SURVEY_SHA1 if expected else STRUCTURE, sha1, size)


def _list_beside(local_path: Path) -> dict[str, str]:
    """Checksums by name of the survey's list, kept when it was fetched or beside the file that a link leads to."""
    with contextlib.suppress(OSError, ValueError):
        return dict(read_json(local_path.parent / KEPT_LIST))
    return _list_in(Path(os.path.realpath(local_path)).parent)


@functools.cache
def _list_in(folder: Path) -> dict[str, str]:
    """Checksums by name of all lists in a folder of a mirror."""
    sums: dict[str, str] = {}
    for path in sorted(folder.glob("*.sha1sum")):
        with contextlib.suppress(OSError):
            sums.update(_checksums(path.read_text(encoding="utf-8", errors="replace")))
    return sums


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


def _link(source: Path, local_path: Path) -> None:
    if not source.is_file():
        raise MissingFileError(f"{source}: no such file; check plate, mjd, fiber, release and data.url")
    local_path.unlink(missing_ok=True)  # a link whose target went away
    local_path.symlink_to(source.resolve())


def _download(url: str, remote_path: str, local_path: Path) -> Fetched:
    where = f"{url}{remote_path}"
    with _session() as session, _partial_file(local_path) as partial:
        expected = None
        for last in (False, True):
            _complete(session, where, partial)
            if expected is None:
                expected = _published_sha1(session, url, remote_path, local_path.parent)
            problem, sha1 = _problem(partial, expected)
            if not problem:
                os.replace(partial, local_path)
                verified = SURVEY_SHA1 if expected else STRUCTURE
                return Fetched("downloaded", url, remote_path, verified, sha1, local_path.stat().st_size)
            if last:
                partial.unlink(missing_ok=True)
                raise UserError(f"{where}: what came {problem}, twice; not kept")
            partial.unlink(missing_ok=True)
    raise AssertionError("unreachable")


def _problem(path: Path, expected: str | None) -> tuple[str, str]:
    """What is wrong with a downloaded file, "" if nothing is, and its SHA-1."""
    with open(path, "rb") as stream:
        first = stream.read(512).lstrip()
    if first[:1] == b"<":
        return "is a web page (did the server ask for a login?)", ""
    try:
        file = FitsFile(path)  # to the end, a gzip file's own checksum included
    except UserError as error:
        reason = re.search(r"cannot be read \((.*)\);", str(error))
        return f"is no whole FITS file ({reason[1] if reason else error})", ""
    if expected is not None and file.sha1 != expected:
        return f"has SHA-1 {file.sha1}, and the survey's list says {expected}", file.sha1
    return "", file.sha1


# ------------------------------------------------------------------------------------------------------- transfers


@contextlib.contextmanager
def _session() -> Iterator[requests.Session]:
    """A session that asks for files as they are; proxies are those of the environment."""
    import requests  # takes 0.1 s: only where something is downloaded

    with requests.Session() as session:
        session.headers.update({"Accept-Encoding": "identity", "User-Agent": "bosscal"})
        session.max_redirects = 10
        yield session


@contextlib.contextmanager
def _partial_file(local_path: Path) -> Iterator[Path]:
    """A name beside the file that is this process's own, perhaps with what a killed run left in it."""
    stem = f".partial-{local_path.name}."
    own = local_path.with_name(f"{stem}{uuid.uuid4().hex}")
    for left in sorted(local_path.parent.glob(f"{stem}*")):
        if left.suffix == ".json":
            continue
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > ABANDONED:
                os.rename(left, own)  # of two that try, one succeeds
                os.replace(_note(left), _note(own))
                break
    try:
        yield own
    finally:
        if not own.exists() or not own.stat().st_size:
            own.unlink(missing_ok=True)
            _note(own).unlink(missing_ok=True)
        else:  # for the next attempt, which may take it over at once
            with contextlib.suppress(OSError):
                os.utime(own, (0, 0))


def _write_apart(path: Path, content: bytes) -> None:
    """Write a small file of a mirror that others may be writing too, each under a name of its own first."""
    own = path.with_name(f".{uuid.uuid4().hex}")
    own.write_bytes(content)
    os.replace(own, path)


def _note(partial: Path) -> Path:
    """Where it is noted which file a partial one is of."""
    return partial.with_name(f"{partial.name}.json")


def _complete(session: requests.Session, where: str, partial: Path) -> None:
    """Download until the partial file is whole, beginning again where it is worth it."""
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
        retrying(_transfer, session, where, partial)
    except requests.TooManyRedirects as error:
        raise UserError(f"{where}: the server leads round in circles; check data.url") from error
    except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
        raise UserError(f"{where}: the server leads to something that is no http(s) address; check data.url") from error
    except worth_it as error:
        if isinstance(error, requests.exceptions.SSLError):
            raise UserError(f"{where}: the server's certificate is not valid ({_reason(error)})") from error
        raise UserError(f"{where}: download failed after {ATTEMPTS} attempts: {_reason(error)}") from error


_BACKOFF = wait_exponential_jitter(initial=1, max=60)


def _reason(error: BaseException) -> str:
    """The innermost words of an error of the network, on one line."""
    text = " ".join(str(error).split())
    found = re.findall(r"(?:Error|Exception)\(.*?[\"']([^\"']+)[\"']", text)
    return (found[-1] if found else text)[:200]


def _transfer(session: requests.Session, where: str, partial: Path) -> None:
    """One attempt, from where an earlier one ended."""
    import requests

    have = partial.stat().st_size if partial.exists() else 0
    known = read_json(_note(partial)) if have and _note(partial).exists() else {}
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
        _check_status(answer, where)
        begin = _beginning_of(answer)
        if begin != (have if answer.status_code == 206 else 0):
            partial.unlink(missing_ok=True)
            raise _AgainError("the server gave another part than was asked for")
        total = _total(answer)
        note = {"where": where, "validator": _validator(answer)}
        _write_apart(_note(partial), json.dumps(note).encode())
        size = _write(answer, partial, begin)
    if total is not None and size != total:
        if size > total:
            partial.unlink(missing_ok=True)
        raise _AgainError(f"{size} of {total} bytes came")


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
    """The body as it comes, not unpacked; one that ends too early just ends."""
    import urllib3

    try:
        yield from answer.raw.stream(CHUNK // 16, decode_content=False)
    except urllib3.exceptions.ProtocolError as error:
        if "IncompleteRead" not in str(error):
            raise


def _write(answer: requests.Response, partial: Path, begin: int) -> int:
    """Append an answer to a partial file; returns its size. Bytes are kept as they come, whatever they are called."""
    with open(partial, "r+b" if begin else "wb") as stream:
        stream.seek(begin)
        stream.truncate()
        since, counted = time.monotonic(), 0
        for chunk in _chunks(answer):
            stream.write(chunk)
            counted += len(chunk)
            passed = time.monotonic() - since
            if passed > SPEED_WINDOW:
                if counted < LEAST_SPEED * passed:
                    raise _AgainError(f"less than {LEAST_SPEED} bytes a second came")
                since, counted = time.monotonic(), 0
        return stream.tell()


# ------------------------------------------------------------------------------------------------------- checksums


def _published_sha1(session: requests.Session, url: str, remote_path: str, folder: Path) -> str | None:
    """What the survey's list of the file's folder says; None where there is no list, or the file is not in it.

    The list's name is that of an entry of the folder's index, which differs by release. It is fetched once for a
    folder, and kept beside the files.
    """
    kept = folder / KEPT_LIST
    sums: dict[str, str] = {}
    try:
        sums = read_json(kept)
    except (OSError, ValueError):
        found = _fetch_sha1_list(session, f"{url}{remote_path.rpartition('/')[0]}/")
        if found is None:
            return None
        sums = found
        _write_apart(kept, json.dumps(sums, indent=1, sort_keys=True).encode())
    return sums.get(remote_path.rpartition("/")[2])


def _fetch_sha1_list(session: requests.Session, folder: str) -> dict[str, str] | None:
    """Checksums by name of a folder on the server; empty if it has no list, None if that could not be asked."""
    import requests

    try:
        index = session.get(folder, timeout=TIMEOUT)
        if index.status_code != 200:
            return None
        sums: dict[str, str] = {}
        for name in sorted(set(_SHA1_LIST.findall(index.text))):
            listed = session.get(f"{folder}{name}", timeout=TIMEOUT)
            if listed.status_code == 200:
                sums |= _checksums(listed.text)
        return sums
    except requests.RequestException:
        return None


def _checksums(text: str) -> dict[str, str]:
    """Checksums by name of a list as sha1sum writes it; names with a folder in them are ignored."""
    return {match[2]: match[1] for match in map(_SHA1_LINE.fullmatch, text.splitlines()) if match}


# ----------------------------------------------------------------------------------------------------------- pieces


def fetch_beginning(url: str, remote_path: str, local_path: Path) -> None:
    """Get the first blocks of a large file, which hold its primary header, and keep them under a name of their own.

    Parameters as of :func:`fetch`. A piece cannot be compared with the survey's checksum of the whole file. Where the
    file cannot be had an empty one is left, so that what needs no header goes on; who deletes it asks again.
    """
    if local_path.exists():
        return
    local_path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if url.startswith("file://"):
            with open(Path(unquote(url.removeprefix("file://"))) / remote_path.lstrip("/"), "rb") as stream:
                content = stream.read(BEGINNING)
        else:
            content = _first_bytes(f"{url.rstrip('/')}{remote_path}")
    except (OSError, UserError):  # those of the network are
        content = b""
    _write_apart(local_path, content)


def _first_bytes(where: str) -> bytes:
    """The beginning of a file on a server, by a Range request; from a server that ignores it no more is read."""

    def ask(session: requests.Session) -> Any:
        with session.get(where, headers={"Range": f"bytes=0-{BEGINNING - 1}"}, stream=True, timeout=TIMEOUT) as answer:
            _check_status(answer, where)
            return answer.raw.read(BEGINNING, decode_content=False)

    with _session() as session:
        retrying = Retrying(
            retry=retry_if_exception_type((_AgainError, OSError)), stop=stop_after_attempt(ATTEMPTS), wait=_BACKOFF,
            reraise=True,
        )  # fmt: skip
        try:
            return bytes(retrying(ask, session))
        except _AgainError as error:
            raise UserError(f"{where}: {error}") from error
