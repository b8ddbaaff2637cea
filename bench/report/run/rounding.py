"""Which differences are rounding: the section of ``report.md`` on envelopes, and its short forms."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from bench.report.figures.envelope import EnvelopePicture, cells_tested
from bench.report.text import NOTHING, code, count, folded, more, plain, rate, significant, table
from bench.results.run import StoredRun
from bench.verdict.baselines.samples import Baseline
from bench.verdict.bits import traced_seeds
from bench.verdict.differences import LOOK_AHEAD, Differences
from bench.verdict.envelope import risk
from bench.verdict.judgement import Departure, EnvelopeTest, Judgement

#: Rows that are shown at once; the others are folded away.
MOST_ROWS = 15
#: Failing cells that a short report lists; the others are counted.
MOST_SHORT = 30
#: Tensors in which differences begin that are named; the others are counted.
MOST_ORIGINS = 5

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
    "Of each cell whose bits differ, *copies* were trained and evaluated whose weights are moved "
    "by one unit in the last place, at the start or where the bits of both sides part. How far "
    "they part from the training that they copy is how far rounding takes this network. The "
    f"**envelope** at a step is the largest such difference of the loss up to {LOOK_AHEAD} times "
    "that step, over all copies and seeds, times the factor by which the rounding of the cell's "
    "longest sums may exceed such a move, and not beyond how far seeds lie apart. A cell is "
    "outside where, under *every* seed, the losses leave the envelope, a tensor of the first "
    "steps or of the end departs, or a metric at the end differs by more than matters and than "
    "any copy: a changed formula acts under all seeds, a jump of rounding does not. What differs "
    "first after many steps of equal bits is outside, too. The table shows the seed that strays "
    "least. The envelope of a chaotic network soon spans everything: it is *sharp* while it is "
    "narrower than seeds lie apart (with one seed: than the loss has moved since the start), and "
    "says little of later steps. *Begins in*: the first tensor, in the order of steps and of the "
    "computation, that is further from its counterpart than rounding explains, with its distance "
    "and what rounding explains, both relative to its size."
)


def rounding_section(
    run: StoredRun,
    judgements: Sequence[Judgement],
    baseline: Baseline | None,
    picture: EnvelopePicture | None = None,
) -> list[str]:
    """Paragraphs of Markdown; none if no cell was held against an envelope.

    Args:
        run: what was measured; its copies are held against each other, too.
        judgements: of all cells.
        baseline: what they were judged against.
        picture: the figure, if it is stored beside the report.
    """
    tested = cells_tested(judgements)
    if not tested:
        return []
    rows = [_row(judgement, names) for judgement, names in tested]
    outside = sum(not test.inside for test in _tests(judgements))
    found = f"{count(len(tested) - outside, 'cell')} inside"
    found += f", **{outside} outside**" if outside else ", none outside"
    listed = table(_HEADERS, rows[:MOST_ROWS], "llrrrrrrl")
    hidden = ""
    if len(rows) > MOST_ROWS:
        others = table(_HEADERS, rows[MOST_ROWS:], "llrrrrrrl")
        hidden = folded(more(len(rows) - MOST_ROWS, "cell"), others)
    return [
        "## Rounding",
        f"Held against the rounding envelope: {found}. {origins(judgements)}".strip(),
        READING,
        _trust(run, judgements, baseline),
        listed,
        hidden,
        *(_figure(picture) if picture is not None else []),
    ]


def failing_table(judgements: Sequence[Judgement]) -> list[str]:
    """For a short report: since when and where each failing cell departs; none if none does."""
    failing = [(j, names) for j, names in cells_tested(judgements) if j.verdict.fails]
    if not failing:
        return []
    rows = [
        [_cells(names), *_where(judgement.envelope)]
        for judgement, names in failing[:MOST_SHORT]
        if judgement.envelope is not None
    ]
    hidden = len(failing) - len(rows)
    headers = ("cell", "outside from step", "largest difference, over the envelope", "begins in")
    return [
        "### Where it begins",
        origins(judgements),
        table(headers, rows, "lrrl"),
        f"And {more(hidden, 'cell')}." if hidden else "",
    ]


def origins(judgements: Sequence[Judgement]) -> str:
    """In which tensors the differences of failing cells begin, with the number of cells; or
    nothing."""
    counted = Counter(
        (departure.tensor, departure.step)
        for judgement, _ in cells_tested(judgements)
        if judgement.verdict.fails and (departure := _departure(judgement)) is not None
    )
    if not counted:
        return ""
    named = [
        f"{tensor} before step {step} ({count(cells, 'cell')})"
        for (tensor, step), cells in counted.most_common(MOST_ORIGINS)
    ]
    others = sum(counted.values()) - sum(n for _, n in counted.most_common(MOST_ORIGINS))
    rest = f"; elsewhere ({count(others, 'cell')})" if others else ""
    return f"Differences begin in {'; '.join(named)}{rest}."


def briefly(judgement: Judgement) -> str:
    """One line for a terminal: first step, size, and where it begins; empty without an envelope."""
    test = judgement.envelope
    if test is None:
        return ""
    if test.first_step is None:
        losses = "losses within the envelope"
    else:
        losses = f"outside from step {test.first_step}, {_times(test.ratio)}"
    return f"{losses}; {_begins(test)}"


def _trust(run: StoredRun, judgements: Sequence[Judgement], baseline: Baseline | None) -> str:
    """How far the envelopes of this run can be trusted, in figures."""
    tests = _tests(judgements)
    chance = sum(risk(test.copies, test.seeds) for test in tests)
    bound = f"at most {significant(chance, 2)}" if chance < 1 else "not bounded: train more seeds"
    text = (
        "If nothing but rounding differed, the probability that any of these cells left its envelope "
        f"would be {bound}."
    )
    sharp = sum(test.sharp_steps == test.steps for test in tests)
    blunt = sum(10 * test.sharp_steps < test.steps for test in tests)
    text += (
        f" Of {count(len(tests), 'envelope')}, {sharp} {'is' if sharp == 1 else 'are'} sharp for every "
        f"step, {blunt} for less than a tenth of the steps."
    )
    inside = total = cells = 0
    for judgement, _ in cells_tested(judgements):
        seeds = traced_seeds(run, baseline, judgement.item) if baseline is not None else []
        if sum(seed.count for seed in seeds) < 2:  # nothing to hold a copy against
            continue
        cell = judgement.item.cell
        held, copies = Differences.of(cell, seeds).leave_one_out()
        inside, total, cells = inside + held, total + copies, cells + 1
    if not total:
        return text
    return (
        f"Each copy held against the envelope of the other copies of its cell: **{inside} of {total}** "
        f"({100 * inside / total:.1f} %) lie inside at every step, in {count(cells, 'cell')}. {text}"
    )


def _tests(judgements: Sequence[Judgement]) -> list[EnvelopeTest]:
    return [
        judgement.envelope
        for judgement, _ in cells_tested(judgements)
        if judgement.envelope is not None
    ]


def _departure(judgement: Judgement) -> Departure | None:
    return judgement.envelope.departure if judgement.envelope is not None else None


def _row(judgement: Judgement, names: Sequence[str]) -> list[str]:
    test = judgement.envelope
    assert test is not None  # cells_tested has only those
    verdict = judgement.verdict
    outside, largest, begins = _where(test)
    return [
        _cells(names),
        f"**{verdict.value}**" if verdict.fails else verdict.value,
        NOTHING if test.starts is None else str(test.starts),
        outside,
        largest,
        NOTHING if test.starts is None else str(test.worst_step),
        f"{test.sharp_steps} of {test.steps}",
        f"{test.copies} over {count(test.seeds, 'seed')}",
        begins,
    ]


def _where(test: EnvelopeTest) -> list[str]:
    """Step, size and tensor of a departure, as three columns."""
    return [
        NOTHING if test.first_step is None else str(test.first_step),
        _times(test.ratio),
        _strays(test) if test.inside else plain(_begins(test)),
    ]


def _strays(test: EnvelopeTest) -> str:
    """Of a cell that is inside: seeds that are not."""
    if not test.strays:
        return NOTHING
    verb = "leaves" if test.strays == 1 else "leave"
    return f"{test.strays} of {count(test.seeds, 'seed')} {verb} it, as a jump does"


def _cells(names: Sequence[str]) -> str:
    others = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return code(names[0]) + others


def _begins(test: EnvelopeTest) -> str:
    departure = test.departure
    if departure is None:
        return "no stored tensor departs by itself"
    size = "∞" if departure.distance is None else significant(departure.distance, 2)
    return (
        f"{departure.tensor}, before step {departure.step}: {size}, rounding explains "
        f"{significant(departure.allowed, 2)}"
    )


def _times(ratio: float) -> str:
    """A ratio as a factor beyond the envelope, or as a share of it."""
    if math.isinf(ratio):
        return "∞ ×"
    if ratio > 1:
        return f"{rate(ratio) if ratio < 1e6 else significant(ratio)} ×"
    return f"{significant(100 * ratio, 2 if ratio < 0.99 else 3)} %"


def _figure(picture: EnvelopePicture) -> list[str]:
    return [
        f"![{picture.alternative}]({picture.path})",
        "Coloured lines: |difference of the loss| between the two sides, one per seed; grey band: "
        "copies, smallest to largest; black line: the envelope; red mark: the first step outside under "
        "every seed; dotted line: from there on the envelope is blunt. Differences of 0 are not drawn. "
        "The most severe cells are shown, then the most chaotic.",
    ]
