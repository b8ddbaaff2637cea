"""What reports say in words: the answer first, then what needs attention and why."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.report.text import count, significant
from bench.results.plan import Item
from bench.verdict.baselines.folder import Baseline
from bench.verdict.judgement import ATTENTION, Judgement, Verdict

#: One line each for the legend.
MEANING: Mapping[Verdict, str] = {
    Verdict.CRASHED: "a worker died or raised; fails the run",
    Verdict.CLAIM_VIOLATED: "against theory or publication, for any TensorFlow; fails the run",
    Verdict.REGRESSED: "worse than the baseline by more than matters and than luck; fails the run",
    Verdict.CHANGED: "losses differ by more than rounding explains, or a metric that has no better "
    "direction by more than luck; fails the run",
    Verdict.MISSING: "was to be measured and was not",
    Verdict.INCONCLUSIVE: "undecided; the reason says what would decide, such as more seeds",
    Verdict.NOT_COMPARABLE: "the baseline was measured on other terms",
    Verdict.NEW: "no baseline yet",
    Verdict.IMPROVED: "better than the baseline by more than luck",
    Verdict.EQUIVALENT: "shown to differ by less than matters",
    Verdict.ROUNDING: "bits differ, by no more than rounding explains to the end of training",
    Verdict.IDENTICAL: "bit for bit: the digests of all that was computed are equal",
}

#: Neither a pass nor a failure: the run says nothing about these cells.
UNDECIDED = frozenset({Verdict.MISSING, Verdict.INCONCLUSIVE, Verdict.NOT_COMPARABLE})


@dataclass(frozen=True)
class Group:
    """Cells with one verdict for one reason."""

    verdict: Verdict
    reason: str
    judgements: tuple[Judgement, ...]

    @property
    def items(self) -> tuple[str, ...]:
        """``<grid>/<id>`` of each."""
        return tuple(f"{found.item.grid}/{found.item.id}" for found in self.judgements)


def by_verdict(judgements: Sequence[Judgement]) -> dict[Verdict, int]:
    """How many cells have each verdict that occurs, most urgent first."""
    counted = Counter(judgement.verdict for judgement in judgements)
    return {verdict: counted[verdict] for verdict in ATTENTION if counted[verdict]}


def attention(judgements: Sequence[Judgement]) -> list[Group]:
    """What failed and what is undecided, most urgent first, equal reasons together."""
    groups: dict[tuple[Verdict, str], list[Judgement]] = {}
    for verdict in ATTENTION:
        if verdict.fails or verdict in UNDECIDED:
            for judgement in judgements:
                if judgement.verdict is verdict:
                    groups.setdefault((verdict, judgement.reason), []).append(judgement)
    return [Group(verdict, reason, tuple(found)) for (verdict, reason), found in groups.items()]


def answer(judgements: Sequence[Judgement], against: str, *, emphasis: str = "") -> str:
    """The whole run in one line.

    Args:
        judgements: of all cells.
        against: what they were judged against, as :func:`called` has it; empty if nothing.
        emphasis: put around the answer proper, ``**`` for Markdown.
    """
    total = len(judgements)
    counted = by_verdict(judgements)
    failing = sum(cells for verdict, cells in counted.items() if verdict.fails)
    undecided = sum(cells for verdict, cells in counted.items() if verdict in UNDECIDED)
    new = counted.get(Verdict.NEW, 0)
    measured = total - counted.get(Verdict.MISSING, 0)
    compared = f" Compared with {against}." if against else ""

    def said(text: str, details: str) -> str:
        return f"{emphasis}{text}{emphasis}{details}"

    listed = ", ".join(f"{cells} {verdict.value}" for verdict, cells in counted.items())
    if not measured:
        return said("Nothing was measured", ": this run says nothing about TensorFlow.")
    if failing:
        verb = "needs" if failing == 1 else "need"
        return said(
            f"{failing} of {count(total, 'cell')} {verb} attention", f": {listed}.{compared}"
        )
    if measured < total:
        text = f"Incomplete: {total - measured} of {count(total, 'cell')} were not measured"
        return said(text, f", and nothing regressed among the others: {listed}.{compared}")
    if undecided:
        verb = "is" if undecided == 1 else "are"
        text = f"Nothing regressed, but {undecided} of {count(total, 'cell')} {verb} undecided"
        return said(text, f": {listed}.{compared}")
    if new == total:
        why = f"{against} has none of them" if against else "no baseline is stored"
        return said(f"Nothing to compare {count(total, 'cell')} with", f": {why}.")
    if counted == {Verdict.IDENTICAL: total}:
        return said(
            "Nothing regressed",
            f": {total} of {count(total, 'cell')} identical to {against}.",
        )
    return said("Nothing regressed", f": {listed}, of {count(total, 'cell')}.{compared}")


def sharpness(judgements: Sequence[Judgement]) -> str:
    """How many cells were decided, and how small a change of a gradient those would have shown whose
    bits differ by rounding; empty if none was decided, or all by their bits."""
    counted = by_verdict(judgements)
    open_ = sum(counted.get(verdict, 0) for verdict in (*UNDECIDED, Verdict.NEW))
    rounded = [
        judgement.envelope.sensitivity
        for judgement in judgements
        if judgement.verdict is Verdict.ROUNDING
        and judgement.envelope is not None
        and judgement.envelope.sensitivity is not None
    ]
    decided, text = len(judgements) - open_, ""
    if decided and (open_ or rounded):
        text = f"{decided} of {count(len(judgements), 'cell')} decided"
    if rounded:
        median, most = (significant(of(rounded), 2) for of in (statistics.median, max))
        text += (
            f"; where rounding differs, a gradient changed by {median} of its size would have shown in "
            f"the median cell, by {most} in the least sharp"
        )
    return f"{text}." if text else ""


def versions_of(baseline: Baseline | None) -> dict[str, str]:
    """The software that a baseline's present cells were measured with; all of it where that is not
    one version. Of a run in its place, that run's."""
    if baseline is None:
        return {}
    if not baseline.acceptances:
        return dict(baseline.software)
    names = ("tensorflow", "keras", "numpy", "python", "bench")
    return {
        name: ", ".join(dict.fromkeys(getattr(taken, name) for taken in baseline.sources))
        for name in names
    }


def question_of(grid: str) -> tuple[str, str]:
    """Title and question of a grid; its name alone for one that this version does not know."""
    from bench.cells.component_grids import UPGRADE_GRIDS

    known = UPGRADE_GRIDS.get(grid)
    return (known.title, known.question) if known is not None else (grid, "")


def known_items() -> list[Item]:
    """Every cell of every grid of this version, at the tier that contains all others."""
    from bench.cells.component_grids import UPGRADE_GRIDS
    from bench.cells.grid import TIERS

    largest = list(TIERS)[-1]
    return [
        Item(grid=grid.name, id=id_, cell=cell)
        for grid in UPGRADE_GRIDS.values()
        for id_, cell in grid.cells(largest).items()
    ]


def called(baseline: Baseline | None) -> str:
    """``the baseline cpu-avx2-1thread (TensorFlow 2.20.0)``; empty if there is none."""
    if baseline is None:
        return ""
    tensorflow = versions_of(baseline).get("tensorflow")
    return f"the {baseline.name}" + (f" (TensorFlow {tensorflow})" if tensorflow else "")
