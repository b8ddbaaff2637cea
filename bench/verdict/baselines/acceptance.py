"""Taking a run's results for right: what would change, storing it, and checking what is stored."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.cells.cell import RECIPE, Cell
from bench.errors import BenchError, count
from bench.results.plan import Item
from bench.results.run import StoredRun
from bench.verdict.baselines.files import CLASS, TRACES
from bench.verdict.baselines.fitness import refuse_unfit, same_images
from bench.verdict.baselines.folder import (
    Acceptance,
    Baseline,
    BaselineCell,
    Sample,
    baseline_cell,
    class_folders,
    difference,
    read_baseline,
    write_baseline,
)
from bench.verdict.baselines.samples import chained
from bench.verdict.baselines.speeds import SPEEDS, read_file
from bench.verdict.metrics import BY_NAME, METRICS


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What accepting an item would change: one metric of one cell."""

    item: Item
    metric: str
    """:attr:`Metric.name`, or ``diverged`` for the share of seeds that diverged."""
    baseline_mean: float | None
    """Raw mean over the seeds where it is defined; None where there is none, or no stored cell."""
    mean: float | None
    digests_equal: bool
    """Whether the seeds on both sides gave the same bits; False if they share no seed."""
    new: bool
    """Whether the baseline has no such cell yet."""


def preview(
    baseline: Baseline | None, run: StoredRun, items: Iterable[Item] | None = None
) -> list[Change]:
    """What :func:`accept` would change, in plan order: nothing for cells with equal digests. Of a cell
    that shares seeds with what is stored, these alone are compared; see :func:`other_seeds`.

    Args:
        baseline: what is stored, None if nothing is.
        run: whose results are offered.
        items: those to accept; None for all of the run's plan.
    """
    changes: list[Change] = []
    for item in run.plan.items if items is None else items:
        old = baseline.find(item) if baseline is not None else None
        new = _storable(run, item)
        if old is not None:
            old, new = _under_shared_seeds(old, new)
            if _same_results(old, new):
                continue
        changes += _changes(item, old, new)
    return changes


def notes(baseline: Baseline | None, run: StoredRun, items: Sequence[Item]) -> list[str]:
    """What else to know before accepting: versions and seeds that will stand side by side.

    Args:
        baseline: what is stored, None if nothing is.
        run: whose results are offered.
        items: the cells to accept.
    """
    if baseline is None:
        return []
    stored = {(grid, id_): c for grid, cells in baseline.grids.items() for id_, c in cells.items()}
    if not same_images(baseline, run):
        return [
            f"the run was trained on other images: the class is started anew, without its "
            f"{count(len(stored), 'cell')} and {count(len(baseline.acceptances), 'acceptance')}"
        ]
    chosen = {(item.grid, item.id) for item in items}
    staying = {place: cell for place, cell in stored.items() if place not in chosen}
    return [
        *_mixed_versions(baseline, run, staying.values()),
        *other_seeds(baseline, run, items),
        *_absent(run, staying),
        *_gains(gains(baseline, run, items)),
    ]


def gains(baseline: Baseline | None, run: StoredRun, items: Iterable[Item]) -> int:
    """How many cells would get trajectories or fingerprints and have none, their results being the
    same: nothing that :func:`preview` shows, and needed to tell rounding from other changes."""
    count = 0
    for item in items:
        old = baseline.find(item) if baseline is not None else None
        new = _storable(run, item)
        if old is not None and _same_results(old, new):
            count += any(s.traced for s in new.samples) and not any(s.traced for s in old.samples)
    return count


def accept(
    root: Path,
    run: StoredRun,
    baseline: Baseline | None,
    items: Sequence[Item],
    *,
    reason: str,
    reviewer: str = "",
    date: datetime.date | None = None,
    force: bool = False,
) -> Baseline:
    """Stores a run's results of ``items`` in place of what the baseline holds for them.

    What they replace is added to the history. Other cells stay as they are, but for images with
    another fingerprint (``force`` only): results of two data sets do not belong together, so the
    class is started anew.

    Args:
        root: the folder of all classes.
        run: whose results are accepted.
        baseline: what :func:`read_baseline` gave for the run's environment class.
        items: the cells to store.
        reason: why these results are right; kept with them.
        reviewer: who says so.
        date: today if None.
        force: also take a run from uncommitted code, of other images, without some replicas or stored
            seeds; crashed replicas are never stored.

    Raises:
        BenchError: there is nothing to accept, no reason is given, or the run is not fit to be one:
            never if bench itself has changed since in what these cells' results are.
    """
    environment = run.environment
    refuse_unfit(run, baseline, items, reason=reason, force=force)
    kept = baseline if baseline is not None and same_images(baseline, run) else None
    before = kept.acceptances if kept else []
    cells = [(i, _storable(run, i, acceptance=len(before) + 1)) for i in dict.fromkeys(items)]
    taken = {item: cell for item, cell in cells if cell.samples}
    if not taken:
        raise BenchError(f"{run.path}: no replica of these cells can be stored", hint="run anew")
    grids, history, superseded = _replaced(kept, taken)
    accepted = Acceptance(
        run=run.path.name,
        date=(date or datetime.date.today()).isoformat(),
        reason=reason.strip(),
        reviewer=reviewer,
        cells=len(taken),
        commit=str(environment.run.get("commit", "")),
        measured=str(environment.run.get("started", "")),
        superseded=superseded,
        **{name: environment.software.get(name, "") for name in _VERSIONS},
    )
    merged = Baseline(
        environment_class=environment.environment_class,
        numerics=environment.numerics,
        data=environment.data,
        acceptances=[*before, chained(before, accepted)],
        grids=grids,
        name=f"baseline {environment.environment_class}",
        history=history,
    )
    write_baseline(root, merged)
    return merged


_Cells = dict[str, dict[str, BaselineCell]]
_History = dict[str, list[BaselineCell]]


def _replaced(
    kept: Baseline | None, taken: Mapping[Item, BaselineCell]
) -> tuple[_Cells, _History, int]:
    """Cells and history by grid, once cells are taken, and how many of these replace another."""
    grids = {grid: dict(cells) for grid, cells in kept.grids.items()} if kept else {}
    history = {grid: list(cells) for grid, cells in kept.history.items()} if kept else {}
    superseded = 0
    for item, cell in taken.items():
        cells = grids.setdefault(item.grid, {})
        if item.id in cells:
            superseded += 1
            history.setdefault(item.grid, []).append(_without_traces(cells[item.id]))
        cells[item.id] = cell
    return grids, history, superseded


def check(root: Path, items: Iterable[Item] | None = None) -> list[str]:
    """What is wrong with the stored baselines; one line per problem, none if all is well.

    Args:
        root: the folder of all classes.
        items: every cell of the current grids, so that cells which no longer exist, or which mean
            something else now, are named; None leaves that out.
    """
    known = None if items is None else {(item.grid, item.id): item.cell for item in items}
    problems: list[str] = []
    for path in sorted(root.glob(f"{SPEEDS}/*/*.jsonl")):
        try:
            read_file(path)
        except BenchError as error:
            problems.append(f"{error.message} -> {error.hint}")
    for folder in class_folders(root):
        try:
            baseline = read_baseline(root, folder.name)
        except BenchError as error:
            problems.append(f"{error.message} -> {error.hint}")
            continue
        if baseline is None or not baseline.grids:
            problems.append(f"{folder}: holds no cells -> accept a run, or remove the folder")
            continue
        if not baseline.checked:
            problems.append(
                f"{folder}: has no checksums, so that nobody would see a changed number -> "
                "bench baseline migrate"
            )
        for grid, cells in baseline.grids.items():
            path = folder / f"{grid}.json"
            problems += [text for cell in cells.values() for text in _problems(path, cell, known)]
    return problems


def migrate(root: Path) -> dict[str, bool]:
    """Writes every stored baseline anew in today's form, with checksums.

    Returns:
        by class, whether anything was to be done.

    Raises:
        BenchError: one is damaged, or the place cannot be written to; those before it are done.
    """
    done = {}
    for folder in sorted(path.parent for path in root.glob(f"*/{CLASS}")):
        baseline = read_baseline(root, folder.name)
        assert baseline is not None  # its class file is there
        done[folder.name] = not baseline.checked
        if not baseline.checked:
            write_baseline(root, baseline)
    return done


_VERSIONS = ("tensorflow", "keras", "python", "numpy", "bench")


def _problems(
    path: Path, stored: BaselineCell, known: dict[tuple[str, str], Cell] | None
) -> list[str]:
    problems = []
    if not stored.samples:
        problems.append(f"{path}: {stored.id} has no samples -> accept it anew")
    elif stored.recipe != RECIPE:
        problems.append(
            f"{path}: {stored.id} was trained by recipe {stored.recipe} of this package, and this "
            f"version trains by recipe {RECIPE}: nothing is compared with it -> accept it anew"
        )
    if known is not None:
        cell = known.get((path.stem, stored.id))
        if cell is None:
            problems.append(
                f"{path}: {stored.id} is in no grid any more -> remove the cell from the file and its "
                f"lines from {path.stem}{TRACES}, or bring the grid's value back"
            )
        elif cell != stored.cell:
            problems.append(
                f"{path}: {stored.id} now means another cell ({difference(stored.cell, cell)}) -> "
                "accept it anew"
            )
    return problems


def _changes(item: Item, old: BaselineCell | None, new: BaselineCell) -> list[Change]:
    """One entry per metric whose mean differs; the first metric if only digests do."""
    if not new.samples:
        return []
    names = (*BY_NAME, "diverged")
    means = {name: (_mean(old, name) if old else None, _mean(new, name)) for name in names}
    listed = [name for name, (before, after) in means.items() if before != after]
    if old is None and means["diverged"][1] == 0.0:
        listed = [name for name in listed if name != "diverged"]
    before, after = (old.digests if old else {}), new.digests
    common = before.keys() & after.keys()
    equal = bool(common) and all(before[seed] == after[seed] for seed in common)
    return [
        Change(
            item=item,
            metric=name,
            baseline_mean=means[name][0],
            mean=means[name][1],
            digests_equal=equal,
            new=old is None,
        )
        for name in listed or [METRICS[0].name]
    ]


def _storable(run: StoredRun, item: Item, *, acceptance: int = 0) -> BaselineCell:
    """What of a run is stored for an item: all but the crashes, seeds ascending."""
    cell = baseline_cell(run, item)
    kept = [sample for sample in cell.samples if sample.outcome != "crashed"]
    samples = sorted(kept, key=lambda sample: sample.seed)
    return msgspec.structs.replace(cell, samples=samples, acceptance=acceptance)


def _without_traces(cell: BaselineCell) -> BaselineCell:
    def bare(sample: Sample) -> Sample:
        return msgspec.structs.replace(sample, trajectory=b"", states=b"", tensors=None, ends=None)

    return msgspec.structs.replace(cell, samples=[bare(sample) for sample in cell.samples])


def _under_shared_seeds(old: BaselineCell, new: BaselineCell) -> tuple[BaselineCell, BaselineCell]:
    """Both cells with the seeds that both have; as they are where they share none."""
    shared = old.by_seed.keys() & new.by_seed.keys()
    if not shared:
        return old, new

    def kept(cell: BaselineCell) -> BaselineCell:
        samples = [sample for sample in cell.samples if sample.seed in shared]
        return msgspec.structs.replace(cell, samples=samples)

    return kept(old), kept(new)


def _same_results(old: BaselineCell, new: BaselineCell) -> bool:
    return (old.cell, old.recipe, old.digests) == (new.cell, new.recipe, new.digests)


def _mixed_versions(
    baseline: Baseline, run: StoredRun, staying: Iterable[BaselineCell]
) -> list[str]:
    """A line per other version of TensorFlow or Keras that cells were measured with which stay."""
    run_versions = tuple(run.environment.software.get(name, "") for name in ("tensorflow", "keras"))
    versions: dict[tuple[str, str], int] = {}
    for cell in staying:
        if 1 <= cell.acceptance <= len(baseline.acceptances):
            taken = baseline.acceptances[cell.acceptance - 1]
            key = taken.tensorflow, taken.keras
            versions[key] = versions.get(key, 0) + 1
    return [
        f"{count(n, 'cell')} of the baseline stay as TensorFlow {tensorflow} with Keras {keras} gave "
        f"them, and this run is of {run_versions[0]} with {run_versions[1]}: the class then mixes "
        "versions"
        for (tensorflow, keras), n in versions.items()
        if (tensorflow, keras) != run_versions
    ]


def other_seeds(baseline: Baseline | None, run: StoredRun, items: Iterable[Item]) -> list[str]:
    """A line if cells are stored under other seeds than they were run under."""
    if baseline is None:
        return []
    found = []
    for item in items:
        old, new = baseline.find(item), _storable(run, item)
        if old is not None and new.samples and old.by_seed.keys() != new.by_seed.keys():
            found.append((sorted(old.by_seed), sorted(new.by_seed)))
    if not found:
        return []
    old_seeds, new_seeds = (", ".join(map(str, seeds)) or "none" for seeds in found[0])
    return [
        f"{count(len(found), 'cell')} stored under other seeds than this run's: {old_seeds}, now "
        f"{new_seeds}; what changes is said of those that both have"
    ]


def _absent(run: StoredRun, staying: Iterable[tuple[str, str]]) -> list[str]:
    """A line if the baseline has cells that the run never set out to measure."""
    planned = {(item.grid, item.id) for item in run.plan.items}
    absent = [place for place in staying if place not in planned]
    if not absent:
        return []
    grid, id_ = absent[0]
    return [
        f"{count(len(absent), 'cell')} of the baseline not in this run, such as {grid}/{id_}: they stay"
    ]


def _gains(cells: int) -> list[str]:
    return [f"{count(cells, 'cell')} with the same results get trajectories"] if cells else []


def _mean(cell: BaselineCell, name: str) -> float | None:
    if name == "diverged":
        values: list[float | None] = [float(s.outcome == "diverged") for s in cell.samples]
    else:
        values = [sample.metrics.get(name) for sample in cell.samples]
    finite = [value for value in values if value is not None]
    return math.fsum(finite) / len(finite) if finite else None
