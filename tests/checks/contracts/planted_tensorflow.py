"""Faults of contracts of TensorFlow outside Keras."""

from __future__ import annotations

import itertools
from typing import Any

import tensorflow as tf

from tests.checks.contracts.planting import (
    SLIGHTLY,
    Fault,
    Plant,
    in_,
    method,
    nothing,
    options,
    result,
    without,
)

_Dataset = tf.data.Dataset


def _skipping(owner: Any, name: str) -> Plant:
    """The first element of the data set that a call returns is lost."""
    return in_(owner, method, name, lambda original, *a, **given: original(*a, **given).skip(1))


def _fewer(original: Any, count: Any, *arguments: Any, **given: Any) -> Any:
    return original(tf.maximum(count - 1, 0), *arguments, **given)


def _one_round_less(original: Any, condition: Any, body: Any, start: Any) -> Any:
    return original(condition, body, (start[0] + 1, *start[1:]))


def _compiled(original: Any, *arguments: Any, **given: Any) -> Any:
    """What is compiled is off by a little."""
    function = original(*arguments, **given)
    if not given.get("jit_compile"):
        return function
    return lambda *a: tf.nest.map_structure(lambda value: value * SLIGHTLY, function(*a))


def _alike(_: Any, self: Any, count: int) -> Any:
    """Split generators that draw the same."""
    return [type(self).from_state(self.state.numpy(), self.algorithm) for _ in range(count)]


def _drifting(original: Any, path: str) -> Any:
    loaded = original(path)
    loaded.weights.assign(loaded.weights * SLIGHTLY)
    return loaded


_CALLS = itertools.count()


def _another_seed(original: Any, image: Any, low: float, high: float, seed: Any) -> Any:
    return original(image, low, high, [seed[0], seed[1] + next(_CALLS)])


FAULTS = (
    Fault(("tensors:gather",), "off by 1e-4", in_(tf, result, "gather_nd")),
    Fault(
        ("tensors:scatter_nd",),
        "added up in place of the larger one",
        in_(
            *(tf, method, "tensor_scatter_nd_max"),
            lambda _, *given: tf.tensor_scatter_nd_add(*given),
        ),
    ),
    Fault(
        ("tensors:segments",),
        "a sum in place of a mean",
        in_(
            *(tf.math, method, "unsorted_segment_mean"),
            lambda _, *given: tf.math.unsorted_segment_sum(*given),
        ),
    ),
    Fault(("tensors:slices",), "off by 1e-4", in_(tf.Tensor, result, "__getitem__")),
    Fault(("tensors:sort",), "up only", in_(tf, options, "sort", direction="ASCENDING")),
    Fault(
        ("tensors:unique-where",),
        "the last first",
        in_(tf, method, "boolean_mask", lambda original, *given: original(*given)[::-1]),
    ),
    Fault(
        ("tensors:shapes",),
        "the other way",
        in_(
            *(tf, method, "roll"),
            lambda original, x, shift, axis: original(x, [-by for by in shift], axis),
        ),
    ),
    Fault(("tensors:one_hot",), "the last axis only", in_(tf, options, "one_hot", axis=-1)),
    Fault(("numbers:cumulative",), "forwards only", in_(tf, options, "cumsum", reverse=False)),
    Fault(
        ("numbers:reductions",),
        "the smallest",
        in_(tf, method, "reduce_max", lambda _, *a, **given: tf.reduce_min(*a, **given)),
    ),
    Fault(("numbers:counts",), "left only", in_(tf, options, "searchsorted", side="left")),
    Fault(
        ("numbers:casts",),
        "ties go up",
        in_(tf, method, "round", lambda _, x: tf.floor(x + 0.5)),
    ),
    Fault(
        ("numbers:division",),
        "the dividend's sign",
        in_(tf.math, method, "floormod", lambda _, x, y: tf.truncatemod(x, y)),
    ),
    Fault(("numbers:einsum",), "off by 1e-4", in_(tf, result, "tensordot")),
    Fault(("algebra:solve",), "not transposed", in_(tf.linalg, without, "solve", "adjoint")),
    Fault(
        ("algebra:triangles",),
        "not transposed",
        in_(tf.linalg, without, "triangular_solve", "adjoint"),
    ),
    Fault(("algebra:qr",), "off by 1e-4", in_(tf.linalg, result, "lstsq")),
    Fault(
        ("algebra:svd-eigh",),
        "off by 1 %",
        in_(tf.linalg, result, "eigh", lambda value: value * 1.01),
    ),
    Fault(
        ("algebra:diagonals",), "padded by 0", in_(tf.linalg, without, "diag_part", "padding_value")
    ),
    Fault(("algebra:norms",), "off by 1e-4", in_(tf, result, "norm")),
    Fault(("algebra:fourier",), "off by 1e-4", in_(tf.signal, result, "irfft")),
    Fault(("algebra:frames",), "the end is lost", in_(tf.signal, without, "frame", "pad_end")),
    Fault(
        ("structures:ragged",),
        "filled by 0",
        in_(tf.RaggedTensor, without, "to_tensor", "default_value"),
    ),
    Fault(("structures:sparse",), "off by 1e-4", in_(tf.sparse, result, "reduce_sum")),
    Fault(
        ("structures:embedding_lookup_sparse",),
        "sums for means",
        in_(tf.nn, options, "embedding_lookup_sparse", combiner="sum"),
    ),
    Fault(("structures:strings",), "bytes only", in_(tf.strings, without, "length", "unit")),
    Fault(
        ("structures:lookup",),
        "one more",
        in_(tf.lookup.StaticHashTable, result, "lookup", lambda value: value + 1),
    ),
    Fault(("graphs:autograph",), "one round less", in_(tf, method, "range", _fewer)),
    Fault(("graphs:loop-slope",), "one round less", in_(tf, method, "while_loop", _one_round_less)),
    Fault(("graphs:derivatives",), "off by 1e-4", in_(tf.GradientTape, result, "batch_jacobian")),
    Fault(
        ("graphs:custom_gradient",),
        "off by 1e-4",
        in_(
            *(tf, method, "recompute_grad"),
            lambda original, function: lambda x: original(function)(x) * SLIGHTLY,
        ),
    ),
    Fault(
        ("graphs:variables",),
        "nothing is added",
        lambda _: nothing(type(tf.Variable(0.0)), "scatter_add"),
    ),
    Fault(("graphs:traces",), "no signature", in_(tf, without, "function", "input_signature")),
    Fault(
        ("graphs:python-calls",),
        "the other way",
        in_(
            *(tf, method, "switch_case"),
            lambda original, index, branches: original(index, branches[::-1]),
        ),
    ),
    Fault(("graphs:compiled",), "off by 1e-4", in_(tf, method, "function", _compiled)),
    Fault(
        ("draws:philox",),
        "one more",
        in_(tf.random.Generator, result, "uniform_full_int", lambda value: value + 1),
    ),
    Fault(("draws:generator",), "all the same", in_(tf.random.Generator, method, "split", _alike)),
    Fault(
        ("draws:stateless",),
        "half of the seed",
        in_(
            *(tf.random, method, "stateless_normal"),
            lambda original, shape, seed: original(shape, [0, seed[1]]),
        ),
    ),
    Fault(
        ("draws:distributions",),
        "5 % larger",
        in_(tf.random, result, "stateless_gamma", lambda value: value * 1.05),
    ),
    Fault(("nn:moments",), "off by 1e-4", in_(tf.nn, result, "weighted_moments")),
    Fault(("nn:windows",), "off by 1e-4", in_(tf.nn, result, "avg_pool2d")),
    Fault(
        ("nn:extremes",),
        "by way of exp",
        in_(tf.nn, method, "softplus", lambda _, x: tf.math.log(1.0 + tf.exp(x))),
    ),
    Fault(
        ("nn:decoding",),
        "merged always",
        in_(tf.nn, without, "ctc_greedy_decoder", "merge_repeated"),
    ),
    Fault(("nn:dropout",), "entry by entry", in_(tf.nn, without, "dropout", "noise_shape")),
    Fault(("nn:normalization",), "off by 1e-4", in_(tf.nn, result, "crelu")),
    Fault(
        ("pipelines:batch-short",),
        "short ones stay",
        in_(_Dataset, without, "batch", "drop_remainder"),
    ),
    Fault(
        ("pipelines:map-parallel",),
        "in any order",
        in_(
            *(_Dataset, method, "map"),
            lambda original, *a, **given: original(*a, **given).shuffle(50),
        ),
    ),
    Fault(
        ("pipelines:interleave-order",),
        "blocks of 1",
        in_(_Dataset, without, "interleave", "block_length"),
    ),
    Fault(
        ("pipelines:shuffle-buffer",),
        "a larger buffer",
        in_(
            *(_Dataset, method, "shuffle"),
            lambda original, self, size, **given: original(self, 2 * size, **given),
        ),
    ),
    Fault(
        ("pipelines:padded_batch",),
        "padded by 0",
        in_(_Dataset, without, "padded_batch", "padding_values"),
    ),
    Fault(
        ("pipelines:bucket_by_sequence_length",),
        "to the longest only",
        in_(_Dataset, without, "bucket_by_sequence_length", "pad_to_bucket_boundary"),
    ),
    Fault(
        ("pipelines:ragged_batch",),
        "short rows",
        in_(
            *(_Dataset, method, "ragged_batch"),
            lambda original, self, size: original(self.map(lambda row: row[:1]), size),
        ),
    ),
    Fault(
        ("pipelines:group_by_window",),
        "small windows",
        in_(_Dataset, options, "group_by_window", window_size=1),
    ),
    Fault(
        ("pipelines:choose-sample",),
        "evenly",
        in_(_Dataset, without, "sample_from_datasets", "weights"),
    ),
    Fault(("pipelines:scan-reduce",), "the first is lost", _skipping(_Dataset, "take_while")),
    Fault(("pipelines:zip-enumerate",), "from 0", in_(_Dataset, without, "enumerate", "start")),
    Fault(
        ("pipelines:cardinality",),
        "one more",
        in_(
            tf.data.experimental, method, "assert_cardinality", lambda original, n: original(n + 1)
        ),
    ),
    Fault(
        ("pipelines:in-function",),
        "the first is lost",
        in_(
            *(_Dataset, method, "reduce"),
            lambda original, self, *given: original(self.skip(1), *given),
        ),
    ),
    Fault(("pipelines:ignore_errors",), "the first is lost", _skipping(_Dataset, "ignore_errors")),
    Fault(
        ("records:cache",),
        "computed again",
        in_(_Dataset, method, "cache", lambda _, self, __: self),
    ),
    Fault(("records:save-load",), "the first is lost", _skipping(_Dataset, "load")),
    Fault(("records:iterator-checkpoint",), "not read", in_(tf.train.Checkpoint, nothing, "read")),
    Fault(("records:from_generator",), "the first is lost", _skipping(_Dataset, "from_generator")),
    Fault(("records:tfrecord",), "the first is lost", _skipping(tf.data, "TFRecordDataset")),
    Fault(
        ("records:parse_example",),
        "another default",
        in_(tf.io, options, "FixedLenFeature", default_value=[0.0, 0.0]),
    ),
    Fault(
        ("records:lines-fixed",),
        "the first is lost",
        _skipping(tf.data, "FixedLengthRecordDataset"),
    ),
    Fault(
        ("records:serialize_tensor",),
        "one order of bytes",
        in_(tf.io, without, "decode_raw", "little_endian"),
    ),
    Fault(
        ("records:checkpoint",),
        "one more",
        in_(tf.train, options, "CheckpointManager", max_to_keep=3),
    ),
    Fault(("records:saved_model",), "off by 1e-4", in_(tf.saved_model, method, "load", _drifting)),
    Fault(
        ("records:images",),
        "one more",
        in_(tf.io, method, "encode_png", lambda original, pixels: original(pixels + 1)),
    ),
    Fault(("images:resize",), "not smoothed", in_(tf.image, without, "resize", "antialias")),
    Fault(
        ("images:crop-pad",),
        "upside down",
        in_(tf.image, method, "central_crop", lambda original, *given: original(*given)[:, ::-1]),
    ),
    Fault(("images:colors",), "off by 1e-4", in_(tf.image, result, "adjust_contrast")),
    Fault(
        ("images:standardization",),
        "off by 1e-4",
        in_(tf.image, result, "per_image_standardization"),
    ),
    Fault(("images:comparison",), "off by 1e-4", in_(tf.image, result, "psnr")),
    Fault(
        ("images:boxes",),
        "any score",
        in_(tf.image, without, "non_max_suppression", "score_threshold"),
    ),
    Fault(
        ("images:random",),
        "another seed each time",
        in_(tf.image, method, "stateless_random_contrast", _another_seed),
    ),
)
