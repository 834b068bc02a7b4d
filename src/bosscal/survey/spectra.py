"""Reading full spec files: the camera exposures of one fiber, and which ones a coadd is made of."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike
from bosscal.survey.ccd import quadrant
from bosscal.survey.exposure import Header, SpecExposure
from bosscal.survey.fitsfile import FitsFile, number, text
from bosscal.survey.frames import checked, header_of, read_header
from bosscal.survey.identity import check_spec, compare
from bosscal.survey.rows import spec_rows

FIRST_TWO_PHASE = 55415  # MJD from which on red CCDs are read in two phases
FIRST_EXPOSURE = 4  # HDU; before it are the primary header, the coadd, the object and its emission lines
EXPOSURE_NAME = re.compile(r"([BR][12])-(\d{8})-\d{8}-\d{8}")


def read_spec(
    path: Pathlike, name: str, release: str, plate: int, mjd: int, fiber: int, camera: str, expnum: int
) -> SpecExposure:
    """Read one camera exposure of one fiber from a full spec file.

    Parameters
    ----------
    path : path
        A full spec file.
    name : str
        What to call it in the provenance: its path on the server.
    release, plate, mjd, fiber, camera, expnum
        Which camera exposure to read; ``camera`` is b1, b2, r1 or r2.

    Returns
    -------
    SpecExposure
        With nfiber = 1. The tables are cut to the rows with data, so the CCD row is found from the two-phase
        jump, or else estimated (:func:`bosscal.survey.rows.spec_rows`).

    Raises
    ------
    UserError
        If the file cannot be read or does not hold the exposure.
    """
    file = FitsFile(path)
    check_spec(file, name, plate, mjd, fiber)
    wanted = f"{camera.upper()}-{expnum:08d}"
    for index, hdu_name in enumerate(file.names()):
        if index >= FIRST_EXPOSURE and hdu_name.startswith(wanted):
            return _read_exposure(file, index, name, release, plate, mjd, fiber, camera, expnum)
    raise UserError(f"{path}: no HDU {wanted}-…: a spec-lite file, or not an exposure of this target")


def read_all_exposures(
    path: Pathlike,
    name: str,
    release: str,
    plate: int,
    mjd: int,
    fiber: int,
    headers: Mapping[tuple[str, int], fits.Header] | None = None,
) -> Iterator[SpecExposure]:
    """Every camera exposure of a full spec file, in the order of the file; arguments as of :func:`read_spec`.

    ``headers`` has those of the spCFrame files, by camera and exposure, for a file that has lost its own
    (:func:`lost_headers`): many of DR16 and DR17.
    """
    file = FitsFile(path)
    check_spec(file, name, plate, mjd, fiber)
    exposures = exposure_hdus(file)
    if not exposures:
        raise UserError(f"{path}: has no camera exposures: a spec-lite file where the full spec file is needed")
    for index, (camera, expnum) in exposures.items():
        header = (headers or {}).get((camera, expnum))
        yield _read_exposure(file, index, name, release, plate, mjd, fiber, camera, expnum, header)


def exposure_hdus(file: FitsFile) -> dict[int, tuple[str, int]]:
    """HDU of each camera exposure of a full spec file: camera and exposure number.

    Their names say which is which; where these are lost, the order is that of EXPID in the primary header.
    """
    listed = [str(value).upper() for key, value in file.header().items() if re.fullmatch(r"EXPID\d+", key)]
    found = {}
    for place, (index, hdu_name) in enumerate(list(enumerate(file.names()))[FIRST_EXPOSURE:]):
        match = EXPOSURE_NAME.match(hdu_name.upper())
        if match is None and place < len(listed):
            match = EXPOSURE_NAME.match(listed[place])
        if match is None:
            raise UserError(f"{file.path}: HDU {index} is '{hdu_name}', and no EXPID says which camera exposure it is")
        found[index] = (match[1].lower(), int(match[2]))
    return found


def lost_headers(path: Pathlike) -> bool:
    """Whether a full spec file's exposures have lost the headers of their spCFrame files."""
    file = FitsFile(path)
    return len(file) > FIRST_EXPOSURE and "RDNOISE0" not in file.header(FIRST_EXPOSURE)


def read_beginning(path: Pathlike) -> fits.Header | None:
    """The primary header from the beginning of a FITS file; None if there is no whole one."""
    content = Path(path).read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return fits.Header.fromfile(io.BytesIO(content), endcard=True)
    except (OSError, EOFError, ValueError, fits.VerifyError, Warning):
        return None


def read_beginnings(paths: Iterable[Pathlike]) -> dict[tuple[str, int], fits.Header]:
    """Headers by camera and exposure, from the beginnings of spCFrame files; those that are not there are left out."""
    headers = {}
    for path in paths:
        header, named = read_beginning(path), re.search(r"spCFrame-([br][12])-(\d{8})", Path(path).name)
        if header is not None and named is not None:
            headers[named[1], int(named[2])] = header
    return headers


def _nothing_known(file: FitsFile, release: str, plate: int, mjd: int, camera: str, expnum: int, name: str) -> Header:
    """What is left of a header that is lost: numbers that are in none are NaN."""
    return Header(
        release=release,
        plate=plate,
        mjd=mjd,
        camera=camera,
        expnum=expnum,
        products="spec",
        simulated=bool(file.header().get("SIMULATD", False)),
        readnoise=(math.nan,) * 4,
        exptime=math.nan,
        xsigma=math.nan,
        skychi2=None,
        vers2d=str(file.header().get("VERS2D", file.header().get("RUN2D", ""))).strip(),
        inputs=((name, file.sha1),),
        origin="lost",
    )


def _read_exposure(
    file: FitsFile,
    index: int,
    name: str,
    release: str,
    plate: int,
    mjd: int,
    fiber: int,
    camera: str,
    expnum: int,
    of_spcframe: fits.Header | None = None,
) -> SpecExposure:
    inputs = [(name, file.sha1)]
    of_file = file.header(index)
    if "RDNOISE0" in of_file:
        header = read_header(file, index, release, plate, mjd, "spec", inputs)
    elif of_spcframe is not None:
        of_file = of_spcframe
        header = header_of(of_file, release, plate, mjd, "spec", inputs, f"{file.path} (spCFrame)", "spCFrame")
    else:
        header = _nothing_known(file, release, plate, mjd, camera, expnum, name)
    compare(file, "plate", of_file.get("PLATEID"), plate)
    if (header.camera, header.expnum) != (camera, expnum):
        found = f"{header.camera}-{header.expnum:08d}"
        raise UserError(f"{file.path}: HDU {index} is {camera}-{expnum:08d} by its name, and {found} by its header")
    if header.xsigma is None:  # the only profile width that a spec file has
        raise UserError(f"{file.path}: header keyword missing: XSIGMA")
    target, table = file.table(2), file.table(index)
    names = {column.lower(): column for column in table.dtype.names}
    missing = {"x", "loglam", "flux", "sky", "ivar", "mask", "calib"} - set(names)
    if missing:
        raise UserError(f"{file.path}: HDU {index} has no column {', '.join(sorted(missing))}")
    row, _ = spec_rows(table[names["loglam"]], header.camera, _two_phase(of_file, mjd))

    of_object = {column.upper(): column for column in target.dtype.names}

    def of_target(column: str) -> Any:
        return target[of_object[column]] if column in of_object else None

    xfocal, yfocal, objtype = of_target("XFOCAL"), of_target("YFOCAL"), of_target("OBJTYPE")
    lambda_eff = of_target("LAMBDA_EFF")
    arrays = {
        "fiber": [fiber],
        "objtype": [""] if objtype is None else text(objtype)[:1],
        "ra": [number(file.header(), "PLUG_RA") or np.nan],
        "dec": [number(file.header(), "PLUG_DEC") or np.nan],
        "xfocal": [np.nan] if xfocal is None else xfocal[:1],
        "yfocal": [np.nan] if yfocal is None else yfocal[:1],
        "lambda_eff": [np.nan] if lambda_eff is None else lambda_eff[:1],
        "row": row,
        "quadrant": quadrant(row, table[names["x"]][np.newaxis], header.band),
    }
    for column in ("loglam", "flux", "sky", "ivar", "mask", "calib"):
        arrays[column] = table[names[column]][np.newaxis]
    return checked(SpecExposure, header, arrays, file.path)


def _two_phase(header: fits.Header, mjd: int) -> bool:
    """Whether a red CCD was read in two phases: the header says so, or else the night."""
    return bool(header.get("TWOPHASE", mjd >= FIRST_TWO_PHASE))


def read_exposures(path: Pathlike) -> dict[str, dict[int, int]]:
    """Which camera exposures a coadd is made of, from the primary header of a spec or spec-lite file.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict
        ``{camera: {science exposure number: flat exposure number}}``, from EXPID01.. or EXPID001.. (v5_13).

    Raises
    ------
    UserError
        If the header lists no exposure.
    """
    exposures: dict[str, dict[int, int]] = {}
    for key, value in FitsFile(path).header().items():
        if not re.fullmatch(r"EXPID\d+", key):
            continue
        match = re.match(r"([br][12])-(\d{8})-(\d{8})-(\d{8})", str(value))
        if match is None:
            raise UserError(f"{path}: {key} is '{value}', not camera-science-flat-arc")
        camera, science, flat, _ = match.groups()
        exposures.setdefault(camera, {})[int(science)] = int(flat)
    if not exposures:
        raise UserError(f"{path}: the header lists no exposures (EXPID01 …)")
    return exposures
