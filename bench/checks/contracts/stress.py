"""Stress: normalization of inputs whose mean is many times their standard deviation.

A variance computed as E[x^2] - E[x]^2 loses (mean / deviation)^2 roundoffs of itself, and a gradient
that takes the mean for a constant is wrong at any mean. Truths here are bounded for stable algorithms
only: means of n values are off by up to n roundoffs of them, variances by n roundoffs of themselves and
the square of the mean's error (two passes: Chan, Golub and LeVeque 1983), and outputs as (x - mean) s +
beta, whose error grows with the mean, not with its square.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.oracle import passed
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation
from bench.theory.oracle.layers import EPSILON, bessel
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation
from bench.theory.rounding.formats import FLOAT32, sum_growth

catalogue = Catalogue("stress")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

Array = npt.NDArray[Any]
U = FLOAT32.roundoff

#: Means of the inputs, in standard deviations.
RATIOS = (0, 10, 100, 1000)


@dataclass(frozen=True)
class Normalized:
    """What a normalization makes of its inputs, with gamma 1 and beta 0.

    Args:
        x: float32.
        axes: over which mean and variance are taken.
        running: whether the variance may be updated value by value (Welford), as cuDNN does: its error
            is proportional to mean times deviation.
    """

    x: Array
    axes: tuple[int, ...]
    running: bool = False

    def _mean(self, values: Array) -> Array:
        return values.mean(self.axes, keepdims=True)

    @property
    def count(self) -> int:
        return int(np.prod([self.x.shape[axis] for axis in self.axes]))

    @property
    def mean(self) -> Bounded:
        x = self.x.astype(np.float64)
        return Bounded(self._mean(x), (sum_growth(self.count) + 2.0) * U * self._mean(np.abs(x)))

    @property
    def variance(self) -> Bounded:
        """Without Bessel's correction."""
        mean, growth = self.mean, sum_growth(self.count)
        variance = self._mean(np.square(self.x - mean.value))
        error = (growth + 4.0) * U * variance + np.square(mean.error)
        if self.running:
            error = error + growth * U * np.sqrt(variance * (variance + np.square(mean.value)))
        return Bounded(variance, error)

    @property
    def scale(self) -> Bounded:
        """1 / standard deviation."""
        return 1.0 / np.sqrt(self.variance + EPSILON)

    @property
    def output(self) -> Bounded:
        """The products x s and mean s, and their sums over the batch in the gradient of s, are each
        rounded by themselves."""
        scale = self.scale
        centred = self.x - self.mean.value
        sizes = (np.abs(self.x) + np.abs(self.mean.value)) * scale.value
        error = np.abs(centred) * scale.error + (2.0 * sum_growth(self.count) + 4.0) * U * sizes
        return Bounded(centred * scale.value, error)

    @property
    def spread(self) -> Bounded:
        """Standard deviation of the outputs: what is off alike in all of them drops out, so that it
        shows an error of s that is small against that of the outputs."""
        deviations = np.sqrt(self._mean(np.square(self.x - self.mean.value)))
        each = 2.0 * U * np.sqrt(self._mean(np.square(self.x))) * self.scale.value + 2.0 * U
        return Bounded(deviations * self.scale.value, deviations * self.scale.error + each)

    def spread_of(self, output: Array) -> Array:
        """The same of computed outputs."""
        return np.asarray(output, np.float64).std(self.axes, keepdims=True)

    def gradient(self, upstream: Array) -> Bounded:
        """The gradient with respect to x: s (g - mean g - y mean(g y)), with g that of the output y."""
        y, g = self.output, Bounded(upstream)
        centred = g - g.mean(self.axes, keepdims=True)
        return self.scale * (centred - y * (y * g).mean(self.axes, keepdims=True))

    def parameter_gradients(
        self, upstream: Array, axes: tuple[int, ...]
    ) -> tuple[Bounded, Bounded]:
        """Gradients with respect to gamma and beta, which are alike over ``axes``."""
        return (self.output * upstream).sum(axes), Bounded(upstream).sum(axes)


@dataclass(frozen=True)
class Kind:
    """A layer, the shape of its inputs, and over which axes it takes its statistics."""

    layer: str
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    alike: tuple[int, ...] = (0,)
    """Over these, gamma and beta are alike."""
    groups: int = 1
    """The last axis is cut into so many, and statistics are of each."""


KINDS: Mapping[str, Kind] = {
    "batch-inputs:dense": Kind("BatchNormalization", (16, 24), (0,)),
    "batch-inputs:image": Kind("BatchNormalization", (2, 3, 4, 24), (0, 1, 2), alike=(0, 1, 2)),
    "layer-inputs:dense": Kind("LayerNormalization", (24, 16), (1,)),
    "layer-inputs:image": Kind("LayerNormalization", (6, 3, 3, 4), (1, 2, 3), {"axis": [1, 2, 3]}),
    "group-inputs:image": Kind(
        "GroupNormalization",
        (3, 2, 3, 12),
        (1, 2, 4),
        {"groups": 3},
        alike=(0, 1, 2),
        groups=3,
    ),
}


def made(kind: Kind) -> Any:
    """A fresh layer: gamma 1, beta 0, moving mean 0 and variance 1."""
    from bench.nets.api import keras

    if not hasattr(keras.layers, kind.layer):
        raise AbsentError(f"this Keras has no {kind.layer}")
    halving = {"momentum": 0.5} if kind.layer == "BatchNormalization" else {}
    return getattr(keras.layers, kind.layer)(**kind.options, **halving)


def inputs(kind: Kind, ratio: int) -> Array:
    """Normal numbers of standard deviation 1 and a mean of ``ratio``."""
    return (ratio + drawn(f"stress {ratio}", *kind.shape)).astype(np.float32)


def truth(kind: Kind, x: Array, lab: Lab) -> Normalized:
    """The normalized input, with the groups as an axis of their own."""
    cut = x if kind.groups == 1 else x.reshape(*x.shape[:-1], kind.groups, -1)
    return Normalized(cut, kind.axes, running=lab.device == "gpu")


def _contracts(name: str, kind: Kind) -> None:
    thing = f"keras.layers.{kind.layer}"
    statistics = "the batch's" if kind.layer == "BatchNormalization" else "each sample's"

    @contract(
        f"{name}-outputs",
        thing=thing,
        truth=f"Outputs have {statistics} mean 0 and its variance over variance + epsilon, also where"
        " inputs have a mean of up to 1000 standard deviations.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        for ratio in RATIOS:
            x = inputs(kind, ratio)
            expected = truth(kind, x, lab)
            layer = made(kind)
            got = lab.seen(layer(x, training=True)).reshape(expected.x.shape)
            where = f", mean {ratio}"
            yield deviation(f"outputs{where}", got, expected.output)
            yield deviation(f"spread of outputs{where}", expected.spread_of(got), expected.spread)

    @contract(
        f"{name}-gradients",
        thing=thing,
        truth=f"Gradients pass through {statistics} mean and variance, also where inputs have a mean of"
        " up to 1000 standard deviations.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        upstream = drawn("stress upstream", *kind.shape)
        for ratio in RATIOS:
            x = inputs(kind, ratio)
            expected = truth(kind, x, lab)
            g = upstream.reshape(expected.x.shape)
            _, (to_x,), to_parameters = passed(made(kind), [x], upstream, training=True)
            where = f", mean {ratio}"
            got = lab.seen(to_x).reshape(expected.x.shape)
            yield deviation(f"gradient of inputs{where}", got, expected.gradient(g))
            truths = expected.parameter_gradients(g, kind.alike)
            for which, gradient, wanted in zip(
                ("gamma", "beta"), to_parameters, truths, strict=True
            ):
                found = lab.seen(gradient).reshape(wanted.shape)
                yield deviation(f"gradient of {which}{where}", found, wanted)


for _name, _kind in KINDS.items():
    _contracts(_name, _kind)


# --- Moving statistics, and inference with them


def _moving(name: str) -> None:
    kind = KINDS[name]

    @contract(
        f"{name}-moving",
        thing="keras.layers.BatchNormalization",
        truth="The moving statistics take 1 - momentum of the batch's own, with no digit lost to a mean"
        " of up to 1000 standard deviations; inference uses them.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import KERAS_MAJOR

        for ratio in RATIOS:
            x = inputs(kind, ratio)
            expected = truth(kind, x, lab)
            layer = made(kind)
            layer(x, training=True)
            fused = KERAS_MAJOR == 2 and len(kind.shape) == 4
            mean, variance = halfway(expected, bessel(expected.count) if fused else 1.0)
            where = f", mean {ratio}"
            found = lab.seen(layer.moving_mean), lab.seen(layer.moving_variance)
            yield deviation(f"moving mean{where}", found[0], mean)
            yield deviation(f"moving variance{where}", found[1], variance)
            got = lab.seen(layer(x, training=False))
            yield deviation(f"inference{where}", got, inferred(x, *found))


def halfway(expected: Normalized, factor: float) -> tuple[Bounded, Bounded]:
    """Moving mean and variance after a step from 0 and 1 with momentum .5, a power of two: only the
    difference from the old value and the sum are rounded.

    Args:
        expected: of the batch.
        factor: by which the kernel multiplies the batch's variance.
    """
    mean, variance = expected.mean.reshape(-1), expected.variance.reshape(-1) * factor
    return 0.5 * mean, 1.0 + 0.5 * (variance - 1.0)


def inferred(x: Array, mean: Array, variance: Array) -> Bounded:
    """Outputs with given statistics; x s and mean s are rounded by themselves."""
    scale = 1.0 / np.sqrt(Bounded(variance) + EPSILON)
    centred = x.astype(np.float64) - mean
    error = np.abs(centred) * scale.error
    return Bounded(
        centred * scale.value,
        error + 4.0 * U * (np.abs(x) + np.abs(mean)) * scale.value,
    )


for _name in ("batch-inputs:dense", "batch-inputs:image"):
    _moving(_name)


# --- Batches so small that n / (n - 1) shows


def _small(keras: int, factor: float, truth_: str) -> None:
    @contract(
        f"batch-images:4-moving_variance:keras{keras}",
        thing="keras.layers.BatchNormalization",
        truth=truth_,
        keras=(keras,),
        counterpart=f"batch-images:4-moving_variance:keras{5 - keras}",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        kind = Kind("BatchNormalization", (1, 2, 2, 24), (0, 1, 2))
        x = inputs(kind, 0)
        expected = truth(kind, x, lab)
        layer = made(kind)
        got = lab.seen(layer(x, training=True))
        yield deviation("outputs", got, expected.output)
        _, variance = halfway(expected, factor)
        yield deviation("moving variance", lab.seen(layer.moving_variance), variance)
        rows = x.reshape(4, 24)
        layer = made(kind)
        layer(rows, training=True)
        _, variance = halfway(Normalized(rows, (0,)), 1.0)
        yield deviation("moving variance of rows", lab.seen(layer.moving_variance), variance)


_small(
    *(3, 1.0),
    "The moving variance takes 1 - momentum of the batch's variance, sum / n, of images as of rows.",
)
_small(
    *(2, 4.0 / 3.0),
    "The moving variance takes 1 - momentum of sum / (n - 1) of images, which go through the fused"
    " kernel, and of sum / n of rows.",
)
