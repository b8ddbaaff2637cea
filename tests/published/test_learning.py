"""Claims on learning: each holds, is contradicted, and is silent where it must be; their levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import pytest
from scipy import stats

from bench.published.claim import BEYOND_CHANCE
from bench.published.claims import CLAIMS, Finding, findings
from bench.published.experiments import DEPTHS, P7, REMEDIES, SCALES
from bench.published.learning import ordered, reached
from bench.results.trial import Curve, TrialResult
from support.trials import ended, trial, variant_results


def found(results: Sequence[TrialResult], name: str, experiment: str = "") -> Finding:
    (one,) = [
        each for each in findings(results) if each.name == name and experiment in each.experiment
    ]
    return one


def test_beyond_chance() -> None:
    """The exact binomial bound of MNIST's commonest class: 1e-6 is kept, and one image less is not."""
    count = round(BEYOND_CHANCE * 10_000)
    assert (
        stats.binom.sf(count - 1, 10_000, 0.1135)
        <= 1e-6
        < stats.binom.sf(count - 2, 10_000, 0.1135)
    )


# --- P2 -----------------------------------------------------------------------------------------

#: As published: .3 and 1 end lower, .03 and .1 are fastest.
ENDS = dict(zip(SCALES, (0.987, 0.987, 0.988, 0.989, 0.99, 0.991, 0.991, 0.98, 0.96), strict=True))
EARLY = dict(zip(SCALES, (0.8, 0.81, 0.84, 0.87, 0.9, 0.93, 0.94, 0.75, 0.6), strict=True))


def p2(
    tier: str = "full",
    *,
    ends: Mapping[float, float] = ENDS,
    early: Mapping[float, float] = EARLY,
    seeds: int = 3,
    noise: float = 0.0004,
    start: int = 0,
) -> list[TrialResult]:
    """Curves that stay at ``early`` for 1,000 batches and then at ``ends``, with noise."""
    random = np.random.default_rng(start)
    results = []
    for scale in SCALES:
        for seed in range(seeds):
            own = trial("P2", f"w = {scale:g}", seed=seed, tier=tier)
            shift = random.normal(0, noise)
            values = [
                (early if step <= 1000 else ends)[scale] + shift if step else 0.1
                for step in own.looks
            ]
            results.append(
                ended(own, 0.5, curves={"test accuracy": Curve(list(own.looks), values)})
            )
    return results


P2_CLAIMS = (
    "every-scale-learns",
    "every-scale-passes-90",
    "large-scales-end-lower",
    "middle-scales-are-fastest",
    "early-ranking-leans-to-published",
)


@pytest.mark.parametrize("name", P2_CLAIMS)
def test_p2_holds(name: str) -> None:
    """The published result, with three repetitions, is confirmed; none of it can fail a run."""
    one = found(p2(), name)
    assert one.holds, one.evidence
    assert not one.binding


@pytest.mark.parametrize(
    ("name", "ends", "early"),
    [
        ("every-scale-learns", {1e-4: 0.1135}, {}),
        ("every-scale-passes-90", {1e-4: 0.85}, {}),
        ("large-scales-end-lower", {0.3: 0.995}, {}),
        ("large-scales-end-lower", {1e-4: 0.93}, {}),
        ("middle-scales-are-fastest", {}, {0.003: 0.97}),
        ("early-ranking-leans-to-published", {}, {0.03: 0.3, 0.1: 0.3, 0.3: 0.97, 1.0: 0.98}),
    ],
)
def test_p2_contradicted(
    name: str, ends: Mapping[float, float], early: Mapping[float, float]
) -> None:
    """The opposite of a statement is said to be so, even of one pair among fourteen."""
    one = found(p2(ends={**ENDS, **ends}, early={**EARLY, **early}), name)
    assert one.holds is False, one.evidence


@pytest.mark.parametrize("name", ["large-scales-end-lower", "middle-scales-are-fastest"])
def test_p2_undecided(name: str) -> None:
    """With noise larger than the differences, or too few repetitions, nothing is said."""
    assert found(p2(noise=0.2), name).holds is None
    assert found(p2(seeds=2), name).holds is None


def test_p2_one_repetition() -> None:
    """One repetition is no spread: nothing is asked of it but that the tutorial's own scale learns."""
    assert [(each.name, each.holds) for each in findings(p2(seeds=1))] == [("learns", True)]


@pytest.mark.parametrize("tier", ["standard", "full"])
def test_p2_nothing_learned(tier: str) -> None:
    """Where the tutorial's own network does not learn, TensorFlow fails, whatever the others do."""
    none = dict.fromkeys(SCALES, 0.1135)
    one = found(p2(tier, ends=none, early=none), "learns")
    assert one.fails
    assert one.statement.startswith("w = 0.1: every seed ends beyond")


def test_p2_speed_is_measured_alike_in_both_lengths() -> None:
    """The whole form looks more often: the same looks count."""
    curves = {}
    for tier in ("standard", "full"):
        rising = [
            msgspec.structs.replace(
                each,
                curves={
                    "test accuracy": Curve(
                        list(each.trial.looks), [look / 10_000 for look in each.trial.looks]
                    )
                },
            )
            for each in p2(tier)
        ]
        curves[tier] = found(rising, "middle-scales-are-fastest").evidence
    assert curves["standard"] == curves["full"]


def test_p2_reduced() -> None:
    """A tenth of the batches says nothing of the end, but of the speed and of the ranking so far."""
    holds = {each.name: each.holds for each in findings(p2("standard")) if each.form == "keras"}
    assert holds.pop("learns")
    assert holds == dict(zip(P2_CLAIMS, (None, None, None, True, True), strict=True))
    assert found(p2("standard"), "large-scales-end-lower").evidence == "ran 1,000 of 10,000 steps"


def test_p2_diverged() -> None:
    """A scale that diverges has not learned and is the slowest."""
    results = [
        msgspec.structs.replace(each, outcome="diverged", curves={})
        if each.trial.variant == "w = 0.1"
        else each
        for each in p2()
    ]
    assert found(results, "every-scale-learns").holds is False
    assert found(results, "middle-scales-are-fastest").holds is False


def test_ordered_level() -> None:
    """With all scales alike nothing is said to be ordered, and the reverse of a statement with a
    probability of .05 for all pairs together: within four standard deviations."""
    outcomes = []
    for start in range(300):
        random = np.random.default_rng(start)
        sides = [
            {name: list(random.normal(size=3)) for name in names} for names in ("ab", "cdefghi")
        ]
        outcomes.append(ordered(*sides)[0])
    assert outcomes.count(True) == 0
    assert outcomes.count(False) <= 300 * 0.05 + 4 * np.sqrt(300 * 0.05)


def test_ordered_at_the_boundary() -> None:
    """Where one pair alone is equal and all others are far apart, the order is said to hold with a
    probability of at most .05, and is: within four standard deviations."""
    outcomes = []
    for start in range(400):
        random = np.random.default_rng(start)
        low = {"a": list(random.normal(size=3)), "b": list(random.normal(-50, 1, size=3))}
        high = {"c": list(random.normal(size=3)), "d": list(random.normal(50, 1, size=3))}
        outcomes.append(ordered(low, high)[0])
    expected = 400 * 0.05
    assert abs(outcomes.count(True) - expected) <= 4 * np.sqrt(expected)


# --- P3, P4 -------------------------------------------------------------------------------------


def p3(accuracies: Sequence[float], tier: str = "full") -> list[TrialResult]:
    return variant_results("P3", {"batch norm": accuracies}, tier=tier)


def test_p3_as_published() -> None:
    """Within the spread of revisions and seeds; a point lower is outside, and no failure."""
    sound = (0.9641, 0.9652, 0.963, 0.9637, 0.9645)
    assert found(p3(sound), "final-accuracy-as-published").holds
    one = found(p3([value - 0.01 for value in sound]), "final-accuracy-as-published")
    assert one.holds is False
    assert not one.fails


def test_p3_few_epochs() -> None:
    """Two epochs are not held against twenty, whatever they reach; they must learn."""
    results = p3((0.85, 0.86, 0.84), tier="quick")
    assert found(results, "learns").holds
    one = found(results, "final-accuracy-as-published")
    assert one.holds is None
    assert one.evidence == "ran 550 of 5,500 steps"
    assert found(p3((0.85, 0.1135, 0.84), tier="quick"), "learns").fails


def test_p3_diverged() -> None:
    """The published program never diverged; ours did not learn."""
    results = p3((0.9641, 0.9652, 0.963, 0.9637, 0.9645))
    results[2] = msgspec.structs.replace(results[2], outcome="diverged")
    assert found(results, "final-accuracy-as-published").holds is False
    assert found(results, "learns").fails


def test_p4_validation() -> None:
    """The leaky network is held against its accuracy on the images held out, not on the test set."""
    results = []
    for seed, value in enumerate((0.9785, 0.9792, 0.979, 0.9783, 0.9788)):
        own = trial("P4", "leaky ReLU", seed=seed)
        curve = Curve(list(own.looks), [value] * len(own.looks))
        results.append(ended(own, 0.5, curves={"validation accuracy": curve}))
    results += variant_results("P4", {"value clipping": (0.9601, 0.9589, 0.9612, 0.9597, 0.9603)})
    assert found(results, "leaky-relu-as-published").holds
    assert found(results, "value-clipping-as-published").holds


# --- P7 -----------------------------------------------------------------------------------------


def p7(changes: Mapping[str, float | Sequence[float]], *, seeds: int = 5) -> list[TrialResult]:
    """What the answers promise, with ``changes`` of final accuracies by variant."""
    promised: dict[str, float | Sequence[float]] = {}
    for depth in DEPTHS:
        for remedy, options in REMEDIES.items():
            learns = (
                depth == 10
                or options.get("skips", False)
                or (depth == 30 and "normalization" in options)
            )
            learns = learns and options["activation"] != "sigmoid"
            promised[f"{remedy}, depth {depth}"] = 0.93 if learns else 0.1135
    promised |= {"ReLU, Xavier, depth 30": 0.11, **changes}
    results = []
    for variant, value in promised.items():
        for seed in range(seeds):
            own = trial("P7", variant, seed=seed)
            accuracy = value if isinstance(value, float) else value[seed]
            share = 0.4 if variant.startswith("ReLU, He, depth") else 0.1
            dead = Curve(list(own.looks), [share + 0.01 * seed] * len(own.looks))
            results.append(ended(own, accuracy, curves={"dead share": dead}))
    return results


P7_CLAIMS = (
    "right-initialization-reaches-10",
    "batch-norm-reaches-30",
    "depth-30-needs-batch-norm",
    "skips-reach-50",
    "depth-50-needs-skips",
    "logistic-units-vanish",
    "relu-needs-he",
    "leaky-units-recover",
)


@pytest.mark.parametrize("name", P7_CLAIMS)
def test_p7_holds(name: str) -> None:
    """What the answers promise is confirmed by five seeds."""
    one = found(p7({}), name)
    assert one.holds, one.evidence
    assert not one.binding


@pytest.mark.parametrize(
    ("name", "variant", "accuracy"),
    [
        ("right-initialization-reaches-10", "tanh, Xavier, depth 10", 0.3),
        ("batch-norm-reaches-30", "ReLU, He, batch norm, depth 30", 0.2),
        ("depth-30-needs-batch-norm", "tanh, Xavier, depth 30", 0.94),
        ("skips-reach-50", "ReLU, He, batch norm, skips, depth 50", 0.4),
        ("depth-50-needs-skips", "tanh, Xavier, depth 50", 0.9),
        ("logistic-units-vanish", "sigmoid, Xavier, depth 10", 0.9),
        ("relu-needs-he", "ReLU, Xavier, depth 30", 0.95),
    ],
)
def test_p7_contradicted(name: str, variant: str, accuracy: float) -> None:
    """A promise that does not hold in any of five seeds is contradicted, which fails no run."""
    one = found(p7({variant: accuracy}), name)
    assert one.holds is False, one.evidence
    assert not one.fails


@pytest.mark.parametrize("name", P7_CLAIMS)
def test_p7_too_few_seeds(name: str) -> None:
    """Two seeds decide nothing, one is not even asked."""
    assert found(p7({}, seeds=2), name).holds is None
    assert not [each for each in findings(p7({}, seeds=1)) if each.name == name]


def test_p7_mixed() -> None:
    """Where some seeds learn and others do not, it cannot be said."""
    mixed = {"ReLU, He, batch norm, depth 30": (0.9, 0.2, 0.9, 0.9, 0.2)}
    one = found(p7(mixed), "batch-norm-reaches-30")
    assert one.holds is None
    assert "3 of 5 learned" in one.evidence


def test_p7_dead_units_of_diverged_networks() -> None:
    """They count by the last look at which outputs were finite, and are told."""
    results = []
    for each in p7({}):
        if each.trial.variant == "ReLU, He, depth 50":
            dead = each.curves["dead share"]
            curves = {"dead share": Curve(dead.steps, [*dead.values[:-1], None])}
            each = msgspec.structs.replace(each, outcome="diverged", curves=curves)
        results.append(each)
    one = found(results, "leaky-units-recover")
    assert one.holds
    assert "with ReLU 0.4200 (" in one.evidence
    assert one.evidence.endswith("; 5 trials at the last look before divergence")
    assert "ReLU, He, depth 50: 5 diverged" in found(results, "depth-50-needs-skips").evidence


def test_p7_nothing_learned() -> None:
    """Ten layers with the right initialization must learn, else TensorFlow fails."""
    assert found(p7({"tanh, Xavier, depth 10": 0.1135}), "learns").fails
    assert found(p7({}), "learns").holds


def test_p7_leaky_contradicted() -> None:
    """More dead units with leaky ReLU are a contradiction, equal shares are nothing."""
    results = p7({})
    swapped = []
    for each in results:
        variant = each.trial.variant
        for one, other in (("ReLU, He", "leaky ReLU, He"), ("leaky ReLU, He", "ReLU, He")):
            if variant.startswith(f"{one}, depth"):
                name = variant.replace(one, other, 1)
                each = msgspec.structs.replace(
                    each, trial=msgspec.structs.replace(each.trial, variant=name)
                )
                break
        swapped.append(each)
    assert found(swapped, "leaky-units-recover").holds is False
    none = Curve([0], [0.0])
    silent = [
        msgspec.structs.replace(each, curves={**each.curves, "dead share": none})
        for each in results
    ]
    assert found(silent, "leaky-units-recover").holds is None


@pytest.mark.parametrize(("chance", "seeds"), [(0.5, 5), (0.5, 10), (0.1, 5)])
def test_reached_level(chance: float, seeds: int) -> None:
    """A network that learns in half of its seeds is called reached, or not, with a probability of at
    most .05 each; one that learns in a tenth of them is called reached once in 100,000 times."""
    random = np.random.default_rng(2)
    learned, not_learned = (
        variant_results("P7", {"ReLU, He, depth 10": [accuracy]})[0] for accuracy in (0.9, 0.1)
    )
    outcomes = [
        reached([learned if hit else not_learned for hit in random.random(seeds) < chance])
        for _ in range(300)
    ]
    allowed = 300 * 0.05 + 4 * np.sqrt(300 * 0.05) if chance == 0.5 else 1
    assert outcomes.count(True) <= allowed
    if chance == 0.5:
        assert outcomes.count(False) <= allowed


def test_variants_exist() -> None:
    """Every variant that a claim of P7 names is trained."""
    named = {name for claim in CLAIMS if claim.experiment == "P7" for name in claim.variants}
    assert named <= P7.variants.keys()
    assert len(named) >= 15
