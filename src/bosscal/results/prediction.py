"""What the step ``calibrate`` predicts for every fiber of a camera exposure, and the npz that keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bosscal.base.arrays import FLOATING, Arrays, Container, Field
from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike
from bosscal.calibration.measurement import measure
from bosscal.calibration.pipeline import calibrate_exposure
from bosscal.noise.law import Law
from bosscal.noise.laws import LAWS
from bosscal.noise.sky import from_header, halves_of, is_split, statistics_of
from bosscal.survey.exposure import FLUX, CameraExposure, FrameExposure
from bosscal.survey.masks import LOWFLAT, NEARBADPIXEL

_IMAGE = ("nfiber", "nrow")
NO_SKY = "no sky model"  # in place of what the sky-subtraction term is from

# Flux and sky of a file that its own calibration files do not give to this fraction, in the median of all pixels, are
# another exposure's. The exact model meets them to 1e-6; one exposure's spcalib and A differ from the next one's by
# percents. Judged by every so many fibers, and not by fewer pixels.
REPRODUCED, EVERY_FIBER, FEWEST_PIXELS = 1e-3, 8, 1000


@dataclass(frozen=True)
class Assumptions:
    """What a prediction was made with.

    ``noise_law`` is the law that the release's extraction follows, ``mask_allow`` the harmless SPPIXMASK bits, and
    ``thrucorr`` tells whether the release's calibration contains a chromatic fiber-position correction T.
    """

    noise_law: str
    mask_allow: int
    thrucorr: bool

    def to_dict(self) -> dict[str, Any]:
        """As it is stored in JSON."""
        return asdict(self)


class Prediction(Container):
    """Calibration and noise of a camera exposure as the exact model has them; ``header`` is :class:`Assumptions`."""

    FIELDS: ClassVar[Mapping[str, Field]] = {
        "calib": Field(
            _IMAGE, "f4", f"{FLUX}/electron", "flux per flat-fielded electron, for a spec file per detected"
        ),
        "flux": Field(_IMAGE, FLOATING, FLUX, "flux of the exact model; absent for a spec file", True),
        "sky": Field(_IMAGE, FLOATING, FLUX, "its sky; absent for a spec file", True),
        "ivar": Field(_IMAGE, FLOATING, f"1/({FLUX})2", "its inverse variance; absent for a spec file", True),
        "additive": Field(_IMAGE, "f4", FLUX, "flux without electrons, B D; absent: 0", True),
        "npix_by_mask": Field(
            ("nfiber",), "i4", "", "pixels with a divisor so close to its threshold that the file's mask decided", True
        ),
        "sky_variance": Field(_IMAGE, "f4", "electron2", "what sky subtraction adds to the variance, by the noise law"),
        "sky_term": Field(("nfiber",), "U20", "", "where that is from: sky fibers, SKYCHI2 of the header, or none"),
    }
    header: Assumptions
    calib: NDArray[np.float32]
    # arrays like that above, or None
    flux: Any
    sky: Any
    ivar: Any
    additive: Any
    npix_by_mask: Any
    sky_variance: NDArray[np.float32]
    sky_term: NDArray[np.str_]

    @classmethod
    def read(cls, path: Pathlike) -> Prediction:
        """Read back what :meth:`write` wrote; of the file, only what is used is ever read."""
        arrays = Arrays(path)
        return cls(Assumptions(**arrays.meta), arrays)


def predict(exposure: CameraExposure, noise_law: str, mask_allow: int = 0, thrucorr: bool = False) -> Prediction:
    """Calibration by the exact model, and the sky-subtraction term of the noise, for every fiber.

    Parameters
    ----------
    exposure : CameraExposure
    noise_law : str
        Law that the release's extraction follows, a name of :data:`bosscal.noise.laws.LAWS`.
    mask_allow : int
        SPPIXMASK bits to treat as harmless.
    thrucorr : bool
        Whether the release's calibration contains T, which a spec file does not tell.

    Returns
    -------
    Prediction

    Raises
    ------
    UserError
        If the calibration files are of another exposure than the frames.
    """
    arrays = _calibrated(exposure) if isinstance(exposure, FrameExposure) else {"calib": exposure.calib}
    sky = _sky_subtraction(exposure, arrays["calib"], LAWS[noise_law], mask_allow)
    of_electrons = exposure.esky if isinstance(exposure, FrameExposure) else exposure.sky
    without = (exposure.ivar > 0).any(axis=1) & ~has_sky(of_electrons, exposure.ivar)
    sky["sky_variance"][without], sky["sky_term"][without] = 0, NO_SKY
    return Prediction.checked(Assumptions(noise_law, mask_allow, thrucorr), arrays | sky)


def has_sky(sky: NDArray, ivar: NDArray) -> NDArray[np.bool_]:
    """Whether any pixel with data has a sky that was subtracted, 1D[nfiber]: one that is 0 throughout is missing."""
    return ((sky != 0) & (ivar > 0)).any(axis=1)


def check_reproduced(exposure: FrameExposure, arrays: Mapping[str, NDArray]) -> None:
    """Refuse calibration files that do not lead from the spFrame to its spCFrame: they have no header that tells.

    Raises
    ------
    UserError
        Naming the files.
    """
    names = [name.rpartition("/")[2] for name, _ in exposure.header.inputs[3:]]
    few = slice(None, None, EVERY_FIBER)
    # The sky has no T.
    for name, files in (("sky", names[:3]), ("flux", names)):
        actual, predicted = (values[few].astype(np.float64) for values in (getattr(exposure, name), arrays[name]))
        larger = np.maximum(np.abs(actual), np.abs(predicted))
        used = (exposure.ivar[few] > 0) & (larger > 0)
        if np.count_nonzero(used) < FEWEST_PIXELS:
            continue
        difference = float(np.median(np.abs(predicted - actual)[used] / larger[used]))
        if not difference < REPRODUCED:
            raise UserError(
                f"{exposure.header.where}: {', '.join(files)} do not give the {name} of the spCFrame, which differs by "
                f"{100 * difference:.1f} % in the median: one of them is of another exposure; delete them and run again"
            )


def _sky_subtraction(
    exposure: CameraExposure, calib: NDArray[np.float32], law: Law, mask_allow: int
) -> dict[str, NDArray]:
    """What sky subtraction adds to the variance, and where that is from: of the sky fibers where there are some."""
    sky_variance = np.empty(exposure.flux.shape, dtype=np.float32)
    sky_term = np.empty(len(exposure.fiber), dtype="U20")
    header = exposure.header
    for half in halves_of(exposure.quadrant, is_split(header.camera, header.mjd, header.vers2d)):
        of_sky = np.flatnonzero(half & (exposure.objtype == "SKY"))
        sky = exposure.take(of_sky)
        # The pipeline keeps pixels of sky lines, which a mask bit marks, and leaves out those next to bad ones.
        statistics = statistics_of(measure(sky, calib[of_sky], ~(NEARBADPIXEL | LOWFLAT)), sky.loglam, law)
        for places in exposure.bundles():
            fibers = half[places]
            if not fibers.any():
                continue
            bundle = exposure.take(places)
            if statistics is not None:
                term, origin = statistics.term(bundle.loglam) * bundle.flat**2, "sky fibers"
            else:
                term, origin = from_header(measure(bundle, calib[places], mask_allow), law)
            sky_variance[places][fibers] = term[fibers]
            sky_term[places][fibers] = origin
    return {"sky_variance": sky_variance, "sky_term": sky_term}


def _calibrated(exposure: FrameExposure) -> dict[str, Any]:
    """The exact model bundle by bundle, whose arrays stay in a processor's cache."""
    # As the file has them, so that they can be compared to the bit.
    arrays = {name: np.empty_like(getattr(exposure, name)) for name in ("flux", "sky", "ivar")}
    others = ("calib",) if exposure.corr_add is None else ("calib", "additive")
    arrays |= {name: np.empty(exposure.flux.shape, dtype=np.float32) for name in others}
    by_mask = np.empty(len(exposure.fiber), dtype=np.int32)
    for places in exposure.bundles():
        calibrated = calibrate_exposure(exposure.take(places))
        for name, array in arrays.items():
            array[places] = getattr(calibrated, name)
        by_mask[places] = calibrated.by_mask.sum(axis=1)
    for array in arrays.values():  # numbers that each may be, but whose products are none
        if not np.isfinite(array).all():
            array[~np.isfinite(array)] = 0
    check_reproduced(exposure, arrays)
    return arrays | {"npix_by_mask": by_mask}
