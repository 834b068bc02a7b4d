"""Speed and memory of the steps on one simulated camera exposure: `make bench`.

Machines are noisy, so each step is also given as a ratio to a yardstick of the same run: evaluating the wavelength
trace set of all fibers, one matrix product.
"""

import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import notebook

from bosscal import simulation
from bosscal.budget import effects
from bosscal.comparison import compare_fibers
from bosscal.exposure import CameraExposure, select
from bosscal.figures.panels import six_panels
from bosscal.figures.style import save, style
from bosscal.noise import optimal_variance
from bosscal.pipeline import calibrate_exposure
from bosscal.prediction import predict
from bosscal.surveyfiles import read_frames
from bosscal.tutorial import reconstruct
from bosscal.variance import pixel_noise

SEED, CAMERA, EXPNUM = 1, "r1", 158842
REPEAT = 3


def measure(function, repeat=REPEAT):
    """Shortest time of several runs [s], peak memory that one allocates [MB], and what it returns."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return min(times), peak, result


def main():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rows = []

        def step(name, function, repeat=REPEAT):
            seconds, peak, result = measure(function, repeat)
            rows.append((name, seconds, peak))
            return result

        step("simulate a camera exposure", lambda: simulation.simulate_camera_exposure(root, CAMERA, EXPNUM, SEED), 1)
        simulation.write_flat(root, CAMERA, SEED)
        simulation.write_fluxdistort(root, SEED)
        frame, cframe, calib, corr = (root / path for path in simulation.camera_exposure_paths(CAMERA, EXPNUM))
        paths = [frame, cframe, root / simulation.flat_path(CAMERA), calib, corr, root / simulation.fluxdistort_path()]
        names = [path.name for path in paths]
        exposure = step("extract_frame: read the files", lambda: read_frames(paths, names, 6641, 56383), 1)
        step("extract_frame: write the npz", lambda: exposure.write(root / "exposure.npz"))
        stored = CameraExposure.read(root / "exposure.npz")
        wave = exposure.trace_set("wave")
        step("yardstick: wavelengths of all fibers", lambda: wave(exposure.row))
        step("tutorial arithmetic, 500 fibers", lambda: reconstruct(exposure))
        step("exact model, 500 fibers", lambda: calibrate_exposure(exposure))
        electrons, (readnoise, sigma) = reconstruct(exposure)["electrons"], pixel_noise(exposure)
        step("optimal extraction variance, 500 fibers", lambda: optimal_variance(electrons, readnoise, sigma))
        arrays = step("calibrate: all of it", lambda: predict(exposure, 0, "optimal"))
        step("compare: all laws, fits, 500 fibers", lambda: compare_fibers(exposure, arrays, "optimal"), 1)
        one, rows_of_one = select(1, stored, arrays)
        step("error budget of one fiber", lambda: effects(one, rows_of_one["compared"]))

        def draw():
            with style():
                save(six_panels(one, rows_of_one, "bench"), root / "figure.png", root / "figure.pdf")

        step("six panels, PNG and PDF", draw)
        folder = paths[0].parent
        step(
            "for comparison: the notebook's way, 1 fiber",
            lambda: notebook.plot_calib(folder, 6641, 56383, CAMERA, EXPNUM, 158840, 1),
            1,
        )

    yardstick = next(seconds for name, seconds, _ in rows if name.startswith("yardstick"))
    print(f"numpy {np.__version__}, camera {CAMERA}, 500 x 4128 pixels\n")
    print(f"{'step':45} {'seconds':>9} {'/ yardstick':>12} {'peak MB':>9}")
    for name, seconds, peak in rows:
        print(f"{name:45} {seconds:9.3f} {seconds / yardstick:12.1f} {peak:9.0f}")


if __name__ == "__main__":
    main()
