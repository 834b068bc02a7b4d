"""The data releases: where each lies on its server, and what is particular about it."""

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from bosscal.base.errors import UserError
from bosscal.run.validation import complaints, distinct, some, unknown_name
from bosscal.run.yamltext import read_mapping, read_text

URL_PATTERN = r"^(https?://[^/\s]\S*$|file:///)"
# Names of releases are names of folders too, and must not differ by their capitals alone.
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


def _known_law(name: str, info: ValidationInfo) -> str:
    laws: Collection[str] | None = info.context
    if laws is not None and name not in laws:
        raise unknown_name(name, laws)
    return name


Url = Annotated[str, Field(pattern=URL_PATTERN)]
Folder = Annotated[str, Field(pattern=r"^[^/\s]+(/[^/\s]+)*$")]


Plate = Annotated[int, Field(ge=1)]
Night = Annotated[int, Field(gt=45000)]


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
    fallbacks: Annotated[tuple[Url, ...], AfterValidator(distinct)] = Field(
        default=(),
        strict=False,
        description="list of further servers of the release, https://…, http://… or file:///…, the first choice first",
    )
    full_spectra: Annotated[tuple[Folder, ...], BeforeValidator(some), AfterValidator(distinct)] = Field(
        strict=False,
        description="list of the folders below RUN2D in which full spec files may lie, the first choice first",
    )
    papers: tuple[str, ...] = Field(
        default=(), strict=False, description="list of the papers to cite for the release's data, each in a line"
    )
    acknowledgment: str | None = Field(
        default=None, pattern=URL_PATTERN, description="page with the survey's official acknowledgment; null for none"
    )
    plates: Annotated[tuple[Plate, ...], AfterValidator(distinct)] | None = Field(
        default=None, strict=False, description="list of all plates of the release, if they are few; null otherwise"
    )
    first_nights: dict[Annotated[int, Field(strict=False)], Night] = Field(
        default={},
        description="first night (MJD) here of those plates that another reduction of the folder has before it",
    )

    def has(self, plate: int, mjd: int | None) -> bool:
        """Whether a plate, of a night if one is given, can be in the release: where its plates are known."""
        if self.plates is None:
            return True
        return plate in self.plates and (mjd is None or mjd >= self.first_nights.get(plate, 0))

    def has_alone(self, plate: int, mjd: int | None) -> bool:
        """Whether a plate, of a night if one is given, is in no other reduction of the release's folder."""
        if self.plates is None or not self.has(plate, mjd):
            return False
        return plate not in self.first_nights or mjd is not None


def citation(release: Release) -> list[str]:
    """What a publication owes to the data of a release, in lines of plain text.

    Parameters
    ----------
    release : Release

    Returns
    -------
    list of str
        That the data are simulated, or the papers to cite, one in a line, and where the survey's official
        acknowledgment is, if the list of releases knows them.
    """
    if release.url is None:
        return [f"{release.title}: simulated data; there is nothing to cite"]
    lines = [f"{release.title}: please cite", *(f"  {paper}" for paper in release.papers)] if release.papers else []
    if release.acknowledgment:
        lines.append(f"and add the survey's acknowledgment, as it stands at {release.acknowledgment}")
    return lines or [f"{release.title}: not known what to cite"]


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
    text = read_mapping(read_text(path), str(path), "give names of releases, each with its keys")
    releases, lines = {}, []
    for name, entry in text.value.items():
        if not NAME.fullmatch(name) or name.isdigit():
            lines.append(f"{name}: no name of a release; give lower-case letters, digits, '.', '_' and '-'")
            continue
        try:
            releases[name] = Release.model_validate(entry, context=laws)
        except ValidationError as error:
            lines += complaints(error, Release, above=(name,))
    spellings: dict[str, str] = {}
    for name in releases:
        earlier = spellings.setdefault(_spelling(name), name)
        if earlier != name:
            lines.append(f"{name}: would be taken for {earlier}; give it another name")
    if lines:
        raise UserError("\n".join(f"{path}: {line}" for line in lines))
    return releases


def _spelling(name: str) -> str:
    """What is left of a name without what people write in different ways: dr12 of DR12, dr 12, dr-12, Dr_12 and 12."""
    text = re.sub(r"[\s_-]+", "", name.casefold())
    return f"dr{text}" if text.isdecimal() else text


def spelled(name: str, releases: Iterable[str]) -> str | None:
    """The name of a release as the list spells it; None if it has none that could be meant."""
    return {_spelling(release): release for release in releases}.get(_spelling(name))


def releases_with(name: str, releases: Mapping[str, Release], plate: int, mjd: int | None) -> list[str] | None:
    """The other releases that a plate has to be asked of.

    Parameters
    ----------
    name : str
        Of the release that it is asked of.
    releases : mapping
    plate : int
    mjd : int or None
        None for its only night.

    Returns
    -------
    list of str or None
        None if it can be in this one. Two reductions of one folder have different plates, as dr12 and dr12-sequels.
    """
    release = releases[name]
    siblings = {
        other: found
        for other, found in releases.items()
        if other != name and (found.sas_path, found.url) == (release.sas_path, release.url)
    }
    elsewhere = [other for other, found in siblings.items() if found.has_alone(plate, mjd)]
    if release.has(plate, mjd) and (release.plates is not None or not elsewhere):
        return None
    return elsewhere or [other for other, found in siblings.items() if found.has(plate, mjd)]


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
