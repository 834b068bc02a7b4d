"""The simulated plate: it has the survey's format, obeys the survey's equations, and has the noise it claims."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from isal import igzip
from simulated import SEED, SPECTROGRAPH_1, read_simulated, run_elsewhere

from bosscal import simulation
from bosscal.base.errors import UserError
from bosscal.base.files import sha1sum
from bosscal.calibration import pipeline
from bosscal.noise.laws.optimal import optimal_variance
from bosscal.results.comparison import compare_fibers
from bosscal.results.prediction import predict
from bosscal.simulation import extraction, fits_format, instrument, observing
from bosscal.simulation.plate import NROW, fiber_numbers, frame_path
from bosscal.survey.frames import read_frames
from bosscal.survey.paths import mask_bits
from bosscal.survey.platelist import read_platelist
from bosscal.survey.spectra import read_exposures

FIRST, SECOND = simulation.EXPOSURES


@pytest.fixture(scope="module")
def root(simulated_root):
    """Everything of spectrograph 1."""
    return simulated_root


@pytest.fixture(scope="module")
def truths():
    """Truth of both cameras' second exposure."""
    return {camera: simulation.truth(camera, SECOND, SEED) for camera in ("b1", "r1")}


def opened_file(path):
    """A FITS file, unpacked in one go: astropy takes most of the time of these tests piece by piece."""
    content = path.read_bytes()
    return fits.open(io.BytesIO(igzip.decompress(content) if path.suffix == ".gz" else content))


def opened(root, product, camera, expnum):
    return opened_file(root / frame_path(product, camera, expnum))


def images(root, product, camera, expnum, *indices):
    """Images of a file as they are stored, copied out of it."""
    with opened(root, product, camera, expnum) as hdus:
        return [np.array(hdus[index].data) for index in indices]


# ---------------------------------------------------------------- format


def test_exactly_the_declared_files_are_written(root, dark_fiber):
    """A workflow declares these paths as outputs: none may be missing, none may be written besides."""
    declared = [path for camera, expnum in SPECTROGRAPH_1 for path in simulation.camera_exposure_paths(camera, expnum)]
    declared += [simulation.flat_path(camera) for camera in ("b1", "r1")]
    declared += [simulation.fluxdistort_path(), simulation.platelist_path(), simulation.sha1sum_path()]
    declared += [simulation.spec_path(1), simulation.spec_path(1, lite=True), simulation.spec_path(dark_fiber)]
    written = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    assert sorted(written) == sorted(declared)
    redux = "sas/sim/boss/spectro/redux/v5_7_0"
    assert str(simulation.camera_exposure_paths("b1", FIRST)[0]) == f"{redux}/6641/spFrame-b1-00158842.fits.gz"
    assert str(simulation.spec_path(12, lite=True)) == f"{redux}/spectra/lite/6641/spec-6641-56383-0012.fits"


@pytest.mark.parametrize(("camera", "nrow"), [("b1", 4112), ("r1", 4128)])
def test_frames_have_the_survey_s_shapes_and_types(root, camera, nrow):
    """Readers pick HDUs by number or name and trim blue rows: order, names, shapes and types are the survey's."""
    with opened(root, "spFrame", camera, FIRST) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY"] + [""] * 8
        assert [hdus[i].data.shape for i in (0, 1, 2, 6, 7, 8)] == [(500, nrow)] * 6
        assert [hdus[i].data.dtype.str for i in (0, 1, 2, 6, 7, 8)] == [">f4", ">f4", ">i4", ">f4", ">f4", ">f4"]
        names = ["FUNC", "XMIN", "XMAX", "COEFF"] + ["XJUMPLO", "XJUMPHI", "XJUMPVAL"] * (camera == "r1")
        assert hdus[3].data.names == names
        assert (hdus[3].header["TFORM4"], hdus[3].header["TDIM4"].replace(" ", "")) == ("3000D", "(6,500)")
        assert hdus[4].data["COEFF"].shape == (1, 500, 4)
        assert hdus[5].header["NAXIS1"] == 283
        assert not hdus[5].header["TDIM*"]
        assert hdus[5].data["CALIBFLUX"].shape == (500, 5)
        assert len(hdus[5].columns) == 35
    with opened(root, "spCFrame", camera, FIRST) as hdus:
        names = ["PRIMARY", "IVAR", "MASK", "WAVELENGTH", "WAVEDISP", "PLUGMAP", "SKY", "X", "SUPERFLAT"]
        assert [hdu.name for hdu in hdus] == names
        assert [hdus[i].data.shape for i in (0, 1, 2, 3, 4, 6, 7, 8)] == [(500, 4128)] * 8
        types = [hdus[i].data.dtype.str for i in (0, 1, 2, 3, 4, 6, 7, 8)]
        assert types == [">f4", ">f4", ">i4", ">f8", ">f4", ">f4", ">f4", ">f4"]
        assert not hdus[1].data[:, nrow:].any()
    with opened_file(root / simulation.flat_path(camera)) as hdus:
        assert (hdus[0].data.shape, hdus[0].data.dtype.str) == ((500, nrow), ">f4")
        assert (hdus[2].data.shape, hdus[2].data.dtype.str) == ((500,), ">i4")
        assert [hdus[i].data["COEFF"].shape for i in (1, 3)] == [(1, 500, 7), (1, 500, 3)]
        assert hdus[0].header["FLAVOR"] == "flat"
        assert len(hdus) == 5
        assert hdus[4].data.names == ["FULLBKPT", "BKMASK", "NORD", "COEFF", "ICOEFF"]
    with opened(root, "spFluxcalib", camera, FIRST) as hdus:
        assert (hdus[0].data.shape, hdus[0].data.dtype.str) == ((500, nrow), ">f4")
        assert [hdus[index].data.names for index in (1,)] == [["FULLBKPT", "BKMASK", "NORD", "COEFF", "ICOEFF"]]
        assert len(hdus) == 3
        assert set(hdus[2].data["FIBERID"]) <= set(range(1, 501))
    with opened(root, "spFluxcorr", camera, FIRST) as hdus:
        assert [hdu.data.shape for hdu in hdus] == [(500, 4128)] * 2
    with fits.open(root / simulation.fluxdistort_path()) as hdus:
        assert hdus[0].data.shape[0] == 1000
        assert (hdus[0].header["CRPIX1"], hdus[0].header["CD1_1"]) == (1, 1e-4)


def test_every_file_says_that_it_is_simulated(root):
    """Nobody may take a simulated file for an observation, whichever file it is."""
    files = [path for path in root.rglob("*") if path.suffix in (".fits", ".gz")]
    assert len(files) == 4 * 4 + 2 + 2 + 3
    for path in files:
        header = fits.getheader(path)
        assert header["SIMULATD"] is True
        assert "SIMULATED" in header.comments["SIMULATD"]
        assert header["SIMSEED"] == SEED
        assert "DATE" not in header


def test_header_of_an_exposure(root):
    """The keywords that the analysis reads, with the read noise that the tutorial published."""
    header = fits.getheader(root / frame_path("spCFrame", "r1", FIRST))
    expected = {
        "CAMERAS": "r1", "EXPOSURE": 158842, "PLATEID": 6641, "MJD": 56383, "FLATFILE": "sdR-r1-00158840.fit",
        "ARCFILE": "sdR-r1-00158841.fit", "EXPTIME": 900, "VERS2D": "v5_7_0", "RUN2D": "v5_7_0", "TWOPHASE": True,
        "RDNOISE0": 2.90, "RDNOISE1": 2.59, "RDNOISE2": 2.53, "RDNOISE3": 2.52, "FLAVOR": "science",
    }  # fmt: skip
    assert {key: header[key] for key in expected} == expected
    assert {"XSIGMA", "WSIGMA", "SKYCHI2", "HELIO_RV"} <= set(header)
    blue = fits.getheader(root / frame_path("spFrame", "b1", FIRST))
    assert [blue[f"RDNOISE{q}"] for q in range(4)] == [2.24, 2.18, 2.07, 2.04]
    assert blue["TWOPHASE"] is False


def test_plug_map(root, dark_fiber):
    """Fibers lie in order, with the tutorial's target types, and strings are padded with blanks as in real files."""
    with opened(root, "spFrame", "b1", FIRST) as hdus:
        table = hdus[5].data
        assert table["FIBERID"].tolist() == list(range(1, 501))
        objtype = np.char.strip(table["OBJTYPE"])
        assert [objtype[fiber - 1] for fiber in (1, 12, 486)] == ["QSO", "SKY", "SKY"]
        assert set(objtype) == {"QSO", "GALAXY", "SPECTROPHOTO_STD", "SKY", "NA"}
        assert (objtype == "SKY").sum() == 42
        raw = table.view(np.ndarray)["OBJTYPE"]
        assert raw[0].ljust(16, b"\0") == b"QSO".ljust(16)
        assert (table["SPECTROGRAPHID"] == 1).all()
        assert np.hypot(table["XFOCAL"], table["YFOCAL"]).max() <= 325
    assert fiber_numbers("r2").tolist() == list(range(501, 1001))


def test_platelist(root):
    """Look-ups of a plate's night can go three ways: one good night, several, none."""
    plates = read_platelist(root / simulation.platelist_path())
    good = {}
    for plate, mjd, quality, run2d in plates:
        assert run2d == "v5_7_0"
        good.setdefault(plate, []).extend([mjd] * (quality == "good"))
    assert good[6641] == [56383]
    assert [len(good[plate]) for plate in (9001, 9002, 9003)] == [2, 0, 1]
    assert len(plates) == 2500
    assert 2000 < sum(len(nights) == 1 for nights in good.values()) < 2490  # a few are bad
    with fits.open(root / simulation.platelist_path()) as hdus:
        raw = hdus[1].data.view(np.ndarray)
        assert set(raw["PLATEQUALITY"]) == {b"good", b"bad "}


def test_spec_lite(root):
    """The lite file names the exposures, camera-science-flat-arc, from which everything else is found."""
    path = root / simulation.spec_path(1, lite=True)
    with fits.open(path) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "COADD", "SPALL", "SPZLINE"]
        header = hdus[0].header
        assert header["NEXP"] == 4
        assert header["EXPID01"] == "b1-00158842-00158840-00158841"
        assert header["EXPID04"] == "r1-00158843-00158840-00158841"
        assert [hdus[2].data[name][0] for name in ("PLATE", "MJD", "FIBERID")] == [6641, 56383, 1]
        assert hdus[2].data["OBJTYPE"][0].strip() == "QSO"
        coadd = hdus[1].data
        assert coadd["loglam"][0] == pytest.approx(header["COEFF0"], abs=1e-6)
        pull = (coadd["flux"] - coadd["model"]) * np.sqrt(coadd["ivar"])
        assert pull.std() == pytest.approx(1, abs=0.05)
    assert read_exposures(path) == {
        "b1": {FIRST: 158840, SECOND: 158840},
        "r1": {FIRST: 158840, SECOND: 158840},
    }


def test_columns_of_the_real_spec_file(root, real_data):
    """Tables have the columns, types and names of a real full spec file."""
    real_path = real_data / "sas/dr12/boss/spectro/redux/v5_7_0/spectra/4961/spec-4961-55719-0378.fits"
    with fits.open(real_path) as real, fits.open(root / simulation.spec_path(1)) as ours:
        assert [hdu.name for hdu in ours[:4]] == [hdu.name for hdu in real[:4]]
        for index in (1, 4):
            assert ours[index].columns.names == real[index].columns.names
            assert ours[index].columns.formats == real[index].columns.formats
        for index in (2, 3):
            formats = dict(zip(real[index].columns.names, real[index].columns.formats, strict=True))
            mine = dict(zip(ours[index].columns.names, ours[index].columns.formats, strict=True))
            assert set(mine) <= set(formats)
        assert ours[4].name == "B1-00158842-00158840-00158841"
        # As many rows with data as there are.
        assert len(ours[4].data) == pytest.approx(len(real[4].data), abs=30)
        assert len(ours[6].data) == pytest.approx(len(real[11].data), abs=80)


def test_sha1sum_lists_every_file_of_the_folder(root):
    """Downloads are checked against these lines: SHA-1, two blanks, name."""
    path = root / simulation.sha1sum_path()
    lines = dict(reversed(line.split("  ")) for line in path.read_text().splitlines())
    assert set(lines) == {file.name for file in path.parent.iterdir()} - {path.name}
    name = simulation.flat_path("b1").name
    assert lines[name] == hashlib.sha1((path.parent / name).read_bytes()).hexdigest()


# ---------------------------------------------------------------- reproducibility


def test_same_seed_same_bytes_in_any_order(root, tmp_path):
    """A rerun, in another order, elsewhere, makes the same files: nothing of time, path or order is in them."""
    simulation.write_spec_lite(tmp_path, 1, SEED)
    simulation.write_fluxdistort(tmp_path, SEED)
    simulation.write_flat(tmp_path, "r1", SEED)
    simulation.simulate_camera_exposure(tmp_path, "r1", FIRST, SEED)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 7
    for path in files:
        assert path.read_bytes() == (root / path.relative_to(tmp_path)).read_bytes(), path.name


def digests(root):
    """SHA-1 of a few fibers' truth before it is rounded, and of the files that take least time to write."""
    tool = instrument.build_instrument("r1", SECOND, SEED).take(slice(0, 20))
    truth = observing.truth_with(tool)
    arrays = {name: getattr(truth, name) for name in ("loglam", "flux", "eflux", "esky", "electrons", "sky_chi2")}
    arrays |= {name: getattr(tool, name) for name in ("delta", "inv_distort", "flat", "spcalib", "corr")}
    found = {name: hashlib.sha1(np.ascontiguousarray(array)).hexdigest() for name, array in arrays.items()}
    simulation.write_flat(root, "r1", SEED)
    simulation.write_fluxdistort(root, SEED)
    simulation.write_spec_lite(root, 1, SEED)
    return found | {path.name: sha1sum(path) for path in Path(root).rglob("*.fits*")}


def test_same_bytes_on_every_processor(tmp_path):
    """Simulated files are compared by their bytes: vector instructions and the kernels of BLAS leave no trace in them.

    Float64 arrays are compared too, since rounding to float32 hides a wrong last bit in all but a few pixels.
    """
    elsewhere = run_elsewhere("test_simulation", "digests", tmp_path / "older")
    here = digests(tmp_path / "here")
    assert len(here) == 11 + 3
    assert elsewhere == here


def test_seed_exposure_and_camera_have_streams_of_their_own():
    """Another seed plugs other fibers; noise is not repeated from exposure to exposure or camera to camera."""
    assert (simulation.plug_fibers(1).objtype != simulation.plug_fibers(2).objtype).any()
    draws = [
        simulation.TUTORIAL.random(seed, "electrons", camera, expnum).random()
        for seed in (1, 2) for camera in simulation.CAMERAS for expnum in simulation.EXPOSURES
    ]  # fmt: skip
    assert len(set(draws)) == len(draws)


OTHER = simulation.Plate(5123, 55700)


@pytest.mark.slow
def test_any_plate_is_made_from_its_numbers_and_the_seed(tmp_path):
    """Protects a survey of simulated plates: each its own fibers, and the exact model gives its flux."""
    expnum = OTHER.exposures[0]
    assert simulation.plate_of_exposure(OTHER.number, expnum) == OTHER
    assert 6 <= len(OTHER.exposures) <= 8
    simulation.simulate_camera_exposure(tmp_path, "b1", expnum, SEED, OTHER)
    simulation.write_flat(tmp_path, "b1", SEED, OTHER)
    simulation.write_fluxdistort(tmp_path, SEED, OTHER)
    spframe, spcframe, spfluxcalib, spfluxcorr = simulation.camera_exposure_paths("b1", expnum, OTHER)
    names = [spframe, spcframe, simulation.flat_path("b1", OTHER), spfluxcalib, spfluxcorr]
    paths = [tmp_path / name for name in (*names, simulation.fluxdistort_path(OTHER))]
    exposure = read_frames(paths, [str(path) for path in paths], "sim", OTHER.number, OTHER.mjd)
    assert exposure.header.simulated
    found = predict(exposure, "optimal_noisy")
    compared = exposure.ivar > 0
    np.testing.assert_allclose(found.flux[compared], exposure.flux[compared], rtol=2e-6, atol=1e-6)
    ours, tutorials = (simulation.plug_fibers(SEED, plate) for plate in (OTHER, simulation.TUTORIAL))
    assert (ours.objtype != tutorials.objtype).sum() > 100
    assert ours.objtype[11] != "SKY" or ours.xfocal[11] != tutorials.xfocal[11]  # nothing is published of it


def test_the_spec_lite_file_of_any_plate_tells_its_exposures(tmp_path):
    """Protects planning: two small files of a plate say all that has to be known before its frames."""
    simulation.write_spec_lite(tmp_path, 501, SEED, OTHER)
    found = read_exposures(tmp_path / simulation.spec_path(501, lite=True, plate=OTHER))
    assert found == {camera: dict.fromkeys(OTHER.exposures, OTHER.flat) for camera in ("b2", "r2")}
    with pytest.raises(UserError, match=r"simulated plate 5123 of 55700 has no exposure 131539; it has 131522-13152\d"):
        simulation.plate_of_exposure(OTHER.number, OTHER.flat + 19)


def test_the_list_of_plates_has_each_once_on_a_night():
    """Protects look-ups of thousands of plates: the rows are distinct, and those of the survey go on by number."""
    rows = simulation.listed_plates()
    assert len({row.plate for row in rows}) == len(rows) == 2500
    assert {row.programme for row in rows} == {"boss", "sequels"}
    assert all(55176 <= row.plate.mjd <= 56391 for row in rows)


@pytest.mark.parametrize(("camera", "expnum"), [("b3", FIRST), ("b1", 158840)])
def test_unknown_camera_exposure(tmp_path, camera, expnum):
    """A camera or exposure that the plate does not have is refused before anything is written."""
    with pytest.raises(ValueError, match="the plate has"):
        simulation.simulate_camera_exposure(tmp_path, camera, expnum, SEED)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- equations


def legendre_series(coeff, argument):
    """Σ c_k P_k by the recursion (k+1) P_{k+1} = (2k+1) x P_k - k P_{k-1}."""
    before, polynomial, total = np.zeros_like(argument), np.ones_like(argument), np.zeros_like(argument)
    for order, value in enumerate(coeff):
        total += value * polynomial
        before, polynomial = polynomial, ((2 * order + 1) * argument * polynomial - order * before) / (order + 1)
    return total


def series_at(table, fiber, row):
    """A fiber's trace set at rows, from the table as it is stored."""
    entry = table[0]
    if "XJUMPVAL" in table.names:
        low, high, value = (float(entry[name]) for name in ("XJUMPLO", "XJUMPHI", "XJUMPVAL"))
        row = row + value * np.clip((row - low) / (high - low), 0, 1)
    middle, half = (entry["XMAX"] + entry["XMIN"]) / 2, (entry["XMAX"] - entry["XMIN"]) / 2
    return legendre_series(entry["COEFF"][fiber - 1], (row - middle) / half)


@pytest.mark.parametrize("camera", ["b1", "r1"])
def test_calibration_recomputed_fiber_by_fiber(root, camera):
    """spCFrame follows from the other files by the pipeline's equations, written here once more without bosscal."""
    corr_image, added_image = images(root, "spFluxcorr", camera, SECOND, 0, 1)
    (spcalib_image,) = images(root, "spFluxcalib", camera, SECOND, 0)
    with fits.open(root / simulation.fluxdistort_path()) as hdus:
        distort_image, header = np.array(hdus[0].data, dtype=float), hdus[0].header
    grid = header["CRVAL1"] + (np.arange(distort_image.shape[1]) + 1 - header["CRPIX1"]) * header["CD1_1"]
    cflux, civar, cloglam, csky = images(root, "spCFrame", camera, SECOND, 0, 1, 3, 6)
    with opened(root, "spFrame", camera, SECOND) as spframe:
        nrow = spframe[0].data.shape[1]
        row = np.arange(nrow, dtype=float)
        for fiber in (1, 12, 213, 486):
            i = fiber - 1
            eflux, eivar, esky = (spframe[k].data[i].astype(float) for k in (0, 1, 6))
            loglam = series_at(spframe[3].data, fiber, row)
            delta = (series_at(spframe[3].data, fiber, row + 0.5) - series_at(spframe[3].data, fiber, row - 0.5)) / 1e-4
            spcalib, corr = spcalib_image[i].astype(float), corr_image[i, :nrow].astype(float)
            left = np.clip(np.searchsorted(grid, loglam, side="right") - 1, 0, grid.size - 2)  # beyond the ends, too
            fraction = (loglam - grid[left]) / (grid[left + 1] - grid[left])
            inv_distort = (1 - fraction) / distort_image[i, left] + fraction / distort_image[i, left + 1]
            used = spcalib > 0.05 * spcalib_image.mean(dtype=float)
            per_bin = np.where(used, corr / (delta * np.where(used, spcalib, 1)), 0)
            flux = eflux * per_bin / inv_distort
            calib = per_bin / inv_distort
            variance = np.full(nrow, np.inf)
            good = (eivar > 0) & used
            variance[good] = (1 / eivar[good] + (0.03 * np.maximum(eflux[good], 0)) ** 2) * calib[good] ** 2

            np.testing.assert_allclose(cloglam[i, :nrow], loglam, rtol=0, atol=1e-12)
            # Far beyond the distortion's grid, where nothing has data, float32 steps are extrapolated.
            seen = civar[i, :nrow] > 0
            np.testing.assert_allclose(cflux[i, :nrow][seen], flux[seen], rtol=1e-6)
            np.testing.assert_allclose(csky[i, :nrow][seen], (esky * calib)[seen], rtol=1e-6)
            apodized = np.where(row < 100, row / 100, 1)
            np.testing.assert_allclose(civar[i, :nrow], apodized / variance, rtol=1e-6)
            assert good.sum() > 2400
    assert not added_image.any()  # B is 0 in every release


@pytest.mark.parametrize("camera", ["b1", "r1"])
def test_the_exact_model_against_the_second_writing(root, camera):
    """Protects the exact model and the simulation against each other: the reader of real files reads it, and what the
    model predicts is what a calibration that shares no code with it stored, pixels beyond the distortion's grid too.
    The two sum a trace set's terms in orders of their own, which flips a few pixels in a million."""
    exposure = read_simulated(root, camera, SECOND)
    assert exposure.header.simulated
    result = pipeline.calibrate_exposure(exposure)
    data = exposure.ivar > 0
    for name in ("flux", "sky", "ivar"):
        ours, stored = getattr(result, name)[data], getattr(exposure, name)[data]
        assert np.mean(ours == stored) > 0.9999
        np.testing.assert_allclose(ours, stored, rtol=1.2e-7, err_msg=name)
    beyond = data & (exposure.loglam < exposure.distort_grid[0])
    assert beyond.any(axis=1).sum() > {"b1": 200, "r1": -1}[camera]


@pytest.mark.parametrize("camera", ["b1", "r1"])
def test_without_noise_the_calibration_returns_the_true_flux(truths, camera):
    """Going from flux to electrons and back loses nothing, so that any bias found later is the analysis's own."""
    truth = truths[camera]
    tool = instrument.build_instrument(camera, SECOND, SEED)
    nrow = NROW[camera[0]]
    means = {f"{name}_mean": value for name, value in tool.means._asdict().items()}
    result = pipeline.calibrate(
        truth.eflux, truth.esky, np.ones_like(truth.eflux), tool.delta, tool.spcalib, tool.corr[:, :nrow],
        None, tool.inv_distort, **means,
    )  # fmt: skip
    used = truth.lit & (result.calib > 0)
    np.testing.assert_allclose(result.flux[used], truth.flux[used], rtol=1e-6, atol=1e-6)
    assert used.sum() > 0.95 * truth.lit.sum()


def test_corrections(root, truths):
    """A is one number a fiber, the same in both arms, that of the published fiber 1 too; sky fibers are left alone; B
    is 0. D spans what real plates have, and is that of the published figures in the tutorial's fibers."""
    sky = truths["b1"].fibers.sky
    for expnum in simulation.EXPOSURES:
        corr, added = images(root, "spFluxcorr", "b1", expnum, 0, 1)
        (red,) = images(root, "spFluxcorr", "r1", expnum, 0)
        assert (corr == corr[:, :1]).all()
        assert (corr == red).all()
        assert 0.7 <= corr.min() < 0.75
        assert 1.35 < corr.max() <= 1.4
        assert (corr[sky] == 1).all()
        assert not added.any()
    assert images(root, "spFluxcorr", "b1", FIRST, 0)[0][0, 0] == np.float32(0.7)
    with fits.open(root / simulation.fluxdistort_path()) as hdus:
        distort, header = np.array(hdus[0].data), hdus[0].header
    assert 0.78 < distort.min() < 0.98
    assert 1.4 < distort.max() < 1.6
    wavelength = 10 ** (header["CRVAL1"] + np.arange(distort.shape[1]) * header["CD1_1"])
    published = {
        1: {4300: 0.984, 6139: 1.053, 9966: 1.163},
        486: {4320: 1.2594, 4959: 1.1805, 6000: 1.14, 9096: 1.1265},
    }
    for fiber, curve in published.items():
        found = np.interp(list(curve), wavelength, distort[fiber - 1])
        np.testing.assert_allclose(found, list(curve.values()), atol=0.006)


def test_the_distortions_grid_ends_inside_the_data(root):
    """Protects the rows that the exact model has to extrapolate: as in the pipeline, the grid begins at the first
    multiple of 1e-4 dex above the bluest good pixel of the plate, and ends below the reddest."""
    crval1, crpix1, step, number = instrument.coadd_grid()
    assert (crval1, crpix1, step) == (pytest.approx(3.5519, abs=1e-9), 1.0, 1e-4)
    ends = []
    for camera in simulation.CAMERAS:
        tool = instrument.build_instrument(camera, FIRST, SEED)
        good = tool.lit & (tool.spcalib > 0)
        loglam = tool.loglam[:, : good.shape[1]][good]
        ends.append((loglam.min(), loglam.max()))
    low, high = np.array(ends)[:, 0].min(), np.array(ends)[:, 1].max()
    assert crval1 - step < low < crval1
    last = crval1 + (number - 1) * step
    assert last < high < last + step


@pytest.mark.parametrize("camera", ["b1", "r1"])
def test_the_calibration_is_cut_within_the_lit_rows(root, truths, camera):
    """Where there is light but no standard star the calibration is 0, from a value far above its threshold on, as in
    real files; such rows have no data and are marked."""
    (spcalib,) = images(root, "spFluxcalib", camera, SECOND, 0)
    civar, mask = images(root, "spCFrame", camera, SECOND, 1, 2)
    nrow = spcalib.shape[1]
    threshold = 0.05 * spcalib.mean(dtype=float)
    below = truths[camera].lit & (spcalib <= threshold)
    assert below.sum() > {"b1": 10000, "r1": 500}[camera]
    assert not civar[:, :nrow][below].any()
    assert (mask[:, :nrow][below] & (1 << 26)).all()
    assert spcalib[spcalib > 0].min() > 2 * threshold


# ---------------------------------------------------------------- trace sets


def test_red_wavelengths_against_the_real_trace_set():
    """The red wavelength solution is that of a real frame: 6e-6 dex rms, bin sizes to 4e-5, the jump included."""
    pydl = pytest.importorskip("pydl")
    path = Path(pydl.__file__).parent / "pydlutils/tests/t/boss_traceset.fits"
    with fits.open(path) as hdus:
        table, row = hdus[1].data, np.arange(4128.0)
        real = np.array([series_at(table, fiber, row) for fiber in range(1, 501)])
    ours = instrument.wavelength("r1", FIRST)
    difference = ours(row) - real
    assert difference.std() < 7e-6
    assert np.percentile(np.abs(difference), 99) < 1.3e-5
    assert np.abs(difference).max() < 1.5e-4
    size = np.diff(ours(row), axis=1) / np.diff(real, axis=1)
    assert size.std() < 1e-4
    assert np.abs(size - 1).max() < 1e-3


@pytest.mark.parametrize(
    ("fiber", "column", "rows"), [(48, "b1", 2510), (306, "b1", 2496), (478, "b1", 2511)]
)  # fmt: skip
def test_blue_wavelengths(fiber, column, rows):
    """Blue rows are as wide as in real spectra of plate 6118, whose standards have these numbers of rows."""
    loglam = instrument.wavelength(column, FIRST)(np.arange(4112))[fiber - 1]
    size = np.diff(loglam)
    inside = (loglam > np.log10(3563.9)) & (loglam < np.log10(6293.2))
    assert inside.sum() == pytest.approx(rows, abs=3)
    assert size[inside[1:]][0] == pytest.approx(1.20e-4, rel=0.01)
    assert size[inside[1:]][-1] == pytest.approx(0.78e-4, rel=0.01)
    assert (size > 0).all()


@pytest.mark.parametrize("camera", simulation.CAMERAS)
def test_traces_and_widths(camera):
    """Fibers cover the CCD in order, with gaps between bundles of 20; spatial widths are 1.0-1.5 pixels."""
    row = np.arange(*instrument.DATA_ROWS[camera[0]])
    step = np.diff(instrument.trace(camera)(row), axis=0)
    between = np.arange(1, 500) % 20 == 0
    assert step[~between].max() < 7 < 14 < step[between].min()
    x = instrument.trace(camera)(row)
    assert x.min() > 200
    assert x.max() < 3900
    width = instrument.spatial_width(camera, SEED)(row)
    assert 0.96 <= width.min() < 1.1
    assert 1.38 < width.max() <= 1.52
    assert (instrument.dispersion(camera)(row) > 0.7).all()


# ---------------------------------------------------------------- light and noise


@pytest.mark.parametrize("camera", ["b1", "r1"])
def test_levels(truths, camera):
    """Electrons are where noise laws differ: sky tens per row between lines, objects 10 to 3000, lines to 10 000."""
    truth = truths[camera]
    wavelength = 10**truth.loglam
    inner = (wavelength > 3900) & (wavelength < 6250) if camera == "b1" else (wavelength > 6000)
    inner &= truth.lit
    sky = truth.electrons[truth.fibers.sky[:, np.newaxis] & inner]
    low, middle = np.percentile(sky, [2, 60])  # lines are the upper third
    assert 15 < low < middle < 160
    assert 4000 < sky.max() < 13000
    objects = ~(truth.fibers.sky | truth.fibers.dark)
    detected = truth.eflux * truth.electrons / np.where(truth.lit, truth.eflux + truth.esky, 1)
    median = np.nanmedian(np.where(inner, detected, np.nan)[objects], axis=1)
    assert 2 < median.min() < 20
    assert 400 < median.max() < 5000
    lit_rows = truth.lit.sum(axis=1)[~truth.fibers.dark]
    assert (np.abs(lit_rows - {"b1": 2550, "r1": 3130}[camera]) < 60).all()


@pytest.fixture(scope="module")
def pulls(root, truths):
    """Electrons recorded less true ones over the true rms, and stated over true variance, NaN without data."""
    found = {}
    for camera, truth in truths.items():
        eflux, eivar, esky, superflat = images(root, "spFrame", camera, SECOND, 0, 1, 6, 8)
        with opened_file(root / simulation.flat_path(camera)) as hdus:
            flat = superflat.astype(float) * hdus[0].data
        good = eivar > 0
        detected = flat * (eflux.astype(float) + esky)
        pull = np.where(good, (detected - truth.electrons) / np.sqrt(truth.variance), np.nan)
        stated = np.where(good, flat**2 / np.where(good, eivar, 1), np.nan) / truth.variance
        found[camera] = pull, stated
    return found


@pytest.mark.parametrize("camera", ["b1", "r1"])
@pytest.mark.parametrize("kind", ["bundles", "sky fibers", "others"])
def test_noise_is_what_the_frames_claim(pulls, truths, camera, kind):
    """Errors are unbiased after sky subtraction but for the electrons that noisy weights lose, of the size that the
    frames state, and independent from row to row: for fibers extracted from pixels, and for those drawn from a law."""
    pull, stated = pulls[camera]
    fibers = truths[camera].fibers
    bundle = (np.arange(500) < 20) | (np.arange(500) >= 480)
    chosen = {"bundles": bundle, "sky fibers": fibers.sky & ~bundle, "others": ~fibers.sky & ~bundle}[kind]
    pull, stated = pull[chosen & ~fibers.dark], stated[chosen & ~fibers.dark]
    assert -0.45 < np.nanmedian(pull) < -0.25  # 3 to 5 electrons of 10 rms
    assert 1.4826 * np.nanmedian(np.abs(pull - np.nanmedian(pull))) == pytest.approx(1, abs=0.06)
    # Chi² of the sky fibers contains what noisy weights add to their scatter, and is noisy, and clipped at 1.
    assert np.nanmedian(stated) == pytest.approx(1.08, abs=0.05)
    middle = pull - np.nanmedian(pull)
    assert np.nanmean(middle[:, 1:] * middle[:, :-1]) == pytest.approx(0, abs=0.02)


def test_noise_of_pixels_is_not_drawn_from_the_law(root):
    """Two bundles and the sky fibers come from pixels: what the frames state for them is 1/Σ(p²/v) of noisy pixels,
    which the law that is expected of them meets without having made it."""
    exposure = read_simulated(root, "b1", SECOND)
    ratio = np.array(compare_fibers(exposure, predict(exposure, "optimal_noisy"))["noise_ratio_median"])
    bundle = (np.arange(500) < 20) | (np.arange(500) >= 480)
    for chosen in (bundle, ~bundle & (np.array(exposure.objtype) == "SKY")):
        assert np.nanmedian(ratio[chosen]) == pytest.approx(1, abs=0.01)


def test_extraction_of_pixels():
    """The extraction gives back what is there: without noise exactly, overlapping profiles included; with it, noisy
    weights lose 3-5 electrons and state less than the optimal variance (0.97 of it at 100 electrons)."""
    rows = np.arange(400)
    x = 300.3 + 6.62 * np.arange(20)[:, np.newaxis] + 0.002 * rows
    sigma = np.full_like(x, 1.4)
    electrons = np.full_like(x, 1e12) * (1 + np.arange(20)[:, np.newaxis] % 3)
    found, _ = extraction.expose_and_extract(electrons, x, sigma, rows, "b1", np.random.default_rng(1))
    np.testing.assert_allclose(found, electrons, rtol=2e-5)
    sigma, electrons = np.full_like(x, 1.0), np.full_like(x, 100.0)
    found, stated = extraction.expose_and_extract(electrons, x, sigma, rows, "b1", np.random.default_rng(1))
    assert np.median(found) == pytest.approx(96, abs=0.7)
    optimal = optimal_variance(100, instrument.READNOISE["b1"][0], 1.0)
    assert np.median(stated) / optimal == pytest.approx(0.970, abs=0.006)


def test_the_published_levels_of_headers(root, truths):
    """SKYCHI2 and XSIGMA are in the range of real headers; XSIGMA is the largest of the quadrants' medians."""
    for camera in ("b1", "r1"):
        header = fits.getheader(root / frame_path("spFrame", camera, SECOND))
        assert 1.05 < header["SKYCHI2"] < 1.4
        assert header["XSIGMA"] == pytest.approx({"b1": 1.256, "r1": 1.30}[camera], abs=0.02)
        assert 1.0 <= truths[camera].sky_chi2.min() < truths[camera].sky_chi2.max() <= 1.08


@pytest.mark.parametrize("camera", ["b1", "r1"])
def test_calibrated_flux_is_the_true_flux(root, truths, camera):
    """The end of the chain, spCFrame, scatters about the true flux with the variance it states."""
    truth = truths[camera]
    cflux, civar = images(root, "spCFrame", camera, SECOND, 0, 1)
    nrow = truth.flux.shape[1]
    pull = (cflux[:, :nrow] - truth.flux) * np.sqrt(civar[:, :nrow])
    faint = truth.fibers.sky & ~truth.fibers.dark  # without the 3 % floor, which no noise is drawn for
    good = civar[:, :nrow] > 0
    # Where few electrons are, the variance that goes with a low draw is too low, and the sky term is noisy.
    assert pull[faint][good[faint]].std() == pytest.approx(0.99, abs=0.04)
    assert np.median(pull[good]) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("camera", ["b1", "r1"])
def test_masks_and_dark_fibers(root, truths, camera):
    """What a careful reader has to leave out is there: dead and unplugged fibers, dark rows, rejected pixels."""
    truth = truths[camera]
    eflux, eivar, mask, esky = images(root, "spFrame", camera, SECOND, 0, 1, 2, 6)
    assert truth.fibers.dead.sum() >= 2
    assert truth.fibers.unplugged.sum() == 2
    assert not truth.fibers.dark[[0, 11, 485]].any()
    for dark in (~truth.lit, truth.fibers.dark):
        assert not eflux[dark].any()
        assert not esky[dark].any()
        assert not eivar[dark].any()
        assert mask[dark].all()
    with opened_file(root / simulation.flat_path(camera)) as hdus:
        assert hdus[0].data[truth.lit].all()
        assert ((hdus[2].data != 0) == truth.fibers.dark).all()
    rejected = mask & (1 << 18) != 0
    assert rejected.sum() / truth.lit.sum() == pytest.approx(0.002, rel=0.05)
    assert not eivar[rejected].any()
    assert ((eivar == 0) & truth.lit & ~rejected).sum() == 0
    assert ((mask != 0) & (eivar > 0)).any()


def test_mask_bits_are_the_survey_s():
    """The bits that the simulation sets have the meaning that readers give them."""
    names = (
        "NOPLUG", "BADTRACE", "BADFLAT", "NEARBADPIXEL", "FULLREJECT", "PARTIALREJECT", "BRIGHTSKY", "NODATA",
        "BADFLUXFACTOR",
    )  # fmt: skip
    survey = mask_bits()
    assert {name: getattr(observing, name) for name in names} == {name: survey[name] for name in names}


# ---------------------------------------------------------------- spectra of single fibers


@pytest.mark.parametrize(("hdu", "camera", "expnum"), [(4, "b1", FIRST), (5, "b1", SECOND), (6, "r1", FIRST)])
def test_full_spec_file(root, hdu, camera, expnum):
    """A full spec file is the fiber's row of the frames, trimmed, and ``calib`` is flux per detected electron."""
    fiber = 1
    eflux, esky, superflat = (a[fiber - 1].astype(float) for a in images(root, "spFrame", camera, expnum, 0, 6, 8))
    corr, added = (a[fiber - 1].astype(float) for a in images(root, "spFluxcorr", camera, expnum, 0, 1))
    cframe = [a[fiber - 1] for a in images(root, "spCFrame", camera, expnum, 0, 1, 2, 3, 4, 6, 7)]
    (spcalib,) = images(root, "spFluxcalib", camera, expnum, 0)
    with opened_file(root / simulation.flat_path(camera)) as hdus:
        flat = superflat * hdus[0].data[fiber - 1]
    with fits.open(root / simulation.spec_path(fiber)) as hdus:
        table, header = np.array(hdus[hdu].data), hdus[hdu].header
        assert hdus[hdu].name == f"{camera.upper()}-{expnum:08d}-00158840-00158841"
    assert (header["CAMERAS"], header["EXPOSURE"], header["SIMULATD"]) == (camera, expnum, True)
    assert "RDNOISE3" in header
    start = int(np.flatnonzero(cframe[1])[0])
    rows = slice(start, start + len(table))
    assert table["ivar"][0] > 0
    assert table["ivar"][-1] > 0
    assert np.count_nonzero(table["ivar"]) == np.count_nonzero(cframe[1])
    for name, values in zip(("flux", "ivar", "mask", "loglam", "wdisp", "sky", "x"), cframe, strict=True):
        found = table[name] & ~(1 << 25) if name == "mask" else table[name]  # COMBINEREJ, which the coaddition adds
        assert (found == values[rows].astype(table[name].dtype)).all(), name
    # A D R / (spcalib superflat fiberflat), with D the only factor not written out here: within a few percent of 1.
    delta = np.gradient(cframe[3])[rows] / 1e-4
    distortion = table["calib"] * delta * spcalib[fiber - 1][rows] * flat[rows] / corr[rows]
    assert np.median(distortion) == pytest.approx(1, abs=0.2)
    assert distortion.std() < 0.05
    detected = (flat * (eflux + esky))[rows]
    calibrated = table["flux"] - added[rows] * distortion + table["sky"]
    np.testing.assert_allclose(calibrated, detected * table["calib"], rtol=3e-2 * added.any() + 1e-5, atol=1e-3)


def test_full_spec_file_of_a_dead_fiber(root, dark_fiber):
    """The survey has a file for every fiber; one without data has all rows and no inverse variance."""
    with fits.open(root / simulation.spec_path(dark_fiber)) as hdus:
        assert [len(hdu.data) for hdu in hdus[4:]] == [4112, 4112, 4128, 4128]
        assert not any(hdu.data["ivar"].any() for hdu in hdus[4:])
        assert not any(hdu.data["calib"].any() for hdu in hdus[4:])


def test_strings_are_padded_with_blanks():
    """astropy pads with NUL, the survey with blanks; readers that compare bytes notice."""
    assert fits_format.padded(["SKY"], "S16")[0] == b"SKY".ljust(16)
