"""Functions of our own that are the same on every processor, and that the science calls no others."""

import ast
import hashlib

import numpy as np
import pytest
from conftest import REPOSITORY
from simulated import run_elsewhere

from bosscal.base import elementary
from bosscal.calibration.budget import effects
from bosscal.calibration.measurement import measure
from bosscal.calibration.tutorial import reconstruct
from bosscal.results.comparison import compare_fibers
from bosscal.results.export import calibration_images
from bosscal.results.prediction import predict
from bosscal.survey.exposure import CameraExposure, FrameExposure

PACKAGE = REPOSITORY / "src" / "bosscal"
SCIENCE = ("base", "survey", "calibration", "noise", "results", "simulation")  # figures and the report store no numbers

# What rounds differently from processor to processor: other series for the same function, sums in another order.
TRANSCENDENTAL = {
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin",
    "arccos", "arctan", "arctan2", "arcsinh", "arccosh", "arctanh", "power", "float_power", "logaddexp", "hypot",
    "cbrt", "sinc", "geomspace", "logspace", "erf", "pow",
}  # fmt: skip
BLAS = {
    "dot", "vdot", "matmul", "inner", "tensordot", "linalg", "convolve", "correlate", "polyfit", "cov", "corrcoef",
    "chebfit", "legfit", "legroots", "chebroots", "roots", "vecdot", "matvec", "vecmat",
}  # fmt: skip

# file: {name: why its last digit is in nothing that is stored}
ALLOWED = {
    "noise/profile.py": {
        "erf": "tables are rounded to float32",
        "expm1": "nodes of a table that is rounded to float32",
        "log1p": "rounded to float32 where it is used, and once for the constant end of a table",
    },
    "noise/laws/bundle.py": {"erf": "the table is rounded to float32"},
}


def offences(path):
    """(name, line) of everything in a file that another processor may round differently."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.MatMult):
            yield "@", node.lineno
        if isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.Pow):
            exponent = node.right if isinstance(node, ast.BinOp) else node.value
            if not (isinstance(exponent, ast.Constant) and isinstance(exponent.value, int)):
                yield "**", node.lineno
        if isinstance(node, ast.Attribute) and node.attr in BLAS:
            yield node.attr, node.lineno
        of_library = isinstance(node, ast.Attribute) and getattr(node.value, "id", None) in ("np", "numpy", "math")
        if of_library and node.attr in TRANSCENDENTAL:
            yield node.attr, node.lineno
        if isinstance(node, ast.ImportFrom) and node.module in ("numpy", "math"):
            yield from ((alias.name, node.lineno) for alias in node.names if alias.name in TRANSCENDENTAL | BLAS)
        if isinstance(node, ast.Call) and any(keyword.arg == "optimize" for keyword in node.keywords):
            yield "optimize", node.lineno
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "pow":
            yield "pow", node.lineno


def test_science_calls_nothing_that_depends_on_the_processor():
    """Protects results that are compared by their bytes: no BLAS, and no exponentials but those of base.elementary."""
    found, excused = [], set()
    for room in SCIENCE:
        for path in sorted((PACKAGE / room).rglob("*.py")):
            name = str(path.relative_to(PACKAGE))
            for offence, line in offences(path):
                if offence in ALLOWED.get(name, {}):
                    excused.add((name, offence))
                else:
                    found.append(f"{name}:{line}: {offence}")
    assert not found, "\n".join(found)
    assert excused == {(name, offence) for name, reasons in ALLOWED.items() for offence in reasons}  # no more than that


def test_offences_are_seen(tmp_path):
    """Protects the test above from seeing nothing."""
    path = tmp_path / "science.py"
    path.write_text(
        "from numpy import exp\nimport numpy as np\na = b @ c\na = b.dot(c)\na = np.dot(b, c)\na = np.linalg.inv(b)\n"
        "a = np.log10(b)\na = 10 ** b\na **= 0.5\na = np.einsum('ij', b, optimize=True)\na = np.convolve(b, c)\n"
        "a = b ** 2\na = np.sqrt(b)\na = elementary.exp(b)\n"
    )
    assert sorted(line for _, line in offences(path)) == [1, *range(3, 12)]


def test_elementary_functions():
    """Protects the functions that stand in for numpy's: they agree with them to the last digits."""
    x = np.linspace(-45, 45, 9001)
    close = {"rtol": 3e-15, "atol": 3e-15}
    np.testing.assert_allclose(elementary.exp(x), np.exp(x), rtol=1e-15)
    np.testing.assert_allclose(elementary.exp(x / 200), np.exp(x / 200), rtol=1e-15)
    np.testing.assert_allclose(elementary.power_of_ten(x / 5), 10 ** (x / 5), rtol=1e-14)
    np.testing.assert_allclose(elementary.log(np.exp(x)), np.log(np.exp(x)), **close)
    np.testing.assert_allclose(elementary.log10(np.exp(x)), np.log10(np.exp(x)), **close)
    np.testing.assert_allclose(elementary.cosine(x / 20), np.cos(2 * np.pi * x / 20), **close)
    np.testing.assert_allclose(elementary.sine(x / 20), np.sin(2 * np.pi * x / 20), **close)


def test_elementary_functions_keep_shapes():
    """Protects numbers and images alike, and long arrays, whose exponentials are taken piece by piece."""
    assert elementary.exp(0.0) == 1
    assert np.ndim(elementary.exp(0.0)) == 0
    image = np.linspace(-3, 3, 40_000).reshape(200, 200)
    assert elementary.exp(image).shape == (200, 200)
    np.testing.assert_array_equal(elementary.exp(image)[150], elementary.exp(image[150]))
    assert elementary.power_of_ten(np.float32([2, 3])).dtype == np.float64
    np.testing.assert_allclose(elementary.power_of_ten(np.float32([2, 3])), [100, 1000], rtol=1e-15)
    assert elementary.exp(np.empty((0, 3))).shape == (0, 3)


def digests(path):
    """SHA-1 of everything that the steps compute of a camera exposure."""
    exposure = CameraExposure.read(path)
    prediction = predict(exposure, "bundle")
    tutorial = reconstruct(exposure)
    measurement = measure(exposure, prediction.calib)
    arrays = {**prediction.arrays, **effects(exposure, measurement.compared)}
    arrays |= {name: values for name, values in vars(tutorial).items() if values is not None}
    arrays |= {name: values for name, values in vars(measurement).items() if name not in ("header", "floor")}
    arrays |= calibration_images(exposure, prediction)
    table = compare_fibers(exposure, prediction)
    arrays |= {f"column {name}": np.ma.filled(table[name]) for name in table.colnames}
    return {name: hashlib.sha1(np.ascontiguousarray(array)).hexdigest() for name, array in arrays.items()}


@pytest.mark.slow
def test_results_are_the_same_on_every_processor(tmp_path, red_exposure):
    """Protects every number that is stored: vector instructions and the kernels of BLAS leave no trace in them."""
    few = red_exposure.take(np.r_[0:20, 200:220, 480:500])
    FrameExposure.checked(few.header, dict(few.arrays)).write(tmp_path / "exposure.npz")
    here, elsewhere = (
        digests(tmp_path / "exposure.npz"),
        run_elsewhere("test_arithmetic", "digests", tmp_path / "exposure.npz"),
    )
    assert len(here) > 80
    assert [name for name in here if here[name] != elsewhere[name]] == []
