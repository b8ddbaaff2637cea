"""Trials of published experiments on a real local cluster, with processes that fail as told."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.cells.cell import Cell
from bench.execution.schedule import Schedule
from bench.jobs.merge import merge, summary
from bench.published.experiments import EXPERIMENTS
from bench.results.plan import Plan
from bench.results.record import Replica
from bench.results.run import read_run
from bench.results.trial import TRIALS, Trial
from support import faults
from support.executed import execute, plan


def trial(seed: int = 0, *, fault: int = 1) -> Trial:
    """P3's, whose batch tells the stand-in what to do."""
    sound = EXPERIMENTS["P3"].trials("quick")[0]
    recipe = msgspec.structs.replace(sound.recipe, batch=fault)
    return msgspec.structs.replace(sound, seed=seed, recipe=recipe)


def with_trials(the_plan: Plan, *trials: Trial) -> Plan:
    return msgspec.structs.replace(the_plan, trials=list(trials))


@pytest.mark.usefixtures("faulty")
def test_trials_run_beside_replicas_and_survive_faults(
    tmp_path: Path, image_cache: tuple[Path, str]
) -> None:
    """One that aborts and one that raises are outcomes with their trial; all others are done."""
    trials = [trial(0), trial(1, fault=faults.ABORT), trial(2, fault=faults.RAISE), trial(3)]
    watcher = execute(tmp_path / "run", with_trials(plan(10), *trials), image_cache)
    found = read_run(tmp_path / "run").trials
    assert set(found) == set(trials)
    assert len(watcher.finished_tasks) == 3 + 4
    assert [found[each].outcome for each in trials] == ["trained", "crashed", "crashed", "trained"]
    crashes = [crash.reason for each in trials if (crash := found[each].crash)]
    assert crashes == ["signal", "exception"]
    assert found[trials[0]].data == image_cache[1]


@pytest.mark.usefixtures("faulty")
def test_resume_runs_only_trials_that_are_missing(
    tmp_path: Path, image_cache: tuple[Path, str]
) -> None:
    """Half a line at the end of the file is trained again, the rest is kept."""
    the_plan = with_trials(plan(10, seeds=1), trial(0), trial(1), trial(2))
    execute(tmp_path / "run", the_plan, image_cache)
    path = tmp_path / "run" / TRIALS.file
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:80])
    watcher = execute(tmp_path / "run", the_plan, image_cache, resume=True)
    assert len(watcher.finished_tasks) == 1
    assert path.read_bytes().splitlines(keepends=True)[:2] == lines[:2]
    assert {result.trial for result in TRIALS.read(path)} == set(the_plan.trials)


@pytest.mark.usefixtures("faulty")
def test_shards_of_trials_are_merged(tmp_path: Path, image_cache: tuple[Path, str]) -> None:
    """In the order of the plan; what a shard lacks is said."""
    trials = EXPERIMENTS["P3"].trials("quick")
    for name, part in (("a", trials[2:]), ("b", trials[:2])):
        the_plan = with_trials(plan(seeds=1), *part)
        execute(tmp_path / name, the_plan, image_cache)
    (tmp_path / "b" / TRIALS.file).write_bytes(
        (tmp_path / "b" / TRIALS.file).read_bytes().splitlines(keepends=True)[0]
    )
    merged = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "union")
    assert merged.run.plan.trials == trials
    assert read_run(tmp_path / "union").trials == merged.run.trials
    assert len(merged.run.trials) == len(trials) - 1
    told = "\n".join(summary(merged))
    assert f"{len(trials) - 1} of {len(trials)} trials" in told
    assert "lacks 1 of 2 trials, the first of them P3/batch norm/keras/seed" in told


def test_trials_come_behind_graphs_and_before_checks() -> None:
    """The dearest first, so that a long one is not left for the end; a lost one comes back."""
    long, short = EXPERIMENTS["P2"].trials("full")[0], EXPERIMENTS["P5"].trials("quick")[0]
    assert long.cost > 100 * short.cost
    schedule = Schedule([short, Replica(Cell(), 0), long])
    assert len(schedule) == 3
    assert [schedule.next(worker) for worker in "aab"] == [Replica(Cell(), 0), long, short]
    schedule.put_back(long)
    assert schedule.next("b") == long
    assert len(schedule) == 0
    assert long.id == "P2/w = 0.0001/keras/seed 0"


def test_a_worker_keeps_its_program() -> None:
    """Seeds of one program are trained where its graph was traced; in the end all help."""
    trials = [t for t in EXPERIMENTS["P5"].trials("quick") if t.form == "keras"]
    schedule = Schedule(trials)
    handed = {worker: [schedule.next(worker) for _ in range(3)] for worker in "ab"}
    for got in handed.values():
        assert len({trial.variant for trial in got if isinstance(trial, Trial)}) == 1
    left = [schedule.next(worker) for worker in "aba"]
    everything = [*handed["a"], *handed["b"], *left]
    assert sorted(map(repr, everything)) == sorted(map(repr, trials))
