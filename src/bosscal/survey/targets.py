"""From the configuration's list of targets to single spectra: one fiber, camera and exposure each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import groupby
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


def unit_name(products: str, camera: str, expnum: int, fiber: int) -> str:
    """Name of intermediate files: all fibers of a camera exposure of frames, or one of a spec file."""
    return f"{camera}-{expnum:08d}" + (f"-{fiber:04d}" if products == "spec" else "")


class _OfPlate:
    """What is of one plate and night of a release."""

    release: str
    plate: int
    mjd: int

    @property
    def plate_mjd(self) -> str:
        """Plate and night, as in the names of folders."""
        return f"{self.plate:04d}-{self.mjd}"

    @property
    def folder(self) -> str:
        """Where the files of its plate and night are, below the folder of a step."""
        return f"{self.release}/{self.plate_mjd}"


@dataclass(frozen=True)
class Block(_OfPlate):
    """Spectra that are asked for alike: some fibers of one spectrograph in the same camera exposures.

    A whole plate is two of these, and not thousands of :class:`Target`, so that plans of many plates stay small. Of
    full spec files each fiber is a block of its own. ``exposures`` are (band, camera, expidx, expnum), as in a Target.
    """

    release: str
    plate: int
    mjd: int
    products: str
    whole_plate: bool
    fibers: tuple[int, ...]
    exposures: tuple[tuple[str, str, int, int], ...]

    @property
    def units(self) -> list[str]:
        """Names of the intermediate files that its spectra are in (:attr:`Target.unit`), each once."""
        return [unit_name(self.products, camera, expnum, self.fibers[0]) for _, camera, _, expnum in self.exposures]

    def targets(self) -> Iterator["Target"]:
        """Its single spectra, in the order fiber, band, exposure."""
        for fiber in self.fibers:
            for band, camera, expidx, expnum in self.exposures:
                yield Target(
                    self.release,
                    self.plate,
                    self.mjd,
                    fiber,
                    band,
                    camera,
                    expidx,
                    expnum,
                    self.products,
                    self.whole_plate,
                )

    def to_dict(self) -> dict[str, Any]:
        """In the form in which it can be a parameter of a step or JSON, with ranges of fibers."""
        return vars(self) | {"fibers": as_ranges(self.fibers), "exposures": [list(each) for each in self.exposures]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Block":
        """The inverse of :meth:`to_dict`."""
        exposures = tuple((band, camera, expidx, expnum) for band, camera, expidx, expnum in content["exposures"])
        return cls(**{**content, "fibers": parse_fibers(content["fibers"]), "exposures": exposures})


@dataclass(frozen=True)
class Target(_OfPlate):
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
    def key(self) -> str:
        """What no other target has: two releases may hold the same spectrum."""
        return f"{self.release}/{self.name}"

    def to_dict(self) -> dict[str, Any]:
        """As it is stored in JSON."""
        return asdict(self)

    @property
    def unit(self) -> str:
        """Name of the intermediate files that the target is in."""
        return unit_name(self.products, self.camera, self.expnum, self.fiber)

    @property
    def table(self) -> str:
        """Name of the comparison table that the target is in: of a camera exposure, or of its whole spec file."""
        return self.unit if self.products == "frames" else f"spec-{self.fiber:04d}"


def spectrograph(fiber: int) -> int:
    """1 for fibers 1-500, 2 for 501-1000."""
    return 1 if fiber <= FIBERS_PER_SPECTROGRAPH else 2


def fiber_range(item: int | str) -> tuple[int, int]:
    """First and last of a fiber number or a "1-20" range, whether or not a plate has them."""
    first, _, last = str(item).partition("-")
    return int(first), int(last or first)


def parse_fibers(fibers: Literal["all"] | Iterable[int | str]) -> tuple[int, ...]:
    """Fiber numbers from the configuration's list of numbers and "1-20" ranges, or the word "all"."""
    return _parse_fibers("all" if fibers == "all" else tuple(fibers))


@lru_cache(4096)  # thousands of plates with the same fibers share one list of them
def _parse_fibers(fibers: Literal["all"] | tuple[int | str, ...]) -> tuple[int, ...]:
    if fibers == "all":
        return tuple(range(1, FIBERS_PER_PLATE + 1))
    ranges = map(fiber_range, fibers)
    return tuple(number for first, last in ranges for number in range(first, last + 1))


def as_ranges(fibers: Sequence[int]) -> list[int | str]:
    """Numbers and "1-20" ranges of fibers in their order: the inverse of :func:`parse_fibers`."""
    return list(_as_ranges(tuple(fibers)))


@lru_cache(4096)
def _as_ranges(fibers: tuple[int, ...]) -> tuple[int | str, ...]:
    runs = (list(run) for _, run in groupby(enumerate(fibers), lambda each: each[1] - each[0]))
    return tuple(run[0][1] if len(run) == 1 else f"{run[0][1]}-{run[-1][1]}" for run in runs)


@lru_cache(4096)
def _by_spectrograph(fibers: tuple[int, ...]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """(spectrograph, fibers) of runs of fibers that follow each other, in their order."""
    return tuple((side, tuple(run)) for side, run in groupby(fibers, spectrograph))


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


def parse_requests(targets: Sequence[Entry], places: Sequence[str] = ()) -> tuple[Request, ...]:
    """The configuration's ``targets``, checked for what is wrong between them.

    Parameters
    ----------
    targets : sequence of bosscal.run.configuration.TargetEntry
        Of a configuration that was read: each has a release.
    places : sequence of str, optional
        What messages call the last so many of them, in place of ``targets[0]``: rows of a table.

    Raises
    ------
    UserError
        If a target appears twice, with one line for each entry that repeats another.
    """
    requests: list[Request] = []
    listed: dict[tuple[object, ...], _Listed | tuple[Request, str]] = {}
    lines = []
    names = [f"targets[{index}]" for index in range(len(targets) - len(places))] + list(places)
    for target, where in zip(targets, names, strict=True):
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
    both = {(request.release, request.plate) for request in requests if request.products == "spec"}
    both &= {(request.release, request.plate) for request in requests if request.products == "frames"}
    of_both = [request for request in requests if (request.release, request.plate) in both]
    for release, plate, fiber, band in sorted(fibers_from("frames", of_both) & fibers_from("spec", of_both))[:1]:
        lines.append(
            f"targets: {release} plate {plate} fiber {fiber} {band} is listed from frames and from spec; remove one"
        )
    if lines:
        raise UserError("\n".join(lines))
    return tuple(requests)


def _repeated(
    request: Request, where: str, listed: dict[tuple[object, ...], _Listed | tuple[Request, str]]
) -> Iterator[tuple[int, str, str]]:
    """(fiber, band, earlier entry) of all that a request repeats."""
    for band in request.bands:
        # A fiber may be listed beside the whole plate that it is on: then it has figures of its own.
        group = (request.release, request.plate, request.mjd, band, request.whole_plate)
        seen = listed.setdefault(group, (request, where))
        if isinstance(seen, tuple):
            if seen[0] is request:  # alone so far, as most plates stay: nothing to be compared
                continue
            (first, earlier_place), seen = seen, _Listed()
            listed[group] = seen
            for fiber in first.fibers:
                seen.add(fiber, first.exposures, earlier_place)
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


def exposure_sources(requests: Iterable[Request], mjds: Mapping[tuple[str, int], int]) -> list[SpectrumKey]:
    """Which spec files tell the exposures of the coadds.

    Parameters
    ----------
    requests : sequence of Request
    mjds : mapping
        (release, plate) to MJD, for the requests that give none; those without an MJD here are left out.

    Returns
    -------
    list
        (release, products, plate, mjd, fiber), each once, in the order of the requests: a full spec file tells its own
        exposures, one small spec-lite file those of all fibers of a spectrograph.
    """
    return list(dict.fromkeys(source for _, _, of_request in _sources(requests, mjds) for source, _ in of_request))


def _sources(
    requests: Iterable[Request], mjds: Mapping[tuple[str, int], int]
) -> Iterator[tuple[Request, int, list[tuple[SpectrumKey, tuple[int, ...]]]]]:
    """Every request whose night is known, that night, and (source, fibers) of the spec files that tell exposures."""
    first: dict[tuple[str, int, int, int], SpectrumKey] = {}
    for request in requests:
        mjd = _mjd(request, mjds)
        if mjd is None:
            continue
        of_plate = (request.release, request.products, request.plate, mjd)
        runs: list[tuple[SpectrumKey, tuple[int, ...]]]
        if request.products == "frames":
            runs = [
                (first.setdefault((request.release, request.plate, mjd, side), (*of_plate, fibers[0])), fibers)
                for side, fibers in _by_spectrograph(request.fibers)
            ]
        else:
            runs = [((*of_plate, fiber), (fiber,)) for fiber in request.fibers]
        yield request, mjd, runs


def find_blocks(
    requests: Iterable[Request],
    mjds: Mapping[tuple[str, int], int],
    exposures: Mapping[SpectrumKey, CameraExposures],
) -> tuple[list[Block], list[Failure]]:
    """What is asked for and there is, without naming every spectrum; in the order of the requests.

    Parameters
    ----------
    requests : sequence of Request
    mjds : mapping
        (release, plate) to MJD, for the requests that give none; those without an MJD here are left out.
    exposures : mapping
        Source of :func:`exposure_sources` to ``{camera: {science exposure: flat exposure}}``; spectra whose source
        is not here are left out.

    Returns
    -------
    list of Block
    list of Failure
        What is asked for and is not among the exposures of the coadd, or is asked for twice.
    """
    blocks: list[Block] = []
    lacking: dict[tuple[str, str], list[int]] = {}
    for request, mjd, runs in _sources(requests, mjds):
        for source, fibers in runs:
            if source not in exposures:
                continue
            found, complaints = _exposures(request, spectrograph(fibers[0]), exposures[source])
            for complaint in complaints:
                lacking.setdefault((f"{request.release} {request.plate:04d}-{mjd}", complaint), []).extend(fibers)
            if found:
                block = (request.release, request.plate, mjd, request.products, request.whole_plate, fibers, found)
                blocks.append(Block(*block))
    failures = [Failure("targets", f"{place} {_fibers(fibers)}", cause) for (place, cause), fibers in lacking.items()]
    twice = dict.fromkeys(_twice(blocks))
    failures += [Failure("targets", key, "is listed twice in targets: remove one") for key in twice]
    return blocks, failures


def _twice(blocks: Iterable[Block]) -> Iterator[str]:
    """Keys of spectra that two blocks ask for, both as one of a whole plate or both with figures of their own."""
    seen: dict[tuple[str, str, bool], set[int] | tuple[int, ...]] = {}
    for block in blocks:
        repeated: set[tuple[int, int]] = set()
        for place, (_, camera, _, expnum) in enumerate(block.exposures):
            exposure = (block.folder, f"{camera}-{expnum}", block.whole_plate)
            if exposure not in seen:  # alone so far, as in most plates: no set is made
                seen[exposure] = block.fibers
                continue
            earlier = seen[exposure]
            fibers = earlier if isinstance(earlier, set) else set(earlier)
            repeated.update((fiber, place) for fiber in fibers.intersection(block.fibers))
            fibers.update(block.fibers)
            seen[exposure] = fibers
        if repeated:
            pairs = ((fiber, place) for fiber in block.fibers for place in range(len(block.exposures)))
            yield from (target.key for pair, target in zip(pairs, block.targets(), strict=True) if pair in repeated)


def single_spectra(blocks: Iterable[Block]) -> list[Target]:
    """Every spectrum of blocks, each once, in the order entry, fiber, band, exposure.

    A spectrum that is listed beside its whole plate is the one that has figures of its own, in the place of the first.
    """
    found: dict[str, Target] = {}
    for block in blocks:
        for target in block.targets():
            earlier = found.get(target.key)
            if earlier is None or (earlier.whole_plate and not target.whole_plate):
                found[target.key] = target
    return list(found.values())


def spectra_by_plate(blocks: Sequence[Block]) -> Iterator[list[Target]]:
    """:func:`single_spectra` in portions, each of blocks of one plate that follow each other; joined, they are it."""
    runs = [(folder, list(run)) for folder, run in groupby(blocks, key=lambda block: block.folder)]
    of_folder: dict[str, list[Block]] = {}
    for folder, run in runs:
        of_folder.setdefault(folder, []).extend(run)
    left: dict[str, dict[str, Target]] = {}  # of plates that are in several places, what was not yet given
    for folder, run in runs:
        if len(of_folder[folder]) == len(run):
            yield single_spectra(run)
            continue
        if folder not in left:
            left[folder] = {target.key: target for target in single_spectra(of_folder[folder])}
        keys = (target.key for block in run for target in block.targets())
        if portion := [target for key in keys if (target := left[folder].pop(key, None))]:
            yield portion


def _fibers(fibers: Sequence[int]) -> str:
    """A few fiber numbers in words, each once."""
    fibers = list(dict.fromkeys(fibers))
    few = ", ".join(f"{fiber:04d}" for fiber in fibers[:3])
    return few if len(fibers) <= 3 else f"{few} and {len(fibers) - 3} more fibers"


def _exposures(
    request: Request, side: int, exposures: CameraExposures
) -> tuple[tuple[tuple[str, str, int, int], ...], list[str]]:
    """(band, camera, expidx, expnum) of what a request asks of a spectrograph; in words what is not there."""
    # The cameras of a spectrograph need not share all exposures; the sequence is that of both together.
    sequence = sorted(set().union(*exposures.values()))
    found, complaints = [], []
    for band in request.bands:
        camera = f"{band[0]}{side}"
        available = exposures.get(camera, {})
        if not available:
            complaints.append(f"the coadd has no exposure of camera {camera}; take {band} out of bands")
            continue
        for expidx in range(len(sequence)) if request.exposures is None else request.exposures:
            if expidx >= len(sequence):
                complaints.append(
                    f"exposure {expidx} asked for, the coadd has 0-{len(sequence) - 1} "
                    f"({', '.join(map(str, sequence))})"
                )
                continue
            expnum = sequence[expidx]
            if expnum in available:
                found.append((band, camera, expidx, expnum))
            elif request.exposures is not None:
                complaints.append(
                    f"camera {camera} took no part in exposure {expidx} (#{expnum}); "
                    f"it has {', '.join(map(str, sorted(available)))}"
                )
    return tuple(found), complaints


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
