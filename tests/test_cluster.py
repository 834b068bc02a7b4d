"""A run on a SLURM cluster of one node: the same files as on this machine, and nothing lost when the cluster fails.

The cluster is real and is made for the test (tests/slurm/cluster.py); where it cannot be, the tests are skipped.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY, Workflow

from bosscal.run.cluster import JOB_NAME

sys.path.insert(0, str(Path(__file__).parent / "slurm"))

import cluster as slurm

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

TWO_PLATES = [
    {"plate": plate, "mjd": 55205, "fibers": [1], "bands": ["blue"], "exposures": [0]} for plate in (4207, 4209)
]
# Results that have to be the same to the last byte, and where they lie.
SUFFIXES = (".npz", ".ecsv", ".fits", ".png", ".pdf", ".json", ".csv")
ELSEWHERE = ("logs", "benchmarks", "inputs", "mirror", "fetched", "simulated", ".failed")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster with one node of two cores."""
    if re.search(r"[^\w./+-]", f"{REPOSITORY}{sys.executable}"):
        pytest.skip("the executor writes paths into scripts as they are: it needs folders without blanks and quotes")
    if reason := slurm.missing():
        pytest.skip(f"no SLURM cluster can be started here: {reason}")
    if shutil.which("srun") != "/usr/bin/srun":
        pytest.skip("no SLURM cluster can be started here: srun is not where Debian has it")
    # munge refuses folders that others may write to, and paths of sockets are short
    with slurm.running(tmp_path_factory.mktemp("slurm")) as running:
        yield running


class OnCluster(Workflow):
    """The workflow as a user of a cluster runs it."""

    def __init__(self, folder, cluster):
        super().__init__(folder)
        self.cluster = cluster

    def command(self, *arguments):
        profile = ("--profile", self.code / "profiles" / "slurm")
        quick = ("--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2")
        return super().command(*map(str, (*profile, *quick)), *arguments)

    def start(self):
        """Start snakemake; returns the process, whose output goes to run.log."""
        with open(self.folder / "run.log", "w") as log:
            return subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env=os.environ | self.cluster.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def log(self):
        return (self.folder / "run.log").read_text(errors="replace")


def contents(workflow):
    """Every result that has to be the same, by its name."""
    return {
        str(path.relative_to(workflow.results)): path.read_bytes()
        for path in sorted(workflow.results.rglob("*"))
        if path.suffix in SUFFIXES and path.relative_to(workflow.results).parts[0] not in ELSEWHERE
    }


def differing(found, expected):
    """Names of what is not the same."""
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))


def submitted(output):
    """How many jobs of the cluster a run was made of."""
    return output.count("has been submitted with SLURM jobid")


def wait_until(condition, process, seconds=180):
    """Wait for a condition while a run goes on."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the run ended before"
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.5)


def test_the_default_run_is_the_same_on_a_cluster(cluster, default_run, tmp_path):
    """Protects numbers and figures from where they are made, and the cluster from a job for every step; and a run that
    is killed: the next one ends the jobs that it left, which would write the same files, and goes on."""
    workflow = OnCluster(tmp_path, cluster)
    shutil.copy(REPOSITORY / "config.yaml", workflow.folder)
    process = workflow.start()
    try:
        # a job has made one of its files, and is at work on the others
        wait_until(lambda: list((workflow.results / "simulated").rglob("spFrame-*")), process)
        assert cluster.jobs("RUNNING")
    finally:
        process.kill()
        process.wait()
    left = cluster.jobs()
    assert left
    output = workflow.run(environment=cluster.environment).stdout
    assert f"ending {len(left)} jobs that a killed run left on the cluster: {' '.join(left)}" in output
    expected = contents(default_run)
    assert len(expected) > 30
    assert differing(contents(workflow), expected) == []
    assert submitted(output) <= 6, output
    assert workflow.planned() == {}
    assert not list(workflow.results.rglob(".partial-*"))


def test_what_fails_in_a_cluster_delays_and_loses_nothing(cluster, tmp_path):
    """Protects long runs: a job that is killed is tried again, a node that is drained only delays, and so does a
    controller that is restarted; the files are those of a run on this machine, in batches."""
    local = Workflow(tmp_path / "local")
    for number in (1, 2):  # in two batches
        local.configure(release="sim", targets=TWO_PLATES[:number]).run()
    workflow = OnCluster(tmp_path / "cluster", cluster).configure(release="sim", targets=TWO_PLATES)
    process = workflow.start()
    try:
        wait_until(lambda: cluster.jobs("RUNNING"), process)
        first = cluster.jobs("RUNNING")[0]
        cluster.call("scancel", "--signal=KILL", "--full", first)
        wait_until(lambda: "Trying to restart job" in workflow.log(), process)
        wait_until(lambda: cluster.jobs("RUNNING"), process)
        cluster.drain()
        wait_until(lambda: cluster.jobs("PENDING") and not cluster.jobs("RUNNING"), process)
        time.sleep(5)
        assert cluster.jobs("PENDING")  # nothing is given to a node that is drained, and nothing given up
        cluster.resume()
        # a step is at work: one that is just asked for waits for minutes, until srun asks again
        wait_until(cluster.steps, process)
        cluster.restart_controller()
        assert process.wait(600) == 0, workflow.log()
    finally:
        process.kill()
    found, expected = contents(workflow), contents(local)
    # each batch has a list of its own exposures
    of_batch = [name for name in expected.keys() - found.keys() if name.startswith("targets/exposures-")]
    assert differing(found, expected) == of_batch
    assert len(of_batch) == 1
    assert workflow.planned() == {}


def test_groups_of_the_profile_are_those_of_the_rules():
    """Protects the number of submissions: every group that the profile joins is one that rules name."""
    profile = yaml.safe_load((REPOSITORY / "profiles/slurm/config.yaml").read_text())
    rules = "".join(path.read_text() for path in (REPOSITORY / "workflow/rules").glob("*.smk"))
    named = {entry.partition("=")[0] for entry in profile["group-components"]}
    assert named == {"camera_exposure", "simulation", "spectra"}
    assert profile["slurm-jobname-prefix"] == JOB_NAME
    assert all(f'    group:\n        "{name}"\n' in rules for name in named)
