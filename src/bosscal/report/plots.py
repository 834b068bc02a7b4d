"""Small plots of whole camera exposures as SVG: every point names its fiber and leads to its page, without scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

Point = tuple[int, Any, str, str, str]  # fiber, variance ratio, page, level, OBJTYPE

WIDTH, HEIGHT, LEFT, BOTTOM = 960, 260, 46, 34
LOW, HIGH = 0.8, 1.25  # ratios at the ends of the axis; points beyond are drawn at the end, and say what they are
PLANE = 330  # mm: the plate's radius is 326


def by_fiber(points: Sequence[Point]) -> str:
    """Median of measured over predicted variance against fiber number."""
    fibers = [fiber for fiber, *_ in points]
    first, last = min(fibers), max(fibers)

    def x(fiber: float) -> float:
        return LEFT + (WIDTH - LEFT - 10) * (fiber - first + 1) / (last - first + 2)

    def y(ratio: float) -> float:
        return 8 + (HEIGHT - BOTTOM - 8) * (HIGH - min(max(ratio, LOW), HIGH)) / (HIGH - LOW)

    parts = []
    for ratio in (0.8, 0.9, 1.0, 1.1, 1.2):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y(ratio):.1f}" y2="{y(ratio):.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(ratio) + 4:.1f}" text-anchor="end">{ratio:.1f}</text>')
    for fiber in range(-(-first // 100) * 100, last + 1, 100):
        parts.append(f'<text x="{x(fiber):.1f}" y="{HEIGHT - 18}" text-anchor="middle">{fiber}</text>')
    parts.append(f'<text x="{(WIDTH + LEFT) / 2}" y="{HEIGHT - 3}" text-anchor="middle">fiber</text>')
    for point in points:
        if not np.ma.is_masked(point[1]):
            parts.append(_dot(x(point[0]), y(float(point[1])), 2.6, point))
    return _svg(WIDTH, HEIGHT, "Variance ratio by fiber", points, parts)


def focal_plane(points: Sequence[Point], places: Mapping[int, tuple[float, float]]) -> str:
    """Where the fibers sit on the plate, by how they stand; "" where no place is known."""
    size = 360
    parts = [f'<circle class="grid" cx="{size / 2}" cy="{size / 2}" r="{size / 2 - 4}" fill="none"/>']
    drawn = 0
    for point in points:
        x, y = places.get(point[0], (np.nan, np.nan))
        if np.isfinite(x) and np.isfinite(y):
            scale = (size / 2 - 6) / PLANE
            parts.append(_dot(size / 2 + x * scale, size / 2 - y * scale, 4, point))
            drawn += 1
    return _svg(size, size, "The focal plane", points, parts) if drawn else ""


def _dot(x: float, y: float, radius: float, point: Point) -> str:
    fiber, ratio, page, level, objtype = point
    value = "no ratio" if np.ma.is_masked(ratio) else f"{float(ratio):.3f}"
    words = escape(f"fiber {fiber} ({objtype}): {value}, {level}")
    dot = f'<circle class="{level}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"><title>{words}</title></circle>'
    return f'<a href="{escape(page)}">{dot}</a>' if page else dot


def _svg(width: int, height: int, title: str, points: Sequence[Point], parts: Sequence[str]) -> str:
    ratios = [float(point[1]) for point in points if not np.ma.is_masked(point[1])]
    median = f"median {np.median(ratios):.3f}" if ratios else "no ratio known"
    return (
        f'<svg viewBox="0 0 {width} {height}" role="group" aria-label="{title}, {len(points)} fibers, {median}">'
        + "".join(parts)
        + "</svg>"
    )
