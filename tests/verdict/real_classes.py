"""How runs on other classes of CPU stand to a baseline: the table in docs/error-rates.md.

    python tests/verdict/real_classes.py BASELINES RUN [RUN ...]

judges stored runs and prints, of the cells whose bits differ, how close rounding came to what is
allowed. A run on the same machine is of another class with ``ONEDNN_MAX_CPU_ISA=AVX2`` or without
oneDNN (``TF_ENABLE_ONEDNN_OPTS=0``): ``ONEDNN_MAX_CPU_ISA=AVX2 pytest suites --tier quick --run
avx2``."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np

from bench.results.run import StoredRun, read_run
from bench.verdict.baselines.samples import Baseline
from bench.verdict.bits import traced_seeds
from bench.verdict.departures import FIRST_STEPS, allowed, looked
from bench.verdict.differences import Differences
from bench.verdict.judging import baseline_for, judge_with_claims

HEADERS = (
    "run",
    "cells",
    "identical",
    "rounding",
    "undecided",
    "changed, regressed",
    "other verdicts",
    "trajectories inside",
    "largest loss difference, of its envelope",
    "largest tensor difference at step 0, of what is allowed",
    "at step 1",
    "equal bits beyond step 1",
)


def row(run: StoredRun, baseline: Baseline) -> list[str]:
    """One line of the table. Differences are of every seed by itself."""
    judgements = judge_with_claims(run, baseline)
    verdicts = Counter(judgement.verdict.value for judgement in judgements)
    inside = total = late = 0
    losses, tensors = [0.0], {step: [0.0] for step in FIRST_STEPS}
    for item in {j.item.cell: j.item for j in judgements if j.envelope is not None}.values():
        seeds = traced_seeds(run, baseline, item)
        found = Differences.of(item.cell, seeds)
        largest = found.ratios.max(axis=1)
        inside, total = inside + int((largest <= 1).sum()), total + len(seeds)
        late += sum(step > 1 for step in found.parted)
        losses += largest.tolist()
        for look in looked(item.cell, seeds):
            if look.step in FIRST_STEPS:
                ratios = look.apart / allowed(found.factor, look.copies)
                tensors[look.step].append(float(np.max(ratios)))
    decided = {name: verdicts.pop(name, 0) for name in ("identical", "rounding", "inconclusive")}
    alarms = verdicts.pop("changed", 0) + verdicts.pop("regressed", 0)
    others = ", ".join(f"{count} {name}" for name, count in verdicts.items()) or "none"
    return [
        run.path.name,
        str(len(judgements)),
        *map(str, (*decided.values(), alarms)),
        others,
        f"{inside} of {total}",
        f"{max(losses):.2g}",
        *(f"{max(ratios):.2g}" for ratios in tensors.values()),
        f"{late} of {total}",
    ]


def main() -> None:
    root, *paths = map(Path, sys.argv[1:])
    print(f"| {' | '.join(HEADERS)} |\n|:--|{'--:|' * (len(HEADERS) - 1)}")
    for path in paths:
        run = read_run(path)
        baseline = baseline_for(root, run)
        if baseline is None:
            sys.exit(f"{root}: holds no baseline for {path}")
        print(f"| {' | '.join(row(run, baseline))} |", flush=True)


if __name__ == "__main__":
    main()
