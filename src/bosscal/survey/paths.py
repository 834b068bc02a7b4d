"""Where the survey's files are on the server: bossdata's paths.

Import this module late: bossdata imports all of itself, about 2 s.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of pydl, about astropy's test runner, which nothing here uses
    from bossdata.bits import SPPIXMASK
    from bossdata.path import Finder


def finder(sas_path: str, run2d: str) -> Finder:
    """bossdata's path finder of a reduction, e.g. ("/sas/dr12/boss", "v5_7_0")."""
    return Finder(sas_path, run2d, verbose=False)


def redux_folder(finder: Finder) -> str:
    """Folder of a reduction on the server, with a slash at its end: what the paths of all its files begin with."""
    return f"{finder.redux_base}/"


def frame_paths(finder: Finder, plate: int, mjd: int, camera: str, expnum: int, flatnum: int) -> list[str]:
    """Server paths of one camera exposure's files, in the order of :func:`bosscal.survey.frames.read_frames`."""
    exposure, flat = f"{camera}-{expnum:08d}", f"{camera}-{flatnum:08d}"
    names = (
        f"spFrame-{exposure}.fits.gz",
        f"spCFrame-{exposure}.fits",
        f"spFlat-{flat}.fits.gz",
        f"spFluxcalib-{exposure}.fits.gz",
        f"spFluxcorr-{exposure}.fits.gz",
    )
    return [finder.get_plate_path(plate, name) for name in names] + [finder.get_fluxdistort_path(plate, mjd)]


def mask_bits() -> dict[str, int]:
    """Names and values of the SPPIXMASK bits."""
    return {name: value for name, value in vars(SPPIXMASK).items() if not name.startswith("_")}


def thrucorr_path(finder: Finder, plate: int, camera: str, expnum: int) -> str:
    """Server path of a camera exposure's chromatic fiber-position correction, which not every release has."""
    return finder.get_plate_path(plate, f"spXYthrucorr-{camera}-{expnum:08d}.fits.gz")
