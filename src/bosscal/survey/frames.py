"""Reading the per-plate files of one camera exposure: spFrame, spCFrame, spFlat, spFluxcalib, spFluxcorr and others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import ArrayLike

from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike
from bosscal.survey import identity
from bosscal.survey.ccd import quadrant
from bosscal.survey.exposure import FrameExposure, Header, trace_set_arrays
from bosscal.survey.fitsfile import FitsFile, keyword_of, number, text
from bosscal.survey.tracesets import TraceSet

SAME_LOGLAM = 1e-12  # dex: stored wavelengths that are the trace set's, but for the order of its sum
OTHER_LOGLAM = 1.01e-5  # dex; beyond, wavelengths are those of another exposure


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
    try:
        return Header(
            release=release,
            plate=plate,
            mjd=mjd,
            camera=header["CAMERAS"].strip().lower(),
            expnum=int(header["EXPOSURE"]),
            products=products,
            simulated=bool(header.get("SIMULATD", False)),
            readnoise=tuple(float(header[f"RDNOISE{amplifier}"]) for amplifier in range(4)),
            exptime=float(header["EXPTIME"]),
            xsigma=number(header, "XSIGMA"),
            skychi2=number(header, "SKYCHI2"),
            vers2d=str(header.get("VERS2D", "")).strip(),
            inputs=tuple(inputs),
            altitude=number(header, "ALT"),
            seeing=number(header, "SEEING50") or None,  # 0: no guider
            origin=origin,
        )
    except KeyError as error:
        raise UserError(f"{where}: header keyword missing: {keyword_of(error)}") from error


def read_plug_map(file: FitsFile, index: int) -> dict[str, ArrayLike]:
    """Fiber, OBJTYPE and positions from a plug map, each 1D[nfiber]."""
    table = file.table(index)
    columns = {name.upper() for name in table.dtype.names}
    if not {"FIBERID", "OBJTYPE"} <= columns:
        raise UserError(f"{file.path}: the plug map has no FIBERID and OBJTYPE")

    def position(name: str) -> ArrayLike:
        return np.asarray(table[name], dtype=np.float64) if name in columns else np.full(len(table), np.nan)

    return {
        "fiber": table["FIBERID"],
        "objtype": text(table["OBJTYPE"]),
        "ra": position("RA"),
        "dec": position("DEC"),
        "xfocal": position("XFOCAL"),
        "yfocal": position("YFOCAL"),
        "lambda_eff": position("LAMBDA_EFF"),
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
    frame_path, cframe_path, flat_path, _, _, distort_path, *thrucorr_path = paths
    # One file after the other is converted and let go: the unpacked files together take twice the memory.
    files = map(FitsFile, paths)
    inputs: list[tuple[str, str]] = []

    def opened() -> FitsFile:
        file = next(files)
        inputs.append((names[len(inputs)], file.sha1))
        return file

    file = opened()
    frame_header = file.header()
    identity.check_frame(file, names[0], plate)
    header = read_header(file, 0, release, plate, mjd, "frames", ())
    nrow = file.image(0).shape[1]
    wave = TraceSet.from_table(file.table(3), f"{frame_path} HDU 3")
    arrays: dict[str, Any] = read_plug_map(file, 5) | {"row": np.arange(nrow)} | trace_set_arrays("wave", wave)
    identity.check_fibers(file, np.asarray(arrays["fiber"], dtype=np.int64))
    arrays["quadrant"] = quadrant(arrays["row"], file.image(7), header.band)
    for index, name in ((0, "eflux"), (1, "eivar"), (2, "emask"), (6, "esky"), (8, "superflat")):
        arrays[name] = _native(file.image(index))

    file = opened()
    exposure = file.header().get("EXPOSURE")
    if exposure not in (None, header.expnum):
        raise UserError(f"{cframe_path}: exposure {exposure}, but {frame_path} is of {header.expnum}")
    identity.check_frame(file, names[1], plate)
    for index, name in ((0, "flux"), (1, "ivar"), (2, "mask"), (6, "sky")):
        arrays[name] = _native(file.image(index, nrow))
    loglam = file.image(3, nrow)
    of_trace_set = wave(arrays["row"])
    same = loglam.shape == of_trace_set.shape and not np.any(np.abs(loglam - of_trace_set) > SAME_LOGLAM)
    if not same:
        if loglam.shape == of_trace_set.shape and not np.all(np.abs(loglam - of_trace_set) < OTHER_LOGLAM):
            raise UserError(
                f"{cframe_path}: its wavelengths are not those of the trace set in {frame_path}: "
                "they do not belong together"
            )
        arrays["loglam"] = _native(loglam)

    file = opened()
    identity.check_flat(file, frame_header)
    arrays["fiberflat"] = _native(file.image(0, nrow))
    arrays["fibermask"] = file.data(2)
    arrays |= trace_set_arrays("width", TraceSet.from_table(file.table(3), f"{flat_path} HDU 3"))

    file = opened()
    arrays["spcalib"] = _native(file.image(0, nrow))
    spcalib_mean = file.image(0).mean(dtype=np.float64)

    file = opened()
    arrays["corr"] = _native(file.image(0, nrow))
    added = file.image(1, nrow)
    arrays["corr_add"] = _native(added) if added.any() else None
    corr_mean = file.image(0).mean(dtype=np.float64)

    file = opened()
    distort = file.image(0)
    fibers = np.asarray(arrays["fiber"], dtype=np.int64)
    if fibers.size and not 1 <= fibers.min() <= fibers.max() <= len(distort):
        raise UserError(f"{distort_path}: has {len(distort)} fibers, {frame_path} has one of number {fibers.max()}")
    # One file serves both spectrographs: a fiber's row is its number, not its place in the frame.
    arrays["distort"] = _native(distort[fibers - 1])
    try:
        arrays["distort_grid"] = [file.header()[key] for key in ("CRVAL1", "CRPIX1", "CD1_1")]
    except KeyError as error:
        raise UserError(f"{distort_path}: header keyword missing: {keyword_of(error)}") from error
    arrays["means"] = [spcalib_mean, corr_mean, distort.mean(dtype=np.float64)]

    if thrucorr_path:
        arrays["thrucorr"] = _native(opened().image(0, nrow))
    return checked(FrameExposure, replace(header, inputs=tuple(inputs)), arrays, frame_path)


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
