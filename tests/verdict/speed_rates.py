"""How often a slowdown is seen, and how often one that is not there.

    python tests/verdict/speed_rates.py FOLDER [RUNS [ENGINE,...]]
    python tests/verdict/speed_rates.py biases

The first makes RUNS real runs without and RUNS with a slowdown of 3 % that is planted in the first
engine, as far as FOLDER does not yet hold them (each takes a few minutes and needs the machine for
itself), and prints as Markdown what is concluded from all runs of FOLDER, beside what common rules
conclude from the same bursts; the noise of the machine as these bursts show it; and rates in simulated
runs with that noise, and with others. The second prints the last of these alone: the table of
docs/verdicts.md.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from pytest_benchmark.utils import PercentageRegressionCheck
from scipy import stats

from bench import mnist
from bench.cells.cell import Cell
from bench.execution import interleave, protocol
from bench.execution.interleave import PROCESSES, block_order
from bench.execution.supervisor import Supervisor
from bench.jobs.workloads import WORKLOADS as TIERS
from bench.jobs.workloads import next_round
from bench.results.timings import Side, Timings, Workload
from bench.verdict.speed import MARGIN, Speed, judge, log_ratios, unsettled

Array = npt.NDArray[np.float64]
Random = np.random.Generator

PLANTED = 0.03
#: Engines of a real run, unless others are named.
ENGINES = ("in_graph", "function", "xla")
#: Workloads of a simulated run; the slowdown is planted in the first.
WORKLOADS = 5
TIMEOUT_SEC = 300.0
#: Of a real run: what an upgrade check may take in all.
LIMIT_SEC = 600.0
#: Of a simulated round of the quick tier: to start its processes, and for each workload.
START_SEC, WORK_SEC = 2.5, 12.5


# Noise


class Noise(NamedTuple):
    """What makes times of identical code differ, on the logarithmic scale."""

    bias: float
    """Standard deviation of a process' own."""
    shape: str
    """Of its distribution: ``normal``, ``t3``, ``two states`` or ``disturbed``."""
    blocks: Array
    """Blocks' deviations of bursts in the order of time, shape (any number, 8), from which a
    simulated block is drawn whole."""


def made_up(bias: float, burst: float, spikes: float, shape: str = "normal") -> Noise:
    """Independent bursts; a share ``spikes`` of them takes up to half as long again."""
    random = np.random.default_rng(5)
    size = (4000, 2 * len(PROCESSES))
    extra = np.log1p(0.5 * random.random(size)) * (random.random(size) < spikes)
    return Noise(bias, shape, burst * random.normal(size=size) + extra)


def fitted(rounds: Iterable[tuple[int, Any]]) -> Noise:
    """The noise of real rounds of one workload: each one's number in its run, and seconds of shape
    (blocks, 4, 2), with a slowdown or without.

    The variance of a process' own bias is half the covariance of a same-side log ratio in the even
    blocks with that in the odd blocks of the round, as only the bias is in both. A burst deviates from
    its process' median and its block's mean; that the median is made of the same b blocks shrinks
    deviations by about sqrt(1 - 1/b), which is made up for.
    """
    products, blocks = [], []
    for number, measured in rounds:
        seconds = np.asarray(measured, float)
        halves = [log_ratios(seconds[None, start::2])[1] for start in (0, 1)]
        products.append(halves[0] * halves[1])
        log = np.log(seconds)
        log = log - log.mean(axis=(1, 2), keepdims=True)
        log = log - np.median(log.mean(axis=2), axis=0)[None, :, None]
        log /= np.sqrt(1 - 1 / len(log))
        for block, values in enumerate(log):
            turns = block_order(number + block)
            blocks.append([values[place, turn // 4] for turn, place in enumerate(turns)])
    return Noise(float(np.sqrt(max(0.0, np.mean(products) / 2))), "normal", np.array(blocks))


def draw_bias(noise: Noise, random: Random) -> Array:
    """Of each of the processes of a round."""
    size = len(PROCESSES)
    if noise.shape == "t3":
        return noise.bias * random.standard_t(3, size) / np.sqrt(3)
    if noise.shape == "two states":  # one process in four is slow
        return noise.bias * ((random.random(size) < 0.25) - 0.25) / np.sqrt(0.1875)
    disturbed = 0.3 * (random.random(size) < 1 / 16) if noise.shape == "disturbed" else 0.0
    return np.asarray(noise.bias * random.normal(size=size) + disturbed)


def simulated_round(noise: Noise, random: Random, number: int, slowdown: float) -> Array:
    """Seconds, shape (blocks, 4, 2), with ``log1p(slowdown)`` added on the new side."""
    log = np.zeros((interleave.BLOCKS, len(PROCESSES), 2))
    drawn = noise.blocks[random.integers(len(noise.blocks), size=interleave.BLOCKS)]
    for block, values in enumerate(drawn):
        for turn, place in enumerate(block_order(number + block)):
            log[block, place, turn // len(PROCESSES)] = values[turn]
    log += draw_bias(noise, random)[None, :, None]
    log[:, 1::2] += np.log1p(slowdown)
    return np.asarray(interleave.BURST_SEC * np.exp(log))


def simulated_run(
    noise: Noise, random: Random, *, slowdown: float, workloads: int = WORKLOADS
) -> tuple[dict[int, list[Array]], dict[int, Speed]]:
    """Rounds and conclusions of a run; the slowdown is in workload 0."""
    rounds: dict[int, list[Array]] = {key: [] for key in range(workloads)}
    left = set(rounds)
    while left:
        for key in left:
            change = 0.0 if key else slowdown
            rounds[key].append(simulated_round(noise, random, len(rounds[key]), change))
        left = set(unsettled(rounds)) & left
    return rounds, judge(rounds)


def quick_run(noise: Noise, random: Random, *, slowdown: float) -> tuple[dict[int, Speed], float]:
    """Conclusions of a check in the quick tier, which has its limits of time, and its seconds."""
    workloads, limit_sec = TIERS["quick"]
    found = {workload: Timings(workload=workload) for workload in workloads}
    left = list(found)
    total_sec = 0.0
    while left:
        for workload in left:
            one = found[workload]
            change = slowdown if workload is workloads[0] else 0.0
            measured = simulated_round(noise, random, len(one.rounds), change)
            one.rounds = [*one.rounds, measured.tolist()]
        round_sec = START_SEC + WORK_SEC * len(left)
        total_sec += round_sec
        wanted = next_round(found, total_sec + round_sec, limit_sec=limit_sec)
        left = [workload for workload in left if workload in wanted]
    judged = judge(rounds_of(found))
    return {key: judged[workload] for key, workload in enumerate(workloads)}, total_sec


class Rates(NamedTuple):
    """Counts over simulated runs."""

    runs: int
    seen: int
    """Runs in which workload 0 is slower."""
    alarms: int
    """Runs in which any other workload is slower (or 0, without a slowdown)."""
    at_first: int
    """Workloads that are decided at the first margin; those that are slower are."""
    undecided: int
    """Workloads."""
    open_runs: int
    """Runs with an undecided workload, and none that is slower."""
    wrong_same: int
    """Runs in which workload 0 is the same, or not slower, at the first margin, though it is slower by
    that."""
    wider_same: int
    """Runs in which it is so at another margin, which is no error, and does not show the slowdown."""
    missed: int
    """Runs with a ratio that is not in its interval."""
    restarts: float
    """Mean of workloads."""
    sec: float
    """Mean of runs of the quick tier; 0 of others."""


def rates(
    noise: Noise, runs: int, slowdown: float, workloads: int = WORKLOADS, *, quick: bool = False
) -> Rates:
    """Counts over runs of the same noise: of so many workloads until nothing can be decided any more,
    or of checks of the quick tier."""
    counts: Counter[str] = Counter()
    restarts: list[int] = []
    total_sec = 0.0
    for run in range(runs):
        random = np.random.default_rng([run, round(1e4 * slowdown)])
        if quick:
            judged, sec = quick_run(noise, random, slowdown=slowdown)
            total_sec += sec
        else:
            _, judged = simulated_run(noise, random, slowdown=slowdown, workloads=workloads)
        slower = {key for key, speed in judged.items() if speed.verdict == "slower"}
        open_ = [speed for speed in judged.values() if speed.verdict == "undecided"]
        passed = slowdown > 0 and judged[0].verdict in ("same", "not slower")
        fine = judged[0].margin == MARGIN
        truth = {key: 1.0 if key else 1 + slowdown for key in judged}
        counts["seen"] += 0 in slower
        counts["alarms"] += bool(slower - ({0} if slowdown else set()))
        counts["at_first"] += sum(
            speed.verdict != "undecided" and speed.margin == MARGIN for speed in judged.values()
        )
        counts["undecided"] += len(open_)
        counts["open_runs"] += bool(open_ and not slower)
        counts["wrong_same"] += passed and fine
        counts["wider_same"] += passed and not fine
        counts["missed"] += any(
            not speed.ratio.low <= truth[key] <= speed.ratio.high for key, speed in judged.items()
        )
        restarts += [speed.restarts for speed in judged.values()]
    counted = {name: counts[name] for name in Rates._fields[1:-2]}
    return Rates(
        runs=runs, **counted, restarts=float(np.mean(restarts)), sec=total_sec / max(runs, 1)
    )


# Real runs


class Slowed(Supervisor):
    """Does 3 % more steps than it is asked for, in one engine."""

    engine = ""

    def ask(self, request: Any, *, timeout_sec: float) -> Any:
        if request.cell.engine == self.engine:
            steps = round(request.steps * (1 + PLANTED))
            request = msgspec.structs.replace(request, steps=steps)
        return super().ask(request, timeout_sec=timeout_sec)


class Run(msgspec.Struct):
    """A real run as it is stored."""

    planted: bool
    timings: list[Timings]
    total_sec: float
    load: float
    """The machine's mean load over the last minute before the run."""


def real_run(engines: Sequence[str], *, planted: bool) -> Run:
    """The same environment on both sides."""
    data = mnist.load()
    settings = protocol.Settings(
        device="cpu", data=data.fingerprint, cache_dir=str(mnist.cache_directory()), threads=0
    )

    def make(side: Side) -> Supervisor:
        kind = Slowed if planted and side == "new" else Supervisor
        made = kind(settings, environment={"CUDA_VISIBLE_DEVICES": "-1"}, name=side)
        if isinstance(made, Slowed):
            made.engine = engines[0]
        return made

    cells = [Cell(depth=3, learning_rate=0.01, engine=engine) for engine in engines]
    begin, load = time.monotonic(), os.getloadavg()[0]
    found = interleave.measure(
        [Workload(cell, "training") for cell in cells],
        make,
        go_on=lambda timings, ends_sec: (
            unsettled(rounds_of(timings)) if ends_sec <= LIMIT_SEC else ()
        ),
        timeout_sec=TIMEOUT_SEC,
    )
    return Run(planted, list(found.values()), time.monotonic() - begin, load)


def rounds_of(timings: Mapping[Workload, Timings]) -> dict[Workload, Sequence[Any]]:
    return {workload: timing.rounds for workload, timing in timings.items()}


def real_runs(folder: Path, number: int, engines: Sequence[str]) -> list[Run]:
    """Those that the folder holds, after it has been filled up to ``number`` of each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    for run in range(number):
        for name, planted in (("plain", False), ("planted", True)):
            path = folder / f"{name}-{run:02}.json"
            if not path.exists():
                path.write_bytes(msgspec.json.encode(real_run(engines, planted=planted)))
    decoder = msgspec.json.Decoder(Run)
    return [decoder.decode(path.read_bytes()) for path in sorted(folder.glob("*.json"))]


# Other rules


def mean_5_percent(old: Array, new: Array) -> bool:
    """``--benchmark-compare-fail=mean:5%``, by pytest-benchmark's own code."""
    check = PercentageRegressionCheck("mean", 5.0)
    return bool(check.fails({"mean": float(new.mean())}, {"mean": float(old.mean())}))


def mann_whitney(old: Array, new: Array) -> bool:
    """Different at .05, and slower."""
    test = stats.mannwhitneyu(old, new, alternative="two-sided")
    return bool(test.pvalue < 0.05 and np.median(new) > np.median(old))


RULES: Mapping[str, Callable[[Array, Array], bool]] = {
    "pytest-benchmark's `mean:5%`": mean_5_percent,
    "Mann-Whitney at .05": mann_whitney,
}


def samples(rounds: Array, *, pooled: bool) -> tuple[Array, Array]:
    """Bursts of both sides: of all processes, or of the first of each, which is what two runs of
    pytest-benchmark compare, here without the drift between such runs."""
    if pooled:
        return rounds[:, :, 0::2].ravel(), rounds[:, :, 1::2].ravel()
    return rounds[0, :, 0].ravel(), rounds[0, :, 1].ravel()


class Counts(NamedTuple):
    """Over runs with and without a planted slowdown."""

    seen: int = 0
    seen_of: int = 0
    plain: int = 0
    """Alarms in runs without one."""
    plain_of: int = 0
    alarms: int = 0
    """False ones in all runs."""
    alarms_of: int = 0


def conclusions(runs: Sequence[tuple[bool, Sequence[Array], set[int]]]) -> dict[str, Counts]:
    """What each rule concludes.

    Args:
        runs: whether a slowdown was planted in workload 0, the rounds of each workload, and which of
            them this suite calls slower.
    """
    counted: dict[str, Counts] = {}

    def count(rule: str, slower: set[int], planted: bool) -> None:
        before = counted.get(rule, Counts())
        counted[rule] = Counts(
            before.seen + (planted and 0 in slower),
            before.seen_of + planted,
            before.plain + (not planted and bool(slower)),
            before.plain_of + (not planted),
            before.alarms + bool(slower - ({0} if planted else set())),
            before.alarms_of + 1,
        )

    for planted, workloads, found in runs:
        count("`bench upgrade`", found, planted)
        for pooled, text in ((True, "all processes"), (False, "one process a side")):
            for name, rule in RULES.items():
                slower = {
                    key
                    for key, rounds in enumerate(workloads)
                    if rule(*samples(rounds, pooled=pooled))
                }
                count(f"{name}, {text}", slower, planted)
    return counted


# Tables


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def print_conclusions(counted: Mapping[str, Counts]) -> None:
    rows = [
        (rule, *(f"{hits} of {runs}" for hits, runs in zip(found[::2], found[1::2], strict=True)))
        for rule, found in counted.items()
    ]
    head = ["rule", "planted slowdown seen", "runs without one, alarm", "all runs, false alarm"]
    print(table(head, rows))


def print_real(runs: Sequence[Run]) -> None:
    judged, rows = [], []
    for run in runs:
        found = judge(rounds_of({one.workload: one for one in run.timings}))
        slower = set()
        for key, one in enumerate(run.timings):
            speed = found[one.workload]
            if speed.verdict == "slower":
                slower.add(key)
            steps = round(one.steps * (1 + PLANTED)) if run.planted and not key else one.steps
            rows.append(
                (
                    one.workload.cell.engine,
                    f"{steps / one.steps - 1:.1%}",
                    f"{speed.ratio}",
                    speed.verdict,
                    f"{speed.floor}",
                    " / ".join(f"{spread:.1%}" for spread in speed.spread),
                    speed.restarts,
                    f"{run.total_sec:.0f}",
                    f"{run.load:.1f}",
                )
            )
        rounds = [np.asarray(one.rounds, float) for one in run.timings]
        judged.append((run.planted, rounds, slower))
    head = ["engine", "planted", "new / old", "verdict", "floor", "processes differ by (old / new)"]
    print("### Real runs, the same environment on both sides\n")
    print(table([*head, "restarts", "s a run", "load before"], rows))
    print_conclusions(conclusions(judged))


def print_agreement(runs: Sequence[Run]) -> None:
    """Restarts count as independent. Do two of one round agree more than those of two rounds?"""
    products: list[float] = []
    squares: list[float] = []
    for run in runs:
        for one in run.timings:
            between = log_ratios(np.asarray(one.rounds, float))[0]
            between = between - between.mean()
            between /= max(float(between.std()), 1e-12)  # a noisy workload weighs no more
            products += list(between.prod(axis=1))
            squares += list((between**2).ravel())
    found, error = np.mean(products) / np.mean(squares), 1 / np.sqrt(len(products))
    print(
        f"Correlation of the two restarts of a round: {found:+.2f}, standard error {error:.2f}.\n"
    )


def noises(runs: Sequence[Run]) -> dict[str, Noise]:
    """Fitted to each engine's rounds in all runs, and made up."""
    found = {}
    engines = dict.fromkeys(one.workload.cell.engine for run in runs for one in run.timings)
    for engine in engines:
        rounds = [
            (number, measured)
            for run in runs
            for one in run.timings
            for number, measured in enumerate(one.rounds)
            if one.workload.cell.engine == engine
        ]
        found[f"fitted to {engine}"] = fitted(rounds)
    return found | MADE_UP


#: Quiet: eight restarts then have a standard error of .5 %, as was measured here on the idle machine.
MADE_UP: Mapping[str, Noise] = {
    "quiet": made_up(0.008, 0.015, 0.05),
    "biases of 2 %": made_up(0.02, 0.02, 0.05),
    "biases of 4 %": made_up(0.04, 0.02, 0.05),
    "biases of 2 %, heavy tails": made_up(0.02, 0.02, 0.05, "t3"),
    "biases of 2 %, two states": made_up(0.02, 0.02, 0.05, "two states"),
    "bursts of 5 %, a fifth disturbed": made_up(0.008, 0.05, 0.2),
    "one process in 16 disturbed": made_up(0.008, 0.02, 0.05, "disturbed"),
}


def simulated_conclusions(noise: Noise, runs: int) -> dict[str, Counts]:
    """So many simulated runs with a slowdown, and so many without, by all rules."""
    judged = []
    for run in range(2 * runs):
        planted = run % 2 == 1
        random = np.random.default_rng([run, 77])
        rounds, found = simulated_run(noise, random, slowdown=PLANTED * planted)
        slower = {key for key, speed in found.items() if speed.verdict == "slower"}
        judged.append((planted, [np.array(measured) for measured in rounds.values()], slower))
    return conclusions(judged)


def print_simulated(found: Mapping[str, Noise], runs: int) -> None:
    rows = []
    for name, noise in found.items():
        slow, none = rates(noise, runs, PLANTED), rates(noise, runs, 0.0)
        share = none.undecided / (runs * WORKLOADS)
        rows.append(
            (
                name,
                f"{noise.bias:.1%}",
                f"{stats.iqr(noise.blocks) / 1.349:.1%}",
                f"{slow.seen / runs:.1%}",
                f"{slow.wrong_same / runs:.1%}",
                f"{none.alarms / runs:.1%}",
                f"{share:.1%}",
                f"{slow.restarts:.1f}",
            )
        )
    print(f"### {runs} simulated runs of {WORKLOADS} workloads, a slowdown of 3 % in one or none\n")
    head = [
        "noise",
        "bias of a process",
        "a burst",
        "seen",
        "called the same",
        "runs with an alarm",
    ]
    print(table([*head, "undecided workloads", "restarts"], rows))


def biases(runs: int) -> list[list[str]]:
    """What becomes of checks in the quick tier on machines whose processes differ by so much: rows of
    a table, its head first."""
    head = ["bias of a process", "rule", "workloads decided at 2 %", "at 5 %", "undecided"]
    head += ["answers undecided", "false alarms", "3 % seen", "passed at 2 %", "passed at 5 %"]
    rows = [[*head, "intervals miss", "seconds"]]
    for bias in (0.01, 0.02, 0.03, 0.05):
        noise = made_up(bias, 0.02, 0.05)
        none, slow = (rates(noise, runs, slowdown, quick=True) for slowdown in (0.0, PLANTED))
        workloads = runs * len(TIERS["quick"][0])
        wider = workloads - none.at_first - none.undecided
        shares = [
            *(count / workloads for count in (none.at_first, wider, none.undecided)),
            *(count / runs for count in (none.open_runs, none.alarms)),
            *(count / runs for count in (slow.seen, slow.wrong_same, slow.wider_same)),
            *((none.missed + slow.missed) / (2 * runs),),
        ]
        rows.append(
            [f"{bias:.0%}", "now", *(f"{share:.1%}" for share in shares), f"{none.sec:.0f}"]
        )
    return rows


def print_biases(runs: int) -> None:
    print(f"### {runs} simulated checks of the quick tier, with a slowdown of 3 % and with none\n")
    head, *rows = biases(runs)
    print(table(head, rows))


def main() -> None:
    if sys.argv[1:] == ["biases"]:
        return print_biases(200)
    folder, number = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    engines = sys.argv[3].split(",") if len(sys.argv) > 3 else ENGINES
    runs = real_runs(folder, number, engines)
    if runs:
        print_real(runs)
        print_agreement(runs)
    print_simulated(noises(runs), 1000)
    print("### Simulated runs with the noise 'quiet', by all rules\n")
    print_conclusions(simulated_conclusions(MADE_UP["quiet"], 200))
    return print_biases(200)


if __name__ == "__main__":
    main()
