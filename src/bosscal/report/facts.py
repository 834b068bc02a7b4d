"""What is judged of a spectrum besides the columns of its own row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from bosscal.survey.exposure import Header
from bosscal.survey.inputs import SURVEY_SHA1, Fetched


def facts_of(row: Any, header: Header) -> dict[str, Any]:
    """A row of a comparison, of a table or as a dictionary, with what is judged besides its own columns."""
    readnoise = [value for value in header.readnoise if np.isfinite(value)]
    seen = sum(int(row[name]) for name in ("npix", "npix_masked", "npix_uncalibrated"))
    return {
        **row,
        "skychi2": np.ma.masked if header.skychi2 is None else header.skychi2,
        "readnoise_low": min(readnoise, default=np.ma.masked),
        "readnoise_high": max(readnoise, default=np.ma.masked),
        "masked_fraction": int(row["npix_masked"]) / seen if seen else np.ma.masked,
    }


def downloads_of(records: Iterable[Fetched | None], simulated: bool) -> str:
    """Whether all files that came from a server are what the survey lists: "verified" or "not verified".

    Files of the user's own mirror are read to their end, and theirs to vouch for.
    """
    doubtful = any(
        record is None or (record.how == "downloaded" and record.verified != SURVEY_SHA1) for record in records
    )
    return "not verified" if doubtful and not simulated else "verified"
