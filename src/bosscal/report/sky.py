"""Plots of a whole survey as SVG, without scripts: plates on the sky, and cameras over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bosscal.report.plots import labelled
from bosscal.report.statuses import LEVELS, SIGNS

WIDTH, HEIGHT, LEFT, BOTTOM = 960, 430, 46, 34
# What a level looks like besides its color: the same signs as everywhere.
SHAPES = {
    "ok": '<path id="mark-ok" d="M-3 0L-1 3L3.5-3" fill="none"/>',
    "look": '<path id="mark-look" d="M-2.5-2.5C-2.5-6 3-6 2.5-2C2.2-.2 0-.2 0 2M0 4V5.4" fill="none"/>',
    "bad": '<path id="mark-bad" d="M-4-4L4 4M4-4L-4 4" fill="none"/>',
}
PANEL_WIDTH, PANEL_HEIGHT = 460, 170
PANEL_LEFT = 58
WIDTHS_OF_BINS = (1, 3, 7, 14, 30, 60, 90, 180, 365)  # days
MOST_BINS = 48


def sky_map(plates: Sequence[Any], link: Callable[[Any], str]) -> str:
    """Plates (:class:`bosscal.report.survey.Plate`) on the sky, each a link if there is one; "" without any place."""
    placed = [plate for plate in plates if plate.place is not None]
    if not placed:
        return ""
    decs = [plate.place[1] for plate in placed]
    low, high = 10 * np.floor((min(decs) - 3) / 10), 10 * np.ceil((max(decs) + 3) / 10)

    def x(ra: float) -> float:  # east is to the left, as on the sky
        return LEFT + (WIDTH - LEFT - 10) * (360 - ra) / 360

    def y(dec: float) -> float:
        return 8 + (HEIGHT - BOTTOM - 16) * float((high - dec) / (high - low))

    parts = ["<defs>", *SHAPES.values(), "</defs>"]
    for ra in range(0, 361, 60):
        parts.append(f'<line class="grid" x1="{x(ra):.1f}" x2="{x(ra):.1f}" y1="{y(high):.1f}" y2="{y(low):.1f}"/>')
        parts.append(f'<text x="{x(ra):.1f}" y="{HEIGHT - 20}" text-anchor="middle">{ra}°</text>')
    for dec in np.arange(low, high + 1, 10 if high - low <= 60 else 30):
        parts.append(f'<line class="grid" x1="{x(360):.1f}" x2="{x(0):.1f}" y1="{y(dec):.1f}" y2="{y(dec):.1f}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y(dec) + 4:.1f}" text-anchor="end">{dec:.0f}°</text>')
    parts.append(f'<text x="{(WIDTH + LEFT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">right ascension</text>')
    for plate in sorted(placed, key=lambda plate: LEVELS.index(plate.level)):  # the bad ones are above
        words = escape(f"{SIGNS[plate.level]} {plate.level}: {plate.release} {plate.name}")
        where = f'x="{x(plate.place[0]):.1f}" y="{y(plate.place[1]):.1f}"'
        mark = f'<use href="#mark-{plate.level}" class="mark {plate.level}" {where}><title>{words}</title></use>'
        # The table has the same links, so that the keyboard need not go through thousands here.
        parts.append(f'<a href="{escape(link(plate))}" tabindex="-1">{mark}</a>' if plate.page else mark)
    counts = ", ".join(f"{sum(plate.level == level for plate in placed)} {level}" for level in LEVELS)
    return labelled(WIDTH, HEIGHT, f"Plates on the sky: {counts}", parts)


def bins_of(mjds: NDArray[np.int64]) -> tuple[int, NDArray[np.int64]]:
    """Width of the bins of time [days] and the first night of each; about :data:`MOST_BINS` at most."""
    first, last = int(mjds.min()), int(mjds.max())
    width = next((width for width in WIDTHS_OF_BINS if (last - first) // width < MOST_BINS), WIDTHS_OF_BINS[-1])
    begin = first // width * width
    return width, np.arange(begin, last + 1, width)


def by_time(
    words: str, form: str, panels: Sequence[tuple[str, NDArray, NDArray, tuple[float | None, float | None]]]
) -> str:
    """Distribution of a quantity in bins of time, a panel for each camera.

    Parameters
    ----------
    words : str
        What it is.
    form : str
        Format of a value.
    panels : sequence of (camera, nights [MJD], values, range that is ok)
        Nights and values are 1D[nexposure], of camera exposures.
    """
    width, edges = bins_of(np.concatenate([nights for _, nights, _, _ in panels]))
    limits = {
        band: _limits([panel for panel in panels if panel[0][0] == band]) for band in {each[0][0] for each in panels}
    }
    parts = [_panel(place, panel, form, (width, edges), limits[panel[0][0]]) for place, panel in enumerate(panels)]
    rows = -(-len(panels) // 2)
    label = escape(f"{words} by camera over time, in bins of {width} nights")
    return (
        f'<svg viewBox="0 0 {2 * PANEL_WIDTH} {rows * PANEL_HEIGHT}" role="img" aria-label="{label}">'
        + "".join(parts)
        + "</svg>"
    )


def _limits(panels: Sequence[tuple[str, NDArray, NDArray, tuple[float | None, float | None]]]) -> tuple[float, float]:
    """Ends of the axis, the same for the cameras of a band; the few values beyond are drawn at the end."""
    low, high = np.percentile(np.concatenate([values for _, _, values, _ in panels]), [0.5, 99.5])
    limits = [limit for *_, ok in panels for limit in ok if limit is not None]
    # The ends of what is ok are shown where they are near what was measured.
    near = [limit for limit in limits if low == high or low - (high - low) <= limit <= high + (high - low)]
    low, high = min([low, *near]), max([high, *near])
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _panel(
    place: int, panel: tuple[str, NDArray, NDArray, tuple[float | None, float | None]], form: str,
    bins: tuple[int, NDArray[np.int64]], limits: tuple[float, float],
) -> str:  # fmt: skip
    """One camera: in each bin all values (thin), the middle 68 % (thick) and the median."""
    camera, nights, values, ok = panel
    (width, edges), (low, high) = bins, limits
    left, top = PANEL_WIDTH * (place % 2) + PANEL_LEFT, PANEL_HEIGHT * (place // 2) + 18
    right, bottom = left + PANEL_WIDTH - PANEL_LEFT - 12, top + PANEL_HEIGHT - 44
    first, last = int(edges[0]), int(edges[-1]) + width

    def x(night: float) -> float:
        return left + (right - left) * (night - first) / (last - first)

    def y(value: float) -> float:
        return bottom - (bottom - top) * (min(max(value, low), high) - low) / (high - low)

    upper, lower = (y(limit) if limit is not None else end for limit, end in ((ok[1], top), (ok[0], bottom)))
    parts = []
    if ok != (None, None):
        size = f'width="{right - left}" height="{lower - upper:.1f}"'
        parts.append(f'<rect class="range" x="{left}" y="{upper:.1f}" {size}/>')
    parts.append(f'<path class="grid" fill="none" d="M{left} {top}V{bottom}H{right}"/>')
    parts.append(f'<text x="{left + 4}" y="{top - 5}">{escape(camera)}</text>')
    for value in (low + (high - low) * share for share in (0.1, 0.5, 0.9)):
        parts.append(f'<text x="{left - 4}" y="{y(value) + 4:.1f}" text-anchor="end">{form.format(value)}</text>')
    for night in dict.fromkeys((first, (first + last) // 2, last)):
        anchor = "end" if night == last else "middle"
        parts.append(f'<text x="{x(night):.1f}" y="{bottom + 14}" text-anchor="{anchor}">{night}</text>')
    of_bin = (nights - first) // width
    for number in np.unique(of_bin):
        found = values[of_bin == number]
        at = x(first + (number + 0.5) * width)
        least, p16, median, p84, most = np.percentile(found, [0, 16, 50, 84, 100])
        begin = first + int(number) * width
        title = escape(
            f"{camera}, MJD {begin}–{begin + width - 1}: median {form.format(median)}, {form.format(least)} to "
            f"{form.format(most)}, {len(found)} camera exposures"
        )
        parts.append(
            f'<g class="box"><title>{title}</title><path d="M{at:.1f} {y(least):.1f}V{y(most):.1f}"/>'
            f'<path class="middle" d="M{at:.1f} {y(p16) + 0.5:.1f}V{y(p84) - 0.5:.1f}"/>'
            f'<circle cx="{at:.1f}" cy="{y(median):.1f}" r="2.4"/></g>'
        )
    return "".join(parts)
