"""What reports say of a run in words: the answer first, then what needs attention and why."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from bench.report.markup import strong
from bench.report.text import count, significant, verb
from bench.results.plan import Item
from bench.verdict.baselines.folder import Baseline
from bench.verdict.judgement import UNDECIDED, Judgement, Verdict
from bench.verdict.ladder import counts


def counted(judgements: Sequence[Judgement]) -> str:
    """``3 changed, 9 identical``, most urgent first."""
    return ", ".join(f"{cells} {verdict.value}" for verdict, cells in counts(judgements).items())


def answer(judgements: Sequence[Judgement], against: str) -> str:
    """The whole run in one line of inline text, the answer proper in bold.

    Args:
        judgements: of all cells.
        against: what they were judged against, as :func:`called` has it; empty if nothing.
    """
    total, number = len(judgements), counts(judgements)
    cells = count(total, "cell")
    failing = sum(n for verdict, n in number.items() if verdict.fails)
    undecided = sum(n for verdict, n in number.items() if verdict in UNDECIDED)
    missing = number.get(Verdict.MISSING, 0)
    listed = counted(judgements)
    compared = f" Compared with {against}." if against else ""
    if missing == total:
        return f"{strong('Nothing was measured')}: this run says nothing about TensorFlow."
    if failing:
        needs = verb(failing, "needs", "need")
        return f"{strong(f'{failing} of {cells} {needs} attention')}: {listed}.{compared}"
    if missing:
        text = strong(f"Incomplete: {missing} of {cells} were not measured")
        return f"{text}, and nothing regressed among the others: {listed}.{compared}"
    if undecided:
        are = verb(undecided, "is", "are")
        text = strong(f"Nothing regressed, but {undecided} of {cells} {are} undecided")
        return f"{text}: {listed}.{compared}"
    if number.get(Verdict.NEW) == total:
        why = f"{against} has none of them" if against else "no baseline is stored"
        return f"{strong(f'Nothing to compare {cells} with')}: {why}."
    if number == {Verdict.IDENTICAL: total}:
        return f"{strong('Nothing regressed')}: {total} of {cells} identical to {against}."
    return f"{strong('Nothing regressed')}: {listed}, of {cells}.{compared}"


def sharpness(judgements: Sequence[Judgement]) -> str:
    """How many cells were decided, and how small a change of a gradient those would have shown whose
    bits differ by rounding; empty if none was decided, or all by their bits."""
    open_ = sum(j.verdict in UNDECIDED or j.verdict is Verdict.NEW for j in judgements)
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
        name: ", ".join(dict.fromkeys(getattr(source, name) for source in baseline.sources))
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
