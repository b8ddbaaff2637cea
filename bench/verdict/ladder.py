"""The ladder of evidence: what is concluded of each cell of a run against a baseline.

Rungs, the sharpest first: the outcome (crashed, missing), a claim that does not hold, whether there
is anything to compare with, equal digests, the rounding envelope, and the distribution over seeds.
:mod:`bench.verdict.weighing` puts the last two together; docs/verdicts.md tells how.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from bench.cells.cell import Cell
from bench.errors import BenchError, count
from bench.results.copy_result import Copy
from bench.results.plan import Item
from bench.results.record import Record, Replica
from bench.results.run import StoredRun
from bench.statistics.levels import ALPHA
from bench.theory.claim import ClaimResult
from bench.verdict import bits
from bench.verdict.baselines.samples import (
    Baseline,
    BaselineCell,
    Sample,
    Taken,
    difference,
    sample,
)
from bench.verdict.comparison import Pair, compare
from bench.verdict.judgement import ATTENTION, Comparison, Judgement, Verdict
from bench.verdict.weighing import MOST_REASONS, Weighing, another


def judge(
    run: StoredRun,
    baseline: Baseline | None,
    claims: Mapping[Item, Sequence[ClaimResult]] | None = None,
    *,
    alpha: float = ALPHA,
) -> list[Judgement]:
    """The verdict on every item of the run's plan, in plan order.

    All cells are judged in one call because false alarms are controlled over all that is tested;
    :mod:`bench.statistics.levels` has the levels.

    Args:
        run: what was measured.
        baseline: what it is compared with, or another run in its place
            (:func:`bench.verdict.baselines.samples.baseline_from_run`); None if there is none.
        claims: what claims said of each item.
        alpha: chance of any false alarm in the whole run.
    """
    judged, open_items = _sorted_out(run, baseline, claims or {})
    tested = bits.envelopes(run, baseline, open_items)
    level, strays = bits.level(tested), bits.straying(run, tested)
    compared = _compared(open_items, alpha, baseline.short if baseline else "")
    for item, pair in open_items.items():
        assert baseline is not None  # nothing is open without one
        found = _distribution(run, baseline, item, pair, compared[item])
        weighed = Weighing(run, baseline, item, level, strays).of(found, tested[item])
        judged[item] = msgspec.structs.replace(weighed, claims=_claims_of(claims, item))
    return [judged[item] for item in run.plan.items]


def still_wanted(run: StoredRun, baseline: Baseline | None) -> list[Copy] | list[Replica]:
    """What a run needs before its cells can be judged: copies of the first seed of cells whose bits
    differ, the further seeds of cells that these do not settle, then the copies for their envelopes;
    nothing if all is there."""
    if baseline is None:
        return []
    return (
        bits.first_copies_wanted(run, baseline)
        or bits.replicas_wanted(run, baseline)
        or bits.copies_wanted(run, baseline, _sorted_out(run, baseline, {})[1])
    )


def counts(judgements: Iterable[Judgement]) -> dict[Verdict, int]:
    """How many cells have each verdict, in the order of attention; those of none left out."""
    counted = collections.Counter(judgement.verdict for judgement in judgements)
    return {verdict: counted[verdict] for verdict in ATTENTION if counted[verdict]}


@functools.cache
def known_items() -> tuple[Item, ...]:
    """Every cell of every grid of this version, at the tier that contains all others."""
    from bench.cells.component_grids import UPGRADE_GRIDS  # takes a while to be built
    from bench.cells.grid import TIERS

    largest = list(TIERS)[-1]
    return tuple(
        Item(grid=grid.name, id=id_, cell=cell)
        for grid in UPGRADE_GRIDS.values()
        for id_, cell in grid.cells(largest).items()
    )


def stale(run: StoredRun, baseline: Baseline, known: Iterable[Item] | None = None) -> list[Item]:
    """The baseline's cells, in the run's grids, that the run's plan does not have.

    None for a plan of selected cells.

    Args:
        run: what was planned.
        baseline: what is stored.
        known: every cell of the current grids. A smaller tier leaves out cells of a larger one,
            which are no finding; without this argument these are listed too.
    """
    if run.plan.selected:
        return []
    present = {(item.grid, item.id) for item in (*run.plan.items, *(known or ()))}
    return [
        Item(grid=grid, id=cell.id, cell=cell.cell)
        for grid in run.plan.grids()
        for cell in baseline.grids.get(grid, {}).values()
        if (grid, cell.id) not in present
    ]


# --- Rungs before the envelope


def _sorted_out(
    run: StoredRun, baseline: Baseline | None, claims: Mapping[Item, Sequence[ClaimResult]]
) -> tuple[dict[Item, Judgement], dict[Item, Pair]]:
    """Items on which a rung before the envelope decides, and what is to be compared of the others."""
    judged: dict[Item, Judgement] = {}
    open_items: dict[Item, Pair] = {}
    for item in run.plan.items:
        claimed = _claims_of(claims, item)
        step = _below_envelope(run, baseline, item, claimed)
        if isinstance(step, Judgement):
            judged[item] = msgspec.structs.replace(step, claims=claimed)
        else:
            open_items[item] = step
    return judged, open_items


def _claims_of(
    claims: Mapping[Item, Sequence[ClaimResult]] | None, item: Item
) -> tuple[ClaimResult, ...]:
    return tuple(claims.get(item, ())) if claims else ()


def _below_envelope(
    run: StoredRun, baseline: Baseline | None, item: Item, claims: Sequence[ClaimResult]
) -> Judgement | Pair:
    """The judgement if a rung before the envelope decides, else what is to be compared."""
    records = run.of(item.cell)
    ended = _outcome(item, records, len(run.plan.seeds))
    if ended is not None:
        return ended
    violated = [claim for claim in claims if not claim.holds]
    if violated:
        reason = "; ".join(f"{claim.claim}: {claim.evidence}" for claim in violated)
        return _judgement(item, Verdict.CLAIM_VIOLATED, reason, "claim")
    holder = baseline.holder(item) if baseline is not None else None
    if holder is None:
        return _judgement(item, Verdict.NEW, _nothing_there(baseline, item), "none")
    stored = holder.grids[item.grid][item.id]
    obstacle = _other_data(run, holder) or _obstacle(item.cell, holder, stored, records)
    if obstacle:
        return _judgement(item, Verdict.NOT_COMPARABLE, obstacle, "none")
    by_seed = stored.by_seed
    common = [record for record in records if record.seed in by_seed]
    _refuse_contradictions(item, holder, by_seed, common)
    if common and all(by_seed[record.seed].digest == record.digest for record in common):
        return _identical(run, holder, item, len(common))
    lacking = [seed for seed in run.plan.further if Replica(item.cell, seed) not in run.records]
    if lacking and not bits.settled(run, holder, item):
        reason = (
            f"bits differ from {holder.name}: {len(lacking)} of "
            f"{count(len(run.plan.further), 'seed')} more were not measured; continue the run with "
            "--resume, or run anew with --all-seeds"
        )
        return _judgement(item, Verdict.MISSING, reason, "none")
    theirs = [by_seed[record.seed] for record in common] if lacking else stored.samples
    return Pair(baseline=theirs, run=[sample(record) for record in records])


def _nothing_there(baseline: Baseline | None, item: Item) -> str:
    """Why nothing is stored of an item."""
    if baseline is None:
        return "no baseline: nothing to compare with"
    if item in baseline.lacking:
        why = baseline.lacking[item]
        return f"{baseline.name} cannot train it, as {why}: nothing to compare with"
    return f"{baseline.name} has no such cell: nothing to compare with"


def _outcome(item: Item, records: Sequence[Record], planned: int) -> Judgement | None:
    """Absent, crashed or missing, or None if every planned replica was measured."""
    lacking = [record.absent for record in records if record.absent]
    if lacking:
        return _judgement(item, Verdict.NOT_COMPARABLE, lacking[0], "absent")
    crashes = [(r.seed, r.crash) for r in records if r.crash is not None]
    tried = [(r.seed, r.crash) for r in records if r.crash is not None and r.attempted]
    if tried:
        seed, crash = tried[0]
        seeds = max(planned, len(records))
        reason = f"{len(tried)} of {seeds} seeds crashed; seed {seed}: {crash.message}"
        return _judgement(item, Verdict.CRASHED, reason, "outcome")
    measured = len(records) - len(crashes)
    if measured < planned or not planned:
        why = f": {crashes[0][1].message}" if crashes else ""
        reason = f"{measured} of {planned} seeds were measured{why}; continue the run with --resume"
        return _judgement(item, Verdict.MISSING, reason, "none")
    return None


def _other_data(run: StoredRun, baseline: Baseline) -> str:
    """Why nothing of the run can be compared, or nothing."""
    ours, theirs = run.environment.data.get("fingerprint"), baseline.data.get("fingerprint")
    if ours == theirs:
        return ""
    return f"trained on other images: fingerprint {ours}, and {theirs} in {baseline.name}"


def _obstacle(
    cell: Cell, baseline: Baseline, stored: BaselineCell, records: Sequence[Record]
) -> str:
    """Why the two sides of a cell cannot be compared, or nothing."""
    if stored.cell != cell:
        axes = difference(stored.cell, cell)
        return f"the same id means another cell than in {baseline.name}: {axes}"
    recipes = {record.recipe for record in records}
    if recipes != {stored.recipe}:
        ours = ", ".join(map(str, sorted(recipes)))
        return (
            f"trained by other code than in {baseline.name}: recipe {ours} here, {stored.recipe} "
            "there; accept it anew"
        )
    if not stored.samples:
        return f"every seed crashed in {baseline.name}"
    return ""


def _refuse_contradictions(
    item: Item, baseline: Baseline, stored: Mapping[int, Sample], records: Sequence[Record]
) -> None:
    """Digests cover test accuracy and loss: with one digest, both are the same, or a file was altered.

    Raises:
        BenchError: they are not.
    """
    for record in records:
        there = stored[record.seed].metrics
        if not record.digest or stored[record.seed].digest != record.digest:
            continue
        ours = Taken(record)
        if any(name in there and there[name] != ours[name] for name in _BOUND):
            raise BenchError(
                f"{item.grid}/{item.id}, seed {record.seed}: has the digest that it has in "
                f"{baseline.name}, and another test accuracy or loss: one of the two was altered",
                hint="`bench baseline check` tells whether it was the baseline; measure the run anew",
            )


#: Metrics that a digest covers.
_BOUND = ("test_accuracy", "test_loss")


def _identical(run: StoredRun, baseline: Baseline, item: Item, seeds: int) -> Judgement:
    reason = f"bit-identical training and evaluation under {count(seeds, 'seed')}"
    if run.environment.environment_class != baseline.environment_class:
        reason += f", in spite of {another(baseline)}"
    return _judgement(item, Verdict.IDENTICAL, reason, "digest")


# --- The distribution


def _compared(
    open_items: Mapping[Item, Pair], alpha: float, other: str
) -> dict[Item, list[Comparison]]:
    """Comparisons by item; the same samples of one cell in several grids are tested once."""
    keys = {
        item: (item.cell, *((s.seed, s.digest) for s in pair.baseline))
        for item, pair in open_items.items()
    }
    pairs = {keys[item]: pair for item, pair in open_items.items()}
    found = compare(list(pairs.values()), alpha=alpha, other=other)
    compared = dict(zip(pairs, found, strict=True))
    return {item: compared[key] for item, key in keys.items()}


#: Which comparison speaks for its cell.
_LEADING = (
    Verdict.REGRESSED,
    Verdict.CHANGED,
    Verdict.IMPROVED,
    Verdict.INCONCLUSIVE,
    Verdict.EQUIVALENT,
)


def _distribution(
    run: StoredRun,
    baseline: Baseline,
    item: Item,
    pair: Pair,
    comparisons: Sequence[Comparison],
) -> Judgement:
    found = {comparison.verdict for comparison in comparisons}
    verdict = next((leading for leading in _LEADING if leading in found), Verdict.INCONCLUSIVE)
    reasons = [c.reason for c in comparisons if c.verdict is verdict]
    if not reasons:
        reason = (
            f"bits differ and no metric is defined on both sides ({count(len(pair.run), 'seed')})"
        )
    elif verdict is Verdict.EQUIVALENT:
        reason = f"all {len(reasons)} metrics within their margins; {reasons[0]}"
    else:
        more = f"; and {len(reasons) - MOST_REASONS} more" if len(reasons) > MOST_REASONS else ""
        reason = "; ".join(reasons[:MOST_REASONS]) + more
    holder = baseline.holder(item)
    if holder is not None and run.environment.environment_class != holder.environment_class:
        reason += f"; against {another(holder)}"
    return Judgement(
        item=item,
        verdict=verdict,
        reason=reason,
        rung="distribution",
        comparisons=tuple(comparisons),
    )


def _judgement(item: Item, verdict: Verdict, reason: str, rung: str) -> Judgement:
    return Judgement(item=item, verdict=verdict, reason=reason, rung=rung)
