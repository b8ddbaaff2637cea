"""Draws the picture of README.md from a run of the quick tier: ``python docs/images/draw.py RUN``."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from bench.report.figures.curves import pictures
from bench.report.figures.draw import draw
from bench.results.files import write_atomically
from bench.results.run import read_run

#: Panels of the grid of depths that show what there is to see: one remedy beside what vanishes.
SHOWN = (
    "arch:mlp act:relu norm:none",
    "arch:mlp act:sigmoid norm:none",
    "arch:residual act:relu norm:none",
)


def main(run: str) -> None:
    """Writes the pictures beside this file."""
    whole = pictures(read_run(Path(run)))["depth"]
    panels = tuple(panel for panel in whole.panels if panel.title in SHOWN)
    picture = dataclasses.replace(whole, panels=panels, columns=len(panels))
    write_atomically(Path(__file__).with_name("gradients.svg"), draw(picture))


if __name__ == "__main__":
    main(*sys.argv[1:])
