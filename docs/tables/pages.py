"""Write docs/arrays.md and docs/api.md from the code: what is in every file of a run, and what a user calls.

    python docs/tables/pages.py

`make docs` runs this; a test says when the pages are not what it writes.
"""

import inspect
import re
import textwrap
from functools import cached_property
from importlib import import_module
from pathlib import Path

from bosscal.calibration import budget
from bosscal.results import coadds, comparison, export, outliers, releases
from bosscal.results.prediction import Prediction
from bosscal.survey.exposure import COMMON, OF_FRAMES, OF_SPEC

DOCS = Path(__file__).resolve().parent.parent
PROPERTIES = property | cached_property
MADE = "<!-- made by make docs -->"
EXPOSURE = "RELEASE/PPPP-MMMMM/CC-EEEEEEEE"
COMPARED = "results/compare/RELEASE/PPPP-MMMMM"
SPECTRUM = "spCoadd-PPPP-MMMMM-FFFF"

# heading, file, what a row is, columns
TABLES = [
    ("Summary and camera exposures", f"results/compare/summary.ecsv`, `results/compare/{EXPOSURE}.ecsv",
     "a spectrum; `" + "`, `".join(comparison.TARGET_COLUMNS) + "` are in the summary alone", comparison.COLUMNS),
    ("Error budget", f"results/budget/{EXPOSURE}-FFFF.ecsv", "an approximation of the tutorial", budget.COLUMNS),
    ("Outliers", f"results/outliers/{EXPOSURE}.ecsv", "a fiber that stands out", outliers.COLUMNS),
    ("Coadds", f"results/compare/coadds.ecsv`, `{COMPARED}/coadd-FFFF.ecsv", "a full spec file", coadds.COADD_COLUMNS),
    ("Repeated exposures", f"results/compare/repeats.ecsv`, `{COMPARED}/repeats-FFFF.ecsv",
     "a pair of neighboring exposures", coadds.REPEAT_COLUMNS),
    ("Repeated exposures by wavelength", f"{COMPARED}/eta-FFFF.ecsv",
     "a pair and a bin of wavelength", coadds.BIN_COLUMNS),
    ("Correction of ivar", "results/compare/ivar_correction.ecsv", "a camera of a release and a bin of wavelength",
     coadds.CORRECTION_COLUMNS),
    ("Plates", "results/compare/plates.ecsv", "a plate and night", coadds.PLATE_COLUMNS),
    ("Two releases", f"{COMPARED}/releases-FFFF.ecsv",
     "a camera exposure that both releases have", releases.COLUMNS),
]  # fmt: skip

# module: names that a user calls, in the order of the page; None for all that it exports
PUBLIC = {
    "results.calib": ("read_calib", "Calib"),
    "noise.laws": ("law_of", "label_of"),
    "noise.law": ("Law",),
    "base.tables": ("read_table",),
    "base.arrays": ("Field", "Container"),
    "survey.exposure": ("CameraExposure", "FrameExposure", "SpecExposure", "Header"),
    "survey.frames": ("read_frames",),
    "survey.spectra": ("read_all_exposures",),
    "survey.coadds": ("read_coadd", "CoaddSpectrum", "ExposureSpectrum"),
    "survey.tracesets": ("TraceSet", "bin_size"),
    "calibration.measurement": ("measure", "Measurement"),
    "calibration.budget": ("effects", "budget_table"),
    "results.prediction": ("predict", "Prediction"),
    "results.comparison": ("compare_fibers",),
    "results.outliers": ("find_outliers",),
    "results.coadds": ("rebuild", "rebuild_subset", "coadd_table", "repeats_of", "repeat_table", "write_coadd"),
    "results.releases": ("pair_releases", "compare_releases"),
    "results.export": ("write_calib",),
    "report.series": ("table_of",),
    "figures": None,
    "simulation": None,
}  # fmt: skip


def cell(text):
    """Text that a cell of a table can hold."""
    return str(text).replace("|", "\\|")


def rows(heading, content):
    """A table in Markdown."""
    lines = [heading, [":--" if place == 0 else "---" for place in range(len(heading))], *content]
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines) + "\n"


def code(text):
    return f"`{text}`" if text else ""


def fields(content):
    """Table of the arrays of an npz file."""
    return rows(("array", "dimensions", "type", "unit", "meaning"), [
        (code(name), ", ".join(field.dimensions), field.dtype, code(field.unit),
         f"{field.meaning}{' (optional)' if field.optional else ''}")
        for name, field in content.items()
    ])  # fmt: skip


def columns(content):
    """Table of the columns of an ECSV file, or of a FITS table, which have a format before their unit."""
    described = [(code(name), code(entry[-2]), entry[-1]) for name, entry in content.items()]
    return rows(("column", "unit", "meaning"), described)


def arrays_page():
    """docs/arrays.md."""
    parts = [
        f"# Arrays, tables and FITS files\n\n{MADE}\n",
        "Every array of every npz file, every column of every table and every HDU of every FITS file that a run "
        "writes, from the definitions that the code itself writes them by. [recipes.md](recipes.md) reads them. "
        "Abbreviations are those of [README.md](../README.md#what-you-get); for a full spec file npz and ecsv files "
        "carry the fiber as well. An inverse variance or a variance of 0 is no data. Columns of tables are masked "
        "where nothing is known. Whether data are simulated: `simulated` in npz (`meta`) and tables, `SIMULATD` in "
        "headers of FITS files.\n",
        "## npz files\n",
        "`bosscal.survey.exposure.CameraExposure.read` and `bosscal.results.prediction.Prediction.read` read them, "
        "numpy alone too; `meta` is JSON, the facts of the header. In types, `f4 or f8` is float64 where the "
        "survey's file has that.\n",
        f"### Of a camera exposure, from either kind of file\n\n`results/extract_frame/{EXPOSURE}.npz`\n",
        fields(COMMON),
        f"### Of frames, besides\n\n`results/extract_frame/{EXPOSURE}.npz`\n",
        fields(OF_FRAMES),
        f"### Of a full spec file, besides\n\n`results/extract_frame/{EXPOSURE}-FFFF.npz`\n",
        fields(OF_SPEC),
        f"### Prediction\n\n`results/calibrate/{EXPOSURE}.npz`\n",
        fields(Prediction.FIELDS),
        "## Tables\n",
        "All are ECSV: `astropy.table.Table.read` gives units and descriptions. Those below `results/report/`, the "
        "numbers behind zoomable curves, have both in their own headers.\n",
    ]
    for heading, path, row, content in TABLES:
        parts += [f"### {heading}\n\n`{path}`, a row for {row}.\n", columns(content)]
    parts += [
        "## FITS files\n",
        "### spCalib\n\n`results/calib/RELEASE/PPPP-MMMMM/spCalib-CC-EEEEEEEE.fits`, images [nfiber, nrow] and a "
        "table.\n",
        rows(("HDU", "unit", "meaning"), [
            *((code(name), code(unit), meaning) for name, (unit, meaning) in export.IMAGES.items()),
            ("`PLUGMAP`", "", "table, a row for each fiber"),
        ]),
        "Its `PLUGMAP`:\n", columns(export.PLUG_MAP),
        f"### spCoadd\n\n`results/coadd/RELEASE/PPPP-MMMMM/{SPECTRUM}.fits`, `{SPECTRUM}-NAME.fits`: the tables "
        "`COADD`, `PUBLISHED` and `EXPOSURES`, and two images.\n",
        "`COADD`, laid out as in the survey's spec files, a row for each point of the grid:\n",
        columns(coadds.COADD_POINTS),
        "`PUBLISHED`, the survey's own coadd at the same points:\n", columns(coadds.PUBLISHED_POINTS),
        rows(("HDU", "dimensions", "unit", "meaning"), [
            (code(name), dimensions, code(unit), meaning)
            for name, (unit, dimensions, meaning) in coadds.COADD_IMAGES.items()
        ]),
        "`EXPOSURES`, a row for each camera exposure:\n", columns(coadds.COADD_EXPOSURES),
        "### spFluxdistort\n\n`results/distortion/RELEASE/PPPP-MMMMM/spFluxdistort-PPPP-MMMMM.fits`: the primary "
        "image [1000, npoint] is D of every fiber on the coadd's grid, 1 where nothing is known; `FIBERS`, a row for "
        "each fiber:\n",
        columns(coadds.DISTORTION_FIBERS),
    ]  # fmt: skip
    return wrapped("\n".join(parts))


def first_paragraph(documented):
    """What a docstring begins with, in Markdown and one line."""
    text = re.split(r"\n\s*\n", inspect.getdoc(documented) or "")[0]
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    return re.sub(r"\s+", " ", text.replace("``", "`")).strip()


def signature(documented, name):
    """Name and parameters, without the types of which the docstring gives shapes."""
    found = inspect.signature(documented)
    parameters = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in found.parameters.values()]
    parameters = [parameter for parameter in parameters if parameter.name not in ("self", "cls")]
    return f"{name}{found.replace(parameters=parameters, return_annotation=inspect.Signature.empty)}"


def members(documented):
    """(name, method, property or class method) of a class, its own and public, in the order of the source."""
    for name, member in vars(documented).items():
        if name.startswith("_") or not (inspect.isroutine(member) or isinstance(member, PROPERTIES | classmethod)):
            continue
        yield name, member


def entry(module, name):
    """One function or class, and a class's methods."""
    documented = getattr(module, name)
    if not callable(documented):
        return ""
    if not inspect.isclass(documented):
        return f"- `{signature(documented, name)}`: {first_paragraph(documented)}\n"
    lines = [f"- class `{name}`: {first_paragraph(documented)}\n"]
    for label, member in members(documented):
        if isinstance(member, PROPERTIES):
            lines.append(f"  - `.{label}`: {first_paragraph(member)}\n")
        else:
            plain = getattr(documented, label)
            lines.append(f"  - `.{signature(plain, label)}`: {first_paragraph(plain)}\n")
    return "".join(lines)


def names_of(module, names):
    """The names given, or all public ones that a module exports and that are documented."""
    if names is not None:
        return names
    exported = getattr(module, "__all__", ())
    return [name for name in exported if callable(getattr(module, name))]


def wrapped(text):
    """Lines of the page that are no longer than 120 characters."""
    lines = []
    for line in text.splitlines():
        if line.startswith("|"):  # a row of a table
            lines.append(line)
            continue
        indent = len(line) - len(line.lstrip(" -"))
        lines += textwrap.wrap(
            line, 120, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
        ) or [""]
    return "\n".join(lines) + "\n"


def api_page():
    """docs/api.md."""
    parts = [
        f"# The library\n\n{MADE}\n\n"
        "What others call of the package, from its docstrings, which give shapes, units and errors: `help(…)` shows "
        "all. From a checkout, `pip install .` installs it, and `pip install '.[spectra]'` what hands spectra on to "
        "specutils. [recipes.md](recipes.md) has examples, [arrays.md](arrays.md) what is in the files. A mistake of "
        "the caller is a `bosscal.base.errors.UserError` with one line.\n"
    ]
    for path, names in PUBLIC.items():
        module = import_module(f"bosscal.{path}")
        entries = [entry(module, name) for name in names_of(module, names)]
        if any(entries):
            parts.append(f"## bosscal.{path}\n\n{first_paragraph(module)}\n\n{''.join(entries)}")
    return wrapped("\n".join(parts))


PAGES = {"arrays.md": arrays_page, "api.md": api_page}


def main():
    """Write what changed."""
    for name, page in PAGES.items():
        path, content = DOCS / name, page()
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")
            print(f"written: docs/{name}")


if __name__ == "__main__":
    main()
