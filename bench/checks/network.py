"""Networks, layer by layer: every tensor of a training step, forward and backward, against the oracle.

Each tensor is computed anew, with a bound on rounding, from what TensorFlow itself put into that one
operation: forward from the operation's input, backward from the upstream gradient and the forward
tensors. So a bound is that of a single operation however deep the network is, and the first tensor that
is out names the operation at fault. The chain has no gap: what one comparison starts from, another has
compared, back to the bytes of the images.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from bench.cells import architectures, initial_values
from bench.cells.architectures import CONVOLUTIONAL, CONVOLUTIONS, PRELU_SLOPE
from bench.cells.cell import ACTIVATIONS, NORMALIZATIONS, POOLINGS, Cell, from_texts
from bench.checks.lab import Lab
from bench.results.check import Check, Deviation
from bench.theory.oracle.network import DRAWN, INPUTS, LOGITS, Known, Oracle
from bench.theory.oracle.operations import Operation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation
from bench.theory.rounding.formats import FLOAT32, FLOAT64, Format

if TYPE_CHECKING:
    from bench.nets.inside import Inside
    from bench.nets.network import Network

#: Initializer of kernels before a normalization: makes the variance that it divides by about its
#: epsilon, .001, for real images and 100 units, so that epsilon decides the outcome. Units of the
#: first layer see images whose pixels have variances that sum to 53 over the data set and squares that
#: sum to about 100 in an image; those of later layers see 100 inputs with squares of about .5: .005^2
#: times 53, 100 and 50 is .0013 to .0025.
SMALL = "normal_0.005"

_Cells = Sequence[Cell]

#: A transformer whose attention and normalizations are far from what drops out of a formula.
transformer = functools.partial(
    Cell,
    architecture="transformer",
    width=16,
    activation="gelu",
    initializer="glorot_normal",
    normalization="layer",
    batch=20,
)

conv = functools.partial(Cell, architecture="conv", depth=3, filters=4, batch=8)
conv_residual = functools.partial(conv, architecture="conv_residual")


def _quick() -> _Cells:
    normalized = [
        Cell(normalization=normalization, initializer=SMALL, activation=activation)
        for normalization, activation in (("batch", "relu"), ("layer", "tanh"))
    ]
    return [
        *(Cell(activation=activation) for activation in ACTIVATIONS),
        *normalized,
        Cell(depth=4, architecture="residual", normalization="batch"),
        Cell(depth=4, architecture="residual", branch="scaled", normalization="batch"),
        Cell(depth=0, initializer="normal_0.05"),
        Cell(loss="mse"),
        Cell(depth=10),
        Cell(architecture="cnn", batch=8),
        Cell(architecture="cnn", batch=8, normalization="batch"),
        *recurrent(),
        transformer(depth=2, mask="causal"),
        transformer(depth=1, placement="post", heads=4),
        conv(normalization="group", activation="prelu", pooling="strided", initializer=SMALL),
        conv_residual(convolution="separable", normalization="batch", pooling="average"),
    ]


#: Axes of small recurrent networks.
RECURRENT: Mapping[str, Any] = {
    "depth": 1,
    "width": 12,
    "activation": "tanh",
    "initializer": "glorot_uniform",
    "batch": 8,
}


def recurrent(**axes: Any) -> _Cells:
    """Each kind of recurrent layer; together each activation, direction and normalization."""
    return [
        Cell(**{**RECURRENT, **own, **axes})
        for own in (
            {"architecture": "simple_rnn", "activation": "relu"},
            {"architecture": "simple_rnn", "depth": 2, "normalization": "layer"},
            {"architecture": "lstm", "direction": "bidirectional"},
            {"architecture": "gru"},
        )
    ]


def _quick_float64() -> _Cells:
    return [
        Cell(activation="tanh", loss="mse"),
        Cell(activation="leaky_relu", normalization="batch"),
        Cell(depth=4, architecture="residual", branch="scaled", activation="gelu"),
        transformer(depth=1, mask="causal"),
        conv(depth=2, normalization="group", activation="prelu"),
    ]


def _standard() -> _Cells:
    return [
        *(
            Cell(activation=activation, normalization=normalization, initializer=SMALL)
            for activation in ACTIVATIONS
            for normalization in ("batch", "layer")
        ),
        *(
            Cell(depth=depth, normalization=normalization)
            for depth in (10, 30)
            for normalization in ("none", "batch", "layer")
        ),
        Cell(depth=4, architecture="residual"),
        Cell(depth=4, architecture="residual", branch="scaled", normalization="layer"),
        Cell(architecture="cnn", batch=8, normalization="layer"),
        Cell(architecture="cnn", batch=8, activation="tanh", loss="mse"),
        *recurrent(width=32, pixels=7),
        Cell(**{**RECURRENT, "depth": 2}, architecture="gru", direction="bidirectional"),
        Cell(**{**RECURRENT, "depth": 2}, architecture="lstm", normalization="layer"),
        *(
            transformer(depth=depth, placement=placement, mask=mask)
            for depth in (1, 6)
            for placement in ("pre", "post")
            for mask in ("none", "causal")
        ),
        *(
            conv(
                architecture=architecture,
                convolution=convolution,
                pooling=pooling,
                normalization=normalization,
                activation="prelu",
            )
            for architecture in CONVOLUTIONAL
            for convolution in CONVOLUTIONS
            for pooling in (*POOLINGS, *architectures.POOLINGS)
            for normalization in (*NORMALIZATIONS, *architectures.NORMALIZATIONS)
        ),
    ]


def _full() -> _Cells:
    return [
        *(
            Cell(
                depth=depth,
                architecture=architecture,
                activation=activation,
                normalization=normalization,
            )
            for depth in (10, 30, 50)
            for architecture in ("mlp", "residual")
            for activation in ("relu", "tanh", "gelu")
            for normalization in ("none", "batch", "layer")
        ),
        Cell(architecture="cnn", batch=50),
    ]


def checks(tier: str) -> list[Check]:
    """The networks of a tier, those of the tiers before it included; each once."""
    tiers = ("quick", "standard", "full")[: ("quick", "standard", "full").index(tier) + 1]
    float32 = {"quick": _quick, "standard": _standard, "full": _full}
    float64 = {"quick": _quick_float64, "standard": _quick, "full": _standard}
    listed = [
        _check(cell, precision)
        for precision, cells in (("float32", float32), ("float64", float64))
        for name in tiers
        for cell in cells[name]()
    ]
    return list(dict.fromkeys(listed))


def _check(cell: Cell, precision: str) -> Check:
    return Check(family="network", subject=cell.id(("depth", "act")), precision=precision)


def run(check: Check, lab: Lab) -> Iterator[Deviation]:
    """Compares one training step, and inference, of a network with drawn weights on real images.

    Yields:
        A deviation per tensor: inputs, forward, loss, gradients, inference, moving statistics.
    """
    from bench.nets.images import pixel_scale
    from bench.nets.inside import InsideView
    from bench.nets.network import build
    from bench.nets.optimizers import loss

    cell = cell_of(check)
    network = build(cell)
    network.reset(cell, check.seed)
    _draw(network, check)
    examples = initial_values.batch_order(
        check.seed, examples=len(lab.data.train_labels), batch=cell.batch, steps=1
    )[0]
    pixels = _images(cell, lab.data.train_images[examples].reshape(cell.batch, -1), check.seed)
    labels = lab.data.train_labels[examples].astype(np.int32)
    inside = InsideView(network, loss(cell))(pixels, labels, pixel_scale(cell))
    yield from compared(cell, inside, pixels, labels, lab)


def cell_of(check: Check) -> Cell:
    """The cell that a check's subject and precision name."""
    return from_texts({**check.axes, "precision": check.precision})


def _images(cell: Cell, pixels: npt.NDArray[np.uint8], seed: int) -> npt.NDArray[np.uint8]:
    """Convolutions get noise over the images' black background, where kernels see the same all over:
    bounds of long sums take roundings as independent, and adding up one number thousands of times
    rounds the same way each time."""
    if cell.architecture not in ("cnn", *CONVOLUTIONAL):
        return pixels
    noise = 64 * initial_values.uniform(
        initial_values.stream(seed, "network check, noise"), pixels.size
    )
    return pixels ^ noise.astype(np.uint8).reshape(pixels.shape)


def _draw(network: Network, check: Check) -> None:
    """Makes everything but kernels differ from what drops out of a formula: biases and shifts from 0,
    scales and moving variances from 1."""
    for index, (name, variable) in enumerate(network.variables.items()):
        kind = name.rpartition(", ")[2]
        if kind.endswith(DRAWN):
            continue
        shape = tuple(variable.shape)
        count = math.prod(shape)
        bits = initial_values.stream(check.seed, "network check", index)
        if kind == "moving variance":  # from about Keras' epsilon to 1
            values = 10.0 ** (-3.0 * initial_values.uniform(bits, count))
        else:
            # A bias that enters layer normalization's variance must not outweigh epsilon, .001.
            size = 0.01 if kind == "bias" and network.normalizations else 0.1
            values = size * initial_values.standard_normal(bits, count)
            values += {"gamma": 1.0, "slope": PRELU_SLOPE}.get(kind, 0.0)
        variable.assign(values.reshape(shape).astype(network.start[0].dtype))


@dataclasses.dataclass(frozen=True)
class _RoundedConstants(Format):
    """A format whose constants went through float32."""

    def rounds(self, constant: float) -> float:
        return FLOAT32.rounds(constant)


#: TensorFlow stores LeakyReLU's slope as a float32 attribute, casts GELU's sqrt(2) and Rescaling's
#: factor from a Python number through float32, and Keras 2 does so with batch normalization's
#: 1 - momentum. In a float64 network that is up to 2^28 units in the last place: a known flaw, told in
#: the evidence.
_THROUGH_FLOAT32 = _RoundedConstants(**dataclasses.asdict(FLOAT64))


def compared(
    cell: Cell,
    inside: Inside,
    pixels: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int32],
    lab: Lab,
) -> Iterator[Deviation]:
    """Compares what was seen inside a network with the oracle, operation by operation.

    Args:
        cell: of the network.
        inside: what TensorFlow computed.
        pixels: bytes (batch, 784).
        labels: (batch,).
        lab: tells the format, and takes note of all tensors.
    """
    oracle = Oracle(cell)
    form = lab.form(cell.precision)

    def lift(operation: Operation | None, array: Any) -> Bounded:
        known_flaw = form is FLOAT64 and operation is not None and operation.constant
        return Bounded(array, 0.0, _THROUGH_FLOAT32 if known_flaw else form)

    parameters = [inside.variables[name] for name in oracle.parameters]
    inputs = inside.tensors[INPUTS]
    bytes_ = Bounded(pixels.reshape(inputs.shape), 0.0, form)
    scale = Bounded(cell.input_scale / 255, form.rounds(cell.input_scale / 255), form)
    yield deviation(INPUTS, lab.seen(inputs), bytes_ * scale)

    known = Known(inside.tensors, inside.gradients, lift)
    forward = oracle.forward(parameters, inputs, known=known)
    yield from _each(forward, inside.tensors, lab)
    logits = lift(None, inside.tensors[LOGITS])
    yield deviation("loss", lab.seen(inside.loss), oracle.loss(logits, labels))
    backward = oracle.backward(parameters, inputs, {}, labels, known=known)
    if lab.device != "cpu":
        backward.update(_open_choices(oracle, inside, backward))
    yield from _each(backward, inside.gradients, lab, " gradient")

    moving = [inside.variables[name] for name in oracle.moving]
    known = Known({INPUTS: inputs, **inside.inference}, {}, lift)
    inference = oracle.forward(parameters, inputs, training=False, moving=moving, known=known)
    yield from _each(inference, inside.inference, lab, " in inference")
    yield from _moved(oracle, inside, moving, lab, form)


def _open_choices(
    oracle: Oracle, inside: Inside, backward: Mapping[str, Bounded]
) -> dict[str, Bounded]:
    """Gradients whose bound allows for another choice among equals: cuDNN does not say which of a
    window's equal entries gets max-pooling's gradient. The CPU's kernels are held to the first."""
    wider = {}
    for operation in oracle.operations:
        if operation.choices is not None:
            (name,) = operation.inputs
            truth, upstream = backward[name], inside.gradients[operation.output]
            choice = operation.choices(inside.tensors[name], upstream)
            wider[name] = Bounded(truth.value, truth.error + choice, truth.form)
    return wider


def _moved(
    oracle: Oracle, inside: Inside, moving: Sequence[Any], lab: Lab, form: Format
) -> Iterator[Deviation]:
    rounded = _THROUGH_FLOAT32 if form is FLOAT64 else form
    after = oracle.moved(
        moving,
        inside.tensors[INPUTS],
        inside.tensors,
        corrected=lambda operation: operation.output.partition(", ")[0] in inside.corrected,
        lift=lambda _, array: Bounded(array, 0.0, rounded),
    )
    for found in _each(
        dict(zip(oracle.moving, after, strict=True)), inside.moved, lab, " after the step"
    ):
        corrected = found.tensor.partition(", ")[0] in inside.corrected
        note = (
            "; with Bessel's correction, as TensorFlow's fused kernel has it" if corrected else ""
        )
        yield msgspec.structs.replace(found, evidence=found.evidence + note)


def _each(
    expected: Mapping[str, Bounded], got: Mapping[str, Any], lab: Lab, suffix: str = ""
) -> Iterator[Deviation]:
    for name, truth in expected.items():
        found = deviation(name + suffix, lab.seen(got[name]), truth)
        note = "; allows for a constant rounded to float32, a known flaw" * (
            truth.form is _THROUGH_FLOAT32
        )
        yield msgspec.structs.replace(found, evidence=found.evidence + note)
