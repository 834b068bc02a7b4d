"""Predicted against actual: a table with a row per fiber, and the summary with a row per target."""

import numpy as np
from astropy.table import vstack

from bosscal import noise_fit
from bosscal.errors import UserError
from bosscal.pipeline import APODIZED_ROWS
from bosscal.statistics import reldiff, row_maximum, row_median, safe_ratio
from bosscal.tables import IDENTITY, build_table
from bosscal.variance import (
    LABELS,
    PREDICTIONS,
    SKY_SUFFIX,
    extraction_variance,
    flux_variance,
    object_electrons,
    predict_variances,
)

CALIB_UNIT = "1e-17 erg / (Angstrom cm2 s electron)"

# name: (unit, description) of every column, in the order in which tables show them
COLUMNS = {
    "plate": IDENTITY["plate"],
    "mjd": IDENTITY["mjd"],
    "fiber": IDENTITY["fiber"],
    "band": ("", "blue or red"),
    "camera": IDENTITY["camera"],
    "expidx": ("", "sequence number of the science exposure in the coadd, from 0"),
    "expnum": IDENTITY["expnum"],
    "objtype": IDENTITY["objtype"],
    "products": ("", "frames: from the per-plate files; spec: from a full spec file"),
    "simulated": IDENTITY["simulated"],
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
    "npix_nodata": ("", "pixels left out: no inverse variance"),
    "npix_masked": ("", "pixels left out: a mask bit is set"),
    "npix_uncalibrated": (
        "",
        "pixels left out: no applied calibration > 0, for eflux is unusable or of the other sign",
    ),
    "pipeline_max_reldiff": (
        "",
        "largest |a - b| / |a + b| of the applied and the exact model's calibration (additive term included)",
    ),
    "flux_max_reldiff": ("", "largest relative difference of the exact model's flux, over pixels with ivar > 0"),
    "ivar_max_reldiff": ("", "largest relative difference of the exact model's ivar, over pixels with ivar > 0"),
    "npix_ivar": ("", "pixels with ivar > 0"),
    "noise_law": ("", "noise law expected of the release, with sky-subtraction term"),
    "noise_best": ("", "law whose prediction comes closest to the measured variance"),
    "noise_ratio_median": ("", "median of measured over predicted electron variance, by the expected law"),
    "noise_ratio_scatter": ("", "robust scatter (1.4826 MAD) of the same"),
    "noise_ratio_measured_order": ("", "median of the same with quadrants in the order in which RDNOISE is measured"),
    **{
        f"{statistic}_{prediction}": (
            "",
            f"{meaning} of measured over predicted electron variance: {LABELS[prediction.removesuffix(SKY_SUFFIX)]}"
            f"{' with sky-subtraction term' if prediction.endswith(SKY_SUFFIX) else ''}",
        )
        for prediction in PREDICTIONS
        for statistic, meaning in (("ratio", "median"), ("scatter", "robust scatter"))
    },
    "fit_a": ("electron", "fit Var = a N + (b object)² + c to the flux's variance: a, electrons² per electron"),
    "fit_a_error": ("electron", "1-sigma uncertainty of fit_a"),
    "fit_b": ("", "the same fit: b, the error floor as a fraction"),
    "fit_b_error": ("", "1-sigma uncertainty of fit_b"),
    "fit_c": ("electron2", "the same fit: c"),
    "fit_c_error": ("electron2", "1-sigma uncertainty of fit_c"),
    "fit_scatter": ("", "robust relative scatter of the variance about the fit"),
}
# the columns that only a target, not a fiber of a camera exposure, has
TARGET_COLUMNS = ("band", "expidx")


def compare_fibers(exposure, reconstruction, law):
    """One row per fiber of a camera exposure.

    Parameters
    ----------
    exposure : CameraExposure
    reconstruction : mapping of 2D[nfiber, nrow]
        From :func:`bosscal.prediction.predict`.
    law : str
        Noise law that the release is expected to follow.

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
    unmasked = reconstruction["good"]
    values["npix_nodata"] = (exposure.ivar <= 0).sum(axis=1)
    values["npix_masked"] = ((exposure.ivar > 0) & ~unmasked).sum(axis=1)
    values["npix_uncalibrated"] = (unmasked & ~compared).sum(axis=1)
    values["npix_ivar"] = (exposure.ivar > 0).sum(axis=1)
    values["evar_ratio_median"] = row_median(safe_ratio(reconstruction["evar"], reconstruction["evar_pred"]), compared)
    values |= _calibration_columns(exposure, reconstruction)
    values |= _noise_columns(exposure, reconstruction, law)
    return build_table(values, {name: COLUMNS[name] for name in COLUMNS if name not in TARGET_COLUMNS})


def _calibration_columns(exposure, reconstruction):
    """How well the tutorial and the exact model reproduce what was applied."""
    if exposure.header.products != "frames":  # a spec file has the applied calibration, but none of its components
        names = (
            "tutorial_max_absdiff",
            "tutorial_max_reldiff",
            "pipeline_max_reldiff",
            "flux_max_reldiff",
            "ivar_max_reldiff",
        )
        return {name: np.ma.masked_all(len(exposure.fiber)) for name in names}
    compared = reconstruction["compared"]
    applied, predicted = reconstruction["calib_applied"], reconstruction["calib_predicted"]
    flux, flux_predicted = exposure.flux.astype(np.float64), reconstruction["pipeline_flux"].astype(np.float64)
    ivar, ivar_predicted = exposure.ivar.astype(np.float64), reconstruction["pipeline_ivar"].astype(np.float64)
    with_data = exposure.ivar > 0
    return {
        "tutorial_max_absdiff": row_maximum(np.abs(applied - predicted), compared),
        "tutorial_max_reldiff": row_maximum(reldiff(applied, predicted), compared),
        # Both calibrations are flux over the same eflux, so their reldiff is that of the two fluxes.
        "pipeline_max_reldiff": row_maximum(reldiff(flux, flux_predicted), compared),
        "flux_max_reldiff": row_maximum(safe_ratio(np.abs(flux - flux_predicted), np.abs(flux)), with_data),
        "ivar_max_reldiff": row_maximum(safe_ratio(np.abs(ivar - ivar_predicted), ivar), with_data),
    }


def _noise_columns(exposure, reconstruction, law):
    """How well every noise law predicts the measured variance, and a free fit."""
    measured = extraction_variance(exposure, reconstruction)
    valid = reconstruction["compared"] & (measured > 0)
    comparisons = {
        name: noise_fit.compare(measured, predicted, valid)
        for name, predicted in predict_variances(exposure, reconstruction).items()
    }
    values = {"noise_best": noise_fit.best(comparisons), "noise_law": np.full(len(exposure.fiber), law)}
    for name, comparison in comparisons.items():
        values |= {f"ratio_{name}": comparison.median, f"scatter_{name}": comparison.scatter}
    expected = comparisons[f"{law}{SKY_SUFFIX}"]
    values |= {"noise_ratio_median": expected.median, "noise_ratio_scatter": expected.scatter}
    other_order = predict_variances(exposure, reconstruction, order="measured", laws=[law])
    other = noise_fit.compare(measured, other_order[f"{law}{SKY_SUFFIX}"], valid)
    values["noise_ratio_measured_order"] = other.median
    # The fit looks for the 3 % floor, so it is of the flux's variance; the apodized rows say nothing about it.
    fit = noise_fit.fit_variance(
        flux_variance(exposure, reconstruction),
        reconstruction["electrons"],
        object_electrons(exposure),
        valid & (exposure.row >= APODIZED_ROWS),
    )
    return values | {f"fit_{name}": value for name, value in vars(fit).items()}


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
    keys = list(tables)
    offsets = dict(zip(keys, np.cumsum([0, *(len(tables[key]) for key in keys)]), strict=False))
    places = {key: {int(fiber): place for place, fiber in enumerate(tables[key]["fiber"])} for key in keys}
    index = []
    for target in targets:
        key = (target.plate_mjd, target.unit)
        if target.fiber not in places[key]:
            raise UserError(f"{target.name}: fiber {target.fiber} is not in the plug map of {target.unit}")
        index.append(offsets[key] + places[key][target.fiber])
    stacked = vstack([tables[key] for key in keys], metadata_conflicts="silent")[index]
    values = {name: stacked[name] for name in stacked.colnames}
    for name in TARGET_COLUMNS:
        values[name] = [getattr(target, name) for target in targets]
    return build_table(values, COLUMNS)
