"""Speed and memory against stored runs: what trips, what does not, and what decides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from bench.results.kind import Crash
from bench.results.live import Compared, Live
from bench.results.pace import PaceResult, Quantity
from bench.verdict.baselines.speeds import StoredPaces
from bench.verdict.pacing import FEWEST, PaceJudgement, judge
from support.paces import FIT, pace, result, stored

NEWER = {"tensorflow": "2.22.0", "keras": "3.15.1"}


def nights(
    count: int = 10, *, spread: float = 0.01, first: int = 0, **more: object
) -> list[StoredPaces]:
    """Stored runs whose steps take 2 calibrations, give or take."""
    random = np.random.default_rng(count)
    steps = 2.0 * np.exp(random.normal(0, spread, count))
    peaks = random.normal(20, 0.5, count)
    return [
        stored(first + n, [result(step=float(step), peak_mib=float(peak))], **more)  # type: ignore[arg-type]
        for n, (step, peak) in enumerate(zip(steps, peaks, strict=True))
    ]


def judged(
    found: PaceResult,
    before: Sequence[StoredPaces],
    *,
    software: dict[str, str] | None = None,
    live: Live | None = None,
) -> dict[Quantity, PaceJudgement]:
    every = judge([found], before, NEWER if software is None else software, live=live)
    return {one.quantity: one for one in every}


def test_a_machine_half_as_fast_is_the_same() -> None:
    """Calibration takes as much longer as the work does."""
    assert result(slow=2.0).values == pytest.approx(result().values)
    found = judged(result(slow=2.0), nights())
    assert {one.conclusion for one in found.values()} == {"within limits"}
    assert not any(one.open for one in found.values())


@pytest.mark.parametrize(
    ("changes", "quantity"),
    [
        ({"step": 2.2}, "step"),
        ({"first": 80.0}, "first"),
        ({"peak_mib": 60.0}, "peak"),
        ({"growth_kib": 1024.0}, "growth"),
    ],
)
def test_what_is_larger_trips_and_is_no_verdict(
    changes: dict[str, float], quantity: Quantity
) -> None:
    """Ten percent of a step, a peak of 40 MiB more, and a leak of 1 MiB a step: beyond, and open."""
    found = judged(result(**changes), nights())
    assert [name for name, one in found.items() if one.conclusion == "beyond"] == [quantity]
    assert found[quantity].open
    assert not found[quantity].worse
    assert "limits -" in found[quantity].changed


def test_what_is_smaller_is_said_and_asks_for_nothing() -> None:
    found = judged(result(step=1.6), nights())
    assert found["step"].conclusion == "below"
    assert not found["step"].open


def test_the_same_software_cannot_be_slower() -> None:
    """Then it is the machine that changed."""
    before = nights()
    found = judged(result(step=2.4), before, software=before[-1].software)
    assert found["step"].conclusion == "machine"
    assert not found["step"].open


def test_a_change_that_does_not_matter_is_within_limits_however_quiet_the_machine() -> None:
    """Equal to the last digit in all runs: a percent still does not matter, 3 % do."""
    before = [stored(n, [result()]) for n in range(10)]
    assert judged(result(step=2.02), before)["step"].conclusion == "within limits"
    assert judged(result(step=2.06), before)["step"].conclusion == "beyond"
    assert judged(result(peak_mib=20.9), before)["peak"].conclusion == "within limits"


def test_too_few_runs_say_nothing() -> None:
    for count in range(FEWEST):
        found = judged(result(step=9.0), nights(count) if count else [])
        assert {one.conclusion for one in found.values()} == {"new"}
    assert judged(result(step=9.0), nights(FEWEST))["step"].conclusion == "beyond"


def test_a_noisy_machine_has_wide_limits_and_says_so() -> None:
    quiet, noisy = (judged(result(step=2.2), nights(spread=s))["step"] for s in (0.01, 0.1))
    assert (quiet.conclusion, noisy.conclusion) == ("beyond", "within limits")
    assert noisy.high > 0.2 > quiet.high > 0.02


def test_a_new_level_has_its_own_centre_and_the_spread_of_all() -> None:
    """After a change of the machine one run is enough, as the spread is known from before."""
    before = nights(12)
    slower = stored(20, [result(step=2.6)], new_level=True)
    found = judged(result(step=2.62), [*before, slower])["step"]
    assert (found.conclusion, found.stored) == ("within limits", 1)
    assert found.centre == pytest.approx(2.6)
    assert judged(result(step=3.0), [*before, slower])["step"].conclusion == "beyond"
    assert judged(result(step=2.62), [*before, slower], software={})["step"].low < 0


def test_versions_part_levels() -> None:
    """Two percent more per version do not make the machine look noisy."""
    before = [
        stored(10 * v + n, [result(step=2.0 * 1.2**v * 1.01**n)], tensorflow=f"2.{v}.0")
        for v in range(3)
        for n in range(3)
    ]
    found = judged(result(step=2.0 * 1.2**2 * 1.01), before)["step"]
    assert found.conclusion == "within limits"
    assert found.high < 0.1


def test_another_workload_or_length_is_another_pace() -> None:
    other = pace(steps=FIT.steps + 1)
    assert judged(result(other), nights())["step"].conclusion == "new"


def test_a_crash_has_no_numbers() -> None:
    crash = FIT.crashed(Crash(reason="signal", message="killed by SIGSEGV"))
    assert judge([crash], nights(), NEWER) == []


def rounds(factor: float, count: int = 8) -> list[list[list[list[float]]]]:
    """Rounds in which the new side takes so many times as long; bursts differ by half a percent."""
    random = np.random.default_rng(3)
    noise = np.exp(random.normal(0, 0.005, (count, 4, 4, 2)))
    seconds = np.array([1.0, factor, 1.0, factor])[None, None, :, None] * noise
    return [list(map(list, one)) for one in seconds.tolist()]


@pytest.mark.parametrize(
    ("factor", "verdict", "worse"), [(1.1, "slower", True), (1.0, "same", False)]
)
def test_the_live_comparison_decides(factor: float, verdict: str, worse: bool) -> None:
    compared = Compared(pace=FIT, quantity="step", rounds=rounds(factor))
    live = Live(sides={"old": "2.21", "new": "2.22"}, compared=[compared])
    found = judged(result(step=2.2), nights(), live=live)["step"]
    assert found.conclusion == "beyond"
    assert found.live is not None and found.live.verdict == verdict
    assert (found.worse, found.open) == (worse, False)


def test_an_undecided_comparison_leaves_it_open() -> None:
    compared = Compared(pace=FIT, quantity="step", rounds=[])
    live = Live(sides={"old": "2.21", "new": "2.22"}, compared=[compared])
    assert judged(result(step=2.2), nights(), live=live)["step"].open
