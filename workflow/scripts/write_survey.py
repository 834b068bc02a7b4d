"""Write the page of the survey from the small tables of all plates that were ever done here."""

from importlib.metadata import version
from pathlib import Path

from bosscal.base.log import amount, logger, run_step
from bosscal.base.outcomes import sort_out
from bosscal.base.provenance import commit_of
from bosscal.base.tables import read_table
from bosscal.report.statuses import read_thresholds
from bosscal.report.survey import plate_of, write_survey


def main(tables, pages, commit, output):
    """Write the pages; returns why some plates are not among them."""
    good, failures = sort_out(tables)
    plates = (plate_of(read_table(path), pages.get(f"{Path(path).parent.name}/{Path(path).stem}", "")) for path in good)
    made = {"version": version("bosscal"), "commit": commit}
    number = write_survey(filter(None, plates), failures, read_thresholds(), made, Path(output))
    logger.info("read %d tables, of %d plates; wrote %s", len(good), number, amount(output))
    return failures


if "snakemake" in globals():
    # Those of this run, which are inputs, and those of all earlier ones.
    found = {str(path) for path in Path("results/plates").glob("*/*.ecsv")} | set(snakemake.input.tables)
    run_step(
        snakemake,
        lambda: main(sorted(found), snakemake.params.pages, commit_of(Path(__file__).parent), snakemake.output[0]),
        collects=True,
    )
