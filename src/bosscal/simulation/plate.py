"""Simulated plates: what was plugged where, what was exposed, and where each file lies below a root."""

from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Self
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bosscal.base.elementary import cosine, exp, log, sine
from bosscal.base.errors import UserError

RUN2D = "v5_7_0"
CAMERAS = ("b1", "b2", "r1", "r2")
NFIBER = 500  # of one spectrograph, and so of one camera
NROW = {"b": 4112, "r": 4128}
NROW_STORED = 4128  # spCFrame and spFluxcorr: blue rows are padded to the length of red ones
BLOCK = 20  # fibers computed at a time, so that what is computed on the way stays in the processor's cache

PLATE_SCALE = 217.7358  # mm/deg
PLATE_RADIUS = 325.0  # mm

REDUX = Path("sas/sim/boss/spectro/redux") / RUN2D

# Numbers of exposures follow the night, so that a file's name tells it: each night has so many, of which the first is a
# flat and the second an arc. (Plates of one night share them, as those of one telescope could not.)
NUMBERS_PER_NIGHT = 40
NIGHT_OF_NUMBER_0 = 52412


@dataclass(frozen=True)
class Plate:
    """One plate on one night: what follows from the two numbers alone, whatever the seed."""

    number: int
    mjd: int

    @property
    def is_tutorial(self) -> bool:
        """Whether this is the plate that the tutorial shows, with its published fibers and nights."""
        return self == TUTORIAL

    @property
    def flat(self) -> int:
        """Number of the flat exposure."""
        return (self.mjd - NIGHT_OF_NUMBER_0) * NUMBERS_PER_NIGHT

    @property
    def arc(self) -> int:
        """Number of the arc exposure."""
        return self.flat + 1

    @property
    def exposures(self) -> tuple[int, ...]:
        """Numbers of the science exposures: two of the tutorial's plate, six to eight of the others."""
        number = 2 if self.is_tutorial else 6 + crc32(f"{self.number}-{self.mjd}".encode()) % 3
        return tuple(self.arc + 1 + index for index in range(number))

    @property
    def center(self) -> tuple[float, float]:
        """Right ascension and declination [deg]."""
        if self.is_tutorial:
            return 182.0, 45.9
        random = np.random.default_rng([self.number, crc32(b"center")])
        return round(random.uniform(110, 260), 3), round(random.uniform(0, 60), 3)

    @property
    def folder(self) -> Path:
        """The plate's folder below the root."""
        return REDUX / f"{self.number:04d}"

    def random(self, seed: int, purpose: str, camera: str = "", expnum: int = 0) -> np.random.Generator:
        """Random numbers of their own for every purpose: no file depends on which was made before it."""
        own = () if self.is_tutorial else (self.number, self.mjd)
        return np.random.default_rng([seed, expnum, crc32(f"{camera} {purpose}".encode()), *own])


TUTORIAL = Plate(6641, 56383)
PLATE, MJD, EXPOSURES = TUTORIAL.number, TUTORIAL.mjd, TUTORIAL.exposures


@dataclass(frozen=True)
class Conditions:
    """What changes from exposure to exposure: factors of throughput, of the sky's continuum and lines; flexure [rows].

    By the flexure a spectrum has moved along its rows, and half as many columns.
    """

    transparency: float = 1.0
    flexure: float = 0.0
    sky_continuum: float = 1.0
    sky_lines: float = 1.0


# Of the exposures of the tutorial's night.
SECOND_EXPOSURE = Conditions(transparency=0.93, flexure=0.12, sky_continuum=1.05, sky_lines=0.92)


@cache
def conditions(expnum: int) -> Conditions:
    """The conditions of an exposure by its number, whatever the seed; a flat has those of the first."""
    if expnum in (EXPOSURES[0], EXPOSURES[1]):
        return Conditions() if expnum == EXPOSURES[0] else SECOND_EXPOSURE
    if expnum % NUMBERS_PER_NIGHT == 0:
        return Conditions()
    random = np.random.default_rng([expnum, crc32(b"conditions")])
    # To a few digits: the last ones of a C library's could differ.
    transparency, flexure, continuum, lines = (
        round(random.uniform(*limits), 3) for limits in ((0.7, 1.05), (-0.2, 0.2), (0.9, 1.3), (0.7, 1.4))
    )
    return Conditions(transparency, flexure, continuum, lines)


# Fibers that the tutorial shows, with the target types they had there.
TUTORIAL_FIBERS = {1: "QSO", 12: "SKY", 486: "SKY"}
# Where the simulation puts them [plate radii], so that the plate's distortion gives them the D that was published.
TUTORIAL_PLACES = {1: (0.52, -0.60), 12: (0.4155, -0.4841), 486: (-0.58, 0.62)}
TUTORIAL_BRIGHTNESS = {1: 0.6}  # a quasar that is fainter than the sky
# Per spectrograph; every other fiber is a GALAXY.
TARGETS = {"SKY": 40, "SPECTROPHOTO_STD": 10, "QSO": 100, "NA": 20}
NDEAD, NUNPLUGGED = 3, 2

# Flux at 6000 Å [1e-17 erg/s/cm²/Å], faintest and brightest, and redshift, lowest and highest.
BRIGHTNESS = {"QSO": (1, 30), "GALAXY": (2, 20), "SPECTROPHOTO_STD": (20, 160), "NA": (2, 40), "SKY": (0, 0)}
REDSHIFT = {
    "QSO": (0.6, 3.0), "GALAXY": (0.2, 0.7), "SPECTROPHOTO_STD": (-5e-4, 5e-4), "NA": (0.6, 3.0), "SKY": (0, 0)
}  # fmt: skip


def fiber_numbers(camera: str) -> NDArray[np.int64]:
    """Fibers that a camera records: 1-500 for b1 and r1, 501-1000 for b2 and r2. 1D[nfiber]."""
    return np.arange(NFIBER) + 1 + NFIBER * (int(camera[1]) - 1)


def fiber_blocks(nfiber: int) -> list[slice]:
    """Slices of :data:`BLOCK` fibers that cover all of them."""
    return [slice(start, min(start + BLOCK, nfiber)) for start in range(0, nfiber, BLOCK)]


def camera_pair(fiber: int) -> tuple[str, str]:
    """The blue and the red camera that record a fiber."""
    spectrograph = (fiber - 1) // NFIBER + 1
    return f"b{spectrograph}", f"r{spectrograph}"


@dataclass(frozen=True)
class Fibers:
    """What is plugged into each fiber, one entry of every array per fiber.

    Attributes
    ----------
    number : 1D[nfiber]
        Fiber number, 1-1000.
    objtype : 1D[nfiber]
        OBJTYPE of the plug map.
    xfocal, yfocal : 1D[nfiber]
        Position in the focal plane [mm].
    ra, dec : 1D[nfiber]
        Position on the sky [deg].
    brightness : 1D[nfiber]
        Flux at 6000 Å [1e-17 erg/s/cm²/Å], 0 for sky.
    redshift, slope : 1D[nfiber]
        Redshift, and the exponent of the power law in wavelength that tells the objects of one class apart.
    dead, unplugged : 1D[nfiber]
        Broken fibers and fibers that nobody plugged. No light comes through either.
    """

    number: NDArray[np.int64]
    objtype: NDArray[np.str_]
    xfocal: NDArray[np.float64]
    yfocal: NDArray[np.float64]
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    brightness: NDArray[np.float64]
    redshift: NDArray[np.float64]
    slope: NDArray[np.float64]
    dead: NDArray[np.bool_]
    unplugged: NDArray[np.bool_]

    @property
    def dark(self) -> NDArray[np.bool_]:
        """True where no light reaches the camera. 1D[nfiber]."""
        return self.dead | self.unplugged

    @property
    def sky(self) -> NDArray[np.bool_]:
        """True for sky fibers. 1D[nfiber]."""
        return self.objtype == "SKY"

    def select(self, numbers: ArrayLike) -> Self:
        """The same for some fibers, by their numbers."""
        return self.take(np.asarray(numbers) - 1)

    def take(self, index: slice | NDArray[np.integer]) -> Self:
        """The same for some fibers, by their indices or a slice."""
        return replace(self, **{field.name: getattr(self, field.name)[index] for field in fields(self)})


def plug_fibers(seed: int, plate: Plate = TUTORIAL) -> Fibers:
    """Plug all 1000 fibers of a plate.

    Parameters
    ----------
    seed : int
    plate : Plate

    Returns
    -------
    Fibers
    """
    random = plate.random(seed, "plug map")
    number = np.arange(2 * NFIBER) + 1
    objtype = np.full(number.size, "GALAXY", dtype="U16")
    dead, unplugged = np.zeros((2, number.size), dtype=bool)
    published = TUTORIAL_FIBERS if plate.is_tutorial else {}
    fixed = np.array(list(published), dtype=int) - 1
    for start in (0, NFIBER):
        free = np.setdiff1d(np.arange(start, start + NFIBER), fixed)
        taken = iter(random.permutation(free))
        for name, count in TARGETS.items():
            objtype[[next(taken) for _ in range(count)]] = name
        dead[random.choice(free, NDEAD, replace=False)] = True
        unplugged[[next(taken) for _ in range(NUNPLUGGED)]] = True
    objtype[unplugged] = "NA"
    objtype[fixed] = list(published.values())

    low, high = np.array([BRIGHTNESS[name] for name in objtype], dtype=float).T
    level = random.random(number.size)
    lit = high > 0  # not sky
    brightness = np.zeros(number.size)
    brightness[lit] = low[lit] * exp(level[lit] * log(high[lit] / low[lit]))  # as many in every magnitude
    if plate.is_tutorial:
        brightness[np.array(list(TUTORIAL_BRIGHTNESS)) - 1] = list(TUTORIAL_BRIGHTNESS.values())
    low, high = np.array([REDSHIFT[name] for name in objtype]).T
    redshift = random.uniform(low, high)

    radius = PLATE_RADIUS * np.sqrt(random.random(number.size))
    angle = random.uniform(0, 2 * np.pi, number.size)
    xfocal, yfocal = radius * cosine(angle / (2 * np.pi)), radius * sine(angle / (2 * np.pi))
    if plate.is_tutorial:
        xfocal[fixed], yfocal[fixed] = PLATE_RADIUS * np.array(list(TUTORIAL_PLACES.values())).T
    ra_center, dec_center = plate.center
    dec = dec_center + yfocal / PLATE_SCALE
    return Fibers(
        number=number,
        objtype=objtype,
        xfocal=xfocal,
        yfocal=yfocal,
        ra=ra_center + xfocal / PLATE_SCALE / cosine(dec / 360),
        dec=dec,
        brightness=brightness,
        redshift=redshift,
        slope=random.uniform(-0.4, 0.4, number.size),
        dead=dead & ~unplugged,
        unplugged=unplugged,
    )


def exposure_ids(fiber: int, plate: Plate = TUTORIAL) -> list[str]:
    """EXPID entries of a fiber: camera-science-flat-arc, the blue camera first."""
    return [
        f"{camera}-{expnum:08d}-{plate.flat:08d}-{plate.arc:08d}"
        for camera in camera_pair(fiber)
        for expnum in plate.exposures
    ]


def plate_of_exposure(number: int, expnum: int) -> Plate:
    """The plate on the night that an exposure's number tells.

    Raises
    ------
    UserError
        If the plate was not exposed so often on that night.
    """
    plate = Plate(number, expnum // NUMBERS_PER_NIGHT + NIGHT_OF_NUMBER_0)
    if expnum != plate.flat and expnum not in plate.exposures:
        raise UserError(
            f"simulated plate {number} of {plate.mjd} has no exposure {expnum}; "
            f"it has {plate.exposures[0]}-{plate.exposures[-1]}"
        )
    return plate


def _known(plate: Plate, camera: str, expnum: int) -> None:
    if camera not in CAMERAS or expnum not in plate.exposures:
        raise ValueError(f"camera {camera}, exposure {expnum}: the plate has {CAMERAS} and {plate.exposures}")


def frame_path(product: str, camera: str, expnum: int, plate: Plate = TUTORIAL) -> Path:
    """Path below the root of spFrame, spCFrame, spFluxcalib or spFluxcorr."""
    _known(plate, camera, expnum)
    suffix = "fits" if product == "spCFrame" else "fits.gz"
    return plate.folder / f"{product}-{camera}-{expnum:08d}.{suffix}"


def camera_exposure_paths(camera: str, expnum: int, plate: Plate = TUTORIAL) -> list[Path]:
    """Paths below the root of the files of one camera exposure: spFrame, spCFrame, spFluxcalib, spFluxcorr."""
    products = ("spFrame", "spCFrame", "spFluxcalib", "spFluxcorr")
    return [frame_path(product, camera, expnum, plate) for product in products]


def flat_path(camera: str, plate: Plate = TUTORIAL) -> Path:
    """Path below the root of a camera's spFlat."""
    _known(plate, camera, plate.exposures[0])
    return plate.folder / f"spFlat-{camera}-{plate.flat:08d}.fits.gz"


def fluxdistort_path(plate: Plate = TUTORIAL) -> Path:
    """Path below the root of spFluxdistort."""
    return plate.folder / f"spFluxdistort-{plate.number:04d}-{plate.mjd}.fits"


def platelist_path() -> Path:
    """Path below the root of platelist.fits."""
    return REDUX / "platelist.fits"


def spec_path(fiber: int, lite: bool = False, plate: Plate = TUTORIAL) -> Path:
    """Path below the root of a fiber's full or lite spec file."""
    if not 1 <= fiber <= 2 * NFIBER:
        raise ValueError(f"fiber {fiber} is not among 1-{2 * NFIBER}")
    folder = REDUX / "spectra" / ("lite" if lite else "") / f"{plate.number:04d}"
    return folder / f"spec-{plate.number:04d}-{plate.mjd}-{fiber:04d}.fits"


def sha1sum_path(plate: Plate = TUTORIAL) -> Path:
    """Path below the root of the checksums of the plate's folder."""
    return plate.folder / f"boss_spectro_redux_{RUN2D}_{plate.number}.sha1sum"
