"""Tests of what reports say of checks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.cells.cell import Cell
from bench.report.full import full_report
from bench.report.markdown import markdown
from bench.report.markup import plain
from bench.report.sections.answer import answer_blocks
from bench.report.sections.checks import checks_section
from bench.report.short import short_report
from bench.report.terminal import summary_lines
from bench.results.check import Check, CheckResult, Deviation, result
from bench.results.kind import Crash
from bench.results.run import StoredRun
from bench.verdict.conclusion import against_baseline, between
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


def section(run: StoredRun, *, brief: bool = False) -> str:
    return markdown([checks_section(against_baseline(run, None), brief=brief)])


def answer(run: StoredRun) -> list[str]:
    return [plain(line) for line in answer_blocks(against_baseline(run, None))]


def test_all_hold() -> None:
    """The answer counts checks and tensors; nothing fails."""
    run = run_of([well("adam"), well("sgd")])
    assert answer(run) == [
        "Safe: 2 checks of arithmetic hold.",
        "Exit code 0.",
        "2 of 2 checks against independent truth hold: 4 tensors compared.",
        "Covers 2 checks of arithmetic; not your own model unless bench upgrade --model names it.",
    ]
    assert "0.2: `sgd`" in section(run) or "0.2: `adam`" in section(run)


def test_a_failing_check_fails_the_run() -> None:
    """Whatever the cells are; the reason names tensor, ulps and bound."""
    run = run_of([well("adam"), out("sgd")], cells=[Cell()])
    first, second, third, _ = answer(run)
    assert first == "Not safe: 1 check of arithmetic out of bounds."
    assert second == "No baseline is stored to compare with. Exit code 1."
    assert third.startswith("1 of 2 checks against independent truth fails")
    for text in (section(run), section(run, brief=True)):
        assert "step 1, kernel: got 1, expected 2 within 3, 1.64e+03 units in the last" in text
        assert "812 times the bound" in text
    lines = summary_lines(against_baseline(run, None), verbose=True)
    assert any(line.startswith("CHECK FAILS optimizer:sgd") for line in lines)


def test_a_crashed_check_fails_the_run() -> None:
    """A crash is a result."""
    crash = Crash(reason="signal", message="killed by SIGABRT")
    run = run_of([CheckResult(check=check("adam"), crash=crash)])
    assert against_baseline(run, None).exit_code == 1
    assert "crashed: killed by SIGABRT" in section(run)


def test_checks_that_did_not_run_are_no_success() -> None:
    """Infrastructure trouble, exit code 2."""
    first, second, third, _ = answer(run_of([well("adam")], more=[check("sgd")]))
    assert first == "Undecided: 1 check not run."
    assert second == "Exit code 2."
    assert third.startswith("Incomplete: 1 of 2 checks did not run")


def test_absent_parts_are_told_and_no_failure() -> None:
    """With the reason, once for all checks that share it."""
    gone = [
        CheckResult(check=check(name), absent="Keras 2 has no Lamb") for name in ("lamb", "lamb2")
    ]
    run = run_of([well("adam"), *gone])
    assert against_baseline(run, None).exit_code == 0
    text = section(run)
    assert "- Keras 2 has no Lamb: `lamb`" in text.replace("optimizer:", "").replace(
        "-precision:float32", ""
    )
    assert "1 of 3 checks against independent truth holds" in text
    assert "2 not applicable to these versions." in text


def test_many_failing_checks_are_counted() -> None:
    """A report stays readable if everything is broken; the full one folds the others away."""
    run = run_of([out(f"o{index}") for index in range(60)])
    text = section(run, brief=True)
    assert text.count("- `optimizer:") == 15
    assert "and 45 more checks" in text
    shown, hidden = section(run).split("<details>")
    assert (shown.count("- `optimizer:"), hidden.count("- `optimizer:")) == (15, 45)


def test_no_checks_no_section() -> None:
    """A run of cells alone says nothing of checks."""
    run = run_of([], cells=[Cell()])
    assert section(run) == ""
    assert not any("check" in line for line in answer(run))


def test_two_runs_side_by_side() -> None:
    """How many gave the same bits, which are wrong on which side, and whose bits differ."""
    before = run_of([well("adam"), well("sgd"), well("lion")])
    after = run_of([well("adam"), well("sgd", digest="b"), out("lion")])
    for brief in (False, True):
        text = markdown([checks_section(between(before, after), brief=brief)])
        assert "Of 3 checks, 3 ran on both sides: 2 hold on both, 1 gave the same bits." in text
        assert (
            "- `optimizer:lion-precision:float32`: OLD: holds; NEW: step 1, kernel: got 1" in text
        )
        assert "Other bits: `optimizer:sgd-precision:float32`" in text


def test_a_known_fault_is_told_and_not_counted_as_holding() -> None:
    """In a run it fails nothing, and has a column of its own; between two sides it is a change."""
    sound = well("adam")
    known = msgspec.structs.replace(out("sgd"), known="rounds to odd")
    run = run_of([sound, known])
    text = section(run)
    assert answer(run)[2] == (
        "1 of 2 checks against independent truth holds: 3 tensors compared; 1 fails by known faults of "
        "these versions, as expected."
    )
    assert "**Known faults, for which no run fails** (1 check):" in text
    assert "- `optimizer:sgd-precision:float32`: step 1, kernel: got 1, expected 2 within 3" in text
    assert "812 times the bound (known fault: rounds to odd)" in text
    [row] = [line for line in text.splitlines() if line.startswith("| optimizer")]
    assert [cell.strip() for cell in row.split("|")][2:6] == ["2", "1", "0", "1"]
    found = between(run_of([sound, well("sgd")]), run)
    assert "812 times the bound (known fault: rounds to odd)" in markdown([checks_section(found)])
    assert "1 hold on both" in markdown([checks_section(found)])
    both = between(run, run)
    assert markdown([checks_section(both)]).count("(known fault: rounds to odd)") == 1
    assert found.exit_code == 1


def test_known_faults_of_a_run_are_told_by_cause() -> None:
    """Once for all checks that share one, with a link to its public report, folded away."""
    known = [
        msgspec.structs.replace(out(name), known="swapped (mended by keras PR #23333)")
        for name in ("adam", "sgd")
    ]
    found = against_baseline(
        run_of([*known, msgspec.structs.replace(out("lion"), known="odd")]), None
    )
    assert found.exit_code == 0
    text = markdown(full_report(found)).partition("## Checks")[0]
    assert "<summary>2 known faults of these versions, for which no run fails</summary>" in text
    report = "[keras PR \\#<!-- -->23333](https://github.com/keras-team/keras/issues/23333)"
    assert (
        f"1. **2 checks wrong, a known fault: swapped (mended by {report})**: `optimizer:adam-"
        in text
    )
    assert "   - Step 1, kernel: got 1, expected 2." in text
    assert "2. **1 check wrong, a known fault: odd**: `optimizer:lion-" in text
    assert "github.com" not in short_report(found)
