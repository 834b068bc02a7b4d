"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the repository."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

COPIED = ("src", "workflow", "profiles", "envs", "Snakefile", "config.yaml", "README.md")
GENERATED = {"README.md", "workflow/schemas/config.schema.yaml"}  # by `make docs`

# Prints what a test asks about a tiny spectrum, with the copy's package: `table`, `spectrum` and what it imports.
TINY = """
import numpy as np
from bosscal.calibration.measurement import measure
from bosscal.noise.laws import LAWS, PREDICTIONS
from bosscal.results.comparison import COLUMNS, compare_fibers
from bosscal.results.prediction import predict
from bosscal.results.spectrum import Spectrum
from bosscal.survey.exposure import Header, SpecExposure
from bosscal.survey.targets import Target

rows = np.arange(1000, 1100)
image = lambda value: np.full((1, len(rows)), value)
header = Header(
    release="sim", plate=6641, mjd=56383, camera="b1", expnum=158842, products="spec", simulated=True,
    readnoise=(2.0, 2.0, 2.0, 2.0), exptime=900.0, xsigma=1.1, skychi2=1.1, vers2d="v5_7_0", inputs=(),
)
exposure = SpecExposure.checked(header, {
    "fiber": [1], "objtype": ["QSO"], "ra": [0], "dec": [0], "xfocal": [0], "yfocal": [0], "lambda_eff": [5400],
    "row": rows,
    "quadrant": image(0), "flux": image(1) - 2 * (rows < 1010), "sky": image(2), "ivar": image(40), "mask": image(0),
    "loglam": 3.6 + 1e-4 * rows[np.newaxis], "calib": image(0.02),
})
prediction = predict(exposure, "optimal")
table = compare_fibers(exposure, prediction)
target = Target("sim", 6641, 56383, 1, "blue", "b1", 0, 158842, "spec")
spectrum = Spectrum(target, exposure, prediction, measure(exposure, prediction.calib))
"""


def recipe(heading):
    """(whether the file is new, its path, [blocks]) of every file that a recipe touches, in its order."""
    content = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = content.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
    assert section, heading
    files = []
    for word, path, block in re.findall(
        r"(?:^(New file|In) `([^`]+)`:\n\n)?^```\w*\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL
    ):
        if word:
            files.append((word == "New file", path, [block]))
        else:  # one more change of the same file
            files[-1][2].append(block)
    return files


def apply(block, text):
    """A text after a change that is written as lines with + and - among those around them."""
    lines = [(line[:1], line[1:]) for line in block.splitlines()]
    before = "".join(f"{line}\n" for sign, line in lines if sign != "+")
    after = "".join(f"{line}\n" for sign, line in lines if sign != "-")
    assert f"\n{text}".count(f"\n{before}") == 1, f"the lines around the change are not there once:\n{before}"
    return text.replace(before, after, 1)


class Copy:
    """A copy of the repository in which a recipe was followed."""

    def __init__(self, folder):
        self.folder = folder
        for name in COPIED:
            source = REPOSITORY / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            else:
                shutil.copy(source, folder / name)

    def follow(self, heading, most):
        """Follow a recipe that may touch so many files at most; returns their paths."""
        files = recipe(heading)
        for new, path, blocks in files:
            where = self.folder / path
            assert where.exists() != new, path
            text = blocks[0] if new else where.read_text(encoding="utf-8")
            for block in () if new else blocks:
                text = apply(block, text)
            where.write_text(text, encoding="utf-8")
        paths = [path for _, path, _ in files]
        assert 0 < len(paths) == len(set(paths)) <= most
        assert self.changed() == set(paths)
        return paths

    def changed(self):
        """Files that are not as in the repository."""
        here = (path for path in self.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        names = {path.relative_to(self.folder).as_posix() for path in here}
        names = {name for name in names if name.startswith(COPIED) and not name.startswith("results/")}
        return {
            name
            for name in names
            if not (REPOSITORY / name).exists() or (REPOSITORY / name).read_bytes() != (self.folder / name).read_bytes()
        }

    def python(self, *arguments):
        """What Python prints, with the copy's package."""
        process = subprocess.run(
            [sys.executable, "-B", *arguments],
            cwd=self.folder,
            env={"PYTHONPATH": str(self.folder / "src"), "MPLCONFIGDIR": str(self.folder), "PATH": "/usr/bin:/bin"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return process.returncode, process.stdout

    def check(self, lines):
        """Run assertions about the tiny spectrum and the copy's package."""
        status, output = self.python("-c", f"{TINY}\n{lines}")
        assert status == 0, output

    def make_docs(self):
        """What `make docs` runs."""
        status, output = self.python("-m", "bosscal.run.configuration")
        assert status == 0, output
        return output

    def plan(self, *arguments):
        """Exit status and output of a dry run."""
        return self.python("-m", "snakemake", "--cores", "1", "--dry-run", *arguments)


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


def test_documents_are_up_to_date(copy):
    """Protects schema and README: `make docs` finds nothing to change."""
    assert copy.make_docs() == "up to date\n"


def test_every_recipe_is_followed():
    """Protects against recipes without a test here."""
    content = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    followed = re.findall(r'follow\("(.+?)"', Path(__file__).read_text(encoding="utf-8"))
    assert sorted(re.findall(r"^### (.+)$", content, flags=re.MULTILINE)) == sorted(followed)


def test_noise_law(copy):
    """Protects the promise that a law is one file: columns, predictions, report and releases have it."""
    copy.follow("Add a noise law", 1)
    copy.check(
        """
from bosscal.report.rows import NOISE
from bosscal.run.releases import read_releases
assert list(LAWS)[-1] == "photons"
assert PREDICTIONS[-2:] == ("photons", "photons_sky")
assert "photon noise + sky" in COLUMNS["ratio_photons_sky"][1]
assert ("ratio_photons_sky", "photon noise + sky") in [entry[:2] for entry in NOISE]
electrons, variance = (1 + 2) / 0.02, 1 / (40 * 0.02**2) - (0.03 * 1 / 0.02) ** 2
assert abs(table["ratio_photons"][0] - variance / electrons) < 1e-4
assert spectrum.variances["photons"][0, -1] == np.float32(electrons)
text = open("workflow/releases.yaml").read().replace("noise_law: optimal_noisy", "noise_law: photons")
open("results.yaml", "w").write(text)
assert read_releases("results.yaml", LAWS)["dr12"].noise_law == "photons"
"""
    )


def test_release(copy):
    """Protects the promise that a release is one entry: configuration, schema and README accept and name it."""
    touched = copy.follow("Add a release", 1)
    assert copy.make_docs() == "written: workflow/schemas/config.schema.yaml, README.md\n"
    assert copy.changed() == {*touched, *GENERATED}
    assert "`mine` (boss v5_7_0_mine)" in (copy.folder / "README.md").read_text(encoding="utf-8")
    assert ", mine, " in (copy.folder / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8")
    copy.check(
        """
from bosscal.run.configuration import read_configuration
from bosscal.run.releases import read_releases
config = {"release": "Mine", "targets": [{"plate": 6641, "fibers": [1]}]}
assert read_configuration(config, read_releases("workflow/releases.yaml", LAWS), ()).releases == ("mine",)
"""
    )


def test_figure(copy):
    """Protects the promise that a figure is a module, an entry and a caption: rules and drawing follow."""
    figure = "results/figures/sim/6641-56383-0001-b1-00158842-sky.png"
    status, output = copy.plan(figure)
    assert status != 0
    assert "MissingRuleException" in output
    copy.follow("Add a figure", 3)
    status, output = copy.plan(figure)
    assert status == 0, output
    assert re.search(r"^plot +1$", output, flags=re.MULTILINE), output
    copy.check(
        """
from bosscal.figures.drawing import draw_spectrum
from bosscal.figures.kinds import of_spectra
assert [kind.module for kind in of_spectra("spec")] == ["panels", "noise", "sky"]
draw_spectrum(spectrum, ["x-sky.png"])
assert open("x-sky.png", "rb").read(4) == b"\\x89PNG"
"""
    )


def test_column(copy):
    """Protects the promise that a column is an entry and its value in one file."""
    copy.follow("Add a column", 1)
    copy.check(
        """
from bosscal.results.comparison import summarize
assert table["npix_negative"].tolist() == [10]
assert table["npix_negative"].info.description == "pixels compared whose flux is negative"
assert "npix_negative" in summarize([target], table)[0].colnames
"""
    )


def test_configuration_key(copy):
    """Protects the promise that a key is a field and the place that uses it: README, schema and messages have it."""
    touched = copy.follow("Add a configuration key", 2)
    copy.make_docs()
    assert copy.changed() == {*touched, *GENERATED}
    readme = (copy.folder / "README.md").read_text(encoding="utf-8")
    assert "| `seed` | seed of the simulated plate's random numbers | `20130402` |" in readme
    config = copy.folder / "config.yaml"
    unchanged = config.read_text(encoding="utf-8")
    platelist = "results/simulated/sas/sim/boss/spectro/redux/v5_7_0/platelist.fits"
    for seed, right in ((7, True), (-1, False)):
        config.write_text(f"{unchanged}seed: {seed}\n", encoding="utf-8")
        status, output = copy.plan(platelist)
        assert (status == 0) == right, output
        assert ("bosscal: seed: -1 is not allowed; give seed of the simulated plate's" in output) != right, output
