"""Exact invariants: they hold of real float32 passes, and a fault breaks them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from bench.theory import invariants, reruns
from bench.theory.activations import ACTIVATION, SELU_BELOW, SELU_SCALE
from bench.theory.invariants import Layer, Normalization, Trace
from bench.theory.oracle import layers, losses
from bench.theory.rounding.deviation import deviation
from bench.theory.rounding.formats import FLOAT32

LABELS = np.arange(24) % 10
F = np.float32


def network_pass(norm="", *, seed=0, activation="leaky_relu", offset=0.0, bias=0.1, factor=1.0):
    """One pass of 24 examples through 30-20-16-10 in float32, by NumPy."""
    random = np.random.default_rng(seed)
    h = random.random((24, 30)).astype(F)
    sizes = (30, 20, 16, 10)
    phi = ACTIVATION[activation]
    parts = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        kernel = (random.normal(size=(fan_in, fan_out)) * np.sqrt(2 / fan_in)).astype(F)
        shift = np.full(fan_out, bias, F)
        gamma, beta = (0.5 + random.random(fan_out)).astype(F), random.random(fan_out).astype(F)
        u = h @ kernel + shift
        part = {"kernel": kernel, "bias": shift, "inputs": h, "outputs": u, "gamma": gamma}
        if fan_out != 10:
            z = u
            if norm == "batch":
                z = layers.batch_norm(u, gamma, beta)[0].astype(F)
            part |= {"z": z, "a": (phi.value(z) + F(offset)).astype(F), "beta": beta}
            h = part["a"]
        parts.append(part)
    upstream = (F(factor) * losses.cross_entropy_gradient(u, LABELS)).astype(F)
    made = []
    for index in reversed(range(3)):
        part = parts[index]
        normalization = None
        signals = {}
        if "z" in part:
            dz = (phi.slope(part["z"]) * upstream).astype(F)
            signals = {"a_gradient": upstream, "z_gradient": dz}
            upstream = dz
            if norm == "batch":
                du, dgamma, dbeta = layers.batch_norm_backward(part["outputs"], part["gamma"], dz)
                upstream = du.astype(F)
                normalization = Normalization(
                    0, 1e-3, *(wide(x) for x in (part["gamma"], part["beta"], dgamma, dbeta))
                )
        below = upstream @ part["kernel"].T
        made.append(
            Layer(
                form=FLOAT32,
                kernel_gradient=wide(part["inputs"].T @ upstream),
                bias_gradient=wide(upstream.sum(axis=0)),
                inputs_gradient=wide(below) if index else None,
                outputs_gradient=wide(upstream),
                norm=normalization,
                **{
                    k: wide(v) for k, v in {**part, **signals}.items() if k not in ("gamma", "beta")
                },
            )
        )
        upstream = below
    return Trace(made[::-1], activation, 0.0, [])


def wide(array):
    return np.asarray(array, np.float64)


def homogeneity(trace):
    return [deviation("x", own, above) for _, own, above in invariants.homogeneity(trace)]


@pytest.mark.parametrize("activation", invariants.HOMOGENEOUS)
@pytest.mark.parametrize("seed", range(10))
def test_homogeneity_holds_of_float32(activation: str, seed: int) -> None:
    """Between every pair of layers, biases included."""
    found = homogeneity(network_pass(seed=seed, activation=activation))
    assert len(found) == 2
    assert not any(each.out for each in found)
    assert any(each.excess > 0 for each in found)


def test_an_activation_off_by_a_thousandth_is_not_homogeneous() -> None:
    """phi(z) = leaky ReLU + .001."""
    assert any(each.out for each in homogeneity(network_pass(offset=1e-3)))


def test_a_dropped_bias_gradient_breaks_homogeneity() -> None:
    """At that layer, and not above."""
    trace = network_pass()
    faulty = replace(trace.layers[0], bias_gradient=np.zeros(20))
    found = homogeneity(replace(trace, layers=[faulty, *trace.layers[1:]]))
    assert [each.out for each in found] == [True, False]


def test_homogeneity_is_claimed_of_homogeneous_networks_alone() -> None:
    """Not of tanh, nor behind batch norm."""
    for trace in (network_pass(activation="tanh"), network_pass("batch")):
        with pytest.raises(ValueError, match="not homogeneous"):
            list(invariants.homogeneity(trace))


@pytest.mark.parametrize("seed", range(10))
def test_batch_norm_leaves_what_epsilon_leaves(seed: int) -> None:
    """And no gradient of the bias before it."""
    for layer in network_pass("batch", seed=seed).layers[:-1]:
        for identity in (invariants.stretching, invariants.shifting):
            got, expected = identity(layer)
            assert not deviation("x", got, expected).out
            assert np.any(got != expected.value)


def test_the_normalizations_own_errors_may_be_given() -> None:
    """Bounds are the same as where they are computed for each identity."""
    for layer in network_pass("batch").layers[:-1]:
        back = invariants.back_error(layer)
        for identity in (invariants.stretching, invariants.shifting):
            (_, alone), (_, given) = identity(layer), identity(layer, back)
            np.testing.assert_array_equal(alone.error, given.error)
            assert given.error.shape == (layer.kernel.shape[1],)
            assert given.error.min() > 0.0


def test_another_epsilon_or_a_missing_term_is_seen() -> None:
    """Epsilon 1e-3 (1 + 1e-2) in the forward pass; a backward pass that takes the variance as given."""
    layer = network_pass("batch").layers[0]
    moved = replace(layer, norm=replace(layer.norm, epsilon=1.01e-3))
    assert deviation("x", *invariants.stretching(moved)).out
    variance = layer.outputs.var(axis=0)
    short = layer.norm.scale / np.sqrt(variance + 1e-3)
    du = short * (layer.z_gradient - layer.z_gradient.mean(axis=0))
    faulty = replace(layer, outputs_gradient=du, kernel_gradient=layer.inputs.T @ du)
    assert deviation("x", *invariants.stretching(faulty)).out


def test_a_layer_without_normalization_has_no_such_identity() -> None:
    """An error says so."""
    with pytest.raises(ValueError, match="no normalization"):
        invariants.stretching(network_pass().layers[0])


# --- Two passes


def compare(first, second, **options):
    return list(
        reruns.compared("x", reruns.steps(first, LABELS), reruns.steps(second, LABELS), **options)
    )


@pytest.mark.parametrize("norm", ["", "batch"])
def test_every_tensor_is_compared(norm: str) -> None:
    """A pass agrees with itself; every kind of tensor has a name."""
    trace = network_pass(norm)
    found = compare(trace, trace)
    assert len(found) == (20 if not norm else 28)
    assert {each.excess for each in found} == {0.0}


@pytest.mark.parametrize("activation", ["elu", "selu"])
def test_e_to_the_x_less_one_has_the_digits_of_one(activation: str) -> None:
    """TensorFlow computes elu near 0 as e^x - 1. Where the kernel's output is off by a unit in the last
    place, as of half a batch by another order of summation, that jumps by one of a number near 1;
    an activation that is off by a thousandth is seen all the same."""
    scale, slope = {"elu": (F(1), F(1)), "selu": (F(SELU_SCALE), F(SELU_BELOW))}[activation]

    def run(z, off=0.0):
        below = slope * (np.exp(np.minimum(z, F(0))) - F(1))
        a = np.where(z < 0, below, scale * z) * F(1 + off)
        layer = replace(base.layers[0], outputs=wide(z), z=wide(z), a=wide(a.astype(F)))
        steps = reruns.steps(replace(base, layers=[layer, *base.layers[1:]]), LABELS)
        return [step for step in steps if step.name == "layer 1, activation"]

    base = network_pass(activation=activation)
    z = np.linspace(-0.01, 0.001, base.layers[0].z.size, dtype=F).reshape(base.layers[0].z.shape)
    moved = np.nextafter(z, F(-1))
    (same,) = reruns.compared("x", run(z), run(moved))
    assert not same.out
    (faulty,) = reruns.compared("x", run(z), run(moved, off=1e-3))
    assert faulty.out


def test_eight_times_the_loss_is_exact() -> None:
    """A single flipped bit is out, three times the loss is not asked for it."""
    trace, grown = network_pass(), network_pass(factor=8.0)
    assert not any(x.out for x in compare(reruns.multiplied(trace, 8.0), grown, ratio=8.0))
    gradient = grown.layers[1].kernel_gradient.copy()
    gradient[0, 0] = np.nextafter(F(gradient[0, 0]), F(1))
    flipped = replace(grown.layers[1], kernel_gradient=gradient)
    faulty = replace(grown, layers=[grown.layers[0], flipped, grown.layers[2]])
    found = compare(reruns.multiplied(trace, 8.0), faulty, ratio=8.0)
    assert [x.tensor for x in found if x.out] == ["x, layer 2, kernel gradient"]
    tripled = reruns.multiplied(trace, 3.0)
    labels = LABELS
    steps = reruns.steps(tripled, labels, 3.0), reruns.steps(network_pass(factor=3.0), labels, 3.0)
    assert not any(x.out for x in reruns.compared("x", *steps, ratio=3.0))


def test_overflow_is_explained_by_true_values_alone() -> None:
    """An infinity where the true value is 1 is a fault."""
    trace = network_pass()
    assert reruns.overflow(reruns.steps(trace, LABELS)) is None
    broken = replace(trace.layers[0], outputs=np.full((24, 20), np.inf))
    faulty = replace(trace, layers=[broken, *trace.layers[1:]])
    assert reruns.overflow(reruns.steps(faulty, LABELS)) == ("layer 1, kernel's output", False)
    large = replace(broken, kernel=np.full((30, 20), 1e38))
    found = reruns.overflow(
        reruns.steps(replace(faulty, layers=[large, *trace.layers[1:]]), LABELS)
    )
    assert found == ("layer 1, kernel's output", True)
