"""A full spec file as a whole: the published coadd, the exposures it was made of, and what is known of the object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike
from bosscal.survey.fitsfile import FitsFile, text
from bosscal.survey.identity import check_spec
from bosscal.survey.spectra import FIRST_EXPOSURE, exposure_hdus

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
    coadd, target = _columns(file, 1), _columns(file, 2)
    _need(file, coadd, 1, ("loglam", "flux", "ivar", "and_mask", "or_mask", "sky"))
    if len(file) <= FIRST_EXPOSURE:
        raise UserError(f"{path}: has no camera exposures: a spec-lite file where the full spec file is needed")
    grid = np.round(coadd["loglam"].astype(np.float64) / COADD_STEP) * COADD_STEP
    if np.any(np.abs(grid - coadd["loglam"]) > 0.1 * COADD_STEP) or np.any(np.diff(grid) < 0.5 * COADD_STEP):
        raise UserError(f"{path}: the coadd's wavelengths are no multiples of {COADD_STEP:g} in log10")
    nothing = np.zeros(grid.size)
    unusable = ~np.all([np.isfinite(coadd[key]) for key in ("flux", "ivar", "sky")], axis=0)

    def usable(values: NDArray) -> NDArray[np.float64]:
        return np.where(unusable, 0, values).astype(np.float64)

    def of_target(column: str) -> Any:
        return target[column.lower()][0] if column.lower() in target else np.nan

    return CoaddSpectrum(
        release=release,
        plate=plate,
        mjd=mjd,
        fiber=fiber,
        objtype=str(text(target["objtype"])[0]) if "objtype" in target else "",
        lambda_eff=float(of_target("LAMBDA_EFF")),
        xfocal=float(of_target("XFOCAL")),
        yfocal=float(of_target("YFOCAL")),
        simulated=bool(file.header().get("SIMULATD", False)),
        source=(name, file.sha1),
        loglam=grid,
        flux=usable(coadd["flux"]),
        ivar=usable(coadd["ivar"]),
        sky=usable(coadd["sky"]),
        **{key: coadd[key].astype(np.int32) for key in ("and_mask", "or_mask")},
        **{key: coadd[key].astype(np.float64) if key in coadd else nothing for key in ("wdisp", "model")},
        photometry={key: np.broadcast_to(of_target(key), 5).astype(np.float64) for key in PHOTOMETRY},
        exposures=tuple(_exposures(file)),
    )


def _columns(file: FitsFile, index: int) -> dict[str, Any]:
    """Columns of a table by their names in small letters: some releases write large ones."""
    table = file.table(index)
    return {column.lower(): table[column] for column in table.dtype.names}


def _need(file: FitsFile, columns: dict[str, Any], index: int, names: tuple[str, ...]) -> None:
    if missing := [name for name in names if name not in columns]:
        raise UserError(f"{file.path}: HDU {index} has no column {', '.join(missing)}")


def _exposures(file: FitsFile) -> list[ExposureSpectrum]:
    """The camera exposures in the order of the file."""
    found = []
    for index, (camera, expnum) in exposure_hdus(file).items():
        columns = _columns(file, index)
        _need(file, columns, index, ("loglam", "flux", "ivar", "mask", "wdisp", "sky"))
        values = {key: columns[key].astype(np.float64) for key in ("loglam", "flux", "ivar", "wdisp", "sky")}
        # A pixel that is no number has no data, and takes nothing else with it.
        unusable = ~np.all([np.isfinite(value) for value in values.values()], axis=0)
        for key in ("flux", "ivar", "wdisp", "sky"):
            values[key][unusable] = 0
        kept = np.isfinite(values["loglam"])
        values = {key: value[kept] for key, value in values.items()}
        order = np.argsort(values["loglam"], kind="stable")  # some reductions store blue spectra from red to blue
        found.append(
            ExposureSpectrum(
                camera=camera,
                expnum=expnum,
                mask=columns["mask"].astype(np.int32)[kept][order],
                **{key: value[order] for key, value in values.items()},
            )
        )
    return found
