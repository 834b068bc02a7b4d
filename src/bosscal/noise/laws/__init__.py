"""The variance laws, each in a file of its own; ``docs/noise.md`` explains them."""

from __future__ import annotations

from bosscal.base.discovery import import_all
from bosscal.noise.law import SKY_SUFFIX, Law

import_all(__name__, __path__)

LAWS: dict[str, Law] = {law.name: law for law in Law.known}
PREDICTIONS = tuple(f"{name}{suffix}" for name in LAWS for suffix in ("", SKY_SUFFIX))


def law_of(prediction: str) -> Law:
    """The law of a prediction, with sky-subtraction term or without: "optimal_sky" is of ``LAWS["optimal"]``."""
    return LAWS[prediction.removesuffix(SKY_SUFFIX)]


def label_of(prediction: str) -> str:
    """A prediction's name in words."""
    return law_of(prediction).label + (" + sky" if prediction.endswith(SKY_SUFFIX) else "")
