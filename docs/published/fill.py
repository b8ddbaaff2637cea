"""Fills docs/published.md with the figures and tables of runs.

    python docs/published/fill.py RUN [RUN ...]

An experiment comes from the last of the runs that has it. What stands between the marks
``<!-- figure P1 -->`` or ``<!-- table P1 -->`` and the next ``<!-- end -->`` is replaced, the rest is
written by hand.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.published.claims import findings
from bench.published.experiments import EXPERIMENTS
from bench.published.rows import rows
from bench.report.document import Block, Figure
from bench.report.figures.draw import draw
from bench.report.figures.picture import Picture
from bench.report.markdown import markdown
from bench.report.published import pictures, tables
from bench.results.run import read_run
from bench.results.trial import TrialResult

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "published.md"


def filled(text: str, results: Sequence[TrialResult]) -> tuple[str, Mapping[str, Picture]]:
    """The page with the experiments of these results, and its figures by their links."""
    drawn = {}
    for path, picture in pictures(results).items():
        link = f"{FOLDER.name}/{Path(path).name.removeprefix('published-')}"
        drawn[link] = dataclasses.replace(picture, path=link)
    found, numbers = findings(results), rows(results)
    for name in EXPERIMENTS:
        if any(result.trial.experiment == name for result in results):
            figures = [Figure(picture) for picture in drawn.values() if picture.group == name]
            text = _between(text, f"figure {name}", figures)
            text = _between(text, f"table {name}", tables(name, numbers, found))
    return text, drawn


def _between(text: str, mark: str, blocks: Sequence[Block]) -> str:
    body = f"<!-- {mark} -->\n\n{markdown(blocks)}\n<!-- end -->"
    changed, times = re.subn(
        rf"<!-- {mark} -->.*?<!-- end -->", lambda _: body, text, flags=re.DOTALL
    )
    if times != 1:
        raise ValueError(f"{PAGE} has the mark '{mark}' {times} times")
    return changed


def main() -> None:
    for folder in sys.argv[1:]:
        run = read_run(Path(folder))
        results = [run.trials[trial] for trial in run.plan.trials if trial in run.trials]
        text, drawn = filled(PAGE.read_text(), results)
        PAGE.write_text(text)
        for link, picture in drawn.items():
            (PAGE.parent / link).write_bytes(draw(picture))


if __name__ == "__main__":
    main()
