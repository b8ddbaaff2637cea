"""Faults of contracts on arguments: what configurations tell, fits, masks, activations and images."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tests.checks.contracts.planting import (
    Fault,
    configured,
    in_,
    method,
    of_thing,
    options,
    result,
    without,
)

keras = tf.keras
_LAYERS, _MODEL = keras.layers, keras.Model
_BACKUP = keras.callbacks.BackupAndRestore


def _lost(original: Any, self: Any) -> Any:
    """A configuration without the last argument that its class has of its own."""
    config = original(self)
    for key in ("padding", "noise_shape", "sparse", "seed", "data_format"):
        config.pop(key, None)
    return config


def _one_weight(original: Any, *arguments: Any, **given: Any) -> Any:
    """Weights of classes are dropped where there are those of samples."""
    if "sample_weight" in given or len(arguments) == 2:
        given.pop("class_weight", None)
    return original(*arguments, **given)


def _moving(original: Any, self: Any, *arguments: Any, **given: Any) -> Any:
    """Evaluates, and moves a bias."""
    self.layers[-1].bias.assign_add([1e-3, 0.0])
    return original(self, *arguments, **given)


def _every(original: Any, self: Any, *arguments: Any, **given: Any) -> Any:
    """Attends to everything."""
    for name in ("use_causal_mask", "value_mask", "key_mask"):
        given.pop(name, None)
    return original(self, *arguments, **given)


def _unlike(original: Any, *arguments: Any, **given: Any) -> Any:
    """A word is another one in what was saved."""
    loaded = original(*arguments, **given)
    layer = loaded.layers[-1]
    words = layer.get_vocabulary()[1:]
    layer.set_vocabulary([words[1], words[0], *words[2:]])
    return loaded


FAULTS = (
    Fault(("settings:told-metrics",), "a threshold is lost", of_thing(configured, axis=-1)),
    Fault(
        ("settings:told-recurrent", "settings:told-normalization", "settings:told-dropping"),
        "another value",
        of_thing(configured, dropout=0.5, axis=-1, rate=0.5),
    ),
    Fault(
        ("settings:told-random", "settings:told-shaping", "settings:told-encoding"),
        "another value",
        of_thing(configured, mode="horizontal", height=4, num_tokens=5),
    ),
    Fault(
        ("settings:told-attention",),
        "another value",
        of_thing(configured, value_dim=3),
    ),
    Fault(("settings:told-*",), "an argument is lost", of_thing(method, "get_config", _lost)),
    Fault(
        ("settings:defaults-*",),
        "another default",
        of_thing(
            configured,
            learning_rate=0.1,
            momentum=0.9,
            fill_mode="constant",
            num_thresholds=100,
            label_smoothing=0.1,
        ),
    ),
    Fault(("fitting:weights-both",), "some are dropped", in_(_MODEL, method, "fit", _one_weight)),
    Fault(
        ("fitting:weights-validation_split",),
        "weights ignored",
        in_(_MODEL, without, "fit", "sample_weight"),
    ),
    Fault(
        ("fitting:validation_batch_size",),
        "ignored",
        in_(_MODEL, without, "fit", "validation_batch_size"),
    ),
    Fault(
        ("fitting:validation-leaves_training",),
        "trains on what is held back",
        in_(
            _MODEL,
            method,
            "evaluate",
            _moving,
        ),
    ),
    Fault(
        ("fitting:batch_size-default",),
        "twice as large",
        in_(
            _MODEL, method, "fit", lambda original, *a, **k: original(*a, **{"batch_size": 64, **k})
        ),
    ),
    Fault(
        ("fitting:loss_weights-one_output",),
        "ignored",
        in_(_MODEL, without, "compile", "loss_weights"),
    ),
    Fault(
        ("fitting:loss-function_of_own",),
        "weights ignored",
        in_(_MODEL, without, "fit", "sample_weight"),
    ),
    Fault(
        ("fitting:backup-delete_checkpoint",),
        "deleted in any case",
        in_(_BACKUP, method, "__init__", lambda original, self, path, **_: original(self, path)),
    ),
    Fault(
        ("fitting:backup-continued",),
        "the optimizer begins anew",
        in_(keras.optimizers.Optimizer, method, "load_own_variables", lambda *_: None),
    ),
    Fault(
        ("monitors:reduce_lr_on_plateau-min_delta",),
        "ignored",
        of_thing(options, min_delta=0.0),
    ),
    Fault(
        ("recurrence:conv_lstm-dropout", "recurrence:conv_lstm-recurrent_dropout"),
        "ignored",
        in_(_LAYERS, options, "ConvLSTM2D", dropout=0.0, recurrent_dropout=0.0),
    ),
    Fault(
        ("recurrence:bidirectional-backward_layer",),
        "off by 1e-4",
        of_thing(result, "call"),
    ),
    Fault(
        ("masks:attention-causal-scores", "masks:attention-masks_of_parts"),
        "masks ignored",
        of_thing(method, "call", _every),
    ),
    Fault(
        ("masks:mask-explicit",),
        "ignored",
        in_(_LAYERS.GlobalAveragePooling1D, without, "call", "mask"),
    ),
    Fault(
        (
            *("functions:elu-alpha", "functions:leaky_relu*", "functions:hard_shrink-threshold"),
            *("functions:soft_shrink-threshold", "functions:threshold", "functions:squareplus-b"),
            "functions:glu",
        ),
        "off by 1e-4",
        lambda thing: result(keras.activations, thing.rpartition(".")[2]),
    ),
    Fault(("shapes:random_brightness",), "off by 1e-4", of_thing(result, "call")),
    Fault(
        ("shapes:random_*",),
        "the other way",
        of_thing(result, "call", lambda x: x[:, ::-1]),
    ),
    Fault(
        ("preprocessing:lookup-options",),
        "turned round",
        of_thing(result, "call", lambda x: x[::-1, ::-1]),
    ),
    Fault(("saving:vocabulary-*",), "two words", in_(keras.models, method, "load_model", _unlike)),
    Fault(
        ("utilities:timeseries_dataset-range",),
        "one step later",
        in_(
            keras.utils,
            options,
            "timeseries_dataset_from_array",
            start_index=lambda index: index + 1,
        ),
    ),
    Fault(
        ("schedules:apply",),
        "never counted",
        in_(
            keras.optimizers.schedules.PiecewiseConstantDecay,
            method,
            "__call__",
            lambda original, self, step: original(self, step * 0 + np.float32(0)),
        ),
    ),
)
