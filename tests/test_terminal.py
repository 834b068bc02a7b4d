"""What a terminal shows of a run: steps in words, totals that do not jump, how spectra stand, why something failed."""

import logging

import pytest

from bosscal.base.outcomes import Failure
from bosscal.run.terminal import Terminal, ending, step_in_words


class Event:
    def __init__(self, value):
        self.value = value


class Run:
    """Snakemake's logger with a terminal, as a run has it."""

    def __init__(self, planning=False, dry=False):
        self.planning, self.dry, self.lines, self.shown = planning, dry, [], []
        self.logger = logging.Logger("run")
        handler = logging.Handler()
        handler.name = "DefaultStreamHandler"
        handler.emit = lambda record: self.shown.append(record.getMessage())
        self.logger.addHandler(handler)
        self.terminal = Terminal(lambda: self.planning, lambda: self.dry, self.lines.append)
        self.terminal.take_over(self.logger)

    def say(self, text, event=None, level=logging.INFO, **facts):
        self.logger.log(level, text, extra=facts | ({"event": Event(event)} if event else {}))

    def job(self, number, rule, done, total, **wildcards):
        self.say("rule", "job_info", jobid=number, rule_name=rule, wildcards=wildcards)
        self.say(f"Finished jobid: {number}", "job_finished", job_id=number)
        self.say(f"{done} of {total}", "progress", done=done, total=total)


def test_steps_are_told_in_words_and_nothing_of_snakemakes_insides():
    """Protects a newcomer's first run from job ids and plans, and from a total that grows while it runs."""
    run = Run(planning=True)
    run.say("Building DAG of jobs...")
    run.say("Select jobs to execute...")
    run.job(3, "download", 1, 4, release="sim", server_path="sas/sim/spec-6641-56383-0001.fits")
    run.planning = False
    run.job(5, "calibrate", 2, 30, release="sim", plate_mjd="6641-56383", exposure="b1-00158842")
    run.job(0, "all", 30, 30)
    run.say("Complete log(s): x")
    assert run.lines == [
        "step 1: download: fetched spec-6641-56383-0001.fits",
        "step 2 of 30: calibrate: predicted calibration and sky noise of sim 6641-56383 b1-00158842",
    ]
    assert run.shown == []


def test_what_matters_is_still_shown():
    """Protects warnings, that nothing is to be done, and a dry run in Snakemake's own words."""
    run = Run()
    run.say("Nothing to be done (all requested files are present and up to date).")
    run.say("a folder is not empty", level=logging.WARNING)
    run.say("Job 3 has been submitted with SLURM jobid 7 (log: x).")
    run.say("RuleException in x", level=logging.ERROR)
    assert [text[:9] for text in run.shown] == ["Nothing t", "a folder ", "Job 3 has"]
    dry = Run(dry=True)
    dry.say("Job stats:")
    assert dry.shown == ["Job stats:"]


@pytest.mark.parametrize(
    ("last", "cause"),
    [("bosscal: no space left", "no space left"), ("12:00 start", "ended before it could say why")],
)
def test_a_job_that_broke_is_told_at_the_end(tmp_path, last, cause):
    """Protects the reason of a job that ended without an outcome: what its log says last, once, with the log's name."""
    log = tmp_path / "calibrate.log"
    log.write_text(f"12:00 begin\n{last}\n")
    run = Run()
    for _ in range(2):
        run.say("Error in rule calibrate", "job_error", logging.ERROR, rule_name="calibrate", log=[str(log)])
    assert run.shown == []
    headline, line = run.terminal.causes([])
    assert headline.startswith("bosscal: 1 thing could not be made")
    assert cause in line
    assert str(log) in line
    assert run.terminal.causes([Failure("download", "x", "y")])[1] == "bosscal: download x: y"
    assert Run().terminal.causes([]) == []


def test_rules_that_only_ask_for_others_have_no_words():
    """Protects the count of steps from lines that say nothing."""
    assert step_in_words({"rule_name": "all"}) == ""
    assert step_in_words({}) == ""
    assert step_in_words({"rule_name": "new_rule", "wildcards": {"plate": "1"}}) == "new_rule: 1"


def test_a_run_ends_with_how_its_spectra_stand(tmp_path):
    """Protects the way from the end of a run to what needs a look: the bad ones first, and not too many."""
    assert ending(tmp_path / "index.html") == []
    table = tmp_path / "pages/summary.csv"
    table.parent.mkdir()
    head = "status,reasons,release,plate,mjd,fiber,camera,expnum\n"
    rows = [f"look,is 1.{fiber},dr12,6641,56383,{fiber},b1,7\n" for fiber in range(1, 7)]
    table.write_text(head + "ok,,dr12,6641,56383,9,b1,7\n" + "".join(rows) + "bad,is 9,dr12,6641,56383,8,r1,7\n")
    lines = ending(tmp_path / "index.html")
    assert lines[0] == "bosscal: 8 spectra: 1 ok, 6 look, 1 bad"
    assert lines[1] == "bosscal: bad: dr12 6641-56383-8 r1 #7: is 9"
    assert lines[2] == "bosscal: look: dr12 6641-56383-1 b1 #7: is 1.1"
    assert lines[-2] == "bosscal: and 2 more"
    assert "index.html" in lines[-1]
    assert len(lines) == 1 + 5 + 2
