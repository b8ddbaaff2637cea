"""Layers: outputs and all gradients against their formulas, and the memory that a gradient takes."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bench.checks.contracts import layered
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.layered import Array, furnished, made
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.oracle import traced
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation
from bench.theory.oracle import formulas
from bench.theory.oracle.tape import Traced, gradients
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("layers")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

layer_contract = functools.partial(layered.layer_contract, catalogue)

# --- Dense


def _dense(inputs: Sequence[Traced], weights: Sequence[Traced]) -> Traced:
    return inputs[0] @ weights[0] + weights[1]


for _rank, _shape in ((2, (7, 5)), (3, (3, 4, 5)), (4, (2, 3, 2, 5))):
    layer_contract(f"dense-rank:{_rank}", "Dense", [_shape], _dense, {"units": 6})


def _einsum_dense(equation: str, shape: tuple[int, ...], **options: Any) -> None:
    def formula(inputs: Sequence[Traced], weights: Sequence[Traced]) -> Traced:
        return formulas.einsum(equation, inputs[0], weights[0]) + weights[1]

    layer_contract(
        f"einsum_dense-{equation.replace('...', '_').replace(',', '.').replace('->', '.')}",
        *("EinsumDense", [shape], formula),
        {"equation": equation, **options},
    )


_einsum_dense("ab,bc->ac", (7, 5), output_shape=6, bias_axes="c")
_einsum_dense("abc,cd->abd", (3, 4, 5), output_shape=(None, 6), bias_axes="d")
_einsum_dense("abc,cde->abde", (3, 4, 5), output_shape=(None, 2, 3), bias_axes="de")
_einsum_dense("abcd,cde->abe", (2, 3, 4, 5), output_shape=(None, 6), bias_axes="e")
_einsum_dense("...x,xy->...y", (2, 3, 4, 5), output_shape=6, bias_axes="y")


# --- Memory of a gradient


def largest(layer: Any, x: Array) -> int:
    """Numbers in the largest tensor that outputs and the gradients of inputs and weights take."""
    from bench.nets.api import tf

    @tf.function
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return y, tape.gradient(y, [x, *layer.trainable_variables])

    operations = step.get_concrete_function(tf.constant(x)).graph.get_operations()
    shapes = (output.shape for operation in operations for output in operation.outputs)
    return max(shape.num_elements() or 0 for shape in shapes)


def _memory(subject: str, name: str, cases: Mapping[str, tuple[Any, Any]]) -> None:
    @contract(
        subject,
        thing=f"keras.layers.{name}",
        truth="The gradient of a kernel takes no tensor larger than inputs, outputs and kernel, such as"
        " a kernel for each sample.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        for what, (shape, options) in cases.items():
            x = drawn("memory", *shape)
            layer = made(name, **options)
            outputs = np.size(layer(x))
            limit = max(x.size, outputs, *(np.size(weight) for weight in layer.get_weights()))
            excess = np.maximum(lab.seen(largest(layer, x)) - limit, 0)
            yield exact(f"numbers too many, {what}", excess, np.zeros(()))


_memory(
    *("dense-gradient-memory", "Dense"),
    {
        "rank 3": ((8, 3, 16), {"units": 20}),
        "rank 4": ((8, 2, 3, 16), {"units": 20}),
    },
)
_memory(
    *("einsum_dense-gradient-memory", "EinsumDense"),
    {
        "rank 3": ((8, 3, 16), {"equation": "abc,cd->abd", "output_shape": (None, 20)}),
        "two axes": ((8, 3, 16), {"equation": "abc,cde->abde", "output_shape": (None, 4, 5)}),
    },
)
#: So few places that a kernel for each sample is larger than inputs and outputs.
_sizes: Mapping[int, tuple[int, ...]] = {1: (2, 8, 6), 2: (2, 5, 5, 8), 3: (2, 4, 4, 4, 3)}
for _axes, _size in _sizes.items():
    _memory(
        *(f"conv{_axes}d-gradient-memory", f"Conv{_axes}D"),
        {
            "valid": (_size, {"filters": 4, "kernel_size": 3}),
            "same": (_size, {"filters": 4, "kernel_size": 3, "padding": "same"}),
            "strides": (_size, {"filters": 4, "kernel_size": 3, "strides": 2}),
        },
    )


# --- Normalization and PReLU: of any mean, see the family stress


def _normalization(
    subject: str,
    name: str,
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    alike: tuple[int, ...],
    **options: Any,
) -> None:
    def formula(inputs: Sequence[Traced], weights: Sequence[Traced]) -> Traced:
        wide = [1 if axis in alike else size for axis, size in enumerate(shape)]
        gamma, beta = (weight.reshape(*wide) for weight in weights)
        return formulas.normalized(inputs[0], axes, gamma, beta, epsilon=options["epsilon"])

    call: dict[str, Any] = {"training": True} if name == "BatchNormalization" else {}
    layer_contract(subject, name, [shape], formula, options, **call)


_normalization(
    "batch_norm-axis:1",
    "BatchNormalization",
    (3, 4, 2, 3),
    (0, 2, 3),
    (0, 2, 3),
    axis=1,
    epsilon=0.01,
)
_normalization(
    "batch_norm-axis:last", "BatchNormalization", (3, 2, 3, 4), (0, 1, 2), (0, 1, 2), epsilon=0.01
)
_normalization("layer_norm-axis:last", "LayerNormalization", (3, 2, 8), (2,), (0, 1), epsilon=0.01)
_normalization(
    "layer_norm-axis:2.3",
    "LayerNormalization",
    (3, 2, 4, 3),
    (2, 3),
    (0, 1),
    axis=[2, 3],
    epsilon=0.01,
)
_normalization(
    "layer_norm-epsilon:1e-6", "LayerNormalization", (3, 2, 8), (2,), (0, 1), epsilon=1e-6
)


layer_contract(
    *("group_norm", "GroupNormalization", [(3, 2, 3, 8)]),
    lambda inputs, weights: formulas.group_normalized(inputs[0], *weights, groups=2, epsilon=0.01),
    {"groups": 2, "epsilon": 0.01},
)
for _name, _axis in (("last", (-1,)), ("1.2", (1, 2))):
    layer_contract(
        *(f"unit_norm-axis:{_name}", "UnitNormalization", [(3, 2, 5)]),
        lambda inputs, _, axes=_axis: formulas.unit(inputs[0], axes),  # type: ignore[misc]
        {"axis": list(_axis)},
    )
layer_contract(
    *("rms_norm", "RMSNormalization", [(3, 2, 8)]),
    lambda inputs, weights: formulas.root_mean_square(inputs[0], (2,), weights[0], epsilon=0.01),
    {"epsilon": 0.01},
)


def _prelu(inputs: Sequence[Traced], weights: Sequence[Traced]) -> Traced:
    return formulas.prelu(inputs[0], weights[0])


layer_contract("prelu", "PReLU", [(3, 4, 5)], _prelu)
layer_contract("prelu-shared_axes:1", "PReLU", [(3, 4, 5)], _prelu, {"shared_axes": [1]})


@contract(
    "batch_norm-mask",
    thing="keras.layers.BatchNormalization",
    truth="Steps that are masked count neither for the mean nor for the variance.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, layer = drawn("masked", 3, 4, 5), made("BatchNormalization", momentum=0.5)
    mask = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]], bool)
    kept = traced(lab, x[mask])
    try:
        layer(x, training=True, mask=mask)
    except TypeError as error:
        raise AbsentError("this BatchNormalization takes no mask") from error
    mean = kept.mean(0)
    variance = (kept - mean).square().mean(0)
    # Keras divides by the number of steps plus 1e-7, which float32 rounds away.
    yield deviation("moving mean", lab.seen(layer.moving_mean), (mean * 0.5).array)
    moved = variance * 0.5 + 0.5
    yield deviation("moving variance", lab.seen(layer.moving_variance), moved.array)


@contract(
    "spectral_norm",
    thing="keras.layers.SpectralNormalization",
    truth="In training the kernel is divided by its largest singular value (of a matrix of rank 1,"
    " which one power iteration finds).",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = drawn("spectral", 3, 4)
    dense = made("Dense", 6, use_bias=False)
    layer = made("SpectralNormalization", dense)
    layer(x, training=False)
    kernel = np.outer(drawn("spectral left", 4), drawn("spectral right", 6)).astype(np.float32)
    dense.kernel.assign(kernel)
    exactly = traced(lab, kernel)
    divided = exactly * exactly.square().sum().power(-0.5)
    got = lab.seen(layer(x, training=True))
    # The power iteration takes two products and two lengths; the matrix has rank 1 up to its rounding.
    truth = (traced(lab, x) @ divided).array
    yield deviation("outputs", got, Bounded(truth.value, 8.0 * truth.error))


# --- Gradients of gradients, and Jacobians


@contract(
    "dense-second_gradient",
    thing="tf.GradientTape",
    truth="The gradient of a penalty on gradients follows the formula.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = drawn("penalized", 5, 4)
    layer = made("Dense", 3, activation="tanh")
    _, (kernel, bias) = furnished(layer, "penalized", [x])
    given = tf.constant(x)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(given)
            total = tf.reduce_sum(layer(given))
        slopes = inner.gradient(total, given)
        penalty = tf.reduce_sum(tf.square(slopes))
    got = outer.gradient(penalty, layer.trainable_variables)
    of_kernel, of_bias = traced(lab, kernel), traced(lab, bias)
    outputs = (traced(lab, x) @ of_kernel + of_bias).tanh()
    truth = (1.0 - outputs.square()) @ of_kernel.transpose(1, 0)
    total_truth = truth.square().sum()
    yield deviation("gradient of the input", lab.seen(slopes), truth.array)
    yield deviation("penalty", lab.seen(penalty), total_truth.array)
    for name, seen, wanted in zip(
        ("kernel", "bias"),
        got,
        gradients(total_truth, np.float64(1.0), [of_kernel, of_bias]),
        strict=True,
    ):
        yield deviation(f"gradient of the {name}", lab.seen(seen), wanted)


@contract(
    "dense-jacobian",
    thing="tf.GradientTape.batch_jacobian",
    truth="Each output's slope by each input of its sample, with and without pfor.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = drawn("penalized", 5, 4)
    layer = made("Dense", 3, activation="tanh")
    _, (kernel, bias) = furnished(layer, "penalized", [x])
    outputs = np.tanh(Bounded(x) @ kernel + bias)
    truth = (1.0 - np.square(outputs)).reshape(5, 3, 1) * kernel.T
    given = tf.constant(x)
    for pfor in (True, False):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(given)
            got = layer(given)
        jacobian = tape.batch_jacobian(got, given, experimental_use_pfor=pfor)
        yield deviation(f"pfor {pfor}", lab.seen(jacobian), truth)


@contract(
    "norm-bare",
    thing="keras.layers.LayerNormalization",
    truth="With center=False nothing is added to what is normalized, with scale=False it is not"
    " multiplied, and there are no weights for it.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = drawn("bare", 6, 4)
    for name, axis, options in (
        ("BatchNormalization", 0, {}),
        ("LayerNormalization", 1, {}),
        ("GroupNormalization", 1, {"groups": 1}),
    ):
        call = {"training": True} if axis == 0 else {}
        mean = Bounded(x).mean(axis, keepdims=True)
        # Keras computes x s + (0 - m s): products, their difference and s are each rounded.
        for center, scale in ((False, False), (True, False), (False, True)):
            layer = made(name, center=center, scale=scale, epsilon=0.25, **options)
            _, weights = furnished(layer, "bare", [x], **call)
            what = f"{name}, center {center}, scale {scale}"
            yield exact(f"{what}, weights", np.array(len(weights)), np.array(center + scale))
            spread = np.square(Bounded(x) - mean).mean(axis, keepdims=True)
            factor = 1.0 / np.sqrt(spread + 0.25)
            if scale:
                factor = factor * weights[0]
            truth = Bounded(x) * factor - mean * factor
            if center:
                truth = truth + weights[-1]
            yield deviation(what, lab.seen(layer(x, **call)), truth)
