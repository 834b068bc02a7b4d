"""The page of a survey, over the plates of all batches: made from their small tables alone (:mod:`…report.plates`).

``index.html`` is the start page: how the plates stand, the worst with the reason, where they are on the sky, and how
the cameras were over time. ``pages/plates.html`` has a table of all plates, ``pages/thresholds.html`` what is judged.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from jinja2.filters import do_mark_safe

from bosscal.base.outcomes import Failure
from bosscal.base.tables import build_table
from bosscal.report import assets, templates
from bosscal.report.docs import documented
from bosscal.report.plates import COLUMNS, level_of, rows_of
from bosscal.report.sky import by_time, sky_map
from bosscal.report.statuses import LEVELS, SIGNS, Level, Thresholds

if TYPE_CHECKING:
    from astropy.table import Table

ASSETS, TEMPLATES = (Path(str(package.__file__)).parent for package in (assets, templates))
PAGES = "pages"
FEW = 30  # plates that the start page names
CAMERAS = ("b1", "b2", "r1", "r2")
# What is drawn over time: column of a plate's table, words, format
OVER_TIME = (
    ("noise_ratio_median", "measured over predicted variance", "{:.3f}"),
    ("skychi2", "SKYCHI2", "{:.2f}"),
    ("readnoise_high", "largest read noise [e⁻]", "{:.2f}"),
    ("masked_fraction", "masked fraction", "{:.3f}"),
    ("tutorial_max_reldiff", "reldiff of the tutorial's calibration", "{:.4f}"),
    ("pipeline_max_reldiff", "reldiff of the exact model's calibration", "{:.1e}"),
)
PLATE_COLUMNS = {
    **{name: COLUMNS[name] for name in ("release", "plate", "mjd", "simulated", "ra", "dec")},
    "status": ("", "ok, look or bad: the worst of its camera exposures"),
    "reasons": ("", "why it is not ok"),
    "exposures": ("", "number of camera exposures"),
    "exposures_not_ok": ("", "number of camera exposures that are not ok"),
    **{name: COLUMNS[name] for name in ("spectra", *LEVELS)},
    **{
        f"{name}_{band}": (COLUMNS[name][0], f"median over the {band} camera exposures: {words}")
        for name, words, _ in OVER_TIME
        for band in ("blue", "red")
    },
}


@dataclass(frozen=True)
class Plate:
    """A plate and night of a release: the ``rows`` of its table, and its ``page`` in a report, "" without one."""

    rows: Sequence[Mapping[str, Any]]
    page: str

    @property
    def release(self) -> str:
        """Name of the release."""
        return str(self.rows[0]["release"])

    @property
    def name(self) -> str:
        """Plate and night."""
        return f"{self.rows[0]['plate']:04d}-{self.rows[0]['mjd']}"

    @property
    def mjd(self) -> int:
        """The night."""
        return int(self.rows[0]["mjd"])

    @property
    def place(self) -> tuple[float, float] | None:
        """Right ascension and declination [deg], if they are known."""
        ra, dec = self.rows[0]["ra"], self.rows[0]["dec"]
        return None if ra is np.ma.masked or dec is np.ma.masked else (ra, dec)

    @property
    def simulated(self) -> bool:
        """Whether any of it is simulated."""
        return any(row["simulated"] for row in self.rows)

    @cached_property
    def level(self) -> Level:
        """The worst of its camera exposures."""
        return level_of(self.rows)

    @property
    def sign(self) -> str:
        """What tells its level without color."""
        return SIGNS[self.level]

    @cached_property
    def not_ok(self) -> list[Mapping[str, Any]]:
        """Its camera exposures that are not ok, the bad ones first."""
        found = [row for row in self.rows if row["status"] != "ok"]
        return sorted(found, key=lambda row: -LEVELS.index(row["status"]))

    @cached_property
    def reasons(self) -> list[str]:
        """Why it is not ok: each reason of its camera exposures once, with where it is first and how often."""
        where: dict[str, list[Mapping[str, Any]]] = {}
        for row in self.not_ok:
            for reason in str(row["reasons"]).split("; "):
                # The number differs from exposure to exposure, the rest says what it is about.
                where.setdefault(reason.partition(" is ")[0], []).append({**row, "reason": reason})
        return [
            f"{rows[0]['camera']} #{rows[0]['expnum']}{f' and {len(rows) - 1} more' if len(rows) > 1 else ''}: "
            f"{rows[0]['reason']}{_topics(rows[0])}"
            for rows in where.values()
        ]

    def number(self, level: str) -> int:
        """Spectra of a level, or all ("spectra")."""
        return sum(int(row[level]) for row in self.rows)

    def median(self, name: str, band: str) -> Any:
        """Median of a column over the camera exposures of a band; masked where nothing is known."""
        known = [row[name] for row in self.rows if row["band"] == band and row[name] is not np.ma.masked]
        return float(np.median(known)) if known else np.ma.masked

    @property
    def badness(self) -> tuple[Any, ...]:
        """What the worst have the least of, for sorting: level, bad and other camera exposures, bad spectra."""
        levels = [row["status"] for row in self.rows]
        shares = [-levels.count(level) / len(levels) for level in ("bad", "look")]
        spectra = max(self.number("spectra"), 1)
        return (-LEVELS.index(self.level), *shares, -self.number("bad") / spectra, self.release, self.name)


def _topics(row: Mapping[str, Any]) -> str:
    """Which spectra a reason about their number is from."""
    return f" ({row['topics']})" if "fraction of the spectra" in row["reason"] and row["topics"] else ""


def plate_of(table: Table, page: str = "") -> Plate | None:
    """A plate from its table; None if nothing of it was judged."""
    rows = rows_of(table)
    return Plate(rows, page) if rows else None


def write_survey(
    plates: Iterable[Plate], failures: Sequence[Failure], thresholds: Thresholds, made: Mapping[str, str], index: Path
) -> int:
    """Write all pages beside and below the start page; returns the number of plates."""
    plates = sorted(plates, key=lambda plate: plate.badness)
    for name, content in pages_of(plates, failures, thresholds, made, index.parent):
        path = index.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return len(plates)


def pages_of(
    plates: Sequence[Plate],
    failures: Sequence[Failure],
    thresholds: Thresholds,
    made: Mapping[str, str],
    folder: Path,
) -> Iterator[tuple[str, str | bytes]]:
    """(path below the folder, content) of every file.

    Parameters
    ----------
    plates : sequence of Plate
        The worst first.
    failures : sequence of Failure
        Why the tables of other plates were not made.
    thresholds : Thresholds
    made : mapping
        ``version`` and ``commit`` of the code.
    folder : Path
        Where the pages will lie: links to plates are seen from there.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    # The documentation lies beside the pages of reports alone.
    environment.filters["documented"] = lambda words, root: do_mark_safe(documented(words, {}, root))
    releases = sorted({plate.release for plate in plates})
    common = {
        "survey": True,
        "documents": {},
        "run": made,
        "title": ", ".join(releases),
        "simulated": sorted({plate.release for plate in plates if plate.simulated}),
        "all_simulated": all(plate.simulated for plate in plates),
        "signs": SIGNS,
        "levels": LEVELS,
        "releases": releases,
    }

    def page(template: str, **values: Any) -> str:
        return environment.get_template(f"{template}.html.j2").render(**common, **values)

    standing_out = [plate for plate in plates if plate.level != "ok"]
    yield "index.html", page(
        "survey", root=f"{PAGES}/", plates=plates, failures=failures, thresholds=thresholds,
        counts={level: sum(plate.level == level for plate in plates) for level in LEVELS},
        exposures=sum(len(plate.rows) for plate in plates), spectra=sum(plate.number("spectra") for plate in plates),
        standing_out=len(standing_out), worst=standing_out[:FEW], link=lambda plate: _link(plate, folder),
        sky=sky_map(plates, lambda plate: _link(plate, folder)), cameras=_cameras(plates, thresholds),
    )  # fmt: skip
    yield f"{PAGES}/plates.html", page(
        "survey_plates", root="", plates=plates, link=lambda plate: _link(plate, folder / PAGES),
        cells=_cells, headings=[(f"{words}, {band}") for _, words, _ in OVER_TIME for band in ("blue", "red")],
    )  # fmt: skip
    yield f"{PAGES}/thresholds.html", page("thresholds", root="", thresholds=thresholds)
    if plates:
        yield from _exports(plates)
    for path in sorted(ASSETS.iterdir()):
        if path.suffix in (".js", ".css") and not path.name.startswith(("uPlot.iife", "curves")):
            yield f"{PAGES}/assets/{path.name}", path.read_bytes()


def _link(plate: Plate, folder: Path) -> str:
    """A plate's page as seen from a folder."""
    return os.path.relpath(plate.page, folder) if plate.page else ""


def _cells(plate: Plate) -> list[str]:
    """A plate's medians in words."""
    medians = [(plate.median(name, band), form) for name, _, form in OVER_TIME for band in ("blue", "red")]
    return ["–" if value is np.ma.masked else "0" if value == 0 else form.format(value) for value, form in medians]


def _cameras(plates: Sequence[Plate], thresholds: Thresholds) -> list[dict[str, Any]]:
    """For each quantity its distribution by camera over time, and over all of it."""
    rows = [row for plate in plates for row in plate.rows]
    shown = []
    for name, words, form in OVER_TIME:
        panels, numbers = [], []
        for camera in CAMERAS:
            of_camera = [row for row in rows if row["camera"] == camera and row[name] is not np.ma.masked]
            if not of_camera:
                continue
            values = np.array([row[name] for row in of_camera], dtype=np.float64)
            laws = {(row["noise_law"], row["band"]) for row in of_camera}
            panels.append((camera, np.array([row["mjd"] for row in of_camera]), values, _ok(name, laws, thresholds)))
            low, middle, high = np.percentile(values, [16, 50, 84])
            limits = [form.format(value) for value in (values.min(), low, middle, high, values.max())]
            numbers.append((camera, len(values), limits))
        if panels:
            shown.append({"words": words, "plot": by_time(words, form, panels), "numbers": numbers})
    return shown


def _ok(name: str, kinds: Iterable[tuple[str, str]], thresholds: Thresholds) -> tuple[float | None, float | None]:
    """The range of a column that is ok of all camera exposures of some (noise law, band); open where it differs."""
    ranges: set[tuple[float | None, float | None]] = set()
    for law, band in kinds:
        facts = {"noise_law": law, "band": band}
        ranges.update(
            check.ok
            for check in thresholds.spectra
            if check.column == name and all(facts.get(key, "") in map(str, few) for key, few in check.only.items())
        )
    return ranges.pop() if len(ranges) == 1 else (None, None)


def _exports(plates: Sequence[Plate]) -> Iterator[tuple[str, bytes]]:
    """A row for each plate, as ECSV and as CSV."""
    rows = [_exported(plate) for plate in plates]
    values = {}
    for name in PLATE_COLUMNS:
        column = [row[name] for row in rows]
        lacking = [value is np.ma.masked for value in column]
        filled = [0.0 if hidden else value for value, hidden in zip(column, lacking, strict=True)]
        values[name] = np.ma.array(filled, mask=lacking) if any(lacking) else np.array(filled)
    text = io.StringIO()
    build_table(values, PLATE_COLUMNS).write(text, format="ascii.ecsv")
    yield f"{PAGES}/plates.ecsv", text.getvalue().encode("utf-8")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(PLATE_COLUMNS)
    for row in rows:
        writer.writerow(["" if row[name] is np.ma.masked else row[name] for name in PLATE_COLUMNS])
    yield f"{PAGES}/plates.csv", text.getvalue().encode("utf-8")


def _exported(plate: Plate) -> dict[str, Any]:
    first = plate.rows[0]
    return {
        **{name: first[name] for name in ("release", "plate", "mjd", "ra", "dec")},
        "simulated": plate.simulated,
        "status": plate.level,
        "reasons": "; ".join(plate.reasons),
        "exposures": len(plate.rows),
        "exposures_not_ok": len(plate.not_ok),
        **{name: plate.number(name) for name in ("spectra", *LEVELS)},
        **{f"{name}_{band}": plate.median(name, band) for name, _, _ in OVER_TIME for band in ("blue", "red")},
    }
