"""From the configuration's list of targets to single spectra: one fiber, camera and exposure each."""

from dataclasses import asdict, dataclass

from bosscal.base.errors import UserError

FIBERS_PER_PLATE = 1000
FIBERS_PER_SPECTROGRAPH = 500


@dataclass(frozen=True)
class Request:
    """One entry of the configuration's ``targets``.

    ``exposures`` is None for all, ``mjd`` None to look it up; ``whole_plate`` tells that all fibers were asked for.
    """

    plate: int
    mjd: int | None
    fibers: tuple
    bands: tuple
    exposures: tuple | None
    products: str
    whole_plate: bool = False


@dataclass(frozen=True)
class Target:
    """One spectrum: a fiber in one camera exposure.

    ``expidx`` counts the coadd's science exposures from 0; ``whole_plate`` tells that the fiber is one of all, so that
    it has no figure of its own.
    """

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
    def name(self):
        return f"{self.plate:04d}-{self.mjd}-{self.fiber:04d}-{self.camera}-{self.expnum:08d}"

    @property
    def plate_mjd(self):
        return f"{self.plate:04d}-{self.mjd}"

    def to_dict(self):
        return asdict(self)

    @property
    def unit(self):
        """Name of the intermediate files that the target is in: all fibers of a camera, or one of a spec file."""
        suffix = f"-{self.fiber:04d}" if self.products == "spec" else ""
        return f"{self.camera}-{self.expnum:08d}{suffix}"


def spectrograph(fiber):
    """1 for fibers 1-500, 2 for 501-1000."""
    return 1 if fiber <= FIBERS_PER_SPECTROGRAPH else 2


def parse_fibers(fibers, where):
    """Fiber numbers from the configuration's list of numbers and "1-20" ranges, or the word "all".

    Raises
    ------
    UserError
        If a fiber is outside 1-1000 or a range runs backwards.
    """
    if fibers == "all":
        return tuple(range(1, FIBERS_PER_PLATE + 1))
    numbers = []
    for item in fibers:
        first, _, last = str(item).partition("-")
        first, last = int(first), int(last or first)
        if not 1 <= first <= last <= FIBERS_PER_PLATE:
            raise UserError(f"{where}: '{item}' is no fiber or range of fibers within 1-{FIBERS_PER_PLATE}")
        numbers.extend(range(first, last + 1))
    return tuple(numbers)


def parse_requests(targets):
    """The configuration's ``targets``, checked for what a schema cannot say.

    Parameters
    ----------
    targets : list of dict
        Valid by ``workflow/schemas/config.schema.yaml``, defaults filled in.

    Returns
    -------
    tuple of Request

    Raises
    ------
    UserError
        If a fiber or range is wrong, or a target appears twice.
    """
    requests, seen = [], {}
    for index, target in enumerate(targets):
        where = f"targets[{index}]"
        fibers = parse_fibers(target["fibers"], f"{where}.fibers")
        exposures = None if target["exposures"] == "all" else tuple(target["exposures"])
        request = Request(
            plate=target["plate"],
            mjd=target["mjd"],
            fibers=fibers,
            bands=tuple(target["bands"]),
            exposures=exposures,
            products=target["products"],
            whole_plate=target["fibers"] == "all",
        )
        requests.append(request)
        for fiber in fibers:
            for band in request.bands:
                # A fiber may be listed beside the whole plate that it is on: then it has figures of its own.
                key = (request.plate, request.mjd, fiber, band, request.whole_plate)
                wanted = set(exposures) if exposures is not None else None
                for earlier, earlier_wanted in seen.get(key, []):
                    if wanted is None or earlier_wanted is None or wanted & earlier_wanted:
                        raise UserError(
                            f"{where}: plate {request.plate} fiber {fiber} {band} is listed twice "
                            f"(also in {earlier}); remove one"
                        )
                seen.setdefault(key, []).append((where, wanted))
    return tuple(requests)


def find_mjd(platelist, plate, run2d):
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
        raise UserError(f"plate {plate} was observed well on several nights: set mjd to one of {choices}")
    if observed:
        choices = ", ".join(f"{mjd} ({quality})" for mjd, quality in observed)
        raise UserError(f"plate {plate} has no observation of quality 'good' in {run2d}: set mjd to use {choices}")
    raise UserError(f"plate {plate} is not in the platelist of {run2d}: check the plate and the release")


def exposure_sources(requests, mjds):
    """Which spec files tell the exposures of the coadds.

    Parameters
    ----------
    requests : sequence of Request
    mjds : mapping
        Plate to MJD, for the requests that give none.

    Returns
    -------
    dict
        (products, plate, mjd, fiber) of a spectrum to the key of its source, in the order of the requests. A
        key is (products, plate, mjd, fiber) too: a full spec file tells its own exposures, one small spec-lite
        file those of all fibers of a spectrograph.
    """
    sources, first = {}, {}
    for request in requests:
        mjd = request.mjd or mjds[request.plate]
        for fiber in request.fibers:
            spectrum = (request.products, request.plate, mjd, fiber)
            if request.products == "frames":
                source = first.setdefault((request.plate, mjd, spectrograph(fiber)), spectrum)
            else:
                source = spectrum
            sources[spectrum] = source
    return sources


def resolve(requests, mjds, exposures):
    """Every spectrum that is asked for, in the order entry, fiber, band, exposure.

    Parameters
    ----------
    requests : sequence of Request
    mjds : mapping
        Plate to MJD, for the requests that give none.
    exposures : mapping
        Source key of :func:`exposure_sources` to ``{camera: {science exposure: flat exposure}}``.

    Returns
    -------
    list of Target

    Raises
    ------
    UserError
        If an exposure is not among those of the coadd, or a spectrum is asked for twice.
    """
    sources = exposure_sources(requests, mjds)
    found = {}
    for request in requests:
        mjd = request.mjd or mjds[request.plate]
        for fiber in request.fibers:
            for target in _spectra(
                request, mjd, fiber, exposures[sources[request.products, request.plate, mjd, fiber]]
            ):
                earlier = found.get(target.name)
                if earlier is not None and earlier.whole_plate == target.whole_plate:
                    raise UserError(f"targets: {target.name} (plate-mjd-fiber-camera-exposure) is listed twice")
                if earlier is None or earlier.whole_plate:
                    found[target.name] = target
    return list(found.values())


def _spectra(request, mjd, fiber, exposures):
    """The spectra of one fiber that a request asks for."""
    where = f"plate {request.plate} mjd {mjd} fiber {fiber}"
    # The cameras of a spectrograph need not share all exposures; the sequence is that of both together.
    sequence = sorted(set().union(*exposures.values()))
    for band in request.bands:
        camera = f"{band[0]}{spectrograph(fiber)}"
        available = exposures.get(camera, {})
        for expidx in range(len(sequence)) if request.exposures is None else request.exposures:
            if expidx >= len(sequence):
                raise UserError(
                    f"{where}: exposure {expidx} asked for, the coadd has 0-{len(sequence) - 1} "
                    f"({', '.join(map(str, sequence))})"
                )
            expnum = sequence[expidx]
            if expnum in available:
                yield Target(
                    request.plate, mjd, fiber, band, camera, expidx, expnum, request.products, request.whole_plate
                )
            elif request.exposures is not None:
                raise UserError(
                    f"{where}: camera {camera} took no part in exposure {expidx} (#{expnum}); "
                    f"it has {', '.join(map(str, sorted(available))) or 'none'}"
                )


def exposures_to_json(exposures):
    """Exposures by source key, in the form in which they can be written as JSON."""
    return [{"source": source, "exposures": cameras} for source, cameras in exposures.items()]


def exposures_from_json(content):
    """The inverse of :func:`exposures_to_json`."""
    return {
        tuple(entry["source"]): {
            camera: {int(science): flat for science, flat in numbers.items()}
            for camera, numbers in entry["exposures"].items()
        }
        for entry in content
    }
