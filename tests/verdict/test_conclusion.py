"""One object for every comparison: its answer, its reasons and its exit code."""

from __future__ import annotations

import pytest

from bench.cells.cell import Cell
from bench.errors import allowed
from bench.report.terminal import summary_lines
from bench.results.check import Check, CheckResult, Deviation
from bench.verdict.conclusion import Answer, Conclusion, against_baseline, between
from bench.verdict.judgement import Judgement, Verdict
from support.builders import items, plan, replaced, stored, trained
from support.upgraded import checked

(ITEM,) = items("depth", [Cell(depth=3, steps=200)], ("depth",))


def concluded(*verdicts: Verdict) -> Conclusion:
    """A run, measured whole, whose cells have these verdicts."""
    run = stored(plan([ITEM], seeds=(0,)), [trained(ITEM.cell, 0)])
    judgements = [Judgement(item=ITEM, verdict=v, reason="", rung="none") for v in verdicts]
    return Conclusion(run=run, baseline=None, judgements=judgements)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([], 2),
        ([Verdict.MISSING, Verdict.IDENTICAL], 2),
        ([Verdict.MISSING, Verdict.REGRESSED], 1),
        *(([v, Verdict.IDENTICAL], 1) for v in Verdict if v.fails),
        *(([v, Verdict.IDENTICAL], 3) for v in (Verdict.INCONCLUSIVE, Verdict.NOT_COMPARABLE)),
        ([Verdict.NEW, Verdict.NEW], 3),
        ([Verdict.NEW, Verdict.IDENTICAL], 0),
        *(
            ([v], 0)
            for v in (Verdict.IDENTICAL, Verdict.ROUNDING, Verdict.EQUIVALENT, Verdict.IMPROVED)
        ),
    ],
)
def test_exit_codes(verdicts: list[Verdict], code: int) -> None:
    """1 for a failing cell, 2 for nothing or something missing, 3 for an undecided cell or nothing
    compared, which may be allowed, else 0."""
    assert concluded(*verdicts).exit_code == code
    assert allowed(concluded(*verdicts).exit_code, undecided=True) == (0 if code == 3 else code)


def test_a_run_of_checks_alone_has_measured_something() -> None:
    """0 if they hold, 1 if one does not, 2 if one did not run."""
    held, failed = checked(), checked(out=True)
    for results, code in (({held.check: held}, 0), ({held.check: failed}, 1), ({}, 2)):
        run = replaced(stored(plan([], checks=[held.check]), []), checks=results)
        assert against_baseline(run, None).exit_code == code


@pytest.mark.parametrize(
    ("verdict", "answer"),
    [
        (Verdict.IDENTICAL, Answer.SAFE),
        (Verdict.INCONCLUSIVE, Answer.UNDECIDED),
        (Verdict.REGRESSED, Answer.UNSAFE),
    ],
)
def test_the_answer_names_the_cells_that_it_rests_on(verdict: Verdict, answer: Answer) -> None:
    """One finding outweighs what is open, and that outweighs what is the same."""
    found = concluded(*list(dict.fromkeys((Verdict.IDENTICAL, Verdict.INCONCLUSIVE, verdict))))
    if answer is Answer.SAFE:
        found = concluded(verdict)
    assert found.answer is answer
    assert found.because == [f"1 cell {verdict.value}"]


@pytest.mark.parametrize(
    ("family", "answer"), [("callbacks", Answer.UNSAFE), ("optimizer", Answer.SAFE)]
)
def test_a_mended_contract_is_a_change_and_mended_arithmetic_is_none(
    family: str, answer: Answer
) -> None:
    """Who lived with EarlyStopping as it was trains other epochs now; a wrong number that is right now
    changes cells, which are compared themselves."""
    check = Check(family=family, subject="x")
    wrong = Deviation(tensor="fit 1, epochs", excess=None, evidence="got 2, expected 5")
    results = [CheckResult(check=check, compared=1, deviations=d) for d in ([wrong], [])]
    old, new = (
        replaced(
            stored(plan([ITEM], seeds=(0,), checks=[check]), [trained(ITEM.cell, 0)]),
            checks={check: found},
        )
        for found in results
    )
    found = between(old, new)
    assert found.answer is answer
    if answer is Answer.UNSAFE:
        assert found.because == ["1 contract broken in OLD and kept in NEW: behaviour changes"]
        text = "\n".join(summary_lines(found, verbose=True))
        assert "BEHAVIOUR CHANGES callbacks:x: in OLD fit 1, epochs: got 2, expected 5" in text
    assert between(new, old).answer is Answer.UNSAFE
