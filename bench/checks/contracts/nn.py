"""``tf.nn``: normalization, pooling, losses, decoding and dropout as its functions have them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.contracts.contract import SEED, Catalogue
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.tensors import whole
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("nn")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run


@contract(
    "moments",
    thing="tf.nn.moments",
    truth="Means and variances over any axes, weighted, too; normalized by them, scaled and shifted;"
    " the fused form gives the same, and the variance over n - 1.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = drawn("values", 4, 3, 5, 2)
    bounded, axes = Bounded(x), (0, 1, 2)
    mean = bounded.mean(axes, keepdims=True)
    variance = np.square(bounded - mean).mean(axes, keepdims=True)
    for name, got, truth in zip(
        ("mean", "variance"), tf.nn.moments(x, axes, keepdims=True), (mean, variance), strict=True
    ):
        yield deviation(name, lab.seen(got), truth)
    weights = np.abs(whole("weights", 4, 1, 1, 1)) + np.float32(1.0)
    total = Bounded(np.broadcast_to(weights, x.shape)).sum(axes)
    weighted = (bounded * weights).sum(axes) / total
    got = tf.nn.weighted_moments(x, axes, weights)
    yield deviation("weighted mean", lab.seen(got[0]), weighted)
    # Computed as a mean of squares less the square of the mean, whose roundings are larger.
    squares = (np.square(bounded) * weights).sum(axes) / total
    yield deviation("weighted variance", lab.seen(got[1]), squares - np.square(weighted))
    scale, shift = np.array([2.0, -0.5], np.float32), np.array([1.0, 3.0], np.float32)
    factor = 1.0 / np.sqrt(variance + 0.125) * scale
    normal = bounded * factor + (shift - mean * factor)  # as it is computed
    got = tf.nn.batch_normalization(x, mean.value, variance.value, shift, scale, 0.125)
    yield deviation("normalized", lab.seen(got), normal)
    fused = tf.compat.v1.nn.fused_batch_norm(x, scale, shift, epsilon=0.125)
    yield deviation("fused", lab.seen(fused[0]), normal)
    yield deviation("its mean", lab.seen(fused[1]), mean.reshape(2))
    yield deviation("its variance", lab.seen(fused[2]), variance.reshape(2) * (60 / 59))


@contract(
    "windows",
    thing="tf.nn.max_pool_with_argmax",
    truth="The largest of each window and its place; averages of what lies inside; dilation and"
    " erosion; convolutions with paddings of one's own.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = np.random.default_rng(SEED.get()).permutation(96).reshape(2, 6, 8, 1).astype(np.float32)
    blocks = x.reshape(2, 3, 2, 4, 2).transpose(0, 1, 3, 2, 4).reshape(2, 3, 4, 4)
    places = np.arange(48).reshape(3, 2, 4, 2).transpose(0, 2, 1, 3).reshape(3, 4, 4)
    values, at = tf.nn.max_pool_with_argmax(x, 2, 2, "VALID")
    yield exact("largest", lab.seen(values)[..., 0], blocks.max(-1))
    best = np.take_along_axis(
        np.broadcast_to(places, blocks.shape), blocks.argmax(-1)[..., None], -1
    )
    yield exact("places", lab.seen(at), best)
    average = tf.nn.avg_pool2d(x, 2, 2, "VALID")
    yield exact("averages", lab.seen(average)[..., 0], blocks.mean(-1))
    edges = tf.nn.avg_pool2d(tf.ones([1, 3, 3, 1]), 2, 2, "SAME")
    yield exact("averages at edges", lab.seen(edges), np.ones((1, 2, 2, 1)))
    near = np.pad(x[..., 0], ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    hill = whole("hill", 3, 3)
    shifted = [near[:, r : r + 6, c : c + 8] + hill[r, c] for r in range(3) for c in range(3)]
    options = {"strides": [1, 1, 1, 1], "padding": "SAME", "data_format": "NHWC"}
    grown = tf.nn.dilation2d(x, hill[..., None], **options, dilations=[1, 1, 1, 1])
    yield exact("dilation", lab.seen(grown)[..., 0], np.max(shifted, 0))
    shrunk = tf.nn.erosion2d(-x, hill[::-1, ::-1, None], **options, dilations=[1, 1, 1, 1])
    yield exact("erosion", lab.seen(shrunk)[..., 0], -np.max(shifted, 0))
    kernel = whole("kernel", 2, 2, 1, 1)
    padded = np.pad(x[..., 0], ((0, 0), (2, 0), (1, 3)))
    truth = sum(
        padded[:, r : r + 7, c : c + 11] * kernel[r, c, 0, 0] for r in range(2) for c in range(2)
    )
    got = tf.nn.conv2d(x, kernel, 1, [[0, 0], [2, 0], [1, 3], [0, 0]])
    yield exact("paddings", lab.seen(got)[..., 0], np.asarray(truth))


@contract(
    "extremes",
    thing="tf.reduce_logsumexp",
    truth="Logarithms of sums, softmax, softplus, losses of logits and small differences keep their"
    " digits where exp would overflow or vanish.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    large = np.array([1000.0, 1000.0, -1000.0], np.float32)
    half = np.log(Bounded(np.array(2.0)))
    yield deviation("logsumexp", lab.seen(tf.reduce_logsumexp(large)), half + 1000.0)
    yield deviation("its slope far below", lab.seen(tf.reduce_logsumexp(-large[:2])), half - 1000.0)
    logs = tf.nn.log_softmax(large)
    shifted = Bounded(np.array([0.0, 0.0, -2000.0])) - half
    yield deviation("log_softmax", lab.seen(logs), shifted)
    yield exact("softmax", lab.seen(tf.nn.softmax(large)), [0.5, 0.5, 0.0])
    masked = tf.nn.softmax(np.array([0.0, -np.inf, 0.0, -np.inf], np.float32))
    yield exact("masked", lab.seen(masked), [0.5, 0.0, 0.5, 0.0])
    ends = np.array([200.0, 0.0, -200.0], np.float32)
    soft = [200.0, half.value, 0.0]
    bound: list[Any] = [200 * 2.0**-24, np.asarray(half.error), 1e-37]
    yield deviation("softplus", lab.seen(tf.nn.softplus(ends)), Bounded(soft, bound))
    labels = np.array([1.0, 1.0, 0.0], np.float32)
    got = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=-ends)
    wanted = Bounded([200.0, half.value, 200.0], [bound[0], bound[1], bound[0]])
    yield deviation("logits", lab.seen(got), wanted)
    weighted = tf.nn.weighted_cross_entropy_with_logits(labels, -ends, pos_weight=2.0)
    truth = Bounded([400.0, 2 * half.value, 200.0], [2 * bound[0], 4 * bound[1], bound[0]])
    yield deviation("weighted logits", lab.seen(weighted), truth)
    tiny = np.array([1e-10, -1e-10], np.float32)
    yield deviation("expm1", lab.seen(tf.math.expm1(tiny)), Bounded(tiny.astype(float), 2e-17))
    yield deviation("log1p", lab.seen(tf.math.log1p(tiny)), Bounded(tiny.astype(float), 2e-17))
    rows = tf.nn.softmax_cross_entropy_with_logits([[0.5, 0.5, 0.0]], [large])
    yield deviation("crossentropy", lab.seen(rows), half.reshape(1))
    columns = np.stack([large, -large])
    got = tf.nn.softmax_cross_entropy_with_logits(
        np.array([[1.0] * 3, [0.0] * 3], np.float32), columns, axis=0
    )
    yield exact("along the first axis", lab.seen(got), [0.0, 0.0, 2000.0])


@contract(
    "decoding",
    thing="tf.nn.ctc_greedy_decoder",
    truth="The best class of each step, repeats merged and blanks dropped, up to each length; beams sum"
    " over all paths to a label.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    # Best by step: a a blank a b | b blank blank b b, of lengths 5 and 4; the last class is blank.
    best = np.array([[0, 0, 2, 0, 1], [1, 2, 2, 1, 1]])
    logits = np.where(np.eye(3, dtype=bool)[best], 4.0, 0.0).astype(np.float32).transpose(1, 0, 2)
    [decoded], scores = tf.nn.ctc_greedy_decoder(logits, [5, 4])
    dense = tf.sparse.to_dense(decoded, default_value=-1)
    yield exact("merged", lab.seen(dense), [[0, 0, 1], [1, 1, -1]])
    yield exact("scores", lab.seen(scores), [[-20.0], [-16.0]])
    [plain], _ = tf.nn.ctc_greedy_decoder(logits, [5, 4], merge_repeated=False)
    dense = tf.sparse.to_dense(plain, default_value=-1)
    yield exact("not merged", lab.seen(dense), [[0, 0, 0, 1], [1, 1, -1, -1]])
    # One class and blank in two steps: blank blank has .36, all other paths, .64, are the class.
    steps = np.log(np.array([[[0.4, 0.6]], [[0.4, 0.6]]], np.float32))
    [beam], _ = tf.nn.ctc_beam_search_decoder(steps, [2], beam_width=4)
    yield exact("beam", lab.seen(beam.values), [0])
    distance = tf.edit_distance(
        tf.sparse.from_dense([[1, 2, 3, 4]]), tf.sparse.from_dense([[1, 3, 4, 5]]), normalize=False
    )
    yield exact("edit distance", lab.seen(distance), [2.0])


@contract(
    "dropout",
    thing="tf.nn.dropout",
    truth="A share of entries is 0, the others are divided by what is kept; whole rows where the noise"
    " has a shape; the same again under the same seed.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = np.ones((100, 160), np.float32)
    seed = [3, SEED.get()]
    got = lab.seen(tf.nn.experimental.stateless_dropout(x, rate=0.25, seed=seed))
    kept = got != 0
    yield deviation("kept", got[kept], Bounded(np.full(kept.sum(), 1.0)) / 0.75)
    # 4,000 of 16,000 entries; 384 off is 7 standard deviations: 3e-12.
    yield exact("share off", np.array(abs((~kept).sum() - 4000) > 384), np.zeros((), bool))
    again = tf.nn.experimental.stateless_dropout(x, rate=0.25, seed=seed)
    yield exact("the same seed", lab.seen(again), got)
    rows = lab.seen(tf.nn.dropout(x, 0.5, noise_shape=[100, 1]))
    yield exact("whole rows", rows, np.broadcast_to(rows[:, :1], x.shape))
    values = np.unique(rows)
    yield exact("values", values, [0.0, 2.0])
    yield exact("nothing dropped", lab.seen(tf.nn.dropout(x, 0.0)), x)


@contract(
    "normalization",
    thing="tf.nn.l2_normalize",
    truth="Vectors are scaled to length 1, zeros stay; responses are divided by those of neighbouring"
    " channels; biases go to the channels of either format.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = drawn("vectors", 4, 6)
    bounded = Bounded(x)
    truth = bounded / np.sqrt(np.square(bounded).sum(1, keepdims=True))
    # TensorFlow multiplies by the reciprocal root: two roundings more.
    wider = Bounded(truth.value, np.asarray(truth.error) + 2.0**-22 * np.abs(truth.value))
    yield deviation("length 1", lab.seen(tf.nn.l2_normalize(x, axis=1)), wider)
    yield exact("of zeros", lab.seen(tf.nn.l2_normalize(x * 0, axis=1)), x * 0)
    loss = np.square(bounded).sum() * 0.5
    yield deviation("l2_loss", lab.seen(tf.nn.l2_loss(x)), loss)
    images = whole("images", 1, 2, 2, 5)
    sums = np.stack([np.square(images[..., max(c - 1, 0) : c + 2]).sum(-1) for c in range(5)], -1)
    got = tf.nn.local_response_normalization(images, depth_radius=1, bias=1.0, alpha=0.5, beta=1.0)
    scale = 1.0 + 0.5 * sums
    bound = 16 * 2.0**-24 * np.abs(images / scale)  # a power by logarithms of at most 200
    yield deviation("responses", lab.seen(got), Bounded(images / scale, bound))
    shift = whole("shift", 5)
    yield exact("biases", lab.seen(tf.nn.bias_add(images, shift)), images + shift)
    first = images.transpose(0, 3, 1, 2)
    got = tf.nn.bias_add(first, shift, data_format="NCHW")
    yield exact("biases, channels first", lab.seen(got), first + shift[:, None, None])
    both: Any = tf.nn.crelu(images)
    yield exact("crelu", lab.seen(both), np.maximum(np.concatenate([images, -images], -1), 0))
