"""Whether a file is the one that was asked for: what its headers say against its name.

A wrong file under a right name gives wrong numbers without a word, so every header that says of what it is is asked.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from bosscal.base.errors import UserError
from bosscal.survey.fitsfile import FitsFile

ADVICE = "it lies under a wrong name: delete it and run again"


def compare(file: FitsFile, what: str, found: Any, wanted: Any) -> None:
    """Refuse a file that says to be of something else; one that says nothing is let pass.

    Raises
    ------
    UserError
        Naming the file, what it says and what was asked for.
    """
    if isinstance(found, str) and isinstance(wanted, str):
        found, wanted = found.strip().lower(), wanted.strip().lower()
    if found not in (None, "") and wanted is not None and found != wanted:
        raise UserError(f"{file.path}: is of {what} {found}, and {wanted} was asked for; {ADVICE}")


def check_reduction(file: FitsFile, header: fits.Header, name: str) -> None:
    """RUN2D against the reduction's folder in the server path ``name``, if that has one."""
    match = re.search(r"/redux/([^/]+)/", name)
    compare(file, "reduction", header.get("RUN2D"), match[1] if match else None)


def check_spec(file: FitsFile, name: str, plate: int, mjd: int, fiber: int) -> None:
    """The primary header of a spec file, and its table of the object."""
    header = file.header()
    for what, key, wanted in (("plate", "PLATEID", plate), ("mjd", "MJD", mjd), ("fiber", "FIBERID", fiber)):
        compare(file, what, header.get(key), wanted)
    check_reduction(file, header, name)


def check_frame(file: FitsFile, name: str, plate: int) -> None:
    """The header of an spFrame or spCFrame against plate, camera and exposure of its name."""
    header = file.header()
    compare(file, "plate", header.get("PLATEID"), plate)
    check_reduction(file, header, name)
    if match := re.search(r"spC?Frame-([br][12])-(\d{8})", name):
        compare(file, "camera", header.get("CAMERAS"), match[1])
        compare(file, "exposure", header.get("EXPOSURE"), int(match[2]))


def check_flat(file: FitsFile, frame_header: fits.Header) -> None:
    """The header of an spFlat against the FLATFILE and the camera of the frame that it flattens."""
    header = file.header()
    compare(file, "camera", header.get("CAMERAS"), frame_header.get("CAMERAS"))
    if match := re.search(r"-(\d{8})", str(frame_header.get("FLATFILE", ""))):
        compare(file, "exposure", header.get("EXPOSURE"), int(match[1]))
    compare(file, "flavor", header.get("FLAVOR"), "flat")


def check_fibers(file: FitsFile, fiber: NDArray[np.integer]) -> None:
    """Fiber numbers of a plug map: 1 to 1000, each once, in their order."""
    if fiber.size and (fiber.min() < 1 or fiber.max() > 1000 or np.any(np.diff(fiber) <= 0)):
        raise UserError(f"{file.path}: the plug map's fiber numbers do not rise from 1 to 1000")
