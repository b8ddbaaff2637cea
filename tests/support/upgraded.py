"""Synthetic upgrades for tests of the answer and of its reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.cells.cell import Cell
from bench.results.blame import Blame, Cause, Pair, Release, Remedy
from bench.results.check import Check, CheckResult, Deviation
from bench.results.kind import Crash
from bench.results.plan import Item
from bench.results.record import Record
from bench.results.run import StoredRun
from bench.results.saved_models import Exchange, Loaded, Written
from bench.results.timings import Timings, Work, Workload
from bench.results.upgrade import Measured, SideFacts
from bench.verdict.conclusion import Conclusion, of_upgrade
from bench.verdict.judgement import Departure, EnvelopeTest, Judgement, Verdict
from support.builders import environment, items, plan, replaced, stored, trained

AXES = ("depth", "opt", "norm")
CELLS = [
    Cell(depth=depth, optimizer=optimizer, normalization=norm, steps=200)
    for depth in (1, 3)
    for optimizer in ("sgd", "adam", "nadam")
    for norm in ("none", "batch")
]
ITEMS = items("optimizer", CELLS, AXES)
SEEDS = (0, 1, 2)
CHECK = Check(family="optimizer", subject="nadam")
VERSIONS = {"old": "2.20.0", "new": "2.21.0"}
LOCKS = {
    "old": "keras==3.12.0\nnumpy==2.0.1\ntensorflow-cpu==2.20.0\nwrapt==1.0\n",
    "new": "keras==3.15.1\nnumpy==2.0.1\ntensorflow-cpu==2.21.0\nwrapt==1.0\nadded==1\n",
}

BLAMED = Check(family="loops", subject="train_on_batch-returns:loss")
BLAME = Blame(
    finding=BLAMED.id,
    outcome="found",
    old="got 7.95, expected 5.43",
    new="it holds",
    differences=["keras 3.0.5 -> 3.15.1", "numpy 1 -> 2"],
    causes=[Cause(parts=["keras 3.0.5 -> 3.15.1"])],
    package="keras",
    releases=[
        Release(version="3.14.1", seen="same", detail="got 7.95"),
        Release(version="3.15.0", seen="changed", detail="it holds"),
    ],
    skipped={"3.14.2": "yanked: broken"},
    pairs=[Pair(before="3.14.1", after="3.15.0", drift=["rich 1 -> 2"])],
    changelog="https://example.org/releases",
    remedies=[
        Remedy(variables={"TF_ENABLE_ONEDNN_OPTS": "0"}, avoids=False, detail="it holds"),
        Remedy(pins=["tensorflow-cpu==2.16.2", "keras==3.14.1"], avoids=True),
    ],
    known=["keras #22596", "no report of it is known"],
    locks=[
        "keras==3.14.1\nnumpy==1.26.4\ntensorflow-cpu==2.16.2\n",
        "keras==3.15.0\nnumpy==1.26.4\ntensorflow-cpu==2.16.2\n",
    ],
    machine={"cpu": "a processor"},
    environments=9,
    total_sec=61.0,
)

Change = Callable[[Record], Record | None]


def same(record: Record) -> Record:
    return record


def side(
    name: str,
    change: Change = same,
    *,
    chosen: Sequence[Item] = ITEMS,
    seeds: Iterable[int] = SEEDS,
    checks: Mapping[Check, CheckResult] | None = None,
) -> StoredRun:
    """One side's run; ``change`` goes over every record, None leaves it out."""
    planned = plan(chosen, seeds=seeds, checks=list(checks or {}))
    made = [
        change(trained(item.cell, seed, spread=0.0001)) for item in chosen for seed in planned.seeds
    ]
    of = environment(software={"tensorflow": VERSIONS[name]})
    run = stored(planned, [r for r in made if r is not None], path=Path("results/u", name), of=of)
    return replaced(
        run, checks={c: r for c, r in (checks or {}).items() if r.compared or r.crash or r.absent}
    )


def measured(old: StoredRun | None = None, new: StoredRun | None = None, **parts: Any) -> Measured:
    """Both sides, equal unless given."""
    sides: Any = {
        name: SideFacts(label=f"tensorflow-cpu=={version}", python=name, lock=LOCKS[name])
        for name, version in VERSIONS.items()
    }
    return Measured(
        old=old or side("old"),
        new=new or side("new"),
        **{"path": Path("results/u"), "sides": sides, **parts},
    )


def upgraded(
    old: StoredRun | None = None, new: StoredRun | None = None, **parts: Any
) -> Conclusion:
    """What is concluded from both."""
    return of_upgrade(measured(old, new, **parts))


def where(chosen: Callable[[Cell], bool], change: Change) -> Change:
    """The change, of some cells alone."""
    return lambda record: change(record) if chosen(record.cell) else record


def worse(record: Record) -> Record:
    """Other bits, and an accuracy that is lower by far more than seeds vary."""
    accuracy = (record.test_accuracy or 0.0) - 0.3
    return msgspec.structs.replace(record, test_accuracy=accuracy, digest=f"{record.digest[1:]}w")


def other_bits(record: Record) -> Record:
    """Other bits and nothing else."""
    return msgspec.structs.replace(record, digest=f"{record.digest[1:]}o")


def crash(record: Record, reason: Any = "exception", message: str = "ValueError: no") -> Record:
    """Its process failed."""
    ended = Crash(reason=reason, message=message, output="Traceback\n\n<b>last</b> line\n")
    return Record(cell=record.cell, seed=record.seed, outcome="crashed", crash=ended)


def absent(record: Record) -> Record:
    """This TensorFlow has no parts for it."""
    text = f"Keras has no {record.cell.optimizer}"
    return Record(cell=record.cell, seed=record.seed, outcome="absent", absent=text)


def lacking(record: Record) -> None:
    """It was not measured."""
    del record


def checked(*, out: bool = False, digest: str = "a", check: Check = CHECK) -> CheckResult:
    """A check that holds, or does not."""
    deviation = Deviation(tensor="step 1, cube", excess=5.0, evidence="got 1|2, expected <3>")
    return CheckResult(
        check=check, compared=3, deviations=[deviation] if out else [], digest=digest
    )


def timed(
    effect: float = 0.0,
    *,
    noise: float = 0.002,
    engine: str = "fit",
    work: Work = "training",
    rounds: int = 4,
    crashes: Mapping[str, Crash] | None = None,
) -> Timings:
    """Bursts of a workload whose NEW takes exp(effect) times as long."""
    random = np.random.default_rng(7)
    seconds = [
        (
            0.2
            * np.exp(random.normal(0, noise, (6, 4, 2)) + effect * np.array([0, 1, 0, 1])[:, None])
        )
        for _ in range(rounds)
    ]
    found: Any = dict(crashes or {})
    workload = Workload(Cell(engine=engine, steps=200), work)
    return Timings(
        workload=workload, steps=100, rounds=[r.tolist() for r in seconds], crashes=found
    )


def exchange(
    form: str = "keras", *, error: str = "", excess: float | None = 0.5, back: bool = False
) -> Exchange:
    """A file that its writer reads, and the other side reads or does not."""
    fine = Loaded(
        model="mlp", format=form, same_bits=True, deviation=Deviation(tensor="outputs", excess=0.5)
    )
    read = Loaded(model="mlp", format=form, deviation=Deviation(tensor="outputs", excess=excess))
    other = Loaded(model="mlp", format=form, error=error) if error else read
    written = Written(model="mlp", format=form)
    by_old, by_new = (other, fine) if back else (fine, other)
    return Exchange(written=written, back=back, by_old=by_old, by_new=by_new)


def outside(item: Item, tensor: str = "layer 1, kernel", step: int = 1) -> Judgement:
    """A cell whose losses leave the envelope."""
    departure = Departure(step=step, earlier=0, tensor=tensor, distance=0.02, allowed=1e-6)
    test = EnvelopeTest(
        copies=6,
        seeds=3,
        steps=200,
        inside=False,
        starts=0,
        first_step=step,
        ratio=300.0,
        worst_step=9,
        strays=3,
        sharp_steps=150,
        risk=1e-4,
        departure=departure,
    )
    return Judgement(
        item=item, verdict=Verdict.CHANGED, reason="outside", rung="envelope", envelope=test
    )
