"""Initial weights and batch order, drawn by NumPy: the same bits under every TensorFlow version.

NumPy promises that the raw stream of a bit generator never changes, but not what ``Generator``
makes of it (NEP 19). So everything here starts from the raw 64-bit words of a Philox generator.
NumPy's logarithm and sine also differ in the last bit between its versions and between CPUs. So
they are computed here from additions, products, quotients and square roots, which IEEE 754 rounds
alike everywhere. Only ``orthogonal`` depends on more: on the QR factorization of a LAPACK.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
import numpy.typing as npt

from bench.cells.cell import EPOCHS
from bench.cells.numbers import split_number

Array = npt.NDArray[np.float64]

#: Standard deviation of a standard normal cut at +-2: Keras divides by it so that the variance of
#: its scaled truncated normals is what their names promise.
TRUNCATED_STD = 0.87962566103423978


def stream(seed: int, role: str, layer: int = 0) -> np.random.Philox:
    """The bit generator of one purpose: ``role`` names it, ``layer`` counts within it."""
    return np.random.Philox(np.random.SeedSequence([seed, zlib.crc32(role.encode()), layer]))


def uniform(bits: np.random.Philox, count: int) -> Array:
    """``count`` float64 values in [0, 1): the upper 53 bits of each raw word."""
    words = np.asarray(bits.random_raw(count), dtype=np.uint64)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def standard_normal(bits: np.random.Philox, count: int) -> Array:
    """``count`` standard normal float64 values (Box and Muller 1958)."""
    pairs = (count + 1) // 2
    radius = np.sqrt(-2.0 * _log(1.0 - uniform(bits, pairs)))
    cosine, sine = _circle(uniform(bits, pairs))
    return np.concatenate([radius * cosine, radius * sine])[:count]


def _log(x: Array) -> Array:
    """ln(x) of x in (0, 1]: x = m 2^e with m from sqrt(1/2) to sqrt(2), ln(m) = 2 artanh(s) with
    s = (m - 1) / (m + 1), whose series to s^23 leaves s^24 / 25 < 2^-65."""
    mantissa, exponent = np.frexp(x)
    small = mantissa < math.sqrt(0.5)
    mantissa = np.where(small, 2.0 * mantissa, mantissa)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    series = _polynomial(s * s, [1.0 / k for k in range(1, 25, 2)])
    return np.asarray((exponent - small) * math.log(2.0) + 2.0 * s * series)


def _circle(turns: Array) -> tuple[Array, Array]:
    """Cosine and sine of 2 pi ``turns``, from Taylor series within pi/4 of a quarter turn."""
    quarter = np.floor(4.0 * turns + 0.5)
    angle = 2.0 * math.pi * (turns - 0.25 * quarter)
    square = -angle * angle
    cosine = _polynomial(square, [1.0 / math.factorial(k) for k in range(0, 20, 2)])
    sine = angle * _polynomial(square, [1.0 / math.factorial(k) for k in range(1, 21, 2)])
    odd = quarter % 2 == 1
    sign = np.where(quarter % 4 >= 2, -1.0, 1.0)
    return sign * np.where(odd, -sine, cosine), sign * np.where(odd, cosine, sine)


def _polynomial(x: Array, coefficients: list[float]) -> Array:
    """The polynomial whose first coefficient belongs to x^0 (Horner's rule)."""
    value = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value


def truncated_normal(bits: np.random.Philox, count: int) -> Array:
    """``count`` standard normal values, those beyond +-2 drawn again; variance .77374."""
    kept = np.empty(0)
    while kept.size < count:
        drawn = standard_normal(bits, int((count - kept.size) * 1.06) + 16)
        kept = np.concatenate([kept, drawn[np.abs(drawn) < 2.0]])
    return kept[:count]


def orthogonal(bits: np.random.Philox, rows: int, columns: int) -> Array:
    """A (rows, columns) matrix with orthonormal rows or columns, whichever are fewer.

    Uniform over such matrices (Saxe et al. 2014; the signs make the factorization unique).
    """
    tall = standard_normal(bits, rows * columns).reshape(max(rows, columns), min(rows, columns))
    q, r = np.linalg.qr(tall)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return np.asarray(q if rows >= columns else q.T)


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Fan-in and fan-out of a dense (in, out) or convolution (h, w, in, out) kernel, as in Keras."""
    receptive = math.prod(shape[:-2])
    return shape[-2] * receptive, shape[-1] * receptive


def variance(initializer: str, shape: tuple[int, ...]) -> float:
    """Var(W) of an initializer for a kernel of this shape.

    Sources: Glorot and Bengio 2010, eq. 16; He et al. 2015, eq. 10; LeCun et al. 1998, eq. 16; a
    normal cut at two standard deviations has .77374 of its variance.
    """
    name, scale = split_number(initializer)
    if scale is not None:
        of_unit_scale = {"normal": 1.0, "truncated_normal": TRUNCATED_STD**2, "uniform": 1 / 3}
        return of_unit_scale[name] * scale**2
    fan_in, fan_out = fans(shape)
    if initializer == "zeros":
        return 0.0
    if initializer == "orthogonal":
        return 1 / max(math.prod(shape[:-1]), shape[-1])
    rule = initializer.rpartition("_")[0]
    return {"glorot": 2 / (fan_in + fan_out), "he": 2 / fan_in, "lecun": 1 / fan_in}[rule]


def matrix(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of which a kernel is a rearrangement, and whose fans it has.

    Attention's kernels, (width, heads, size) and (heads, size, width), are a square matrix, as width =
    heads x size. A depthwise kernel, (rows, columns, channels, 1), joins one channel to each output.
    """
    if len(shape) == 3:
        width = max(shape[0], shape[-1])
        return width, math.prod(shape) // width
    if len(shape) == 4 and shape[-1] == 1:
        return *shape[:2], 1, shape[2]
    return shape


def kernel(
    initializer: str, shape: tuple[int, ...], *, seed: int, layer: int, role: str = "kernel"
) -> npt.NDArray[np.float64]:
    """Initial kernel of a layer, float64 of the given shape; see :class:`bench.cells.cell.Cell`.

    ``role`` names the stream: what is drawn for another purpose has another one.
    """
    bits = stream(seed, role, layer)
    whole, shape = shape, matrix(shape)
    count = math.prod(shape)
    name, scale = split_number(initializer)
    std = math.sqrt(variance(initializer, shape))
    if initializer == "zeros":
        flat = np.zeros(count)
    elif initializer == "orthogonal":
        flat = orthogonal(bits, math.prod(shape[:-1]), shape[-1])
    elif scale is not None and name == "normal":
        flat = scale * standard_normal(bits, count)
    elif scale is not None and name == "truncated_normal":
        flat = scale * truncated_normal(bits, count)
    elif scale is not None:
        flat = scale * (2.0 * uniform(bits, count) - 1.0)
    elif initializer.endswith("_uniform"):
        flat = math.sqrt(3.0) * std * (2.0 * uniform(bits, count) - 1.0)
    else:  # Keras' scaled normals are truncated at two standard deviations, then rescaled.
        flat = std / TRUNCATED_STD * truncated_normal(bits, count)
    return flat.reshape(whole)


def recurrent_kernel(
    initializer: str, shape: tuple[int, ...], *, seed: int, layer: int
) -> npt.NDArray[np.float64]:
    """Initial kernel (units, gates times units) from state to state, float64, as Keras draws it: of
    several gates all columns together."""
    name, gain = split_number(initializer)
    scale = 1.0 if gain is None else gain
    if name == "identity":
        return scale * np.eye(shape[0], shape[1])
    if name == "orthogonal":
        return scale * kernel(name, shape, seed=seed, layer=layer, role="recurrent kernel")
    return kernel(initializer, shape, seed=seed, layer=layer, role="recurrent kernel")


def batch_order(seed: int, *, examples: int, batch: int, steps: int) -> npt.NDArray[np.int32]:
    """Indices of the training examples of every step, int32 of shape (steps, batch).

    Each epoch visits the examples in a new order; a rest too small for a batch is dropped. An epoch
    shorter than one batch draws from the examples with replacement.
    """
    if batch > examples:
        drawn = uniform(stream(seed, "batch order"), steps * batch) * examples
        return drawn.astype(np.int32).reshape(steps, batch)
    per_epoch = examples // batch
    epochs = [
        np.argsort(stream(seed, "batch order", epoch).random_raw(examples), kind="stable")[
            : per_epoch * batch
        ]
        for epoch in range(math.ceil(steps / per_epoch))
    ]
    return np.concatenate(epochs)[: steps * batch].astype(np.int32).reshape(steps, batch)


def epochs_order(
    seed: int, *, examples: int, batch: int, steps: int
) -> list[npt.NDArray[np.int32]]:
    """Indices of the training examples of every step where each epoch visits the same examples in one
    order, int32 (batch,): the last batch of an epoch is as short as that of all ``examples``."""
    order = batch_order(seed, examples=examples, batch=batch, steps=steps // EPOCHS)
    return [*order[:-1], order[-1][: examples % batch or batch]] * EPOCHS
