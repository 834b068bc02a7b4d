"""Figures as the workflow draws them: a panel alone by its name, other formats, no title."""

import re

import pytest
from PIL import Image

pytestmark = pytest.mark.workflow

NAME = "figures/sim/6641-56383-0001-r1-00158842"


@pytest.fixture(scope="module")
def chosen(tmp_path_factory, default_run):
    """The default run with other figures, of which two panels were asked for."""
    workflow = default_run.copy(tmp_path_factory.mktemp("figures"))
    figures = {"formats": ["png", "svg"], "title": False, "panels": ["noise", "variance"], "column_width": 3.5}
    workflow.configure(**workflow.configuration(), figures=figures)
    wanted = [f"results/{NAME}-panel-noise.pdf", f"results/{NAME}-panel-flux.png", f"results/{NAME}.svg"]
    workflow.done = workflow.executed(*wanted)
    return workflow


def test_a_panel_is_made_by_its_name(chosen):
    """Protects the promise of a panel alone, in any format: nothing else runs, and it is as wide as was asked."""
    assert chosen.done == {"plot_panel": 2, "plot": 1}
    pdf = (chosen.results / f"{NAME}-panel-noise.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    width, _ = map(float, re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", pdf).groups())
    assert width == pytest.approx(3.5 * 72)
    with Image.open(chosen.results / f"{NAME}-panel-flux.png") as image:
        assert image.width == 700


def test_chosen_panels_and_formats_are_made(chosen):
    """Protects the choice of panels, formats and titles: two panels, an SVG, no title, and still the mark."""
    with Image.open(chosen.results / f"{NAME}.png") as image:
        assert image.width == 1400
        assert image.height < 800  # one row of panels
    svg = (chosen.results / f"{NAME}.svg").read_text(encoding="utf-8")
    assert "<!-- SIMULATED DATA -->" in svg
    assert "<!-- Actual electron variance" in svg
    assert "6641-56383-1" not in svg
    assert "<!-- Flat-field" not in svg


def test_an_unknown_panel_is_one_line(chosen):
    """Protects whoever misspells a panel from a run: Snakemake names the file that no rule makes."""
    process = chosen.run(f"results/{NAME}-panel-fluks.pdf", check=False)
    assert process.returncode
    assert "MissingRuleException" in process.stdout
