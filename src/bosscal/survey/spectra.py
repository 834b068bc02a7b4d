"""Reading full spec files: the camera exposures of one fiber, and which ones a coadd is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike
from bosscal.survey.ccd import quadrant
from bosscal.survey.exposure import SpecExposure
from bosscal.survey.fitsfile import FitsFile, number, text
from bosscal.survey.frames import checked, read_header
from bosscal.survey.rows import spec_rows

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
    wanted = f"{camera.upper()}-{expnum:08d}"
    for index, hdu_name in enumerate(file.names()):
        if index >= FIRST_EXPOSURE and hdu_name.startswith(wanted):
            return _read_exposure(file, index, name, release, plate, mjd, fiber)
    raise UserError(f"{path}: no HDU {wanted}-…: a spec-lite file, or not an exposure of this target")


def read_all_exposures(
    path: Pathlike, name: str, release: str, plate: int, mjd: int, fiber: int
) -> Iterator[SpecExposure]:
    """Every camera exposure of a full spec file, in the order of the file; arguments as of :func:`read_spec`."""
    file = FitsFile(path)
    exposures = [
        index
        for index, hdu_name in enumerate(file.names())
        if index >= FIRST_EXPOSURE and EXPOSURE_NAME.match(hdu_name)
    ]
    if not exposures:
        raise UserError(f"{path}: has no camera exposures: a spec-lite file where the full spec file is needed")
    for index in exposures:
        yield _read_exposure(file, index, name, release, plate, mjd, fiber)


def _read_exposure(
    file: FitsFile, index: int, name: str, release: str, plate: int, mjd: int, fiber: int
) -> SpecExposure:
    header = read_header(file, index, release, plate, mjd, "spec", [(name, file.sha1)])
    if header.xsigma is None:  # the only profile width that a spec file has
        raise UserError(f"{file.path}: header keyword missing: XSIGMA")
    target, table = file.table(2), file.table(index)
    names = {column.lower() for column in table.dtype.names}
    missing = {"x", "loglam", "flux", "sky", "ivar", "mask", "calib"} - names
    if missing:
        raise UserError(f"{file.path}: HDU {index} has no column {', '.join(sorted(missing))}")
    row, _ = spec_rows(table["loglam"], header.camera, bool(file.header(index).get("TWOPHASE", False)))

    def of_target(column: str) -> Any:
        return target[column] if column in target.dtype.names else None

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
        "quadrant": quadrant(row, table["x"][np.newaxis], header.band),
    }
    for column in ("loglam", "flux", "sky", "ivar", "mask", "calib"):
        arrays[column] = table[column][np.newaxis]
    return checked(SpecExposure, header, arrays, file.path)


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
