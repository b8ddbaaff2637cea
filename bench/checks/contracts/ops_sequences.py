"""Functions of ``keras.ops`` on segments and sequences: sums by segment, CTC and attention."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from bench.checks.contracts.linear import drawn
from bench.checks.contracts.operation import Call, Operation, call, int32
from bench.checks.contracts.ops_activations import log_softmax, softmax
from bench.checks.contracts.tensors import whole

Array = Any


# --- Segments


def _segmented(fold: Any, nothing: float) -> Callable[..., Array]:
    def truth(data: Array, ids: Array, num_segments: Any = None, **_: Any) -> Array:
        count = ids.max() + 1 if num_segments is None else num_segments
        parts = [data[ids == at] for at in range(count)]
        empty = np.full(data.shape[1:], nothing)
        return np.stack([fold(part, 0) if len(part) else empty for part in parts])

    return truth


def _segments(name: str, fold: Any) -> Iterable[Operation]:
    rows, ids = functools.partial(whole, "rows", 6, 2), int32([0, 2, 1, 2, 0, 1])
    truth = _segmented(fold, 0.0)
    says = f"the {name} of each segment's rows"
    yield Operation(
        f"segment_{name}",
        lambda: [
            call(rows(), ids),
            call(rows(), ids, num_segments=3),
            call(rows()[:, 0].astype(np.int32), ids, num_segments=3),
        ],
        truth,
        says,
        rounds=False,
    )
    yield Operation(
        f"segment_{name}-sorted",
        lambda: [call(rows(), np.sort(ids), sorted=True)],
        truth,
        says,
        rounds=False,
    )
    yield Operation(
        f"segment_{name}-gap",
        lambda: [call(rows(), int32([0, 3, 1, 3, 0, 1]))],
        truth,
        f"{says}, also where a segment is empty",
        rounds=False,
        alike=lambda parts: [part[[0, 1, 3]] for part in parts],
    )


_FOLDS = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min}


# --- Sequences


def _logits(*shape: int) -> Array:
    return drawn("logits", *shape)


def _paths(logs: Array, blank: int) -> dict[tuple[int, ...], float]:
    """The logarithm of the probability of every label: of all paths that merge to it."""
    found: dict[tuple[int, ...], float] = {}
    steps, count = logs.shape
    for path in itertools.product(range(count), repeat=steps):
        merged = tuple(one for one, _ in itertools.groupby(path) if one != blank)
        total = logs[np.arange(steps), path].sum()
        found[merged] = np.logaddexp(found.get(merged, -np.inf), total)
    return found


def _ctc_loss(
    target: Array, output: Array, target_length: Array, output_length: Array, mask_index: int = 0
) -> Array:
    logs = log_softmax(output)
    rows = zip(target, logs, target_length, output_length, strict=True)
    return np.array(
        [-_paths(log[:steps], mask_index)[tuple(row[:size])] for row, log, size, steps in rows]
    )


def _padded(rows: list[tuple[int, ...]], size: int) -> Array:
    return np.array([[*row, *[-1] * (size - len(row))] for row in rows])


def _greedy(
    inputs: Array, lengths: Array, *, merge_repeated: bool = True, mask_index: int = 0, **_: Any
) -> Any:
    rows, scores = [], []
    for x, length in zip(inputs, lengths, strict=True):
        best = x[:length].argmax(-1)
        kept = [key for key, _ in itertools.groupby(best)] if merge_repeated else best
        rows.append(tuple(one for one in kept if one != mask_index))
        scores.append([-x[:length].max(-1).sum()])
    return _padded(rows, inputs.shape[1])[None], np.array(scores)


def _beams(
    inputs: Array, lengths: Array, *, top_paths: int = 1, mask_index: int = 0, **_: Any
) -> Any:
    best = [
        sorted(_paths(x[:length], mask_index).items(), key=lambda one: -one[1])[:top_paths]
        for x, length in zip(log_softmax(inputs), lengths, strict=True)
    ]
    rows = [_padded([one[at][0] for one in best], inputs.shape[1]) for at in range(top_paths)]
    return np.stack(rows), np.array([[score for _, score in one] for one in best])


def _attention(
    query: Array,
    key: Array,
    value: Array,
    bias: Any = None,
    mask: Any = None,
    scale: Any = None,
    *,
    is_causal: bool = False,
) -> Array:
    groups = query.shape[2] // key.shape[2]
    key, value = (np.repeat(x, groups, 2) for x in (key, value))
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    logits = np.einsum("btnh,bsnh->bnts", query, key) * scale + (0.0 if bias is None else bias)
    steps = np.tri(*logits.shape[-2:]) > 0 if is_causal else np.True_
    kept = steps if mask is None else steps & mask
    return np.einsum("bnts,bsnh->btnh", softmax(np.where(kept, logits, -np.inf)), value)


def _attended(subject: str, *settings: Callable[[], dict[str, Any]], heads: int = 2) -> Operation:
    def calls() -> Iterable[Call]:
        query = drawn("query", 2, 3, 2, 4)
        key, value = (drawn(role, 2, 5, heads, 4) for role in ("key", "value"))
        return [call(query, key, value, **options()) for options in settings]

    return Operation(subject, calls, _attention, "softmax(q k / sqrt(d)) v")


def _mask() -> Array:
    """Every query keeps the first key."""
    kept = drawn("mask", 2, 1, 3, 5) > 0
    kept[..., 0] = True
    return kept


_SEQUENCES = (
    Operation(
        "ctc_loss",
        lambda: [
            call(
                int32([[1, 2], [2, 2], [1, 0]]),
                _logits(3, 4, 3),
                int32([2, 2, 1]),
                int32([4, 4, 3]),
            ),
        ],
        _ctc_loss,
        "-log of the probability of all paths that merge to the target",
    ),
    Operation(
        "ctc_decode",
        lambda: [
            call(_logits(3, 5, 3), int32([5, 4, 2])),
            call(_logits(3, 5, 3), int32([5, 4, 2]), merge_repeated=False, mask_index=1),
        ],
        _greedy,
        "the best class of each step, repeats merged and blanks dropped",
    ),
    Operation(
        "ctc_decode-beam_search",
        lambda: [
            call(_logits(2, 4, 3), int32([4, 3]), strategy="beam_search", **options)
            for options in (
                {},
                {"top_paths": 3},
                {"mask_index": 1},
                {"mask_index": 2, "top_paths": 2},
            )
        ],
        _beams,
        "the most probable labels and their probabilities",
    ),
    _attended("dot_product_attention", dict, lambda: {"scale": 0.25}),
    _attended("dot_product_attention-causal", lambda: {"is_causal": True}),
    _attended(
        "dot_product_attention-mask",
        lambda: {"mask": _mask()},
        lambda: {"mask": _mask(), "is_causal": True},
    ),
    _attended("dot_product_attention-bias", lambda: {"bias": drawn("bias", 2, 2, 3, 5)}),
    _attended("dot_product_attention-grouped", dict, heads=1),
)

OPERATIONS = (*itertools.chain(*(_segments(*each) for each in _FOLDS.items())), *_SEQUENCES)
