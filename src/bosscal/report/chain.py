"""The rules that led to a report, drawn from the logs of their jobs: which wrote what which read.

Every log names the files that its job read and wrote (a test of the workflow holds that up). From the files that the
report reads the chain is followed back, so that it has what is done when the report begins, in whatever order jobs
ran. Jobs that differ in numbers alone are alike, and of these one log is read: a plate has thousands.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from pathlib import Path

from bosscal.base.files import Pathlike

_FILE = re.compile(r"results/(?!logs/|mirror/)[^\s,;:()]+")
_NUMBERS = re.compile(r"[0-9a-f]{12}|\d+")
TRIED = 20  # logs of jobs that are alike, to find one that wrote something
DECIDES = "results/targets/"  # what is there before a run is planned: the report follows from it without reading it
REPORT = "report"

# Of the picture: rules of a layer side by side, as wide together as a phone.
WIDTH, BOX, HIGH, LAYER = 344, 110, 34, 62
ABREAST, NARROW = 3, 12


@dataclass(frozen=True)
class Chain:
    """``jobs`` on record of each rule, in the order of the chain, and which rule leads to which."""

    jobs: Mapping[str, int] = field(default_factory=dict)
    leads: frozenset[tuple[str, str]] = frozenset()

    def ahead(self, rule: str) -> list[str]:
        """The rules that a rule leads to."""
        return [other for other in self.jobs if (rule, other) in self.leads]

    @property
    def words(self) -> str:
        """The chain for who cannot see it."""
        return "; ".join(
            f"{named(rule, number)} leads to {' and '.join(self.ahead(rule))}"
            for rule, number in self.jobs.items()
            if self.ahead(rule)
        )


def named(rule: str, number: int) -> str:
    """A rule with its jobs on record."""
    return f"{rule} ({number} job{'' if number == 1 else 's'})"


def chain_of(logs: Path, inputs: Iterable[Pathlike]) -> Chain:
    """The rules on record that lead to what a report reads.

    Parameters
    ----------
    logs : Path
        Folder of the logs, by rule.
    inputs : iterable of path
        What the report reads, as the logs have it.
    """
    jobs: dict[str, int] = {}
    wrote: dict[str, set[str]] = {}  # file, up to its numbers: the rules that made it
    read: dict[str, set[str]] = {}
    for rule, alike in _alike(logs):
        if rule == REPORT:
            continue
        jobs[rule] = jobs.get(rule, 0) + len(alike)
        sources, made = _files_of(alike)
        read.setdefault(rule, set()).update(sources)
        for path in made:
            wrote.setdefault(path, set()).add(rule)
    read[REPORT] = {_NUMBERS.sub("#", str(path)) for path in inputs}
    read[REPORT].update(path for path in wrote if path.startswith(DECIDES))
    leads: set[tuple[str, str]] = set()
    waiting, seen = [REPORT], {REPORT}
    while waiting:
        rule = waiting.pop()
        before = {other for path in read[rule] for other in wrote.get(path, ())} - {rule}
        leads.update((other, rule) for other in before)
        waiting.extend(before - seen)
        seen |= before
    depths = _depths(seen, leads)
    order = sorted(seen, key=lambda rule: (-depths[rule], rule))
    return Chain({rule: jobs.get(rule, 1) for rule in order}, frozenset(_shortest(leads)))


def _alike(logs: Path) -> Iterator[tuple[str, list[Path]]]:
    """Logs of jobs that differ in numbers alone, with the rule's name."""
    found: dict[str, list[Path]] = {}
    for folder, _, names in sorted(os.walk(logs)):
        for name in sorted(names):
            path = Path(folder, name)
            found.setdefault(_NUMBERS.sub("#", str(path.relative_to(logs))), []).append(path)
    for paths in found.values():
        yield rule_of(paths[0].relative_to(logs)), paths


def rule_of(path: Path) -> str:
    """The rule that a log or a benchmark is of, from its path below the folder of all of them."""
    folder = path.parts[0]
    # The steps of one job each are named by themselves, beside those of many.
    return path.stem if folder != "simulate" and re.fullmatch("[a-z_]+", path.stem) else folder


def _files_of(alike: Sequence[Path]) -> tuple[set[str], set[str]]:
    """What jobs read and wrote, up to numbers, by the first log that tells of something that was written."""
    for path in alike[:TRIED]:
        sources: set[str] = set()
        made: set[str] = set()
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            before, _, after = re.sub(" as (?=results/inputs/)", "wrote ", line, count=1).partition("wrote ")
            sources.update(_NUMBERS.sub("#", found) for found in _FILE.findall(before))
            made.update(_NUMBERS.sub("#", found) for found in _FILE.findall(after))
        if made:
            return sources, made
    return set(), set()


def _depths(rules: Iterable[str], leads: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Arrows from each rule to the report, the longest way."""
    depths = dict.fromkeys(rules, 0)
    for _ in depths:  # as often as the longest way can be long; two that lead to each other end there
        for before, after in leads:
            depths[before] = max(depths[before], min(depths[after] + 1, len(depths)))
    return depths


def _shortest(leads: set[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The arrows that no longer way stands for."""
    after: dict[str, set[str]] = {}
    for first, second in leads:
        after.setdefault(first, set()).add(second)
    for first, second in leads:
        seen, waiting = {first}, list(after[first] - {second})
        while waiting:
            rule = waiting.pop()
            seen.add(rule)
            waiting.extend(after.get(rule, set()) - seen)
        if second not in seen:
            yield first, second


# ------------------------------------------------------------------------------------------------------- picture


def picture(chain: Chain) -> str:
    """The chain from top to bottom as an SVG as wide as a phone; "" where nothing is on record."""
    if not chain.leads:
        return ""
    depths = _depths(chain.jobs, chain.leads)
    levels = [[rule for rule in chain.jobs if depths[rule] == depth] for depth in sorted(set(depths.values()))[::-1]]
    layers = [level[place : place + ABREAST] for level in levels for place in range(0, len(level), ABREAST)]
    layer_of = {rule: number for number, layer in enumerate(layers) for rule in layer}
    # An arrow over several layers goes past the boxes of those between: it has a narrow place in each of them.
    ways = {}
    for first, second in sorted(chain.leads):
        between = {f"{first} {second} {number}": number for number in range(layer_of[first] + 1, layer_of[second])}
        ways[first, second] = [first, *between, second]
        for name, number in between.items():
            layers[number].append(name)
    steps = [step for way in ways.values() for step in pairwise(way)]
    x: dict[str, float] = {}
    for layer in layers:
        above = {name: [x[first] for first, second in steps if second == name] for name in layer}
        layer.sort(key=lambda name: (sum(above[name]) / len(above[name]) if above[name] else WIDTH, name))
        widths = [BOX if name in depths else NARROW for name in layer]
        room = (max(WIDTH, sum(widths)) - sum(widths)) / (len(layer) + 1)
        for place, name in enumerate(layer):
            x[name] = room * (place + 1) + sum(widths[:place]) + widths[place] / 2
    y = {name: number * LAYER for number, layer in enumerate(layers) for name in layer}
    width, height = max([WIDTH, *(value + BOX / 2 for value in x.values())]), LAYER * (len(layers) - 1) + HIGH
    parts = []
    for way in ways.values():
        points = [f"M{x[way[0]]:.0f} {y[way[0]] + HIGH}"]
        points += [f"L{x[name]:.0f} {y[name]}V{y[name] + HIGH}" for name in way[1:-1]]
        parts.append(f'<path d="{"".join(points)}L{x[way[-1]]:.0f} {y[way[-1]] - 2}"/>')
        tip_x, tip_y = x[way[-1]], y[way[-1]]
        parts.append(f'<path class="tip" d="M{tip_x:.0f} {tip_y}l-4-8h8z"/>')
    for rule, number in chain.jobs.items():
        left, middle = x[rule] - BOX / 2, x[rule]
        parts.append(f'<rect x="{left:.0f}" y="{y[rule]}" width="{BOX}" height="{HIGH}" rx="4"/>')
        parts.append(f'<text x="{middle:.0f}" y="{y[rule] + 14}">{escape(rule)}</text>')
        words = f"{number} job{'' if number == 1 else 's'}"
        parts.append(f'<text class="number" x="{middle:.0f}" y="{y[rule] + 28}">{words}</text>')
    return (
        f'<svg class="chain" viewBox="-1 -1 {width + 2:.0f} {height + 2}" '
        f'style="min-width:{0.95 * width:.0f}px;max-width:{1.4 * width:.0f}px" '
        f'role="img" aria-label="Rules that led to this report: {escape(chain.words)}">{"".join(parts)}</svg>'
    )
