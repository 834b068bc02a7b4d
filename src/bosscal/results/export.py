"""The spCalib file: what others need to turn a model flux into detected electrons with the right noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from bosscal.base.arithmetic import inverse
from bosscal.base.files import Pathlike, replacing
from bosscal.calibration.measurement import measure
from bosscal.noise.law import SKY_SUFFIX
from bosscal.noise.laws import LAWS
from bosscal.results.fits_table import FITS_FLUX, described_table
from bosscal.results.prediction import Prediction
from bosscal.survey.exposure import BUNDLE, FrameExposure

# name of the HDU: (BUNIT, meaning), in the order of the file; all 2D[nfiber, nrow]
IMAGES = {
    "LOGLAM": ("dex(Angstrom)", "log10 of the vacuum wavelength, in steps of 4e-9"),
    "CALIB": (f"{FITS_FLUX} electron-1", "flux per detected electron; 0: none"),
    "ADDITIVE": (FITS_FLUX, "flux without electrons: flux = N_object CALIB + this"),
    "ELECTRONS": ("electron", "detected electrons per row, sky included"),
    "SKY": ("electron", "detected electrons of the sky that was subtracted"),
    "EVAR": ("electron2", "measured variance of the electrons; 0: no data"),
    "EVARPRED": ("electron2", "variance predicted by the law NOISELAW"),
    "EVARSKY": ("electron2", "its sky-subtraction term"),
    "READNOIS": ("electron", "read noise per CCD pixel"),
    "SIGMA": ("pixel", "spatial width of the profile"),
    "WAVEDISP": ("", "sigma of a line in 1e-4 dex of wavelength; 0: unknown"),
    "MASK": ("", "SPPIXMASK bits of the flux"),
}


# column of PLUGMAP: (FITS format, unit, meaning)
PLUG_MAP = {
    "FIBERID": ("J", "", "fiber number, 1-1000"),
    "OBJTYPE": ("16A", "", "OBJTYPE of the plug map"),
    "RA": ("D", "deg", "right ascension of the target"),
    "DEC": ("D", "deg", "declination of the target"),
    "XFOCAL": ("D", "mm", "XFOCAL of the plug map; NaN where unknown"),
    "YFOCAL": ("D", "mm", "YFOCAL of the plug map; NaN where unknown"),
}


class Packing(NamedTuple):
    """How an image is compressed: by which algorithm, and in whole numbers of which step and type, if in any."""

    algorithm: str
    step: float | None = None  # readers of FITS scale by it (BSCALE)
    dtype: str = ""


# Images of few different values, of none, or of smooth ones: whole numbers are quickest by Rice. The dispersion is
# known to a hundredth at best, and wavelengths to a km/s; a step of theirs is 3 m/s.
COMPRESSED = {
    "LOGLAM": Packing("RICE_1", 4e-9, ">i4"),
    "ADDITIVE": Packing("GZIP_1"),
    "READNOIS": Packing("GZIP_1"),
    "WAVEDISP": Packing("RICE_1", 1 / 1024, ">i2"),
    "MASK": Packing("RICE_1"),
}
WIDEST = 30  # bins of 1e-4 dex: no line is wider, and what a dead fiber's trace set tells of one is nothing
GZIP_TIME = 4  # where a stream of gzip has its time, four bytes


def calibration_images(exposure: FrameExposure, prediction: Prediction) -> dict[str, NDArray]:
    """The images of an spCalib file.

    Parameters
    ----------
    exposure : FrameExposure
    prediction : Prediction

    Returns
    -------
    dict of 2D[nfiber, nrow]
        By the names of :data:`IMAGES`; float32, but for LOGLAM (float64) and MASK (int32). ``CALIB`` is per *detected*
        electron, as the ``calib`` column of full spec files.
    """
    shape, law = exposure.flux.shape, LAWS[prediction.header.noise_law]
    images: dict[str, NDArray] = {name: np.zeros(shape, dtype=">f4") for name in IMAGES}
    images |= {"LOGLAM": np.empty(shape, dtype=">f8"), "MASK": exposure.mask.astype(">i4")}
    images["EVARSKY"][:] = prediction.sky_variance
    if prediction.additive is not None:
        images["ADDITIVE"][:] = prediction.additive
    for places in exposure.bundles():
        bundle = exposure.take(places)
        measurement = measure(bundle, prediction.calib[places], prediction.header.mask_allow)
        images["LOGLAM"][places] = _in_steps("LOGLAM", bundle.loglam)
        images["CALIB"][places] = prediction.calib[places] * inverse(measurement.flat)
        images["ELECTRONS"][places] = measurement.electrons
        images["SKY"][places] = measurement.sky_electrons
        images["EVAR"][places] = measurement.variance
        images["EVARPRED"][places] = law.variance(measurement) + prediction.sky_variance[places]
        images["READNOIS"][places] = measurement.readnoise
        images["SIGMA"][places] = measurement.sigma
        dispersion = bundle.dispersion
        known = (dispersion > 0) & (dispersion < WIDEST)
        images["WAVEDISP"][places] = np.where(known, _in_steps("WAVEDISP", dispersion), 0)
    return images


def _in_steps(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of an image as they will be stored: a whole number of steps."""
    step = COMPRESSED[name].step or 1
    return np.round(values / step) * step


def write_calib(path: Pathlike, exposure: FrameExposure, prediction: Prediction) -> None:
    """Write the spCalib file of a camera exposure.

    Parameters
    ----------
    path : path
    exposure, prediction
        As for :func:`calibration_images`.
    """
    facts = exposure.header
    header = fits.Header()
    header["PLATEID"] = (facts.plate, "plate number")
    header["MJD"] = (facts.mjd, "night of the observation")
    header["CAMERAS"] = (facts.camera, "camera")
    header["EXPOSURE"] = (facts.expnum, "exposure number")
    header["EXPTIME"] = (facts.exptime, "exposure time [s]")
    header["RELEASE"] = (facts.release, "data release")
    header["VERS2D"] = (facts.vers2d, "version of idlspec2d that made the frames")
    header["NOISELAW"] = (f"{prediction.header.noise_law}{SKY_SUFFIX}", "law of EVARPRED (bosscal.noise.laws)")
    for amplifier, readnoise in enumerate(facts.readnoise):
        header[f"RDNOISE{amplifier}"] = (readnoise, "CCD read noise [electrons]")
    if facts.simulated:
        header["SIMULATD"] = (True, "SIMULATED data, no observation")
    for name, checksum in facts.inputs:
        header["HISTORY"] = f"input {name}"
        header["HISTORY"] = f"  SHA-1 {checksum}"
    images = calibration_images(exposure, prediction)
    hdus = [fits.PrimaryHDU(header=header)]
    for name, (unit, meaning) in IMAGES.items():
        hdu = _image(name, images[name])
        if unit:
            hdu.header["BUNIT"] = unit
        hdu.header["COMMENT"] = meaning
        hdus.append(hdu)
    hdus.append(_plug_map(exposure))
    with replacing(path) as temporary:
        fits.HDUList(hdus).writeto(temporary, overwrite=True)
        _forget_times(temporary)


def _forget_times(path: Pathlike) -> None:
    """Put 0 for the time that gzip notes in every tile of a compressed image: the same content is the same bytes."""
    with fits.open(path, disable_image_compression=True) as hdus:
        tables = [
            (hdu.fileinfo()["datLoc"], hdu.header["NAXIS2"])
            for hdu in hdus
            if hdu.header.get("ZCMPTYPE", "").startswith("GZIP")
        ]
    with open(path, "r+b") as stream:
        for begin, tiles in tables:
            stream.seek(begin)
            # a row for each tile: its length, and where it begins behind the rows
            places = np.frombuffer(stream.read(8 * tiles), dtype=">i4")[1::2]
            for place in places.tolist():
                stream.seek(begin + 8 * tiles + place + GZIP_TIME)
                stream.write(bytes(4))


def _image(name: str, image: NDArray) -> fits.ImageHDU | fits.CompImageHDU:
    """An image, compressed if :data:`COMPRESSED` says so, which every reader of FITS unpacks."""
    if name not in COMPRESSED:
        return fits.ImageHDU(image, name=name)
    algorithm, step, dtype = COMPRESSED[name]
    if step:
        image = np.round(image / step).astype(dtype)
    tiles = {"tile_shape": (min(BUNDLE, len(image)), image.shape[1]), "quantize_level": 0}
    hdu = fits.CompImageHDU(image, name=name, compression_type=algorithm, **tiles)
    if step:
        hdu.header["BSCALE"] = step
    return hdu


def _plug_map(exposure: FrameExposure) -> fits.BinTableHDU:
    """Who is at the end of each fiber, and where."""
    return described_table(
        PLUG_MAP,
        {name: exposure.fiber if name == "FIBERID" else getattr(exposure, name.lower()) for name in PLUG_MAP},
        "PLUGMAP",
    )
