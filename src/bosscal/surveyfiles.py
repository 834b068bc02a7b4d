"""Reading the survey's FITS files into a :class:`bosscal.exposure.CameraExposure`."""

import re
import warnings
from contextlib import contextmanager

import numpy as np
from astropy.io import fits

from bosscal.errors import UserError
from bosscal.exposure import CameraExposure, Header, trace_set_arrays
from bosscal.files import sha1sum
from bosscal.specrows import spec_rows
from bosscal.tracesets import TraceSet


@contextmanager
def _opened(path):
    """Open a FITS file; a missing, truncated or foreign file is the user's to replace."""
    try:
        with warnings.catch_warnings():
            # Truncated files warn before they fail; the failure below says it better.
            warnings.simplefilter("ignore")
            with fits.open(path, memmap=False) as hdus:
                yield hdus
    except (OSError, EOFError, IndexError, KeyError, TypeError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise UserError(f"{path}: cannot be read ({reason}); if it is damaged, delete it and run again") from error


def _image(hdus, index, path, nrow=None):
    """Image of an HDU, 2D[nfiber, nrow], cut to ``nrow`` entries: spCFrame and spFluxcorr carry more in blue."""
    data = hdus[index].data
    if data is None or data.ndim != 2:
        raise UserError(f"{path}: HDU {index} is no image [fiber, row]")
    if nrow is not None and data.shape[1] < nrow:
        raise UserError(
            f"{path}: HDU {index} has {data.shape[1]} rows, the spFrame {nrow}: they do not belong together"
        )
    return data[:, :nrow]


def _text(column):
    """Blank-padded FITS strings as an array of trimmed text."""
    return np.char.strip(np.asarray(column).astype(str))


def _number(header, key):
    """A header's number, or None where it is absent or not finite."""
    value = header.get(key)
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


def _header(primary, path, plate, mjd, products, inputs):
    """Facts of a camera exposure from a frame's header."""
    try:
        return Header(
            plate=plate,
            mjd=mjd,
            camera=primary["CAMERAS"].strip().lower(),
            expnum=int(primary["EXPOSURE"]),
            products=products,
            simulated=bool(primary.get("SIMULATD", False)),
            readnoise=tuple(float(primary[f"RDNOISE{amplifier}"]) for amplifier in range(4)),
            exptime=float(primary["EXPTIME"]),
            xsigma=_number(primary, "XSIGMA"),
            skychi2=_number(primary, "SKYCHI2"),
            vers2d=str(primary.get("VERS2D", "")).strip(),
            inputs=inputs,
        )
    except KeyError as error:
        raise UserError(f"{path}: header keyword missing: {error.args[0]}") from error


def _plug_map(table, path):
    """Fiber, OBJTYPE and positions from a plug map."""
    columns = {name.upper() for name in table.dtype.names}
    if not {"FIBERID", "OBJTYPE"} <= columns:
        raise UserError(f"{path}: the plug map has no FIBERID and OBJTYPE")

    def position(name):
        return np.asarray(table[name], dtype=np.float64) if name in columns else np.full(len(table), np.nan)

    return {
        "fiber": table["FIBERID"],
        "objtype": _text(table["OBJTYPE"]),
        "ra": position("RA"),
        "dec": position("DEC"),
        "xfocal": position("XFOCAL"),
        "yfocal": position("YFOCAL"),
    }


def _inputs(paths, names):
    return tuple((name, sha1sum(path)) for path, name in zip(paths, names, strict=True))


def read_frames(paths, names, plate, mjd):
    """Read all fibers of one camera exposure from the per-plate files.

    Parameters
    ----------
    paths : sequence of path
        spFrame, spCFrame, spFlat, spFluxcalib, spFluxcorr and spFluxdistort, and spXYthrucorr where there is one.
    names : sequence of str
        What to call them in the provenance: their paths on the server.
    plate, mjd : int

    Returns
    -------
    CameraExposure

    Raises
    ------
    UserError
        If a file cannot be read, or the files do not belong together.
    """
    frame_path, cframe_path, flat_path, calib_path, corr_path, distort_path, *thrucorr_path = paths
    with _opened(frame_path) as hdus:
        header = _header(hdus[0].header, frame_path, plate, mjd, "frames", _inputs(paths, names))
        nrow = hdus[0].data.shape[1]
        arrays = _plug_map(hdus[5].data, frame_path) | {
            "eflux": _image(hdus, 0, frame_path),
            "eivar": _image(hdus, 1, frame_path),
            "emask": _image(hdus, 2, frame_path),
            "esky": _image(hdus, 6, frame_path),
            "x": _image(hdus, 7, frame_path),
            "superflat": _image(hdus, 8, frame_path),
            "row": np.arange(nrow),
        }
        arrays |= trace_set_arrays("wave", TraceSet.from_table(hdus[3].data, f"{frame_path} HDU 3"))
    with _opened(cframe_path) as hdus:
        exposure = hdus[0].header.get("EXPOSURE")
        if exposure not in (None, header.expnum):
            raise UserError(f"{cframe_path}: exposure {exposure}, but {frame_path} is of {header.expnum}")
        for index, name in ((0, "flux"), (1, "ivar"), (2, "mask"), (3, "loglam"), (6, "sky")):
            arrays[name] = _image(hdus, index, cframe_path, nrow)
    with _opened(flat_path) as hdus:
        arrays["fiberflat"] = _image(hdus, 0, flat_path, nrow)
        arrays["fibermask"] = hdus[2].data
        arrays |= trace_set_arrays("width", TraceSet.from_table(hdus[3].data, f"{flat_path} HDU 3"))
    with _opened(calib_path) as hdus:
        arrays["spcalib"] = _image(hdus, 0, calib_path, nrow)
        spcalib_mean = hdus[0].data.mean(dtype=np.float64)
    with _opened(corr_path) as hdus:
        arrays["corr"] = _image(hdus, 0, corr_path, nrow)
        arrays["corr_add"] = _image(hdus, 1, corr_path, nrow)
        corr_mean = hdus[0].data.mean(dtype=np.float64)
    with _opened(distort_path) as hdus:
        distort = _image(hdus, 0, distort_path)
        grid = hdus[0].header
        # One file serves both spectrographs: a fiber's row is its number, not its place in the frame.
        arrays["distort"] = distort[np.asarray(arrays["fiber"], dtype=np.int64) - 1]
        arrays["distort_grid"] = [grid["CRVAL1"], grid["CRPIX1"], grid["CD1_1"]]
        arrays["means"] = [spcalib_mean, corr_mean, distort.mean(dtype=np.float64)]
    for path in thrucorr_path:
        with _opened(path) as hdus:
            arrays["thrucorr"] = _image(hdus, 0, path, nrow)
    return _checked(header, arrays, frame_path)


def read_spec(path, name, plate, mjd, fiber, camera, expnum):
    """Read one camera exposure of one fiber from a full spec file.

    Parameters
    ----------
    path : path
        A full spec file.
    name : str
        What to call it in the provenance: its path on the server.
    plate, mjd, fiber, camera, expnum
        Which camera exposure to read; ``camera`` is b1, b2, r1 or r2.

    Returns
    -------
    CameraExposure
        With nfiber = 1. The tables are cut to the rows with data, so ``row`` is found from the two-phase
        jump, or else estimated (:func:`bosscal.specrows.spec_rows`).

    Raises
    ------
    UserError
        If the file cannot be read or does not hold the exposure.
    """
    with _opened(path) as hdus:
        wanted = f"{camera.upper()}-{expnum:08d}"
        hdu = next((hdu for hdu in hdus[4:] if hdu.name.startswith(wanted)), None)
        if hdu is None:
            raise UserError(f"{path}: no HDU {wanted}-…: a spec-lite file, or not an exposure of this target")
        header = _header(hdu.header, path, plate, mjd, "spec", _inputs([path], [name]))
        if header.xsigma is None:  # the only profile width that a spec file has
            raise UserError(f"{path}: header keyword missing: XSIGMA")
        target = hdus[2].data
        table = hdu.data
        objtype = _text(target["OBJTYPE"]) if "OBJTYPE" in target.dtype.names else np.array([""])
        row, _ = spec_rows(table["loglam"], header.band, bool(hdu.header.get("TWOPHASE", False)))
        arrays = {
            "fiber": [fiber],
            "objtype": objtype[:1],
            "ra": [_number(hdus[0].header, "PLUG_RA") or np.nan],
            "dec": [_number(hdus[0].header, "PLUG_DEC") or np.nan],
            "xfocal": [float(target["XFOCAL"][0]) if "XFOCAL" in target.dtype.names else np.nan],
            "yfocal": [float(target["YFOCAL"][0]) if "YFOCAL" in target.dtype.names else np.nan],
            "row": row,
        }
        for column in ("x", "loglam", "flux", "sky", "ivar", "mask", "calib"):
            arrays[column] = table[column][np.newaxis]
    return _checked(header, arrays, path)


def _checked(header, arrays, path):
    try:
        return CameraExposure.checked(header, arrays)
    except ValueError as error:
        raise UserError(f"{path}: the files of this exposure do not belong together: {error}") from error


def read_exposures(path):
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
    with _opened(path) as hdus:
        header = hdus[0].header
        exposures = {}
        for key, value in header.items():
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


def read_platelist(path):
    """Plates of a release: a list of (plate, mjd, quality, run2d), in the order of the file."""
    with _opened(path) as hdus:
        table = hdus[1].data
        return [
            (int(plate), int(mjd), quality, run2d)
            for plate, mjd, quality, run2d in zip(
                table["PLATE"], table["MJD"], _text(table["PLATEQUALITY"]), _text(table["RUN2D"]), strict=True
            )
        ]
