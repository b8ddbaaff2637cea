"""Checks of activations: they hold, and changes of 1 part in 10^4 show, with a wide margin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bench.cells.cell import ACTIVATIONS
from bench.checks import activation
from bench.checks.lab import AbsentError, Lab
from bench.nets import parts
from bench.results.check import Check, Deviation
from bench.theory.rounding.formats import BFLOAT16, FLOAT32, FLOAT64

FAULT = 1.0001


def check(name: str, precision: str = "float32", seed: int = 0) -> Check:
    return Check(family="activation", subject=f"act:{name}", precision=precision, seed=seed)


def found(one: Check) -> list[Deviation]:
    with np.errstate(all="ignore"):
        return list(activation.run(one, Lab(None, "cpu")))


def out(one: Check) -> list[Deviation]:
    return [deviation for deviation in found(one) if deviation.out]


@pytest.mark.parametrize("one", activation.checks("standard"), ids=lambda one: one.id)
def test_values_and_slopes_hold(one: Check) -> None:
    """By two or three routes, in two modes, in arrays of three lengths: values and slopes."""
    deviations = found(one)
    assert len(deviations) in (24, 36)
    assert [d for d in deviations if d.out] == []


def test_every_activation_of_cells_is_checked() -> None:
    """In the quick tier already, in float32 and float64, with asymptotes of its own."""
    quick = activation.checks("quick")
    assert {(c.subject, c.precision) for c in quick} == {
        (f"act:{name}", precision) for name in ACTIVATIONS for precision in ("float32", "float64")
    }
    assert set(activation.ASYMPTOTES) == set(ACTIVATIONS)


@pytest.mark.parametrize("form", [FLOAT32, FLOAT64, BFLOAT16], ids=lambda form: form.name)
def test_the_grid_has_the_points_that_go_wrong(form: Any) -> None:
    """Both zeros, numbers too small and too large, infinities and NaN; each at every offset modulo
    16, and among the last entries of an array.
    """
    arrays = activation.inputs(form, seed=0)
    for x in arrays.values():
        assert np.any(np.signbit(x) & (x == 0))
        assert np.any(~np.signbit(x) & (x == 0))
        assert np.any(np.isnan(x))
        for point in (np.inf, -np.inf, form.smallest / 4, form.largest, -form.largest):
            assert np.any(x == point), point
        assert len(x) % 16
    long = arrays["long"]
    for point in (np.inf, -np.inf, form.smallest):
        assert {int(at) % 16 for at in np.flatnonzero(long == point)} == set(range(16))
    ragged, few = arrays["ragged"], activation.special(form)
    np.testing.assert_array_equal(np.unique(ragged[-(len(ragged) % 16) :]), np.unique(few))
    assert np.inf in ragged[-(len(ragged) % 8) :]


def test_seeds_draw_other_points_among_the_same_grid() -> None:
    """The grid stays."""
    first, second = (activation.inputs(FLOAT32, seed)["long"] for seed in (0, 1))
    fixed = len(activation.grid(FLOAT32))
    np.testing.assert_array_equal(first[:fixed], second[:fixed])
    assert not np.any(first[fixed : fixed + 256] == second[fixed : fixed + 256])


def bent(monkeypatch: pytest.MonkeyPatch, bend: Callable[[Any, Any, Any], tuple[Any, Any]]) -> None:
    """Every activation's value and slope are bent from here on."""
    true = parts.activation

    def planted(name: str, route: str, *, dtype: str = "float32") -> Any:
        function = true(name, route, dtype=dtype)
        if function is None:
            return None

        @tf.custom_gradient
        def bent_function(x: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = function(x)
            value, slope = bend(x, value, tape.gradient(value, x))
            return value, lambda upstream: upstream * slope

        return bent_function

    monkeypatch.setattr(parts, "activation", planted)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_slope_off_by_one_in_ten_thousand_is_far_out(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times beyond the bound at least, in every array, by every route and in every mode."""
    bent(monkeypatch, lambda x, value, slope: (value, slope * FAULT))
    for one in (check(name), check(name, "float64")):
        slopes = [d for d in found(one) if d.tensor.endswith("slope")]
        assert slopes
        assert all(d.excess is None or d.excess > 10 for d in slopes), slopes


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "relu"])
def test_a_slope_off_only_below_zero_is_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One in ten thousand, between -1 and 0; relu has no slope there."""
    bent(
        monkeypatch,
        lambda x, v, s: (v, tf.where((x < 0) & (x > -1), s * tf.cast(FAULT, s.dtype), s)),
    )
    assert {d.tensor for d in out(check(name))} >= {
        "layer, eager, long: slope",
        "tf, graph, long: slope",
    }


def test_values_off_by_one_in_ten_thousand_are_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every activation."""
    bent(monkeypatch, lambda x, value, slope: (value * FAULT, slope))
    for name in ACTIVATIONS:
        assert any(d.tensor.endswith("value") for d in out(check(name))), name


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_number_in_place_of_nan_is_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value must not hide a NaN; the evidence names the point."""
    bent(
        monkeypatch,
        lambda x, v, s: (tf.where(tf.math.is_nan(x), tf.zeros_like(v), v), s),
    )
    deviations = out(check(name))
    assert deviations
    assert all(d.excess is None and "at x = nan" in d.evidence for d in deviations)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "selu", "tanh"])
def test_another_slope_at_nan_is_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which branch a comparison with NaN takes is held to, to the last digits."""
    bent(
        monkeypatch,
        lambda x, v, s: (v, tf.where(tf.math.is_nan(x), tf.ones_like(s) * 1.001, s)),
    )
    deviations = out(check(name))
    assert deviations
    assert all("slope" in d.tensor and "at x = nan" in d.evidence for d in deviations)


def test_only_the_last_entries_wrong_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the code for the rest of an array differs from that for whole vectors."""

    def last(x: Any, value: Any, slope: Any) -> tuple[Any, Any]:
        count = tf.size(x)
        rest = tf.range(count) >= count - count % 16
        return tf.where(rest, value * FAULT, value), slope

    bent(monkeypatch, last)
    assert any("long: value" in d.tensor for d in out(check("tanh")))


@pytest.mark.parametrize("name", ["gelu", "silu"])
def test_a_mended_exception_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once TensorFlow gives the limit at an infinity, the table of exceptions is wrong."""
    bent(
        monkeypatch,
        lambda x, v, s: (tf.where(tf.math.is_inf(x) & (x < 0), tf.zeros_like(v), v), s),
    )
    deviations = out(check(name))
    assert deviations
    assert all("strike it from the table" in d.evidence for d in deviations)


def test_every_exception_is_used() -> None:
    """Its point is on the grid, and what is expected there is what the table says."""
    for (name, tensor, point), (instead, why) in activation.KNOWN.items():
        x = activation.grid(FLOAT32)
        truth = activation.expected(name, "layer", x, FLOAT32)[tensor].value
        at = np.flatnonzero(x == point)
        assert len(at) == 1
        assert why
        np.testing.assert_array_equal(truth.value[at], [instead])


def test_another_default_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaky ReLU's slope .01 as in other frameworks, gelu by its tanh approximation."""
    monkeypatch.setattr(parts, "activation", lambda *_, **__: lambda x: tf.nn.leaky_relu(x, 0.01))
    assert out(check("leaky_relu"))
    monkeypatch.setattr(
        parts, "activation", lambda *_, **__: lambda x: tf.nn.gelu(x, approximate=True)
    )
    assert out(check("gelu"))


def test_an_activation_that_is_nowhere_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not silently passed."""
    monkeypatch.setattr(parts, "activation", lambda *_, **__: None)
    with pytest.raises(AbsentError, match="no tanh"):
        found(check("tanh"))
