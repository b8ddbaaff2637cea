"""What README and docs show of reports, rendered from constructed results by what renders real ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from bench.cells.component_grids import UPGRADE_GRIDS
from bench.checks.catalogue import checks
from bench.checks.contracts.known_faults import known
from bench.report.comparison import compare_runs
from bench.report.full import full_report
from bench.report.markdown import markdown
from bench.report.sections.blame import blame_blocks
from bench.report.sections.paces import paces_section
from bench.report.terminal import summary_lines
from bench.results.blame import Blame, Cause, Pair, Remedy
from bench.results.check import Check, CheckResult, result
from bench.results.environment import Numerics
from bench.results.plan import Item
from bench.results.run import StoredRun
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation
from bench.verdict import pacing
from bench.verdict.baselines.samples import Baseline, stand_in
from bench.verdict.conclusion import Conclusion, against_baseline
from bench.verdict.judgement import Judgement, Verdict
from support.builders import environment, plan, replaced, stored, trained
from support.paces import pace
from support.paces import result as paced
from support.paces import stored as night
from support.stories import as_baseline
from support.upgraded import side, upgraded

#: Of README: the baseline's class of some cells, and of those that it lacks.
CLASSES = ("amx", "avx512_bf16")
LOSS = Check(family="loops", subject="train_on_batch-returns:loss")


def out(
    check: Check,
    tensor: str,
    got: float,
    expected: float,
    *,
    tensors: int = 1,
    shape: tuple[int, ...] = (),
) -> CheckResult:
    """A check of which a tensor is out of bounds, and so many in all of twice as many."""
    truth = Bounded(np.full(shape, expected), 2.0**-24 * abs(expected))
    wrong = deviation(tensor, np.full(shape, got), truth)
    right = deviation("other", truth.value, truth)
    return result(check, [wrong] * tensors + [right] * tensors)


def exactly(check: Check, tensor: str, got: float, expected: float) -> CheckResult:
    """The same of a whole number."""
    return result(check, [deviation(tensor, np.asarray(got), Bounded(expected))])


def safe() -> str:
    """The report of a quick tier whose bits are its baseline's, on a class that has some cells."""
    items = [
        Item(grid=grid.name, id=id_, cell=cell)
        for grid in UPGRADE_GRIDS.values()
        for id_, cell in list(grid.cells("quick").items())[:4]
    ]
    planned = checks("quick")
    arithmetic = [check for check in planned if not check.is_contract][:2]
    contracts = [check for check in planned if check.is_contract][:6]
    faults = [
        msgspec.structs.replace(exactly(check, "loss", 1.0, 2.0), known="a fault")
        for check in contracts[:2]
    ]
    absent = [CheckResult(check=check, absent="of Keras 2") for check in contracts[2:4]]
    held = [CheckResult(check=check, compared=1) for check in (*arithmetic, *contracts[4:])]
    results = {one.check: one for one in (*faults, *absent, *held)}
    amx, other = (msgspec.structs.replace(environment().numerics, isa=isa) for isa in CLASSES)
    run = _run(items, list(results), numerics=amx)
    paces = {one.pace: one for one in (paced(), paced(pace("inference")))}
    run = replaced(run, checks=results, paces=paces)
    run = msgspec.structs.replace(run, plan=msgspec.structs.replace(run.plan, paces=list(paces)))
    half = [item for item in items if item.grid not in ("clipping", "dropout")]
    here, there = (_baseline(one, of) for one, of in ((half, amx), (items, other)))
    found = against_baseline(run, msgspec.structs.replace(here, fallback=there))
    same = [msgspec.structs.replace(j, verdict=Verdict.IDENTICAL) for j in found.judgements]
    return markdown(full_report(dataclasses.replace(found, judgements=same)))


def _run(items: Iterable[Item], of: Sequence[Check] = (), *, numerics: Numerics) -> StoredRun:
    planned = plan(list(items), seeds=[0], checks=list(of))
    records = {item.cell: trained(item.cell, 0) for item in planned.items}
    return stored(planned, records.values(), of=environment(numerics=numerics))


def _baseline(items: Iterable[Item], numerics: Numerics) -> Baseline:
    return as_baseline(_run(items, numerics=numerics))


def not_safe() -> str:
    """The report of an upgrade from Keras 3.14.1 to 3.15.0, which mends contracts."""
    numbers = {  # what the first of each cause gives in OLD
        "callbacks:early_stopping-reused": ("fit 1, epochs", 2.0, 5.0),
        "ops:depthwise_conv-1d_strides_dilation": (
            "(2x9x3, 3x3x2, strides=2, padding='same', dilation_rate=2)",
            *(2.0, -45.0),
        ),
    }
    old, new = {}, {}
    for check in checks("quick"):
        if not check.is_contract:
            continue
        before, after = (known(check.id, keras=k, tensorflow="2.16.2") for k in KERAS)
        if before and not after:
            wrong = out(check, *numbers.get(check.id, ("loss", 1.0, 2.0)))
            old[check] = msgspec.structs.replace(wrong, known=before)
            new[check] = CheckResult(check=check, compared=1)
    sides = [side(name, chosen=[], checks=of) for name, of in (("old", old), ("new", new))]
    return markdown(full_report(upgraded(*sides)))


#: Versions of README's example, both with TensorFlow 2.16.2.
KERAS = ("3.14.1", "3.15.0")


def failing_check() -> str:
    """The last lines in the terminal, all of them, of a run in which Nadam is wrong."""
    check = Check(family="optimizer", subject="nadam-engine:graph")
    wrong = out(check, "step 1, cube", -0.000401213445, -0.000554629488, tensors=8, shape=(2, 2, 2))
    run = replaced(stored(plan([], checks=[check]), []), checks={check: wrong})
    return "\n".join(summary_lines(against_baseline(run, None), verbose=True))


def blamed() -> str:
    """What ``bench bisect`` prints of a contract that a release of Keras mended."""
    wrong = out(LOSS, "call 1, loss", 7.95329094, 5.42585485, tensors=2)
    found = Blame(
        finding=LOSS.id,
        outcome="found",
        old=wrong.reason,
        new="it holds",
        mended=True,
        differences=["keras 3.0.5 -> 3.15.1"],
        causes=[Cause(parts=["keras 3.0.5 -> 3.15.1"])],
        package="keras",
        pairs=[Pair(before="3.14.1", after="3.15.0")],
        changelog="https://github.com/keras-team/keras/releases",
        remedies=[Remedy(pins=["tensorflow-cpu==2.16.2", "keras==3.14.1"], avoids=True)],
        known=[known(LOSS.id, keras="3.0.5", tensorflow="2.16.2")],
        environments=10,
        total_sec=658.0,
    )
    return markdown(blame_blocks(found))


def slower() -> str:
    """The answer and the section on speed of a run that is beyond its machine's limits."""
    fit, graph = pace(engine="fit"), pace()
    random = np.random.default_rng(1)
    nights = [
        night(
            n, [paced(of, step=2.0 * float(np.exp(random.normal(0, 0.01)))) for of in (fit, graph)]
        )
        for n in range(12)
    ]
    found = [paced(fit, step=2.2), paced(graph, step=2.0)]
    software = {**environment().software, "tensorflow": "2.22.0"}
    run = stored(msgspec.structs.replace(plan([]), paces=[fit, graph]), [])
    run = msgspec.structs.replace(run, outcomes={one.pace: one for one in found})
    conclusion = dataclasses.replace(
        against_baseline(run, None), paces=pacing.judge(found, nights, software)
    )
    return f"{markdown(full_report(conclusion))}\n{markdown([paces_section(conclusion)])}"


def rounded(names: Sequence[str]) -> str:
    """What ``bench compare`` prints of two runs in which these cells alone round otherwise."""
    items = [
        Item(grid=grid.name, id=id_, cell=cell)
        for grid in UPGRADE_GRIDS.values()
        for id_, cell in grid.cells("full").items()
    ]
    others = [item for item in items if item.name not in names][:2]
    chosen = [item for item in items if item.name in names] + others
    old, new = (side(name, chosen=chosen) for name in ("old", "new"))
    judgements = [
        Judgement(
            item=item,
            verdict=Verdict.IDENTICAL if item in others else Verdict.ROUNDING,
            reason="inside",
            rung="envelope",
        )
        for item in chosen
    ]
    found = Conclusion(run=new, baseline=stand_in(old), old=old, judgements=judgements)
    return compare_runs(found)[0]
