"""Predicted against actual: a table with a row per fiber, and the summary with a row per target."""

import numpy as np
from astropy.table import MaskedColumn, Table, vstack

from bosscal.errors import UserError

CALIB_UNIT = "1e-17 erg / (Angstrom cm2 s electron)"

# name: (unit, description) of every column, in the order in which tables show them
COLUMNS = {
    "plate": ("", "plate number"),
    "mjd": ("", "night of the observation (MJD)"),
    "fiber": ("", "fiber number, 1-1000"),
    "band": ("", "blue or red"),
    "camera": ("", "camera: b1, b2, r1 or r2"),
    "expidx": ("", "sequence number of the science exposure in the coadd, from 0"),
    "expnum": ("", "exposure number"),
    "objtype": ("", "OBJTYPE of the plug map"),
    "products": ("", "frames: from the per-plate files; spec: from a full spec file"),
    "simulated": ("", "whether the data are simulated"),
    "rdnoise0": ("electron", "read noise per pixel of amplifier 0 (RDNOISE0)"),
    "rdnoise1": ("electron", "read noise per pixel of amplifier 1 (RDNOISE1)"),
    "rdnoise2": ("electron", "read noise per pixel of amplifier 2 (RDNOISE2)"),
    "rdnoise3": ("electron", "read noise per pixel of amplifier 3 (RDNOISE3)"),
    "npix": ("", "pixels compared: unmasked, with an applied calibration > 0"),
    "tutorial_max_absdiff": (CALIB_UNIT, "largest |a - b| of the applied and the tutorial's predicted calibration"),
    "tutorial_max_reldiff": (
        "",
        "largest |a - b| / |a + b| of the same, the tutorial's definition: half of the usual relative difference",
    ),
    "evar_ratio_median": ("", "median of measured over predicted electron variance, by the tutorial's law"),
}
# the columns that only a target, not a fiber of a camera exposure, has
TARGET_COLUMNS = ("band", "expidx")


def row_maximum(values, where):
    """Largest value of each row among the pixels ``where``; masked where there is none. 1D[nfiber]."""
    largest = np.max(values, axis=1, where=where, initial=-np.inf)
    return np.ma.masked_array(np.where(np.isfinite(largest), largest, 0), ~where.any(axis=1))


def row_median(values, where):
    """Median of each row among the pixels ``where``; masked where there is none. 1D[nfiber]."""
    result = np.ma.masked_all(len(values), dtype=np.float64)
    used = where.any(axis=1)
    if used.any():
        result[used] = np.nanmedian(np.where(where[used], values[used], np.nan), axis=1)
    return result


def safe_ratio(numerator, denominator):
    """numerator/denominator, and 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros(denominator.shape), where=denominator != 0)


def compare_fibers(exposure, reconstruction):
    """One row per fiber of a camera exposure.

    Parameters
    ----------
    exposure : CameraExposure
    reconstruction : mapping of 2D[nfiber, nrow]
        From :func:`bosscal.tutorial.reconstruct`.

    Returns
    -------
    astropy.table.Table
        The columns of :data:`COLUMNS` except those of a target; what cannot be computed is masked.
    """
    header = exposure.header
    nfiber = len(exposure.fiber)
    compared = reconstruction["compared"]
    values = {
        "plate": np.full(nfiber, header.plate),
        "mjd": np.full(nfiber, header.mjd),
        "fiber": exposure.fiber,
        "camera": np.full(nfiber, header.camera),
        "expnum": np.full(nfiber, header.expnum),
        "objtype": exposure.objtype,
        "products": np.full(nfiber, header.products),
        "simulated": np.full(nfiber, header.simulated),
        "npix": compared.sum(axis=1),
    }
    for amplifier, readnoise in enumerate(header.readnoise):
        values[f"rdnoise{amplifier}"] = np.full(nfiber, readnoise)
    if header.products == "frames":
        applied, predicted = reconstruction["calib_applied"], reconstruction["calib_predicted"]
        absdiff = np.abs(applied - predicted)
        values["tutorial_max_absdiff"] = row_maximum(absdiff, compared)
        values["tutorial_max_reldiff"] = row_maximum(safe_ratio(absdiff, np.abs(applied + predicted)), compared)
    else:  # a spec file has the applied calibration, but none of its components
        values["tutorial_max_absdiff"] = values["tutorial_max_reldiff"] = np.ma.masked_all(nfiber)
    evar, evar_pred = reconstruction["evar"], reconstruction["evar_pred"]
    values["evar_ratio_median"] = row_median(safe_ratio(evar, evar_pred), compared)
    return _table(values, [name for name in COLUMNS if name not in TARGET_COLUMNS])


def _table(values, names):
    """A table of the named columns with their units and descriptions."""
    table = Table(masked=True)
    for name in names:
        unit, description = COLUMNS[name]
        table[name] = MaskedColumn(values[name], unit=unit or None, description=description)
    return table


def summarize(targets, tables):
    """One row per target, in the order of the targets.

    Parameters
    ----------
    targets : sequence of Target
    tables : mapping of (plate_mjd, unit) to astropy.table.Table
        The tables of :func:`compare_fibers` that the targets are in.

    Returns
    -------
    astropy.table.Table
        All of :data:`COLUMNS`.

    Raises
    ------
    UserError
        If a target's fiber is not in the files of its camera exposure.
    """
    rows = []
    for target in targets:
        table = tables[target.plate_mjd, target.unit]
        found = np.flatnonzero(table["fiber"] == target.fiber)
        if len(found) != 1:
            raise UserError(f"{target.name}: fiber {target.fiber} is not in the plug map of {target.unit}")
        rows.append(table[found])
    stacked = vstack(rows, metadata_conflicts="silent")
    values = {name: stacked[name] for name in stacked.colnames}
    for name in TARGET_COLUMNS:
        values[name] = [getattr(target, name) for target in targets]
    return _table(values, COLUMNS)
