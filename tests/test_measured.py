"""A camera exposure made in memory: the same as by way of the npz files, and within a node's memory."""

import bench
import numpy as np
import pytest
from astropy.table import Table
from simulated import frame_files

from bosscal import simulation
from bosscal.base.tables import write_table
from bosscal.results.comparison import OF_EXPOSURE, header_of, stack
from bosscal.results.measured import Frames, measured

EXPNUM = simulation.EXPOSURES[1]


@pytest.fixture(scope="module")
def frames(red_exposure):
    """How to make r1's second exposure."""
    names = [name for name, _ in red_exposure.header.inputs]
    return Frames(names, "sim", simulation.PLATE, simulation.MJD, "optimal", 0, False)


def test_npz_files_lose_nothing(simulated_root, frames, red_exposure, red_prediction, tmp_path):
    """Protects surveys without npz files: every array, of the same type and bytes, is what these would have given."""
    red_exposure.write(tmp_path / "exposure.npz")
    red_prediction.write(tmp_path / "prediction.npz")
    kept = measured([tmp_path / "exposure.npz", tmp_path / "prediction.npz"])
    made = measured(frame_files(simulated_root, "r1", EXPNUM), frames)
    for of_npz, in_memory in zip(kept, made, strict=True):
        assert of_npz.header == in_memory.header
        assert set(of_npz.arrays) == set(in_memory.arrays)
        for name in of_npz.arrays:
            assert of_npz.arrays[name].dtype == in_memory.arrays[name].dtype, name
            np.testing.assert_array_equal(of_npz.arrays[name], in_memory.arrays[name], err_msg=name)


def test_four_steps_in_one_process_need_little_memory(simulated_root, frames, tmp_path):
    """Protects nodes with 1 GB a core: 500 fibers are measured within 700 MB, the interpreter included."""
    paths = list(map(str, frame_files(simulated_root, "r1", EXPNUM)))
    outputs = [str(tmp_path / name) for name in ("table.ecsv", "spCalib.fits")]
    _, _, memory = bench.in_process(bench.measure_frame(paths, list(frames.names), *outputs), 1)
    assert 100 < memory <= 700
    assert len(Table.read(outputs[0], format="ascii.ecsv")) == 500


def test_a_table_tells_the_header_of_its_exposure(red_exposure, red_table, tmp_path):
    """Protects the report where no npz is kept: facts and inputs are in the table, whose rows need not be read, and
    not in a table of several exposures, whose they are not."""
    write_table(tmp_path / "table.ecsv", red_table)
    assert header_of(tmp_path / "table.ecsv") == red_exposure.header
    assert OF_EXPOSURE not in stack([red_table, red_table]).meta
