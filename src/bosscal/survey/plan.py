"""What a run would fetch: how many files and bytes, and whether there is room for them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bosscal.base.errors import UserError
from bosscal.survey.fetch import size_to_come
from bosscal.survey.transfer import SPARE, new_session

AT_A_TIME = 4  # questions to a server


@dataclass(frozen=True)
class Wanted:
    """A file that a run needs; see :func:`bosscal.survey.fetch.fetch`."""

    servers: Sequence[str]
    remote_paths: Sequence[str]
    mirror: str
    overlay: str = ""


@dataclass(frozen=True)
class Plan:
    """Of the files that a run needs: how many there are and how many would come, how many bytes that is, of how many
    of them no server says the size, into which folders they go, and the bytes that come to and are free in each."""

    number: int
    to_come: int
    size: int
    unknown: int
    folders: dict[str, tuple[int, int]]

    @property
    def line(self) -> str:
        """All of it on one line."""
        files = f"{self.number} file{'s' if self.number != 1 else ''}"
        if not self.to_come:
            return f"{files}: all are there, or linked from where they are"
        unknown = f" and {self.unknown} of unknown size" if self.unknown else ""
        places = ", ".join(f"{folder} ({free / 1e9:.1f} GB are free)" for folder, (_, free) in self.folders.items())
        return f"{files}: {self.to_come} would come, {self.size / 1e6:.1f} MB{unknown}, to {places}"


def plan_fetch(wanted: Sequence[Wanted]) -> Plan:
    """Ask how much of some files would come.

    Parameters
    ----------
    wanted : sequence of Wanted

    Returns
    -------
    Plan

    Raises
    ------
    UserError
        If there is no room for it.
    """
    with new_session() as session, ThreadPoolExecutor(AT_A_TIME) as pool:

        def ask(file: Wanted) -> int | None:
            return size_to_come(session, file.servers, file.remote_paths, file.mirror, file.overlay)

        sizes = list(pool.map(ask, wanted))
    coming = [(file, size) for file, size in zip(wanted, sizes, strict=True) if size != 0]
    needed: dict[str, int] = {}
    for file, size in coming:
        folder = _written_to(file)
        needed[folder] = needed.get(folder, 0) + (size or 0)
    folders = {folder: (size, shutil.disk_usage(_existing(folder)).free) for folder, size in needed.items()}
    plan = Plan(len(wanted), len(coming), sum(needed.values()), sum(size is None for _, size in coming), folders)
    _check_room(folders, plan)
    return plan


def _check_room(folders: dict[str, tuple[int, int]], plan: Plan) -> None:
    """Refuse a plan for which a disk has no room; several folders may lie on one."""
    disks: dict[int, tuple[int, int, str]] = {}
    for folder, (size, free) in folders.items():
        disk = os.stat(_existing(folder)).st_dev
        together = disks.get(disk, (0, free, folder))
        disks[disk] = together[0] + size, min(free, together[1]), together[2]
    for size, free, folder in disks.values():
        if size + SPARE > free:
            raise UserError(
                f"{plan.line}: there is no room for {size / 1e9:.1f} GB; "
                f"make room, or set data.mirror to a folder on another disk than {folder}"
            )


def _existing(folder: str) -> Path:
    """A folder, or the one above it that is there."""
    path = Path(folder)
    while not os.path.exists(path):
        path = path.parent
    return path


def _written_to(file: Wanted) -> str:
    """The folder that a file would be kept in."""
    if file.overlay and not os.access(_existing(file.mirror), os.W_OK):
        return file.overlay
    return file.mirror
