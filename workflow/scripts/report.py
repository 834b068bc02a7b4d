"""Write the report: one page, readable without a network."""

from pathlib import Path

from astropy.table import Table

from bosscal.exposure import CameraExposure
from bosscal.files import write_text
from bosscal.job import logged
from bosscal.provenance import library_versions
from bosscal.report import render
from bosscal.targets import Target


def main(summary_path, figure_paths, exposure_paths, run, targets, output):
    html = render(
        run=run,
        targets=[Target(**target) for target in targets],
        summary=Table.read(summary_path, format="ascii.ecsv"),
        figures=[Path(path).read_bytes() for path in figure_paths],
        headers=[CameraExposure.read(path).header for path in exposure_paths],
        versions=library_versions(),
    )
    write_text(output, html)


with logged(snakemake.log[0]):
    params = snakemake.params
    main(
        snakemake.input.summary,
        snakemake.input.figures,
        snakemake.input.exposures,
        {name: params[name] for name in ("release", "title", "source", "mask_allow")},
        params.targets,
        snakemake.output[0],
    )
