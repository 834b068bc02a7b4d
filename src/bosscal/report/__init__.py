"""The report: one HTML page that holds everything it shows."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
import yaml
from PIL import Image

from bosscal.base.outcomes import Failure
from bosscal.calibration.budget import APPROXIMATIONS
from bosscal.noise.law import SKY_SUFFIX
from bosscal.noise.laws import LAWS, label_of
from bosscal.survey.exposure import Header
from bosscal.survey.inputs import Fetched
from bosscal.survey.targets import Target

if TYPE_CHECKING:
    from astropy.table import Table

FOLDER = Path(__file__).parent
MANY = 40  # spectra, beyond which their figures are embedded as previews: a page of 100 would have 100 MB
PREVIEW_WIDTH = 900  # pixels of a preview; the files themselves are larger

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
READNOISE = tuple(f"rdnoise{amplifier}" for amplifier in range(4))


def _cell(row: Any, name: str, form: str) -> str:
    value = row[name]
    if np.ma.is_masked(value):
        return "–"
    return "0" if value == 0 else form.format(value)  # 0 is exact: the same float32 numbers


def _size(value: float) -> str:
    """A relative difference, where 0 means exactly 0."""
    return f"{value:.1e}" if value else "0"


def _fit(row: Any, name: str, digits: int) -> str:
    """A fitted value with its uncertainty."""
    if np.ma.is_masked(row[name]):
        return "–"
    return f"{row[name]:.{digits}f} ± {row[f'{name}_error']:.{digits}f}"


def _readnoise(row: Any) -> str:
    return "/".join(f"{row[name]:.2f}" for name in READNOISE)


def _published_rows(targets: Sequence[Target], summary: Table, published: Mapping[str, Any]) -> list[dict[str, Any]]:
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
                        "readnoise": _readnoise(row),
                        "objtype": row["objtype"],
                        "absdiff": _cell(row, "tutorial_max_absdiff", "{:.5f}"),
                        "reldiff": _cell(row, "tutorial_max_reldiff", "{:.5f}"),
                    }
                )
    return rows


def _budget_rows(budget: Table) -> list[dict[str, Any]]:
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
                "max": _size(largest[worst]),
                "median": _size(np.ma.median(np.ma.asarray(effects["median_reldiff"]))),
                "where": "–" if np.ma.is_masked(where) else f"{effects['camera'][worst]}, {where:.0f} Å",
            }
        )
    return rows


def _origin(budget: Table, published: Mapping[str, Any]) -> str:
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


def _embedded(png: bytes) -> str:
    return base64.b64encode(png).decode("ascii")


def _preview(png: bytes) -> bytes:
    """A PNG made smaller, with 256 colors."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    height = round(image.height * PREVIEW_WIDTH / image.width)
    small = io.BytesIO()
    image.resize((PREVIEW_WIDTH, height), Image.Resampling.LANCZOS).quantize(256).save(small, format="PNG")
    return small.getvalue()


def render(
    run: Mapping[str, Any],
    targets: Sequence[Target],
    summary: Table | None,
    budget: Table | None,
    figures: Sequence[Mapping[str, bytes]],
    plates: Mapping[str, Any],
    headers: Sequence[Header],
    records: Mapping[tuple[str, str], Fetched | None],
    failures: Mapping[Failure, Sequence[str]],
    versions: Mapping[str, str],
) -> str:
    """The page as HTML that refers to nothing outside itself.

    Parameters
    ----------
    run : dict
        What was run: ``releases`` (title and expected noise law by name), ``sources`` (of the files, by name of the
        release), ``mask_allow``, ``summary`` (path of the table).
    targets : list of Target
        Those that could be made.
    summary : astropy.table.Table or None
        One row per target (:func:`bosscal.results.comparison.summarize`); None if there is no target.
    budget : astropy.table.Table or None
        Error budgets of the targets from frames (:func:`bosscal.calibration.budget.budget_table`).
    figures : list of dict
        Of each target that is not one of a whole plate: PNG bytes by a few words on what the figure shows.
    plates : dict
        Of whole plates, empty if there is none: ``overviews``, ``exposures`` (dicts of PNG bytes by name) and
        ``outliers`` (table of :func:`bosscal.results.outliers.find_outliers`).
    headers : list of Header
        Of every camera exposure that was read.
    records : dict
        Release and server path of every input to how it came to the mirror; None where that is not known.
    failures : dict
        What could not be made, to the names of the targets that it costs.
    versions : dict
        Library to version.

    Returns
    -------
    str
    """
    published = yaml.safe_load((FOLDER / "tutorial.yaml").read_text(encoding="utf-8"))
    template = (FOLDER / "page.html.j2").read_text(encoding="utf-8")
    single = [index for index, target in enumerate(targets) if not target.whole_plate]
    listed = [targets[index] for index in single]
    many = len(listed) > MANY
    rows = [
        {
            "target": target,
            "readnoise": _readnoise(row),
            "calibration": [_cell(row, name, form) for name, _, form in CALIBRATION],
            "left_out": " / ".join(str(row[name]) for name in LEFT_OUT),
            "noise": [_cell(row, name, form) for name, _, form in NOISE],
            "best": "–" if np.ma.is_masked(row["noise_best"]) else label_of(str(row["noise_best"])),
            "fit": [_fit(row, name, digits) for name, _, digits in FIT],
            "images": {words: _embedded(_preview(png) if many else png) for words, png in images.items()},
        }
        for target, row, images in zip(listed, summary[single] if summary is not None else [], figures, strict=True)
    ]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(template).render(
        run=run,
        simulated=sorted({header.release for header in headers if header.simulated}),
        all_simulated=all(header.simulated for header in headers),
        laws=LAWS.values(),
        rows=rows,
        **(_of_all(summary) if summary is not None else {}),
        title=", ".join(title for title, _ in run["releases"].values()),
        expected_laws=[(title, label_of(f"{law}{SKY_SUFFIX}")) for title, law in run["releases"].values()],
        budget=_budget_rows(budget) if budget is not None else [],
        origin=_origin(budget, published) if budget is not None else "",
        whole_plates={
            kind: {name: _embedded(_preview(png)) for name, png in plates[kind].items()}
            for kind in ("overviews", "exposures")
        }
        if plates
        else {},
        outliers=plates["outliers"] if plates else [],
        published=_published_rows(listed, summary[single], published) if summary is not None else [],
        source=published["source"],
        many_releases=len(run["releases"]) > 1,
        spectra=len(targets),
        plates=len({target.plate_mjd for target in targets}),
        exposures=len(headers),
        without_header=sum(header.origin == "lost" for header in headers),
        borrowed_header=sum(header.origin == "spCFrame" for header in headers),
        inputs=[
            (name, checksum, records.get((release, name)))
            for name, checksum, release in sorted(
                {(name, checksum, header.release) for header in headers for name, checksum in header.inputs}
            )
        ],
        failures=[(failure, _few(names)) for failure, names in failures.items()],
        versions=versions,
    )


def _of_all(summary: Table) -> dict[str, Any]:
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
        "expected_median": _cell(median, "median", "{:.3f}"),
    }


def _few(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
