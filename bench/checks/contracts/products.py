"""Products: matmul and einsum against float64, over inner lengths, ranks and odd sizes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.oracle import traced
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.oracle.formulas import einsum
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact

catalogue = Catalogue("products")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

#: Around the lengths at which kernels change their blocking, and long ones.
INNER = (*range(1, 10), 15, 16, 17, 31, 33, 63, 65, 127, 129, 255, 257, 511, 1000, 2049, 3001, 5000)


@contract(
    "matmul-inner",
    thing="tf.linalg.matmul",
    truth="Products of matrices hold for inner lengths of 1 to 5000, transposed or not, and for"
    " rows that start anywhere in memory.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    form = lab.form("float32")
    for inner in INNER:
        a, b = drawn(f"left {inner}", 6, inner), drawn(f"right {inner}", inner, 7)
        truth = Bounded(a, form=form) @ Bounded(b, form=form)
        yield deviation(f"inner length {inner}", lab.seen(tf.linalg.matmul(a, b)), truth)
        got = tf.linalg.matmul(a.T.copy(), b.T.copy(), transpose_a=True, transpose_b=True)
        yield deviation(f"inner length {inner}, transposed", lab.seen(got), truth)
        got = tf.linalg.matmul(tf.constant(a)[1:], b)
        yield deviation(f"inner length {inner}, from the second row", lab.seen(got), truth[1:])


@contract(
    "matmul-batches",
    thing="tf.linalg.matmul",
    truth="Products of batches of matrices broadcast as NumPy's do.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    form = lab.form("float32")
    for left, right in (
        ((3, 5, 7), (7, 2)),
        ((2, 3, 5, 7), (7, 3)),
        ((3, 5, 7), (3, 7, 2)),
        ((2, 1, 5, 7), (3, 7, 2)),
        ((5, 7), (3, 7, 2)),
        ((4, 1, 1), (1, 1, 9)),
        ((3, 1, 65), (3, 65, 33)),
    ):
        a, b = drawn(f"left {left}", *left), drawn(f"right {right}", *right)
        truth = Bounded(a, form=form) @ Bounded(b, form=form)
        yield deviation(f"{left} by {right}", lab.seen(tf.linalg.matmul(a, b)), truth)


#: Equations and the shapes of their factors; those of dense layers and of attention among them.
EQUATIONS = (
    ("ij,jk->ik", (5, 7), (7, 3)),
    ("ij,kj->ik", (5, 7), (3, 7)),
    ("bij,jk->bik", (2, 5, 7), (7, 3)),
    ("bij,bjk->bik", (2, 5, 7), (2, 7, 3)),
    ("abcd,de->abce", (2, 3, 4, 5), (5, 6)),
    ("abc,cde->abde", (2, 3, 4), (4, 2, 3)),
    ("bthd,bshd->bhts", (2, 3, 2, 5), (2, 4, 2, 5)),
    ("bhts,bshd->bthd", (2, 2, 3, 4), (2, 4, 2, 5)),
    ("...x,xy->...y", (4, 5), (5, 6)),
    ("...x,xy->...y", (3, 4, 5), (5, 6)),
    ("...x,xy->...y", (2, 3, 4, 5), (5, 6)),
)


@contract(
    "einsum",
    thing="tf.einsum",
    truth="Sums of products follow their equation, with an ellipsis for any number of axes.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    for equation, left, right in EQUATIONS:
        a, b = drawn(f"{equation} {left}", *left), drawn(f"{equation} {right}", *right)
        truth = einsum(equation, traced(lab, a), traced(lab, b)).array
        yield deviation(f"{equation} of {left}", lab.seen(tf.einsum(equation, a, b)), truth)


#: What aborts in TensorFlow 2.16.2, 2.20 and 2.21: a batch with an axis of one, by one matrix.
HEAP = """
import os
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
import tensorflow as tf
for _ in range(20):
    tf.linalg.matmul(tf.random.normal([13, 1, 3, 4]), tf.random.normal([4, 16])).numpy()
"""


@contract(
    "matmul-process",
    thing="tf.linalg.matmul",
    truth="A process that multiplies a batch with an axis of one by a matrix ends well.",
    tier="standard",
)
def _(lab: Lab) -> Iterator[Deviation]:
    done: Any = subprocess.run([sys.executable, "-c", HEAP], capture_output=True, check=False)
    yield exact("exit status", lab.seen(float(done.returncode)), np.zeros(()))


#: Prints the largest error of products of several kinds over its bound, and how many there were.
THREADS = """
import os
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
import numpy as np
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(4)
tf.config.threading.set_inter_op_parallelism_threads(2)
random = np.random.RandomState(0)
def drawn(*shape):
    return random.standard_normal(shape).astype(np.float32)
worst, count = 0.0, 0
def compare(got, truth, sizes, inner):
    global worst, count
    # Higham 2002, equation 3.5: gamma_n |a| |b|, n roundings of 2^-24.
    n = (inner + 1) * 2.0**-24
    bound = n / (1 - n) * sizes + 2.0**-24 * np.abs(truth)
    error = np.abs(np.asarray(got, np.float64) - truth)
    worst = max(worst, float(np.nanmax(np.where(np.isfinite(error), error / bound, np.inf))))
    count += 1
for rows, inner, columns in ((1, 5000, 3), (513, 64, 130), (257, 1000, 65), (64, 3001, 33)):
    a, b = drawn(rows, inner), drawn(inner, columns)
    truth, sizes = a.astype(float) @ b.astype(float), np.abs(a).astype(float) @ np.abs(b)
    compare(tf.linalg.matmul(a, b), truth, sizes, inner)
    compare(tf.linalg.matmul(a.T.copy(), b, transpose_a=True), truth, sizes, inner)
    compare(tf.einsum("ij,jk->ik", a, b), truth, sizes, inner)
    dense = tf.keras.layers.Dense(columns, use_bias=False)
    dense.build((None, inner))
    dense.set_weights([b])
    compare(dense(a), truth, sizes, inner)
for batch in (2, 16):
    a, b = drawn(batch, 33, 129), drawn(batch, 129, 17)
    truth, sizes = a.astype(float) @ b.astype(float), np.abs(a).astype(float) @ np.abs(b)
    compare(tf.linalg.matmul(a, b), truth, sizes, 129)
x, kernel = drawn(4, 30, 31, 5), drawn(3, 3, 5, 16)
patches = np.lib.stride_tricks.sliding_window_view(x.astype(float), (3, 3), axis=(1, 2))
folded = lambda p, k: np.einsum("nhwcij,ijco->nhwo", p, k)
truth, sizes = folded(patches, kernel), folded(np.abs(patches), np.abs(kernel))
compare(tf.nn.conv2d(x, kernel, 1, "VALID"), truth, sizes, 45)
print(worst, count)
"""


@contract(
    "threads-process",
    thing="tf.linalg.matmul",
    truth="Products, sums of products and convolutions hold on several threads, in a process that"
    " ends well.",
    tier="standard",
)
def _(lab: Lab) -> Iterator[Deviation]:
    done: Any = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, check=False)
    yield exact("exit status", lab.seen(float(done.returncode)), np.zeros(()))
    told = [float(word) for word in done.stdout.split()]
    yield exact("products", lab.seen(np.array(told[1:])), np.array([19.0]))
    evidence = f"the largest error is {told[0]:.3g} times its bound" if told else "none was told"
    yield Deviation(tensor="errors", excess=told[0] if told else None, evidence=evidence)
