"""What figures show, as data: points, bands, panels, and what is left out and counted."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cells.cell import Cell
from bench.cells.grids import GRIDS
from bench.errors import count
from bench.mnist import MNIST_FINGERPRINT
from bench.report.figures.curves import (
    MOST_CURVES,
    MOST_PANELS,
    SHOWN,
    Curve,
    curve_of,
    curves_picture,
    pictures,
    predicted_lines,
)
from bench.report.figures.picture import MOST_COLOURS, Heat, Panel
from bench.results.record import Record
from bench.results.run import StoredRun
from bench.theory.signal.meanfield import predict
from bench.theory.signal.predicted import prediction_row
from support.builders import crashed, flow, items, plan, stored, trained

RELU = Cell(depth=3, initializer="glorot_normal")


def with_signal(cell: Cell, seed: int, signal: list[float | None]) -> Record:
    """A replica that measured this signal at step 0."""
    start = msgspec.structs.replace(flow(cell), signal=signal)
    return trained(cell, seed, start=start)


def run_of(grid: str, cells: list[Cell], records: list[Record]) -> StoredRun:
    return stored(plan(items(grid, cells, GRIDS[grid].axes)), records)


# Curves


def test_prediction_is_drawn_layer_by_layer() -> None:
    """ReLU with Glorot's initialization at equal width: 100 * (1/100) / 2 = 1/2 per layer, times the
    factor that finite width makes of it."""
    prediction = predict(RELU)
    assert prediction is not None
    lines = predicted_lines(RELU, seeds=3)
    means = [
        line.mean / math.exp(bias) for line, bias in zip(lines, prediction.log_bias, strict=True)
    ]
    assert means == pytest.approx([0.25, 0.5, 1.0], rel=1e-9)
    assert all(line.low < line.mean < line.high for line in lines[:-1])
    assert lines[-1].low == lines[-1].high == lines[-1].mean == 1.0


@pytest.mark.parametrize("seeds", [1, 4, 9])
def test_band_is_the_tolerance(seeds: int) -> None:
    """4 standard deviations of the mean over seeds, widened for skewness, and what the bias may be
    off by; at the first layer the tolerance in the table."""
    prediction = predict(RELU)
    assert prediction is not None
    lines = predicted_lines(RELU, seeds=seeds)
    for index, line in enumerate(lines[:-1]):
        skewness = 1.5 * max(prediction.step_std[index:]) / math.sqrt(seeds)
        deviations = 4 + (4**2 - 1) / 6 * skewness
        reach = deviations * prediction.log_std[index] / math.sqrt(seeds)
        reach += prediction.log_error[index]
        assert math.log(line.high / line.mean) == pytest.approx(reach)
        assert math.log(line.mean / line.low) == pytest.approx(reach)
    records = [trained(RELU, seed, data=MNIST_FINGERPRINT) for seed in range(seeds)]
    row = prediction_row(RELU, records)
    assert row is not None
    assert row.predicted == pytest.approx(lines[0].mean)
    assert row.tolerance == pytest.approx(lines[0].high / lines[0].mean)


def test_a_panel_shows_all_of_a_band() -> None:
    """The first layers' is the widest."""
    cell = Cell(depth=30, initializer="glorot_normal")
    curve = Curve(cell, predicted_lines(cell, seeds=1), ())
    (panel,) = curves_picture("theory", "Predicted", {"": [curve]}).panels
    assert isinstance(panel, Panel)
    assert panel.limits is not None
    assert panel.limits[0] < curve.predicted[0].low < curve.predicted[0].mean
    assert max(line.high for line in curve.predicted) < panel.limits[1]


def test_no_tolerance_no_band() -> None:
    """Where theory cannot bound its error the band is from 0 to infinity."""
    cell = Cell(architecture="residual", activation="elu")
    first, *_, last = predicted_lines(cell, seeds=3)
    assert (first.low, first.high) == (0.0, math.inf)
    assert 0 < first.mean < math.inf
    assert last.mean == 1.0


def test_band_is_for_the_seeds_that_were_measured() -> None:
    """A crashed replica is no seed of the mean."""
    measured = [with_signal(RELU, seed, [0.2, 0.4, 1.0]) for seed in (0, 1)]
    curve = curve_of(RELU, [*measured, crashed(RELU, 2)])
    assert curve.predicted == predicted_lines(RELU, seeds=2)


def test_points_are_geometric_means_relative_to_the_last_layer() -> None:
    """Seeds [2, 4, 8] and [4, 2, 4]: ratios 1/4, 1/2 and 1, 1/2; sqrt(1/4 * 1) = 1/2."""
    records = [with_signal(RELU, 0, [2.0, 4.0, 8.0]), with_signal(RELU, 1, [4.0, 2.0, 4.0])]
    first, second, last = curve_of(RELU, records).measured
    assert first is not None
    assert (first.mean, first.low, first.high) == pytest.approx((0.5, 0.25, 1.0))
    assert second is not None
    assert (second.mean, second.low, second.high) == pytest.approx((0.5, 0.5, 0.5))
    assert last is not None
    assert last.mean == 1.0


SIGNALS = st.lists(
    st.one_of(st.none(), st.just(0.0), st.floats(1e-40, 1e30)), min_size=3, max_size=3
)


@given(st.lists(SIGNALS, min_size=1, max_size=4))
def test_only_positive_ratios_are_points(seeds: list[list[float | None]]) -> None:
    """A layer has a point if it has a positive ratio under every seed; it lies within the seeds'."""
    records = [with_signal(RELU, seed, signal) for seed, signal in enumerate(seeds)]
    measured = curve_of(RELU, records).measured
    assert len(measured) == 3
    for layer, points in enumerate(measured):
        assert (points is not None) == all(signal[layer] and signal[-1] for signal in seeds)
        if points is not None:
            assert points.low <= points.mean * (1 + 1e-9)
            assert points.mean <= points.high * (1 + 1e-9)


def test_no_record() -> None:
    """A cell that was not measured, or crashed, has its prediction alone."""
    for records in ([], [crashed(RELU, 0)]):
        curve = curve_of(RELU, records)
        assert curve.measured == ()
        assert len(curve.predicted) == 3


# Pictures


def lines(panel: Panel | Heat) -> list[str]:
    """Names of a panel's predictions."""
    assert isinstance(panel, Panel)
    return [trace.name for trace in panel.traces if trace.line]


def test_every_grid_of_initial_states_has_a_figure() -> None:
    """Depth, activation, initialization and normalization; not clipping, which acts later."""
    cells = {grid: list(GRIDS[grid].cells("quick").values())[4:10] for grid in GRIDS}
    the_items = [item for g, found in cells.items() for item in items(g, found, GRIDS[g].axes)]
    records = [trained(item.cell, 0) for item in the_items if item.cell.depth]
    found = pictures(stored(plan(the_items, seeds=[0]), records))
    assert set(found) == set(SHOWN) == set(GRIDS) - {"clipping"}
    for grid, picture in found.items():
        shown = sum(cell.depth >= 2 for cell in cells[grid])
        assert picture.alternative.endswith(f"layer by layer: {count(shown, 'cell')}")
        assert picture.path == f"figures/{grid}.svg"


def test_panels_differ_in_all_but_depth_and_initializer() -> None:
    """Two activations, two depths, two initializers: two panels of four curves each."""
    cells = [
        Cell(depth=depth, activation=activation, initializer=initializer)
        for activation in ("relu", "tanh")
        for depth in (3, 10)
        for initializer in ("he_normal", "glorot_normal")
    ]
    picture = pictures(run_of("depth", cells, []))["depth"]
    assert [panel.title for panel in picture.panels] == ["act:relu", "act:tanh"]
    assert [len(lines(panel)) for panel in picture.panels] == [4, 4]


def test_what_acts_after_step_0_parts_no_panel() -> None:
    """Learning rate, optimizer and clipping are no reason for a panel."""
    cells = [Cell(), Cell(learning_rate=0.01), Cell(optimizer="adam"), Cell(clipping="value_1.0")]
    records = [with_signal(cell, 0, [place + 1, 0.5, 1.0]) for place, cell in enumerate(cells)]
    picture = pictures(run_of("activation", cells, records))["activation"]
    assert [len(lines(panel)) for panel in picture.panels] == [4]


def test_equal_curves_are_drawn_once() -> None:
    """Learning rates leave step 0 alone: two of three cells would hide the first, a fourth measured
    something else."""
    cells = [Cell(learning_rate=rate) for rate in (0.1, 0.01, 0.001, 1.0)]
    records = [with_signal(cell, 0, [0.25, 0.5, 1.0]) for cell in cells[:3]]
    records.append(with_signal(cells[3], 0, [0.3, 0.5, 1.0]))
    picture = pictures(run_of("activation", cells, records))["activation"]
    assert [len(lines(panel)) for panel in picture.panels] == [2]
    assert picture.caption == (
        "2 cells not drawn: the curve of another cell, which differs only behind step 0."
    )


def test_a_panel_has_a_largest_number_of_curves() -> None:
    """Curves beyond the limit are left out, the last ones, and counted."""
    cells = [Cell(learning_rate=(place + 1) / 1000) for place in range(MOST_CURVES + 2)]
    records = [with_signal(cell, 0, [0.25, 0.5, 1 + cell.learning_rate]) for cell in cells]
    picture = pictures(run_of("activation", cells, records))["activation"]
    assert [len(lines(panel)) for panel in picture.panels] == [MOST_CURVES]
    assert picture.caption == (f"2 cells not drawn: a panel has at most {MOST_CURVES} curves.")


def test_many_initializers_are_parted_by_family() -> None:
    """More than there are colours: named ones and each scaled family in panels of their own."""
    scales = [f"normal_{scale}" for scale in (0.001, 0.003, 0.01, 0.03, 0.1)]
    named = ["he_normal", "he_uniform", "glorot_normal", "orthogonal"]
    assert len([*scales, *named]) > MOST_COLOURS
    cells = [Cell(initializer=initializer) for initializer in [*scales, *named]]
    picture = pictures(run_of("initialization", cells, []))["initialization"]
    assert [panel.title for panel in picture.panels] == ["init:normal", "init:named"]
    numbers = ["0.001", "0.003", "0.01", "0.03", "0.1"]
    assert [lines(panel) for panel in picture.panels] == [numbers, named]
    few = pictures(run_of("initialization", cells[:MOST_COLOURS], []))["initialization"]
    assert len(few.panels) == 1


def test_what_is_not_shown_is_counted() -> None:
    """Depth below two, dead, without points, with some layers missing: each is said."""
    shallow, dead = Cell(depth=1), Cell(initializer="zeros")
    lost, partly = Cell(depth=4), Cell(depth=5)
    cells = [Cell(depth=0), shallow, dead, lost, partly, RELU]
    records = [
        trained(shallow, 0),
        with_signal(dead, 0, [0.0, 0.0, 1.0]),
        with_signal(lost, 0, [1.0, 1.0, 1.0, None]),
        with_signal(partly, 0, [None, 0.0, 1.0, 1.0, 1.0]),
        with_signal(RELU, 0, [0.25, 0.5, 1.0]),
    ]
    dead_flow = msgspec.structs.replace(flow(dead), signal=[0.0, 0.0, 0.0])
    records[1] = trained(dead, 0, start=dead_flow)
    (picture,) = pictures(run_of("depth", cells, records)).values()
    assert picture.caption == (
        "2 cells with fewer than two hidden layers: no ratio. "
        "1 cell with neither a prediction nor a signal above 0. "
        "1 cell without points: not measured, or the signal is 0 or not finite. "
        "1 cell with layers left out: the signal there is 0 or not finite."
    )


def test_a_figure_has_a_largest_size() -> None:
    """Panels beyond the limit are left out, the last ones, and their cells are counted."""
    cells = [Cell(bias=index / 10, depth=2) for index in range(MOST_PANELS + 3)]
    cells.append(Cell(bias=cells[-1].bias, depth=4))
    (picture,) = pictures(run_of("initialization", cells, [])).values()
    assert [panel.title for panel in picture.panels] == [
        f"bias:{index / 10}" for index in range(MOST_PANELS)
    ]
    assert picture.caption.endswith(
        f"4 cells not drawn: a figure has at most {MOST_PANELS} panels."
    )


@pytest.mark.parametrize(
    ("grid", "cells"),
    [("depth", []), ("depth", [Cell(depth=0), Cell(depth=1)]), ("clipping", [RELU])],
)
def test_no_figure(grid: str, cells: list[Cell]) -> None:
    """Nothing selected, no cell with two hidden layers, or a grid that asks something else."""
    assert pictures(run_of(grid, cells, [trained(cell, 0) for cell in cells])) == {}


def test_run_of_a_grid_that_is_no_more() -> None:
    """A stored run may name a grid that this version does not know: no figure, no error."""
    run = stored(plan(items("gone", [RELU], ("depth",))), [trained(RELU, 0)])
    assert pictures(run) == {}
