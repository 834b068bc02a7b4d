"""Where the survey's files come from, and where they are kept."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bosscal.base.errors import UserError
from bosscal.run.configuration import Data
from bosscal.run.releases import URL_PATTERN, Release

SIMULATED = "results/simulated"  # a server in miniature, which rules fill
MIRROR = "results/mirror"


@dataclass(frozen=True)
class Source:
    """Where a release's files come from.

    ``url`` is the server or mirror, ``mirror`` the folder that local copies are kept in below their server paths, and
    ``simulated`` tells that this workflow makes the files itself.
    """

    url: str
    mirror: str
    simulated: bool


def source_of(release_name: str, release: Release, data: Data, environment: Mapping[str, str]) -> Source:
    """Where the files of a release come from, and where they are kept.

    Parameters
    ----------
    release_name : str
    release : Release
    data : Data
        The configuration's ``data``.
    environment : mapping
        ``BOSS_DATA_URL`` and ``BOSS_LOCAL_ROOT`` are looked up here.

    Raises
    ------
    UserError
        If ``BOSS_DATA_URL`` is none of a server or mirror.
    """
    configured = data.url if isinstance(data.url, str) else (data.url or {}).get(release_name)
    if release.url is None and configured is None:
        # Neither variable is about the simulated plate: it stays out of what is shared with other work.
        return Source(Path(SIMULATED).absolute().as_uri(), _expanded(data.mirror) or MIRROR, simulated=True)
    url = configured or environment.get("BOSS_DATA_URL") or release.url
    if url is None or not re.match(URL_PATTERN, url):
        raise UserError(
            f"$BOSS_DATA_URL: {url!r} is not allowed; give server or mirror: https://…, http://…, file:///…"
        )
    return Source(
        url, _expanded(data.mirror or environment.get("BOSS_LOCAL_ROOT")) or _mirror(url, release), simulated=False
    )


def _expanded(folder: str | None) -> str | None:
    """A folder with ``~`` and variables as a shell would have them."""
    return os.path.expandvars(os.path.expanduser(folder)) if folder else None


def _mirror(url: str, release: Release) -> str:
    """One folder for each source, so that files of two servers never mix.

    The releases of a server share it: each has its own path there.
    """
    if url.rstrip("/") == (release.url or "").rstrip("/"):
        return MIRROR
    return f"{MIRROR}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"
