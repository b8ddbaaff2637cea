"""Draws test accuracy over depth, by activation, from a stored run and its baseline.

    python examples/notebook.py results/20261128-031502-quick accuracy.svg

Works cell by cell in a notebook, too.
"""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt

import bench

run, picture = sys.argv[1:]

frame = bench.load(run)
depth = frame[frame["grid"] == "depth"]
print(depth.pivot_table("test_accuracy", index="depth", columns=["act", "side"]).round(3))

figure, axes = plt.subplots(layout="constrained")
for (activation, side), cells in depth.groupby(["act", "side"]):
    mean = cells.groupby("depth")["test_accuracy"].mean()
    axes.plot(
        mean, label=f"{activation}, {side}", marker="o", linestyle="--" if side == "run" else "-"
    )
axes.set(xlabel="hidden layers", ylabel="test accuracy", xscale="symlog")
axes.legend()
figure.savefig(picture)
