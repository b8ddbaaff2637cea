"""The lines of a reproducer but its head: ``script.py.jinja``, filled in for one cell.

Keras 3 rounds logits to ``floatx`` in its loss classes, so a float64 script sets it; Keras 2 scales the
loss of a model of mixed precision, so one for ``fit`` is put together under another policy.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from bench.cells import recurrent
from bench.cells.architectures import CONVOLUTIONAL
from bench.cells.cell import EPOCHS, FITTED, Cell
from bench.cells.initial_values import TRUNCATED_STD
from bench.cells.keras_arguments import optimizer_arguments
from bench.cells.numbers import split_number
from bench.report.reproducer.vision import POSITIONS, hidden_layers, prelu
from bench.verdict.departures import rounding_factor

#: Most characters of a line.
COLUMNS = 100

#: Trainings from moved weights under one seed.
COPIES = 3

#: Binary places of the formats of variables and of what hidden layers compute in.
_PLACES = {
    "float32": (23, 23),
    "float64": (52, 52),
    "mixed_bfloat16": (23, 7),
    "mixed_float16": (23, 10),
}


def body(cell: Cell, *, seed: int, steps: int, names: Mapping[int, str]) -> list[str]:
    """All lines of a script but its head.

    Args:
        cell: the cell that it trains.
        seed: seed of data and weights.
        steps: number of training steps.
        names: names of the numbers that are printed, by place; see
            :func:`bench.report.reproducer.script.watched`.
    """
    epochs = EPOCHS if cell.engine == "fit_epochs" else 1
    factor = rounding_factor(cell)
    optimizer, arguments = optimizer_arguments(cell)
    text = template("script.py.jinja").render(
        cell=cell,
        seed=seed,
        steps=max(-(-steps // epochs), 2),
        copies=COPIES,
        factor=factor,
        terms=round(6 * factor**2),
        watched=_packed("WATCHED = {", [f'{at}: "{name}"' for at, name in names.items()], "}"),
        fit=cell.engine in FITTED,
        epochs=epochs,
        short=-60_000 % cell.batch,
        optimizer=_packed(
            f"optimizer = tf.keras.optimizers.{optimizer}(",
            [f"{name}={value!r}" for name, value in arguments.items()],
            ")",
        ),
        moving=", *model.non_trainable_weights" if cell.normalization == "batch" else "",
        **_formats(cell),
        **_images(cell),
        **_model(cell),
    )
    return text.splitlines()


def _formats(cell: Cell) -> dict[str, Any]:
    """Types of variables and layers, and their binary places."""
    places, hidden_places = _PLACES[cell.precision]
    return {
        "mixed": _mixed(cell),
        "variables": _variables(cell),
        "float32": _float32(cell),
        "places": places,
        "hidden_places": hidden_places,
        "coarser": f" * 2.0**{places - hidden_places}" if places > hidden_places else "",
    }


def _mixed(cell: Cell) -> bool:
    return cell.precision.startswith("mixed")


def _variables(cell: Cell) -> str:
    return "float64" if cell.precision == "float64" else "float32"


def _float32(cell: Cell) -> str:
    """What keeps a layer out of mixed precision."""
    return ', dtype="float32"' if _mixed(cell) else ""


def _images(cell: Cell) -> dict[str, Any]:
    """Made-up digits in the shape that the network reads."""
    images = cell.architecture in ("cnn", *CONVOLUTIONAL)
    shape = "28, 28, 1" if images else "784"
    edges = "(np.arange(28) % 4 > 0)[:, None]" if images else "(np.arange(784) % 4 > 0)"
    if cell.architecture in recurrent.ARCHITECTURES:
        shape = f"{recurrent.steps(cell)}, {cell.pixels}"
        edges += f".reshape({shape})"
    uniform = f"random.uniform(size=(STEPS, BATCH, {shape}))"
    pixels = f"np.clip(4 * (INK[LABELS.numpy()] - {uniform}), 0, 1)"
    return {
        "images": images,
        "shape": shape,
        "edges": edges,
        "pixels": pixels,
        "images_fit": len(f'IMAGES = tf.constant({pixels}, "{_variables(cell)}")') <= COLUMNS,
    }


def _model(cell: Cell) -> dict[str, Any]:
    """Layers, and what their kernels start from."""
    zeros, sequence = cell.initializer == "zeros", cell.architecture in recurrent.ARCHITECTURES
    start = ['kernel_initializer="zeros"'] if zeros else []
    common = ""
    if cell.bias:
        start.append(f"bias_initializer=tf.keras.initializers.Constant({cell.bias!r})")
        common, start = _packed("START = dict(", start, ")"), ["**START"]
    options = "".join(f", {option}" for option in start)
    logits = f"layers.Dense(10{options}{_float32(cell)})(signal)"
    block = hidden_layers(cell, _activation(cell), options)
    return {
        "cnn": cell.architecture == "cnn",
        "positions": POSITIONS if cell.architecture == "transformer" else "",
        "block": block,
        "layer": recurrent.CLASSES[cell.architecture] if sequence else "",
        "start": common,
        "options": options,
        "hidden": _hidden(cell),
        "logits": logits,
        "logits_fit": len(f"    model = tf.keras.Model(inputs, {logits})") <= COLUMNS,
        "zeros": zeros,
        "kernels": '"kernel" in weight.name' if sequence or block else "len(weight.shape) > 1",
        "drawn": [] if zeros else _drawn(cell, cell.initializer),
        "again": _drawn(cell, cell.recurrent) if sequence else [],
    }


@functools.cache
def template(name: str) -> Template:
    """The template of a script, by its file's name."""
    environment = Environment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - Python, not HTML
    )
    source = files("bench.report.reproducer").joinpath(name).read_text("utf-8")
    return environment.from_string(source)


def _packed(start: str, parts: Iterable[str], end: str) -> str:
    """Parts of a display, as many on a line as fit."""
    text = start.replace(" ", "\0") + ", ".join(part.replace(" ", "\0") for part in parts) + end
    lines = textwrap.wrap(text, COLUMNS - 8, break_long_words=False, break_on_hyphens=False)
    return "\n    ".join(lines).replace("\0", " ")


def _hidden(cell: Cell) -> str:
    """Normalization and activation of the tensor whose name replaces ``{}``."""
    activation = _activation(cell)
    if cell.normalization == "none":
        return f"{activation}({{}})"
    return f"{activation}(layers.{cell.normalization.title()}Normalization()({{}}))"


def _activation(cell: Cell) -> str:
    """Expression of the layer of an activation."""
    if cell.activation == "prelu":
        return prelu()
    # Keras 2.12 calls silu swish.
    function = "tf.nn.silu" if cell.activation == "silu" else f'"{cell.activation}"'
    leaky = cell.activation == "leaky_relu"
    return "layers.LeakyReLU()" if leaky else f"layers.Activation({function})"


def _drawn(cell: Cell, initializer: str) -> list[str]:
    """Lines that draw a kernel's ``value``. Normals are not cut at two standard deviations as in Keras;
    their variance is right."""
    name, scale = split_number(initializer)
    factor = "" if scale is None else f"{scale!r} * "
    if name == "identity":
        return [f"value = {factor}np.eye(*kernel.shape)"]
    if name == "zeros":
        return ["value = np.zeros(kernel.shape)"]
    convolution = cell.architecture in ("cnn", *CONVOLUTIONAL)
    shape, lines = "kernel.shape", []
    if cell.architecture == "transformer":  # heads cut a square matrix
        shape = "shape"
        lines = [f"shape = kernel.shape if len(kernel.shape) < 3 else ({cell.width}, {cell.width})"]
    elif name != "orthogonal" and cell.raw("conv") == "separable":
        shape = "shape"
        lines = ["shape = (3, 3, 1, kernel.shape[2]) if kernel.shape[-1] == 1 else kernel.shape"]
    if name == "orthogonal":
        matrix = "value.reshape(-1, value.shape[-1])" if convolution else "value"
        made = f"{factor}u @ v" if shape == "kernel.shape" else "(u @ v).reshape(kernel.shape)"
        return [
            *lines,
            f"value = random.normal(size={shape})",
            f"u, _, v = np.linalg.svd({matrix}, full_matrices=False)",
            f"value = {'(u @ v).reshape(value.shape)' if convolution else made}",
        ]
    if name == "uniform":
        return [f"value = random.uniform(-{scale!r}, {scale!r}, kernel.shape)"]
    if scale is not None:
        std = round(scale * TRUNCATED_STD, 10) if name == "truncated_normal" else scale
        return [f"value = random.normal(0, {std!r}, kernel.shape)"]
    fan_in, both = f"{shape}[0]", f"sum({shape})"
    if convolution:
        fan_in = f"np.prod({shape}[:-1])"
        both = f"sum({shape}[-2:]) / np.prod({shape}[:-2])"
    rule, _, kind = initializer.partition("_")
    variance = {"he": f"2 / {fan_in}", "lecun": f"1 / {fan_in}", "glorot": f"2 / {both}"}[rule]
    if convolution:
        lines, variance = [*lines, f"variance = {variance}"], "variance"
    if kind == "uniform":
        return [*lines, f"value = random.uniform(-1, 1, kernel.shape) * np.sqrt(3 * {variance})"]
    return [*lines, f"value = random.normal(0, np.sqrt({variance}), kernel.shape)"]
