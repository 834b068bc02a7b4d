"""The simulated plate: what was plugged where, what was exposed, and where each file lies below a root."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Self
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bosscal.base.elementary import cosine, exp, log, sine

PLATE, MJD, RUN2D = 6641, 56383, "v5_7_0"
EXPOSURES = (158842, 158843)
FLAT, ARC = 158840, 158841
CAMERAS = ("b1", "b2", "r1", "r2")
NFIBER = 500  # of one spectrograph, and so of one camera
NROW = {"b": 4112, "r": 4128}
NROW_STORED = 4128  # spCFrame and spFluxcorr: blue rows are padded to the length of red ones
BLOCK = 20  # fibers computed at a time, so that what is computed on the way stays in the processor's cache

PLATE_CENTER = (182.0, 45.9)  # right ascension and declination [deg]
PLATE_SCALE = 217.7358  # mm/deg
PLATE_RADIUS = 325.0  # mm

REDUX = Path("sas/sim/boss/spectro/redux") / RUN2D
FOLDER = REDUX / str(PLATE)

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


def random_stream(seed: int, purpose: str, camera: str = "", expnum: int = 0) -> np.random.Generator:
    """Random numbers of their own for every purpose, so that no file depends on which was made before it."""
    return np.random.default_rng([seed, expnum, crc32(f"{camera} {purpose}".encode())])


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


def plug_fibers(seed: int) -> Fibers:
    """Plug all 1000 fibers of the plate.

    Parameters
    ----------
    seed : int

    Returns
    -------
    Fibers
    """
    random = random_stream(seed, "plug map")
    number = np.arange(2 * NFIBER) + 1
    objtype = np.full(number.size, "GALAXY", dtype="U16")
    dead, unplugged = np.zeros((2, number.size), dtype=bool)
    fixed = np.array(list(TUTORIAL_FIBERS)) - 1
    for start in (0, NFIBER):
        free = np.setdiff1d(np.arange(start, start + NFIBER), fixed)
        taken = iter(random.permutation(free))
        for name, count in TARGETS.items():
            objtype[[next(taken) for _ in range(count)]] = name
        dead[random.choice(free, NDEAD, replace=False)] = True
        unplugged[[next(taken) for _ in range(NUNPLUGGED)]] = True
    objtype[unplugged] = "NA"
    objtype[fixed] = list(TUTORIAL_FIBERS.values())

    low, high = np.array([BRIGHTNESS[name] for name in objtype], dtype=float).T
    level = random.random(number.size)
    lit = high > 0  # not sky
    brightness = np.zeros(number.size)
    brightness[lit] = low[lit] * exp(level[lit] * log(high[lit] / low[lit]))  # as many in every magnitude
    brightness[np.array(list(TUTORIAL_BRIGHTNESS)) - 1] = list(TUTORIAL_BRIGHTNESS.values())
    low, high = np.array([REDSHIFT[name] for name in objtype]).T
    redshift = random.uniform(low, high)

    radius = PLATE_RADIUS * np.sqrt(random.random(number.size))
    angle = random.uniform(0, 2 * np.pi, number.size)
    xfocal, yfocal = radius * cosine(angle / (2 * np.pi)), radius * sine(angle / (2 * np.pi))
    xfocal[fixed], yfocal[fixed] = PLATE_RADIUS * np.array(list(TUTORIAL_PLACES.values())).T
    dec = PLATE_CENTER[1] + yfocal / PLATE_SCALE
    return Fibers(
        number=number,
        objtype=objtype,
        xfocal=xfocal,
        yfocal=yfocal,
        ra=PLATE_CENTER[0] + xfocal / PLATE_SCALE / cosine(dec / 360),
        dec=dec,
        brightness=brightness,
        redshift=redshift,
        slope=random.uniform(-0.4, 0.4, number.size),
        dead=dead & ~unplugged,
        unplugged=unplugged,
    )


def exposure_ids(fiber: int) -> list[str]:
    """EXPID entries of a fiber: camera-science-flat-arc, the blue camera first."""
    return [
        f"{camera}-{expnum:08d}-{FLAT:08d}-{ARC:08d}" for camera in camera_pair(fiber) for expnum in EXPOSURES
    ]  # fmt: skip


def _known(camera: str, expnum: int = EXPOSURES[0]) -> None:
    if camera not in CAMERAS or expnum not in EXPOSURES:
        raise ValueError(f"camera {camera}, exposure {expnum}: the plate has {CAMERAS} and {EXPOSURES}")


def frame_path(product: str, camera: str, expnum: int) -> Path:
    """Path below the root of spFrame, spCFrame, spFluxcalib or spFluxcorr."""
    _known(camera, expnum)
    suffix = "fits" if product == "spCFrame" else "fits.gz"
    return FOLDER / f"{product}-{camera}-{expnum:08d}.{suffix}"


def camera_exposure_paths(camera: str, expnum: int) -> list[Path]:
    """Paths below the root of the files of one camera exposure: spFrame, spCFrame, spFluxcalib, spFluxcorr."""
    return [frame_path(product, camera, expnum) for product in ("spFrame", "spCFrame", "spFluxcalib", "spFluxcorr")]


def flat_path(camera: str) -> Path:
    """Path below the root of a camera's spFlat."""
    _known(camera)
    return FOLDER / f"spFlat-{camera}-{FLAT:08d}.fits.gz"


def fluxdistort_path() -> Path:
    """Path below the root of spFluxdistort."""
    return FOLDER / f"spFluxdistort-{PLATE}-{MJD}.fits"


def platelist_path() -> Path:
    """Path below the root of platelist.fits."""
    return REDUX / "platelist.fits"


def spec_path(fiber: int, lite: bool = False) -> Path:
    """Path below the root of a fiber's full or lite spec file."""
    if not 1 <= fiber <= 2 * NFIBER:
        raise ValueError(f"fiber {fiber} is not among 1-{2 * NFIBER}")
    folder = REDUX / "spectra" / ("lite" if lite else "") / str(PLATE)
    return folder / f"spec-{PLATE}-{MJD}-{fiber:04d}.fits"


def sha1sum_path() -> Path:
    """Path below the root of the checksums of the plate's folder."""
    return FOLDER / f"boss_spectro_redux_{RUN2D}_{PLATE}.sha1sum"
