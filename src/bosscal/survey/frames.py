"""Reading the per-plate files of one camera exposure: spFrame, spCFrame, spFlat, spFluxcalib, spFluxcorr and others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import ArrayLike, NDArray

from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike
from bosscal.survey import identity, values
from bosscal.survey.ccd import quadrant
from bosscal.survey.exposure import FrameExposure, Header, trace_set_arrays
from bosscal.survey.fitsfile import FitsFile, number, number_within, optional_value, value
from bosscal.survey.grid import grid_position
from bosscal.survey.rows import CENTRAL_LOGLAM
from bosscal.survey.tracesets import TraceSet
from bosscal.survey.values import COLUMN, FACTOR, IVAR, LOGLAM, SIGNAL, Bounds, Cleaned, mended, wrong_numbers

SAME_LOGLAM = 1e-12  # dex: stored wavelengths that are the trace set's, but for the order of its sum
OTHER_LOGLAM = 1.01e-5  # dex; beyond, wavelengths are those of another exposure
# dex: the middle of a camera's wavelengths is within this of CENTRAL_LOGLAM; blue and red are 0.2 dex apart.
NEAR_CENTER = 0.1
GRID_MARGIN = 10  # points of the coadd grid that are kept beyond the first and the last wavelength


def read_header(
    file: FitsFile, index: int, release: str, plate: int, mjd: int, products: str, inputs: Sequence[tuple[str, str]]
) -> Header:
    """Facts of a camera exposure from a frame's header, which the tables of a full spec file have too.

    Raises
    ------
    UserError
        Naming the keyword that is missing.
    """
    return header_of(file.header(index), release, plate, mjd, products, inputs, str(file.path))


def header_of(
    header: fits.Header,
    release: str,
    plate: int,
    mjd: int,
    products: str,
    inputs: Sequence[tuple[str, str]],
    where: str,
    origin: str = "file",
) -> Header:
    """The same from a header that is there already; ``where`` is what to call it in messages."""
    camera = str(value(header, "CAMERAS", where)).strip().lower()
    if camera not in CENTRAL_LOGLAM:
        raise UserError(f"{where}: CAMERAS is '{camera}', and not one of {', '.join(CENTRAL_LOGLAM)}")
    expnum = value(header, "EXPOSURE", where)
    if not str(expnum).strip().isdecimal():
        raise UserError(f"{where}: EXPOSURE is {expnum!r}, and not a number of an exposure")
    readnoise = (
        number_within(header, f"RDNOISE{amplifier}", where, values.READNOISE, "electrons") for amplifier in range(4)
    )
    return Header(
        release=release,
        plate=plate,
        mjd=mjd,
        camera=camera,
        expnum=int(expnum),
        products=products,
        simulated=bool(optional_value(header, "SIMULATD", where, False)),
        readnoise=tuple(readnoise),  # type: ignore[arg-type]
        exptime=number_within(header, "EXPTIME", where, values.EXPTIME, "s"),  # type: ignore[arg-type]
        xsigma=number_within(header, "XSIGMA", where, values.XSIGMA, "pixels", needed=False),
        skychi2=number_within(header, "SKYCHI2", where, values.SKYCHI2, "", needed=False),
        vers2d=str(optional_value(header, "VERS2D", where, "")).strip(),
        inputs=tuple(inputs),
        altitude=number(header, "ALT"),
        seeing=number(header, "SEEING50") or None,  # 0: no guider
        tai=number(header, "TAI-BEG"),
        origin=origin,
    )


def read_plug_map(file: FitsFile, index: int) -> dict[str, ArrayLike]:
    """Fiber, OBJTYPE and positions from a plug map, each 1D[nfiber]."""
    if not {"fiberid", "objtype"} <= file.column_names(index):
        raise UserError(f"{file.path}: the plug map has no FIBERID and OBJTYPE")
    positions = ("ra", "dec", "xfocal", "yfocal", "lambda_eff")
    table = file.columns(index, ("fiberid", "objtype"), positions, words=("objtype",))
    if table["fiberid"].dtype.kind not in "iu":
        raise UserError(f"{file.path}: HDU {index}: column fiberid is not of whole numbers")

    def position(name: str) -> ArrayLike:
        found = table.get(name)
        if found is None or found.ndim != 1 or found.dtype.kind not in "iuf":
            return np.full(len(table["fiberid"]), np.nan)
        return np.where(np.isfinite(found), found, np.nan).astype(np.float64)

    return {
        "fiber": table["fiberid"],
        "objtype": table["objtype"],
        **{name: position(name) for name in positions},
    }


def read_frames(paths: Sequence[Pathlike], names: Sequence[str], release: str, plate: int, mjd: int) -> FrameExposure:
    """Read all fibers of one camera exposure from the per-plate files.

    Parameters
    ----------
    paths : sequence of path
        spFrame, spCFrame, spFlat, spFluxcalib, spFluxcorr and spFluxdistort, and from v5_9 on spXYthrucorr.
    names : sequence of str
        What to call them in the provenance: their paths on the server.
    release : str
    plate, mjd : int

    Returns
    -------
    FrameExposure

    Raises
    ------
    UserError
        If a file cannot be read, or the files do not belong together.
    """
    # One file after the other is converted and let go: the unpacked files together take twice the memory.
    files = map(FitsFile, paths)
    inputs: list[tuple[str, str]] = []

    def opened() -> FitsFile:
        file = next(files)
        inputs.append((names[len(inputs)], file.sha1))
        return file

    file = opened()
    identity.check_kind(file, "an spFrame")
    frame_header, frame_path = file.header(), file.path
    header = read_header(file, 0, release, plate, mjd, "frames", ())
    identity.check_exposure(file, frame_header, names[0], plate, mjd)
    arrays: dict[str, Any] = dict(read_plug_map(file, file.place(5, "PLUGMAP")))
    fiber = np.asarray(arrays["fiber"], dtype=np.int64)
    identity.check_fibers(file, fiber, header.camera)
    nfiber, nrow = len(fiber), file.image(0).shape[1]
    cleaned = Cleaned(fiber, (nfiber, nrow))

    def image_and_mean(file: FitsFile, index: int, name: str, bounds: Bounds, empty: bool = False) -> tuple[Any, Any]:
        """An image in the machine's byte order, 0 where it is no number, and the mean over all that is stored."""
        place = file.place(index, name)
        file.image(place, nrow, nfiber, bits=False)
        whole = _native(file.image(place))
        wrong = cleaned.clean(f"{file.path}: HDU {place}", whole, bounds, empty)
        mean = whole.mean(dtype=np.float64, where=True if wrong is None else ~wrong)
        return whole[:, :nrow], mean

    def image(file: FitsFile, index: int, name: str, bounds: Bounds, empty: bool = False) -> Any:
        place = file.place(index, name)
        stored = _native(file.image(place, nrow, nfiber, bits=False))
        cleaned.clean(f"{file.path}: HDU {place}", stored, bounds, empty)
        return stored

    def mask(file: FitsFile, index: int) -> Any:
        return _native(file.image(file.place(index, "MASK"), nrow, nfiber, bits=True))

    wave, without_wave = _trace_set(file, 3, "WAVESET", fiber)
    cleaned.mark(without_wave)
    arrays |= {"row": np.arange(nrow)} | trace_set_arrays("wave", wave)
    arrays |= _dispersion(file, fiber)
    arrays["quadrant"] = quadrant(arrays["row"], image(file, 7, "X", COLUMN), header.band)
    for index, name, hdu, bounds in (
        (0, "eflux", "", SIGNAL), (1, "eivar", "IVAR", IVAR), (6, "esky", "SKY", SIGNAL),
        (8, "superflat", "SUPERFLAT", FACTOR),
    ):  # fmt: skip
        arrays[name] = image(file, index, hdu, bounds, empty=name == "esky")
    arrays["emask"] = mask(file, 2)

    file = opened()
    identity.check_kind(file, "an spCFrame")
    cframe_path, exposure = file.path, file.card(file.header(), "EXPOSURE")
    if exposure not in (None, header.expnum):
        raise UserError(f"{cframe_path}: exposure {exposure}, but {frame_path} is of {header.expnum}")
    identity.check_exposure(file, file.header(), names[1], plate, mjd)
    for index, name, hdu, bounds in ((0, "flux", "", SIGNAL), (1, "ivar", "IVAR", IVAR), (6, "sky", "SKY", SIGNAL)):
        arrays[name] = image(file, index, hdu, bounds, empty=name == "sky")
    arrays["mask"] = mask(file, 2)
    loglam, without = _stored_wavelengths(file, wave, without_wave, frame_path, header.camera, arrays["row"], fiber)
    if loglam is not None:
        arrays["loglam"] = loglam
    if without is not None:
        cleaned.mark(without)

    file = opened()
    identity.check_flat(file, frame_header, names[2], plate)
    arrays["fiberflat"] = image(file, 0, "", FACTOR)
    arrays["fibermask"] = _fiber_bits(file, nfiber)
    width, without_width = _trace_set(file, 3, "WIDTHSET", fiber)
    cleaned.mark(without_width)
    arrays |= trace_set_arrays("width", width)

    file = opened()
    identity.check_exposure(file, file.header(), names[3], plate, mjd)
    identity.check_standards(file, plate, header.camera)
    arrays["spcalib"], spcalib_mean = image_and_mean(file, 0, "", FACTOR)

    file = opened()
    identity.check_exposure(file, file.header(), names[4], plate, mjd)
    arrays["corr"], corr_mean = image_and_mean(file, 0, "", FACTOR)
    added = image(file, 1, "", SIGNAL, empty=True)
    arrays["corr_add"] = added if added.any() else None

    file = opened()
    identity.check_plate(file, file.header(), names[5], plate, mjd)
    distort, distort_path = file.image(0, bits=False), file.path
    if fiber.max() > len(distort):
        raise UserError(f"{distort_path}: has {len(distort)} fibers, {frame_path} has one of number {fiber.max()}")
    distort = _native(distort)
    wrong = wrong_numbers(distort, FACTOR)
    # One file serves both spectrographs: a fiber's row is its number, not its place in the frame.
    arrays["distort"] = distort[fiber - 1]
    if wrong is not None:  # a point of the grid is part of several pixels: the fiber loses all
        of_fibers = wrong[fiber - 1]
        values.refuse_if_full(f"{distort_path}: HDU 0", of_fibers, fiber)
        arrays["distort"][of_fibers] = 1
        cleaned.mark(np.any(of_fibers, axis=1, keepdims=True))
        distort[wrong] = 0
    distort_mean = distort.mean(dtype=np.float64, where=True if wrong is None else ~wrong)
    if not arrays["distort"].any():
        raise UserError(f"{distort_path}: HDU 0 is 0 everywhere; delete the file and run again")
    arrays["distort_grid"] = [
        number_within(file.header(), key, str(distort_path), limits, unit)
        for key, limits, unit in (
            ("CRVAL1", values.GRID_BEGIN, "dex"), ("CRPIX1", values.GRID_PIXEL, ""), ("CD1_1", values.GRID_STEP, "dex")
        )
    ]  # fmt: skip
    arrays["means"] = [spcalib_mean, corr_mean, distort_mean]
    arrays["distort"], arrays["distort_grid"] = _around(arrays["distort"], arrays["distort_grid"], wave, arrays["row"])

    if len(paths) > len(inputs):
        file = opened()
        identity.check_exposure(file, file.header(), names[6], plate, mjd)
        arrays["thrucorr"] = image(file, 0, "", FACTOR)
    arrays["nonfinite"] = cleaned.take_ivar(
        (arrays["ivar"], arrays["eivar"]), tuple(arrays[name] for name in ("flux", "sky", "eflux", "esky"))
    )
    return checked(FrameExposure, replace(header, inputs=tuple(inputs)), arrays, frame_path)


def _trace_set(file: FitsFile, index: int, name: str, fiber: NDArray[np.integer]) -> tuple[TraceSet, NDArray[np.bool_]]:
    """A trace set, and which fibers have that of the nearest one for want of numbers, 2D[nfiber, 1]."""
    place = file.place(index, name)
    where = f"{file.path}: HDU {place}"
    trace_set = TraceSet.from_table(file.table(place), f"{file.path} HDU {place}")
    if len(trace_set.coeff) != len(fiber):
        raise UserError(
            f"{where} is a trace set of {len(trace_set.coeff)} fibers, not of {len(fiber)}: the files of this exposure "
            "do not belong together"
        )
    coeff, without = mended(trace_set.coeff, where, fiber)
    return replace(trace_set, coeff=coeff), without


def _dispersion(file: FitsFile, fiber: NDArray[np.integer]) -> dict[str, NDArray[np.float64]]:
    """The two arrays of the dispersion's trace set; none where the file has none that can be read.

    Nothing but the spCalib file says it: what is wrong with it costs no pixel, and no exposure.
    """
    try:
        trace_set, without = _trace_set(file, 4, "DISPSET", fiber)
    except UserError:
        return {}
    return trace_set_arrays("dispersion", replace(trace_set, coeff=np.where(without, 0, trace_set.coeff)))


def _stored_wavelengths(
    file: FitsFile,
    wave: TraceSet,
    without: NDArray[np.bool_],
    frame_path: Pathlike,
    camera: str,
    row: NDArray,
    fiber: NDArray[np.integer],
) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_] | None]:
    """log10 wavelengths of an spCFrame, and where they are no numbers; None where they are those of the trace set.

    Raises
    ------
    UserError
        If they are of another exposure or the other band, or no logarithms.
    """
    place = file.place(3, "WAVELENGTH")
    loglam, of_trace_set = _native(file.image(place, row.size, len(fiber), bits=False)), wave(row)
    center = float(np.median(of_trace_set[:, row.size // 2]))
    if not abs(center - CENTRAL_LOGLAM[camera]) < NEAR_CENTER:
        raise UserError(
            f"{frame_path}: the middle of its wavelengths is at {center:.6g} in log10, and that of camera {camera} at "
            f"{CENTRAL_LOGLAM[camera]:g}; {identity.ADVICE}"
        )
    wrong = wrong_numbers(loglam, LOGLAM)
    if wrong is not None:
        values.refuse_if_full(f"{file.path}: HDU {place}", wrong, fiber)
        loglam[wrong] = of_trace_set[wrong]
    if without.any():
        loglam = np.where(without, of_trace_set, loglam)
    # In their place: the wavelengths of the trace set are not needed after this.
    difference = np.subtract(loglam, of_trace_set, out=of_trace_set)
    largest = max(difference.max(), -difference.min())
    if not largest < OTHER_LOGLAM:
        index, where = np.unravel_index(np.abs(difference).argmax(), difference.shape)
        raise UserError(
            f"{file.path}: its wavelengths are not those of the trace set in {frame_path}, by up to {largest:.1e} dex "
            f"(fiber {fiber[index]}, row {where}): they do not belong together"
        )
    return None if largest <= SAME_LOGLAM else loglam, wrong


def _around(distort: NDArray, grid: Sequence[float], wave: TraceSet, row: NDArray) -> tuple[NDArray, Sequence[float]]:
    """The part of the flux distortion that this camera sees, and the keywords of its grid: half of it, of 4650 points.

    A camera that reaches beyond an end of the grid keeps that end. Places on the rest are the same to the last bit, for
    the reference pixel is a whole number; where it is none, everything is kept.
    """
    crval1, crpix1, cd1_1 = grid
    if crpix1 != round(crpix1):
        return distort, grid
    ends = grid_position(wave(row[[0, -1]]), grid)
    first = int(np.clip(np.floor(ends.min()) - GRID_MARGIN, 0, distort.shape[1] - 2))
    beyond = int(np.clip(np.ceil(ends.max()) + GRID_MARGIN, first + 2, distort.shape[1]))
    return np.ascontiguousarray(distort[:, first:beyond]), (crval1, crpix1 - first, cd1_1)


def _fiber_bits(file: FitsFile, nfiber: int) -> NDArray[np.integer]:
    """Mask bits of each fiber in an spFlat."""
    place = file.place(2, "FIBERMASK")
    bits = file.data(place)
    if bits is None or bits.dtype.kind not in "iu" or bits.size != nfiber:
        raise UserError(f"{file.path}: HDU {place} is not the mask of {nfiber} fibers")
    return bits.reshape(-1)  # in later reductions one row of an image


def _native(image: Any) -> Any:
    """A copy in the machine's byte order that does not keep the file in memory."""
    return image.astype(image.dtype.newbyteorder("="))


def checked(kind: Any, header: Header, arrays: Mapping[str, Any], path: Pathlike) -> Any:
    """A container of what was read.

    Raises
    ------
    UserError
        If the shapes do not fit: then the files are of different exposures.
    """
    try:
        return kind.checked(header, arrays)
    except ValueError as error:
        raise UserError(f"{path}: the files of this exposure do not belong together: {error}") from error
