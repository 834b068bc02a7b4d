"""The spCalib file read back, and the recipes of docs/recipes.md as they stand there."""

import re
import shutil

import numpy as np
import pytest
import yaml
from astropy import units
from astropy.io import fits
from astropy.nddata import InverseVariance
from astropy.table import Table
from conftest import REPOSITORY, Workflow
from simulated import frame_files
from specutils import Spectrum, SpectrumList

from bosscal import simulation
from bosscal.base.errors import UserError
from bosscal.calibration.coadd import weights_of
from bosscal.noise.laws import LAWS, PREDICTIONS
from bosscal.results.calib import read_calib
from bosscal.results.coadds import rebuild, rebuild_subset, write_coadd
from bosscal.results.export import calibration_images, write_calib
from bosscal.run.configuration import read_configuration
from bosscal.run.releases import read_releases
from bosscal.survey.coadds import read_coadd
from bosscal.survey.frames import read_frames

WEIGHTS = weights_of("v5_7_0")  # of the simulated reduction
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


def test_the_dispersion_of_the_survey_comes_back(calib, red_exposure, simulated_root):
    """Protects the dispersion: that of the survey's own spCFrame, which another code wrote, to half a step."""
    spcframe = simulation.camera_exposure_paths("r1", red_exposure.header.expnum)[1]
    stored = fits.getdata(simulated_root / spcframe, "WAVEDISP")[:, : calib.images["WAVEDISP"].shape[1]]
    np.testing.assert_allclose(calib.images["WAVEDISP"], stored, rtol=0, atol=0.51 / 1024)
    sigma = stored[11].astype(float) * 1e-4 * np.log(10) * calib.wavelength(12)
    np.testing.assert_allclose(calib.dispersion(12), sigma, rtol=1e-3)
    assert 0.8 < np.median(sigma) < 2.5  # Angstrom: the resolution of BOSS is about 2000


def test_wavelengths_are_rounded_to_metres_a_second(red_exposure, red_prediction, tmp_path):
    """Protects wavelengths from what compresses them: off by half a step at most, and the same in file and library."""
    loglam = read_calib_of(tmp_path / "spCalib.fits", red_exposure, red_prediction).images["LOGLAM"]
    assert loglam.dtype.kind == "f"
    assert loglam.dtype.itemsize == 8
    off = np.abs(loglam - red_exposure.loglam).max() * np.log(10) * 299792.458  # km/s
    assert 0 < off < 1.5e-3
    np.testing.assert_array_equal(loglam, calibration_images(red_exposure, red_prediction)["LOGLAM"])


def test_a_dispersion_that_cannot_be_read_costs_nothing_else(red_exposure, red_prediction, simulated_root, tmp_path):
    """Protects a camera exposure from a dispersion that is no trace set, or of a fiber that is no number: it is 0."""
    files = frame_files(simulated_root, "r1", red_exposure.header.expnum)
    whole = read_calib_of(tmp_path / "whole.fits", red_exposure, red_prediction)
    coefficients = fits.getdata(files[0], 4)["COEFF"].copy()
    coefficients[0, 17] = np.nan
    coefficients[0, 18, 0] = 1000  # rows: no line is so wide
    for change, unknown in (({"COEFF": coefficients}, slice(17, 19)), (None, slice(None))):
        with fits.open(files[0]) as hdus:
            if change:
                hdus[4].data["COEFF"] = change["COEFF"]
            else:
                hdus[4] = fits.ImageHDU(np.zeros((2, 2)))
            hdus.writeto(tmp_path / "spFrame.fits", overwrite=True)
        names = list(map(str, files))
        exposure = read_frames([tmp_path / "spFrame.fits", *files[1:]], names, "sim", 6641, 56383)
        changed = read_calib_of(tmp_path / "changed.fits", exposure, red_prediction)
        expected = whole.images["WAVEDISP"].copy()
        assert (expected > 0).all()
        expected[unknown] = 0
        np.testing.assert_array_equal(changed.images["WAVEDISP"], expected)
        np.testing.assert_array_equal(changed.images["EVARPRED"], whole.images["EVARPRED"])


def read_calib_of(path, exposure, prediction):
    write_calib(path, exposure, prediction)
    return read_calib(path)


def test_specutils_has_what_was_measured(calib, red_exposure):
    """Protects who goes on with specutils: every fiber becomes a spectrum, with the survey's own flux and wavelengths,
    the survey's inverse variance but for its 3 % floor, and its mask."""
    spectra = calib.spectra()
    assert isinstance(spectra, SpectrumList)
    assert [spectrum.meta["fiber"] for spectrum in spectra] == red_exposure.fiber.tolist()
    for place in (0, 11, 300):
        spectrum, flux = spectra[place], red_exposure.flux[place].astype(float)
        usable = ~spectrum.mask
        assert 0.6 < usable.mean() < (red_exposure.ivar[place] > 0).mean()  # mask bits cost the difference
        assert spectrum.flux.unit == units.Unit("1e-17 erg s-1 cm-2 Angstrom-1")
        np.testing.assert_allclose(spectrum.flux.value[usable], flux[usable], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(spectrum.spectral_axis.to_value("AA"), 10 ** red_exposure.loglam[place], rtol=5e-9)
        assert isinstance(spectrum.uncertainty, InverseVariance)
        ivar = spectrum.uncertainty.array
        np.testing.assert_array_equal(ivar > 0, usable)
        stated = red_exposure.ivar[place].astype(float)
        with_floor = 1 / (1 / ivar[usable] + (0.03 * np.maximum(flux[usable], 0)) ** 2)
        np.testing.assert_allclose(with_floor, stated[usable], rtol=1e-3)
        assert (spectrum.meta["mask_bits"] == red_exposure.mask[place]).all()
        assert spectrum.meta["simulated"] is True
    dead = spectra[int(np.flatnonzero(~(red_exposure.ivar > 0).any(axis=1))[0])]
    assert dead.mask.all()
    assert np.isfinite(dead.flux.value).all()
    assert (dead.uncertainty.array == 0).all()


@pytest.fixture
def coadd(simulated_root, tmp_path):
    """(rebuilt coadd of a simulated spec file, path of its spCoadd file, the same of its first exposure alone)."""
    name = simulation.spec_path(1)
    rebuilt = rebuild(read_coadd(simulated_root / name, str(name), "sim", 6641, 56383, 1), WEIGHTS)
    half = rebuild_subset(rebuilt, WEIGHTS, [0], ("b1", "r1"), "half")
    for content, path in ((rebuilt, "all.fits"), (half, "half.fits")):
        write_coadd(tmp_path / path, content, path.removesuffix(".fits"))
    return rebuilt, half, tmp_path


def test_specutils_opens_a_coadd_by_itself(coadd):
    """Protects who opens an spCoadd in specutils or jdaviz: the reader of spec files, which they find by themselves,
    gives the coadd of this file, and for a subset that of the subset."""
    *content, folder = coadd
    for rebuilt, path in zip(content, ("all.fits", "half.fits"), strict=True):
        for spectrum in (Spectrum.read(folder / path), Spectrum.read(folder / path, format="SDSS-III/IV spec")):
            assert spectrum.flux.unit == units.Unit("1e-17 erg s-1 cm-2 Angstrom-1")
            np.testing.assert_array_equal(spectrum.flux.value, rebuilt.coadd.flux)
            np.testing.assert_array_equal(spectrum.uncertainty.array, rebuilt.coadd.ivar)
            np.testing.assert_allclose(spectrum.spectral_axis.to_value("AA"), 10**rebuilt.spectrum.loglam)
            np.testing.assert_array_equal(spectrum.mask, rebuilt.coadd.and_mask != 0)
            assert spectrum.meta["header"]["SIMULATD"] is True
        assert len(SpectrumList.read(folder / path)) == 1
    with_data = content[1].coadd.ivar > 0
    assert (content[1].coadd.ivar[with_data] < content[0].coadd.ivar[with_data]).mean() > 0.95


@pytest.mark.workflow
@pytest.mark.parametrize("place", range(len(PYTHON)))
def test_recipes_run_as_they_stand(default_run, simulated_root, monkeypatch, place):
    """Protects who copies a recipe."""
    monkeypatch.chdir(default_run.folder)
    table = default_run.results / "compare/ivar_correction.ecsv"
    if "ivar_correction" in PYTHON[place]:  # which a run without full spec files does not make
        rows = Table({"release": ["dr12"] * 2, "camera": ["b1"] * 2, "wavelength": [3900.0, 5100.0], "eta": [1.0, 1.2]})
        rows.write(table, format="ascii.ecsv")
    coadd = default_run.results / "coadd/sim/6641-56383/spCoadd-6641-56383-0001.fits"
    if "spCoadd" in PYTHON[place]:  # nor this
        name = simulation.spec_path(1)
        rebuilt = rebuild(read_coadd(simulated_root / name, str(name), "sim", 6641, 56383, 1), WEIGHTS)
        coadd.parent.mkdir(parents=True)
        write_coadd(coadd, rebuilt)
    names = {}
    try:
        exec(compile(PYTHON[place], "docs/recipes.md", "exec"), names)
    finally:
        table.unlink(missing_ok=True)
        shutil.rmtree(default_run.results / "coadd", ignore_errors=True)
    for name in ("flux", "electrons", "corrected"):
        assert np.isfinite(np.asarray(names.get(name, 0.0), dtype=float)).all()
    for spectrum in (*names.get("several", ()), *(names[name] for name in ("spectrum", "coadd") if name in names)):
        assert isinstance(spectrum, Spectrum)
        assert (spectrum.uncertainty.array[~spectrum.mask] > 0).mean() > 0.95
    if "noisy" in names:  # the noise that was put in is there
        pull = (names["noisy"] - names["electrons"]) / np.sqrt(names["variance"])
        assert 0.95 < np.std(pull[names["calib"].usable(1)]) < 1.05


@pytest.mark.parametrize("text", YAML)
def test_configurations_of_recipes_are_valid(text):
    """Protects who copies a configuration."""
    releases = read_releases(REPOSITORY / "workflow/releases.yaml", LAWS)
    assert read_configuration(yaml.safe_load(text), releases, []).targets


# What the last configuration of a recipe makes, below results/; `steps` are all that it runs besides.
MADE = {
    "Three fibers of another exposure": [
        f"figures/sim/6641-56383-{fiber:04d}-{camera}-00158843{kind}"
        for fiber in (7, 100, 101)
        for camera in ("b1", "r1")
        for kind in (".png", "-noise.pdf", "-budget.png")
    ],
    "One object in two releases": [
        "compare/dr14/6148-56209/releases-0743.ecsv", "figures/dr14/6148-56209-0743-releases.pdf",
    ],
    "A whole plate, and then one fiber of it": [
        "figures/sim/6641-56383-0307-b1-00158842.png", "report/pages/plate-sim-6641-56383.html",
    ],
    "A coadd of half the exposures": [
        "coadd/sim/6641-56383/spCoadd-6641-56383-0001.fits",
        "coadd/sim/6641-56383/spCoadd-6641-56383-0001-first-half.fits",
    ],
}  # fmt: skip


def configurations(heading):
    """The configurations of a recipe, in its order."""
    section = RECIPES.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)]


def test_every_configuration_of_a_recipe_is_run():
    """Protects recipes from configurations that no test runs."""
    assert sum(len(configurations(heading)) for heading in MADE) == len(YAML)


@pytest.mark.workflow
@pytest.mark.slow
@pytest.mark.parametrize("heading", MADE)
def test_configurations_of_recipes_run(default_run, tmp_path, request, heading):
    """Protects who runs a recipe: its configurations, one after the other in the same folder, make what it says; the
    fiber that is added to a whole plate costs its figures, the summary and the report."""
    workflow = default_run.copy(tmp_path)
    for position, configuration in enumerate(configurations(heading)):
        if "sim" not in yaml.safe_dump(configuration):
            mirror = request.getfixturevalue("real_data")
            configuration |= {"data": {"url": mirror.as_uri()}}
        executed = workflow.configure(**configuration).executed()
        if position:
            assert executed == {"plot": 1, "summarize": 1, "report": 1}
    for path in MADE[heading]:
        assert (workflow.results / path).stat().st_size > 1000, path
        assert not (workflow.results / path).read_bytes().startswith(b"bosscal: this was not made")


@pytest.mark.workflow
def test_a_configuration_is_checked_and_not_run(tmp_path):
    """Protects the recipe: a dry run names the mistake, with status 1, and accepts what is right; nothing is made."""
    workflow = Workflow(tmp_path).configure(release="sim", targets=[{"plate": 66, "fibers": [1]}])
    process = workflow.run("--dry-run", check=False)
    assert process.returncode == 1
    assert re.search(r"bosscal: targets\[0\].plate: 66 is not allowed.*config.yaml, line 3", process.stdout)
    workflow.configure(release="sim", targets=[{"plate": 6641, "fibers": [1]}]).run("--dry-run")
    assert not workflow.results.exists()
