"""Predicted against actual: a table with a row per fiber, and the summary with a row per target."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bosscal.base.arithmetic import reldiff, safe_ratio
from bosscal.base.files import Pathlike
from bosscal.base.statistics import row_maximum, row_median
from bosscal.base.tables import IDENTITY, build_table, read_meta
from bosscal.calibration.measurement import Measurement, measure
from bosscal.calibration.pipeline import APODIZED_ROWS
from bosscal.calibration.tutorial import reconstruct
from bosscal.noise import fit
from bosscal.noise.law import SKY_SUFFIX
from bosscal.noise.laws import LAWS, PREDICTIONS, label_of
from bosscal.results.prediction import Prediction, has_sky
from bosscal.survey.exposure import CameraExposure, FrameExposure, Header
from bosscal.survey.grid import grid_position
from bosscal.survey.targets import Target

if TYPE_CHECKING:
    from astropy.table import Table

OF_EXPOSURE = "exposure"  # what a table's meta data call the header of its camera exposure

CALIB_UNIT = "1e-17 erg / (Angstrom cm2 s electron)"

# name: (unit, description) of every column, in the order in which tables show them
COLUMNS = {
    "release": IDENTITY["release"],
    "plate": IDENTITY["plate"],
    "mjd": IDENTITY["mjd"],
    "fiber": IDENTITY["fiber"],
    "band": ("", "blue or red"),
    "camera": IDENTITY["camera"],
    "expidx": ("", "sequence number of the science exposure in the coadd, from 0"),
    "expnum": IDENTITY["expnum"],
    "objtype": IDENTITY["objtype"],
    "lambda_eff": ("Angstrom", "wavelength that the fiber is placed for (LAMBDA_EFF)"),
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
    "npix_nonfinite": (
        "",
        "pixels that lost their inverse variance, and are among npix_nodata, because a number of theirs in the files "
        "is none: NaN, infinite or beyond all that a CCD or its calibration can give",
    ),
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
    "flux_equal": ("", "fraction of the pixels with ivar > 0 whose flux is that of the exact model to the last bit"),
    "ivar_equal": ("", "the same of ivar"),
    "sky_equal": ("", "the same of the sky"),
    "npix_beyond_grid": (
        "",
        "pixels with ivar > 0 beyond the ends of the flux distortion's grid, where 1/D is extrapolated",
    ),
    "npix_by_mask": (
        "",
        "pixels with a factor of the calibration so close to its threshold that the file's mask decided",
    ),
    "header": (
        "",
        "where read noise, XSIGMA and SKYCHI2 are from: the file; spCFrame, whose beginning was fetched, unverified, "
        "for a spec file that has lost its headers; or lost",
    ),
    "thrucorr": (
        "",
        "chromatic fiber-position correction T: none before v5_9; known, of frames, and 1 where lambda_eff is 5400; "
        "unknown in other spec files, whose sky electrons lack it, and in frames without their spXYthrucorr",
    ),
    "npix_ivar": ("", "pixels with ivar > 0"),
    "noise_law": ("", "noise law expected of the release, with sky-subtraction term"),
    "sky_term": (
        "",
        "what that term is from: sky fibers; SKYCHI2 of the header, from v5_10_9 on of a second pass; none; or no sky "
        "model, where the sky is 0 in every pixel with data: then nothing is known of the noise",
    ),
    "noise_best": ("", "law whose prediction comes closest to the measured variance"),
    "noise_ratio_median": ("", "median of measured over predicted electron variance, by the expected law"),
    "noise_ratio_scatter": ("", "robust scatter (1.4826 MAD) of the same"),
    "noise_ratio_scatter_weights": (
        "",
        "what weights from noisy pixels contribute to it, by the expected law",
    ),
    "noise_ratio_narrow": (
        "",
        "noise_ratio_median if the profile were 1.0 pixels wide; of spec files, which do not tell",
    ),
    "noise_ratio_wide": ("", "the same if it were 1.45 pixels wide"),
    "noise_ratio_measured_order": ("", "median of the same with quadrants in the order in which RDNOISE is measured"),
    **{
        f"{statistic}_{prediction}": (
            "",
            f"{meaning} of measured over predicted electron variance: {label_of(prediction)}",
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
    "fit_sky": ("", "fit of the expected law's sky term: its strength, 1 if it is right"),
    "fit_sky_error": ("", "1-sigma uncertainty of fit_sky"),
    "fit_background": (
        "electron",
        "the same fit: light in every pixel besides the fiber's, whose variance no law has in it",
    ),
    "fit_background_error": ("electron", "1-sigma uncertainty of fit_background"),
    "noise_ratio_thrucorr": (
        "",
        "noise_ratio_median with sky electrons times T, known from an earlier release in the same run; only where "
        "thrucorr is unknown",
    ),
}
# the columns that only a target, not a fiber of a camera exposure, has
TARGET_COLUMNS = ("band", "expidx", "noise_ratio_thrucorr")


STANDARD_LAMBDA_EFF = 5400  # Å
BACKGROUND_STEP = 0.2  # electrons per pixel, small against the square of any read noise
CAMERA_WIDTHS = (1.0, 1.45)  # pixels: between these lie the widths of the profiles in a real camera exposure

_IDENTITY_OF_ROW = ("release", "plate", "mjd", "fiber", "camera", "expnum", "products")
_SPECTRUM = ("release", "plate", "mjd", "fiber", "camera", "expnum")
_NOT_IN_SPEC = (
    "tutorial_max_absdiff",
    "tutorial_max_reldiff",
    "pipeline_max_reldiff",
    "flux_max_reldiff",
    "ivar_max_reldiff",
    "flux_equal",
    "ivar_equal",
    "sky_equal",
    "npix_beyond_grid",
    "npix_by_mask",
)


def compare_fibers(exposure: CameraExposure, prediction: Prediction) -> Table:
    """One row per fiber of a camera exposure.

    Parameters
    ----------
    exposure : CameraExposure
    prediction : Prediction

    Returns
    -------
    astropy.table.Table
        The columns of :data:`COLUMNS` except those of a target; what cannot be computed is masked.
    """
    header, law = exposure.header, prediction.header.noise_law
    nfiber = len(exposure.fiber)
    facts: dict[str, Any] = {
        name: getattr(header, name) for name in ("release", "plate", "mjd", "camera", "expnum", "products", "simulated")
    }
    facts |= {"noise_law": law, "header": header.origin}
    values: dict[str, Any] = {name: np.full(nfiber, value) for name, value in facts.items()}
    for amplifier, readnoise in enumerate(header.readnoise):
        values[f"rdnoise{amplifier}"] = np.ma.masked_invalid(np.full(nfiber, readnoise))
    values |= {"fiber": exposure.fiber, "objtype": exposure.objtype}
    values["lambda_eff"] = np.ma.masked_invalid(exposure.lambda_eff)
    values |= {"thrucorr": thrucorr_of(exposure, prediction), "sky_term": prediction.sky_term}

    def of_bundle(places: slice) -> dict[str, NDArray]:
        bundle, predicted = exposure.take(places), prediction.take(places)
        measurement = measure(bundle, predicted.calib, prediction.header.mask_allow)
        return (
            _counts(bundle, measurement)
            | _calibration_columns(bundle, predicted, measurement)
            | _noise_columns(measurement, predicted.sky_variance, law)
        )

    blocks = list(map(of_bundle, exposure.bundles()))
    values |= {name: np.ma.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    table = build_table(values, {name: COLUMNS[name] for name in COLUMNS if name not in TARGET_COLUMNS})
    table.meta[OF_EXPOSURE] = json.loads(json.dumps(exposure.header.to_dict()))  # lists for tuples, which YAML lacks
    return table


def header_of(path: Pathlike) -> Header:
    """Facts about the camera exposure that a table of :func:`compare_fibers` is of; its rows are not read."""
    return Header.from_dict(read_meta(path)[OF_EXPOSURE])


def thrucorr_of(exposure: CameraExposure, prediction: Prediction) -> NDArray[np.str_]:
    """Whether a chromatic fiber-position correction is in the calibration, and known, 1D[nfiber]."""
    if isinstance(exposure, FrameExposure) and exposure.thrucorr is not None:
        return np.full(len(exposure.fiber), "known")
    if not prediction.header.thrucorr:
        return np.full(len(exposure.fiber), "none")
    if isinstance(exposure, FrameExposure):
        return np.full(len(exposure.fiber), "unknown")
    # It is relative to the standard stars, whose fibers are placed for this wavelength: theirs is 1.
    return np.where(exposure.lambda_eff == STANDARD_LAMBDA_EFF, "known", "unknown")


def _counts(exposure: CameraExposure, measurement: Measurement) -> dict[str, NDArray]:
    """Pixels that are compared, and those that are not, by the reason."""
    good, compared, with_ivar = measurement.good, measurement.compared, exposure.ivar > 0
    return {
        "npix": compared.sum(axis=1),
        "npix_nodata": (~with_ivar).sum(axis=1),
        "npix_nonfinite": np.zeros(len(with_ivar), dtype=int) if exposure.nonfinite is None else exposure.nonfinite,
        "npix_masked": (with_ivar & ~good).sum(axis=1),
        "npix_uncalibrated": (good & ~compared).sum(axis=1),
        "npix_ivar": with_ivar.sum(axis=1),
    }


def _calibration_columns(
    exposure: CameraExposure, prediction: Prediction, measurement: Measurement
) -> dict[str, np.ma.MaskedArray]:
    """How well the tutorial and the exact model reproduce what was applied."""
    if not isinstance(exposure, FrameExposure):  # a spec file has the applied calibration, but none of its components
        number = len(exposure.fiber)
        return {name: np.ma.masked_all(number, int if name.startswith("npix") else float) for name in _NOT_IN_SPEC}
    tutorial = reconstruct(exposure, prediction.header.mask_allow)
    applied, predicted = tutorial.calib_applied, tutorial.calib_predicted
    flux, ivar = exposure.flux.astype(np.float64), exposure.ivar.astype(np.float64)
    compared, with_data = measurement.compared, exposure.ivar > 0
    with_sky = with_data & has_sky(exposure.sky, exposure.ivar)[:, np.newaxis]
    place = grid_position(exposure.loglam, exposure.distort_grid)
    return {
        "tutorial_max_absdiff": row_maximum(np.abs(applied - predicted), compared),
        "tutorial_max_reldiff": row_maximum(reldiff(applied, predicted), compared),
        # Both calibrations are flux over the same eflux, so their reldiff is that of the two fluxes.
        "pipeline_max_reldiff": row_maximum(reldiff(flux, prediction.flux), compared),
        "flux_max_reldiff": row_maximum(_relative(flux, prediction.flux), with_data),
        "ivar_max_reldiff": row_maximum(_relative(ivar, prediction.ivar), with_data),
        **{
            f"{name}_equal": _fraction(getattr(exposure, name) == getattr(prediction, name), where)
            for name, where in (("flux", with_data), ("ivar", with_data), ("sky", with_sky))
        },
        "npix_beyond_grid": (with_data & ((place < 0) | (place > exposure.distort.shape[1] - 1))).sum(axis=1),
        "npix_by_mask": prediction.npix_by_mask,
    }


def _relative(actual: NDArray[np.float64], predicted: NDArray) -> NDArray[np.float64]:
    """|a - b| / |a|; 1 where a is 0 and b is not."""
    ratio = safe_ratio(np.abs(actual - predicted), np.abs(actual))
    return np.where((actual == 0) & (predicted != 0), 1.0, ratio)


def _fraction(condition: NDArray[np.bool_], where: NDArray[np.bool_]) -> np.ma.MaskedArray:
    """Fraction of some pixels that fulfil a condition, 1D[nfiber]; masked without any."""
    number = where.sum(axis=1)
    return np.ma.masked_array(safe_ratio((condition & where).sum(axis=1), number), number == 0)


def predict_variances(measurement: Measurement, sky_variance: NDArray) -> dict[str, NDArray[np.float64]]:
    """Variance of the detected electrons by every law, without and with the sky-subtraction term.

    Parameters
    ----------
    measurement : Measurement
    sky_variance : 2D[nfiber, nrow]
        Of a :class:`bosscal.results.prediction.Prediction` [electrons²].

    Returns
    -------
    dict of 2D[nfiber, nrow]
        By the names of :data:`bosscal.noise.laws.PREDICTIONS` [electrons²].
    """
    predictions = {}
    for name, law in LAWS.items():
        predictions[name] = law.variance(measurement)
        predictions[f"{name}{SKY_SUFFIX}"] = predictions[name] + sky_variance
    return predictions


def of_widths(measurement: Measurement, sky_variance: NDArray, law: str) -> list[NDArray[np.float64]]:
    """Variance by a law, sky term included, at both ends of :data:`CAMERA_WIDTHS`, each 2D[nfiber, nrow] [electrons²].

    A spec file has one width, the largest of the four quadrants' medians: that of its fiber lies in this range.
    """
    share = safe_ratio(sky_variance, LAWS[law].sky_variance(measurement))  # chi² - 1
    variances = []
    for width in CAMERA_WIDTHS:
        other = replace(measurement, sigma=np.full_like(measurement.sigma, width))
        variances.append(LAWS[law].variance(other) + share * LAWS[law].sky_variance(other))
    return variances


def _noise_columns(measurement: Measurement, sky_variance: NDArray, law: str) -> dict[str, np.ma.MaskedArray]:
    """How well every noise law predicts the measured variance, and a free fit."""
    # Without a sky model the photons of the sky are missing, and nothing is known of the noise.
    with_sky = (measurement.sky_electrons != 0).any(axis=1, keepdims=True)
    measurement = replace(measurement, compared=measurement.compared & with_sky)
    # Nothing is valid in the first and last rows of a camera: all that follows leaves them out.
    rows = _extent(measurement.valid)
    measurement, sky_variance = measurement.rows(rows), sky_variance[:, rows]
    measured, valid = measurement.variance, measurement.valid
    predictions = predict_variances(measurement, sky_variance)
    other_order = LAWS[law].variance(measurement.with_measured_order()) + sky_variance
    widths = of_widths(measurement, sky_variance, law) if measurement.header.products == "spec" else []
    everything = fit.compare(measured, [*(predictions[name] for name in PREDICTIONS), other_order, *widths], valid)
    comparisons = {
        name: fit.Comparison(everything.median[place], everything.scatter[place], everything.deviation[place])
        for place, name in enumerate(PREDICTIONS)
    }
    values = {"noise_best": fit.best(comparisons), "noise_ratio_measured_order": everything.median[len(PREDICTIONS)]}
    for place, name in enumerate(("noise_ratio_narrow", "noise_ratio_wide"), start=len(PREDICTIONS) + 1):
        values[name] = everything.median[place] if widths else np.ma.masked_all(len(valid))
    for name, comparison in comparisons.items():
        values |= {f"ratio_{name}": comparison.median, f"scatter_{name}": comparison.scatter}
    expected = comparisons[f"{law}{SKY_SUFFIX}"]
    values |= {"noise_ratio_median": expected.median, "noise_ratio_scatter": expected.scatter}
    of_weights = LAWS[law].scatter(measurement) * predictions[law] / predictions[f"{law}{SKY_SUFFIX}"]
    values["noise_ratio_scatter_weights"] = row_median(of_weights, valid)
    values["evar_ratio_median"] = comparisons["tutorial"].median
    # The fit looks for the 3 % floor, so it is of the flux's variance; the apodized rows say nothing about it.
    fitted = fit.fit_variance(
        measurement.flux_variance,
        measurement.electrons,
        measurement.object_electrons,
        valid & (measurement.row >= APODIZED_ROWS),
    )
    brighter = LAWS[law].variance(measurement.with_background(BACKGROUND_STEP)) - predictions[law]
    strengths = fit.fit_strengths(measured, predictions[law], sky_variance, brighter / BACKGROUND_STEP, valid)
    return values | {f"fit_{name}": value for found in (fitted, strengths) for name, value in vars(found).items()}


def _extent(valid: NDArray[np.bool_]) -> slice:
    """Columns from the first to the last in which something is valid; one if nothing is."""
    columns = np.flatnonzero(valid.any(axis=0))
    return slice(int(columns[0]), int(columns[-1]) + 1) if columns.size else slice(0, 1)


def stack(tables: Sequence[Table]) -> Table:
    """Tables of the same columns as one."""
    from astropy.table import vstack

    stacked = vstack(list(tables), metadata_conflicts="silent")
    stacked.meta.clear()  # of one camera exposure
    return stacked


def summarize(targets: Sequence[Target], table: Table, releases: Iterable[Table] = ()) -> tuple[Table, dict[str, str]]:
    """One row per target that the table has, in the order of the targets.

    Parameters
    ----------
    targets : sequence of Target
    table : astropy.table.Table
        Rows of :func:`compare_fibers`, those of the targets among them.
    releases : iterable of astropy.table.Table
        Of :func:`bosscal.results.releases.compare_releases`, for targets of which the run has an earlier release.

    Returns
    -------
    astropy.table.Table
        All of :data:`COLUMNS`.
    dict
        Key of each target whose camera exposure is in the table and whose fiber is not, to the cause in words.
    """
    columns = (table[name].tolist() for name in _IDENTITY_OF_ROW)
    places = {key: place for place, key in enumerate(zip(*columns, strict=True))}
    exposures = {_exposure_of(key) for key in places}
    keys = {target: tuple(getattr(target, name) for name in _IDENTITY_OF_ROW) for target in targets}
    lacking = {
        target.key: f"fiber {target.fiber} is not in the plug map of {target.unit}"
        for target, key in keys.items()
        if key not in places and _exposure_of(key) in exposures
    }
    targets = [target for target, key in keys.items() if key in places]
    rows = table[[places[keys[target]] for target in targets]]
    values = {name: rows[name] for name in rows.colnames}
    for name in ("band", "expidx"):
        values[name] = [getattr(target, name) for target in targets]
    corrected = {
        tuple(row[name] for name in _SPECTRUM): row["noise_ratio_thrucorr"]
        for of_target in releases
        for row in of_target
    }
    found = [corrected.get(tuple(getattr(target, name) for name in _SPECTRUM), np.ma.masked) for target in targets]
    values["noise_ratio_thrucorr"] = np.ma.array(
        [0.0 if value is np.ma.masked else float(value) for value in found],
        mask=[value is np.ma.masked for value in found],
    )
    return build_table(values, COLUMNS), lacking


def _exposure_of(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """What of a row's identity tells its camera exposure: all but the fiber, unless the file is of one fiber."""
    named = dict(zip(_IDENTITY_OF_ROW, key, strict=True))
    return tuple(value for name, value in named.items() if name != "fiber" or named["products"] == "spec")
