"""Files: nothing half-written, the same bytes every time, damage named."""

import numpy as np
import pytest
from conftest import REPOSITORY

from bosscal.base.errors import UserError
from bosscal.base.files import Arrays, replacing, sha1sum, write_arrays, write_json
from bosscal.job import logged
from bosscal.provenance import code_digest, code_files


def test_a_failed_write_leaves_the_old_file(tmp_path):
    """Protects results from half-written replacements."""
    path = tmp_path / "table.txt"
    path.write_text("old")

    def half_written():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_written()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_arrays_are_the_same_bytes_every_time(tmp_path):
    """Protects reproducibility: no time of writing in an npz."""
    arrays = {"flux": np.arange(6.0).reshape(2, 3), "objtype": np.array(["QSO", "SKY"])}
    for name in ("a.npz", "b.npz"):
        write_arrays(tmp_path / name, arrays, {"plate": 6641})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    back = Arrays(tmp_path / "a.npz")
    assert dict(back).keys() == arrays.keys()
    assert back.meta == {"plate": 6641}
    np.testing.assert_array_equal(back["objtype"], arrays["objtype"])


def test_a_foreign_file_is_named(tmp_path):
    """Protects against a traceback where an intermediate file is damaged."""
    path = tmp_path / "x.npz"
    path.write_bytes(b"not a zip file")
    with pytest.raises(UserError, match=r"x\.npz: not a file that bosscal wrote"):
        Arrays(path)


def test_sha1_is_the_published_kind(tmp_path):
    """Protects checksums: SHA-1 of the bytes, as in the survey's .sha1sum files."""
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha1sum(tmp_path / "abc") == "a9993e364706816aba3e25717850c26c9cd0d89d"


def test_a_users_mistake_is_one_line_and_a_fault_has_a_traceback(tmp_path):
    """Protects the two ways in which a step fails."""
    with pytest.raises(SystemExit, match=r"^bosscal: spFrame: wrong$"), logged(tmp_path / "user.log"):
        raise UserError("spFrame: wrong")
    assert (tmp_path / "user.log").read_text() == "bosscal: spFrame: wrong\n"
    with pytest.raises(SystemExit, match="unexpected ZeroDivisionError"), logged(tmp_path / "ours.log"):
        1 / 0  # noqa: B018
    assert "Traceback" in (tmp_path / "ours.log").read_text()


def test_code_digest_covers_what_a_script_imports(tmp_path):
    """Protects reruns: a script's digest covers the modules it uses, directly or not, and no others."""
    names = {path.name for path in code_files(REPOSITORY / "workflow/scripts/calibrate.py")}
    assert {"calibrate.py", "tutorial.py", "pipeline.py", "noise.py", "exposure.py", "tracesets.py"} <= names
    assert not {"panels.py", "style.py", "comparison.py", "report.py"} & names
    names = {path.name for path in code_files(REPOSITORY / "workflow/scripts/plot.py")}
    assert {"panels.py", "style.py"} <= names
    script = tmp_path / "step.py"
    script.write_text("import numpy\n")
    before = code_digest(script)
    assert code_digest(script) == before
    script.write_text("import numpy  # edited\n")
    assert code_digest(script) != before


def test_json_is_sorted(tmp_path):
    """Protects reproducibility: the order in which a dictionary was filled does not show."""
    write_json(tmp_path / "a.json", {"b": 1, "a": 2})
    write_json(tmp_path / "b.json", {"a": 2, "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
