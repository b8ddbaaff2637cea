"""What to do next: commands for those who have ``bench`` installed and for those who use tox."""

from __future__ import annotations

import shlex
from pathlib import Path

from bench.report.document import Bullets, Section
from bench.report.markup import code
from bench.report.reproducer import Scripts
from bench.report.sections.answer import asked, versions_of
from bench.report.sections.sides import different, pin
from bench.report.text import MOST_NAMED, more, some_of
from bench.results.environment import requirement
from bench.results.plan import Item
from bench.results.timings import SIDES
from bench.verdict.conclusion import Answer, Conclusion
from bench.verdict.contrast import Wrong
from bench.verdict.judgement import Verdict
from bench.verdict.ladder import counts
from bench.verdict.reasons import against

#: A run is found by its name below this folder, by its path elsewhere.
_RESULTS = Path("results")
#: Cells that are named in a command.
_MOST_CELLS = 2


def bench_command(words: str) -> str:
    """``bench WORDS`` in code font, and what does the same through tox."""
    return f"{code(f'bench {words}')} (with tox: {code(f'python -m tox run -e bench -- {words}')})"


def next_steps(conclusion: Conclusion, reproducers: Scripts) -> Section | None:
    """What a reader should do: of an upgrade pin, report, accept or measure more; of a run something
    for each kind of verdict that asks for it. None if nothing does."""
    upgrade = bool(conclusion.sides)
    lines = _of_upgrade(conclusion, reproducers) if upgrade else _of_run(conclusion)
    return Section("What to do next", [Bullets(lines)]) if lines else None


def _of_run(conclusion: Conclusion) -> list[str]:
    counted = counts(conclusion.judgements)
    lines = []
    if Verdict.CRASHED in counted or Verdict.MISSING in counted:
        lines.append(
            "Crashed or missing: the reason names the cause. What was not measured is measured by "
            f"the same command with {code('--resume')}."
        )
    if Verdict.CHANGED in counted or Verdict.REGRESSED in counted:
        accept = _accept(conclusion, Verdict.CHANGED, Verdict.REGRESSED)
        lines.append(
            "Changed or regressed: look for the cause where the difference begins. If the new results "
            f"are right, accept these cells: {accept}."
        )
    if Verdict.INCONCLUSIVE in counted:
        lines.append(_decide(conclusion))
    if any(one.open for one in conclusion.paces):
        decide = bench_command(f"speed check {_named(conclusion)} --decide")
        lines.append(
            f"Beyond this machine's limits: {decide} compares the stored version with this one side by "
            "side, on this machine."
        )
    class_ = conclusion.run.environment.environment_class
    baseline = conclusion.baseline
    if conclusion.judgements and (baseline is None or baseline.environment_class != class_):
        undecided = (
            ", so a cell that leaves its envelope is undecided" if baseline is not None else ""
        )
        first = _first_baseline(conclusion)
        lines.append(f"No baseline is stored for {code(class_)}{undecided}. {first}.")
    elif Verdict.NEW in counted or Verdict.NOT_COMPARABLE in counted:
        accept = _accept(conclusion, Verdict.NEW, Verdict.NOT_COMPARABLE)
        lines.append(f"New or not comparable: once these cells are reviewed, {accept}.")
    return lines


def _named(conclusion: Conclusion) -> str:
    """A run as commands find it."""
    path = conclusion.run.path
    return shlex.quote(path.name if path.parent == _RESULTS else str(path))


def _accept(conclusion: Conclusion, *verdicts: Verdict) -> str:
    """The command that accepts the cells of these verdicts."""
    these = _only(conclusion, *verdicts)
    return bench_command(f"baseline accept {_named(conclusion)} {these} --reason TEXT")


def _first_baseline(conclusion: Conclusion) -> str:
    """How the first baseline of a class comes about: of a run that trained every seed. It need only
    hold what another class's has otherwise."""
    plan, only = conclusion.run.plan, " --differing" if conclusion.baseline is not None else ""
    if not plan.further:
        accept = bench_command(f"baseline accept {_named(conclusion)}{only} --reason TEXT")
        return f"Once these results are reviewed: {accept}"
    return (
        f"For one, train every seed: {code(f'bench run --tier {plan.tier} --all-seeds')} (with tox: "
        f"{code(f'python -m tox run -e {plan.tier} -- --all-seeds')}). Once its results are reviewed: "
        f"{bench_command(f'baseline accept latest{only} --reason TEXT')}"
    )


def _decide(conclusion: Conclusion) -> str:
    """How undecided cells are decided."""
    run = conclusion.run
    tier = run.plan.tier
    line = (
        "Inconclusive: the reason says what would decide. Where that is more seeds, "
        f"{code('--decide')} gives them to these cells alone, on the run's side: "
        f"{code(f'bench run --tier {tier} --decide')} (with tox: "
        f"{code(f'python -m tox run -e {tier} -- --decide')})."
    )
    software, device = run.environment.software, run.environment.numerics.device
    versions = (versions_of(conclusion.baseline), software)
    old, new = (requirement(each, device) for each in versions)
    if old and old != new:  # what trains the baseline's version and the run's on this machine
        these = _only(conclusion, Verdict.INCONCLUSIVE)
        both = bench_command(f'upgrade "{old}" "{new}" {these} --seeds 24')
        line += f" On both sides, and with the same kernels: {both}."
    return line


def _only(conclusion: Conclusion, *verdicts: Verdict) -> str:
    """The options that select the cells of these verdicts: their grids where that is the same, else the
    cells by name, or WORDS of their names, for the reader to choose."""
    chosen = [j.item for j in conclusion.judgements if j.verdict in verdicts]
    grids = {item.grid for item in chosen}
    if sum(j.item.grid in grids for j in conclusion.judgements) == len(chosen):
        return " ".join(f"--grid {shlex.quote(grid)}" for grid in sorted(grids))
    names = " or ".join(item.name for item in chosen) if len(chosen) <= _MOST_CELLS else "WORDS"
    return f"-k {shlex.quote(names)}"


def _of_upgrade(conclusion: Conclusion, reproducers: Scripts) -> list[str]:
    if conclusion.answer is Answer.SAFE and conclusion.left_out:
        sides = " ".join(shlex.quote(conclusion.sides[side].label) for side in SIDES)
        return [
            "Measure what was left out before you take NEW into use: the same command without what "
            f"leaves it out, such as {bench_command(f'upgrade {sides}')}."
        ]
    new = asked(conclusion, "new")
    if conclusion.answer is Answer.SAFE:
        return [f"Accept: take {new} into use."]
    if conclusion.answer is Answer.UNDECIDED:
        return [*_measure_again(conclusion), _stay(conclusion, "until then")]
    otherwise = [contrast for contrast in conclusion.checks if contrast.counts_against]
    if len(against(conclusion)) == 1 and otherwise and all(each.mended for each in otherwise):
        return [
            "NEW is right where OLD was wrong. Check whether your code relies on what OLD did: if not, "
            f"take {new} into use.",
            _stay(conclusion, "if it does"),
            _why(conclusion),
        ]
    return [
        _stay(conclusion, "until the cause is known"),
        _why(conclusion),
        *_upstream(conclusion, reproducers),
        "Accept, if what changed is meant to change (release notes tell) and does not concern your "
        f"models: take {new} into use, and accept its results as the new baseline.",
    ]


def _measure_again(conclusion: Conclusion) -> list[str]:
    """What is open, and that alone."""
    noisy = any(each.verdict == "undecided" for each in conclusion.speeds.values())
    lines = []
    if conclusion.incomplete:
        lines.append("Measure what is missing; its reasons name the cause.")
    elif not noisy or any(j.verdict is Verdict.INCONCLUSIVE for j in conclusion.judgements):
        lines.append("Measure again what is open: the same command, with more seeds.")
    if noisy:
        alone = code("--skip cells --skip checks --skip saving")
        lines.append(
            f"Time again on an idle machine: the same command, with {alone}. If speed does not matter "
            f"to you, leave it out: {code('--skip speed')}."
        )
    return lines


def _stay(conclusion: Conclusion, when: str) -> str:
    requirements = pin(conclusion)
    if requirements:
        return f"Pin: {when}, keep OLD: {code(' '.join(requirements))}."
    sides = conclusion.sides
    changed = different(sides["old"].variables, sides["new"].variables)
    if changed:
        kept = [name if old is None else f"{name}={old}" for name, (old, _) in changed.items()]
        unset = any(old is None for old, _ in changed.values())
        note = " (unset where no value is named)" if unset else ""
        return f"Set: {when}, keep OLD's variables: {code(' '.join(kept))}{note}."
    return f"Stay: {when}, use {asked(conclusion, 'old')}."


def _why(conclusion: Conclusion) -> str:
    """How to find what is to blame; where that was done, what avoids it."""
    pins = [
        " ".join([*remedy.pins, *(f"{name}={value}" for name, value in remedy.variables.items())])
        for blame in conclusion.blames
        for remedy in blame.remedies
        if remedy.avoids
    ]
    if pins:
        return f"Or avoid what was bisected, as tried out: {some_of(list(dict.fromkeys(pins)))}."
    folder = conclusion.folder
    named = folder.name if folder.parent == _RESULTS else str(folder)
    sides = f"--of {shlex.quote(named)}"
    if not conclusion.measured_here:  # whose programs are not run
        labels = (conclusion.sides[side].label for side in SIDES)
        sides = " ".join(map(shlex.quote, labels))
    return (
        "Find out which package, which release and what avoids it: "
        f"{bench_command(f'bisect {shlex.quote(_first(conclusion))} {sides}')}."
    )


def _first(conclusion: Conclusion) -> str:
    """The first finding by the name that ``bench bisect`` takes."""
    cells = [judgement.item.name for judgement in conclusion.failing]
    checks = [contrast.check.id for contrast in conclusion.checks if contrast.counts_against]
    files = [s.name for s in conclusion.savings if s.outcome.fails and not s.back]
    return next(iter([*cells, *checks, *files]), "FINDING")


def _upstream(conclusion: Conclusion, reproducers: Scripts) -> list[str]:
    """Reports to TensorFlow's developers: with scripts where there are some."""
    failing = {judgement.item for judgement in conclusion.failing}
    broken = {c.check for c in conclusion.checks if c.wrong is Wrong.NEW}
    scripts = [
        f"{code(path)} for {code(shown.name if isinstance(shown, Item) else shown.id)}"
        for shown, path in reproducers.items()
        if shown in failing or shown in broken
    ]
    checks = [c.check.id for c in conclusion.checks if c.wrong is Wrong.NEW]
    lines = []
    if scripts:
        rest = len(scripts) - MOST_NAMED
        named = [*scripts[:MOST_NAMED], *([f"and {more(rest, 'script')}"] if rest > 0 else [])]
        lines.append(
            f"Report upstream, with a script to be run in both environments: {'; '.join(named)}."
        )
    elif failing:
        where = f"bench reproduce {conclusion.folder} CELL"
        lines.append(f"Report upstream: {code(where)} writes a script that shows the difference.")
    if checks:
        lines.append(
            "Report upstream: arithmetic newly out of bounds, "
            f"{some_of(checks, 'check', most=1)}; each needs no training to be seen."
        )
    if any(judgement.verdict is Verdict.CRASHED for judgement in conclusion.failing):
        lines.append("A crash is worth a report of its own, with the last lines of the process.")
    return lines
