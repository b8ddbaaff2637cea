"""How often wolf is cried on real runs: trainings that differ in nothing but seeds, or in rounding.

    python tests/verdict/real_comparisons.py FOLDER

trains what FOLDER does not yet hold (half an hour on two cores), compares every pair of seed sets and
every pair of roundings, and prints the table in docs/error-rates.md.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from bench import mnist
from bench.cells.grids import GRIDS
from bench.execution import protocol
from bench.execution.supervisor import Supervisor
from bench.results.copy_result import Copy
from bench.results.environment import Environment
from bench.results.plan import Item, Plan
from bench.results.run import ENVIRONMENT, StoredRun, read_run
from bench.results.writer import RunWriter
from bench.verdict.baselines.samples import baseline_from_run
from bench.verdict.judgement import Judgement
from bench.verdict.ladder import ALPHA, judge

#: Every fifth cell of the quick tier without the deepest, which take most of the time.
DEEPEST, EVERY = 10, 5
SEEDS, SETS = 3, 14
#: Enough for the 29 cells; see :func:`bench.verdict.envelope.copies_needed`.
COPIES = 5

#: Name -> engine, and variables of the training process. All compute the same in another order.
ROUNDINGS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "in_graph": ("in_graph", {}),
    "no oneDNN": ("in_graph", {"TF_ENABLE_ONEDNN_OPTS": "0"}),
    "AVX2": ("in_graph", {"ONEDNN_MAX_CPU_ISA": "AVX2"}),
    "AVX": ("in_graph", {"ONEDNN_MAX_CPU_ISA": "AVX"}),
    "SSE4.1": ("in_graph", {"ONEDNN_MAX_CPU_ISA": "SSE41"}),
    "XLA": ("xla", {}),
    "XLA, SSE4.2": ("xla", {"XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2"}),
}


def items() -> list[Item]:
    """The cells, one grid each."""
    found = {
        cell: Item(grid=grid.name, id=id_, cell=cell)
        for grid in GRIDS.values()
        for id_, cell in grid.cells("quick").items()
        if cell.depth <= DEEPEST and not cell.dropout
    }
    ordered = sorted(found.values(), key=lambda item: (repr(item.cell.graph()), item.id))
    return ordered[::EVERY]


def train(
    path: Path, seeds: range, copies: int, engine: str, variables: Mapping[str, str]
) -> StoredRun:
    """A run of all cells in one training process; continues what is there."""
    plan = Plan(tier="quick", device="cpu", seeds=list(seeds), items=items(), selected=True)
    data = mnist.load()
    settings = protocol.Settings(
        device="cpu", data=data.fingerprint, cache_dir=str(mnist.cache_directory())
    )
    environment = {"CUDA_VISIBLE_DEVICES": "-1", **variables}
    supervisor = Supervisor(settings, environment=environment, name=path.name)
    with RunWriter(path, plan, resume=path.exists()) as writer:
        asked = (
            Copy(cell=replica.cell, seed=replica.seed, number=number)
            for replica in plan.replicas()
            for number in range(copies)
        )
        missing = [*writer.missing(), *(copy for copy in asked if copy not in writer.outcomes)]
        if missing:
            ready = supervisor.start()
            if not (path / ENVIRONMENT).exists():
                writer.write_environment(
                    Environment(
                        numerics=ready.numerics,
                        software=ready.software,
                        machine=ready.machine,
                        data={"name": data.name, "fingerprint": data.fingerprint},
                    )
                )
        for task in missing:
            cell = msgspec.structs.replace(task.cell, engine=engine)
            outcome = supervisor.do(msgspec.structs.replace(task, cell=cell), timeout_sec=300)
            known = {"copy": task} if isinstance(task, Copy) else {"cell": task.cell}
            writer.append(msgspec.structs.replace(outcome, **known))
    supervisor.close()
    return read_run(path)


def part(run: StoredRun, seeds: range) -> StoredRun:
    """Some of a run's seeds as a run of their own."""
    plan = msgspec.structs.replace(run.plan, seeds=list(seeds))
    outcomes = {replica: r for replica, r in run.records.items() if replica.seed in seeds}
    return msgspec.structs.replace(run, plan=plan, outcomes=outcomes)


def compared(before: StoredRun, after: StoredRun) -> list[Judgement]:
    """All cells of one comparison, as if both were of one environment class."""
    same = msgspec.structs.replace(before, environment=after.environment)
    return judge(after, baseline_from_run(same))


def comparisons(folder: Path) -> Iterator[tuple[str, str, list[Judgement]]]:
    """Kind, name and judgements of every comparison."""
    jobs = {
        "seeds": (folder / "seeds", range(SEEDS * SETS), 0, "in_graph", {}),
        **{
            name: (folder / name.replace(" ", "-"), range(SEEDS), COPIES, *how)
            for name, how in ROUNDINGS.items()
        },
    }
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = dict(zip(jobs, pool.map(lambda job: train(*job), jobs.values()), strict=True))
    sets = [part(runs["seeds"], range(SEEDS * n, SEEDS * (n + 1))) for n in range(SETS)]
    for (i, before), (j, after) in itertools.combinations(enumerate(sets), 2):
        yield "seed set", f"set {i} and {j}", compared(before, after)
    for before_name, after_name in itertools.combinations(ROUNDINGS, 2):
        found = compared(runs[before_name], runs[after_name])
        yield "rounding", f"{before_name} and {after_name}", found


def main() -> None:
    folder = Path(sys.argv[1])
    number: Counter[str] = Counter()
    alarmed: Counter[str] = Counter()
    cells: dict[str, Counter[str]] = {}
    paths = strays = 0
    for kind, name, judgements in comparisons(folder):
        verdicts = Counter(judgement.verdict.value for judgement in judgements)
        number[kind] += 1
        cells.setdefault(kind, Counter()).update(verdicts)
        bad = [j for j in judgements if j.verdict.value in ("regressed", "changed")]
        alarmed[kind] += bool(bad)
        for judgement in bad:
            print(f"{kind}, {name}: {judgement.item.id}: {judgement.reason}", file=sys.stderr)
        tests = [j.envelope for j in judgements if j.envelope is not None]
        paths += sum(test.seeds for test in tests)
        strays += sum(test.strays for test in tests)
    headers = ("runs that differ only in", "comparisons", "cells each")
    headers += ("with `regressed` or `changed`", "nominal", "verdicts")
    print(f"| {' | '.join(headers)} |\n|:--|--:|--:|--:|--:|:--|")
    for kind, total in number.items():
        each = sum(cells[kind].values()) // total
        told = ", ".join(f"{count} {name}" for name, count in cells[kind].most_common())
        print(f"| {kind} | {total} | {each} | {alarmed[kind]} | {ALPHA * total:.1f} | {told} |")
    print(f"\n{paths - strays} of {paths} trajectories inside the envelope", file=sys.stderr)


if __name__ == "__main__":
    main()
