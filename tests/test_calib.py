"""The spCalib file read back, and the recipes of docs/recipes.md as they stand there."""

import re

import numpy as np
import pytest
import yaml
from astropy.table import Table
from conftest import REPOSITORY

from bosscal.base.errors import UserError
from bosscal.noise.laws import LAWS, PREDICTIONS
from bosscal.results.calib import read_calib
from bosscal.results.export import write_calib
from bosscal.run.configuration import read_configuration
from bosscal.run.releases import read_releases

RECIPES = (REPOSITORY / "docs/recipes.md").read_text(encoding="utf-8")
PYTHON, YAML = (re.findall(rf"```{kind}\n(.*?)```", RECIPES, re.DOTALL) for kind in ("python", "yaml"))


@pytest.fixture(scope="module")
def calib(red_exposure, red_prediction, tmp_path_factory):
    """The spCalib file of a simulated camera exposure."""
    path = tmp_path_factory.mktemp("calib") / "spCalib-r1-00158842.fits"
    write_calib(path, red_exposure, red_prediction)
    return read_calib(path)


def test_what_was_measured_comes_back(calib, red_exposure):
    """Protects the way from flux to electrons: the file's own flux gives the electrons that were detected, and back."""
    for place in (0, 11, 300):
        fiber = int(red_exposure.fiber[place])
        usable = calib.usable(fiber) & (red_exposure.ivar[place] > 0)
        electrons = calib.electrons(fiber, red_exposure.flux[place])
        measured = calib.images["ELECTRONS"][place]
        np.testing.assert_allclose(electrons[usable], measured[usable], rtol=2e-5, atol=2e-4)
        flux = calib.flux(fiber, measured)
        np.testing.assert_allclose(flux[usable], red_exposure.flux[place][usable], rtol=1e-4, atol=1e-5)
        assert np.isfinite(electrons).all()
        assert np.isfinite(flux).all()


def test_the_laws_give_the_variance_of_the_file(calib, red_exposure):
    """Protects noise that is made with the file: the release's law gives what the file predicts, others are others."""
    for place in (0, 11, 300):
        fiber = int(red_exposure.fiber[place])
        usable = calib.usable(fiber)
        electrons = calib.images["ELECTRONS"][place].astype(np.float64)
        for law in ("", calib.law):
            variance = calib.variance(fiber, electrons, law)
            np.testing.assert_allclose(variance[usable], calib.images["EVARPRED"][place][usable], rtol=1e-4)
        plain = calib.variance(fiber, electrons, calib.law.removesuffix("_sky"))
        np.testing.assert_allclose(variance - plain, calib.images["EVARSKY"][place], rtol=1e-4, atol=1e-4)
    everything = {law: calib.variance(fiber, electrons, law)[usable] for law in PREDICTIONS}
    assert all(np.isfinite(variance).all() for variance in everything.values())
    assert len({round(float(np.median(variance)), 6) for variance in everything.values()}) > len(LAWS)


def test_mistakes_are_one_line(calib, tmp_path):
    """Protects users of the library from tracebacks that say nothing: a wrong law, fiber or file is named."""
    with pytest.raises(UserError, match=r"there is no noise law 'optimum': give one of .*optimal_sky"):
        calib.variance(int(calib.fiber[0]), np.ones(calib.images["SKY"].shape[1]), "optimum")
    with pytest.raises(UserError, match="fiber 9999 is not in the spCalib file"):
        calib.wavelength(9999)
    (tmp_path / "a.fits").write_text("no FITS")
    with pytest.raises(UserError, match="is no spCalib file"):
        read_calib(tmp_path / "a.fits")


@pytest.mark.workflow
@pytest.mark.parametrize("place", range(len(PYTHON)))
def test_recipes_run_as_they_stand(default_run, monkeypatch, place):
    """Protects who copies a recipe."""
    monkeypatch.chdir(default_run.folder)
    table = default_run.results / "compare/ivar_correction.ecsv"
    if "ivar_correction" in PYTHON[place]:  # which a run without full spec files does not make
        rows = Table({"release": ["dr12"] * 2, "camera": ["b1"] * 2, "wavelength": [3900.0, 5100.0], "eta": [1.0, 1.2]})
        rows.write(table, format="ascii.ecsv")
    names = {}
    try:
        exec(compile(PYTHON[place], "docs/recipes.md", "exec"), names)
    finally:
        table.unlink(missing_ok=True)
    for name in ("flux", "electrons", "corrected"):
        assert np.isfinite(np.asarray(names.get(name, 0.0), dtype=float)).all()
    if "noisy" in names:  # the noise that was put in is there
        pull = (names["noisy"] - names["electrons"]) / np.sqrt(names["variance"])
        assert 0.95 < np.std(pull[names["calib"].usable(1)]) < 1.05


@pytest.mark.parametrize("text", YAML)
def test_configurations_of_recipes_are_valid(text):
    """Protects who copies a configuration."""
    releases = read_releases(REPOSITORY / "workflow/releases.yaml", LAWS)
    assert read_configuration(yaml.safe_load(text), releases, []).targets
