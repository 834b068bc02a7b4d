"""The files outside the plate's folder: spectra of single fibers, and the list of plates."""

import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from bosscal.base.arithmetic import inverse
from bosscal.base.files import Pathlike
from bosscal.calibration.coadd import combine, weights_of
from bosscal.calibration.pipeline import add_error_floor
from bosscal.noise.laws.optimal import optimal_variance
from bosscal.simulation.fits_format import EXPTIME, GZIP_FORMAT, Hdu, mark_simulated, padded, write_fits
from bosscal.simulation.instrument import READNOISE, coadd_grid, distortion, is_calibrated, lamp, throughput
from bosscal.simulation.plate import (
    NFIBER,
    RUN2D,
    TUTORIAL,
    Fibers,
    Plate,
    camera_pair,
    exposure_ids,
    flat_path,
    frame_path,
    platelist_path,
    plug_fibers,
    spec_path,
)
from bosscal.simulation.spectra import line_sigma, object_flux, sky_electrons
from bosscal.survey.coadds import COADD_STEP, ExposureSpectrum
from bosscal.survey.grid import coadd_loglam
from bosscal.survey.masks import COMBINEREJ

TYPICAL_WIDTH = 1.1  # spatial sigma [pixels] that the coadded spectra's noise is made with


class Listed(NamedTuple):
    """A row of the list of plates: PLATEQUALITY and PROGRAMNAME besides the plate."""

    plate: Plate
    quality: str
    programme: str


# After the tutorial's plate: one with two good nights, one with none, one with one of each, and those of a survey.
FIRST_LISTED = (
    Listed(TUTORIAL, "good", "boss"),
    Listed(Plate(9001, 56384), "good", "boss"),
    Listed(Plate(9001, 56390), "good", "boss"),
    Listed(Plate(9002, 56385), "bad", "boss"),
    Listed(Plate(9003, 56386), "bad", "boss"),
    Listed(Plate(9003, 56391), "good", "boss"),
)
SURVEY_PLATES = range(4147, 6641)  # with the above 2500 rows
SURVEY_NIGHTS = (55176, 56382)  # the first and the last of them, in the order of the plates' numbers
BAD_OF_1000, SEQUELS_OF_1000 = 40, 100
CLASSES = {"QSO": "QSO", "NA": "QSO", "GALAXY": "GALAXY", "SKY": "GALAXY", "SPECTROPHOTO_STD": "STAR"}
LINES = {"Mg_II 2799": 2800.32, "[O_II] 3727": 3728.48, "H_beta": 4862.68, "[O_III] 5007": 5008.24, "H_alpha": 6564.61}


def write_spec_lite(root: Pathlike, fiber: int, seed: int, plate: Plate = TUTORIAL) -> None:
    """Write the lite spec file of a fiber: header with the exposures, COADD, SPALL, SPZLINE.

    Its coadded spectrum is made from the truth, not from frames, so that it needs no other file.
    """
    write_fits(Path(root) / spec_path(fiber, lite=True, plate=plate), _coadd_hdus(fiber, seed, plate))


def write_spec(root: Pathlike, fiber: int, plate: Plate = TUTORIAL) -> None:
    """Write the full spec file of a fiber from the frames and flats that lie below ``root``.

    One table for every camera exposure, trimmed to the rows with data (a fiber without any keeps all rows), with
    ``calib`` per detected electron: the sky has no additive term, so this is calibrated sky over detected sky.
    """
    root = Path(root)
    names = iter(exposure_ids(fiber, plate))
    hdus = []
    for camera in camera_pair(fiber):
        index = (fiber - 1) % NFIBER
        with _open_packed(root / flat_path(camera, plate)) as spflat:
            fiberflat = spflat[0].data[index].astype(np.float64)
        for expnum in plate.exposures:
            with _open_packed(root / frame_path("spFrame", camera, expnum, plate)) as spframe:
                detected_sky = fiberflat * spframe[6].data[index] * spframe[8].data[index]
            with fits.open(root / frame_path("spCFrame", camera, expnum, plate), memmap=True) as spcframe:
                hdus.append(_exposure_table(spcframe, index, detected_sky, next(names)))
    seed = hdus[0].header["SIMSEED"]
    coadded = _coadd_hdus(fiber, seed, plate)
    coadded[1] = _coadd_of_exposures(coadded[1], hdus, distortion(seed, plate)[fiber - 1], plate)
    write_fits(root / spec_path(fiber, plate=plate), coadded + hdus)


def _coadd_of_exposures(coadd: Hdu, exposures: Sequence[Hdu], distort: NDArray[np.float32], plate: Plate) -> Hdu:
    """The COADD table of a full spec file, made of its exposures; as in real files its sky lacks the distortion.

    By the same function that rebuilds coadds: of a simulated file it says nothing that its figures agree.
    """
    *keywords, number = coadd_grid(plate)
    grid, of_fiber = coadd_loglam(np.arange(number), keywords), distort.astype(np.float64)
    without = []
    for hdu in exposures:
        table = _data(hdu)
        columns = ("loglam", "flux", "ivar", "wdisp", "sky")
        loglam, flux, ivar, wdisp, sky = (table[name].astype(np.float64) for name in columns)
        factor = np.interp(loglam, grid, of_fiber)
        camera, expnum = str(hdu.header["CAMERAS"]), int(hdu.header["EXPOSURE"])
        mask = table["mask"].astype(np.int32)
        without.append(
            ExposureSpectrum(camera, expnum, loglam, flux / factor, ivar * factor**2, mask, wdisp, sky / factor)
        )
    result = _data(coadd).copy()
    if not any(exposure.ivar.any() for exposure in without):
        result["ivar"] = 0
        return coadd._replace(data=result)
    loglam = COADD_STEP * np.rint(result["loglam"].astype(np.float64) / COADD_STEP)
    rebuilt = combine(without, loglam, weights_of(RUN2D))
    factor = np.interp(loglam, grid, of_fiber)
    result["flux"], result["ivar"], result["sky"] = rebuilt.flux * factor, rebuilt.ivar / factor**2, rebuilt.sky
    for name in ("and_mask", "or_mask", "wdisp"):
        result[name] = getattr(rebuilt, name)
    for hdu, rejected in zip(exposures, rebuilt.rejected, strict=True):
        _data(hdu)["mask"] |= np.where(rejected, COMBINEREJ, 0).astype(np.int32)
    return coadd._replace(data=result)


def _data(hdu: Hdu) -> NDArray:
    assert hdu.data is not None
    return hdu.data


def _open_packed(path: Path) -> fits.HDUList:
    """Open a .fits.gz, unpacked in one go: half the time that astropy takes piece by piece."""
    return fits.open(BytesIO(zlib.decompress(path.read_bytes(), GZIP_FORMAT)))


def _exposure_table(spcframe: fits.HDUList, index: int, detected_sky: NDArray, name: str) -> Hdu:
    """Columns of one camera exposure of a fiber, with the header of its spCFrame."""
    nrow = detected_sky.size
    sources = {"flux": 0, "loglam": 3, "ivar": 1, "mask": 2, "wdisp": 4, "sky": 6, "x": 7}
    values = {column: np.array(spcframe[hdu].data[index, :nrow]) for column, hdu in sources.items()}
    values["calib"] = values["sky"] * inverse(detected_sky)
    columns = ("flux", "loglam", "ivar", "mask", "wdisp", "sky", "calib", "x")
    table = np.empty(nrow, dtype=[(column, ">i4" if column == "mask" else ">f4") for column in columns])
    for column in columns:
        table[column] = values[column]
    data = np.flatnonzero(values["ivar"])
    if data.size:
        table = table[data[0] : data[-1] + 1]
    header = spcframe[0].header.copy(strip=True)
    del header["BUNIT"]
    return Hdu.table(table, name, header)


def _coadd_hdus(fiber: int, seed: int, plate: Plate) -> list[Hdu]:
    """Primary header and COADD, SPALL and SPZLINE tables of a fiber."""
    fibers = plug_fibers(seed, plate).select([fiber])
    coadd = _coadd(fibers, seed, plate)
    header = fits.Header()
    identifiers = exposure_ids(fiber, plate)
    cards = {
        "MJD": plate.mjd,
        "PLATEID": plate.number,
        "EXPTIME": EXPTIME * len(plate.exposures),
        "VERS2D": RUN2D,
        "RUN2D": RUN2D,
        "COEFF0": (round(float(coadd["loglam"][0]), 4), "log10 wavelength of the first pixel"),
        "COEFF1": (coadd_grid(plate)[2], "log10 step per pixel"),
        "BUNIT": "1E-17 erg/cm^2/s/Ang",
        "PLUG_RA": (fibers.ra[0], "[deg]"),
        "PLUG_DEC": (fibers.dec[0], "[deg]"),
        "FIBERID": fiber,
        "NEXP": (len(identifiers), "number of camera exposures"),
        **{f"EXPID{number:02d}": name for number, name in enumerate(identifiers, start=1)},
    }
    for keyword, value in cards.items():
        header[keyword] = value
    return [
        Hdu.primary(mark_simulated(header, seed)),
        Hdu.table(coadd, "COADD"),
        Hdu.table(_spall(fibers, plate), "SPALL"),
        Hdu.table(_spzline(fibers, plate), "SPZLINE"),
    ]


def _coadd(fibers: Fibers, seed: int, plate: Plate) -> NDArray:
    """Coadded spectrum of one fiber, with the noise of a typical instrument."""
    fiber = int(fibers.number[0])
    *keywords, number = coadd_grid(plate)
    loglam = coadd_loglam(np.arange(number), keywords)
    flux = object_flux(fibers, loglam[np.newaxis])[0]
    ivar, weighted_sky = np.zeros((2, loglam.size))
    wdisp = np.zeros(loglam.size)
    for camera in camera_pair(fiber):
        calibrated = is_calibrated(camera, loglam)
        wdisp[calibrated] = line_sigma(camera[0], loglam[calibrated])
        for expnum in plate.exposures:
            # Of detected electrons, where the fiber flat is 1; the bins are those of the grid.
            per_flux = throughput(camera, expnum, loglam) * lamp(camera[0], loglam)
            sky = sky_electrons(camera[0], expnum, loglam)
            variance = optimal_variance(flux * per_flux + sky, np.mean(READNOISE[camera]), TYPICAL_WIDTH)
            of_exposure = calibrated * add_error_floor(flux * per_flux, 1 / variance) * per_flux**2
            ivar += of_exposure
            weighted_sky += of_exposure * sky / per_flux
    ivar *= not fibers.dark[0]
    rms = np.sqrt(inverse(ivar))
    observed = flux + rms * plate.random(seed, f"coadd {fiber}").standard_normal(loglam.size)
    columns = {
        "flux": observed,
        "loglam": loglam,
        "ivar": ivar,
        "and_mask": 0,
        "or_mask": 0,
        "wdisp": wdisp,
        "sky": weighted_sky * inverse(ivar),
        "model": flux,
    }
    dtype = [(name, ">i4" if name.endswith("mask") else ">f4") for name in columns]
    table = np.zeros(loglam.size, dtype=dtype)
    for name, value in columns.items():
        table[name] = value
    data = np.flatnonzero(weighted_sky)
    return table[data[0] : data[-1] + 1]


def _spall(fibers: Fibers, plate: Plate) -> NDArray:
    """One row about the target, as in spAll."""
    objtype = str(fibers.objtype[0])
    row = {
        "PROGRAMNAME": ("S27", "boss"),
        "CHUNK": ("S14", "simulated"),
        "PLATEQUALITY": ("S4", "good"),
        "XFOCAL": (">f8", fibers.xfocal[0]),
        "YFOCAL": (">f8", fibers.yfocal[0]),
        "PLATE": (">i4", plate.number),
        "MJD": (">i4", plate.mjd),
        "FIBERID": (">i4", fibers.number[0]),
        "RUN2D": ("S6", RUN2D),
        "OBJTYPE": ("S16", objtype),
        "PLUG_RA": (">f8", fibers.ra[0]),
        "PLUG_DEC": (">f8", fibers.dec[0]),
        "CLASS": ("S6", CLASSES[objtype]),
        "Z": (">f4", fibers.redshift[0]),
        "Z_ERR": (">f4", 1e-4),
        "ZWARNING": (">i4", int(objtype == "SKY")),
    }
    return _rows([row])


def _spzline(fibers: Fibers, plate: Plate) -> NDArray:
    """One row for each of a few emission lines."""
    identity = {"PLATE": (">i4", plate.number), "MJD": (">i4", plate.mjd), "FIBERID": (">i4", fibers.number[0])}
    return _rows([
        identity | {"LINENAME": ("S13", name), "LINEWAVE": (">f8", wave), "LINEZ": (">f4", fibers.redshift[0])}
        for name, wave in LINES.items()
    ])  # fmt: skip


def _rows(rows: Sequence[Mapping[str, tuple[str, Any]]]) -> NDArray:
    """Structured array from rows of {column: (dtype, value)}, its strings padded with blanks."""
    table = np.empty(len(rows), dtype=[(name, dtype) for name, (dtype, _) in rows[0].items()])
    for name, (dtype, _) in rows[0].items():
        values = [row[name][1] for row in rows]
        table[name] = padded(values, dtype) if dtype.startswith("S") else values
    return table


def listed_plates() -> list[Listed]:
    """The 2500 rows of the list of plates, which follow from the plates' numbers, whatever the seed."""
    rows = list(FIRST_LISTED)
    first, last = SURVEY_NIGHTS
    for index, number in enumerate(SURVEY_PLATES):
        draw, other = (zlib.crc32(f"{number} {purpose}".encode()) % 1000 for purpose in ("quality", "programme"))
        night = first + index * (last - first) // (len(SURVEY_PLATES) - 1)
        quality, programme = "bad" if draw < BAD_OF_1000 else "good", "sequels" if other < SEQUELS_OF_1000 else "boss"
        rows.append(Listed(Plate(number, night), quality, programme))
    return rows


def write_platelist(root: Pathlike, seed: int) -> None:
    """Write platelist.fits, with a row for each of :func:`listed_plates`."""
    rows = []
    for plate, quality, programme in listed_plates():
        nexp = len(plate.exposures)
        ra, dec = plate.center
        row = {
            "PLATE": (">i4", plate.number),
            "TILEID": (">i4", plate.number),
            "MJD": (">i4", plate.mjd),
            "RUN2D": ("S6", RUN2D),
            "RUN1D": ("S6", RUN2D),
            "RACEN": (">f4", ra),
            "DECCEN": (">f4", dec),
            "CARTID": (">i4", 13),
            "EXPTIME": (">f4", EXPTIME * nexp),
            "MAPNAME": ("S13", f"{plate.number}-{plate.mjd}-01"),
            "SURVEY": ("S4", "boss"),
            "PROGRAMNAME": ("S27", programme),
            "CHUNK": ("S14", "simulated"),
            "PLATEQUALITY": ("S4", quality),
            "PLATESN2": (">f4", 17.0 if quality == "good" else 3.0),
            "MJDLIST": ("S35", str(plate.mjd)),
            "NEXP": (">i4", 4 * nexp),
            **{f"NEXP_{camera}": (">i4", nexp) for camera in ("B1", "B2", "R1", "R2")},
            "STATUS2D": ("S4", "Done"),
            "STATUSCOMBINE": ("S6", "Done"),
            "STATUS1D": ("S7", "Done"),
            "PUBLIC": ("S4", ""),
            "QUALCOMMENTS": ("S83", "SIMULATED"),
        }
        rows.append(row)
    primary = Hdu.primary(mark_simulated(fits.Header(), seed))
    write_fits(Path(root) / platelist_path(), [primary, Hdu.table(_rows(rows))])
