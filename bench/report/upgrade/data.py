"""All that is concluded of an upgrade, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bench.report.text import as_json
from bench.report.upgrade.sides import different, locked, pin
from bench.report.upgrade.words import common_seeds, metric_means
from bench.results.plan import Item
from bench.results.run import StoredRun
from bench.results.timings import SIDES, Side
from bench.verdict import speed
from bench.verdict.conclusion import Conclusion
from bench.verdict.judgement import Judgement, Verdict
from bench.verdict.ladder import counts

#: Raised when a name here disappears or means something else.
SCHEMA = 1

_NONE: Mapping[Item, str] = MappingProxyType({})


def upgrade_json(
    upgrade: Conclusion,
    *,
    total_sec: float | None = None,
    reproducers: Mapping[Item, str] = _NONE,
) -> str:
    """JSON that ends in one newline. Numbers are raw: shares, ratios, seconds. An infinite number is
    null, and so is what does not exist: a distance of null beside a named tensor is infinite.

    Args:
        upgrade: what is concluded.
        total_sec: how long measuring took.
        reproducers: the path of a script that shows the change of a cell.
    """
    content = {
        "schema": SCHEMA,
        "answer": upgrade.answer.value,
        "exit_code": upgrade.exit_code,
        "because": list(upgrade.because),
        "incomplete": upgrade.incomplete,
        "total_sec": total_sec,
        "folder": str(upgrade.folder),
        "left_out": list(upgrade.left_out),
        "counts": {verdict.value: n for verdict, n in counts(upgrade.judgements).items()},
        "cells": [_cell(upgrade, j, reproducers.get(j.item)) for j in upgrade.judgements],
        "lost": [_name(item) for item in upgrade.lost],
        "claims": [
            {**_name(c.item), "wrong": c.wrong.name.lower(), "old": c.old, "new": c.new}
            for c in upgrade.claims
        ],
        "checks": _checks(upgrade),
        "speed": _speeds(upgrade),
        "savings": list(upgrade.savings),
        "sides": {side: _side(upgrade, side) for side in SIDES},
        "differences": different(locked(upgrade, "old"), locked(upgrade, "new")),
        "pin": pin(upgrade),
    }
    return as_json(content)


def _name(item: Item) -> dict[str, str]:
    return {"grid": item.grid, "cell": item.id}


def _cell(upgrade: Conclusion, judgement: Judgement, script: str | None) -> dict[str, Any]:
    item, test = judgement.item, judgement.envelope
    departure = test.departure if test is not None else None
    known = judgement.verdict is Verdict.CRASHED and item in upgrade.crashed_before
    return {
        **_name(item),
        "verdict": judgement.verdict.value,
        "rung": judgement.rung,
        "reason": judgement.reason,
        "fails": judgement.verdict.fails and not known,
        "crashed_before": known,
        "seeds_on_both": common_seeds(upgrade, item),
        "first_step": test.first_step if test is not None else None,
        "ratio": test.ratio if test is not None else None,
        "tensor": departure.tensor if departure is not None else None,
        "tensor_step": departure.step if departure is not None else None,
        "distance": departure.distance if departure is not None else None,
        "allowed": departure.allowed if departure is not None else None,
        "envelope": test,
        "comparisons": list(judgement.comparisons),
        "old": _measured(upgrade.both[0], item),
        "new": _measured(upgrade.run, item),
        "script": script,
    }


def _measured(run: StoredRun, item: Item) -> dict[str, Any]:
    records = run.of(item.cell)
    return {
        "outcomes": {str(record.seed): record.outcome for record in records},
        "means": metric_means(records),
    }


def _checks(upgrade: Conclusion) -> dict[str, Any]:
    old, new = upgrade.both[0], upgrade.run
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
            for c in upgrade.checks
        ],
    }


def _speeds(upgrade: Conclusion) -> dict[str, Any]:
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
                "speed": _speed(upgrade.speeds.get(timings.workload)),
            }
            for timings in upgrade.timings
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


def _side(upgrade: Conclusion, side: Side) -> dict[str, Any]:
    run = upgrade.both[0] if side == "old" else upgrade.run
    return {
        "facts": upgrade.sides[side],
        "packages": locked(upgrade, side),
        "run": str(run.path),
        "environment": run.environment,
        "environment_class": run.environment.environment_class,
    }
