"""The tutorial's reconstruction of the calibration, kept as the notebook has it, for all fibers at once.

Its approximations, and what each costs, are in ``docs/calibration.md``. They stay here on purpose, down to the
float32 in which the notebook takes the wavelength's derivative; :mod:`bosscal.pipeline` is the exact model.
One thing is not kept: the notebook looks up the flux distortion of fiber f in row (f - 1) mod 500 of a map of
1000 rows, which is another fiber's for f > 500. Here every fiber has its own.
"""

import numpy as np

from bosscal.noise import quadrant, tutorial_readnoise, tutorial_variance
from bosscal.pipeline import interpolate_rows


def good_pixels(mask, ivar, allowed_bits=0):
    """Pixels the notebook uses: some inverse variance, and no mask bit set but the allowed ones.

    Parameters
    ----------
    mask : 2D[nfiber, nrow]
        SPPIXMASK bits.
    ivar : 2D[nfiber, nrow]
    allowed_bits : int
        Bits to treat as harmless.

    Returns
    -------
    2D[nfiber, nrow] of bool
    """
    return ((mask & ~np.int64(allowed_bits)) == 0) & (ivar > 0)


def inverse_where(values, good):
    """1/values in the precision of ``values``, as float64, and 0 where not ``good`` or ``values`` is 0.

    The notebook's ``inverse``: a float32 array is inverted in float32.
    """
    usable = good & (values != 0)
    result = np.zeros(values.shape)
    np.divide(1, values, out=result, where=usable, casting="same_kind", dtype=values.dtype)
    return result


def reconstruct(exposure, allowed_bits=0):
    """The notebook's arithmetic for every fiber of a camera exposure.

    Parameters
    ----------
    exposure : CameraExposure
        Of the per-plate files, or of a full spec file, which has no flats and no calibration components.
    allowed_bits : int
        SPPIXMASK bits to treat as harmless.

    Returns
    -------
    dict of 2D[nfiber, nrow]
        ``good`` and, from frames, ``egood``: pixels with data in flux and eflux;
        ``electrons``: detected electrons with sky;
        ``readnoise``: its prediction per extracted row [electrons];
        ``evar``, ``evar_pred``: measured and predicted variance of ``electrons`` [electrons²], 0 without data;
        ``var``: variance of flux [(1e-17 erg/s/cm²/Å)²], 0 without data;
        ``calib_applied``: what the pipeline applied, flux/eflux or, from a spec file, per detected electron;
        ``compared``: pixels that enter the comparison, where ``good`` and ``calib_applied`` > 0;
        and from frames only: ``flat``; ``bin_ratio``, the notebook's R; ``distort``; ``calib_predicted``,
        corr distort R / spcalib; ``var_pred``, the variance scaled from eflux.
    """
    predict = _from_frames if exposure.header.products == "frames" else _from_spec
    result = predict(exposure, good_pixels(exposure.mask, exposure.ivar, allowed_bits), allowed_bits)

    readnoise = np.asarray(exposure.header.readnoise)[quadrant(exposure.row, exposure.x, exposure.header.band)]
    sigma = exposure.profile_width()
    result["readnoise"] = tutorial_readnoise(readnoise, sigma)
    result["evar_pred"] = tutorial_variance(result["electrons"], readnoise, sigma)
    result["compared"] = result["good"] & (result["calib_applied"] > 0)
    return result


def _from_frames(exposure, good, allowed_bits):
    egood = good_pixels(exposure.emask, exposure.eivar, allowed_bits)
    flat = exposure.superflat * exposure.fiberflat
    # The spFrame and the spCFrame hold the same wavelengths; the notebook keeps them as float32.
    wave = (10**exposure.loglam).astype(np.float32)
    bin_ratio = _bin_ratio(wave, exposure.distort_grid[2])
    distort = _distort(wave, exposure.distort, exposure.distort_grid)
    calib_applied = np.where(good, exposure.flux, 0) * inverse_where(exposure.eflux, egood)
    everything = np.ones(flat.shape, dtype=bool)
    eivar_inverse = inverse_where(exposure.eivar, egood)
    return {
        "good": good,
        "egood": egood,
        "flat": flat,
        "bin_ratio": bin_ratio,
        "distort": distort,
        "electrons": flat * (exposure.eflux + exposure.esky),
        "evar": flat**2 * eivar_inverse,
        "var": inverse_where(exposure.ivar, good),
        "var_pred": calib_applied**2 * eivar_inverse,
        "calib_applied": calib_applied,
        "calib_predicted": exposure.corr * distort * bin_ratio * inverse_where(exposure.spcalib, everything),
    }


def _from_spec(exposure, good, allowed_bits):
    per_flux = inverse_where(exposure.calib, exposure.calib > 0)
    var = inverse_where(exposure.ivar, good)
    return {
        "good": good,
        "electrons": (exposure.flux + exposure.sky) * per_flux,
        "evar": var * per_flux**2,
        "var": var,
        "calib_applied": exposure.calib.astype(np.float64),
    }


def _bin_ratio(wave, dloglam):
    """Coadd bin over pixel width, the notebook's way: numpy's central differences of float32 log10(wave)."""
    return np.float32(dloglam) / np.gradient(np.log10(wave), axis=1)


def _distort(wave, distort, grid):
    """Flux distortion at ``wave`` [Å] the notebook's way: linear in wavelength, on its grid of one point off.

    Parameters
    ----------
    wave : 2D[nfiber, nrow]
    distort : 2D[nfiber, ncoadd]
    grid : (crval1, crpix1, cd1_1)
    """
    crval1, crpix1, cd1_1 = grid
    point = np.arange(distort.shape[1])
    wave_coadd = 10 ** (crval1 + (point - crpix1) * cd1_1)
    return interpolate_rows(np.interp(wave, wave_coadd, point), distort.astype(np.float64))
