"""One FITS file of the survey, read at once: bytes, checksum, then images and tables out of memory.

What is wrong with the file is the user's to replace, and said so in one line; what is wrong in the code that asks is
not, and stays an error of its own.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from astropy.io import fits
from isal import igzip
from numpy.typing import NDArray

from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike

TRUNCATED = "File may have been truncated"  # astropy only warns


class FitsFile:
    """HDUs of a FITS file, which may be compressed by gzip.

    Attributes
    ----------
    path : Path
    sha1 : str
        Of the file as it lies there, which is what SDSS publishes.

    Raises
    ------
    UserError
        If the file is missing, truncated, damaged (a gzip file's own checksum is compared) or no FITS file.
    """

    def __init__(self, path: Pathlike) -> None:
        self.path = Path(path)
        try:
            content = self.path.read_bytes()
        except OSError as error:
            self._refuse(error)
        self.sha1 = hashlib.sha1(content).hexdigest()
        try:
            if content[:2] == b"\x1f\x8b":
                content = igzip.decompress(content)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what deviates from the standard, as old files do
                warnings.filterwarnings("error", message=TRUNCATED)
                self._hdus = fits.open(io.BytesIO(content), memmap=False)
                len(self._hdus)  # reads all headers
        except Exception as error:  # whatever a damaged file makes of the two libraries
            self._refuse(error)

    def _refuse(self, error: Exception) -> NoReturn:
        reason = str(error) or type(error).__name__
        message = f"{self.path}: cannot be read ({reason}); if it is damaged, delete it and run again"
        raise UserError(message) from error

    def __len__(self) -> int:
        return len(self._hdus)

    def names(self) -> list[str]:
        """Name of every HDU, in their order."""
        return [hdu.name for hdu in self._hdus]

    def header(self, index: int = 0) -> fits.Header:
        """Header of an HDU."""
        return self._hdu(index).header

    def _hdu(self, index: int) -> Any:
        if index >= len(self._hdus):
            raise UserError(f"{self.path}: has {len(self._hdus)} HDUs, and number {index} is needed")
        return self._hdus[index]

    def data(self, index: int) -> Any:
        """Data of an HDU in the byte order of the file; None if it has none."""
        hdu = self._hdu(index)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.filterwarnings("error", message=TRUNCATED)
                return hdu.data
        except Exception as error:  # as above
            self._refuse(error)

    def image(self, index: int, nrow: int | None = None) -> NDArray[Any]:
        """Image of an HDU, 2D[nfiber, nrow], cut to ``nrow`` entries: spCFrame and spFluxcorr carry more in blue."""
        data = self.data(index)
        if data is None or data.ndim != 2 or data.dtype.names:
            raise UserError(f"{self.path}: HDU {index} is no image [fiber, row]")
        if nrow is not None and data.shape[1] < nrow:
            raise UserError(
                f"{self.path}: HDU {index} has {data.shape[1]} rows, the spFrame {nrow}: they do not belong together"
            )
        return data[:, :nrow]

    def table(self, index: int) -> Any:
        """Table of an HDU."""
        data = self.data(index)
        if data is None or not data.dtype.names:
            raise UserError(f"{self.path}: HDU {index} is no table")
        return data


def text(column: Any) -> NDArray[np.str_]:
    """Blank-padded FITS strings as an array of trimmed text."""
    return np.char.strip(np.asarray(column).astype(str))


def keyword_of(error: KeyError) -> str:
    """The keyword that a header lacks, of what astropy says: "Keyword 'XSIGMA' not found."."""
    return str(error.args[0]).removeprefix("Keyword ").removesuffix(" not found.").strip("'")


def number(header: fits.Header, key: str) -> float | None:
    """A header's number, or None where it is absent or not finite."""
    value = header.get(key)
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None
