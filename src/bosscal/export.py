"""The spCalib file: what others need to turn a model flux into detected electrons with the right noise."""

import numpy as np
from astropy.io import fits
from astropy.table import Table

from bosscal.files import replacing
from bosscal.pipeline import inverse
from bosscal.variance import SKY_SUFFIX, pixel_noise

FLUX = "1e-17 erg/s/cm2/Angstrom"

# name of the HDU: (BUNIT, meaning), in the order of the file; all 2D[nfiber, nrow]
IMAGES = {
    "LOGLAM": ("dex(Angstrom)", "log10 of the vacuum wavelength"),
    "CALIB": (f"{FLUX}/electron", "flux per detected electron; 0: none"),
    "ADDITIVE": (FLUX, "flux without electrons: flux = N_object CALIB + this"),
    "ELECTRONS": ("electron", "detected electrons per row, sky included"),
    "SKY": ("electron", "detected electrons of the sky that was subtracted"),
    "EVAR": ("electron2", "measured variance of the electrons; 0: no data"),
    "EVARPRED": ("electron2", "variance predicted by the law NOISELAW"),
    "EVARSKY": ("electron2", "its sky-subtraction term"),
    "READNOIS": ("electron", "read noise per CCD pixel"),
    "SIGMA": ("pixel", "spatial width of the profile"),
    "MASK": ("", "SPPIXMASK bits of the flux"),
}


def calibration_images(exposure, reconstruction):
    """The images of an spCalib file.

    Parameters
    ----------
    exposure : CameraExposure
        Of the per-plate files.
    reconstruction : mapping of 2D[nfiber, nrow]
        From :func:`bosscal.prediction.predict`.

    Returns
    -------
    dict of 2D[nfiber, nrow]
        By the names of :data:`IMAGES`; float32, but for LOGLAM (float64) and MASK (int32). ``CALIB`` is per *detected*
        electron, as the ``calib`` column of full spec files.
    """
    readnoise, sigma = pixel_noise(exposure)
    flat = reconstruction["flat"].astype(np.float64)
    images = {
        "CALIB": reconstruction["pipeline_calib"] * inverse(flat),
        "ADDITIVE": reconstruction["pipeline_additive"],
        "ELECTRONS": reconstruction["electrons"],
        "SKY": flat * exposure.esky,
        "EVAR": reconstruction["evar"],
        "EVARPRED": reconstruction["evar_expected"],
        "EVARSKY": reconstruction["sky_variance"],
        "READNOIS": readnoise,
        "SIGMA": sigma,
    }
    images = {name: np.asarray(image, dtype=np.float32) for name, image in images.items()}
    return images | {"LOGLAM": exposure.loglam, "MASK": exposure.mask}


def write_calib(path, exposure, reconstruction, law, release):
    """Write the spCalib file of a camera exposure.

    Parameters
    ----------
    path : path
    exposure, reconstruction
        As for :func:`calibration_images`.
    law : str
        Noise law that EVARPRED follows.
    release : str
        Release that the files are of.
    """
    facts = exposure.header
    header = fits.Header()
    header["PLATEID"] = (facts.plate, "plate number")
    header["MJD"] = (facts.mjd, "night of the observation")
    header["CAMERAS"] = (facts.camera, "camera")
    header["EXPOSURE"] = (facts.expnum, "exposure number")
    header["EXPTIME"] = (facts.exptime, "exposure time [s]")
    header["RELEASE"] = (release, "data release")
    header["VERS2D"] = (facts.vers2d, "version of idlspec2d that made the frames")
    header["NOISELAW"] = (f"{law}{SKY_SUFFIX}", "law of EVARPRED (bosscal.noise)")
    for amplifier, readnoise in enumerate(facts.readnoise):
        header[f"RDNOISE{amplifier}"] = (readnoise, "CCD read noise [electrons]")
    if facts.simulated:
        header["SIMULATD"] = (True, "SIMULATED data, no observation")
    for name, checksum in facts.inputs:
        header["HISTORY"] = f"input {name}"
        header["HISTORY"] = f"  SHA-1 {checksum}"
    images = calibration_images(exposure, reconstruction)
    hdus = [fits.PrimaryHDU(header=header)]
    for name, (unit, meaning) in IMAGES.items():
        hdu = fits.ImageHDU(images[name], name=name)
        if unit:
            hdu.header["BUNIT"] = unit
        hdu.header["COMMENT"] = meaning
        hdus.append(hdu)
    plug_map = Table(
        {
            "FIBERID": exposure.fiber,
            "OBJTYPE": exposure.objtype,
            "RA": exposure.ra,
            "DEC": exposure.dec,
            "XFOCAL": exposure.xfocal,
            "YFOCAL": exposure.yfocal,
        },
        units={"RA": "deg", "DEC": "deg", "XFOCAL": "mm", "YFOCAL": "mm"},
    )
    hdus.append(fits.BinTableHDU(plug_map, name="PLUGMAP"))
    with replacing(path) as temporary:
        fits.HDUList(hdus).writeto(temporary, overwrite=True)
