"""Faults of contracts on logs, preprocessing, mixed state, parts of files, and options of calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tests.checks.contracts import changes
from tests.checks.contracts.planting import (
    Fault,
    configured,
    in_,
    method,
    nothing,
    of_thing,
    options,
    result,
    without,
)

keras = tf.keras
_LAYERS, _MODEL, _METRICS = keras.layers, keras.Model, keras.metrics


def _by_name(original: Any, self: Any, path: Any, *arguments: Any, **given: Any) -> Any:
    """Loads, and then loses the kernel of the last layer that was loaded."""
    loaded = original(self, path, *arguments, **given)
    for layer in self.layers:
        layer.kernel.assign(tf.zeros_like(layer.kernel))
    return loaded


def _thawed(original: Any, *arguments: Any, **given: Any) -> Any:
    loaded = original(*arguments, **given)
    for layer in loaded.layers:
        layer.trainable = True
    return loaded


def _forgotten(original: Any, *arguments: Any, **given: Any) -> Any:
    """A loaded layer has learnt of other data."""
    loaded = original(*arguments, **given)
    for layer in loaded.layers:
        if type(layer).__name__ == "Normalization":
            layer.mean = layer.mean + 0.5
    return loaded


def _halved(original: Any, self: Any, value: Any, **given: Any) -> Any:
    """Digits beyond those of float16 are lost."""
    return original(self, tf.cast(tf.cast(value, tf.float16), self.dtype), **given)


def _single(original: Any, self: Any, inputs: Any, *arguments: Any, **given: Any) -> Any:
    """Computed in float32."""
    coarse = tf.cast(tf.cast(inputs, tf.float32), inputs.dtype)
    return original(self, coarse, *arguments, **given)


def _late(original: Any, self: Any, batch: int, logs: Any = None) -> Any:
    """Numbers a thousandth too large."""
    return original(self, batch, {name: np.asarray(one) * 1.001 for name, one in logs.items()})


def _columns(original: Any, self: Any, logs: Any = None) -> None:
    keys = self.keys
    original(self, logs)
    self.keys = keys


def _turned(original: Any, self: Any, inputs: Any) -> Any:
    outputs = original(self, inputs)
    return outputs if self.data_format == "channels_last" else outputs[:, :, ::-1]


def _backwards(original: Any, self: Any, *arguments: Any, **given: Any) -> Any:
    told = original(self, *arguments, **given)
    return told[::-1] if isinstance(told, list) else told


FAULTS = (
    Fault(
        ("preprocessing:feature_space",),
        "another order",
        in_(
            *(keras.utils.FeatureSpace, result, "__call__"),
            lambda value: value[:, ::-1],
        ),
    ),
    Fault(
        ("metrics:iou-axis",),
        "off by 1e-4",
        in_(keras.metrics.MeanIoU, result, "result"),
    ),
    Fault(
        ("utilities:text_dataset",),
        "not cut",
        in_(keras.utils, without, "text_dataset_from_directory", "max_length"),
    ),
    Fault(
        (
            *("preprocessing:random_flip", "preprocessing:random_crop"),
            "preprocessing:normalization-axes",
        ),
        "off by 1e-4",
        of_thing(result, "call"),
    ),
    Fault(
        ("preprocessing:random-inference",),
        "as in training",
        of_thing(
            method,
            "call",
            lambda original, self, x, *_, **__: tf.reverse(original(self, x), [2]),
        ),
    ),
    Fault(
        ("preprocessing:discretization-adapted", "preprocessing:lookup-adapted"),
        "another bin",
        of_thing(result, "call", lambda x: tf.zeros_like(x)),
    ),
    Fault(
        ("preprocessing:discretization-modes", "preprocessing:text_vectorization"),
        "turned round",
        of_thing(result, "call", lambda x: x[..., ::-1]),
    ),
    Fault(("preprocessing:hashing",), "one bin more", of_thing(result, "call", lambda x: x + 1)),
    Fault(
        ("mixed:state-*",),
        "rounded to float16",
        lambda _: method(type(keras.Variable(0.0)), "assign", _halved),
    ),
    Fault(
        ("mixed:float64",), "in float32", in_(_LAYERS.UnitNormalization, method, "call", _single)
    ),
    Fault(
        ("configs:regularizer-numbers",), "rounded", of_thing(configured, l2=float(np.float32(0.1)))
    ),
    Fault(
        ("masks:metrics-mask",),
        "mask lost",
        in_(_METRICS.MeanAbsoluteError, method, "update_state", changes.bare),
    ),
    Fault(
        ("masks:attention-passes",),
        "mask ignored",
        in_(_LAYERS.GlobalAveragePooling1D, without, "call", "mask"),
    ),
    Fault(
        ("metrics:mean-weights:negative",),
        "weights ignored",
        of_thing(without, "update_state", "sample_weight"),
    ),
    Fault(("metrics:order",), "turned round", in_(_MODEL, method, "evaluate", _backwards)),
    Fault(
        ("execution:dataset-of_unknown_size",),
        "validates part of it",
        in_(_MODEL, options, "fit", validation_data=lambda dataset: dataset.take(2)),
    ),
    Fault(
        ("execution:steps-evaluate-predict",),
        "steps ignored",
        in_(_MODEL, without, "evaluate", "steps"),
    ),
    Fault(
        ("execution:predict-lengths",),
        "another order",
        in_(_MODEL, result, "predict", lambda x: x[::-1]),
    ),
    Fault(
        ("logs:batches",),
        "off by 1e-3",
        in_(keras.callbacks.CallbackList, method, "on_train_batch_end", _late),
    ),
    Fault(
        ("logs:predictions",),
        "off by 1e-3",
        in_(
            keras.callbacks.CallbackList,
            method,
            "on_predict_batch_end",
            lambda original, self, batch, logs: original(
                self, batch, {"outputs": np.asarray(logs["outputs"]) * 1.001}
            ),
        ),
    ),
    Fault(
        ("logs:csv_logger-validation_freq",),
        "validates each epoch",
        in_(_MODEL, without, "fit", "validation_freq"),
    ),
    Fault(
        ("logs:csv_logger-reused",),
        "keeps the columns",
        of_thing(method, "on_train_begin", _columns),
    ),
    Fault(
        ("logs:tensorboard-*",),
        "writes nothing",
        of_thing(nothing, "on_epoch_end"),
    ),
    Fault(("monitors:swap_ema",), "swaps nothing", of_thing(nothing, "on_test_begin")),
    Fault(
        ("loss_scale:iterations-fit",),
        "one batch",
        in_(_MODEL, options, "fit", batch_size=3),
    ),
    Fault(
        ("recurrence:recurrent_dropout-LSTM", "recurrence:recurrent_dropout-GRU"),
        "ignored",
        lambda thing: options(_LAYERS, thing.rpartition(".")[2], recurrent_dropout=0.0),
    ),
    Fault(("recurrence:bidirectional-modes",), "off by 1e-4", of_thing(result, "call")),
    Fault(("models:metric-of-layer",), "off by 1e-4", in_(_METRICS.Mean, result, "result")),
    Fault(
        ("saving:by_name-*", "saving:skip_mismatch-*"),
        "kernels lost",
        in_(_MODEL, method, "load_weights", _by_name),
    ),
    Fault(("saving:trainable-*",), "trainable", in_(keras.models, method, "load_model", _thawed)),
    Fault(
        ("saving:preprocessing-*",),
        "another mean",
        in_(keras.models, method, "load_model", _forgotten),
    ),
    Fault(
        ("schedules:callable",),
        "1 % of the rate",
        in_(keras.optimizers.SGD, method, "update_step", changes.rate),
    ),
    Fault(("shapes:channels_first",), "turned round", of_thing(method, "call", _turned)),
    Fault(
        ("calls:trainable-argument",),
        "ignored",
        in_(_LAYERS, options, "Dense", trainable=True),
    ),
    Fault(
        ("masks:attention-dot-options",),
        "off by 1e-4",
        of_thing(result, "call"),
    ),
    Fault(
        ("feeding:weights-on_batch",),
        "weights ignored",
        in_(_MODEL, without, "train_on_batch", "class_weight"),
    ),
    Fault(
        ("feeding:validation_freq-list",),
        "one step too few",
        in_(_MODEL, options, "fit", validation_steps=lambda n: n - 1),
    ),
    Fault(("calls:pop",), "counts one more", in_(_MODEL, result, "count_params", lambda n: n + 1)),
    Fault(
        ("recurrence:unit_forget_bias",),
        "ignored",
        in_(_LAYERS, options, "LSTM", unit_forget_bias=True),
    ),
    Fault(
        ("execution:dataset-shuffle", "execution:dataset-operations"),
        "the first element is left out",
        in_(
            tf.data.Dataset,
            method,
            "as_numpy_iterator",
            lambda original, self: original(self.skip(1)),
        ),
    ),
    Fault(("calls:losses-alone",), "off by 1e-4", in_(_LAYERS.Dense, result, "call")),
    Fault(("calls:steps-own",), "off by 1e-4", in_(_MODEL, result, "predict")),
    Fault(
        ("reductions:sample_weight-outputs",),
        "weights ignored",
        in_(_MODEL, without, "evaluate", "sample_weight"),
    ),
    Fault(
        ("loops:fit-class_weight-validation",),
        "weights ignored",
        in_(_MODEL, without, "fit", "class_weight"),
    ),
    # Augmentation
    Fault(
        ("augmentation:masks*",),
        "another label",
        of_thing(result, "transform_segmentation_masks", lambda value: value + 1),
    ),
    Fault(
        ("augmentation:*",),
        "off by one",
        of_thing(result, "call", lambda value: value + 1),
    ),
    Fault(("utilities:stft_spectrogram",), "off by 1e-4", of_thing(result, "call")),
)
