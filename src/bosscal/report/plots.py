"""Small plots of whole camera exposures as SVG: every point names its fiber and leads to its page, without scripts.

And each camera's history over the exposures of a plate, whose points lead to what there is of the exposure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from bosscal.base.elementary import log10
from bosscal.report.rows import difference_in_words

Point = tuple[int, Any, str, str, str]  # fiber, variance ratio, page, level, OBJTYPE

WIDTH, HEIGHT, LEFT, BOTTOM = 960, 260, 46, 34
LOW, HIGH = 0.8, 1.25  # ratios at the ends of the axis; points beyond are drawn at the end, and say what they are
PLANE = 330  # mm: the plate's radius is 326
SMALL_WIDTH, SMALL_HEIGHT, SMALL_LEFT = 460, 190, 58


@dataclass(frozen=True)
class Residual:
    """Largest relative differences of a fiber's calibration: of the ``exact`` model and of the ``tutorial``."""

    fiber: int
    exact: Any
    tutorial: Any
    page: str
    level: str
    objtype: str


@dataclass(frozen=True)
class Moment:
    """A number of a camera exposure; ``tai`` is its start [s of TAI since MJD 0], None where it is not known."""

    camera: str
    expnum: int
    tai: float | None
    start: str  # the same in words
    value: Any
    page: str
    level: str


def by_fiber(points: Sequence[Point]) -> str:
    """Median of measured over predicted variance against fiber number."""
    x, parts = _fibers([fiber for fiber, *_ in points])

    def y(ratio: float) -> float:
        return 8 + (HEIGHT - BOTTOM - 8) * (HIGH - min(max(ratio, LOW), HIGH)) / (HIGH - LOW)

    for ratio in (0.8, 0.9, 1.0, 1.1, 1.2):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y(ratio):.1f}" y2="{y(ratio):.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(ratio) + 4:.1f}" text-anchor="end">{ratio:.1f}</text>')
    for point in points:
        if _known(point[1]):
            parts.append(_dot(x(point[0]), y(float(point[1])), 2.6, point))
    return _svg(WIDTH, HEIGHT, "Variance ratio by fiber", points, parts)


def residuals_by_fiber(points: Sequence[Residual]) -> str:
    """Largest relative differences of the two calibrations against fiber number; "" where none is known.

    The axis is logarithmic; what is exact is at its lower end.
    """
    known = [value for point in points for value in (point.exact, point.tutorial) if _known(value)]
    if not known:
        return ""
    decades = [_decade(value) for value in known if value > 0]
    exact = len(decades) < len(known)  # in any fiber to the last bit: 0, which has no logarithm
    low, high = min(decades, default=-8) - exact, max(decades, default=-8) + 1
    x, parts = _fibers([point.fiber for point in points])

    def y(decades: float) -> float:
        return 8 + (HEIGHT - BOTTOM - 16) * (high - decades) / (high - low)

    def place(value: Any) -> float:
        return y(float(log10(value))) if value > 0 else y(low)

    for decade in range(low, high + 1):
        words = "0" if decade == low and exact else f"1e{decade}"
        at = y(decade)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{words}</text>')
    for point in points:
        marks = ""
        if _known(point.exact):
            marks += f'<circle class="{point.level}" cx="{x(point.fiber):.1f}" cy="{place(point.exact):.1f}" r="2.6"/>'
        if _known(point.tutorial):
            left, top = x(point.fiber) - 2.2, place(point.tutorial) - 2.2
            marks += f'<rect class="{point.level}" x="{left:.1f}" y="{top:.1f}" width="4.4" height="4.4"/>'
        if marks:
            title = escape(
                f"fiber {point.fiber} ({point.objtype}): exact {_size(point.exact)}, "
                f"tutorial {_size(point.tutorial)}, {point.level}"
            )
            parts.append(_link(f"<g><title>{title}</title>{marks}</g>", point.page))
    medians = ", ".join(
        f"{words} {_size(np.median(values))}"
        for words, values in (
            ("exact model", [float(point.exact) for point in points if _known(point.exact)]),
            ("tutorial", [float(point.tutorial) for point in points if _known(point.tutorial)]),
        )
        if values
    )
    return labelled(
        WIDTH, HEIGHT, f"Residuals of the calibration by fiber, {len(points)} fibers, median {medians}", parts
    )


def history(words: str, form: str, points: Sequence[Moment]) -> str:
    """A number of camera exposures over time: a mark for each camera, joined; "" where none is known.

    Parameters
    ----------
    words : str
        What it is.
    form : str
        Format of a value.
    points : sequence of Moment
        By time where every start is known, else by exposure number, evenly spaced.
    """
    points = [point for point in points if _known(point.value)]
    if not points:
        return ""
    low, high, ticks = _range([float(point.value) for point in points], form)
    times = [point.tai for point in points if point.tai is not None]
    numbers = sorted({point.expnum for point in points})
    timed = len(times) == len(points)
    begin = min(times, default=0.0)
    hours = (max(times, default=0.0) - begin) / 3600 if timed else 0.0
    left, right, top, bottom = SMALL_LEFT, SMALL_WIDTH - 12, 24, SMALL_HEIGHT - 36

    def x(point: Moment) -> float:
        if timed and point.tai is not None:
            share = (point.tai - begin) / 3600 / hours if hours else 0.5
        else:
            share = numbers.index(point.expnum) / (len(numbers) - 1) if len(numbers) > 1 else 0.5
        return left + 8 + (right - left - 16) * share

    def y(value: float) -> float:
        return bottom - (bottom - top) * (value - low) / (high - low)

    parts = [
        f'<path class="grid" fill="none" d="M{left} {top}V{bottom}H{right}"/>',
        f'<text x="{left}" y="{top - 9}">{escape(words)}</text>',
    ]
    for value, text in ticks:
        parts.append(f'<text x="{left - 4}" y="{y(value) + 4:.1f}" text-anchor="end">{text}</text>')
    if timed:
        first = min(points, key=lambda point: (point.tai or 0.0, point.expnum))
        ends = [("start", left, f"{first.start} TAI"), ("end", right, f"+{hours:.1f} h")]
    else:
        ends = [("start", left, f"#{numbers[0]}"), ("end", right, f"#{numbers[-1]}")]
    for anchor, at, text in ends[: 1 + (len(numbers) > 1)]:
        parts.append(f'<text x="{at}" y="{bottom + 15}" text-anchor="{anchor}">{text}</text>')
    axis = "start of the exposure" if timed else "exposure number"
    parts.append(f'<text x="{(left + right) / 2}" y="{bottom + 30}" text-anchor="middle">{axis}</text>')
    medians = []
    for camera in sorted({point.camera for point in points}):
        of_camera = sorted((point for point in points if point.camera == camera), key=lambda point: point.expnum)
        kind = f"camera {camera[0]} {'one' if camera.endswith('1') else 'two'}"
        size = 3 if camera.endswith("1") else 5  # a ring around what it lies on
        for one, other in pairwise(of_camera):
            ends_of = f'x1="{x(one):.1f}" y1="{y(one.value):.1f}" x2="{x(other):.1f}" y2="{y(other.value):.1f}"'
            parts.append(f'<line class="{kind}" {ends_of}/>')
        for point in of_camera:
            when = f", {point.start} TAI" if point.tai is not None else ""
            title = escape(f"{camera} #{point.expnum}{when}: {_words(form, point.value)}, {point.level}")
            at, height = x(point), y(point.value)
            if camera.startswith("b"):
                mark = (
                    f'<circle class="{kind}" cx="{at:.1f}" cy="{height:.1f}" r="{size}"><title>{title}</title></circle>'
                )
            else:
                corner = f'x="{at - size:.1f}" y="{height - size:.1f}" width="{2 * size}" height="{2 * size}"'
                mark = f'<rect class="{kind}" {corner}><title>{title}</title></rect>'
            parts.append(_link(mark, point.page))
        medians.append(f"{camera} {_words(form, np.median([float(point.value) for point in of_camera]))}")
    return labelled(SMALL_WIDTH, SMALL_HEIGHT, f"{words} by exposure, medians: {', '.join(medians)}", parts)


def _range(values: Sequence[float], form: str) -> tuple[float, float, list[tuple[float, str]]]:
    """Ends of an axis, and three values on it with their words: so wide that these differ, since less is not told."""
    if not any(values):
        return -1.0, 1.0, [(0.0, "0")]
    middle, half = (max(values) + min(values)) / 2, (max(values) - min(values)) / 2 or 1e-6 * abs(values[0])
    while True:
        ticks = [(middle + part * half, form.format(middle + part * half)) for part in (-1, 0, 1)]
        if len({text for _, text in ticks}) == len(ticks):
            return middle - 1.2 * half, middle + 1.2 * half, ticks
        half *= 1.5


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
    value = f"{float(ratio):.3f}" if _known(ratio) else "no ratio"
    words = escape(f"fiber {fiber} ({objtype}): {value}, {level}")
    dot = f'<circle class="{level}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"><title>{words}</title></circle>'
    return _link(dot, page)


def _link(mark: str, page: str) -> str:
    return f'<a href="{escape(page)}">{mark}</a>' if page else mark


def _known(value: Any) -> bool:
    return not np.ma.is_masked(value) and bool(np.isfinite(value))


def _words(form: str, value: Any) -> str:
    return form.format(value) if value else "0"


def _size(value: Any) -> str:
    return difference_in_words(float(value)) if _known(value) else "–"


def _decade(value: Any) -> int:
    """Exponent of ten of a number, the same on every processor."""
    return int(f"{float(value):e}".partition("e")[2])


def _fibers(fibers: Sequence[int]) -> tuple[Callable[[float], float], list[str]]:
    """The axis of fiber numbers: where one is, and the numbers below it."""
    first, last = min(fibers), max(fibers)

    def x(fiber: float) -> float:
        return LEFT + (WIDTH - LEFT - 14) * (fiber - first + 1) / (last - first + 2)

    parts = [
        f'<text x="{x(fiber):.1f}" y="{HEIGHT - 18}" text-anchor="middle">{fiber}</text>'
        for fiber in range(-(-first // 100) * 100, last + 1, 100)
    ]
    return x, [*parts, f'<text x="{(WIDTH + LEFT) / 2}" y="{HEIGHT - 3}" text-anchor="middle">fiber</text>']


def _svg(width: int, height: int, title: str, points: Sequence[Point], parts: Sequence[str]) -> str:
    ratios = [float(point[1]) for point in points if _known(point[1])]
    median = f"median {np.median(ratios):.3f}" if ratios else "no ratio known"
    return labelled(width, height, f"{title}, {len(points)} fibers, {median}", parts)


def labelled(width: int, height: int, label: str, parts: Sequence[str]) -> str:
    """An SVG whose points are links, with words for who cannot see it."""
    return f'<svg viewBox="0 0 {width} {height}" role="group" aria-label="{escape(label)}">' + "".join(parts) + "</svg>"
