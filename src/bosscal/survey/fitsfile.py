"""One FITS file of the survey, read at once: bytes, checksum, then images and tables out of memory.

What is wrong with the file is the user's to replace, and said so in one line; what is wrong in the code that asks is
not, and stays an error of its own.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from astropy.io import fits
from isal import isal_zlib
from numpy.typing import NDArray

from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike

TRUNCATED = "File may have been truncated"  # astropy only warns
# Bytes of a file, unpacked: the largest that is read, an spCFrame, has 150 million. A file that unpacks to more is
# refused before it takes the memory.
MOST_BYTES = 1 << 29
GZIP_FORMAT = 31  # zlib's number for a gzip file

# Names that HDUs of one product or another have. A HDU that has another one's name is not read for it; one of a name
# that is not among these is, since most HDUs of the survey have none.
HDU_NAMES = {
    "IVAR", "MASK", "ANDMASK", "ORMASK", "WAVELENGTH", "WAVEDISP", "PLUGMAP", "SKY", "X", "SUPERFLAT", "FIBERMASK",
    "WIDTHSET", "DISPSET", "COADD", "SPALL", "SPZLINE",
}  # fmt: skip


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
        If the file is missing, truncated, damaged (a gzip file's own checksum is compared), larger than any of the
        survey's, or no FITS file.
    """

    def __init__(self, path: Pathlike) -> None:
        self.path = Path(path)
        try:
            if self.path.stat().st_size > MOST_BYTES:
                raise _TooLargeError
            content = self.path.read_bytes()
        except (OSError, _TooLargeError) as error:
            self._refuse(error)
        self.sha1 = hashlib.sha1(content).hexdigest()
        try:
            if content[:2] == b"\x1f\x8b":
                content = _unpacked(content)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what deviates from the standard, as old files do
                warnings.filterwarnings("error", message=TRUNCATED)
                # An image that is compressed within a table, as none of the survey's is, stays a table.
                self._hdus = fits.open(io.BytesIO(content), memmap=False, disable_image_compression=True)
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
        try:
            return [str(hdu.name) for hdu in self._hdus]
        except Exception as error:  # of a damaged card
            self._refuse(error)

    def header(self, index: int = 0) -> fits.Header:
        """Header of an HDU."""
        return self._hdu(index).header

    def card(self, header: fits.Header, key: str, default: Any = None) -> Any:
        """Value of a card that a header of this file may have.

        Raises
        ------
        UserError
            If it cannot be read.
        """
        return optional_value(header, key, str(self.path), default)

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

    def place(self, index: int, name: str) -> int:
        """Where an HDU is: that of this name, or else the one at its place if that has no other one's name.

        Without a name it is the one at its place.

        Raises
        ------
        UserError
            If two HDUs have the name, or the one at the place has another's.
        """
        if not name:
            return index
        names = [found.upper() for found in self.names()]
        places = [place for place, found in enumerate(names) if found == name]
        if len(places) > 1:
            raise UserError(f"{self.path}: HDUs {places[0]} and {places[1]} are both {name}")
        if places:
            return places[0]
        if index < len(names) and names[index] in HDU_NAMES:
            raise UserError(f"{self.path}: HDU {index} is {names[index]}, and no HDU is {name}")
        return index

    def image(
        self, index: int, nrow: int | None = None, nfiber: int | None = None, bits: bool | None = None
    ) -> NDArray[Any]:
        """Image of an HDU, 2D[nfiber, nrow], cut to ``nrow`` entries: spCFrame and spFluxcorr carry more in blue.

        With ``bits`` it has to be of whole numbers, as masks are, or, if that is False, of real ones.
        """
        data = self.data(index)
        if data is None or data.ndim != 2 or data.dtype.names:
            raise UserError(f"{self.path}: HDU {index} is no image [fiber, row]")
        if 0 in data.shape:
            raise UserError(f"{self.path}: HDU {index} is an image without pixels, {_shape(data)}")
        if bits is not None and (data.dtype.kind in "iu") != bits:
            kinds = ("real", "whole") if bits else ("whole", "real")
            raise UserError(f"{self.path}: HDU {index} is an image of {kinds[0]} numbers where {kinds[1]} ones belong")
        if nfiber is not None and data.shape[0] != nfiber:
            raise UserError(
                f"{self.path}: HDU {index} is an image of {_shape(data)}, not of {nfiber} fibers: "
                "the files of this exposure do not belong together"
            )
        if nrow is not None and data.shape[1] < nrow:
            raise UserError(
                f"{self.path}: HDU {index} has {data.shape[1]} rows, the spFrame {nrow}: they do not belong together"
            )
        return data[:, :nrow]

    def table(self, index: int) -> Any:
        """Table of an HDU, which has a row at least."""
        data = self.data(index)
        if data is None or not data.dtype.names:
            raise UserError(f"{self.path}: HDU {index} is no table")
        if not len(data):
            raise UserError(f"{self.path}: HDU {index} is a table without rows")
        return data

    def columns(
        self, index: int, needed: Sequence[str], optional: Sequence[str] = (), words: Sequence[str] = ()
    ) -> dict[str, NDArray[Any]]:
        """Columns of a table by their names in small letters: some releases write large ones.

        Parameters
        ----------
        index : int
        needed : sequence of str
            Those that have to be there, one number in a row each.
        optional : sequence of str
            Those that may be there, of any kind.
        words : sequence of str
            Which of both are of text; it is trimmed.

        Raises
        ------
        UserError
            Naming the columns that are missing, or the one that is of another kind.
        """
        table = self.table(index)
        names = {name.lower(): name for name in table.dtype.names}
        if missing := [name for name in needed if name not in names]:
            raise UserError(f"{self.path}: HDU {index} has no column {', '.join(missing)}")
        try:
            found = {name: table[names[name]] for name in (*needed, *optional) if name in names}
            found |= {name: text(found[name]) for name in words if name in found}
        except Exception as error:  # whatever a damaged column makes of astropy
            self._refuse(error)
        for name in needed:
            if found[name].ndim != 1 or (name not in words and found[name].dtype.kind not in "iuf"):
                raise UserError(f"{self.path}: HDU {index}: column {name} is not one number in a row")
        return found

    def column_names(self, index: int) -> set[str]:
        """Names of a table's columns in small letters, of its header alone; none of another HDU, or of none."""
        if index >= len(self._hdus) or not isinstance(self._hdus[index], fits.BinTableHDU | fits.TableHDU):
            return set()
        header = self._hdus[index].header
        try:
            number = header.get("TFIELDS", 0)
            return {str(header.get(f"TTYPE{place}", "")).strip().lower() for place in range(1, number + 1)}
        except Exception as error:  # of damaged cards
            self._refuse(error)


class _TooLargeError(Exception):
    def __init__(self) -> None:
        super().__init__(f"it unpacks to more than {MOST_BYTES >> 20} MB, which no file of the survey does")


def _unpacked(content: bytes) -> bytes:
    """Content of a gzip file, whose checksums are compared; of more than :data:`MOST_BYTES` it is never held."""
    parts: list[bytes] = []
    left = MOST_BYTES
    while content:
        member = isal_zlib.decompressobj(wbits=GZIP_FORMAT)
        parts.append(member.decompress(content, left + 1))
        left -= len(parts[-1])
        if left < 0:
            raise _TooLargeError
        if not member.eof:
            raise EOFError("the compressed file ends before its end")
        content = member.unused_data.lstrip(b"\0")  # a gzip file may be padded
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _shape(image: NDArray) -> str:
    return " x ".join(map(str, image.shape))


def text(column: Any) -> NDArray[np.str_]:
    """Blank-padded FITS strings as an array of trimmed text."""
    return np.char.strip(np.asarray(column).astype(str))


def keyword_of(error: KeyError) -> str:
    """The keyword that a header lacks, of what astropy says: "Keyword 'XSIGMA' not found."."""
    return str(error.args[0]).removeprefix("Keyword ").removesuffix(" not found.").strip("'")


def value(header: fits.Header, key: str, where: str) -> Any:
    """A header's value.

    Raises
    ------
    UserError
        If the keyword is missing, or its card cannot be read.
    """
    try:
        return header[key]
    except KeyError as error:
        raise UserError(f"{where}: header keyword missing: {keyword_of(error)}") from error
    except Exception as error:  # of a damaged card
        raise UserError(f"{where}: header keyword {key} cannot be read ({error})") from error


def optional_value(header: fits.Header, key: str, where: str, default: Any = None) -> Any:
    """The same of a keyword that may be missing, or have no value."""
    found = value(header, key, where) if key in header else default
    return default if isinstance(found, fits.card.Undefined) else found


def number_within(
    header: fits.Header, key: str, where: str, limits: tuple[float, float], unit: str, needed: bool = True
) -> float | None:
    """A header's number, which has to lie within limits; None if it is absent and not needed.

    Raises
    ------
    UserError
        Naming the keyword, its value and the limits.
    """
    if not needed and key not in header:
        return None
    found = value(header, key, where)
    if not needed and isinstance(found, str):  # a word where the pipeline found no number
        return None
    low, high = limits
    try:
        result = float(found)
    except (TypeError, ValueError):
        result = float("nan")
    if isinstance(found, bool) or not low <= result <= high:
        raise UserError(f"{where}: {key} is {found!r}, and not within {low:g} to {high:g}{unit and ' '}{unit}")
    return result


def number(header: fits.Header, key: str) -> float | None:
    """A header's number, or None where it is absent or not finite."""
    try:
        found = header.get(key)
    except fits.VerifyError:  # of a damaged card
        return None
    return float(found) if isinstance(found, int | float) and np.isfinite(found) else None
