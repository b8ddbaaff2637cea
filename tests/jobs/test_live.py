"""Live comparison with processes that take as long as they are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bench.errors import BenchError
from bench.execution import machine
from bench.execution.protocol import Burst
from bench.execution.supervisor import CrashError
from bench.jobs.live import decide, here
from bench.results.kind import Crash
from bench.results.live import read_live
from bench.results.pace import Pace, Quantity
from bench.results.timings import Side
from bench.verdict.pacing import PaceJudgement, judge
from support.paces import FIT, result, stored


class Fake:
    """A process whose side takes ``slower`` times as long and as much, give or take half a percent."""

    def __init__(self, side: Side, slower: float, random: np.random.Generator) -> None:
        self._factor = (slower if side == "new" else 1.0) * float(np.exp(random.normal(0, 0.002)))
        self._random = random
        self._crashes = slower == 0 and side == "new"
        self.open = False

    def start(self) -> None:
        self.open = True

    def close(self) -> None:
        self.open = False

    def ask(self, request: Any, *, timeout_sec: float) -> Any:
        assert self.open
        if self._crashes:
            raise CrashError(Crash(reason="signal", message="killed by SIGSEGV"))
        noise = self._factor * float(np.exp(self._random.normal(0, 0.002)))
        if isinstance(request, Burst):
            return 0.01 * request.steps * noise
        assert isinstance(request, Pace)
        return result(request, first=50 * noise, peak_mib=100 * noise, growth_kib=300 * noise)


def tripped(*quantities: Quantity) -> list[PaceJudgement]:
    return [
        PaceJudgement(
            pace=FIT, quantity=quantity, unit="", conclusion="beyond", value=1.0, stored=9
        )
        for quantity in quantities
    ]


EVERY: tuple[Quantity, ...] = ("step", "first", "peak", "growth")


@pytest.mark.parametrize(("slower", "verdicts"), [(1.1, {"slower"}), (1.0, {"same", "not slower"})])
def test_every_quantity_is_decided(tmp_path: Path, slower: float, verdicts: set[str]) -> None:
    """What is planted is found, and nothing where nothing is; all processes are ended."""
    random = np.random.default_rng(5)
    made: list[Fake] = []

    def make(side: Side) -> Fake:
        made.append(Fake(side, slower, random))
        return made[-1]

    told: list[str] = []
    path = tmp_path / "live.json"
    live = decide(
        path,
        tripped(*EVERY),
        make,
        sides={"old": "2.21", "new": "2.22"},
        timeout_sec=1.0,
        say=told.append,
    )
    assert read_live(path) == live
    before = [stored(n, [result(step=1.0, first=20.0, peak_mib=1.0)]) for n in range(6)]
    found = judge([result()], before, {}, live=live)
    assert {
        one.quantity: one.live.verdict in verdicts for one in found if one.live
    } == dict.fromkeys(EVERY, True)
    assert not any(process.open for process in made)
    assert told


def test_a_crash_is_kept(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    live = decide(
        tmp_path / "live.json",
        tripped("step", "peak"),
        lambda side: Fake(side, 0, random),
        sides={"old": "2.21", "new": "2.22"},
        timeout_sec=1.0,
        say=lambda _: None,
    )
    assert [set(one.crashes) for one in live.compared] == [{"new"}, {"new"}]
    assert [one.rounds for one in live.compared] == [[], []]


def test_another_machine_does_not_decide() -> None:
    with pytest.raises(BenchError, match="this machine has another"):
        here(stored(0, [result()]))
    here(msgspec.structs.replace(stored(0, [result()]), machine=machine.describe(machine.limits())))
