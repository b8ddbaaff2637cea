"""Seeds: initializers with their fans, the global seed, dropout and noise."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import drawn
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

Array = npt.NDArray[Any]

catalogue = Catalogue("seeds")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

TRUE = np.ones((), bool)

# --- Initializers

#: 0, which is a seed and not the lack of one, and large ones: of 31 bits and of 32. Keras 3 takes seeds
#: modulo 2^31 - 2, so that 2^31 - 1 stands for 1.
SEEDS = (0, 1, 2**31 - 5, 2**32 - 1)
RANDOM = (
    *(
        "RandomNormal",
        "RandomUniform",
        "TruncatedNormal",
        "VarianceScaling",
        "GlorotNormal",
        "GlorotUniform",
    ),
    *("HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "Orthogonal"),
)
#: Numbers that are compared: two that are drawn are the same in 2^-23 of cases at most.
_SHAPE = (6, 4)


def _differ(one: Array, other: Array) -> Array:
    """Whether two draws have hardly a number in common."""
    return np.array(np.mean(one == other) < 0.25)


def _seeded(name: str) -> None:
    @contract(
        f"seed-{name}",
        thing=f"keras.initializers.{name}",
        truth="A seed, 0 too, gives the same numbers each time; other seeds and none give others.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import keras

        make = getattr(keras.initializers, name)
        by_seed = {}
        for seed in SEEDS:
            initializer = make(seed=seed)
            first = by_seed[seed] = lab.seen(initializer(_SHAPE))
            yield exact(f"seed {seed}, another initializer", make(seed=seed)(_SHAPE), first)
            yield exact(f"seed {seed}, called again", initializer(_SHAPE), first)
            copy = make.from_config(initializer.get_config())
            yield exact(f"seed {seed}, from its config", copy(_SHAPE), first)
        for one, other in itertools.combinations(SEEDS, 2):
            yield exact(f"seeds {one} and {other}", _differ(by_seed[one], by_seed[other]), TRUE)
        keras.utils.set_random_seed(3)
        drawn_ = [np.asarray(make()(_SHAPE)) for _ in range(2)]
        yield exact("two without seeds differ", _differ(*drawn_), TRUE)


for _name in RANDOM:
    _seeded(_name)


@contract(
    "distribution",
    thing="keras.initializers.Initializer",
    truth="Numbers have the documented mean, standard deviation and range.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    of, number = keras.initializers, 40_000
    # A normal distribution cut off at 2 standard deviations has .8796 of its deviation.
    for name, initializer, mean, deviates, low, high in (
        ("uniform", of.RandomUniform(-1.0, 3.0, seed=1), 1.0, 4 / 12**0.5, -1.0, 3.0),
        ("normal", of.RandomNormal(2.0, 0.5, seed=1), 2.0, 0.5, -1.5, 5.5),
        ("truncated", of.TruncatedNormal(2.0, 0.5, seed=1), 2.0, 0.5 * 0.8796, 1.0, 3.0),
    ):
        values = lab.seen(initializer((number,))).astype(np.float64)
        # 7 standard errors; that of a deviation is the largest for the normal distribution.
        bound = 7 * deviates / number**0.5
        yield deviation(f"{name}, mean", values.mean(), Bounded(mean, bound))
        yield deviation(f"{name}, deviation", values.std(), Bounded(deviates, bound))
        inside = (values >= low) & (values <= high)
        yield exact(f"{name}, inside its range", np.array(inside.all()), TRUE)


@contract(
    "fixed",
    thing="keras.initializers.Initializer",
    truth="Zeros, Ones, Constant and Identity are what they say; Orthogonal's columns are orthonormal.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    of = keras.initializers
    for name, initializer, truth in (
        ("Zeros", of.Zeros(), np.zeros((4, 3))),
        ("Ones", of.Ones(), np.ones((4, 3))),
        ("Constant", of.Constant(2.5), np.full((4, 3), 2.5)),
        ("Identity", of.Identity(gain=0.5), 0.5 * np.eye(4, 3)),
    ):
        yield exact(name, lab.seen(initializer((4, 3))), truth)
    for shape in ((6, 4), (4, 6), (2, 3, 4)):
        q = lab.seen(of.Orthogonal(gain=2.0, seed=1)(shape)).reshape(-1, shape[-1])
        q = (q if q.shape[0] >= q.shape[1] else q.T).astype(np.float64)
        # Householder's QR in float32: columns are orthonormal within a small multiple of m n u
        # (Higham 2002, theorem 19.4), here taken at 4 m n u, times the gain squared.
        bound = 4 * q.shape[0] * q.shape[1] * 2.0**-24 * 4.0
        yield deviation(f"Orthogonal, {shape}", q.T @ q, Bounded(4.0 * np.eye(q.shape[1]), bound))


def _within_limit(kernel: Array, fan: float) -> Deviation:
    """Whether the largest of n uniform numbers of variance 1 / fan is where it must be.

    It is below the share 1 - d of the limit with a chance of (1 - d)^n: 1e-13 for d = 30 / n.
    """
    limit, missed = (3.0 / fan) ** 0.5, 30.0 / kernel.size
    middle = Bounded(limit * (1 - missed / 2), limit * missed / 2 * (1 + 1e-6))
    return deviation("largest weight", np.abs(kernel).max(), middle)


def _fans(
    subject: str,
    thing: str,
    build: Callable[[Any, Any], Mapping[str, tuple[Any, int, int]]],
) -> None:
    """A contract on the fans in and out of the kernels that ``build`` gives, by name."""

    @contract(
        f"fans-{subject}",
        thing=thing,
        truth="Variance scaling divides by the numbers of inputs and outputs that a kernel connects.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import keras

        for mode in ("fan_in", "fan_out", "fan_avg"):
            scaling = keras.initializers.VarianceScaling(mode=mode, distribution="uniform", seed=1)
            for name, (kernel, fan_in, fan_out) in build(keras, scaling).items():
                fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
                one = _within_limit(lab.seen(kernel), fan[mode])
                yield Deviation(tensor=f"{name}, {mode}", excess=one.excess, evidence=one.evidence)


def _built(layer: Any, *shape: int) -> Any:
    layer.build((None, *shape))
    return layer.kernel


_fans(
    "dense",
    "keras.layers.Dense",
    lambda keras, start: {
        "kernel": (_built(keras.layers.Dense(30, kernel_initializer=start), 70), 70, 30)
    },
)
_fans(
    "conv",
    "keras.layers.Conv2D",
    lambda keras, start: {
        "Conv1D": (
            _built(keras.layers.Conv1D(30, 5, kernel_initializer=start), 9, 20),
            5 * 20,
            5 * 30,
        ),
        "Conv2D": (
            _built(keras.layers.Conv2D(30, (3, 2), kernel_initializer=start), 9, 9, 20),
            6 * 20,
            6 * 30,
        ),
        "Conv3D": (
            _built(keras.layers.Conv3D(16, (3, 2, 2), kernel_initializer=start), 9, 9, 9, 10),
            12 * 10,
            12 * 16,
        ),
    },
)
_fans(
    "einsum_dense",
    "keras.layers.EinsumDense",
    lambda keras, start: {
        "ab,bcd->acd": (
            _built(keras.layers.EinsumDense("ab,bcd->acd", (8, 6), kernel_initializer=start), 50),
            50,
            48,
        ),
        "acd,cdb->ab": (
            _built(keras.layers.EinsumDense("acd,cdb->ab", (50,), kernel_initializer=start), 8, 6),
            48,
            50,
        ),
    },
)


def _attention(keras: Any, start: Any) -> dict[str, tuple[Any, int, int]]:
    layer = keras.layers.MultiHeadAttention(8, 6, kernel_initializer=start)
    x = drawn("attention", 1, 2, 50)
    layer(x, x)
    query, key, value, output = (w for w in layer.get_weights() if w.ndim == 3)
    return {
        "query": (query, 50, 48),
        "key": (key, 50, 48),
        "value": (value, 50, 48),
        "output": (output, 48, 50),
    }


_fans("attention", "keras.layers.MultiHeadAttention", _attention)


# --- The global seed


@contract(
    "set_random_seed",
    thing="keras.utils.set_random_seed",
    truth="Setting the seed again gives the same weights, masks and orders; another gives others.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    def draws(seed: int) -> dict[str, Array]:
        keras.utils.set_random_seed(seed)
        dense = [keras.layers.Dense(6) for _ in range(2)]
        for layer in dense:
            layer.build((None, 4))
        dropout = keras.layers.Dropout(0.5)
        x = np.ones((8, 8), np.float32)
        shuffled = tf.data.Dataset.range(64).shuffle(64)
        return {
            "first kernel": dense[0].get_weights()[0],
            "second kernel": dense[1].get_weights()[0],
            "dropout": np.asarray(dropout(x, training=True)),
            "dropout again": np.asarray(dropout(x, training=True)),
            "tf.random": tf.random.normal((8, 8)).numpy(),
            "numpy": np.random.normal(size=(8, 8)),  # noqa: NPY002 - what the seed is for
            "python": np.array([random.random() for _ in range(8)]),  # noqa: S311 - what the seed is for
            "shuffle": np.array([int(value) for value in shuffled]),
        }

    first, again, other = draws(7), draws(7), draws(8)
    for name, values in first.items():
        yield exact(f"{name}, the same seed", lab.seen(again[name]), values)
        yield exact(f"{name}, another seed", np.array((values != other[name]).any()), TRUE)
    for one, two in (("first kernel", "second kernel"), ("dropout", "dropout again")):
        yield exact(f"{one} and {two}", np.array((first[one] != first[two]).any()), TRUE)


# --- Dropout and noise


def mean_of(name: str, values: Array, mean: float, deviates: float) -> Deviation:
    """A mean, which must be within 7 standard errors of the truth."""
    return deviation(name, values.mean(), Bounded(mean, 7 * deviates / values.size**0.5))


@contract(
    "dropout-rate",
    thing="keras.layers.Dropout",
    truth="The rate's share of inputs is 0, others are scaled up by 1 / (1 - rate); none at inference.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    x = np.abs(drawn("dropped", 200, 100)) + np.float32(0.5)
    for rate in (0.0, 0.125, 0.5, 0.9):
        layer = keras.layers.Dropout(rate, seed=1)
        got = lab.seen(layer(tf.constant(x), training=True))
        kept = got != 0
        truth = Bounded(x) * (1.0 / (1.0 - rate))
        # 1 - rate is rounded, and 1 / (1 - rate) again.
        wider = Bounded(truth.value * kept, (truth.error + truth.value * 2.0**-22) * kept)
        yield deviation(f"rate {rate}, scale", got, wider)
        spread = (rate * (1 - rate)) ** 0.5
        yield mean_of(f"rate {rate}, share dropped", ~kept, rate, spread)
        inference = lab.seen(layer(tf.constant(x), training=False))
        yield exact(f"rate {rate}, inference", inference, x)


@contract(
    "dropout-seed",
    thing="keras.layers.Dropout",
    truth="Layers with the same seed drop the same in turn; every call, and every seed, drops others.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    x = tf.ones((16, 16))
    by_seed = {}
    for seed in SEEDS:
        layers = [keras.layers.Dropout(0.5, seed=seed) for _ in range(2)]
        calls = [[np.asarray(layer(x, training=True)) for _ in range(2)] for layer in layers]
        by_seed[seed] = calls[0][0]
        for call in range(2):
            yield exact(f"seed {seed}, call {call}", lab.seen(calls[1][call]), calls[0][call])
        moved = np.array((calls[0][0] != calls[0][1]).any())
        yield exact(f"seed {seed}, calls differ", moved, TRUE)
    for one, other in itertools.combinations(SEEDS, 2):
        yield exact(f"seeds {one}, {other}", np.array((by_seed[one] != by_seed[other]).any()), TRUE)


@contract(
    "dropout-shapes",
    thing="keras.layers.SpatialDropout1D",
    truth="Spatial dropout drops whole channels of a sample; noise_shape shares masks along axes of 1.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    of, seed = keras.layers, 1
    for name, layer, shape, shared in (
        ("SpatialDropout1D", of.SpatialDropout1D(0.5, seed=seed), (16, 5, 16), (1,)),
        ("SpatialDropout2D", of.SpatialDropout2D(0.5, seed=seed), (16, 3, 4, 16), (1, 2)),
        ("SpatialDropout3D", of.SpatialDropout3D(0.5, seed=seed), (16, 2, 3, 2, 16), (1, 2, 3)),
        (
            "noise_shape",
            of.Dropout(0.5, noise_shape=(16, 1, 16), seed=seed),
            (16, 5, 16),
            (1,),
        ),
    ):
        got = lab.seen(layer(tf.ones(shape), training=True))
        first = got.max(shared, keepdims=True)
        yield exact(f"{name}, shared", got, np.broadcast_to(first, shape))
        yield exact(f"{name}, 0 or 2", np.array(np.isin(first, (0, 2)).all()), TRUE)
        yield mean_of(f"{name}, share dropped", first == 0, 0.5, 0.5)


@contract(
    "noise",
    thing="keras.layers.GaussianNoise",
    truth="Noise has the documented mean and standard deviation, and is absent at inference.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    of, shape = keras.layers, (200, 100)
    for name, layer, inputs, mean, deviates in (
        ("GaussianNoise", of.GaussianNoise(0.5, seed=1), 3.0, 3.0, 0.5),
        # Multiplied by noise of mean 1 and deviation sqrt(rate / (1 - rate)).
        ("GaussianDropout", of.GaussianDropout(0.2, seed=1), 3.0, 3.0, 1.5),
    ):
        x = tf.fill(shape, inputs)
        got = lab.seen(layer(x, training=True)).astype(np.float64)
        yield mean_of(f"{name}, mean", got, mean, deviates)
        spread = np.abs(got - mean)
        # Of a normal distribution: E|x| = sqrt(2 / pi), with a deviation of sqrt(1 - 2 / pi).
        yield mean_of(
            f"{name}, mean distance",
            spread,
            deviates * (2 / np.pi) ** 0.5,
            deviates * (1 - 2 / np.pi) ** 0.5,
        )
        yield exact(f"{name}, inference", lab.seen(layer(x, training=False)), x.numpy())


@contract(
    "alpha_dropout",
    thing="keras.layers.AlphaDropout",
    truth="Keeps mean 0 and variance 1 of inputs that have them, and is absent at inference.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    layer = keras.layers.AlphaDropout(0.25, seed=1)
    x = drawn("alpha", 200, 100)
    got = lab.seen(layer(tf.constant(x), training=True)).astype(np.float64)
    # 7 standard errors of the outputs, and as many of the inputs' own mean and variance.
    yield deviation("mean", got.mean(), Bounded(0.0, 14 / got.size**0.5))
    yield deviation("variance", got.var(), Bounded(1.0, 28 / got.size**0.5))
    yield exact("inference", lab.seen(layer(tf.constant(x), training=False)), x)
