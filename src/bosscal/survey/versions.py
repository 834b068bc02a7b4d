"""Versions of idlspec2d."""

from __future__ import annotations

import re


def version(vers2d: str) -> tuple[int, ...]:
    """v5_10_0 as (5, 10, 0); what has no number is ()."""
    return tuple(map(int, re.findall(r"\d+", vers2d)))
