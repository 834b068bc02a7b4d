"""What a camera exposure holds: all that the later steps need of the survey's files, in one npz.

There are two kinds, for there are two kinds of files: :class:`FrameExposure` comes from the per-plate files for all
fibers of a camera, :class:`SpecExposure` from the one fiber of a full spec file. What they have in common is
:class:`CameraExposure`; :mod:`bosscal.calibration.measurement` makes one measurement of either.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bosscal.base.arrays import FLOATING, Arrays, Container, Field
from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike
from bosscal.survey.tracesets import Jump, TraceSet, bin_size

BUNDLE = 20  # fibers that are glued to the slit head together, and extracted together

FLUX = "1e-17 erg/s/cm2/Angstrom"
_FIBER, _IMAGE = ("nfiber",), ("nfiber", "nrow")

COMMON = {
    "fiber": Field(_FIBER, "i4", "", "fiber number, 1-1000"),
    "objtype": Field(_FIBER, "U16", "", "OBJTYPE of the plug map"),
    "ra": Field(_FIBER, "f8", "deg", "right ascension of the target"),
    "dec": Field(_FIBER, "f8", "deg", "declination of the target"),
    "xfocal": Field(_FIBER, "f8", "mm", "XFOCAL of the plug map; NaN where unknown"),
    "yfocal": Field(_FIBER, "f8", "mm", "YFOCAL of the plug map; NaN where unknown"),
    "lambda_eff": Field(_FIBER, "f4", "Angstrom", "LAMBDA_EFF of the plug map; NaN where unknown"),
    "row": Field(("nrow",), "i4", "pixel", "CCD row, 0-based"),
    "quadrant": Field(_IMAGE, "u1", "", "index into RDNOISE0..3 by the pipeline's noise image"),
    "flux": Field(_IMAGE, FLOATING, FLUX, "calibrated flux"),
    "sky": Field(_IMAGE, FLOATING, FLUX, "calibrated sky that was subtracted"),
    "ivar": Field(_IMAGE, FLOATING, f"1/({FLUX})2", "inverse variance of flux; 0: no data"),
    "mask": Field(_IMAGE, "i4", "", "SPPIXMASK bits of flux"),
    "nonfinite": Field(
        _FIBER, "i4", "", "pixels that lost their inverse variance to a number that is none; absent: 0", True
    ),
}
OF_FRAMES = {
    "loglam": Field(
        _IMAGE, "f8", "dex(Angstrom)", "log10 of the vacuum wavelength; absent where the trace set gives it", True
    ),
    "eflux": Field(_IMAGE, "f4", "electron", "flat-fielded, sky-subtracted electrons per row"),
    "esky": Field(_IMAGE, "f4", "electron", "flat-fielded electrons of the sky per row"),
    "eivar": Field(_IMAGE, "f4", "1/electron2", "inverse variance of eflux; 0: no data"),
    "emask": Field(_IMAGE, "i4", "", "SPPIXMASK bits of eflux"),
    "superflat": Field(_IMAGE, "f4", "", "superflat"),
    "fiberflat": Field(_IMAGE, "f4", "", "fiber flat"),
    "fibermask": Field(_FIBER, "i4", "", "SPPIXMASK bits of the fiber in the flat"),
    "spcalib": Field(_IMAGE, "f4", f"electron/({FLUX})", "flux calibration vector"),
    "corr": Field(_IMAGE, FLOATING, "", "multiplicative flux correction A"),
    "corr_add": Field(_IMAGE, FLOATING, FLUX, "additive flux correction B; absent: 0", True),
    "thrucorr": Field(_IMAGE, FLOATING, "", "chromatic fiber-position correction T; absent, before v5_9: 1", True),
    "distort": Field(("nfiber", "ncoadd"), "f4", "", "flux distortion D on the camera's part of the coadd grid"),
    "distort_grid": Field(("three",), "f8", "", "CRVAL1, CRPIX1, CD1_1 of that part in loglam"),
    "means": Field(("three",), "f8", "", "means of the stored spcalib, A and D images, over all their pixels"),
    "wave_coeff": Field(("nfiber", "nwave"), "f8", "dex(Angstrom)", "trace set of loglam: Legendre coefficients"),
    "wave_domain": Field(
        ("wave_domain",), "f8", "pixel", "its XMIN, XMAX and, in red, XJUMPLO, XJUMPHI, XJUMPVAL"
    ),
    "dispersion_coeff": Field(
        ("nfiber", "ndispersion"), "f8", "pixel",
        "trace set of the dispersion, sigma of a line in rows: coefficients, 0 where there are none; absent: unknown",
        True,
    ),
    "dispersion_domain": Field(
        ("dispersion_domain",), "f8", "pixel", "its XMIN, XMAX and, where there, the jump; absent: unknown", True
    ),
    "width_coeff": Field(("nfiber", "nwidth"), "f8", "pixel", "trace set of the spatial width: coefficients"),
    "width_domain": Field(("width_domain",), "f8", "pixel", "its XMIN, XMAX and, where there, the jump"),
}  # fmt: skip
OF_SPEC = {
    "loglam": Field(_IMAGE, "f8", "dex(Angstrom)", "log10 of the vacuum wavelength"),
    "calib": Field(_IMAGE, "f4", f"{FLUX}/electron", "flux per detected electron"),
}


@dataclass(frozen=True)
class Header:
    """Facts about a camera exposure.

    ``readnoise`` [electrons] is RDNOISE0..3, ``xsigma`` [pixels] the largest of the four quadrants' median spatial
    widths, ``skychi2`` the mean chi² of the sky subtraction, ``exptime`` [s], ``altitude`` of the telescope [deg],
    ``seeing`` the guider's median [arcsec], None where it has none, ``tai`` the start [s of TAI since MJD 0].
    ``origin`` tells where these facts are from: the "file", "spCFrame" (a spec file that lost its headers, with the
    beginning of that file), or "lost", and then the read noises and ``xsigma`` are NaN. ``inputs`` lists (path on the
    server, SHA-1) of every file that was read.
    """

    release: str
    plate: int
    mjd: int
    camera: str
    expnum: int
    products: str
    simulated: bool
    readnoise: tuple[float, ...]
    exptime: float
    xsigma: float | None
    skychi2: float | None
    vers2d: str
    inputs: tuple[tuple[str, str], ...]
    altitude: float | None = None
    seeing: float | None = None
    tai: float | None = None
    origin: str = "file"

    @property
    def band(self) -> str:
        """blue or red."""
        return {"b": "blue", "r": "red"}[self.camera[0]]

    @property
    def where(self) -> str:
        """Which exposure this is, for messages."""
        return f"{self.release} plate {self.plate} mjd {self.mjd} {self.camera}-{self.expnum:08d}"

    def to_dict(self) -> dict[str, Any]:
        """As it is stored in JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Header:
        """The inverse of :meth:`to_dict`, after JSON has made lists of tuples."""
        known = {field.name: content[field.name] for field in fields(cls)}
        known["readnoise"] = tuple(known["readnoise"])
        known["inputs"] = tuple(tuple(item) for item in known["inputs"])
        return cls(**known)


class CameraExposure(Container, ABC):
    """Arrays of one camera exposure; ``header`` is a :class:`Header`."""

    FIELDS = COMMON
    header: Header
    fiber: NDArray[np.int32]
    objtype: NDArray[np.str_]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    xfocal: NDArray[np.float64]
    yfocal: NDArray[np.float64]
    lambda_eff: NDArray[np.float32]
    row: NDArray[np.int32]
    quadrant: NDArray[np.uint8]
    flux: NDArray[np.floating]
    sky: NDArray[np.floating]
    ivar: NDArray[np.floating]
    mask: NDArray[np.int32]
    nonfinite: NDArray[np.int32] | None
    loglam: NDArray[np.float64]

    kinds: ClassVar[dict[str, type[CameraExposure]]] = {}

    @classmethod
    def read(cls, path: Pathlike) -> Any:
        """Read a camera exposure of either kind; of the file, only what is used is ever read."""
        arrays = Arrays(path)
        header = Header.from_dict(arrays.meta)
        return CameraExposure.kinds[header.products](header, arrays)

    @property
    @abstractmethod
    def profile_width(self) -> NDArray[np.float64]:
        """Spatial width of the profile [pixels], 2D[nfiber, nrow] or 2D[nfiber, 1]."""

    @property
    @abstractmethod
    def flat(self) -> NDArray[np.float32]:
        """Detected electrons per electron of the file, 2D[nfiber, nrow] or 2D[1, 1]."""

    def index(self, fiber: int) -> int:
        """Place of a fiber.

        Raises
        ------
        UserError
            If the fiber is not in the exposure.
        """
        found = np.flatnonzero(self.fiber == fiber)
        if len(found) != 1:
            raise UserError(f"{self.header.where}: fiber {fiber} is not in the plug map")
        return int(found[0])

    def bundles(self) -> Iterator[slice]:
        """Places of the fibers of each bundle: blocks small enough for a processor's cache."""
        edges = np.flatnonzero(np.diff((self.fiber - 1) // BUNDLE)) + 1
        for first, last in zip([0, *edges.tolist()], [*edges.tolist(), len(self.fiber)], strict=True):
            yield slice(first, last)

    def bundle_of(self, fiber: int) -> slice:
        """Places of the fibers of the bundle that a fiber is in."""
        index = self.index(fiber)
        return next(places for places in self.bundles() if places.start <= index < places.stop)


class FrameExposure(CameraExposure):
    """A camera exposure from the per-plate files: all fibers, with every component of the calibration."""

    FIELDS = COMMON | OF_FRAMES
    eflux: NDArray[np.float32]
    esky: NDArray[np.float32]
    eivar: NDArray[np.float32]
    emask: NDArray[np.int32]
    superflat: NDArray[np.float32]
    fiberflat: NDArray[np.float32]
    fibermask: NDArray[np.int32]
    spcalib: NDArray[np.float32]
    corr: NDArray[np.floating]
    corr_add: NDArray[np.floating] | None
    thrucorr: NDArray[np.floating] | None
    distort: NDArray[np.float32]
    distort_grid: NDArray[np.float64]
    means: NDArray[np.float64]

    @cached_property
    def loglam(self) -> NDArray[np.float64]:  # type: ignore[override]
        """log10 of the vacuum wavelength [Å], 2D[nfiber, nrow]."""
        stored = self.arrays.get("loglam")
        return self.trace_set("wave")(self.row) if stored is None else stored

    def trace_set(self, kind: str) -> TraceSet:
        """The ``wave`` (loglam), ``width`` (spatial sigma [pixels]) or ``dispersion`` (sigma [rows]) trace set."""
        domain = self.arrays[f"{kind}_domain"]
        jump = Jump(*domain[2:]) if len(domain) > 2 else None
        return TraceSet(self.arrays[f"{kind}_coeff"], domain[0], domain[1], jump)

    @property
    def profile_width(self) -> NDArray[np.float64]:
        """Spatial width of the profile [pixels], 2D[nfiber, nrow]."""
        return self.trace_set("width")(self.row)

    @property
    def dispersion(self) -> NDArray[np.float64]:
        """Sigma of the line-spread function in bins of 1e-4 in log10 wavelength, as WAVEDISP of an spCFrame,
        2D[nfiber, nrow]; 0: unknown.
        """
        if "dispersion_coeff" not in self.arrays:
            return np.zeros(self.flux.shape)
        return self.trace_set("dispersion")(self.row) * bin_size(self.trace_set("wave"), self.row)

    @property
    def flat(self) -> NDArray[np.float32]:
        """Detected per flat-fielded electron, superflat times fiber flat, 2D[nfiber, nrow]."""
        return self.superflat * self.fiberflat


class SpecExposure(CameraExposure):
    """A camera exposure of one fiber from its full spec file, which has no flats and no calibration components."""

    FIELDS = COMMON | OF_SPEC
    calib: NDArray[np.float32]

    @property
    def flat(self) -> NDArray[np.float32]:
        """1, 2D[1, 1]: a spec file counts detected electrons, and does not tell the flats."""
        return np.ones((1, 1), dtype=np.float32)

    @property
    def profile_width(self) -> NDArray[np.float64]:
        """The one number that a spec file has for the width of the profile, XSIGMA [pixels], 2D[1, 1]."""
        return np.full((1, 1), self.header.xsigma, dtype=np.float64)


CameraExposure.kinds.update(frames=FrameExposure, spec=SpecExposure)


def trace_set_arrays(kind: str, trace_set: TraceSet) -> dict[str, NDArray[np.float64]]:
    """The two arrays in which a container keeps a trace set."""
    domain = [trace_set.xmin, trace_set.xmax]
    if trace_set.jump is not None:
        domain += [trace_set.jump.low, trace_set.jump.high, trace_set.jump.value]
    return {f"{kind}_coeff": trace_set.coeff, f"{kind}_domain": np.array(domain)}
