"""What a run knows before its first job: the releases, where files come from, and the folder that it works in."""

import errno
import fcntl
import hashlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import yaml
from conftest import REPOSITORY

from bosscal.base.errors import UserError
from bosscal.noise.laws import LAWS
from bosscal.run.configuration import Data
from bosscal.run.lock import FORGOTTEN, configuration_name, lock_run, refuse_old_results
from bosscal.run.releases import read_releases, spec_paths
from bosscal.run.sources import Source, read_only, source_of
from bosscal.survey.paths import finder

PATH = REPOSITORY / "workflow/releases.yaml"
RELEASES = read_releases(PATH, LAWS)
ENTRY = yaml.safe_load(PATH.read_text(encoding="utf-8"))["dr14"]

# ------------------------------------------------------------------------------------------------------- releases


def test_releases_are_where_the_survey_has_them():
    """Protects the list: the reductions of all data releases with BOSS spectra, and the noise law of each."""
    assert {name: (release.sas_path, release.run2d) for name, release in RELEASES.items()} == {
        "sim": ("/sas/sim/boss", "v5_7_0"),
        "dr12": ("/sas/dr12/boss", "v5_7_0"),
        "dr12-sequels": ("/sas/dr12/boss", "v5_7_2"),
        "dr13": ("/sas/dr13/eboss", "v5_9_0"),
        "dr14": ("/sas/dr14/eboss", "v5_10_0"),
        "dr15": ("/sas/dr15/eboss", "v5_10_0"),
        "dr16": ("/sas/dr16/eboss", "v5_13_0"),
        "dr17": ("/sas/dr17/eboss", "v5_13_2"),
    }
    for release in RELEASES.values():
        later = release.sas_path.endswith("/eboss")
        assert release.thrucorr == later
    assert {name: release.noise_law for name, release in RELEASES.items()} == {
        "sim": "optimal_noisy",
        "dr12": "optimal_noisy",
        "dr12-sequels": "optimal_noisy",
        "dr13": "bundle",
        "dr14": "bundle",
        "dr15": "bundle",
        "dr16": "readnoise_weighted",
        "dr17": "readnoise_weighted",
    }
    assert {name: release.url for name, release in RELEASES.items() if release.url != "https://data.sdss.org"} == {
        "sim": None
    }


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"noise_law": "optimall"},
            "dr14.noise_law: 'optimall' is not known; did you mean 'optimal'? (known: tutorial",
        ),
        ({"thru_corr": True}, "dr14.thru_corr: unknown key; did you mean 'thrucorr'? (known here: title, sas_path"),
        ({"thrucorr": "yes"}, "dr14.thrucorr: 'yes' is not allowed; give true or false"),
        ({"url": "data.sdss.org"}, "dr14.url: 'data.sdss.org' is not allowed; give the public server"),
        ({"url": ...}, "dr14.url: missing; give the public server"),
        ({"title": ...}, "dr14.title: missing; give the release's name in words"),
        ({"sas_path": "sas/dr14"}, "dr14.sas_path: 'sas/dr14' is not allowed; give folder of the release"),
        ({"sas_path": "/sas/dr14/"}, "dr14.sas_path: '/sas/dr14/' is not allowed; give folder of the release"),
        ({"run2d": 26}, "dr14.run2d: 26 is not allowed; give name of the reduction"),
        ({"full_spectra": []}, "dr14.full_spectra: [] is not allowed; give list of the folders"),
        ({"full_spectra": "spectra"}, "dr14.full_spectra: 'spectra' is not allowed; give list of the folders"),
        ({"full_spectra": ["spectra", "/x"]}, "dr14.full_spectra[1]: '/x' is not allowed; give list of the folders"),
    ],
)
def test_mistakes_in_an_entry_are_named(tmp_path, changes, line):
    """Protects a new release from a mistake that would only show in a job: file, release and key are named."""
    path = tmp_path / "releases.yaml"
    entry = {key: value for key, value in (ENTRY | changes).items() if value is not ...}
    path.write_text(yaml.safe_dump({"dr13": ENTRY, "dr14": entry}))
    with pytest.raises(UserError) as caught:
        read_releases(path, LAWS)
    (found,) = str(caught.value).splitlines()
    assert found.startswith(f"{path}: {line}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; give names of releases"),
        ("# dr12", "has nothing in it but comments; give names of releases"),
        ("- dr12", "line 1, column 1: a list, where keys are wanted; give names of releases"),
        ("dr12: [", r"line 1, column 7: the bracket that opens here is not closed; close it"),
        ("a: {}\na: {}", r"line 2, column 1: 'a' is there twice \(first in line 1\), and one would be lost; keep one"),
        ("dr12:", "dr12: nothing is not allowed; give keys with values"),
        ("DR12: {}", "DR12: no name of a release; give lower-case letters"),
        ("12: {}", "12: no name of a release; give lower-case letters"),
        (None, r"no such file; check the name and the folder"),
    ],
)
def test_files_that_are_no_list_of_releases_are_named(tmp_path, text, message):
    """Protects users from a traceback by a list of releases that is broken."""
    path = tmp_path / "releases.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=rf"releases\.yaml[:,] {message}"):
        read_releases(path, LAWS)


def test_all_mistakes_in_the_releases_are_reported_at_once(tmp_path):
    """Protects against fixing one entry only to be told of the next."""
    path = tmp_path / "releases.yaml"
    path.write_text(yaml.safe_dump({"a": ENTRY | {"url": 1, "run2d": "x y"}, "b": ENTRY | {"noise_law": "c"}}))
    with pytest.raises(UserError) as caught:
        read_releases(path, LAWS)
    assert len(str(caught.value).splitlines()) == 3


def test_full_spec_files_of_later_releases_lie_elsewhere():
    """Protects DR16 and DR17, whose full spec files lie below spectra/full, and mirrors that have them as before."""
    base = "/sas/dr17/eboss/spectro/redux/v5_13_2"
    assert spec_paths(RELEASES["dr17"], 7340, 57196, 736) == [
        f"{base}/spectra/full/7340/spec-7340-57196-0736.fits",
        f"{base}/spectra/7340/spec-7340-57196-0736.fits",
    ]
    assert RELEASES["dr16"].full_spectra == RELEASES["dr17"].full_spectra
    assert spec_paths(RELEASES["dr12"], 4961, 55719, 378) == [
        "/sas/dr12/boss/spectro/redux/v5_7_0/spectra/4961/spec-4961-55719-0378.fits"
    ]


@pytest.mark.parametrize("name", RELEASES)
@pytest.mark.parametrize("plate", [4055, 10000])
def test_last_choice_is_the_path_of_bossdata(name, plate):
    """Protects files that bossdata fetched: their names and folders are among those accepted."""
    release = RELEASES[name]
    expected = finder(release.sas_path, release.run2d).get_spec_path(plate, 55359, 7, lite=False)
    assert spec_paths(release, plate, 55359, 7)[-1] == expected


# -------------------------------------------------------------------------------------------------------- sources

SDSS = "https://data.sdss.org"
OTHER = "https://example.org"
OTHER_MIRROR = f"results/mirror-{hashlib.sha256(OTHER.encode()).hexdigest()[:8]}"
BOTH = {"BOSS_DATA_URL": OTHER, "BOSS_LOCAL_ROOT": "/shared"}


@pytest.mark.parametrize(
    ("name", "data", "environment", "expected"),
    [
        ("dr12", {}, {}, Source(SDSS, "results/mirror", False)),
        ("dr17", {}, {}, Source(SDSS, "results/mirror", False)),
        ("dr12", {}, {"BOSS_DATA_URL": ""}, Source(SDSS, "results/mirror", False)),
        ("dr12", {}, {"BOSS_DATA_URL": OTHER}, Source(OTHER, OTHER_MIRROR, False)),
        ("dr12", {}, BOTH, Source(OTHER, "/shared", False, overlay=OTHER_MIRROR)),
        ("dr12", {"url": SDSS}, BOTH, Source(SDSS, "/shared", False, overlay="results/mirror")),
        ("dr12", {"url": SDSS, "mirror": "mine"}, BOTH, Source(SDSS, "mine", False, overlay="results/mirror")),
        ("dr12", {"url": f"{SDSS}/"}, {}, Source(f"{SDSS}/", "results/mirror", False)),
        ("dr14", {"url": OTHER}, {}, Source(OTHER, OTHER_MIRROR, False)),
        ("dr12", {"url": {"dr12": OTHER}}, {}, Source(OTHER, OTHER_MIRROR, False)),
        ("dr14", {"url": {"dr12": OTHER}}, {}, Source(SDSS, "results/mirror", False)),
        ("dr12", {"url": {"dr12": None}}, {}, Source(SDSS, "results/mirror", False)),
        ("dr14", {"url": {"dr12": SDSS}}, {"BOSS_DATA_URL": OTHER}, Source(OTHER, OTHER_MIRROR, False)),
        ("sim", {"url": OTHER}, BOTH, Source(OTHER, "/shared", False, overlay=OTHER_MIRROR)),
        ("sim", {"url": {"sim": OTHER}}, {}, Source(OTHER, OTHER_MIRROR, False)),
    ],
)
def test_where_files_come_from_and_are_kept(name, data, environment, expected):
    """Protects the order of configuration, environment and release, and files of two servers from mixing."""
    assert source_of(name, RELEASES[name], Data(**data), environment) == expected


@pytest.mark.parametrize("data", [{}, {"url": {"dr12": OTHER}}, {"mirror": "mine"}])
def test_simulated_plate_is_made_here(tmp_path, monkeypatch, data):
    """Protects mirrors that are shared with other work from the simulated plate, unless the configuration asks."""
    folder = tmp_path / "a b"
    folder.mkdir()
    monkeypatch.chdir(folder)
    found = source_of("sim", RELEASES["sim"], Data(**data), BOTH)
    assert found == Source(f"file://{tmp_path}/a%20b/results/simulated", data.get("mirror", "results/mirror"), True)


@pytest.mark.parametrize("url", ["ftp://example.org", "/mirror"])
def test_wrong_url_of_the_environment_is_named(url):
    """Protects from a download that fails for a reason that the configuration does not show."""
    with pytest.raises(UserError, match=rf"\$BOSS_DATA_URL: '{url}' is not allowed; give server or mirror"):
        source_of("dr12", RELEASES["dr12"], Data(), {"BOSS_DATA_URL": url})


def test_further_servers_are_those_of_the_release_alone():
    """Protects a server that the user named from being left for another one."""
    release = RELEASES["dr12"].model_copy(update={"fallbacks": (OTHER,)})
    assert source_of("dr12", release, Data(), {}).fallbacks == (OTHER,)
    assert source_of("dr12", release, Data(url=SDSS), {}).fallbacks == (OTHER,)
    assert source_of("dr12", release, Data(url="https://example.com"), {}).fallbacks == ()


def test_a_mirror_that_cannot_be_written_is_said_before_any_job(tmp_path, monkeypatch):
    """Protects a user from looking for files in the wrong folder: the line names the setting and the other folder."""
    shared = str(tmp_path / "shared" / "not yet")
    source = Source(SDSS, shared, False, overlay="results/mirror")
    assert read_only(source) == ""
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(tmp_path))
    assert read_only(source) == (
        f"data.mirror {shared} cannot be written: what is missing there goes to results/mirror; "
        "set data.mirror to a folder of your own to have all in one place"
    )
    assert read_only(Source(SDSS, "results/mirror", False)) == ""


# ------------------------------------------------------------------------------------------------- the run's folder


def test_one_run_at_a_time(tmp_path):
    """Protects results from two runs at once, and a folder from the lock of a run that was killed."""
    folder = tmp_path / "results"
    program = (
        "import sys; from bosscal.run.lock import lock_run; lock = lock_run(sys.argv[1]); print(); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src")},
    ) as other:
        assert other.stdout.readline() == b"\n"
        with pytest.raises(
            UserError, match=r"^another run is at work in this folder: wait for it to end, or run in an"
        ):
            lock_run(folder)
        other.kill()
    lock_run(folder).close()
    lock_run(folder).close()


# A run on a second machine, whose locks nobody here sees.
ON_ANOTHER_MACHINE = """
import fcntl, socket, sys
from bosscal.run import lock
fcntl.flock = lambda *_: None
lock.machine = lambda: "another machine"
socket.gethostname = lambda: "node2"
lock.BEAT = 0.2
held = lock.lock_run(sys.argv[1], lambda words: print(words, flush=True))
print("holds", flush=True)
sys.stdin.readline()
held.close()
"""


@contextmanager
def run_on_another_machine(folder):
    """A process that has a folder as a run on another machine has it; it ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-c", ON_ANOTHER_MACHINE, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src")},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def aged(folder):
    """Let a run's signature be one that nobody touched for long."""
    old = (folder / ".run").stat().st_mtime - FORGOTTEN - 1
    os.utime(folder / ".run", (old, old))


def test_one_run_at_a_time_on_several_machines(tmp_path):
    """Protects results on a shared folder whose file system carries no locks between machines: each run keeps the
    other's machine out, by name, and lets it in at its end."""
    with run_on_another_machine(tmp_path) as other:
        assert other.stdout.readline() == "holds\n"
        with pytest.raises(UserError, match=r"^another run is at work in this folder, on node2: wait for it to end"):
            lock_run(tmp_path)
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.wait(20) == 0
    with lock_run(tmp_path):
        assert (tmp_path / ".run").exists()
        with run_on_another_machine(tmp_path) as other:
            assert other.wait(20) == 1
            assert f"at work in this folder, on {socket.gethostname()}: wait" in other.stderr.read()
    assert not (tmp_path / ".run").exists()


def test_a_run_that_was_killed_on_another_machine_is_forgotten(tmp_path, caplog):
    """Protects a shared folder from a signature that stays: after two minutes it counts no more, and a line says so.
    A signature that is touched does."""
    with run_on_another_machine(tmp_path) as other:
        assert other.stdout.readline() == "holds\n"
        aged(tmp_path)
        time.sleep(1)  # it beats
        with pytest.raises(UserError, match="on node2"):
            lock_run(tmp_path)
        other.kill()
        other.wait()
    with pytest.raises(UserError, match="forgotten 120 s after"):
        lock_run(tmp_path)
    aged(tmp_path)
    with caplog.at_level(logging.WARNING), lock_run(tmp_path):
        assert "a run on node2 was killed here" in caplog.text


def test_a_run_that_was_halted_for_long_ends(tmp_path):
    """Protects results where a machine slept for hours and goes on: its run sees that another has taken over."""
    with run_on_another_machine(tmp_path) as other:
        assert other.stdout.readline() == "holds\n"
        os.kill(other.pid, signal.SIGSTOP)
        aged(tmp_path)
        with lock_run(tmp_path):
            os.kill(other.pid, signal.SIGCONT)
            words = other.stdout.readline()
            assert (
                words
                == f"a run on {socket.gethostname()} took over this folder, for this one did not move; it ends here\n"
            )
        assert lock_run(tmp_path).close() is None


def test_a_file_system_without_locks_keeps_runs_apart_too(tmp_path, monkeypatch):
    """Protects runs on network file systems that have no locks: they go on, and one at a time."""

    def flock(stream, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with lock_run(tmp_path), pytest.raises(UserError, match="another run is at work in this folder, on"):
        lock_run(tmp_path)
    lock_run(tmp_path).close()


def test_folder_that_cannot_be_written_is_named(tmp_path):
    """Protects users from a traceback where they may not write."""
    (tmp_path / "results").write_text("")
    with pytest.raises(UserError, match=r"results/\.lock: cannot be written \("):
        lock_run(tmp_path / "results")


@pytest.mark.parametrize(
    "path",
    [
        "extract_frame/6641-56383/b1-00158842.npz", "compare/6641-56383/b1-00158842.ecsv",
        "calib/10000-57346/spCalib-b1-00158842.fits",
    ],
)  # fmt: skip
def test_results_of_the_first_version_are_refused(tmp_path, path):
    """Protects results from files of another layout beside them: one line says what it is and what to do."""
    folder = tmp_path / "results"
    (folder / path).parent.mkdir(parents=True)
    (folder / path).write_text("")
    with pytest.raises(UserError) as caught:
        refuse_old_results(folder)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{folder}: made by bosscal 0.1.0, which kept files in other places ({folder}/")
    assert line.endswith("): move it away or delete it")


def test_other_results_are_welcome(tmp_path):
    """Protects results of this version, also of a plate's figures, and a folder that is not there yet."""
    folder = tmp_path / "results"
    refuse_old_results(folder)
    for path in (
        ".gitkeep", "simulated/sas/sim/boss/x", "mirror/sas/dr12/boss/x", "mirror-0a1b2c3d/sas/dr12/boss/x",
        "extract_frame/sim/6641-56383/b1-00158842.npz", "compare/sim/6641-56383/b1-00158842.ecsv",
        "figures/6641-56383-overview.png", "compare/summary.ecsv", "compare/6118-56189/summary.ecsv",
        "report/6118-56189/index.html", "mirror/dr12/sas/dr12/boss/x",
    ):  # fmt: skip
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("")
    refuse_old_results(folder)


@pytest.mark.parametrize(
    ("configfile", "name"),
    [
        (None, None), ("config.yaml", None), ("./config.yaml", None), ("repository/config.yaml", None),
        ("mine.yaml", "mine"), ("docs/noise-dr12.yml", "noise-dr12"), ("other/config.yaml", "config"),
        ("my plate (2).yaml", "my-plate--2-"), ("../up.yaml", "up"), ("Größe.v2.yaml", "Gr--e.v2"), (".yaml", "yaml"),
        ("...yaml", "config"),
    ],
)  # fmt: skip
def test_name_of_a_configuration(tmp_path, monkeypatch, configfile, name):
    """Protects results of several configurations from each other, and folders from names with blanks or worse."""
    monkeypatch.chdir(tmp_path)
    assert configuration_name(configfile, default=tmp_path / "repository/config.yaml") == name


def test_a_configuration_is_not_called_like_a_folder_of_the_report():
    """Protects the default report's pages from another configuration's report."""
    with pytest.raises(UserError, match="'pages' is the name of a folder of the report; give another name"):
        configuration_name("a/pages.yaml", releases=["dr12"])


def test_a_configuration_is_not_called_like_a_release(tmp_path):
    """Protects a release's tables from a summary among them."""
    with pytest.raises(UserError, match=r"dr12\.yaml: 'dr12' is the name of a release; give the configuration another"):
        configuration_name(tmp_path / "dr12.yaml", releases=["sim", "dr12"])
    assert configuration_name(tmp_path / "my-dr12.yaml", releases=["sim", "dr12"]) == "my-dr12"


def test_a_mirror_is_where_a_shell_would_look(tmp_path):
    """Protects home folders from a folder that is called ~."""
    environment = {"HOME": str(tmp_path), "DISK": "/data", "ONCE": "/$DISK/~", "WITH": "~/a"}
    for mirror, expected in (
        ("~/sdss", f"{tmp_path}/sdss"), ("~", str(tmp_path)), ("$DISK/sdss", "/data/sdss"),
        ("${DISK}s", "/datas"), ("$ONCE/x", "/$DISK/~/x"), ("$WITH", "~/a"), ("sdss", "sdss"), ("a/~/b", "a/~/b"),
        ("a$", "a$"), ("5$/x", "5$/x"),
    ):  # fmt: skip
        assert source_of("dr12", RELEASES["dr12"], Data(mirror=mirror), environment).mirror == expected
        given = environment | {"BOSS_LOCAL_ROOT": mirror}
        assert source_of("dr12", RELEASES["dr12"], Data(), given).mirror == expected
