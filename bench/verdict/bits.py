"""Bits of a run against a baseline: where they may be compared, what is still to be trained for it, and
what the rounding envelopes say.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np
from scipy import special

from bench.cells.cell import Cell
from bench.cells.own_model import OwnModel
from bench.results.copy_result import Copy
from bench.results.plan import Item
from bench.results.record import Replica
from bench.results.run import StoredRun
from bench.statistics.levels import ALPHA, ENVELOPES
from bench.verdict.baselines.samples import Baseline
from bench.verdict.departures import BLIND, summed_otherwise
from bench.verdict.envelope import FEWEST, calm, copies_needed, examine, stray_risk
from bench.verdict.judgement import EnvelopeTest
from bench.verdict.traces import Seed, Trace, equal_until

#: Half of the envelopes' level is for cells that leave under every seed, half for the strays of a
#: run. It is not divided by looks: seeds are added to undecided cells alone, and theirs is then
#: another test.
ALONE = TOGETHER = ALPHA * ENVELOPES / 2


class Relation(enum.Enum):
    """What a difference of bits between a run and a baseline may come from, beside what is asked
    about."""

    SAME = "one machine, or one environment class"
    """Nothing: outside the envelope is another formula."""
    OTHER_CPU = "another class of CPU"
    """Other kernels round otherwise: inside is rounding, outside says nothing."""
    NONE = "another device or arithmetic"
    """Bits are not compared."""


def relation(run: StoredRun, baseline: Baseline) -> Relation:
    """How a run's bits stand to a baseline's."""
    ours, theirs = run.environment.numerics, baseline.numerics
    same_machine = bool(baseline.machine) and baseline.machine == run.environment.machine
    if ours.device != theirs.device:
        return Relation.NONE
    if same_machine or ours.environment_class == baseline.environment_class:
        return Relation.SAME
    if (ours.fpmath, ours.tf32) != (theirs.fpmath, theirs.tf32):
        return Relation.NONE
    return Relation.OTHER_CPU if ours.device == "cpu" else Relation.NONE


def differs(run: StoredRun, baseline: Baseline, item: Item) -> bool:
    """Whether both sides measured some seed, and not to the same bits."""
    stored = baseline.find(item)
    if stored is None:
        return False
    digests = stored.digests
    return any(
        record.digest != digests[record.seed]
        for record in run.of(item.cell)
        if record.digest and record.seed in digests
    )


def first_copies_wanted(run: StoredRun, baseline: Baseline) -> list[Copy]:
    """The copies of the first seeds that the run does not have yet, of cells whose bits differ and
    whose further seeds wait for what these say (:func:`settled`)."""
    wanted: dict[Copy, None] = {}
    for item in run.plan.items:
        waits = differs(run, baseline, item) and lacks_seeds(run, item.cell)
        if waits and not _why_not(run, baseline, item):
            seeds = _seeds(run, baseline, item)
            parted = {n: _parted(item.cell, seeds[n]) for n in run.plan.seeds if n in seeds}
            wanted |= dict.fromkeys(_lacking(run, item.cell, parted, FEWEST))
    return list(wanted)


def replicas_wanted(run: StoredRun, baseline: Baseline) -> list[Replica]:
    """The further seeds that the run does not have yet, of cells whose bits differ and that the first
    seeds do not settle. Where a first seed trains to the same bits on both sides, so do others: the
    same operations run on numbers of the same kind."""
    cells = dict.fromkeys(
        item.cell
        for item in run.plan.items
        if differs(run, baseline, item)
        and lacks_seeds(run, item.cell)
        and not settled(run, baseline, item)
    )
    wanted = (Replica(cell, seed) for cell in cells for seed in run.plan.further)
    return [replica for replica in wanted if replica not in run.records]


def lacks_seeds(run: StoredRun, cell: Cell) -> bool:
    """Whether further seeds of a cell were planned and not measured."""
    return any(Replica(cell, seed) not in run.records for seed in run.plan.further)


def settled(run: StoredRun, baseline: Baseline, item: Item) -> bool:
    """Whether the first seeds decide that a cell, whose bits differ, differs by rounding alone.

    They do if nothing leaves the envelope of their copies, and this could not have hidden what
    matters: tensors decide that are not blind, and at the end neither the two sides nor any copy and
    its replica differ by more than the smallest change that matters, in any metric. Other seeds add
    nothing to that: a formula is *changed* only if it shows under every seed. They are for cells whose
    rounding grows until copies are trainings of their own, of which only distributions tell.
    """
    if _why_not(run, baseline, item):
        return False
    by_number = _traced(run, baseline, item)
    seeds = [by_number[number] for number in run.plan.seeds if number in by_number]
    if len(seeds) < len(run.plan.seeds) or any(seed.count < FEWEST for seed in seeds):
        return False
    test = examine(item.cell, seeds)
    sharp = test.decisive and (test.sensitivity is None or test.sensitivity < BLIND)
    return test.inside and not test.strays and sharp and calm(seeds)


def copies_wanted(run: StoredRun, baseline: Baseline, items: Iterable[Item]) -> list[Copy]:
    """The copies that the envelopes of these items still need: two of every replica whose bits differ
    and, of cells that leave their envelope, as many as the level asks for.

    Args:
        run: what was measured.
        baseline: what it is compared with.
        items: those on which no earlier rung of the ladder decides.
    """
    cells = {item.cell: item for item in items if _why_not(run, baseline, item) == ""}
    wanted = []
    for cell, item in cells.items():
        seeds = {n: _parted(cell, seed) for n, seed in _seeds(run, baseline, item).items()}
        needed = FEWEST
        if not _lacking(run, cell, seeds, needed):
            traced = traced_seeds(run, baseline, item)
            if traced and _leaves(examine(cell, traced), len(cells)):
                needed = copies_needed(len(cells), len(seeds), ALONE)
        wanted += _lacking(run, cell, seeds, needed)
    return wanted


def _leaves(test: EnvelopeTest, cells: int) -> bool:
    """Whether further copies may change what is concluded."""
    strays = test.inside and 2 * test.strays >= test.seeds
    return (not test.inside and test.risk > ALONE / cells) or (strays and bool(test.strays))


def _lacking(run: StoredRun, cell: Cell, parted: Mapping[int, int], number: int) -> list[Copy]:
    asked = (
        Copy(cell=cell, seed=seed, number=n, moved_at=step)
        for seed, step in parted.items()
        for n in range(number)
    )
    return [copy for copy in asked if copy not in run.copies]


def _parted(cell: Cell, seed: Seed) -> int:
    """Where copies of a seed are moved."""
    return equal_until(cell, seed.run, seed.baseline)


def _seeds(run: StoredRun, baseline: Baseline, item: Item) -> dict[int, Seed]:
    """Seeds whose traces can be compared, without copies: both sides have one."""
    stored = baseline.find(item)
    if stored is None:
        return {}
    by_seed = {sample.seed: sample for sample in stored.samples if sample.trajectory}
    return {
        record.seed: Seed(Trace.of(record), Trace.of(by_seed[record.seed]), ())
        for record in run.of(item.cell)
        if record.seed in by_seed and record.trajectory
    }


def traced_seeds(run: StoredRun, baseline: Baseline, item: Item) -> list[Seed]:
    """Seeds that an envelope can be made of: both sides have a trace, and one of them has copies that
    were moved where the sides part."""
    return list(_traced(run, baseline, item).values())


def _traced(run: StoredRun, baseline: Baseline, item: Item) -> dict[int, Seed]:
    """The same, by seed."""
    holder = baseline.holder(item)
    seeds = _seeds(run, baseline, item)
    if not seeds or holder is None:
        return {}
    found = {}
    for number, seed in seeds.items():
        since = _parted(item.cell, seed)
        ours, theirs = (
            [Trace.of(c) for c in copies if c.crash is None and c.copy.moved_at == since]
            for copies in (
                run.copies_of(item.cell, number),
                holder.copies.get((item.cell, number), ()),
            )
        )
        if ours or theirs:
            found[number] = Seed(seed.run, seed.baseline, ours, theirs)
    return found


def _why_not(run: StoredRun, baseline: Baseline, item: Item) -> str:
    """Why an item's bits cannot be compared, or nothing."""
    holder = baseline.holder(item)
    if holder is None:
        return "no baseline"
    if relation(run, holder) is Relation.NONE:
        return f"bits are not compared with {holder.environment_class}"
    if item.cell.dropout:
        return "dropout draws from TensorFlow's own random stream, which may change"
    if isinstance(item.cell.own, OwnModel) and item.cell.own.random:
        drawing = ", ".join(item.cell.own.random)
        return f"{drawing} draw from TensorFlow's own random stream, which differs or is used otherwise"
    if not _seeds(run, baseline, item):
        return f"no trajectory in {holder.name} of a seed of this run"
    return ""


class Strays(msgspec.Struct, frozen=True):
    """Cells of which at least half of the seeds leave their envelope, but not all."""

    cells: int
    of: int
    expected: float
    """At most, by rounding alone."""
    chance: float
    """Of as many or more cells, at most."""

    @property
    def summary(self) -> str:
        """One clause for a reason."""
        return (
            f"in {self.cells} of {self.of} cells at least half of the seeds leave the envelope, where "
            f"rounding explains {self.expected:.2g} (p {self.chance:.2g})"
        )


def envelopes(
    run: StoredRun, baseline: Baseline | None, items: Iterable[Item]
) -> dict[Item, EnvelopeTest | str]:
    """The test of each item's rounding envelope, or why there is none."""
    return {item: _envelope(run, baseline, item) for item in items}


def _envelope(run: StoredRun, baseline: Baseline | None, item: Item) -> EnvelopeTest | str:
    if baseline is None:
        return "no baseline"
    obstacle = _why_not(run, baseline, item)
    if obstacle:
        return obstacle
    seeds = traced_seeds(run, baseline, item)
    if seeds:
        test = examine(item.cell, seeds)
        return test if test.inside else summed_otherwise(item.cell, test.departure) or test
    copies = [
        copy for seed in _seeds(run, baseline, item) for copy in run.copies_of(item.cell, seed)
    ]
    if copies and copies[0].crash is not None:
        return f"all of {len(copies)} copies crashed: {copies[0].crash.message}"
    return "no copies in the run" + (" that were moved where bits part" if copies else "")


def straying(run: StoredRun, tests: Mapping[Item, EnvelopeTest | str]) -> Strays | None:
    """What the strays of a whole run say, if they are too many for luck: seeds jump out of their
    envelopes independently, and an event of probability p is no more frequent than a Poisson
    variable of mean -ln(1 - p), whose sums are Poisson again; None if it may be.

    Cells that their first seeds settled count as if all seeds had been trained: that half of them
    leave, and the first one too, is no likelier than that half of them leave.
    """
    by_cell = {item.cell: test for item, test in tests.items() if isinstance(test, EnvelopeTest)}
    found = sum(map(strays, by_cell.values()))
    risks = np.array([stray_risk(*_planned(run, test)) for test in by_cell.values()])
    with np.errstate(divide="ignore"):
        expected = float(-np.log1p(-risks).sum())
    chance = float(special.gammainc(found, expected)) if found else 1.0
    return Strays(found, len(by_cell), expected, chance) if found and chance <= TOGETHER else None


def _planned(run: StoredRun, test: EnvelopeTest) -> tuple[int, int]:
    """Copies and seeds of a cell, as they would have been if the first seeds had not settled it."""
    if not run.plan.further or test.seeds > len(run.plan.seeds):
        return test.copies, test.seeds
    seeds = len(run.plan.seeds) + len(run.plan.further)
    return max(test.copies, FEWEST * seeds), seeds


def strays(test: EnvelopeTest) -> bool:
    """Whether at least half of a cell's seeds leave its envelope, but not all."""
    return test.inside and bool(test.strays) and 2 * test.strays >= test.seeds


def level(tests: Mapping[Item, EnvelopeTest | str]) -> float:
    """The chance of a false alarm that the envelope of one cell may have."""
    cells = {item.cell for item, test in tests.items() if isinstance(test, EnvelopeTest)}
    return ALONE / max(len(cells), 1)
