"""``bench theory``: what is printed for a network that somebody asks about."""

from __future__ import annotations

import csv
import io
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cells.cell import ACTIVATIONS, FIXED_INITIALIZERS, Cell
from bench.cells.numbers import with_number
from bench.errors import BenchError
from bench.report.figures.picture import Panel
from bench.report.theory import headline, theory_picture, theory_text
from bench.theory.signal.meanfield import predict
from support.golden import check_golden

GLOROT = Cell(depth=30, initializer="glorot_normal")


def said(cell: Cell) -> str:
    prediction = predict(cell)
    assert prediction is not None
    return headline(cell, prediction)


def test_vanishing() -> None:
    """ReLU with Glorot's initialization halves the signal per layer: 2^-29 over 30 layers."""
    assert pytest.approx(1.86e-9, rel=0.01) == 2**-29
    assert said(GLOROT) == (
        "Vanishing: on its way back the signal is multiplied by 0.5 per layer, "
        "from layer 30 to layer 1 by "
        "1.86e-09"
    )


def test_critical() -> None:
    """He's initialization keeps a ReLU network's signal."""
    assert said(Cell(depth=30)) == (
        "Critical: on its way back the signal is multiplied by 1 per layer, "
        "from layer 30 to layer 1 by 1"
    )


def test_exploding() -> None:
    """Weights of variance 4/100 at width 100: 100 * .04 / 2 = 2 per layer, 2^9 over 10 layers."""
    assert said(Cell(depth=10, initializer="normal_0.2")) == (
        "Exploding: on its way back the signal is multiplied by 2 per layer, "
        "from layer 10 to layer 1 by 512"
    )


def test_nearly_kept() -> None:
    """Glorot's halving over two layers of ReLU is less than a factor e, and not critical either."""
    assert said(Cell(depth=2, initializer="glorot_normal")) == (
        "Nearly kept: on its way back the signal is multiplied by 0.5 per layer, "
        "from layer 2 to layer 1 by 0.5"
    )


def test_one_layer() -> None:
    """One hidden layer has no ratio, and no figure."""
    assert said(Cell(depth=1)).startswith("One hidden layer")
    with pytest.raises(BenchError, match="one hidden layer is one point"):
        theory_picture(Cell(depth=1))


def test_dead() -> None:
    """Zero weights: 0 in every layer, so neither a ratio nor a curve."""
    cell = Cell(initializer="zeros")
    assert said(cell) == "Dead: zero weights pass no gradient back at all"
    assert "nan" not in theory_text(cell)
    assert json.loads(theory_text(cell, form="json"))["signal_ratio"] is None


def test_no_hidden_layer() -> None:
    """Softmax regression has no layer to speak of."""
    with pytest.raises(BenchError, match="depth:0: no prediction: there is no hidden layer"):
        theory_text(Cell(depth=0))


@pytest.mark.parametrize(
    ("name", "cell"), [("glorot-30", GLOROT), ("tanh", Cell(activation="tanh", bias=0.1))]
)
def test_text(name: str, cell: Cell) -> None:
    """What stands on the screen."""
    check_golden(f"theory-{name}.md", theory_text(cell))


def test_all_layers() -> None:
    """A deep network's middle is left out unless asked for; up to twelve layers all are shown."""

    def lines(depth: int, *, all_layers: bool) -> int:
        text = theory_text(Cell(depth=depth), all_layers=all_layers)
        return sum(line.startswith("|") for line in text.splitlines()) - 2

    assert [lines(depth, all_layers=False) for depth in (1, 12, 13, 50)] == [1, 12, 11, 11]
    assert [lines(depth, all_layers=True) for depth in (1, 12, 13, 50)] == [1, 12, 13, 50]


def test_csv_and_json_agree() -> None:
    """Programs get every layer, unrounded."""
    rows = list(csv.DictReader(io.StringIO(theory_text(GLOROT, form="csv"))))
    content = json.loads(theory_text(GLOROT, form="json"))
    assert len(rows) == len(content["layers"]) == 30
    assert [float(row["signal"]) for row in rows] == [one["signal"] for one in content["layers"]]
    assert content["layers"][0]["signal"] == content["signal_ratio"]
    assert content["signal_ratio"] == pytest.approx(2**-29, rel=1e-6)
    assert content["phase"] == "ordered"
    assert content["layers"][-1]["chi"] is None
    assert content["cell"]["initializer"] == "glorot_normal"


def test_no_prediction() -> None:
    """An error that says why, not an empty table."""
    with pytest.raises(BenchError, match="arch:cnn: no prediction: "):
        theory_text(Cell(architecture="cnn"))


@settings(max_examples=10)
@given(
    st.builds(
        Cell,
        depth=st.integers(1, 6),
        activation=st.sampled_from(ACTIVATIONS),
        initializer=st.sampled_from([*FIXED_INITIALIZERS, "normal_0.0001", "uniform_1.0"]),
        normalization=st.sampled_from(["none", "layer"]),
        bias=st.sampled_from([0.0, 0.1, -3.0]),
        width=st.sampled_from([1, 10, 100, 1000]),
    )
)
def test_any_network(cell: Cell) -> None:
    """Every network gets a table of its layers or the reason why there is none."""
    try:
        text = theory_text(cell, all_layers=True)
    except BenchError as error:
        assert "no prediction: " in str(error)
        assert predict(cell) is None
        return
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == cell.depth + 2
    assert len(json.loads(theory_text(cell, form="json"))["layers"]) == cell.depth


def test_over_time() -> None:
    """ReLU with s_w^2 = 400 x .05^2 = 1 halves the signal with each of 6 steps back: 2^-6; a network
    without a prediction says why, and what shows the measured ones."""
    wide = Cell(architecture="simple_rnn", depth=1, width=400, pixels=112, recurrent="normal_0.05")
    text = theory_text(wide)
    assert text.startswith(
        "**Back through time the signal is multiplied by 0.0156, from step 7 to step 1.**"
    )
    table = list(csv.DictReader(io.StringIO(theory_text(wide, form="csv"))))
    assert [row["step"] for row in table] == list("1234567")
    assert float(table[2]["log_step"]) == pytest.approx(-0.6931, abs=1e-3)
    assert json.loads(theory_text(wide, form="json"))["signal_ratio"] == pytest.approx(
        2**-6, rel=1e-3
    )
    for asked in (theory_text, theory_picture):
        with pytest.raises(BenchError, match="one simple recurrent layer") as raised:
            asked(Cell(architecture="lstm", depth=1, width=16, activation="tanh"))
        assert "bench show" in str(raised.value.hint)


def test_picture_over_time() -> None:
    """ReLU with s_w^2 = 1: 2^-6 of the last step at the first, which is halved with each step back; a
    band of one seed about it, and no width at the last step, which all are relative to."""
    wide = Cell(architecture="simple_rnn", depth=1, width=400, pixels=112, recurrent="normal_0.05")
    (panel,) = theory_picture(wide).panels
    assert isinstance(panel, Panel)
    (trace,), (band,) = panel.traces, panel.bands
    assert [step for step, _ in trace.points] == list(range(1, 8))
    assert [value for _, value in trace.points] == pytest.approx(
        [2.0 ** (step - 7) for step in range(1, 8)], rel=1e-3
    )
    assert all(
        low < value < high
        for (_, low, high), (_, value) in zip(band.ranges[:-1], trace.points[:-1], strict=True)
    )
    assert band.ranges[-1] == (7, 1.0, 1.0)
    assert panel.scale == "log"
    tiny = msgspec.structs.replace(wide, recurrent=with_number("normal", 1e-30))
    (panel,) = theory_picture(tiny).panels
    assert isinstance(panel, Panel)
    assert panel.traces[0].points[0] == (1, None)  # 2^-6 x 1e-345: a logarithmic axis has no 0
    with pytest.raises(BenchError, match="one step is one point"):
        theory_picture(msgspec.structs.replace(wide, pixels=784))
