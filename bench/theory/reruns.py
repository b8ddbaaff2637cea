"""Comparison of two passes through one network that should be equal, tensor by tensor.

The second pass sees the batch in another order, in two halves, or with its loss multiplied. Then each
tensor y = f(x) of the network differs by no more than f makes of the difference in x, as TensorFlow's
tensors show it, and the rounding of both. So with x1, y1 rearranged as the second batch is:
``y2 - y1 = f(x2) - f(x1)`` within the two bounds that running error analysis
(:class:`bench.theory.rounding.arrays.Bounded`) gives for f. No amplification through the depth of
the network enters, because each layer starts from the tensors that are there. A constant that
TensorFlow rounds is the same on both sides and cancels.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.results.check import Deviation
from bench.theory.invariants import (
    Layer,
    Trace,
    apply,
    normalization,
    normalization_back,
    pulled_back,
)
from bench.theory.oracle import convolution, layers, losses
from bench.theory.oracle.operations import activation_gradient, activation_value
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation
from bench.theory.rounding.formats import Format, sum_growth

Array = npt.NDArray[np.float64]
Lift = Callable[[Any, Format], Any]


def bounded(array: Any, form: Format) -> Bounded:
    """The lift to running error analysis."""
    return Bounded(array, form=form)


@dataclass(frozen=True)
class Step:
    """A tensor of a pass, and the formula that gives it from tensors before it.

    Args:
        name: for people.
        value: the framework's result.
        formula: ``formula(lift)``: ``lift(array, format)`` makes of each tensor that goes in an array
            of the kind that is wanted.
        form: the format to which the formula's result is rounded in the end.
        terms: number of terms of which an entry is the sum.
        factors: tensors whose entries are multiplied in the formula.
    """

    name: str
    value: Array
    formula: Callable[[Lift], Any]
    form: Format
    terms: float = 1.0
    factors: Sequence[Array] = ()

    def expected(self) -> Bounded:
        """The formula's value and bound, the last rounding and what underflows included."""
        result = self.formula(bounded)
        last = self.form.roundoff * np.abs(result.value) + (self.terms + 1.0) * self.form.smallest
        return Bounded(result.value, result.error + last, self.form)

    @property
    def smallest_term(self) -> float:
        """Smallest size of any product of the factors, or of the result, that is not 0."""
        reach = [np.min(np.abs(x[x != 0.0]), initial=1.0) for x in self.factors]
        least = np.min(np.abs(self.value[self.value != 0.0]), initial=1.0)
        return float(min(np.prod(reach), least))


# --- The same pass, rearranged -----------------------------------------------------------------

_PER_EXAMPLE = ("inputs", "outputs", "z", "a")


def permuted(trace: Trace, order: npt.NDArray[Any]) -> Trace:
    """The pass with its examples in another order: what sums over them stays."""

    def reordered(layer: Layer) -> Layer:
        rows: dict[str, Any] = {name: getattr(layer, name)[order] for name in _rows(layer)}
        return replace(layer, **rows)

    return replace(trace, layers=[reordered(layer) for layer in trace.layers])


def joined(first: Trace, second: Trace) -> Trace:
    """The pass over two batches of one size, of the mean of their losses. Halving rounds nothing."""

    def both(a: Layer, b: Layer) -> Layer:
        stacked: dict[str, Any] = {}
        for name in _rows(a):
            share = 0.5 if name.endswith("gradient") else 1.0
            stacked[name] = share * np.concatenate([getattr(a, name), getattr(b, name)])
        sums: dict[str, Any] = {
            name: 0.5 * (getattr(a, name) + getattr(b, name))
            for name in ("kernel_gradient", "bias_gradient")
        }
        norm = a.norm and replace(
            a.norm,
            scale_gradient=0.5 * (a.norm.scale_gradient + normalization(b).scale_gradient),
            shift_gradient=0.5 * (a.norm.shift_gradient + normalization(b).shift_gradient),
        )
        return replace(a, norm=norm, **stacked, **sums)

    pairs = zip(first.layers, second.layers, strict=True)
    return replace(
        first, layers=[both(a, b) for a, b in pairs], loss=0.5 * (first.loss + second.loss)
    )


def multiplied(trace: Trace, factor: float) -> Trace:
    """The pass with its loss, and so every gradient, times a factor."""

    def scaled(layer: Layer) -> Layer:
        names = [name for name in _rows(layer) if name.endswith("gradient")]
        grown: dict[str, Any] = {
            name: factor * getattr(layer, name)
            for name in [*names, "kernel_gradient", "bias_gradient"]
        }
        norm = layer.norm and replace(
            layer.norm,
            scale_gradient=factor * layer.norm.scale_gradient,
            shift_gradient=factor * layer.norm.shift_gradient,
        )
        return replace(layer, norm=norm, **grown)

    return replace(trace, layers=[scaled(layer) for layer in trace.layers])


def _rows(layer: Layer) -> list[str]:
    """The layer's tensors with an entry per example."""
    names = [*_PER_EXAMPLE, *(f"{name}_gradient" for name in _PER_EXAMPLE)]
    return [name for name in names if getattr(layer, name) is not None]


# --- Comparing ---------------------------------------------------------------------------------


def compared(
    name: str, first: Sequence[Step], second: Sequence[Step], *, ratio: float = 1.0
) -> Iterator[Deviation]:
    """Deviations of two passes that should be equal, one per tensor.

    Args:
        name: the comparison's name, for people.
        first: steps of the pass that was rearranged as the second one is.
        second: steps of the other pass.
        ratio: factor on the gradients of the first pass, applied afterwards. By a power of two
            above 1 nothing is rounded otherwise: only what underflowed in either may make a difference.
    """
    exact = ratio != 1.0 and math.frexp(ratio)[0] == 0.5
    for before, after in zip(first, second, strict=True):
        tensor = f"{name}, {after.name}"
        if np.array_equal(before.value, after.value):
            yield Deviation(tensor=tensor, excess=0.0, ulps=0.0, evidence="identical")
            continue
        # An entry has all its digits only this far from the smallest number; one that does not
        # may differ, and so may then all that follow from it.
        if exact:
            least = min(after.smallest_term, before.smallest_term / ratio)
            exact = least >= after.form.smallest / after.form.roundoff
        was, now = before.expected(), after.expected()
        lost = ratio * (before.terms + 1.0) * before.form.smallest
        error = np.zeros_like(now.error) if exact else was.error + now.error + lost
        expected = Bounded(before.value + (now.value - was.value), error, after.form)
        yield deviation(tensor, after.value, expected)


def overflow(steps: Sequence[Step]) -> tuple[str, bool] | None:
    """The first tensor that is not finite, and whether its true values explain that; None if all are.

    They do where one is, within its bound or in a sum on its way, beyond the format's largest number.
    A bound is at least ``roundoff * (1 + growth)`` of the sum of the terms' sizes.
    """
    for step in steps:
        wrong = ~np.isfinite(step.value)
        if np.any(wrong):
            with np.errstate(all="ignore"):
                expected = step.expected()
                sizes = (
                    expected.error / step.form.sum_roundoff / (1.0 + sum_growth(int(step.terms)))
                )
                reach = np.abs(expected.value) + expected.error + sizes
            return step.name, bool(np.any(~(reach[wrong] < step.form.largest)))
    return None


# --- The formulas of a pass --------------------------------------------------------------------


def steps(trace: Trace, labels: npt.NDArray[Any], factor: float = 1.0) -> list[Step]:
    """All tensors of a pass in the order of its computation.

    Args:
        trace: pass with the cross-entropy as its loss.
        labels: integers (batch,), in the trace's order.
        factor: factor on the loss.
    """
    count = len(trace.layers)
    forward = [_forward(trace, index) for index in range(count)]
    backward = [_backward(trace, index) for index in reversed(range(count))]
    last = trace.layers[-1]
    at_logits = Step(
        f"layer {count}, signal",
        last.outputs_gradient,
        lambda lift: factor * losses.cross_entropy_gradient(lift(last.outputs, last.form), labels),
        last.form,
    )
    flat = [step for part in forward for step in part]
    return [*flat, at_logits, *(step for part in backward for step in part)]


def _forward(trace: Trace, index: int) -> Iterator[Step]:
    layer, name, form = trace.layers[index], f"layer {index + 1}", trace.layers[index].form
    if index:
        yield Step(f"{name}, input", layer.inputs, lambda lift: _merged(trace, index, lift), form)
    yield Step(
        f"{name}, kernel's output",
        layer.outputs,
        lambda lift: apply(layer, lift(layer.inputs, form), layer.kernel, layer.bias),
        form,
        layer.kernel[..., 0].size,
    )
    if layer.z is None or layer.a is None:
        return
    if layer.norm is not None:
        yield Step(f"{name}, normalized", layer.z, lambda lift: _normalized(layer, lift), form)
    value = activation_value(trace.activation)
    yield Step(f"{name}, activation", layer.a, lambda lift: value(lift(layer.z, form)), form)


def _normalized(layer: Layer, lift: Lift) -> Any:
    norm, u = normalization(layer), lift(layer.outputs, layer.norm_form)
    if norm.axis == 0:
        return layers.batch_norm(u, norm.scale, norm.shift, epsilon=norm.epsilon)[0]
    return layers.layer_norm(u, norm.scale, norm.shift, epsilon=norm.epsilon)


def _merged(trace: Trace, index: int, lift: Lift) -> Any:
    """The input of a layer: what the layer below makes of its branch."""
    below, layer = trace.layers[index - 1], trace.layers[index]
    branch = lift(below.a, below.form)
    if below.branch_scale != 1.0:
        branch = below.branch_scale * branch
    if below.pooled:
        branch = convolution.max_pool(branch)
    if below.skip:
        branch = lift(below.inputs, below.form) + branch
    return branch.reshape(layer.inputs.shape)


def _backward(trace: Trace, index: int) -> Iterator[Step]:
    """Steps from the signal at the activation's output to that at the layer's input."""
    layer, name, form = trace.layers[index], f"layer {index + 1}", trace.layers[index].form
    upstream = layer.outputs_gradient
    if layer.z_gradient is not None:
        yield from _through_activation(trace, index)

    def back(part: str, lift: Lift) -> Any:
        return pulled_back(part, layer.inputs, layer.kernel, lift(upstream, form))

    def to_input(lift: Lift) -> Any:
        through = back("inputs", lift)
        around = trace.layers[index + 1].inputs_gradient if layer.skip else None
        return through if around is None else through + lift(around, form)

    places = upstream.size / upstream.shape[-1]
    yield Step(
        f"{name}, kernel gradient",
        layer.kernel_gradient,
        lambda lift: back("kernel", lift),
        form,
        places,
        (layer.inputs, upstream),
    )
    yield Step(
        f"{name}, bias gradient",
        layer.bias_gradient,
        lambda lift: back("bias", lift),
        form,
        places,
        (upstream,),
    )
    if layer.inputs_gradient is not None:
        yield Step(
            f"{name}, input's signal",
            layer.inputs_gradient,
            to_input,
            trace.layers[index - 1].form,
            layer.kernel.size / layer.kernel.shape[-2],
            (upstream, layer.kernel),
        )


def _through_activation(trace: Trace, index: int) -> Iterator[Step]:
    layer, above, name = trace.layers[index], trace.layers[index + 1], f"layer {index + 1}"
    form = layer.form
    a, a_gradient, z_gradient = layer.a, layer.a_gradient, layer.z_gradient
    if a is None or a_gradient is None or z_gradient is None:
        raise ValueError(f"{name}: the pass lacks a tensor of its activation")

    def to_branch(lift: Lift) -> Any:
        signal = lift(above.inputs_gradient, form)
        if layer.pooled:
            height, width = a.shape[1] // 2, a.shape[2] // 2
            signal = signal.reshape((len(a), height, width, a.shape[3]))
            signal = convolution.max_pool_backward(a, signal)
        return layer.branch_scale * signal if layer.branch_scale != 1.0 else signal

    def to_z(lift: Lift) -> Any:
        tensors = (lift(array, form) for array in (layer.z, a, a_gradient))
        return activation_gradient(trace.activation, *tensors)

    yield Step(f"{name}, activation's signal", a_gradient, to_branch, form)
    terms, factors = 1.0, [a_gradient]
    if trace.activation == "gelu" and layer.z is not None:
        # Differentiated operation by operation: upstream * z * (density at z) is a product of its own.
        factors.append(layer.z * np.exp(-0.5 * np.square(layer.z)) / math.sqrt(2.0 * math.pi))
        terms = 8.0  # that many operations in a row, of which each may underflow
    yield Step(f"{name}, signal", z_gradient, to_z, form, terms, factors)
    if layer.norm is not None:
        yield from _through_normalization(layer, name)


def _through_normalization(layer: Layer, name: str) -> Iterator[Step]:
    """Gradients of a normalization: sums over batch or units, of what is multiplied by up to
    1 / sqrt(epsilon)^3."""
    norm, form = normalization(layer), layer.form
    reach = norm.epsilon**-1.5 * max(1.0, float(np.max(np.abs(layer.outputs))))
    tensors = (
        ("signal before normalization", layer.outputs_gradient),
        ("scale gradient", norm.scale_gradient),
        ("shift gradient", norm.shift_gradient),
    )
    # All three come from one computation, done once per kind of array.
    back = functools.cache(functools.partial(normalization_back, layer))

    def formula(part: int) -> Callable[[Lift], Any]:
        return lambda lift: back(lift)[part]

    for part, (what, value) in enumerate(tensors):
        yield Step(
            f"{name}, {what}",
            value,
            formula(part),
            form,
            layer.outputs.size * reach,
            () if layer.z_gradient is None else (layer.z_gradient / reach,),
        )
