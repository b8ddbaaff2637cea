"""Metrics: every Keras metric over unequal batches, weighted, reset, and paired with outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from bench.checks.contracts import formulas
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.metric_cases import CASES, SAMPLES, SIZES, WEIGHTS, Case
from bench.checks.contracts.metric_truths import CLASSES, mean
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("metrics")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run


def _accumulates(subject: str, case: Case) -> None:
    @contract(
        subject,
        thing=f"keras.metrics.{case.name}",
        truth="After batches of any sizes it is the documented formula over all samples since reset.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import tf

        metric = case.made()
        y, p = case.drawn()
        ends = np.cumsum(SIZES)
        for name, weights in (("plain", None), ("weighted", case.weights)):
            metric.reset_state()
            for start, end in zip(ends - SIZES, ends, strict=True):
                part = slice(start, end)
                given = None if weights is None else tf.constant(weights[part])
                metric.update_state(tf.constant(y[part]), tf.constant(p[part]), given)
                if start == ends[0]:
                    continue  # the result of every second batch will do
                each = np.ones(end, np.float32) if weights is None else weights[:end]
                truth = case.truth(y[:end], p[:end], each)
                yield deviation(f"{name}, {end} samples", lab.seen(metric.result()), truth)


for _subject, _case in CASES.items():
    _accumulates(_subject, _case)


@contract(
    "mean-and-sum",
    thing="keras.metrics.Mean",
    truth="The weighted mean (sum) of all values since reset, of batches of any rank and size.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    average, total = keras.metrics.Mean(), keras.metrics.Sum()
    values = formulas.real("mean", SAMPLES, 2)
    for weights in (None, WEIGHTS):
        form = "plain" if weights is None else "weighted"
        for metric in (average, total):
            metric.reset_state()
        ends = np.cumsum(SIZES)
        for start, end in zip(ends - SIZES, ends, strict=True):
            given = None if weights is None else weights[start:end, None] * np.ones((1, 2), "f4")
            for metric in (average, total):
                metric.update_state(values[start:end], given)
            each = np.ones(end, np.float32) if weights is None else weights[:end]
            truth = (Bounded(values[:end]) * each[:, None]).sum()
            divisor = Bounded(2.0 * each.sum())
            yield deviation(f"{form}, {end} samples, sum", lab.seen(total.result()), truth)
            yield deviation(
                f"{form}, {end} samples, mean", lab.seen(average.result()), truth / divisor
            )


@contract(
    "empty",
    thing="keras.metrics.Metric.reset_state",
    truth="Without samples since reset a mean is 0, and what came before is forgotten.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    for name in ("Mean", "Sum", "MeanSquaredError", "BinaryAccuracy", "Precision", "AUC"):
        metric = getattr(keras.metrics, name)()
        given = ([2.0],) if name in ("Mean", "Sum") else ([1.0, 0.0], [0.75, 0.5])
        for when in ("new", "reset"):
            yield exact(f"{name}, {when}", lab.seen(metric.result()), np.zeros(()))
            metric.update_state(*given)
            metric.reset_state()


# --- Paired with outputs


def _passing(*widths: int, **compilation: Any) -> Any:
    """A compiled model whose outputs ``a``, ``b`` are its inputs, of these numbers of entries."""
    from bench.nets.api import keras

    inputs = [keras.Input((width,)) for width in widths]
    names = "ab"[: len(widths)]
    outputs = [
        keras.layers.Activation("linear", name=name)(x)
        for name, x in zip(names, inputs, strict=True)
    ]
    model = keras.Model(inputs, outputs) if len(widths) > 1 else keras.Model(inputs[0], outputs[0])
    model.compile("sgd", run_eagerly=True, **compilation)
    return model


def _error(name: str) -> Any:
    from bench.nets.api import keras

    return keras.metrics.MeanAbsoluteError(name=name)


def _squares(name: str) -> Any:
    from bench.nets.api import keras

    return keras.metrics.MeanSquaredError(name=name)


FORMS: Mapping[str, Callable[[], Any]] = {
    "lists": lambda: [[_error("error")], [_squares("squares")]],
    "flat": lambda: [_error("error"), _squares("squares")],
    "dict": lambda: {"b": [_squares("squares")], "a": _error("error")},
    "dict-second_alone": lambda: {"b": _squares("squares")},
    "lists-second_alone": lambda: [[], [_squares("squares")]],
}


def _paired(form: str, metrics: Callable[[], Any]) -> None:
    @contract(
        f"pairs-{form}",
        keras=(3,) if form == "flat" else (2, 3),
        counterpart="pairs-flat:keras2" if form == "flat" else "",
        thing="keras.Model.compile",
        truth="Each metric is that of the output that it is given for, under that output's name.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        x = [formulas.real(f"passed {name}", SAMPLES, 2) for name in "ab"]
        y = [formulas.real(f"wanted {name}", SAMPLES, 2) for name in "ab"]
        model = _passing(2, 2, loss=["mse", "mse"], metrics=metrics())
        got = model.evaluate(x, y, batch_size=8, verbose=0, return_dict=True)
        truths = {
            "a_error": formulas.mae(y[0], Bounded(x[0])).mean(),
            "b_squares": formulas.mse(y[1], Bounded(x[1])).mean(),
        }
        if form.endswith("second_alone"):
            del truths["a_error"]
        for name, truth in truths.items():
            yield deviation(name, lab.seen(got.get(name, np.nan)), truth)
        others = sorted(set(got) - set(truths) - {"loss", "a_loss", "b_loss"})
        yield exact(f"metrics that nobody asked for: {others}", np.array(len(others)), np.zeros(()))


for _form, _metrics in FORMS.items():
    _paired(_form, _metrics)


@contract(
    "pairs-flat:keras2",
    thing="keras.Model.compile",
    truth="Every output has each metric of a flat list.",
    keras=(2,),
    counterpart="pairs-flat",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x = [formulas.real(f"passed {name}", SAMPLES, 2) for name in "ab"]
    y = [formulas.real(f"wanted {name}", SAMPLES, 2) for name in "ab"]
    model = _passing(2, 2, loss=["mse", "mse"], metrics=FORMS["flat"]())
    got = model.evaluate(x, y, batch_size=8, verbose=0, return_dict=True)
    for output, passed, wanted in zip("ab", x, y, strict=True):
        for name, formula in (("error", formulas.mae), ("squares", formulas.mse)):
            found = lab.seen(got.get(f"{output}_{name}", np.nan))
            yield deviation(f"{output}_{name}", found, formula(wanted, Bounded(passed)).mean())


@contract(
    "accuracy-by_name",
    thing="keras.Model.compile",
    truth="'accuracy' is binary, categorical or sparse categorical as targets and outputs ask for.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    for subject, width, loss in (
        ("binary_accuracy", 1, "binary_crossentropy"),
        ("categorical_accuracy", CLASSES, "categorical_crossentropy"),
        ("sparse_categorical_accuracy", CLASSES, "sparse_categorical_crossentropy"),
    ):
        case = CASES[subject]
        y = case.targets("by name", SAMPLES, width)
        p = formulas.probabilities("passed", SAMPLES, width)
        model = _passing(width, loss=loss, metrics=["accuracy"])
        given = y if y.ndim == 2 else y[:, None]
        got = model.evaluate(p, given, batch_size=7, verbose=0, return_dict=True)
        wanted = given.argmax(-1) if given.shape[-1] > 1 else given[:, 0]
        right = (p[:, 0] > 0.5 if width == 1 else p.argmax(-1)) == wanted
        truth = Bounded(right.astype(float)).mean()
        yield deviation(loss, lab.seen(got.get("accuracy", np.nan)), truth)


@contract(
    "weighted_metrics",
    thing="keras.Model.compile",
    truth="Sample weights count in weighted_metrics and in the loss, not in metrics.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = formulas.real("passed", SAMPLES, 2), formulas.real("wanted", SAMPLES, 2)
    model = _passing(
        2, loss="mse", metrics=[_error("plain")], weighted_metrics=[_error("weighted")]
    )
    got = model.evaluate(x, y, sample_weight=WEIGHTS, batch_size=8, verbose=0, return_dict=True)
    errors = formulas.mae(y, Bounded(x))
    yield deviation("plain", lab.seen(got.get("plain", np.nan)), errors.mean())
    yield deviation("weighted", lab.seen(got.get("weighted", np.nan)), mean(errors, WEIGHTS))
    squares = formulas.mse(y, Bounded(x))
    yield deviation("loss", lab.seen(got["loss"]), (squares * WEIGHTS).mean())


@contract(
    "own",
    thing="keras.metrics.Metric",
    truth="A metric of one's own, a class or a function, is updated by each batch and reset between.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    class Largest(keras.metrics.Metric):
        def __init__(self) -> None:
            super().__init__(name="largest")
            self.most = self.add_weight(shape=(), initializer="zeros", name="most")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # noqa: ARG002
            error = tf.reduce_max(tf.abs(tf.cast(y_true, y_pred.dtype) - y_pred))
            self.most.assign(tf.maximum(self.most, error))

        def result(self) -> Any:
            return tf.convert_to_tensor(self.most)

    def sums(y_true: Any, y_pred: Any) -> Any:
        return tf.reduce_sum(tf.abs(y_true - y_pred), -1)

    x, y = formulas.real("passed", SAMPLES, 2), formulas.real("wanted", SAMPLES, 2)
    model = _passing(2, loss="mse", metrics=[Largest(), sums])
    near = np.argsort(np.abs(x - y).max(-1))[:5]  # what was largest before is not among them
    for call, part in enumerate((np.arange(SAMPLES), near)):
        got = model.evaluate(x[part], y[part], batch_size=8, verbose=0, return_dict=True)
        error = np.abs(Bounded(x[part]) - y[part])
        largest = error.reshape(-1).max(0)
        yield deviation(f"call {call}, class", lab.seen(got["largest"]), largest)
        yield deviation(f"call {call}, function", lab.seen(got["sums"]), error.sum(-1).mean())


@contract(
    "accuracy-booleans",
    thing="keras.metrics.BinaryAccuracy",
    truth="Labels that are booleans count as 0 and 1, also where predictions are booleans, too.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras, tf

    y = formulas.binary("labels", 16) > 0
    p = formulas.probabilities("predictions", 16)
    for what, given in (("numbers", p), ("booleans", p > 0.5)):
        metric = keras.metrics.BinaryAccuracy()
        metric.update_state(tf.constant(y), tf.constant(given))
        truth = Bounded((y == (p > 0.5)).astype(float)).mean()
        yield deviation(f"predictions that are {what}", lab.seen(metric.result()), truth)


@contract(
    "mean-weights:negative",
    thing="keras.metrics.Mean",
    truth="A mean is divided by the sum of weights, also where that is negative.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    metric = keras.metrics.Mean()
    metric.update_state([1.0, 2.0], sample_weight=[-1.0, -3.0])
    yield exact("mean", lab.seen(metric.result()), np.array(1.75))


@contract(
    "order",
    thing="keras.Model.evaluate",
    truth="The list that evaluate returns is the loss, metrics and weighted metrics, in the order in"
    " which they were given.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = formulas.real("passed", SAMPLES, 2), formulas.real("wanted", SAMPLES, 2)
    given = {"metrics": [_squares("z"), _error("a")], "weighted_metrics": [_squares("b")]}
    got = _passing(2, loss="mse", **given).evaluate(
        x, y, sample_weight=WEIGHTS, batch_size=SAMPLES, verbose=0
    )
    squares, errors = formulas.mse(y, Bounded(x)), formulas.mae(y, Bounded(x))
    truths = [(squares * WEIGHTS).mean(), squares.mean(), errors.mean(), mean(squares, WEIGHTS)]
    for at, (one, truth) in enumerate(zip(got, truths, strict=True)):
        yield deviation(f"number {at}", lab.seen(one), truth)


@contract(
    "iou-axis",
    thing="keras.metrics.OneHotMeanIoU",
    truth="Classes lie along the axis that is given, of one-hot truths, of predictions, and of both.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    true, told = np.array([[0, 1, 2, 2, 1]]), np.array([[0, 2, 2, 1, 1]])
    # Of class 0 one is common of one, of class 1 one of three, of class 2 one of three.
    truth = np.float64(1 + 1 / 3 + 1 / 3) / 3
    bound = Bounded(truth, 8 * 2.0**-24)  # three quotients, their sum and mean
    hot, scores = (np.eye(3, dtype=np.float32)[each].transpose(0, 2, 1) for each in (true, told))
    for name, metric, given in (
        ("both", keras.metrics.OneHotMeanIoU(num_classes=3, axis=1), (hot, scores)),
        (
            "predictions",
            keras.metrics.MeanIoU(num_classes=3, sparse_y_pred=False, axis=1),
            (true, scores),
        ),
        ("truths", keras.metrics.MeanIoU(num_classes=3, sparse_y_true=False, axis=1), (hot, told)),
    ):
        metric.update_state(*given)
        yield deviation(name, lab.seen(metric.result()), bound)
