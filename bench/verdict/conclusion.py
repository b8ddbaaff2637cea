"""Conclusion: all that is concluded of one comparison. Reports, exit codes and commands read it.

A run is held against a stored baseline (:func:`against_baseline`), or side by side against another run
in the baseline's place (:func:`between`; :func:`of_upgrade` adds the speed and the saved models of both
sides). The ladder judges the cells of all of them alike.

Claims and checks need no baseline. In a run that is held against one, a violated claim is its cell's
verdict and a failing check fails the run. Between two sides they are contrasted: what was wrong before
is no change.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import EXIT_OK, EXIT_REGRESSED, EXIT_TROUBLE, EXIT_UNDECIDED
from bench.published.claims import Finding, findings
from bench.results.blame import Blame
from bench.results.kind import Crash
from bench.results.live import LIVE, read_live
from bench.results.plan import Item
from bench.results.run import StoredRun
from bench.results.timings import Side, Timings, Workload
from bench.results.upgrade import Measured, SideFacts
from bench.verdict import pacing, reasons, speed
from bench.verdict.baselines.samples import Baseline, stand_in
from bench.verdict.baselines.speeds import read_speeds
from bench.verdict.contrast import (
    CheckContrast,
    ClaimContrast,
    DocumentContrast,
    Wrong,
    contrast_checks,
    contrast_claims,
    contrast_documents,
)
from bench.verdict.judgement import Judgement, Verdict
from bench.verdict.judging import judge_with_claims
from bench.verdict.ladder import judge, known_items, stale
from bench.verdict.patterns import Group, changed_groups
from bench.verdict.saving import SavingJudgement, is_rollback, judge_savings


class Answer(str, enum.Enum):
    """Whether what is judged is safe to use in the place of what it is held against."""

    UNSAFE = "not safe"
    UNDECIDED = "undecided"
    SAFE = "safe"


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What is concluded, and all that it rests on."""

    run: StoredRun
    """What is judged: NEW, where there are two sides."""
    baseline: Baseline | None
    """What its cells were judged against: a stored baseline, or OLD in its place."""
    old: StoredRun | None = None
    """OLD, where it was compared side by side."""
    judgements: Sequence[Judgement] = ()
    """Of every cell, in the order of the plan."""
    checks: Sequence[CheckContrast] = ()
    """Those that fail."""
    documents: Sequence[DocumentContrast] = ()
    """Contracts that OLD documents, and NEW otherwise or not at all."""
    claims: Sequence[ClaimContrast] = ()
    """Those that do not hold, contrasted between two sides."""
    findings: Sequence[Finding] = ()
    """What trials of published experiments say."""
    crashed_before: frozenset[Item] = frozenset()
    """Cells that crash on both sides, and on the new one under no larger a share of seeds."""
    lost: Sequence[Item] = ()
    """Cells that OLD trains and for which NEW has no parts."""
    speeds: Mapping[Workload, speed.Speed] = dataclasses.field(default_factory=dict)
    stopped: Mapping[Workload, Mapping[Side, Crash]] = dataclasses.field(default_factory=dict)
    """Workloads that were given up, with the sides on which their process failed."""
    paces: Sequence[pacing.PaceJudgement] = ()
    """Of a run's speed and memory against stored runs of its machine."""
    savings: Sequence[SavingJudgement] = ()
    folder: Path = Path()
    """Where reports belong."""
    sides: Mapping[Side, SideFacts] = dataclasses.field(default_factory=dict)
    """What an upgrade's sides are."""
    timings: Sequence[Timings] = ()
    left_out: Sequence[str] = ()
    """Parts that the user left out, in words."""
    lacking: Sequence[str] = ()
    """Files of parts that should have been measured, and are not there."""
    blames: Sequence[Blame] = ()
    """What findings were blamed on, if somebody asked."""
    measured_here: bool = True
    """Whether this user measured it on this machine: else its programs are not to be run."""

    @functools.cached_property
    def rollback(self) -> bool:
        """Whether NEW is the older one of an upgrade's two sides."""
        if not self.sides:
            return False
        old, new = (run.environment.software for run in self.both)
        return is_rollback(old, new)

    @property
    def both(self) -> tuple[StoredRun, StoredRun]:
        """OLD and NEW of a comparison side by side."""
        assert self.old is not None
        return self.old, self.run

    @functools.cached_property
    def failing(self) -> list[Judgement]:
        """Cells that fail, in the order of attention."""
        failing = [j for j in self.judgements if j.verdict.fails and not self.known_crash(j)]
        return sorted(failing, key=lambda judgement: list(Verdict).index(judgement.verdict))

    @functools.cached_property
    def groups(self) -> list[Group]:
        """Cells that changed or regressed, in groups that belong together."""
        return changed_groups(self.judgements)

    @functools.cached_property
    def gained(self) -> dict[Item, str]:
        """Cells for which OLD has no parts and NEW has, with the reason."""
        return {
            item: reason
            for item, reason in (self.baseline.lacking if self.baseline is not None else {}).items()
            if (records := self.run.of(item.cell)) and not any(r.absent for r in records)
        }

    @functools.cached_property
    def stale(self) -> list[Item]:
        """Cells of a stored baseline that no grid has any more."""
        if self.baseline is None or self.old is not None:
            return []
        return stale(self.run, self.baseline, known_items())

    def common_seeds(self, item: Item) -> int:
        """How many seeds of a cell were trained on both sides."""
        stored = self.baseline.find(item) if self.baseline is not None else None
        samples = stored.samples if stored is not None else ()
        return len(
            {sample.seed for sample in samples if sample.outcome != "crashed"}
            & {r.seed for r in self.run.of(item.cell) if r.outcome in ("trained", "diverged")}
        )

    def known_crash(self, judgement: Judgement) -> bool:
        """Whether it crashed on the other side as well."""
        return judgement.verdict is Verdict.CRASHED and judgement.item in self.crashed_before

    @functools.cached_property
    def incomplete(self) -> bool:
        """Whether something of the plan was not measured, or nothing was."""
        runs = [self.run] if self.old is None else [self.old, self.run]
        run = self.run
        something = run.results or run.trials or run.paces or self.savings or self.speeds
        return (
            any(judgement.verdict is Verdict.MISSING for judgement in self.judgements)
            or any(reasons.unmeasured(run) or any(reasons.not_run(run).values()) for run in runs)
            or bool(self.lacking)
            or not (self.judgements or something)
        )

    @functools.cached_property
    def answer(self) -> Answer:
        """Not safe if anything fails here that did not on the other side; else undecided if something
        is, was not measured, or was compared with nothing; else safe. A part that the user left out
        does not count, and then nothing is said of it."""
        if reasons.against(self):
            return Answer.UNSAFE
        return Answer.UNDECIDED if self.incomplete or reasons.undecided(self) else Answer.SAFE

    @functools.cached_property
    def because(self) -> list[str]:
        """What the answer rests on, the most important first."""
        told = {
            Answer.UNSAFE: reasons.against,
            Answer.UNDECIDED: reasons.undecided,
            Answer.SAFE: reasons.in_favour,
        }[self.answer]
        return [*told(self), *reasons.beside(self)]

    @property
    def exit_code(self) -> int:
        """0 safe, 1 not safe, 3 undecided; 2 if undecided because something was not measured."""
        if self.answer is Answer.UNDECIDED:
            return EXIT_TROUBLE if self.incomplete else EXIT_UNDECIDED
        return EXIT_REGRESSED if self.answer is Answer.UNSAFE else EXIT_OK


def against_baseline(
    run: StoredRun, baseline: Baseline | None, *, speeds: Path | None = None
) -> Conclusion:
    """A run, its claims checked and its cells judged, against what is stored.

    Args:
        run: what is judged.
        baseline: of its class; None if nothing is stored.
        speeds: folder of all baselines, for speeds of this machine; None: they are compared with
            nothing.

    Raises:
        BenchError: stored speeds are damaged.
    """
    return Conclusion(
        run=run,
        baseline=baseline,
        judgements=judge_with_claims(run, baseline),
        checks=[
            CheckContrast(check=result.check, wrong=Wrong.NEW, old=None, new=result)
            for result in run.results
            if result.fails
        ],
        findings=findings(list(run.trials.values())),
        paces=judge_paces(run, speeds),
        folder=run.path,
    )


def judge_paces(run: StoredRun, root: Path | None) -> list[pacing.PaceJudgement]:
    """A run's speed and memory against what is stored of its machine, and live, where that was run.

    Raises:
        BenchError: stored speeds, or the live comparison, are damaged.
    """
    environment = run.environment
    stored = (
        read_speeds(root, environment.environment_class, environment.machine)
        if root is not None and run.paces
        else []
    )
    paces = [run.paces[pace] for pace in run.plan.paces if pace in run.paces and not pace.scale]
    return pacing.judge(paces, stored, environment.software, live=read_live(run.path / LIVE))


def between(old: StoredRun, new: StoredRun) -> Conclusion:
    """Two runs. Whatever their environment classes differ in is what is asked about."""
    baseline = stand_in(old)
    judgements = judge(new, baseline)
    return Conclusion(
        run=new,
        baseline=baseline,
        old=old,
        judgements=judgements,
        checks=contrast_checks(old, new),
        documents=contrast_documents(old, new),
        claims=contrast_claims(old, new),
        crashed_before=frozenset(
            j.item for j in judgements if 0 < _crashes(new, j.item) <= _crashes(old, j.item)
        ),
        lost=[j.item for j in judgements if j.rung == "absent" and _trained(old, j.item)],
        folder=new.path,
    )


def of_upgrade(measured: Measured) -> Conclusion:
    """All that was measured of an upgrade."""
    versions = {"old": measured.old.environment.software, "new": measured.new.environment.software}
    return dataclasses.replace(
        between(measured.old, measured.new),
        speeds=speed.judge({each.workload: each.rounds for each in measured.timings}),
        stopped={each.workload: each.crashes for each in measured.timings if each.crashes},
        savings=judge_savings(measured.exchanges, **versions),
        folder=measured.path,
        sides=measured.sides,
        timings=measured.timings,
        left_out=measured.left_out,
        lacking=measured.lacking,
        blames=measured.blames,
        measured_here=measured.ours,
    )


def _crashes(run: StoredRun, item: Item) -> float:
    """The share of the replicas tried that crashed."""
    tried = [record for record in run.of(item.cell) if record.attempted]
    return sum(record.crash is not None for record in tried) / max(len(tried), 1)


def _trained(run: StoredRun, item: Item) -> bool:
    return any(record.outcome in ("trained", "diverged") for record in run.of(item.cell))
