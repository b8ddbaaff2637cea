"""The answer: whether what was judged is safe, why, and what it was held against."""

from __future__ import annotations

import statistics

from bench.errors import count
from bench.report.markup import code, strong
from bench.report.published import answer as published_answer
from bench.report.sections.checks import checks_answer
from bench.report.text import capital, clipped, significant, verb
from bench.results.timings import SIDES, Side
from bench.verdict.baselines.samples import Baseline
from bench.verdict.conclusion import Answer, Conclusion
from bench.verdict.judgement import UNDECIDED, Verdict

#: Characters of what an answer rests on: it names every kind of finding, and each slower workload.
MOST_ANSWER = 2_000
#: Characters of what was left out: a -k expression may be long.
MOST_LEFT_OUT = 500
_MOST_RETRIED = 160


def answer_blocks(conclusion: Conclusion) -> list[str]:
    """The answer with its reasons, and what it was held against; then checks and publications."""
    first, *others = details(conclusion)
    return [
        f"{strong(capital(answer_text(conclusion)))}: {because_text(conclusion)}.",
        f"{first} Exit code {conclusion.exit_code}.".lstrip(),
        *others,
        *filter(None, [scope(conclusion), left_out(conclusion)]),
    ]


def left_out(conclusion: Conclusion) -> str:
    """What the user chose not to measure, in one sentence of inline text; empty if nothing."""
    parts = "; ".join(conclusion.left_out)
    return f"Left out: {clipped(parts, MOST_LEFT_OUT)}." if parts else ""


def scope(conclusion: Conclusion) -> str:
    """What the answer covers, in one sentence of inline text; empty if nothing was measured."""
    plan, outcomes = conclusion.run.plan, conclusion.run.outcomes
    judged = [j for j in conclusion.judgements if j.verdict is not Verdict.MISSING]
    grids = len({judgement.item.grid for judgement in judged})
    checks = [check for check in plan.checks if check in outcomes]
    contracts = sum(check.is_contract for check in checks)
    paces = 0 if conclusion.sides else sum(pace in outcomes for pace in plan.paces)
    numbers = {
        "cell": len(judged),
        "check": len(checks) - contracts,
        "contract": contracts,
        "saved model": len(conclusion.savings),
        "workload": len(conclusion.timings) + paces,
        "trial": sum(trial in outcomes for trial in plan.trials),
    }
    kinds = {"cell": f" of {count(grids, 'grid')}", "check": " of arithmetic"}
    parts = [f"{count(n, noun)}{kinds.get(noun, '')}" for noun, n in numbers.items() if n]
    if not parts:
        return ""
    own = code("--model") if conclusion.sides else code("bench upgrade --model")
    listed = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    models = sorted({judgement.item.cell.model for judgement in judged} - {""})
    if models:
        return f"Covers {listed}: your model {', '.join(map(code, models))}."
    return f"Covers {listed}; not your own model unless {own} names it."


def answer_text(conclusion: Conclusion) -> str:
    """The answer in words; a safe one is about what was measured, which a selection may narrow."""
    plan = conclusion.run.plan
    selected = plan.selected and not any(item.cell.model for item in plan.items)
    narrowed = conclusion.left_out or (selected and not conclusion.sides)
    if conclusion.answer is Answer.SAFE and narrowed:
        return f"{conclusion.answer.value}, as far as measured"
    return conclusion.answer.value


def because_text(conclusion: Conclusion, length: int = MOST_ANSWER) -> str:
    """What the answer rests on, in one sentence of at most ``length`` characters."""
    return clipped("; ".join(conclusion.because) or "nothing was measured", length)


def title(conclusion: Conclusion) -> str:
    """``tensorflow-cpu==2.20.0 -> tensorflow-cpu==2.21.0``; ``run 20261121-quick``."""
    if conclusion.sides:
        return " -> ".join(asked(conclusion, side) for side in SIDES)
    return f"run {conclusion.run.path.name}"


def asked(conclusion: Conclusion, side: Side) -> str:
    """What the user asked for on a side: requirements and variables."""
    facts = conclusion.sides[side]
    words = [f"{name}={value}" for name, value in sorted(facts.variables.items())]
    return clipped(" ".join([facts.label, *(w for w in words if w not in facts.label.split())]))


def heading(conclusion: Conclusion) -> str:
    """``Upgrade tensorflow==2.20.0 -> tensorflow==2.21.0, measured 2026-11-28``; ``Run 20261121 of
    TensorFlow 2.21.0, measured 2026-11-21``."""
    environment = conclusion.run.environment
    text = f"Upgrade {title(conclusion)}" if conclusion.sides else capital(title(conclusion))
    if not conclusion.sides and (version := environment.software.get("tensorflow")):
        text += f" of TensorFlow {version}"
    started = str(environment.run.get("started", ""))[:10]
    return clipped(f"{text}, measured {started}" if started else text, MOST_ANSWER)


def details(conclusion: Conclusion) -> list[str]:
    """Lines of inline text: what the cells were held against and how sharply, then, of a run, what its
    checks and its trials of published experiments say. The first may be empty."""
    said = (_held_against, _sharpness, _unchecked, _retried)
    lines = [" ".join(filter(None, (part(conclusion) for part in said)))]
    if conclusion.old is None:
        lines += filter(None, [checks_answer(conclusion), _trials(conclusion)])
    return lines


def _unchecked(conclusion: Conclusion) -> str:
    """What of the files has no checksum, so that a number which was altered since is not seen."""
    runs = [run for run in (conclusion.old, conclusion.run) if run is not None]
    lines, baseline = sum(run.unchecked for run in runs), conclusion.baseline
    found = [count(lines, "result")] if lines else []
    if baseline is not None and not baseline.checked:
        found.append(f"the {clipped(baseline.name)} ({code('bench baseline migrate')})")
    if not found:
        return ""
    return f"Without checksums, as an older bench wrote them: {' and '.join(found)}."


def _retried(conclusion: Conclusion) -> str:
    """How many tasks were tried once more, as somebody else ended their process."""
    runs = [run for run in (conclusion.old, conclusion.run) if run is not None]
    retried = [text for run in runs for text in run.environment.retried]
    if not retried:
        return ""
    whose = "A task whose" if len(retried) == 1 else f"{len(retried)} tasks whose"
    tried = "was tried" if len(retried) == 1 else "were tried"
    such = "" if len(retried) == 1 else "such as "
    shown = clipped(retried[0], _MOST_RETRIED)
    return f"{whose} process somebody else ended {tried} once more: {such}{shown}."


def versions_of(baseline: Baseline | None) -> dict[str, str]:
    """The software that a baseline's present cells were measured with; all of it where that is not
    one version. Of a run in its place, that run's."""
    if baseline is None:
        return {}
    if not baseline.acceptances:
        return dict(baseline.software)
    names = ("tensorflow", "keras", "numpy", "python", "bench")
    return {
        name: ", ".join(dict.fromkeys(getattr(source, name) for source in baseline.sources))
        for name in names
    }


def _held_against(conclusion: Conclusion) -> str:
    baseline, judgements = conclusion.baseline, conclusion.judgements
    if conclusion.sides:
        old, new = (clipped(conclusion.sides[side].label) for side in SIDES)
        return f"OLD is {old}, NEW is {new}; both were measured on one machine, side by side."
    run = conclusion.run
    if not (run.records or run.results or run.trials or run.paces):
        return "Nothing was measured: this run says nothing about TensorFlow."
    if not judgements:
        return ""
    if baseline is None:
        return "No baseline is stored to compare with."
    name = clipped(baseline.name if conclusion.old is None else f"run {conclusion.old.path.name}")
    text = f"Compared with the {name}{_of_version(baseline)}"
    if all(judgement.verdict is Verdict.NEW for judgement in judgements):
        return f"{text}, which has none of these cells."
    fallback = baseline.fallback
    while fallback is not None:
        served = sum(baseline.holder(judgement.item) is fallback for judgement in judgements)
        other = f"the {clipped(fallback.name)}{_of_version(fallback)}"
        if served == len(judgements):
            text = f"Compared with {other}, as the {name} has none of these cells"
        elif served:
            are = verb(served, "is", "are")
            text += f". {count(served, 'cell')} {are} not in it, and {are} compared with {other}"
        fallback = fallback.fallback
    class_ = conclusion.run.environment.environment_class
    if conclusion.old is None and baseline.acceptances and baseline.environment_class != class_:
        text += f". This machine is of another class, {class_}"
    return f"{text}."


def _of_version(baseline: Baseline) -> str:
    version = versions_of(baseline).get("tensorflow")
    return f" (TensorFlow {version})" if version else ""


def _sharpness(conclusion: Conclusion) -> str:
    """How many cells were decided, and how small a change of a gradient those would have shown whose
    bits differ by rounding; empty if none was decided, or all by their bits."""
    judgements = conclusion.judgements
    unknown = sum(j.verdict in UNDECIDED or j.verdict is Verdict.NEW for j in judgements)
    rounded = [
        judgement.envelope.sensitivity
        for judgement in judgements
        if judgement.verdict is Verdict.ROUNDING
        and judgement.envelope is not None
        and judgement.envelope.sensitivity is not None
    ]
    decided, text = len(judgements) - unknown, ""
    if decided and (unknown or rounded):
        text = f"{decided} of {count(len(judgements), 'cell')} decided"
    if rounded:
        median, most = (significant(of(rounded), 2) for of in (statistics.median, max))
        text += (
            f"; where rounding differs, a gradient changed by {median} of its size would have shown in "
            f"the median cell, by {most} in the least sharp"
        )
    return f"{text}." if text else ""


def _trials(conclusion: Conclusion) -> str:
    """What trials of published experiments say; empty if none was planned."""
    planned, results = conclusion.run.plan.trials, conclusion.run.trials
    if not planned:
        return ""
    text = published_answer(conclusion.findings)
    crashed = sum(result.outcome == "crashed" for result in results.values())
    if crashed:
        text += f" {strong(count(crashed, 'trial') + ' crashed')}."
    if len(results) < len(planned):
        gone = len(planned) - len(results)
        text += f" Incomplete: {gone} of {count(len(planned), 'trial')} did not run."
    return text
