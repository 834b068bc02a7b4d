"""Tables of FITS files whose columns say what they are, and the units that they are in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy.io import fits

# As the FITS standard wants units, which its readers else warn about.
FITS_FLUX = "10**-17 erg s-1 cm-2 Angstrom-1"
FITS_VARIANCE = "10**-34 erg2 s-2 cm-4 Angstrom-2"
FITS_IVAR = "10**34 erg-2 s2 cm4 Angstrom2"


def described_table(
    columns: Mapping[str, tuple[str, str, str]], values: Mapping[str, Any], name: str
) -> fits.BinTableHDU:
    """A FITS table whose columns have units and, as TCOMM, meanings.

    Parameters
    ----------
    columns : mapping
        (FITS format, unit, meaning) of every column by name; an empty unit is none.
    values : mapping of 1D[n]
        By the same names.
    name : str
        EXTNAME.
    """
    hdu = fits.BinTableHDU.from_columns(
        [
            fits.Column(label, form, unit or None, array=np.asarray(values[label]))
            for label, (form, unit, _) in columns.items()
        ],
        name=name,
    )
    for place, (_, _, meaning) in enumerate(columns.values(), start=1):
        hdu.header[f"TCOMM{place}"] = meaning
    return hdu
