"""All that the step ``calibrate`` computes for a camera exposure."""

import numpy as np

from bosscal.pipeline import calibrate_exposure
from bosscal.tutorial import reconstruct
from bosscal.variance import SKY_SUFFIX, neighbor_electrons, predict_variances, sky_subtraction_variance

# The comparison is about the difference of these two, far below their float32 rounding.
FLOAT64 = ("calib_applied", "calib_predicted")


def predict(exposure, mask_allow, law):
    """Calibration and noise of every fiber, by the tutorial's arithmetic and by the exact model.

    Parameters
    ----------
    exposure : CameraExposure
    mask_allow : int
        SPPIXMASK bits to treat as harmless.
    law : str
        Noise law that the release's extraction follows, a name of :data:`bosscal.noise.LAWS`.

    Returns
    -------
    dict of 2D[nfiber, nrow]
        What :func:`bosscal.tutorial.reconstruct` gives; ``sky_variance``, ``neighbor_electrons`` and
        ``evar_expected``, the variance by the release's law with sky-subtraction term [electrons²]; and from frames
        ``pipeline_flux``, ``pipeline_sky``, ``pipeline_ivar`` and ``pipeline_calib`` of
        :class:`bosscal.pipeline.Calibrated`. float32, but for masks and the two calibrations that are compared.
    """
    arrays = reconstruct(exposure, mask_allow)
    arrays["sky_variance"] = sky_subtraction_variance(exposure, arrays, law)
    arrays["neighbor_electrons"] = neighbor_electrons(exposure, arrays["electrons"])
    arrays["evar_expected"] = predict_variances(exposure, arrays, laws=[law])[f"{law}{SKY_SUFFIX}"]
    if exposure.header.products == "frames":
        arrays |= {f"pipeline_{name}": array for name, array in vars(calibrate_exposure(exposure)).items()}
    return {
        name: array if array.dtype == bool or name in FLOAT64 else array.astype(np.float32)
        for name, array in arrays.items()
    }
