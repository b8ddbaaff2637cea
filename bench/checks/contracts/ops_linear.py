"""Functions of ``keras.ops`` on matrices: their factors, inverses, solutions and norms."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np

from bench.checks.contracts.linear import drawn
from bench.checks.contracts.operation import Operation, apart, call
from bench.checks.contracts.tensors import whole

Array = Any
_N = 4


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


def _cholesky(x: Array, *, upper: bool = False) -> Array:
    factor = np.linalg.cholesky(x)
    return _turned(factor) if upper else factor


def _cholesky_inverse(x: Array, *, upper: bool = False) -> Array:
    lower = _turned(x) if upper else x
    return np.linalg.inv(lower @ _turned(lower))


def _lu(x: Array) -> tuple[Array, Array]:
    """Both triangles of the factors in one matrix, and the rows' order: ``x = (L U)[order]``."""
    left, rows = x.copy(), np.arange(len(x))
    for k in range(len(x)):
        best = k + int(np.argmax(np.abs(left[k:, k])))
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


def _triangle(a: Array, b: Array, *, lower: bool = False) -> Array:
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


def _norms(subject: str, orders: Iterable[Any], *ways: tuple[Any, bool]) -> Operation:
    """Of each order, along each axis, which is kept or not."""
    return Operation(
        subject,
        lambda: [
            call(drawn("values", 3, 4, 2), ord=order, axis=axis, keepdims=keepdims)
            for order, (axis, keepdims) in itertools.product(orders, ways)
        ],
        np.linalg.norm,
        "`np.linalg.norm`",
    )


_INF = np.inf
OPERATIONS = (
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
            for x in (_matrix(2, columns=2), _matrix(2, rows=3))
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
            for x in (_matrix(2, columns=3), _matrix(2, rows=3))
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
    _norms("norm-vector", (None, 1, 2, 3, 0, _INF, -_INF), (0, False), (-1, True)),
    _norms("norm-matrix", (None, "fro", 1, -1, _INF, -_INF), ((0, 1), True), ((2, 0), False)),
    _norms("norm-matrix_negative", (None, 1, _INF), ((-2, -1), False)),
    _norms("norm-singular", ("nuc", 2, -2), ((0, 1), False), ((2, 0), False)),
    _norms("norm-singular_negative", (2,), ((-2, -1), False)),
    _norms("norm-singular_keepdims", (2,), ((0, 1), True), ((2, 0), True), ((-2, -1), True)),
)
