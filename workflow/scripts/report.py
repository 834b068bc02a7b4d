"""Write the report: one page, readable without a network."""

from pathlib import Path

from bosscal.base.errors import made_with
from bosscal.base.files import write_text
from bosscal.base.log import amount, logged, logger
from bosscal.base.provenance import library_versions
from bosscal.base.tables import read_table
from bosscal.figures import kinds
from bosscal.report import render
from bosscal.results.comparison import stack
from bosscal.survey.exposure import CameraExposure
from bosscal.survey.targets import Target


def by_name(paths):
    """Files by release and name without suffix, which is how targets and plates call them."""
    return {f"{Path(path).parent.name}/{Path(path).stem}": Path(path) for path in paths}


def figures_of(target, files, releases):
    """PNG bytes of a target's figures, by a few words on what each shows; those of all its exposures once."""
    named = {
        f"{kind.words} of {target.key}": files[f"{target.key}{kind.suffix}"]
        for kind in kinds.of_spectra(target.products)
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
        "outliers": stack([read_table(path) for path in outliers]),
    }


def headers_of(exposures, spec_exposures):
    """Headers of the camera exposures, those of spec files by the record of the job that wrote them."""
    yield from (CameraExposure.read(path).header for path in exposures)
    for path, record in spec_exposures.items():
        with made_with(record):
            yield CameraExposure.read(path).header


def main(run, targets, summary, figures, releases, budget_tables, plates, outliers, exposures, spec_exposures, output):
    """Write the page from tables, figures and the headers of the camera exposures."""
    for name, paths in (
        ("tables", [summary, *budget_tables, *outliers]),
        ("headers of", [*exposures, *spec_exposures]),
    ):
        logger.info("read %s %s", name, ", ".join(paths))
    logger.info("read figures %s", ", ".join([*figures, *releases, *plates]))
    figures, releases = by_name(figures), by_name(releases)
    html = render(
        run=run | {"summary": summary},
        targets=targets,
        summary=read_table(summary),
        budget=stack([read_table(path) for path in budget_tables]) if budget_tables else None,
        figures=[figures_of(target, figures, releases) for target in targets if not target.whole_plate],
        plates=plates_of(by_name(plates), outliers),
        headers=list(headers_of(exposures, spec_exposures)),
        versions=library_versions(),
    )
    write_text(output, html)
    logger.info("%d targets, %d figures, wrote %s", len(targets), len(figures) + len(plates), amount(output))


if "snakemake" in globals():
    with logged(snakemake.log[0]):
        files, params = snakemake.input, snakemake.params
        main(
            {name: params[name] for name in ("releases", "sources", "mask_allow")},
            [Target(**target) for target in params.targets],
            files.summary,
            files.figures,
            [*files.releases, *files.focal_planes, *files.runs],
            files.budget_tables,
            files.plates,
            files.outliers,
            files.exposures,
            params.spec_exposures,
            snakemake.output[0],
        )
