"""Faults planted in TensorFlow itself, one at a time, and which family of checks sees them.

``python tests/checks/planted.py`` prints the matrix: fault by family, the largest share of its bound
that any tensor used (above 1 is caught).
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

import tensorflow as tf

from bench import mnist
from bench.cells.cell import ACTIVATIONS
from bench.checks.catalogue import checks
from bench.checks.examiner import Examiner
from bench.results.check import CheckResult

keras = tf.keras

#: One part in ten thousand; and a little more than one percent of variance.
SLIGHTLY = 1.0 + 1e-4
VARIANCE = 1.0101


@dataclass(frozen=True)
class Fault:
    """A fault, and which checks are worth running: those whose id has one of some words."""

    name: str
    plant: Callable[[], contextlib.AbstractContextManager[Any]]
    families: Sequence[str]
    words: Sequence[str]


def _attribute(kind: type, name: str, factor: float) -> contextlib.AbstractContextManager[Any]:
    """Each ``kind`` multiplies one of its attributes before it makes its variables."""
    original = kind.build

    @functools.wraps(original)
    def changed(self: Any, *arguments: Any, **options: Any) -> Any:
        value = getattr(self, name)
        if value is not None and not getattr(self, "_planted", False):
            object.__setattr__(self, "_planted", True)
            setattr(self, name, float(value) * factor)
        return original(self, *arguments, **options)

    return mock.patch.object(kind, "build", changed)


def _result(
    owner: Any, name: str, change: Callable[[Any, Any], Any]
) -> contextlib.AbstractContextManager[Any]:
    """What ``owner.name`` returns is changed: ``change(self, result)``."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def changed(self: Any, *arguments: Any, **options: Any) -> Any:
        return change(self, original(self, *arguments, **options))

    return mock.patch.object(owner, name, changed)


@contextlib.contextmanager
def _activation(name: str) -> Iterator[None]:
    """Output, and so the slope, of the layers times 1 + 1e-4."""

    def scaled(layer: Any, output: Any) -> Any:
        own = getattr(getattr(layer, "activation", None), "__name__", _LAYERS.get(type(layer)))
        return output * SLIGHTLY if own in (name, f"{name}_v2", _ALIASES.get(name)) else output

    with contextlib.ExitStack() as stack:
        for kind in (keras.layers.Activation, *_LAYERS):
            stack.enter_context(_result(kind, "call", scaled))
        yield


_LAYERS = {
    keras.layers.ReLU: "relu",
    keras.layers.LeakyReLU: "leaky_relu",
    keras.layers.ELU: "elu",
}
_ALIASES = {"silu": "swish"}


def _initializer(name: str) -> contextlib.AbstractContextManager[Any]:
    kind = getattr(keras.initializers, "".join(part.title() for part in name.split("_")))
    return _result(kind, "__call__", lambda _, drawn: drawn * VARIANCE**0.5)


def _clipping_op(name: str) -> contextlib.AbstractContextManager[Any]:
    original = getattr(tf, name)

    def clipped(values: Any, *thresholds: Any, **options: Any) -> Any:
        changed = (t if t is None else t * SLIGHTLY for t in thresholds)
        return original(values, *changed, **options)

    return mock.patch.object(tf, name, clipped)


INITIALIZERS = (
    *(f"{rule}_{values}" for rule in ("glorot", "he", "lecun") for values in ("normal", "uniform")),
    *("random_normal", "random_uniform", "truncated_normal", "variance_scaling", "orthogonal"),
)
OPTIMIZERS: Mapping[str, tuple[str, Sequence[str]]] = {
    "sgd": ("SGD", ("learning_rate", "momentum", "weight_decay", "ema_momentum")),
    "adam": (
        "Adam",
        ("learning_rate", "beta_1", "beta_2", "epsilon", "weight_decay", "ema_momentum"),
    ),
    "adamw": ("AdamW", ("learning_rate", "beta_1", "beta_2", "epsilon", "weight_decay")),
    "adamax": ("Adamax", ("learning_rate", "beta_1", "beta_2", "epsilon")),
    "nadam": ("Nadam", ("learning_rate", "beta_1", "beta_2", "epsilon")),
    "rmsprop": ("RMSprop", ("learning_rate", "rho", "momentum", "epsilon")),
    "adagrad": ("Adagrad", ("learning_rate", "initial_accumulator_value", "epsilon")),
    "adadelta": ("Adadelta", ("learning_rate", "rho", "epsilon")),
    "ftrl": (
        "Ftrl",
        (
            "learning_rate",
            "learning_rate_power",
            "initial_accumulator_value",
            "l1_regularization_strength",
            "l2_regularization_strength",
            "l2_shrinkage_regularization_strength",
            "beta",
        ),
    ),
    "lion": ("Lion", ("learning_rate", "beta_1", "beta_2", "weight_decay")),
    "lamb": ("Lamb", ("learning_rate", "beta_1", "beta_2", "epsilon", "weight_decay")),
    "adafactor": (
        "Adafactor",
        ("learning_rate", "beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold"),
    ),
}


def faults() -> list[Fault]:
    """All faults that can be planted in the installed TensorFlow."""
    found = [
        Fault(
            f"{name}, slope",
            functools.partial(_activation, name),
            ("activation", "network", "engine"),
            [f"act:{name}-"],
        )
        for name in ACTIVATIONS
    ]
    found += [
        Fault(
            f"{name}, variance +1.01 %",
            functools.partial(_initializer, name),
            ("initializer",),
            [f"init:{name}-"],
        )
        for name in INITIALIZERS
    ]
    for word, kind, constants in (
        ("norm:batch", keras.layers.BatchNormalization, ("epsilon", "momentum")),
        ("norm:layer", keras.layers.LayerNormalization, ("epsilon",)),
    ):
        found += [
            Fault(
                f"{kind.__name__}, {constant}",
                functools.partial(_attribute, kind, constant, SLIGHTLY),
                ("normalization", "network", "engine"),
                [word],
            )
            for constant in constants
        ]
    found += [
        Fault(f"tf.{name}, threshold", functools.partial(_clipping_op, name), ("clipping",), [word])
        for name, word in (
            ("clip_by_value", "clipping:value-by:op"),
            ("clip_by_norm", "clipping:norm-by:op"),
            ("clip_by_global_norm", "clipping:global_norm-by:op"),
        )
    ]
    found += [
        Fault(
            f"SGD, {constant}",
            functools.partial(_attribute, keras.optimizers.SGD, constant, SLIGHTLY),
            ("clipping", "optimizer", "engine"),
            [f"{rule}-by:optimizer", f"sgd-momentum:0.9-clip:{rule}", f"clip:{rule}_0.5-opt:sgd"],
        )
        for rule, constant in (
            ("value", "clipvalue"),
            ("norm", "clipnorm"),
            ("global_norm", "global_clipnorm"),
        )
    ]
    found += [
        Fault(
            f"{kind}, {constant}",
            functools.partial(_attribute, getattr(keras.optimizers, kind), constant, SLIGHTLY),
            ("optimizer", "engine"),
            [f"optimizer:{name}-", f"opt:{'momentum' if name == 'sgd' else name}-"],
        )
        for name, (kind, constants) in OPTIMIZERS.items()
        if hasattr(keras.optimizers, kind)
        for constant in constants
    ]
    return found


def examined(fault: Fault, examiner: Examiner) -> dict[str, list[CheckResult]]:
    """The results of a fault's checks by family, with the fault planted."""
    results: dict[str, list[CheckResult]] = {}
    with fault.plant():
        for check in checks("quick", fault.families):
            words = [f"{check.family}:{check.subject}-"]
            if any(word in text for word in fault.words for text in words):
                results.setdefault(check.family, []).append(examiner.examine(check))
    return results


def excess(results: Sequence[CheckResult]) -> float:
    """The largest share of a bound; infinite where a bound of 0 is missed."""
    shares = [result.closest.excess for result in results if result.closest is not None]
    return max((float("inf") if share is None else share for share in shares), default=0.0)


def main() -> None:
    """Prints the matrix as Markdown."""
    from tabulate import tabulate

    from bench.nets import device

    device.configure("cpu", threads=1)
    examiner = Examiner(mnist.load(), "cpu")
    families: list[str] = []
    rows = []
    for fault in faults():
        results = examined(fault, examiner)
        families += [family for family in results if family not in families]
        rows.append((fault.name, {family: excess(found) for family, found in results.items()}))
        caught = max(rows[-1][1].values(), default=0.0) > 1.0
        print(fault.name, "caught" if caught else "MISSED", file=sys.stderr, flush=True)
    table = [
        [name, *(f"{found[family]:.3g}" if family in found else "" for family in families)]
        for name, found in rows
    ]
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}\n")
    print(tabulate(table, ["fault", *families], tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
