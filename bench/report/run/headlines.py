"""The whole run in a few lines: one for its cells, one for its checks, one for its trials."""

from __future__ import annotations

from collections.abc import Sequence

from bench.published.claims import findings
from bench.report.markup import strong
from bench.report.published import answer as published_answer
from bench.report.run.checks import checks_answer
from bench.report.run.words import answer, called, sharpness
from bench.report.text import count
from bench.results.run import StoredRun
from bench.verdict.baselines.folder import Baseline
from bench.verdict.judgement import Judgement


def headlines(
    run: StoredRun, judgements: Sequence[Judgement], baseline: Baseline | None
) -> list[str]:
    """Lines of inline text, what fails first.

    Args:
        run: what was measured.
        judgements: of all cells.
        baseline: what they were judged against.
    """
    lines = []
    if judgements or not (run.plan.checks or run.plan.trials):
        fails = any(judgement.verdict.fails for judgement in judgements)
        text = answer(judgements, called(baseline))
        lines.append((fails, f"{text} {sharpness(judgements)}".strip()))
    if run.plan.checks:
        fails = any(result.fails for result in run.results)
        lines.append((fails, checks_answer(run)))
    if run.plan.trials:
        statements = findings(list(run.trials.values()))
        crashed = sum(result.outcome == "crashed" for result in run.trials.values())
        gone = len(run.plan.trials) - len(run.trials)
        text = published_answer(statements)
        if crashed:
            text += f" {strong(count(crashed, 'trial') + ' crashed')}."
        if gone:
            text += f" Incomplete: {gone} of {count(len(run.plan.trials), 'trial')} did not run."
        lines.append((bool(crashed) or any(finding.fails for finding in statements), text))
    return [text for _, text in sorted(lines, key=lambda line: not line[0])]
