"""All that is concluded of an upgrade, for programs."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import msgspec

from bench.report.reproducer import NO_SCRIPTS, Scripts
from bench.report.sections.sides import different, locked, pin
from bench.report.text import as_json
from bench.results.plan import Item
from bench.results.record import Record
from bench.results.run import StoredRun
from bench.results.timings import SIDES, Side
from bench.verdict import speed
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import Judgement
from bench.verdict.ladder import counts
from bench.verdict.metrics import BY_NAME, Metric

#: Raised when a name here disappears or means something else.
SCHEMA = 1


def upgrade_json(
    conclusion: Conclusion,
    *,
    total_sec: float | None = None,
    reproducers: Scripts = NO_SCRIPTS,
) -> str:
    """JSON that ends in one newline. Numbers are raw: shares, ratios, seconds. An infinite number is
    null, and so is what does not exist: a distance of null beside a named tensor is infinite.

    Args:
        conclusion: what is concluded.
        total_sec: how long measuring took.
        reproducers: the path of a script that shows the change of a cell.
    """
    content = {
        "schema": SCHEMA,
        "answer": conclusion.answer.value,
        "exit_code": conclusion.exit_code,
        "because": list(conclusion.because),
        "incomplete": conclusion.incomplete,
        "total_sec": total_sec,
        "folder": str(conclusion.folder),
        "left_out": list(conclusion.left_out),
        "counts": {verdict.value: n for verdict, n in counts(conclusion.judgements).items()},
        "cells": [_cell(conclusion, j, reproducers.get(j.item)) for j in conclusion.judgements],
        "lost": [_name(item) for item in conclusion.lost],
        "claims": [
            {**_name(c.item), "wrong": c.wrong.name.lower(), "old": c.old, "new": c.new}
            for c in conclusion.claims
        ],
        "checks": _checks(conclusion),
        "speed": _speeds(conclusion),
        "savings": [
            {"name": each.name, **msgspec.structs.asdict(each)} for each in conclusion.savings
        ],
        "rollback": conclusion.rollback,
        "blames": list(conclusion.blames),
        "sides": {side: _side(conclusion, side) for side in SIDES},
        "differences": different(locked(conclusion, "old"), locked(conclusion, "new")),
        "pin": pin(conclusion),
    }
    return as_json(content)


def _name(item: Item) -> dict[str, str]:
    return {"grid": item.grid, "cell": item.id}


def _cell(conclusion: Conclusion, judgement: Judgement, script: str | None) -> dict[str, Any]:
    item, test = judgement.item, judgement.envelope
    departure = test.departure if test is not None else None
    known = conclusion.known_crash(judgement)
    return {
        **_name(item),
        "verdict": judgement.verdict.value,
        "rung": judgement.rung,
        "reason": judgement.reason,
        "fails": judgement.verdict.fails and not known,
        "crashed_before": known,
        "seeds_on_both": conclusion.common_seeds(item),
        **{name: getattr(test, name, None) for name in ("first_step", "ratio")},
        "tensor": getattr(departure, "tensor", None),
        "tensor_step": getattr(departure, "step", None),
        **{name: getattr(departure, name, None) for name in ("distance", "allowed")},
        "envelope": test,
        "comparisons": list(judgement.comparisons),
        "old": _measured(conclusion.both[0], item),
        "new": _measured(conclusion.run, item),
        "script": script,
    }


def _measured(run: StoredRun, item: Item) -> dict[str, Any]:
    records = run.of(item.cell)
    return {
        "outcomes": {str(record.seed): record.outcome for record in records},
        "means": {
            name: fmean(values) if (values := _values(metric, records)) else None
            for name, metric in BY_NAME.items()
        },
    }


def _values(metric: Metric, records: Sequence[Record]) -> list[float]:
    return [value for record in records if (value := metric.get(record)) is not None]


def _checks(conclusion: Conclusion) -> dict[str, Any]:
    old, new = conclusion.both[0], conclusion.run
    return {
        "planned": len(new.plan.checks),
        "ran": {"old": len(old.results), "new": len(new.results)},
        "same_bits": sum(
            old.checks[c].digest == new.checks[c].digest and new.checks[c].compared > 0
            for c in new.plan.checks
            if c in old.checks and c in new.checks
        ),
        "wrong": [
            {"check": c.check.id, "wrong": c.wrong.name.lower(), "old": c.old, "new": c.new}
            for c in conclusion.checks
        ],
        "documented_otherwise": documented(conclusion),
    }


def documented(conclusion: Conclusion) -> list[dict[str, Any]]:
    """What NEW documents otherwise than OLD; without a new truth, what is not there any more."""
    return [
        {
            "check": contrast.check.id,
            "thing": contrast.old.thing,
            "old": contrast.old.truth,
            "new": contrast.new.truth if contrast.new is not None else None,
        }
        for contrast in conclusion.documents
    ]


def _speeds(conclusion: Conclusion) -> dict[str, Any]:
    return {
        "margin": speed.MARGIN,
        "margins": speed.MARGINS,
        "alpha": speed.ALPHA,
        "workloads": [
            {
                "title": timings.workload.title,
                "cell": timings.workload.cell.id(),
                "work": timings.workload.work,
                "steps": timings.steps,
                "rounds": len(timings.rounds),
                "crashes": timings.crashes,
                "speed": _speed(conclusion.speeds.get(timings.workload)),
            }
            for timings in conclusion.timings
        ],
    }


def _speed(found: speed.Speed | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "verdict": found.name,
        "margin": found.margin,
        "reason": found.reason,
        "restarts": found.restarts,
        "ratio": found.ratio._asdict(),
        "noise_floor": found.floor._asdict(),
        "spread": dict(zip(SIDES, found.spread, strict=True)),
        "burst_sec": dict(zip(SIDES, found.seconds, strict=True)),
        "level": found.level,
    }


def _side(conclusion: Conclusion, side: Side) -> dict[str, Any]:
    run = conclusion.both[0] if side == "old" else conclusion.run
    return {
        "facts": conclusion.sides[side],
        "packages": locked(conclusion, side),
        "run": str(run.path),
        "environment": run.environment,
        "environment_class": run.environment.environment_class,
    }
