"""One spectrum with all that its figures show, from its camera exposure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bosscal.base.files import Pathlike
from bosscal.calibration.budget import effects
from bosscal.calibration.measurement import Measurement, measure
from bosscal.calibration.tutorial import Reconstruction, reconstruct
from bosscal.results.comparison import predict_variances, thrucorr_of
from bosscal.results.prediction import Prediction
from bosscal.survey.exposure import CameraExposure
from bosscal.survey.targets import Target


@dataclass(frozen=True)
class Spectrum:
    """A fiber of a camera exposure: ``exposure``, ``prediction`` and ``measurement`` have nfiber = 1."""

    target: Target
    exposure: CameraExposure
    prediction: Prediction
    measurement: Measurement

    @cached_property
    def tutorial(self) -> Reconstruction:
        """The notebook's calibration."""
        return reconstruct(self.exposure, self.prediction.header.mask_allow)

    @cached_property
    def variances(self) -> dict[str, NDArray[np.float64]]:
        """Variance by every law, by the names of :data:`bosscal.noise.laws.PREDICTIONS`, each 2D[1, nrow]."""
        return predict_variances(self.measurement, self.prediction.sky_variance)

    @cached_property
    def effects(self) -> dict[str, NDArray[np.float64]]:
        """What each of the tutorial's approximations costs, of a spectrum from frames (:func:`…budget.effects`)."""
        return effects(self.exposure, self.measurement.compared)

    @property
    def thrucorr(self) -> str:
        """Whether a chromatic fiber-position correction is in the calibration, and known."""
        return str(thrucorr_of(self.exposure, self.prediction)[0])

    @property
    def name(self) -> str:
        """Release, plate-mjd-fiber, camera, exposure and OBJTYPE in one line."""
        target = self.target
        return (
            f"{target.release}   {target.plate}-{target.mjd}-{target.fiber}   "
            f"{target.camera} #{target.expnum}   {self.exposure.objtype[0]}"
        )

    @property
    def title(self) -> str:
        """:attr:`name` and the read noise of the CCD's quadrants in one line."""
        if self.exposure.header.origin == "lost":
            return f"{self.name}   read noise unknown"
        readnoise = "/".join(f"{value:.2f}" for value in self.exposure.header.readnoise)
        return f"{self.name}   read noise {readnoise} e⁻"

    @cached_property
    def why_empty(self) -> list[str]:
        """Which mask bits leave the spectrum without data, and in how many pixels, a line for each place of bits."""
        from bosscal.survey.paths import mask_bits  # takes long, and most spectra have data

        places = {
            "of the fiber in the flat": getattr(self.exposure, "fibermask", None),
            "of its pixels": self.exposure.mask,
            "of its pixels before calibration": getattr(self.exposure, "emask", None),
        }
        lines = []
        for place, mask in places.items():
            if mask is None:
                continue
            values = np.atleast_1d(mask[0])
            counts = {name: np.count_nonzero(values & bit) for name, bit in mask_bits().items()}
            shown = [
                name + (f" ({count})" if values.size > 1 else "")
                for name, count in sorted(counts.items(), key=lambda each: -each[1])
                if count
            ]
            lines.append(f"Mask bits {place}: {', '.join(shown) or 'none'}.")
        return lines


def spectrum_of(exposure: CameraExposure, prediction: Prediction, target: Target) -> Spectrum:
    """A target's rows, and those of its bundle where its neighbours are needed.

    Raises
    ------
    UserError
        If a file is damaged, or the fiber is not in the exposure.
    """
    places = exposure.bundle_of(target.fiber)
    bundle, predicted = exposure.take(places), prediction.take(places)
    index = bundle.index(target.fiber)
    fiber = slice(index, index + 1)
    measurement = measure(bundle, predicted.calib, prediction.header.mask_allow).take(fiber)
    return Spectrum(target, bundle.take(fiber), predicted.take(fiber), measurement)


def read_spectrum(exposure_path: Pathlike, prediction_path: Pathlike, target: Target) -> Spectrum:
    """:func:`spectrum_of` the npz files of a camera exposure, of which no more is read.

    Raises
    ------
    UserError
        If a file is missing or damaged, or the fiber is not in the exposure.
    """
    return spectrum_of(CameraExposure.read(exposure_path), Prediction.read(prediction_path), target)
