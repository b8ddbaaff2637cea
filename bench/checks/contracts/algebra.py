"""Algebra: ``tf.linalg`` and ``tf.signal``, exact where numbers allow it, else backward stable."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.linear import drawn
from bench.checks.contracts.tensors import whole
from bench.checks.lab import Lab
from bench.results.check import Deviation
from bench.theory.rounding.arrays import Bounded
from bench.theory.rounding.deviation import deviation, exact
from bench.theory.rounding.formats import FLOAT32

catalogue = Catalogue("algebra")
contract = catalogue.contract
checks, run = catalogue.checks, catalogue.run

Array = npt.NDArray[Any]

_N = 4


def _lower(role: str) -> Array:
    """Lower triangle of 0, 1/2 and -1/2 under ones, (2, N, N): eliminating with it never swaps rows,
    since each pivot is twice as large as what stands below, and no step rounds."""
    signs = np.sign(whole(role, 2, _N, _N)) / 2
    return np.tril(signs, -1) + np.eye(_N, dtype=np.float32)


def _upper(role: str) -> Array:
    """Upper triangle of whole numbers over powers of two, (2, N, N)."""
    powers = np.diag(np.array([2.0, -1.0, 4.0, 1.0], np.float32))
    return np.triu(whole(role, 2, _N, _N), 1) + powers


def _matrix() -> Array:
    """Two matrices whose factors, determinant and solutions are exact in float32."""
    return _lower("lower") @ _upper("upper")


def _stable(what: str, got: Any, truth: Array, size: Any, steps: int) -> Deviation:
    """``got`` is ``truth`` but for what a backward stable algorithm of ``steps`` orthogonal
    transformations, each of vectors of N, may round: 10 N steps u of the matrix' size, in its Frobenius
    norm (Higham 2002, theorem 19.4 and lemma 19.3, whose small constant is taken as 10)."""
    bound = 10 * max(truth.shape[-2:]) * steps * FLOAT32.roundoff
    return deviation(what, got, Bounded(truth, np.broadcast_to(bound * size, truth.shape)))


@contract(
    "solve",
    thing="tf.linalg.solve",
    truth="Solutions, also of the transposed system, inverses, determinants and factors with their"
    " pivots are exact where nothing rounds.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    a, x = _matrix(), whole("x", 2, _N, 3)
    yield exact("solution", lab.seen(tf.linalg.solve(a, a @ x)), x)
    swapped = a[:, [2, 0, 3, 1]]  # rows in another order: pivots must bring them back
    yield exact("rows swapped", lab.seen(tf.linalg.solve(swapped, swapped @ x)), x)
    yield exact("determinant", lab.seen(tf.linalg.det(a)), [-8.0, -8.0])
    sign, logarithm = tf.linalg.slogdet(a)
    yield exact("sign", lab.seen(sign), [-1.0, -1.0])
    logs = np.log(np.abs(Bounded([[2.0, 1.0, 4.0, 1.0]] * 2))).sum(-1)
    yield deviation("logarithm", lab.seen(logarithm), logs)
    product = lab.seen(tf.linalg.inv(a)) @ a
    yield exact("inverse", product, np.broadcast_to(np.eye(_N), a.shape))
    factors, order = tf.linalg.lu(a)
    both = np.tril(_lower("lower"), -1) + _upper("upper")
    yield exact("factors", lab.seen(factors), both)
    yield exact("pivots", lab.seen(order), np.broadcast_to(np.arange(_N), (2, _N)))
    lower = _lower("lower")
    got = tf.linalg.solve(lower, _turned(lower) @ x, adjoint=True)
    yield exact("adjoint", lab.seen(got), x)


def _turned(a: Array) -> Array:
    return a.transpose(0, 2, 1)


@contract(
    "triangles",
    thing="tf.linalg.triangular_solve",
    truth="Solutions of lower and upper triangles, also transposed ones; the Cholesky factor, its"
    " solutions, and the gradient of the determinant's logarithm.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = whole("x", 2, _N, 3)
    for name, a in (("lower", _lower("lower")), ("upper", _upper("upper"))):
        lower = name == "lower"
        got = tf.linalg.triangular_solve(a, a @ x, lower=lower)
        yield exact(name, lab.seen(got), x)
        got = tf.linalg.triangular_solve(a, _turned(a) @ x, lower=lower, adjoint=True)
        yield exact(f"{name}, transposed", lab.seen(got), x)
    factor = _lower("factor") * np.array([1.0, 2.0, 0.5, 4.0], np.float32)
    square = factor @ _turned(factor)
    yield exact("Cholesky", lab.seen(tf.linalg.cholesky(square)), factor)
    yield exact("its solution", lab.seen(tf.linalg.cholesky_solve(factor, square @ x)), x)
    given = tf.constant(square)
    with tf.GradientTape() as tape:
        tape.watch(given)
        logs = tf.linalg.logdet(given)
    slope = lab.seen(tape.gradient(logs, given))
    # The inverse, as good as the condition of the matrix lets it be (Higham 2002, section 14.1).
    condition = np.linalg.cond(square)[:, None, None]
    unit = np.broadcast_to(np.eye(_N), square.shape)
    yield _stable("slope of logdet", slope @ square, unit, condition, _N)


@contract(
    "qr",
    thing="tf.linalg.qr",
    truth="Orthogonal columns times an upper triangle give the matrix back; all columns where they are"
    " asked for; the residual of least squares is orthogonal to the columns.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    a = drawn("matrix", 2, 6, _N)
    size = np.linalg.norm(a, axis=(-2, -1))[:, None, None]
    for full in (False, True):
        q, r = (lab.seen(part).astype(float) for part in tf.linalg.qr(a, full_matrices=full))
        name = "full" if full else "thin"
        yield _stable(f"product, {name}", q @ r, a, size, _N)
        unit = np.broadcast_to(np.eye(q.shape[-1]), (2, q.shape[-1], q.shape[-1]))
        yield _stable(f"columns, {name}", _turned(q) @ q, unit, math.sqrt(6), _N)
        yield exact(f"triangle, {name}", np.tril(r, -1), np.zeros(r.shape))
    b = drawn("right side", 2, 6, 1)
    got = lab.seen(tf.linalg.lstsq(a, b, fast=False)).astype(float)
    rest = b - a @ got
    # The computed one solves a problem that is a stable step away (Higham 2002, theorem 20.3): its
    # residual is orthogonal to the columns but for that step times the size of all that is involved.
    scale = size**2 * np.abs(got).max() + size * np.linalg.norm(b)
    yield _stable("rest of least squares", _turned(a) @ rest, np.zeros(got.shape), scale, _N)


@contract(
    "svd-eigh",
    thing="tf.linalg.svd",
    truth="Singular values are in descending order, eigenvalues in ascending order, vectors are"
    " orthonormal, and together they give the matrix back; values alone are the same.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    a = drawn("matrix", 2, 5, _N)
    size = np.linalg.norm(a, axis=(-2, -1))[:, None, None]
    # Two-sided reduction, then at most 30 sweeps of 2 N rotations.
    steps = 2 * _N + 60 * _N
    s, u, v = (lab.seen(part).astype(float) for part in tf.linalg.svd(a))
    yield _stable("product", u * s[:, None] @ _turned(v), a, size, steps)
    unit = np.broadcast_to(np.eye(_N), (2, _N, _N))
    yield _stable("left vectors", _turned(u) @ u, unit, math.sqrt(_N), steps)
    yield _stable("right vectors", _turned(v) @ v, unit, math.sqrt(_N), steps)
    truth = np.linalg.svd(a.astype(float), compute_uv=False)
    yield _stable("values", s[:, None], truth[:, None], size, steps)
    alone = lab.seen(tf.linalg.svd(a, compute_uv=False))
    yield _stable("values alone", alone[:, None], truth[:, None], size, steps)
    square = a[:, :_N] + a[:, :_N].transpose(0, 2, 1)
    size = np.linalg.norm(square, axis=(-2, -1))[:, None, None]
    e, w = (lab.seen(part).astype(float) for part in tf.linalg.eigh(square))
    yield _stable("symmetric", w * e[:, None] @ _turned(w), square, size, steps)
    truth = np.linalg.eigvalsh(square.astype(float))
    yield _stable("eigenvalues", e[:, None], truth[:, None], size, steps)


@contract(
    "diagonals",
    thing="tf.linalg.diag",
    truth="Diagonals are set, extracted and replaced, several at a time and beside the main one; bands,"
    " traces, adjoints, Kronecker products and tridiagonal systems.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x, d = whole("matrix", 4, 4), whole("diagonal", 4)
    for name, got, truth in (
        ("diag", tf.linalg.diag(d), np.diag(d)),
        ("diag above", tf.linalg.diag(d[:3], k=1), np.diag(d[:3], 1)),
        ("diag_part", tf.linalg.diag_part(x, k=-1), np.diag(x, -1)),
        ("set_diag", tf.linalg.set_diag(x, d), x - np.diag(np.diag(x)) + np.diag(d)),
        ("band", tf.linalg.band_part(x, 0, 1), np.triu(x) - np.triu(x, 2)),
        ("trace", tf.linalg.trace(x), np.trace(x)),
        (
            "kronecker",
            tf.linalg.LinearOperatorKronecker(
                [tf.linalg.LinearOperatorFullMatrix(x[:2, :2]), tf.linalg.LinearOperatorDiag(d[:2])]
            ).to_dense(),
            np.kron(x[:2, :2], np.diag(d[:2])),
        ),
    ):
        yield exact(name, lab.seen(got), truth)
    several = tf.linalg.diag_part(x, k=(-1, 1), padding_value=9.0)
    truth = [[9.0, *np.diag(x, 1)], np.diag(x), [*np.diag(x, -1), 9.0]]
    yield exact("several", lab.seen(several), truth)
    imaginary = tf.complex(x, 2 * x)
    yield exact("adjoint", lab.seen(tf.math.imag(tf.linalg.adjoint(imaginary))), -2 * x.T)
    # 2 on the diagonal, 1 above and 0 below solves from the last row without rounding.
    above, below = np.append(np.ones(3), 0), np.zeros(4)
    bands = tf.constant(np.stack([above, np.full(4, 2.0), below]), tf.float32)
    full = np.diag(np.full(4, 2.0)) + np.diag(np.ones(3), 1)
    got = tf.linalg.tridiagonal_solve(bands, tf.constant(full @ x, tf.float32))
    yield exact("three diagonals", lab.seen(got), x)
    product = tf.linalg.tridiagonal_matmul(bands, x)
    yield exact("their product", lab.seen(product), full @ x)


@contract(
    "norms",
    thing="tf.norm",
    truth="Norms of order 1, 2 and infinity over any axes, the Frobenius norm, cross products, and"
    " clipping by the global norm.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = whole("values", 3, 4)
    bounded = Bounded(x)
    yield exact("of 1", lab.seen(tf.norm(x, 1, axis=1)), np.abs(x).sum(1))
    yield exact("of the largest", lab.seen(tf.norm(x, np.inf, axis=0)), np.abs(x).max(0))
    square = np.sqrt(np.square(bounded).sum(1))
    yield deviation("euclidean", lab.seen(tf.norm(x, axis=1)), square)
    whole_square = np.sqrt(np.square(bounded).sum())
    yield deviation("of all", lab.seen(tf.norm(x)), whole_square)
    matrices = tf.norm(x[None], "fro", axis=[1, 2])
    yield deviation("Frobenius", lab.seen(matrices)[0], whole_square)
    a, b = x[:, :3], whole("others", 3, 3)
    yield exact("cross", lab.seen(tf.linalg.cross(a, b)), np.cross(a, b))
    scaled, size = tf.clip_by_global_norm([x, x * 0], 1.0)
    yield deviation("clipped", lab.seen(scaled[0]), bounded * (1.0 / whole_square))
    yield deviation("global norm", lab.seen(size), whole_square)


def _fourier(
    lab: Lab, what: str, got: Any, truth: Array, lengths: tuple[int, ...]
) -> Iterator[Deviation]:
    """Each output of a fast transform is off by at most 8 log2 n u of the norm of all (Higham 2002,
    theorem 24.2, with roots of unity that are correct to an ulp; lengths that are no power of two take
    a power's transforms three times)."""
    values = lab.seen(got)
    steps = sum(3 * 8 * math.ceil(math.log2(max(n, 2)) + 2) for n in lengths)
    bound = np.full(truth.shape, steps * FLOAT32.roundoff * np.linalg.norm(truth))
    yield deviation(what, values.real, Bounded(truth.real, bound))
    if np.iscomplexobj(truth):
        yield deviation(f"{what}, imaginary", values.imag, Bounded(truth.imag, bound))


@contract(
    "fourier",
    thing="tf.signal.fft",
    truth="Transforms and inverse ones, of real and complex numbers, of any length, in one and two"
    " dimensions; the cosine transform.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    for n in (1, 5, 8, 12):
        x = drawn("real", 3, n)
        z = tf.complex(x, drawn("imaginary", 3, n))
        yield from _fourier(lab, f"fft of {n}", tf.signal.fft(z), np.fft.fft(z), (n,))
        yield from _fourier(lab, f"ifft of {n}", tf.signal.ifft(z), np.fft.ifft(z), (n,))
        real = np.fft.rfft(x)
        yield from _fourier(lab, f"rfft of {n}", tf.signal.rfft(x), real, (n,))
        back = tf.signal.irfft(tf.signal.rfft(x), [n])
        yield from _fourier(lab, f"irfft of {n}", back, x.astype(float), (n, n))
    x = drawn("real", 4, 6)
    z = tf.complex(x, -x)
    yield from _fourier(lab, "fft2d", tf.signal.fft2d(z), np.fft.fft2(z), (4, 6))
    longer = tf.signal.rfft(x, [8])
    yield from _fourier(lab, "longer", longer, np.fft.rfft(x, 8), (8,))
    at = np.arange(6)
    cosines = 2 * np.cos(np.pi * np.outer(2 * at + 1, at) / 12)
    yield from _fourier(lab, "cosine transform", tf.signal.dct(x), x @ cosines, (12, 6))


@contract(
    "frames",
    thing="tf.signal.stft",
    truth="Frames start a step apart, with or without the padded end; added up where they overlap; the"
    " short-time transform is that of windowed frames.",
)
def _(lab: Lab) -> Iterator[Deviation]:
    from bench.nets.api import tf

    x = whole("signal", 2, 11)
    at = np.arange(4) + 3 * np.arange(3)[:, None]
    yield exact("frames", lab.seen(tf.signal.frame(x, 4, 3)), x[:, at])
    padded = np.pad(x, ((0, 0), (0, 2)))[:, np.arange(4) + 3 * np.arange(4)[:, None]]
    ended = tf.signal.frame(x, 4, 3, pad_end=True)
    yield exact("padded end", lab.seen(ended), padded)
    frames = x[:, at]
    sums = np.zeros((2, 10))
    for number in range(3):
        sums[:, 3 * number : 3 * number + 4] += frames[:, number]
    yield exact("added up", lab.seen(tf.signal.overlap_and_add(frames, 3)), sums)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(4) / 4)
    got = tf.signal.hann_window(4)
    yield deviation("window", lab.seen(got), Bounded(window, np.full(4, 4 * FLOAT32.roundoff)))
    truth = np.fft.rfft(frames * window)
    short = tf.signal.stft(x, 4, 3)
    yield from _fourier(lab, "short-time transform", short, truth, (4,))
