"""Contracts of layers and sequences hold, and planted faults show."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bench.checks.contracts import convolutions, layered, layers, sequences
from tests.checks.contracts.judging import LAB, judged, sound

keras = tf.keras
BOTH = [
    (family, subject) for family in (layers, convolutions, sequences) for subject in sound(family)
]

#: Class and a subject that must see it.
SEEN = {
    "Dense": (layers, "dense-rank:3"),
    "EinsumDense": (layers, "einsum_dense-abc.cde.abde"),
    "Conv1D": (convolutions, "conv1d-causal"),
    "Conv2D": (convolutions, "conv2d-strides:2"),
    "Conv3D": (convolutions, "conv3d-same"),
    "DepthwiseConv2D": (convolutions, "depthwise_conv2d-same-strides:2"),
    "SeparableConv1D": (convolutions, "separable_conv1d-valid-strides:1"),
    "Conv2DTranspose": (convolutions, "conv2d_transpose-same-strides:2"),
    "MaxPooling2D": (convolutions, "max_pool2d-same"),
    "AveragePooling1D": (convolutions, "average_pool1d-same"),
    "LayerNormalization": (layers, "layer_norm-epsilon:1e-6"),
    "GroupNormalization": (layers, "group_norm"),
    "UnitNormalization": (layers, "unit_norm-axis:1.2"),
    "PReLU": (layers, "prelu-shared_axes:1"),
    "Embedding": (sequences, "embedding"),
    "SimpleRNN": (sequences, "simple_rnn-sequence"),
    "LSTM": (sequences, "lstm-mask"),
    "GRU": (sequences, "gru-state"),
    "Bidirectional": (sequences, "bidirectional-lstm"),
    "MultiHeadAttention": (sequences, "attention-causal"),
}
SLIGHTLY = 1.0 + 1e-4


@pytest.mark.parametrize(("family", "subject"), BOTH, ids=[subject for _, subject in BOTH])
def test_keras_holds(family: Any, subject: str) -> None:
    found = judged(family, subject)
    assert not found.fails, found.reason


@tf.custom_gradient
def _steeper(x: Any) -> Any:
    return tf.identity(x), lambda g: g * SLIGHTLY


@pytest.mark.parametrize("fault", [lambda x: x * SLIGHTLY, _steeper], ids=["outputs", "gradients"])
@pytest.mark.parametrize("name", SEEN)
def test_one_part_in_ten_thousand_shows(
    name: str, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    family, subject = SEEN[name]
    if fault is _steeper and subject == "gru-state":
        pytest.skip("a contract of outputs alone")
    original = getattr(keras.layers, name).call

    @functools.wraps(original)
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        returned = original(self, *arguments, **options)
        if isinstance(returned, (list, tuple)):
            return type(returned)([fault(returned[0]), *returned[1:]])
        return fault(returned)

    monkeypatch.setattr(getattr(keras.layers, name), "call", call)
    assert judged(family, subject).fails


def test_a_kernel_for_each_sample_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow's own product of a batch by a matrix takes one in its gradient."""

    def call(self: Any, inputs: Any, training: Any = None) -> Any:
        copies = tf.tile(tf.convert_to_tensor(self.kernel)[None], [inputs.shape[0], 1, 1])
        return tf.linalg.matmul(inputs, copies if len(inputs.shape) == 3 else self.kernel)

    monkeypatch.setattr(keras.layers.Dense, "call", call)
    found = judged(layers, "dense-gradient-memory")
    assert found.fails
    assert "rank 3" in found.reason


def test_masks_that_are_dropped_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.layers.Embedding, "compute_mask", lambda *_, **__: None)
    assert judged(sequences, "embedding-mask-reaches:lstm").fails
    assert judged(sequences, "attention-mask-from:embedding").fails


def test_integers_get_no_gradient() -> None:
    indices = np.array([[0, 1]], np.int32)
    layer = keras.layers.Embedding(3, 2)
    names = [
        one.tensor
        for one in layered.compared(LAB, layer, "test", [indices], lambda _, w: w[0][indices])
    ]
    assert names == ["outputs", "gradient of weight 0"]
