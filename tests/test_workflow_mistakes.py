"""What the workflow says to a mistake: one line that names it, and no traceback."""

import fcntl
import re

import pytest
from conftest import Workflow, copy_code, count_finished

pytestmark = pytest.mark.workflow

FIBER_1 = {"plate": 6641, "mjd": 56383, "fibers": [1], "bands": ["red"]}
FRAMES = "sas/sim/boss/spectro/redux/v5_7_0/6641"


def complaints(process):
    """The lines in which a run that failed says why."""
    assert process.returncode != 0
    assert "Traceback" not in process.stdout
    return [line for line in process.stdout.splitlines() if line.startswith("bosscal: ")]


def files_below(folder):
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"release": "sim", "targets": [FIBER_1 | {"fiber": 1}]}, r"targets\[0\]\.fiber: unknown key"),
        ({"release": "DR21", "targets": [FIBER_1]}, r"release: 'DR21' is not known.*\(known: sim, dr12, "),
        (
            {"release": "sim", "targets": [FIBER_1, FIBER_1 | {"release": "dr41"}]},
            r"targets\[1\]\.release: 'dr41' is not known; did you mean 'dr1[0-9]'\?",
        ),
    ],
)
def test_a_mistake_is_one_line_before_any_job(tmp_path, config, message):
    """Protects users from tracebacks: a mistake in the configuration is named, and nothing is made."""
    (line,) = complaints(Workflow(tmp_path).configure(**config).run(check=False))
    assert re.match(f"bosscal: {message}", line)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "{}: is empty; write at least release: NAME and targets: with a list"),
        ("release: [sim\n", "{}, line 1, column 10: the bracket [ that opens here is not closed; close it with ]"),
        ("a: 1\n\tb: 1\n", "{}, line 2, column 1: a tab, where YAML wants blanks; indent and separate with blanks"),
        ("targets: []\ntargets: []\n", "{}, line 2, column 1: 'targets' is there twice (first in line 1), and one"),
        ("release: sim\nmask_allow: [no]\n", "mask_allow[0]: no, which YAML reads as false, is not allowed; give li"),
        (
            "__use_yte__: true\nrelease: ?open('x', 'w')\n",
            "{}, line 1, column 1: __use_yte__ would run parts of the file",
        ),
    ],
    ids=range(6),
)
def test_a_mistake_of_yaml_is_one_line(tmp_path, content, message):
    """Protects users from Snakemake's words: file, line and column are named, in config.yaml and in --configfile."""
    workflow = Workflow(tmp_path)
    for name, arguments in (("config.yaml", ()), ("NAME.yaml", ("--configfile", "NAME.yaml"))):
        (tmp_path / name).write_text(content)
        process = workflow.run("--dry-run", *arguments, check=False)
        lines = complaints(process)
        assert any(line.startswith("bosscal: " + message.format(name)) for line in lines), lines
        assert "Snakefile" not in process.stdout.replace("profiles/default", "")
        (tmp_path / name).unlink()
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "x").exists()


def test_files_that_are_not_there_are_named(tmp_path):
    """Protects users from a traceback for a wrong name, and from Snakemake's for a value without a key."""
    (line,) = complaints(Workflow(tmp_path).run("--dry-run", check=False))
    assert line.startswith("bosscal: config.yaml: no such file; check the name and the folder (")
    (line,) = complaints(Workflow(tmp_path).run("--dry-run", "--configfile", "NAME.yaml", check=False))
    assert line.startswith("bosscal: NAME.yaml: no such file; check the name and the folder (")
    (line,) = complaints(Workflow(tmp_path).run("--dry-run", "--config", "release", check=False))
    assert line == "bosscal: --config release: a value is missing; write --config KEY=VALUE, without blanks around ="


def test_the_command_line_is_a_configuration(tmp_path, default_run):
    """Protects `--config`: its numbers reach every job, and what contradicts the release is said once, not by each."""
    workflow = default_run.copy(tmp_path)
    (tmp_path / "config.yaml").unlink()
    targets = "targets=[{plate: 6641, mjd: 56383, fibers: [2, 7-8], bands: [red]}]"
    process = workflow.run("--config", "release=SIM", targets, environment={"BOSS_SAS_PATH": "/x"})
    assert "BOSS_SAS_PATH" not in process.stdout  # which has nothing to do with the simulated plate
    assert list(workflow.table()["fiber"]) == [2, 7, 8]
    (line,) = complaints(workflow.run("--config", "release=SIM", targets.replace("7-8", "7:8"), check=False))
    assert line.startswith("bosscal: --config targets, column 40: YAML reads 7:8 as 428, counting in sixties; write")
    dr12 = ["--config", "release=dr12", targets, "data={url: 'file:///nowhere'}"]
    process = workflow.run(*dr12, check=False, environment={"BOSS_SAS_PATH": "/x", "BOSS_LOCAL_ROOT": "$SCRATCH1/x"})
    (line,) = complaints(process)
    assert line.startswith("bosscal: $BOSS_LOCAL_ROOT: '$SCRATCH1/x' has $SCRATCH1, which is not set; set it, or")
    process = workflow.run(*dr12, check=False, environment={"BOSS_SAS_PATH": "/x"})
    assert process.stdout.count("$BOSS_SAS_PATH is '/x' and is ignored: dr12 has /sas/dr12/boss") == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"release": "sim", "targets": [{"plate": 6641, "fibers": [1], "exposures": [7]}]},
            "targets sim 6641-56383 0001: exposure 7 asked for, the coadd has 0-1 (158842, 158843)",
        ),
        ({"release": "sim", "targets": [{"plate": 8888, "fibers": [1]}]}, "plate 8888 is not in the platelist"),
        (
            {"release": "dr12", "data": {"url": "file:///nowhere"}, "targets": [{"plate": 6641, "fibers": [1]}]},
            "/nowhere/sas/dr12/boss/spectro/redux/v5_7_0/platelist.fits: no such file",
        ),
    ],
)
def test_a_mistake_that_only_the_files_tell_is_one_line(tmp_path, config, message):
    """Protects users from tracebacks while the workflow runs, and the page that says it."""
    process = Workflow(tmp_path).configure(**config).run(check=False)
    headline, line = complaints(process)
    assert headline.startswith("bosscal: 1 thing could not be made")
    assert message in line
    assert process.stdout.endswith(f"{line}\n")
    html = (tmp_path / "results/report/index.html").read_text(encoding="utf-8")
    assert message in re.sub("<[^>]+>", "", html)
    assert "NaN" not in html


def test_a_mistake_is_one_line_when_all_files_are_there(tmp_path, default_run):
    """Protects users from tracebacks where no job has to tell: the answer to which exposures there are is known."""
    target = {"plate": 6641, "mjd": 56383, "fibers": [1], "exposures": [7]}
    workflow = default_run.copy(tmp_path).configure(release="sim", targets=[target])
    for _ in range(2):  # a second run has nothing else to do, and says it again
        process = workflow.run(check=False)
        _, line = complaints(process)
        assert "exposure 7 asked for, the coadd has 0-1" in line
    assert count_finished(process.stdout) == {"summarize": 1, "report": 1}


def test_a_damaged_file_is_named(tmp_path, default_run):
    """Protects against a traceback where a download was cut short by other means than ours."""
    server = default_run.copy(tmp_path / "copy").results / "simulated"
    path = server / FRAMES / "spFlat-r1-00158840.fits.gz"
    beginning = path.read_bytes()[:100_000]
    path.unlink()  # it is shared with the other folder
    path.write_bytes(beginning)
    data = {"url": server.as_uri(), "mirror": str(server)}
    workflow = Workflow(tmp_path / "run").configure(release="sim", data=data, targets=[FIBER_1])
    _, line = complaints(workflow.run("--", "results/compare/summary.ecsv", check=False))
    assert "spFlat-r1-00158840.fits.gz: is no whole FITS file" in line


def test_a_law_that_does_not_exist_is_one_line(tmp_path):
    """Protects whoever adds a release: a law's name is checked before any job."""
    code = copy_code(tmp_path / "code")
    releases = code / "workflow/releases.yaml"
    text = releases.read_text(encoding="utf-8")
    releases.write_text(text.replace("noise_law: readnoise_weighted", "noise_law: readnoise_weigthed", 1))
    workflow = Workflow(tmp_path / "run", code).configure(release="sim", targets=[FIBER_1])
    (line,) = complaints(workflow.run(check=False))
    assert (
        "releases.yaml: dr16.noise_law: 'readnoise_weigthed' is not known; did you mean 'readnoise_weighted'?" in line
    )
    assert not workflow.results.exists()


@pytest.mark.parametrize("old", ["extract_frame/6641-56383/b1-00158842.npz", "compare/6641-56383/b1-00158842.ecsv"])
def test_results_of_another_layout_are_refused(tmp_path, old):
    """Protects a folder of results that 0.1.0 made: it is left as it is, and the user is told in one line."""
    workflow = Workflow(tmp_path).configure(release="sim", targets=[FIBER_1])
    (workflow.results / old).parent.mkdir(parents=True)
    (workflow.results / old).touch()
    before = files_below(workflow.results)
    (line,) = complaints(workflow.run(check=False))
    assert line.startswith("bosscal: results: made by bosscal 0.1.0, which kept files in other places (results/")
    assert line.endswith("): move it away or delete it")
    assert files_below(workflow.results) == before


def test_two_runs_in_one_folder_are_kept_apart(tmp_path):
    """Protects results from two runs at once, now that Snakemake's own lock is off."""
    workflow = Workflow(tmp_path).configure(release="sim", targets=[FIBER_1])
    workflow.results.mkdir()
    with open(workflow.results / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (line,) = complaints(workflow.run(check=False))
        workflow.run("--dry-run")  # which writes nothing, and need not wait
    assert "another run is at work" in line
    # and from another machine, where no lock is seen
    (workflow.results / ".run").write_text('{"host": "node2", "machine": "another", "token": "0"}')
    (line,) = complaints(workflow.run(check=False))
    assert "another run is at work in this folder, on node2: wait" in line
    assert not (workflow.results / "simulated").exists()


def test_what_is_not_asked_for_is_named(default_run):
    """Protects users from Snakemake's words where they ask for a file that their configuration does not lead to."""
    for path in (
        "results/extract_frame/sim/6641-56383/b2-00158842.npz",
        "results/figures/sim/6641-56383-0002-b1-00158842.png",
        "results/compare/dr14/6641-56383/spec-0001.ecsv",
    ):
        process = default_run.run("--", path, check=False)
        (line,) = complaints(process)
        assert line.endswith("is not among what the configuration asks for: add it to targets"), path
        assert "Traceback" not in process.stdout
