"""The pages of a report, each as HTML by its path below the report's folder.

``index.html`` is the start page; all others lie in ``pages/``: a page for each target and for each whole plate, one on
provenance, scripts and styles in ``assets/``, curves in ``data/``, the documentation that they refer to in ``docs/``.
Figures and tables stay where the rules wrote them, and are linked.
"""

from __future__ import annotations

import csv
import datetime
import io
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from jinja2.filters import do_mark_safe

from bosscal.base.outcomes import Failure
from bosscal.base.tables import write_ecsv
from bosscal.noise.law import SKY_SUFFIX
from bosscal.noise.laws import LAWS, label_of
from bosscal.report import assets, templates
from bosscal.report import rows as cells
from bosscal.report.chain import Chain, picture
from bosscal.report.docs import Document, documented
from bosscal.report.facts import downloads_of, facts_of
from bosscal.report.plots import Moment, Residual, by_fiber, focal_plane, history, residuals_by_fiber
from bosscal.report.series import mask_counts, panels_of, script_of, table_of
from bosscal.report.statuses import (
    LEVELS,
    SIGNS,
    Level,
    Status,
    Thresholds,
    judge,
    reasons,
    worst,
)
from bosscal.report.story import BLOCKS, story_of
from bosscal.results.spectrum import Spectrum
from bosscal.survey.exposure import Header
from bosscal.survey.inputs import Fetched
from bosscal.survey.targets import Target

if TYPE_CHECKING:
    from astropy.table import Table

ASSETS, TEMPLATES = (Path(str(package.__file__)).parent for package in (assets, templates))
PAGES = "pages"
FEW = 30  # lines of what needs a look that the start page shows at once
# Spectra of whole plates that have pages of their own, 50 kB each. Of more, each fiber has one of its first exposure,
# if these are not too many, and whatever is not ok.
MOST_PAGES = 4000
# A plate's history: number of a spectrum whose median over the fibers stands for the camera exposure, or fact of its
# header; words, format
HISTORY = (
    ("noise_ratio_median", "measured over predicted variance", "{:.3f}"),
    ("fit_sky", "strength of the sky term, 1 if it is right", "{:.3f}"),
    ("skychi2", "SKYCHI2", "{:.3f}"),
    ("readnoise_high", "largest read noise [e⁻]", "{:.2f}"),
    ("tutorial_max_reldiff", "max reldiff of the tutorial's calibration", "{:.1e}"),
    ("pipeline_max_reldiff", "max reldiff of the exact model's calibration", "{:.1e}"),
)
OF_HEADER = {"skychi2", "readnoise_high"}


@dataclass(frozen=True)
class Image:
    """A figure: a few words on what it shows, and its PNG; a PDF of the same name lies beside it."""

    words: str
    path: str


@dataclass(frozen=True)
class Run:
    """What was run: titles and expected laws of the releases, sources of the files, what to cite, the configuration."""

    releases: Mapping[str, tuple[str, str]]
    sources: Mapping[str, str]
    citations: Mapping[str, Sequence[str]]
    mask_allow: Sequence[str]
    summary: str
    configuration: str
    version: str
    commit: str
    versions: Mapping[str, str]
    written: str  # when, for the page on provenance alone: the others are the same for the same inputs


@dataclass(frozen=True)
class Content:
    """All that pages are made from.

    Attributes
    ----------
    targets : list of Target
        Those that could be made, a row of ``summary`` each.
    summary, budget, coadds, outliers : astropy.table.Table or None
    images : dict
        Images of each target by its key, and of each plate by release/plate-mjd.
    headers : list of Header
        Of every camera exposure that was read.
    records : dict
        Release and server path of every input to how it came to the mirror; None where that is not known.
    failures : dict
        What could not be made, to the names of the targets that it costs.
    spectrum_of : callable
        A target's spectrum, to draw its curves.
    focal_positions : callable
        XFOCAL, YFOCAL [mm] of the fibers of a camera exposure by fiber number, of one target.
    bits : dict
        Value of every SPPIXMASK bit by name.
    benchmarks : list of (rule, jobs, seconds, largest memory [MB])
    chain : Chain
        The rules that led to the report.
    documents : dict
        Pages of the documentation by name, which the others link to.
    """

    run: Run
    targets: Sequence[Target]
    summary: Table | None
    budget: Table | None
    coadds: Table | None
    outliers: Table | None
    images: Mapping[str, Sequence[Image]]
    headers: Sequence[Header]
    records: Mapping[tuple[str, str], Fetched | None]
    failures: Mapping[Failure, Sequence[str]]
    thresholds: Thresholds
    spectrum_of: Callable[[Target], Spectrum]
    focal_positions: Callable[[Target], Mapping[int, tuple[float, float]]]
    bits: Mapping[str, int]
    benchmarks: Sequence[tuple[str, int, float, float]] = field(default_factory=tuple)
    chain: Chain = field(default_factory=Chain)
    documents: Mapping[str, Document] = field(default_factory=dict)


@dataclass(frozen=True)
class Judged:
    """A target with its row, and how it stands."""

    target: Target
    row: Any
    statuses: Sequence[Status]

    @property
    def level(self) -> Level:
        """The worst of its statuses."""
        return worst(self.statuses)

    @property
    def sign(self) -> str:
        """What tells its level without color."""
        return SIGNS[self.level]

    @property
    def reasons(self) -> list[str]:
        """Why not all is well, the bad ones first."""
        return reasons(self.statuses)

    @property
    def page(self) -> str:
        """Name of its page."""
        return f"{self.target.key.replace('/', '-')}.html"


def write_pages(content: Content, index: Path) -> int:
    """Write all pages beside and below the start page; returns how many there are."""
    number = 0
    for name, text in pages_of(content, index.parent):
        path = index.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        number += name.endswith(".html")
    return number


def pages_of(content: Content, folder: Path) -> Iterator[tuple[str, str | bytes]]:
    """(path below the report's folder, content) of every file of a report; ``folder`` is where it will lie."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    simulated = sorted({header.release for header in content.headers if header.simulated})
    common = {
        "run": content.run,
        "simulated": simulated,
        "all_simulated": all(header.simulated for header in content.headers),
        "title": ", ".join(title for title, _ in content.run.releases.values()),
        "signs": SIGNS,
        "levels": LEVELS,
        "label_of": label_of,
        "sky_suffix": SKY_SUFFIX,
        "documents": content.documents,
        "spectrum_name": lambda target: target.key if len(content.run.releases) > 1 else target.name,
    }

    environment.filters["documented"] = lambda words, root: do_mark_safe(documented(words, content.documents, root))

    def page(template: str, **values: Any) -> str:
        return environment.get_template(f"{template}.html.j2").render({**common, **values})

    coadds = _coadds(content.coadds)
    everything = list(_judged(content, simulated, coadds))
    plates = list(dict.fromkeys(each.target.folder for each in everything if each.target.whole_plate))
    judged = _with_pages(everything)
    yield "index.html", page("index", root=f"{PAGES}/", **_start(content, everything, judged, plates))
    if content.summary is not None:
        yield from _exports(content.summary, everything)
    yield f"{PAGES}/provenance.html", page("provenance", root="", **_provenance(content))
    yield f"{PAGES}/thresholds.html", page("thresholds", root="", thresholds=content.thresholds)
    of_fibers: dict[tuple[Any, ...], list[Judged]] = {}
    for each in judged:
        of_fibers.setdefault(_fiber(each.target), []).append(each)
    for name, document in content.documents.items():  # which is of no run, so that nothing in it is simulated
        yield f"{PAGES}/docs/{name}.html", page("document", root="../", name=name, document=document, simulated=())
    # By camera exposure, so that each is opened once.
    for number, each in sorted(enumerate(judged), key=lambda item: (item[1].target.folder, item[1].target.unit)):
        spectrum = content.spectrum_of(each.target)
        panels = panels_of(spectrum)
        data = f"data/{each.page.removesuffix('.html')}"
        yield f"{PAGES}/{data}.js", script_of(spectrum, panels, content.bits)
        if not each.target.whole_plate:
            yield f"{PAGES}/{data}.ecsv", _ecsv(table_of(spectrum, panels))
        yield f"{PAGES}/{each.page}", page(
            "target", root="", each=each, data=data, spectrum=spectrum, panels=panels,
            previous=judged[number - 1] if number else None,
            following=judged[number + 1] if number + 1 < len(judged) else None,
            others=[other for other in of_fibers[_fiber(each.target)] if other is not each],
            plate=each.target.folder if each.target.folder in plates else None,
            images=_linked(content.images.get(each.target.key, ()), folder / PAGES), numbers=_numbers(each.row),
            story=story_of(spectrum), blocks=BLOCKS,
            masks=mask_counts(spectrum.exposure.mask, spectrum.exposure.ivar, content.bits),
            columns=_columns(each.row, content.summary),
            coadd=_columns(_coadd_of(each.target, coadds), content.coadds),
        )  # fmt: skip
    for name in plates:
        shown = _plate(name, content, everything, {each.page for each in judged}, folder / PAGES)
        yield f"{PAGES}/{_plate_page(name)}", page("plate", root="", **shown)
    for path in sorted(ASSETS.iterdir()):
        if path.suffix in (".js", ".css"):
            yield f"{PAGES}/assets/{path.name}", path.read_bytes()


def _judged(content: Content, simulated: Sequence[str], coadds: Mapping[Any, Any]) -> Iterator[Judged]:
    """Every target with how it stands."""
    if content.summary is None:
        return
    by_exposure = {(header.release, header.plate, header.mjd, header.camera, header.expnum): header
                   for header in content.headers}  # fmt: skip
    for target, row in zip(content.targets, content.summary, strict=True):
        header = by_exposure[target.release, target.plate, target.mjd, target.camera, target.expnum]
        records = [content.records.get((target.release, name)) for name, _ in header.inputs]
        facts = facts_of(row, header) | {"downloads": downloads_of(records, target.release in simulated)}
        statuses = judge(facts, content.thresholds.spectra)
        if (coadd := _coadd_of(target, coadds)) is not None:
            statuses += judge(coadd, content.thresholds.coadds)
        yield Judged(target, row, statuses)


def _with_pages(judged: Sequence[Judged]) -> list[Judged]:
    """The targets that have a page, and a row on the start page."""
    whole = [each for each in judged if each.target.whole_plate]
    first: dict[tuple[str, int, str], Judged] = {}
    for each in whole:
        first.setdefault((each.target.folder, each.target.fiber, each.target.camera), each)
    chosen = next((some for some in (whole, list(first.values())) if len(some) <= MOST_PAGES), [])
    pages = {each.page for each in chosen}
    return [each for each in judged if not each.target.whole_plate or each.level != "ok" or each.page in pages]


def _fiber(target: Target) -> tuple[Any, ...]:
    """What the camera exposures of a fiber have in common."""
    return target.release, target.plate, target.mjd, target.fiber


def _coadds(coadds: Table | None) -> dict[tuple[Any, ...], Any]:
    """Rows of the coadds by fiber, the first of each."""
    found: dict[tuple[Any, ...], Any] = {}
    for row in coadds if coadds is not None else ():
        found.setdefault((str(row["release"]), *(int(row[name]) for name in ("plate", "mjd", "fiber"))), row)
    return found


def _coadd_of(target: Target, coadds: Mapping[Any, Any]) -> Any:
    """The row of the coadd that a spectrum from a full spec file is in, if there is one."""
    return coadds.get(_fiber(target)) if target.products == "spec" else None


def _linked(images: Sequence[Image], folder: Path) -> list[dict[str, Any]]:
    """Images by their paths as seen from a folder, in the formats that there are."""
    links: list[dict[str, Any]] = []
    for image in images:
        png = os.path.relpath(image.path, folder)
        forms = {form: os.path.splitext(image.path)[0] + f".{form.lower()}" for form in ("PNG", "PDF", "SVG")}
        files = {form: os.path.relpath(path, folder) for form, path in forms.items() if os.path.exists(path)}
        links.append({"words": image.words, "png": png, "files": files})
    return links


def _numbers(row: Any) -> str:
    """What the figures of a spectrum show, in numbers, for who cannot see them."""
    parts = [f"{row['npix']} pixels compared"]
    if not np.ma.is_masked(row["pipeline_max_reldiff"]):
        parts.append(f"the exact model's calibration within {cells.cell(row, 'pipeline_max_reldiff', '{:.1g}')}")
        parts.append(f"the tutorial's within {cells.cell(row, 'tutorial_max_reldiff', '{:.2g}')}")
    if not np.ma.is_masked(row["noise_ratio_median"]):
        parts.append(f"measured over predicted variance {float(row['noise_ratio_median']):.3f}")
        parts.append(f"closest law {label_of(str(row['noise_best']))}")
    return ", ".join(parts)


def _plate_page(folder: str) -> str:
    return f"plate-{folder.replace('/', '-')}.html"


# ----------------------------------------------------------------------------------------------------------- start


def _start(
    content: Content, everything: Sequence[Judged], judged: Sequence[Judged], plates: Sequence[str]
) -> dict[str, Any]:
    """What the start page shows; ``judged`` are those of all that have a page."""
    counts = {level: sum(each.level == level for each in everything) for level in LEVELS}
    standing_out = sorted((each for each in judged if each.level != "ok"), key=lambda each: -LEVELS.index(each.level))
    summary = content.summary
    rows = [
        {
            "each": each,
            "readnoise": cells.readnoise(each.row),
            "calibration": [cells.cell(each.row, name, form) for name, _, form in cells.CALIBRATION],
            "left_out": " / ".join(str(each.row[name]) for name in cells.LEFT_OUT),
            "noise": [cells.cell(each.row, name, form) for name, _, form in cells.NOISE],
            "ratio": cells.cell(each.row, "noise_ratio_median", "{:.3f}"),
            "best": "–" if np.ma.is_masked(each.row["noise_best"]) else label_of(str(each.row["noise_best"])),
            "fit": [cells.fit(each.row, name, digits) for name, _, digits in cells.FIT],
        }
        for each in judged
    ]
    published = cells.published()
    return {
        "rows": rows,
        "spectra": len(everything),
        "counts": counts,
        "standing_out": standing_out,
        "few": FEW,
        "failures": [(failure, cells.few(names)) for failure, names in content.failures.items()],
        "plates": [(name, _plate_page(name)) for name in plates],
        "nplates": len({each.target.plate_mjd for each in everything}),
        "exposures": _exposures(content, everything),
        "laws": LAWS.values(),
        "without_header": sum(header.origin == "lost" for header in content.headers),
        "borrowed_header": sum(header.origin == "spCFrame" for header in content.headers),
        "budget": cells.budget_rows(content.budget) if content.budget is not None else [],
        "origin": cells.origin(content.budget, published) if content.budget is not None else "",
        "published": cells.published_rows(content.targets, summary, published) if summary is not None else [],
        "source": published["source"],
        "thresholds": content.thresholds,
        **(cells.of_all(summary) if summary is not None else {}),
    }


def _exposures(content: Content, judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """A row for every camera exposure, with the worst of its targets."""
    found: dict[tuple[Any, ...], list[Judged]] = {}
    for each in judged:
        target = each.target
        found.setdefault((target.release, target.plate_mjd, target.camera, target.expnum), []).append(each)
    headers = {(h.release, f"{h.plate:04d}-{h.mjd}", h.camera, h.expnum): h for h in content.headers}
    rows = []
    for key, of_exposure in found.items():
        header = headers[key]
        ratios = [each.row["noise_ratio_median"] for each in of_exposure]
        ratios = [float(ratio) for ratio in ratios if not np.ma.is_masked(ratio)]
        level = max((each.level for each in of_exposure), key=LEVELS.index)
        rows.append(
            {
                "name": " ".join(str(part) for part in key[:3]) + f" #{key[3]}",
                "level": level,
                "sign": SIGNS[level],
                "spectra": len(of_exposure),
                "not_ok": sum(each.level != "ok" for each in of_exposure),
                "readnoise": "/".join(f"{value:.2f}" for value in header.readnoise),
                "skychi2": "–" if header.skychi2 is None else f"{header.skychi2:.3f}",
                "seeing": "–" if header.seeing is None else f"{header.seeing:.2f}",
                "airmass": "–" if not header.altitude else f"{1 / np.sin(np.deg2rad(header.altitude)):.2f}",
                "start": start_of(header.tai),
                "exptime": f"{header.exptime:.0f}",
                "ratio": f"{np.median(ratios):.3f}" if ratios else "–",
            }
        )
    return rows


def start_of(tai: float | None) -> str:
    """When an exposure began, from seconds of TAI since the MJD's zero."""
    if not tai:
        return "–"
    return f"{datetime.datetime(1858, 11, 17) + datetime.timedelta(seconds=round(tai)):%Y-%m-%d %H:%M:%S}"


def _exports(summary: Table, judged: Sequence[Judged]) -> Iterator[tuple[str, bytes]]:
    """The summary with the statuses, as ECSV and as CSV."""
    from astropy.table import Column

    table = summary.copy()
    table.add_column(Column([each.level for each in judged], "status", description="ok, look or bad"), 0)
    why = ["; ".join(each.reasons) for each in judged]
    table.add_column(Column(why, "reasons", description="why it is not ok"), 1)
    yield f"{PAGES}/summary.ecsv", _ecsv(table).encode("utf-8")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.colnames)
    for row in table:
        writer.writerow(["" if np.ma.is_masked(value) else value for value in row])
    yield f"{PAGES}/summary.csv", text.getvalue().encode("utf-8")


def _ecsv(table: Table) -> str:
    text = io.StringIO()
    write_ecsv(text, table)
    return text.getvalue()


def _provenance(content: Content) -> dict[str, Any]:
    """What the page on provenance shows."""
    inputs = sorted({(name, sha1, header.release) for header in content.headers for name, sha1 in header.inputs})
    return {
        "inputs": [(name, sha1, content.records.get((release, name))) for name, sha1, release in inputs],
        "benchmarks": content.benchmarks,
        "chain": picture(content.chain),
    }


# ---------------------------------------------------------------------------------------------------------- target


def _columns(row: Any, summary: Table | None) -> list[tuple[str, str, str, str]]:
    """(name, value, unit, description) of every number of a row; nothing if there is none."""
    if row is None or summary is None:
        return []
    shown = []
    for name in summary.colnames:
        value = row[name]
        words = "–" if np.ma.is_masked(value) else f"{value:.6g}" if isinstance(value, np.floating) else str(value)
        shown.append((name, words, str(summary[name].unit or ""), summary[name].info.description or ""))
    return shown


# ----------------------------------------------------------------------------------------------------------- plate


def _plate(
    name: str, content: Content, judged: Sequence[Judged], pages: Collection[str], folder: Path
) -> dict[str, Any]:
    """What the page of a whole plate shows; ``pages`` are the names of those that there are."""
    of_plate = [each for each in judged if each.target.folder == name]
    exposures: dict[str, list[Judged]] = {}
    for each in of_plate:
        exposures.setdefault(f"{each.target.camera}-{each.target.expnum:08d}", []).append(each)
    shown = []
    for unit, spectra in exposures.items():
        places = content.focal_positions(spectra[0].target)
        points = [
            (
                each.target.fiber,
                each.row["noise_ratio_median"],
                each.page if each.page in pages else "",
                each.level,
                str(each.row["objtype"]),
            )
            for each in spectra
        ]
        residuals = [
            Residual(fiber, each.row["pipeline_max_reldiff"], each.row["tutorial_max_reldiff"], link, level, objtype)
            for each, (fiber, _, link, level, objtype) in zip(spectra, points, strict=True)
        ]
        shown.append({"unit": unit, "by_fiber": by_fiber(points), "focal_plane": focal_plane(points, places),
                      "residuals": residuals_by_fiber(residuals),
                      "spectra": len(spectra), "not_ok": sum(each.level != "ok" for each in spectra)})  # fmt: skip
    release, plate_mjd = name.split("/")
    outliers = []
    if content.outliers is not None:
        of_fibers = {
            (each.target.camera, each.target.expnum, each.target.fiber): each.page
            for each in of_plate
            if each.page in pages
        }
        plate, mjd = map(int, plate_mjd.split("-"))
        of_this = [
            row for row in content.outliers
            if (str(row["release"]), row["plate"], row["mjd"]) == (release, plate, mjd)
        ]  # fmt: skip
        outliers = _merged(of_this, of_fibers)
    return {
        "name": name,
        "release": release,
        "plate_mjd": plate_mjd,
        "exposures": shown,
        "outliers": outliers,
        "history": sorted(_exposures(content, of_plate), key=lambda row: str(row["name"])),
        **_history(content, exposures),
        "images": _linked(content.images.get(name, ()), folder),
    }


def _history(content: Content, exposures: Mapping[str, Sequence[Judged]]) -> dict[str, Any]:
    """Each camera over the exposures of a plate, drawn, and as (camera exposure, numbers in words) below headings."""
    headers = {(h.release, h.plate, h.mjd, h.camera, h.expnum): h for h in content.headers}
    drawn: dict[str, list[Moment]] = {name: [] for name, *_ in HISTORY}
    table = []
    for unit, spectra in sorted(exposures.items()):
        target = spectra[0].target
        header = headers[target.release, target.plate, target.mjd, target.camera, target.expnum]
        of_header = facts_of(spectra[0].row, header)
        level = max((each.level for each in spectra), key=LEVELS.index)
        cells_of = []
        for name, _, form in HISTORY:
            values = [of_header[name]] if name in OF_HEADER else [each.row[name] for each in spectra]
            known = [float(value) for value in values if not np.ma.is_masked(value) and np.isfinite(value)]
            value = float(np.median(known)) if known else np.ma.masked
            drawn[name].append(
                Moment(target.camera, target.expnum, header.tai, start_of(header.tai), value, f"#{unit}", level)
            )
            cells_of.append("–" if not known else form.format(value) if value else "0")
        table.append((unit, cells_of))
    # Blue and red apart: what is small in the one is nothing in the other.
    plots = [
        history(f"{words}, {band}", form, [point for point in drawn[name] if point.camera[0] == band[0]])
        for name, words, form in HISTORY
        for band in ("blue", "red")
    ]
    return {
        "trends": [plot for plot in plots if plot],
        "trend_words": [words for _, words, _ in HISTORY],
        "trend_table": table,
    }


def _merged(outliers: Sequence[Any], pages: Mapping[tuple[str, int, int], str]) -> list[dict[str, Any]]:
    """Fibers that stand out, each once for a reason, with the camera exposures in which it does."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for row in outliers:
        key = int(row["fiber"]), str(row["reason"])
        entry = found.setdefault(
            key,
            {
                "fiber": key[0], "reason": key[1], "objtype": str(row["objtype"]), "line": str(row["line"]), "in": [],
                "page": pages.get((str(row["camera"]), int(row["expnum"]), key[0]), ""),
            },
        )  # fmt: skip
        entry["in"].append(f"{row['camera']} #{row['expnum']}")
    return [found[key] for key in sorted(found)]
