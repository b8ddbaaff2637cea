"""Judged runs for the reports' tests: verdicts are given here, not worked out."""

from __future__ import annotations

from typing import Any

import msgspec

from bench.cell import Cell
from bench.run import StoredRun
from bench.theory.claim import ClaimResult
from bench.verdict.baseline import Acceptance, Baseline, baseline_from_run
from bench.verdict.judgement import Comparison, Judgement, Verdict
from builders import (
    DEPTH_AXES,
    crashed,
    diverged,
    environment,
    healthy,
    items,
    plan,
    stored,
    trained,
)

Story = tuple[StoredRun, list[Judgement], Baseline | None]

ACCEPTED = Acceptance(
    run="20261101-020000-quick",
    date="2026-11-01",
    reason="first baseline",
    reviewer="",
    cells=6,
    tensorflow="2.20.0",
    keras="3.12.0",
    python="3.11.9",
    numpy="2.4.6",
    bench="0.1.0",
    commit="472e8d3",
)


def as_baseline(run: StoredRun) -> Baseline:
    """What accepting the run would store."""
    found = baseline_from_run(run)
    name = f"baseline {found.environment_class}"
    return msgspec.structs.replace(found, acceptances=[ACCEPTED], name=name)


def judged(run: StoredRun, verdict: Verdict, reason: str, rung: str) -> list[Judgement]:
    """One verdict for all."""
    return [
        Judgement(item=item, verdict=verdict, reason=reason, rung=rung) for item in run.plan.items
    ]


def identical() -> Story:
    """All is as it was."""
    run = healthy()
    return (
        run,
        judged(run, Verdict.IDENTICAL, "3 of 3 seeds bit-identical", "digest"),
        as_baseline(run),
    )


def new() -> Story:
    """The first run on a machine."""
    run = healthy()
    return run, judged(run, Verdict.NEW, "no baseline for this class", "none"), None


def unmeasured() -> Story:
    """No replica came back."""
    run = healthy()
    run = stored(run.plan, [])
    return run, judged(run, Verdict.MISSING, "not measured", "none"), as_baseline(healthy())


def mixed() -> Story:
    """Every verdict once, two grids, claims that hold and claims that do not."""
    depth = [Cell(depth=d, activation=a) for d in (3, 10, 30) for a in ("relu", "tanh", "sigmoid")]
    clip = [Cell(clipping="value_1.0"), Cell(clipping="norm_0.1"), Cell(depth=0, steps=100)]
    the_items = items("depth", depth, DEPTH_AXES) + items("clipping", clip, ("depth", "clip"))
    the_plan = plan(the_items, selected=True)
    before = [trained(c, s, accuracy=0.95) for c in depth + clip for s in (0, 1, 2)]
    after = [
        *(crashed(depth[0], s, message="killed by SIGABRT | <malloc>") for s in (0, 1)),
        trained(depth[0], 2, accuracy=0.95),
        *(trained(depth[1], s, accuracy=0.95) for s in (0, 1, 2)),
        *(trained(depth[2], s, accuracy=0.9127, ratio=2.1e-8, dead=0.125) for s in (0, 1, 2)),
        *(diverged(depth[3], s, step=41) for s in (0, 1, 2)),
        trained(depth[5], 0, accuracy=0.93),
        *(trained(c, s, accuracy=0.95, images_per_sec=None) for c in depth[6:] for s in (0, 1)),
        *(diverged(c, 2, step=99 + c.depth) for c in depth[6:]),
        *(trained(c, s, accuracy=0.96) for c in clip for s in (0, 1, 2)),
    ]
    given = [
        (Verdict.CRASHED, "2 of 3 seeds: killed by SIGABRT | <malloc>", "outcome"),
        (Verdict.CLAIM_VIOLATED, "relu-keeps-signal: ratio 3.1, must be in 0.5..2", "claim"),
        (Verdict.REGRESSED, "test accuracy -3.73 pp (p = 1e-05, margin .5 pp)", "distribution"),
        (Verdict.CHANGED, "diverges in 3 of 3 seeds, the baseline in 0 of 3", "outcome"),
        (Verdict.MISSING, "0 of 3 seeds measured", "none"),
        (Verdict.INCONCLUSIVE, "1 seed: need >= 6 for a test at level 0.05", "distribution"),
        (Verdict.NOT_COMPARABLE, "the baseline has other images", "none"),
        (Verdict.NOT_COMPARABLE, "the baseline has other images", "none"),
        (Verdict.NEW, "no baseline", "none"),
        (Verdict.IMPROVED, "test accuracy +1.00 pp (p = 0.001)", "distribution"),
        (Verdict.EQUIVALENT, "within margins", "distribution"),
        (Verdict.ROUNDING, "inside the envelope at every step", "envelope"),
    ]
    comparison = Comparison(
        metric="test_accuracy",
        baseline_mean=0.95,
        mean=0.9127,
        change=-0.0373,
        p_value=1e-6,
        adjusted_p=1.2e-5,
        verdict=Verdict.REGRESSED,
        reason="",
    )
    claim: dict[str, Any] = {
        "claim": "relu-keeps-signal",
        "statement": "He's initialization keeps the signal's variance (He et al. 2015, eq. 14)",
    }
    judgements = [
        Judgement(
            item=item,
            verdict=verdict,
            reason=reason,
            rung=rung,
            comparisons=[comparison] if verdict is Verdict.REGRESSED else [],
            claims=[
                ClaimResult(
                    **claim,
                    holds=verdict is not Verdict.CLAIM_VIOLATED,
                    evidence="ratio 3.1 of 3 seeds, must be in 0.5..2",
                )
            ]
            if item.cell.depth == 3
            else [],
        )
        for item, (verdict, reason, rung) in zip(the_items, given, strict=True)
    ]
    here = environment(software={"tensorflow": "2.21.0"})
    return stored(the_plan, after, of=here), judgements, as_baseline(stored(the_plan, before))


STORIES = {story.__name__: story for story in (identical, new, unmeasured, mixed)}
