"""Growth: what is done again and again traces nothing anew and leaves nothing behind.

A count of graphs traced, objects held, or bytes allocated that grows with every repetition is a leak
whatever the machine; :mod:`bench.checks.contracts.memory` counts them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import BATCH, FEATURES, OUTPUTS, SAMPLES, data
from bench.checks.contracts.memory import (
    REPETITIONS,
    WARMING,
    Held,
    allowed,
    counting,
    growth,
    repeated,
)
from bench.checks.lab import Lab
from bench.results.check import Deviation

catalogue = Catalogue("growth")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

#: Units of the layer before the last one, and of one whose weights take so many bytes more.
UNITS, MORE = 8, 2**22
MORE_UNITS = UNITS + MORE // 4 // (FEATURES + 1 + OUTPUTS)


def model(calls: list[None], units: int = UNITS, **compilation: Any) -> Any:
    """A compiled model whose first layer notes each call of its Python code: one per trace, where
    steps run in graphs."""
    from bench.nets.api import keras

    class Notes(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            calls.append(None)
            return inputs * 2.0

    inputs = keras.Input((FEATURES,))
    hidden = keras.layers.Dense(units, activation="relu")(Notes()(inputs))
    made = keras.Model(inputs, keras.layers.Dense(OUTPUTS)(hidden))
    made.compile(
        **{"optimizer": keras.optimizers.Adam(), "loss": "mse", "metrics": ["mae"], **compilation}
    )
    return made


def _bytes(found: Sequence[Held]) -> Deviation:
    grown = growth([each.allocated for each in found])
    limit = allowed(len(found) - 1)
    return Deviation(
        tensor="bytes held",
        excess=grown / limit,
        evidence=f"{grown:.0f} more each time, expected none, but for {limit:.0f} of caches",
    )


def _none(lab: Lab, what: str, grown: float) -> Deviation:
    return Deviation(
        tensor=what,
        excess=None if lab.seen(grown) else 0.0,
        evidence=f"{grown:g} more each time, expected none",
    )


def _objects(lab: Lab, found: Sequence[Held], what: str) -> Deviation:
    return _none(lab, f"{what} held", growth([getattr(each, what) for each in found]))


# --- One model, used again


def _used(
    subject: str,
    thing: str,
    use: Callable[[Any, Any, Any], object],
) -> None:
    @contract(
        subject,
        thing=f"keras.Model.{thing}",
        truth="Called again with equal shapes, it traces nothing anew and leaves neither objects nor"
        " memory behind.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        x, y = data(SAMPLES)
        calls: list[None] = []
        subject = model(calls)
        for _ in range(WARMING):
            use(subject, x, y)
        before = len(calls)
        found = repeated(lambda: use(subject, x, y))
        if thing != "__call__":
            yield _none(lab, "traces", (len(calls) - before) / (WARMING + REPETITIONS))
        yield _objects(lab, found, "objects")
        yield _bytes(found)


_quiet: dict[str, Any] = {"batch_size": BATCH, "verbose": 0}
_used("fit", "fit", lambda m, x, y: m.fit(x, y, **_quiet))
_used("evaluate", "evaluate", lambda m, x, y: m.evaluate(x, y, **_quiet))
_used("predict", "predict", lambda m, x, _: m.predict(x, **_quiet))
_used("train_on_batch", "train_on_batch", lambda m, x, y: m.train_on_batch(x, y))
_used("test_on_batch", "test_on_batch", lambda m, x, y: m.test_on_batch(x, y))
_used("predict_on_batch", "predict_on_batch", lambda m, x, _: m.predict_on_batch(x))
_used("call", "__call__", lambda m, x, _: m(x))


def _epochs(name: str, **compilation: Any) -> None:
    @contract(
        f"fit-epochs{name}",
        thing="keras.Model.fit",
        truth="An epoch with its validation traces nothing anew after the first, and leaves neither"
        " objects nor memory behind.",
    )
    def _(lab: Lab) -> Iterator[Deviation]:
        from bench.nets.api import keras

        x, y = data(SAMPLES)
        calls: list[None] = []
        found: list[Held] = []
        traced: list[int] = []
        subject = model(calls, **compilation)
        with counting() as held:

            def note(epoch: int, _: object) -> None:
                if epoch >= WARMING - 1:
                    found.append(held())
                    traced.append(len(calls))

            subject.fit(
                *(x, y),
                validation_data=(x, y),
                epochs=WARMING + REPETITIONS,
                callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=note)],
                **_quiet,
            )
        if not compilation:
            yield _none(lab, "traces", growth(traced))
        yield _objects(lab, found, "objects")
        yield _bytes(found)


_epochs("")
_epochs("-run_eagerly", run_eagerly=True)


# --- Many models, one after another


def _afterwards(step: Callable[[], object]) -> Callable[[], None]:
    """The step, and then what Keras documents for whoever makes many models."""
    from bench.nets.api import keras

    def both() -> None:
        step()
        keras.backend.clear_session()

    return both


@contract(
    "models-built",
    thing="keras.backend.clear_session",
    truth="Models that are built and called, and deleted before clear_session, leave nothing behind.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    x, _ = data(BATCH)
    found = repeated(_afterwards(lambda: model([])(x)))
    yield _objects(lab, found, "objects")
    yield _bytes(found)


@contract(
    "models-loaded",
    thing="keras.models.load_model",
    truth="Models that are loaded, and deleted before clear_session, leave nothing behind.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import keras

    inputs = keras.Input((FEATURES,))
    saved = keras.Model(inputs, keras.layers.Dense(OUTPUTS)(inputs))
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.keras")
        saved.save(path)
        found = repeated(_afterwards(lambda: keras.models.load_model(path)))
    yield _objects(lab, found, "objects")
    yield _bytes(found)


def _trained(units: int = UNITS, models: int = 3) -> list[Held]:
    """Each model takes most of a second, so there are few."""
    x, y = data(BATCH)
    step = _afterwards(lambda: model([], units).fit(x, y, **_quiet))
    return repeated(step, models, warming=1)


@contract(
    "models-trained",
    thing="keras.Model.fit",
    truth="Models that are trained, and deleted before clear_session, leave no layer, optimizer,"
    " variable or array behind.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    yield _objects(lab, _trained(), "parts")


@contract(
    "models-trained-graphs",
    thing="tf.function",
    truth="Models that are trained, and deleted before clear_session, leave no graph behind, nor its"
    " memory.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    found = _trained()
    yield _objects(lab, found, "graphs")
    yield _bytes(found)


@contract(
    "models-trained-sizes",
    thing="keras.Model.fit",
    truth="What models leave behind that are trained and deleted holds none of their weights.",
    tier="standard",
)
def _(lab: Lab) -> Iterator[Deviation]:
    del lab  # bytes are no result that two versions have in common
    small, large = (
        growth([each.allocated for each in _trained(units, REPETITIONS)])
        for units in (UNITS, MORE_UNITS)
    )
    grown = large - small
    yield Deviation(
        tensor="bytes of weights held",
        excess=max(grown, 0.0) / (MORE / 2),  # halfway between no copy and one
        evidence=f"{grown:.0f} more each time, of weights that take {MORE}",
    )
