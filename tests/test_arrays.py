"""Containers of named arrays and the npz files that keep them."""

import json
import zipfile
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import pytest
from simulated import HEADER

from bosscal.base.arrays import Arrays, Container, Field, write_arrays
from bosscal.base.errors import UserError
from bosscal.results.prediction import Assumptions
from bosscal.survey.exposure import CameraExposure, FrameExposure, Header, SpecExposure


@dataclass(frozen=True)
class Facts:
    """What a header may be."""

    plate: int

    def to_dict(self):
        return asdict(self)


class Sample(Container):
    """A container with an array of each kind."""

    FIELDS: ClassVar = {
        "fiber": Field(("nfiber",), "i4", "", "fiber number"),
        "flux": Field(("nfiber", "nrow"), "f4", "electron", "electrons"),
        "mask": Field(("nfiber", "nrow"), "i4", "", "bits"),
        "row": Field(("nrow",), "i4", "pixel", "CCD row"),
        "added": Field(("nfiber", "nrow"), "f4", "electron", "absent: 0", True),
    }  # fmt: skip

    @classmethod
    def read(cls, path):
        arrays = Arrays(path)
        return cls(Facts(**arrays.meta), arrays)


def arrays(**changes):
    flux = np.arange(12.0).reshape(3, 4)
    return {"fiber": [5, 6, 7], "flux": flux, "mask": flux > 6, "row": range(4)} | changes


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "sample.npz"
    Sample.checked(Facts(6641), arrays()).write(path)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flux": np.zeros(3)}, r"flux has shape \(3,\), not \('nfiber', 'nrow'\)"),
        ({"flux": np.zeros((2, 4))}, r"flux has shape \(2, 4\), but nfiber is 3"),
        ({"row": np.arange(5)}, r"row has shape \(5,\), but nrow is 4"),
        ({"added": np.zeros((3, 5))}, r"added has shape \(3, 5\), but nrow is 4"),
        ({"mask": None}, r"Sample: \['mask'\] missing or unknown"),
        ({"sky": np.zeros((3, 4))}, r"Sample: \['sky'\] missing or unknown"),
    ],
)
def test_wrong_arrays_are_named(changes, message):
    """Protects files that belong to different exposures from being mixed: the array that does not fit is named."""
    with pytest.raises(ValueError, match=message):
        Sample.checked(Facts(6641), arrays(**changes))


def test_arrays_get_the_types_of_the_table():
    """Protects later steps from the byte order and the types of the survey's files."""
    container = Sample.checked(Facts(6641), arrays(flux=np.ones((4, 3), dtype=">f8").T))
    assert container.flux.dtype == np.dtype("=f4")
    assert container.flux.flags.c_contiguous
    assert container.mask.dtype == np.dtype("=i4")


def test_an_optional_array_may_be_absent(tmp_path):
    """Protects the difference between absent, which is None, and unknown, which is an error."""
    container = Sample.checked(Facts(6641), arrays(added=None))
    assert container.added is None
    assert container.take(slice(1)).added is None
    with pytest.raises(AttributeError, match="Sample has no array 'sky'"):
        _ = container.sky
    container.write(tmp_path / "sample.npz")
    assert Sample.read(tmp_path / "sample.npz").added is None


def test_what_was_written_is_read_back(tmp_path):
    """Protects arrays, types and header on their way through a file, compressed and mapped ones."""
    container = Sample.checked(Facts(6641), arrays(added=np.full((3, 4), 0.1)))
    container.write(tmp_path / "sample.npz")
    back = Sample.read(tmp_path / "sample.npz")
    assert back.header == Facts(6641)
    assert set(back.arrays) == set(Sample.FIELDS)
    for name in Sample.FIELDS:
        np.testing.assert_array_equal(getattr(back, name), getattr(container, name))
        assert getattr(back, name).dtype == getattr(container, name).dtype


@pytest.mark.parametrize("fibers", [slice(1, 3), np.array([2, 0]), slice(0, 0)])
def test_some_fibers_are_taken(written, fibers):
    """Protects the choice of fibers, and arrays that are not by fiber, which stay whole."""
    whole = Sample.checked(Facts(6641), arrays())
    for container in (whole, Sample.read(written)):
        taken = container.take(fibers)
        assert isinstance(taken, Sample)
        assert taken.header == container.header
        for name in ("fiber", "flux", "mask"):
            np.testing.assert_array_equal(getattr(taken, name), getattr(whole, name)[fibers])
        np.testing.assert_array_equal(taken.row, whole.row)
        assert len(taken.arrays) == len(container.arrays) == 4
        again = taken.take(slice(0, 1))
        np.testing.assert_array_equal(again.flux, whole.flux[fibers][:1])


def is_mapped(array):
    """Whether an array lies in a file."""
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array is not None


def test_images_of_floats_are_mapped_and_those_of_integers_packed(written):
    """Protects speed and disks: figures of one fiber read a few pages, and masks take next to no room."""
    back = Arrays(written)
    assert is_mapped(back["flux"])
    assert not is_mapped(back["mask"])
    assert not back["flux"].flags.writeable
    with zipfile.ZipFile(written) as archive:
        packed = {entry.filename for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED}
    assert packed == {"mask.npy"}
    with np.load(written) as plain:  # any reader of npz files can read it
        np.testing.assert_array_equal(plain["flux"], back["flux"])
        np.testing.assert_array_equal(plain["mask"], back["mask"])


def test_arrays_are_the_same_bytes_every_time(tmp_path):
    """Protects reproducibility: no time of writing in an npz, nor the order in which a dictionary was filled."""
    content = {"flux": np.arange(6.0).reshape(2, 3), "objtype": np.array(["QSO", "SKY"]), "mask": np.ones((2, 3), int)}
    write_arrays(tmp_path / "a.npz", content, {"plate": 6641, "mjd": 56383})
    write_arrays(tmp_path / "b.npz", content, {"mjd": 56383, "plate": 6641})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    back = Arrays(tmp_path / "a.npz")
    assert set(back) == set(content)
    assert len(back) == 3
    assert back.meta == {"plate": 6641, "mjd": 56383}
    np.testing.assert_array_equal(back["objtype"], content["objtype"])


def test_empty_arrays_survive(tmp_path):
    """Protects containers of no fibers, which cannot be mapped."""
    write_arrays(tmp_path / "a.npz", {"flux": np.zeros((0, 5), dtype=np.float32), "mean": np.array(2.5)}, {})
    back = Arrays(tmp_path / "a.npz")
    assert back["flux"].shape == (0, 5)
    assert back["mean"] == 2.5


def foreign_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


@pytest.mark.parametrize(
    "make",
    [lambda path: path.write_bytes(b"not a zip file"), lambda path: path.touch(), foreign_zip],
)
def test_a_foreign_file_is_named(tmp_path, make):
    """Protects against a traceback where an intermediate file is damaged, empty or another's."""
    path = tmp_path / "x.npz"
    make(path)
    message = r"x\.npz: not a file that bosscal wrote, or damaged \(.*\); delete it and run again"
    with pytest.raises(UserError, match=message):
        Arrays(path)


def test_a_missing_file_is_called_missing(tmp_path):
    """Protects users from the advice to delete what is not there."""
    with pytest.raises(UserError, match=r"x\.npz: is missing$"):
        Arrays(tmp_path / "x.npz")


def test_damage_inside_is_named_when_it_is_read(tmp_path):
    """Protects against a traceback where a packed array is damaged: its checksum is compared when it is read."""
    path = tmp_path / "x.npz"
    write_arrays(path, {"mask": np.arange(60_000, dtype=np.int32).reshape(2, -1), "flux": np.ones((2, 3))}, {})
    content = bytearray(path.read_bytes())
    place = content.find(b"mask.npy") + 1000
    content[place] ^= 0xFF
    path.write_bytes(content)
    arrays = Arrays(path)
    assert arrays["flux"].sum() == 6
    with pytest.raises(UserError, match=r"x\.npz: not a file that bosscal wrote, or damaged"):
        arrays["mask"]


def test_header_survives_json():
    """Protects the header of an exposure from becoming lists and text on its way through a file."""
    assert Header.from_dict(json.loads(json.dumps(HEADER.to_dict()))) == HEADER
    assumptions = Assumptions("bundle", 1 << 23, True)
    assert Assumptions(**json.loads(json.dumps(assumptions.to_dict()))) == assumptions


def test_an_exposure_is_read_as_the_kind_it_is(tmp_path, red_exposure):
    """Protects the two kinds of exposures from being taken for each other, and every array of a real one."""
    few = red_exposure.take(slice(0, 3))
    FrameExposure.checked(few.header, dict(few.arrays)).write(tmp_path / "frames.npz")
    back = CameraExposure.read(tmp_path / "frames.npz")
    assert type(back) is FrameExposure
    assert back.header == red_exposure.header
    assert set(back.arrays) == set(red_exposure.arrays)
    for name in red_exposure.arrays:
        np.testing.assert_array_equal(back.arrays[name], few.arrays[name])
    header = Header(**(vars(HEADER) | {"products": "spec", "xsigma": 1.1}))
    row = {name: np.ones((1, 4)) for name in ("quadrant", "flux", "sky", "ivar", "mask", "loglam", "calib")}
    fiber = {name: [1] for name in ("fiber", "ra", "dec", "xfocal", "yfocal", "lambda_eff")}
    SpecExposure.checked(header, row | fiber | {"objtype": ["QSO"], "row": range(4)}).write(tmp_path / "spec.npz")
    back = CameraExposure.read(tmp_path / "spec.npz")
    assert type(back) is SpecExposure
    assert back.profile_width.tolist() == [[1.1]]
    with pytest.raises(AttributeError, match="SpecExposure has no array 'eflux'"):
        _ = back.eflux


def test_fibers_are_found_by_their_numbers(red_exposure):
    """Protects fibers from being taken for places, and the bundles that are extracted together."""
    assert red_exposure.index(486) == 485
    with pytest.raises(UserError, match="sim plate 6641 mjd 56383 r1-00158843: fiber 501 is not in the plug map"):
        red_exposure.index(501)
    bundles = list(red_exposure.bundles())
    assert bundles[0] == slice(0, 20)
    assert [places.stop - places.start for places in bundles] == [20] * 25
    assert red_exposure.bundle_of(40) == slice(20, 40)
    some = red_exposure.take(np.array([5, 18, 20, 499]))  # fibers 6, 19, 21 and 500
    assert list(some.bundles()) == [slice(0, 2), slice(2, 3), slice(3, 4)]
    assert some.bundle_of(19) == slice(0, 2)
