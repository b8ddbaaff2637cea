"""What some cells have in common that others do not: the shortest description by axis values; groups of
changed cells.

A description is a pair ``axis:value``, or two of them, that at least two of the cells have and none of
those that behave otherwise. Descriptions are found greedily, the one that says most first, as a
smallest set of them would take time that grows exponentially (set cover; Karp 1972).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bench.cells.cell import AXES
from bench.results.plan import Item
from bench.verdict.judgement import CHANGED, PASSED, Judgement

Pair = tuple[str, str]
#: A conjunction of axis values.
Pairs = tuple[Pair, ...]

#: Axes with names for values. Where a number singles out the same cells as a name does, the name is
#: told: a learning rate that one optimizer alone has is not what changed.
_NAMES = (
    *("opt", "norm", "act", "arch", "pool", "precision", "engine", "init", "loss", "clip"),
    "branch",
)
_ORDER = {axis: rank for rank, axis in enumerate(dict.fromkeys((*_NAMES, *AXES)))}
#: Other axis values that single out the same cells, which are named.
MOST_SAME = 3


@dataclass(frozen=True)
class Pattern:
    """Cells, and what tells them from the others."""

    items: tuple[Item, ...]
    pairs: Pairs
    """Axis values that all of them have and none of the others."""
    having: int
    """Cells with these values, whatever became of them."""
    everything: bool = False
    """There are no others to tell them from."""
    same: tuple[Pairs, ...] = ()
    """What else singles out exactly these cells: the data cannot say which it is."""


@dataclass(frozen=True)
class Group:
    """Changed cells that belong together."""

    pattern: Pattern
    judgements: tuple[Judgement, ...]
    common: Pairs = ()
    """Axis values that all of them have, and others too, where nothing tells them apart."""


def changed_groups(judgements: Sequence[Judgement]) -> list[Group]:
    """Cells that changed or regressed, in groups that axis values tell from cells that passed; those
    that nothing tells apart are grouped by the tensor and step in which their differences begin."""
    by_item = {judgement.item: judgement for judgement in judgements}
    changed = [j.item for j in judgements if j.verdict in CHANGED]
    passed = [j.item for j in judgements if j.verdict in PASSED]
    undecided = [j.item for j in judgements if j.verdict not in CHANGED | PASSED]
    groups: list[Group] = []
    for pattern in patterns(changed, passed, undecided):
        cells = [by_item[item] for item in pattern.items]
        if pattern.pairs or pattern.everything:
            groups.append(Group(pattern, tuple(cells)))
            continue
        by_origin: dict[object, list[Judgement]] = defaultdict(list)
        for judgement in cells:
            by_origin[_origin(judgement)].append(judgement)
        for part in sorted(by_origin.values(), key=len, reverse=True):
            items = tuple(judgement.item for judgement in part)
            common = shared(items, passed) if len(part) > 1 and passed else ()
            groups.append(Group(Pattern(items, (), len(part)), tuple(part), common))
    return groups


def _origin(judgement: Judgement) -> object:
    """Tensor and step in which a difference begins; without an envelope that it leaves, the rung."""
    test = judgement.envelope
    if test is None or test.inside:
        return judgement.rung
    return None if test.departure is None else (test.departure.tensor, test.departure.step)


def patterns(
    found: Sequence[Item], others: Collection[Item], undecided: Collection[Item] = ()
) -> list[Pattern]:
    """The cells, each in one pattern, the largest first; those that nothing explains are the last.

    Args:
        found: cells that behave alike.
        others: cells that do not.
        undecided: cells that speak neither for nor against a description.
    """
    if not found:
        return []
    if not others:
        return [Pattern(tuple(found), (), len(found) + len(undecided), everything=True)]
    candidates = _candidates(found, others)
    explained: list[Pattern] = []
    left = dict.fromkeys(found)
    while candidates:
        best = min(candidates, key=lambda pairs: _worth(pairs, candidates[pairs], left))
        covered = [item for item in candidates[best] if item in left]
        if len(covered) < 2:
            break
        explained.append(_pattern(best, covered, candidates, (*found, *undecided)))
        for item in covered:
            del left[item]
    explained.sort(key=lambda pattern: -len(pattern.items))
    if left:
        explained.append(Pattern(tuple(left), (), len(left)))
    return explained


def shared(items: Sequence[Item], others: Collection[Item]) -> Pairs:
    """Axis values that all of the items have and some of the others have not, the rarest first."""
    common = set.intersection(*(_pairs(item) for item in items)) if items else set()
    held = {pair: sum(pair in _pairs(other) for other in others) for pair in common}
    telling = [pair for pair in common if held[pair] < len(others)]
    return tuple(sorted(telling, key=lambda pair: (held[pair], _ORDER[pair[0]])))


def _pairs(item: Item) -> set[Pair]:
    return {(axis, item.cell.value(axis)) for axis in AXES if item.cell.has(axis)}


def _candidates(found: Sequence[Item], others: Collection[Item]) -> dict[Pairs, list[Item]]:
    """Descriptions that hold of none of the others, with the cells that they hold of."""
    axes = _varying([*found, *others])
    holds: dict[Pairs, list[Item]] = defaultdict(list)
    for item in found:
        for pairs in _conjunctions(item, axes):
            holds[pairs].append(item)
    for item in others:
        for pairs in _conjunctions(item, axes):
            holds.pop(pairs, None)
    return dict(holds)


def _varying(items: Sequence[Item]) -> list[str]:
    return [axis for axis in _ORDER if len({item.cell.value(axis) for item in items}) > 1]


def _conjunctions(item: Item, axes: Sequence[str]) -> list[Pairs]:
    pairs = [(axis, item.cell.value(axis)) for axis in axes]
    return [*((pair,) for pair in pairs), *itertools.combinations(pairs, 2)]


def _worth(pairs: Pairs, items: Sequence[Item], left: Collection[Item]) -> tuple[int, ...]:
    """Smaller is better: covers more, is shorter, has axes that have names."""
    covered = sum(item in left for item in items)
    return (-covered, len(pairs), *(_ORDER[axis] for axis, _ in pairs))


def _pattern(
    pairs: Pairs,
    covered: Sequence[Item],
    candidates: dict[Pairs, list[Item]],
    known: Sequence[Item],
) -> Pattern:
    whole = candidates[pairs]
    same = [
        other
        for other, items in candidates.items()
        if len(other) == len(pairs) == 1 and other != pairs and items == whole
    ]
    same.sort(key=lambda other: _ORDER[other[0][0]])
    # Cells that an earlier description holds of count as such, not as undecided.
    having = sum(_holds(pairs, item) for item in known) - (len(whole) - len(covered))
    return Pattern(tuple(covered), pairs, having, same=tuple(same[:MOST_SAME]))


def _holds(pairs: Pairs, item: Item) -> bool:
    return all(item.cell.value(axis) == value for axis, value in pairs)
