"""The report: one HTML page that holds everything it shows."""

import base64
from pathlib import Path

import jinja2
import numpy as np
import yaml

FOLDER = Path(__file__).parent

# columns of the page's summary table: name, heading, format
SHOWN = (
    ("objtype", "OBJTYPE", "{}"),
    ("npix", "pixels", "{}"),
    ("tutorial_max_absdiff", "max absdiff", "{:.5f}"),
    ("tutorial_max_reldiff", "max reldiff", "{:.5f}"),
    ("evar_ratio_median", "median evar ratio", "{:.3f}"),
)
READNOISE = tuple(f"rdnoise{amplifier}" for amplifier in range(4))


def _cell(row, name, form):
    value = row[name]
    return "–" if np.ma.is_masked(value) else form.format(value)


def _readnoise(row):
    return "/".join(f"{row[name]:.2f}" for name in READNOISE)


def _published_rows(targets, summary, published):
    """The tutorial's published numbers beside ours, for the targets that it shows."""
    rows = []
    for target, row in zip(targets, summary, strict=True):
        for entry in published["figures"]:
            wanted = (published["plate"], published["mjd"], published["expnum"], entry["fiber"], entry["camera"])
            if (target.plate, target.mjd, target.expnum, target.fiber, target.camera) == wanted:
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


def render(run, targets, summary, figures, headers, versions):
    """The page as HTML that refers to nothing outside itself.

    Parameters
    ----------
    run : dict
        What was run: ``release``, ``title`` of the release, ``source`` of the files, ``mask_allow``.
    targets : list of Target
    summary : astropy.table.Table
        One row per target (:func:`bosscal.comparison.summarize`).
    figures : list of bytes
        One PNG per target.
    headers : list of Header
        Of every camera exposure that was read.
    versions : dict
        Library to version.

    Returns
    -------
    str
    """
    published = yaml.safe_load((FOLDER / "tutorial.yaml").read_text(encoding="utf-8"))
    template = (FOLDER / "page.html.j2").read_text(encoding="utf-8")
    rows = [
        {
            "target": target,
            "cells": [_cell(row, name, form) for name, _, form in SHOWN],
            "readnoise": _readnoise(row),
            "products": row["products"],
            "image": base64.b64encode(figure).decode("ascii"),
        }
        for target, row, figure in zip(targets, summary, figures, strict=True)
    ]
    inputs = sorted({tuple(item) for header in headers for item in header.inputs})
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(template).render(
        run=run,
        simulated=any(header.simulated for header in headers),
        headings=[(heading, summary[name].info.description) for name, heading, _ in SHOWN],
        rows=rows,
        published=_published_rows(targets, summary, published) if run["release"] == published["release"] else [],
        source=published["source"],
        plates=len({target.plate_mjd for target in targets}),
        exposures=len(headers),
        inputs=inputs,
        versions=versions,
    )
