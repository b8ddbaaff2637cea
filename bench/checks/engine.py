"""Family ``engine``: ten training steps under every engine against the float64 oracle's ten.

All engines start from the same NumPy weights and see the same batches. The losses of the ten steps and
every variable after them are compared; what rounding may make of ten nonlinear steps is drawn by
Monte Carlo arithmetic (:mod:`bench.theory.rounding.montecarlo`). An engine whose bits are those of
one that was compared before is compared through them.

Three ways to round Adam's betas are in use, and 1 - beta_2 = .001 makes 1.3e-5 of the rounding of
.999: Keras 2 and 3 round them in the bias correction alone, version 1 also in the moments. An engine
may agree with any one of :data:`ROUNDED`, in all of its tensors.

``session`` is the graph-and-session program of :mod:`bench.nets.session`, for networks that it
supports. Adam hardly sees how gradients are scaled, so clipping is judged behind SGD.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bench.cells.architectures import CONVOLUTIONAL
from bench.cells.cell import Cell
from bench.cells.initial_values import batch_order
from bench.checks.lab import Lab
from bench.checks.network import cell_of
from bench.results.check import Check, Deviation
from bench.theory.oracle.network import IMAGE, LOGITS, Oracle
from bench.theory.oracle.optimizers import Optimizer, for_cell
from bench.theory.rounding import montecarlo
from bench.theory.rounding.arrays import Stochastic
from bench.theory.rounding.formats import Format

FAMILY = "engine"
STEPS = 10
#: Draws of Monte Carlo arithmetic: 16 let a sound error be 10 to 11 root mean squares at the levels
#: used here; with 8 it would be 21 to 23, with 64 at four times the cost 6.5.
DRAWS = 16

Array = npt.NDArray[np.float64]

#: Small networks, so that what ten steps amplify stays far below a fault of 1 part in 10^4.
_SMALL: Mapping[str, Any] = {"width": 24, "batch": 20, "steps": STEPS}
SUBJECTS: Mapping[str, Cell] = {
    "sgd": Cell(depth=3, learning_rate=0.1, clipping="global_norm_0.5", **_SMALL),
    "adam": Cell(
        depth=2,
        activation="tanh",
        initializer="glorot_normal",
        optimizer="adam",
        learning_rate=0.001,
        clipping="global_norm_0.5",
        **_SMALL,
    ),
    "residual": Cell(
        depth=3, architecture="residual", activation="silu", optimizer="momentum", **_SMALL
    ),
    "batch": Cell(
        depth=2, normalization="batch", optimizer="momentum", learning_rate=0.01, **_SMALL
    ),
    "layer": Cell(depth=2, normalization="layer", activation="gelu", **_SMALL),
    "transformer": Cell(
        depth=1,
        architecture="transformer",
        normalization="layer",
        activation="gelu",
        initializer="glorot_normal",
        mask="causal",
        **{**_SMALL, "width": 8},
    ),
    "convolution": Cell(
        depth=2,
        architecture="conv_residual",
        filters=4,
        normalization="group",
        activation="prelu",
        pooling="average",
        learning_rate=0.03,
        **_SMALL,
    ),
}
#: Networks of the tiers above quick: ten steps with drawn roundings take half a minute.
LONG = ("transformer", "convolution")
#: Places where an optimizer's constants are rounded to the format before anything is made of them.
ROUNDED = ("nowhere", "everywhere", "in the bias correction")
ENGINES = ("in_graph", "function", "eager", "fit", "xla", "session")


def checks(tier: str) -> list[Check]:
    """Each network; from tier standard on in float64 as well, and those whose draws take long."""
    precisions = ("float32",) if tier == "quick" else ("float32", "float64")
    return [
        Check(family=FAMILY, subject=cell.id(("depth", "act", "opt")), precision=precision)
        for name, cell in SUBJECTS.items()
        for precision in precisions
        if tier != "quick" or name not in LONG
    ]


def run(check: Check, lab: Lab) -> Iterable[Deviation]:
    """Losses and final variables of each engine, in the order of :data:`ENGINES`."""
    from bench.nets import session

    cell = cell_of(check)
    order = batch_order(
        check.seed, examples=len(lab.data.train_labels), batch=cell.batch, steps=STEPS
    )
    truths, draws = references(cell, check.seed, lab, order)
    names = list(truths[0])
    engines = [name for name in ENGINES if name != "session" or session.supports(cell)]
    level = montecarlo.FALSE_ALARM / (len(engines) * len(names))
    before: dict[bytes, str] = {}
    for engine in engines:
        found = [lab.seen(array) for array in trained(cell, engine, check.seed, lab, order)]
        bits = b"".join(array.tobytes() for array in found)
        if bits in before:
            evidence = f"bit for bit that of {before[bits]}"
            yield Deviation(tensor=f"{engine}, all", excess=0.0, evidence=evidence)
            continue
        before[bits] = engine
        compared = [
            [
                montecarlo.spread(
                    f"{engine}, {name}",
                    array,
                    truth[name],
                    [draw[name] for draw in draws],
                    exact=truths[0][name],
                    level=level,
                )
                for name, array in zip(names, found, strict=True)
            ]
            for truth in truths
        ]
        yield from min(compared, key=_worst)


def _worst(deviations: Sequence[Deviation]) -> float:
    return max(each.used for each in deviations)


def trained(
    cell: Cell, engine: str, seed: int, lab: Lab, order: npt.NDArray[np.int32]
) -> list[npt.NDArray[Any]]:
    """Losses of the steps, then the trainable variables, then the others after the last step."""
    from bench.nets import session
    from bench.nets.engines import engine as engine_of
    from bench.nets.images import pixel_scale
    from bench.nets.network import build
    from bench.nets.optimizers import loss, optimizer

    if engine == "session":
        inputs, labels = _examples(cell, lab, order)
        losses, variables = session.train(cell, seed, inputs=inputs, labels=labels)
        return [losses.astype(np.float32), *variables]
    named = msgspec.structs.replace(cell, engine=engine)
    network = build(named)
    network.reset(named, seed)
    made = optimizer(named, network.model.trainable_variables)
    steps = engine_of(network, made, loss(named), lab.images)
    losses, _ = steps.train(order, pixel_scale(named))
    model = network.model
    kept = [*model.trainable_variables, *_statistics(model)]
    return [losses, *(np.asarray(variable.numpy()) for variable in kept)]


def _statistics(model: Any) -> Sequence[Any]:
    """Moving means and variances, without what Keras keeps of random seeds."""
    return [variable for variable in model.non_trainable_variables if len(variable.shape) == 1]


def _examples(
    cell: Cell, lab: Lab, order: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int32]]:
    """Each step's images, (steps, batch, 784) as :func:`bench.nets.images.scaled` makes them, and their
    labels, (steps, batch)."""
    dtype: Any = np.float64 if cell.precision == "float64" else np.float32
    images = lab.data.train_images[order].reshape(*order.shape, 784).astype(dtype)
    return images * dtype(cell.input_scale / 255), lab.data.train_labels[order].astype(np.int32)


def references(
    cell: Cell, seed: int, lab: Lab, order: npt.NDArray[np.int32]
) -> tuple[list[dict[str, Array]], list[dict[str, Array]]]:
    """The oracle's losses and final variables by name: for each of :data:`ROUNDED` without any other
    rounding, and for the first with drawn roundings."""
    form = lab.form(cell.precision)
    inputs, labels = _examples(cell, lab, order)
    shape = (-1, *IMAGE) if cell.architecture in CONVOLUTIONAL else (-1, inputs.shape[-1])
    wide = [images.reshape(shape).astype(np.float64) for images in inputs]
    batches = list(zip(wide, labels, strict=True))
    ways = ROUNDED if cell.optimizer == "adam" else ROUNDED[:1]
    exact = [_steps(cell, seed, batches, None, form, way) for way in ways]
    generators = np.random.SeedSequence(seed).spawn(DRAWS)
    return exact, [
        _steps(cell, seed, batches, np.random.default_rng(each), form) for each in generators
    ]


def _steps(
    cell: Cell,
    seed: int,
    batches: Sequence[tuple[Array, npt.NDArray[Any]]],
    draws: np.random.Generator | None,
    form: Format,
    way: str = ROUNDED[0],
) -> dict[str, Array]:
    def kind(array: Array) -> Any:
        return array if draws is None else Stochastic(array, draws, form)

    oracle = Oracle(msgspec.structs.replace(cell, engine="in_graph"))
    optimizer = _optimizer(cell, way, 1)
    variables: Sequence[Any] = [kind(value) for value in oracle.initial(seed)]
    moving: Sequence[Any] = [kind(value) for value in oracle.initial_moving()]
    state = optimizer.start(variables)
    losses = []
    for number, (inputs, labels) in enumerate(batches, start=1):
        optimizer = _optimizer(cell, way, number)
        given = kind(inputs)
        tensors = oracle.forward(variables, given)
        losses.append(_plain(oracle.loss(tensors[LOGITS], labels)))
        found = oracle.backward(variables, given, tensors, labels)
        moving = oracle.moved(moving, given, tensors)
        gradients = [found[name] for name in oracle.parameters]
        variables, state = optimizer.step(variables, gradients, state)
    names = [*oracle.parameters, *oracle.moving]
    values = map(_plain, [*variables, *moving])
    return {"losses": np.array(losses), **dict(zip(names, values, strict=True))}


def _optimizer(cell: Cell, way: str, step: int) -> Optimizer:
    """The cell's optimizer, with its constants rounded in a way of :data:`ROUNDED`."""
    made = for_cell(cell)
    if way == "nowhere":
        return made
    constants = dict(made.constants)
    dtype = np.float64 if cell.precision == "float64" else np.float32
    rounded = {key: float(dtype(constants[key])) for key in ("beta_1", "beta_2")}
    if way == "everywhere":
        return Optimizer(made.name, {**constants, **rounded}, keras=made.keras)
    factor = _correction(rounded, step) / _correction(constants, step)
    rate = constants["learning_rate"] * factor
    return Optimizer(made.name, {**constants, "learning_rate": rate}, keras=made.keras)


def _correction(constants: Mapping[str, Any], step: int) -> float:
    """sqrt(1 - beta_2^t) / (1 - beta_1^t): Kingma and Ba 2015, section 2."""
    first, second = 1 - constants["beta_1"] ** step, 1 - constants["beta_2"] ** step
    return math.sqrt(second) / float(first)


def _plain(array: Any) -> Array:
    return np.asarray(array.value if isinstance(array, Stochastic) else array)
