"""Draws the pictures of README.md and docs/verdicts.md from two runs of the quick tier.

    python docs/images/draw.py RUN OTHER

RUN gives the gradients; OTHER, of another class of CPU than the baseline, the envelopes.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from bench.commands.report import concluded
from bench.report.figures.curves import pictures
from bench.report.figures.draw import draw
from bench.report.figures.envelope import envelope_picture
from bench.report.figures.picture import Panel, Picture
from bench.results.files import write_atomically
from bench.results.run import read_run

FOLDER = Path(__file__).parent
#: Panels of the grid of depths that show what there is to see: one remedy beside what vanishes.
SHOWN = (
    "arch:mlp act:relu norm:none",
    "arch:mlp act:sigmoid norm:none",
    "arch:residual act:relu norm:none",
)


def main(run: str, other: str) -> None:
    """Writes the pictures beside this file."""
    curves = pictures(read_run(Path(run)))["depth"]
    panels = [p for p in curves.panels if isinstance(p, Panel) and p.title in SHOWN]
    _write("gradients", curves, panels)
    envelopes = envelope_picture(concluded(Path(other), FOLDER.parents[1] / "baselines"))
    if envelopes is not None:
        _write("envelopes", envelopes, [p for p in envelopes.panels if isinstance(p, Panel)][-2:])


def _write(name: str, picture: Picture, panels: list[Panel]) -> None:
    shown = dataclasses.replace(picture, panels=tuple(panels), columns=len(panels))
    write_atomically(FOLDER / f"{name}.svg", draw(shown))


if __name__ == "__main__":
    main(*sys.argv[1:])
