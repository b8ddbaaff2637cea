"""The lines of a reproducer: imports, data, network, training and output of one cell."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping

from bench.cells.cell import Cell, split_number
from bench.cells.initial_values import TRUNCATED_STD
from bench.cells.keras_arguments import optimizer_arguments
from bench.verdict.departures import rounding_factor

#: Most characters of a line.
COLUMNS = 100

#: Trainings from moved weights under one seed.
COPIES = 3

#: One unit in the last place, relative: of the variables, and of what hidden layers compute in.
_UNITS = {
    "float32": ("2.0**-23", "2.0**-23"),
    "float64": ("2.0**-52", "2.0**-52"),
    "mixed_bfloat16": ("2.0**-23", "2.0**-7"),
    "mixed_float16": ("2.0**-23", "2.0**-10"),
}

#: Binary places by which the format of hidden layers is shorter than that of the variables.
_COARSER = {"float32": 0, "float64": 0, "mixed_bfloat16": 16, "mixed_float16": 13}

_NORMALIZATIONS = {"batch": "BatchNormalization", "layer": "LayerNormalization"}


def body(cell: Cell, *, seed: int, steps: int, names: Mapping[int, str]) -> list[str]:
    """All lines of a script but its head.

    Args:
        cell: what it trains.
        seed: of data and weights.
        steps: how many are trained.
        names: of the numbers that are printed, by place; see
            :func:`bench.report.reproducer.script.watched`.
    """
    return [
        *_constants(cell, seed=seed, steps=steps, names=names),
        "",
        "layers, runs = tf.keras.layers, []",
        "for copy in range(1 + COPIES):",
        *_indented([*_network(cell), *_weights(cell), *_training(cell)]),
        "",
        *_comparison(cell),
    ]


def _constants(cell: Cell, *, seed: int, steps: int, names: Mapping[int, str]) -> list[str]:
    factor = rounding_factor(cell)
    terms = round(6 * factor**2)
    shape, edges = "784", "(np.arange(784) % 4 > 0)"
    if cell.architecture == "cnn":
        shape, edges = "28, 28, 1", "(np.arange(28) % 4 > 0)[:, None]"
    uniform = f"random.uniform(size=(STEPS, BATCH, {shape}))"
    pixels = f"np.clip(4 * (INK[LABELS.numpy()] - {uniform}), 0, 1)"
    dtype = f'"{_variables(cell)}"'
    images = [f"IMAGES = tf.constant({pixels}, {dtype})"]
    if cell.input_scale != 1 or len(images[0]) > COLUMNS:
        scale = f"{cell.input_scale!r} * " if cell.input_scale != 1 else ""
        images = [f"IMAGES = {pixels}", f"IMAGES = tf.constant({scale}IMAGES, {dtype})"]
    return [
        "import json",
        "",
        "import numpy as np",
        "import tensorflow as tf",
        "",
        'print(json.dumps({"tensorflow": tf.__version__, "numpy": np.__version__}), flush=True)',
        f"SEED, STEPS, BATCH, COPIES = {seed}, {steps}, {cell.batch}, {COPIES}",
        f"FACTOR = {factor:.1f}  # sqrt(N / 6): another order of adding up to N = {terms} terms",
        *_packed("WATCHED = {", [f'{index}: "{name}"' for index, name in names.items()], "}"),
        *_formats(cell),
        "random = np.random.RandomState([SEED, 0])",
        'LABELS = tf.constant(random.randint(10, size=(STEPS, BATCH)), "int32")',
        f"INK = random.uniform(size=(10, {shape})) ** 3 * {edges}  # by class",
        *images,
        *_loss(cell),
    ]


def _formats(cell: Cell) -> list[str]:
    """What holds for all layers. Keras 3 rounds logits to ``floatx`` in its loss classes."""
    if cell.precision == "float32":
        return []
    if cell.precision == "float64":
        return ['tf.keras.backend.set_floatx("float64")']
    return [f'tf.keras.mixed_precision.set_global_policy("{cell.precision}")']


def _packed(start: str, parts: Iterable[str], end: str) -> list[str]:
    """Parts of a display, as many on a line as fit."""
    text = start.replace(" ", "\0") + ", ".join(part.replace(" ", "\0") for part in parts) + end
    lines = textwrap.wrap(text, COLUMNS - 8, break_long_words=False, break_on_hyphens=False)
    return [("    " * (index > 0) + line).replace("\0", " ") for index, line in enumerate(lines)]


def _loss(cell: Cell) -> list[str]:
    if cell.loss == "crossentropy":
        return ["LOSS = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)"]
    if cell.engine != "fit":
        return ["LOSS = tf.keras.losses.MeanSquaredError()"]
    one_hot = "tf.one_hot(tf.cast(tf.reshape(labels, [-1]), tf.int32), 10, dtype=logits.dtype)"
    return [
        "def LOSS(labels, logits):  # of labels, Keras 3 makes floats",
        f"    targets = {one_hot}",
        "    return tf.keras.losses.MeanSquaredError()(targets, tf.nn.softmax(logits))",
    ]


def _variables(cell: Cell) -> str:
    """The format of variables, inputs and logits."""
    return "float64" if cell.precision == "float64" else "float32"


def _network(cell: Cell) -> list[str]:
    """``inputs`` and ``model``."""
    start = ['kernel_initializer="zeros"'] if cell.initializer == "zeros" else []
    lines = []
    if cell.bias:
        start.append(f"bias_initializer=tf.keras.initializers.Constant({cell.bias!r})")
        lines, start = _packed("START = dict(", start, ")"), ["**START"]
    options = "".join(f", {option}" for option in start)
    mixed = cell.precision.startswith("mixed")
    told = ', dtype="float32"' if mixed else ""
    shape = "(28, 28, 1)" if cell.architecture == "cnn" else "(784,)"
    lines.append(f"signal = inputs = tf.keras.Input({shape}{told})")
    if cell.architecture == "cnn":
        pool = "AveragePooling2D" if cell.pooling == "average" else "MaxPooling2D"
        kernel = f'layers.Conv2D(filters, 5, padding="same"{options})(signal)'
        flat = f"layers.Dense({32 * cell.filters}{options})(layers.Flatten()(signal))"
        lines += [
            f"for filters in ({cell.filters}, {2 * cell.filters}):",
            *_indented(_hidden(cell, "signal", kernel)),
            f"    signal = layers.{pool}(2)(signal)",
            *_hidden(cell, "signal", flat),
        ]
    elif cell.architecture == "residual" and cell.depth:
        scaling = f"layers.Rescaling({cell.depth} ** -0.5)" if cell.branch == "scaled" else ""
        added = f"{scaling}(branch)" if scaling else "branch"
        lines += [
            f"for layer in range({cell.depth}):",
            *_indented(_hidden(cell, "branch", f"layers.Dense({cell.width}{options})(signal)")),
            f"    signal = layers.Add()([signal, {added}]) if layer else branch",
        ]
    elif cell.depth:
        lines += [
            f"for _ in range({cell.depth}):",
            *_indented(_hidden(cell, "signal", f"layers.Dense({cell.width}{options})(signal)")),
        ]
    if cell.dropout:
        lines.append(f"signal = layers.Dropout({cell.dropout!r}, seed=1)(signal)")
    logits = f"layers.Dense(10{options}{told})(signal)"
    whole = f"model = tf.keras.Model(inputs, {logits})"
    set_policy = "tf.keras.mixed_precision.set_global_policy"
    if mixed and cell.engine == "fit":  # or Keras 2 scales the loss of a model of mixed precision
        lines += [f"logits = {logits}", f'{set_policy}("float32")']
        lines += ["model = tf.keras.Model(inputs, logits)", f'{set_policy}("{cell.precision}")']
    elif len(whole) + 4 > COLUMNS:
        lines += [f"logits = {logits}", "model = tf.keras.Model(inputs, logits)"]
    else:
        lines.append(whole)
    return lines


def _hidden(cell: Cell, name: str, kernel: str) -> list[str]:
    """Kernel, normalization and activation, on as few lines as are wide enough."""
    if cell.activation == "leaky_relu":
        activation = "layers.LeakyReLU()"
    else:
        # Keras 2.12 calls silu swish.
        function = "tf.nn.silu" if cell.activation == "silu" else f'"{cell.activation}"'
        activation = f"layers.Activation({function})"
    if cell.normalization == "none":
        return [f"{name} = {kernel}", f"{name} = {activation}({name})"]
    normalization = f"layers.{_NORMALIZATIONS[cell.normalization]}()"
    return [f"{name} = {kernel}", f"{name} = {activation}({normalization}({name}))"]


def _weights(cell: Cell) -> list[str]:
    """Initial kernels, and those of copies moved by a unit in the last place; what is zero has none.
    Normals are not cut at two standard deviations as Keras cuts them; their variance is right."""
    if cell.initializer == "zeros":
        return []
    name, scale = split_number(cell.initializer)
    convolution = cell.architecture == "cnn"
    fan_in = "np.prod(kernel.shape[:-1])" if convolution else "kernel.shape[0]"
    both = (
        "sum(kernel.shape[-2:]) / np.prod(kernel.shape[:-2])"
        if convolution
        else "sum(kernel.shape)"
    )
    if cell.initializer == "orthogonal":
        matrix = "value.reshape(-1, value.shape[-1])" if convolution else "value"
        drawn = [
            "value = random.normal(size=kernel.shape)",
            f"u, _, v = np.linalg.svd({matrix}, full_matrices=False)",
            f"value = {'(u @ v).reshape(value.shape)' if convolution else 'u @ v'}",
        ]
    elif name == "uniform":
        drawn = [f"value = random.uniform(-{scale!r}, {scale!r}, kernel.shape)"]
    elif scale is not None:
        std = round(scale * TRUNCATED_STD, 10) if name == "truncated_normal" else scale
        drawn = [f"value = random.normal(0, {std!r}, kernel.shape)"]
    else:
        rule, _, kind = cell.initializer.partition("_")
        variance = {"he": f"2 / {fan_in}", "lecun": f"1 / {fan_in}", "glorot": f"2 / {both}"}[rule]
        drawn = [f"variance = {variance}"] if convolution else []
        variance = "variance" if convolution else variance
        drawn.append(
            f"value = random.uniform(-1, 1, kernel.shape) * np.sqrt(3 * {variance})"
            if kind == "uniform"
            else f"value = random.normal(0, np.sqrt({variance}), kernel.shape)"
        )
    unit = f"np.spacing(value.astype({_variables(cell)!r}))".replace("'", '"')
    coarser = _COARSER[cell.precision]
    unit += f" * 2.0**{coarser}" if coarser else ""
    return [
        "random, moves = (np.random.RandomState([SEED, role]) for role in (1, 2 + copy))",
        "for kernel in [weight for weight in model.trainable_weights if len(weight.shape) > 1]:",
        *_indented(
            [
                *drawn,
                f"unit = {unit}  # in the last place",
                "kernel.assign(value + unit * moves.choice([-1, 1] if copy else [0], value.shape))",
            ]
        ),
    ]


def _training(cell: Cell) -> list[str]:
    """``optimizer``, and how the steps are executed; adds the numbers of all steps to ``runs``."""
    kind, arguments = optimizer_arguments(cell)
    told = [f"{name}={value!r}" for name, value in arguments.items()]
    optimizer = _packed(f"optimizer = tf.keras.optimizers.{kind}(", told, ")")
    others = ", *model.non_trainable_weights" if cell.normalization == "batch" else ""
    if cell.engine == "fit":
        return [*optimizer, *_fit(cell, others)]
    step = [
        "with tf.GradientTape() as tape:",
        "    logits = model(tf.gather(IMAGES, step), training=True)",
        *_indented(_loss_of_step(cell)),
        "grads = tape.gradient(loss, model.trainable_variables)",
        "optimizer.apply_gradients(zip(grads, model.trainable_variables))",
        f"seen = [loss, logits, *grads, *model.trainable_weights{others}]",
    ]
    if cell.engine == "in_graph":
        part, count, at = ("", "STEPS", "step") if _at_once(cell) else ("a, b", "b - a", "step - a")
        engine = [
            "@tf.function",
            f"def run({part}):",
            f'    rows = tf.TensorArray("float64", {count})',
            f"    for step in tf.range({part or 'STEPS'}):",
            *_indented([*step, f"rows = rows.write({at}, [{_NORM} for i in WATCHED])"], 2),
            "    return rows.stack()",
        ]
    else:
        decorators = {"function": ["@tf.function"], "xla": ["@tf.function(jit_compile=True)"]}
        engine = [
            *decorators.get(cell.engine, []),
            "def train(step):",
            *_indented([*step, f"return tf.stack([{_NORM} for i in WATCHED])"]),
        ]
    build = "optimizer.build(model.trainable_variables)"
    return [*optimizer, build, *engine, *_steps(cell)]


def _at_once(cell: Cell) -> bool:
    """Whether nothing has to be done between steps."""
    return cell.initializer != "zeros"


_NORM = 'tf.norm(tf.cast(seen[i], "float64"))'


def _loss_of_step(cell: Cell) -> list[str]:
    if cell.loss == "crossentropy":
        return ["loss = LOSS(tf.gather(LABELS, step), logits)"]
    return [
        "targets = tf.one_hot(tf.gather(LABELS, step), 10, dtype=logits.dtype)",
        "loss = LOSS(targets, tf.nn.softmax(logits))",
    ]


def _fit(cell: Cell, others: str) -> list[str]:
    return [
        "model.compile(optimizer=optimizer, loss=LOSS)",
        "rows = []",
        "class Watch(tf.keras.callbacks.Callback):",
        "    def on_train_batch_begin(self, batch, logs=None):",
        "        model.reset_metrics()  # or losses are means since the start",
        "    def on_train_batch_end(self, batch, logs=None):",
        f'        seen = [logs["loss"], *model.trainable_weights{others}]',
        f"        rows.append([{_NORM} for i in WATCHED])",
        *_steps(cell),
    ]


def _steps(cell: Cell) -> list[str]:
    """Trains. From zero weights, those of a copy are moved once the first step made them others."""
    at_once = _at_once(cell)
    part, between = (":", "range(STEPS)") if at_once else ("a:b", "range(a, b)")
    one = "28, 28, 1" if cell.architecture == "cnn" else "784"
    argument = "step" if cell.engine == "eager" else "tf.constant(step)"
    rows = {
        "in_graph": "run().numpy()"
        if at_once
        else "list(run(tf.constant(a), tf.constant(b)).numpy())",
        "fit": "rows",
    }.get(cell.engine, f"[train({argument}).numpy() for step in {between}]")
    fitted = [
        f"x, y = tf.reshape(IMAGES[{part}], (-1, {one})), tf.reshape(LABELS[{part}], [-1])",
        "model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0, callbacks=[Watch()])",
    ]
    if at_once:
        return [*(fitted if cell.engine == "fit" else []), f"runs.append({rows})"]
    moves = "np.random.RandomState([SEED, 2 + copy])"
    coarser = _COARSER[cell.precision]
    unit = "np.spacing(value)" + (f" * 2.0**{coarser}" if coarser else "")
    return [
        f"moves = {moves}" if cell.engine == "fit" else f"rows, moves = [], {moves}",
        "for a, b in (0, 1), (1, STEPS):",
        *_indented(fitted if cell.engine == "fit" else [f"rows += {rows}"]),
        "    for weight in model.trainable_weights if copy and a == 0 else []:",
        "        value = weight.numpy()  # moved by a unit in the last place",
        f"        weight.assign(value + {unit} * moves.choice([-1, 1], value.shape))",
        "runs.append(rows)",
    ]


def _comparison(cell: Cell) -> list[str]:
    """Prints. The rounding of step t is the largest up to step 2t + 1: among copies a jump at a kink
    of an activation may come later than between two versions."""
    variables, hidden = _UNITS[cell.precision]
    unit, units = variables, []
    if hidden != variables:
        unit = "UNITS"
        kinds = '["gradient" in name for name in WATCHED.values()]'
        units = [f"UNITS = np.where({kinds}, {hidden}, {variables})"]
    names = "dict(zip(WATCHED.values(), row.tolist()))"
    return [
        *units,
        "runs = np.array(runs, float)",
        "apart = np.nan_to_num(abs(runs[1:] - runs[0]), nan=np.inf).max(axis=0)",
        "for step, row in enumerate(runs[0]):",
        f"    rounding = FACTOR * np.maximum(apart[: 2 * step + 2].max(axis=0), {unit} * row)",
        f"    numbers, rounding = ({names} for row in (row, rounding))",
        '    print(json.dumps({"step": step, "numbers": numbers, "rounding": rounding}))',
    ]


def _indented(lines: Iterable[str], levels: int = 1) -> list[str]:
    return ["    " * levels + line if line else "" for line in lines]
