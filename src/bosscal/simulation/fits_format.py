"""The survey's file format: headers, trace-set and plug-map tables, FITS files that are the same bytes every time."""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from astropy.io import fits
from numpy.typing import ArrayLike, NDArray

from bosscal.base.elementary import log10, power_of_ten
from bosscal.base.files import Pathlike, replacing
from bosscal.base.splines import Spline
from bosscal.simulation.instrument import READNOISE
from bosscal.simulation.plate import (
    NFIBER,
    RUN2D,
    Fibers,
    Plate,
    fiber_numbers,
    plug_fibers,
)
from bosscal.simulation.spectra import object_flux
from bosscal.survey.tracesets import TraceSet

FITS_BLOCK = 2880  # bytes; headers and data are padded to whole blocks
GZIP_FORMAT = 16 + zlib.MAX_WBITS  # zlib's number for a gzip file, without name and time

EXPTIME, EXPTIME_OF_FLAT = 900.0, 30.0  # s
# After the beginning of the MJD [s]: a flat, the first science exposure, and from each to the next.
START_OF_FLAT, FIRST_START, CADENCE = 1200.0, 1500.0, 1000.0
MJD_0 = datetime(1858, 11, 17)
CAMERA_COLUMN = {"b1": 1, "b2": 3, "r1": 4, "r2": 2}

# Cards of real headers that say nothing of the calibration: telescope, guider, lamps, collimators, software.
TELESCOPE_CARDS = {
    "NGUIDE": 0,
    **{f"{quantity}{percentile}": 0.0 for quantity in ("SEEING", "RMSOFF") for percentile in (20, 50, 80)},
    "DAQVER": "1.2.8", "CAMDAQ": "1.4.1:31", "ERRCNT": "NONE", "SYNCERR": "NONE", "SLINES": "NONE", "PIXERR": "NONE",
    "PLINES": "NONE",
}  # fmt: skip
POINTING_CARDS = {  # with the plate's center put in
    "OBJSYS": "ICRS", "RA": 0.0, "DEC": 0.0, "EQUINOX": 2000.0, "RADECSYS": "FK5", "RADEG": 0.0, "DECDEG": 0.0,
    "ROTPOS": 0.0,
    **{
        f"{name}OFF{axis}": 0.0
        for name, axes in {"BORE": "XY", "ARC": "XY", "OBJ": "XY", "CAL": "XYR", "GUID": "XYR"}.items()
        for axis in axes
    },
    "AZ": 12.0, "ALT": 76.5, "AIRMASS": 1.05, "IPA": 170.0, "SPA": -10.0, "FOCUS": 400.0, "M2PISTON": 1650.0,
    "M2XTILT": -4.0, "M2YTILT": -9.0, "M2XTRAN": 10.0, "M2YTRAN": 80.0, "M1PISTON": 100.0, "M1XTILT": -3.0,
    "M1YTILT": 5.26, "M1XTRAN": 277.7, "M1YTRAN": 178.1, "SCALE": 1.0,
}  # fmt: skip
COLLIMATOR_CARDS = {
    "GUIDER1": "proc-gimg-0001.fits", "GUIDERN": "proc-gimg-0020.fits", "COLLA": 10000, "COLLB": 10000, "COLLC": 10000,
    "HARTMANN": "Out",
    **{
        f"MC{side}{sensor}": value
        for side in (1, 2)
        for sensor, value in {
            "HUMHT": 45.0, "HUMCO": 35.0, "TEMDN": 1.0, "THT": 0.3, "TRCB": 1.1, "TRCT": 2.2, "TBCB": 1.0, "TBCT": 1.4,
        }.items()
    },
}  # fmt: skip
SOFTWARE_CARDS = {
    "AUTHOR": "Scott Burles & David Schlegel", "VERSIDL": "7.0", "VERSUTIL": "v5_5_14", "VERSREAD": RUN2D,
    "VERS2D": RUN2D, "VERSLOG": "trunk exported", "VERSFLAT": "v1_21",
}  # fmt: skip

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


def spline_set_table(spline: Spline) -> Hdu:
    """B-spline as a table of one row: FULLBKPT, BKMASK, NORD, COEFF, ICOEFF (idlutils ``create_bsplineset``)."""
    knots, coefficients, order = spline.knots, spline.coefficients, spline.order
    dtype = [
        ("FULLBKPT", ">f4", knots.shape), ("BKMASK", ">i4", knots.shape), ("NORD", ">i4"),
        ("COEFF", ">f4", coefficients.shape), ("ICOEFF", ">f4", coefficients.shape),
    ]  # fmt: skip
    row = (knots, np.ones(knots.size), order, coefficients, np.zeros(coefficients.size))
    return Hdu.table(np.array([row], dtype=dtype))


def plug_map_table(camera: str, seed: int, plate: Plate, name: str | None = None) -> Hdu:
    """Plug map of a camera's 500 fibers, 35 columns."""
    fibers = plug_fibers(seed, plate).select(fiber_numbers(camera))
    table = np.zeros(NFIBER, dtype=PLUGMAP_DTYPE)
    quasar = fibers.objtype == "QSO"
    magnitude = magnitudes(fibers)
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


def standard_stars_table(fibers: Fibers, loglam: NDArray, plate: Plate) -> Hdu:
    """What spFluxcalib says of the standard stars among fibers: which they are, and their flux, which is true here.

    ``loglam``, 2D[nfiber, nrow], is log10 of the fibers' wavelengths [Å].
    """
    index = np.flatnonzero((fibers.objtype == "SPECTROPHOTO_STD") & ~fibers.dark)
    stars = fibers.take(index)
    dtype = [
        ("PLATE", ">i4"), ("MJD", ">i4"), ("FIBERID", ">i4"), ("QGOOD", ">i4"), ("MODEL", "S10"), ("FEH", ">f4"),
        ("TEFF", ">f4"), ("G", ">f4"), ("MAG", ">f4", 5), ("IMODEL", ">i4"), ("Z", ">f4"), ("SN_MEDIAN", ">f4"),
        ("CHI2", ">f4"), ("DOF", ">i4"), ("LINESN_MEDIAN", ">f4"), ("LINECHI2", ">f4"), ("LINEDOF", ">i4"),
        ("MODELFLUX", ">f4", loglam.shape[1:]),
    ]  # fmt: skip
    table = np.zeros(len(stars.number), dtype=dtype)
    values = {
        "PLATE": plate.number, "MJD": plate.mjd, "FIBERID": stars.number, "QGOOD": 1,
        "MODEL": padded("simulated", "S10"), "FEH": -1.5, "TEFF": 6500, "G": 4,
        "MAG": magnitudes(stars)[:, np.newaxis], "Z": stars.redshift,
        "SN_MEDIAN": 40, "CHI2": 1, "DOF": 1, "LINESN_MEDIAN": 40, "LINECHI2": 1, "LINEDOF": 1,
        "MODELFLUX": object_flux(stars, loglam[index]),
    }  # fmt: skip
    for column, value in values.items():
        table[column] = value
    return Hdu.table(table)


def magnitudes(fibers: Fibers) -> NDArray[np.float64]:
    """AB magnitude of each fiber's flux at 6000 Å, the same in all five bands; 0 for sky. 1D[nfiber]."""
    return np.where(fibers.brightness > 0, 21.2 - 2.5 * log10(np.maximum(fibers.brightness, 1e-3)), 0)


def exposure_header(camera: str, expnum: int, seed: int, extra: Mapping[str, Any], plate: Plate) -> fits.Header:
    """Primary header of an exposure's files: who, when, with what, and that it is simulated.

    Parameters
    ----------
    camera : str
    expnum, seed : int
    extra : dict
        Further keywords: value or (value, comment).
    plate : Plate
    """
    raw = "sdR-{}-{:08d}.fit"
    science = expnum != plate.flat
    exptime = EXPTIME if science else EXPTIME_OF_FLAT
    start = FIRST_START + (expnum - plate.exposures[0]) * CADENCE if science else START_OF_FLAT
    begin = plate.mjd * 86400.0 + start
    date = MJD_0 + timedelta(days=plate.mjd, seconds=start)
    ra, dec = plate.center
    header = fits.Header()
    cards = {
        "TELESCOP": "SDSS 2.5-M",
        "FILENAME": raw.format(camera, expnum),
        "CAMERAS": camera,
        "EXPOSURE": expnum,
        **TELESCOPE_CARDS,
        "FLAVOR": ("science" if science else "flat", "exposure type"),
        "BOSSVER": "v2_0_13",
        "MJD": (plate.mjd, "modified Julian date of the night"),
        "TAI-BEG": (begin, "start of exposure, MJD(TAI) [s]"),
        "DATE-OBS": (date.isoformat(), "start of exposure, TAI"),
        "FF": "0 0 0 0" if science else "1 1 1 1",
        "NE": "0 0 0 0",
        "HGCD": "0 0 0 0",
        "FFS": "0 0 0 0 0 0 0 0" if science else "1 1 1 1 1 1 1 1",
        **POINTING_CARDS,
        "RA": ra,
        "DEC": dec,
        "RADEG": ra,
        "DECDEG": dec,
        "NAME": (f"{plate.number}-{plate.mjd}-01", "plate, plugging"),
        "PLATEID": plate.number,
        "TILEID": plate.number,
        "CARTID": 13,
        "MAPID": 1,
        "POINTING": "A",
        **COLLIMATOR_CARDS,
        "EXPTIME": (exptime, "exposure time [s]"),
        "SHOPETIM": 0.735,
        "SHCLOTIM": 0.55,
        "CAMROW": 0,
        "CAMCOL": CAMERA_COLUMN[camera],
        **SOFTWARE_CARDS,
        "TWOPHASE": (camera[0] == "r", "two-phase readout"),
        "QUALITY": "excellent",
        **{f"RDNOISE{q}": (value, f"read noise of amplifier {q} [e-]") for q, value in enumerate(READNOISE[camera])},
        "PIXBIAS": f"pixbiasave-55055-{camera}.fits.gz",
        "PIXFLAT": f"pixflatave-55056-{camera}.fits.gz",
        "BADPIXEL": f"badpixels-55056-{camera}.fits.gz",
        "RUN2D": RUN2D,
        "TAI-END": begin + exptime,
        **extra,
    }
    for keyword, value in cards.items():
        header[keyword] = value
    return mark_simulated(header, seed)


def science_cards(camera: str, expnum: int, xsigma: float, skychi2: float, plate: Plate) -> dict[str, Any]:
    """Keywords of a science exposure that its flat does not have."""
    raw = "sdR-{}-{:08d}.fit"
    return {
        "FRAMESN2": (1.9, "typical (S/N)^2"),
        "DEREDSN2": 1.86,
        **{f"REDDEN{number:02d}": value for number, value in enumerate((0.16, 0.12, 0.086, 0.065, 0.046), start=1)},
        "XSIGMA": (xsigma, "spatial sigma, largest quadrant median"),
        "WSIGMA": (1.08, "median arc-line sigma [pixel]"),
        "PLUGFILE": f"plPlugMapM-{plate.number}-{plate.mjd}-01.par",
        "FLATFILE": raw.format(camera, plate.flat),
        "ARCFILE": raw.format(camera, plate.arc),
        "OBJFILE": raw.format(camera, expnum),
        "LAMPLIST": "lamphgcdne.dat",
        "SKYLIST": "skylines.dat",
        "HELIO_RV": (-3.25, "heliocentric correction [km/s]"),
        "VACUUM": (True, "vacuum wavelengths"),
        "SFLATTEN": (True, "superflat was applied"),
        "PSFSKY": 3,
        "SKYCHI2": (skychi2, "mean chi2 of sky subtraction"),
        "PREJECT": 0.2,
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
