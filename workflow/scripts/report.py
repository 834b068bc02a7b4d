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
        figures.append({words: Path(path).read_bytes() for words, path in paths.items()})
    return figures


def main(files, run, targets, output):
    budgets = [Table.read(path, format="ascii.ecsv") for path in files.budget_tables]
    html = render(
        run=run,
        targets=targets,
        summary=Table.read(files.summary, format="ascii.ecsv"),
        budget=vstack(budgets, metadata_conflicts="silent") if budgets else None,
        figures=read_figures(targets, files.panels, files.noise, files.budgets),
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
