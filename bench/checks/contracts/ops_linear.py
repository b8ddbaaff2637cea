"""Functions of ``keras.ops`` on matrices, their products and factors, and on spectra."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from bench.checks.contracts.linear import drawn
from bench.checks.contracts.operation import Call, Operation, apart, call
from bench.checks.contracts.tensors import whole

Array = Any
_N = 4


# --- Matrices


def _turn(role: str, *shape: int) -> Array:
    """Orthogonal matrices."""
    return np.linalg.qr(drawn(role, *shape).astype(np.float64))[0]


def _matrix(*batch: int, rows: int = _N, columns: int = _N) -> Array:
    """Matrices with the singular values 4, 3, .. and thus a condition number of at most 4."""
    left, right = (_turn(role, *batch, _N, _N) for role in ("left", "right"))
    values = np.diag(np.arange(_N, 0.0, -1.0))
    return (left[..., :rows, :] @ values @ right[..., :, :columns]).astype(np.float32)


def _symmetric(*batch: int) -> Array:
    """Symmetric matrices with the eigenvalues 4, 3, 2 and 1."""
    turn = _turn("turn", *batch, _N, _N)
    half = turn * np.sqrt(np.arange(_N, 0.0, -1.0))
    matrix = (half @ half.swapaxes(-1, -2)).astype(np.float32)
    return (matrix + matrix.swapaxes(-1, -2)) / np.float32(2.0)


def _crooked() -> Array:
    """A matrix with complex eigenvalues and eigenvectors that are far from each other."""
    tilt = np.diag(np.array([0.5, 0.25, 0.5], np.float32), 1)
    return _symmetric() + tilt - tilt.T


def _factor(*batch: int) -> Array:
    """Lower factors of symmetric matrices."""
    return np.linalg.cholesky(_symmetric(*batch).astype(np.float64)).astype(np.float32)


def _right(*batch: int) -> Array:
    return drawn("right side", *batch, _N, 3)


def _turned(x: Array) -> Array:
    return np.conj(x).swapaxes(-1, -2)


def _cholesky(x: Array, upper: bool = False) -> Array:
    factor = np.linalg.cholesky(x)
    return _turned(factor) if upper else factor


def _cholesky_inverse(x: Array, upper: bool = False) -> Array:
    lower = _turned(x) if upper else x
    return np.linalg.inv(lower @ _turned(lower))


def _lu(x: Array) -> tuple[Array, Array]:
    """Both triangles of the factors in one matrix, and the rows' order: ``x = (L U)[order]``."""
    left, rows = x.copy(), np.arange(len(x))
    for k in range(len(x)):
        best = k + np.argmax(np.abs(left[k:, k]))
        left[[k, best]], rows[[k, best]] = left[[best, k]], rows[[best, k]]
        left[k + 1 :, k] /= left[k, k]
        left[k + 1 :, k + 1 :] -= np.outer(left[k + 1 :, k], left[k, k + 1 :])
    return left, np.argsort(rows)


def _lus(x: Array) -> tuple[Array, Array]:
    factors, orders = zip(*map(_lu, x), strict=True)
    return np.stack(factors), np.stack(orders)


def _solved(a: Array, b: Array) -> Array:
    """Of matrices, or, where the rank is one lower, of vectors."""
    if b.ndim == a.ndim - 1:
        return np.linalg.solve(a, b[..., None])[..., 0]
    return np.linalg.solve(a, b)


def _triangle(a: Array, b: Array, lower: bool = False) -> Array:
    return _solved(np.tril(a) if lower else np.triu(a), b)


def _svd_parts(parts: list[Array]) -> list[Array]:
    """Singular values, the matrix that the factors make, and that the factors are orthogonal."""
    if len(parts) == 1:
        return parts
    u, s, v = parts
    few = s.shape[-1]
    matrix = (u[..., :few] * s[..., None, :]) @ v[..., :few, :]
    return [s, matrix, _turned(u) @ u, v @ _turned(v)]


def _qr_parts(parts: list[Array]) -> list[Array]:
    q, r = parts
    return [q @ r, _turned(q) @ q, np.tril(r, -1)]


def _eig_parts(parts: list[Array]) -> list[Array]:
    """The matrix that eigenvalues and vectors make, and the lengths of vectors."""
    values, vectors = parts
    matrix = vectors @ (values[..., None] * np.linalg.inv(vectors))
    return [matrix, np.square(np.abs(vectors)).sum(-2)]


def _eigh_parts(parts: list[Array]) -> list[Array]:
    values, vectors = parts
    return [values, (vectors * values[..., None, :]) @ _turned(vectors), _turned(vectors) @ vectors]


def _eig(x: Array) -> Any:
    values, vectors = np.linalg.eig(x)
    return values.astype(complex), vectors.astype(complex)


def _lstsq(a: Array, b: Array, rcond: Any = None) -> Array:
    return np.linalg.lstsq(a, b, rcond=1e-6 if rcond is None else rcond)[0]


def _pinv(x: Array, rcond: Any = None) -> Array:
    return np.linalg.pinv(x, 1e-6 if rcond is None else rcond)


def _rank(x: Array, tol: Any = None) -> Array:
    return np.linalg.matrix_rank(x, 1e-5 if tol is None else tol)


def _degenerate() -> Array:
    """Of rank 2, exactly."""
    x = _matrix(2)
    x[:, 2:] = 0.0
    return x


def _norms(subject: str, orders: Iterable[Any], axes: Iterable[Any], keep: bool) -> Operation:
    return Operation(
        subject,
        lambda: [
            call(drawn("values", 3, 4, 2), ord=order, axis=axis, keepdims=kept)
            for order, axis in itertools.product(orders, axes)
            for kept in ({False, keep})
        ],
        np.linalg.norm,
        "`np.linalg.norm`",
    )


_INF = np.inf
_MATRICES = (
    Operation(
        "cholesky",
        lambda: [call(_symmetric()), call(_symmetric(2)), call(_symmetric(2), upper=True)],
        _cholesky,
        "`np.linalg.cholesky`",
    ),
    Operation(
        "cholesky_inverse",
        lambda: [call(_factor()), call(_factor(2)), call(_turned(_factor()).copy(), upper=True)],
        _cholesky_inverse,
        "the inverse of the matrix whose Cholesky factor is given",
    ),
    Operation("det", lambda: [call(_matrix()), call(_matrix(2))], np.linalg.det),
    *apart(
        Operation("slogdet", lambda: [call(_matrix()), call(_matrix(2))], np.linalg.slogdet),
        "symbols",
    ),
    Operation(
        "logdet",
        lambda: [call(_symmetric()), call(_symmetric(2))],
        lambda x: np.linalg.slogdet(x)[1],
        "the logarithm of the determinant",
    ),
    *apart(
        Operation(
            "eig",
            lambda: [call(_crooked()), call(np.stack([_crooked(), _crooked()[::-1]]))],
            _eig,
            "eigenvalues and vectors that make up the matrix",
            alike=_eig_parts,
        ),
        "symbols",
    ),
    Operation(
        "eigh",
        lambda: [call(_symmetric()), call(_symmetric(2))],
        np.linalg.eigh,
        "ascending eigenvalues and orthogonal vectors that make up the matrix",
        alike=_eigh_parts,
    ),
    Operation("inv", lambda: [call(_matrix()), call(_matrix(2))], np.linalg.inv),
    *apart(
        Operation("lu_factor", lambda: [call(_matrix())], _lu, "both triangles, and the pivots"),
        "symbols",
    ),
    Operation(
        "lu_factor-batch",
        lambda: [call(_matrix(2))],
        _lus,
        "both triangles, and the pivots, of several matrices",
    ),
    Operation(
        "qr",
        lambda: [
            call(x, **mode)
            for x in (_matrix(), _matrix(2, columns=2), _matrix(2, rows=3))
            for mode in ({}, {"mode": "complete"})
        ],
        np.linalg.qr,
        "an orthogonal matrix and a triangle that make up the matrix",
        alike=_qr_parts,
    ),
    Operation(
        "svd",
        lambda: [
            call(x, **options)
            for x in (_matrix(), _matrix(2, columns=3), _matrix(2, rows=3))
            for options in ({}, {"full_matrices": False})
        ],
        np.linalg.svd,
        "singular values and orthogonal factors that make up the matrix",
        alike=_svd_parts,
    ),
    Operation(
        "svd-values",
        lambda: [call(x, compute_uv=False) for x in (_matrix(), _matrix(2, rows=3))],
        np.linalg.svd,
        "singular values alone",
    ),
    Operation(
        "solve",
        lambda: [
            call(_matrix(), _right()),
            call(_matrix(), _right()[:, 0]),
            call(_matrix(2), _right(2)),
            call(_matrix(2), _right(2)[..., 0]),
        ],
        _solved,
        "`np.linalg.solve`, of matrices and of vectors",
    ),
    Operation(
        "solve_triangular",
        lambda: [
            call(_matrix() + np.float32(4.0) * np.eye(_N, dtype=np.float32), right, **lower)
            for right in (_right(), _right()[:, 0])
            for lower in ({}, {"lower": True})
        ],
        _triangle,
        "solutions of the upper triangle, or of the lower one",
    ),
    Operation(
        "lstsq",
        lambda: [
            call(_matrix(), _right()),
            call(_matrix(columns=2), _right()),
            call(_matrix(columns=2), _right()[:, 0]),
            call(_matrix(rows=2), _right()[:2]),
            call(_matrix(), _right(), rcond=0.6),
        ],
        _lstsq,
        "`np.linalg.lstsq`",
    ),
    Operation(
        "matrix_rank",
        lambda: [call(_matrix(2)), call(_degenerate()), call(_matrix(2, rows=3))],
        _rank,
        "`np.linalg.matrix_rank`",
        rounds=False,
    ),
    Operation(
        "matrix_rank-tol",
        lambda: [call(_matrix(), tol=2.5), call(_matrix(2), tol=3.5)],
        _rank,
        "singular values above a tolerance",
        rounds=False,
    ),
    Operation(
        "pinv",
        lambda: [call(_matrix()), call(_matrix(2, columns=2)), call(_matrix(2, rows=3))],
        _pinv,
        "`np.linalg.pinv`",
    ),
    Operation(
        "pinv-rcond", lambda: [call(_matrix(), rcond=0.6)], _pinv, "singular values that count"
    ),
    Operation(
        "norm",
        lambda: [call(drawn("values", 6)), call(drawn("values", 3, 4)), call(whole("n", 3, 4))],
        np.linalg.norm,
        "`np.linalg.norm` over all axes",
    ),
    _norms("norm-vector", (None, 1, 2, 3, 0.5, 0, _INF, -_INF, -1), (0, -1), True),
    _norms("norm-matrix", (None, "fro", 1, -1, _INF, -_INF), ((0, 1), (2, 0), (-2, -1)), True),
    _norms("norm-singular", ("nuc", 2, -2), ((0, 1), (2, 0), (-2, -1)), False),
    _norms("norm-singular-keepdims", ("nuc", 2, -2), ((0, 1), (2, 0), (-2, -1)), True),
)


# --- Products


def _shapes(*pairs: tuple[tuple[int, ...], tuple[int, ...]], **options: Any) -> Any:
    """Calls with two arrays of these shapes, whole numbers of either kind: sums are exact."""

    def calls() -> Iterable[Call]:
        for left, right in pairs:
            x, y = whole("left", *left), whole("right", *right)
            yield call(x, y, **options)
            yield call(x.astype(np.int32), y.astype(np.int32), **options)

    return calls


def _products(subject: str, *pairs: Any, truth: Any = None, **options: Any) -> Operation:
    return Operation(subject, _shapes(*pairs, **options), truth, rounds=False)


def _cross(
    x1: Array, x2: Array, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None
) -> Array:
    """Vectors of two are in a plane: of two such, the part that stands on it."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(x1, axisa, -1), np.moveaxis(x2, axisb, -1)
    flat = a.shape[-1] == b.shape[-1] == 2
    (a0, a1, a2), (b0, b1, b2) = (
        [*np.moveaxis(x, -1, 0), np.zeros(x.shape[:-1], x.dtype)][:3] for x in (a, b)
    )
    last = a0 * b1 - a1 * b0
    return last if flat else np.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, last], axisc)


def _einsums() -> Iterable[Call]:
    for subscripts, *shapes in (
        ("ij,jk->ik", (2, 3), (3, 4)),
        ("ij,jk", (2, 3), (3, 4)),
        ("bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
        ("abc,cd->abd", (2, 3, 4), (4, 2)),
        ("abc,cde->abde", (2, 3, 4), (4, 2, 3)),
        ("btnh,bsnh->bnts", (2, 3, 2, 4), (2, 5, 2, 4)),
        ("...ij,...jk->...ik", (2, 2, 3), (2, 3, 2)),
        ("ii->i", (3, 3)),
        ("ij->ji", (2, 3)),
        ("ij->", (2, 3)),
        ("i,j->ij", (2,), (3,)),
        ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    ):
        x = [whole(f"operand {at}", *shape) for at, shape in enumerate(shapes)]
        yield call(subscripts, *x)
        if len(x) == 2:
            yield call(subscripts, *(one.astype(np.int32) for one in x))


def _distances(x: Array, y: Array) -> Array:
    return np.sqrt(np.square(x[..., :, None, :] - y[..., None, :, :]).sum(-1))


_PRODUCTS = (
    _products("matmul", ((2, 3), (3, 4)), ((2, 2, 3), (3, 4)), ((2, 3), (2, 3, 4))),
    _products("matmul-batches", ((2, 1, 2, 3), (3, 3, 4)), ((2, 3, 2, 3), (2, 3, 3, 2))),
    _products(
        "matmul-vectors", ((3,), (3, 4)), ((2, 3), (3,)), ((2, 2, 3), (3,)), ((3,), (2, 3, 4))
    ),
    _products("matmul-scalar", ((3,), (3,))),
    Operation("einsum", _einsums, np.einsum, "`np.einsum`", rounds=False),
    _products("dot", ((3,), (3,)), ((2, 3), (3, 4)), ((2, 2, 3), (3,)), ((), (2, 3)), ((2, 3), ())),
    _products("dot-ranks", ((2, 2, 3), (4, 3, 2)), ((3,), (2, 3, 2))),
    _products("inner", ((3,), (3,))),
    _products("inner-matrices", ((3, 3), (3, 3))),
    *apart(_products("inner-sizes", ((2, 3), (4, 3)), ((2, 2, 3), (3,)), ((), (2, 3))), "graph"),
    _products("outer", ((3,), (2,)), ((2, 2), (3,)), ((2, 2), (2, 3))),
    _products("vdot", ((3,), (3,)), ((2, 3), (2, 3))),
    _products("tensordot", ((2, 3, 4), (3, 4, 2))),
    _products("tensordot-axes", ((2, 3), (3, 4)), axes=1),
    _products("tensordot-none", ((2, 3), (2, 2)), axes=0),
    _products("tensordot-listed", ((2, 3, 4), (4, 3, 2)), axes=[[1, 2], [1, 0]]),
    *apart(_products("kron", ((2, 3), (3, 2)), ((2,), (3,))), "graph"),
    replace(
        _products("kron-ranks", ((2,), (2, 3)), ((2, 2, 2), (2, 1))), ways=("eager", "symbols")
    ),
    _products(
        "cross", ((2, 3), (2, 3)), ((3,), (2, 3)), ((2, 3), (2, 2)), ((2, 2), (2, 3)), truth=_cross
    ),
    _products("cross-flat", ((2, 2), (2, 2)), truth=_cross),
    _products("cross-axis", ((3, 2), (3, 2)), truth=_cross, axis=0),
    _products("cross-axes", ((3, 2, 4), (2, 4, 3)), truth=_cross, axisa=0, axisb=-1, axisc=1),
    _products("cross-sizes", ((3, 2, 4), (2, 2, 4)), truth=_cross, axisa=0, axisb=1, axisc=-1),
    Operation(
        "trace",
        lambda: [
            call(x, **options)
            for x in (whole("values", 3, 4, 2), whole("values", 3, 4, 2).astype(np.int32))
            for options in (
                {},
                {"offset": 1},
                {"offset": -1, "axis1": 2, "axis2": 1},
                {"axis1": -1},
            )
        ],
        rounds=False,
    ),
    Operation(
        "cdist",
        lambda: [
            call(drawn("left", 3, 4), drawn("right", 2, 4)),
            call(drawn("left", 2, 3, 4), drawn("right", 2, 5, 4)),
        ],
        _distances,
        "Euclidean distances of all pairs",
    ),
    Operation(
        "cdist-kinds",
        lambda: [call(whole("left", 3, 4).astype(np.int32), drawn("right", 2, 4))],
        _distances,
        "Euclidean distances of whole numbers from others",
    ),
)


# --- Spectra


def _pair(x: Array) -> tuple[Array, Array]:
    return x.real, x.imag


def _complex(x: tuple[Array, Array]) -> Array:
    return x[0] + 1j * x[1]


def _both(*shape: int) -> tuple[Array, Array]:
    return drawn("real", *shape), drawn("imaginary", *shape)


def _fourier(subject: str, function: Callable[[Array], Array], says: str) -> Operation:
    return Operation(
        subject,
        lambda: [call(_both(4, 6)), call(_both(2, 3, 5))],
        lambda x: _pair(function(_complex(x))),
        says,
    )


def _window(name: Any, size: int) -> Array:
    if isinstance(name, np.ndarray):
        return name
    turn = np.cos(2 * np.pi * np.arange(size) / size)
    return {"hann": 0.5 - 0.5 * turn, "hamming": 0.54 - 0.46 * turn, None: np.ones(size)}[name]


def _framed(x: Array, size: int, stride: int) -> Array:
    return np.lib.stride_tricks.sliding_window_view(x, size, -1)[..., ::stride, :]


def _stft(
    x: Array,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> tuple[Array, Array]:
    """Frames of the FFT's length, mirrored beyond the ends, the window in their middle."""
    if center:
        half = fft_length // 2
        x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(half, half)], "reflect")
    missing = fft_length - sequence_length
    weights = np.pad(_window(window, sequence_length), (missing // 2, missing - missing // 2))
    if window is None:
        weights = np.ones(fft_length)
    return _pair(np.fft.rfft(_framed(x, fft_length, sequence_stride) * weights))


def _sound() -> Array:
    return drawn("sound", 2, 64)


def _istft(x: Any, *sizes: int, length: Any = None, **_: Any) -> Array:
    """The signal whose spectra these are."""
    return _sound().astype(np.float64)[..., :length]


def _spectra(*sizes: int, **options: Any) -> Call:
    """A call with the spectra of the signal."""
    of = {name: value for name, value in options.items() if name != "length"}
    spectra = _stft(_sound().astype(np.float64), *sizes, **of)
    return call(tuple(part.astype(np.float32) for part in spectra), *sizes, **options)


_SPECTRA = (
    _fourier("fft", np.fft.fft, "`np.fft.fft` of real and imaginary parts"),
    _fourier("fft2", np.fft.fft2, "`np.fft.fft2` of real and imaginary parts"),
    _fourier("ifft2", np.fft.ifft2, "`np.fft.ifft2` of real and imaginary parts"),
    Operation(
        "rfft",
        lambda: [
            call(drawn("values", 3, 7), **at) for at in ({}, {"fft_length": 4}, {"fft_length": 9})
        ],
        lambda x, fft_length=None: _pair(np.fft.rfft(x, fft_length)),
        "`np.fft.rfft`, real and imaginary parts",
    ),
    Operation(
        "irfft",
        lambda: [call(_both(3, 5), **at) for at in ({}, {"fft_length": 6}, {"fft_length": 9})],
        lambda x, fft_length=None: np.fft.irfft(_complex(x), fft_length),
        "`np.fft.irfft` of real and imaginary parts",
    ),
    Operation(
        "stft",
        lambda: [
            call(_sound(), 16, 8, 16),
            call(_sound()[0], 12, 5, 16),
            call(_sound(), 12, 6, 16, center=False),
            call(_sound(), 16, 8, 16, window="hamming"),
            call(_sound(), 16, 8, 16, window=None),
        ],
        _stft,
        "spectra of windowed frames",
    ),
    Operation(
        "istft",
        lambda: [
            _spectra(16, 8, 16),
            _spectra(16, 8, 16, length=50),
            _spectra(16, 8, 16, window="hamming"),
        ],
        _istft,
        "the signal whose spectra are given",
    ),
    Operation(
        "extract_sequences",
        lambda: [call(drawn("values", 2, 11), 4, 2), call(drawn("values", 2, 3, 8), 3, 3)],
        _framed,
        "frames along the last axis",
        rounds=False,
    ),
    Operation(
        "view_as_complex",
        lambda: [call(drawn("values", 3, 2))],
        lambda x: x[..., 0] + 1j * x[..., 1],
    ),
)

OPERATIONS = (*_MATRICES, *_PRODUCTS, *_SPECTRA)
