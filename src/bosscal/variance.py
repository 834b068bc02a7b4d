"""The variance of a camera exposure's detected electrons: measured, and predicted by every law of ``docs/noise.md``."""

import numpy as np

from bosscal.noise import LAWS, SIGMA_RANGE, quadrant, sky_statistics, sky_term
from bosscal.noise_bundle import FIBERS, SIGMA, bundle_variance
from bosscal.pipeline import ERROR_FLOOR, inverse

BUNDLE = "bundle"  # the read-noise weighted law of a fiber in its bundle, which needs its neighbours
SKY_SUFFIX = "_sky"  # of a law's name, with the sky-subtraction term
LABELS = {name: law.label for name, law in LAWS.items()} | {BUNDLE: "bundle fit"}
PREDICTIONS = tuple(f"{law}{suffix}" for law in LABELS for suffix in ("", SKY_SUFFIX))


def pixel_noise(exposure, order="image"):
    """Read noise of every pixel [electrons] and width of its profile [pixels].

    Parameters
    ----------
    exposure : CameraExposure
    order : {"image", "measured"}
        Quadrant order of :func:`bosscal.noise.quadrant`.

    Returns
    -------
    2D[nfiber, nrow], 2D[nfiber, nrow] or float
        Widths are clipped to what the laws are tabulated for: a dead fiber's fitted width means nothing.
    """
    index = quadrant(exposure.row, exposure.x, exposure.header.band, order)
    return np.asarray(exposure.header.readnoise)[index], np.clip(exposure.profile_width(), *SIGMA_RANGE)


def extraction_variance(exposure, reconstruction):
    """Measured variance of the detected electrons, as it was before the 3 % error floor.

    Parameters
    ----------
    exposure : CameraExposure
    reconstruction : mapping of 2D[nfiber, nrow]
        From :func:`bosscal.tutorial.reconstruct`.

    Returns
    -------
    2D[nfiber, nrow]
        electrons²; 0 without data. An spFrame has no floor yet. A spec file's flux does: it is taken out.
    """
    if exposure.header.products == "frames":
        return np.asarray(reconstruction["evar"], dtype=np.float64)
    floor = ERROR_FLOOR * object_electrons(exposure)
    return np.maximum(reconstruction["evar"] - floor**2, 0)


def object_electrons(exposure):
    """Detected electrons of the object alone, 2D[nfiber, nrow]; negative ones count as 0, as in the error floor."""
    if exposure.header.products == "frames":
        electrons = exposure.eflux * (exposure.superflat.astype(np.float64) * exposure.fiberflat)
    else:
        electrons = exposure.flux * inverse(exposure.calib)
    return np.maximum(electrons, 0)


def flux_variance(exposure, reconstruction):
    """Variance of the calibrated flux, error floor included, in detected electrons².

    Parameters
    ----------
    exposure : CameraExposure
    reconstruction : mapping of 2D[nfiber, nrow]
        From :func:`bosscal.tutorial.reconstruct`, and the exact model's ``pipeline_calib``.

    Returns
    -------
    2D[nfiber, nrow]
    """
    if exposure.header.products == "frames":
        return reconstruction["var"] * (reconstruction["flat"] * inverse(reconstruction["pipeline_calib"])) ** 2
    return np.asarray(reconstruction["evar"], dtype=np.float64)


def sky_subtraction_variance(exposure, reconstruction, law):
    """What imperfect sky subtraction adds to the variance of the detected electrons.

    Parameters
    ----------
    exposure : CameraExposure
    reconstruction : mapping of 2D[nfiber, nrow]
        From :func:`bosscal.tutorial.reconstruct`.
    law : str
        Name of the law (:data:`bosscal.noise.LAWS`) that the release's extraction follows.

    Returns
    -------
    2D[nfiber, nrow]
        electrons². From the sky fibers of the exposure, as functions of wavelength; from SKYCHI2 and the fiber's own
        sky where there is only a spec file, and 0 where that has no SKYCHI2.
    """
    predict = LAWS[law].variance
    readnoise, sigma = pixel_noise(exposure)
    if exposure.header.products == "spec":
        sky = exposure.sky * inverse(exposure.calib)
        return sky_term(exposure.header.skychi2 or 1.0, predict(sky, readnoise, sigma))
    flat = np.asarray(reconstruction["flat"], dtype=np.float64)
    sky = exposure.objtype == "SKY"
    valid = reconstruction["egood"][sky] & (flat[sky] > 0)
    # From the sky that was subtracted, which has no noise of its own: a variance that is high where the residual
    # happens to be positive would make chi² low.
    predicted = predict(flat * exposure.esky, readnoise, sigma)[sky] * inverse(flat[sky]) ** 2
    try:
        statistics = sky_statistics(
            exposure.loglam[sky], exposure.eflux[sky], predicted, valid, exposure.header.skychi2
        )
    except ValueError:  # no sky fiber worth the name
        return np.zeros(flat.shape)
    return statistics.term(exposure.loglam) * flat**2


def neighbor_electrons(exposure, electrons):
    """Mean electrons per row in the other fibers of each fiber's bundle, 2D[nfiber, nrow].

    A spec file does not hold them: most neighbours are faint, so its own sky stands for them.
    """
    if exposure.header.products == "spec":
        return exposure.sky * inverse(exposure.calib)
    light = np.maximum(electrons, 0, dtype=np.float64)
    _, bundle, size = np.unique((exposure.fiber - 1) // FIBERS, return_inverse=True, return_counts=True)
    total = np.zeros((len(size), light.shape[1]))
    np.add.at(total, bundle, light)
    return (total[bundle] - light) / np.maximum(size[bundle] - 1, 1)[:, np.newaxis]


def predict_variances(exposure, reconstruction, order="image", laws=tuple(LABELS)):
    """Variance of the detected electrons by every law, without and with the sky-subtraction term.

    Parameters
    ----------
    exposure : CameraExposure
    reconstruction : mapping of 2D[nfiber, nrow]
        With ``electrons``, ``sky_variance`` (:func:`sky_subtraction_variance`) and ``neighbor_electrons``
        (:func:`neighbor_electrons`).
    order : {"image", "measured"}
        Quadrant order of :func:`bosscal.noise.quadrant`.
    laws : sequence of str

    Returns
    -------
    dict of 2D[nfiber, nrow]
        By the names of :data:`PREDICTIONS` [electrons²].
    """
    readnoise, sigma = pixel_noise(exposure, order)
    electrons, predictions = reconstruction["electrons"], {}
    for law in laws:
        if law == BUNDLE:
            width = np.clip(sigma, SIGMA[0], SIGMA[-1])
            neighbors = reconstruction["neighbor_electrons"]
            variance = bundle_variance(electrons, readnoise, width, exposure.fiber[:, np.newaxis], neighbors)
        else:
            variance = LAWS[law].variance(electrons, readnoise, sigma)
        predictions[law] = variance
        predictions[f"{law}{SKY_SUFFIX}"] = variance + reconstruction["sky_variance"]
    return predictions
