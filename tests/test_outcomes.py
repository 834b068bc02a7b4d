"""What becomes of a step that fails: its outputs say why, it is made again, and no one reads them as data."""

from types import SimpleNamespace

import pytest
from PIL import Image

from bosscal.base import outcomes
from bosscal.base.arrays import Arrays
from bosscal.base.errors import UserError
from bosscal.base.log import run_step
from bosscal.base.outcomes import Failure, noted_failures, read_outcome, sort_out, step_name, write_outcome
from bosscal.survey.fitsfile import FitsFile

FAILURE = Failure("download", "dr12 spec-1", "no such file: <b>check</b> Å", "results/logs/download/a.log")
OTHER = Failure("compare", "", "nothing to compare")


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def job(inputs=(), outputs=("out/table.ecsv", "out/figure.png"), wildcards=("dr12", "6641-56383")):
    return SimpleNamespace(
        rule="compare", wildcards=list(wildcards), input=list(inputs), output=list(outputs), log=["logs/compare.log"]
    )


@pytest.mark.parametrize("name", ["a.npz", "a.ecsv", "a.fits", "a.png", "a.pdf", "a.html", "spec.fits.gz"])
def test_an_outcome_says_why_whatever_it_stands_for(name, tmp_path):
    """Protects the cause on its way to the report, and folders from halves."""
    write_outcome(name, [FAILURE, OTHER])
    first = (tmp_path / name).read_bytes()
    assert read_outcome(name) == (() if name.endswith(".pdf") else (FAILURE, OTHER))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    write_outcome(name, [FAILURE, OTHER])
    assert (tmp_path / name).read_bytes() == first  # the same bytes every time, without a date


def test_an_outcome_is_never_read_as_data():
    """Protects numbers: where an outcome is passed over, reading it fails."""
    write_outcome("a.npz", [FAILURE])
    with pytest.raises(UserError, match="not a file that bosscal wrote"):
        Arrays("a.npz")
    write_outcome("a.fits.gz", [FAILURE])
    with pytest.raises(UserError, match="cannot be read"):
        FitsFile("a.fits.gz")


def test_data_are_no_outcome(tmp_path):
    """Protects data from being taken for a failure: figures, other text, short files, files that are not there."""
    Image.new("RGB", (5, 5)).save("figure.png")
    (tmp_path / "short").write_bytes(outcomes.MARK[:-5])
    (tmp_path / "empty.png").touch()
    assert sort_out(["figure.png", "short", "empty.png", "missing"]) == (
        ["figure.png", "short", "empty.png", "missing"],
        [],
    )


def test_a_damaged_outcome_is_named(tmp_path):
    """Protects against half a cause."""
    (tmp_path / "a.npz").write_bytes(outcomes.MARK + b"[{")
    with pytest.raises(UserError, match=r"a\.npz: damaged .*; delete it and run again"):
        read_outcome("a.npz")


def test_a_picture_says_what_is_missing():
    """Protects whoever opens a figure that could not be made: it is a picture with words, not a broken file."""
    write_outcome("a.png", [FAILURE])
    picture = Image.open("a.png")
    assert picture.size == (1400, 400)
    assert len(picture.convert("L").getcolors()) > 2  # letters


def test_a_mistake_becomes_the_outcome_of_all_outputs(capfd):
    """Protects the rest of a run: the step ends well, its outputs say why, and the terminal is left alone."""

    def work():
        raise UserError("spFlat: is of camera b1\nspFrame: is of plate 1")

    run_step(job(), work)
    own = Failure("compare", "dr12 6641-56383", "spFlat: is of camera b1; spFrame: is of plate 1", "logs/compare.log")
    assert read_outcome("out/table.ecsv") == read_outcome("out/figure.png") == (own,)
    assert capfd.readouterr() == ("", "")


def test_a_failed_input_is_passed_on_and_not_worked_on():
    """Protects against data made of failures, and keeps the cause that came first."""
    for name in ("a", "b"):
        write_outcome(name, [FAILURE])
    run_step(job(["a", "b"]), lambda: pytest.fail("worked on a failure"))
    assert read_outcome("out/table.ecsv") == (FAILURE,)
    assert noted_failures() == {}  # whoever failed first is made again, and the others with it


def test_who_collects_gets_to_see_its_failed_inputs():
    """Protects summary and report: they are made of what there is, and made again when the rest is."""
    write_outcome("a", [FAILURE])
    run_step(job(["a"]), lambda: sort_out(["a"])[1], collects=True)
    assert noted_failures() == {"compare dr12 6641-56383": (1, (FAILURE,))}


def test_a_step_that_failed_is_made_again_and_one_that_did_not_is_not():
    """Protects reruns: the number that the workflow watches goes up with each failure, and stays after a success."""
    numbers = []
    for error in (True, True, False, False, True):

        def work(error=error):
            if error:
                raise UserError("no")

        run_step(job(), work)
        numbers.append(noted_failures()["compare dr12 6641-56383"][0])
    assert numbers == [1, 2, 2, 2, 3]
    run_step(job(wildcards=("dr14", "6641-56383")), lambda: None)
    assert len(noted_failures()) == 1  # what never failed leaves no record


def test_a_fault_of_ours_is_no_outcome():
    """Protects bug reports: an unexpected error ends the step, and no output says anything else."""
    with pytest.raises(SystemExit):
        run_step(job(), lambda: 1 / 0)
    assert read_outcome("out/table.ecsv") == ()
    assert noted_failures() == {}


def test_half_a_record_is_none(tmp_path):
    """Protects a start after a full disk or a crash: a record that cannot be read is dropped."""
    run_step(job(), lambda: [FAILURE], collects=True)
    (record,) = (tmp_path / outcomes.FOLDER).iterdir()
    record.write_text(record.read_text()[:20])
    assert noted_failures() == {}
    assert not record.exists()


def test_steps_of_two_configurations_have_two_names():
    """Protects reruns: a step without wildcards is told apart by what it writes."""
    assert step_name("report", [], ["results/report/a.html"]) != step_name("report", [], ["results/report/b.html"])
    assert step_name("plot", ["sim", "1"], ["x"]) == "plot sim 1"
