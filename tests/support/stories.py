"""Judged runs for the reports' tests: verdicts are given here, not worked out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from bench.cells.cell import Cell
from bench.results.copy_result import Copy, CopyResult
from bench.results.record import Record
from bench.results.run import StoredRun
from bench.theory.claim import ClaimResult
from bench.verdict.baselines.folder import Acceptance, Baseline, baseline_from_run
from bench.verdict.conclusion import Conclusion, against_baseline
from bench.verdict.envelope import describe
from bench.verdict.judgement import Comparison, Departure, EnvelopeTest, Judgement, Verdict
from support.builders import (
    DEPTH_AXES,
    crashed,
    diverged,
    environment,
    healthy,
    items,
    plan,
    replaced,
    stored,
    trained,
)

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


def concluded(
    run: StoredRun, judgements: Sequence[Judgement], baseline: Baseline | None = None
) -> Conclusion:
    """What is concluded of a run whose cells are judged so."""
    found = against_baseline(run, None)
    return dataclasses.replace(found, judgements=list(judgements), baseline=baseline)


def rejudged(found: Conclusion, number: int, **changes: Any) -> Conclusion:
    """The same but for one cell's judgement; ``changes`` are its fields."""
    judgements = list(found.judgements)
    judgements[number] = msgspec.structs.replace(judgements[number], **changes)
    return dataclasses.replace(found, judgements=judgements)


def identical() -> Conclusion:
    """All is as it was."""
    run = healthy()
    judgements = judged(run, Verdict.IDENTICAL, "3 of 3 seeds bit-identical", "digest")
    return concluded(run, judgements, as_baseline(run))


def new() -> Conclusion:
    """The first run on a machine."""
    run = healthy()
    return concluded(run, judged(run, Verdict.NEW, "no baseline for this class", "none"))


def unmeasured() -> Conclusion:
    """No replica came back."""
    run = healthy()
    run = stored(run.plan, [])
    judgements = judged(run, Verdict.MISSING, "not measured", "none")
    return concluded(run, judgements, as_baseline(healthy()))


def mixed() -> Conclusion:
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
    return concluded(
        stored(the_plan, after, of=here), judgements, as_baseline(stored(the_plan, before))
    )


#: The depths of the cells of :func:`parted`, and of the two that are outside the envelope.
PARTED, OUTSIDE = (0, 1, 2, 3, 10, 30), (2, 3, 30)


def envelope_test(**changes: Any) -> EnvelopeTest:
    """One that is inside; ``changes`` are fields."""
    given: dict[str, Any] = {
        "copies": 12,
        "seeds": 3,
        "steps": 20,
        "inside": True,
        "starts": 0,
        "first_step": None,
        "ratio": 0.25,
        "worst_step": 11,
        "strays": 0,
        "sharp_steps": 20,
        "risk": 4e-4,
        "departure": None,
    }
    return EnvelopeTest(**{**given, **changes})


def outside(**changes: Any) -> EnvelopeTest:
    """One that is outside and says where it begins; ``changes`` are fields."""
    departure = Departure(
        step=1, earlier=0, tensor="layer 1, kernel", distance=1.2e-3, allowed=2.3e-7
    )
    given: dict[str, Any] = {"inside": False, "strays": 3, "departure": departure}
    given |= {"first_step": 4, "ratio": 1234.5, "worst_step": 7, "starts": 1}
    return envelope_test(**{**given, **changes})


def parted() -> Conclusion:
    """Every outcome of the envelope: two cells inside, of which one is chaotic; one outside and worse,
    one outside from the first step without a tensor to blame, one whose moving statistic alone departs;
    one inside but for a seed's jump."""
    cells = [Cell(depth=depth) for depth in PARTED]
    the_plan = plan(items("depth", cells, DEPTH_AXES))
    before = [trained(cell, seed) for cell in cells for seed in the_plan.seeds]
    # Twice the rounding of copies inside; from step 4 on 1e-2 outside.
    after = [
        moved(record, 4e-7, later=1e-2 if record.cell.depth in OUTSIDE else 4e-7)
        for record in before
    ]
    copies = [
        Copy(cell=cell, seed=seed, number=number)
        for cell in cells
        for seed in the_plan.seeds
        for number in range(4)
    ]
    by_key = {record.key: record for record in after}
    results = {
        copy: CopyResult(
            copy=copy,
            trajectory=moved(by_key[copy.replica], 2e-7 * (copy.number + 1)).trajectory,
        )
        for copy in copies
    }
    moving = Departure(
        step=10,
        earlier=1,
        tensor="layer 1, moving variance, inference",
        distance=None,
        allowed=3e-6,
    )
    given = [
        (Verdict.ROUNDING, envelope_test()),
        (Verdict.ROUNDING, envelope_test(sharp_steps=3, ratio=0.031, starts=2, strays=1)),
        (Verdict.REGRESSED, outside()),
        (Verdict.CHANGED, outside(first_step=0, ratio=math.inf, worst_step=0, departure=None)),
        (Verdict.CHANGED, envelope_test(inside=False, ratio=0.5, departure=moving)),
        (Verdict.CHANGED, outside(ratio=12.0)),
    ]
    judgements = [
        Judgement(
            item=item,
            verdict=verdict,
            reason=describe(test)
            + ("; test accuracy -3.73 pp" if verdict is Verdict.REGRESSED else ""),
            rung="envelope",
            envelope=test,
        )
        for item, (verdict, test) in zip(the_plan.items, given, strict=True)
    ]
    run = replaced(stored(the_plan, after), copies=results)
    return concluded(run, judgements, as_baseline(stored(the_plan, before)))


def moved(record: Record, size: float, *, later: float | None = None) -> Record:
    """With losses that differ by ``size``, from step 4 on by ``later``."""
    losses = np.frombuffer(record.trajectory, "<f4").astype(float)
    apart = np.full(losses.size, size)
    apart[4:] = size if later is None else later
    trajectory = (losses + apart).astype("<f4").tobytes()
    return msgspec.structs.replace(
        record, trajectory=trajectory, digest=f"{record.digest[:60]}moved"
    )


STORIES = {story.__name__: story for story in (identical, new, unmeasured, mixed, parted)}
