"""Speed, memory and size of the steps on the simulated plate: `make bench`.

Machines are noisy and differ, so what matters is given as a ratio within one run: to unpacking the input files with the
fastest inflater, and to the notebook's own way of doing one fiber. Writes bench.json in the working directory, and the
table of README.md between its markers when called with --readme.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
sys.path.insert(0, str(Path(__file__).parent))

import notebook
from isal import igzip

from bosscal import simulation
from bosscal.base.tables import write_table
from bosscal.results.comparison import compare_fibers
from bosscal.results.export import write_calib
from bosscal.results.prediction import Prediction, predict
from bosscal.survey.exposure import CameraExposure
from bosscal.survey.frames import read_frames

REPOSITORY = Path(__file__).resolve().parents[1]
SEED, CAMERA, EXPNUM, FIBER = 20130402, "r1", simulation.EXPOSURES[0], 1
REPEAT = 3
SCRIPTS = REPOSITORY / "workflow" / "scripts"
# What Snakemake has a job import before the script's own first line.
PREAMBLE = "from snakemake.logging import logger; from snakemake.iocontainers import Snakemake; "
README = REPOSITORY / "README.md"
# Runs its argument as a process and prints that one's wall and CPU time [s] and peak memory [MB].
LAUNCHER = """
import json, os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
_, status, usage = os.wait4(process.pid, 0)
seconds = time.perf_counter() - start
unit = 1e6 if sys.platform == "darwin" else 1e3
print(json.dumps([seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit]))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def shortest(function, repeat=REPEAT, output=None):
    """Shortest wall time of several runs [s], each without the output of the one before, as Snakemake has it."""
    times = []
    for _ in range(repeat):
        if output:
            output.unlink(missing_ok=True)
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def in_process(code, repeat=REPEAT):
    """Shortest wall and CPU time [s] of a process that runs this code, and its peak memory [MB].

    A process starts with the peak memory of the one that starts it, so that is a small one.
    """
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    command = [sys.executable, "-c", LAUNCHER, code]
    results = []
    for _ in range(repeat):
        process = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
        if process.returncode:
            sys.exit(f"a step failed: {code}")
        results.append(json.loads(process.stdout.splitlines()[-1]))
    return tuple(map(min, zip(*results, strict=True)))


def call(script, *arguments):
    """Code that runs a step's script as the workflow does, but for Snakemake."""
    words = ", ".join(map(repr, arguments))
    return f"import runpy; runpy.run_path({str(SCRIPTS / script)!r})['main']({words})"


def measure_frame(paths, names, table, calib):
    """Code that does four steps of a camera exposure in one process, as `keep_intermediates: false` has it."""
    frames = {
        "names": names, "release": "sim", "plate": simulation.PLATE, "mjd": simulation.MJD, "noise_law": "optimal",
        "mask_allow": 0, "thrucorr": False,
    }  # fmt: skip
    return (
        "from bosscal.results.measured import Frames; import runpy; "
        f"runpy.run_path({str(SCRIPTS / 'measure_frame.py')!r})['main']({paths!r}, Frames(**{frames!r}), {table!r}, "
        f"{calib!r})"
    )


def startup(script):
    """Time from the start of a job's process to the script's own first line [s]."""
    return in_process(f"{PREAMBLE}import runpy; runpy.run_path({str(SCRIPTS / script)!r})")[0]


def simulate(root):
    """All files of a spectrograph's camera exposures, and the full spec file of a fiber."""
    for camera in simulation.camera_pair(FIBER):
        simulation.write_flat(root, camera, SEED)
        for expnum in simulation.EXPOSURES:
            simulation.simulate_camera_exposure(root, camera, expnum, SEED)
    simulation.write_fluxdistort(root, SEED)
    simulation.write_spec(root, FIBER)


def files(root, expnum):
    """The files of a camera exposure, in the order in which they are read."""
    spframe, spcframe, spfluxcalib, spfluxcorr = simulation.camera_exposure_paths(CAMERA, expnum)
    names = [spframe, spcframe, simulation.flat_path(CAMERA), spfluxcalib, spfluxcorr, simulation.fluxdistort_path()]
    return [root / name for name in names]


def unpack(paths):
    """The limit: every byte read and every compressed file unpacked."""
    for path in paths:
        content = path.read_bytes()
        if path.suffix == ".gz":
            igzip.decompress(content)


class Chain:
    """The steps of one camera exposure, each from files to a file as in the workflow."""

    def __init__(self, paths, folder):
        self.paths = paths
        self.exposure, self.prediction = folder / "exposure.npz", folder / "prediction.npz"
        self.table, self.calib = folder / "table.ecsv", folder / "spCalib.fits"

    def read(self):
        return CameraExposure.read(self.exposure), Prediction.read(self.prediction)

    def extract(self):
        names = [path.name for path in self.paths]
        read_frames(self.paths, names, "sim", simulation.PLATE, simulation.MJD).write(self.exposure)

    def calibrate(self):
        predict(CameraExposure.read(self.exposure), "optimal", 0).write(self.prediction)

    def compare(self):
        write_table(self.table, compare_fibers(*self.read()))

    def write_calib(self):
        write_calib(self.calib, *self.read())

    def times(self):
        """Shortest wall time of every step [s]."""
        steps = {
            "extract": (self.extract, self.exposure), "calibrate": (self.calibrate, self.prediction),
            "compare": (self.compare, self.table), "write_calib": (self.write_calib, self.calib),
        }  # fmt: skip
        return {name: shortest(step, output=output) for name, (step, output) in steps.items()}


def growth(chain):
    """Time of calibrate and compare against the number of fibers [s]."""
    exposure, _ = chain.read()
    result = {}
    for nfiber in (100, 200, 500):
        some = exposure.take(slice(0, nfiber))
        result[nfiber] = shortest(lambda some=some: compare_fibers(some, predict(some, "optimal")))
    return result


def default_run(folder):
    """Wall time of the default configuration on two cores in an empty folder, set-up excluded [s], and its jobs."""
    (folder / "config.yaml").write_bytes((REPOSITORY / "config.yaml").read_bytes())
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile", "--cores", "2"]
    command += ["--workflow-profile", REPOSITORY / "profiles" / "default"]
    start = time.perf_counter()
    process = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False)
    if process.returncode:
        sys.exit(process.stdout + process.stderr)
    seconds = time.perf_counter() - start
    return seconds, max(map(int, re.findall(r"step (\d+)", process.stdout + process.stderr)))


def measure(root):
    """Every number of the table, by name."""
    simulate(root)
    paths = files(root, EXPNUM)
    limit = shortest(lambda: unpack(paths))
    chain = Chain(paths, root)
    times = chain.times()
    total = sum(times.values())
    plate = paths[0].parent
    of_notebook = shortest(
        lambda: notebook.plot_calib(plate, simulation.PLATE, simulation.MJD, CAMERA, EXPNUM, 158840, FIBER), 2
    )
    outputs = [chain.exposure, chain.prediction, chain.calib]
    target = {
        "release": "sim", "plate": simulation.PLATE, "mjd": simulation.MJD, "fiber": FIBER, "band": "red",
        "camera": CAMERA, "expidx": 0, "expnum": EXPNUM, "products": "frames",
    }  # fmt: skip
    figures = [str(root / f"figure{kind}.{form}") for kind in ("", "-budget", "-noise") for form in ("png", "pdf")]
    npz = [str(chain.exposure), str(chain.prediction)]
    drawing = (
        f"from bosscal.survey.targets import Target; import runpy; runpy.run_path({str(SCRIPTS / 'plot.py')!r})['main']"
        f"({npz!r}, None, Target(**{target!r}), {figures!r}, {str(root / 'budget.ecsv')!r})"
    )
    names = [path.name for path in paths]
    steps = {
        "extract_frame": call("extract_frame.py", list(map(str, paths)), names, "sim", 6641, 56383, npz[0]),
        "calibrate": call("calibrate.py", npz[0], "optimal", 0, False, npz[1]),
        "compare": call("compare.py", *npz, str(chain.table)),
        "write_calib": call("write_calib.py", *npz, str(chain.calib)),
        "plot": drawing,
    }
    used = {name: in_process(code, 1) for name, code in steps.items()}
    used["measure_frame"] = in_process(
        measure_frame(list(map(str, paths)), names, str(root / "fused.ecsv"), str(root / "fused.fits")), 1
    )
    simulated = (
        "from bosscal import simulation; "
        f"simulation.simulate_camera_exposure({str(root / 'again')!r}, {CAMERA!r}, {EXPNUM}, {SEED})"
    )
    used["simulate_frames"] = in_process(simulated, 1)
    spec, results = str(root / simulation.spec_path(FIBER)), root / "spec"
    of_spec = in_process(
        f"from pathlib import Path; import runpy; runpy.run_path({str(SCRIPTS / 'measure_spec.py')!r})['main']"
        f"({spec!r}, [], 'spec', 'sim', 6641, 56383, {FIBER}, 'optimal', 0, False, Path({str(results)!r}), "
        f"{str(results / 'table.ecsv')!r})"
    )
    nspec = 2 * len(simulation.EXPOSURES)
    run = root / "run"
    run.mkdir()
    seconds, jobs = default_run(run)
    return {
        "limit": limit,
        "steps": times,
        "chain": total,
        "chain_over_limit": total / limit,
        "notebook_per_fiber": of_notebook,
        "notebook_over_chain": of_notebook / (total / 500),
        "input_mb": sum(path.stat().st_size for path in paths) / 1e6,
        "bytes_ratio": sum(path.stat().st_size for path in outputs) / sum(path.stat().st_size for path in paths),
        "startup": {
            script: startup(f"{script}.py")
            for script in ("download", "extract_frame", "calibrate", "compare", "write_calib", "plot", "report")
        },
        "drawing_cpu": in_process(drawing)[1],
        "peak_mb": {name: peak for name, (_, _, peak) in used.items()},
        "spec_per_exposure": of_spec[0] / nspec,
        "default_run": seconds,
        "default_jobs": jobs,
        "growth": growth(chain),
        "second_exposure": sum(Chain(files(root, simulation.EXPOSURES[1]), root).times().values()),
        "numpy": np.__version__,
        "cores": os.cpu_count(),
    }


def table(found):
    """The table of README.md."""
    slow = max(found["startup"], key=found["startup"].get)
    large = max(found["peak_mb"], key=found["peak_mb"].get)
    fibers = ", ".join(f"{seconds:.2f} s for {nfiber}" for nfiber, seconds in found["growth"].items())
    rows = [
        ("unpacking a camera exposure's files, the limit", f"{found['limit']:.2f} s for {found['input_mb']:.0f} MB"),
        ("extract, calibrate, compare and spCalib of it, over the limit", f"{found['chain_over_limit']:.1f}"),
        ("the notebook's way, over ours, per fiber", f"{found['notebook_over_chain']:.0f}"),
        ("bytes of npz and spCalib over those of the input", f"{found['bytes_ratio']:.2f}"),
        (
            "start-up of a job",
            f"calibrate {found['startup']['calibrate']:.2f} s, at most {found['startup'][slow]:.2f} s",
        ),
        ("three figures of a target, PNG and PDF", f"{found['drawing_cpu']:.1f} s of CPU"),
        ("a camera exposure of a full spec file", f"{found['spec_per_exposure']:.2f} s"),
        ("default run on two cores, after set-up", f"{found['default_run']:.0f} s, {found['default_jobs']} jobs"),
        ("peak memory of a step", f"{found['peak_mb'][large]:.0f} MB ({large})"),
        ("calibrate and compare against fibers", fibers),
        (
            "all steps against camera exposures",
            f"{found['chain']:.1f} s for one, {found['chain'] + found['second_exposure']:.1f} s for two",
        ),
    ]
    return "\n".join(["| what | measured |", "|---|---|", *(f"| {what} | {value} |" for what, value in rows)])


def main():
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder))
    Path("bench.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table(found))
    print(f"\nsteps [s]: {found['steps']}\n(all numbers: bench.json)")
    if "--readme" in sys.argv:
        text = README.read_text(encoding="utf-8")
        begin, end = "<!-- bench: made by make bench -->\n", "<!-- end -->"
        block = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        README.write_text(block.sub(lambda match: f"{begin}\n{table(found)}\n\n{end}", text, count=1), encoding="utf-8")


if __name__ == "__main__":
    main()
