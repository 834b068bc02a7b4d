"""The tables that pages of the report show: cells in words, from the rows of the run's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from bosscal.calibration.budget import APPROXIMATIONS
from bosscal.noise.law import SKY_SUFFIX
from bosscal.noise.laws import LAWS, label_of
from bosscal.survey.targets import Target

if TYPE_CHECKING:
    from astropy.table import Table

FOLDER = Path(__file__).parent

# the page's tables: name of a column of the summary, heading, format
CALIBRATION = (
    ("objtype", "OBJTYPE", "{}"),
    ("npix", "pixels compared", "{}"),
    ("tutorial_max_absdiff", "tutorial: max absdiff", "{:.5f}"),
    ("tutorial_max_reldiff", "max reldiff", "{:.5f}"),
    ("pipeline_max_reldiff", "exact model: max reldiff", "{:.1e}"),
    ("flux_max_reldiff", "flux", "{:.1e}"),
    ("ivar_max_reldiff", "ivar", "{:.1e}"),
)
LEFT_OUT = ("npix_nodata", "npix_masked", "npix_uncalibrated")
NOISE = (
    ("evar_ratio_median", "tutorial", "{:.3f}"),
    *(
        (f"ratio_{name}{SKY_SUFFIX}", label_of(f"{name}{SKY_SUFFIX}"), "{:.3f}")
        for name in LAWS
        if SKY_SUFFIX in LAWS[name].curves
    ),
)
FIT = (("fit_a", "a", 3), ("fit_b", "b", 4), ("fit_c", "c [(e⁻)²]", 1))
CLEAR = 3  # standard deviations of the error floor from none, from which on it is called one
READNOISE = tuple(f"rdnoise{amplifier}" for amplifier in range(4))


def cell(row: Any, name: str, form: str) -> str:
    """A value of a row in words; a dash where there is none."""
    value = row[name]
    if np.ma.is_masked(value):
        return "–"
    return "0" if value == 0 else form.format(value)  # 0 is exact: the same float32 numbers


def difference_in_words(value: float) -> str:
    """A relative difference, where 0 means exactly 0."""
    return f"{value:.1e}" if value else "0"


def fit(row: Any, name: str, digits: int) -> str:
    """A fitted value with its uncertainty; "undetermined" for an error floor that the fit cannot tell from none."""
    if np.ma.is_masked(row[name]):
        return "–"
    if name == "fit_b" and not row["fit_b"] > CLEAR * row["fit_b_error"]:
        return f"undetermined ({row[name]:.{digits}f} ± {row[f'{name}_error']:.{digits}f})"
    return f"{row[name]:.{digits}f} ± {row[f'{name}_error']:.{digits}f}"


def readnoise(row: Any) -> str:
    """Read noise of the four amplifiers [electrons]."""
    return "/".join(f"{row[name]:.2f}" for name in READNOISE)


def published() -> dict[str, Any]:
    """The numbers that the tutorial printed."""
    content: dict[str, Any] = yaml.safe_load((FOLDER / "tutorial.yaml").read_text(encoding="utf-8"))
    return content


def published_rows(targets: Sequence[Target], summary: Table, published: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tutorial's published numbers beside ours, for the targets that it shows."""
    rows = []
    for target, row in zip(targets, summary, strict=True):
        for entry in published["figures"]:
            of_plate = (published["release"], published["plate"], published["mjd"], published["expnum"])
            wanted = (*of_plate, entry["fiber"], entry["camera"])
            if (target.release, target.plate, target.mjd, target.expnum, target.fiber, target.camera) == wanted:
                rows.append(
                    {
                        "name": target.name,
                        "published": entry,
                        "readnoise": readnoise(row),
                        "objtype": row["objtype"],
                        "absdiff": cell(row, "tutorial_max_absdiff", "{:.5f}"),
                        "reldiff": cell(row, "tutorial_max_reldiff", "{:.5f}"),
                    }
                )
    return rows


def budget_rows(budget: Table) -> list[dict[str, Any]]:
    """Largest and median effect of each approximation over all targets' budgets."""
    rows = []
    for name, approximation in APPROXIMATIONS.items():
        effects = budget[budget["approximation"] == name]
        largest = np.ma.asarray(effects["max_reldiff"])
        if largest.count() == 0:
            continue
        worst = int(np.ma.argmax(largest))
        where = effects["wavelength"][worst]
        rows.append(
            {
                "approximation": approximation,
                "max": difference_in_words(largest[worst]),
                "median": difference_in_words(np.ma.median(np.ma.asarray(effects["median_reldiff"]))),
                "where": "–" if np.ma.is_masked(where) else f"{effects['camera'][worst]}, {where:.0f} Å",
            }
        )
    return rows


def origin(budget: Table, published: Mapping[str, Any]) -> str:
    """Where the tutorial's red number comes from, in a sentence with our measured values; empty without red spectra."""
    red = budget[np.char.startswith(np.asarray(budget["camera"], dtype=str), "r")]
    derivative = np.ma.asarray(red["max_reldiff"][red["approximation"] == "derivative"]).compressed()
    whole = np.ma.asarray(red["max_reldiff"][red["approximation"] == "calibration"]).compressed()
    if derivative.size == 0:
        return ""
    low, high = (f"{value:.4f}" for value in (derivative.min(), derivative.max()))
    span = low if low == high else f"{low}–{high}"
    theirs = [float(entry["reldiff"]) for entry in published["figures"] if entry["camera"].startswith("r")]
    return (
        f"The tutorial's disagreement in red is its own derivative at the two-phase jump of the CCD: np.gradient alone "
        f"makes a largest reldiff of {span} here, all approximations together {whole.max():.4f}, and the tutorial "
        f"printed {min(theirs):.4f}–{max(theirs):.4f} for its three red spectra."
    )


def of_all(summary: Table) -> dict[str, Any]:
    """What the page says of all targets together."""
    best = np.ma.asarray(summary["noise_best"])
    expected = np.char.add(np.asarray(summary["noise_law"], dtype=str), SKY_SUFFIX)
    median = {"median": np.ma.median(np.ma.asarray(summary["noise_ratio_median"]))}
    return {
        **{
            f"{table}_headings": [(words, summary[name].info.description) for name, words, _ in columns]
            for table, columns in (("calibration", CALIBRATION), ("noise", NOISE), ("fit", FIT))
        },
        "agreeing": int(np.sum(best.filled("") == expected)),
        "compared": int(best.count()),
        "expected_median": cell(median, "median", "{:.3f}"),
    }


def few(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
