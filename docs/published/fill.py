"""Fills docs/published.md with the figures and tables of runs.

    python docs/published/fill.py RUN [RUN ...]

An experiment comes from the last of the runs that has it. What stands between the marks
``<!-- figure P1 -->`` or ``<!-- table P1 -->`` and the next ``<!-- end -->`` is replaced, the rest is
written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.published.claims import findings
from bench.published.experiments import EXPERIMENTS
from bench.published.rows import rows
from bench.report.figures.draw import draw
from bench.report.published import PublishedPicture, figures, pictures, tables
from bench.results.run import read_run
from bench.results.trial import TrialResult

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "published.md"


def filled(text: str, results: Sequence[TrialResult]) -> tuple[str, Mapping[str, PublishedPicture]]:
    """The page with the experiments of these results, and its figures by their links."""
    drawn = {
        f"{FOLDER.name}/{Path(path).name.removeprefix('published-')}": picture
        for path, picture in pictures(results).items()
    }
    found, numbers = findings(results), rows(results)
    for name in EXPERIMENTS:
        if any(result.trial.experiment == name for result in results):
            text = _between(text, f"figure {name}", figures(name, drawn))
            text = _between(text, f"table {name}", tables(name, numbers, found))
    return text, drawn


def _between(text: str, mark: str, paragraphs: Sequence[str]) -> str:
    body = "\n\n".join([f"<!-- {mark} -->", *paragraphs, "<!-- end -->"])
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
