"""One measurement of a camera exposure: detected electrons and their variance, wherever they were read from.

This is the boundary between the survey's two kinds of files and everything that follows: noise laws, sky term,
comparison, fit and figures read a :class:`Measurement` and never ask where it came from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import cached_property, singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bosscal.base.arithmetic import inverse, inverse_where
from bosscal.calibration.pipeline import error_floor
from bosscal.survey.ccd import in_measured_order
from bosscal.survey.exposure import CameraExposure, FrameExposure, Header, SpecExposure
from bosscal.survey.masks import good_pixels

WIDTH_RANGE = (0.5, 3.0)  # pixels: what laws are tabulated for; a dead fiber's fitted width means nothing


@dataclass(frozen=True)
class Measurement:
    """Detected electrons per extracted row of some fibers, and what is stated of their noise.

    Attributes
    ----------
    header : Header
    fiber, objtype : 1D[nfiber]
        Fiber number, OBJTYPE of the plug map.
    row : 1D[nrow]
        CCD row.
    electrons : 2D[nfiber, nrow]
        float32 detected electrons N, sky included.
    object_electrons, sky_electrons : 2D[nfiber, nrow]
        Those of the object and of the sky that was subtracted.
    variance : 2D[nfiber, nrow]
        Stated variance of N as it was before the 3 % error floor [electrons²]; 0: no data.
    flux_variance : 2D[nfiber, nrow]
        Stated variance of the flux, floor included, in detected electrons²; 0: no data.
    flat : 2D[nfiber, nrow] or 2D[1, 1]
        Detected per flat-fielded electron; 1 where a spec file does not tell.
    quadrant : 2D[nfiber, nrow]
        Index into the read noises.
    sigma : 2D[nfiber, nrow] or 2D[nfiber, 1]
        Spatial width of the profile [pixels], within :data:`WIDTH_RANGE`.
    neighbor_electrons : 2D[nfiber, nrow]
        Mean electrons per row of the other fibers of each fiber's bundle. A spec file does not hold them: most
        neighbours are faint, so its own sky stands for them.
    good, good_electrons : 2D[nfiber, nrow] of bool
        Pixels with data in the flux, and in the detected electrons.
    compared : 2D[nfiber, nrow] of bool
        Those that enter the comparisons: good, with an applied calibration > 0.
    floor : 2D[nfiber, nrow] or None
        The error floor that was taken out of the stated variance [electrons²]; None where none was in it.
    """

    header: Header
    fiber: NDArray[np.integer]
    objtype: NDArray[np.str_]
    row: NDArray[np.integer]
    electrons: NDArray[np.floating]
    object_electrons: NDArray[np.float64]
    sky_electrons: NDArray[np.float64]
    variance: NDArray[np.floating]
    flux_variance: NDArray[np.float64]
    flat: NDArray[np.floating]
    quadrant: NDArray[np.integer]
    sigma: NDArray[np.float64]
    neighbor_electrons: NDArray[np.float64]
    good: NDArray[np.bool_]
    good_electrons: NDArray[np.bool_]
    compared: NDArray[np.bool_]
    floor: NDArray[np.float64] | None = None

    @cached_property
    def readnoise(self) -> NDArray[np.float64]:
        """Read noise of a CCD pixel [electrons], 2D[nfiber, nrow]."""
        return np.asarray(self.header.readnoise)[self.quadrant]

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """Pixels whose variance can be compared with a law's, 2D[nfiber, nrow]."""
        return self.compared & (self.variance > 0)

    def take(self, fibers: slice | NDArray[np.integer]) -> Measurement:
        """The same for some fibers, by their places."""
        values = {
            field.name: getattr(self, field.name) for field in fields(self) if field.name not in ("header", "row")
        }
        number = len(self.fiber)
        by_fiber = {name: value[fibers] for name, value in values.items() if value is not None and len(value) == number}
        return replace(self, **by_fiber)

    def rows(self, rows: slice) -> Measurement:
        """The same for some adjacent rows, by their places."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "header"}
        number = len(self.row)
        by_row = {
            name: value[..., rows]
            for name, value in values.items()
            if value is not None and name not in ("fiber", "objtype") and value.shape[-1] == number
        }
        return replace(self, **by_row)

    def as_sky(self) -> Measurement:
        """What would have been measured of the sky alone."""
        nothing = np.zeros_like(self.object_electrons)
        sky = self.sky_electrons
        return replace(self, electrons=sky, object_electrons=nothing, neighbor_electrons=sky)

    def with_background(self, light: float) -> Measurement:
        """The same with so much light in every pixel [electrons], whose noise adds to the read noise."""
        readnoise = tuple(math.sqrt(value**2 + light) for value in self.header.readnoise)
        return replace(self, header=replace(self.header, readnoise=readnoise))

    def with_measured_order(self) -> Measurement:
        """The same with the read noises of the quadrants in the order in which they are measured."""
        readnoise = in_measured_order(self.header.readnoise)
        return replace(self, header=replace(self.header, readnoise=readnoise))


def measure(exposure: CameraExposure, calib: NDArray, allowed_bits: int = 0) -> Measurement:
    """The measurement of a camera exposure.

    Parameters
    ----------
    exposure : CameraExposure
        Whole bundles of fibers, or the mean electrons of the neighbours are those of the fibers that are there.
    calib : 2D[nfiber, nrow]
        Flux per electron of the file, of :func:`bosscal.results.prediction.predict`.
    allowed_bits : int
        SPPIXMASK bits to treat as harmless.

    Returns
    -------
    Measurement
    """
    good = good_pixels(exposure.mask, exposure.ivar, allowed_bits)
    detected = _detected(exposure, calib, good, allowed_bits)
    return Measurement(
        header=exposure.header,
        fiber=exposure.fiber,
        objtype=exposure.objtype,
        row=exposure.row,
        flat=exposure.flat,
        quadrant=exposure.quadrant,
        sigma=np.clip(exposure.profile_width, *WIDTH_RANGE),
        good=good,
        **detected,
    )


@singledispatch
def _detected(exposure: CameraExposure, calib: NDArray, good: NDArray[np.bool_], allowed_bits: int) -> dict[str, Any]:
    """Electrons, variance and what else is found another way in each kind of file."""
    raise TypeError(f"no camera exposure: {type(exposure).__name__}")


@_detected.register
def _of_frames(exposure: FrameExposure, calib: NDArray, good: NDArray[np.bool_], allowed_bits: int) -> dict[str, Any]:
    """An spFrame has electrons before the error floor, per flat-fielded electron."""
    good_electrons = good_pixels(exposure.emask, exposure.eivar, allowed_bits)
    flat = exposure.flat
    electrons = flat * (exposure.eflux + exposure.esky)
    # One pixel that is no number would take the row from the whole bundle.
    light = np.where(np.isfinite(electrons), np.maximum(electrons, 0, dtype=np.float64), 0)
    neighbors = np.empty_like(light)
    for places in exposure.bundles():
        own = light[places]
        neighbors[places] = (own.sum(axis=0) - own) / max(len(own) - 1, 1)
    return {
        "electrons": electrons,
        "object_electrons": exposure.eflux * (exposure.superflat.astype(np.float64) * exposure.fiberflat),
        "sky_electrons": exposure.esky * flat.astype(np.float64),
        "variance": (flat**2 * inverse_where(exposure.eivar, good_electrons)).astype(np.float32),
        "flux_variance": inverse_where(exposure.ivar, good) * (flat * inverse(calib)) ** 2,
        "neighbor_electrons": neighbors,
        "good_electrons": good_electrons,
        "compared": good & good_electrons & (np.sign(exposure.flux) * np.sign(exposure.eflux) > 0),
    }


@_detected.register
def _of_spec(exposure: SpecExposure, calib: NDArray, good: NDArray[np.bool_], allowed_bits: int) -> dict[str, Any]:
    """A spec file has flux with the error floor in its variance: electrons by its own calibration, the floor out."""
    per_flux = inverse(np.maximum(calib, 0))
    object_electrons, sky_electrons = exposure.flux * per_flux, exposure.sky * per_flux
    # In float32, as everything in the file.
    electrons_per_flux = inverse_where(calib, calib > 0)
    stated = (inverse_where(exposure.ivar, good) * electrons_per_flux**2).astype(np.float32)
    floor = error_floor(object_electrons)
    return {
        "electrons": ((exposure.flux + exposure.sky) * electrons_per_flux).astype(np.float32),
        "object_electrons": object_electrons,
        "sky_electrons": sky_electrons,
        "variance": np.maximum(stated - floor, 0),
        "flux_variance": stated.astype(np.float64),
        "neighbor_electrons": sky_electrons,
        "good_electrons": good,
        "compared": good & (calib > 0),
        "floor": floor,
    }
