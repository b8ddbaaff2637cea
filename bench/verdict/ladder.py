"""The ladder of evidence: what is concluded of each cell of a run against a baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bench.run import Item, StoredRun
from bench.verdict.baseline import Baseline
from bench.verdict.judgement import ClaimResult, Judgement, Verdict

ALPHA = 0.05


def judge(
    run: StoredRun,
    baseline: Baseline | None,
    claims: Mapping[Item, Sequence[ClaimResult]] | None = None,
    *,
    alpha: float = ALPHA,
) -> list[Judgement]:
    """The verdict on every item of the run's plan, in plan order."""
    raise NotImplementedError


def counts(judgements: Iterable[Judgement]) -> dict[Verdict, int]:
    """How many cells have each verdict, in the order of attention; verdicts of none left out."""
    raise NotImplementedError


def exit_code(judgements: Sequence[Judgement]) -> int:
    """1 if any fails; 2 if nothing was measured or something is missing; else 0."""
    raise NotImplementedError


def stale(run: StoredRun, baseline: Baseline) -> list[Item]:
    """Baseline cells of the run's grids that its plan does not have; none for a selected plan."""
    raise NotImplementedError
