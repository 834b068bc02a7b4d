"""The pages that are made from the code, docs/arrays.md and docs/api.md, against the files of a run and the package."""

import importlib.util
import json
import re
import zipfile

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.table import Table
from conftest import REPOSITORY

from bosscal import simulation
from bosscal.calibration.coadd import weights_of
from bosscal.results.coadds import bin_table, coadd_table, rebuild, write_coadd
from bosscal.survey.coadds import read_coadd

ARRAYS = (REPOSITORY / "docs/arrays.md").read_text(encoding="utf-8")


def load_pages():
    path = REPOSITORY / "docs/tables/pages.py"
    specification = importlib.util.spec_from_file_location("pages", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


PAGES = load_pages()


def section(heading):
    """{first cell: other cells} of all tables below a heading of docs/arrays.md."""
    (text,) = re.findall(rf"^### {re.escape(heading)}\n(.*?)(?=^##|\Z)", ARRAYS, re.MULTILINE | re.DOTALL)
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in re.findall(r"^\| `.*$", text, re.M)]
    return {row[0].strip("| `"): row[1:] for row in rows}


@pytest.mark.parametrize("name", PAGES.PAGES)
def test_pages_are_what_the_code_says(name):
    """Protects the pages from being out of date: `make docs` finds nothing to change."""
    assert (REPOSITORY / "docs" / name).read_text(encoding="utf-8") == PAGES.PAGES[name](), "run make docs"


def test_api_page_has_what_the_recipes_call():
    """Protects readers of the recipes: what these import of the package is on the page of the library."""
    recipes = (REPOSITORY / "docs/recipes.md").read_text(encoding="utf-8")
    page = (REPOSITORY / "docs/api.md").read_text(encoding="utf-8")
    called = re.findall(r"^from bosscal\.([\w.]+) import (.+)$", recipes, re.MULTILINE)
    assert len(called) >= 3
    for module, names in called:
        (part,) = re.findall(rf"^## bosscal\.{re.escape(module)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
        for name in names.split(", "):
            assert re.search(rf"^- (class )?`{name}\b", part, re.MULTILINE), (module, name)


@pytest.mark.workflow
def test_every_array_of_a_run_is_on_the_page(default_run):
    """Protects readers of npz files: each array of a run is on the page, with its type and number of dimensions."""
    common, frames = section("Of a camera exposure, from either kind of file"), section("Of frames, besides")
    for step, described in (("extract_frame", common | frames), ("calibrate", section("Prediction"))):
        paths = list((default_run.results / step).rglob("*.npz"))
        assert paths
        for path in paths:
            with np.load(path) as arrays:
                assert isinstance(json.loads(str(arrays["meta"])), dict)
                names = set(arrays.files) - {"meta"}
                assert names <= set(described)
                for name in names:
                    dimensions, dtype, *_ = described[name]
                    assert arrays[name].ndim == len(dimensions.split(",")), name
                    assert arrays[name].dtype.str.strip("<|") in dtype, name
            assert zipfile.is_zipfile(path)


@pytest.mark.workflow
def test_every_column_of_a_run_is_on_the_page(default_run):
    """Protects readers of tables: each column of a run is on the page with its unit and description."""
    found = {"results/compare": "Summary and camera exposures", "results/budget": "Error budget"}
    for folder, heading in found.items():
        described = section(heading)
        paths = [path for path in default_run.folder.joinpath(folder).rglob("*.ecsv")]
        assert paths
        for path in paths:
            table = Table.read(path)
            for column in table.itercols():
                unit, meaning = described[column.name]
                assert units.Unit(unit.strip("`")) == (column.unit or units.dimensionless_unscaled), column.name
                assert meaning.replace("\\|", "|").strip(" |") == column.description, column.name
        assert {"band", "expidx"} <= set(described) or folder != "results/compare"


@pytest.mark.workflow
def test_every_hdu_of_spcalib_is_on_the_page(default_run):
    """Protects readers of the spCalib file: each HDU and column is on the page with its unit."""
    described = section("spCalib")
    for path in (default_run.results / "calib").rglob("*.fits"):
        with fits.open(path) as hdus:
            for hdu in hdus[1:]:
                assert described[hdu.name][0].strip("`") == hdu.header.get("BUNIT", "")
            assert set(hdus["PLUGMAP"].columns.names) <= set(described)


def test_every_hdu_of_spcoadd_is_on_the_page(simulated_root, tmp_path):
    """Protects readers of the spCoadd file and the tables of coadds: each HDU and column is on the page."""
    name = simulation.spec_path(1)
    rebuilt = rebuild(read_coadd(simulated_root / name, str(name), "sim", 6641, 56383, 1), weights_of("v5_7_0"))
    write_coadd(tmp_path / "a.fits", rebuilt)
    described = section("spCoadd")
    with fits.open(tmp_path / "a.fits") as hdus:
        for hdu in hdus[1:]:
            assert f"`{hdu.name}`" in ARRAYS
            for column in getattr(hdu, "columns", ()):
                assert column.name in described
            if isinstance(hdu, fits.ImageHDU):
                assert described[hdu.name][1].strip("`") == hdu.header["BUNIT"]
    assert set(coadd_table(rebuilt).colnames) == set(section("Coadds"))
    assert set(bin_table(rebuilt.spectrum, []).colnames) == set(section("Repeated exposures by wavelength"))
