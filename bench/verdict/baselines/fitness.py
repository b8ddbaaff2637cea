"""Fitness of a run to become a baseline."""

from __future__ import annotations

from collections.abc import Sequence

from bench.cells.cell import RECIPE
from bench.errors import BenchError
from bench.results.plan import Item
from bench.results.run import StoredRun
from bench.verdict.baselines.samples import Baseline

_AGAIN = "accept with --force if you mean it"


def refuse_unfit(
    run: StoredRun,
    baseline: Baseline | None,
    items: Sequence[Item],
    *,
    reason: str,
    force: bool,
) -> None:
    """Lets pass a run that may become the baseline of these items.

    Args:
        run, baseline, items, reason, force: as of
            :func:`bench.verdict.baselines.acceptance.accept`.

    Raises:
        BenchError: no item, no reason, another class or recipe; without ``force`` also uncommitted
            code, other images, replicas that crashed or are lacking, and stored seeds that would go.
    """
    if not items:
        raise BenchError(
            "nothing to accept: no cell was selected", hint="check the expression of -k"
        )
    if not reason.strip():
        raise BenchError(
            "a baseline needs a reason", hint="say why these results are right: --reason"
        )
    _refuse_incomparable(run, baseline, items)
    if not force:
        _refuse_unrepeatable(run, baseline)
        _refuse_incomplete(run, items)
        _refuse_fewer_seeds(run, baseline, items)


def _refuse_incomparable(run: StoredRun, baseline: Baseline | None, items: Sequence[Item]) -> None:
    """Raises BenchError for a run of another class or recipe, with which nothing is ever compared."""
    measured = run.environment.environment_class
    if baseline is not None and baseline.environment_class != measured:
        raise BenchError(
            f"{run.path}: is of class {measured}, and the baseline of {baseline.environment_class}",
            hint="a run can only be accepted for its own environment class",
        )
    for item in items:
        other = {record.recipe for record in run.of(item.cell)} - {RECIPE}
        if other:
            raise BenchError(
                f"{run.path}: {item.grid}: {item.id} was trained by recipe {min(other)} of this "
                f"package, and this version trains by recipe {RECIPE}",
                hint="no run of this version could be compared with it: run anew",
            )


def _refuse_unrepeatable(run: StoredRun, baseline: Baseline | None) -> None:
    """Raises BenchError for a run of uncommitted code, or on other images than the baseline's."""
    if str(run.environment.run.get("dirty", "false")).lower() == "true":
        changed = run.environment.run.get("changed")
        files = f" ({changed})" if changed else ""
        raise BenchError(
            f"{run.path}: was measured with uncommitted code{files}, so nobody can repeat it",
            hint=f"commit, run anew and accept that run; {_AGAIN}",
        )
    if baseline is not None and not same_images(baseline, run):
        raise BenchError(
            f"{run.path}: trained on images {run.environment.data.get('fingerprint')}, and the "
            f"baseline on {baseline.data.get('fingerprint')}",
            hint=f"run on the same images; {_AGAIN}: the class is then started anew",
        )


def _refuse_incomplete(run: StoredRun, items: Sequence[Item]) -> None:
    """Raises BenchError for an item that crashed or lacks replicas."""
    for item in items:
        records = run.of(item.cell)
        crashed = [record.seed for record in records if record.outcome == "crashed"]
        if crashed or len(records) < len(run.plan.seeds):
            what = f"crashed under seed {crashed[0]}" if crashed else "was not measured in full"
            raise BenchError(
                f"{run.path}: {item.grid}: {item.id} {what}",
                hint=f"complete the run with --resume, or leave the cell out with -k; {_AGAIN}",
            )
        seeds = len(run.plan.seeds) + len(run.plan.further)
        if len(records) < seeds:
            raise BenchError(
                f"{run.path}: {item.grid}: {item.id} was trained under {len(records)} of {seeds} "
                "seeds, and a baseline needs them all",
                hint="run anew with --all-seeds; or leave out with -k what has the baseline's bits; "
                f"{_AGAIN}",
            )


def _refuse_fewer_seeds(run: StoredRun, baseline: Baseline | None, items: Sequence[Item]) -> None:
    """Raises BenchError for an item that is stored under seeds which the run has not: they would go,
    and with them the power of every later comparison."""
    for item in items:
        stored = baseline.find(item) if baseline is not None else None
        lost = (
            stored.by_seed.keys() - {record.seed for record in run.of(item.cell)} if stored else ()
        )
        if lost:
            raise BenchError(
                f"{run.path}: {item.grid}: {item.id} would lose seeds that are stored: "
                f"{', '.join(map(str, sorted(lost)))}",
                hint="run anew with --all-seeds, and with as many --seeds as are stored; or leave the "
                f"cell out with -k; {_AGAIN}",
            )


def same_images(baseline: Baseline, run: StoredRun) -> bool:
    """Whether a run was trained on the images of the baseline."""
    return baseline.data.get("fingerprint") == run.environment.data.get("fingerprint")
