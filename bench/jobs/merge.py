"""Merging: runs that each measured some cells of one tier, the shards, as one run.

Shards are judged together, since false alarms are controlled over everything that a run tests: only the
union says what the whole tier's verdict is.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import BenchError
from bench.jobs.union import Pool, union_of_plans
from bench.results.environment import Environment
from bench.results.files import make_folder, pretty, read_json, write_atomically
from bench.results.jsonl import cannot_write
from bench.results.plan import Plan
from bench.results.run import ENVIRONMENT, PLAN, StoredRun, read_run
from bench.results.tasks import KINDS


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """One of the runs to merge."""

    path: Path
    plan: Plan
    run: StoredRun | None
    """None if it ended before its first worker had started: there is a plan and nothing else."""


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """The union of shards, as it was written."""

    run: StoredRun
    notes: list[str]
    """What a reader should know: shards with gaps, what two shards measured."""


def merge(paths: Sequence[Path], into: Path) -> Merged:
    """Writes the union of shards as a run of its own; the shards stay as they are.

    Items and checks get the order of the whole tier. A replica, check or copy that two shards measured
    is kept once. A shard with gaps is merged, and what it lacks stays missing.

    Args:
        paths: the shards' folders.
        into: the folder to write, which must not exist. It appears whole or not at all.

    Raises:
        BenchError: a shard is no run or damaged; two of them differ in what makes results comparable;
            two results of one replica differ where bits must be equal; nothing was measured; ``into``
            exists or cannot be written.
    """
    if into.exists():
        raise BenchError(f"{into}: already exists", hint="choose another --run NAME")
    shards = [_read(path) for path in _distinct(paths)]
    measured = [shard.run for shard in shards if shard.run is not None]
    if not any(run.outcomes for run in measured):
        raise BenchError(
            f"{', '.join(str(path) for path in paths)}: nothing was measured there",
            hint="continue them: pytest suites [the same options] --run NAME --resume",
        )
    _refuse_other_plans(shards)
    _refuse_other_environments(measured)
    plan = union_of_plans([shard.plan for shard in shards])
    pool = Pool(plan)
    run = StoredRun(
        path=into,
        plan=plan,
        environment=_environment(measured, into),
        outcomes=pool.unite(measured),
    )
    _write(run)
    return Merged(run=run, notes=[*_gaps(shards), *pool.notes()])


def summary(merged: Merged) -> list[str]:
    """What was merged, in lines for a terminal."""
    run = merged.run
    plan, replicas = run.plan, run.plan.replicas()
    done = sum(key in run.records for key in replicas)
    further = len(run.records) - done
    counts = [
        f"{len(plan.items)} cells",
        f"{done} of {len(replicas)} replicas",
        *([f"{further} further replicas of undecided cells"] if further else []),
        f"{len(run.results)} of {len(plan.checks)} checks",
        f"{len(run.copies)} copies",
        *([f"{len(run.trials)} of {len(plan.trials)} trials"] if plan.trials else []),
    ]
    whole = "a selection of tier" if plan.selected else "all cells of tier"
    return [
        f"{run.path}: {', '.join(counts)}; {whole} {plan.tier}",
        *merged.notes,
        f"next: bench report {run.path}",
    ]


def _distinct(paths: Iterable[Path]) -> list[Path]:
    """A shard that is named twice, by ``latest`` and its name, is one shard."""
    return list({path.resolve(): path for path in paths}.values())


def _read(path: Path) -> Shard:
    plan = read_json(path / PLAN, Plan)
    run = read_run(path, whole=True) if (path / ENVIRONMENT).exists() else None
    return Shard(path=path, plan=plan, run=run)


# What must be the same


def _refuse_other_plans(shards: Sequence[Shard]) -> None:
    first = shards[0]
    hints = {
        "tier": "merge runs of one --tier",
        "device": "merge runs on one --device",
        "seeds": "give all shards the same --seeds, and --all-seeds or not",
        "further": "give all shards the same --seeds, and --all-seeds or not",
        "decide": "give all shards the same --decide, or none",
    }
    for shard in shards[1:]:
        for field, hint in hints.items():
            ours, theirs = getattr(first.plan, field), getattr(shard.plan, field)
            if ours != theirs:
                raise _differs(shard.path / PLAN, field, theirs, first.path / PLAN, ours, hint)


def _refuse_other_environments(runs: Sequence[StoredRun]) -> None:
    first = runs[0]
    hints = {
        "numerics": "results of two environment classes do not belong together: run the shards on "
        "machines of one kind, and merge those of each kind",
        "software": "install the same versions for all shards",
        "data": "train all shards on the same images; `bench data where` tells which they are",
        "run": "run all shards from one commit: definitions of cells may differ",
    }
    for run in runs[1:]:
        found = first.environment.difference(run.environment)
        if found is not None:
            raise _differs(
                run.path / ENVIRONMENT,
                f"{found.part}.{found.key}",
                found.theirs,
                first.path / ENVIRONMENT,
                found.ours,
                hints[found.part],
            )


def _differs(
    file: Path, field: str, value: object, other_file: Path, other: object, hint: str
) -> BenchError:
    return BenchError(f"{file}: {field} is {value!r}, and {other!r} in {other_file}", hint=hint)


# The environment


def _environment(runs: Sequence[StoredRun], into: Path) -> Environment:
    """The first shard's, but for its machine where they differ, and for what was done when."""
    first = runs[0].environment
    machines = [run.environment.machine for run in runs]
    keys = dict.fromkeys(key for machine in machines for key in machine)
    shards: list[dict[str, Any]] = []
    for shard in (shard for run in runs for shard in _shards(run)):
        if shard not in shards:
            shards.append(shard)
    seconds = [shard["total_sec"] for shard in shards]
    workers = [str(run.environment.run.get("workers", "")) for run in runs]
    return msgspec.structs.replace(
        first,
        machine={key: _joined(machine.get(key, "") for machine in machines) for key in keys},
        run={
            **{key: first.run[key] for key in ("tier", "commit") if key in first.run},
            "command": " ".join(
                ["bench merge", *(str(run.path) for run in runs), f"--run {into.name}"]
            ),
            "started": min((shard["started"] for shard in shards if shard["started"]), default=""),
            "dirty": _joined_dirty(runs),
            "workers": str(sum(map(int, workers))) if all(map(str.isdigit, workers)) else "",
            "total_sec": round(sum(seconds), 1),
            "longest_sec": max(seconds),
            "shards": shards,
        },
    )


def _shards(run: StoredRun) -> list[dict[str, Any]]:
    """What is kept of each shard; those of a run that was merged itself are taken apart again."""
    about = run.environment.run
    if "shards" in about:
        return list(about["shards"])
    return [
        {
            "run": run.path.name,
            "command": about.get("command", ""),
            "started": str(about.get("started", "")),
            "total_sec": float(about.get("total_sec", 0.0)),
            "machine": run.environment.machine,
        }
    ]


def _joined(values: Iterable[str]) -> str:
    return "; ".join(sorted(set(values)))


def _joined_dirty(runs: Sequence[StoredRun]) -> str:
    """``true`` if any shard ran from uncommitted code, else what the first one says."""
    dirty = [str(run.environment.run.get("dirty", "false")) for run in runs]
    return "true" if "true" in dirty else dirty[0]


# What is missing, and writing


def _gaps(shards: Iterable[Shard]) -> list[str]:
    notes = []
    for shard in shards:
        outcomes = shard.run.outcomes if shard.run else {}
        parts = []
        for kind in KINDS:
            planned = [task for task in shard.plan.tasks() if type(task) is kind.task]
            lacking = [task for task in planned if task not in outcomes]
            if lacking:
                parts.append(
                    f"{len(lacking)} of {len(planned)} {kind.plural}, the first of them "
                    f"{lacking[0].title(shard.plan.names())}"
                )
        if parts:
            notes.append(f"{shard.path} is incomplete: it lacks {'; and '.join(parts)}")
    return notes


def _write(run: StoredRun) -> None:
    """Writes all files into a folder beside the run's and gives it the run's name at the end."""
    make_folder(run.path.parent)
    temporary = run.path.with_name(f".{run.path.name}.{os.getpid()}")
    files = {
        ENVIRONMENT: pretty(run.environment),
        **{kind.file: b"".join(map(kind.encode, kind.of(run.outcomes).values())) for kind in KINDS},
        PLAN: pretty(run.plan),
    }
    try:
        for name, content in files.items():
            write_atomically(temporary / name, content)
        try:
            os.replace(temporary, run.path)
        except OSError as error:
            raise cannot_write(run.path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
