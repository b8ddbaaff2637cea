"""Numbers: what TensorFlow's own functions sum, count, round, divide and contract, exactly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.tensors import whole
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.deviation import exact

catalogue = Catalogue("numbers")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run


@contract(
    "cumulative",
    thing="tf.cumsum",
    truth="Running sums and products along any axis, from either end, with or without the element"
    " itself, and their gradients.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = whole("values", 3, 5)
    for axis in (0, 1):
        for exclusive in (False, True):
            for reverse in (False, True):
                turned = np.flip(x, axis) if reverse else x
                sums = np.cumsum(turned, axis) - (turned if exclusive else 0)
                truth = np.flip(sums, axis) if reverse else sums
                options = {"axis": axis, "exclusive": exclusive, "reverse": reverse}
                name = f"along {axis}{' exclusive' * exclusive}{' reverse' * reverse}"
                yield exact(name, lab.seen(tf.cumsum(x, **options)), truth)
    factors = np.array([2.0, -1.0, 0.5, 4.0], np.float32)
    given = tf.constant(factors)
    with tf.GradientTape() as tape:
        tape.watch(given)
        products = tf.math.cumprod(given)
    yield exact("products", lab.seen(products), np.cumprod(factors))
    slope = tape.gradient(products, given)
    yield exact("slope of products", lab.seen(slope), [-2.5, 7.0, -10.0, -1.0])


@contract(
    "reductions",
    thing="tf.reduce_sum",
    truth="Over any axes; of nothing the sum is 0, the product 1, the largest -inf, the smallest inf"
    " and the mean NaN; means of integers are integers; argmax takes the first of equal ones.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = whole("values", 2, 3, 4)
    for name in ("sum", "max", "min", "prod"):
        reduce, fold = getattr(tf, f"reduce_{name}"), getattr(np, name)
        values = np.sign(x) if name == "prod" else x
        for axis in (None, 0, -1, (0, 2)):
            yield exact(f"{name} over {axis}", lab.seen(reduce(values, axis)), fold(values, axis))
        kept = reduce(values, 1, keepdims=True)
        yield exact(f"{name}, axes kept", lab.seen(kept), fold(values, 1, keepdims=True))
    nothing = np.zeros((0, 2), np.float32)
    for name, truth in (
        ("sum", 0.0),
        ("prod", 1.0),
        ("max", -np.inf),
        ("min", np.inf),
        ("mean", np.nan),
    ):
        got = getattr(tf, f"reduce_{name}")(nothing, 0)
        yield exact(f"{name} of nothing", lab.seen(got), np.full(2, truth))
    yield exact("all", lab.seen(tf.reduce_all(x > -9, 1)), np.ones((2, 4), bool))
    yield exact("any", lab.seen(tf.reduce_any(x > 2, (0, 1))), (x > 2).any((0, 1)))
    yield exact("mean of integers", lab.seen(tf.reduce_mean([1, 2, 2])), 1)
    yield exact("argmax", lab.seen(tf.argmax(x, 2)), x.argmax(2))
    yield exact("argmin", lab.seen(tf.argmin(x, 0, output_type=tf.int32)), x.argmin(0))
    yield exact("nonzeros", lab.seen(tf.math.count_nonzero(x, axis=[0, 1])), (x != 0).sum((0, 1)))


@contract(
    "counts",
    thing="tf.math.bincount",
    truth="How often each number came, or the sum of its weights; histograms put what lies outside into"
    " the outer bins; searchsorted finds either side of equal ones.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x, weights = np.array([3, 1, 3, 0, 5]), np.array([0.5, 1, 2, 4, 8], np.float32)
    yield exact("bincount", lab.seen(tf.math.bincount(x)), np.bincount(x))
    weighted = tf.math.bincount(x, weights=weights, minlength=8)
    yield exact("weighted", lab.seen(weighted), np.bincount(x, weights, 8))
    rows = tf.math.bincount([[1, 1], [0, 2]], axis=-1, minlength=3)
    yield exact("rows", lab.seen(rows), [[0, 2, 0], [1, 0, 1]])
    capped = tf.math.bincount(x, maxlength=4)
    yield exact("at most", lab.seen(capped), np.bincount(x)[:4])
    values = np.array([-1.0, 0.0, 1.5, 2.5, 3.75, 9.0], np.float32)
    histogram = tf.histogram_fixed_width(values, [0.0, 4.0], nbins=4)
    yield exact("histogram", lab.seen(histogram), [2, 1, 1, 2])
    ordered, sought = np.array([[1, 3, 3, 7]]), np.array([[0, 3, 8]])
    for side in ("left", "right"):
        truth = np.searchsorted(ordered[0], sought[0], side)[None]
        got = tf.searchsorted(ordered, sought, side=side)
        yield exact(f"searchsorted {side}", lab.seen(got), truth)
    matrix = tf.math.confusion_matrix([0, 1, 2, 1], [0, 2, 2, 1], weights=[1, 2, 3, 4])
    yield exact("confusion_matrix", lab.seen(matrix), [[1, 0, 0], [0, 4, 2], [0, 0, 3]])


@contract(
    "casts",
    thing="tf.cast",
    truth="To integers towards 0, to half formats to the nearest, ties to even; saturate_cast ends at"
    " the type's limits; integers wrap; round takes ties to even.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = np.array([-2.75, -0.5, 0.5, 1.5, 2.5, 250.9], np.float32)
    yield exact("to int32", lab.seen(tf.cast(x, tf.int32)), np.trunc(x))
    yield exact("round", lab.seen(tf.round(x)), np.rint(x))
    limited = tf.saturate_cast([-300.0, -1.0, 5.0, 300.0], tf.uint8)
    yield exact("saturate_cast", lab.seen(limited), [0, 0, 5, 255])
    random = drawn("values", 500)
    yield exact("to float16", lab.seen(tf.cast(random, tf.float16)), random.astype(np.float16))
    bits = random.view(np.uint32)
    nearest = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16  # ties to even
    got = tf.cast(tf.cast(random, tf.bfloat16), tf.float32)
    yield exact("to bfloat16", lab.seen(got), nearest.astype(np.uint32).view(np.float32))
    most = tf.constant([2**31 - 1], tf.int32)
    yield exact("wraps", lab.seen(most + 1), [-(2**31)])
    yield exact("to bool", lab.seen(tf.cast([0.0, -0.25, 2.0], tf.bool)), [False, True, True])
    third, moved = tf.constant([1, 5], tf.int64) * 2**40, tf.constant([8, 16], tf.int64)
    shifted = tf.bitwise.right_shift(third, moved)
    yield exact("shift", lab.seen(shifted), [2**32, 5 * 2**24])


@contract(
    "division",
    thing="tf.math.floordiv",
    truth="The remainder of floor division has the sign of the divisor, of truncated division that of"
    " the dividend; divide_no_nan gives 0 for a division by 0.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    a, b = np.array([7, -7, 7, -7, 6]), np.array([3, 3, -3, -3, 3])
    for kind in (np.int32, np.int64, np.float32):
        x, y, name = a.astype(kind), b.astype(kind), np.dtype(kind).name
        yield exact(f"floordiv of {name}", lab.seen(tf.math.floordiv(x, y)), a // b)
        yield exact(f"floormod of {name}", lab.seen(tf.math.floormod(x, y)), a % b)
        truncated = np.trunc(a / b)
        yield exact(f"truncatemod of {name}", lab.seen(tf.truncatemod(x, y)), a - truncated * b)
    yield exact("truncatediv", lab.seen(tf.truncatediv(a, b)), np.trunc(a / b))
    safe = tf.math.divide_no_nan([1.0, 0.0, 6.0], [0.0, 0.0, 4.0])
    yield exact("divide_no_nan", lab.seen(safe), [0.0, 0.0, 1.5])
    yield exact(
        "multiply_no_nan", lab.seen(tf.math.multiply_no_nan([np.inf, 2.0], [0.0, 3.0])), [0, 6]
    )
    yield exact("xlogy", lab.seen(tf.math.xlogy([0.0, 2.0], [0.0, 1.0])), [0.0, 0.0])


@contract(
    "einsum",
    thing="tf.einsum",
    truth="Products, sums, diagonals, transposes and batches as the subscripts say, and gradients.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    a, b = whole("a", 2, 3, 4), whole("b", 2, 4, 3)
    for letters, operands in (
        ("bij,bjk->bik", (a, b)),
        ("bij,bji->", (a, b)),
        ("...ij,...jk->...ki", (a, b)),
        ("bij->bji", (a,)),
        ("ij,ij->i", (a[0], a[1])),
        ("bij,cjk->bcik", (a, b)),
        ("bii->bi", (a[:, :, :3],)),
        ("i,j->ij", (a[0, 0], b[0, 0])),
    ):
        yield exact(letters, lab.seen(tf.einsum(letters, *operands)), np.einsum(letters, *operands))
    left, right = tf.constant(a), tf.constant(b)
    with tf.GradientTape() as tape:
        tape.watch([left, right])
        total = tf.reduce_sum(tf.einsum("bij,bjk->ik", left, right) * a[0][:, :3])
    slopes = tape.gradient(total, [left, right])
    yield exact("left slope", lab.seen(slopes[0]), np.einsum("ik,bjk->bij", a[0][:, :3], b))
    yield exact("right slope", lab.seen(slopes[1]), np.einsum("ik,bij->bjk", a[0][:, :3], a))
    contracted = tf.tensordot(a, b, [[2, 0], [1, 0]])
    yield exact("tensordot", lab.seen(contracted), np.tensordot(a, b, ((2, 0), (1, 0))))
