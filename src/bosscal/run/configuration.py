"""The configuration: every key with its meaning, what is allowed, and its default.

This is the only place that says so. The messages about mistakes, ``workflow/schemas/config.schema.yaml`` and the table
in README.md, section "Configuration", are made from the models below; ``python -m bosscal.run.configuration``, in the
folder of the repository, writes the latter two.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_origin

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.fields import FieldInfo

from bosscal.base.errors import UserError
from bosscal.base.files import write_text
from bosscal.run.releases import Release, read_releases, releases_with, spelled
from bosscal.run.validation import Source, at, complaints, distinct, mistake, plain, section_of, some, unknown_name
from bosscal.survey.targets import FIBERS_PER_PLATE, fiber_range

FIRST_BOSS_PLATE = 3510
RELEASES = "workflow/releases.yaml"
SCHEMA = "workflow/schemas/config.schema.yaml"
README = "README.md"
TABLE_BEGIN = "<!-- configuration: made by make docs -->"
TABLE_END = "<!-- end -->"


# What an address may be before `~` and variables are what they stand for; bosscal.run.sources looks at it afterwards.
ADDRESS_PATTERN = r"^(https?://[^/\s]\S*$|file:///|file://[~$]|\$)"


@dataclass(frozen=True)
class Known:
    """The names that a configuration may use; what pydantic calls a context."""

    releases: Mapping[str, Release]
    mask_bits: Collection[str]
    panels: Collection[str] | None = None


@dataclass(frozen=True)
class Shown:
    """What the table in README.md says of a key besides its description, and of a default that is no value."""

    details: str = ""
    default: str = ""


# ------------------------------------------------------------------------------------------------------- values


def _as_word(name: Any) -> Any:
    """The number of a data release as a name of it."""
    return str(name) if isinstance(name, int) and not isinstance(name, bool) else name


def _known_release(name: str, info: ValidationInfo) -> str:
    """The name of a release as the list spells it."""
    known: Known | None = info.context
    if known is None:  # values that were checked before
        return name
    found = spelled(name, known.releases)
    if found is None:
        reduced = [other for other, release in known.releases.items() if release.run2d == name and release.url]
        wrong = f"is a reduction, and not a release; give {' or '.join(reduced)}" if reduced else "is not known"
        raise unknown_name(name, known.releases, wrong)
    return found


def _known_bit(name: str, info: ValidationInfo) -> str:
    known: Known | None = info.context
    if known is not None and name not in known.mask_bits:
        raise unknown_name(name, known.mask_bits, "is no SPPIXMASK bit")
    return name


def _known_panel(name: str, info: ValidationInfo) -> str:
    known: Known | None = info.context
    if known is not None and known.panels is not None and name not in known.panels:
        raise unknown_name(name, known.panels, "is no panel")
    return name


def _with_png(formats: tuple[str, ...]) -> tuple[str, ...]:
    if "png" not in formats:
        raise mistake("png is missing: the report shows it; add it to the list")
    return formats


def _each_release_once(urls: Any, info: ValidationInfo) -> Any:
    """Refuse a release that is named twice, in two spellings: after spelling them the same, one would be lost."""
    if isinstance(urls, Mapping):
        spellings: dict[str, str] = {}
        for name in map(str, urls):
            known = spelled(name, info.context.releases) if info.context else None
            earlier = spellings.setdefault(known or name, name)
            if earlier != name:
                raise mistake(f"'{earlier}' and '{name}' are the same release; remove one")
    return urls


def _range_on_plate(text: str) -> str:
    first, last = fiber_range(text)
    if not 1 <= first <= last <= FIBERS_PER_PLATE:
        raise mistake(f"'{text}' is no fiber or range of fibers within 1-{FIBERS_PER_PLATE}")
    return text


def _each_fiber_once(fibers: tuple[int | str, ...]) -> tuple[int | str, ...]:
    # lazily: a list with more fibers than a plate has ends at the first that is there twice
    distinct(number for item in fibers for number in _numbers(item))
    return fibers


def _numbers(item: int | str) -> range:
    first, last = fiber_range(item)
    return range(first, last + 1)


# Alternatives are told apart by their type, so that a mistake is one of what was meant, not one of each. The tags are
# in brackets so that they can be told from keys.
def _word_or_list(value: object) -> str:
    return "[word]" if isinstance(value, str) else "[list]"


def _word_or_number(value: object) -> str:
    return "[word]" if isinstance(value, str) else "[number]"


def _word_or_mapping(value: object) -> str:
    return "[mapping]" if isinstance(value, Mapping) else "[word]"


MIN_ITEMS: dict[str, Any] = {"minItems": 1}
UNIQUE: dict[str, Any] = {"uniqueItems": True}

ReleaseName = Annotated[str, BeforeValidator(_as_word), AfterValidator(_known_release)]
MaskBit = Annotated[str, AfterValidator(_known_bit)]
Url = Annotated[str, Field(pattern=ADDRESS_PATTERN)]
Urls = Annotated[dict[ReleaseName, Url | None], BeforeValidator(_each_release_once)]
UrlOrUrls = Annotated[
    Annotated[Url, Tag("[word]")] | Annotated[Urls, Tag("[mapping]")], Discriminator(_word_or_mapping)
]
All = Annotated[Literal["all"], Tag("[word]")]
FiberRange = Annotated[str, Field(pattern=r"^[0-9]{1,4}-[0-9]{1,4}$"), AfterValidator(_range_on_plate)]
FiberNumber = Annotated[int, Field(ge=1, le=FIBERS_PER_PLATE)]
Fiber = Annotated[
    Annotated[FiberNumber, Tag("[number]")] | Annotated[FiberRange, Tag("[word]")], Discriminator(_word_or_number)
]
# Lists of YAML become tuples, which nobody changes by mistake: hence `strict=False` for the list, not for its items.
Fibers = Annotated[
    tuple[Fiber, ...],
    BeforeValidator(some),
    AfterValidator(_each_fiber_once),
    Field(strict=False, json_schema_extra=MIN_ITEMS | UNIQUE),
]
Exposures = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...],
    BeforeValidator(some),
    AfterValidator(distinct),
    Field(strict=False, json_schema_extra=MIN_ITEMS | UNIQUE),
]
Bands = Annotated[
    tuple[Literal["blue", "red"], ...],
    BeforeValidator(some),
    AfterValidator(distinct),
    Field(strict=False, json_schema_extra=MIN_ITEMS | UNIQUE),
]
Cameras = Annotated[
    tuple[Literal["b1", "b2", "r1", "r2"], ...],
    BeforeValidator(some),
    AfterValidator(distinct),
    Field(strict=False, json_schema_extra=MIN_ITEMS | UNIQUE),
]
MaskBits = Annotated[tuple[MaskBit, ...], AfterValidator(distinct), Field(strict=False, json_schema_extra=UNIQUE)]


# ----------------------------------------------------------------------------------------------------- sections


class Section(BaseModel):
    """A mapping of the configuration: no other keys than these, no value of another type, and nothing changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_empty_keys(cls, values: Any) -> Any:
        """An empty key is one left out."""
        if isinstance(values, Mapping):
            return {key: value for key, value in values.items() if value is not None or key not in cls.model_fields}
        return values


class Data(Section):
    """Where the survey's files come from and are kept."""

    url: Annotated[
        UrlOrUrls | None,
        Shown(default="`$BOSS_DATA_URL`, else the release's own"),
    ] = Field(
        default=None,
        description="server or mirror: `https://…`, `http://…` or `file:///…`, where `file://~/…` and variables "
        "(`$NAME`) are what a shell makes of them; or one for each release by its name, e.g. `{dr12: https://…}`",
    )
    mirror: Annotated[
        str | None,
        Shown(
            details=", in the server's layout; `~` and variables are what a shell makes of them",
            default="`$BOSS_LOCAL_ROOT`, else one under `results/` for each server",
        ),
    ] = Field(default=None, min_length=1, description="folder for the local copies")


def _each_name_once(subsets: "tuple[CoaddEntry, ...]") -> "tuple[CoaddEntry, ...]":
    distinct(subset.name for subset in subsets)
    return subsets


class CoaddEntry(Section):
    """One coadd of some of the exposures."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9-]{0,40}$",
        description="name of the coadd, which its file ends in: small letters, digits and hyphens",
    )
    exposures: Annotated[All | Annotated[Exposures, Tag("[list]")], Discriminator(_word_or_list)] = Field(
        default="all", description="list of sequence numbers of its exposures, from 0 in time order, or `all`"
    )
    cameras: Cameras = Field(
        default=("b1", "b2", "r1", "r2"), description="list of its cameras: `b1`, `r1` or `b2`, `r2`"
    )


Subsets = Annotated[tuple[CoaddEntry, ...], AfterValidator(_each_name_once), Field(strict=False)]


class TargetEntry(Section):
    """One entry of ``targets``: fibers of a plate."""

    release: Annotated[ReleaseName | None, Shown(default="the `release` above")] = Field(
        default=None, description="name of this target's release: {releases}"
    )
    plate: int = Field(
        ge=FIRST_BOSS_PLATE,
        description=f"plate number, {FIRST_BOSS_PLATE} or more (smaller ones are SDSS-I/II plates with other "
        "spectrographs)",
    )
    mjd: Annotated[int | None, Shown(default="the plate's only good one in the release's platelist")] = Field(
        default=None, gt=45000, description="night of the observation: its MJD"
    )
    fibers: Annotated[
        All | Annotated[Fibers, Tag("[list]")],
        Discriminator(_word_or_list),
        Shown(
            details=": the whole plate, with figures of camera exposures instead of one for every fiber (list a fiber "
            "in another entry to have its own)"
        ),
    ] = Field(description='list of fiber numbers 1-1000 and `"1-20"` ranges, or `all`')
    bands: Bands = Field(default=("blue", "red"), description="one of `blue`, `red`, or both, in a list")
    exposures: Annotated[All | Annotated[Exposures, Tag("[list]")], Discriminator(_word_or_list)] = Field(
        default=(0,),
        description="list of sequence numbers of the science exposures in the coadd, from 0 in time order, or `all`",
    )
    products: Literal["frames", "spec"] = Field(
        default="frames",
        description="`frames`: the per-plate files (300 MB an exposure); `spec`: the target's own full spec file "
        "(1.7 MB), which has no flats and no components",
    )
    coadd: Subsets = Field(
        default=(),
        description="list of further coadds of a full spec file's exposures, each with a `name`: half the night, one "
        "camera, all but the worst",
    )

    @model_validator(mode="after")
    def _subsets_are_of_spec_files(self) -> "TargetEntry":
        if self.coadd and self.products != "spec":
            raise mistake("coadd needs products: spec, for only a full spec file holds the exposures of a coadd")
        return self


def _as_float(number: Any) -> Any:
    return float(number) if isinstance(number, int) and not isinstance(number, bool) else number


Formats = Annotated[
    tuple[Literal["png", "pdf", "svg"], ...],
    BeforeValidator(some),
    AfterValidator(distinct),
    AfterValidator(_with_png),
    Field(strict=False, json_schema_extra=MIN_ITEMS | UNIQUE | {"contains": {"const": "png"}}),
]
Panel = Annotated[str, AfterValidator(_known_panel)]
Panels = Annotated[
    tuple[Panel, ...],
    BeforeValidator(some),
    AfterValidator(distinct),
    Field(strict=False, json_schema_extra=MIN_ITEMS | UNIQUE),
]


class Figures(Section):
    """How figures are drawn."""

    formats: Formats = Field(
        default=("png", "pdf"),
        description="list of the formats of figures: `png`, which the report shows, `pdf`, `svg`",
    )
    page_width: Annotated[float, BeforeValidator(_as_float)] = Field(
        default=7.0,
        ge=6.8,
        le=7.6,
        description="width of figures of several panels [inch], 6.8 to 7.6: two columns of a journal",
    )
    column_width: Annotated[float, BeforeValidator(_as_float)] = Field(
        default=3.35, ge=3.3, le=3.8, description="width of a panel alone [inch], 3.3 to 3.8: one column"
    )
    panels: Annotated[Panels | None, Shown(default="all six")] = Field(
        default=None,
        description="list of the panels of each spectrum's figure of six, by their names in "
        "[docs/figures.md](docs/figures.md)",
    )
    limits: Literal["data", "tutorial"] = Field(
        default="data",
        description="`data`: axes hold all that is drawn; `tutorial`: its axes, which cut the rest",
    )
    title: bool = Field(
        default=True, description="true or false: whether figures have a title; simulated data are marked in any case"
    )


def _in_order(limits: tuple[Any, Any]) -> tuple[Any, Any]:
    if limits[0] > limits[1]:
        raise mistake(f"{list(limits)} ends before it begins; give the first and the last")
    return limits


Limits = Annotated[tuple[int, int], AfterValidator(_in_order), Field(strict=False)]
_Degrees = Annotated[float, BeforeValidator(_as_float)]
RightAscension = Annotated[_Degrees, Field(ge=0, le=360)]
Declination = Annotated[_Degrees, Field(ge=-90, le=90)]
RightAscensions = Annotated[tuple[RightAscension, RightAscension], Field(strict=False)]
Declinations = Annotated[tuple[Declination, Declination], AfterValidator(_in_order), Field(strict=False)]
Qualities = Annotated[
    tuple[Literal["good", "marginal", "bad"], ...],
    BeforeValidator(some),
    AfterValidator(distinct),
    Field(strict=False, json_schema_extra=MIN_ITEMS | UNIQUE),
]
Programmes = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(some),
    AfterValidator(distinct),
    Field(strict=False, json_schema_extra=MIN_ITEMS | UNIQUE),
]


class Query(Section):
    """Plates that are looked up in a release's platelist, and what to analyse of each."""

    release: Annotated[ReleaseName | None, Shown(default="the `release` above")] = Field(
        default=None, description="name of the release whose platelist is asked: {releases}"
    )
    plates: Annotated[Limits | None, Shown(default="all")] = Field(
        default=None, description="first and last plate number, e.g. `[4000, 4099]`: a batch of a survey"
    )
    mjd: Annotated[Limits | None, Shown(default="all")] = Field(
        default=None, description="first and last night (MJD), e.g. `[55176, 55540]`"
    )
    quality: Qualities = Field(default=("good",), description="list of qualities: `good`, `marginal`, `bad`")
    programmes: Annotated[Programmes | None, Shown(default="all")] = Field(
        default=None, description="list of names of programmes (PROGRAMNAME), e.g. `[boss]`"
    )
    ra: Annotated[RightAscensions | None, Shown(default="all")] = Field(
        default=None,
        description="right ascension of the plate's center [deg], from and to, e.g. `[110, 260]`; `[350, 10]` is "
        "across 0",
    )
    dec: Annotated[Declinations | None, Shown(default="all")] = Field(
        default=None, description="declination of the plate's center [deg], from and to, e.g. `[-5, 60]`"
    )
    fibers: Annotated[
        All | Annotated[Fibers, Tag("[list]")],
        Discriminator(_word_or_list),
    ] = Field(default="all", description="fibers of each plate, as in an entry of `targets`")
    bands: Bands = Field(default=("blue", "red"), description="bands of each plate, as in an entry of `targets`")
    exposures: Annotated[All | Annotated[Exposures, Tag("[list]")], Discriminator(_word_or_list)] = Field(
        default="all", description="exposures of each plate, as in an entry of `targets`"
    )
    products: Literal["frames", "spec"] = Field(
        default="frames", description="`frames` or `spec`, as in an entry of `targets`"
    )


Targets = Annotated[tuple[TargetEntry, ...], BeforeValidator(some), Field(strict=False, json_schema_extra=MIN_ITEMS)]


class Configuration(Section):
    """All of ``config.yaml``."""

    model_config = ConfigDict(
        title="bosscal configuration",
        json_schema_extra={
            "allOf": [
                {
                    "anyOf": [
                        {"required": ["release"], "properties": {"release": {"type": "string"}}},
                        {
                            "properties": {
                                "targets": {
                                    "items": {"required": ["release"], "properties": {"release": {"type": "string"}}}
                                },
                                "query": {"required": ["release"], "properties": {"release": {"type": "string"}}},
                            }
                        },
                    ]
                },
                {
                    "anyOf": [
                        {"required": [key], "properties": {key: {"type": kind}}}
                        for key, kind in (("targets", "array"), ("table", "string"), ("query", "object"))
                    ]
                },
            ]
        },
    )

    release: Annotated[
        ReleaseName | None,
        Shown(
            details=f"; they are listed in [{RELEASES}]({RELEASES}); `DR12`, `dr 12` and `12` are `dr12` too",
            default="required, unless every target names its own",
        ),
    ] = Field(default=None, description="name of a release: {releases}")
    data: Data = Field(default=Data(), description="where the survey's files come from and are kept: url and mirror")
    targets: Targets = Field(default=(), description="what to analyse: a list with an entry for each plate")
    table: Annotated[
        str | None,
        Shown(
            details=", whose first line names the columns, which are the keys of an entry of `targets`; a list in a "
            "cell is separated by blanks",
            default="none",
        ),
    ] = Field(default=None, min_length=1, description="CSV or ECSV file with further targets, a row for each plate")
    query: Query | None = Field(
        default=None, description="plates that are looked up in a release's platelist: plates, mjd, quality and others"
    )
    mask_allow: MaskBits = Field(
        default=(),
        description="list of [SPPIXMASK](https://www.sdss.org/dr12/algorithms/bitmasks/#SPPIXMASK) bits to treat as "
        "harmless, e.g. `BRIGHTSKY`",
    )
    figures: Figures = Field(default=Figures(), description="how figures are drawn: formats, widths, panels and others")
    keep_intermediates: bool = Field(
        default=True,
        description="true or false: whether extract_frame and calibrate write their npz (130 MB a camera exposure of "
        "frames); without, one process makes table and spCalib of a camera exposure, and what draws reads the "
        "survey's files again",
    )

    @property
    def releases(self) -> tuple[str, ...]:
        """Names of the releases of all targets and of the query, each once."""
        named = [target.release for target in self.targets] + ([self.query.release] if self.query else [])
        return tuple(dict.fromkeys(name for name in named if name is not None))


# ------------------------------------------------------------------------------------------------------ reading


def read_configuration(
    config: Mapping[str, Any],
    releases: Mapping[str, Release],
    mask_bits: Collection[str],
    source: Source | None = None,
    panels: Collection[str] | None = None,
) -> Configuration:
    """The configuration, checked, with every key present and the release of every target.

    Parameters
    ----------
    config : mapping
        As read from ``config.yaml``.
    releases : mapping
        As read from ``workflow/releases.yaml``.
    mask_bits : collection of str
        Known names of SPPIXMASK bits.
    source : bosscal.run.written.Written, optional
        Tells where values are written, for messages.
    panels : collection of str, optional
        Known names of panels (:data:`bosscal.figures.kinds.PANELS`).

    Raises
    ------
    UserError
        With one line for each mistake, naming the key and what would be right.
    """

    describe = describer(releases)
    lines = _complaints_about_no_release(config, describe, source)
    try:
        configuration = Configuration.model_validate(dict(config), context=Known(releases, list(mask_bits), panels))
    except ValidationError as error:
        lines += complaints(error, Configuration, describe, source=source)
        raise UserError("\n".join(lines)) from None
    targets = tuple(
        target.model_copy(update={"release": target.release or configuration.release})
        for target in configuration.targets
    )
    query = configuration.query
    if query is not None:
        query = query.model_copy(update={"release": query.release or configuration.release})
    lines += complaints_about_plates(targets, releases, source)
    if not targets and query is None and configuration.table is None:
        wanted = describe(cast(str, Configuration.model_fields["targets"].description))
        lines.append(f"targets: missing; give {wanted}{at(('targets',), source)}")
    if lines:
        raise UserError("\n".join(lines))
    return configuration.model_copy(update={"targets": targets, "query": query})


def describer(releases: Mapping[str, Release]) -> Callable[[str], str]:
    """What makes plain text of a description, with the names of the releases."""
    return lambda description: plain(description.replace("{releases}", ", ".join(releases)))


def complaints_about_plates(
    targets: Sequence[TargetEntry],
    releases: Mapping[str, Release],
    source: Source | None = None,
    places: Sequence[str] | None = None,
) -> list[str]:
    """Plates that are in another reduction of the release's folder; ``places`` are what the messages begin with."""
    lines = []
    for index, target in enumerate(targets):
        if target.release is None:
            continue
        right = releases_with(target.release, releases, target.plate, target.mjd)
        if right is not None:
            what = f"plate {target.plate}" + (f" of {target.mjd}" if target.mjd and right else "")
            advice = f"it is in {' or '.join(right)}: give release: {right[0]}" if right else "check the plate"
            where = at(("targets", index, "plate"), source)
            place = places[index] if places else f"targets[{index}]."
            lines.append(f"{place}plate: {what} is not in {target.release}; {advice}{where}")
    return lines


def _complaints_about_no_release(config: Mapping[str, Any], describe: Any, source: Source | None) -> list[str]:
    """What a field cannot know alone, asked of the configuration as written so that other mistakes do not hide it."""
    if config.get("release") is not None:
        return []
    query = config.get("query")
    if isinstance(query, Mapping) and query.get("release") is None:
        return [f"release: missing; give {describe(_release_wanted())}; or one in query"]
    if config.get("table") is not None or query is not None:
        return []  # whoever reads the table says which rows have none
    targets = config.get("targets")
    if isinstance(targets, list | tuple) and targets:
        without = [
            f"targets[{index}]"
            for index, target in enumerate(targets)
            if not isinstance(target, Mapping) or target.get("release") is None
        ]
        if not without:
            return []
        if len(without) < len(targets):
            rest = f"{without[0]} has none" if len(without) == 1 else f"{without[0]} and others have none"
            # the place of the first of them
            rest += at(("targets", int(without[0][8:-1])), source).replace(" (", ": ").rstrip(")")
            return [f"release: missing; give {describe(_release_wanted())}; or one in every target ({rest})"]
    return [f"release: missing; give {describe(_release_wanted())}"]


def _release_wanted() -> str:
    return cast(str, Configuration.model_fields["release"].description)


# ---------------------------------------------------------------------------------------------------- documents


def make_schema(releases: Mapping[str, Release]) -> str:
    """The text of ``workflow/schemas/config.schema.yaml``, for editors and other programs.

    It says all that a schema can: not that fibers may be listed twice by a range, nor in which spellings a release
    may be named.
    """
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Configuration.model_json_schema()
    for section in (schema, *schema["$defs"].values()):
        for name, inner in section["properties"].items():
            if name not in section.get("required", ()):
                section["properties"][name] = _or_empty(inner)
    schema = _tidy(schema, ", ".join(releases))
    head = "# Made by `make docs` from src/bosscal/run/configuration.py: change that, not this.\n"
    content: str = yaml.safe_dump(schema, sort_keys=False, allow_unicode=True, width=118)
    return head + content


def _or_empty(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a key that may be left empty, which is leaving it out."""
    outer = {key: schema.pop(key) for key in ("description", "default") if key in schema}
    alternatives = schema.get("anyOf", [schema])
    if {"type": "null"} not in alternatives:
        alternatives = [*alternatives, {"type": "null"}]
    return {"anyOf": alternatives} | outer


def _tidy(node: Any, releases: str) -> Any:
    """A schema without the titles that only repeat the keys, and with descriptions in plain words."""
    if isinstance(node, dict):
        return {
            key: plain(value.replace("{releases}", releases)) if key == "description" and isinstance(value, str)
            else _tidy(value, releases)
            for key, value in node.items()
            if not (key == "title" and isinstance(value, str) and value != Configuration.model_config.get("title"))
        }  # fmt: skip
    return [_tidy(item, releases) for item in node] if isinstance(node, list) else node


def make_table(releases: Mapping[str, Release]) -> str:
    """The table of all keys, in Markdown."""
    names = ", ".join(f"`{name}` ({_in_short(release)})" for name, release in releases.items())
    lines = ["| key | meaning | default |", "|---|---|---|"]
    for key, field in _leaves(Configuration):
        shown = next((item for item in field.metadata if isinstance(item, Shown)), Shown())
        # the full list once, with its reductions
        meaning = (field.description or "").replace(": {releases}", f": {names}" if key == "release" else "")
        lines.append(f"| `{key}` | {meaning}{shown.details} | {_default(field, shown)} |")
    return "\n".join(lines) + "\n"


def _in_short(release: Release) -> str:
    """What tells a release from others: its survey and reduction, or its title if no server has it."""
    return release.title if release.url is None else f"{release.sas_path.rpartition('/')[2]} {release.run2d}"


def _leaves(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """(key as the table writes it, field) of everything that has a value of its own."""
    for name, field in model.model_fields.items():
        inner = section_of(field.annotation)
        if inner is None:
            yield above + name, field
        else:
            yield from _leaves(inner, f"{above}{name}{'[]' if get_origin(field.annotation) is tuple else ''}.")


def _default(field: FieldInfo, shown: Shown) -> str:
    if field.is_required():
        return "required"
    if field.default is None:
        return shown.default
    if isinstance(field.default, tuple):
        return f"`[{', '.join(map(str, field.default))}]`"
    return f"`{field.default}`"


def shown(configuration: Configuration) -> str:
    """A configuration as YAML, with what it leaves to defaults: for the report."""
    content = configuration.model_dump(mode="json", exclude_none=True)
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110))


def put_table(readme: str, table: str) -> str:
    """README.md with its table of all keys replaced.

    Raises
    ------
    ValueError
        If the lines that enclose the table are not there, each once.
    """
    enclosed = re.compile(f"(?<={re.escape(TABLE_BEGIN)}\n).*?(?=^{re.escape(TABLE_END)}$)", re.DOTALL | re.MULTILINE)
    changed, found = enclosed.subn(lambda match: f"\n{table}\n", readme)
    if found != 1:
        raise ValueError(f"{README}: not one table between '{TABLE_BEGIN}' and '{TABLE_END}'")
    return changed


def write_documents(repository: Path | str, laws: Collection[str] | None = None) -> list[str]:
    """Write the schema and the table of a repository anew; returns the names of the files that changed."""
    repository = Path(repository)
    releases = read_releases(repository / RELEASES, laws)
    readme = (repository / README).read_text(encoding="utf-8")
    contents = {SCHEMA: make_schema(releases), README: put_table(readme, make_table(releases))}
    changed = [
        name
        for name, content in contents.items()
        if not (repository / name).is_file() or (repository / name).read_text(encoding="utf-8") != content
    ]
    for name in changed:
        write_text(repository / name, contents[name])
    return changed


def main() -> None:
    """Write the documents of the repository in the working directory anew, and say which changed."""
    changed: Sequence[str] = write_documents(Path.cwd())
    print("written: " + ", ".join(changed) if changed else "up to date")


if __name__ == "__main__":
    main()
