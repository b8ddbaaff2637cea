"""Weighing: what the rounding envelope and the distribution over seeds of one cell say together."""

from __future__ import annotations

import msgspec

from bench.errors import count
from bench.results.environment import requirement
from bench.results.plan import Item
from bench.results.run import StoredRun
from bench.verdict import bits
from bench.verdict.baselines.samples import Baseline
from bench.verdict.bits import Relation, Strays
from bench.verdict.envelope import describe, seeds_for
from bench.verdict.judgement import EnvelopeTest, Judgement, Verdict
from bench.verdict.metrics import METRICS

#: Reasons of several metrics are put together up to this many; the comparisons hold all.
MOST_REASONS = 3

#: The losses of two steps have seen a forward pass, a backward pass and an update.
FEWEST_SHARP = 2

#: Metrics before the first step, which the stored tensors of that step speak for.
_AT_START = frozenset(metric.name for metric in METRICS if metric.paired)
_NOTHING_SHOWN = (Verdict.EQUIVALENT, Verdict.INCONCLUSIVE)


class Weighing:
    """Puts together what the envelope and the distribution say of one item."""

    def __init__(
        self,
        run: StoredRun,
        baseline: Baseline,
        item: Item,
        level: float,
        strays: Strays | None,
    ) -> None:
        holder = baseline.holder(item)
        assert holder is not None  # nothing is open without one
        self._run, self._holder, self._item = run, holder, item
        self._level, self._strays = level, strays

    def of(self, found: Judgement, tested: EnvelopeTest | str) -> Judgement:
        """The verdict.

        What is shown to be worse, or to have changed, stays so whatever the envelope says. Inside, the
        envelope turns what the distribution left open into ``rounding``, as far as copies saw it.
        Outside is ``changed`` on one kind of kernels, for better or worse, and undecided on another.

        Args:
            found: what the distribution says.
            tested: what the envelope says, or why it says nothing.
        """
        if isinstance(tested, str):
            return _with(found, reason=f"{found.reason}; no envelope: {tested}")
        found = _with(found, envelope=tested)
        shown = found.verdict in (Verdict.REGRESSED, Verdict.CHANGED)
        if not tested.inside or self._strayed(tested):
            return self._outside(found, tested, shown=shown)
        evidence = describe(tested)
        if shown or found.verdict is Verdict.IMPROVED:
            return _with(found, reason=f"{found.reason}; {evidence}")
        if not tested.decisive and tested.sharp_steps < tested.equal_until + FEWEST_SHARP:
            return self._open(found, f"{evidence}: too blunt to tell rounding from a change")
        unseen = self._unseen(found, tested)
        if unseen:
            return self._open(
                found, f"{evidence}; but no copy shows what rounding does to {unseen}"
            )
        return _with(found, verdict=Verdict.ROUNDING, reason=evidence, rung="envelope")

    def _outside(self, found: Judgement, tested: EnvelopeTest, *, shown: bool) -> Judgement:
        evidence = describe(tested)
        if self._strayed(tested):
            assert self._strays is not None
            leave = f"{tested.strays} of {count(tested.seeds, 'seed')} leave"
            evidence = f"{leave}; {self._strays.summary}; {evidence}"
        elif tested.risk > self._level:
            seeds = seeds_for(self._level)
            evidence += (
                f"; a jump may do that under {count(tested.seeds, 'seed')}: {seeds} would decide"
            )
            return self._shown(found, evidence) if shown else self._open(found, evidence)
        if bits.relation(self._run, self._holder) is not Relation.SAME:
            evidence += f"; {self._decider()}"
            return self._shown(found, evidence) if shown else self._open(found, evidence)
        verdict = Verdict.REGRESSED if found.verdict is Verdict.REGRESSED else Verdict.CHANGED
        reason = evidence if found.verdict in _NOTHING_SHOWN else f"{evidence}; {found.reason}"
        return _with(found, verdict=verdict, reason=reason, rung="envelope")

    def _strayed(self, tested: EnvelopeTest) -> bool:
        return self._strays is not None and bits.strays(tested)

    @staticmethod
    def _unseen(found: Judgement, tested: EnvelopeTest) -> str:
        """Metrics that the distribution leaves open and the envelope does not cover."""
        covered = {*tested.seen, *(_AT_START if tested.decisive else ())}
        if tested.seen:  # a diverged training has no metrics, which the copies' would show
            covered.add("diverged")
        open_ = [
            c
            for c in found.comparisons
            if c.verdict is Verdict.INCONCLUSIVE and c.metric not in covered
        ]
        reasons = [c.reason for c in open_[:MOST_REASONS]]
        more = f"; and {len(open_) - MOST_REASONS} more" if len(open_) > MOST_REASONS else ""
        return "; ".join(reasons) + more

    @staticmethod
    def _shown(found: Judgement, evidence: str) -> Judgement:
        return _with(found, reason=f"{found.reason}; {evidence}")

    @staticmethod
    def _open(found: Judgement, evidence: str) -> Judgement:
        return _with(found, verdict=Verdict.INCONCLUSIVE, reason=evidence, rung="envelope")

    def _decider(self) -> str:
        """What decides whether a kernel of another class is to blame."""
        stored = self._holder.grids[self._item.grid][self._item.id]
        old, new = self._holder.versions(stored), self._run.environment.software
        names = ("tensorflow", "keras")
        if all(old.get(name) == new.get(name) for name in names):
            return (
                f"the versions are the same, and {another(self._holder)}: the processor's kernels may "
                "be to blame, and no upgrade is"
            )
        device = self._run.environment.numerics.device
        before, after = (f'"{requirement(side, device)}"' for side in (old, new))
        return (
            f"against {another(self._holder)}, whose kernels may be to blame: "
            f"`bench upgrade {before} {after}` on this machine decides"
        )


def _with(judgement: Judgement, **changes: object) -> Judgement:
    return msgspec.structs.replace(judgement, **changes)


def another(baseline: Baseline) -> str:
    """A baseline of another class, in words."""
    return f"another environment class ({baseline.environment_class})"
