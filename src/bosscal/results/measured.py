"""A camera exposure from frames with its prediction: kept in two npz files, or made in memory from the survey's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bosscal.base.files import Pathlike
from bosscal.results.prediction import Prediction, predict
from bosscal.survey.exposure import CameraExposure
from bosscal.survey.frames import read_frames


@dataclass(frozen=True)
class Frames:
    """How to make a camera exposure from the survey's files: what they are called there (``names``), what they are of,
    and what :func:`bosscal.results.prediction.predict` asks for.
    """

    names: Sequence[str]
    release: str
    plate: int
    mjd: int
    noise_law: str
    mask_allow: int
    thrucorr: bool

    def measure(self, paths: Sequence[Pathlike]) -> tuple[CameraExposure, Prediction]:
        """What the steps extract_frame and calibrate make of these files, and would write.

        Raises
        ------
        UserError
            If a file cannot be read, or the files do not belong together.
        """
        exposure = read_frames(paths, self.names, self.release, self.plate, self.mjd)
        return exposure, predict(exposure, self.noise_law, self.mask_allow, self.thrucorr)


def measured(paths: Sequence[Pathlike], frames: Frames | None = None) -> tuple[CameraExposure, Prediction]:
    """A camera exposure and its prediction.

    Parameters
    ----------
    paths : sequence of path
        The two npz files, of extract_frame and of calibrate; the survey's files with ``frames``.
    frames : Frames, optional
        How to make it, where no npz is kept.

    Raises
    ------
    UserError
        If a file is missing or damaged, or the survey's files do not belong together.
    """
    if frames is not None:
        return frames.measure(paths)
    exposure, prediction = paths
    return CameraExposure.read(exposure), Prediction.read(prediction)
