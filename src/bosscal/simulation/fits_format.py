"""The survey's file format: headers, trace-set and plug-map tables, FITS files that are the same bytes every time."""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from astropy.io import fits
from numpy.typing import ArrayLike, NDArray

from bosscal.base.elementary import log10, power_of_ten
from bosscal.base.files import Pathlike, replacing
from bosscal.simulation.instrument import READNOISE
from bosscal.simulation.plate import (
    ARC,
    EXPOSURES,
    FLAT,
    MJD,
    NFIBER,
    PLATE,
    PLATE_CENTER,
    RUN2D,
    fiber_numbers,
    plug_fibers,
)
from bosscal.survey.tracesets import TraceSet

FITS_BLOCK = 2880  # bytes; headers and data are padded to whole blocks
GZIP_FORMAT = 16 + zlib.MAX_WBITS  # zlib's number for a gzip file, without name and time

EXPTIME = {FLAT: 30.0, EXPOSURES[0]: 900.0, EXPOSURES[1]: 900.0}
START = {FLAT: 1200.0, EXPOSURES[0]: 1500.0, EXPOSURES[1]: 2500.0}  # s after the beginning of the MJD
CAMERA_COLUMN = {"b1": 1, "b2": 3, "r1": 4, "r2": 2}

PLUGMAP_DTYPE = [
    ("OBJID", ">i4", 5), ("HOLETYPE", "S6"), ("RA", ">f8"), ("DEC", ">f8"), ("MAG", ">f4", 5), ("STARL", ">f4"),
    ("EXPL", ">f4"), ("DEVAUCL", ">f4"), ("OBJTYPE", "S16"), ("XFOCAL", ">f8"), ("YFOCAL", ">f8"),
    ("SPECTROGRAPHID", ">i4"), ("FIBERID", ">i4"), ("THROUGHPUT", ">i4"), ("PRIMTARGET", ">i4"), ("SECTARGET", ">i4"),
    ("OFFSETID", ">i4"), ("SCI_EXPTIME", ">f4"), ("SOURCETYPE", "S21"), ("LAMBDA_EFF", ">f4"), ("ZOFFSET", ">f4"),
    ("BLUEFIBER", ">i4"), ("BOSS_TARGET1", ">i8"), ("BOSS_TARGET2", ">i8"), ("ANCILLARY_TARGET1", ">i8"),
    ("ANCILLARY_TARGET2", ">i8"), ("RUN", ">i4"), ("RERUN", "S4"), ("CAMCOL", ">i4"), ("FIELD", ">i4"), ("ID", ">i4"),
    ("CALIBFLUX", ">f4", 5), ("CALIBFLUX_IVAR", ">f4", 5), ("CALIB_STATUS", ">i4", 5), ("SFD_EBV", ">f4"),
]  # fmt: skip


def mark_simulated(header: fits.Header, seed: int) -> fits.Header:
    """Say in a primary header that this is no observation."""
    header["SIMULATD"] = (True, "SIMULATED data, not an observation")
    header["SIMSEED"] = (seed, "seed of the simulation")
    header["COMMENT"] = "SIMULATED by bosscal: no photon in this file ever met a telescope."
    return header


def padded(values: ArrayLike, dtype: str) -> NDArray[np.bytes_]:
    """Strings padded with blanks to the width of ``dtype``, as the survey's files have them."""
    width = np.dtype(dtype).itemsize
    return np.char.ljust(np.asarray(values, dtype="S"), width).astype(dtype)


class Hdu(NamedTuple):
    """Header and data of an HDU.

    Written as they are: astropy would turn the blanks at the end of strings, which the survey pads with, into NULs.
    """

    header: fits.Header
    data: NDArray | None  # in the byte order of FITS

    @classmethod
    def image(cls, data: ArrayLike, dtype: str, name: str | None = None) -> Self:
        """Image extension."""
        data = np.ascontiguousarray(data, dtype=np.dtype(dtype).newbyteorder(">"))
        return cls(fits.ImageHDU(data, name=name).header, data)

    @classmethod
    def primary(cls, header: fits.Header, data: NDArray | None = None) -> Self:
        """Primary HDU, without data or with a float32 image."""
        if data is not None:
            data = np.ascontiguousarray(data, dtype=">f4")
        header = fits.PrimaryHDU(data, header).header
        header.set("EXTEND", True, after=2 + header["NAXIS"])
        return cls(header, data)

    @classmethod
    def table(cls, data: NDArray, name: str | None = None, header: fits.Header | None = None) -> Self:
        """Table from a structured array in the byte order of FITS."""
        header = fits.BinTableHDU(data, header, name=name).header
        for keyword, shape in header["TDIM*"].items():
            if "," not in shape:  # the survey gives shapes from two dimensions on
                del header[keyword]
        return cls(header, data)


def trace_set_table(trace_set: TraceSet) -> Hdu:
    """Trace set as a table of one row: FUNC, XMIN, XMAX, COEFF and, with a jump, XJUMPLO, XJUMPHI, XJUMPVAL."""
    dtype = [("FUNC", "S8"), ("XMIN", ">f8"), ("XMAX", ">f8"), ("COEFF", ">f8", trace_set.coeff.shape)]
    row = [b"legendre", trace_set.xmin, trace_set.xmax, trace_set.coeff]
    if trace_set.jump is not None:
        dtype += [("XJUMPLO", ">f4"), ("XJUMPHI", ">f4"), ("XJUMPVAL", ">f4")]
        row += [trace_set.jump.low, trace_set.jump.high, trace_set.jump.value]
    return Hdu.table(np.array([tuple(row)], dtype=dtype))


def plug_map_table(camera: str, seed: int, name: str | None = None) -> Hdu:
    """Plug map of a camera's 500 fibers, 35 columns."""
    fibers = plug_fibers(seed).select(fiber_numbers(camera))
    table = np.zeros(NFIBER, dtype=PLUGMAP_DTYPE)
    quasar = fibers.objtype == "QSO"
    # AB magnitude of a flux at 6000 Å, the same in all five bands.
    magnitude = np.where(fibers.brightness > 0, 21.2 - 2.5 * log10(np.maximum(fibers.brightness, 1e-3)), 0)
    values = {
        "OBJID": np.outer(fibers.number, [0, 0, 0, 0, 1]),
        "HOLETYPE": padded(["OBJECT"] * NFIBER, "S6"),
        "RA": fibers.ra,
        "DEC": fibers.dec,
        "MAG": magnitude[:, np.newaxis],
        "OBJTYPE": padded(fibers.objtype, "S16"),
        "XFOCAL": fibers.xfocal,
        "YFOCAL": fibers.yfocal,
        "SPECTROGRAPHID": int(camera[1]),
        "FIBERID": fibers.number,
        "THROUGHPUT": np.where(fibers.dark, 0, 60000),
        "SOURCETYPE": padded(np.where(fibers.sky | fibers.unplugged, "NA", fibers.objtype), "S21"),
        "LAMBDA_EFF": np.where(quasar, 4000, 5400),
        "ZOFFSET": np.where(quasar, 175, 0),
        "RERUN": padded(["301"] * NFIBER, "S4"),
        "CALIBFLUX": np.where(fibers.brightness > 0, power_of_ten((22.5 - magnitude) / 2.5), 0)[:, np.newaxis],
        "SFD_EBV": 0.02,
    }
    for column, value in values.items():
        table[column] = value
    return Hdu.table(table, name)


def exposure_header(camera: str, expnum: int, seed: int, extra: Mapping[str, Any]) -> fits.Header:
    """Primary header of an exposure's files: who, when, with what, and that it is simulated.

    Parameters
    ----------
    camera : str
    expnum, seed : int
    extra : dict
        Further keywords: value or (value, comment).
    """
    raw = "sdR-{}-{:08d}.fit"
    flavor = "flat" if expnum == FLAT else "science"
    begin = MJD * 86400.0 + START[expnum]
    header = fits.Header()
    cards = {
        "TELESCOP": "SDSS 2.5-M",
        "FILENAME": raw.format(camera, expnum),
        "CAMERAS": camera,
        "EXPOSURE": expnum,
        "FLAVOR": (flavor, "exposure type"),
        "MJD": (MJD, "modified Julian date of the night"),
        "TAI-BEG": (begin, "start of exposure, MJD(TAI) [s]"),
        "RADEG": (PLATE_CENTER[0], "telescope pointing [deg]"),
        "DECDEG": (PLATE_CENTER[1], "telescope pointing [deg]"),
        "EQUINOX": 2000.0,
        "AIRMASS": 1.05,
        "NAME": (f"{PLATE}-{MJD}-01", "plate, plugging"),
        "PLATEID": PLATE,
        "CARTID": 13,
        "MAPID": 1,
        "HARTMANN": "Out",
        "EXPTIME": (EXPTIME[expnum], "exposure time [s]"),
        "CAMROW": 0,
        "CAMCOL": CAMERA_COLUMN[camera],
        "VERSREAD": (RUN2D, "pre-processing"),
        "VERS2D": (RUN2D, "2D reduction"),
        "TWOPHASE": (camera[0] == "r", "two-phase readout"),
        "QUALITY": "excellent",
        **{f"RDNOISE{q}": (value, f"read noise of amplifier {q} [e-]") for q, value in enumerate(READNOISE[camera])},
        "RUN2D": RUN2D,
        "TAI-END": begin + EXPTIME[expnum],
        **extra,
    }
    for keyword, value in cards.items():
        header[keyword] = value
    return mark_simulated(header, seed)


def science_cards(camera: str, expnum: int, xsigma: float, skychi2: float) -> dict[str, Any]:
    """Keywords of a science exposure that its flat does not have."""
    raw = "sdR-{}-{:08d}.fit"
    return {
        "XSIGMA": (xsigma, "median spatial sigma [pixel]"),
        "WSIGMA": (1.08, "median arc-line sigma [pixel]"),
        "PLUGFILE": f"plPlugMapM-{PLATE}-{MJD}-01.par",
        "FLATFILE": raw.format(camera, FLAT),
        "ARCFILE": raw.format(camera, ARC),
        "OBJFILE": raw.format(camera, expnum),
        "HELIO_RV": (-3.25, "heliocentric correction [km/s]"),
        "VACUUM": (True, "vacuum wavelengths"),
        "SFLATTEN": (True, "superflat was applied"),
        "PSFSKY": 3,
        "SKYCHI2": (skychi2, "mean chi2 of sky subtraction"),
        "LOWREJ": 5,
        "HIGHREJ": 8,
        "SCATPOLY": 0,
        "PROFTYPE": 1,
        "NFITPOLY": 1,
        "XCHI2": (0.9, "mean chi2 of the extraction"),
    }


def write_fits(path: Pathlike, hdus: Iterable[Hdu]) -> None:
    """Write HDUs; a name that ends in .gz is compressed, with no name or time in it, so equal content is equal bytes.

    Most of the content is noise, in which a search for repetitions finds next to nothing but takes most of the time.
    So only runs of one byte are packed, and the rest by how often each byte occurs. zlib does this in the same way on
    every processor; faster libraries (ISA-L) make other streams of the same content with other instructions.
    """
    path = Path(path)
    with replacing(path) as temporary, open(temporary, "wb") as stream:
        if path.suffix == ".gz":
            packer = zlib.compressobj(level=1, wbits=GZIP_FORMAT, strategy=zlib.Z_RLE)
            for part in _parts(hdus):
                stream.write(packer.compress(part))
            stream.write(packer.flush())
        else:
            stream.writelines(_parts(hdus))


def _parts(hdus: Iterable[Hdu]) -> Iterator[Any]:
    """The content of a FITS file, piece by piece: bytes, and arrays of bytes."""
    for hdu in hdus:
        yield hdu.header.tostring().encode("ascii")
        if hdu.data is not None:
            yield hdu.data.reshape(-1).view(np.uint8)
            yield bytes(-hdu.data.nbytes % FITS_BLOCK)
