"""Exact invariants of gradients, and how far rounding may move them.

They relate tensors of one forward and backward pass, whatever the weights are:

* **Homogeneity.** phi(z) = phi'(z) z for ReLU and leaky ReLU, so with sum(A * B) over all entries
  written <A, B>, the kernel W, bias b, input h, branch r and C the loss,
  ``<W, dC/dW> + <b, dC/db> + <h, dC/dh'>`` is what the layer above has as
  ``<W', dC/dW'> + <h', dC/dh''>``. The <h, ..> terms are there only where a skip connection joins h
  and r. Without biases and skips: sum(W * dC/dW) is the same number for every layer. Max-pooling
  changes nothing: it passes on the entries that its gradient returns to.
* **Normalization.** Shifting or stretching the inputs u of a normalization changes nothing but through
  epsilon. Batch norm: for each unit, with u's variance v over the batch, <W, dC/dW> is
  epsilon / (v + epsilon) * gamma dC/dgamma, and dC/db is 0. Layer norm: the same for each example,
  with the sum over the units of gamma * normalized u * dC/dy in place of gamma dC/dgamma.

What TensorFlow gives misses them by rounding alone. With every tensor's own rounding error E taken as
independent from entry to entry, mean 0, and no larger than some size, each identity above is missed
by a weighted sum of the E, whose weights are other tensors of the pass. For one hidden layer of the
first::

    <W, dC/dW> + <b, dC/db>     dW = h'du + E_dW, u = hW + b + E_u, db = sum du + E_db:
        = <u, du>               + <W, E_dW> + <b, E_db> - <du, E_u>
        = <a, da>               + <u, E_du> - <da, E_a>      du = phi'(u) da + E_du, a = phi(u) + E_a
        = <h', dh'> - <h, dh'>  - <dh', E_h'> + <a, E_da>    h' = h + c a + E_h', da = c dh' + E_da
        = <W', dW'> + <h', dh''> - <h, dh'>  + <h', E_dh'> - <W', E_dW'>

A sum of n products is off by n independent errors of at most u times a partial sum each; over orders of
summation the square of a partial sum is about the sum of the terms' squares, a random walk, plus the
square of the whole, a drift: so by Hoeffding's inequality (Higham and Mary 2019, theorem 2.4) the
weighted sum exceeds LAMBDA sqrt(sum of c^2 s^2), s^2 = n u^2 (squares + value^2), with probability 2
exp(-LAMBDA^2 / 2). Underflow has no mean of 0 and adds up linearly. The errors of a normalization share
its mean and variance: they are bounded one by one (:class:`bench.theory.rounding.arrays.Bounded`)
and add up linearly too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.theory.oracle import convolution, layers
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.formats import FLOAT32, FLOAT64, LAMBDA, Format

Array = npt.NDArray[np.float64]

#: See :func:`back_error`.
BackError = tuple[Array, Array]

#: phi(z) = phi'(z) z.
HOMOGENEOUS = ("relu", "leaky_relu")


@dataclass(frozen=True)
class Normalization:
    """Between a kernel and its activation.

    Args:
        axis: 0 for batch norm, over the batch; 1 for layer norm, over the units.
        epsilon: added to the variance.
        scale: gamma, (units,).
        shift: beta, (units,).
        scale_gradient: dC/dgamma.
        shift_gradient: dC/dbeta.
        low: whether it computes in the 16-bit format of its layer, not in float32.
    """

    axis: int
    epsilon: float
    scale: Array
    shift: Array
    scale_gradient: Array
    shift_gradient: Array
    low: bool = False


@dataclass(frozen=True)
class Layer:
    """A kernel and all that follows up to the next kernel, with the loss gradient of each tensor.

    Arrays hold what a framework computed, in float64; ``kernel`` and ``bias`` as they were used,
    rounded to the layer's format. A hidden layer has ``z``, the activation's input, and ``a``, its
    output; the output layer has neither. The first layer has no ``inputs_gradient``.
    """

    form: Format
    kernel: Array
    bias: Array
    kernel_gradient: Array
    bias_gradient: Array
    inputs: Array
    inputs_gradient: Array | None
    outputs: Array
    outputs_gradient: Array
    norm: Normalization | None = None
    z: Array | None = None
    z_gradient: Array | None = None
    a: Array | None = None
    a_gradient: Array | None = None
    skip: bool = False
    """Whether the input is added to the branch."""
    branch_scale: float = 1.0
    pooled: bool = False

    @property
    def norm_form(self) -> Format:
        """Format in which the normalization is computed."""
        if self.norm is not None and self.norm.low:
            return self.form
        return FLOAT64 if self.form is FLOAT64 else FLOAT32


@dataclass(frozen=True)
class Trace:
    """One forward and backward pass: its layers, from the first to the logits, and its loss.

    ``gradients``: of all trainable variables, in their order.
    """

    layers: Sequence[Layer]
    activation: str
    loss: float
    gradients: Sequence[Array]


def apply(layer: Layer, inputs: Any, kernel: Any, bias: Any) -> Any:
    """The layer's dense product or convolution, of any kind of array."""
    return (convolution.conv2d if layer.kernel.ndim == 4 else layers.dense)(inputs, kernel, bias)


def pulled_back(part: str, inputs: Any, kernel: Any, upstream: Any) -> Any:
    """The gradient of a layer's ``inputs``, ``kernel`` or ``bias``, of any kind of array."""
    if np.ndim(kernel) == 4:
        found = convolution.conv2d_backward(inputs, kernel, upstream)
        return found[("inputs", "kernel", "bias").index(part)]
    if part == "inputs":
        return upstream @ kernel.T
    return inputs.T @ upstream if part == "kernel" else upstream.sum(axis=0)


class Budget:
    """How far a weighted sum of rounding errors may be from 0.

    Args:
        axis: what the sum is over; None for all entries, else there is a sum per entry of the others.
    """

    def __init__(self, axis: int | None = None) -> None:
        self._axis = axis
        self._squares: Any = 0.0
        self._certain: Any = 0.0

    def product(
        self, weights: Array, value: Array, squares: Array, terms: int, form: Format
    ) -> None:
        """Each entry of ``value`` is a sum of so many products, whose squares add up to ``squares``."""
        variance = terms * form.sum_roundoff**2 * (squares + np.square(value))
        variance += np.square(form.roundoff * value) + 4 * form.factor_roundoff**2 * squares
        self._squares += self._sum(np.square(weights) * variance)
        self._certain += terms * form.smallest * self._sum(np.abs(weights))

    def entries(self, weights: Array, value: Array, form: Format, roundings: int = 1) -> None:
        """Each entry of ``value`` was rounded so many times, at about its size."""
        self._squares += roundings * self._sum(np.square(form.roundoff * weights * value))
        self._certain += roundings * form.smallest * self._sum(np.abs(weights))

    def certain(self, errors: Array) -> None:
        """Errors that may be shared, not independent."""
        self._certain += self._sum(errors)

    @property
    def bound(self) -> Any:
        """Bound of each sum."""
        return LAMBDA * np.sqrt(self._squares) + self._certain

    def _sum(self, entries: Array) -> Any:
        return np.sum(entries, axis=self._axis)


# --- Homogeneity -------------------------------------------------------------------------------


def homogeneity(trace: Trace) -> Iterator[tuple[int, float, Bounded]]:
    """Each hidden layer's number, and that of the layer above with what rounding may add.

    Raises:
        ValueError: the network's activation is not homogeneous, or it normalizes.
    """
    if trace.activation not in HOMOGENEOUS or any(layer.norm for layer in trace.layers):
        raise ValueError(f"{trace.activation} or a normalization: the network is not homogeneous")
    sums = [_Sums.of(layer) for layer in trace.layers]
    for index, (layer, above) in enumerate(zip(trace.layers, trace.layers[1:], strict=False)):
        last = index + 2 == len(trace.layers)
        beyond = None if last else trace.layers[index + 2]
        own = _inner(layer.kernel, layer.kernel_gradient) + _inner(layer.bias, layer.bias_gradient)
        own += _passed(layer, above)
        expected = _inner(above.kernel, above.kernel_gradient)
        expected += 0.0 if beyond is None else _passed(above, beyond)
        budget = Budget()
        _count_below(budget, layer, sums[index], above)
        _count_above(budget, above, sums[index + 1], layer.form)
        yield index, own, Bounded(expected, budget.bound, layer.form)


def _inner(left: Array, right: Array) -> float:
    return float(np.sum(left * right))


def _passed(layer: Layer, above: Layer) -> float:
    """What goes around a layer: <h, dC/dh'>."""
    if not layer.skip:
        return 0.0
    return _inner(layer.inputs, _required(above.inputs_gradient))


@dataclass(frozen=True)
class _Sums:
    """Products of a layer: of each the value, the sum of its terms' squares, the number of terms."""

    outputs: tuple[Array, Array, int]
    inputs_gradient: tuple[Array, Array, int]
    kernel_gradient: tuple[Array, Array, int]
    bias_gradient: tuple[Array, Array, int]

    @classmethod
    def of(cls, layer: Layer) -> _Sums:
        h, kernel, upstream = layer.inputs, layer.kernel, layer.outputs_gradient
        squares = np.square(h), np.square(kernel), np.square(upstream)
        back = {name: pulled_back(name, *squares) for name in ("inputs", "kernel", "bias")}
        places = upstream.size // upstream.shape[-1]
        outputs = layer.outputs
        return cls(
            outputs=(outputs, apply(layer, *squares[:2], layer.bias**2), kernel[..., 0].size + 1),
            inputs_gradient=(
                h if layer.inputs_gradient is None else layer.inputs_gradient,
                back["inputs"],
                kernel.size // kernel.shape[-2],
            ),
            kernel_gradient=(layer.kernel_gradient, back["kernel"], places),
            bias_gradient=(layer.bias_gradient, back["bias"], places),
        )


def _count_below(budget: Budget, layer: Layer, sums: _Sums, above: Layer) -> None:
    """Counts the roundings of a hidden layer, up to what it hands to the layer above."""
    form = layer.form
    a, passed = _required(layer.a), _required(layer.a_gradient)
    budget.product(layer.kernel, *sums.kernel_gradient, form)
    budget.product(layer.bias, *sums.bias_gradient, form)
    budget.product(layer.outputs_gradient, *sums.outputs, form)
    budget.entries(layer.outputs, layer.outputs_gradient, form)
    budget.entries(passed, a, form)
    if layer.skip:
        to_above = _required(above.inputs_gradient)
        budget.entries(to_above, layer.branch_scale * a, form)
        budget.entries(to_above, above.inputs, form)
        budget.entries(a, passed, form)


def _count_above(budget: Budget, above: Layer, sums: _Sums, form: Format) -> None:
    """Counts the roundings of the next layer's products and of their gradient, to the format below."""
    budget.product(above.kernel, *sums.kernel_gradient, above.form)
    budget.product(above.inputs, *sums.inputs_gradient, above.form)
    # Cast to the format below, and added to what came around the layer.
    budget.entries(above.inputs, _required(above.inputs_gradient), form, roundings=2)


def _required(array: Array | None) -> Array:
    if array is None:
        raise ValueError("a hidden layer without its activation's tensors")
    return array


# --- Normalization -----------------------------------------------------------------------------


def stretching(layer: Layer, back: BackError | None = None) -> tuple[Array, Bounded]:
    """<W, dC/dW> of each unit (batch norm) or <W, dC/dW> + <b, dC/db> of the layer (layer norm), and
    what epsilon leaves of it.

    Args:
        layer: a hidden one.
        back: its :func:`back_error`, where that is at hand.

    Raises:
        ValueError: the layer has no normalization.
    """
    norm = normalization(layer)
    u = layer.outputs
    centred = u - u.mean(axis=norm.axis, keepdims=True)
    variance = np.square(centred).mean(axis=norm.axis, keepdims=True)
    kept = norm.epsilon / (variance + norm.epsilon)
    normalized = centred / np.sqrt(variance + norm.epsilon)
    units = kept * norm.scale * normalized * _required(layer.z_gradient)
    per_unit = norm.axis == 0
    over = 0 if per_unit else None
    got = np.sum(layer.kernel * layer.kernel_gradient, axis=over)
    sums, form = _Sums.of(layer), layer.form
    budget = Budget(over)
    budget.product(layer.kernel, *sums.kernel_gradient, form)
    budget.product(layer.outputs_gradient, *sums.outputs, form)
    if not per_unit:
        got = got + _inner(layer.bias, layer.bias_gradient)
        budget.product(layer.bias, *sums.bias_gradient, form)
    shared, rounded = back or back_error(layer)
    budget.entries(u - layer.bias if per_unit else u, rounded, form)
    shift = np.abs(u - centred - (layer.bias if per_unit else 0.0))
    budget.certain((np.abs(centred) + shift) * shared)
    return np.asarray(got), Bounded(np.sum(units, axis=over), budget.bound, form)


def shifting(layer: Layer, back: BackError | None = None) -> tuple[Array, Bounded]:
    """dC/db of each unit before batch norm, or the sum over units of dC/du of each example before layer
    norm; 0 but for rounding.

    Args:
        layer: a hidden one.
        back: its :func:`back_error`, where that is at hand.

    Raises:
        ValueError: the layer has no normalization.
    """
    norm = normalization(layer)
    shared, rounded = back or back_error(layer)
    upstream = layer.outputs_gradient
    certain = shared.sum(axis=norm.axis)
    form = layer.form
    independent = np.square(form.roundoff * rounded).sum(axis=norm.axis)
    got = upstream.sum(axis=norm.axis)
    if norm.axis == 0:  # TensorFlow adds up dC/db itself.
        got = layer.bias_gradient
        count = len(upstream)
        squares = np.square(upstream).sum(axis=0)
        independent += count * form.sum_roundoff**2 * squares
        certain = certain + count * form.smallest
    certain = certain + len(upstream) * form.smallest
    error = LAMBDA * np.sqrt(independent) + certain
    return got, Bounded(np.zeros_like(got), error, form)


def normalization(layer: Layer) -> Normalization:
    """The layer's normalization.

    Raises:
        ValueError: it has none.
    """
    if layer.norm is None:
        raise ValueError("the layer has no normalization")
    return layer.norm


def back_error(layer: Layer) -> BackError:
    """Errors of dC/du: the normalization's own, at most; and the values whose rounding to the layer's
    format comes on top of them, 0 where that is the normalization's own format."""
    expected = normalization_back(layer, lambda array, form: Bounded(array, form=form))[0]
    low = layer.form.roundoff > layer.norm_form.roundoff
    rounded = layer.outputs_gradient if low else np.zeros_like(layer.outputs_gradient)
    return np.asarray(expected.error), rounded


def normalization_back(layer: Layer, lift: Callable[[Array, Format], Any]) -> tuple[Any, Any, Any]:
    """dC/du, before it is rounded to a 16-bit format, dC/dgamma and dC/dbeta, from u and dC/dy.

    Args:
        layer: a hidden one with a normalization.
        lift: makes of an array, given the format, one of the kind that is wanted.
    """
    norm, form = normalization(layer), layer.norm_form
    backward = layers.batch_norm_backward if norm.axis == 0 else layers.layer_norm_backward
    u, upstream = lift(layer.outputs, form), lift(_required(layer.z_gradient), form)
    found: tuple[Any, Any, Any] = backward(u, norm.scale, upstream, epsilon=norm.epsilon)
    return found
