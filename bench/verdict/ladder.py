"""The ladder of evidence: what is concluded of each cell of a run against a baseline.

Rungs, the sharpest first: the outcome (crashed, missing), a claim that does not hold, whether there
is anything to compare with, equal digests, the rounding envelope, and the distribution over seeds.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from bench.cell import Cell
from bench.copies import Copy
from bench.errors import EXIT_OK, EXIT_REGRESSED, EXIT_TROUBLE
from bench.published.claims import findings
from bench.record import Record
from bench.run import Item, StoredRun
from bench.theory.claim import ClaimResult
from bench.verdict.comparison import Pair, compare
from bench.verdict.envelope import (
    Seed,
    Trace,
    copies_needed,
    describe,
    examine,
    seeds_for,
    summed_otherwise,
)
from bench.verdict.judgement import ATTENTION, Comparison, EnvelopeTest, Judgement, Verdict
from bench.verdict.samples import Baseline, BaselineCell, difference, sample

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
    Where envelopes are tested, half of ``alpha`` is spent on them and half on distributions.

    Args:
        run: what was measured.
        baseline: of the same environment class, of a near one (then only the distribution rung is
            used), or another run (:func:`bench.verdict.samples.baseline_from_run`); None if there is
            none.
        claims: what claims said of each item.
        alpha: chance of any false alarm in the whole run; what distributions get of it is also the
            level, cell by cell, at which equivalence is shown.
    """
    judged, open_items = _sorted_out(run, baseline, claims or {})
    tested = {item: _envelope(run, baseline, item) for item in open_items}
    number = len({item.cell for item, test in tested.items() if isinstance(test, EnvelopeTest)})
    level, other = alpha / 2 if number else alpha, baseline.short if baseline else ""
    compared = _compared(open_items, level, other)
    for item, pair in open_items.items():
        assert baseline is not None  # nothing is open without one
        found = _distribution(run, baseline, item, pair, compared[item])
        judgement = _weighed(found, tested[item], level=alpha / 2 / max(number, 1))
        judged[item] = msgspec.structs.replace(judgement, claims=_told(claims, item))
    return [judged[item] for item in run.plan.items]


def copies_wanted(run: StoredRun, baseline: Baseline | None, *, alpha: float = ALPHA) -> list[Copy]:
    """The copies that an envelope needs and the run does not have: of cells whose bits differ from a
    baseline of their own class, of every seed that both have."""
    if baseline is None or run.environment.environment_class != baseline.environment_class:
        return []
    _, open_items = _sorted_out(run, baseline, {})
    replicas = {item.cell: _comparable_seeds(run, baseline, item) for item in open_items}
    replicas = {cell: seeds for cell, seeds in replicas.items() if seeds}
    wanted = []
    for cell, seeds in replicas.items():
        needed = copies_needed(len(replicas), len(seeds), alpha / 2)
        asked = (Copy(cell=cell, seed=s, number=n) for s in seeds for n in range(needed))
        wanted += [copy for copy in asked if copy not in run.copies]
    return wanted


def counts(judgements: Iterable[Judgement]) -> dict[Verdict, int]:
    """How many cells have each verdict, in the order of attention; those of none left out."""
    counted = collections.Counter(judgement.verdict for judgement in judgements)
    return {verdict: counted[verdict] for verdict in ATTENTION if counted[verdict]}


def exit_code(judgements: Sequence[Judgement], run: StoredRun | None = None) -> int:
    """1 if any cell, check or trial fails; 2 if nothing was measured or something is missing; else 0.

    Args:
        judgements: of all cells.
        run: whose checks and trials count, too.
    """
    checks = run.plan.checks if run is not None else []
    results = run.results if run is not None else []
    planned, trials = (run.plan.trials, run.trials) if run is not None else ([], {})
    if any(judgement.verdict.fails for judgement in judgements):
        return EXIT_REGRESSED
    if any(result.fails for result in results):
        return EXIT_REGRESSED
    if any(trial.outcome == "crashed" for trial in trials.values()):
        return EXIT_REGRESSED
    if any(finding.fails for finding in findings(list(trials.values()))):
        return EXIT_REGRESSED
    missing = any(judgement.verdict is Verdict.MISSING for judgement in judgements)
    missing |= len(results) < len(checks) or len(trials) < len(planned)
    if missing or not (judgements or results or trials):
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


def _sorted_out(
    run: StoredRun, baseline: Baseline | None, claims: Mapping[Item, Sequence[ClaimResult]]
) -> tuple[dict[Item, Judgement], dict[Item, Pair]]:
    """Items on which a rung before the envelope decides, and what is to be compared of the others."""
    other = _other_data(run, baseline)
    judged: dict[Item, Judgement] = {}
    open_items: dict[Item, Pair] = {}
    for item in run.plan.items:
        told = _told(claims, item)
        step = _below_envelope(run, baseline, item, told, other)
        if isinstance(step, Judgement):
            judged[item] = msgspec.structs.replace(step, claims=told)
        else:
            open_items[item] = step
    return judged, open_items


def _told(
    claims: Mapping[Item, Sequence[ClaimResult]] | None, item: Item
) -> tuple[ClaimResult, ...]:
    return tuple(claims.get(item, ())) if claims else ()


def _below_envelope(
    run: StoredRun,
    baseline: Baseline | None,
    item: Item,
    claims: Sequence[ClaimResult],
    other_data: str,
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
    stored = baseline.find(item) if baseline is not None else None
    if baseline is None or stored is None:
        return _judgement(item, Verdict.NEW, _nothing_there(baseline, item), "none")
    obstacle = other_data or _obstacle(item.cell, baseline, stored, records)
    if obstacle:
        return _judgement(item, Verdict.NOT_COMPARABLE, obstacle, "none")
    by_seed = stored.by_seed
    common = [record for record in records if record.seed in by_seed]
    if common and all(by_seed[record.seed].digest == record.digest for record in common):
        return _identical(run, baseline, item, len(common))
    return Pair(baseline=stored.samples, run=[sample(record) for record in records])


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


def _comparable_seeds(run: StoredRun, baseline: Baseline, item: Item) -> list[int]:
    """Seeds whose trajectories can be compared: both sides have one, and all randomness is ours."""
    stored = baseline.find(item)
    if stored is None or item.cell.dropout:
        return []
    kept = {sample.seed for sample in stored.samples if sample.trajectory}
    return [
        record.seed for record in run.of(item.cell) if record.seed in kept and record.trajectory
    ]


def traced_seeds(run: StoredRun, baseline: Baseline, item: Item) -> list[Seed]:
    """Seeds that an envelope can be made of: both sides have a trajectory, the run has copies."""
    stored = baseline.find(item)
    if stored is None:
        return []
    by_seed, by_record = stored.by_seed, {r.seed: r for r in run.of(item.cell)}
    seeds = []
    for seed in _comparable_seeds(run, baseline, item):
        copies = [copy for copy in run.copies_of(item.cell, seed) if copy.crash is None]
        if copies:
            ours, theirs = by_record[seed], by_seed[seed]
            seeds.append(
                Seed(
                    run=Trace.of(ours.trajectory, ours.tensors),
                    baseline=Trace.of(theirs.trajectory, theirs.tensors),
                    copies=[Trace.of(copy.trajectory, copy.tensors) for copy in copies],
                )
            )
    return seeds


def _envelope(run: StoredRun, baseline: Baseline | None, item: Item) -> EnvelopeTest | str:
    """The test of the rounding envelope, or why there is none."""
    if baseline is None or run.environment.environment_class != baseline.environment_class:
        return f"bits are not compared with {_another(baseline)}" if baseline else "no baseline"
    if item.cell.dropout:
        return "dropout draws from TensorFlow's own random stream, which may change"
    seeds = traced_seeds(run, baseline, item)
    if seeds:
        test = examine(item.cell, seeds)
        return test if test.inside else summed_otherwise(item.cell, test.departure) or test
    comparable = _comparable_seeds(run, baseline, item)
    if not comparable:
        return f"no trajectory in {baseline.name} of a seed of this run"
    copies = [copy for seed in comparable for copy in run.copies_of(item.cell, seed)]
    if copies and copies[0].crash is not None:
        return f"all of {len(copies)} copies crashed: {copies[0].crash.message}"
    return "no copies in the run"


def _weighed(found: Judgement, tested: EnvelopeTest | str, *, level: float) -> Judgement:
    """The distribution's verdict and the envelope's, put together.

    Within the envelope only a metric that is shown to have changed says more than ``rounding``;
    outside, only one that is shown to be worse says more than ``changed``.

    Args:
        found: what the distribution says.
        tested: what the envelope says, or why it says nothing.
        level: chance of a false alarm that the envelope of one cell may have.
    """
    if isinstance(tested, str):
        return msgspec.structs.replace(found, reason=f"{found.reason}; no envelope: {tested}")
    found = msgspec.structs.replace(found, envelope=tested)
    told = describe(tested)
    shown = found.verdict in (Verdict.REGRESSED, Verdict.CHANGED, Verdict.IMPROVED)
    if tested.inside:
        if shown:
            return msgspec.structs.replace(found, reason=f"{found.reason}; {told}")
        return msgspec.structs.replace(
            found, verdict=Verdict.ROUNDING, reason=told, rung="envelope"
        )
    if tested.risk > level:
        seeds = seeds_for(level)
        told += f"; a jump may do that under {_plural(tested.seeds)}: {seeds} would decide"
        if shown:
            return msgspec.structs.replace(found, reason=f"{found.reason}; {told}")
        return msgspec.structs.replace(
            found, verdict=Verdict.INCONCLUSIVE, reason=told, rung="envelope"
        )
    verdict = Verdict.REGRESSED if found.verdict is Verdict.REGRESSED else Verdict.CHANGED
    reason = f"{told}; {found.reason}" if shown else told
    return msgspec.structs.replace(found, verdict=verdict, reason=reason, rung="envelope")


def _identical(run: StoredRun, baseline: Baseline, item: Item, seeds: int) -> Judgement:
    reason = f"bit-identical training and evaluation under {_plural(seeds)}"
    if run.environment.environment_class == baseline.environment_class:
        return _judgement(item, Verdict.IDENTICAL, reason, "digest")
    reason += f", in spite of {_another(baseline)}"
    return _judgement(item, Verdict.EQUIVALENT, reason, "digest")


def _compared(
    open_items: Mapping[Item, Pair], alpha: float, other: str
) -> dict[Item, list[Comparison]]:
    """Comparisons by item; the same samples of one cell in several grids are tested once."""
    keys = {
        item: (item.cell, *((s.seed, s.digest) for s in pair.baseline))
        for item, pair in open_items.items()
    }
    pairs = {keys[item]: pair for item, pair in open_items.items()}
    told = compare(list(pairs.values()), alpha=alpha, other=other)
    compared = dict(zip(pairs, told, strict=True))
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
    )


def _another(baseline: Baseline) -> str:
    return f"another environment class ({baseline.environment_class})"


def _judgement(item: Item, verdict: Verdict, reason: str, rung: str) -> Judgement:
    return Judgement(item=item, verdict=verdict, reason=reason, rung=rung)


def _plural(seeds: int) -> str:
    return f"{seeds} seed{'s' if seeds != 1 else ''}"
