"""Trace sets: one smooth function of CCD row per fiber, as the SDSS pipeline stores them.

Wavelength solutions, profile widths and trace positions are all stored this way. The format is that of
idlutils' ``traceset2xy``; see ``docs/calibration.md``, section "Trace sets".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bosscal.base.errors import UserError

_BLOCK = 20  # traces that are summed together, in a processor's cache


@dataclass(frozen=True)
class Jump:
    """The step that two-phase readout of the red CCDs puts into every trace (central rows are taller)."""

    low: float  # row where the step starts
    high: float  # row where it is complete
    value: float  # its height [rows]

    def shift(self, row: NDArray) -> NDArray:
        """Rows to add at ``row``: 0 below the step, ``value`` above, linear in between."""
        return self.value * np.clip((row - self.low) / (self.high - self.low), 0, 1)


@dataclass(frozen=True)
class TraceSet:
    """A Legendre series in CCD row for every fiber.

    Attributes
    ----------
    coeff : 2D[nfiber, ncoeff]
        Legendre coefficients, lowest order first, in the unit of the traced quantity.
    xmin, xmax : float
        Rows that map to -1 and +1 of the series' argument.
    jump : Jump or None
        Two-phase readout step of a red CCD.
    """

    coeff: NDArray[np.float64]
    xmin: float
    xmax: float
    jump: Jump | None = None

    def __post_init__(self) -> None:
        coeff = np.asarray(self.coeff, dtype=np.float64)
        if coeff.ndim != 2:
            raise ValueError(f"coeff must be 2D[nfiber, ncoeff], not of shape {coeff.shape}")
        if not self.xmax > self.xmin:
            raise ValueError(f"xmax ({self.xmax}) must be above xmin ({self.xmin})")
        object.__setattr__(self, "coeff", coeff)

    @classmethod
    def from_table(cls, table: Any, where: str = "trace set") -> TraceSet:
        """Read a trace set from a FITS binary table of one row.

        Parameters
        ----------
        table : astropy.io.fits.FITS_rec
            With columns FUNC, XMIN, XMAX, COEFF and, in red, XJUMPLO, XJUMPHI, XJUMPVAL.
        where : str
            What the table is, for error messages.

        Raises
        ------
        UserError
            If the table is not a Legendre trace set of one row.
        """
        names = [] if table is None else [name.upper() for name in table.dtype.names]
        missing = {"FUNC", "XMIN", "XMAX", "COEFF"} - set(names)
        if missing or len(table) != 1:
            raise UserError(f"{where}: not a trace set of one row with FUNC, XMIN, XMAX, COEFF")
        row = table[0]
        function = row["FUNC"]
        function = (function.decode() if isinstance(function, bytes) else str(function)).strip().lower()
        if function != "legendre":
            raise UserError(f"{where}: trace set of type '{function}', only 'legendre' is supported")
        coeff = np.asarray(row["COEFF"])
        domain = ["XMIN", "XMAX"] + (["XJUMPLO", "XJUMPHI", "XJUMPVAL"] if "XJUMPVAL" in names else [])
        if lacking := [name for name in domain if name not in names]:
            raise UserError(f"{where}: a trace set with XJUMPVAL but without {', '.join(lacking)}")
        if coeff.ndim != 2 or 0 in coeff.shape or coeff.dtype.kind not in "iuf":
            raise UserError(f"{where}: COEFF is no table of coefficients of every fiber")
        values = [np.asarray(row[name]) for name in domain]
        numbers = [float(value) if value.ndim == 0 and value.dtype.kind in "iuf" else np.nan for value in values]
        # Rows of a CCD, of which one has 4128; the jump is 1/3 of one.
        if not all(abs(number) < 1e4 for number in numbers) or not all(np.diff(numbers)[::2] > 0):
            described = ", ".join(f"{name} {number:g}" for name, number in zip(domain, numbers, strict=True))
            raise UserError(f"{where}: a trace set cannot be over the rows {described}")
        jump = Jump(*numbers[2:]) if len(numbers) > 2 else None
        return cls(coeff.astype(np.float64), numbers[0], numbers[1], jump)

    def __call__(self, row: ArrayLike) -> NDArray[np.float64]:
        """Evaluate every fiber's series at the same rows, jump included.

        Parameters
        ----------
        row : 1D[nrow]
            CCD rows, 0-based, not necessarily integer.

        Returns
        -------
        2D[nfiber, nrow]
            float64, in the unit of the traced quantity. All fibers share the rows, so this is one sum of ncoeff
            outer products, in a fixed order: a matrix product rounds differently from processor to processor.
        """
        row = np.asarray(row, dtype=np.float64)
        if self.jump is not None:
            row = row + self.jump.shift(row)
        argument = 2 * (row - (self.xmin + self.xmax) / 2) / (self.xmax - self.xmin)
        polynomials = np.polynomial.legendre.legvander(argument, self.coeff.shape[1] - 1).T
        total = np.zeros((len(self.coeff), row.size))
        for first in range(0, len(self.coeff), _BLOCK):
            block = slice(first, first + _BLOCK)
            for coefficients, polynomial in zip(self.coeff[block].T, polynomials, strict=True):
                total[block] += coefficients[:, np.newaxis] * polynomial
        return total

    def take(self, fibers: slice | NDArray[np.integer]) -> TraceSet:
        """The same for some traces, by their places."""
        return TraceSet(self.coeff[fibers], self.xmin, self.xmax, self.jump)


def bin_size(wave: TraceSet, row: ArrayLike, dloglam: float = 1e-4) -> NDArray[np.float64]:
    """Width of every pixel's wavelength bin, in units of the coadd grid's bin.

    Parameters
    ----------
    wave : TraceSet
        log10 of the wavelength [Å].
    row : 1D[nrow]
        CCD rows.
    dloglam : float
        Bin of the coadd grid [dex].

    Returns
    -------
    2D[nfiber, nrow]
        |loglam(row + 1/2) - loglam(row - 1/2)| / dloglam: the Delta of ``docs/calibration.md``, step 2
        (idlspec2d ``correct_dlam``).
    """
    row = np.asarray(row, dtype=np.float64)
    return np.abs(wave(row + 0.5) - wave(row - 0.5)) / dloglam
