"""Claims on gradients: each holds, is violated, and is silent where it must be."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from bench.published.claims import Finding, findings
from bench.published.experiments import P1
from bench.published.replay import replay
from bench.results.trial import Curve, Form, TrialResult
from support.trials import crashed, ended, result, trial

P1_VARIANTS = ("two layers", "three layers", "three layers, Xavier")


def found(results: Sequence[TrialResult], name: str, form: str = "keras") -> Finding:
    (one,) = [each for each in findings(results) if (each.name, each.form) == (name, form)]
    return one


# --- P1 -----------------------------------------------------------------------------------------


@functools.cache
def sound(variant: str) -> tuple[np.ndarray, np.ndarray]:
    """Variances and losses of other seeds than those of the range."""
    seen = replay(P1.variants[variant], seeds=60, first=9)
    return seen.variance, seen.loss


def p1(first: int = 0, seeds: int = 5, **factors: Mapping[str, float]) -> list[TrialResult]:
    """Trials that behave as replayed; ``variance`` and ``loss`` multiply what variants show."""
    variances, losses = factors.get("variance", {}), factors.get("loss", {})
    results = []
    for variant in P1_VARIANTS:
        of_variance, of_loss = sound(variant)
        for seed in range(seeds):
            own = trial("P1", variant, seed=seed)
            loss = float(of_loss[first + seed]) * losses.get(variant, 1.0)
            curve = Curve(list(own.looks[1:]), [loss] * (len(own.looks) - 1))
            variance = float(of_variance[first + seed]) * variances.get(variant, 1.0)
            numbers = {"variance w1": variance}
            results.append(result(own, curves={"loss": curve}, numbers=numbers))
    return results


P1_CLAIMS = ("first-layer-starves", "fix-restores-gradients", "fix-restores-learning")


@pytest.mark.parametrize("name", P1_CLAIMS)
@pytest.mark.parametrize("first", range(0, 60, 5))
def test_p1_holds(name: str, first: int) -> None:
    """Sound programs are within the range: 36 findings at a level of 1e-4 each."""
    one = found(p1(first), name)
    assert one.holds, one.evidence
    assert one.binding


@pytest.mark.parametrize(
    ("name", "factors"),
    [
        # A gradient that reaches the first layer 100 times too large, as if the middle were not there.
        ("first-layer-starves", {"variance": {"three layers": 1e4}}),
        # The fix does nothing, or far too much.
        ("fix-restores-gradients", {"variance": {"three layers, Xavier": 1e-9}}),
        ("fix-restores-gradients", {"variance": {"three layers, Xavier": 1e4}}),
        # The fixed program does not learn.
        ("fix-restores-learning", {"loss": {"three layers, Xavier": 50.0}}),
    ],
)
def test_p1_violated(name: str, factors: Mapping[str, Any]) -> None:
    """A scale far from the replay's is a failure, with the number and the range in the evidence."""
    one = found(p1(**factors), name)
    assert one.fails
    assert "a float64 replay gives" in one.evidence


def test_p1_exactly_zero() -> None:
    """A first layer without any gradient is not a small one."""
    one = found(p1(variance={"three layers": 0.0}), "first-layer-starves")
    assert one.fails
    assert "exactly 0" in one.evidence


def test_p1_diverged() -> None:
    """A program that diverges is not as replayed."""
    results = p1()
    results[0] = msgspec.structs.replace(results[0], outcome="diverged")
    one = found(results, "first-layer-starves")
    assert one.fails
    assert one.evidence == "P1/two layers/keras/seed 0 diverged"


def test_p1_too_short() -> None:
    """Fewer steps than were replayed say nothing."""
    results = [
        msgspec.structs.replace(
            each,
            trial=msgspec.structs.replace(
                each.trial, recipe=msgspec.structs.replace(each.trial.recipe, steps=500)
            ),
        )
        for each in p1()
    ]
    one = found(results, "first-layer-starves")
    assert one.holds is None
    assert one.evidence == "P1/two layers/keras/seed 0 has no scale of 1,000 steps"


def test_p1_crashed() -> None:
    """A crashed trial leaves a claim undecided that the others would fulfil, and not one that they
    contradict."""
    results = p1()
    results[0] = crashed(results[0].trial)
    one = found(results, "first-layer-starves")
    assert one.holds is None
    assert one.evidence.startswith("crashed: P1/two layers/keras/seed 0; of the others: ")
    results = p1(variance={"three layers": 1e6})
    results[0] = crashed(results[0].trial)
    assert found(results, "first-layer-starves").fails


# --- P5 -----------------------------------------------------------------------------------------


def p5(
    zeros: float = 0.1135,
    softmax: Sequence[float] = (0.918, 0.92, 0.917, 0.921, 0.919),
    **numbers: Any,
) -> list[TrialResult]:
    """Five seeds; ``numbers`` change those of the zero network's last seed."""
    still = {
        f"{kind} {name}": 0.0 for name in ("w1", "b1", "w2") for kind in ("largest norm", "largest")
    }
    still |= {"largest norm b2": 0.3, "largest b2": 0.2}
    results = []
    for seed in range(5):
        changed = (
            {key.replace("_", " "): value for key, value in numbers.items()} if seed == 4 else {}
        )
        results += [
            ended(trial("P5", "softmax regression, zeros", seed=seed), softmax[seed]),
            ended(trial("P5", "hidden layer, zeros", seed=seed), zeros, numbers=still | changed),
            ended(trial("P5", "hidden layer, uniform", seed=seed), 0.93),
        ]
    return results


def test_p5_holds() -> None:
    """What is published is confirmed, and what TensorFlow must do is done."""
    claims = {each.name: each for each in findings(p5()) if each.form == "keras"}
    assert {name: each.holds for name, each in claims.items()} == dict.fromkeys(
        (
            "softmax-regression-learns",
            "softmax-regression-as-published",
            "zeros-stay-zero",
            "zeros-name-one-class",
            "small-uniform-learns",
        ),
        True,
    )
    assert [name for name, each in claims.items() if not each.binding] == [
        "softmax-regression-as-published"
    ]


@pytest.mark.parametrize(
    "number", ["largest_norm_w1", "largest_w1", "largest_b1", "largest_norm_w2"]
)
def test_p5_anything_moves(number: str) -> None:
    """The smallest float32 in one seed's gradient or weights is a violation."""
    one = found(p5(**{number: 2.0**-149}), "zeros-stay-zero")
    assert one.fails
    assert number.replace("_", " ") in one.evidence


def test_p5_nothing_trained() -> None:
    """If not even the output bias has a gradient, zeros prove nothing."""
    assert found(p5(largest_norm_b2=0.0), "zeros-stay-zero").fails


@pytest.mark.parametrize(
    ("accuracy", "holds"), [(0.1135, True), (0.0892, True), (0.1134, False), (0.1, False)]
)
def test_p5_share(accuracy: float, holds: bool) -> None:
    """Exactly the share of a class, in float32 too; one image beside it is a violation."""
    for value in (accuracy, float(np.float32(accuracy))):
        assert found(p5(value), "zeros-name-one-class").holds is holds


def test_p5_softmax_elsewhere() -> None:
    """A regression that ends at .90 learns, but not as published: a finding, no failure."""
    results = p5(softmax=(0.9, 0.901, 0.899, 0.9, 0.9))
    assert found(results, "softmax-regression-learns").holds
    one = found(results, "softmax-regression-as-published")
    assert one.holds is False
    assert not one.fails


def test_p5_does_not_learn() -> None:
    """A seed that ends at a tenth has not learned; two classes told apart are learning."""
    assert found(p5(softmax=(0.92, 0.92, 0.1, 0.92, 0.92)), "softmax-regression-learns").fails
    assert found(p5(softmax=(0.92, 0.92, 0.2, 0.92, 0.92)), "softmax-regression-learns").holds


# --- P6 -----------------------------------------------------------------------------------------


def p6(
    seeds: int = 3, *, slope: float = -1.0, noise: float = 0.1, tier: str = "full", **numbers: Any
) -> list[TrialResult]:
    """ln |w1| - ln |w3| changes by ``slope`` over the training."""
    random = np.random.default_rng(9)
    results = []
    for seed in range(seeds):
        own = trial("P6", "global norm 15", seed=seed, tier=tier)
        steps = list(own.looks[:-1])
        ratios = np.exp(slope * np.linspace(0, 1, len(steps)) + random.normal(0, noise, len(steps)))
        curves = {
            "norm w1": Curve(steps, list(2.0 * ratios)),
            "norm w3": Curve(steps, [2.0] * len(steps)),
        }
        shown = {
            "largest clipped norm": 15.000001,
            "largest clipping error": 1e-7,
            "clipped steps": 0.02,
            "smallest cosine": 1 - 1e-15,
        }
        changed = {key.replace("_", " "): value for key, value in numbers.items()}
        results.append(result(own, curves=curves, numbers=shown | changed))
    return results


@pytest.mark.parametrize("tier", ["quick", "full"])
def test_p6_holds(tier: str) -> None:
    """A sound clipping with a falling ratio, in three epochs too."""
    claims = [each for each in findings(p6(tier=tier)) if each.form == "keras"]
    assert len(claims) == 4
    assert all(each.holds for each in claims)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("global-norm-at-most-15", {"largest_clipping_error": 0.01}),
        ("global-norm-at-most-15", {"largest_clipping_error": None}),
        ("global-norm-at-most-15", {"largest_clipped_norm": None}),
        ("direction-kept", {"smallest_cosine": 1 - 1e-9}),
        ("direction-kept", {"smallest_cosine": None}),
    ],
)
def test_p6_violated(name: str, change: Mapping[str, Any]) -> None:
    """Clipping that is not what it promises fails the run."""
    assert found(p6(**change), name).fails


def test_p6_rounding() -> None:
    """What float32 may do is allowed: a norm that is off by 485 roundoffs (sqrt(n) of them), factors
    that differ by two from entry to entry."""
    random = np.random.default_rng(1)
    gradient = random.normal(size=235_146)
    factors = 0.3 * (1 + random.uniform(-2, 2, gradient.size) * 2.0**-24)
    clipped = gradient * factors
    cosine = gradient @ clipped / np.linalg.norm(gradient) / np.linalg.norm(clipped)
    shown = {"largest_clipping_error": 485 * 2.0**-24, "smallest_cosine": float(cosine)}
    assert found(p6(**shown), "global-norm-at-most-15").holds
    assert found(p6(**shown), "direction-kept").holds


def test_p6_idle() -> None:
    """A clipping that never acts is a finding; its norm may then be anything below the limit."""
    results = p6(clipped_steps=0.0, largest_clipped_norm=3.0)
    assert found(results, "clipping-acts").holds is False
    assert found(results, "global-norm-at-most-15").holds


@pytest.mark.parametrize(("slope", "holds"), [(-1.0, True), (1.0, False), (0.0, None)])
def test_p6_trend(slope: float, holds: bool | None) -> None:
    """Falling, rising, neither: a rise is a finding about the original, no failure."""
    one = found(p6(slope=slope), "first-layer-falls-against-last")
    assert one.holds is holds
    assert not one.fails


def p6_ratios(random: np.random.Generator, slopes: Sequence[float]) -> list[TrialResult]:
    """A seed for each slope of ln |w1| - ln |w3| over the training, with noise of its own, and as much
    that all seeds share: they see the same batch at each look."""
    results = []
    shared = random.normal(size=1000)
    for seed, slope in enumerate(slopes):
        own = trial("P6", "global norm 15", tier="quick", seed=seed)
        steps = list(own.looks[:-1])
        logs = slope * np.linspace(0, 1, len(steps)) + random.normal(size=len(steps))
        logs += shared[: len(steps)]
        curves = {
            "norm w1": Curve(steps, list(np.exp(logs))),
            "norm w3": Curve(steps, [1.0] * len(steps)),
        }
        results.append(result(own, curves=curves))
    return results


def test_p6_one_seed_without_a_trend_hides_none() -> None:
    """Four of five fall: their mean shows it, and four that rise contradict it."""
    random = np.random.default_rng(0)
    for slope, holds in ((-4.0, True), (4.0, False)):
        results = p6_ratios(random, [slope] * 4 + [0.0])
        assert found(results, "first-layer-falls-against-last").holds is holds


@pytest.mark.parametrize("seeds", [1, 5])
def test_p6_trend_level(seeds: int) -> None:
    """Without a trend it is said to fall with a probability of at most .05, and to rise likewise:
    within four standard deviations."""
    claims = []
    for start in range(300):
        results = p6_ratios(np.random.default_rng(start), [0.0] * seeds)
        claims.append(found(results, "first-layer-falls-against-last").holds)
    for outcome in (True, False):
        assert claims.count(outcome) <= 300 * 0.05 + 4 * math.sqrt(300 * 0.05)
        assert claims.count(outcome) > 0


@pytest.mark.parametrize(
    "name",
    ["global-norm-at-most-15", "direction-kept", "clipping-acts", "first-layer-falls-against-last"],
)
def test_p6_not_measured(name: str) -> None:
    """Without norms nothing can be said."""
    assert found([result(trial("P6", "global norm 15"))], name).holds is None


@pytest.mark.parametrize("form", ["keras", "session"])
def test_p6_forms_apart(form: Form) -> None:
    """A violation in one form is found in that form."""
    good = p6()
    bad = [
        msgspec.structs.replace(
            each,
            trial=msgspec.structs.replace(each.trial, form="session"),
            numbers={**each.numbers, "smallest cosine": 0.9},
        )
        for each in good
    ]
    assert found([*good, *bad], "direction-kept", form).fails is (form == "session")
