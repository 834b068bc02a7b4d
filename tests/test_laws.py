"""Every variance law, also one that is added: what each has, what each predicts, and where it appears."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import REPOSITORY
from simulated import HEADER

from bosscal.calibration.measurement import Measurement, measure
from bosscal.noise.law import SKY_SUFFIX
from bosscal.noise.laws import LAWS, PREDICTIONS, label_of, law_of
from bosscal.noise.laws.bundle import bundle_variance
from bosscal.noise.sky import from_header, sky_term, statistics_of
from bosscal.results.comparison import COLUMNS, compare_fibers, predict_variances
from bosscal.results.prediction import predict

each_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


def plain(electrons=50.0, sigma=1.1, readnoise=2.0, nfiber=3, nrow=4):
    """A measurement in which every number is the same, but for what is given as an array."""
    image = np.ones((nfiber, nrow))
    sky = 20 * image
    return Measurement(
        header=replace(HEADER, readnoise=(readnoise,) * 4),
        fiber=np.arange(nfiber) + 1,
        objtype=np.full(nfiber, "GALAXY"),
        row=np.arange(nrow),
        electrons=(electrons * image).astype(np.float32),
        object_electrons=electrons * image - sky,
        sky_electrons=sky,
        variance=70 * image,
        flux_variance=80 * image,
        flat=image,
        quadrant=np.zeros(image.shape, dtype=np.uint8),
        sigma=np.broadcast_to(sigma, (nfiber, 1)),
        neighbor_electrons=30 * image,
        good=image > 0,
        good_electrons=image > 0,
        compared=image > 0,
    )


def test_laws_are_told_apart():
    """Protects tables and figures from two laws of one name, label, color or place; they come in their order."""
    for attribute in ("name", "label", "color", "source", "place"):
        values = [getattr(law, attribute) for law in LAWS.values()]
        assert all(values), attribute
        assert len(set(values)) == len(values), attribute
    assert [law.place for law in LAWS.values()] == sorted(law.place for law in LAWS.values())
    assert list(LAWS) == [law.name for law in LAWS.values()]


@each_law
def test_a_law_says_what_it_is(law):
    """Protects whoever adds a law from leaving out what others rely on."""
    assert re.fullmatch(r"[a-z][a-z0-9_]*", law.name)
    assert not law.name.endswith(SKY_SUFFIX)
    assert re.fullmatch(r"#[0-9A-F]{6}", law.color)
    assert set(law.curves) <= {"", SKY_SUFFIX}
    assert type(law).__module__ == f"bosscal.noise.laws.{law.name}"
    assert type(law).__doc__
    for suffix in ("", SKY_SUFFIX):
        assert law_of(f"{law.name}{suffix}") is law
        assert f"ratio_{law.name}{suffix}" in COLUMNS
        assert f"scatter_{law.name}{suffix}" in COLUMNS
    assert label_of(law.name) == law.label
    assert label_of(f"{law.name}{SKY_SUFFIX}") == f"{law.label} + sky"


@each_law
def test_a_law_gives_a_variance_for_every_pixel(law):
    """Protects the calling convention: float64, 2D[nfiber, nrow] also where the width is one number a fiber, more for
    more light and for a wider profile, negative electrons counted as none."""
    electrons = np.array([-30.0, 0.0, 50.0, 500.0])
    variance = law.variance(plain(electrons, np.array([[0.9], [1.1], [1.1]])))
    assert variance.dtype == np.float64
    assert variance.shape == (3, 4)
    np.testing.assert_array_equal(variance[:, 0], variance[:, 1])
    assert (np.diff(variance[:, 1:], axis=1) > 0).all()
    assert (variance[1] > variance[0]).all()
    assert (law.variance(plain(electrons, readnoise=3.0)) > law.variance(plain(electrons))).all()


@each_law
def test_the_sky_alone_has_the_variance_of_its_electrons(law):
    """Protects the sky term: it is made from the sky that was subtracted, as if there were no object."""
    measurement = plain(np.array([50.0, 500.0, 5000.0, 0.0]))
    expected = law.variance(
        replace(measurement, electrons=measurement.sky_electrons, neighbor_electrons=measurement.sky_electrons)
    )
    np.testing.assert_array_equal(law.sky_variance(measurement), expected)
    np.testing.assert_array_equal(expected, expected[:, :1] + np.zeros(4))  # the sky is the same in all rows


def test_laws_by_hand():
    """Protects what stands behind each name: the two closed formulas, and neighbours that only the bundle sees."""
    measurement = plain()
    tutorial, limit = LAWS["tutorial"].variance(measurement), LAWS["readnoise_limit"].variance(measurement)
    np.testing.assert_allclose(tutorial, 50 + 4 * 1.1**2 * math.sqrt(4 * math.pi), rtol=1e-7)
    np.testing.assert_allclose(limit, 50 + 4 * 1.1 * 2 * math.sqrt(math.pi), rtol=1e-7)
    brighter = replace(measurement, neighbor_electrons=3000 + 0 * measurement.electrons)
    for name, law in LAWS.items():
        more = law.variance(brighter) - law.variance(measurement)
        assert (more > 0).all() if name == "bundle" else not more.any()
    fiber = measurement.fiber[:, np.newaxis]
    np.testing.assert_allclose(
        LAWS["bundle"].variance(measurement), bundle_variance(50, 2, 1.1, fiber, 30) + np.zeros(4)
    )


def test_widths_beyond_the_bundle_s_table_take_its_end():
    """Protects spectra with a dead fiber among them from NaN: the bundle's table is narrower than the others'."""
    law = LAWS["bundle"]
    np.testing.assert_array_equal(law.variance(plain(sigma=3.0)), law.variance(plain(sigma=1.8)))
    np.testing.assert_array_equal(law.variance(plain(sigma=0.5)), law.variance(plain(sigma=0.7)))


def test_predictions_come_with_and_without_sky():
    """Protects the names of columns and the meaning of the suffix: the law's variance plus the term."""
    assert tuple(f"{name}{suffix}" for name in LAWS for suffix in ("", "_sky")) == PREDICTIONS
    term = np.arange(4.0) + np.zeros((3, 1))
    found = predict_variances(plain(), term)
    assert tuple(found) == PREDICTIONS
    for name in LAWS:
        np.testing.assert_array_equal(found[f"{name}_sky"], found[name] + term)


@pytest.mark.parametrize(("skychi2", "share"), [(1.9, 0.9), (None, 0), (0.5, 0)])
def test_few_sky_fibers_leave_the_header_s_chi2(skychi2, share):
    """Protects spec files, which have no other fibers: SKYCHI2 and the fiber's own sky, or no term without it."""
    measurement = plain()
    measurement = replace(measurement, header=replace(measurement.header, skychi2=skychi2))
    for sky in (measurement.take(slice(0, 0)), measurement.take(slice(0, 1))):
        assert statistics_of(sky, np.zeros(sky.electrons.shape), LAWS["optimal"]) is None
    found, origin = from_header(measurement, LAWS["optimal"])
    np.testing.assert_allclose(found, share * LAWS["optimal"].sky_variance(measurement), atol=0.02 * found.max() + 0.3)
    assert origin == ("none" if skychi2 is None else "SKYCHI2")
    later = replace(measurement, header=replace(measurement.header, vers2d="v5_13_0"))
    found, origin = from_header(later, LAWS["optimal"])
    np.testing.assert_allclose(found, share * LAWS["optimal"].sky_variance(measurement))
    assert origin == ("none" if skychi2 is None else "SKYCHI2, second pass")
    np.testing.assert_array_equal(sky_term(1.25, 40.0), 10.0)


@each_law
def test_every_law_can_be_a_release_s(law, red_exposure):
    """Protects a release whose extraction follows any of the laws, the bundle's too: it is the one that is expected."""
    exposure = red_exposure.take(slice(0, 60))
    prediction = predict(exposure, law.name)
    table = compare_fibers(exposure, prediction)
    assert set(table["noise_law"]) == {law.name}
    lit = table["npix"] > 0
    assert np.isfinite(prediction.sky_variance).all()
    assert (prediction.sky_variance.max(axis=1)[lit] > 0).all()
    np.testing.assert_array_equal(table["noise_ratio_median"][lit], table[f"ratio_{law.name}_sky"][lit])
    measurement = measure(exposure, prediction.calib)
    ratio = measurement.variance / (law.variance(measurement) + prediction.sky_variance)
    expected = np.ma.median(np.ma.masked_array(ratio, ~measurement.valid), axis=1)
    np.testing.assert_allclose(table["noise_ratio_median"][lit], expected[lit], rtol=1e-6)


NEW_LAW = '''"""Twice the photons."""

from bosscal.noise.law import Law


class Twice(Law):
    """Twice the photons."""

    name = "twice"
    label = "twice"
    color = "#123456"
    source = "a test"
    place = 2.5

    def variance(self, measurement):
        return 2.0 * measurement.electrons
'''
SHOW = """
import json
from bosscal.base.provenance import code_files
from bosscal.noise.laws import LAWS, PREDICTIONS
from bosscal.report.rows import NOISE
from bosscal.results.comparison import COLUMNS
print(json.dumps([list(LAWS), PREDICTIONS, list(COLUMNS), [name for name, _, _ in NOISE],
                  [path.name for path in code_files({script!r})]]))
"""


def test_a_new_law_appears_by_itself(tmp_path):
    """Protects the promise that a law is one file: it shows up in its place, in predictions, columns and report, and in
    the digest of the steps that use it, without any other edit."""
    shutil.copytree(REPOSITORY / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (tmp_path / "src/bosscal/noise/laws/twice.py").write_text(NEW_LAW)
    code = SHOW.format(script=str(REPOSITORY / "workflow/scripts/compare.py"))
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src")}
    process = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True, capture_output=True, text=True
    )
    laws, predictions, columns, reported, files = json.loads(process.stdout)
    assert laws == ["tutorial", "readnoise_limit", "twice", "optimal", "optimal_noisy", "readnoise_weighted", "bundle"]
    assert {"twice", "twice_sky"} <= set(predictions)
    assert {"ratio_twice", "scatter_twice", "ratio_twice_sky", "scatter_twice_sky"} <= set(columns)
    assert "ratio_twice_sky" in reported
    assert "twice.py" in files
