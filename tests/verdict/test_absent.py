"""Cells that a TensorFlow cannot train: said by the side that lacks something, and no failure."""

from __future__ import annotations

import msgspec
import pytest

from bench.cells.cell import Cell
from bench.errors import EXIT_OK
from bench.results.record import RECORDS, Record
from bench.results.run import StoredRun
from bench.verdict.baselines.acceptance import preview
from bench.verdict.baselines.samples import baseline_cell, baseline_from_run
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import Verdict
from bench.verdict.ladder import judge, still_wanted
from support.builders import CLASS, items, plan, stored, trained

pytestmark = pytest.mark.filterwarnings("error")

LAMB, SGD = Cell(optimizer="lamb", steps=200), Cell(steps=200)
REASON = "Keras 2.12.0 has no optimizer Lamb"


def lacking(cell: Cell, seed: int) -> Record:
    return Record(cell=cell, seed=seed, outcome="absent", environment=CLASS, absent=REASON)


def run(*, lacks: bool) -> StoredRun:
    """Of two cells under three seeds."""
    planned = plan(items("optimizer", [SGD, LAMB], ("opt",)))
    make = lacking if lacks else trained
    records = [trained(SGD, seed) for seed in planned.seeds]
    return stored(planned, [*records, *(make(LAMB, seed) for seed in planned.seeds)])


def test_a_record_says_why_and_survives_being_stored() -> None:
    """Outcome and reason go together."""
    record = lacking(LAMB, 1)
    assert RECORDS.decode(RECORDS.encode(record)) == record
    with pytest.raises(ValueError, match="outcome 'absent' and a reason go together"):
        msgspec.structs.replace(record, absent="")
    with pytest.raises(ValueError, match="outcome 'absent' and a reason go together"):
        msgspec.structs.replace(trained(LAMB, 1), absent=REASON)


def test_the_new_side_lacks_it() -> None:
    """The cell is not comparable, with the reason; the others are judged, and the run passes."""
    found = judge(run(lacks=True), baseline_from_run(run(lacks=False)))
    assert [judgement.verdict for judgement in found] == [Verdict.IDENTICAL, Verdict.NOT_COMPARABLE]
    assert (found[1].reason, found[1].rung) == (REASON, "absent")
    concluded = Conclusion(run=run(lacks=True), baseline=None, judgements=found)
    assert concluded.exit_code == EXIT_OK


def test_the_old_side_lacks_it() -> None:
    """The cell is new, and its reason is the other side's."""
    found = judge(run(lacks=False), baseline_from_run(run(lacks=True)))
    assert [judgement.verdict for judgement in found] == [Verdict.IDENTICAL, Verdict.NEW]
    assert f"cannot train it, as {REASON}: nothing" in found[1].reason


def test_both_sides_lack_it() -> None:
    """Said of the run."""
    found = judge(run(lacks=True), baseline_from_run(run(lacks=True)))
    assert (found[1].verdict, found[1].reason) == (Verdict.NOT_COMPARABLE, REASON)


def test_nothing_further_is_trained_or_stored_for_it() -> None:
    """No copies are asked for; a baseline gets no sample."""
    lacks = run(lacks=True)
    assert still_wanted(lacks, baseline_from_run(run(lacks=False))) == []
    assert baseline_cell(lacks, lacks.plan.items[1]).samples == []
    assert {change.item.cell for change in preview(None, lacks)} == {SGD}
