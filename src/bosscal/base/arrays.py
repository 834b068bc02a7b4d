"""Containers of named arrays that a table describes, and the npz files that keep them.

A container says once what each of its arrays is: dimensions, type, unit, meaning (:class:`Field`). Checking, reading,
writing and taking some fibers follow from that table.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike, replacing

FIBER = "nfiber"  # the dimension along which a container can be cut
FLOATING = "f4 or f8"  # a field's type that is float64 where the file has that, and float32 else


@dataclass(frozen=True)
class Field:
    """What one array is: its dimensions by name, numpy type (or :data:`FLOATING`), unit (empty: none) and meaning.

    An ``optional`` array may be absent; its meaning says what that stands for.
    """

    dimensions: tuple[str, ...]
    dtype: str
    unit: str
    meaning: str
    optional: bool = False

    def type_of(self, array: NDArray) -> Any:
        """The type in which an array is kept."""
        return np.result_type(array, np.float32) if self.dtype == FLOATING else self.dtype


class Container:
    """Arrays by the names, dimensions, types and units of :attr:`FIELDS`, and facts about them, ``header``.

    An array is an attribute; an optional one that is absent is None.
    """

    FIELDS: ClassVar[Mapping[str, Field]] = {}

    def __init__(self, header: Any, arrays: Mapping[str, NDArray]) -> None:
        self.header = header
        self.arrays = arrays

    @classmethod
    def checked(cls, header: Any, arrays: Mapping[str, ArrayLike | None]) -> Self:
        """A container of these arrays, in the types of the table and the machine's byte order.

        Raises
        ------
        ValueError
            Naming the array that is missing, unknown or of a shape that does not fit.
        """
        arrays = {name: array for name, array in arrays.items() if array is not None}
        required = {name for name, field in cls.FIELDS.items() if not field.optional}
        wrong = (required - set(arrays)) | (set(arrays) - set(cls.FIELDS))
        if wrong:
            raise ValueError(f"arrays of {cls.__name__}: {sorted(wrong)} missing or unknown")
        sizes: dict[str, int] = {}
        converted = {}
        for name, field in cls.FIELDS.items():
            if name not in arrays:
                continue
            array = np.asarray(arrays[name])
            if array.ndim != len(field.dimensions):
                raise ValueError(f"{name} has shape {array.shape}, not {field.dimensions}")
            for dimension, size in zip(field.dimensions, array.shape, strict=True):
                known = sizes.setdefault(dimension, size)
                if known != size:
                    raise ValueError(f"{name} has shape {array.shape}, but {dimension} is {known}")
            converted[name] = np.ascontiguousarray(array, dtype=field.type_of(array))
        return cls(header, converted)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in type(self).FIELDS:
            raise AttributeError(f"{type(self).__name__} has no array {name!r}")
        return self.arrays.get(name)

    def take(self, fibers: slice | NDArray[np.integer]) -> Self:
        """The same for some fibers, by their places; arrays that are not by fiber stay whole."""
        return type(self)(self.header, _Taken(self.arrays, type(self).FIELDS, fibers))

    def write(self, path: Pathlike) -> None:
        """Write arrays and header to an npz file."""
        write_arrays(path, self.arrays, self.header.to_dict())


class _Taken(Mapping[str, NDArray]):
    """Some fibers' rows of arrays, each taken when first asked for."""

    def __init__(
        self, arrays: Mapping[str, NDArray], fields: Mapping[str, Field], fibers: slice | NDArray[np.integer]
    ) -> None:
        self._arrays, self._fields, self._fibers = arrays, fields, fibers
        self._taken: dict[str, NDArray] = {}

    def __getitem__(self, name: str) -> NDArray:
        if name not in self._taken:
            array = self._arrays[name]
            self._taken[name] = array[self._fibers] if self._fields[name].dimensions[0] == FIBER else array
        return self._taken[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


def write_arrays(path: Pathlike, arrays: Mapping[str, NDArray], meta: Mapping[str, Any]) -> None:
    """Write named arrays and a dictionary of facts about them as an npz file, without pickle.

    Images of integers (masks, quadrants) are compressed, for they are nearly all alike; those of floats are noise that
    nothing compresses, and stay as they are so that a reader can map them into memory.
    """
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", allowZip64=True) as archive:
        for name, array in {"meta": np.array(json.dumps(meta, sort_keys=True)), **arrays}.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # without a time
            if array.dtype.kind in "biu" and array.ndim == 2:
                packed = io.BytesIO()
                np.lib.format.write_array(packed, array, allow_pickle=False)
                archive.writestr(entry, packed.getbuffer(), zipfile.ZIP_DEFLATED, compresslevel=1)
            else:
                contiguous = np.ascontiguousarray(array).reshape(array.shape)
                header = np.lib.format.header_data_from_array_1_0(contiguous)
                with archive.open(entry, "w", force_zip64=True) as stream:
                    np.lib.format.write_array_header_1_0(stream, header)
                    stream.write(contiguous.view(np.uint8).data if contiguous.ndim else contiguous.tobytes())


class Arrays(Mapping[str, NDArray]):
    """Arrays of an npz file by name, each read when first asked for, and the ``meta`` written with them.

    What is stored uncompressed is mapped, not read: a few rows of an image cost a few pages of the file.
    """

    def __init__(self, path: Pathlike) -> None:
        self._path = Path(path)
        self._loaded: dict[str, NDArray] = {}
        with self._refusing():
            with zipfile.ZipFile(self._path) as archive:
                self._entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
            self.meta: dict[str, Any] = json.loads(str(self._read(self._entries.pop("meta"))))

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """A missing or damaged file is the user's to replace."""
        try:
            yield
        except FileNotFoundError as error:
            raise UserError(f"{self._path}: is missing") from error
        except (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            message = f"{self._path}: not a file that bosscal wrote, or damaged ({error}); delete it and run again"
            raise UserError(message) from error

    def __getitem__(self, name: str) -> NDArray:
        if name not in self._loaded:
            entry = self._entries[name]
            with self._refusing():
                self._loaded[name] = self._read(entry)
        return self._loaded[name]

    def _read(self, entry: zipfile.ZipInfo) -> NDArray:
        if entry.compress_type != zipfile.ZIP_STORED:
            with zipfile.ZipFile(self._path) as archive, archive.open(entry) as packed:
                return np.lib.format.read_array(packed)
        with open(self._path, "rb") as stream:
            stream.seek(entry.header_offset + 26)  # where the entry's own header gives the lengths of its last parts
            lengths = np.frombuffer(stream.read(4), dtype="<u2")
            stream.seek(int(lengths.sum()), 1)
            start = stream.tell()
            if np.lib.format.read_magic(stream) != (1, 0):
                raise ValueError(f"{entry.filename} is of another version")
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
            if not shape or dtype.itemsize == 0 or 0 in shape:
                stream.seek(start)
                return np.lib.format.read_array(stream)
            return np.asarray(np.memmap(self._path, dtype, "r", stream.tell(), shape))

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
