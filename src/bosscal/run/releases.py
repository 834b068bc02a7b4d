"""The data releases: where each lies on its server, and what is particular about it."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from bosscal.base.errors import UserError
from bosscal.run.validation import complaints, distinct, shown, some, unknown_name

URL_PATTERN = r"^(https?://[^/]|file:///)"
# Names of releases are names of folders too, and must not differ by their capitals alone.
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


def _known_law(name: str, info: ValidationInfo) -> str:
    laws: Collection[str] | None = info.context
    if laws is not None and name not in laws:
        raise unknown_name(name, laws)
    return name


Folder = Annotated[str, Field(pattern=r"^[^/\s]+(/[^/\s]+)*$")]


class Release(BaseModel):
    """One entry of ``workflow/releases.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    title: str = Field(min_length=1, description="the release's name in words")
    sas_path: str = Field(
        pattern=r"^(/[^/\s]+)+$", description="folder of the release on its server, e.g. /sas/dr12/boss"
    )
    run2d: str = Field(pattern=r"^[^/\s]+$", description="name of the reduction, e.g. v5_7_0")
    noise_law: Annotated[str, AfterValidator(_known_law)] = Field(
        description="name of the noise law that the release's extraction follows"
    )
    thrucorr: bool = Field(
        description="true or false: whether every exposure has a chromatic fiber-position correction (from v5_9 on)"
    )
    url: str | None = Field(
        pattern=URL_PATTERN, description="the public server, https://…, http://… or file:///…; null if a rule makes it"
    )
    full_spectra: Annotated[tuple[Folder, ...], BeforeValidator(some), AfterValidator(distinct)] = Field(
        strict=False,
        description="list of the folders below RUN2D in which full spec files may lie, the first choice first",
    )


def read_releases(path: Path | str, laws: Collection[str] | None = None) -> dict[str, Release]:
    """All releases by name, every entry checked.

    Parameters
    ----------
    path : path
        ``workflow/releases.yaml``.
    laws : collection of str, optional
        Names of the noise laws; without them, those of the file are not checked.

    Returns
    -------
    dict
        In the order of the file.

    Raises
    ------
    UserError
        With one line for each mistake, naming the file, the release and the key.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path}: {shown(content)} is not allowed; give names of releases, each with its keys")
    releases, lines = {}, []
    for name, entry in content.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            lines.append(f"{name}: no name of a release; give lower-case letters, digits, '.', '_' and '-'")
            continue
        try:
            releases[name] = Release.model_validate(entry, context=laws)
        except ValidationError as error:
            lines += complaints(error, Release, above=(name,))
    if lines:
        raise UserError("\n".join(f"{path}: {line}" for line in lines))
    return releases


def spec_paths(release: Release, plate: int, mjd: int, fiber: int) -> list[str]:
    """Server paths at which a target's full spec file may lie, the first choice first.

    Releases differ in the folder, and mirrors keep what they were given: any of these is the same file.
    """
    name = f"{plate:04d}/spec-{plate:04d}-{mjd:05d}-{fiber:04d}.fits"
    return [f"{release.sas_path}/spectro/redux/{release.run2d}/{folder}/{name}" for folder in release.full_spectra]


def alternatives(release: Release, server_path: str) -> list[str]:
    """Other server paths at which the same full spec file may lie; none for other files."""
    base = f"{release.sas_path}/spectro/redux/{release.run2d}"
    first, *others = release.full_spectra
    rest = server_path.removeprefix(f"{base}/{first}/")
    if not others or rest == server_path or "/spec-" not in f"/{rest}":
        return []
    return [f"{base}/{folder}/{rest}" for folder in others]
