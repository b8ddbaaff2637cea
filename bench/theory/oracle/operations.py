"""Operation: one step of a network's forward pass, with its share of the backward pass."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.cells.architectures import GROUPS
from bench.theory.activations import ACTIVATION, LEAKY_SLOPE, SELU_BELOW, SELU_SCALE
from bench.theory.oracle import convolution, formulas, layers
from bench.theory.oracle.tape import Traced, gradients
from bench.theory.rounding.arrays import decide

Values = Sequence[Any]
Backward = Callable[[Values, Values, Any, Any], tuple[Values, Values]]


@dataclass(frozen=True)
class Operation:
    """Names of what goes into and comes out of an operation, and its formulas.

    Args:
        output: name of the tensor that it makes.
        inputs: names of the tensors that go in.
        parameters: names of its trainable variables.
        forward: ``forward(*inputs, *parameters)`` -> output, in training mode.
        backward: ``backward(inputs, parameters, output, upstream)`` -> a gradient per input and one per
            parameter.
        moving: names of moving mean and variance; empty but for batch normalization.
        moments: mean and variance of the input, as they enter the moving statistics.
        inference: ``inference(*inputs, *parameters, *moving)`` -> output; None where ``forward`` is it.
        constant: it holds a constant that is no float32 number, which TensorFlow rounds to float32 even
            where it computes in float64.
        choices: ``choices(*inputs, upstream)`` -> how far each entry of the input's gradient may be
            from ``backward`` where a choice among equals is open; None where nothing is.
        from_known: ``from_known(output, *inputs, *parameters)`` -> output, each of its steps from what
            the given output has before it; None of an operation without steps.
    """

    output: str
    inputs: tuple[str, ...]
    forward: Callable[..., Any]
    backward: Backward
    parameters: tuple[str, ...] = ()
    moving: tuple[str, ...] = ()
    moments: Callable[..., tuple[Any, Any]] | None = None
    inference: Callable[..., Any] | None = None
    constant: bool = False
    choices: Callable[..., Any] | None = None
    from_known: Callable[..., Any] | None = None


def kernel(layer: str, output: str, inputs: str, *, convolutional: bool = False) -> Operation:
    """A dense or convolutional kernel and its bias."""
    return Operation(
        output=output,
        inputs=(inputs,),
        parameters=(f"{layer}, kernel", f"{layer}, bias"),
        forward=convolution.conv2d if convolutional else layers.dense,
        backward=_backward(convolution.conv2d_backward if convolutional else layers.dense_backward),
    )


def _backward(function: Callable[[Any, Any, Any], Sequence[Any]]) -> Backward:
    """Backward pass of an operation with two parameters, whose gradients the second does not enter."""

    def backward(x: Values, parameters: Values, _: Any, upstream: Any) -> tuple[Values, Values]:
        dx, *to_parameters = function(x[0], parameters[0], upstream)
        return (dx,), to_parameters

    return backward


def normalization(name: str, layer: str, output: str, inputs: str) -> Operation:
    """``batch``, ``layer`` or ``group`` normalization with Keras' default epsilon."""
    parameters = (f"{layer}, gamma", f"{layer}, beta")
    if name == "group":
        group = functools.partial(formulas.group_normalized, groups=GROUPS, epsilon=layers.EPSILON)
        return taped(output, (inputs,), group, parameters)
    batch = name == "batch"
    return Operation(
        output=output,
        inputs=(inputs,),
        parameters=parameters,
        forward=(lambda *arrays: layers.batch_norm(*arrays)[0]) if batch else layers.layer_norm,
        backward=_backward(layers.batch_norm_backward if batch else layers.layer_norm_backward),
        moving=(f"{layer}, moving mean", f"{layer}, moving variance") if batch else (),
        moments=layers.batch_moments if batch else None,
        inference=layers.batch_norm_inference if batch else None,
    )


def activation(name: str, output: str, inputs: str) -> Operation:
    """An activation of :data:`bench.theory.activations.ACTIVATION`, or ``prelu``, whose slopes are a
    parameter named like the output."""
    if name == "prelu":
        slope = output.replace("activation", "slope")
        return taped(output, (inputs,), formulas.prelu, (slope,))
    return Operation(
        output=output,
        inputs=(inputs,),
        forward=activation_value(name),
        backward=lambda x, _, y, upstream: ((activation_gradient(name, x[0], y, upstream),), ()),
        constant=name in ("leaky_relu", "gelu"),
    )


def activation_value(name: str) -> Callable[[Any], Any]:
    """An activation as TensorFlow computes it, rounding included: elu and selu as e^x - 1, which near 0
    has the digits of a number near 1."""
    return _VALUES.get(name, ACTIVATION[name].value)


def activation_gradient(name: str, x: Any, y: Any, upstream: Any) -> Any:
    """Gradient with respect to an activation's input ``x``, from that of its output ``y``."""
    gradient = _GRADIENTS.get(name)
    return gradient(x, y, upstream) if gradient else upstream * ACTIVATION[name].slope(x)


def taped(
    output: str,
    inputs: tuple[str, ...],
    formula: Callable[..., Traced],
    parameters: tuple[str, ...] = (),
    *,
    constant: bool = False,
) -> Operation:
    """An operation that is known by its formula, ``formula(*inputs, *parameters)`` on traced arrays."""

    def backward(x: Values, values: Values, _: Any, upstream: Any) -> tuple[Values, Values]:
        sources = [Traced(array) for array in (*x, *values)]
        found = gradients(formula(*sources), upstream, sources)
        return found[: len(x)], found[len(x) :]

    return Operation(
        output=output,
        inputs=inputs,
        parameters=parameters,
        forward=lambda *arrays: formula(*(Traced(array) for array in arrays)).array,
        backward=backward,
        constant=constant,
    )


def rescaling(scale: float, output: str, inputs: str) -> Operation:
    """Multiplication by a number."""
    return Operation(
        output=output,
        inputs=(inputs,),
        forward=lambda x: x * scale,
        backward=lambda _x, _p, _y, upstream: ((upstream * scale,), ()),
        constant=True,
    )


def addition(output: str, inputs: tuple[str, str]) -> Operation:
    """The sum of two tensors."""
    return Operation(
        output=output,
        inputs=inputs,
        forward=lambda left, right: left + right,
        backward=lambda _x, _p, _y, upstream: ((upstream, upstream), ()),
    )


def pooling(kind: str, output: str, inputs: str) -> Operation:
    """The largest, ``max``, or the ``average`` of each 2 x 2 window."""
    if kind == "average":
        return taped(output, (inputs,), _averaged)
    return Operation(
        output=output,
        inputs=(inputs,),
        forward=convolution.max_pool,
        backward=lambda x, _p, _y, upstream: ((convolution.max_pool_backward(x[0], upstream),), ()),
        choices=convolution.max_pool_ties,
    )


def _averaged(x: Traced) -> Traced:
    tables = formulas.grid(x.shape[1:3], (2, 2), stride=2)
    return formulas.pooled(x, tables, largest=False)


def flattening(output: str, inputs: str) -> Operation:
    """Images to vectors."""
    return Operation(
        output=output,
        inputs=(inputs,),
        forward=lambda images: images.reshape((images.shape[0], -1)),
        backward=lambda x, _p, _y, upstream: ((upstream.reshape(x[0].shape),), ()),
    )


# --- Activations in the order of operations that TensorFlow takes. It rounds worse than the formulas of
# --- bench.theory.activations: e^x - 1 near x = 0, ln(1 + e^x) for large x, 1 - sigmoid(x).

#: Number above which softplus(x) is taken as x + e^-x. TensorFlow takes x alone, from 13.9 on in
#: float32 and 34.0 in float64, where that is off by e^-x < 15 u, within ln(1 + e^x)'s bound of 4 u x;
#: u: unit roundoff.
_LARGE = 40.0


def _below(x: Any) -> Any:
    """e^x of what is below 0, else 1: the other branch must not overflow."""
    return np.exp(np.where(decide(x) < 0, x, 0.0))


def _elu(x: Any) -> Any:
    return np.where(decide(x) < 0, _below(x) - 1.0, x)


def _selu(x: Any) -> Any:
    return np.where(decide(x) < 0, SELU_BELOW * (_below(x) - 1.0), SELU_SCALE * x)


def _softplus(x: Any) -> Any:
    large = decide(x) > _LARGE
    moderate = np.log1p(np.exp(np.where(large, 0.0, x)))
    return np.where(large, x + np.exp(np.where(large, -x, 0.0)), moderate)


_VALUES: dict[str, Callable[[Any], Any]] = {"elu": _elu, "selu": _selu, "softplus": _softplus}


def _elu_gradient(_: Any, y: Any, upstream: Any) -> Any:
    return np.where(decide(y) < 0, upstream * (y + 1.0), upstream)


def _selu_gradient(_: Any, y: Any, upstream: Any) -> Any:
    return np.where(decide(y) < 0, upstream * (y + SELU_BELOW), upstream * SELU_SCALE)


def _silu_gradient(x: Any, _: Any, upstream: Any) -> Any:
    sigmoid = ACTIVATION["sigmoid"].value(x)
    return upstream * (sigmoid * (1.0 + x * (1.0 - sigmoid)))


#: ``f(x, y, upstream)``. From the output y, where TensorFlow starts from it (ReLU, ELU, SELU, tanh,
#: sigmoid): from what y was rounded to, e^x = y + 1 cannot be had more exactly.
_GRADIENTS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "relu": lambda _, y, upstream: np.where(decide(y) > 0, upstream, 0.0),
    "leaky_relu": lambda x, _, upstream: np.where(decide(x) > 0, upstream, upstream * LEAKY_SLOPE),
    "elu": _elu_gradient,
    "selu": _selu_gradient,
    "silu": _silu_gradient,
    "tanh": lambda _, y, upstream: upstream * (1.0 - np.square(y)),
    "sigmoid": lambda _, y, upstream: upstream * (1.0 - y) * y,
}
