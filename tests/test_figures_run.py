"""Figures as the workflow draws them: a panel alone by its name, other formats, no title."""

import importlib.util
import re
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import REPOSITORY
from PIL import Image

from bosscal import figures
from bosscal.base.errors import UserError

PYTHON = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs/figures.md").read_text(encoding="utf-8"), re.DOTALL)
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


@pytest.mark.parametrize("place", range(len(PYTHON)))
def test_the_page_runs_as_it_stands(default_run, tmp_path, monkeypatch, place):
    """Protects who copies from docs/figures.md: each block runs beside the results, and writes what it names."""
    (tmp_path / "results").symlink_to(default_run.results)
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    exec(compile(PYTHON[place], "docs/figures.md", "exec"), {})
    named = re.findall(r'"([\w-]+\.(?:pdf|png|svg))"', PYTHON[place])
    assert named
    for name in named:
        assert (tmp_path / name).stat().st_size > 5000
    plt.close("all")


def test_the_gallery_is_as_it_is_drawn(default_run, tmp_path):
    """Protects the gallery from showing figures of old code: its images are what the default run's results give, but
    for what another version of the font's renderer makes of the letters."""
    specification = importlib.util.spec_from_file_location("gallery", REPOSITORY / "docs/tables/gallery.py")
    gallery = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(gallery)
    gallery.main(default_run.results, tmp_path)
    for name in gallery.IMAGES:
        shown, drawn = (
            np.asarray(Image.open(path).convert("L"), dtype=float)
            for path in (REPOSITORY / name, tmp_path / Path(name).name)
        )
        assert shown.shape == drawn.shape, name
        assert np.sqrt(np.mean((shown - drawn) ** 2)) < 6, name


def test_mistakes_of_names_are_one_line(default_run):
    """Protects users of the library from tracebacks that say nothing."""
    for name, message in (
        ("6641-56383-0001", "is no name of a spectrum; give RELEASE/PPPP"),
        ("sim/6641-56383-0001-r1-00999999", "list it among the configuration's targets"),
    ):
        with pytest.raises(UserError, match=message):
            figures.load(name, default_run.results)
    spectrum = figures.load("sim/6641-56383-0001-r1-00158842", default_run.results)
    with pytest.raises(UserError, match=r"figure 'nois' is not one .*give one of panels, budget, noise"):
        figures.draw(spectrum, "nois")
    with pytest.raises(UserError, match="panel 'fluks' is not known; give one of flux, electrons"):
        figures.draw_panel(spectrum, "fluks")
