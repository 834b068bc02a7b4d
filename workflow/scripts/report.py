"""Write the report: one page, readable without a network."""

from dataclasses import replace
from pathlib import Path

from bosscal.base.errors import made_with
from bosscal.base.files import write_text
from bosscal.base.log import amount, logger, run_step
from bosscal.base.outcomes import Failure, read_outcome, sort_out, unique
from bosscal.base.provenance import library_versions
from bosscal.base.tables import read_table
from bosscal.figures import kinds
from bosscal.report import render
from bosscal.results.comparison import stack
from bosscal.survey.exposure import CameraExposure
from bosscal.survey.fetch import INPUTS, read_record
from bosscal.survey.targets import Block, single_spectra


def by_name(paths):
    """Files by release and name without suffix, which is how targets and plates call them."""
    return {f"{Path(path).parent.name}/{Path(path).stem}": Path(path) for path in paths}


def figures_of(target, files, releases):
    """PNG bytes of a target's figures, by a few words on what each shows; those of all its exposures once."""
    named = {
        f"{kind.words} of {target.key}": files[f"{target.key}{kind.suffix}"]
        for kind in kinds.of_spectra(target.products)
        if f"{target.key}{kind.suffix}" in files
    }
    whole = f"{target.folder}-{target.fiber:04d}"
    for kind, name in (
        *((kind, whole) for kind in (*kinds.OF_COADDS, *kinds.OF_RELEASES)),
        *((kind, target.folder) for kind in kinds.OF_FOCAL_PLANES),
    ):
        if path := releases.pop(f"{name}{kind.suffix}", None):
            named[f"{kind.words} of {name}"] = path
    for kind in kinds.OF_RUNS:  # with the first target
        for name in [name for name in releases if name.endswith(kind.suffix)]:
            named[kind.words] = releases.pop(name)
    return {words: path.read_bytes() for words, path in named.items()}


def plates_of(files, outliers):
    """Figures and tables of whole plates, if there are any."""
    if not files:
        return {}
    of_plates = tuple(kind.suffix for kind in kinds.OF_PLATES)
    figures = {name: path.read_bytes() for name, path in files.items()}
    return {
        "overviews": {name: png for name, png in figures.items() if name.endswith(of_plates)},
        "exposures": {name: png for name, png in figures.items() if not name.endswith(of_plates)},
        "outliers": stack([read_table(path) for path in outliers]) if outliers else [],
    }


def headers_of(exposures, spec_exposures):
    """Headers of the camera exposures, those of spec files by the record of the job that wrote them."""
    yield from (CameraExposure.read(path).header for path in exposures)
    for path, record in spec_exposures.items():
        with made_with(record):
            yield CameraExposure.read(path).header


def costs_of(comparisons, targets):
    """Failures to the targets that they cost."""
    costs = {}
    tables = {"/".join(Path(path).with_suffix("").parts[-3:]): read_outcome(path) for path in comparisons}
    for target in targets:
        unit = target.unit if target.products == "frames" else f"spec-{target.fiber:04d}"
        for failure in tables[f"{target.folder}/{unit}"]:
            costs.setdefault(failure, []).append(target.key)
    return costs


def in_table(targets, summary):
    """The targets that the summary has a row of."""
    names = ("release", "plate", "mjd", "fiber", "camera", "expnum")
    rows = set(zip(*(summary[name].tolist() for name in names), strict=True))
    return [target for target in targets if tuple(getattr(target, name) for name in names) in rows]


def records_of(headers, simulated):
    """How each input came to the mirror, by release and server path; the simulated plate is on no server."""
    inputs = {(header.release, name) for header in headers for name, _ in header.inputs}
    records = {(release, name): read_record(INPUTS / release / name.lstrip("/")) for release, name in inputs}
    return {
        (release, name): replace(record, server="the simulated plate") if record and release in simulated else record
        for (release, name), record in records.items()
    }


def main(run, targets, files, spec_exposures, failures, simulated, output):
    """Write the page from what there is of tables, figures and camera exposures; returns why the rest is missing."""
    made = {}
    for name, paths in files.items():
        made[name], of_step = sort_out(paths)
        failures = unique([*failures, *of_step])
    spec_exposures = {path: record for path, record in spec_exposures.items() if not read_outcome(record)}
    logger.info("read %s", ", ".join(path for paths in [*made.values(), spec_exposures] for path in paths))
    costs = costs_of(files["comparisons"], targets)
    summary = read_table(made["summary"][0]) if made["summary"] else None
    targets = in_table(targets, summary) if summary is not None else []
    figures, releases = by_name(made["figures"]), by_name(made["releases"])
    headers = list(headers_of(made["exposures"], spec_exposures))
    html = render(
        run=run | {"summary": files["summary"][0]},
        targets=targets,
        summary=summary,
        budget=stack([read_table(path) for path in made["budget"]]) if made["budget"] else None,
        figures=[figures_of(target, figures, releases) for target in targets if not target.whole_plate],
        plates=plates_of(by_name(made["plates"]), made["outliers"]),
        headers=headers,
        records=records_of(headers, simulated),
        failures={failure: costs.get(failure, []) for failure in failures},
        versions=library_versions(),
    )
    write_text(output, html)
    logger.info("%d targets, %d figures, wrote %s", len(targets), len(figures) + len(made["plates"]), amount(output))
    return failures


if "snakemake" in globals():
    files, params = snakemake.input, snakemake.params
    run_step(
        snakemake,
        lambda: main(
            {name: params[name] for name in ("releases", "sources", "mask_allow")},
            single_spectra(map(Block.from_dict, params.targets)),
            {
                "comparisons": list(files.comparisons),
                "summary": [files.summary],
                "figures": list(files.figures),
                "releases": [*files.releases, *files.focal_planes, *files.runs],
                "budget": list(files.budget_tables),
                "plates": list(files.plates),
                "outliers": list(files.outliers),
                "exposures": list(files.exposures),
            },
            params.spec_exposures,
            [Failure(**failure) for failure in params.failures],
            params.simulated,
            snakemake.output[0],
        ),
        collects=True,
    )
