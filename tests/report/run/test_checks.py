"""Tests of what reports say of checks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.cells.cell import Cell
from bench.report.markdown import markdown
from bench.report.markup import plain
from bench.report.run.checks import checks_section, compared_checks
from bench.report.run.headlines import headlines
from bench.report.run.terminal import summary_lines
from bench.results.check import Check, CheckResult, Deviation, result
from bench.results.kind import Crash
from bench.results.run import StoredRun
from bench.verdict.conclusion import against_baseline
from bench.verdict.judging import judge_with_claims
from support import builders


def check(subject: str, family: str = "optimizer") -> Check:
    return Check(family=family, subject=subject)


def well(subject: str, digest: str = "a") -> CheckResult:
    deviations = [Deviation(tensor=f"step {step}", excess=0.1 * step) for step in (1, 2)]
    made = result(check(subject), deviations)
    return CheckResult(
        check=made.check, compared=made.compared, closest=made.closest, digest=digest
    )


def out(subject: str, count: int = 1) -> CheckResult:
    deviation = Deviation(
        tensor="step 1, kernel", excess=812.0, ulps=1640.0, evidence="got 1, expected 2 within 3"
    )
    return result(check(subject), [deviation] * count)


def run_of(
    results: Sequence[CheckResult], *, more: Sequence[Check] = (), cells: Sequence[Cell] = ()
) -> StoredRun:
    items = builders.items("depth", list(cells), ("depth",))
    plan = builders.plan(items, seeds=range(2))
    plan.checks.extend([*(found.check for found in results), *more])
    records = [builders.trained(cell, seed) for cell in cells for seed in range(2)]
    run = builders.stored(plan, records, path=Path("results/here"))
    return builders.replaced(run, checks={found.check: found for found in results})


def test_all_hold() -> None:
    """The headline counts checks and tensors; nothing fails."""
    run = run_of([well("adam"), well("sgd")])
    (line,) = headlines(run, [], None)
    assert plain(line) == "2 checks against independent truth hold: 4 tensors compared."
    assert against_baseline(run, None).exit_code == 0
    assert "0.2: `sgd`" in markdown([checks_section(run)]) or "0.2: `adam`" in markdown(
        [checks_section(run)]
    )


def test_a_failing_check_comes_first_and_fails_the_run() -> None:
    """Before the cells, which are sound; the reason names tensor, ulps and bound."""
    run = run_of([well("adam"), out("sgd")], cells=[Cell()])
    judgements = judge_with_claims(run, None)
    first, second = map(plain, headlines(run, judgements, None))
    assert first.startswith("1 of 2 checks against independent truth fails")
    assert "Nothing to compare 1 cell with" in second
    assert against_baseline(run, None).exit_code == 1
    section = markdown([checks_section(run)])
    assert "step 1, kernel: got 1, expected 2 within 3, 1.64e+03 units in the last place" in section
    assert "812 times the bound" in section
    lines = summary_lines(run, judgements, baseline=None, report=None)
    assert any(line.startswith("CHECK FAILS optimizer:sgd") for line in lines)


def test_a_crashed_check_fails_the_run() -> None:
    """A crash is a result."""
    crash = Crash(reason="signal", message="killed by SIGABRT")
    run = run_of([CheckResult(check=check("adam"), crash=crash)])
    assert against_baseline(run, None).exit_code == 1
    assert "crashed: killed by SIGABRT" in markdown([checks_section(run)])


def test_checks_that_did_not_run_are_no_success() -> None:
    """Infrastructure trouble, exit code 2."""
    run = run_of([well("adam")], more=[check("sgd")])
    assert against_baseline(run, None).exit_code == 2
    assert "Incomplete: 1 of 2 checks did not run" in plain(headlines(run, [], None)[0])


def test_absent_parts_are_told_and_no_failure() -> None:
    """With the reason, once for all checks that share it."""
    gone = [
        CheckResult(check=check(name), absent="Keras 2 has no Lamb") for name in ("lamb", "lamb2")
    ]
    run = run_of([well("adam"), *gone])
    assert against_baseline(run, None).exit_code == 0
    section = markdown([checks_section(run)])
    assert "- Keras 2 has no Lamb: `lamb`" in section.replace("optimizer:", "").replace(
        "-precision:float32", ""
    )
    assert "2 checks with nothing to compare here" in section


def test_many_failing_checks_are_counted() -> None:
    """A report stays readable if everything is broken."""
    run = run_of([out(f"o{index}") for index in range(60)])
    section = markdown([checks_section(run)])
    assert section.count("- `optimizer:") == 15
    assert "and 45 more checks" in section


def test_no_checks_no_section() -> None:
    """A run of cells alone says nothing of checks."""
    run = run_of([], cells=[Cell()])
    assert checks_section(run) is None
    assert len(headlines(run, judge_with_claims(run, None), None)) == 1


def test_two_runs_side_by_side() -> None:
    """How many gave the same bits, whose outcome differs, and whose bits."""
    before = run_of([well("adam"), well("sgd"), well("lion")])
    after = run_of([well("adam"), well("sgd", digest="b"), out("lion")])
    text = markdown([compared_checks(before, after)])
    assert "Of 3 checks that ran in both, 1 gave the same bits" in text
    assert "`optimizer:lion-precision:float32` | holds" in text
    assert "Other bits: `optimizer:sgd-precision:float32`" in text
    assert compared_checks(run_of([]), after) is None
