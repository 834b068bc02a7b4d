"""Reading the survey's files: what is wrong with a file is one line, what is wrong in the code is not hidden."""

import gzip
import re

import numpy as np
import pytest
from astropy.io import fits
from simulated import frame_files

from bosscal import simulation
from bosscal.base.errors import UserError
from bosscal.base.files import sha1sum
from bosscal.survey import frames
from bosscal.survey.coadds import read_coadd
from bosscal.survey.fitsfile import FitsFile, number, text
from bosscal.survey.frames import read_frames
from bosscal.survey.masks import good_pixels
from bosscal.survey.spectra import read_all_exposures, read_exposures, read_spec

FIRST, SECOND = simulation.EXPOSURES


# ---------------------------------------------------------------------------------------------------- one FITS file


@pytest.fixture
def content(tmp_path):
    """Bytes of a small FITS file: two images and a table."""
    image = np.arange(30_000, dtype=">f4").reshape(100, 300)
    table = np.array([(1, "QSO"), (2, "SKY")], dtype=[("FIBERID", ">i4"), ("OBJTYPE", "S16")])
    hdus = [fits.PrimaryHDU(image), fits.ImageHDU(2 * image, name="IVAR"), fits.BinTableHDU(table)]
    hdus[0].header["EXPOSURE"] = 158842
    path = tmp_path / "whole.fits"
    fits.HDUList(hdus).writeto(path)
    return path.read_bytes()


def put(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["spCFrame.fits", "spFrame.fits.gz"])
def test_a_file_is_read_packed_or_not(tmp_path, content, name):
    """Protects images, tables, headers and the checksum, which is that of the file as it lies there."""
    path = put(tmp_path / name, gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    file = FitsFile(path)
    assert file.sha1 == sha1sum(path)
    assert (len(file), file.names()[:2]) == (3, ["PRIMARY", "IVAR"])
    assert file.header()["EXPOSURE"] == 158842
    np.testing.assert_array_equal(file.image(1), 2 * file.image(0))
    assert file.image(0, 40).shape == (100, 40)
    assert file.table(2)["FIBERID"].tolist() == [1, 2]
    assert text(file.table(2)["OBJTYPE"]).tolist() == ["QSO", "SKY"]


def cut(content):
    return content[: 2 * len(content) // 3]


def damaged_in_passing(content):
    """A gzip file, not compressed, with one bit of an image flipped: only the checksum can tell."""
    packed = bytearray(gzip.compress(content, compresslevel=0, mtime=0))
    packed[len(packed) // 2] ^= 4
    return bytes(packed)


DAMAGE = {
    "truncated.fits": cut,
    "truncated.fits.gz": lambda content: cut(gzip.compress(content)),
    "one-bit.fits.gz": damaged_in_passing,
    "empty.fits": lambda content: b"",
    "empty.fits.gz": lambda content: b"",
    "page.fits": lambda content: b"<html>404</html>" * 500,
    "page.fits.gz": lambda content: gzip.compress(b"<html>404</html>" * 500),
    "stub.fits.gz": lambda content: b"\x1f\x8b",
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_is_named(tmp_path, content, name):
    """Protects results from damaged files, and users from a traceback: one line names the file and says what to do."""
    path = put(tmp_path / name, DAMAGE[name](content))

    with pytest.raises(UserError) as caught:
        FitsFile(path)  # before anything is asked of it: a damaged image is no reason to trust a header
    (line,) = str(caught.value).splitlines()
    assert re.match(rf"{re.escape(str(path))}: cannot be read \(.+\); if it is damaged, delete it and run again$", line)


@pytest.mark.parametrize("name", ["missing.fits", "folder.fits"])
def test_what_is_no_file_is_named(tmp_path, name):
    """Protects users from a traceback where a file is missing, or a folder in its place."""
    (tmp_path / "folder.fits").mkdir()
    with pytest.raises(UserError, match=f"{name}: cannot be read"):
        FitsFile(tmp_path / name)


def test_other_content_is_named(tmp_path, content):
    """Protects against a file of another kind under the right name."""
    file = FitsFile(put(tmp_path / "other.fits", content))
    for ask, message in (
        (lambda: file.image(2), "HDU 2 is no image"),
        (lambda: file.table(1), "HDU 1 is no table"),
        (lambda: file.table(7), "has 3 HDUs, and number 7 is needed"),
        (lambda: file.header(7), "has 3 HDUs, and number 7 is needed"),
        (lambda: file.image(0, 301), "HDU 0 has 300 rows, the spFrame 301: they do not belong together"),
    ):
        with pytest.raises(UserError, match=rf"other\.fits: {message}"):
            ask()


def test_numbers_of_a_header_may_be_absent():
    """Protects SKYCHI2 and XSIGMA from NaN and text, which some headers have."""
    header = fits.Header({"XSIGMA": 1.1, "SKYCHI2": 2, "BAD": "NaN", "WORD": "x"})
    assert [number(header, key) for key in ("XSIGMA", "SKYCHI2", "BAD", "WORD", "NONE")] == [1.1, 2.0, None, None, None]


def test_good_pixels_have_data_and_no_bits():
    """Protects the selection of pixels: no inverse variance, or a bit that is not allowed, is no data."""
    mask, ivar = np.array([0, 0, 1, 2, 3]), np.array([1.0, 0, 1, 1, 1])
    assert good_pixels(mask, ivar).tolist() == [True, False, False, False, False]
    assert good_pixels(mask, ivar, 2).tolist() == [True, False, False, True, False]
    assert good_pixels(mask, ivar, -1).tolist() == [True, False, True, True, True]


# ----------------------------------------------------------------------------------------- frames of one exposure


def read(paths):
    return read_frames(paths, [path.name for path in paths], "sim", 6641, 56383)


def test_frames_are_read_as_they_are(simulated_root, red_exposure):
    """Protects every array of the container: each is the file's own, in the machine's byte order."""
    spframe, spcframe, spflat, spfluxcalib, spfluxcorr, spfluxdistort = map(
        FitsFile, frame_files(simulated_root, "r1", SECOND)
    )
    # Of the grid of the coadd, the container keeps what the camera sees, and counts the reference pixel from there.
    first = int(spfluxdistort.header()["CRPIX1"] - red_exposure.distort_grid[1])
    seen = slice(first, first + red_exposure.distort.shape[1])
    loglam = 3.5519 + 1e-4 * np.arange(4650)
    assert loglam[seen][0] < red_exposure.loglam.min()
    assert seen.stop == 4650  # a red camera reaches beyond the end of the grid
    sources = {
        "eflux": spframe.image(0), "eivar": spframe.image(1), "emask": spframe.image(2), "esky": spframe.image(6),
        "superflat": spframe.image(8), "flux": spcframe.image(0), "ivar": spcframe.image(1),
        "mask": spcframe.image(2), "sky": spcframe.image(6), "fiberflat": spflat.image(0), "fibermask": spflat.data(2),
        "spcalib": spfluxcalib.image(0), "corr": spfluxcorr.image(0),
        "distort": spfluxdistort.image(0)[:500, seen],
        "fiber": spframe.table(5)["FIBERID"], "ra": spframe.table(5)["RA"],
        "xfocal": spframe.table(5)["XFOCAL"], "wave_coeff": spframe.table(3)["COEFF"][0],
        "width_coeff": spflat.table(3)["COEFF"][0],
    }  # fmt: skip
    for name, values in sources.items():
        np.testing.assert_array_equal(getattr(red_exposure, name), values, err_msg=name)
        assert red_exposure.arrays[name].dtype.isnative
    header = red_exposure.header
    assert (header.release, header.camera, header.expnum, header.band) == ("sim", "r1", SECOND, "red")
    assert header.readnoise == (2.9, 2.59, 2.53, 2.52)
    assert [checksum for _, checksum in header.inputs] == [
        file.sha1 for file in (spframe, spcframe, spflat, spfluxcalib, spfluxcorr, spfluxdistort)
    ]
    assert header.inputs[0][0] == "/sas/sim/boss/spectro/redux/v5_7_0/6641/spFrame-r1-00158843.fits.gz"


def test_wavelengths_that_the_trace_set_gives_are_not_stored(simulated_root, red_exposure):
    """Protects disks from 16 MB an exposure, and the wavelengths from being others than the file's."""
    assert "loglam" not in red_exposure.arrays
    stored = FitsFile(frame_files(simulated_root, "r1", SECOND)[1]).image(3)
    np.testing.assert_allclose(red_exposure.loglam, stored, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(red_exposure.take(slice(7, 9)).loglam, red_exposure.loglam[7:9])


def changed(tmp_path, path, change):
    """A copy of a FITS file that is not what it was."""
    with fits.open(path) as hdus:
        change(hdus)
        copy = tmp_path / path.name.removesuffix(".gz")  # to compress it would take seconds
        hdus.writeto(copy)
    return copy


def test_other_wavelengths_are_stored(simulated_root, tmp_path):
    """Protects spectra whose spCFrame has wavelengths of its own, as after a shift for the motion of the Earth."""
    paths = frame_files(simulated_root, "b1", FIRST)

    def shift(hdus):
        hdus[3].data = hdus[3].data + 1e-5

    paths[1] = changed(tmp_path, paths[1], shift)
    exposure = read(paths)
    assert "loglam" in exposure.arrays
    np.testing.assert_allclose(exposure.loglam, exposure.trace_set("wave")(exposure.row) + 1e-5, rtol=0, atol=1e-12)


def test_absent_corrections_are_none_and_present_ones_are_read(simulated_root, tmp_path):
    """Protects B = 0 and T = 1 from being stored, and a T file, which comes last, from being ignored."""
    paths = frame_files(simulated_root, "b1", FIRST)
    exposure = read([*paths, paths[4]])  # the correction A stands for T
    assert exposure.corr_add is None
    np.testing.assert_array_equal(exposure.thrucorr, exposure.corr)
    assert len(exposure.header.inputs) == 7

    def add(hdus):  # in float64, as the later releases have it
        hdus[1].data = np.full(hdus[1].data.shape, 0.1)

    paths[4] = changed(tmp_path, paths[4], add)
    exposure = read(paths)
    assert exposure.corr_add.dtype == np.float64
    assert (exposure.corr_add == 0.1).all()


def of_other_exposure(paths, others):
    paths[1] = others[1]
    return r"spCFrame-r1-00158842\.fits: exposure 158842, but .*spFrame-r1-00158843\.fits\.gz is of 158843"


def flat_of_other_camera(paths, others):
    paths[2] = others[0].parent / "spFlat-b1-00158840.fits.gz"
    return r"spFlat-b1-00158840\.fits\.gz: is of camera b1, and r1 was asked for; it lies under a wrong name"


def frame_for_flat(paths, others):
    paths[2] = paths[0]
    return r"spFrame-r1-00158843\.fits\.gz: is of exposure 158843, and 158840 was asked for"


def calibration_for_flat(paths, others):
    paths[2] = paths[3]
    return r"spFluxcalib-r1-00158843\.fits\.gz: HDU 2 is not the mask of 500 fibers"


def distortion_of_one_spectrograph(paths, others):
    paths[5] = paths[3]
    return r"spFluxcalib-r1-00158843\.fits\.gz: header keyword missing: .*CRVAL1"


@pytest.mark.parametrize(
    "mix",
    [of_other_exposure, flat_of_other_camera, frame_for_flat, calibration_for_flat, distortion_of_one_spectrograph],
)
def test_files_that_do_not_belong_together_are_named(simulated_root, mix):
    """Protects results from one exposure's electrons under another's calibration."""
    paths, others = (frame_files(simulated_root, "r1", expnum) for expnum in (SECOND, FIRST))
    message = mix(paths, others)
    with pytest.raises(UserError, match=message):
        read(paths)


CHANGES = {
    "plate": (0, "PLATEID", 6640, r"is of plate 6640, and 6641 was asked for"),
    "camera": (1, "CAMERAS", "b1", r"is of camera b1, and r1 was asked for"),
    "reduction": (0, "RUN2D", "v5_10_0", r"is of reduction v5_10_0, and v5_7_0 was asked for"),
    "flat": (2, "EXPOSURE", 158830, r"is of exposure 158830, and 158840 was asked for"),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_wrong_file_under_a_right_name_is_refused(simulated_root, tmp_path, change):
    """Protects results from files of another plate, camera, reduction or flat: each header is asked."""
    place, key, value, message = CHANGES[change]
    paths = frame_files(simulated_root, "r1", SECOND)
    original = list(paths)
    paths[place] = changed(tmp_path, paths[place], lambda hdus: hdus[0].header.set(key, value))
    names = [f"/{path.relative_to(simulated_root)}" for path in original]
    with pytest.raises(UserError, match=message):
        read_frames(paths, names, "sim", 6641, 56383)


def test_wavelengths_of_another_exposure_are_refused(simulated_root, tmp_path):
    """Protects results from a calibration at other wavelengths: 690 km/s were taken without a word."""
    paths = frame_files(simulated_root, "b1", FIRST)

    def shift(hdus):
        hdus[3].data = hdus[3].data + 1e-3

    paths[1] = changed(tmp_path, paths[1], shift)
    with pytest.raises(UserError, match="its wavelengths are not those of the trace set"):
        read(paths)


def test_fiber_numbers_that_do_not_rise_are_refused(simulated_root, tmp_path):
    """Protects fibers from each other's distortion and noise."""
    paths = frame_files(simulated_root, "b1", FIRST)

    def swap(hdus):
        hdus[5].data["FIBERID"][[10, 11]] = hdus[5].data["FIBERID"][[11, 10]]

    paths[0] = changed(tmp_path, paths[0], swap)
    with pytest.raises(UserError, match="fiber numbers do not rise"):
        read(paths)


@pytest.mark.parametrize(
    ("asked", "message"),
    [((4961, 55719, 379), "is of fiber 378, and 379"), ((4961, 55718, 378), "is of mjd 55719, and 55718")],
)
def test_another_objects_spec_file_is_refused(real_data, asked, message):
    """Protects a target from another one's file."""
    path = next((real_data / "sas/dr12").rglob("spec-4961-55719-0378.fits"))
    name = "/sas/dr12/boss/spectro/redux/v5_7_0/spectra/4961/spec.fits"
    for reader in (lambda *arguments: list(read_all_exposures(*arguments)), read_coadd):
        with pytest.raises(UserError, match=message):
            reader(path, name, "dr12", *asked)
        with pytest.raises(UserError, match="is of reduction v5_7_0, and v5_10_0"):
            reader(path, name.replace("v5_7_0", "v5_10_0"), "dr12", 4961, 55719, 378)


def test_images_of_other_shapes_are_refused(simulated_root, tmp_path):
    """Protects against fibers that are missing in one of the files: the array that does not fit is named."""
    paths = frame_files(simulated_root, "r1", SECOND)

    def shorten(hdus):
        hdus[0].data = hdus[0].data[:499]

    paths[4] = changed(tmp_path, paths[4], shorten)
    message = r"spFluxcorr-r1-00158843\.fits: HDU 0 is an image of 499 x 4128, not of 500 fibers"
    with pytest.raises(UserError, match=message):
        read(paths)


def test_a_missing_keyword_is_named(tmp_path, content):
    """Protects users from a traceback where a header lacks what is needed."""
    file = FitsFile(put(tmp_path / "spFrame.fits", content))
    with pytest.raises(UserError, match=r"spFrame\.fits: header keyword missing: .*CAMERAS"):
        frames.read_header(file, 0, "sim", 6641, 56383, "frames", ())


@pytest.mark.parametrize("fault", [ZeroDivisionError, KeyError, ValueError, IndexError])
def test_a_fault_of_ours_is_not_called_a_damaged_file(simulated_root, monkeypatch, fault):
    """Protects users from deleting good files: what goes wrong in the reading code is no damage."""

    def wrong(*arguments):
        raise fault("ours")

    monkeypatch.setattr(frames, "quadrant", wrong)
    with pytest.raises(fault, match="ours"):
        read(frame_files(simulated_root, "b1", FIRST))


# --------------------------------------------------------------------------------------------------- full spec files


@pytest.fixture(scope="module")
def spec_path(simulated_root):
    return simulated_root / simulation.spec_path(1)


def test_a_spec_file_is_read_as_it_is(spec_path):
    """Protects every array of the container, and exact rows of two-phase red tables."""
    exposure = read_spec(spec_path, "/spec", "sim", 6641, 56383, 1, "r1", SECOND)
    with fits.open(spec_path) as hdus:
        table = next(hdu for hdu in hdus if hdu.name.startswith("R1-00158843")).data
        for name in ("flux", "sky", "ivar", "mask", "calib", "loglam"):
            np.testing.assert_array_equal(getattr(exposure, name)[0], table[name])
    header = exposure.header
    assert (header.products, header.camera, header.expnum, header.simulated) == ("spec", "r1", SECOND, True)
    assert header.inputs == (("/spec", sha1sum(spec_path)),)
    assert exposure.objtype.tolist() == ["QSO"]
    assert exposure.profile_width.tolist() == [[header.xsigma]]


def test_rows_and_quadrants_of_a_spec_file_are_those_of_its_frames(spec_path, red_exposure):
    """Protects the boundary: a red table lies on the CCD exactly where its frame does."""
    exposure = read_spec(spec_path, "", "sim", 6641, 56383, 1, "r1", SECOND)
    with_data = np.flatnonzero(red_exposure.ivar[0])
    assert (exposure.row[0], exposure.row[-1]) == (with_data[0], with_data[-1])
    np.testing.assert_array_equal(exposure.quadrant[0], red_exposure.quadrant[0, exposure.row])
    np.testing.assert_allclose(exposure.loglam[0], red_exposure.loglam[0, exposure.row], rtol=0, atol=3e-7)


def test_all_exposures_of_a_spec_file_are_those_one_by_one(spec_path):
    """Protects the reading of a whole file at once: each exposure is what it is alone, in the order of the file."""
    exposures = list(read_all_exposures(spec_path, "", "sim", 6641, 56383, 1))
    assert [(exposure.header.camera, exposure.header.expnum) for exposure in exposures] == [
        (camera, expnum) for camera in ("b1", "r1") for expnum in (FIRST, SECOND)
    ]
    for exposure in exposures:
        header = exposure.header
        alone = read_spec(spec_path, "", "sim", 6641, 56383, 1, header.camera, header.expnum)
        assert header == alone.header
        for name in alone.arrays:
            np.testing.assert_array_equal(exposure.arrays[name], alone.arrays[name])


def test_a_lite_file_is_no_full_one(simulated_root):
    """Protects against a lite file where a full one is needed."""
    path = simulated_root / simulation.spec_path(1, lite=True)
    with pytest.raises(UserError, match=r"spec-6641-56383-0001\.fits: no HDU R1-00158843-…: a spec-lite file"):
        read_spec(path, "", "sim", 6641, 56383, 1, "r1", SECOND)
    with pytest.raises(UserError, match=r"has no camera exposures: a spec-lite file where the full"):
        list(read_all_exposures(path, "", "sim", 6641, 56383, 1))


def without_width(hdus):
    del hdus[4].header["XSIGMA"]
    return "header keyword missing: XSIGMA"


def without_calib(hdus):
    columns = [column for column in hdus[4].columns if column.name != "calib"]
    hdus[4] = fits.BinTableHDU.from_columns(columns, hdus[4].header, name=hdus[4].name)
    return "HDU 4 has no column calib"


@pytest.mark.parametrize("change", [without_width, without_calib])
def test_what_a_spec_file_lacks_is_named(spec_path, tmp_path, change):
    """Protects against a spec file without the width of the profile, or of another format."""
    messages = []
    path = changed(tmp_path, spec_path, lambda hdus: messages.append(change(hdus)))
    with pytest.raises(UserError, match=messages[0]):
        read_spec(path, "", "sim", 6641, 56383, 1, "b1", FIRST)


def test_positions_may_be_unknown(spec_path, tmp_path):
    """Protects spec files of reductions whose tables tell no position: NaN, not 0, which is a place."""

    def forget(hdus):
        del hdus[0].header["PLUG_RA"]
        hdus[2].columns.del_col("XFOCAL")

    exposure = read_spec(changed(tmp_path, spec_path, forget), "", "sim", 6641, 56383, 1, "b1", FIRST)
    assert np.isnan([exposure.ra[0], exposure.xfocal[0]]).all()
    assert np.isfinite([exposure.dec[0], exposure.yfocal[0]]).all()


def test_exposures_of_a_coadd(tmp_path):
    """Protects the list of exposures, of both spellings of its keywords, and against headers without it."""
    cards = {"EXPID01": "b1-00158842-00158840-00158841", "EXPID002": "r1-00158842-00158840-00158841", "NEXP": 2}
    fits.PrimaryHDU(header=fits.Header(cards)).writeto(tmp_path / "spec.fits")
    assert read_exposures(tmp_path / "spec.fits") == {"b1": {158842: 158840}, "r1": {158842: 158840}}
    fits.PrimaryHDU().writeto(tmp_path / "none.fits")
    with pytest.raises(UserError, match=r"none\.fits: the header lists no exposures"):
        read_exposures(tmp_path / "none.fits")
    fits.PrimaryHDU(header=fits.Header({"EXPID01": "b1"})).writeto(tmp_path / "short.fits")
    with pytest.raises(UserError, match=r"short\.fits: EXPID01 is 'b1', not camera-science-flat-arc"):
        read_exposures(tmp_path / "short.fits")
