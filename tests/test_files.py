"""Files, tables, logs and digests of code: nothing half-written, the same bytes every time, faults told apart."""

import logging
import re

import numpy as np
import pytest
from astropy.table import vstack
from conftest import REPOSITORY

from bosscal.base.errors import UserError
from bosscal.base.files import read_json, replacing, sha1sum, write_json, write_text
from bosscal.base.log import amount, logged, logger
from bosscal.base.provenance import code_digest, code_files
from bosscal.base.tables import build_table, read_table, write_table, write_tables

COLUMNS = {"wavelength": ("Angstrom", "of the largest"), "npix": ("", "pixels compared")}


def test_tables_are_written_as_astropy_writes_them(tmp_path):
    """Protects tables from a reader that does not find what was written: every kind of column, masked and not."""
    numbers = np.array([0.1, 1e-300, np.nan, -np.inf, 1e16, 123456789.123])
    values = {
        "float64": numbers, "float32": numbers.astype(np.float32), "int64": np.arange(6), "uint8": np.uint8(range(6)),
        "bool": numbers > 0, "text": np.array(["a", "", "two words", 'say "so"', "µ", "back\\slash"]),
    }  # fmt: skip
    mask = [False, True, False, True, False, True]
    values |= {f"masked_{name}": np.ma.array(column, mask=mask) for name, column in values.items()}
    table = build_table(values, {name: ("Angstrom" if "f" in name else "", f"of {name}: so") for name in values})
    table.meta["exposure"] = {"inputs": [["a", "b"]], "altitude": 12.5, "none": None}
    write_table(tmp_path / "ours.ecsv", table)
    table.write(tmp_path / "astropy.ecsv", format="ascii.ecsv")
    assert (tmp_path / "ours.ecsv").read_bytes() == (tmp_path / "astropy.ecsv").read_bytes()
    assert read_table(tmp_path / "ours.ecsv")["masked_text"].tolist() == ["a", None, "two words", None, "µ", None]


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


def test_what_a_killed_run_left_is_overwritten(tmp_path):
    """Protects folders from a pile of temporary files: the next run writes to the same name, with the same suffix."""
    path = tmp_path / "figure.png"
    with replacing(path) as temporary:
        assert temporary.suffix == ".png"
        temporary.write_text("half")
        with replacing(path) as again:
            assert again == temporary
            again.write_text("whole")
        temporary.write_text("once more")
    assert path.read_text() == "once more"
    assert list(tmp_path.iterdir()) == [path]


def test_sha1_is_the_published_kind(tmp_path):
    """Protects checksums: SHA-1 of the bytes, as in the survey's .sha1sum files."""
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha1sum(tmp_path / "abc") == "a9993e364706816aba3e25717850c26c9cd0d89d"


def test_json_is_sorted(tmp_path):
    """Protects reproducibility: the order in which a dictionary was filled does not show."""
    write_json(tmp_path / "a.json", {"b": 1, "a": 2})
    write_json(tmp_path / "b.json", {"a": 2, "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert read_json(tmp_path / "a.json") == {"a": 2, "b": 1}


def test_text_is_utf_8_whatever_the_locale(tmp_path):
    """Protects reports with Å in them from machines whose locale knows no Å."""
    write_text(tmp_path / "new" / "page.html", "Å")
    assert (tmp_path / "new" / "page.html").read_bytes() == b"\xc3\x85"


# ------------------------------------------------------------------------------------------------------------- logs


def test_a_users_mistake_is_one_line_and_a_fault_has_a_traceback(tmp_path):
    """Protects the two ways in which a step fails, and the log of what it did before."""

    def step():
        with logged(tmp_path / "user.log"):
            logger.info("read spFrame")
            raise UserError("spFrame: wrong")

    with pytest.raises(SystemExit, match="1"):
        step()
    log = (tmp_path / "user.log").read_text()
    assert "INFO    start\n" in log
    assert "INFO    read spFrame\n" in log
    assert log.endswith("\nbosscal: spFrame: wrong\n")
    assert "Traceback" not in log
    with pytest.raises(SystemExit, match="1"), logged(tmp_path / "ours.log"):
        1 / 0  # noqa: B018
    log = (tmp_path / "ours.log").read_text()
    assert "Traceback" in log
    assert re.search(
        r"\nbosscal: unexpected ZeroDivisionError: .* \(a fault of bosscal; details in .*ours\.log\)\n$", log
    )


def test_a_log_tells_what_was_done_and_printed(tmp_path, capsys, monkeypatch):
    """Protects the terminal from what belongs into the log, and the caller's own logging from a step's."""
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(logger, "level", logging.ERROR)
    handlers = list(logger.handlers)
    path = tmp_path / "new" / "step.log"
    with logged(path):
        logger.info("one line")
        print("printed")
        logging.getLogger("astropy").debug("not ours")
    lines = path.read_text().splitlines()
    assert [line.split(maxsplit=2)[-1] for line in lines[:3]] == ["start", "one line", "printed"]
    assert "done in " in lines[3]
    assert len(lines) == 4
    assert capsys.readouterr() == ("", "")
    assert (list(logger.handlers), logger.level, logger.propagate) == (handlers, logging.ERROR, True)
    path.write_bytes(bytes(1_500_000))
    assert amount(path) == f"{path} (1.5 MB)"


# ----------------------------------------------------------------------------------------------------------- tables


def test_columns_and_values_have_to_agree():
    """Protects tables from numbers that vanish without a word: both kinds of mismatch name the column."""
    with pytest.raises(KeyError, match="'columns and their values do not agree: row'"):
        build_table({"wavelength": [1.0], "npix": [1], "row": [7]}, COLUMNS)
    with pytest.raises(KeyError, match="'columns and their values do not agree: npix'"):
        build_table({"wavelength": [1.0]}, COLUMNS)


def test_tables_keep_units_descriptions_and_masks(tmp_path):
    """Protects what a table says of its columns, their order, and "no value", on the way through a file."""
    wavelength = np.ma.masked_array([5000.0, 0.0], [False, True])
    write_table(tmp_path / "a.ecsv", build_table({"npix": np.ma.array([3, 4]), "wavelength": wavelength}, COLUMNS))
    table = read_table(tmp_path / "a.ecsv")
    assert table.colnames == list(COLUMNS)
    assert table["wavelength"].tolist() == [5000.0, None]
    assert table["npix"].tolist() == [3, 4]
    assert (table["wavelength"].unit, table["npix"].unit) == ("Angstrom", None)
    assert [table[name].description for name in COLUMNS] == ["of the largest", "pixels compared"]


# ---------------------------------------------------------------------------------------------------------- digests


def code_of(script):
    """Modules that a script's digest covers, by the names of their rooms."""
    package = REPOSITORY / "src" / "bosscal"
    files = code_files(REPOSITORY / "workflow" / "scripts" / script)
    return {str(path.relative_to(package)) for path in files if path.is_relative_to(package)}


def test_code_digest_covers_what_a_script_imports(tmp_path):
    """Protects reruns: a script's digest covers the modules it uses, directly or not, and no others."""
    calibrate = code_of("calibrate.py")
    assert {"results/prediction.py", "calibration/pipeline.py", "noise/sky.py", "survey/tracesets.py"} <= calibrate
    assert not {name for name in calibrate if name.startswith(("figures/", "report/", "run/", "simulation/"))}
    assert "results/comparison.py" not in calibrate
    script = tmp_path / "step.py"
    script.write_text("import numpy\n")
    before = code_digest(script)
    assert code_digest(script) == before
    script.write_text("import numpy  # edited\n")
    assert code_digest(script) != before


def test_code_digest_covers_modules_that_are_found_by_their_place():
    """Protects reruns after an edit of a law, of a figure or of a template, which no import names."""
    laws = {f"noise/laws/{path.name}" for path in (REPOSITORY / "src/bosscal/noise/laws").glob("*.py")}
    assert len(laws) > 5
    assert laws <= code_of("calibrate.py")
    assert {"figures/panels.py", "figures/budget.py", "figures/noise.py", "figures/style.py"} <= code_of("plot.py")
    assert "report/templates/index.html.j2" in code_of("report.py")


def test_tables_are_written_one_after_the_other_as_one(tmp_path):
    """Protects the summary of thousands of plates: the same bytes as from one table in memory, types and masks too."""
    columns = {"npix": ("", "pixels"), "ratio": ("electron", "a ratio"), "word": ("", 'any word, even "quoted"')}
    parts = [
        {"npix": np.array([1, 2], np.int32), "ratio": np.ma.array([0.1, 2.0], mask=[0, 1]), "word": ["a b", "#"]},
        {"npix": np.array([3]), "ratio": [1e-300], "word": ['longer, "quoted" and\nbroken']},
        {"npix": np.array([], int), "ratio": np.array([]), "word": np.array([], str)},
    ]
    tables = [build_table(part, columns) for part in parts]
    assert write_tables(tmp_path / "parts.ecsv", iter(tables)) == 3
    write_table(tmp_path / "whole.ecsv", vstack(tables))
    assert (tmp_path / "parts.ecsv").read_bytes() == (tmp_path / "whole.ecsv").read_bytes()
    with pytest.raises(ValueError, match="no table"):
        write_tables(tmp_path / "none.ecsv", [])
    with pytest.raises(ValueError, match="not those of the first"):
        write_tables(tmp_path / "none.ecsv", [tables[0], tables[0][["npix"]]])
