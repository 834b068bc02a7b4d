"""The survey's filter curves, as pydl ships them."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bosscal.survey.coadds import BANDS


@cache
def filter_curves() -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Wavelength [Å] and throughput of g, r and i with the atmosphere, each 1D[npoint].

    They are idlutils' ``sdss_jun2001``, which the pipeline integrates with. pydl's own package is not imported: that
    takes a second.
    """
    spec = find_spec("pydl")
    if spec is None or spec.origin is None:  # it comes with bossdata
        raise ModuleNotFoundError("pydl is not installed")
    folder = Path(spec.origin).parent / "pydlutils/data/filters"
    curves = {}
    for band in BANDS:
        wavelength, throughput = np.loadtxt(folder / f"sdss_jun2001_{band}_atm.dat", usecols=(0, 1), unpack=True)
        curves[band] = (wavelength, throughput)
    return curves
