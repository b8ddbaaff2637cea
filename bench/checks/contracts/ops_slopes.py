"""Gradients of functions of ``keras.ops``: what the truth's own differences are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.checks.contracts import (
    ops_activations,
    ops_elementwise,
    ops_linear,
    ops_neural,
    ops_products,
    ops_sequences,
    ops_windows,
)
from bench.checks.contracts.formulas import float32
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.operation import Call, Operation, call, close, int32, parts_of
from bench.checks.lab import Lab
from bench.results.check import Deviation

Array = Any
#: Of central differences in float64: their error is 1e-8 of third derivatives, and 1e-12 of values.
_STEP = 1e-4


@dataclass(frozen=True)
class Slope(Operation):
    """A function whose gradient is held against differences of its truth."""

    def test(self, lab: Lab) -> Iterator[Deviation]:
        """Every gradient of every call. Raises AbsentError if this Keras has no such function."""
        function, calls = self.known()
        for one in calls:
            for at, (got, true) in enumerate(self._gradients(one, function)):
                name = f"{one.label}, argument {at}"
                yield close(name, lab.seen(got), true, share=self.share(lab))

    def _gradients(self, one: Call, function: Any) -> Iterator[tuple[Any, Array]]:
        """Of all results, weighted: by each float argument."""
        from bench.nets.api import tf

        wide = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in one.given]
        weights = [
            drawn(f"weights {at}", *np.shape(part))
            for at, part in enumerate(parts_of(_with(one, self.formula, wide)))
        ]

        def total(function: Any, given: list[Any], add: Callable[[Any], Any]) -> Any:
            parts = parts_of(_with(one, function, given))
            return sum(add(part * weight) for part, weight in zip(parts, weights, strict=True))

        tensors = [tf.constant(x) for x in one.given]
        floats = [at for at, x in enumerate(wide) if x.dtype.kind == "f"]
        with tf.GradientTape() as tape:
            for at in floats:
                tape.watch(tensors[at])
            loss = total(function, tensors, tf.reduce_sum)
        sources = [tensors[at] for at in floats]
        slopes = tape.gradient(loss, sources, unconnected_gradients="zero")
        for at, slope in zip(floats, slopes, strict=True):
            yield (
                tf.convert_to_tensor(slope),
                _differences(lambda: total(self.formula, wide, np.sum), wide[at]),
            )


def _with(one: Call, function: Any, given: list[Any]) -> Any:
    left = iter(given)
    return one.of(function, lambda _: next(left))


def _differences(value: Callable[[], Any], x: Array) -> Array:
    """Of a value as it changes with each entry, which is changed in place and put back."""
    slopes = np.empty(x.shape)
    for at in np.ndindex(x.shape):
        middle = x[at]
        ends = []
        for x[at] in (middle + _STEP, middle - _STEP):
            ends.append(value())
        slopes[at], x[at] = (ends[0] - ends[1]) / (2.0 * _STEP), middle
    return slopes


def _spread() -> Array:
    """Numbers on both sides of every kink, and none there."""
    return (np.round(drawn("spread", 12) * 8.0) / 4.0 + 0.1).astype(np.float32)


def _values(*shape: int) -> Array:
    return drawn("values", *(shape or (2, 3, 2)))


def _matrix() -> Array:
    """Well conditioned, and not symmetric."""
    return _values(3, 3) / np.float32(4.0) + np.diag(float32([2.0, 3.0, 4.0]))


def _square() -> Array:
    return _values(3, 3) @ _values(3, 3).T / np.float32(4.0) + 2 * np.eye(3, dtype=np.float32)


_ACTIVATIONS = (
    *("relu", "relu6", "sigmoid", "silu", "gelu", "elu", "selu", "celu", "leaky_relu"),
    *("hard_sigmoid", "hard_silu", "hard_tanh", "hard_shrink", "soft_shrink", "tanh_shrink"),
    *("log_sigmoid", "softplus", "softsign", "squareplus", "sparse_plus", "sparse_sigmoid"),
)
#: Calls by function, with arguments where it has a slope.
_CALLS: dict[str, Callable[[], list[Call]]] = {
    **dict.fromkeys(_ACTIVATIONS, lambda: [call(_spread())]),
    "glu": lambda: [call(_values())],
    "softmax": lambda: [call(_values()), call(_values(), axis=0)],
    "log_softmax": lambda: [call(_values()), call(_values(), axis=1)],
    "logsumexp": lambda: [call(_values(), axis=(0, 1)), call(_values())],
    "erfinv": lambda: [call(np.tanh(_values()) * np.float32(0.75))],
    "sinc": lambda: [call(np.tanh(_values()))],
    "hypot": lambda: [call(_values(), drawn("others", 2, 3, 2))],
    "logaddexp": lambda: [call(_values(), drawn("others", 2, 3, 2))],
    "arctan2": lambda: [call(_values(), drawn("others", 2, 3, 2))],
    "power": lambda: [call(np.abs(_values()) + np.float32(0.5), drawn("others", 2, 3, 2))],
    "normalize": lambda: [call(_values()), call(_values(), axis=1), call(_values(), order=3)],
    "layer_normalization": lambda: [
        call(_values(2, 5), drawn("scale", 5), drawn("shift", 5), epsilon=0.125)
    ],
    "rms_normalization": lambda: [call(_values(2, 5), drawn("scale", 5), epsilon=0.125)],
    "batch_normalization": lambda: [
        call(_values(2, 3), drawn("mean", 3), np.abs(drawn("variance", 3)) + np.float32(0.5), -1)
    ],
    "moments": lambda: [call(_values(), [0, 2])],
    "binary_crossentropy": lambda: [
        call(np.tanh(np.abs(_values(6))), _values(6)[::-1].copy(), from_logits=True)
    ],
    "categorical_crossentropy": lambda: [
        call(float32([[0.25, 0.75, 0], [0.5, 0, 0.5]]), of(_values(2, 3)), **options)
        for of, options in ((np.exp, {}), (np.negative, {"from_logits": True}))
    ],
    "sparse_categorical_crossentropy": lambda: [
        call(int32([2, 0]), _values(2, 3), from_logits=True)
    ],
    "dot_product_attention": lambda: [
        call(_values(1, 2, 2, 2), drawn("key", 1, 3, 2, 2), drawn("value", 1, 3, 2, 2))
    ],
    "ctc_loss": lambda: [
        call(int32([[1, 2]]), _values(1, 4, 3), int32([2]), int32([4])),
    ],
    "matmul": lambda: [call(_values(2, 2, 3), drawn("right", 3, 2))],
    "einsum": lambda: [call("abc,cd->abd", _values(2, 2, 3), drawn("right", 3, 2))],
    "tensordot-axes": lambda: [call(_values(2, 3), drawn("right", 3, 2), axes=1)],
    "cdist": lambda: [call(_values(3, 2), drawn("right", 2, 2))],
    "norm-vector": lambda: [
        call(_values(3, 4), ord=order, axis=1) for order in (None, 1, 3, np.inf)
    ],
    "norm-matrix": lambda: [call(_values(3, 4), ord=order, axis=(0, 1)) for order in ("fro", 1)],
    "det": lambda: [call(_matrix())],
    "slogdet": lambda: [call(_matrix())],
    "inv": lambda: [call(_matrix())],
    "solve": lambda: [call(_matrix(), _values(3, 2)), call(_matrix(), _values(3))],
    "segment_sum": lambda: [call(_values(4, 2), int32([0, 1, 0, 2]), num_segments=3)],
    "segment_max": lambda: [call(_values(4, 2), int32([0, 1, 0, 2]), num_segments=3)],
    "conv_transpose-1d": lambda: [call(_values(1, 3, 2), drawn("kernel", 3, 2, 2), strides=2)],
    "conv-1d": lambda: [
        call(_values(1, 5, 2), drawn("kernel", 3, 2, 2), padding="same", strides=2),
        call(_values(1, 5, 2), drawn("kernel", 2, 2, 2), dilation_rate=2),
    ],
    "max_pool-1d": lambda: [call(_values(1, 5, 2), 2, strides=1)],
    "average_pool-1d": lambda: [call(_values(1, 5, 2), 3, strides=2, padding="same")],
}


def _slopes() -> Iterator[Slope]:
    tables = (
        *ops_elementwise.OPERATIONS,
        *ops_activations.OPERATIONS,
        *ops_linear.OPERATIONS,
        *ops_products.OPERATIONS,
        *ops_neural.OPERATIONS,
        *ops_sequences.OPERATIONS,
        *ops_windows.OPERATIONS,
    )
    known = {one.subject: one for one in tables}
    for subject, calls in _CALLS.items():
        says = f"gradients of {known[subject].says or 'what NumPy has'}"
        yield Slope(f"{subject}-slope", calls, known[subject].formula, says)


_ENDS = (
    Slope(
        "sinc-slope_zero",
        lambda: [call(float32([0.0, 0.5]))],
        np.sinc,
        "the gradient is 0 at 0",
    ),
    Slope(
        "logsumexp-slope_ends",
        lambda: [call(float32([[200.0, 0.0, -200.0], [1e4, 1e4, 0.0]]), axis=(1,))],
        ops_activations.logsumexp,
        "the gradient is the softmax where exp overflows or vanishes",
    ),
    *(
        Slope(
            f"{name}-slope_far",
            lambda: [call(float32([-300.0, -90.0, 90.0, 300.0]))],
            next(one for one in ops_activations.OPERATIONS if one.subject == name).formula,
            "gradients where exp overflows or vanishes",
        )
        for name in ("softplus", "log_sigmoid", "silu", "elu", "celu", "selu", "sigmoid", "gelu")
    ),
)

OPERATIONS = (*_slopes(), *_ENDS)
