# The configuration, checked, and the names that every other file of rules uses.
import logging
import os
import re
import shlex
import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from snakemake.settings.types import ExecMode

WORKFLOW = Path(workflow.basedir)
SOURCE = WORKFLOW / "src"
sys.path.insert(0, str(SOURCE))
# What the profile imported may be a package that is installed elsewhere: the code beside this file is meant.
for name in [name for name in sys.modules if name.partition(".")[0] == "bosscal"]:
    del sys.modules[name]
# Jobs find the package here too, whatever environment they run in.
shell.prefix(f"export PYTHONPATH={shlex.quote(str(SOURCE))}; ")
# Snakemake puts the interpreter's path into shell commands as it is: a blank in it would end every job.
sys.executable = shlex.quote(sys.executable)

from bosscal.base.errors import UserError
from bosscal.base.files import read_json
from bosscal.base.outcomes import noted_failures, read_outcome, step_name, unique
from bosscal.base.provenance import code_digest
from bosscal.figures import kinds
from bosscal.noise.laws import LAWS
from bosscal.run import cluster, lock
from bosscal.run.configuration import read_configuration, shown
from bosscal.run.releases import alternatives, citation, read_releases, spec_paths
from bosscal.run.sources import SIMULATED, contradictions, read_only, source_of
from bosscal.run.tables import read_target_table
from bosscal.run.terminal import Terminal, ending
from bosscal.run.written import read_written
from bosscal.survey import paths, targets
from bosscal.survey.inputs import INPUTS


@contextmanager
def user_errors():
    """A mistake in the configuration ends the run with its one line, and nothing around it."""
    try:
        yield
    except UserError as error:
        sys.exit("\n".join(f"bosscal: {line}" for line in str(error).splitlines()))


with user_errors():
    RELEASES = read_releases(WORKFLOW / "workflow/releases.yaml", LAWS)
    # In place of the directive `configfile`, which reads the same but names no mistake and knows no numbers of --config.
    # A workflow that uses this one as a module may give its own configuration.
    WRITTEN = None
    if not workflow.modifier.skip_configfile:
        WRITTEN = read_written(
            workflow.overwrite_configfiles,
            workflow.config_settings.config_args or [],
            only=workflow.config_settings.replace_workflow_config,
        )
        config.clear()
        config.update(WRITTEN.values)
        if os.path.exists("config.yaml"):
            workflow.configfiles.append("config.yaml")  # for reports, and for jobs far away
    CONFIGURATION = read_configuration(config, RELEASES, paths.mask_bits(), WRITTEN, kinds.PANELS)
    QUERY = CONFIGURATION.query
    ENTRIES, PLACES = (
        read_target_table(CONFIGURATION.table, RELEASES, CONFIGURATION.release) if CONFIGURATION.table else ([], [])
    )
    # What the configuration and its table name; the plates of a query are known later (targets.smk, get_requests).
    REQUESTS = targets.parse_requests([*CONFIGURATION.targets, *ENTRIES], PLACES)
    SOURCES = {
        name: source_of(name, RELEASES[name], CONFIGURATION.data, os.environ, WRITTEN)
        for name in dict.fromkeys([*CONFIGURATION.releases, *(entry.release for entry in ENTRIES)])
    }

# Once, and not in every job.
if workflow.exec_mode == ExecMode.DEFAULT:
    LINES = contradictions({name: RELEASES[name] for name in SOURCES}, os.environ)
    for line in [*LINES, *dict.fromkeys(filter(None, map(read_only, SOURCES.values())))]:
        print(f"bosscal: {line}", file=sys.stderr)

MASK_ALLOW = sum(paths.mask_bits()[name] for name in CONFIGURATION.mask_allow)
FINDERS = {name: paths.finder(RELEASES[name].sas_path, RELEASES[name].run2d) for name in SOURCES}
# For the jobs that download: no parameter, since another server makes no mirrored file stale.
config["servers"] = {name: [source.url, *source.fallbacks] for name, source in SOURCES.items()}

# Where the outputs of this configuration lie that depend on all of it.
with user_errors():
    NAME = lock.configuration_name(
        next(reversed(workflow.overwrite_configfiles), None), WORKFLOW / "config.yaml", RELEASES
    )
COMPARE, REPORT = (f"results/{step}/{NAME}" if NAME else f"results/{step}" for step in ("compare", "report"))


def not_asked_for(what):
    """End the run with one line where a file is asked for that the configuration does not lead to."""
    with user_errors():
        raise UserError(f"{what} is not among what the configuration asks for: add it to targets")


def get_input(release, server_path):
    """A file of the survey among the run's own results: a link into the mirror, or why the file cannot be had."""
    if release not in SOURCES:
        not_asked_for(f"release {release}")
    return f"{INPUTS}/{release}{server_path}"


# How often steps have failed here, as it was when this run began.
FAILED = {step: attempts for step, (attempts, _) in noted_failures().items()}


def failed_before(rule, *outputs, judges=()):
    """A parameter of every step: a step that failed has another one than it ran with, and so is made again.

    So is one whose inputs a later step, of those that judge them, found wrong.
    """
    return lambda wildcards: sum(FAILED.get(step_name(name, wildcards, outputs), 0) for name in (rule, *judges))


def code(script):
    """Digest of a script and of all it imports of bosscal: an edit reruns the rules that it concerns."""
    return code_digest(WORKFLOW / "workflow/scripts" / script)


# How figures are drawn: a parameter of the steps that draw, and of no others.
FORMATS = CONFIGURATION.figures.formats
LOOK = CONFIGURATION.figures.model_dump(exclude={"formats", "panels"}, exclude_none=True)


def in_formats(stem):
    """Outputs: a figure in each format but PNG, which stands for it in the report."""
    return [f"{stem}.{form}" for form in FORMATS if form != "png"]


def memory(megabytes):
    """Memory of a step [MB]: half more than the most that was measured; at each further attempt as much again."""
    return lambda wildcards, attempt: megabytes * attempt


EXPOSURE = r"[br][12]-\d{8}"
# Constraints of the steps that make the same files, with npz files between them or without: one of these fits nothing.
WITH_NPZ, WITHOUT_NPZ = (EXPOSURE, "(?!)") if CONFIGURATION.keep_intermediates else ("(?!)", EXPOSURE)

ENVIRONMENT = f"{workflow.basedir}/envs/bosscal.yaml"

if workflow.exec_mode == ExecMode.DEFAULT:
    with user_errors():
        lock.refuse_old_results("results")


# What the terminal shows of it all is ours where jobs run; the log file below .snakemake/ has everything.
TERMINAL = Terminal(lambda: bool(workflow.dag.checkpoint_jobs), lambda: workflow.dryrun)
if workflow.exec_mode == ExecMode.DEFAULT:
    TERMINAL.take_over(logging.getLogger("snakemake.logging"))


# Only where jobs will run: a dry run or a report need not wait for a run to end.
onstart:
    with user_errors():
        RUN_LOCK = lock.lock_run("results")
        if workflow.executor_plugin.name == "slurm" and cluster.end_orphans(Path.cwd()):
            # What they were making was there when this run was planned, and went with them: plan anew.
            sys.stdout.flush()
            sys.stderr.flush()
            os.execvp(sys.orig_argv[0], sys.orig_argv)


def end_with_causes():
    """End a run in which something was not made: its last lines say what, why, and what to do."""
    steps = {step_name(job.rule.name, job.wildcards, job.output) for job in workflow.dag.jobs if job.output}
    failures = [failure for step, (_, of_step) in noted_failures().items() if step in steps for failure in of_step]
    if lines := TERMINAL.causes(failures):
        sys.exit("\n".join(lines))


onsuccess:
    TERMINAL.all_is_made()
    end_with_causes()
    if any(job.rule.name == "report" for job in workflow.dag.jobs):
        print("\n".join(ending(f"{REPORT}/index.html")), file=sys.stderr)
    if any(job.rule.name == "write_survey" for job in workflow.dag.jobs):
        print("bosscal: all plates that were done here: results/survey/index.html", file=sys.stderr)


onerror:
    end_with_causes()


wildcard_constraints:
    release="|".join(map(re.escape, RELEASES)),
    plate_mjd=r"\d{4,5}-\d{5}",
    exposure=EXPOSURE,
    fiber=r"\d{4}",
    unit=r"[br][12]-\d{8}(-\d{4})?",
    camera=r"[br][12]",
    question=r"[0-9a-f]{12}",
