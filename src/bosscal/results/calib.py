"""The spCalib file read back: from a model flux to detected electrons with the right noise, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits
from numpy.typing import ArrayLike, NDArray

from bosscal.base.arithmetic import inverse
from bosscal.base.elementary import log, power_of_ten
from bosscal.base.errors import UserError
from bosscal.base.files import Pathlike
from bosscal.calibration.measurement import Measurement
from bosscal.noise.law import SKY_SUFFIX
from bosscal.noise.laws import PREDICTIONS, law_of
from bosscal.results.export import IMAGES
from bosscal.results.fits_table import FITS_FLUX
from bosscal.survey.coadds import COADD_STEP
from bosscal.survey.exposure import BUNDLE, Header

if TYPE_CHECKING:
    from specutils import Spectrum, SpectrumList


@dataclass(frozen=True)
class Calib:
    """A camera exposure's spCalib file.

    Attributes
    ----------
    header : Header
        With the read noises [electrons] of the CCD's quadrants in ascending order.
    law : str
        Name of the law of ``EVARPRED``, sky-subtraction term included.
    fiber : 1D[nfiber]
        Fiber numbers.
    objtype : 1D[nfiber]
    images : dict of 2D[nfiber, nrow]
        By the names of :data:`bosscal.results.export.IMAGES`.
    """

    header: Header
    law: str
    fiber: NDArray[np.integer]
    objtype: NDArray[np.str_]
    images: Mapping[str, NDArray]

    def _row(self, name: str, fiber: int) -> NDArray[np.float64]:
        return self.images[name][self._index(fiber)].astype(np.float64)

    def _index(self, fiber: int) -> int:
        found = np.flatnonzero(self.fiber == fiber)
        if len(found) != 1:
            raise UserError(f"{self.header.where}: fiber {fiber} is not in the spCalib file")
        return int(found[0])

    def wavelength(self, fiber: int) -> NDArray[np.float64]:
        """Vacuum wavelength of each row [Å], 1D[nrow]."""
        return power_of_ten(self._row("LOGLAM", fiber))

    def dispersion(self, fiber: int) -> NDArray[np.float64]:
        """Sigma of the line-spread function [Å], 1D[nrow]; 0 where it is unknown.

        What a sharp line looks like: a model flux has to be smoothed with it before it is turned into electrons.
        """
        return self._row("WAVEDISP", fiber) * COADD_STEP * log(10.0) * self.wavelength(fiber)

    def usable(self, fiber: int) -> NDArray[np.bool_]:
        """Rows with a calibration and a measured variance, 1D[nrow]."""
        return (self._row("CALIB", fiber) > 0) & (self._row("EVAR", fiber) > 0)

    def electrons(self, fiber: int, flux: ArrayLike) -> NDArray[np.float64]:
        """Detected electrons of a flux [1e-17 erg/s/cm²/Å] with the exposure's own sky, 1D[nrow]; the sky alone in rows
        that have no calibration.
        """
        object_electrons = (np.asarray(flux) - self._row("ADDITIVE", fiber)) * inverse(self._row("CALIB", fiber))
        return object_electrons + self._row("SKY", fiber)

    def flux(self, fiber: int, electrons: ArrayLike) -> NDArray[np.float64]:
        """The inverse of :meth:`electrons`; 0 in rows that have no calibration."""
        calib = self._row("CALIB", fiber)
        flux = (np.asarray(electrons) - self._row("SKY", fiber)) * calib + self._row("ADDITIVE", fiber)
        return np.where(calib > 0, flux, 0)

    def variance(self, fiber: int, electrons: ArrayLike, law: str = "") -> NDArray[np.float64]:
        """Variance of detected electrons, 1D[nrow].

        Parameters
        ----------
        fiber : int
        electrons : 1D[nrow]
            Of :meth:`electrons`.
        law : str
            Name of a prediction, e.g. "optimal_sky"; that of the file if it is left out.

        Raises
        ------
        UserError
            If there is no such law.
        """
        law = law or self.law
        if law not in PREDICTIONS:
            raise UserError(f"there is no noise law {law!r}: give one of {', '.join(PREDICTIONS)}")
        variance = law_of(law).variance(self._measurement(fiber, np.asarray(electrons, dtype=np.float64)))[0]
        return variance + (self._row("EVARSKY", fiber) if law.endswith(SKY_SUFFIX) else 0)

    def spectrum(self, fiber: int) -> Spectrum:
        """The flux that was measured, as an object of specutils, which jdaviz shows too.

        Parameters
        ----------
        fiber : int

        Returns
        -------
        specutils.Spectrum
            Of all rows, by vacuum wavelength [Å]: flux [1e-17 erg/s/cm²/Å], inverse variance without the pipeline's
            3 % floor, a mask that is true where there are no data or mask bits that are not allowed, and in ``meta``
            what is known of the fiber, with the dispersion [Å] and the SPPIXMASK bits of each row, 1D[nrow].

        Raises
        ------
        UserError
            If the fiber is not in the file, or specutils is not installed.
        """
        try:
            from specutils import Spectrum
        except ImportError as error:
            raise UserError("specutils is not installed; install it, or bosscal with its extra `spectra`") from error
        from astropy import units
        from astropy.nddata import InverseVariance

        unit, usable = units.Unit(FITS_FLUX), self.usable(fiber)
        variance = self._row("EVAR", fiber) * self._row("CALIB", fiber) ** 2
        index = self._index(fiber)
        meta = {
            "release": self.header.release, "plate": self.header.plate, "mjd": self.header.mjd, "fiber": fiber,
            "camera": self.header.camera, "exposure": self.header.expnum, "simulated": self.header.simulated,
            "objtype": str(self.objtype[index]), "dispersion": self.dispersion(fiber) * units.Angstrom,
            "mask_bits": self.images["MASK"][index],
        }  # fmt: skip
        return Spectrum(
            flux=self.flux(fiber, self._row("ELECTRONS", fiber)) * unit,
            spectral_axis=self.wavelength(fiber) * units.Angstrom,
            uncertainty=InverseVariance(np.where(usable, inverse(variance), 0) / unit**2),
            mask=~usable,
            meta=meta,
        )

    def spectra(self, fibers: Iterable[int] | None = None) -> SpectrumList:
        """:meth:`spectrum` of some fibers, or of all, as a ``specutils.SpectrumList``."""
        found = [self.spectrum(int(fiber)) for fiber in (self.fiber if fibers is None else fibers)]
        from specutils import SpectrumList

        return SpectrumList(found)

    def _measurement(self, fiber: int, electrons: NDArray[np.float64]) -> Measurement:
        """What a law asks for, had these electrons been detected: 2D[1, nrow]."""
        one = slice(self._index(fiber), self._index(fiber) + 1)
        bundle = (self.fiber - 1) // BUNDLE == (fiber - 1) // BUNDLE
        light = np.maximum(self.images["ELECTRONS"][bundle & (self.fiber != fiber)], 0, dtype=np.float64)
        sky = self.images["SKY"][one].astype(np.float64)
        usable = self.usable(fiber)[np.newaxis]
        return Measurement(
            header=self.header,
            fiber=self.fiber[one],
            objtype=self.objtype[one],
            row=np.arange(len(electrons)),
            electrons=electrons[np.newaxis],
            object_electrons=electrons[np.newaxis] - sky,
            sky_electrons=sky,
            variance=self.images["EVAR"][one],
            flux_variance=self.images["EVAR"][one].astype(np.float64),
            flat=np.ones((1, 1)),
            quadrant=np.searchsorted(self.header.readnoise, self.images["READNOIS"][one]),
            sigma=self.images["SIGMA"][one].astype(np.float64),
            neighbor_electrons=light.sum(axis=0, keepdims=True) / max(len(light), 1),
            good=usable,
            good_electrons=usable,
            compared=usable,
        )


def read_positions(path: Pathlike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Right ascension and declination of the fibers of an spCalib file [deg], two 1D[nfiber]; its images are not read.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    try:
        with fits.open(path) as hdus:
            table = hdus["PLUGMAP"].data
            return table["RA"].astype(np.float64), table["DEC"].astype(np.float64)
    except (OSError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read ({error}): delete it and run again") from error


def read_calib(path: Pathlike) -> Calib:
    """Read an spCalib file.

    Raises
    ------
    UserError
        If it is none, or damaged.
    """
    try:
        with fits.open(path, memmap=False) as hdus:
            facts = hdus[0].header
            images = {name: np.asarray(hdus[name].data) for name in IMAGES}
            plug_map = hdus["PLUGMAP"].data
            fiber, objtype = np.asarray(plug_map["FIBERID"]), np.asarray(plug_map["OBJTYPE"])
            law = str(facts["NOISELAW"])
            header = Header(
                release=facts["RELEASE"], plate=facts["PLATEID"], mjd=facts["MJD"], camera=facts["CAMERAS"],
                expnum=facts["EXPOSURE"], products="frames", simulated=bool(facts.get("SIMULATD", False)),
                readnoise=tuple(np.unique(images["READNOIS"]).tolist()), exptime=facts["EXPTIME"], xsigma=None,
                skychi2=None, vers2d=facts["VERS2D"], inputs=(),
            )  # fmt: skip
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: is no spCalib file ({' '.join(str(error).split())}); give one of results/calib/"
        ) from error
    return Calib(header, law, fiber, objtype, images)
