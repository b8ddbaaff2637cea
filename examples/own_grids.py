"""Grids of your own: ``bench upgrade OLD NEW --grid-file examples/own_grids.py --grid narrow``.

A grid is a question, asked of cells. Each tier adds cells to those of the tiers below it; ids show the
axes that define the grid, and whatever else is not the default of ``bench.cells.cell.Cell``.
"""

from bench.cells.cell import Cell
from bench.cells.grid import Grid, product

NARROW = Grid(
    name="narrow",
    title="Narrow networks",
    question="Do networks of eight units, trained by Adam, still train the same?",
    axes=("depth", "width", "act", "norm"),
    added={
        "quick": [
            *product(
                depth=[2, 4],
                width=[8],
                activation=["relu", "tanh"],
                normalization=["none", "batch"],
                optimizer=["adam"],
                learning_rate=[0.01],
                steps=[100],
            ),
            Cell(depth=2, width=8, optimizer="lion", learning_rate=0.001, steps=100),
        ],
        "full": [*product(depth=[8, 16], width=[8], normalization=["layer"])],
    },
)
