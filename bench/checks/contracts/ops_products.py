"""Functions of ``keras.ops`` that multiply and add: products of arrays, distances, and spectra."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from bench.checks.contracts.linear import drawn
from bench.checks.contracts.operation import Call, Operation, apart, call
from bench.checks.contracts.tensors import whole

Array = Any


# --- Products


def _shapes(*pairs: tuple[tuple[int, ...], tuple[int, ...]], **options: Any) -> Any:
    """Calls with two arrays of these shapes, whole numbers, whose sums are exact, the first
    pair also as integers."""

    def calls() -> Iterable[Call]:
        for at, (left, right) in enumerate(pairs):
            x = np.asarray(whole("left", *left), np.float32)
            y = np.asarray(whole("right", *right), np.float32)
            yield call(x, y, **options)
            if not at:
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


def _distances(x: Array, y: Array) -> Array:
    return np.sqrt(np.square(x[..., :, None, :] - y[..., None, :, :]).sum(-1))


def _cubic(x: Any, y: Any) -> Any:
    return x * x * y + y


def _jvp(fun: Any, primals: Any, tangents: Any) -> Any:
    (x, y), (dx, dy) = primals, tangents
    return fun(x, y), 2 * x * y * dx + (x * x + 1) * dy


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
            for x in [whole("values", 3, 4, 2)]
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
        "jvp",
        lambda: [call(_cubic, (whole("x", 3), whole("y", 3)), (whole("dx", 3), whole("dy", 3)))],
        _jvp,
        "the function's value and the slope along a direction",
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
    *,
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


def _istft(*_: Any, length: Any = None, **__: Any) -> Array:
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
            call(_sound()[0], 12, 5, 16, window="hamming"),
            call(_sound(), 12, 6, 16, window=None, center=False),
        ],
        _stft,
        "spectra of windowed frames",
    ),
    Operation(
        "istft",
        lambda: [
            _spectra(16, 8, 16),
            _spectra(16, 8, 16, length=50, window="hamming"),
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
        lambda: [call(drawn("values", 3, 2)), call(drawn("values", 2, 3, 2))],
        lambda x: x[..., 0] + 1j * x[..., 1],
        "pairs as complex numbers",
    ),
    Operation(
        "view_as_real",
        lambda: [call(_complex(_both(2, 3)).astype(np.complex64))],
        lambda x: np.stack([x.real, x.imag], -1),
        "complex numbers as pairs",
    ),
    *apart(
        Operation(
            "polar",
            lambda: [call(np.abs(drawn("lengths", 3, 4)), drawn("angles", 3, 4))],
            lambda length, angle: length * np.exp(1j * angle),
            "complex numbers of lengths and angles",
        ),
        "symbols",
    ),
)

OPERATIONS = (*_PRODUCTS, *_SPECTRA)
