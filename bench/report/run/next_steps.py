"""What to do next: commands for those who have ``bench`` installed and for those who use tox."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from bench.report.document import Bullets, Section
from bench.report.markup import code
from bench.report.run.words import versions_of
from bench.results.run import StoredRun
from bench.verdict.baselines.folder import Baseline
from bench.verdict.judgement import Judgement, Verdict
from bench.verdict.ladder import counts

#: A run is found by its name below this folder, by its path elsewhere.
_RESULTS = Path("results")


def bench_command(words: str) -> str:
    """``bench WORDS`` in code font, and what does the same through tox."""
    return f"{code(f'bench {words}')} (with tox: {code(f'python -m tox run -e bench -- {words}')})"


def next_steps(
    run: StoredRun, judgements: Sequence[Judgement], baseline: Baseline | None
) -> Section | None:
    """A line for each kind of finding that asks for something; None if nothing does.

    Args:
        run: what was measured.
        judgements: of all cells.
        baseline: what they were judged against.
    """
    counted = counts(judgements)
    name = run.path.name if run.path.parent == _RESULTS else str(run.path)
    named = shlex.quote(name)
    lines = []
    if Verdict.CRASHED in counted or Verdict.MISSING in counted:
        lines.append(
            "Crashed or missing: the reason names the cause. What was not measured is measured by "
            f"the same command with {code('--resume')}."
        )
    if Verdict.CHANGED in counted or Verdict.REGRESSED in counted:
        lines.append(
            "Changed or regressed: look for the cause where the difference begins. If the new results "
            f"are right, accept these cells: {_accept(named, ' -k WORDS')}."
        )
    if Verdict.INCONCLUSIVE in counted:
        tier = run.plan.tier
        lines.append(
            "Inconclusive: the reason says what would decide. Where that is more seeds, "
            f"{code('--decide')} gives them to these cells alone, on the run's side: "
            f"{code(f'pytest suites --tier {tier} --benchmark-skip --decide')} (with tox: "
            f"{code(f'python -m tox run -e {tier} -- --decide')}). On both sides, and with the same "
            f"kernels: {_upgrade(run, baseline)}."
        )
    own = baseline is not None and (baseline.environment_class == run.environment.environment_class)
    if judgements and not own:
        undecided = (
            ", so a cell that leaves its envelope is undecided" if baseline is not None else ""
        )
        lines.append(
            f"No baseline is stored for {code(run.environment.environment_class)}{undecided}. Once the "
            f"results of a run with {code('--all-seeds')} are reviewed: {_accept(named)}."
        )
    elif Verdict.NEW in counted or Verdict.NOT_COMPARABLE in counted:
        lines.append(
            "New or not comparable: once the results of these cells are reviewed, "
            f"{_accept(named, ' -k WORDS')}."
        )
    return Section("What to do next", [Bullets(lines)]) if lines else None


def _upgrade(run: StoredRun, baseline: Baseline | None) -> str:
    """What trains the baseline's version and the run's on this machine."""
    versions = (versions_of(baseline), run.environment.software)
    sides = (side.get("tensorflow", "").split(", ")[0] or "VERSION" for side in versions)
    return bench_command(f"upgrade {' '.join(sides)} -k WORDS --seeds 24")


def _accept(run: str, chosen: str = "") -> str:
    return bench_command(f"baseline accept {run}{chosen} --reason TEXT")
