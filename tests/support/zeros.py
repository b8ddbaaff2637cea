"""Gradients over 784 steps that float32 flushes to 0, beside float64 and the oracle.

``python tests/support/zeros.py`` prints the table of docs/gradients.md: mean squares of dC/ds before
training, of cells of the full tier under seed 0.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import special

from bench import mnist
from bench.cells.cell import Cell
from bench.cells.initial_values import batch_order
from bench.theory.oracle.network import Oracle
from bench.theory.oracle.recurrent import Through, forward
from bench.theory.oracle.recurrent_steps import Weights

Array = npt.NDArray[np.float64]

STEPS = (784, 588, 392, 196, 1)
LSTM = Cell(
    architecture="lstm",
    depth=1,
    width=32,
    activation="tanh",
    initializer="glorot_uniform",
    recurrent="orthogonal",
    pixels=1,
    batch=50,
    steps=1,
)
GRU = msgspec.structs.replace(LSTM, architecture="gru")


def by_oracle(network: Cell, inputs: Array, labels: npt.NDArray[np.uint8]) -> Array:
    """Gradients of each example's loss with respect to the state of the only layer after each step,
    in float64: (batch, steps, entries)."""
    kind, phi = network.architecture, network.activation
    *layer, kernel, bias = Oracle(network).initial(0)
    weights = Weights(*layer)
    outputs, states, kept = forward(kind, phi, inputs, weights)
    probabilities = special.softmax(outputs[:, -1] @ kernel + bias, axis=1)
    upstream = np.zeros_like(outputs)
    upstream[:, -1] = (probabilities - np.eye(10)[labels]) @ kernel.T
    arriving = Through(kind, phi, weights, states, kept).arriving(upstream)
    return np.stack([np.concatenate(state, axis=-1) for state in arriving], axis=1)[:, ::-1]


def main() -> None:
    from bench.nets.replica import Trainer

    data = mnist.load()
    trainer = Trainer(data, "cpu", "cpu")
    first = batch_order(0, examples=len(data.train_labels), batch=LSTM.batch, steps=1)[0]
    inputs = np.asarray(data.train_images)[first].reshape(LSTM.batch, -1, 1) / 255
    labels = np.asarray(data.train_labels)[first]
    columns = {}
    for network, precisions in ((LSTM, ("float32", "float64")), (GRU, ("float32",))):
        name = network.architecture.upper()
        for precision in precisions:
            cell = msgspec.structs.replace(network, precision=precision)
            start = trainer.train(cell, 0).start
            columns[f"{name}, {precision}"] = start.over_time[0]
        truth = np.square(by_oracle(network, inputs, labels)).mean(axis=(0, 2))
        columns[f"oracle of {name}"] = truth
    print("| step | " + " | ".join(columns) + " |\n|--:" + "|--:" * len(columns) + "|")
    for step in STEPS:
        row = (
            f"{column[step - 1]:.2e}" if column[step - 1] else "0" for column in columns.values()
        )
        print(f"| {step} | " + " | ".join(row) + " |")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
