"""Faults of contracts on calls, and of the families of layers that follow from few formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tests.checks.contracts.planting import (
    Fault,
    in_,
    method,
    of_thing,
    options,
    result,
    setter,
    without,
)

keras = tf.keras
_LAYERS, _MODEL, _UTILS = keras.layers, keras.Model, keras.utils


def _training(original: Any, self: Any, *arguments: Any, **given: Any) -> Any:
    """Called as in training, whatever it is told."""
    return original(self, *arguments, **{**given, "training": True})


def _shown(original: Any, self: Any, current: Any, values: Any = None, **given: Any) -> Any:
    """Numbers a hundredth too large."""
    more = [(name, value * 1.01) for name, value in values or ()]
    return original(self, current, more, **given)


def _compiled_loss(original: Any, self: Any, *arguments: Any, **given: Any) -> Any:
    """Fits with the loss that was compiled."""
    own, type(self).compute_loss = type(self).compute_loss, _MODEL.compute_loss
    try:
        return original(self, *arguments, **given)
    finally:
        type(self).compute_loss = own


def _late(original: Any, data: Any, *arguments: Any, **given: Any) -> Any:
    """Of the data from the second on."""
    return original(data[1:], *arguments, **given)


def _squared(original: Any, self: Any, inputs: Any, **given: Any) -> Any:
    """NaN where the square of an input is beyond its format."""
    return original(self, inputs, **given) + tf.square(inputs) * 0.0


FAULTS = (
    Fault(
        ("calls:training-*",),
        "always training",
        in_(_MODEL, method, "__call__", _training),
    ),
    Fault(("calls:trainable-false",), "set in vain", in_(_LAYERS.Layer, setter, "trainable")),
    Fault(
        ("calls:losses-added",),
        "kept from call to call",
        in_(_LAYERS.Layer, method, "_clear_losses", lambda *_, **__: None),
    ),
    Fault(("calls:inputs-optional",), "off by 1e-4", in_(_LAYERS.Dense, result, "call")),
    Fault(("calls:compute_loss",), "ignored", in_(_MODEL, method, "fit", _compiled_loss)),
    Fault(
        ("calls:clone_model",),
        "no clone",
        in_(keras.models, method, "clone_model", lambda _, model: model),
    ),
    Fault(("feeding:py_dataset-epochs",), "one epoch more", in_(_MODEL, options, "fit", epochs=4)),
    Fault(("monitors:progress-bar",), "off by 1 %", in_(_UTILS.Progbar, method, "update", _shown)),
    Fault(
        ("merging:mask-*",),
        "turned round",
        of_thing(result, "compute_mask", lambda mask: mask if mask is None else mask[:, ::-1]),
    ),
    Fault(("merging:*",), "off by 1e-4", of_thing(result, "call")),
    Fault(
        ("recurrence:zero_output_for_mask",),
        "ignored",
        in_(_LAYERS.RNN, without, "__init__", "zero_output_for_mask"),
    ),
    Fault(("recurrence:cells-stacked",), "off by 1e-4", in_(_LAYERS.GRUCell, result, "call")),
    Fault(("recurrence:cell-own",), "off by 1e-4", of_thing(result, "call")),
    Fault(
        ("recurrence:dropout-inference",),
        "dropped all the same",
        in_(_LAYERS.LSTMCell, method, "call", _training),
    ),
    Fault(
        ("recurrence:dropout",),
        "off by 1e-4",
        in_(_LAYERS.SimpleRNNCell, result, "get_dropout_mask"),
    ),
    Fault(
        ("recurrence:recurrent_dropout",),
        "off by 1e-4",
        in_(_LAYERS.SimpleRNNCell, result, "get_recurrent_dropout_mask"),
    ),
    Fault(("recurrence:*",), "off by 1e-4", of_thing(result, "call")),
    Fault(("sequences:attention-axes",), "off by 1e-4", of_thing(result, "call")),
    Fault(("masks:attention-additive",), "mask ignored", of_thing(without, "call", "mask")),
    Fault(
        ("layers:dense-second_gradient", "layers:dense-jacobian"),
        "off by 1e-4",
        in_(_LAYERS.Dense, result, "call"),
    ),
    Fault(("shapes:*",), "one sample for another", of_thing(result, "call", lambda x: x[::-1])),
    Fault(
        ("functions:relu-options", "functions:layers-slopes"),
        "off by 1e-4",
        of_thing(result, "call"),
    ),
    Fault(
        ("functions:*",),
        "off by 1e-4",
        lambda thing: result(keras.activations, thing.rpartition(".")[2]),
    ),
    Fault(
        ("utilities:timeseries_dataset",),
        "a step late",
        in_(_UTILS, method, "timeseries_dataset_from_array", _late),
    ),
    Fault(
        ("utilities:split_dataset",),
        "parts exchanged",
        in_(_UTILS, method, "split_dataset", lambda original, *a, **g: original(*a, **g)[::-1]),
    ),
    Fault(
        ("utilities:image_dataset",),
        "another order",
        in_(_UTILS, options, "image_dataset_from_directory", shuffle=True),
    ),
    Fault(
        ("utilities:*",),
        "the last sample for the first",
        lambda thing: result(_UTILS, thing.rpartition(".")[2], lambda x: np.asarray(x)[::-1]),
    ),
    Fault(
        ("mixed:types", "mixed:global"),
        "float32 is returned",
        in_(_LAYERS.Dense, result, "call", lambda x: tf.cast(x, tf.float32)),
    ),
    Fault(("mixed:range-*",), "squares in float16", of_thing(method, "call", _squared)),
)
