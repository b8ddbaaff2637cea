"""Keras' normalization layers against their formulas: passes, gradients, moving statistics.

Features (of batch normalization) and rows (of layer normalization) have variances from a thousandth of
epsilon to a thousand times epsilon, so that epsilon shows in some and the variance in others; batches
are small, because a bound on the rounding of sums grows with their length. Layers that are told nothing
must use Keras' defaults, epsilon .001 and momentum .99.

Where Keras 2 and 3 differ, each is held to its own documentation: of images in float32, Keras 2's batch
normalization takes TensorFlow's fused kernel, whose moving variance follows n / (n - 1) times the
batch's variance; Keras 3 takes the batch's variance itself, whatever the inputs. Keras 2 makes
1 - momentum a float32 tensor also where it computes in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench.cells import initial_values
from bench.cells.numbers import number
from bench.checks.lab import Lab
from bench.results.check import Check, Deviation
from bench.theory.oracle import choices, layers
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact
from bench.theory.rounding.formats import FLOAT64, Format

if TYPE_CHECKING:
    from bench.nets.parts import Normalization, Passed

FAMILY = "normalization"
Array = npt.NDArray[Any]

#: Shapes of the inputs: a dense layer's and a convolution's. Batch statistics of 12 and of 18 values.
SHAPES: Mapping[str, tuple[int, ...]] = {"dense": (12, 25), "image": (2, 3, 3, 25)}
KINDS = {"batch": "BatchNormalization", "layer": "LayerNormalization"}
#: Variances are epsilon times ten to the power of -DECADES to DECADES.
DECADES = 3.0
STEPS = 5


@dataclass(frozen=True)
class Setting:
    """What a subject says.

    Args:
        kind: ``batch`` or ``layer``.
        inputs: a key of :data:`SHAPES`.
        options: what the layer is told: ``epsilon``, ``momentum``.
        mode: ``eager`` or ``graph``.
    """

    kind: str
    inputs: str
    options: Mapping[str, float]
    mode: str

    @property
    def subject(self) -> str:
        """``norm:batch-inputs:dense-epsilon:0.05-momentum:0.9-mode:graph``: what is not the default."""
        pairs = [f"norm:{self.kind}", f"inputs:{self.inputs}"]
        pairs += [f"{name}:{number(value)}" for name, value in self.options.items()]
        return "-".join([*pairs, *(["mode:graph"] if self.mode == "graph" else [])])

    @property
    def epsilon(self) -> float:
        return self.options.get("epsilon", layers.EPSILON)

    @property
    def momentum(self) -> float:
        return self.options.get("momentum", layers.MOMENTUM)


_OTHER = {"batch": {"epsilon": 0.05, "momentum": 0.9}, "layer": {"epsilon": 0.05}}
SETTINGS: Mapping[str, Setting] = {
    setting.subject: setting
    for setting in (
        Setting(kind, inputs, options, mode)
        for kind in KINDS
        for inputs in SHAPES
        for options in ({}, _OTHER[kind])
        for mode in ("eager", "graph")
    )
}


def checks(tier: str) -> list[Check]:
    """Every setting in float32 and float64; in ``quick``, graphs only with Keras' defaults."""
    return [
        Check(family=FAMILY, subject=subject, precision=precision)
        for precision in ("float32", "float64")
        for subject, setting in SETTINGS.items()
        if tier != "quick" or setting.mode == "eager" or not setting.options
    ]


@dataclass(frozen=True)
class Inputs:
    """What a layer is given: float64 values that the format holds."""

    batches: Array
    """Shape (STEPS, *inputs)."""
    upstream: Array
    variables: Mapping[str, Array]


def inputs(setting: Setting, form: Format, seed: int) -> Inputs:
    """Draws what a layer is given; the subject does not matter, so all modes get the same."""
    bits = initial_values.stream(seed, f"normalization {setting.kind} {setting.inputs}")
    shape = SHAPES[setting.inputs]
    units = shape[-1]
    # Batch statistics are per feature, layer statistics per place.
    groups = (units,) if setting.kind == "batch" else (*shape[:-1], 1)
    count = math.prod(groups)

    def even(low: float, high: float, *size: int) -> Array:
        return low + (high - low) * initial_values.uniform(bits, math.prod(size)).reshape(size)

    def spread() -> Array:
        powers = np.linspace(-DECADES, DECADES, count)[
            np.argsort(initial_values.uniform(bits, count))
        ]
        return setting.epsilon * 10.0**powers

    std = np.sqrt(spread()).reshape(groups)
    centre = std * even(-2.0, 2.0, *groups)
    noise = initial_values.standard_normal(bits, STEPS * math.prod(shape)).reshape(STEPS, *shape)
    variables = {"gamma": even(0.5, 1.5, units), "beta": even(-0.2, 0.2, units)}
    if setting.kind == "batch":
        variance = spread()
        variables["moving_mean"] = np.sqrt(variance) * even(-1.0, 1.0, units)
        variables["moving_variance"] = variance
    upstream = initial_values.standard_normal(bits, math.prod(shape)).reshape(shape)
    return Inputs(
        batches=_held(centre + std * noise, form),
        upstream=_held(upstream, form),
        variables={name: _held(value, form) for name, value in variables.items()},
    )


def _held(values: Array, form: Format) -> Array:
    return values.astype(form.name).astype(np.float64)


def run(check: Check, lab: Lab) -> Iterator[Deviation]:
    """A fresh layer's variables, one training step, several more, and inference."""
    from bench.nets import parts
    from bench.nets.keras_version import keras_generation

    setting = SETTINGS[check.subject]
    form = lab.form(check.precision)
    given = inputs(setting, form, check.seed)
    shape = SHAPES[setting.inputs]

    def layer(variables: Mapping[str, Array]) -> Normalization:
        return parts.Normalization(
            KINDS[setting.kind],
            shape,
            dtype=check.precision,
            variables=variables,
            options=setting.options,
        )

    yield from _fresh(layer({}).variables(), given, lab)
    made = layer(given.variables)
    truth = Moving(setting, given, generation=keras_generation(), form=form)
    upstream = given.upstream.astype(check.precision)
    for step, batch in enumerate(given.batches):
        x = batch.astype(check.precision)
        passed = made(x, upstream, training=True, mode=setting.mode)
        if step == 0:
            expected = trained(setting, given, batch, form)
            yield from _compared("training", passed, expected, lab)
        if setting.kind == "batch":
            truth.step(batch)
            if step in (0, STEPS - 1):
                for name, value in truth.values.items():
                    found = lab.seen(passed.moving[name])
                    yield deviation(f"moving {name} after step {step + 1}", found, value)
    if setting.kind == "batch":
        before = made.variables()
        passed = made(x, upstream, training=False, mode=setting.mode)
        yield from _compared("inference", passed, inferred(setting, given, before, form), lab)
        for name in ("mean", "variance"):
            kept = passed.moving[name]
            yield exact(f"moving {name} after inference", kept, before[f"moving_{name}"])


def _fresh(variables: Mapping[str, Array], given: Inputs, lab: Lab) -> Iterator[Deviation]:
    """Gamma and the moving variance start from 1, beta and the moving mean from 0."""
    for name, value in given.variables.items():
        start = 1.0 if name in ("gamma", "moving_variance") else 0.0
        yield exact(f"first {name}", lab.seen(variables[name]), np.full(value.shape, start))


def _compared(
    when: str, passed: Passed, expected: Mapping[str, Bounded], lab: Lab
) -> Iterator[Deviation]:
    found = {"outputs": passed.outputs, "input gradient": passed.inputs_gradient}
    found.update({f"{name} gradient": value for name, value in passed.gradients.items()})
    for name, value in expected.items():
        yield deviation(f"{when}, {name}", lab.seen(found[name]), value)


# --- The truth


def trained(setting: Setting, given: Inputs, batch: Array, form: Format) -> Mapping[str, Bounded]:
    """Outputs and gradients of a pass that takes its statistics from the inputs."""
    x, upstream = Bounded(batch, form=form), Bounded(given.upstream, form=form)
    gamma, beta = (Bounded(given.variables[name], form=form) for name in ("gamma", "beta"))
    options: dict[str, Any] = {"epsilon": setting.epsilon}
    if setting.kind == "batch":
        outputs = layers.batch_norm(x, gamma, beta, **options)[0]
        gradients = layers.batch_norm_backward(x, gamma, upstream, **options)
    else:
        outputs = layers.layer_norm(x, gamma, beta, **options)
        gradients = layers.layer_norm_backward(x, gamma, upstream, **options)
    return _named(outputs, gradients)


def inferred(
    setting: Setting, given: Inputs, variables: Mapping[str, Array], form: Format
) -> Mapping[str, Bounded]:
    """Outputs and gradients of the last batch with the moving statistics as they stand."""
    x, upstream = Bounded(given.batches[-1], form=form), Bounded(given.upstream, form=form)
    gamma, beta = (Bounded(given.variables[name], form=form) for name in ("gamma", "beta"))
    mean = Bounded(variables["moving_mean"], form=form)
    variance = Bounded(variables["moving_variance"], form=form)
    outputs = layers.batch_norm_inference(x, gamma, beta, mean, variance, epsilon=setting.epsilon)
    inverse = 1.0 / np.sqrt(variance + setting.epsilon)
    axes = tuple(range(x.ndim - 1))
    total = upstream.sum(axis=axes)
    # Differentiated from x s + (beta - mean s): it rounds worse than a sum of upstream (x - mean).
    scale_gradient = (upstream * x).sum(axis=axes) - total * mean
    return _named(outputs, (upstream * (inverse * gamma), scale_gradient * inverse, total))


def _named(outputs: Any, gradients: tuple[Any, Any, Any]) -> dict[str, Bounded]:
    names = ("input gradient", "gamma gradient", "beta gradient")
    return {"outputs": outputs, **dict(zip(names, gradients, strict=True))}


class Moving:
    """Moving mean and variance of batch normalization, step by step.

    Args:
        setting: whose momentum counts.
        given: where the statistics start from.
        generation: of Keras, 2 or 3: see the head of this module.
        form: the format.
    """

    def __init__(self, setting: Setting, given: Inputs, *, generation: int, form: Format) -> None:
        double = form is FLOAT64
        self._fused = generation == 2 and setting.inputs == "image" and not double
        self._weight = 1.0 - setting.momentum
        if generation == 2 and double:
            self._weight = float(np.float32(self._weight))
        self._form = form
        self.values: dict[str, Bounded] = {}
        if setting.kind == "batch":
            for name in ("mean", "variance"):
                self.values[name] = Bounded(given.variables[f"moving_{name}"], form=form)

    def step(self, batch: Array) -> None:
        """Takes in a batch."""
        mean, variance = layers.batch_moments(Bounded(batch, form=self._form))
        if self._fused:
            variance = variance * layers.bessel(batch.size // batch.shape[-1])
        for name, value in (("mean", mean), ("variance", variance)):
            self.values[name] = self._moved(self.values[name], value)

    def _moved(self, old: Bounded, value: Bounded) -> Bounded:
        """Keras 3 computes old m + value (1 - m), Keras 2 old - (old - value) (1 - m)."""
        one = layers.moving(old, value, momentum=1.0 - self._weight)
        other = old - (old - value) * self._weight
        either: Bounded = choices.either(one, other)
        return either
