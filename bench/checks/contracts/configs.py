"""Configurations: what is made of an object's ``get_config`` computes what the object computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from bench.checks.contracts import formulas
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.layered import furnished
from bench.checks.contracts.linear import drawn
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation
from bench.theory.rounding.deviation import exact

catalogue = Catalogue("configs")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

TRUTH = "An object made of another's get_config computes the same, bit for bit."


def _again(thing: Any) -> Any:
    return type(thing).from_config(thing.get_config())


# --- Losses

#: Arguments that are not the default, and whether targets are numbers of classes.
LOSSES: Mapping[str, tuple[Mapping[str, Any], bool]] = {
    "Huber": ({"delta": 0.25}, False),
    "CosineSimilarity": ({"axis": 0}, False),
    "BinaryCrossentropy": ({"from_logits": True, "label_smoothing": 0.25, "axis": 0}, False),
    "BinaryFocalCrossentropy": (
        {"apply_class_balancing": True, "alpha": 0.75, "gamma": 1.0, "from_logits": True},
        False,
    ),
    "CategoricalCrossentropy": ({"from_logits": True, "label_smoothing": 0.25}, False),
    "CategoricalFocalCrossentropy": ({"alpha": 0.75, "gamma": 1.0, "from_logits": True}, False),
    "SparseCategoricalCrossentropy": ({"from_logits": True, "ignore_class": 1}, True),
    "Tversky": ({"alpha": 0.25, "beta": 0.75}, False),
    "Dice": ({"axis": (1,)}, False),
    "CategoricalGeneralizedCrossEntropy": ({"q": 0.25}, True),
}


def _loss(name: str, arguments: Mapping[str, Any], *, sparse: bool) -> None:
    @contract(f"loss-{name}", thing=f"keras.losses.{name}", truth=TRUTH)
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import keras, tf

        if not hasattr(keras.losses, name):
            raise AbsentError(f"this Keras has no {name}")
        loss = getattr(keras.losses, name)(reduction="sum", **arguments)
        p = tf.constant(formulas.probabilities("predictions", 4, 3))
        one_hot = formulas.one_hot("targets", 4, 3)
        y = tf.constant(one_hot.argmax(-1) if sparse else one_hot)
        yield exact("loss", lab.seen(_again(loss)(y, p)), np.asarray(loss(y, p)))


for _name, (_arguments, _sparse) in LOSSES.items():
    _loss(_name, _arguments, sparse=_sparse)


# --- Metrics

METRICS: Mapping[str, Mapping[str, Any]] = {
    "AUC": {"num_thresholds": 7, "curve": "PR", "summation_method": "minoring"},
    "BinaryAccuracy": {"threshold": 0.75},
    "BinaryCrossentropy": {"from_logits": True, "label_smoothing": 0.25},
    "CategoricalCrossentropy": {"from_logits": True, "label_smoothing": 0.25},
    "F1Score": {"average": "macro", "threshold": 0.75},
    "FBetaScore": {"average": "micro", "threshold": 0.25, "beta": 2.0},
    "Precision": {"thresholds": 0.25, "class_id": 1},
    "PrecisionAtRecall": {"recall": 0.75, "num_thresholds": 7},
    "Recall": {"thresholds": 0.75, "class_id": 2},
    "TopKCategoricalAccuracy": {"k": 2},
}


@contract("metrics", thing="keras.metrics.Metric", truth=TRUTH)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    y = formulas.one_hot("targets", 9, 3)
    p = formulas.probabilities("predictions", 9, 3)
    for name, arguments in METRICS.items():
        if not hasattr(keras.metrics, name):  # F-scores came with 2.13
            continue
        metric = getattr(keras.metrics, name)(**arguments)
        other = _again(metric)
        for each in (metric, other):
            each.update_state(y, p)
        yield exact(name, lab.seen(other.result()), np.asarray(metric.result()))


@contract("metric-CosineSimilarity", thing="keras.metrics.CosineSimilarity", truth=TRUTH)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    metric = keras.metrics.CosineSimilarity(axis=0)
    other = _again(metric)
    for each in (metric, other):
        each.update_state(formulas.real("targets", 9, 3), formulas.real("predictions", 9, 3))
    yield exact("CosineSimilarity", lab.seen(other.result()), np.asarray(metric.result()))


# --- Layers


_Layers = dict[str, tuple[Callable[[], Any], tuple[int, ...]]]


def _layers() -> _Layers:
    """A layer with arguments that are not the default, and the shape of an input."""
    from bench.nets.api import keras

    layers = keras.layers
    return {
        **_with_kernels(keras),
        **_normalizations(layers),
        **_recurrent(layers),
        **_without_weights(layers),
    }


def _with_kernels(keras: Any) -> _Layers:
    layers, l2 = keras.layers, keras.regularizers.L2(0.25)
    return {
        "Dense": (
            lambda: layers.Dense(
                *(3, "tanh"),
                kernel_regularizer=l2,
                activity_regularizer=keras.regularizers.L1(0.5),
                bias_initializer=keras.initializers.Constant(0.25),
            ),
            (4, 5),
        ),
        "EinsumDense": (
            lambda: layers.EinsumDense("abc,cd->abd", (None, 2), bias_axes="d"),
            (2, 3, 4),
        ),
        "Conv1D": (lambda: layers.Conv1D(3, 2, padding="causal", dilation_rate=2), (2, 6, 2)),
        "Conv2D": (
            lambda: layers.Conv2D(4, (2, 3), strides=(2, 1), padding="same", groups=2),
            (1, 6, 6, 2),
        ),
        "DepthwiseConv2D": (
            lambda: layers.DepthwiseConv2D(2, depth_multiplier=2, padding="same"),
            (1, 4, 4, 2),
        ),
        "SeparableConv2D": (
            lambda: layers.SeparableConv2D(3, 2, depth_multiplier=2, use_bias=False),
            (1, 4, 4, 2),
        ),
        "Conv2DTranspose": (
            lambda: layers.Conv2DTranspose(3, 3, strides=2, padding="same"),
            (1, 3, 3, 2),
        ),
    }


def _normalizations(layers: Any) -> _Layers:
    return {
        "BatchNormalization": (
            lambda: layers.BatchNormalization(axis=1, momentum=0.5, epsilon=0.25, center=False),
            (3, 2, 4),
        ),
        "LayerNormalization": (
            lambda: layers.LayerNormalization(axis=[1, 2], epsilon=0.25, scale=False),
            (3, 2, 4),
        ),
        "GroupNormalization": (
            lambda: layers.GroupNormalization(2, epsilon=0.25, scale=False),
            (3, 5, 4),
        ),
        "UnitNormalization": (lambda: layers.UnitNormalization(axis=1), (3, 2, 4)),
    }


def _recurrent(layers: Any) -> _Layers:
    return {
        "LSTM": (
            lambda: layers.LSTM(
                *(3, "relu"),
                return_sequences=True,
                go_backwards=True,
                unit_forget_bias=False,
            ),
            (2, 4, 3),
        ),
        "GRU": (lambda: layers.GRU(3, reset_after=False, use_bias=False), (2, 4, 3)),
        "Bidirectional": (
            lambda: layers.Bidirectional(layers.SimpleRNN(3), merge_mode="sum"),
            (2, 4, 3),
        ),
    }


def _without_weights(layers: Any) -> _Layers:
    return {
        "LeakyReLU": (lambda: layers.LeakyReLU(0.75), (3, 4)),
        "ELU": (lambda: layers.ELU(0.25), (3, 4)),
        "Softmax": (lambda: layers.Softmax(axis=1), (3, 4, 2)),
        "Activation": (lambda: layers.Activation("softplus"), (3, 4)),
        "Rescaling": (lambda: layers.Rescaling(0.25, offset=0.5), (3, 4)),
        "ZeroPadding2D": (lambda: layers.ZeroPadding2D(((1, 0), (2, 1))), (1, 2, 2, 1)),
        "UpSampling2D": (
            lambda: layers.UpSampling2D((2, 3), interpolation="bilinear"),
            (1, 3, 3, 2),
        ),
    }


@contract("layers", thing="keras.layers.Layer", truth=TRUTH)
def _(lab: Lab) -> Iterator[Deviation]:
    for name, (made, shape) in _layers().items():
        layer = made()
        x = drawn(f"input {name}", *shape)
        first, _ = furnished(layer, f"config {name}", [x])
        other = _again(layer)
        other(x)
        other.set_weights(layer.get_weights())
        yield exact(name, lab.seen(other(x)), np.asarray(first))
        sums = [float(sum(np.asarray(loss) for loss in each.losses)) for each in (other, layer)]
        yield exact(f"{name}, losses", np.array(sums[0]), np.array(sums[1]))


# --- What trains


def _optimizers() -> dict[str, Any]:
    from bench.nets.api import keras

    optimizers = keras.optimizers
    return {
        "SGD": optimizers.SGD(0.25, momentum=0.5, nesterov=True, clipnorm=0.25),
        "Adam": optimizers.Adam(0.25, beta_1=0.5, beta_2=0.75, epsilon=0.25, amsgrad=True),
        "AdamW": optimizers.AdamW(0.25, weight_decay=0.5, clipvalue=0.25),
        "RMSprop": optimizers.RMSprop(0.25, rho=0.5, momentum=0.5, centered=True),
        "Adagrad": optimizers.Adagrad(0.25, initial_accumulator_value=0.5),
        "Adadelta": optimizers.Adadelta(0.25, rho=0.5, global_clipnorm=0.25),
        "Adamax": optimizers.Adamax(0.25, beta_1=0.5),
        "Nadam": optimizers.Nadam(0.25, beta_2=0.75),
        "Ftrl": optimizers.Ftrl(0.25, l1_regularization_strength=0.125, beta=0.5),
        "schedule": optimizers.SGD(
            optimizers.schedules.ExponentialDecay(0.25, 1, 0.5, staircase=True)
        ),
    }


@contract("optimizers", thing="keras.optimizers.Optimizer", truth=TRUTH)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    for name, optimizer in _optimizers().items():
        moved = []
        for each in (optimizer, _again(optimizer)):
            variable = tf.Variable(drawn("weight", 3, 4))
            for step in range(2):
                gradient = tf.constant(drawn(f"gradient {step}", 3, 4))
                each.apply_gradients([(gradient, variable)])
            moved.append(np.asarray(variable))
        yield exact(name, lab.seen(moved[1]), moved[0])


@contract("schedules", thing="keras.optimizers.schedules.LearningRateSchedule", truth=TRUTH)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    kinds = keras.optimizers.schedules
    for schedule in (
        kinds.ExponentialDecay(0.25, 3, 0.5, staircase=True),
        kinds.PiecewiseConstantDecay([2, 5], [0.5, 0.25, 0.125]),
        kinds.PolynomialDecay(0.5, 4, 0.125, power=2.0, cycle=True),
        kinds.InverseTimeDecay(0.5, 3, 0.5, staircase=True),
        kinds.CosineDecay(0.5, 6, alpha=0.25),
        kinds.CosineDecayRestarts(0.5, 3, t_mul=1.0, m_mul=0.5, alpha=0.25),
    ):
        rates = [[float(each(step)) for step in range(9)] for each in (schedule, _again(schedule))]
        yield exact(type(schedule).__name__, lab.seen(np.array(rates[1])), np.array(rates[0]))


@contract(
    "regularizers-constraints-initializers",
    thing="keras.regularizers.Regularizer",
    truth=TRUTH,
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    x = tf.constant(drawn("weight", 3, 4))
    for each in (
        keras.regularizers.L1(0.5),
        keras.regularizers.L2(0.5),
        keras.regularizers.L1L2(0.5, 0.25),
        keras.regularizers.OrthogonalRegularizer(0.5, mode="columns"),
        keras.constraints.MaxNorm(0.5, axis=1),
        keras.constraints.UnitNorm(axis=1),
        keras.constraints.MinMaxNorm(0.5, 0.75, rate=0.5, axis=1),
    ):
        yield exact(type(each).__name__, lab.seen(_again(each)(x)), np.asarray(each(x)))
    for each in (
        keras.initializers.Constant(0.75),
        keras.initializers.RandomNormal(1.0, 0.5, seed=3),
        keras.initializers.VarianceScaling(3.0, "fan_avg", "uniform", seed=3),
        keras.initializers.Orthogonal(0.5, seed=3),
    ):
        yield exact(type(each).__name__, lab.seen(_again(each)((3, 4))), np.asarray(each((3, 4))))


@contract("initializer-Identity", thing="keras.initializers.Identity", truth=TRUTH)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    identity = keras.initializers.Identity(0.5)
    yield exact("Identity", lab.seen(_again(identity)((3, 3))), np.asarray(identity((3, 3))))


@contract(
    "regularizer-numbers",
    thing="keras.regularizers.L1L2",
    truth="A configuration tells the factors as they were given.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    regularizers = keras.regularizers
    for each, wanted in (
        (regularizers.L1(1e-3), {"l1": 1e-3}),
        (regularizers.L2(1e-3), {"l2": 1e-3}),
        (regularizers.L1L2(1e-3, 0.1), {"l1": 1e-3, "l2": 0.1}),
        (regularizers.OrthogonalRegularizer(1e-3), {"factor": 1e-3}),
    ):
        told = each.get_config()
        for name, number in wanted.items():
            got = lab.seen(np.array(told[name], np.float64))
            yield exact(f"{type(each).__name__}, {name}", got, np.array(number))
