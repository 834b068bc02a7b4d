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
from bosscal.survey.fitsfile import FitsFile, number
from bosscal.survey.frames import checked, header_of, read_header
from bosscal.survey.identity import (
    EXPOSURE_NAME,
    check_exposure,
    check_listed,
    check_path,
    check_spec,
    compare,
    listed_exposures,
)
from bosscal.survey.rows import CENTRAL_LOGLAM, spec_rows
from bosscal.survey.values import COLUMN, FACTOR, IVAR, SIGNAL, Cleaned, wavelengths

FIRST_TWO_PHASE = 55415  # MJD from which on red CCDs are read in two phases
FIRST_EXPOSURE = 4  # HDU; before it are the primary header, the coadd, the object and its emission lines


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
    for index, found in exposure_hdus(file).items():
        if found == (camera, expnum):
            return _read_exposure(file, index, name, release, plate, mjd, fiber, camera, expnum)
    wanted = f"{camera.upper()}-{expnum:08d}"
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
    """HDU of each camera exposure of a full spec file: camera and exposure number; empty for a spec-lite file.

    Their names say which is which; where these are lost, the order is that of EXPID in the primary header. HDUs that
    are there besides are left alone.

    Raises
    ------
    UserError
        If the exposures are not those that EXPID lists, each once.
    """
    check_listed(file)
    places = [place for place in range(FIRST_EXPOSURE, len(file)) if file.column_names(place)]
    if not places:
        return {}
    names = file.names()
    listed = [match[0] for each in listed_exposures(file) if (match := EXPOSURE_NAME.match(each.upper()))]
    named = {place: match[0] for place in places if (match := EXPOSURE_NAME.match(names[place].upper()))}
    if len(named) < len(listed):  # names that are lost are those of EXPID in their order
        if len(places) != len(listed):
            missing = [each for each in listed if each not in named.values()]
            raise UserError(
                f"{file.path}: the header lists {len(listed)} camera exposures (EXPID), and there are "
                f"{len(places)} tables: no HDU {missing[0]}"
            )
        named = {place: named.get(place, name) for place, name in zip(places, listed, strict=True)}
    if not named:
        raise UserError(
            f"{file.path}: HDU {places[0]} is '{names[places[0]]}', and no EXPID says which camera exposure it is"
        )
    found = [(name[:2].lower(), int(name[3:11])) for name in named.values()]
    for place, name in named.items():
        if listed and name not in listed:
            raise UserError(f"{file.path}: HDU {place} is {name}, and the header does not list it (EXPID)")
    if twice := [each for place, each in enumerate(found) if each in found[:place]]:
        raise UserError(f"{file.path}: has camera exposure {twice[0][0]}-{twice[0][1]:08d} twice")
    return dict(zip(named, found, strict=True))


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
        simulated=bool(file.card(file.header(), "SIMULATD", False)),
        readnoise=(math.nan,) * 4,
        exptime=math.nan,
        xsigma=math.nan,
        skychi2=None,
        vers2d=str(file.card(file.header(), "VERS2D", file.card(file.header(), "RUN2D", ""))).strip(),
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
    check_exposure(file, of_file, name, plate, mjd)
    if (header.camera, header.expnum) != (camera, expnum):
        found = f"{header.camera}-{header.expnum:08d}"
        raise UserError(f"{file.path}: HDU {index} is {camera}-{expnum:08d} by its name, and {found} by its header")
    hdu_name = EXPOSURE_NAME.match(file.names()[index].upper())
    flat_file = re.search(r"-(\d{8})", str(file.card(of_file, "FLATFILE", "")))
    if hdu_name and flat_file:
        compare(file, f"flat (HDU {index})", int(flat_file[1]), int(hdu_name[3]))
    if header.xsigma is None:  # the only profile width that a spec file has
        raise UserError(f"{file.path}: header keyword missing: XSIGMA")
    target = file.columns(2, (), ("objtype", "xfocal", "yfocal", "lambda_eff"), words=("objtype",))
    table = file.columns(index, ("x", "loglam", "flux", "sky", "ivar", "mask", "calib"))
    where = f"{file.path}: HDU {index}, column"
    if table["mask"].dtype.kind not in "iu":
        raise UserError(f"{where} mask is not of whole numbers")
    loglam = table["loglam"]
    # Some reductions store blue spectra from red to blue.
    order = slice(None, None, -1 if loglam[-1] < loglam[0] else 1)
    images = {
        column: values[np.newaxis, order].astype(values.dtype.newbyteorder("="))
        for column, values in table.items()
        if column != "loglam"
    }
    shape = images["flux"].shape
    cleaned = Cleaned(np.array([fiber]), shape)
    for column, bounds in (("flux", SIGNAL), ("sky", SIGNAL), ("ivar", IVAR), ("calib", FACTOR), ("x", COLUMN)):
        cleaned.clean(f"{where} {column}", images[column], bounds, empty=True)
    loglam, without = wavelengths(f"{where} loglam", loglam[order], fiber, CENTRAL_LOGLAM[header.camera])
    if without is not None:
        cleaned.mark(without[np.newaxis])
    nonfinite = cleaned.take_ivar((images["ivar"],), (images["flux"], images["sky"]))
    with_data = images["ivar"] > 0
    for column in ("flux", "calib"):  # a sky that is missing is in the table
        if with_data.any() and not images[column][with_data].any():
            raise UserError(f"{where} {column} is 0 in every pixel that has data; delete the file and run again")
    row, _ = spec_rows(loglam, header.camera, bool(file.card(of_file, "TWOPHASE", mjd >= FIRST_TWO_PHASE)))

    def of_target(column: str) -> Any:
        found = target.get(column)
        return [np.nan] if found is None or found.ndim != 1 or found.dtype.kind not in "iuf" else found[:1]

    arrays = {
        "fiber": [fiber],
        "objtype": target["objtype"][:1] if "objtype" in target else [""],
        "ra": [number(file.header(), "PLUG_RA") or np.nan],
        "dec": [number(file.header(), "PLUG_DEC") or np.nan],
        **{column: of_target(column) for column in ("xfocal", "yfocal", "lambda_eff")},
        "row": row,
        "quadrant": quadrant(row, images.pop("x"), header.band),
        "loglam": loglam[np.newaxis],
        "nonfinite": nonfinite,
    }
    return checked(SpecExposure, header, arrays | images, file.path)


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
        If the header lists no exposure, or the file is another one than its name says.
    """
    file = FitsFile(path)
    check_path(file, Path(path))
    check_listed(file)
    exposures: dict[str, dict[int, int]] = {}
    for key in file.header()["EXPID*"]:
        if not re.fullmatch(r"EXPID\d+", key):
            continue
        value = file.card(file.header(), key)
        match = EXPOSURE_NAME.match(str(value).strip().upper())
        if match is None:
            raise UserError(f"{path}: {key} is '{value}', not camera-science-flat-arc")
        camera, science, flat, _ = match.groups()
        exposures.setdefault(camera.lower(), {})[int(science)] = int(flat)
    if not exposures:
        raise UserError(f"{path}: the header lists no exposures (EXPID01 …)")
    return exposures
