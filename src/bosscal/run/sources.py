"""Where the survey's files come from, and where they are kept."""

import hashlib
import os
import pwd
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bosscal.base.errors import UserError
from bosscal.run.configuration import Data
from bosscal.run.releases import URL_PATTERN, Release
from bosscal.run.validation import as_written, at
from bosscal.run.written import Written

SIMULATED = "results/simulated"  # a server in miniature, which rules fill
MIRROR = "results/mirror"
URL_VARIABLE, MIRROR_VARIABLE = "BOSS_DATA_URL", "BOSS_LOCAL_ROOT"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w*)(\}?))")
_HOME = re.compile(r"~([^/]*)")


@dataclass(frozen=True)
class Source:
    """Where a release's files come from.

    ``url`` is the server or mirror, ``mirror`` the folder that local copies are kept in below their server paths, and
    ``simulated`` tells that this workflow makes the files itself. ``fallbacks`` are further servers that may be asked
    when the first does not answer; a server that the user named has none. ``overlay`` is a folder of the run's own for
    what is missing in a mirror that cannot be written; "" if the mirror is such a folder.
    """

    url: str
    mirror: str
    simulated: bool
    fallbacks: tuple[str, ...] = ()
    overlay: str = ""


def source_of(
    release_name: str, release: Release, data: Data, environment: Mapping[str, str], written: Written | None = None
) -> Source:
    """Where the files of a release come from, and where they are kept.

    Parameters
    ----------
    release_name : str
    release : Release
    data : Data
        The configuration's ``data``.
    environment : mapping
        ``BOSS_DATA_URL`` and ``BOSS_LOCAL_ROOT`` are looked up here, and all variables that a value names.
    written : Written, optional
        Tells where values are written, for messages.

    Raises
    ------
    UserError
        If a value or variable is none of a server or a folder, or names a variable that is not set.
    """
    configured = data.url if isinstance(data.url, str) else (data.url or {}).get(release_name)
    mirror = None
    if data.mirror:
        with _of_key(written, "data", "mirror"):
            mirror = _folder(data.mirror, environment)
    if release.url is None and configured is None:
        # Neither variable is about the simulated plate: it stays out of what is shared with other work.
        return Source(Path(SIMULATED).absolute().as_uri(), mirror or MIRROR, simulated=True)
    url = release.url or ""
    if configured:
        with _of_key(written, "data", "url", *(() if isinstance(data.url, str) else (release_name,))):
            url = _address(configured, environment)
    elif environment.get(URL_VARIABLE):
        with _of_variable(URL_VARIABLE):
            url = _address(environment[URL_VARIABLE], environment)
    if not mirror and environment.get(MIRROR_VARIABLE):
        with _of_variable(MIRROR_VARIABLE):
            mirror = _folder(environment[MIRROR_VARIABLE], environment)
    fallbacks = release.fallbacks if _is_own(url, release) else ()
    own = _mirror(url, release)
    return Source(url, mirror or own, simulated=False, fallbacks=fallbacks, overlay=own if mirror else "")


@contextmanager
def _of_key(written: Written | None, *path: str) -> Iterator[None]:
    """Say of a mistake which key it is in, and where that is written."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{as_written(path)}: {error}{at(path, written)}") from error


@contextmanager
def _of_variable(name: str) -> Iterator[None]:
    """Say of a mistake which variable it is in."""
    try:
        yield
    except UserError as error:
        raise UserError(f"${name}: {error}") from error


def read_only(source: Source) -> str:
    """A line on a mirror that cannot be written; "" for the others."""
    folder = Path(source.mirror)
    while not os.path.exists(folder):
        folder = folder.parent
    if not source.overlay or os.access(folder, os.W_OK):
        return ""
    return (
        f"data.mirror {source.mirror} cannot be written: what is missing there goes to {source.overlay}; "
        "set data.mirror to a folder of your own to have all in one place"
    )


def contradictions(releases: Mapping[str, Release], environment: Mapping[str, str]) -> list[str]:
    """Variables of bossdata that say other than the releases that are used: a line for each.

    They are ignored, since the name of a release says where its files lie.
    """
    lines = []
    for variable, key in (("BOSS_SAS_PATH", "sas_path"), ("BOSS_REDUX_VERSION", "run2d")):
        given = environment.get(variable)
        if not given:
            continue
        others = [
            f"{name} has {getattr(release, key)}"
            for name, release in releases.items()
            if release.url is not None and getattr(release, key) != given.rstrip("/")
        ]
        if others:
            lines.append(f"${variable} is {given!r} and is ignored: {', '.join(others)}; the release decides")
    return lines


def _address(text: str, environment: Mapping[str, str]) -> str:
    """An address with ``~`` and variables as a shell would have them, each once."""
    path = text.removeprefix("file://")
    if path == text:
        url = _expanded(text, environment)
    else:
        # What is put in is a path, and no part of an address, in which a % means something.
        url = f"file://{_expanded(path, environment, lambda value: value.replace('%', '%25'))}"
    if not re.match(URL_PATTERN, url) or _CONTROL.search(url):
        advice = "give server or mirror: https://…, http://…, file:///…"
        raise UserError(f"{_both(text, url)} is not allowed; {advice}")
    return url


def _folder(text: str, environment: Mapping[str, str]) -> str:
    """A folder with ``~`` and variables as a shell would have them, each once."""
    folder = _expanded(text, environment)
    if not folder or _CONTROL.search(folder):
        raise UserError(f"{_both(text, folder)} is not allowed; give folder for the local copies")
    if re.match(r"[A-Za-z]+:/", folder):
        raise UserError(f"{_both(text, folder)} is an address; give a folder here, and the address as data.url")
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise UserError(f"{_both(text, folder)} is no folder; give one, which need not be there yet")
    return folder


def _both(text: str, expanded: str) -> str:
    """A value as it is written and, if that differs, as it is meant."""
    return repr(text) if text == expanded else f"{text!r}, which is {expanded!r},"


def _expanded(text: str, environment: Mapping[str, str], quoted: Callable[[str], str] = str) -> str:
    """A text with ``~`` at its beginning and variables replaced; what is put in is not looked at again."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if not match[1] and not (match[2] and match[3]):
            raise UserError(f"{text!r} has a $ that begins no variable; write $NAME or ${{NAME}}")
        if not environment.get(name):
            raise UserError(f"{text!r} has ${name}, which is not set; set it, or write out what it stands for")
        return quoted(environment[name])

    def home(match: re.Match[str]) -> str:
        try:
            if match[1]:
                return quoted(pwd.getpwnam(match[1]).pw_dir)
            return quoted(environment.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)
        except (KeyError, ValueError) as error:
            raise UserError(f"{text!r} has {match[0]}, which is nobody's home folder; write the folder out") from error

    at_home = _HOME.match(text)
    rest = text[at_home.end() :] if at_home else text
    return (home(at_home) if at_home else "") + _VARIABLE.sub(value, rest)


def _is_own(url: str, release: Release) -> bool:
    return url.rstrip("/") == (release.url or "").rstrip("/")


def _mirror(url: str, release: Release) -> str:
    """One folder for each source, so that files of two servers never mix.

    The releases of a server share it: each has its own path there.
    """
    if _is_own(url, release):
        return MIRROR
    return f"{MIRROR}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"
