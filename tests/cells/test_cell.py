"""Cell: ids that stay, values that are checked."""

from __future__ import annotations

import re
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from bench.cells.cell import (
    AXES,
    CLIPPING_RULES,
    SCALED_INITIALIZERS,
    Cell,
    from_texts,
    known_values,
    pairs,
)
from bench.cells.numbers import number, split_number, with_number
from bench.cells.own_model import OwnModel
from support.strategies import cells, scales

# Written once by hand: stored baselines and people's -k expressions depend on them.
GOLDEN_IDS = [
    (Cell(), (), ""),
    (Cell(), ("depth",), "depth:3"),
    (
        Cell(depth=10),
        ("depth", "act", "init", "norm"),
        "depth:10-act:relu-init:he_normal-norm:none",
    ),
    (Cell(depth=30), ("norm", "depth"), "depth:30-norm:none"),
    (Cell(bias=0.1), ("depth",), "depth:3-bias:0.1"),
    (Cell(input_scale=1.0, learning_rate=10.0), ("scale",), "lr:10.0-scale:1.0"),
    (Cell(learning_rate=1e-4), (), "lr:0.0001"),
    (Cell(learning_rate=1e-7), (), "lr:0.0000001"),
    (Cell(clipping="global_norm_1.0"), ("clip",), "clip:global_norm_1.0"),
    (Cell(initializer="normal_0.01"), (), "init:normal_0.01"),
    (
        Cell(architecture="residual", branch="scaled", depth=30),
        ("depth",),
        "depth:30-arch:residual-branch:scaled",
    ),
    (
        Cell(architecture="cnn", pooling="average", filters=8, weight_decay=0.01),
        ("opt", "decay"),
        "arch:cnn-opt:sgd-pool:average-filters:8-decay:0.01",
    ),
    (Cell(optimizer="adamw"), ("opt", "decay"), "opt:adamw-decay:0.0"),
    (
        Cell(
            depth=3,
            architecture="cnn",
            width=7,
            activation="elu",
            initializer="truncated_normal_0.1",
            bias=-0.5,
            normalization="batch",
            clipping="value_4.5",
            optimizer="adam",
            learning_rate=0.001,
            loss="mse",
            input_scale=0.02,
            dropout=0.5,
            batch=50,
            steps=10000,
            precision="mixed_bfloat16",
            engine="xla",
        ),
        ("depth",),
        "depth:3-arch:cnn-width:7-act:elu-init:truncated_normal_0.1-bias:-0.5-norm:batch"
        "-clip:value_4.5-opt:adam-lr:0.001-loss:mse-scale:0.02-dropout:0.5-batch:50-steps:10000"
        "-precision:mixed_bfloat16-engine:xla",
    ),
]


@pytest.mark.parametrize(("cell", "axes", "expected"), GOLDEN_IDS)
def test_id_is_what_it_was(cell: Cell, axes: tuple[str, ...], expected: str) -> None:
    """An id written today is written tomorrow."""
    assert cell.id(axes) == expected


def test_axes_keep_their_order() -> None:
    """The order of pairs is part of every id; new axes are added at the end only."""
    expected = [
        "depth",
        "arch",
        "branch",
        "width",
        "act",
        "init",
        "bias",
        "norm",
        "clip",
        "opt",
        "lr",
        "loss",
        "scale",
        "dropout",
        "batch",
        "steps",
        "precision",
        "engine",
        "pool",
        "filters",
        "decay",
        "direction",
        "recurrent",
        "pixels",
        "conv",
        "placement",
        "heads",
        "mask",
    ]
    assert list(AXES[: len(expected)]) == expected


def test_defaults_stay() -> None:
    """A changed default would rename every cell that states it, and train others under old ids."""
    assert msgspec.to_builtins(Cell()) == {
        "depth": 3,
        "architecture": "mlp",
        "branch": "plain",
        "width": 100,
        "activation": "relu",
        "initializer": "he_normal",
        "bias": 0.0,
        "normalization": "none",
        "clipping": "none",
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "loss": "crossentropy",
        "input_scale": 1.0,
        "dropout": 0.0,
        "batch": 100,
        "steps": 600,
        "precision": "float32",
        "engine": "in_graph",
        "pooling": "max",
        "filters": 32,
        "weight_decay": 0.0,
    }
    assert msgspec.to_builtins(Cell(depth=1, architecture="lstm", activation="tanh")).items() >= {
        ("direction", "forward"),
        ("recurrent", "orthogonal"),
        ("pixels", 28),
    }
    transformer = Cell(architecture="transformer", normalization="layer")
    later = {("placement", "pre"), ("heads", 2), ("mask", "none")}
    assert msgspec.to_builtins(transformer).items() >= later
    assert msgspec.to_builtins(Cell(architecture="conv")).items() >= {("convolution", "full")}


def test_trailing_dash_tells_depths_apart() -> None:
    """``-k "depth:3-"`` finds depth 3 alone."""
    found = [d for d in (3, 13, 30, 300) if "depth:3-" in Cell(depth=d).id(("depth", "act"))]
    assert found == [3]


def test_trailing_dash_tells_numbers_apart() -> None:
    """``clip:value_1.0-`` does not match 10.0, nor does ``value_1.0`` match 1.05 with its dash."""
    thresholds = ["value_1.0", "value_10.0", "value_1.05", "value_11.0"]
    ids = [Cell(clipping=text).id(("clip", "opt")) for text in thresholds]
    assert ["clip:value_1.0-" in text for text in ids] == [True, False, False, False]


@given(cells())
def test_id_can_be_typed_after_k(cell: Cell) -> None:
    """No character that pytest's -k or a shell would take for its own, on any cell."""
    assert re.fullmatch(r"[a-z0-9_:.-]+", cell.id(AXES))


@given(cells())
def test_id_tells_cells_apart(cell: Cell) -> None:
    """The id names every value: two cells with one id are one cell."""
    pairs = dict(pair.split(":") for pair in re.split(r"-(?=[a-z])", cell.id(AXES)))
    assert list(pairs) == list(AXES)
    assert float(pairs["bias"]) == cell.bias
    assert float(pairs["lr"]) == cell.learning_rate
    assert int(pairs["depth"]) == cell.depth
    assert pairs["clip"] == cell.clipping


@given(cells())
def test_round_trip_through_json(cell: Cell) -> None:
    """A cell is the same, and has the same hash, after being stored."""
    back = msgspec.json.decode(msgspec.json.encode(cell), type=Cell)
    assert back == cell
    assert hash(back) == hash(cell)


@given(st.sampled_from(SCALED_INITIALIZERS + CLIPPING_RULES), scales)
def test_number_round_trip(rule: str, value: float) -> None:
    """``split_number`` undoes ``with_number`` exactly."""
    assert split_number(with_number(rule, value)) == (rule, value)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1.0"), (10.0, "10.0"), (1e-4, "0.0001"), (4.5, "4.5"), (1e22, "1" + 22 * "0" + ".0")],
)
def test_number(value: float, text: str) -> None:
    """Plain decimals, never an exponent."""
    assert number(value) == text


def test_split_number_without_number() -> None:
    """A name with underscores but no number is a name."""
    assert split_number("he_normal") == ("he_normal", None)
    assert split_number("zeros") == ("zeros", None)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"activation": "rleu"}, "act:rleu is unknown; act is one of relu, leaky_relu, elu"),
        ({"initializer": "he"}, "init:he is unknown; init is one of zeros, glorot_normal"),
        ({"initializer": "normal"}, "init:normal is unknown; init is one of"),
        ({"initializer": "normal_0"}, "init:normal_0 is unknown"),
        ({"initializer": "normal_0.010"}, "init:normal_0.010 is written normal_0.01"),
        ({"initializer": "normal_1e-2"}, "init:normal_1e-2 is written normal_0.01"),
        ({"initializer": "normal_inf"}, "init:normal_inf is unknown"),
        ({"initializer": "normal_nan"}, "init:normal_nan is unknown"),
        ({"clipping": "value_-1.0"}, "clip:value_-1.0 is unknown; clip is one of none, value_NUM"),
        ({"clipping": "norm_1"}, "clip:norm_1 is written norm_1.0"),
        ({"depth": -1}, "depth:-1 is below 0"),
        ({"width": 0}, "width:0 is below 1"),
        ({"batch": 0}, "batch:0 is below 1"),
        ({"steps": 0}, "steps:0 is below 1"),
        ({"dropout": 1.0}, "dropout:1.0 is not in [0, 1)"),
        ({"learning_rate": float("nan")}, "lr:nan is not a finite number"),
        ({"bias": float("inf")}, "bias:inf is not a finite number"),
        ({"input_scale": float("inf")}, "scale:inf is not a finite number"),
        ({"architecture": "cnn", "depth": 4}, "arch:cnn has depth:3"),
        ({"branch": "scaled"}, "branch:scaled needs arch:residual"),
        ({"optimizer": "Adam"}, "opt:Adam is unknown; opt is one of sgd, momentum, adam"),
        ({"engine": "jit"}, "engine:jit is unknown"),
        ({"engine": "fit_epochs", "steps": 7}, "engine:fit_epochs trains 2 epochs; steps:7 is odd"),
        (
            {"architecture": "cnn", "pooling": "mean"},
            "pool:mean is unknown; pool is one of max, av",
        ),
        ({"pooling": "average"}, "pool:average needs arch:cnn"),
        ({"filters": 8}, "filters:8 needs arch:cnn or arch:conv or arch:conv_residual"),
        (
            {"architecture": "cnn", "pooling": "strided"},
            "pool:strided needs arch:conv or arch:conv_residual",
        ),
        ({"activation": "prelu"}, "act:prelu needs arch:conv or arch:conv_residual"),
        ({"normalization": "group"}, "norm:group needs arch:conv or arch:conv_residual"),
        (
            {"architecture": "conv", "normalization": "group", "filters": 3},
            "filters:3 does not fit arch:conv, which has a depth from 1, behind norm:group filters",
        ),
        ({"architecture": "conv", "depth": 0}, "depth:0 does not fit arch:conv"),
        ({"heads": 4}, "heads:4 needs arch:transformer"),
        ({"mask": "causal"}, "mask:causal needs arch:transformer"),
        ({"convolution": "separable"}, "conv:separable needs arch:conv or arch:conv_residual"),
        (
            {"architecture": "transformer"},
            "norm:none does not fit arch:transformer, which has a depth from 1, norm:layer and a width "
            "that heads divide",
        ),
        (
            {"architecture": "transformer", "normalization": "layer", "width": 9},
            "heads:2 does not fit arch:transformer",
        ),
        (
            {"architecture": "transformer", "normalization": "layer", "placement": "mid"},
            "placement:mid is unknown; placement is one of pre, post",
        ),
        ({"architecture": "cnn", "filters": 0}, "filters:0 is below 1"),
        ({"weight_decay": -0.1}, "decay:-0.1 is below 0"),
        ({"weight_decay": float("inf")}, "decay:inf is not a finite number"),
    ],
)
def test_impossible_cell_is_refused(values: dict[str, object], message: str) -> None:
    """The message names axis and value, and what there is."""
    with pytest.raises(ValueError, match=re.escape(message)):
        Cell(**values)  # type: ignore[arg-type]


def test_a_cell_stored_before_an_axis_was_added_is_the_same_cell() -> None:
    """What it does not say has the default: baselines from before are read as what they were."""
    stored = {"depth": 10, "activation": "tanh", "engine": "in_graph"}
    cell = msgspec.json.decode(msgspec.json.encode(stored), type=Cell)
    assert (cell.pooling, cell.filters, cell.weight_decay) == ("max", 32, 0.0)
    assert cell == Cell(depth=10, activation="tanh")


def test_unknown_field_in_json_is_refused() -> None:
    """A cell of a later version is not read as another cell."""
    with pytest.raises(msgspec.ValidationError, match="unknown field `momentum`"):
        msgspec.json.decode(b'{"depth": 3, "momentum": 0.9}', type=Cell)


def test_impossible_cell_in_json_is_refused() -> None:
    """Reading checks what making checks."""
    with pytest.raises(msgspec.ValidationError, match="depth:-1 is below 0"):
        msgspec.json.decode(b'{"depth": -1}', type=Cell)


@given(cells())
def test_graph_is_shared(cell: Cell) -> None:
    """Cells that differ only in what is fed to a graph share it; a graph's cell is its own."""
    other = msgspec.structs.replace(
        cell, initializer="zeros", bias=1.0, learning_rate=0.7, input_scale=2.0, steps=8
    )
    assert other.graph() == cell.graph() == cell.graph().graph()


def test_graph_tells_the_rest_apart() -> None:
    """Width, batch, engine and the like make another graph."""
    changed = [
        Cell(width=7),
        Cell(depth=4),
        Cell(batch=7),
        Cell(activation="tanh"),
        Cell(clipping="norm_1.0"),
        Cell(precision="float64"),
        Cell(weight_decay=0.1),
        Cell(architecture="cnn"),
        Cell(architecture="cnn", filters=8),
        Cell(architecture="cnn", pooling="average"),
    ]
    assert len({cell.graph() for cell in [Cell(), *changed]}) == len(changed) + 1


# Cells from texts


@given(cells(), st.sets(st.sampled_from(AXES)))
def test_an_id_names_its_cell(cell: Cell, shown: set[str]) -> None:
    """What an id says makes the cell again, whatever axes it shows."""
    assert from_texts(pairs(cell.id(shown))) == cell


def test_minus_signs_in_ids() -> None:
    """A negative number is a value, not the end of a pair."""
    cell = Cell(bias=-0.5, input_scale=-1.0)
    assert pairs(cell.id(("depth", "bias"))) == {"depth": "3", "bias": "-0.5", "scale": "-1.0"}
    assert from_texts(pairs(cell.id())) == cell


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"deep": "3"}, "'deep' is no axis; an axis is one of depth, arch"),
        ({"depth": "3.5"}, "depth:3.5 is not a whole number"),
        ({"bias": "much"}, "bias:much is not a number"),
        ({"act": "rule"}, "act:rule is unknown; act is one of relu, leaky_relu"),
        (
            {"engine": "train_on_batch"},
            "engine:train_on_batch is unknown; engine is one of in_graph",
        ),
        ({"model": "net.build"}, "model:net.build is a file's: no text stands for it; see --model"),
    ],
)
def test_texts_that_name_no_cell(texts: dict[str, str], message: str) -> None:
    """The message says what there is."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        from_texts(texts)


def test_known_values_make_cells() -> None:
    """Every value that is listed for an axis is one, with a number for NUMBER."""
    listed = {axis: known_values(axis) for axis in AXES}
    assert {axis for axis, values in listed.items() if not values} == {
        "depth", "width", "bias", "lr", "scale", "dropout", "batch", "steps", "filters", "decay",
        "pixels",
        "heads",
    }  # fmt: skip
    needed = {"branch": "residual", "pool": "cnn", "direction": "lstm", "recurrent": "simple_rnn"}
    for axis, values in listed.items():
        for value in values:
            extra = {"arch": needed[axis]} if axis in needed else {}
            if value == "transformer" or axis in ("placement", "mask"):
                extra = {"arch": "transformer", "norm": "layer"}
            elif value in ("group", "prelu", "strided") or axis == "conv":
                extra = {"arch": "conv"}
            from_texts({**extra, axis: value.replace("NUMBER", "0.5")})


OWN = OwnModel(name="net.build", source="0", longest=100)


@pytest.mark.parametrize("name", ["", "build", "net.", "net.build\n", "a b.c", "x" * 600 + ".y"])
def test_a_name_of_a_model_is_a_file_and_a_function(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a model"):
        OwnModel(name=name, source="0", longest=100)


def test_a_model_of_the_users_is_a_cell() -> None:
    """Its name is an axis; nothing is written of it where there is none."""
    cell = Cell(own=OWN, engine="train_on_batch", steps=20)
    assert cell.model == cell.raw("model") == "net.build"
    assert cell.id(("engine", "model")) == "steps:20-engine:train_on_batch-model:net.build"
    assert pairs(cell.id())["model"] == "net.build"
    assert msgspec.json.decode(msgspec.json.encode(cell), type=Cell) == cell
    assert b"own" not in msgspec.json.encode(Cell())
    assert Cell().model == ""
    assert Cell(own=msgspec.structs.replace(OWN, source="1"), engine="fit") != Cell(
        own=OWN, engine="fit"
    )


def test_a_model_is_trained_as_users_do() -> None:
    with pytest.raises(
        ValueError, match="engine:in_graph is unknown; engine is one of fit, train_on"
    ):
        Cell(own=OWN)


@pytest.mark.parametrize(
    ("axes", "told"),
    [
        ({"depth": 0}, "depth:0"),
        ({"activation": "gelu"}, "act:gelu"),
        ({"normalization": "batch"}, "norm:batch"),
        ({"pixels": 30}, "pixels:30"),
        ({"recurrent": "identity"}, "recurrent:identity"),
        ({"recurrent": "identity_0.9"}, "recurrent:identity_0.9"),
    ],
)
def test_what_no_recurrent_network_has(axes: dict[str, Any], told: str) -> None:
    """The message names it, and what there is."""
    with pytest.raises(
        ValueError, match=f"^{re.escape(told)} does not fit arch:lstm: .* divide 784"
    ):
        Cell(**{"depth": 1, "architecture": "lstm", **axes})


@pytest.mark.parametrize(
    "axes", [{"direction": "bidirectional"}, {"recurrent": "glorot_normal"}, {"pixels": 7}]
)
def test_axes_of_recurrent_networks(axes: dict[str, Any]) -> None:
    """No other network has them; initial values alone are none of the graph."""
    with pytest.raises(ValueError, match="needs arch:simple_rnn or arch:lstm or arch:gru"):
        Cell(**axes)
    cell = Cell(architecture="gru", **axes)
    assert (cell.graph() == Cell(architecture="gru").graph()) == ("recurrent" in axes)
