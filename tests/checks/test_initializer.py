"""Checks of initializers: they hold, and faults that are planted in Keras' initializers show."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from bench.checks import initializer
from bench.checks.lab import Lab
from bench.nets import parts
from bench.results.check import Check, Deviation
from bench.theory.distributions import LEVEL

TALL, CONVOLUTION = "784x100", "5x5x32x64"


def found(check: Check) -> list[Deviation]:
    return list(initializer.run(check, Lab(None, "cpu")))


def check(subject: str, seed: int = 0) -> Check:
    return Check(family="initializer", subject=subject, seed=seed)


def out(subject: str) -> list[str]:
    return [deviation.tensor for deviation in found(check(subject)) if deviation.out]


@pytest.mark.parametrize("one", initializer.checks("quick"), ids=lambda one: one.subject)
def test_what_keras_promises_holds(one: Check) -> None:
    """Every check of the quick tier compares something, and nothing is out."""
    deviations = found(one)
    assert deviations
    assert [d for d in deviations if d.out] == []


def test_float64_kernels_are_judged_in_their_own_precision() -> None:
    """Their support is sharper than float32 could be."""
    subject = f"init:glorot_uniform-shape:{TALL}"
    one = msgspec.structs.replace(check(subject), precision="float64")
    assert one in initializer.checks("standard")
    assert [d for d in found(one) if d.out] == []


def test_tiers_grow_and_ids_are_unique() -> None:
    """Full contains standard contains quick; all tests of full together raise at most one false
    alarm in a million runs: no check has more than a dozen statistics.
    """
    quick, standard, full = (initializer.checks(tier) for tier in ("quick", "standard", "full"))
    assert set(quick) < set(standard) <= set(full)
    assert len({one.id for one in full}) == len(full)
    assert max(len(found(one)) for one in quick[:3]) <= 12
    assert 12 * len(full) * LEVEL <= 1e-6


def test_seeds_draw_other_kernels_and_the_same_seed_the_same() -> None:
    """The digest is of the bits."""
    digests = []
    for seed in (0, 0, 1):
        lab = Lab(None, "cpu")
        list(initializer.run(check(f"init:he_uniform-shape:{TALL}", seed), lab))
        digests.append(lab.digest)
    assert digests[0] == digests[1] != digests[2]


class Bent:
    """A Keras initializer whose values are changed on their way."""

    def __init__(self, true: Any, bend: Callable[[np.ndarray], np.ndarray]) -> None:
        self._true, self._bend = true, bend

    def __call__(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return self._bend(np.asarray(self._true(shape, dtype=dtype)))


def bent(monkeypatch: pytest.MonkeyPatch, bend: Callable[[np.ndarray], np.ndarray]) -> None:
    """Every Keras initializer gives bent values from here on."""
    true = parts.initializer
    monkeypatch.setattr(parts, "initializer", lambda kind, **given: Bent(true(kind, **given), bend))


NORMALS = [f"init:{name}_normal-shape:{TALL}" for name in ("glorot", "he", "lecun", "random")]
NORMALS[3] = "init:random_normal-shape:256x256"
UNIFORMS = [f"init:{name}_uniform-shape:{CONVOLUTION}" for name in ("glorot", "he", "lecun")]
RANDOM = [
    *NORMALS,
    *UNIFORMS,
    "init:truncated_normal-shape:256x256",
    "init:random_uniform-shape:256x256",
    f"init:variance_scaling-mode:fan_out-values:untruncated_normal-shape:{CONVOLUTION}",
]


@pytest.mark.parametrize("subject", RANDOM)
@pytest.mark.parametrize("factor", [0.9899, 1.0101])
def test_a_variance_off_by_more_than_one_percent_is_caught(
    subject: str, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every distribution, by the test of the variance, whatever else notices it."""
    bent(monkeypatch, lambda w: w * w.dtype.type(math.sqrt(factor)))
    assert "variance" in out(subject)


def test_an_orthogonal_gain_off_by_half_a_percent_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """1 % of variance; and signs that a factorization leaves are, too."""
    bent(monkeypatch, lambda w: w * w.dtype.type(math.sqrt(1.0101)))
    assert "orthonormality" in out("init:orthogonal-shape:100x100")
    monkeypatch.undo()
    bent(monkeypatch, lambda w: w * np.where(np.diag(w) > 0, -1, 1).astype(w.dtype))
    assert out("init:orthogonal-shape:100x100") == ["mean of the diagonal"]


def test_another_cut_another_fan_and_a_forgotten_seed_are_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kernel that is normal beyond two standard deviations, one scaled by its fan-out, and seeds
    without effect.
    """
    true = parts.initializer
    subject = f"init:he_normal-shape:{TALL}"

    def uncut(kind: str, **given: Any) -> Any:
        options = {"scale": 2.0, "distribution": "untruncated_normal"}
        return true("VarianceScaling", **options, **given)

    monkeypatch.setattr(parts, "initializer", uncut)
    assert {"support", "Kolmogorov-Smirnov"} <= set(out(subject))
    fan_out = {"scale": 2.0, "mode": "fan_out"}
    monkeypatch.setattr(
        parts, "initializer", lambda kind, **g: true("VarianceScaling", **fan_out, **g)
    )
    assert "variance" in out(subject)
    monkeypatch.setattr(parts, "initializer", lambda kind, seed: true(kind, seed=1))
    assert "correlation of neighbouring draws" in out(subject)
    counter = iter(range(1000))
    monkeypatch.setattr(parts, "initializer", lambda kind, seed: true(kind, seed=next(counter)))
    assert out(subject) == ["another instance of the seed", "its second call"]


def test_constants_and_layers_that_change_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """One part in 10^4 of a constant; a layer with another default; a kernel of another shape."""
    bent(monkeypatch, lambda w: w * np.float32(1.0001))
    assert out("init:constant_0.1-shape:64") == ["values"]
    assert out("init:identity-shape:100x60") == ["values"]
    monkeypatch.undo()
    built = parts.layer("Dense", (784, 100), seed=1)
    other = parts.Layer(["HeUniform", "Zeros"], built.kernel * 1.01, built.bias + 1, built.given)
    monkeypatch.setattr(parts, "layer", lambda kind, shape, seed: other)
    assert out(f"layer:dense-shape:{TALL}") == ["default initializers", "kernel", "bias"]
