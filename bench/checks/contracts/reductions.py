"""Reductions: how losses of samples become one number, with weights, masks and ignored classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks.contracts import formulas
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.formulas import Numbers
from bench.checks.contracts.loss_kinds import (
    BINARY,
    BINARY_LOGITS,
    MSE,
    SHAPES,
    SPARSE,
    SPARSE_LOGITS,
    Kind,
)
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation

Array = npt.NDArray[Any]

catalogue = Catalogue("reductions")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run


def _weighted(losses: Numbers, weights: Array | None) -> Numbers:
    """The losses times weights of their leading axes."""
    if weights is None:
        return losses
    shape = np.shape(weights) + (1,) * (losses.ndim - np.ndim(weights))
    return losses * np.reshape(weights, shape)


def _reduced(reduction: str, losses: Numbers, weights: Array | None) -> Numbers:
    """The losses weighted and taken together."""
    weighted = _weighted(losses, weights)
    if reduction == "none":
        return weighted
    if reduction == "sum":
        return weighted.sum()
    if reduction == "mean_with_sample_weight" and weights is not None:
        return weighted.sum() / Bounded(np.broadcast_to(weights, losses.shape)).sum()
    return weighted.mean()


REDUCTIONS: Mapping[str, str] = {
    "none": "One loss per sample and time step, times its weight.",
    "sum": "The sum of all weighted losses.",
    "sum_over_batch_size": "The sum of all weighted losses over their number, whatever their weights.",
    "mean": "The sum of all weighted losses over their number, whatever their weights.",
    "mean_with_sample_weight": "The sum of all weighted losses over the sum of weights.",
}

#: Powers of two and a zero: products with them are exact.
_WEIGHTS = formulas.float32([0.25, 0.0, 4.0, 1.0, 0.5])


def _reduction(reduction: str, truth: str) -> None:
    @contract(f"reduce-{reduction}", thing="keras.losses.Loss", truth=truth)
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import tf

        for name, kind in (("mse", MSE), ("sparse", SPARSE_LOGITS)):
            loss = _with_reduction(kind, reduction)
            for shape in SHAPES[:2]:
                y, p = kind.drawn(*shape)
                losses = kind.formula(y, Bounded(p))
                for form, weights in _weight_forms(losses.shape, reduction):
                    got = loss(tf.constant(y), tf.constant(p), sample_weight=weights)
                    yield deviation(
                        f"{name}, rank {len(shape)}, weights {form}",
                        lab.seen(got),
                        _reduced(reduction, losses, _fitted(weights, losses.shape)),
                    )


for _name, _truth in REDUCTIONS.items():
    _reduction(_name, _truth)


def _weight_forms(shape: tuple[int, ...], reduction: str) -> Iterator[tuple[str, Any]]:
    """Weights in each of the forms that the documentation allows for losses of a shape."""
    yield "none", None
    if len(shape) == 1:
        yield "by sample", _WEIGHTS
    else:
        yield "by time step", np.resize(_WEIGHTS, shape)
        if reduction != "mean_with_sample_weight":
            yield "by sample, as a column", _WEIGHTS[:, None]


def _fitted(weights: Array | None, shape: tuple[int, ...]) -> Array | None:
    """Weights as many axes as they share with the losses."""
    if weights is None or np.ndim(weights) < len(shape) or np.shape(weights) == shape:
        return weights
    return weights[:, 0]


def _with_reduction(kind: Kind, reduction: str) -> Any:
    """The loss.

    Raises:
        AbsentError: this Keras has no such reduction.
    """
    try:
        return kind.made(reduction=reduction)
    except ValueError as error:
        raise AbsentError(str(error)) from error


@contract(
    "reduce-default",
    thing="keras.losses.Loss",
    truth="Losses, also ones of one's own, are divided by their number if nothing else is asked for.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    class Own(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return tf.reduce_mean(tf.square(y_true - y_pred), -1)

    for shape in SHAPES:
        y, p = MSE.drawn(*shape)
        truth = MSE.formula(y, Bounded(p)).mean()
        for name, loss in (("own", Own()), ("Keras'", keras.losses.MeanSquaredError())):
            got = lab.seen(loss(tf.constant(y), tf.constant(p)))
            yield deviation(f"rank {len(shape)}, {name}", got, truth)


@contract(
    "pairs-of-ranks",
    thing="keras.losses.Loss",
    truth="Targets (n,) and predictions (n, 1) are paired one by one, as are classes (n, 1) and (n,).",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    for name, kind in (("mse", MSE), ("binary", BINARY), ("binary logits", BINARY_LOGITS)):
        y, p = kind.drawn(7, 1)
        got = kind.made(reduction="sum_over_batch_size")(tf.constant(y[:, 0]), tf.constant(p))
        yield deviation(f"{name}, targets (n,)", lab.seen(got), kind.formula(y, Bounded(p)).mean())
    y, p = SPARSE.drawn(7, 3)
    got = SPARSE.made()(tf.constant(y[:, None]), tf.constant(p))
    yield deviation("sparse, targets (n, 1)", lab.seen(got), SPARSE.formula(y, Bounded(p)))


def _masked(reduction: str, truth: str) -> None:
    @contract(f"mask-{reduction}", thing="keras.layers.Masking", truth=truth)
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import keras, tf

        loss = _with_reduction(MSE, reduction)
        y, p = MSE.drawn(5, 4, 3)
        kept = np.arange(20).reshape(5, 4) % 3 != 1
        predictions = (p * kept[..., None]).astype(np.float32)
        losses = MSE.formula(y, Bounded(predictions)) * kept
        for form, weights in (("none", None), ("by time step", np.resize(_WEIGHTS, (5, 4)))):
            got = loss(tf.constant(y), keras.layers.Masking()(tf.constant(predictions)), weights)
            expected = _weighted(losses, weights)
            if reduction != "none":
                expected = expected.sum()
            if reduction == "sum_over_batch_size":
                # Masks become weights of total / kept, rounded, before the mean over all.
                expected = expected * (20.0 / kept.sum()) / 20.0
            yield deviation(f"weights {form}", lab.seen(got), expected)


_masked("none", "The loss of a masked time step is 0.")
_masked("sum", "Masked time steps do not count.")
_masked(
    "sum_over_batch_size",
    "Masked time steps count neither in the sum nor in the number.",
)


@contract(
    "sample_weight-sequences",
    thing="keras.Model.evaluate",
    truth="A flat array weights samples, also those that are sequences.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    y, p = MSE.drawn(5, 4, 3)
    inputs = keras.Input((4, 3))
    model = keras.Model(inputs, keras.layers.Activation("linear")(inputs))
    model.compile("sgd", "mse", run_eagerly=True)
    truth = _weighted(MSE.formula(y, Bounded(p)), _WEIGHTS).mean()
    try:
        got = model.evaluate(p, y, sample_weight=_WEIGHTS, batch_size=5, verbose=0)
    except Exception as error:
        evidence = f"raised {type(error).__name__}: {error}"[:200]
        yield Deviation(tensor="loss", excess=None, evidence=evidence)
    else:
        yield deviation("loss", lab.seen(got), truth)


@contract(
    "ignore_class",
    thing="keras.losses.SparseCategoricalCrossentropy",
    truth="Samples of the ignored class lose 0, and do not count in the number of samples.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    for name, kind, ignored in (
        ("probabilities, 1 ignored", SPARSE, 1),
        ("logits, -1 ignored", SPARSE_LOGITS, -1),
    ):
        for shape in SHAPES[:2]:
            y, p = kind.drawn(*shape)
            if ignored < 0:
                y = np.where(y == 1, ignored, y)
            kept = y != ignored
            losses = kind.formula(np.where(kept, y, 0), Bounded(p)) * kept
            for reduction in ("none", "sum", "sum_over_batch_size"):
                loss = kind.made(reduction=reduction, ignore_class=ignored)
                truth = losses if reduction == "none" else losses.sum()
                if reduction == "sum_over_batch_size":
                    truth = truth * (kept.size / kept.sum()) / float(kept.size)
                got = lab.seen(loss(tf.constant(y), tf.constant(p)))
                yield deviation(f"{name}, rank {len(shape)}, {reduction}", got, truth)


@contract(
    "sample_weight-outputs",
    thing="keras.Model.evaluate",
    truth="Sample weights in a list or a dict are each those of one output.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    x, y = formulas.real("outputs", 4, 2), formulas.real("targets", 4, 2)
    weights = {"a": np.array([1, 0, 2, 0.5], np.float32), "b": np.array([4, 1, 0, 0], np.float32)}
    squares = formulas.mse(y, Bounded(x))
    truth = (squares * weights["a"]).mean() + (squares * weights["b"]).mean()
    for form in ("dict", "list"):

        def formed(parts: Mapping[str, Any], form: str = form) -> Any:
            return dict(parts) if form == "dict" else list(parts.values())

        inputs = keras.Input((2,))
        linear = {n: keras.layers.Activation("linear", name=n)(inputs) for n in weights}
        model = keras.Model(inputs, formed(linear))
        model.compile("sgd", formed(dict.fromkeys(weights, "mse")))
        got = model.evaluate(
            *(x, formed(dict.fromkeys(weights, y))),
            sample_weight=formed(weights),
            batch_size=4,
            return_dict=True,
            verbose=0,
        )
        yield deviation(form, lab.seen(got["loss"]), truth)
