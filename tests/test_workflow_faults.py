"""Faults through the whole workflow, of each kind one: how the run ends, what the user reads, what remains, and that
the next good run ends with the bytes of one that nothing disturbed."""

import gzip
import hashlib
import os
import shutil
import signal
import subprocess
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
from astropy.io import fits
from conftest import Workflow, copy_code, serving

from bosscal.base.outcomes import read_outcome

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

REDUX = "sas/sim/boss/spectro/redux/v5_7_0"
FRAMES = f"{REDUX}/6641"
B1, R1 = "b1-00158842", "r1-00158842"
SPEC = f"{REDUX}/spectra/6641/spec-6641-56383-0012.fits"
LITE = f"{REDUX}/spectra/lite/6641/spec-6641-56383-0001.fits"
SPFRAME, SPCFRAME = f"{FRAMES}/spFrame-{B1}.fits.gz", f"{FRAMES}/spCFrame-{B1}.fits"
FLUXCALIB = f"{FRAMES}/spFluxcalib-{B1}.fits.gz"
TARGETS = [
    {"plate": 6641, "mjd": 56383, "fibers": [1]},
    {"plate": 6641, "mjd": 56383, "fibers": [12], "bands": ["red"], "products": "spec"},
]
TABLES = ("--", "results/compare/summary.ecsv")  # without figures and report, which take most of the time
KINDS = (".npz", ".ecsv", ".fits", ".png", ".pdf")


def copy_tree(source, target):
    """A folder whose files are shared; a test that changes one puts another in its place."""
    shutil.copytree(source, target, copy_function=os.link)


def configured(folder, url, code=None, **data):
    workflow = Workflow(folder, code) if code else Workflow(folder)
    return workflow.configure(release="sim", data={"url": url, **data}, targets=TARGETS)


def digests(workflow):
    """SHA-256 of all that the workflow makes in formats that have to be the same, by path."""
    made = [path for path in workflow.results.rglob("*") if path.suffix in KINDS and path.is_file()]
    names = {path: str(path.relative_to(workflow.results)) for path in made}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path, name in names.items()
        if not name.startswith(("inputs/", "mirror", "simulated/"))
    }


class Undisturbed:
    def __init__(self, server, workflow):
        self.server, self.digests = server, digests(workflow)


@pytest.fixture(scope="module")
def undisturbed(default_run, tmp_path_factory):
    """A server's folder with the simulated plate, and what a run makes of it that nothing disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    maker = default_run.copy(folder / "maker").configure(release="sim", targets=TARGETS)
    second = FLUXCALIB.replace("00158842", "00158843")
    maker.run("--", *(f"results/simulated/{path}" for path in (SPEC, LITE, second)))
    server = folder / "server"
    copy_tree(maker.results / "simulated", server)
    workflow = configured(folder / "run", server.as_uri())
    workflow.run()
    return Undisturbed(server, workflow)


# ------------------------------------------------------------------------------------------------ damages to a file


def replace(path, content):
    """Put other bytes in a file's place: the file itself is shared."""
    path.unlink()
    path.write_bytes(content)


def rewritten(path, change):
    """Change what a FITS file says, and write it anew."""
    with fits.open(path, memmap=False) as hdus:
        for hdu in hdus:
            hdu.header, hdu.data  # noqa: B018 (read before the file goes)
        change(hdus)
        path.unlink()
        hdus.writeto(path)


def cut(path):
    replace(path, path.read_bytes()[:-20_000])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    replace(path, bytes(content))


def login_page(path):
    replace(path, b"<!DOCTYPE html><html><body>Please log in</body></html>")


def empty(path):
    replace(path, b"")


def remove(path):
    path.unlink()


def of_another_camera(path):
    replace(path, path.with_name(path.name.replace("-b1-", "-r1-")).read_bytes())


def of_another_exposure(path):
    replace(path, path.with_name(path.name.replace("00158842", "00158843")).read_bytes())


def of_another_release(path):
    replace(path, gzip.compress(gzip.decompress(path.read_bytes()).replace(b"'v5_7_0  '", b"'v5_10_0 '")))


def without_a_read_noise(path):
    rewritten(path, lambda hdus: hdus[0].header.set("RDNOISE0", -3.0))


def shifted(path):
    def shift(hdus):
        hdus[3].data = hdus[3].data + np.float32(0.001)

    rewritten(path, shift)


def all_nan(path):
    def spoil(hdus):
        hdus[0].data = np.full_like(hdus[0].data, np.nan)

    rewritten(path, spoil)


def against_the_list(path):
    (path.parent / "boss_spectro_redux_v5_7_0_6641.sha1sum").write_text(f"{'0' * 40}  {path.name}\n")


def of_another_object(path):
    rewritten(path, lambda hdus: hdus[0].header.set("FIBERID", 13))


BLUE, SPECTRUM = B1, "-0012"  # what the files are called that a fault costs

DAMAGES = [
    (cut, SPFRAME, "is no whole FITS file", BLUE),
    (flip_a_bit, SPFRAME, "is no whole FITS file", BLUE),
    (login_page, SPCFRAME, "is a web page", BLUE),
    (empty, FLUXCALIB, "is no whole FITS file", BLUE),
    (remove, SPCFRAME, "no such file; check plate", BLUE),
    (of_another_camera, SPFRAME, "camera", BLUE),
    (of_another_exposure, FLUXCALIB, "exposure", BLUE),
    (of_another_release, SPFRAME, "v5_10_0", BLUE),
    (without_a_read_noise, SPFRAME, "RDNOISE0", BLUE),
    (shifted, SPCFRAME, "wavelength", BLUE),
    (all_nan, SPCFRAME, "has no usable number in", BLUE),
    (against_the_list, SPCFRAME, "and the survey's list says", BLUE),
    (cut, SPEC, "is no whole FITS file", SPECTRUM),
    (of_another_object, SPEC, "13", SPECTRUM),
    (remove, LITE, "no such file; check plate", "frames"),
]


def assert_ended_with(process, message):
    """The run failed, its last lines are causes, and nothing speaks of Snakemake's insides."""
    assert process.returncode == 1, process.stdout
    headline = process.stdout.rpartition("could not be made")[2].splitlines()
    assert len(headline) > 1
    assert all(line.startswith("bosscal: ") for line in headline[1:]), headline
    assert any(message in line for line in headline[1:]), headline
    for words in ("Traceback", "RuleException", "CalledProcessError", "snakemake/scripts", "a fault of bosscal"):
        assert words not in process.stdout, words


def assert_only_lost(workflow, undisturbed, lost, all_made=True):
    """What does not depend on the fault is there, byte by byte; what does is there as the reason why it is not."""
    made = digests(workflow)
    kept = 0
    for name, digest in undisturbed.digests.items():
        steps = ("extract_frame/", "calibrate/", "compare/sim/", "calib/", "figures/", "budget/")
        if not name.startswith(steps) or "coadd" in name or "repeats" in name or "eta-" in name:
            continue  # the others are of all that there is
        if not all_made and name.startswith(("calib/", "figures/", "budget/")):
            continue
        frames = "-0012" not in name
        gone = frames if lost == "frames" else lost in name and (frames or lost == SPECTRUM)
        path = workflow.results / name
        if gone:  # which of the steps before the comparison tells depends on the fault
            assert not name.startswith("compare/") or not path.exists() or read_outcome(path), name
        else:
            kept += 1
            assert made.get(name) == digest, name
    assert kept > 2
    assert (workflow.results / "compare/summary.ecsv").exists()


@pytest.mark.parametrize(
    ("damage", "path", "message", "lost"),
    [pytest.param(*each, id=f"{each[0].__name__}-{each[1].rpartition('/')[2]}") for each in DAMAGES],
)
def test_a_bad_file_costs_what_needs_it_and_is_mended_by_a_good_one(undisturbed, tmp_path, damage, path, message, lost):
    """Protects everything else from one bad file, the user from a traceback, the results from what is left of it."""
    server = tmp_path / "server"
    copy_tree(undisturbed.server, server)
    workflow = configured(tmp_path / "run", server.as_uri())
    damage(server / path)
    what = () if damage is cut else TABLES
    assert_ended_with(workflow.run(*what, check=False), message)
    assert_only_lost(workflow, undisturbed, lost, damage is cut)
    if damage is cut:
        html = (workflow.results / "report/index.html").read_text(encoding="utf-8")
        assert message in html
    shutil.rmtree(server)
    copy_tree(undisturbed.server, server)
    workflow.run(*what)
    made = digests(workflow)
    assert made == {name: undisturbed.digests[name] for name in made}
    assert damage is not cut or len(made) == len(undisturbed.digests)


# -------------------------------------------------------------------------------------------------- disks, processes


def test_a_full_disk_ends_in_one_line_and_is_gone_on_from(undisturbed, tmp_path):
    """Protects a night's work from a disk that fills: nothing is half-written, and with room the rest is made."""
    run = tmp_path / "run"
    (run / "results").mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=60m", "none", run / "results"]
    if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("mounting a file system takes root")
    try:
        workflow = configured(run, undisturbed.server.as_uri())
        process = workflow.run(check=False)
        assert process.returncode == 1, process.stdout
        assert "Traceback" not in process.stdout
        last = process.stdout.rpartition("could not be made")[2].splitlines()[1:]
        assert last
        assert all("o space left on device" in line for line in last), last
        subprocess.run(["mount", "-o", "remount,size=1g", run / "results"], check=True)
        workflow.run()
        assert digests(workflow) == undisturbed.digests
        assert not list(workflow.results.rglob(".partial-*"))
    finally:
        subprocess.run(["umount", run / "results"], check=True)


@pytest.mark.parametrize("moment", ["extract_frame", "compare", "figures"])
def test_a_run_that_is_killed_is_gone_on_from(undisturbed, tmp_path, moment):
    """Protects results from a machine that goes down: the next run ends as if nothing had been."""
    workflow = configured(tmp_path, undisturbed.server.as_uri())
    what = () if moment == "figures" else TABLES
    process = subprocess.Popen(
        workflow.command(*what),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not list(workflow.results.glob(f"{moment}/**/*6641*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    workflow.run(*what)
    made = digests(workflow)
    assert made == {name: undisturbed.digests[name] for name in made}


def test_two_runs_fill_one_mirror(undisturbed, tmp_path):
    """Protects a mirror that two runs download to at the same time: both end well, with the same bytes."""
    mirror = tmp_path / "mirror"
    with serving(undisturbed.server) as url:
        runs = [configured(tmp_path / name, url, mirror=str(mirror)) for name in "ab"]
        processes = [
            subprocess.Popen(
                run.command(*TABLES), cwd=run.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            for run in runs
        ]
        for process in processes:
            output, _ = process.communicate()
            assert process.returncode == 0, output
    for run in runs:
        made = digests(run)
        assert made == {name: undisturbed.digests[name] for name in made}
    assert not list(mirror.rglob(".partial-*"))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("raise ValueError('no such thing')", "unexpected ValueError: no such thing (a fault of bosscal; details in"),
        ("import os; os.kill(os.getpid(), 9)", "as a job does that is killed: most often because memory ran out"),
    ],
    ids=["fault", "killed"],
)
def test_a_fault_of_ours_or_a_killed_job_is_said_last(undisturbed, tmp_path, fault, words):
    """Protects the user from Snakemake's words for a job that broke, and the other jobs from ending with it."""
    code = copy_code(tmp_path / "code")
    script = code / "workflow/scripts/calibrate.py"
    sane = script.read_text(encoding="utf-8")
    begin = "def main("
    assert sane.count(begin) == 1
    body = sane.partition(begin)[2].partition(":\n")
    script.write_text(f"{sane.partition(begin)[0]}{begin}{body[0]}:\n    {fault}\n{body[2]}", encoding="utf-8")
    workflow = configured(tmp_path / "run", undisturbed.server.as_uri(), code)
    process = workflow.run(*TABLES, check=False)
    assert process.returncode == 1
    last = process.stdout.rpartition("could not be made")[2].splitlines()[1:]
    assert len(last) == 2  # both cameras
    for line in last:
        assert line.startswith("bosscal: calibrate sim 6641-56383 ")
        assert words in line
        assert "results/logs/calibrate/sim/6641-56383/" in line
    for noise in ("Traceback", "RuleException", "CalledProcessError"):
        assert noise not in process.stdout
    assert (workflow.results / "compare/sim/6641-56383/spec-0012.ecsv").exists()
    script.write_text(sane, encoding="utf-8")
    workflow.run(*TABLES)
    made = digests(workflow)
    assert made == {name: undisturbed.digests[name] for name in made}


# ------------------------------------------------------------------------------------------------------- the network


class Misbehaving(SimpleHTTPRequestHandler):
    """A server whose answers to requests for one file are bad, so many times; each in its own way."""

    bad: dict
    counts: dict

    def do_GET(self):
        name = self.path.rpartition("/")[2]
        way, times = self.bad.get(name, (None, 0))
        self.counts[name] = self.counts.get(name, 0) + 1
        if self.counts[name] > times:
            return super().do_GET()
        content = (self.directory_path / self.path.lstrip("/")).read_bytes()
        status, body = {
            "login": (200, b"<html><body>Please log in</body></html>" * 10),
            "wrong bytes": (200, content[:-4000] + bytes(4000)),
            "forbidden": (403, b""),
        }[way]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("login", "is a web page (did the server ask for a login?), twice; not kept"),
        ("wrong bytes", "and the survey's list says"),
        ("forbidden", "the server refuses this file (status 403)"),
    ],
)
def test_a_server_that_misbehaves_leaves_nothing_behind(undisturbed, tmp_path, way, message):
    """Protects the mirror from what is not the survey's file, and the user from fetching the good ones again."""
    server = tmp_path / "server"
    copy_tree(undisturbed.server, server)
    name = SPCFRAME.rpartition("/")[2]
    for folder in filter(lambda path: path.is_dir(), server.rglob("*")):
        sums = [f"{hashlib.sha1(path.read_bytes()).hexdigest()}  {path.name}" for path in folder.glob("*.fits*")]
        (folder / "redux.sha1sum").write_text("\n".join(sums) + "\n")
    handler = type("Handler", (Misbehaving,), {"bad": {name: (way, 2)}, "counts": {}, "directory_path": server})
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), lambda *rest: handler(*rest, directory=str(server)))
    thread = Thread(target=httpd.serve_forever)
    thread.start()
    try:
        workflow = configured(
            tmp_path / "run", f"http://127.0.0.1:{httpd.server_port}", mirror=str(tmp_path / "mirror")
        )
        assert_ended_with(workflow.run(*TABLES, check=False), message)
        assert_only_lost(workflow, undisturbed, BLUE, all_made=False)
        assert not list((tmp_path / "mirror").rglob(f"*{name}"))
        handler.counts[name] = 2
        others = {key: value for key, value in handler.counts.items() if key.startswith("sp")}
        workflow.run(*TABLES)
        made = digests(workflow)
        assert made == {name: undisturbed.digests[name] for name in made}
        assert {key: handler.counts[key] for key in others if key != name} == {
            key: value for key, value in others.items() if key != name
        }
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def test_all_can_be_fetched_first_and_then_runs_without_a_network(undisturbed, tmp_path):
    """Protects `make fetch`: it says how much would come, and brings all that the configuration needs."""
    with serving(undisturbed.server) as url:
        workflow = configured(tmp_path, url)
        process = workflow.run("plan_fetch")
        needed = [path for path in undisturbed.server.rglob(f"*{B1}*")]
        (line,) = [line for line in process.stdout.splitlines() if line.startswith("bosscal: ")]
        assert " would come, " in line
        assert needed
        workflow.run("fetch")
        assert "all are there" in workflow.run("plan_fetch").stdout
    workflow.run(*TABLES)
    made = digests(workflow)
    assert made == {name: undisturbed.digests[name] for name in made}
