"""What contracts of layers share: building a layer, and comparing it with its formula."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.oracle import passed, traced
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation
from bench.theory.oracle.tape import Traced, gradients
from bench.theory.rounding.deviation import deviation

Array = npt.NDArray[Any]
Formula = Callable[[Sequence[Traced], Sequence[Traced]], Traced]

ALL = "Outputs and the gradients of inputs and of every weight follow the formula"


def made(name: str, *arguments: Any, **options: Any) -> Any:
    """A layer by its class' name.

    Raises:
        AbsentError: this Keras has none.
    """
    from bench.nets.api import keras

    if not hasattr(keras.layers, name):
        raise AbsentError(f"this Keras has no {name}")
    return getattr(keras.layers, name)(*arguments, **options)


def furnished(
    layer: Any, role: str, inputs: Sequence[Array], **call: Any
) -> tuple[Any, list[Array]]:
    """Builds a layer and draws its weights; what it returns of its inputs, and the weights."""
    layer(*inputs, **call)
    weights = []
    for number, variable in enumerate(layer.trainable_variables):
        weight = drawn(f"{role} weight {number}", *variable.shape) * np.float32(0.5)
        variable.assign(weight)
        weights.append(weight)
    return layer(*inputs, **call), weights


def compared(
    lab: Lab,
    layer: Any,
    role: str,
    inputs: Sequence[Array],
    formula: Formula,
    *,
    what: str = "",
    counted: Array | None = None,
    **call: Any,
) -> Iterator[Deviation]:
    """Outputs and gradients of a layer whose first output the formula tells.

    Args:
        lab: sees what was computed.
        layer: fresh.
        role: names the numbers that are drawn for its weights.
        inputs: arrays; integers get no gradient.
        formula: of the inputs and of the trainable weights.
        what: tells several calls of this function apart.
        counted: 1 where outputs are documented, 0 where not; shaped for broadcasting.
        call: further arguments of the layer.
    """
    first, weights = furnished(layer, role, inputs, **call)
    upstream = drawn(f"{role} upstream", *np.shape(_output(first)))
    sources = [traced(lab, x) for x in inputs], [traced(lab, weight) for weight in weights]
    truth = formula(*sources)
    if counted is not None:
        truth, upstream = truth * counted, upstream * counted
    returned, to_inputs, to_weights = passed(layer, inputs, upstream, **call)
    output = _output(returned)
    seen = lab.seen(output)
    yield deviation(f"outputs{what}", seen if counted is None else seen * counted, truth.array)
    at = [n for n, x in enumerate(inputs) if np.issubdtype(x.dtype, np.floating)]
    floats, arrays = [sources[0][n] for n in at], [*(inputs[n] for n in at), *weights]
    truths = gradients(truth, traced(lab, upstream).array, [*floats, *sources[1]])
    names = [f"input {number}" for number in range(len(at))]
    names += [f"weight {number}" for number in range(len(weights))]
    found = [
        _filled(got, x.shape) for got, x in zip([*to_inputs, *to_weights], arrays, strict=True)
    ]
    for name, got, wanted in zip(names, found, truths, strict=True):
        yield deviation(f"gradient of {name}{what}", lab.seen(got), wanted)


def _output(returned: Any) -> Any:
    """The first of what a layer returns."""
    return returned[0] if isinstance(returned, (list, tuple)) else returned


def _filled(gradient: Any, shape: tuple[int, ...]) -> Array:
    """None is a gradient of zeros."""
    return np.zeros(shape, np.float32) if gradient is None else np.asarray(gradient)


def layer_contract(
    catalogue: Catalogue,
    subject: str,
    name: str,
    shapes: Sequence[tuple[int, ...]],
    formula: Formula,
    options: Mapping[str, Any] | None = None,
    *,
    truth: str = f"{ALL}.",
    make: Callable[..., Any] = made,
    **call: Any,
) -> None:
    """Puts the contract of a layer on inputs of these shapes into a family's catalogue."""

    @catalogue.contract(subject, thing=f"keras.layers.{name}", truth=truth)
    def _(lab: Lab) -> Iterator[Deviation]:
        inputs = [drawn(f"{subject} input {at}", *shape) for at, shape in enumerate(shapes)]
        layer = make(name, **dict(options or {}))
        yield from compared(lab, layer, subject, inputs, formula, **call)
