"""Frames of runs, baselines and conclusions."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import bench
from bench.cells.cell import AXES, Cell
from bench.errors import BenchError
from bench.frames.frame import CELLS, NUMBERS, REPLICAS, of_cells, of_run, of_sides
from bench.frames.pivot import VALUES, pivot
from bench.results.run import StoredRun
from bench.verdict.baselines.folder import write_baseline
from bench.verdict.baselines.samples import baseline_from_run
from bench.verdict.conclusion import Conclusion, against_baseline, between
from support.builders import CLASS, diverged, items, plan, replaced, stored, trained, write

CELLS_OF_GRID = [
    Cell(depth=depth, activation=activation, steps=200)
    for depth in (1, 3)
    for activation in ("relu", "tanh")
]
ITEMS = items("depth", CELLS_OF_GRID, ("depth", "act"))


def a_run(
    *, accuracy: float = 0.94, salt: str = "", seeds: tuple[int, ...] = (0, 1, 2)
) -> StoredRun:
    """Every cell under every seed; tanh at depth 3 diverges under seed 0."""
    records = [
        diverged(item.cell, seed)
        if (item.cell.depth, item.cell.activation, seed) == (3, "tanh", 0)
        else trained(item.cell, seed, accuracy=accuracy, spread=0.0, salt=salt)
        for item in ITEMS
        for seed in seeds
    ]
    return stored(plan(ITEMS, seeds=seeds), records)


def compared() -> Conclusion:
    """Two sides of which the second has seed 0 and 1 alone, other bits and half the accuracy."""
    return between(a_run(), a_run(accuracy=0.47, salt="x", seeds=(0, 1)))


def test_a_row_is_a_replica_with_its_axes_and_metrics() -> None:
    """Axes have their names in ids and numbers are numbers; what diverged has no accuracy."""
    frame = of_run(a_run())
    assert tuple(frame.columns) == REPLICAS
    assert len(frame) == 12
    assert set(frame["depth"]) == {1, 3}
    row = frame[(frame["depth"] == 3) & (frame["act"] == "tanh") & (frame["seed"] == 0)].iloc[0]
    assert (row["outcome"], row["cell"], row["tensorflow"]) == (
        "diverged",
        "depth:3-act:tanh-steps:200",
        "2.21.0",
    )
    assert pd.isna(row["test_accuracy"])
    assert frame["test_accuracy"].mean() == pytest.approx(0.94)


def test_sides_stand_below_each_other_with_their_cells_verdict() -> None:
    """Every replica of both sides, and the verdict of its cell."""
    frame = of_sides(compared())
    assert frame.groupby("side").size().to_dict() == {"old": 12, "new": 8}
    verdicts = {(j.item.grid, j.item.id): j.verdict.value for j in compared().judgements}
    assert {tuple(k): v for *k, v in frame[["grid", "cell", "verdict"]].values} == verdicts


def test_cells_are_compared_over_the_seeds_that_both_sides_have() -> None:
    """Seed 2 of the first side, whose accuracy would move its mean, is left out."""
    old = a_run()
    records = {
        key: record if record.seed != 2 else trained(record.cell, 2, accuracy=0.1, spread=0.0)
        for key, record in old.records.items()
    }
    frame = of_cells(between(replaced(old, records=records), a_run(seeds=(0, 1))))
    numbers = ("outcomes", *NUMBERS)
    assert list(frame.columns) == [*CELLS, *(f"{n}_{s}" for s in "ab" for n in numbers)]
    assert list(frame["cell"]) == [item.id for item in ITEMS]
    trained_cells = frame[frame["act"] == "relu"]
    assert trained_cells["test_accuracy_a"].to_list() == pytest.approx([0.94, 0.94])
    assert trained_cells["test_accuracy_b"].to_list() == pytest.approx([0.94, 0.94])


def test_a_pivot_counts_verdicts_or_shows_both_means() -> None:
    """Any axis by any other; the mean of a metric on both sides, or how many cells are what."""
    cells = of_cells(compared())
    means = pivot(cells, ["depth"], ["act"], value="test_accuracy")
    assert means.loc[1, "relu"] == "0.94 -> 0.47"
    verdicts = pivot(cells, ["act"], [])
    assert list(verdicts.index) == ["relu", "tanh"]
    assert sum(int(part.split()[0]) for part in verdicts.loc["relu", "all"].split(", ")) == 2


def test_a_pivot_names_what_there_is() -> None:
    """An axis that does not exist, or a value."""
    cells = of_cells(compared())
    with pytest.raises(BenchError, match="no axis 'activation'") as error:
        pivot(cells, ["activation"], [])
    assert all(axis in error.value.hint for axis in AXES)
    with pytest.raises(BenchError, match="no value 'accuracy'") as error:
        pivot(cells, ["act"], [], value="accuracy")
    assert all(value in error.value.hint for value in VALUES)


def test_load_gives_a_stored_run_beside_its_baseline(tmp_path: Path) -> None:
    """What a notebook asks for; without baselines every cell is new."""
    folder = write(replaced(a_run(), path=tmp_path / "results" / "one"))
    write_baseline(tmp_path / "baselines", baseline_from_run(a_run()))
    frame = bench.load(folder, baselines=tmp_path / "baselines")
    assert frame.groupby(["side", "verdict"]).size().to_dict() == {
        ("baseline", "identical"): 12,
        ("run", "identical"): 12,
    }
    alone = bench.load(str(folder), baselines=None)
    assert set(alone["side"]) == {"run"}
    assert set(alone["verdict"]) <= {"new", "claim violated"}
    stored_frame = bench.load_baseline(CLASS, baselines=tmp_path / "baselines")
    assert tuple(stored_frame.columns) == REPLICAS
    with pytest.raises(BenchError, match="no baseline is stored") as error:
        bench.load_baseline("cpu-abacus", baselines=tmp_path / "baselines")
    assert CLASS in error.value.hint


def test_a_run_without_a_cell_gives_an_empty_frame() -> None:
    """Columns without rows, so that what reads them goes on."""
    frame = of_sides(against_baseline(stored(plan([]), []), None))
    assert (len(frame), tuple(frame.columns)) == (0, (*REPLICAS, "verdict"))
