"""Write the report: one page, readable without a network."""

from pathlib import Path

from astropy.table import Table, vstack

from bosscal.exposure import CameraExposure
from bosscal.files import write_text
from bosscal.job import logged
from bosscal.provenance import library_versions
from bosscal.report import render
from bosscal.targets import Target


def read_figures(targets, panels, noise, budgets):
    """PNG bytes of each target's figures, by a few words on what they show; only frames have a budget."""
    budgets = iter(budgets)
    figures = []
    for target, panel_path, noise_path in zip(targets, panels, noise, strict=True):
        paths = {"Six panels": panel_path}
        if target.products == "frames":
            paths["Error budget"] = next(budgets)
        paths["Noise"] = noise_path
        figures.append({f"{words} of {target.name}": Path(path).read_bytes() for words, path in paths.items()})
    return figures


def read_plates(overviews, residuals, ratios, outliers):
    """Figures and tables of whole plates, if there are any."""
    if not overviews:
        return {}
    exposures = [path for pair in zip(residuals, ratios, strict=True) for path in pair]
    return {
        "overviews": {Path(path).stem: Path(path).read_bytes() for path in overviews},
        "exposures": {Path(path).stem: Path(path).read_bytes() for path in exposures},
        "outliers": stack(outliers),
    }


def stack(paths):
    """Tables of the same columns as one; None for none."""
    tables = [Table.read(path, format="ascii.ecsv") for path in paths]
    return vstack(tables, metadata_conflicts="silent") if tables else None


def main(files, run, targets, output):
    listed = [target for target in targets if not target.whole_plate]
    html = render(
        run=run,
        targets=targets,
        summary=Table.read(files.summary, format="ascii.ecsv"),
        budget=stack(files.budget_tables),
        figures=read_figures(listed, files.panels, files.noise, files.budgets),
        plates=read_plates(files.overviews, files.residuals, files.ratios, files.outliers),
        headers=[CameraExposure.read(path).header for path in files.exposures],
        versions=library_versions(),
    )
    write_text(output, html)


with logged(snakemake.log[0]):
    params = snakemake.params
    main(
        snakemake.input,
        {name: params[name] for name in ("release", "title", "noise_law", "source", "mask_allow")},
        [Target(**target) for target in params.targets],
        snakemake.output[0],
    )
