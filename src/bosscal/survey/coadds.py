"""A full spec file as a whole: the published coadd, the exposures it was made of, and what is known of the object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike
from bosscal.survey.fitsfile import FitsFile
from bosscal.survey.identity import check_spec
from bosscal.survey.rows import CENTRAL_LOGLAM
from bosscal.survey.spectra import exposure_hdus
from bosscal.survey.values import IVAR, LOGLAM, SIGNAL, Cleaned, wavelengths, wrong_numbers

COADD_STEP = 1e-4  # dex, between points of the coadd's grid, which are multiples of it
BANDS = ("g", "r", "i")  # of the imaging's u, g, r, i, z: those that lie within the spectra
PHOTOMETRY = ("SPECTROFLUX", "SPECTROSYNFLUX", "SPECTROFLUX_IVAR", "CALIBFLUX", "PSFFLUX")


@dataclass(frozen=True)
class ExposureSpectrum:
    """One camera exposure of a fiber as a spec file has it: calibrated, distortion included. Arrays are 1D[nrow].

    ``loglam`` is log10 of the wavelength [Å], ``flux`` and ``sky`` [1e-17 erg/s/cm²/Å], ``ivar`` that of flux,
    ``mask`` SPPIXMASK bits, ``wdisp`` the sigma of the line-spread function [coadd bins].
    """

    camera: str
    expnum: int
    loglam: NDArray[np.float64]
    flux: NDArray[np.float64]
    ivar: NDArray[np.float64]
    mask: NDArray[np.int32]
    wdisp: NDArray[np.float64]
    sky: NDArray[np.float64]


@dataclass(frozen=True)
class CoaddSpectrum:
    """What a full spec file holds of its object. Arrays are 1D[npoint] on the coadd's grid ``loglam`` [dex].

    ``nonfinite`` counts the points and the exposures' pixels that lost their inverse variance to a number that is none.
    ``photometry`` has the five bands u, g, r, i, z [nanomaggies] of :data:`PHOTOMETRY`, NaN where the file has none.
    ``xfocal`` and ``yfocal`` are the focal position [mm].
    """

    release: str
    plate: int
    mjd: int
    fiber: int
    objtype: str
    lambda_eff: float
    xfocal: float
    yfocal: float
    simulated: bool
    source: tuple[str, str]
    loglam: NDArray[np.float64]
    flux: NDArray[np.float64]
    ivar: NDArray[np.float64]
    and_mask: NDArray[np.int32]
    or_mask: NDArray[np.int32]
    wdisp: NDArray[np.float64]
    sky: NDArray[np.float64]
    model: NDArray[np.float64]
    photometry: dict[str, NDArray[np.float64]]
    exposures: tuple[ExposureSpectrum, ...]
    nonfinite: int = 0
    vers2d: str = ""


def read_coadd(path: Pathlike, name: str, release: str, plate: int, mjd: int, fiber: int) -> CoaddSpectrum:
    """Read a full spec file.

    Parameters
    ----------
    path : path
    name : str
        What to call it in the provenance: its path on the server.
    release, plate, mjd, fiber
        Which spectrum it is.

    Raises
    ------
    UserError
        If the file cannot be read, or is no full spec file.
    """
    file = FitsFile(path)
    check_spec(file, name, plate, mjd, fiber)
    index = file.place(1, "COADD")
    coadd = file.columns(index, ("flux", "loglam", "ivar", "and_mask", "or_mask", "sky"), ("wdisp", "model"))
    known = ("objtype", "lambda_eff", "xfocal", "yfocal", *(name.lower() for name in PHOTOMETRY))
    target = file.columns(file.place(2, "SPALL"), (), known, words=("objtype",))
    hdus = exposure_hdus(file)
    if not hdus:
        raise UserError(f"{path}: has no camera exposures: a spec-lite file where the full spec file is needed")
    wrong = wrong_numbers(coadd["loglam"], LOGLAM)
    loglam = coadd["loglam"] if wrong is None else np.where(wrong, 0, coadd["loglam"])
    grid = np.round(loglam.astype(np.float64) / COADD_STEP) * COADD_STEP
    wrong = np.abs(grid - loglam) > 0.1 * COADD_STEP
    if wrong.any() or np.any(np.abs(np.diff(grid) - COADD_STEP) > 0.5 * COADD_STEP):
        raise UserError(f"{path}: the coadd's wavelengths are no adjacent multiples of {COADD_STEP:g} in log10")
    wavelengths(f"{path}: HDU {index}, column loglam", coadd["loglam"], fiber)
    images, nonfinite = _cleaned(file, index, coadd, ("flux", "sky"), fiber)
    nothing = np.zeros(grid.size)
    # The template has no inverse variance to lose: NaN where it is no number.
    for name, values in (("wdisp", 0.0), ("model", np.nan)):
        found = coadd.get(name, nothing)
        bad = wrong_numbers(found, SIGNAL)
        images[name] = (found if bad is None else np.where(bad, values, found)).astype(np.float64)
    exposures, of_exposures = _exposures(file, hdus, fiber)

    def of_target(column: str) -> Any:
        found = target.get(column.lower())
        return np.nan if found is None or found.dtype.kind not in "iuf" else found[0]

    for name in ("and_mask", "or_mask"):
        if coadd[name].dtype.kind not in "iu":
            raise UserError(f"{path}: HDU {index}, column {name} is not of whole numbers")
    return CoaddSpectrum(
        release=release,
        plate=plate,
        mjd=mjd,
        fiber=fiber,
        objtype=str(target["objtype"][0]) if "objtype" in target else "",
        lambda_eff=_one(of_target("LAMBDA_EFF")),
        xfocal=_one(of_target("XFOCAL")),
        yfocal=_one(of_target("YFOCAL")),
        simulated=bool(file.card(file.header(), "SIMULATD", False)),
        vers2d=str(file.card(file.header(), "VERS2D", "")).strip(),
        source=(name, file.sha1),
        loglam=grid,
        and_mask=coadd["and_mask"].astype(np.int32),
        or_mask=coadd["or_mask"].astype(np.int32),
        **{key: images[key] for key in ("flux", "ivar", "sky", "wdisp", "model")},
        photometry={key: _bands(of_target(key)) for key in PHOTOMETRY},
        exposures=tuple(exposures),
        nonfinite=nonfinite + of_exposures,
    )


def _one(value: Any) -> float:
    return float(np.ravel(value)[0])


def _bands(values: Any) -> NDArray[np.float64]:
    """The five bands of a quantity; NaN where they are not."""
    found = np.ravel(values).astype(np.float64)
    return np.where(np.abs(found) <= SIGNAL.largest, found, np.nan) if found.size == 5 else np.full(5, np.nan)


def _cleaned(
    file: FitsFile, index: int, columns: dict[str, Any], signals: tuple[str, ...], fiber: int
) -> tuple[dict[str, NDArray[np.float64]], int]:
    """Inverse variance and what it is of, 0 in every pixel with a number that is none; how many lost any."""
    with np.errstate(invalid="ignore"):  # what is no number is found next
        values = {name: columns[name].astype(np.float64)[np.newaxis] for name in (*signals, "ivar")}
    cleaned = Cleaned(np.array([fiber]), values["ivar"].shape)
    for name, image in values.items():
        bounds = IVAR if name == "ivar" else SIGNAL
        cleaned.clean(f"{file.path}: HDU {index}, column {name}", image, bounds, empty=True)
    lost = cleaned.take_ivar((values["ivar"],), tuple(values[name] for name in signals))
    return {name: image[0] for name, image in values.items()}, 0 if lost is None else int(lost[0])


def _exposures(file: FitsFile, hdus: dict[int, tuple[str, int]], fiber: int) -> tuple[list[ExposureSpectrum], int]:
    """The camera exposures in the order of the file, and how many of their pixels lost their inverse variance."""
    found, nonfinite = [], 0
    for index, (camera, expnum) in hdus.items():
        columns = file.columns(index, ("loglam", "flux", "ivar", "mask", "wdisp", "sky"))
        if columns["mask"].dtype.kind not in "iu":
            raise UserError(f"{file.path}: HDU {index}, column mask is not of whole numbers")
        # Some reductions store blue spectra from red to blue.
        loglam = columns["loglam"]
        order = slice(None, None, -1 if loglam[-1] < loglam[0] else 1)
        columns = {name: values[order] for name, values in columns.items()}
        where = f"{file.path}: HDU {index}, column loglam"
        loglam, without = wavelengths(where, columns["loglam"], fiber, CENTRAL_LOGLAM[camera])
        if without is not None:
            columns["flux"] = np.where(without, np.nan, columns["flux"])
        values, lost = _cleaned(file, index, columns, ("flux", "wdisp", "sky"), fiber)
        nonfinite += lost
        found.append(
            ExposureSpectrum(
                camera=camera, expnum=expnum, loglam=loglam, mask=columns["mask"].astype(np.int32), **values
            )
        )
    return found, nonfinite
