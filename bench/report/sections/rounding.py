"""Which differences are rounding: the section on envelopes, and its short forms."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from bench.errors import count
from bench.report.document import Figure, Section, limited_table
from bench.report.figures.envelope import cells_tested, envelope_picture
from bench.report.markup import emphasis, strong
from bench.report.text import (
    MOST_NAMED,
    NOTHING,
    clipped,
    first_of,
    rate,
    significant,
    span,
    verb,
)
from bench.verdict.bits import traced_seeds
from bench.verdict.conclusion import Conclusion
from bench.verdict.differences import LOOK_AHEAD, Differences
from bench.verdict.envelope import risk
from bench.verdict.judgement import EnvelopeTest, Judgement

_HEADERS = (
    "cell",
    "verdict",
    "losses differ from step",
    "outside from step",
    "largest difference, over the envelope",
    "at step",
    "envelope sharp for (steps)",
    "copies",
    "begins in",
)
#: How to read the section.
READING = (
    f"Of each cell whose bits differ, {emphasis('copies')} were trained and evaluated whose "
    "weights are moved by one unit in the last place, at the start or where the bits of both "
    "sides part. How far they part from the training that they copy is how far rounding takes "
    f"this network. The {strong('envelope')} at a step is the largest such difference of the loss "
    f"up to {LOOK_AHEAD} times that step, over all copies and seeds, times the factor by which the "
    "rounding of the cell's longest sums may exceed such a move, and not beyond how far seeds lie "
    f"apart. A cell is outside where, under {emphasis('every')} seed, the losses leave the "
    "envelope, a tensor of the first steps or of the end departs, or a metric at the end differs "
    "by more than matters and than any copy: a changed formula acts under all seeds, a jump of "
    "rounding does not. What differs first after many steps of equal bits is outside, too. The "
    "table shows the seed that strays least. The envelope of a chaotic network soon spans "
    f"everything: it is {emphasis('sharp')} while it is narrower than seeds lie apart (with one "
    "seed: than the loss has moved since the start), and says little of later steps. "
    f"{emphasis('Begins in')}: the first tensor, in the order of steps and of the computation, "
    "that is further from its counterpart than rounding explains, with its distance and what "
    "rounding explains, both relative to its size."
)


def rounding_section(conclusion: Conclusion) -> Section | None:
    """Cells against their envelopes, and how far these can be trusted; None if none was held against
    one."""
    tested = cells_tested(conclusion.judgements)
    if not tested:
        return None
    rows = [_row(judgement, names) for judgement, names in tested]
    outside = sum(not test.inside for test in _tests(tested))
    others = strong(f"{outside} outside") if outside else "none outside"
    inside = count(len(tested) - outside, "cell")
    picture = envelope_picture(conclusion)
    return Section(
        "Rounding",
        [
            f"Held against the rounding envelope: {inside} inside, {others}. {origins(conclusion)}",
            READING,
            _trust(conclusion, tested),
            *limited_table(_HEADERS, rows, "llrrrrrrl", "cell"),
            Figure(picture) if picture is not None else None,
        ],
    )


def origins(conclusion: Conclusion) -> str:
    """The tensors in which the differences of failing cells begin, with the number of cells; or
    nothing."""
    tested = cells_tested(conclusion.judgements)
    begins = begins_in(_tests([(j, names) for j, names in tested if j.verdict.fails]))
    return f"Differences begin in {begins}." if begins else ""


def begins_in(tests: Sequence[EnvelopeTest]) -> str:
    """Tensors and steps in which most of these differences begin, with the number of cells; or
    nothing."""
    counted = Counter(origin(test) for test in tests if test.departure is not None)
    named = counted.most_common(MOST_NAMED)
    places = [f"{place} ({count(cells, 'cell')})" for place, cells in named]
    rest = counted.total() - sum(cells for _, cells in named)
    return "; ".join([*places, *([f"elsewhere ({count(rest, 'cell')})"] if rest else [])])


def origin(test: EnvelopeTest) -> str:
    """Tensor and step at which a difference begins: ``layer 3, kernel, before step 1``; or nothing."""
    departure = test.departure
    return "" if departure is None else f"{departure.tensor}, before step {departure.step}"


def parting(tests: Sequence[EnvelopeTest]) -> str:
    """When losses of the tests leave their envelopes, and how far; empty if none do."""
    left = [(test.first_step, test.ratio) for test in tests if test.first_step is not None]
    if not left:
        return ""
    ratio = max(ratio for _, ratio in left)
    far = f"up to {times(ratio)} what rounding explains"
    if math.isinf(ratio):
        far = "and are not finite on one side alone"
    return f"losses leave the rounding envelope at step {span([step for step, _ in left])}, {far}"


def times(ratio: float) -> str:
    """A ratio as a factor beyond the envelope, or as a share of it."""
    if math.isinf(ratio):
        return "∞ ×"
    if ratio > 1:
        return f"{rate(ratio) if ratio < 1e6 else significant(ratio)} ×"
    return f"{significant(100 * ratio, 2 if ratio < 0.99 else 3)} %"


def _trust(conclusion: Conclusion, tested: Sequence[tuple[Judgement, tuple[str, ...]]]) -> str:
    """How far these envelopes can be trusted, in figures."""
    run, baseline, tests = conclusion.run, conclusion.baseline, _tests(tested)
    chance = sum(risk(test.copies, test.seeds) for test in tests)
    bound = f"at most {significant(chance, 2)}" if chance < 1 else "not bounded: train more seeds"
    text = (
        "If nothing but rounding differed, the probability that any of these cells left its envelope "
        f"would be {bound}."
    )
    sharp = sum(test.sharp_steps == test.steps for test in tests)
    blunt = sum(10 * test.sharp_steps < test.steps for test in tests)
    text += (
        f" Of {count(len(tests), 'envelope')}, {sharp} {verb(sharp, 'is', 'are')} sharp for every "
        f"step, {blunt} for less than a tenth of the steps."
    )
    inside = total = cells = 0
    for judgement, _ in tested:
        seeds = traced_seeds(run, baseline, judgement.item) if baseline is not None else []
        if sum(seed.count for seed in seeds) < 2:  # nothing to hold a copy against
            continue
        cell = judgement.item.cell
        held, copies = Differences.of(cell, seeds).leave_one_out()
        inside, total, cells = inside + held, total + copies, cells + 1
    if not total:
        return text
    return (
        "Each copy held against the envelope of the other copies of its cell: "
        f"{strong(f'{inside} of {total}')} ({100 * inside / total:.1f} %) lie inside at every step, in "
        f"{count(cells, 'cell')}. {text}"
    )


def _tests(tested: Sequence[tuple[Judgement, tuple[str, ...]]]) -> list[EnvelopeTest]:
    return [judgement.envelope for judgement, _ in tested if judgement.envelope is not None]


def _row(judgement: Judgement, names: Sequence[str]) -> list[str]:
    test = judgement.envelope
    assert test is not None  # cells_tested has only those
    verdict = judgement.verdict
    return [
        first_of(names),
        strong(verdict.value) if verdict.fails else verdict.value,
        NOTHING if test.starts is None else str(test.starts),
        NOTHING if test.first_step is None else str(test.first_step),
        times(test.ratio),
        NOTHING if test.starts is None else str(test.worst_step),
        f"{test.sharp_steps} of {test.steps}",
        f"{test.copies} over {count(test.seeds, 'seed')}",
        _strays(test) if test.inside else clipped(_begins(test)),
    ]


def _strays(test: EnvelopeTest) -> str:
    """Seeds of a cell that is inside which are not."""
    if not test.strays:
        return NOTHING
    leave = verb(test.strays, "leaves", "leave")
    return f"{test.strays} of {count(test.seeds, 'seed')} {leave} it, as a jump does"


def _begins(test: EnvelopeTest) -> str:
    departure = test.departure
    if departure is None:
        return "no stored tensor departs by itself"
    size = "∞" if departure.distance is None else significant(departure.distance, 2)
    return f"{origin(test)}: {size}, rounding explains {significant(departure.allowed, 2)}"
