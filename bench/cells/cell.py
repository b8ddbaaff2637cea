"""Cell: one network configuration. It says what is trained, not how.

A cell's id is a projection onto ``key:value`` pairs in fixed order, such as
``depth:10-act:relu-init:he_normal-norm:none``. A pair appears if its axis defines the grid that the
cell belongs to or if its value is not the default, so a later axis changes no id written today.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from bench.cells import architectures, own_model, recurrent
from bench.cells.numbers import number, split_number, with_number
from bench.cells.own_model import OwnModel

#: Version of how a cell is trained and measured. To be raised when this package, not TensorFlow, makes
#: another result of the same cell: other initial weights, another batch order, another meaning of a
#: number in the record. Results of different recipes are not compared.
RECIPE = 1

ARCHITECTURES = ("mlp", "residual", "cnn", *recurrent.ARCHITECTURES, *architectures.ARCHITECTURES)
BRANCHES = ("plain", "scaled")
#: Activations with phi(0) = 0: behind zero weights they pass on nothing.
VANISHING_AT_ZERO = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh")
ACTIVATIONS = (*VANISHING_AT_ZERO, "sigmoid", "softplus")
NORMALIZATIONS = ("none", "batch", "layer")
#: Optimizer -> Keras' class, and its arguments besides Keras' defaults.
KERAS_OPTIMIZERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "adam": ("Adam", {}),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "adamw": ("AdamW", {}),
    "amsgrad": ("Adam", {"amsgrad": True}),
    "adamax": ("Adamax", {}),
    "nadam": ("Nadam", {}),
    "rmsprop": ("RMSprop", {}),
    "rmsprop_centered": ("RMSprop", {"centered": True}),
    "adagrad": ("Adagrad", {}),
    "adadelta": ("Adadelta", {}),
    "ftrl": ("Ftrl", {}),
    "lion": ("Lion", {}),
    "lamb": ("Lamb", {}),
    "adafactor": ("Adafactor", {}),
}
OPTIMIZERS = tuple(KERAS_OPTIMIZERS)
POOLINGS = ("max", "average")
LOSSES = ("crossentropy", "mse")
PRECISIONS = ("float32", "float64", "mixed_bfloat16", "mixed_float16")
ENGINES = ("in_graph", "function", "eager", "xla", "fit", "fit_epochs")
#: Engines that are ``Model.fit``.
FITTED = ("fit", "fit_epochs")
#: Epochs of equal length that ``fit_epochs`` trains.
EPOCHS = 2

#: Initializers without and with a number behind their name.
FIXED_INITIALIZERS = (
    "zeros",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
)
SCALED_INITIALIZERS = ("normal", "truncated_normal", "uniform")
#: Likewise of kernels from state to state; the number of the added ones multiplies them.
FIXED_RECURRENT = (*FIXED_INITIALIZERS, "identity")
SCALED_RECURRENT = (*SCALED_INITIALIZERS, "orthogonal", "identity")
CLIPPING_RULES = ("value", "norm", "global_norm")


#: Value of an axis that only some architectures have, where another one has none: it is not written, so
#: that what was stored before there was such an axis has the bytes that it had.
_ELSEWHERE: Any = msgspec.UNSET


class Cell(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, cache_hash=True, gc=False
):
    """Network configuration. Frozen, hashable and ordered as its axes are.

    Raises:
        ValueError: a value that no network can be built from; the message lists what there is.

    Example:
        >>> Cell(depth=10, activation="tanh").id(("depth", "act", "init"))
        'depth:10-act:tanh-init:he_normal'
    """

    depth: int = 3
    """Hidden layers, all with an activation. 0 is softmax regression. A ``cnn`` always has 3: two
    convolutions, one dense. Else recurrent layers, or blocks of a ``transformer``, at least 1."""
    architecture: str = "mlp"
    branch: str = "plain"
    """Residual only. ``scaled`` multiplies every branch by 1/sqrt(depth)."""
    width: int = 100
    """Units of every hidden dense layer of an MLP, and of a recurrent layer in each direction; those of
    a ``cnn`` follow from ``filters``."""
    activation: str = "relu"
    initializer: str = "he_normal"
    """Initializer of every kernel: a name, or a name and its scale, as ``normal_0.01`` (standard
    deviation) and ``uniform_0.05`` (limit)."""
    bias: float = 0.0
    """Initial value of every bias."""
    normalization: str = "none"
    """Layer between each hidden kernel and its activation, with Keras' default epsilon and momentum;
    behind each recurrent layer."""
    clipping: str = "none"
    """``value_T`` per entry, ``norm_T`` per variable, ``global_norm_T`` over all variables."""
    optimizer: str = "sgd"
    """Optimizer of Keras with default constants, or with those of :data:`KERAS_OPTIMIZERS`. An older
    Keras may lack it; then the cell is absent there."""
    learning_rate: float = 0.1
    loss: str = "crossentropy"
    """``mse`` is the mean over classes of (softmax - one-hot)^2."""
    input_scale: float = 1.0
    """Multiplies pixels that were brought to 0..1."""
    dropout: float = 0.0
    """Rate before the output layer, drawn by the framework: not comparable bit by bit."""
    batch: int = 100
    steps: int = 600
    """Training steps; 600 batches of 100 are one pass over MNIST's training images."""
    precision: str = "float32"
    engine: str = "in_graph"
    """Execution of the steps; see :mod:`bench.nets.engines`."""
    pooling: str = "max"
    """``cnn``: what follows each convolution, over windows of 2 x 2. ``conv`` and ``conv_residual``:
    what halves images; ``strided``, the convolution itself."""
    filters: int = 32
    """``cnn``: filters of its first convolution. The second has twice as many, and the dense layer
    32 times as many units; the tutorial's network has 32, 64 and 1024. ``conv`` and ``conv_residual``:
    filters of every convolution."""
    weight_decay: float = 0.0
    """Decay decoupled from the gradient (Loshchilov and Hutter 2019), as each of Keras' optimizers has
    it. 0 leaves the optimizer's default: none, except .004 of AdamW."""
    direction: str = _ELSEWHERE
    """Recurrent only. ``bidirectional`` reads each image from both ends, with a layer for each."""
    recurrent: str = _ELSEWHERE
    """Recurrent only: initializer of kernels from state to state. ``orthogonal_1.5`` and
    ``identity_0.9`` are multiples; the identity is that of a ``simple_rnn`` alone."""
    pixels: int = _ELSEWHERE
    """Recurrent only: pixels that a step reads, of 784 in the order of rows."""
    convolution: str = _ELSEWHERE
    """``conv`` and ``conv_residual``: ``full`` or ``separable``, which is depthwise, then pointwise."""
    placement: str = _ELSEWHERE
    """``transformer``: layer normalization before each branch, ``pre``, or after each sum, ``post``."""
    heads: int = _ELSEWHERE
    """``transformer``: heads of its attention, which share the width; 2 by default."""
    mask: str = _ELSEWHERE
    """``transformer``: ``none``; ``causal`` lets no patch look at those that follow."""
    own: OwnModel | msgspec.UnsetType = msgspec.UNSET
    """Model of the user's, trained in the place of a network that the other axes describe; of these
    only ``batch``, ``steps`` and ``engine`` count then."""

    def __post_init__(self) -> None:
        later = {self.direction, self.recurrent, self.pixels, self.convolution}
        later |= {self.placement, self.heads, self.mask}
        if later == {_ELSEWHERE} and self.architecture in _PLAIN and self in _CHECKED:
            return
        value: Any
        for axis, (default, having) in _ONLY.items():
            value = self.raw(axis)
            if self.architecture not in having and value != default:
                raise ValueError(f"{axis}:{value} needs arch:{' or arch:'.join(having)}")
            if axis in _LATER:
                kept = value if self.architecture in having else _ELSEWHERE
                msgspec.structs.force_setattr(self, _ATTRIBUTES[axis], kept)
        if self not in _CHECKED:  # its hash is kept: nothing may change from here on
            self._check()
            _CHECKED.add(self)

    def _check(self) -> None:
        value: Any
        for axis, known in _NAMED.items():
            value = self.raw(axis)
            if axis == "engine" and self.model:
                known = own_model.ENGINES
            if value not in known:
                raise ValueError(f"{axis}:{value} is unknown; {axis} is one of {', '.join(known)}")
        _check_scaled("init", self.initializer, SCALED_INITIALIZERS, FIXED_INITIALIZERS)
        _check_scaled("clip", self.clipping, CLIPPING_RULES, ("none",))
        _check_scaled("recurrent", str(self.raw("recurrent")), SCALED_RECURRENT, FIXED_RECURRENT)
        for axis, minimum in _AT_LEAST.items():
            value = self.raw(axis)
            if value < minimum:
                raise ValueError(f"{axis}:{value} is below {minimum}")
        for axis in ("bias", "lr", "scale", "decay"):
            value = getattr(self, _ATTRIBUTES[axis])
            if not math.isfinite(value):
                raise ValueError(f"{axis}:{value} is not a finite number")
        for axis, maximum in _AT_MOST.items():
            value = self.raw(axis)
            if abs(value) > maximum:
                raise ValueError(f"{axis}:{value} is beyond {maximum}")
        if abs(self.input_scale) < _LEAST:
            raise ValueError(f"scale:{self.input_scale} is nearer to 0 than {_LEAST}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout:{self.dropout} is not in [0, 1)")
        if self.engine == "fit_epochs" and self.steps % EPOCHS:
            raise ValueError(f"engine:fit_epochs trains {EPOCHS} epochs; steps:{self.steps} is odd")
        if self.architecture in recurrent.ARCHITECTURES:
            recurrent.check(self)
        if misfit := architectures.misfit(self):
            raise ValueError(misfit)

    @property
    def model(self) -> str:
        """Name of the user's model; empty if it is a network of this package."""
        return str(self.own) if isinstance(self.own, OwnModel) else ""

    def raw(self, axis: str) -> int | float | str:
        """The value of an axis, which is named as in an id."""
        value: int | float | str = getattr(self, _ATTRIBUTES[axis])
        return _LATER[axis] if value is _ELSEWHERE else value

    def has(self, axis: str) -> bool:
        """Whether the axis means something for a network of this architecture."""
        return axis not in _ONLY or self.architecture in _ONLY[axis][1]

    def value(self, axis: str) -> str:
        """The text behind ``axis:`` in an id."""
        raw = self.raw(axis)
        return number(raw) if isinstance(raw, float) else str(raw)

    def id(self, axes: Iterable[str] = ()) -> str:
        """The readable id: the pairs of ``axes`` and of all that is not the default, in axis order."""
        shown, pairs = frozenset(axes), []
        for axis, attribute in _ATTRIBUTES.items():  # thousands of cells are named in a session
            value = getattr(self, attribute)
            default = value is _ELSEWHERE or value == _DEFAULTS[attribute]
            if axis in shown or not default:
                pairs.append(f"{axis}:{self.value(axis)}")
        return "-".join(pairs)

    def graph(self) -> Cell:
        """The cell that stands for all cells with the same compiled graph as this one.

        Initial values, learning rate, input scale and number of steps are fed to a graph, not built
        into it.
        """
        return msgspec.structs.replace(
            self,
            initializer="zeros",
            bias=0.0,
            learning_rate=0.1,
            input_scale=1.0,
            steps=EPOCHS,
            recurrent=_ELSEWHERE,
        )

    @property
    def clipping_rule(self) -> tuple[str, float | None]:
        """``("none", None)``, or the rule and its threshold."""
        return split_number(self.clipping)


_CHECKED: set[Cell] = set()
#: Axis key in ids and on the command line -> attribute of Cell, in the order of ids.
_ATTRIBUTES = {
    "depth": "depth",
    "arch": "architecture",
    "branch": "branch",
    "width": "width",
    "act": "activation",
    "init": "initializer",
    "bias": "bias",
    "norm": "normalization",
    "clip": "clipping",
    "opt": "optimizer",
    "lr": "learning_rate",
    "loss": "loss",
    "scale": "input_scale",
    "dropout": "dropout",
    "batch": "batch",
    "steps": "steps",
    "precision": "precision",
    "engine": "engine",
    "pool": "pooling",
    "filters": "filters",
    "decay": "weight_decay",
    "direction": "direction",
    "recurrent": "recurrent",
    "pixels": "pixels",
    "conv": "convolution",
    "placement": "placement",
    "heads": "heads",
    "mask": "mask",
    "model": "model",
}
#: Axes of this package's own networks.
AXES = tuple(axis for axis in _ATTRIBUTES if axis != "model")
#: Axes that count where a model of the user's is trained.
OWN_AXES = ("batch", "steps", "engine", "model")
_AT_LEAST = {"depth": 0, "width": 1, "batch": 1, "steps": 1, "filters": 1, "pixels": 1}
_AT_LEAST |= {"decay": 0, "heads": 1}
#: Least scale of inputs and initial weights, and threshold of clipping; its inverse is the largest.
_LEAST = 1e-30
#: Far beyond what trains; below what overflows float64 in a prediction, or fills the memory.
_AT_MOST = {
    "depth": 10_000,
    "width": 100_000,
    "batch": 60_000,
    "steps": 1_000_000,
    "filters": 4_096,
    "pixels": 784,
    "heads": 4_096,
}
_AT_MOST |= dict.fromkeys(("bias", "lr", "scale", "decay"), 10**39)
_NAMED = {
    "arch": ARCHITECTURES,
    "branch": BRANCHES,
    "act": (*ACTIVATIONS, *architectures.ACTIVATIONS),
    "norm": (*NORMALIZATIONS, *architectures.NORMALIZATIONS),
    "opt": OPTIMIZERS,
    "loss": LOSSES,
    "precision": PRECISIONS,
    "engine": ENGINES,
    "pool": (*POOLINGS, *architectures.POOLINGS),
    "direction": recurrent.DIRECTIONS,
    "conv": architectures.CONVOLUTIONS,
    "placement": architectures.PLACEMENTS,
    "mask": architectures.MASKS,
}
#: Defaults of axes that stored cells of other architectures lack.
_LATER: Mapping[str, Any] = {**recurrent.AXES, **architectures.DEFAULTS}
_DEFAULTS: dict[str, Any] = {
    **{field.name: field.default for field in msgspec.structs.fields(Cell)},
    "model": "",
    **{_ATTRIBUTES[axis]: default for axis, default in _LATER.items()},
}
#: Axes of some architectures alone: their default, and which these are.
_ONLY: Mapping[str, tuple[Any, Sequence[str]]] = {
    "pool": ("max", ("cnn", *architectures.CONVOLUTIONAL)),
    "filters": (32, ("cnn", *architectures.CONVOLUTIONAL)),
    **architectures.AXES,
    **{axis: (default, recurrent.ARCHITECTURES) for axis, default in recurrent.AXES.items()},
}
#: Architectures without axes of :data:`_LATER`.
_PLAIN = frozenset(ARCHITECTURES).difference(*(_ONLY[axis][1] for axis in _LATER))


def from_texts(texts: Mapping[str, str]) -> Cell:
    """The cell with these axis values, written as in an id; an axis not named has its default.

    Raises:
        ValueError: no such axis or value; the message lists what there is.

    Example:
        >>> from_texts({"depth": "10", "act": "tanh"}) == Cell(depth=10, activation="tanh")
        True
    """
    values: dict[str, Any] = {}
    for axis, text in texts.items():
        if axis not in _ATTRIBUTES:
            raise ValueError(f"{axis!r} is no axis; an axis is one of {', '.join(AXES)}")
        if axis == "model":
            if text:
                raise ValueError(f"model:{text} is a file's: no text stands for it; see --model")
            continue
        attribute = _ATTRIBUTES[axis]
        kind = type(_DEFAULTS[attribute])
        try:
            values[attribute] = kind(text)
        except ValueError:
            noun = {int: "whole number", float: "number"}[kind]
            raise ValueError(f"{axis}:{text} is not a {noun}") from None
    return Cell(**values)


def pairs(id_: str) -> dict[str, str]:
    """The pairs of an id, ``{"depth": "10", "act": "relu"}``; a value may hold a minus sign."""
    parts = re.split(f"-(?=(?:{'|'.join(_ATTRIBUTES)}):)", id_)
    return {axis: value for axis, _, value in (part.partition(":") for part in parts)}


def known_values(axis: str) -> tuple[str, ...]:
    """Values of an axis, ``RULE_NUMBER`` where a number follows; empty where it is a number."""
    scaled = {
        "init": (FIXED_INITIALIZERS, SCALED_INITIALIZERS),
        "clip": (("none",), CLIPPING_RULES),
        "recurrent": (FIXED_RECURRENT, SCALED_RECURRENT),
    }
    fixed, rules = scaled.get(axis, (_NAMED.get(axis, ()), ()))
    return (*fixed, *(f"{rule}_NUMBER" for rule in rules))


def _check_scaled(axis: str, text: str, scaled: tuple[str, ...], fixed: tuple[str, ...]) -> None:
    name, scale = split_number(text)
    if text in fixed or (name in scaled and scale is not None and _LEAST <= scale <= 1 / _LEAST):
        if scale is not None and text != with_number(name, scale):
            raise ValueError(f"{axis}:{text} is written {with_number(name, scale)}")
        return
    raise ValueError(f"{axis}:{text} is unknown; {axis} is one of {', '.join(known_values(axis))}")
