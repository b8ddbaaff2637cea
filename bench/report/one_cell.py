"""All that is known of one cell: its verdict, each training, what was tested, and what to run next."""

from __future__ import annotations

import shlex

from bench.cells import recurrent
from bench.cells.cell import Cell
from bench.report import measured_over_time
from bench.report.document import Block, Bullets, Section, Table
from bench.report.markup import code, strong
from bench.report.rows import Rows
from bench.report.sections.metrics import comparisons_table
from bench.report.text import NOTHING, clipped, points, significant
from bench.results.run import StoredRun
from bench.verdict.conclusion import Conclusion
from bench.verdict.envelope import describe
from bench.verdict.judgement import MEANING, Judgement, Verdict

_HEADERS = ("side", "seed", "outcome", "test accuracy (%)", "test loss", "digest")


def cell_blocks(conclusion: Conclusion, judgement: Judgement) -> list[Block]:
    """Blocks of a document, the verdict first."""
    item, runs = judgement.item, {"run": conclusion.run}
    if conclusion.old is not None:
        runs = {"OLD": conclusion.old, "NEW": conclusion.run}
    rows = [row for name, run in runs.items() for row in _trainings(name, run, judgement)]
    row = Rows(conclusion.run)[item.cell]
    claims = [
        f"{code(result.claim)} {'holds' if result.holds else 'does not hold'}: "
        f"{clipped(result.evidence)}"
        for result in judgement.claims
    ]
    name = shlex.quote(item.name)
    steps = [f"its history: {code(f'bench history {name}')}"]
    if conclusion.sides and judgement.verdict not in (Verdict.IDENTICAL, Verdict.ROUNDING):
        steps.append(
            f"a script that shows it: {code(f'bench reproduce {conclusion.folder} {name}')}"
        )
    envelope = "" if judgement.envelope is None else describe(judgement.envelope)
    blocks: list[Block | None] = [
        f"{strong(judgement.verdict.value)}: {MEANING[judgement.verdict]}. Decided by: "
        f"{judgement.rung}.",
        clipped(judgement.reason, 2_000),
        envelope if envelope not in judgement.reason else None,
        Table(_HEADERS, rows, "lrlrrl") if rows else "Nothing of it was measured.",
        f"Signal ratio, first over last {_places(item.cell)}, median of the seeds: "
        f"{significant(row.signal_ratio)}; kernel gradient ratio: "
        f"{significant(row.kernel_ratio)}.",
        *measured_over_time.blocks(item.cell, conclusion.run.of(item.cell)),
        comparisons_table(conclusion, [judgement]),
        Bullets(claims),
        Bullets(steps),
    ]
    return [Section(item.name, blocks)]


def _trainings(side: str, run: StoredRun, judgement: Judgement) -> list[list[str]]:
    return [
        [
            side,
            str(record.seed),
            record.outcome if record.crash is None else clipped(record.crash.message, 100),
            points(record.test_accuracy),
            significant(record.test_loss, 4),
            code(record.digest[:16]) or NOTHING,
        ]
        for record in run.of(judgement.item.cell)
    ]


def _places(cell: Cell) -> str:
    return "step in time" if cell.architecture in recurrent.ARCHITECTURES else "layer"
