"""The container of one camera exposure: all that the calibration needs of the survey's files, in one npz."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from bosscal.errors import UserError
from bosscal.files import Arrays, write_arrays
from bosscal.tracesets import Jump, TraceSet

# name: (dimensions, type, unit, meaning). "frames" come from the per-plate files for all fibers of a
# camera, "spec" from the one fiber of a full spec file; what a product lacks is left out.
COMMON_ARRAYS = {
    "fiber": (("nfiber",), "i4", "", "fiber number, 1-1000"),
    "objtype": (("nfiber",), "U16", "", "OBJTYPE of the plug map"),
    "ra": (("nfiber",), "f8", "deg", "right ascension of the target"),
    "dec": (("nfiber",), "f8", "deg", "declination of the target"),
    "xfocal": (("nfiber",), "f8", "mm", "XFOCAL of the plug map; NaN where unknown"),
    "yfocal": (("nfiber",), "f8", "mm", "YFOCAL of the plug map; NaN where unknown"),
    "row": (("nrow",), "i4", "pixel", "CCD row, 0-based"),
    "x": (("nfiber", "nrow"), "f4", "pixel", "CCD column of the trace"),
    "loglam": (("nfiber", "nrow"), "f8", "dex(Angstrom)", "log10 of the vacuum wavelength in Angstrom"),
    "flux": (("nfiber", "nrow"), "f4", "1e-17 erg/s/cm2/Angstrom", "calibrated flux"),
    "sky": (("nfiber", "nrow"), "f4", "1e-17 erg/s/cm2/Angstrom", "calibrated sky that was subtracted"),
    "ivar": (("nfiber", "nrow"), "f4", "1/(1e-17 erg/s/cm2/Angstrom)2", "inverse variance of flux"),
    "mask": (("nfiber", "nrow"), "i4", "", "SPPIXMASK bits of flux"),
}
FRAME_ARRAYS = {
    "eflux": (("nfiber", "nrow"), "f4", "electron", "flat-fielded, sky-subtracted electrons per row"),
    "esky": (("nfiber", "nrow"), "f4", "electron", "flat-fielded electrons of the sky per row"),
    "eivar": (("nfiber", "nrow"), "f4", "1/electron2", "inverse variance of eflux"),
    "emask": (("nfiber", "nrow"), "i4", "", "SPPIXMASK bits of eflux"),
    "superflat": (("nfiber", "nrow"), "f4", "", "superflat"),
    "fiberflat": (("nfiber", "nrow"), "f4", "", "fiber flat"),
    "fibermask": (("nfiber",), "i4", "", "SPPIXMASK bits of the fiber in the flat"),
    "spcalib": (("nfiber", "nrow"), "f4", "electron/(1e-17 erg/s/cm2/Angstrom)", "flux calibration vector"),
    "corr": (("nfiber", "nrow"), "f4", "", "multiplicative flux correction A"),
    "corr_add": (("nfiber", "nrow"), "f4", "1e-17 erg/s/cm2/Angstrom", "additive flux correction B"),
    "distort": (("nfiber", "ncoadd"), "f4", "", "flux distortion D on the coadd grid"),
    "distort_grid": ((3,), "f8", "", "CRVAL1, CRPIX1, CD1_1 of the coadd grid in loglam"),
    "means": ((3,), "f8", "", "means of the stored spcalib, A and D images, over all their pixels"),
    "wave_coeff": (("nfiber", "nwave"), "f8", "dex(Angstrom)", "trace set of loglam: Legendre coefficients"),
    "wave_domain": (("domain",), "f8", "pixel", "its XMIN, XMAX and, in red, XJUMPLO, XJUMPHI, XJUMPVAL"),
    "width_coeff": (("nfiber", "nwidth"), "f8", "pixel", "trace set of the spatial width: coefficients"),
    "width_domain": (("domain2",), "f8", "pixel", "its XMIN, XMAX and, where there, the jump"),
}
SPEC_ARRAYS = {
    "calib": (("nfiber", "nrow"), "f4", "1e-17 erg/s/cm2/Angstrom/electron", "flux per detected electron"),
}
# of frames, and only where the release has them
OPTIONAL_ARRAYS = {
    "thrucorr": (("nfiber", "nrow"), "f4", "", "chromatic fiber-position correction T of spXYthrucorr; absent means 1"),
}
ARRAYS = COMMON_ARRAYS | FRAME_ARRAYS | SPEC_ARRAYS | OPTIONAL_ARRAYS


@dataclass(frozen=True)
class Header:
    """Facts about a camera exposure.

    ``readnoise`` [electrons] is RDNOISE0..3, ``xsigma`` [pixels] the median spatial width, ``skychi2`` the
    mean chi² of the sky subtraction, ``exptime`` [s]. ``inputs`` lists (path on the server, SHA-1) of every
    file that was read.
    """

    plate: int
    mjd: int
    camera: str
    expnum: int
    products: str
    simulated: bool
    readnoise: tuple
    exptime: float
    xsigma: float | None
    skychi2: float | None
    vers2d: str
    inputs: tuple

    @property
    def band(self):
        return {"b": "blue", "r": "red"}[self.camera[0]]

    def to_dict(self):
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, content):
        return cls(**{field.name: content[field.name] for field in fields(cls)})


class CameraExposure:
    """Arrays of one camera exposure, by the names, shapes and units of :data:`ARRAYS`.

    An array is an attribute; what the product lacks is None. ``header`` is a :class:`Header`.
    """

    def __init__(self, header, arrays):
        self.header = header
        self.arrays = arrays

    @classmethod
    def checked(cls, header, arrays):
        """Check that every array is known, has its type, and that the shapes agree.

        Raises
        ------
        ValueError
            Naming the array that does not fit.
        """
        expected = COMMON_ARRAYS | (FRAME_ARRAYS if header.products == "frames" else SPEC_ARRAYS)
        expected |= {name: OPTIONAL_ARRAYS[name] for name in OPTIONAL_ARRAYS if name in arrays}
        if set(arrays) != set(expected):
            raise ValueError(f"arrays of {header.products}: {sorted(set(arrays) ^ set(expected))} missing or unknown")
        sizes, converted = {}, {}
        for name, (dimensions, dtype, _, _) in expected.items():
            array = np.asarray(arrays[name])
            if array.ndim != len(dimensions):
                raise ValueError(f"{name} has shape {array.shape}, not {dimensions}")
            for dimension, size in zip(dimensions, array.shape, strict=True):
                known = dimension if isinstance(dimension, int) else sizes.setdefault(dimension, size)
                if known != size:
                    raise ValueError(f"{name} has shape {array.shape}, but {dimension} is {known}")
            # Survey files are big-endian; everything after this is in the machine's own order.
            converted[name] = np.ascontiguousarray(array, dtype=dtype)
        return cls(header, converted)

    def __getattr__(self, name):
        if name not in ARRAYS:
            raise AttributeError(name)
        return self.arrays.get(name)

    def trace_set(self, kind):
        """The ``wave`` (loglam) or ``width`` (spatial sigma [pixels]) trace set; None for a spec file."""
        if f"{kind}_coeff" not in self.arrays:
            return None
        domain = self.arrays[f"{kind}_domain"]
        jump = Jump(*domain[2:]) if len(domain) > 2 else None
        return TraceSet(self.arrays[f"{kind}_coeff"], domain[0], domain[1], jump)

    def profile_width(self):
        """Spatial width of the profile, 2D[nfiber, nrow] or, of a spec file, the one number XSIGMA [pixels]."""
        widths = self.trace_set("width")
        return np.float64(self.header.xsigma) if widths is None else widths(self.row)

    def write(self, path):
        write_arrays(path, self.arrays, self.header.to_dict())

    @classmethod
    def read(cls, path):
        """Read back what :meth:`write` wrote; arrays are loaded when first used."""
        arrays = Arrays(path)
        return cls(Header.from_dict(arrays.meta), arrays)


def trace_set_arrays(kind, trace_set):
    """The two arrays in which a container keeps a trace set."""
    domain = [trace_set.xmin, trace_set.xmax]
    if trace_set.jump is not None:
        domain += [trace_set.jump.low, trace_set.jump.high, trace_set.jump.value]
    return {f"{kind}_coeff": trace_set.coeff, f"{kind}_domain": np.array(domain)}


class _OneFiber(Mapping):
    """One fiber's rows of arrays, each taken when first asked for; arrays that are not by fiber stay whole."""

    def __init__(self, arrays, index):
        self._arrays, self._index, self._taken = arrays, index, {}

    def __getitem__(self, name):
        if name not in self._taken:
            array = self._arrays[name]
            by_fiber = name not in ARRAYS or ARRAYS[name][0][0] == "nfiber"
            self._taken[name] = array[self._index] if by_fiber else array
        return self._taken[name]

    def __iter__(self):
        return iter(self._arrays)

    def __len__(self):
        return len(self._arrays)


def select(fiber, exposure, reconstruction):
    """One fiber of a camera exposure and of what was computed for it, with nfiber = 1.

    Parameters
    ----------
    fiber : int
    exposure : CameraExposure
    reconstruction : mapping of 2D[nfiber, nrow]

    Returns
    -------
    CameraExposure, mapping of 2D[1, nrow]
        Of files, only the arrays that are asked for are read.

    Raises
    ------
    UserError
        If the fiber is not in the exposure.
    """
    index = np.flatnonzero(exposure.fiber == fiber)
    if len(index) != 1:
        header = exposure.header
        raise UserError(
            f"plate {header.plate} mjd {header.mjd} {header.camera}-{header.expnum:08d}: "
            f"fiber {fiber} is not in the plug map"
        )
    return CameraExposure(exposure.header, _OneFiber(exposure.arrays, index)), _OneFiber(reconstruction, index)
