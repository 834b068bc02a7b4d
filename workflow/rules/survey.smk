# One page over the plates of all batches, whatever their configurations: `snakemake survey`. Of a plate, only its small
# table is read (plates.smk). Those of this run are inputs; those of earlier runs, which no rule of this run makes, are
# known by a digest of their contents, so that they are never made again and the page follows from all of them.
from bosscal.base.provenance import digest


def get_plate_tables(wildcards):
    return [f"results/plates/{folder}.ecsv" for folder in get_units_by_plate()]


def get_other_plate_tables(wildcards):
    """Digest of the tables of plates that this run does not make."""
    own = set(get_plate_tables(wildcards))
    others = sorted(str(path) for path in Path("results/plates").glob("*/*.ecsv"))
    return digest(Path(path) for path in others if path not in own)


def get_plate_pages(wildcards):
    """Pages of whole plates in the reports that there are, by release/plate-mjd."""
    folder = Path("results/report")
    pages = sorted([*folder.glob("*/pages/plate-*.html"), *folder.glob("pages/plate-*.html")])
    names = ((path.stem.removeprefix("plate-").rsplit("-", 2), str(path)) for path in pages)
    return {f"{release}/{plate}-{mjd}": path for (release, plate, mjd), path in names}


rule write_survey:
    input:
        tables=get_plate_tables,
    output:
        "results/survey/index.html",
        directory("results/survey/pages"),
    log:
        "results/logs/survey/write_survey.log",
    benchmark:
        "results/benchmarks/survey/write_survey.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    params:
        failed_before=failed_before("write_survey", "results/survey/index.html"),
        code=code("write_survey.py"),
        others=get_other_plate_tables,
        pages=get_plate_pages,
    script:
        "../scripts/write_survey.py"


rule survey:
    input:
        rules.write_survey.output,
        get_plate_tables,
        # A step after a checkpoint does not ask whether the checkpoint's output is there: another batch's page is.
        rules.list_exposures.output,
