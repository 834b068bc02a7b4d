"""Bringing one file of the survey into the local mirror: linked from a folder, or downloaded, verified, then named.

A file has its name only when it is whole, and what the survey says it is.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

from bosscal.base.errors import UserError
from bosscal.base.files import write_apart
from bosscal.survey.checksums import published_sha1, sha1_beside
from bosscal.survey.fitsfile import FitsFile
from bosscal.survey.inputs import STRUCTURE, SURVEY_SHA1, Fetched
from bosscal.survey.transfer import (
    MissingFileError,
    Progress,
    complete,
    first_bytes,
    new_session,
    partial_file,
    read_text,
    size_of,
)

if TYPE_CHECKING:
    import requests

BEGINNING = 40 * 2880  # bytes: more than the longest primary header of an spCFrame
READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
FULL = (errno.ENOSPC, errno.EDQUOT)
Kept = TypeVar("Kept")
log = logging.getLogger(__name__)


def fetch(
    servers: Sequence[str],
    remote_paths: Sequence[str],
    mirror: Path | str,
    overlay: Path | str = "",
    progress: Progress | None = None,
) -> tuple[Path, Fetched]:
    """Link a file of a ``file://`` mirror, or download it from a server; leave it alone if it is there.

    Parameters
    ----------
    servers : sequence of str
        ``https://…``, ``http://…`` or ``file:///…``; those after the first are asked where an earlier one fails.
    remote_paths : sequence of str
        Where on a server the file may lie.
    mirror : path
        Folder for the local copies, in the server's layout.
    overlay : path
        Folder for what is missing in a mirror that cannot be written; "" if there is none.
    progress : callable, optional
        Told what has come, now and then.

    Returns
    -------
    path, Fetched
        Where the file is kept, and how it came there.

    Raises
    ------
    MissingFileError
        If there is no such file.
    UserError
        If the servers refuse it, cannot be reached after several attempts, or give what is not the survey's file; if it
        cannot be kept.
    """
    folders = [str(folder) for folder in (mirror, overlay) if folder]
    for path in remote_paths:
        for folder in folders:
            if os.path.exists(local_path := Path(f"{folder}{path}")):
                return local_path, _verified("there", servers[0].rstrip("/"), path, local_path)
    mistakes: list[UserError] = []
    for server in servers:
        missing: list[UserError] = []
        for path in remote_paths:
            try:
                have = partial(_have, server.rstrip("/"), path, progress=progress)
                return _in_first_writable(folders, path, have)
            except MissingFileError as error:
                missing.append(error)
            except UserError as error:
                missing = [error]
                break
        others = "".join(f" (nor at {path})" for path in remote_paths[: len(missing) - 1])
        mistakes.append(type(missing[-1])(f"{missing[-1]}{others}"))
    if len(mistakes) == 1:
        raise mistakes[0]
    kind = MissingFileError if all(isinstance(error, MissingFileError) for error in mistakes) else UserError
    raise kind("; ".join(map(str, mistakes)))


def _in_first_writable(folders: Sequence[str], remote_path: str, keep: Callable[[Path], Kept]) -> Kept:
    """Keep a file in the first of some folders that can be written."""
    for folder in folders:
        local_path = Path(f"{folder}{remote_path}")
        try:
            local_path.parent.mkdir(parents=True, exist_ok=True)
            return keep(local_path)
        except OSError as error:
            if error.errno is None:
                raise
            if error.errno in READ_ONLY and folder != folders[-1]:
                log.info("%s cannot be written (%s): %s goes to %s", folder, error.strerror, remote_path, folders[-1])
                continue
            advice = "make room" if error.errno in FULL else "look at the folder"
            raise UserError(
                f"{error.filename or local_path}: cannot be written ({error.strerror}); {advice}, or set data.mirror "
                "to a folder of your own"
            ) from error
    raise AssertionError("unreachable")


def _have(server: str, remote_path: str, local_path: Path, progress: Progress | None) -> tuple[Path, Fetched]:
    """Have a file of one server under a name of the mirror."""
    if server.startswith("file://"):
        _link(_in_folder(server, remote_path), local_path)
        return local_path, _verified("linked", server, remote_path, local_path)
    return local_path, _download(server, remote_path, local_path, progress)


def _in_folder(server: str, remote_path: str) -> Path:
    """Where a file of a ``file://`` mirror lies."""
    return Path(unquote(server.removeprefix("file://"))) / remote_path.lstrip("/")


def _verified(how: str, server: str, remote_path: str, local_path: Path) -> Fetched:
    """A file that was there before: read to its end, and compared with the survey's list if that is beside it."""
    expected = sha1_beside(local_path)
    problem, sha1 = _problem(local_path, expected)
    if problem:
        advice = "put a good one in its place" if local_path.is_symlink() else "delete it, and run again to fetch it"
        raise UserError(f"{os.path.realpath(local_path)}: {problem}; {advice}")
    size = local_path.stat().st_size
    return Fetched(how, server, remote_path, SURVEY_SHA1 if expected else STRUCTURE, sha1, size)


def _link(source: Path, local_path: Path) -> None:
    if not source.is_file():
        raise MissingFileError(f"{source}: no such file; check plate, mjd, fiber, release and data.url")
    local_path.unlink(missing_ok=True)  # a link whose target went away
    local_path.symlink_to(source.resolve())


def _download(server: str, remote_path: str, local_path: Path, progress: Progress | None) -> Fetched:
    where = f"{server}{remote_path}"
    folder_url, _, name = where.rpartition("/")
    with new_session() as session, partial_file(local_path) as part:
        expected = None
        problem = ""
        for _ in range(2):  # wrong bytes may be a mishap, once
            complete(session, where, part, progress)
            if expected is None:
                read = partial(read_text, session)
                expected = published_sha1(read, f"{folder_url}/", name, local_path.parent)
            problem, sha1 = _problem(part, expected)
            if not problem:
                os.replace(part, local_path)
                verified = SURVEY_SHA1 if expected else STRUCTURE
                return Fetched("downloaded", server, remote_path, verified, sha1, local_path.stat().st_size)
            part.unlink(missing_ok=True)
        raise UserError(f"{where}: what came {problem}, twice; not kept")


def _problem(path: Path, expected: str | None) -> tuple[str, str]:
    """What is wrong with a file of the survey, "" if nothing is, and its SHA-1."""
    try:
        with open(path, "rb") as stream:
            first = stream.read(512).lstrip()
    except OSError as error:
        return f"cannot be read ({error.strerror})", ""
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


# ------------------------------------------------------------------------------------------------- sizes and pieces


def size_to_come(
    session: requests.Session,
    servers: Sequence[str],
    remote_paths: Sequence[str],
    mirror: Path | str,
    overlay: Path | str = "",
) -> int | None:
    """Bytes of a file that is not in a mirror yet; 0 if it is, or would be linked; None if no server says it.

    Parameters as of :func:`fetch`.
    """
    if any(os.path.exists(f"{folder}{path}") for folder in (mirror, overlay) if folder for path in remote_paths):
        return 0
    for server in servers:
        if server.startswith("file://"):
            return 0
        for path in remote_paths:
            try:
                return size_of(session, f"{server.rstrip('/')}{path}")
            except UserError:  # the download itself will say so
                continue
    return None


def fetch_beginning(
    servers: Sequence[str], remote_path: str, mirror: Path | str, overlay: Path | str = ""
) -> Path | None:
    """Get the first blocks of a large file, which hold its primary header, and keep them under a name of their own.

    Parameters as of :func:`fetch`. A piece cannot be compared with the survey's checksum of the whole file.

    Returns
    -------
    path or None
        Where the piece is kept; None if no server has the file.

    Raises
    ------
    UserError
        If a server cannot be asked now, or the piece cannot be kept.
    """
    folders = [str(folder) for folder in (mirror, overlay) if folder]
    for folder in folders:
        if os.path.exists(local_path := Path(f"{folder}{remote_path}.header")):
            return local_path
    for server in servers:
        try:
            content = _beginning(server.rstrip("/"), remote_path)
        except MissingFileError:
            continue

        def keep(local_path: Path, content: bytes = content) -> Path:
            write_apart(local_path, content)
            return local_path

        return _in_first_writable(folders, f"{remote_path}.header", keep)
    return None


def _beginning(server: str, remote_path: str) -> bytes:
    if not server.startswith("file://"):
        with new_session() as session:
            return first_bytes(session, f"{server}{remote_path}", BEGINNING)
    path = _in_folder(server, remote_path)
    try:
        with open(path, "rb") as stream:
            return stream.read(BEGINNING)
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
