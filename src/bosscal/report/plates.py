"""A small table for each plate, made when its plate is done: how the spectra of each camera exposure stand.

It is all that the page of a survey (:mod:`bosscal.report.survey`) reads of a plate, so that thousands of plates, run in
many batches, end in one page.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bosscal.base.tables import IDENTITY, build_table
from bosscal.report.facts import facts_of
from bosscal.report.statuses import LEVELS, Level, Status, Thresholds, judge, reasons, worst
from bosscal.survey.exposure import Header

if TYPE_CHECKING:
    from astropy.table import Table

OF_CAMERA = {"b": "blue", "r": "red"}
# Numbers of a spectrum whose median over the fibers stands for the camera exposure, with unit and meaning. They have
# the names that they have there, so that the same thresholds judge them.
MEDIANS = {
    "pipeline_max_reldiff": ("", "largest reldiff of the exact model's calibration"),
    "tutorial_max_reldiff": ("", "largest reldiff of the tutorial's calibration"),
    "flux_max_reldiff": ("", "largest relative difference of the exact model's flux"),
    "ivar_max_reldiff": ("", "largest relative difference of the exact model's ivar"),
    "noise_ratio_median": ("", "measured over predicted electron variance, by the expected law"),
    "fit_sky": ("", "strength of the expected law's sky term, 1 if it is right"),
    "masked_fraction": ("", "fraction of the pixels with data that a mask bit is set in"),
    "readnoise_low": ("electron", "least read noise of the four amplifiers"),
    "readnoise_high": ("electron", "largest read noise of the four amplifiers"),
    "skychi2": ("", "SKYCHI2, mean chi² of the sky subtraction"),
    "npix": ("", "pixels compared"),
    "npix_nonfinite": ("", "pixels that lost their inverse variance to a number that is none"),
}
# What is said in words, of which the most frequent stands for the camera exposure.
WORDS = {
    "noise_law": "noise law expected of the release",
    "sky_term": "what the sky term of the noise is from",
    "header": "where read noise and SKYCHI2 are from",
    "thrucorr": "chromatic fiber-position correction T",
    "downloads": "whether the files that were downloaded are what the survey lists",
}
COLUMNS = {
    **{name: IDENTITY[name] for name in ("release", "plate", "mjd", "camera", "expnum")},
    "products": ("", "frames: from the per-plate files; spec: from full spec files"),
    "simulated": IDENTITY["simulated"],
    "band": ("", "blue or red"),
    "ra": ("deg", "right ascension of the plate's middle: median over the fibers"),
    "dec": ("deg", "declination of the plate's middle: median over the fibers"),
    "exptime": ("s", "exposure time"),
    "seeing": ("arcsec", "median seeing of the guider"),
    "status": ("", "ok, look or bad: the worst of the medians over the fibers and of the fractions below"),
    "reasons": ("", "why it is not ok, the bad reasons first"),
    "spectra": ("", "number of spectra that were judged"),
    **{level: ("", f"number of spectra that are {level}") for level in LEVELS},
    "fraction_bad": ("", "fraction of the spectra that are bad"),
    "fraction_not_ok": ("", "fraction of the spectra that are not ok"),
    "topics": ("", "what is not ok in spectra, with their number, the most frequent first"),
    **{name: (unit, f"median over the fibers: {meaning}") for name, (unit, meaning) in MEDIANS.items()},
    "noise_ratio_p16": ("", "16th percentile over the fibers of noise_ratio_median"),
    "noise_ratio_p84": ("", "84th percentile over the fibers of noise_ratio_median"),
    **{name: ("", f"most frequent over the fibers: {meaning}") for name, meaning in WORDS.items()},
}
TEXTS = ("reasons", "topics")  # empty where all is well
PLACE_DIGITS = 4  # of a degree: a third of an arcsecond; the median's last bits tell nothing


@dataclass(frozen=True)
class Fibers:
    """What was measured of some fibers of one camera exposure.

    ``rows`` are those of :func:`bosscal.results.comparison.compare_fibers` as dictionaries, ``downloads`` is of
    :func:`bosscal.report.facts.downloads_of`, ``ra`` and ``dec`` are 1D[nfiber] [deg].
    """

    rows: Sequence[Mapping[str, Any]]
    header: Header
    downloads: str
    ra: NDArray[np.float64]
    dec: NDArray[np.float64]


def rows_of(table: Table) -> list[dict[str, Any]]:
    """The rows of a table as dictionaries, much faster to read than its own; what is masked is ``numpy.ma.masked``."""
    columns = []
    for column in table.itercols():
        values = np.ma.getdata(column).tolist()
        if np.ma.is_masked(column):
            lacking = np.ma.getmaskarray(column).tolist()
            values = [np.ma.masked if hidden else value for value, hidden in zip(values, lacking, strict=True)]
        columns.append(values)
    return [dict(zip(table.colnames, row, strict=True)) for row in zip(*columns, strict=True)]


def summarize_plate(measured: Iterable[Fibers], thresholds: Thresholds) -> Table:
    """One row per camera exposure of a plate and night.

    Parameters
    ----------
    measured : iterable of Fibers
        All that was measured of the plate, in any portions: whole camera exposures, or fiber by fiber.
    thresholds : Thresholds

    Returns
    -------
    astropy.table.Table
        :data:`COLUMNS`, by products, camera and exposure number; what is not known is masked.
    """
    judged: dict[tuple[str, str, int], list[tuple[dict[str, Any], list[Status]]]] = defaultdict(list)
    headers: dict[tuple[str, str, int], Header] = {}
    places: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for each in measured:
        header = each.header
        key = (header.products, header.camera, header.expnum)
        headers.setdefault(key, header)
        places.append((each.ra, each.dec))
        further = {"band": OF_CAMERA[header.camera[0]], "downloads": each.downloads}
        for row in each.rows:
            facts = facts_of(row, header) | further
            kept = {name: facts[name] for name in (*MEDIANS, *WORDS, "band")}
            judged[key].append((kept, judge(facts, thresholds.spectra)))
    ra, dec = middle(*(np.concatenate(each) for each in zip(*places, strict=True))) if places else (np.nan, np.nan)
    rows = [
        _row(headers[key], judged[key], thresholds) | {"ra": ra, "dec": dec} for key in sorted(judged) if judged[key]
    ]
    values = {name: _column([row[name] for row in rows], "" if name in TEXTS else 0.0) for name in COLUMNS}
    return build_table(values, COLUMNS)


def middle(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> tuple[float, float]:
    """Right ascension and declination [deg] in the middle of some places; NaN without any.

    Medians, so that a fiber without a place, which files put at (0, 0), moves nothing; right ascensions are counted
    from one of theirs, so that a plate across 0 has its middle there.
    """
    known = np.isfinite(ra) & np.isfinite(dec)
    if not known.any():
        return np.nan, np.nan
    ra, dec = ra[known], dec[known]
    reference = float(np.percentile(ra, 50, method="lower"))
    offset = float(np.median((ra - reference + 180) % 360 - 180))
    return round((reference + offset) % 360, PLACE_DIGITS) % 360, round(float(np.median(dec)), PLACE_DIGITS)


def _row(
    header: Header, judged: Sequence[tuple[Mapping[str, Any], Sequence[Status]]], thresholds: Thresholds
) -> dict[str, Any]:
    """A camera exposure, from its spectra with how each number of theirs stands."""
    levels: Counter[str] = Counter(worst(statuses) for _, statuses in judged)
    number = len(judged)
    typical = {name: _median([facts[name] for facts, _ in judged]) for name in MEDIANS}
    typical |= {name: _most_frequent([facts[name] for facts, _ in judged]) for name in (*WORDS, "band")}
    fractions = {
        "fraction_bad": round(levels["bad"] / number, 4),
        "fraction_not_ok": round((number - levels["ok"]) / number, 4),
    }
    statuses = judge(typical, thresholds.spectra) + judge(fractions, thresholds.exposures)
    ratios = [facts["noise_ratio_median"] for facts, _ in judged]
    return {
        **{name: getattr(header, name) for name in ("release", "plate", "mjd", "camera", "expnum", "products")},
        "simulated": header.simulated,
        "exptime": header.exptime,
        "seeing": np.ma.masked if header.seeing is None else header.seeing,
        "status": worst(statuses),
        "reasons": "; ".join(reasons(statuses)),
        "spectra": number,
        **{level: levels[level] for level in LEVELS},
        **fractions,
        "topics": _topics([statuses for _, statuses in judged]),
        **typical,
        "noise_ratio_p16": _percentile(ratios, 16),
        "noise_ratio_p84": _percentile(ratios, 84),
    }


def _topics(judged: Sequence[Sequence[Status]]) -> str:
    """What is not ok in spectra, with their number, e.g. "noise 12, data 3"."""
    counts = Counter(
        topic for statuses in judged for topic in {status.topic for status in statuses if status.level != "ok"}
    )
    return ", ".join(f"{topic} {number}" for topic, number in sorted(counts.items(), key=lambda each: (-each[1], each)))


def _known(values: Iterable[Any]) -> list[float]:
    return [float(value) for value in values if value is not np.ma.masked and np.isfinite(value)]


def _median(values: Iterable[Any]) -> Any:
    return _percentile(values, 50)


def _percentile(values: Iterable[Any], percent: float) -> Any:
    """Percentile of the numbers that are known; masked without any."""
    known = _known(values)
    return float(np.percentile(known, percent)) if known else np.ma.masked


def _most_frequent(words: Sequence[Any]) -> str:
    """The most frequent of some words; of several, the first by the alphabet."""
    counts = Counter(map(str, words))
    return min(counts, key=lambda word: (-counts[word], word))


def _column(values: Sequence[Any], nothing: Any) -> Any:
    """Values of a column; those that are masked, not a number or "" are masked, as when they have been read back."""
    lacking = [
        value is np.ma.masked or value == "" or (isinstance(value, float) and not np.isfinite(value))
        for value in values
    ]
    if not any(lacking):
        return np.array(values)
    filled = [nothing if hidden else value for value, hidden in zip(values, lacking, strict=True)]
    return np.ma.array(filled, mask=lacking)


def level_of(rows: Iterable[Mapping[str, Any]]) -> Level:
    """The worst level of some camera exposures."""
    levels: list[Level] = [row["status"] for row in rows]
    return max(levels, key=LEVELS.index, default="ok")
