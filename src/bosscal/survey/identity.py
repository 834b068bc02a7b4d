"""Whether a file is the one that was asked for: what its headers and tables say against its name.

A wrong file under a right name gives wrong numbers without a word, so every header that says of what it is is asked.
Of products without such a header (spFluxcalib, spFluxcorr, spFluxdistort, spXYthrucorr) the numbers tell: whether they
lead from one frame to the other, which :func:`bosscal.results.prediction.predict` finds out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from bosscal.base.errors import UserError
from bosscal.survey.fitsfile import FitsFile
from bosscal.survey.versions import version

ADVICE = "it lies under a wrong name: delete it and run again"
EXPOSURE_NAME = re.compile(r"([BR][12])-(\d{8})-(\d{8})-(\d{8})")  # of the HDUs of a spec file: camera-science-flat-arc
FULL, LITE = "a full spec file", "a spec-lite file"


def compare(file: FitsFile, what: str, found: Any, wanted: Any) -> None:
    """Refuse a file that says to be of something else; one that says nothing is let pass.

    Raises
    ------
    UserError
        Naming the file, what it says and what was asked for.
    """
    if isinstance(wanted, int) and str(found).strip().isdecimal():  # some reductions write numbers as text
        found = int(found)
    if isinstance(found, str) and isinstance(wanted, str):
        found, wanted = found.strip().lower(), wanted.strip().lower()
    if found not in (None, "") and wanted is not None and found != wanted:
        raise UserError(f"{file.path}: is of {what} {found}, and {wanted} was asked for; {ADVICE}")


def kind_of(file: FitsFile) -> str:
    """What a file is, in words, by what it holds; empty if that is not known."""
    names, first = {name.upper() for name in file.names()}, file.column_names(1)
    if {"ANDMASK", "ORMASK"} & names:
        return "an spPlate file"
    if "WAVELENGTH" in names:
        return "an spCFrame"
    if {"plate", "mjd", "platequality"} <= first:
        return "a platelist"
    if {"flux", "loglam", "ivar"} <= first:
        return FULL if any(file.column_names(place) for place in range(4, len(file))) else LITE
    if {"func", "coeff"} <= file.column_names(3) and "fiberid" in file.column_names(5):
        return "an spFrame"
    return ""


def check_kind(file: FitsFile, *wanted: str) -> None:
    """Refuse a file of another kind than one of those that are wanted; of an unknown one the contents will tell.

    Raises
    ------
    UserError
        Saying what it is.
    """
    found = kind_of(file)
    if found and found not in wanted:
        needed = " or ".join(wanted)
        raise UserError(f"{file.path}: is {found} where {needed} is needed; delete it and run again")


def check_reduction(file: FitsFile, header: fits.Header, name: str) -> None:
    """RUN2D and VERS2D against the reduction's folder in the server path ``name``, if that has one.

    A reduction of one's own may add to the name of the version that it was made with: v5_7_0_mine.
    """
    match = re.search(r"/redux/([^/]+)/", name)
    run2d = match[1] if match else None
    compare(file, "reduction", file.card(header, "RUN2D"), run2d)
    made_with = str(file.card(header, "VERS2D", "")).strip()
    released = all(re.match(r"v\d+_\d+_\d+", each or "") for each in (run2d, made_with))
    if released and version(str(run2d))[:3] != version(made_with)[:3]:
        compare(file, "reduction (VERS2D)", made_with, run2d)


def check_night(file: FitsFile, header: fits.Header, plate: int, mjd: int) -> None:
    """The MJD of an exposure: the plate's, which is that of its last night, or an earlier one's.

    Of another night nothing but PLATEID and NAME (plate-night of the plugging) tell that it is of this plate's
    observation, so that both have to be there.

    Raises
    ------
    UserError
        If it is of a later night, or of another plate.
    """
    found, name = file.card(header, "MJD"), str(file.card(header, "NAME", "")).strip()
    plugging = re.match(r"(\d+)-(\d{5})", name)
    if plugging:
        compare(file, "plate (NAME)", int(plugging[1]), plate)
    if found in (None, ""):
        return
    night = int(found) if str(found).strip().isdecimal() else found
    if night == mjd:
        return
    earlier = isinstance(night, int) and night < mjd and (not plugging or int(plugging[2]) <= mjd)
    if not (earlier and plugging and file.card(header, "PLATEID")):
        raise UserError(
            f"{file.path}: is of the night {night}, and does not say that it is one of plate {plate}, mjd {mjd}; "
            f"{ADVICE}"
        )


def check_exposure(file: FitsFile, header: fits.Header, name: str, plate: int, mjd: int) -> None:
    """The header of a camera exposure's product against plate, reduction, night, and camera and exposure of its name.

    It may say nothing of these, as those of the flux calibration.
    """
    compare(file, "plate", file.card(header, "PLATEID"), plate)
    check_reduction(file, header, name)
    check_night(file, header, plate, mjd)
    if match := re.search(r"sp(?:C?Frame|Fluxcalib|Fluxcorr|XYthrucorr)-([br][12])-(\d{8})", name):
        compare(file, "camera", file.card(header, "CAMERAS"), match[1])
        compare(file, "exposure", file.card(header, "EXPOSURE"), int(match[2]))


def check_plate(file: FitsFile, header: fits.Header, name: str, plate: int, mjd: int) -> None:
    """The header of a plate's product, whose MJD is the plate's."""
    compare(file, "plate", file.card(header, "PLATEID"), plate)
    compare(file, "mjd", file.card(header, "MJD"), mjd)
    check_reduction(file, header, name)


def check_spec(file: FitsFile, name: str, plate: int, mjd: int, fiber: int) -> None:
    """The primary header of a full spec file, and its table of the object."""
    check_kind(file, FULL, LITE)
    header = file.header()
    check_plate(file, header, name, plate, mjd)
    compare(file, "fiber", file.card(header, "FIBERID"), fiber)
    index = file.place(2, "SPALL")
    target = file.columns(index, (), ("plate", "mjd", "fiberid")) if file.column_names(index) else {}
    for what, column, wanted in (("plate", "plate", plate), ("mjd", "mjd", mjd), ("fiber", "fiberid", fiber)):
        if column in target and target[column].dtype.kind in "iu" and target[column].ndim == 1:
            compare(file, f"{what} (HDU {index})", int(target[column][0]), wanted)


def check_flat(file: FitsFile, frame_header: fits.Header, name: str, plate: int) -> None:
    """The header of an spFlat against the FLATFILE and the camera of the frame that it flattens, and its name."""
    header = file.header()
    compare(file, "camera", file.card(header, "CAMERAS"), file.card(frame_header, "CAMERAS"))
    if match := re.search(r"-([br][12])-(\d{8})", str(file.card(frame_header, "FLATFILE", ""))):
        compare(file, "camera", file.card(header, "CAMERAS"), match[1])
        compare(file, "exposure", file.card(header, "EXPOSURE"), int(match[2]))
    if match := re.search(r"spFlat-([br][12])-(\d{8})", name):
        compare(file, "camera", file.card(header, "CAMERAS"), match[1])
        compare(file, "exposure", file.card(header, "EXPOSURE"), int(match[2]))
    compare(file, "flavor", file.card(header, "FLAVOR"), "flat")
    compare(file, "plate", file.card(header, "PLATEID"), plate)
    check_reduction(file, header, name)


def check_standards(file: FitsFile, plate: int, camera: str) -> None:
    """The standard stars that an spFluxcalib is made of: of this plate, and fibers of the camera's spectrograph."""
    if not {"plate", "fiberid"} <= file.column_names(2):
        return
    stars = file.columns(2, ("plate", "fiberid"))
    for number in np.unique(stars["plate"])[:1].tolist():
        compare(file, "plate", number, plate)
    for number in np.unique((stars["fiberid"] - 1) // 500 + 1)[:1].tolist():
        compare(file, "spectrograph", number, int(camera[1]))


def check_fibers(file: FitsFile, fiber: NDArray[np.integer], camera: str | None = None) -> None:
    """Fiber numbers of a plug map: 1 to 1000, each once, in their order, and of the camera's spectrograph."""
    if not fiber.size or fiber.min() < 1 or fiber.max() > 1000 or np.any(np.diff(fiber) <= 0):
        raise UserError(f"{file.path}: the plug map's fiber numbers do not rise from 1 to 1000")
    if camera is not None and np.any((fiber - 1) // 500 + 1 != int(camera[1])):
        raise UserError(f"{file.path}: is of camera {camera}, and its plug map has fibers of the other spectrograph")


def listed_exposures(file: FitsFile) -> list[str]:
    """EXPID01.. or EXPID001.. (v5_13) of a spec file's primary header, in their order."""
    header = file.header()
    return [str(file.card(header, key)).strip() for key in header["EXPID*"] if re.fullmatch(r"EXPID\d+", key)]


def check_listed(file: FitsFile) -> None:
    """The exposures that a spec file's header lists: each once, and of the fiber's spectrograph.

    Raises
    ------
    UserError
        Naming the one that is wrong.
    """
    listed = listed_exposures(file)
    cameras = [(match[1], match[2]) for each in listed if (match := EXPOSURE_NAME.match(each.upper()))]
    if twice := [each for place, each in enumerate(cameras) if each in cameras[:place]]:
        raise UserError(f"{file.path}: the header lists exposure {'-'.join(twice[0]).lower()} twice (EXPID)")
    fiber = file.card(file.header(), "FIBERID")
    if isinstance(fiber, int):
        side = str((fiber - 1) // 500 + 1)
        if other := [each for each in cameras if each[0][1] != side]:
            raise UserError(
                f"{file.path}: is of fiber {fiber}, and its header lists exposure {'-'.join(other[0]).lower()} of the "
                "other spectrograph (EXPID)"
            )


def check_path(file: FitsFile, path: Path) -> None:
    """A spec file against plate, mjd and fiber of its own name, and the reduction of its folder."""
    if match := re.fullmatch(r"spec-(\d+)-(\d{5})-(\d+)\.fits(?:\.gz)?", path.name):
        check_spec(file, path.as_posix(), *map(int, match.groups()))
    else:
        check_kind(file, FULL, LITE)
