"""Draws the pictures of README.md and of the pages on verdicts, theory and statistics.

    python docs/images/draw.py [RUN ...]

Three are of runs, each of the last that has what it shows: the gradients over layers of a run with the
grid of depths, those over time of one with recurrent networks, the envelopes of one whose bits differ
from the baseline's, of another class of CPU. The others are computed. So were the runs measured:

    bench run --tier standard --axis depth=3,10,30,50 --axis norm=none -k "test_depth and \
        (relu or sigmoid) and not scaled and not engine and not batch:"
    ONEDNN_MAX_CPU_ISA=AVX2 bench run -k "(test_normalization and depth:30 and relu and he_normal and \
        batch) or (test_depth and depth:30-arch:mlp-act:relu-init:he_normal)"
"""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path

import numpy as np
from scipy import special

from bench import mnist
from bench.cells.architectures import PLACEMENTS
from bench.cells.cell import Cell
from bench.cells.initial_values import batch_order
from bench.commands.report import concluded
from bench.report.figures.curves import pictures
from bench.report.figures.draw import draw
from bench.report.figures.envelope import envelope_picture
from bench.report.figures.over_time import over_time_panel
from bench.report.figures.picture import Band, Level, Panel, Picture, Trace
from bench.results.files import write_atomically
from bench.results.run import read_run
from bench.statistics.levels import ALPHA, TESTS
from bench.theory.oracle.network import Oracle
from bench.theory.signal import over_time
from bench.theory.signal.meanfield import predict
from bench.theory.signal.transformer import last_gradient

FOLDER = Path(__file__).parent
#: Units of a layer in the picture of rates: wide, so that the image's part in the first layer is small.
WIDTH = 784
#: Comparisons of a run, among which a test must stand out: 200 cells and five metrics.
COMPARISONS = 1_000
#: Panels of the grid of depths that show what there is to see, by the words of their titles; one whose
#: cells all lack a normalization does not say so.
SHOWN = ({"arch:mlp", "act:relu"}, {"arch:mlp", "act:sigmoid"}, {"arch:residual", "act:relu"})

_PLAIN = Picture("", "", "", "", (), columns=1, size=(6.0, 3.6))


def main(*runs: str) -> None:
    """Writes the pictures beside this file, with those of runs that are named."""
    for run in runs:
        _draw_run(Path(run))
    panels = {"chi": chi_panel(), "power": power_panel(), "placement": placement_panel()}
    for name, panel in panels.items():
        _write(name, _PLAIN, [panel])


def chi_panel() -> Panel:
    """Rate per layer at the fixed point against the variance of the weights, biases 0."""
    variances = np.linspace(0.1, 4.0, 79)
    traces = []
    for colour, activation in enumerate(("relu", "tanh", "sigmoid")):
        rates = []
        for variance in variances:
            scale = math.sqrt(variance / WIDTH)
            cell = Cell(depth=3, width=WIDTH, activation=activation, initializer=f"normal_{scale}")
            rates.append((float(variance), predict(cell).chi_fixed))
        traces.append(Trace(activation, tuple(rates), colour))
    return Panel(
        "",
        "variance of a layer's weights x width",
        "signal, per layer on its way back",
        tuple(traces),
        levels=(Level("neither vanishes nor explodes", 1.0),),
        scale="log",
        limits=(0.005, 4.0),
        legend=True,
    )


def power_panel() -> Panel:
    """Chance that a change is found, by its size in standard deviations between seeds."""
    z = -special.ndtri(ALPHA * TESTS / 2 / COMPARISONS)
    sizes = np.linspace(0.0, 8.0, 81)
    traces = []
    for colour, seeds in enumerate((3, 5, 10, 24)):
        chances = special.ndtr(sizes / math.sqrt(2 / seeds) - z)
        points = tuple(zip(sizes.tolist(), chances.tolist(), strict=True))
        traces.append(Trace(f"{seeds} seeds", points, colour))
    x_label = "change / standard deviation between seeds"
    return Panel("", x_label, "chance that it is found", tuple(traces), legend=True)


def placement_panel() -> Panel:
    """Gradient in a transformer's last block against depth: theory, and networks in float64."""
    data = mnist.load()
    traces, bands = [], []
    for colour, placement in enumerate(PLACEMENTS):
        ranges, points = [], []
        for depth in range(1, 7):
            cell = Cell(
                architecture="transformer",
                depth=depth,
                width=32,
                activation="gelu",
                initializer="glorot_normal",
                normalization="layer",
                batch=50,
                placement=placement,
            )
            seen = [_last_block(cell, data, seed) for seed in range(5)]
            size = float(np.sqrt(np.mean([square for _, square in seen])))
            expected = last_gradient(cell, size)
            ranges.append((float(depth), expected.lowest, expected.highest))
            mean = math.exp(float(np.mean([math.log(signal) for signal, _ in seen])))
            points.append((float(depth), mean))
        name = {"pre": "normalized before branches", "post": "normalized after sums"}[placement]
        bands.append(Band(f"{name}, theory", tuple(ranges), colour))
        traces.append(Trace(f"{name}, 5 seeds", tuple(points), colour, marker="o", size=4.0))
    return Panel(
        "",
        "blocks",
        "gradient of the last block, mean square",
        tuple(traces),
        bands=tuple(bands),
        scale="log",
        legend=True,
    )


def _last_block(cell: Cell, data: mnist.Mnist, seed: int) -> tuple[float, float]:
    """Mean squares of one example's gradient at the last block's activation, and of the logits."""
    order = batch_order(seed, examples=len(data.train_labels), batch=cell.batch, steps=1)[0]
    images = data.train_images[order].reshape(cell.batch, -1) / 255
    oracle = Oracle(cell)
    parameters = oracle.initial(seed)
    tensors = oracle.forward(parameters, images)
    gradients = oracle.backward(parameters, images, tensors, data.train_labels[order].astype(int))
    at = gradients[f"block {cell.depth}, feed-forward, kernel output"] * cell.batch
    return float(np.mean(np.square(at))), float(np.mean(np.square(tensors["logits"])))


def _draw_run(folder: Path) -> None:
    """What the run has: all that one of these pictures shows, or nothing of it."""
    read = read_run(folder)
    recurrent = [item.cell for item in read.plan.items if over_time.predict(item.cell)]
    if recurrent:
        signals = {
            cell: [r.start.over_time[0] for r in read.of(cell) if r.start is not None]
            for cell in recurrent
        }
        _write("over-time", _PLAIN, [over_time_panel(signals)])
    curves = pictures(read).get("depth")
    panels = [p for p in curves.panels if isinstance(p, Panel)] if curves is not None else []
    shown = [panel for panel in panels if {*panel.title.split()} - {"norm:none"} in SHOWN]
    if curves is not None and len(shown) == len(SHOWN):
        _write("gradients", curves, shown)
    envelopes = envelope_picture(concluded(folder, FOLDER.parents[1] / "baselines"))
    if envelopes is not None:
        _write("envelopes", envelopes, [p for p in envelopes.panels if isinstance(p, Panel)][-2:])


def _write(name: str, picture: Picture, panels: list[Panel]) -> None:
    shown = dataclasses.replace(picture, panels=tuple(panels), columns=len(panels))
    write_atomically(FOLDER / f"{name}.svg", draw(shown))


if __name__ == "__main__":
    main(*sys.argv[1:])
