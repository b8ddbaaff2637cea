"""The oracle's gradients against central differences and complex step; arrays of every kind."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from bench.cells import initial_values
from bench.cells.cell import ACTIVATIONS, LOSSES, NORMALIZATIONS, Cell
from bench.theory.oracle.network import INPUTS, LOGITS, Known, Oracle
from bench.theory.rounding.arrays import Bounded, Stochastic

pytestmark = pytest.mark.slow

WIDTH = 5
BATCH = 4


def small(cell: Cell) -> Cell:
    return msgspec.structs.replace(cell, width=WIDTH)


CELLS = [
    small(cell)
    for cell in (
        Cell(depth=0),
        *(
            Cell(depth=2, activation=activation, normalization=normalization, loss=loss)
            for activation in ACTIVATIONS
            for normalization in NORMALIZATIONS
            for loss in LOSSES
        ),
        *(
            Cell(depth=3, architecture="residual", branch=branch, normalization=normalization)
            for branch in ("plain", "scaled")
            for normalization in NORMALIZATIONS
        ),
    )
]
CNNS = [
    Cell(architecture="cnn", activation="tanh", initializer="glorot_normal"),
    Cell(architecture="cnn", normalization="batch", loss="mse"),
    Cell(architecture="cnn", normalization="layer"),
]
CONVOLUTIONS = [
    Cell(architecture=architecture, depth=3, filters=2, **axes)
    for architecture, axes in (
        ("conv", {"normalization": "group", "activation": "prelu", "pooling": "strided"}),
        ("conv", {"convolution": "separable", "pooling": "strided", "normalization": "layer"}),
        ("conv_residual", {"convolution": "separable", "normalization": "batch"}),
        ("conv_residual", {"pooling": "average", "activation": "prelu", "loss": "mse"}),
        ("conv_residual", {"pooling": "strided", "activation": "gelu"}),
    )
]
TRANSFORMERS = [
    Cell(
        architecture="transformer",
        depth=2,
        width=4,
        normalization="layer",
        activation="gelu",
        initializer="glorot_normal",
        placement=placement,
        heads=heads,
        mask=mask,
    )
    for placement, heads, mask in (("pre", 2, "none"), ("post", 1, "none"), ("pre", 4, "causal"))
]


def ids(cell: Cell) -> str:
    return cell.id(("depth", "act"))


def drawn(cell: Cell, seed: int = 3) -> tuple[Oracle, list[np.ndarray], np.ndarray, np.ndarray]:
    """An oracle, parameters of which none is 0 or 1, inputs and labels, all float32 numbers."""
    oracle = Oracle(cell)
    random = np.random.default_rng(seed)
    parameters = [
        values + 0.1 * random.normal(size=values.shape) * (values.ndim == 1)
        for values in oracle.initial(seed)
    ]
    shape = (2, 28, 28, 1) if cell.architecture.startswith("c") else (BATCH, 784)
    inputs = random.random(shape)
    labels = random.integers(0, 10, len(inputs))
    rounded = [values.astype(np.float32).astype(np.float64) for values in (*parameters, inputs)]
    return oracle, rounded[:-1], rounded[-1], labels


def loss(oracle: Oracle, parameters: list[Any], inputs: Any, labels: Any) -> Any:
    return oracle.loss(oracle.forward(parameters, inputs)[LOGITS], labels)


def shifted(parameters: list[Any], index: int, shift: Any) -> list[Any]:
    return [values + shift if place == index else values for place, values in enumerate(parameters)]


def tolerance(gradient: np.ndarray, direction: np.ndarray) -> float:
    """No sum here has more than 1e4 terms, and losses are about 1: errors are at most 1e4 roundoffs of
    the terms' sizes (Higham 2002, eq. 4.4)."""
    return 1e4 * 2.0**-53 * max(1.0, float(np.abs(gradient * direction).sum()))


@pytest.mark.parametrize("cell", [*CELLS, *CNNS, *CONVOLUTIONS, *TRANSFORMERS], ids=ids)
def test_gradients_are_those_of_complex_step(cell: Cell) -> None:
    """Im f(p + i h d) / h is the derivative along d, up to h^2 = 1e-60 (Squire and Trapp 1998)."""
    oracle, parameters, inputs, labels = drawn(cell)
    _, gradients = oracle.gradients(parameters, inputs, labels)
    random = np.random.default_rng(7)
    assert len(gradients) == len(parameters)
    for index, gradient in enumerate(gradients):
        direction = random.normal(size=gradient.shape)
        moved = shifted(parameters, index, 1e-30j * direction)
        expected = np.imag(loss(oracle, moved, inputs, labels)) / 1e-30
        error = abs((gradient * direction).sum() - expected)
        assert error <= tolerance(gradient, direction), oracle.parameters[index]


@pytest.mark.parametrize("cell", [*CELLS, *TRANSFORMERS], ids=ids)
def test_gradients_are_those_of_central_differences(cell: Cell) -> None:
    """Halving the step takes three quarters of the truncation error away, so what is left is less than
    the change; and each value of the loss is rounded."""
    oracle, parameters, inputs, labels = drawn(cell)
    _, gradients = oracle.gradients(parameters, inputs, labels)
    random = np.random.default_rng(7)
    step = 2.0**-17  # about the cube root of the roundoff, where both errors are alike
    for index, gradient in enumerate(gradients):
        direction = random.normal(size=gradient.shape) / np.sqrt(gradient.size)

        def difference(h: float, index: int = index, direction: np.ndarray = direction) -> float:
            ahead = loss(oracle, shifted(parameters, index, h * direction), inputs, labels)
            behind = loss(oracle, shifted(parameters, index, -h * direction), inputs, labels)
            return float(ahead - behind) / (2 * h)

        coarse, fine = difference(2 * step), difference(step)
        error = abs((gradient * direction).sum() - fine)
        assert error <= abs(coarse - fine) + tolerance(gradient, direction) / step


@pytest.mark.parametrize("cell", [*CELLS, *TRANSFORMERS], ids=ids)
def test_gradients_of_inner_tensors(cell: Cell) -> None:
    """Each inner tensor moved on its own: the rest of the network is computed from it."""
    oracle, parameters, inputs, labels = drawn(cell)
    tensors = oracle.forward(parameters, inputs)
    gradients = oracle.backward(parameters, inputs, tensors, labels)
    values = dict(zip(oracle.parameters, parameters, strict=True))
    random = np.random.default_rng(9)
    for place, operation in enumerate(oracle.operations):
        direction = random.normal(size=tensors[operation.output].shape)
        moved = {INPUTS: inputs, **tensors}
        moved[operation.output] = tensors[operation.output] + 1e-30j * direction
        for later in oracle.operations[place + 1 :]:
            given = [moved[name] for name in later.inputs]
            moved[later.output] = later.forward(*given, *(values[n] for n in later.parameters))
        expected = np.imag(oracle.loss(moved[LOGITS], labels)) / 1e-30
        gradient = gradients[operation.output]
        assert abs((gradient * direction).sum() - expected) <= tolerance(gradient, direction)


def everything(
    oracle: Oracle, parameters: Any, inputs: Any, labels: Any, known: Known | None = None
) -> dict[str, Any]:
    tensors = oracle.forward(parameters, inputs, known=known)
    gradients = oracle.backward(parameters, inputs, tensors, labels, known=known)
    logits = known.lift(None, known.tensors[LOGITS]) if known else tensors[LOGITS]
    return {
        **tensors,
        "loss": oracle.loss(logits, labels),
        **{f"{name} gradient": gradient for name, gradient in gradients.items()},
    }


def in_float32(oracle: Oracle, parameters: Any, inputs: Any, labels: Any) -> dict[str, Any]:
    singles = [values.astype(np.float32) for values in parameters]
    return everything(oracle, singles, inputs.astype(np.float32), labels)


def assert_within(single: dict[str, Any], random: dict[str, Any], bounded: dict[str, Any]) -> None:
    assert list(single) == list(random) == list(bounded)
    for name, truth in bounded.items():
        assert np.asarray(single[name]).dtype == np.float32, name
        assert np.all(np.abs(single[name] - truth.value) <= truth.error), name
        assert np.all(np.abs(random[name].value - truth.value) <= truth.error), name
    assert any(np.any(single[name] != bounded[name].value) for name in single)


@pytest.mark.parametrize("cell", [*CELLS, CNNS[1], *CONVOLUTIONS, *TRANSFORMERS], ids=ids)
def test_each_operation_in_float32_lies_within_its_bound(cell: Cell) -> None:
    """Every tensor, computed from those that float32 arithmetic put into the operation, and so does
    random rounding."""
    oracle, parameters, inputs, labels = drawn(cell)
    single = in_float32(oracle, parameters, inputs, labels)
    gradients = {
        operation.output: single[f"{operation.output} gradient"] for operation in oracle.operations
    }
    draws = np.random.default_rng(1)

    def locally(lift: Any) -> dict[str, Any]:
        known = Known(single, gradients, lift)
        return everything(oracle, parameters, inputs, labels, known)

    random = locally(lambda _, array: Stochastic(array, draws))
    assert_within(single, random, locally(lambda _, array: Bounded(array)))


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.normalization != "batch"], ids=ids)
def test_a_whole_pass_in_float32_lies_within_its_bound(cell: Cell) -> None:
    """Errors passed on from operation to operation. (Behind batch normalization of four examples, whose
    variance may be less than its error, nothing bounds them.)"""
    oracle, parameters, inputs, labels = drawn(cell)
    draws = np.random.default_rng(1)
    random = [Stochastic(values, draws) for values in parameters]
    bounded = [Bounded(values) for values in parameters]
    assert_within(
        in_float32(oracle, parameters, inputs, labels),
        everything(oracle, random, Stochastic(inputs, draws), labels),
        everything(oracle, bounded, Bounded(inputs), labels),
    )


def test_inference_takes_moving_statistics_and_training_moves_them() -> None:
    """With the batch's own statistics as the moving ones, inference is training."""
    cell = small(Cell(depth=2, normalization="batch"))
    oracle, parameters, inputs, _ = drawn(cell)
    tensors = oracle.forward(parameters, inputs)
    start = oracle.initial_moving()
    assert [float(values[0]) for values in start] == [0.0, 1.0, 0.0, 1.0]
    own = oracle.moved(start, inputs, tensors, momentum=0.0)
    inference = oracle.forward(parameters, inputs, training=False, moving=own)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(inference[name], tensor)
    moved = oracle.moved(start, inputs, tensors)
    for before, after, batch in zip(start, moved, own, strict=True):
        np.testing.assert_allclose(after, 0.99 * before + 0.01 * batch, rtol=1e-14)
    corrected = oracle.moved(start, inputs, tensors, momentum=0.0, corrected=lambda _: True)
    np.testing.assert_allclose(corrected[0], own[0], rtol=0)
    np.testing.assert_allclose(corrected[1], own[1] * 4 / 3, rtol=1e-14)


def test_an_operation_can_start_from_known_tensors() -> None:
    """A wrong tensor is wrong only where it is an output: what it goes into is right for it."""
    cell = small(Cell(depth=2, activation="tanh"))
    oracle, parameters, inputs, labels = drawn(cell)
    tensors = oracle.forward(parameters, inputs)
    gradients = oracle.backward(parameters, inputs, tensors, labels)
    wrong = {**tensors, "layer 1, activation": tensors["layer 1, activation"] + 1.0}
    local = oracle.forward(parameters, inputs, known=Known({INPUTS: inputs, **wrong}))
    differing = [name for name in local if np.any(local[name] != wrong[name])]
    assert differing == ["layer 1, activation", "layer 2, kernel output"]
    spoilt = {**gradients, "layer 2, activation": gradients["layer 2, activation"] * 2}
    known = Known(tensors, spoilt)
    back = oracle.backward(parameters, inputs, {}, labels, known=known)
    differing = [name for name in back if np.any(back[name] != spoilt[name])]
    assert differing == ["layer 2, activation", "layer 2, kernel output"]


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_initial_parameters_are_those_of_bench_initial(precision: str) -> None:
    """Rounded to the precision: kernels drawn, biases as the cell says, gamma 1, beta 0."""
    oracle = Oracle(Cell(depth=1, width=3, normalization="layer", bias=0.1, precision=precision))
    dtype = np.dtype(precision)
    kernel, bias, gamma, beta, *_ = oracle.initial(4)
    expected = initial_values.kernel("he_normal", (784, 3), seed=4, layer=0).astype(dtype)
    np.testing.assert_array_equal(kernel, expected)
    np.testing.assert_array_equal(bias, np.full(3, 0.1, dtype))
    np.testing.assert_array_equal((gamma, beta), (np.ones(3), np.zeros(3)))


def test_what_is_out_of_reach_is_refused() -> None:
    """Mixed precision and dropout."""
    with pytest.raises(ValueError, match="precision:mixed_bfloat16 is out of the oracle's reach"):
        Oracle(Cell(precision="mixed_bfloat16"))
    with pytest.raises(ValueError, match="no dropout"):
        Oracle(Cell(dropout=0.5))
