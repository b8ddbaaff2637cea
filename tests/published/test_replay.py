"""P1's replay: gradients against finite differences, published numbers, level of its interval."""

from __future__ import annotations

import functools

import msgspec
import numpy as np
import pytest
from scipy import stats

from bench.cells import initial_values
from bench.published.experiments import P1, P5
from bench.published.replay import Replay, predicted, replay

#: Published: variance of the first layer's gradients over 1,000 steps, and the loss, over 20 seeds.
PUBLISHED = {
    "two layers": (2.4e-6, 0.34),
    "three layers": (1.1e-11, 0.33),
    "two layers, Xavier": (0.035, 0.008),
    "three layers, Xavier": (0.018, 0.006),
}


@functools.cache
def seen(variant: str) -> Replay:
    return replay(P1.variants[variant], seeds=300, first=5)


@pytest.mark.parametrize("variant", PUBLISHED)
@pytest.mark.slow
def test_published_numbers(variant: str) -> None:
    """The mean over 20 seeds, as published, lies where groups of 20 replayed seeds do: within four
    standard errors, and half a unit of the published digits."""
    for values, number, digit in (
        (seen(variant).variance, PUBLISHED[variant][0], 0.05),
        (seen(variant).loss, PUBLISHED[variant][1], 0.1),
    ):
        error = values.std(ddof=1) * np.sqrt(1 / 20 + 1 / values.size)
        assert abs(values.mean() - number) <= 4 * error + digit * number


def test_one_seed_by_hand() -> None:
    """One step of two layers: dC/dw1 = -4 (x - 2 o) w2 x where the unit is on, cut only beyond 4.5."""
    recipe = msgspec.structs.replace(
        P1.variants["two layers, Xavier"], hidden=(1,), bias=0.5, initializer="normal_0.1"
    )
    one, two = (replay(recipe, seeds=50, steps=steps, first=2) for steps in (1, 2))
    x = 2 * initial_values.uniform(initial_values.stream(2, "replayed inputs"), 50) - 1
    w1, w2 = (
        0.1 * initial_values.standard_normal(initial_values.stream(2, "replayed kernel", layer), 50)
        for layer in (0, 1)
    )
    error = x - 2 * (np.maximum(x * w1 + 0.5, 0) * w2 + 0.5)
    np.testing.assert_allclose(one.loss, error**2)
    # One entry and one step have no variance; what rounding leaves is of the order of the square.
    gradient = -4 * error * w2 * x * (x * w1 + 0.5 > 0)
    assert np.all(np.abs(one.variance) <= 4 * 2.0**-52 * gradient**2)
    assert np.all(two.variance > 0)


def test_same_inputs_and_first_layer() -> None:
    """Variants that share a layer share its draws, as trials of one seed do: fewer steps of fewer
    seeds are not the same draws, equal arguments are."""
    assert np.array_equal(seen("two layers").loss, seen("two layers").loss)
    again = replay(P1.variants["two layers"], seeds=300, first=5)
    assert np.array_equal(again.variance, seen("two layers").variance)
    other = replay(P1.variants["two layers"], seeds=300, first=6)
    assert not np.array_equal(other.variance, again.variance)


def test_clipping_acts() -> None:
    """With a limit below all gradients the weights move by the limit in every step: the replay of
    the fix learns less."""
    slow = msgspec.structs.replace(P1.variants["two layers, Xavier"], clipping="value_0.001")
    assert replay(slow, seeds=50).loss.mean() > 5 * seen("two layers, Xavier").loss.mean()


@pytest.mark.parametrize(
    ("change", "recipe"),
    [
        ({}, P5.variants["hidden layer, zeros"]),
        ({"clipping": "none"}, P1.variants["two layers"]),
        ({"optimizer": "adam"}, P1.variants["two layers"]),
        ({"initializer": "he_normal"}, P1.variants["two layers"]),
    ],
)
def test_another_program(change: dict[str, str], recipe: object) -> None:
    """Programs that it does not replay are refused."""
    with pytest.raises(ValueError, match="of P1"):
        replay(msgspec.structs.replace(recipe, **change), seeds=2, steps=2)


class TestPredicted:
    def test_normal(self) -> None:
        """Of normal values it is the textbook's interval, but for the cumulants' sampling error."""
        logs = stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
        low, high = predicted(logs, trials=5, level=0.01)
        half = stats.t.isf(0.005, 1999) * logs.std(ddof=1) * np.sqrt(1 / 5 + 1 / 2000)
        assert (low, high) == pytest.approx((-half, half), rel=0.01)

    @pytest.mark.parametrize("trials", [1, 5])
    @pytest.mark.parametrize("level", [0.05, 0.02])
    def test_level(self, trials: int, level: float) -> None:
        """Skewed logarithms (skewness 2/3, more than gradients have) are below and above with half the
        stated probability each: within four standard deviations of a count, and a fifth for what the
        expansion leaves out."""
        random = np.random.default_rng(4)
        repeats, groups = 150, 200
        outside = np.zeros(2)
        for _ in range(repeats):
            low, high = predicted(random.gamma(9.0, size=1000), trials=trials, level=level)
            mean = random.gamma(9.0, size=(groups, trials)).mean(axis=1)
            outside += (mean < low).sum(), (mean > high).sum()
        expected = level / 2 * repeats * groups
        assert np.all(np.abs(outside - expected) <= 4 * np.sqrt(expected) + 0.2 * expected)
