"""The error budget of the tutorial: what each of its approximations costs when it is the only one.

Sizes are the tutorial's own reldiff, |a - b| / |a + b|, half of the usual relative difference. It does not change
when a and b are both inverted or multiplied by the same factor. So an approximation of one factor of the
calibration is compared by that factor alone, bin sizes stand for their inverse, and inverse variances for
variances, where 0 is no data and not infinity.

Some differences between notebook and pipeline are not in the budget. The notebook looks up the flux distortion of
fiber f in row (f - 1) mod 500 of a map of 1000 rows, another fiber's for f > 500: a container has only the rows of
its own fibers, so what that costs cannot be told from it. The pipeline's thresholds, which the notebook lacks, set
the calibration to 0, and such pixels are not compared. The additive term B, which the notebook lacks, is 0 in every
release.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bosscal.base.arithmetic import interpolate_rows, inverse, reldiff
from bosscal.base.elementary import power_of_ten
from bosscal.base.statistics import row_maximum, row_median
from bosscal.base.tables import IDENTITY, build_table
from bosscal.calibration import pipeline
from bosscal.calibration.tutorial import Reconstruction, reconstruct
from bosscal.survey.exposure import CameraExposure, FrameExposure
from bosscal.survey.grid import coadd_loglam
from bosscal.survey.tracesets import bin_size

if TYPE_CHECKING:
    from astropy.table import Table


Pair = tuple[NDArray, NDArray]


class Model:
    """The exact pipeline model of a camera exposure, each part computed when it is first needed.

    Parameters
    ----------
    exposure : FrameExposure

    Raises
    ------
    ValueError
        If the exposure is of a full spec file, which has no calibration components.
    """

    def __init__(self, exposure: CameraExposure) -> None:
        if not isinstance(exposure, FrameExposure):
            raise ValueError("an error budget needs the calibration components, which a spec file lacks")
        self.exposure = exposure

    @cached_property
    def delta(self) -> NDArray[np.float64]:
        """Bin size in units of the coadd grid's, 2D[nfiber, nrow]."""
        return bin_size(self.exposure.trace_set("wave"), self.exposure.row, self.exposure.distort_grid[2])

    @cached_property
    def gradient(self) -> NDArray[np.float64]:
        """Bin size the notebook's way, by np.gradient, but in float64, 2D[nfiber, nrow]."""
        return np.gradient(self.exposure.loglam, axis=1) / self.exposure.distort_grid[2]

    @cached_property
    def inv_distort(self) -> NDArray[np.float64]:
        """Inverse flux distortion 1/D, 2D[nfiber, nrow]."""
        return pipeline.inverse_distortion(self.exposure.distort, self.exposure.distort_grid, self.exposure.loglam)

    @cached_property
    def calibrated(self) -> pipeline.Calibrated:
        """All steps together: :class:`bosscal.calibration.pipeline.Calibrated`."""
        return pipeline.calibrate_exposure(self.exposure)

    @cached_property
    def notebook(self) -> Reconstruction:
        """The notebook's arithmetic (:func:`bosscal.calibration.tutorial.reconstruct`), with no pixel masked."""
        return reconstruct(self.exposure, allowed_bits=-1)


def _derivative(model: Model) -> Pair:
    return model.gradient, model.delta


def _float32(model: Model) -> Pair:
    return inverse(model.notebook.bin_ratio), model.gradient


def _grid_offset(model: Model) -> Pair:
    crval1, crpix1, cd1_1 = model.exposure.distort_grid
    # Counting the grid's points from 0 is the same as a reference pixel one higher.
    shifted = (crval1, crpix1 + 1, cd1_1)
    return pipeline.inverse_distortion(model.exposure.distort, shifted, model.exposure.loglam), model.inv_distort


def _interpolation(model: Model) -> Pair:
    distort = model.exposure.distort
    points = np.arange(distort.shape[1])
    wave_coadd = power_of_ten(coadd_loglam(points, model.exposure.distort_grid))
    position = np.interp(power_of_ten(model.exposure.loglam), wave_coadd, points)
    return inverse(interpolate_rows(position, distort)), model.inv_distort


def _position_correction(model: Model) -> Pair:
    return np.ones(1), np.ones(1) if model.exposure.thrucorr is None else model.exposure.thrucorr.astype(np.float64)


def _calibration(model: Model) -> Pair:
    return model.notebook.calib_predicted, model.calibrated.calib


def _error_floor(model: Model) -> Pair:
    # T scales the electrons and their floor alike, so it drops out.
    eflux, eivar = model.exposure.eflux, model.exposure.eivar
    return eivar, pipeline.add_error_floor(eflux, eivar)


def _apodization(model: Model) -> Pair:
    unit = np.ones((1, len(model.exposure.row)))
    return unit, pipeline.apodize(unit)


def _variance(model: Model) -> Pair:
    return model.notebook.var_pred, inverse(model.calibrated.ivar)


@dataclass(frozen=True)
class Approximation:
    """One simplification of the notebook.

    Attributes
    ----------
    quantity : {"calibration", "variance"}
        What it concerns: the calibration vector flux/eflux, or the variance of the flux.
    label : str
        A few words for a legend.
    notebook, pipeline : str
        What each of the two does.
    pair : callable
        From a :class:`Model` to the notebook's and the pipeline's values, which broadcast to
        2D[nfiber, nrow]: the quantity, its inverse, or the factor of it that differs.
    """

    quantity: str
    label: str
    notebook: str
    pipeline: str
    pair: Callable[[Model], Pair]


APPROXIMATIONS = {
    "derivative": Approximation(
        "calibration",
        "derivative by gradient",
        "bin size by np.gradient of loglam: half the difference over two rows (here in float64)",
        "difference of the trace set over the row itself, ±1/2 row, jump included",
        _derivative,
    ),
    "float32": Approximation(
        "calibration",
        "float32 wavelength",
        "wavelength, its log10 and its gradient in float32",
        "float64 (here of the same gradient: over ±1/2 row the rounding would be twice the notebook's)",
        _float32,
    ),
    "grid_offset": Approximation(
        "calibration",
        "distortion grid offset",
        "point k, from 0, of the distortion's grid at CRVAL1 + (k - CRPIX1) CD1_1",
        "at CRVAL1 + (k + 1 - CRPIX1) CD1_1",
        _grid_offset,
    ),
    "interpolation": Approximation(
        "calibration",
        "interpolation of D",
        "D linear in wavelength between the grid's points, constant beyond them",
        "1/D linear in loglam, beyond the grid's ends too",
        _interpolation,
    ),
    "position_correction": Approximation(
        "calibration",
        "no position correction",
        "electrons as they are",
        "times the chromatic fiber-position correction T, in releases after DR12",
        _position_correction,
    ),
    "calibration": Approximation(
        "calibration",
        "all together",
        "A D R / spcalib with all of the above",
        "flux/eflux",
        _calibration,
    ),
    "error_floor": Approximation(
        "variance",
        "no 3 % error floor",
        "variance of eflux as it is",
        "plus (0.03 max(eflux, 0))²",
        _error_floor,
    ),
    "apodization": Approximation(
        "variance",
        "no apodization",
        "all rows alike",
        "inverse variance of rows i < 100 times i/100",
        _apodization,
    ),
    "variance": Approximation(
        "variance",
        "all together",
        "(flux/eflux)² times the variance of eflux",
        "all steps",
        _variance,
    ),
}


def effects(exposure: CameraExposure, selected: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """What each approximation costs, alone against the exact pipeline model.

    Parameters
    ----------
    exposure : CameraExposure
        Of the per-plate files.
    selected : 2D[nfiber, nrow] of bool
        Pixels to compare, as ``compared`` of :class:`bosscal.calibration.measurement.Measurement`; they need eflux and
        spcalib other than 0.

    Returns
    -------
    dict of 2D[nfiber, nrow]
        reldiff, by the names of :data:`APPROXIMATIONS`; NaN where a pixel is not selected.

    Raises
    ------
    ValueError
        If the exposure is of a full spec file.
    """
    model = Model(exposure)
    return {
        name: np.where(selected, reldiff(*approximation.pair(model)), np.nan)
        for name, approximation in APPROXIMATIONS.items()
    }


# name: (unit, description)
COLUMNS = {
    "release": IDENTITY["release"],
    "plate": IDENTITY["plate"],
    "mjd": IDENTITY["mjd"],
    "fiber": IDENTITY["fiber"],
    "camera": IDENTITY["camera"],
    "expnum": IDENTITY["expnum"],
    "simulated": IDENTITY["simulated"],
    "approximation": ("", "what the notebook does differently; 'calibration' and 'variance' are all of it together"),
    "quantity": ("", "what it concerns: the calibration flux/eflux, or the variance of flux"),
    "max_reldiff": ("", "largest |a - b| / |a + b| of notebook and pipeline: half of the usual relative difference"),
    "median_reldiff": ("", "median of the same over the compared pixels"),
    "wavelength": ("Angstrom", "vacuum wavelength of the largest; masked if nothing differs"),
    "row": ("pixel", "CCD row of the largest, 0-based; masked if nothing differs"),
    "npix": ("", "pixels compared"),
}


def budget_table(exposure: CameraExposure, reldiffs: Mapping[str, NDArray], fiber: int) -> Table:
    """The error budget of one fiber of a camera exposure, one row per approximation.

    Parameters
    ----------
    exposure : CameraExposure
    reldiffs : mapping of 2D[nfiber, nrow]
        From :func:`effects`.
    fiber : int
        Fiber number, 1-1000.

    Returns
    -------
    astropy.table.Table
        The columns of :data:`COLUMNS`; effects are masked where no pixel is compared.
    """
    index = int(np.flatnonzero(exposure.fiber == fiber)[0])
    values = np.stack([reldiffs[name][index] for name in APPROXIMATIONS])
    compared = ~np.isnan(values)
    largest = row_maximum(values, compared)
    place = np.argmax(np.nan_to_num(values), axis=1)
    nowhere = ~(largest.filled(0) > 0)
    header, number = exposure.header, len(APPROXIMATIONS)
    columns: dict[str, Any] = {
        name: [getattr(header, name)] * number for name in ("release", "plate", "mjd", "camera", "expnum", "simulated")
    }
    columns |= {
        "fiber": [fiber] * number,
        "approximation": list(APPROXIMATIONS),
        "quantity": [approximation.quantity for approximation in APPROXIMATIONS.values()],
        "max_reldiff": largest,
        "median_reldiff": row_median(values, compared),
        "wavelength": np.ma.masked_array(power_of_ten(exposure.loglam[index, place]), nowhere),
        "row": np.ma.masked_array(exposure.row[place], nowhere),
        "npix": compared.sum(axis=1),
    }
    return build_table(columns, COLUMNS)
