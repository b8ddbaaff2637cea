"""Training: what optimizers do beyond one step on dense gradients.

Truth is the oracle of the optimizer grids on bounded arrays: the same formulas, held here to
accumulated, sparse, missing and overflowing gradients, to changes of the rate and to saved state.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.cells.keras_arguments import CLASSES
from bench.checks.contracts import linear, muon
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import drawn
from bench.checks.lab import AbsentError, Lab
from bench.results.check import Deviation
from bench.theory.oracle import optimizers
from bench.theory.oracle.optimizers import State
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("training")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

Array = npt.NDArray[Any]

RATE = 0.125
#: Kernel and bias of a dense layer.
SHAPES = {"kernel": (4, 3), "bias": (3,)}


def made(name: str, **arguments: Any) -> Any:
    """An optimizer by its name in the oracle, with a rate of 1/8 unless told otherwise.

    Raises:
        AbsentError: this Keras has none, or it takes no such argument.
    """
    from bench.nets.api import keras

    try:
        return getattr(keras.optimizers, CLASSES[name])(**{"learning_rate": RATE, **arguments})
    except (AttributeError, TypeError, ValueError) as error:
        raise AbsentError(f"this Keras has no such {CLASSES[name]}: {error}") from error


def variables() -> list[Any]:
    """Fresh Keras variables, kernel and bias."""
    from bench.nets.api import keras

    layer = keras.layers.Dense(SHAPES["bias"][0])
    layer.build((None, SHAPES["kernel"][0]))
    layer.set_weights([drawn(f"trained {name}", *shape) for name, shape in SHAPES.items()])
    return list(layer.trainable_variables)


def drawn_gradients(step: Any) -> list[Array]:
    """Random gradients of kernel and bias."""
    return [drawn(f"gradient {step} {name}", *shape) for name, shape in SHAPES.items()]


def apply(optimizer: Any, gradients: Sequence[Any], targets: Sequence[Any]) -> None:
    """One step of an optimizer; None is a gradient that is missing."""
    from bench.nets.api import tf

    tensors = [tf.constant(g) if isinstance(g, np.ndarray) else g for g in gradients]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of variables without a gradient
        optimizer.apply_gradients(list(zip(tensors, targets, strict=True)))


class Truth:
    """Weights that the oracle's optimizer trains.

    Args:
        name: of the optimizer, in lower case.
        arguments: those of Keras that are not the default.
        start: weights before the first step.
    """

    def __init__(self, name: str, start: Sequence[Array], **arguments: Any) -> None:
        from bench.nets.api import KERAS_MAJOR

        self.name, self.keras = name, KERAS_MAJOR
        self.arguments = {"learning_rate": RATE, **arguments}
        self.weights = [Bounded(one) for one in start]
        self.state: State = self._optimizer().start(self.weights)

    def _optimizer(self) -> optimizers.Optimizer:
        return optimizers.optimizer(self.name, keras=self.keras, **self.arguments)

    def step(self, gradients: Sequence[Any], rate: float | None = None) -> None:
        """One update, with a new rate if one is given; no gradient, no change of that variable."""
        if rate is not None:
            self.arguments["learning_rate"] = rate
        given = [
            Bounded(np.zeros(weight.shape)) if g is None else _bounded(g)
            for g, weight in zip(gradients, self.weights, strict=True)
        ]
        moved, state = self._optimizer().step(self.weights, given, self.state)
        kept = [g is None for g in gradients]
        self.weights = [
            old if keep else new for keep, old, new in zip(kept, self.weights, moved, strict=True)
        ]
        slots = [
            old if keep else new
            for keep, old, new in zip(kept, self.state.slots, state.slots, strict=True)
        ]
        self.state = State(state.steps, slots)


def _bounded(x: Any) -> Bounded:
    return x if isinstance(x, Bounded) else Bounded(x)


def compared(lab: Lab, got: Sequence[Any], truth: Truth, when: str) -> Iterator[Deviation]:
    for name, variable, weight in zip(SHAPES, got, truth.weights, strict=False):
        yield deviation(f"{name} {when}", lab.seen(variable), weight)


def values(targets: Sequence[Any]) -> list[Array]:
    """What variables hold now."""
    return [np.asarray(one).copy() for one in targets]


# --- Accumulated gradients

ACCUMULATED = 3


def _accumulation(subject: str, name: str, **more: Any) -> None:
    @contract(
        f"accumulation-{subject}",
        thing=f"keras.optimizers.{CLASSES[name]}",
        truth="With gradient_accumulation_steps k nothing moves for k - 1 steps; the k-th does what one"
        " step with the average gradient would do, and counts as one iteration.",
        keras=(3,),
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        optimizer = made(name, gradient_accumulation_steps=ACCUMULATED, **more)
        targets = variables()
        truth = Truth(name, values(targets), **more)
        for update in range(3):
            parts = [drawn_gradients(f"{update} {part}") for part in range(ACCUMULATED)]
            for part, gradients in enumerate(parts):
                before = values(targets)
                apply(optimizer, gradients, targets)
                if part < ACCUMULATED - 1:
                    for what, got, was in zip(SHAPES, targets, before, strict=True):
                        name_ = f"{what} in update {update + 1}, part {part + 1}"
                        yield exact(name_, lab.seen(got), was)
            total = [
                sum((Bounded(g) for g in each), Bounded(0.0)) for each in zip(*parts, strict=True)
            ]
            truth.step([one / float(ACCUMULATED) for one in total])
            yield from compared(lab, targets, truth, f"after update {update + 1}")
            taken = lab.seen(optimizer.iterations)
            yield exact(f"iterations after update {update + 1}", taken, np.array(update + 1.0))
        if more.get("use_ema"):
            optimizer.finalize_variable_values(targets)
            for what, got, slots in zip(SHAPES, targets, truth.state.slots, strict=True):
                yield deviation(f"average of {what}", lab.seen(got), slots["ema"])


_accumulation("sgd-momentum", "sgd", momentum=0.75)
_accumulation("adam", "adam")
_accumulation("adamw-weight_decay", "adamw", weight_decay=0.25)
_accumulation("sgd-weight_decay", "sgd", weight_decay=0.25)
_accumulation("sgd-clipvalue", "sgd", clipvalue=0.25)
_accumulation("sgd-clipnorm", "sgd", clipnorm=0.5)
_accumulation("sgd-global_clipnorm", "sgd", global_clipnorm=0.5)
_accumulation("sgd-ema", "sgd", use_ema=True, ema_momentum=0.75)


@contract(
    "accumulation-fit",
    thing="keras.Model.fit",
    truth="Batches whose gradients are accumulated train as one batch of all of them.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = linear.data(16)
    optimizer = made("sgd", learning_rate=linear.RATE, gradient_accumulation_steps=2)
    model, replay = linear.built(optimizer=optimizer), linear.Replay()
    model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    replay.step(x[:8], y[:8])
    replay.step(x[8:], y[8:])
    for what, got, weight in zip(SHAPES, model.get_weights(), replay.weights, strict=True):
        # The average of two averages is rounded once more than that of all.
        truth = Bounded(weight.value, 2.0 * weight.error)
        yield deviation(what, lab.seen(got), truth)


# --- A rate that changes


@contract(
    "rate-changed:optimizer",
    thing="keras.optimizers.Optimizer.learning_rate",
    truth="A rate that is assigned between steps holds from the next step on.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    for name, more in (("adam", {}), ("sgd", {"momentum": 0.75})):
        optimizer, targets = made(name, **more), variables()
        truth = Truth(name, values(targets), **more)
        for step, rate in enumerate((RATE, RATE / 2, 2 * RATE)):
            if step == 1:
                optimizer.learning_rate = rate
            elif step == 2:
                optimizer.learning_rate.assign(rate)
            apply(optimizer, drawn_gradients(step), targets)
            truth.step(drawn_gradients(step), rate)
            yield from compared(lab, targets, truth, f"after step {step + 1} of {name}")


@contract(
    "rate-changed:train_on_batch",
    thing="keras.optimizers.Optimizer.learning_rate",
    truth="A rate that is assigned between batches holds from the next batch on, not compiled anew.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, y = linear.data(8)
    model, replay = linear.built(), linear.Replay()
    for step, rate in enumerate((linear.RATE, linear.RATE / 4)):
        model.optimizer.learning_rate = rate
        model.train_on_batch(x, y)
        replay.step(x, y, rate=rate)
        for what, got, weight in zip(SHAPES, model.get_weights(), replay.weights, strict=True):
            yield deviation(f"{what} after step {step + 1}", lab.seen(got), weight)


# --- Gradients that are missing


@contract(
    "gradients-none",
    thing="keras.optimizers.Optimizer.apply_gradients",
    truth="A variable whose gradient is None stays as it is, and so do its moments; the others move.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    optimizer, targets = made("adam"), variables()
    truth = Truth("adam", values(targets))
    for step in range(4):
        gradients: list[Any] = drawn_gradients(step)
        if step in (0, 2):
            gradients[step // 2] = None
        apply(optimizer, gradients, targets)
        truth.step(gradients)
        yield from compared(lab, targets, truth, f"after step {step + 1}")


# --- Variables that an optimizer does not know


@contract(
    "variables-late",
    thing="keras.optimizers.Optimizer.apply_gradients",
    truth="A variable that comes after the first step raises an error or is trained, never left out"
    " in silence, and those before go on as if it were not there.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    optimizer, targets = made("adam"), variables()
    truth = Truth("adam", values(targets))
    apply(optimizer, drawn_gradients(0), targets)
    truth.step(drawn_gradients(0))
    (late, _) = variables()
    before = np.asarray(late).copy()
    try:
        apply(optimizer, drawn_gradients(1)[:1], [late])
    except (KeyError, ValueError):
        silent = False
    else:
        silent = bool((np.asarray(late) == before).all())
    yield exact("left out in silence", np.array(silent), np.zeros((), bool))
    yield from compared(lab, targets, truth, "after it")


# --- Decay that leaves variables out


@contract(
    "weight_decay-excluded",
    thing="keras.optimizers.Optimizer.exclude_from_weight_decay",
    truth="What is excluded by name is not decayed, everything else is.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    optimizer, targets = made("adamw", weight_decay=0.25), variables()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    start = values(targets)
    decayed, plain = (Truth("adamw", start, weight_decay=decay) for decay in (0.25, None))
    for step in range(2):
        apply(optimizer, drawn_gradients(step), targets)
        for truth in (decayed, plain):
            truth.step(drawn_gradients(step))
        for what, got, truth in zip(SHAPES, targets, (decayed, plain), strict=True):
            weight = truth.weights[list(SHAPES).index(what)]
            yield deviation(f"{what} after step {step + 1}", lab.seen(got), weight)


# --- Averages of weights that overwrite them


@contract(
    "ema-overwrite",
    thing="keras.optimizers.SGD",
    truth="With ema_overwrite_frequency n, every n-th step puts the average in the weights' place.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    more = {"use_ema": True, "ema_momentum": 0.75}
    optimizer = made("sgd", ema_overwrite_frequency=2, **more)
    targets = variables()
    truth = Truth("sgd", values(targets), **more)
    for step in range(4):
        apply(optimizer, drawn_gradients(step), targets)
        truth.step(drawn_gradients(step))
        if step % 2:
            truth.weights = [slots["ema"] for slots in truth.state.slots]
        yield from compared(lab, targets, truth, f"after step {step + 1}")


# --- State that is saved


def stateful(name: str) -> Mapping[str, Any]:
    """What makes an optimizer keep all the state that it can, and show it: by default the momentum of
    Lion takes a hundredth of a gradient, and hardly turns a sign."""
    return {
        "sgd": {"momentum": 0.75},
        "rmsprop": {"momentum": 0.75, "centered": True},
        "lion": {"beta_2": 0.5},
    }.get(name, {})


def _of_each(name: str) -> None:
    more = stateful(name)
    thing = f"keras.optimizers.{CLASSES[name]}"

    @contract(
        f"state-continued-{name}",
        thing=thing,
        truth="A fresh optimizer that is given the variables of another goes on as that one would.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        optimizer, targets = made(name, **more), variables()
        truth = Truth(name, values(targets), **more)
        for step in range(2):
            apply(optimizer, drawn_gradients(step), targets)
            truth.step(drawn_gradients(step))
        again, saved = made(name, **more), list(optimizer.variables)
        again.build(targets)
        for variable, value in zip(again.variables, saved, strict=True):
            variable.assign(value)
        for step in range(2, 4):
            apply(again, drawn_gradients(step), targets)
            truth.step(drawn_gradients(step))
            yield from compared(lab, targets, truth, f"after step {step + 1}")


for _name in CLASSES:
    _of_each(_name)


# --- Muon


@contract(
    "muon",
    thing="keras.optimizers.Muon",
    truth="A matrix takes the rate times its momentum, orthogonalized by five quintic iterations, tall"
    " or wide; without rms_rate it is not scaled.",
    keras=(3,),
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    if not hasattr(keras.optimizers, "Muon"):
        raise AbsentError("this Keras has no Muon")
    for shape in ((4, 3), (3, 4), (3, 3)):
        layer = keras.layers.Dense(shape[1], use_bias=False)
        layer.build((None, shape[0]))
        start = drawn(f"muon {shape}", *shape)
        layer.set_weights([start])
        try:
            settings = {"momentum": 0.75, "nesterov": False, "weight_decay": None, "rms_rate": None}
            optimizer = keras.optimizers.Muon(RATE, **settings)
        except (TypeError, ValueError) as error:
            raise AbsentError(f"this Keras' Muon scales otherwise: {error}") from error
        gradients = [drawn(f"muon gradient {step}", *shape) for step in range(2)]
        for step, truth in enumerate(muon.trained(start, gradients, rate=RATE, momentum=0.75)):
            apply(optimizer, [gradients[step]], layer.trainable_variables)
            (got,) = layer.get_weights()
            yield deviation(f"{shape} after step {step + 1}", lab.seen(got), truth)
