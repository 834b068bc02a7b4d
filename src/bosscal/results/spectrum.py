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
    def title(self) -> str:
        """Release, plate-mjd-fiber, camera, exposure, OBJTYPE and read noise in one line."""
        target, header = self.target, self.exposure.header
        readnoise = "/".join(f"{value:.2f}" for value in header.readnoise)
        return (
            f"{target.release}   {target.plate}-{target.mjd}-{target.fiber}   "
            f"{target.camera}[{target.expidx}] = #{target.expnum}   "
            f"{self.exposure.objtype[0]}   read noise {readnoise} e⁻"
        )


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
