"""What every variance law has: a name, looks, a source, and one method. ``laws/`` holds one file for each.

A law is a subclass of :class:`Law` in a module of its own in ``laws/``; it is found because it lies there, and appears
in tables, figures, report and tests by itself.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bosscal.calibration.measurement import Measurement

SKY_SUFFIX = "_sky"  # of a law's name: with the sky-subtraction term


class Law:
    """The variance of extracted electrons as a function of a measurement.

    Attributes
    ----------
    name : str
        As in releases.yaml and in the names of columns.
    label : str
        A few words for tables and legends.
    color : str
        Of its curves and markers.
    source : str
        Where the law comes from.
    releases : str
        Versions of the pipeline whose extraction follows it; empty if none does.
    place : int
        Its place among the laws, in ascending order.
    curves : tuple of str
        Which of its predictions are drawn against wavelength: "" without, "_sky" with the sky-subtraction term.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    color: ClassVar[str]
    source: ClassVar[str]
    releases: ClassVar[str] = ""
    place: ClassVar[int]
    curves: ClassVar[tuple[str, ...]] = (SKY_SUFFIX,)

    known: ClassVar[list[Law]] = []

    def __init_subclass__(cls) -> None:
        Law.known.append(cls())
        Law.known.sort(key=lambda law: law.place)

    def variance(self, measurement: Measurement) -> NDArray:
        """Variance of the detected electrons without a sky-subtraction term, 2D[nfiber, nrow] [electrons²]."""
        raise NotImplementedError

    def scatter(self, measurement: Measurement) -> NDArray[np.floating]:
        """Relative scatter of the stated variance about :meth:`variance`, 2D[nfiber, nrow]: 0 but for noisy weights."""
        return np.zeros(measurement.electrons.shape)

    def sky_variance(self, measurement: Measurement) -> NDArray:
        """The same of the sky alone."""
        return self.variance(measurement.as_sky())
