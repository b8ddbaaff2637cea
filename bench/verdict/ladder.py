"""The ladder of evidence: what is concluded of each cell of a run against a baseline.

Rungs, the sharpest first: the outcome (crashed, missing), a claim that does not hold, whether there
is anything to compare with, equal digests, and then the distribution over seeds.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from bench.cell import Cell
from bench.errors import EXIT_OK, EXIT_REGRESSED, EXIT_TROUBLE
from bench.record import Record
from bench.run import Item, StoredRun
from bench.theory.claim import ClaimResult
from bench.verdict.baseline import Baseline, BaselineCell, difference, sample
from bench.verdict.comparison import Pair, compare
from bench.verdict.judgement import ATTENTION, Comparison, Judgement, Verdict

ALPHA = 0.05

#: Reasons of several metrics are put together up to this many; the comparisons hold all.
MOST_REASONS = 3


def judge(
    run: StoredRun,
    baseline: Baseline | None,
    claims: Mapping[Item, Sequence[ClaimResult]] | None = None,
    *,
    alpha: float = ALPHA,
) -> list[Judgement]:
    """The verdict on every item of the run's plan, in plan order.

    All cells are judged in one call because false alarms are controlled over all that is tested.

    Args:
        run: what was measured.
        baseline: of the same environment class, of a near one (then never ``identical``), or
            another run (:func:`bench.verdict.baseline.baseline_from_run`); None if there is none.
        claims: what claims said of each item.
        alpha: chance of any false alarm in the whole run; also the level, cell by cell, at which
            equivalence is shown.
    """
    other = _other_data(run, baseline)
    judged: dict[Item, Judgement] = {}
    open_items: dict[Item, Pair] = {}
    for item in run.plan.items:
        told = tuple(claims.get(item, ())) if claims else ()
        step = _below_distribution(run, baseline, item, told, other)
        if isinstance(step, Judgement):
            judged[item] = msgspec.structs.replace(step, claims=told)
        else:
            open_items[item] = step
    compared = _compared(open_items, alpha)
    for item, pair in open_items.items():
        told = tuple(claims.get(item, ())) if claims else ()
        assert baseline is not None  # nothing is open without one
        judged[item] = _distribution(run, baseline, item, pair, compared[item], told)
    return [judged[item] for item in run.plan.items]


def counts(judgements: Iterable[Judgement]) -> dict[Verdict, int]:
    """How many cells have each verdict, in the order of attention; those of none left out."""
    counted = collections.Counter(judgement.verdict for judgement in judgements)
    return {verdict: counted[verdict] for verdict in ATTENTION if counted[verdict]}


def exit_code(judgements: Sequence[Judgement], run: StoredRun | None = None) -> int:
    """1 if any cell or check fails; 2 if nothing was measured or something is missing; else 0.

    Args:
        judgements: of all cells.
        run: whose checks count, too.
    """
    checks = run.plan.checks if run is not None else []
    results = run.results if run is not None else []
    if any(judgement.verdict.fails for judgement in judgements):
        return EXIT_REGRESSED
    if any(result.fails for result in results):
        return EXIT_REGRESSED
    missing = any(judgement.verdict is Verdict.MISSING for judgement in judgements)
    if missing or len(results) < len(checks) or not (judgements or results):
        return EXIT_TROUBLE
    return EXIT_OK


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


def _other_data(run: StoredRun, baseline: Baseline | None) -> str:
    """Why nothing of the run can be compared, or nothing."""
    own = run.environment.data.get("fingerprint")
    if baseline is None or baseline.data.get("fingerprint") == own:
        return ""
    theirs = baseline.data.get("fingerprint")
    return f"trained on other images: fingerprint {own}, and {theirs} in {baseline.name}"


def _below_distribution(
    run: StoredRun,
    baseline: Baseline | None,
    item: Item,
    claims: Sequence[ClaimResult],
    other_data: str,
) -> Judgement | Pair:
    """The judgement if a rung before the distribution decides, else what is to be compared."""
    records = run.of(item.cell)
    ended = _outcome(item, records, len(run.plan.seeds))
    if ended is not None:
        return ended
    violated = [claim for claim in claims if not claim.holds]
    if violated:
        reason = "; ".join(f"{claim.claim}: {claim.evidence}" for claim in violated)
        return _judgement(item, Verdict.CLAIM_VIOLATED, reason, "claim")
    stored = baseline.find(item) if baseline is not None else None
    if baseline is None or stored is None:
        where = f"{baseline.name} has no such cell" if baseline is not None else "no baseline"
        return _judgement(item, Verdict.NEW, f"{where}: nothing to compare with", "none")
    common = _common(stored, records)
    obstacle = other_data or _obstacle(item.cell, baseline, stored, records, common)
    if obstacle:
        return _judgement(item, Verdict.NOT_COMPARABLE, obstacle, "none")
    if all(stored.by_seed[record.seed].digest == record.digest for record in common):
        return _identical(run, baseline, item, len(common))
    by_seed = stored.by_seed
    return Pair(
        baseline=[by_seed[record.seed] for record in common],
        run=[sample(record) for record in common],
    )


def _outcome(item: Item, records: Sequence[Record], planned: int) -> Judgement | None:
    """Crashed or missing, or None if every planned replica was measured."""
    crashes = [(r.seed, r.crash) for r in records if r.crash is not None]
    tried = [(seed, crash) for seed, crash in crashes if crash.reason != "not attempted"]
    if tried:
        seed, crash = tried[0]
        reason = f"{len(tried)} of {planned} seeds crashed; seed {seed}: {crash.message}"
        return _judgement(item, Verdict.CRASHED, reason, "outcome")
    measured = len(records) - len(crashes)
    if measured < planned or not planned:
        why = f": {crashes[0][1].message}" if crashes else ""
        reason = f"{measured} of {planned} seeds were measured{why}; continue the run with --resume"
        return _judgement(item, Verdict.MISSING, reason, "none")
    return None


def _common(stored: BaselineCell, records: Sequence[Record]) -> list[Record]:
    seeds = stored.by_seed
    return [record for record in records if record.seed in seeds]


def _obstacle(
    cell: Cell,
    baseline: Baseline,
    stored: BaselineCell,
    records: Sequence[Record],
    common: Sequence[Record],
) -> str:
    """Why the two sides of a cell cannot be compared, or nothing."""
    if stored.cell != cell:
        axes = difference(stored.cell, cell)
        return f"the same id means another cell than in {baseline.name}: {axes}"
    if not stored.samples:
        return f"every seed crashed in {baseline.name}"
    if not common:
        ours, theirs = (_seeds(s.seed for s in side) for side in (records, stored.samples))
        return f"no seed in common: {ours} here, {theirs} in {baseline.name}"
    return ""


def _identical(run: StoredRun, baseline: Baseline, item: Item, seeds: int) -> Judgement:
    reason = f"bit-identical training and evaluation under {_plural(seeds)}"
    if run.environment.environment_class == baseline.environment_class:
        return _judgement(item, Verdict.IDENTICAL, reason, "digest")
    reason += f", in spite of {_another(baseline)}"
    return _judgement(item, Verdict.EQUIVALENT, reason, "digest")


def _compared(open_items: Mapping[Item, Pair], alpha: float) -> dict[Item, list[Comparison]]:
    """Comparisons by item; the same samples of one cell in several grids are tested once."""
    keys = {
        item: (item.cell, *((s.seed, s.digest) for s in pair.baseline))
        for item, pair in open_items.items()
    }
    pairs = {keys[item]: pair for item, pair in open_items.items()}
    compared = dict(zip(pairs, compare(list(pairs.values()), alpha=alpha), strict=True))
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
    claims: Sequence[ClaimResult],
) -> Judgement:
    found = {comparison.verdict for comparison in comparisons}
    verdict = next((leading for leading in _LEADING if leading in found), Verdict.INCONCLUSIVE)
    reasons = [c.reason for c in comparisons if c.verdict is verdict]
    if not reasons:
        reason = f"bits differ and no metric is defined on both sides ({_plural(len(pair.run))})"
    elif verdict is Verdict.EQUIVALENT:
        reason = f"all {len(reasons)} metrics within their margins; {reasons[0]}"
    else:
        more = f"; and {len(reasons) - MOST_REASONS} more" if len(reasons) > MOST_REASONS else ""
        reason = "; ".join(reasons[:MOST_REASONS]) + more
    if run.environment.environment_class != baseline.environment_class:
        reason += f"; against {_another(baseline)}"
    return Judgement(
        item=item,
        verdict=verdict,
        reason=reason,
        rung="distribution",
        comparisons=tuple(comparisons),
        claims=tuple(claims),
    )


def _another(baseline: Baseline) -> str:
    return f"another environment class ({baseline.environment_class})"


def _judgement(item: Item, verdict: Verdict, reason: str, rung: str) -> Judgement:
    return Judgement(item=item, verdict=verdict, reason=reason, rung=rung)


def _plural(seeds: int) -> str:
    return f"{seeds} seed{'s' if seeds != 1 else ''}"


def _seeds(seeds: Iterable[int]) -> str:
    """``0, 1, 2``, or the first and the last of many."""
    listed = sorted(seeds)
    return ", ".join(map(str, listed)) if len(listed) <= 5 else f"{listed[0]} to {listed[-1]}"
