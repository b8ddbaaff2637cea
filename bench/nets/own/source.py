"""The user's function, and the model that it builds."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from bench.results.own_model import DEFAULT_RATE, DefaultLoss

keras = tf.keras


class UnusableError(Exception):
    """The model, or what was given with it, cannot be used: the user's mistake, in one line."""


def build(path: Path, function: str, seed: int) -> Any:
    """The model, with names and random numbers as in a new process.

    Raises:
        UnusableError: there is no such function, or it gives something else than a model.
        Exception: whatever the user's code raises.
    """
    made = _function(path, function)
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    model = made()
    if not isinstance(model, keras.Model):
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        raise UnusableError(f"{path}: {function}() gives a {kind}, and no tf.keras.Model")
    if is_compiled(model):
        _every_step(model)
    return model


def compile_with(model: Any, losses: Mapping[str, DefaultLoss]) -> None:
    """Compiles a model that its function did not compile."""
    made = [getattr(keras.losses, loss.name)(**_arguments(loss)) for loss in losses.values()]
    metrics = [_METRICS.get(loss.name) for loss in losses.values()]
    several = len(made) > 1
    chosen: Any = [[metric] if metric else [] for metric in metrics]
    if not several:
        chosen = chosen[0]
    model.compile(
        optimizer=keras.optimizers.SGD(DEFAULT_RATE),
        loss=made if several else made[0],
        metrics=chosen,
    )


_METRICS = {"SparseCategoricalCrossentropy": "accuracy", "CategoricalCrossentropy": "accuracy"}


def _arguments(loss: DefaultLoss) -> dict[str, bool]:
    return {} if loss.name == "MeanSquaredError" else {"from_logits": loss.from_logits}


def is_compiled(model: Any) -> bool:
    """Whether its function compiled it."""
    return getattr(model, "optimizer", None) is not None


def trains_itself(model: Any) -> bool:
    """Whether the model has a training step of its own, so that its loss is nobody else's affair."""
    return type(model).train_step is not keras.Model.train_step


def _every_step(model: Any) -> None:
    """Callbacks are to see every step, however many a model is compiled to execute at once."""
    hidden = getattr(model, "_steps_per_execution", None)
    if hidden is not None and hasattr(hidden, "assign"):
        hidden.assign(1)
    elif hasattr(model, "steps_per_execution"):
        model.steps_per_execution = 1


def sublayers(model: Any) -> Iterator[tuple[str, Any]]:
    """Layers by their path, ``block/dense``, outer ones first; the cells of recurrent layers, whose
    steps nobody sees one by one, are left out."""
    yield from _below(model, "")


def _below(layer: Any, path: str) -> Iterator[tuple[str, Any]]:
    for inner in layer._flatten_layers(recursive=False, include_self=False):
        if isinstance(inner, keras.layers.InputLayer):
            continue
        name = f"{path}/{inner.name}".lstrip("/")
        yield name, inner
        if not isinstance(inner, keras.layers.RNN):
            yield from _below(inner, name)


def _function(path: Path, function: str) -> Any:
    module = _module(path)
    found = getattr(module, function, None)
    if found is None:
        raise UnusableError(f"{path}: has no function {function}")
    if not callable(found):
        raise UnusableError(f"{path}: {function} is no function")
    return found


def _module(path: Path) -> Any:
    """The file as a module; imported once, its folder first among those that imports search."""
    name = f"own_model_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UnusableError(f"{path}: is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
