"""The numbers behind a spectrum's zoomable curves: rounded to what can be seen, packed, and as a table.

A page that is opened from a folder may load scripts, but no data. So a spectrum's curves are a script that hands them
over, rounded and packed: some 30 kB instead of 300. Flux and electrons are rounded to a twentieth of their smaller
errors, variances to 1 % and components to 0.1 % of their size.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bosscal.base.elementary import power_of_ten
from bosscal.calibration.pipeline import inverse_distortion
from bosscal.noise.law import SKY_SUFFIX
from bosscal.noise.laws import LAWS, label_of
from bosscal.results.outliers import on_sky_line
from bosscal.results.spectrum import Spectrum
from bosscal.survey.exposure import FrameExposure

if TYPE_CHECKING:
    from astropy.table import Table

FLUX = "1e-17 erg / (Angstrom cm2 s)"
STEPS_PER_SIGMA = 20
FINEST = 1e-3  # of the largest value: a curve without an error is rounded to this
OF_VARIANCES = 1e-2  # of the median: what a stated variance is known to at best
WAVELENGTH_STEP = 0.01  # Å
_LONGEST = 9  # bytes of a number of 63 bits


@dataclass(frozen=True)
class Curve:
    """One curve of a panel: ``name``, ``unit``, ``values`` by row, and the ``step`` that they may be rounded to."""

    name: str
    label: str
    unit: str
    description: str
    values: NDArray[np.float64]
    step: float
    dots: bool = False


@dataclass(frozen=True)
class Panel:
    """Curves that share an axis; the first ``over`` of them are those that are laid over another exposure's."""

    title: str
    curves: tuple[Curve, ...]
    over: int = 1


def panels_of(spectrum: Spectrum) -> list[Panel]:
    """What a target's page draws, from top to bottom; rows without data are NaN."""
    exposure, measurement = spectrum.exposure, spectrum.measurement
    good = measurement.good[0] & (exposure.ivar[0] > 0)
    error = _where(good, 1 / np.sqrt(np.where(good, exposure.ivar[0], 1)))
    flux, sky = (_where(good, array[0]) for array in (exposure.flux, exposure.sky))
    flux_step = _step(error)
    counted = measurement.good_electrons[0] & (measurement.variance[0] > 0)
    variance = _where(counted, measurement.variance[0])
    electron_step = _step(np.sqrt(variance))
    name = spectrum.prediction.header.noise_law
    law = f"{name}{SKY_SUFFIX}"
    predicted = _where(counted, LAWS[name].variance(measurement)[0] + spectrum.prediction.sky_variance[0])
    ratio = _where(measurement.valid[0] & (predicted > 0), variance / np.where(predicted > 0, predicted, 1))
    panels = [
        Panel("Flux", (
            Curve("flux", "flux", FLUX, "calibrated flux", flux, flux_step),
            Curve("error", "error", FLUX, "its stated error, 1/sqrt(ivar)", error, flux_step / 2),
            Curve("sky", "sky", FLUX, "sky that was subtracted", sky, flux_step),
        )),
        Panel("Detected electrons", (
            Curve("electrons", "object and sky", "electron", "detected electrons per row, sky included",
                  _where(counted, measurement.electrons[0]), electron_step),
            Curve("sky_electrons", "sky", "electron", "those of the sky",
                  _where(counted, measurement.sky_electrons[0]), electron_step),
        )),
        Panel("Variance of the electrons", (
            Curve("variance", "measured", "electron2", "stated variance, the error floor taken out",
                  variance, _finest(variance, 50, OF_VARIANCES)),
            Curve("variance_predicted", label_of(law), "electron2", "variance by the release's noise law",
                  predicted, _finest(predicted, 50, OF_VARIANCES)),
        )),
        Panel("Measured over predicted variance", (
            Curve("variance_ratio", "ratio", "", "variance over variance_predicted", ratio, 0.002, dots=True),
        )),
    ]  # fmt: skip
    return [*panels, *_components(spectrum, good)]


def _components(spectrum: Spectrum, good: NDArray[np.bool_]) -> Iterator[Panel]:
    """The factors of the calibration, which a spec file does not tell, and the tutorial's over the applied one."""
    exposure = spectrum.exposure
    if not isinstance(exposure, FrameExposure):
        calib = _where(good, exposure.calib[0])
        curve = Curve(
            "calib",
            "calib",
            "1e-17 erg / (Angstrom cm2 s electron)",
            "flux per detected electron",
            calib,
            _finest(calib),
        )
        yield Panel("Flux per detected electron", (curve,))
        return
    inverse = inverse_distortion(exposure.distort, exposure.distort_grid, exposure.loglam)[0]
    parts = {
        "superflat": ("superflat", "", "superflat", exposure.superflat[0]),
        "fiberflat": ("fiber flat", "", "fiber flat", exposure.fiberflat[0]),
        "corr": ("A", "", "flux correction A", exposure.corr[0]),
        "inverse_distortion": ("1/D", "", "inverse of the flux distortion D at the row", inverse),
    }
    curves = [
        Curve(name, label, unit, words, _where(good, values), _finest(values))
        for name, (label, unit, words, values) in parts.items()
    ]
    yield Panel("Components of the calibration", tuple(curves), over=len(curves))
    spcalib = _where(good, exposure.spcalib[0])
    unit = "1e17 Angstrom cm2 s electron / erg"
    curve = Curve("spcalib", "S", unit, "flux calibration vector S", spcalib, _finest(spcalib))
    yield Panel("Flux calibration vector", (curve,))
    applied, predicted = spectrum.tutorial.calib_applied[0], spectrum.tutorial.calib_predicted[0]
    shown = spectrum.measurement.compared[0] & (applied > 0)
    ratio = _where(shown, predicted / np.where(shown, applied, 1))
    yield Panel(
        "The tutorial's calibration over the applied",
        (Curve("tutorial_ratio", "ratio", "", "tutorial's calibration over the applied", ratio, 1e-5),),
    )


def _where(keep: NDArray[np.bool_], values: NDArray[Any]) -> NDArray[np.float64]:
    return np.where(keep & np.isfinite(values), values, np.nan).astype(np.float64)


def _step(error: NDArray[np.float64]) -> float:
    """What a curve may be rounded to by its errors: a twentieth of the small ones."""
    known = error[np.isfinite(error) & (error > 0)]
    return _short(float(np.percentile(known, 5)) / STEPS_PER_SIGMA) if known.size else 1.0


def _finest(values: NDArray[Any], percent: float = 90, part: float = FINEST) -> float:
    """What a curve without errors may be rounded to: a part of a percentile of its values."""
    known = np.abs(values[np.isfinite(values)])
    scale = float(np.percentile(known, percent)) if known.size else 0.0
    return _short(scale * part) if scale else 1.0


def _short(step: float) -> float:
    """A step of three digits: its multiples are short in a table, and it is in a script."""
    return float(f"{step:.3g}")


# ------------------------------------------------------------------------------------------------------ for pages


def script_of(spectrum: Spectrum, panels: list[Panel], bits: Mapping[str, int]) -> str:
    """A script that hands a spectrum's curves to the page that loads it.

    Parameters
    ----------
    spectrum : Spectrum
    panels : list of Panel
        Of :func:`panels_of`.
    bits : mapping
        Value of every SPPIXMASK bit by name.
    """
    exposure = spectrum.exposure
    wave = power_of_ten(exposure.loglam[0])
    curves = [_packed(wave, WAVELENGTH_STEP)]
    facts, gaps = [], []
    for panel in panels:
        for curve in panel.curves:
            curves.append(_packed(curve.values, curve.step))
            if (missing := _runs(np.isnan(curve.values))) not in gaps:  # most curves lack the same rows
                gaps.append(missing)
        facts.append(
            {
                "title": panel.title,
                "unit": panel.curves[0].unit,
                **({"over": panel.over} if panel.over > 1 else {}),
                "curves": [
                    {
                        "name": curve.name,
                        "label": curve.label,
                        "step": curve.step,
                        "gaps": gaps.index(_runs(np.isnan(curve.values))),
                        **({"dots": True} if curve.dots else {}),
                    }
                    for curve in panel.curves
                ],
            }
        )
    masks = mask_runs(exposure.mask[0], bits)
    names = list(dict.fromkeys(name for _, _, name in masks))
    content = {
        "first_row": int(exposure.row[0]),
        "number": len(exposure.row),
        "wavelength_step": WAVELENGTH_STEP,
        "gaps": gaps,
        "panels": facts,
        "mask_names": names,
        "masks": [[first, last, names.index(name)] for first, last, name in masks],
        "sky_lines": _runs(on_sky_line(np.maximum(spectrum.measurement.sky_electrons, 0))[0]),
        "packed": base64.b64encode(zlib.compress(b"".join(curves), 9)).decode("ascii"),
    }
    words = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
    return f"bosscal.hand_over({json.dumps(spectrum.target.key)},{words});\n"


def _packed(values: NDArray[np.float64], step: float) -> bytes:
    """Whole steps, as differences from one to the next, seven bits a byte; the lowest bit is the sign."""
    known = np.isfinite(values)
    steps = np.zeros(len(values), dtype=np.int64)
    steps[known] = np.round(values[known] / step).astype(np.int64)
    if known.any():  # a value that is not there is like the one before, which costs nothing
        last = np.maximum.accumulate(np.where(known, np.arange(len(values)), 0))
        steps = steps[last]
    difference = np.diff(steps, prepend=0)
    zigzag = (difference << 1) ^ (difference >> 63)
    digits = [(zigzag >> (7 * place)) & 0x7F for place in range(_LONGEST)]
    lengths = np.maximum(1, np.sum([zigzag >> (7 * place) > 0 for place in range(_LONGEST)], axis=0))
    places = np.arange(_LONGEST)
    content = np.stack(digits, axis=1).astype(np.uint8)
    content |= np.where(places < lengths[:, np.newaxis] - 1, 0x80, 0).astype(np.uint8)  # more follows
    return content[places < lengths[:, np.newaxis]].tobytes()


def _runs(where: NDArray[np.bool_]) -> list[list[int]]:
    """First and last place of every run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(np.int8)))
    return [[int(first), int(last) - 1] for first, last in edges.reshape(-1, 2)]


def mask_runs(mask: NDArray[np.integer], bits: Mapping[str, int]) -> list[list[Any]]:
    """First and last place of every run of pixels with the same mask bits, and the names of these."""
    mask = np.asarray(mask, dtype=np.int64)
    edges = np.concatenate([[0], np.flatnonzero(np.diff(mask)) + 1, [len(mask)]])
    return [
        [int(first), int(last) - 1, names_of(int(mask[first]), bits)] for first, last in pairwise(edges) if mask[first]
    ]


def names_of(value: int, bits: Mapping[str, int]) -> str:
    """The names of the bits that are set."""
    return " ".join(name for name, bit in bits.items() if value & 0xFFFFFFFF & bit)


def mask_counts(mask: NDArray[np.integer], ivar: NDArray[Any], bits: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """(name, pixels with it, those of them that nothing else masks) of every bit that is set, the costliest first."""
    value = np.asarray(mask, dtype=np.int64)[ivar > 0] & 0xFFFFFFFF
    counts = [
        (name, int(np.count_nonzero(value & bit)), int(np.count_nonzero(value == bit))) for name, bit in bits.items()
    ]
    return sorted((count for count in counts if count[1]), key=lambda count: (-count[1], count[0]))


# ----------------------------------------------------------------------------------------------------- as a table


def table_of(spectrum: Spectrum, panels: list[Panel] | None = None) -> Table:
    """The curves as a table, not rounded: one row per row of the CCD, with units and descriptions.

    Parameters
    ----------
    spectrum : Spectrum
        As :func:`bosscal.figures.load` gives it.
    panels : list of Panel, optional
        Of :func:`panels_of`, if they have been made.
    """
    from bosscal.base.tables import build_table

    if panels is None:
        panels = panels_of(spectrum)
    exposure = spectrum.exposure
    columns = {
        "row": ("pixel", "CCD row, from 0"),
        "wavelength": ("Angstrom", "vacuum wavelength"),
        "mask": ("", "SPPIXMASK bits"),
    }
    values: dict[str, Any] = {
        "row": exposure.row, "wavelength": power_of_ten(exposure.loglam[0]), "mask": exposure.mask[0],
    }  # fmt: skip
    for panel in panels:
        for curve in panel.curves:
            columns[curve.name] = (curve.unit, curve.description)
            values[curve.name] = np.ma.masked_invalid(curve.values)
    return build_table(values, columns)
