"""Bringing one file of the survey into the local mirror, with bossdata's layout and downloader."""

from __future__ import annotations

import warnings
from pathlib import Path
from urllib.parse import unquote
from urllib.request import Request, urlopen

from tenacity import retry, retry_if_exception, stop_after_attempt, wait_exponential

from bosscal.base.errors import UserError
from bosscal.base.files import replacing


class MissingFileError(UserError):
    """The server or mirror has no such file."""


ATTEMPTS = 4
CHUNK = 1 << 20  # bytes
TIMEOUT = 60  # s without an answer


def fetch(url: str, remote_path: str, local_path: Path) -> None:
    """Link a file of a ``file://`` mirror, or download it from a server; leave it alone if it is there.

    Parameters
    ----------
    url : str
        ``https://…``, ``http://…`` or ``file:///…``.
    remote_path : str
        Path on the server.
    local_path : Path
        Where the file is kept.

    Raises
    ------
    MissingFileError
        If there is no such file.
    UserError
        If the server cannot be reached after several attempts.
    """
    if local_path.exists():
        return
    local_path.parent.mkdir(parents=True, exist_ok=True)
    if url.startswith("file://"):
        _link(Path(unquote(url.removeprefix("file://"))) / remote_path.lstrip("/"), local_path)
    else:
        _download(url, remote_path, local_path)


BEGINNING = 40 * 2880  # bytes: more than the longest primary header of an spCFrame


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
    except OSError:  # urllib's errors are
        content = b""
    with replacing(local_path) as temporary:
        Path(temporary).write_bytes(content)


@retry(
    retry=retry_if_exception(lambda error: isinstance(error, OSError) and getattr(error, "code", 500) >= 500),
    stop=stop_after_attempt(ATTEMPTS),
    wait=wait_exponential(min=1, max=30),
    reraise=True,
)
def _first_bytes(url: str) -> bytes:
    """The beginning of a file on a server, by a Range request; a server that ignores it is read no further."""
    wanted = Request(url, headers={"Range": f"bytes=0-{BEGINNING - 1}", "Accept-Encoding": "identity"})
    with urlopen(wanted, timeout=TIMEOUT) as answer:  # http(s) alone: the configuration allows no other
        return bytes(answer.read(BEGINNING))


def _link(source: Path, local_path: Path) -> None:
    if not source.is_file():
        raise MissingFileError(f"{source}: no such file; check plate, mjd, fiber, release and data.url")
    local_path.unlink(missing_ok=True)  # a link whose target went away
    local_path.symlink_to(source.resolve())


def _download(url: str, remote_path: str, local_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydl, about astropy's test runner, which nothing here uses
        from bossdata.remote import Manager  # takes 2 s: only where something is downloaded

    # bossdata neither retries nor checks; it does write to a temporary name and rename.
    download = retry(
        retry=retry_if_exception(_worth_retrying),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(min=1, max=30),
        reraise=True,
    )(Manager(url, str(local_path.parent), verbose=False).download)
    try:
        download(remote_path, str(local_path), chunk_size=CHUNK, progress_min_size=None)
    except RuntimeError as error:
        where = url.rstrip("/") + remote_path
        if _is_missing(error):
            hint = "check plate, mjd, fiber, release and data.url"
            raise MissingFileError(f"{where}: no such file on the server; {hint}") from error
        raise UserError(f"{where}: download failed after {ATTEMPTS} attempts: {error}") from error


def _is_missing(error: BaseException) -> bool:
    return "no remote file" in str(error)


def _worth_retrying(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and not _is_missing(error) and "free space" not in str(error)
