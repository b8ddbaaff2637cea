"""Losses: every Keras loss against its formula, along any axis, at its ends and in 16 bits."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks.contracts import formulas
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.formulas import EPSILON, Numbers
from bench.checks.contracts.loss_kinds import BINARY, CATEGORICAL, KINDS, SHAPES, SPARSE, Kind
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact
from bench.theory.rounding.formats import FLOAT16, FLOAT32, Format

Array = npt.NDArray[Any]
catalogue = Catalogue("losses")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run


def _formula(subject: str, kind: Kind) -> None:
    @contract(
        f"formula-{subject}",
        thing=f"keras.losses.{kind.name}",
        truth="Each sample's loss, and its gradient, is that of the documented formula in any rank.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import keras, tf

        loss = kind.made()
        for shape in SHAPES:
            y, p = kind.drawn(*shape)
            truth = kind.formula(y, Bounded(p))
            yield deviation(
                f"rank {len(shape)}", lab.seen(loss(tf.constant(y), tf.constant(p))), truth
            )
        y, p = kind.drawn(*SHAPES[0])
        if kind.function:
            got = getattr(keras.losses, kind.function)(
                tf.constant(y), tf.constant(p), **kind.options
            )
            yield deviation("function", lab.seen(got), kind.formula(y, Bounded(p)))
        if kind.slope:
            got = _gradient(loss, y, p)
            yield deviation("gradient", lab.seen(got), kind.slope(y, Bounded(p)))


for _subject, _kind in KINDS.items():
    _formula(_subject, _kind)


def _gradient(loss: Any, y: Array, p: Array) -> Any:
    """The gradient of the sum of a loss' values by its predictions."""
    from bench.nets.api import tf

    predictions = tf.constant(p)
    with tf.GradientTape() as tape:
        tape.watch(predictions)
        total = tf.reduce_sum(loss(tf.constant(y), predictions))
    return tape.gradient(total, predictions)


# --- The axis of classes


def _axis(subject: str, kind: Kind) -> None:
    @contract(
        f"axis-{subject}",
        thing=f"keras.losses.{kind.name}",
        truth="With axis=1 (channels first) it is what it is with classes in the last axis.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import tf

        loss = kind.made(axis=1)
        for shape in SHAPES[1:]:
            y, p = kind.drawn(*shape)
            first = (tf.constant(np.moveaxis(y, -1, 1)), tf.constant(np.moveaxis(p, -1, 1)))
            truth = kind.formula(y, Bounded(p))
            yield deviation(f"rank {len(shape)}", lab.seen(loss(*first)), truth)


for _subject in (
    "cosine_similarity",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_crossentropy-logits",
    "categorical_focal_crossentropy",
    "categorical_crossentropy-smoothing",
):
    _axis(_subject, KINDS[_subject])


# --- Ends


def _ends(subject: str, kind: Kind, right: tuple[Array, Array], wrong: tuple[Array, Array]) -> None:
    @contract(
        f"ends-{subject}",
        thing=f"keras.losses.{kind.name}",
        truth="Probabilities of exactly 0 and 1 count as if off by the fuzz factor: all is finite.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import tf

        loss = kind.made()
        # The fuzz factor is added once or twice, and 1 - 1e-7 is rounded to a multiple of 2^-24: what
        # stands for 0 is between .5 and 4 of it.
        for name, (y, p), value, bound in (
            ("right", right, 0.0, 4.0 * EPSILON * right[1].shape[-1]),
            ("wrong", wrong, -float(np.log(EPSILON)), float(np.log(4.0))),
        ):
            got = lab.seen(loss(tf.constant(y), tf.constant(p)))
            yield deviation(name, got, Bounded(np.full(got.shape, value), bound))
            slope = lab.seen(_gradient(loss, y, p))
            yield exact(f"{name}, gradient is finite", np.isfinite(slope), np.ones(slope.shape))


_ONE_HOT = np.eye(3, dtype=np.float32)
_ends(
    "binary_crossentropy",
    BINARY,
    (formulas.float32([[0], [1]]), formulas.float32([[0], [1]])),
    (formulas.float32([[0], [1]]), formulas.float32([[1], [0]])),
)
_ends(
    "categorical_crossentropy",
    CATEGORICAL,
    (_ONE_HOT, _ONE_HOT),
    (_ONE_HOT, np.roll(_ONE_HOT, 1, -1)),
)
_ends(
    "sparse_categorical_crossentropy",
    SPARSE,
    (np.arange(3), _ONE_HOT),
    (np.arange(3), np.roll(_ONE_HOT, 1, -1)),
)


def _far_logits(subject: str, kind: Kind) -> None:
    @contract(
        f"ends-{subject}",
        thing=f"keras.losses.{kind.name}",
        truth="Logits of any size give the formula's loss and gradient, without overflow.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import tf

        loss = kind.made()
        far = formulas.float32([0.0, 1e-3, -3.0, 30.0, -100.0, 1e4, -1e4, 1e30])
        p = np.stack([far, np.roll(far, 3), -far], -1)
        y = kind.drawn(*p.shape)[0]
        truth = kind.formula(y, Bounded(p))
        yield deviation("loss", lab.seen(loss(tf.constant(y), tf.constant(p))), truth)
        assert kind.slope
        yield deviation("gradient", lab.seen(_gradient(loss, y, p)), kind.slope(y, Bounded(p)))


for _subject in (
    "binary_crossentropy-logits",
    "categorical_crossentropy-logits",
    "sparse_categorical_crossentropy-logits",
):
    _far_logits(_subject, KINDS[_subject])


# --- 16 bits


def _half(subject: str, kind: Kind) -> None:
    @contract(
        f"float16-{subject}",
        thing=f"keras.losses.{kind.name}",
        truth="Inputs of any type are computed in the loss' dtype, float32 unless given.",
        keras=(3,),
        counterpart=f"float16-{subject}:keras2",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        yield from _computed_in(lab, FLOAT32, kind.made(), kind)
        try:
            half = kind.made(dtype="float16")
        except AbsentError:  # the first releases of Keras 3 take no dtype
            return
        yield from _computed_in(lab, FLOAT16, half, kind)

    own = kind.name == "Huber"

    @contract(
        f"float16-{subject}:keras2",
        thing=f"keras.losses.{kind.name}",
        truth=f"Computed in {'floatx' if own else 'the dtype of the predictions, float16 too'}.",
        keras=(2,),
        counterpart=f"float16-{subject}",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        yield from _computed_in(lab, FLOAT32 if own else FLOAT16, kind.made(), kind)


def _computed_in(lab: Lab, form: Format, loss: Any, kind: Kind) -> Iterator[Deviation]:
    """A loss of predictions in float16: its dtype, and its value with the rounding of that."""
    from bench.nets.api import tf

    y, p = kind.drawn(*SHAPES[0])
    p = p.astype(np.float16)
    got = loss(tf.constant(y), tf.constant(p))
    right = np.array(got.dtype.name == form.name)
    yield exact(f"{form.name}, dtype of the loss", lab.seen(right), np.ones((), bool))
    yield deviation(form.name, lab.seen(got), kind.formula(y, Bounded(p, form=form)))


for _subject in (
    "mean_squared_error",
    "mean_absolute_error",
    "huber",
    "log_cosh",
    "hinge",
    "binary_crossentropy-logits",
    "categorical_crossentropy-logits",
    "sparse_categorical_crossentropy-logits",
):
    _half(_subject, KINDS[_subject])


# --- Losses of Keras 3 alone


def _sets(
    subject: str, name: str, formula: Callable[[Any, Any], Numbers], **options: float
) -> None:
    kind = Kind(name, formula, formulas.binary, formulas.probabilities, options=options)

    @contract(
        f"formula-{subject}",
        thing=f"keras.losses.{name}",
        truth="The loss is that of the documented formula, over all entries or those of given axes.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import tf

        y, p = kind.drawn(3, 2, 4)
        flat = formula(y.reshape(-1), Bounded(p.reshape(-1)))
        yield deviation("all", lab.seen(kind.made()(tf.constant(y), tf.constant(p))), flat)
        by_sample = formula(y.reshape(3, -1), Bounded(p.reshape(3, -1)))
        loss = kind.made(axis=(1, 2))
        yield deviation("by sample", lab.seen(loss(tf.constant(y), tf.constant(p))), by_sample)


_sets("dice", "Dice", formulas.dice)
_sets("tversky", "Tversky", formulas.tversky)
_UNEQUAL = functools.partial(formulas.tversky, alpha=0.25, beta=0.75)
_sets("tversky-alpha:0.25", "Tversky", _UNEQUAL, alpha=0.25, beta=0.75)


_GENERALIZED = Kind(
    "CategoricalGeneralizedCrossEntropy",
    formulas.generalized(0.5),
    formulas.classes,
    formulas.distribution,
)


@contract(
    "formula-categorical_generalized_cross_entropy",
    thing="keras.losses.CategoricalGeneralizedCrossEntropy",
    truth="(1 - p^q) / q of the true class' probability.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    y, p = _GENERALIZED.drawn(5, 3)
    for q in (0.5, 0.25):
        got = lab.seen(_GENERALIZED.made(q=q)(tf.constant(y), tf.constant(p)))
        yield deviation(f"q = {q}", got, formulas.generalized(q)(y, Bounded(p)))


_CIRCLE = Kind("Circle", formulas.circle(80.0, 0.4))


@contract(
    "formula-circle",
    thing="keras.losses.Circle",
    truth="softplus(logsumexp of positive pairs + that of negative ones), no pair with itself.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    embeddings = formulas.real("circle", 6, 4).astype(np.float64)
    embeddings /= np.linalg.norm(embeddings, axis=-1, keepdims=True)
    p, y = embeddings.astype(np.float32), np.arange(6) % 3
    for gamma, margin in ((80.0, 0.4), (2.0, 0.25)):
        loss = _CIRCLE.made(gamma=gamma, margin=margin)
        truth = formulas.circle(gamma, margin)(y, Bounded(p))
        # A sample without loss is masked out; all others count as they are.
        got = lab.seen(loss(tf.constant(y), tf.constant(p)))
        yield deviation(f"gamma {gamma:g}", got, truth)


_CTC = Kind("CTC", formulas.ctc)


@contract(
    "formula-ctc",
    thing="keras.losses.CTC",
    truth="Minus the logarithm of the summed probability of all alignments; class 0 is the blank.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    y = np.array([[1, 2], [1, 1], [2, 0]], np.int32)
    p = formulas.real("ctc", 3, 4, 3)
    yield deviation(
        "loss", lab.seen(_CTC.made()(tf.constant(y), tf.constant(p))), formulas.ctc(y, Bounded(p))
    )
