# How the BOSS pipeline turns detected electrons into calibrated flux: from a plate/fiber list to a report.
# Edit config.yaml, then run:  snakemake --cores 2
from snakemake.utils import min_version

min_version("9.0")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/simulate.smk"
include: "workflow/rules/download.smk"
include: "workflow/rules/extract.smk"
include: "workflow/rules/calibrate.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/spectra.smk"
include: "workflow/rules/coadds.smk"
include: "workflow/rules/export.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/plot.smk"
include: "workflow/rules/plates.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/survey.smk"


rule all:
    default_target: True
    input:
        rules.report.output,
        get_calib_files,
        # What the report is made of, and what is made with it: Snakemake does not miss it once the report is there.
        get_all_figures,
        get_comparisons,
        get_budget_tables,
        get_collected_coadds,
        get_subset_files,
        get_outliers,
        # For the page of a survey, which later batches make.
        get_whole_plate_tables,
        # A step after a checkpoint does not ask whether the checkpoint's output is there, so the end of the run does.
        rules.list_exposures.output,
