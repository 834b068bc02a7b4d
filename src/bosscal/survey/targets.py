"""From the configuration's list of targets to single spectra: one fiber, camera and exposure each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from bosscal.base.errors import UserError
from bosscal.base.outcomes import Failure

FIBERS_PER_PLATE = 1000
FIBERS_PER_SPECTROGRAPH = 500

SpectrumKey = tuple[str, str, int, int, int]  # (release, products, plate, mjd, fiber)
CameraExposures = Mapping[str, Mapping[int, int]]  # camera to {science exposure: flat exposure}


class Entry(Protocol):
    """What is read of an entry of the configuration's ``targets``.

    The configuration's own class is not named here: the steps that use a target do not depend on what else a
    configuration may say.
    """

    @property
    def release(self) -> str | None: ...
    @property
    def plate(self) -> int: ...
    @property
    def mjd(self) -> int | None: ...
    @property
    def fibers(self) -> Literal["all"] | tuple[int | str, ...]: ...
    @property
    def bands(self) -> tuple[str, ...]: ...
    @property
    def exposures(self) -> Literal["all"] | tuple[int, ...]: ...
    @property
    def products(self) -> str: ...
    @property
    def coadd(self) -> Sequence[Any]: ...


@dataclass(frozen=True)
class Request:
    """One entry of the configuration's ``targets``.

    ``exposures`` is None for all, ``mjd`` None to look it up; ``whole_plate`` tells that all fibers were asked for.
    """

    release: str
    plate: int
    mjd: int | None
    fibers: tuple[int, ...]
    bands: tuple[str, ...]
    exposures: tuple[int, ...] | None
    products: str
    whole_plate: bool = False
    # (name, sequence numbers or None for all, cameras) of further coadds
    coadds: tuple[tuple[str, tuple[int, ...] | None, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Target:
    """One spectrum: a fiber in one camera exposure, as one release has it.

    ``expidx`` counts the coadd's science exposures from 0; ``whole_plate`` tells that the fiber is one of all, so that
    it has no figure of its own.
    """

    release: str
    plate: int
    mjd: int
    fiber: int
    band: str
    camera: str
    expidx: int
    expnum: int
    products: str
    whole_plate: bool = False

    @property
    def name(self) -> str:
        """What the spectrum is called within its release."""
        return f"{self.plate:04d}-{self.mjd}-{self.fiber:04d}-{self.camera}-{self.expnum:08d}"

    @property
    def plate_mjd(self) -> str:
        """Plate and night, as in the names of folders."""
        return f"{self.plate:04d}-{self.mjd}"

    @property
    def folder(self) -> str:
        """Where the files of its plate and night are, below the folder of a step."""
        return f"{self.release}/{self.plate_mjd}"

    @property
    def key(self) -> str:
        """What no other target has: two releases may hold the same spectrum."""
        return f"{self.release}/{self.name}"

    def to_dict(self) -> dict[str, Any]:
        """As it is stored in JSON."""
        return asdict(self)

    @property
    def unit(self) -> str:
        """Name of the intermediate files that the target is in: all fibers of a camera, or one of a spec file."""
        suffix = f"-{self.fiber:04d}" if self.products == "spec" else ""
        return f"{self.camera}-{self.expnum:08d}{suffix}"


def spectrograph(fiber: int) -> int:
    """1 for fibers 1-500, 2 for 501-1000."""
    return 1 if fiber <= FIBERS_PER_SPECTROGRAPH else 2


def fiber_range(item: int | str) -> tuple[int, int]:
    """First and last of a fiber number or a "1-20" range, whether or not a plate has them."""
    first, _, last = str(item).partition("-")
    return int(first), int(last or first)


def parse_fibers(fibers: Literal["all"] | Iterable[int | str]) -> tuple[int, ...]:
    """Fiber numbers from the configuration's list of numbers and "1-20" ranges, or the word "all"."""
    if fibers == "all":
        return tuple(range(1, FIBERS_PER_PLATE + 1))
    ranges = map(fiber_range, fibers)
    return tuple(number for first, last in ranges for number in range(first, last + 1))


class _Listed:
    """Which exposures of which fibers the entries have listed so far, of one plate, night and band."""

    def __init__(self) -> None:
        # fiber to the entry that listed it first: with any exposures, with all of them, with a certain one
        self._any: dict[int, str] = {}
        self._all: dict[int, str] = {}
        self._one: dict[int, dict[int, str]] = {}

    def add(self, fiber: int, exposures: tuple[int, ...] | None, where: str) -> str | None:
        """Note a fiber; returns the earlier entry that has one of these exposures too, if any."""
        earlier = self._any.get(fiber) if exposures is None else self._all.get(fiber)
        self._any.setdefault(fiber, where)
        if exposures is None:
            self._all.setdefault(fiber, where)
            return earlier
        for exposure in exposures:
            fibers = self._one.setdefault(exposure, {})
            earlier = earlier or fibers.get(fiber)
            fibers.setdefault(fiber, where)
        return earlier


def parse_requests(targets: Sequence[Entry]) -> tuple[Request, ...]:
    """The configuration's ``targets``, checked for what is wrong between them.

    Parameters
    ----------
    targets : sequence of bosscal.run.configuration.TargetEntry
        Of a configuration that was read: each has a release.

    Raises
    ------
    UserError
        If a target appears twice, with one line for each entry that repeats another.
    """
    requests: list[Request] = []
    listed: dict[tuple[object, ...], _Listed] = {}
    lines = []
    for index, target in enumerate(targets):
        where = f"targets[{index}]"
        assert target.release is not None  # filled in when the configuration is read
        request = Request(
            release=target.release,
            plate=target.plate,
            mjd=target.mjd,
            fibers=parse_fibers(target.fibers),
            bands=tuple(target.bands),
            exposures=None if target.exposures == "all" else tuple(target.exposures),
            products=target.products,
            whole_plate=target.fibers == "all",
            coadds=tuple(
                (subset.name, None if subset.exposures == "all" else tuple(subset.exposures), tuple(subset.cameras))
                for subset in target.coadd
            ),
        )
        requests.append(request)
        repeated = next(_repeated(request, where, listed), None)
        if repeated is not None:
            fiber, band, earlier = repeated
            lines.append(
                f"{where}: plate {request.plate} fiber {fiber} {band} is listed twice (also in {earlier}); remove one"
            )
    for release, plate, fiber, band in sorted(fibers_from("frames", requests) & fibers_from("spec", requests))[:1]:
        lines.append(
            f"targets: {release} plate {plate} fiber {fiber} {band} is listed from frames and from spec; remove one"
        )
    if lines:
        raise UserError("\n".join(lines))
    return tuple(requests)


def _repeated(
    request: Request, where: str, listed: dict[tuple[object, ...], _Listed]
) -> Iterator[tuple[int, str, str]]:
    """(fiber, band, earlier entry) of all that a request repeats."""
    for band in request.bands:
        # A fiber may be listed beside the whole plate that it is on: then it has figures of its own.
        group = (request.release, request.plate, request.mjd, band, request.whole_plate)
        seen = listed.setdefault(group, _Listed())
        for fiber in request.fibers:
            earlier = seen.add(fiber, request.exposures, where)
            if earlier is not None:
                yield fiber, band, earlier


def fibers_from(
    products: str, requests: Iterable[Request], whole_plates: bool = True
) -> set[tuple[str, int, int, str]]:
    """(release, plate, fiber, first letter of the band) of what is asked for from these products."""
    return {
        (request.release, request.plate, fiber, band[0])
        for request in requests
        if request.products == products and (whole_plates or not request.whole_plate)
        for fiber in request.fibers
        for band in request.bands
    }


def find_mjd(platelist: Iterable[tuple[int, int, str, str]], plate: int, run2d: str) -> int:
    """MJD of a plate's only good observation.

    Parameters
    ----------
    platelist : list of (plate, mjd, quality, run2d)
    plate : int
    run2d : str
        Reduction, e.g. v5_7_0.

    Raises
    ------
    UserError
        If none or several are good; lists them.
    """
    observed = [(mjd, quality) for number, mjd, quality, run in platelist if number == plate and run == run2d]
    good = [mjd for mjd, quality in observed if quality == "good"]
    if len(good) == 1:
        return good[0]
    if good:
        choices = ", ".join(map(str, good))
        raise UserError(
            f"plate {plate} was observed well on several nights: set mjd to one of {choices}; "
            "it may have been plugged anew in between, and then a fiber's number is another object's"
        )
    if observed:
        choices = ", ".join(f"{mjd} ({quality})" for mjd, quality in observed)
        raise UserError(f"plate {plate} has no observation of quality 'good' in {run2d}: set mjd to use {choices}")
    raise UserError(f"plate {plate} is not in the platelist of {run2d}: check the plate and the release")


def _mjd(request: Request, mjds: Mapping[tuple[str, int], int]) -> int | None:
    """The night of a request, if it is known."""
    return request.mjd or mjds.get((request.release, request.plate))


def exposure_sources(
    requests: Iterable[Request], mjds: Mapping[tuple[str, int], int]
) -> dict[SpectrumKey, SpectrumKey]:
    """Which spec files tell the exposures of the coadds.

    Parameters
    ----------
    requests : sequence of Request
    mjds : mapping
        (release, plate) to MJD, for the requests that give none; those without an MJD here are left out.

    Returns
    -------
    dict
        (release, products, plate, mjd, fiber) of a spectrum to the key of its source, in the order of the requests.
        A key is (release, products, plate, mjd, fiber) too: a full spec file tells its own exposures, one small
        spec-lite file those of all fibers of a spectrograph.
    """
    sources: dict[SpectrumKey, SpectrumKey] = {}
    first: dict[tuple[str, int, int, int], SpectrumKey] = {}
    for request in requests:
        mjd = _mjd(request, mjds)
        if mjd is None:
            continue
        for fiber in request.fibers:
            spectrum = (request.release, request.products, request.plate, mjd, fiber)
            if request.products == "frames":
                source = first.setdefault((request.release, request.plate, mjd, spectrograph(fiber)), spectrum)
            else:
                source = spectrum
            sources[spectrum] = source
    return sources


def resolve(
    requests: Sequence[Request],
    mjds: Mapping[tuple[str, int], int],
    exposures: Mapping[SpectrumKey, CameraExposures],
) -> tuple[list[Target], list[Failure]]:
    """Every spectrum that is asked for and that there is, in the order entry, fiber, band, exposure.

    Parameters
    ----------
    requests : sequence of Request
    mjds : mapping
        (release, plate) to MJD, for the requests that give none; those without an MJD here are left out.
    exposures : mapping
        Source key of :func:`exposure_sources` to ``{camera: {science exposure: flat exposure}}``; spectra whose source
        is not here are left out.

    Returns
    -------
    list of Target
    list of Failure
        What is asked for and is not among the exposures of the coadd, or is asked for twice.
    """
    sources = exposure_sources(requests, mjds)
    found: dict[str, Target] = {}
    twice: list[str] = []
    lacking: dict[tuple[str, str], list[int]] = {}
    for request in requests:
        mjd = _mjd(request, mjds)
        for fiber in request.fibers if mjd is not None else ():
            assert mjd is not None
            source = sources[request.release, request.products, request.plate, mjd, fiber]
            if source not in exposures:
                continue
            for target in _spectra(request, mjd, fiber, exposures[source]):
                if isinstance(target, str):
                    lacking.setdefault((f"{request.release} {request.plate:04d}-{mjd}", target), []).append(fiber)
                    continue
                earlier = found.get(target.key)
                if earlier is not None and earlier.whole_plate == target.whole_plate:
                    twice.append(target.key)
                elif earlier is None or earlier.whole_plate:
                    found[target.key] = target
    failures = [Failure("targets", f"{place} {_fibers(fibers)}", cause) for (place, cause), fibers in lacking.items()]
    failures += [Failure("targets", key, "is listed twice in targets: remove one") for key in dict.fromkeys(twice)]
    return list(found.values()), failures


def _fibers(fibers: Sequence[int]) -> str:
    """A few fiber numbers in words, each once."""
    fibers = list(dict.fromkeys(fibers))
    few = ", ".join(f"{fiber:04d}" for fiber in fibers[:3])
    return few if len(fibers) <= 3 else f"{few} and {len(fibers) - 3} more fibers"


def _spectra(request: Request, mjd: int, fiber: int, exposures: CameraExposures) -> Iterator[Target | str]:
    """The spectra of one fiber that a request asks for; in words what is asked for and is not there."""
    # The cameras of a spectrograph need not share all exposures; the sequence is that of both together.
    sequence = sorted(set().union(*exposures.values()))
    for band in request.bands:
        camera = f"{band[0]}{spectrograph(fiber)}"
        available = exposures.get(camera, {})
        if not available:
            yield f"the coadd has no exposure of camera {camera}; take {band} out of bands"
            continue
        for expidx in range(len(sequence)) if request.exposures is None else request.exposures:
            if expidx >= len(sequence):
                yield (
                    f"exposure {expidx} asked for, the coadd has 0-{len(sequence) - 1} "
                    f"({', '.join(map(str, sequence))})"
                )
                continue
            expnum = sequence[expidx]
            if expnum in available:
                yield Target(
                    release=request.release,
                    plate=request.plate,
                    mjd=mjd,
                    fiber=fiber,
                    band=band,
                    camera=camera,
                    expidx=expidx,
                    expnum=expnum,
                    products=request.products,
                    whole_plate=request.whole_plate,
                )
            elif request.exposures is not None:
                yield (
                    f"camera {camera} took no part in exposure {expidx} (#{expnum}); "
                    f"it has {', '.join(map(str, sorted(available)))}"
                )


# ---------------------------------------------------------------------------------- what is looked up, as JSON


@dataclass(frozen=True)
class Nights:
    """The nights that were looked up: (release, plate) to MJD, and why others were not found."""

    mjds: dict[tuple[str, int], int]
    failures: list[Failure]


@dataclass(frozen=True)
class Listing:
    """What the spec files tell of the exposures, by source key (:func:`exposure_sources`).

    ``exposures`` is {camera: {science exposure: flat exposure}}, ``lost`` holds the sources that have lost their
    exposures' headers, ``failures`` tells why others could not be read.
    """

    exposures: dict[SpectrumKey, CameraExposures]
    lost: set[SpectrumKey]
    failures: dict[SpectrumKey, list[Failure]]


def nights_to_json(nights: Nights) -> dict[str, Any]:
    """In the form in which nights can be written as JSON."""
    return {
        "nights": [[*key, mjd] for key, mjd in nights.mjds.items()],
        "failures": [asdict(failure) for failure in nights.failures],
    }


def nights_from_json(contents: Iterable[Mapping[str, Any]]) -> Nights:
    """All nights of several files of what :func:`nights_to_json` made."""
    nights = Nights({}, [])
    for content in contents:
        nights.mjds.update({(release, plate): mjd for release, plate, mjd in content["nights"]})
        nights.failures.extend(Failure(**failure) for failure in content["failures"])
    return nights


def listing_to_json(listing: Listing) -> list[dict[str, Any]]:
    """In the form in which a listing can be written as JSON."""
    read = [
        {"source": source, "exposures": cameras, "lost_headers": source in listing.lost}
        for source, cameras in listing.exposures.items()
    ]
    return read + [
        {"source": source, "failures": [asdict(failure) for failure in failures]}
        for source, failures in listing.failures.items()
    ]


def listing_from_json(content: Iterable[Mapping[str, Any]]) -> Listing:
    """The inverse of :func:`listing_to_json`."""
    listing = Listing({}, set(), {})
    for entry in content:
        source = tuple(entry["source"])
        if "failures" in entry:
            listing.failures[source] = [Failure(**failure) for failure in entry["failures"]]
            continue
        listing.exposures[source] = {
            camera: {int(science): flat for science, flat in numbers.items()}
            for camera, numbers in entry["exposures"].items()
        }
        if entry["lost_headers"]:
            listing.lost.add(source)
    return listing
