"""Nights of one machine: how often its chart trips, and what is concluded then.

    python tests/verdict/speed_nights.py years [YEARS]
    python tests/verdict/speed_nights.py real FOLDER [STORED [RUNS]]

The first simulates years of nights in which nothing is slower, with what machines do: drift, an upgrade
of the kernel, a noisy neighbour. The second measures: STORED nights that are stored, then RUNS nights,
each second one with a slowdown of 10 % planted in ``Model.fit``, those that trip decided live, as far
as FOLDER does not yet hold them; it needs the machine for itself. Both print tables as Markdown, with
what common rules conclude from the same bursts (docs/speed.md has them).
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import stats

from bench import mnist
from bench.execution import protocol
from bench.execution.supervisor import Supervisor
from bench.jobs.live import decide
from bench.jobs.workloads import PACES
from bench.results.live import Compared, Live, read_live
from bench.results.pace import Block, Pace, PaceResult
from bench.results.timings import Side
from bench.verdict.baselines.speeds import StoredPaces
from bench.verdict.pacing import LIVE_ALPHA, PaceJudgement, judge
from bench.verdict.speed import unsettled
from verdict.speed_rates import made_up, mean_5_percent, simulated_round, table

Array = npt.NDArray[np.float64]
Random = np.random.Generator

PLANTED = 0.10
TIMEOUT_SEC = 300.0
QUICK = PACES["quick"]
#: The pace that is slowed down, ``Model.fit``.
SLOWED = QUICK[1]
#: Blocks of a simulated pace.
BLOCKS = 6


# Simulated years


class World(NamedTuple):
    """What a machine does, as standard deviations of logarithms of time, or shares of nights."""

    name: str
    process: float = 0.01
    """Of what a process has for itself, each night anew."""
    drift: float = 0.0
    """Of what changes slowly and calibration does not take out: an AR(1) process whose correlation
    from night to night is .98."""
    upgrade: float = 0.0
    """By what half of the workloads take longer from the middle of the year on."""
    neighbour: float = 0.0
    """Share of nights with one, who lengthens some bursts by up to half, calibration's by less."""


WORLDS = (
    World("quiet"),
    World("drift", drift=0.01),
    World("kernel upgrade", upgrade=0.03),
    World("noisy neighbour", neighbour=0.05),
    World("all three", drift=0.01, upgrade=0.03, neighbour=0.05),
)
STORED = 20
NIGHTS = 365
#: Nights in a row that trip and are cleared, after which a person says that the machine has changed.
PATIENCE = 3


class Year(NamedTuple):
    """Counts of one year, or sums of several."""

    trips: int = 0
    """Nights that trip upwards, each of which is decided live."""
    false: int = 0
    """Nights on which something was called slower."""
    open: int = 0
    """Nights that stayed undecided."""
    levels: int = 0
    """New levels that a person declared."""
    mean: int = 0
    """Nights on which pytest-benchmark's mean:5% alarms, against the last stored night."""
    asv: int = 0
    github: int = 0


def simulated_year(
    world: World, random: Random, slow_on: int | None = None, nights: int = NIGHTS
) -> Year:
    """A year of releases none of which is slower; every night has another version.

    Args:
        world: what the machine does.
        random: draws.
        slow_on: night from which on the planted pace takes 10 % longer; None: none.
        nights: of the year.
    """
    slow = np.zeros(len(QUICK))
    drift = random.normal(0, world.drift, len(QUICK)) if world.drift else slow
    stored: list[StoredPaces] = []
    counts: Counter[str] = Counter()
    row = 0
    for night in range(-STORED, nights):
        if world.drift:
            drift = 0.98 * drift + random.normal(0, world.drift * np.sqrt(1 - 0.98**2), len(QUICK))
        shift = drift + world.upgrade * (night > nights // 2) * (np.arange(len(QUICK)) % 2)
        planted = slow_on is not None and night >= slow_on
        shift = shift + np.where([pace == SLOWED for pace in QUICK], np.log1p(PLANTED * planted), 0)
        disturbed = bool(random.random() < world.neighbour)
        paces = simulated_paces(world, random, shift, disturbed=disturbed)
        tonight = stored_paces(f"night{night}", paces, version="old" if night < 0 else f"v{night}")
        if night < 0:
            stored.append(tonight)
            continue
        for name, rule in RULES.items():
            counts[name] += any(
                rule(bursts(before), bursts(after))
                for before, after in zip(stored[-1].paces, paces, strict=True)
            )
        tripped = [one for one in judge(paces, stored, tonight.software) if one.open]
        if not tripped:
            row = 0
            continue
        counts["trips"] += 1
        live = simulated_live(world, random, tripped, disturbed=disturbed, planted=planted)
        found = judge(paces, stored, tonight.software, live=live)
        counts["false"] += any(one.worse for one in found)
        counts["open"] += any(one.open for one in found) and not any(one.worse for one in found)
        cleared = not any(one.worse or one.open for one in found)
        row = row + 1 if cleared else 0
        if row == PATIENCE:
            counts["levels"] += 1
            changes = {"new_level": True, "software": stored[-1].software}
            stored.append(msgspec.structs.replace(tonight, **changes))
            row = 0
    return Year(**counts)


def simulated_paces(
    world: World, random: Random, shift: Array, *, disturbed: bool
) -> list[PaceResult]:
    """Paces of a night. The machine's own speed, which varies by a tenth, is in all bursts."""
    machine = 0.01 * float(np.exp(random.normal(0, 0.1)))
    found = []
    for place, pace in enumerate(QUICK):
        own = random.normal(0, world.process) + shift[place]
        noise = np.exp(random.normal(0, 0.02, (BLOCKS, 3, 2)))
        if disturbed:
            noise *= 1 + (random.random(noise.shape) < 0.5) * 0.5 * random.random(noise.shape)
            noise[:, 2] *= 1 + 0.1 * random.random()
        seconds = machine * noise
        seconds[:, 2] *= 2 * np.exp(own)
        first = 50 * machine * float(np.exp(random.normal(0, 0.05) + shift[place]))
        blocks = [Block(product=b[0], sweep=b[1], work=b[2]) for b in seconds.tolist()]
        memory = random.normal(20 * 2**20, 2**18)
        found.append(
            PaceResult(
                pace=pace,
                blocks=blocks,
                first_sec=first,
                peak_bytes=round(memory),
                growth_bytes=float(random.normal(100, 20)),
                growth_slack=1000.0,
            )
        )
    return found


def simulated_live(
    world: World,
    random: Random,
    tripped: Sequence[PaceJudgement],
    *,
    disturbed: bool,
    planted: bool,
) -> Live:
    """Rounds of both versions side by side; the neighbour is still there."""
    noise = made_up(world.process, 0.02, 0.2 if disturbed else 0.01)
    rounds: dict[tuple[Pace, Any], list[Any]] = {(one.pace, one.quantity): [] for one in tripped}
    left = set(rounds)
    while left:
        for key in left:
            slower = PLANTED if planted and key == (SLOWED, "step") else 0.0
            made = simulated_round(noise, random, len(rounds[key]), slower)
            rounds[key].append(made.tolist())
        left = set(unsettled(rounds, alpha=LIVE_ALPHA)) & left
    compared = [
        Compared(pace=pace, quantity=quantity, rounds=found)
        for (pace, quantity), found in rounds.items()
    ]
    return Live(sides={"old": "old", "new": "new"}, compared=compared)


def stored_paces(name: str, paces: Sequence[PaceResult], *, version: str) -> StoredPaces:
    from support.builders import environment

    of = environment(software={"tensorflow": version})
    return StoredPaces(
        run=name,
        date="",
        reason="",
        numerics=of.numerics,
        machine=of.machine,
        software=of.software,
        paces=list(paces),
    )


# Other rules


def bursts(result: PaceResult) -> Array:
    """Seconds of all bursts of the work."""
    return np.array([sec for block in result.blocks for sec in block.work])


def asv(old: Array, new: Array) -> bool:
    """``asv continuous``: slower by its factor of 1.1, and different by Mann-Whitney at .002
    (``asv_runner.statistics.is_different``)."""
    if np.median(new) <= 1.1 * np.median(old):
        return False
    return bool(stats.mannwhitneyu(old, new, alternative="two-sided").pvalue < 0.002)


def github_action(old: Array, new: Array) -> bool:
    """github-action-benchmark's ``alert-threshold`` of 200 %, of means."""
    return bool(new.mean() > 2 * old.mean())


RULES: Mapping[str, Callable[[Array, Array], bool]] = {
    "mean": mean_5_percent,
    "asv": asv,
    "github": github_action,
}


def print_years(years: int) -> None:
    rows = []
    for world in WORLDS:
        found = [simulated_year(world, np.random.default_rng([n, 1])) for n in range(years)]
        total = Year(*map(sum, zip(*found, strict=True)))
        rows.append((world.name, *(f"{value / years:.1f}" for value in total)))
    head = ("a year of nights", "trips", "false verdicts", "undecided", "new levels")
    rules = ("pytest-benchmark `mean:5%`", "asv (1.1, Mann-Whitney at .002)")
    print(table([*head, *rules, "github-action-benchmark (200 %)"], rows))
    seen = Counter[str]()
    for n in range(years):
        year = simulated_year(World("quiet"), np.random.default_rng([n, 2]), slow_on=0, nights=1)
        seen["trips"] += year.trips > 0
        seen["false"] += year.false > 0
    print(f"A slowdown of 10 %: called slower on {seen['false']} of {years} nights")


# Real nights


class Slowed(Supervisor):
    """Does a tenth more steps than it is asked for, in one pace."""

    def ask(self, request: Any, *, timeout_sec: float) -> Any:
        cell, work = SLOWED.workload
        if isinstance(request, Pace) and request == SLOWED:
            more = msgspec.structs.replace(request, steps=round(request.steps * (1 + PLANTED)))
            answer = super().ask(more, timeout_sec=timeout_sec)
            return msgspec.structs.replace(answer, pace=request)
        if isinstance(request, protocol.Burst) and (request.cell, request.work) == (cell, work):
            steps = round(request.steps * (1 + PLANTED))
            request = msgspec.structs.replace(request, steps=steps)
        return super().ask(request, timeout_sec=timeout_sec)


class Night(msgspec.Struct):
    """A real night as it is kept."""

    planted: bool
    paces: list[PaceResult]
    load: float
    """The machine's mean load over the minute before."""
    total_sec: float = 0.0


def process(*, planted: bool) -> Supervisor:
    data = mnist.load()
    settings = protocol.Settings(
        device="cpu", data=data.fingerprint, cache_dir=str(mnist.cache_directory()), threads=1
    )
    kind = Slowed if planted else Supervisor
    return kind(settings, environment={"CUDA_VISIBLE_DEVICES": "-1"}, name="night")


def real_night(path: Path, *, planted: bool) -> Night:
    """Measured, unless the file is there."""
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=Night)
    load, begin = os.getloadavg()[0], time.monotonic()
    made = process(planted=planted)
    try:
        paces = [made.ask(pace, timeout_sec=TIMEOUT_SEC) for pace in QUICK]
    finally:
        made.close()
    night = Night(planted, paces, load, time.monotonic() - begin)
    path.write_bytes(msgspec.json.encode(night))
    return night


def print_real(folder: Path, stored_count: int, runs: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    stored = [
        stored_paces(
            f"{n}", real_night(folder / f"stored-{n:02}.json", planted=False).paces, version="old"
        )
        for n in range(stored_count)
    ]
    rows, counts = [], Counter[str]()
    for n in range(runs):
        planted = n % 2 == 1
        night = real_night(folder / f"night-{n:02}.json", planted=planted)
        tripped = [one for one in judge(night.paces, stored, {}) if one.open]
        live = real_live(folder / f"live-{n:02}.json", tripped, planted=planted)
        found = judge(night.paces, stored, {}, live=live)
        (step,) = [one for one in found if (one.pace, one.quantity) == (SLOWED, "step")]
        worse = [one for one in found if one.worse]
        right = [one for one in worse if planted and one is step]
        kind = "planted" if planted else "plain"
        counts[f"{kind} nights"] += 1
        counts[f"{kind} trips"] += bool(tripped)
        counts[f"{kind} trips of what is planted"] += step in tripped
        counts[f"{kind} found slower"] += bool(right)
        counts[f"{kind} false verdicts"] += len(worse) > len(right)
        for name, rule in RULES.items():
            alarms = [
                rule(bursts(before), bursts(after)) and not (planted and after.pace == SLOWED)
                for before, after in zip(stored[-1].paces, night.paces, strict=True)
            ]
            counts[f"{kind} false alarms of {name}"] += any(alarms)
            before, after = (
                next(p for p in of if p.pace == SLOWED) for of in (stored[-1].paces, night.paces)
            )
            counts[f"{kind} alarms of {name} in what is planted"] += rule(
                bursts(before), bursts(after)
            )
        verdict = step.live.name if step.live is not None else "-"
        rows.append((n, kind, f"{night.load:.1f}", step.changed, len(tripped), verdict))
    print(table(["night", "", "load", "Model.fit, time of a step", "trips", "side by side"], rows))
    print(table(["what", "nights"], sorted(counts.items())))


def real_live(path: Path, tripped: Sequence[PaceJudgement], *, planted: bool) -> Live | None:
    if tripped and not path.exists():

        def make(side: Side) -> Supervisor:
            return process(planted=planted and side == "new")

        sides: dict[Side, str] = {"old": "old", "new": "new"}
        decide(path, tripped, make, sides=sides, timeout_sec=TIMEOUT_SEC, say=print)
    return read_live(path)


def main(arguments: Sequence[str]) -> None:
    if arguments[:1] == ["years"]:
        print_years(int((*arguments, 20)[1]))
    elif arguments[:1] == ["real"] and len(arguments) > 1:
        numbers = [int(text) for text in arguments[2:]]
        print_real(Path(arguments[1]), (*numbers, 20)[0], (*numbers[1:], 40)[0])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main(sys.argv[1:])
