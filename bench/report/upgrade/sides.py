"""The two sides of an upgrade next to each other, and what a reader should do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from packaging.utils import canonicalize_name

from bench.environments.requirements import LEGACY_KERAS, TENSORFLOWS
from bench.report.document import Block, Bullets, Folded, Section, Table, Verbatim, limited_table
from bench.report.markup import code
from bench.report.text import MOST_NAMED, NOTHING, clipped, count, more, some_of
from bench.results.plan import Item
from bench.results.timings import SIDES, Side
from bench.verdict.conclusion import Answer, Conclusion
from bench.verdict.contrast import Wrong
from bench.verdict.judgement import Verdict

#: Distributions that a pin names, where the sides differ in them: what users ask for by name.
_PINNED = frozenset((*TENSORFLOWS, "tensorflow-gpu", "keras", "keras-nightly", LEGACY_KERAS))


def title(upgrade: Conclusion) -> str:
    """``tensorflow-cpu==2.20.0 -> tensorflow-cpu==2.21.0``."""
    old, new = (upgrade.sides[side].label for side in SIDES)
    return f"{old} -> {new}"


def locked(upgrade: Conclusion, side: Side) -> dict[str, str]:
    """Versions by distribution, as the side's lock has them."""
    lines = (line.strip() for line in upgrade.sides[side].lock.splitlines())
    pairs = (line.partition("==") for line in lines if "==" in line and not line.startswith("#"))
    return {canonicalize_name(name.strip()): version.strip() for name, _, version in pairs}


def different(
    old: Mapping[str, str], new: Mapping[str, str]
) -> dict[str, tuple[str | None, str | None]]:
    """Name -> both values, where they differ; None where a side has none."""
    return {
        name: (old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    }


def pin(upgrade: Conclusion) -> list[str]:
    """Requirements that keep OLD's TensorFlow and Keras; if these are the same on both sides, all in
    which the locks differ. Empty if they do not."""
    changed = different(locked(upgrade, "old"), locked(upgrade, "new"))
    kept = {name: old for name, (old, _) in changed.items() if old is not None}
    leading = [name for name in kept if name in _PINNED]
    return [f"{name}=={kept[name]}" for name in leading or kept]


def sides_section(upgrade: Conclusion, *, brief: bool) -> Section:
    """What differs between the sides; what is the same is counted."""
    old, new = (_facts(upgrade, side) for side in SIDES)
    rows = [
        [name, *_texts((old.get(name), new.get(name)))]
        for name in dict.fromkeys([*old, *new])
        if name == "asked for" or old.get(name) != new.get(name)
    ]
    blocks: list[Block] = [Table(("", "OLD", "NEW"), rows, "lll")]
    locks = [locked(upgrade, side) for side in SIDES]
    changed = different(*locks)
    packages = [[code(name), *_texts(versions)] for name, versions in changed.items()]
    same = len({*locks[0], *locks[1]}) - len(changed)
    if not any(locks):
        blocks.append("No lock is known of either side.")
    elif not changed:
        blocks.append(f"All {count(same, 'package')} are the same on both sides.")
    else:
        headers = ("package", "OLD", "NEW")
        blocks += limited_table(headers, packages, "lll", "package", brief=brief)
        blocks.append(f"{count(same, 'package')} the same on both sides.")
    if not brief:
        locks_of = {side: upgrade.sides[side].lock.strip() for side in SIDES}
        blocks += [
            Folded(f"Lock of {side.upper()}", [Verbatim(lock)])
            for side, lock in locks_of.items()
            if lock
        ]
    return Section("The two sides", blocks)


def left_out_section(upgrade: Conclusion) -> Section | None:
    """Parts that were not measured because the user said so; None if nothing was."""
    left = upgrade.left_out
    return Section("Left out", [Bullets([clipped(part) for part in left])]) if left else None


def next_steps(upgrade: Conclusion, reproducers: Mapping[Item, str]) -> Section:
    """What a reader should do: pin, report, accept, or measure more."""
    if upgrade.answer is Answer.SAFE:
        lines = [f"Accept: take {_asked(upgrade, 'new')} into use."]
        if upgrade.left_out:
            lines = ["Measure what was left out before you take NEW into use."]
    elif upgrade.answer is Answer.UNDECIDED:
        lines = _open_lines(upgrade)
        lines += _stay(upgrade, "Until then")
    else:
        lines = _stay(upgrade, "Until the cause is known")
        lines += _report(upgrade, reproducers)
        lines.append(
            "Accept, if what changed is meant to change (release notes tell) and does not concern your "
            f"models: take {_asked(upgrade, 'new')} into use, and accept its results as the new "
            "baseline."
        )
    return Section("What to do next", [Bullets(lines)])


def _open_lines(upgrade: Conclusion) -> list[str]:
    """Measure again what is open, and that alone."""
    noisy = any(each.verdict == "undecided" for each in upgrade.speeds.values())
    lines = []
    if upgrade.incomplete:
        lines.append("Measure what is missing; its reasons name the cause.")
    elif not noisy or any(j.verdict is Verdict.INCONCLUSIVE for j in upgrade.judgements):
        lines.append("Measure again what is open: the same command, with more seeds.")
    if noisy:
        alone = code("--skip cells --skip checks --skip saving")
        lines.append(
            f"Time again on an idle machine: the same command, with {alone}. If speed does not matter "
            f"to you, leave it out: {code('--skip speed')}."
        )
    return lines


def _stay(upgrade: Conclusion, when: str) -> list[str]:
    requirements = pin(upgrade)
    if requirements:
        return [f"Pin: {when[0].lower()}{when[1:]}, keep OLD: {code(' '.join(requirements))}."]
    sides = upgrade.sides
    changed = different(sides["old"].variables, sides["new"].variables)
    if changed:
        kept = [name if old is None else f"{name}={old}" for name, (old, _) in changed.items()]
        unset = [name for name, (old, _) in changed.items() if old is None]
        note = " (unset where no value is named)" if unset else ""
        return [f"{when}, keep OLD's variables: {code(' '.join(kept))}{note}."]
    return [f"{when}, stay with {_asked(upgrade, 'old')}."]


def _report(upgrade: Conclusion, reproducers: Mapping[Item, str]) -> list[str]:
    """Upstream: with scripts where there are some."""
    failing = {judgement.item for judgement in upgrade.failing}
    scripts = [(item, path) for item, path in reproducers.items() if item in failing]
    checks = [c.check.id for c in upgrade.checks if c.wrong is Wrong.NEW]
    lines = []
    if scripts:
        named = [f"{code(path)} for {code(item.name)}" for item, path in scripts[:MOST_NAMED]]
        rest = len(scripts) - len(named)
        named += [f"and {more(rest, 'script')}"] if rest else []
        lines.append(
            f"Report upstream, with a script to be run in both environments: {'; '.join(named)}."
        )
    elif failing:
        where = f"bench reproduce {upgrade.folder} CELL"
        lines.append(f"Report upstream: {code(where)} writes a script that shows the difference.")
    if checks:
        lines.append(
            "Report upstream: arithmetic newly out of bounds, "
            f"{some_of(checks, 'check', most=1)}; each needs no training to be seen."
        )
    if any(judgement.verdict is Verdict.CRASHED for judgement in upgrade.failing):
        lines.append("A crash is worth a report of its own, with the last lines of the process.")
    return lines


def _asked(upgrade: Conclusion, side: Side) -> str:
    facts = upgrade.sides[side]
    set_ = "".join(f" {name}={value}" for name, value in sorted(facts.variables.items()))
    return clipped(f"{facts.label}{set_}")


def _facts(upgrade: Conclusion, side: Side) -> dict[str, str]:
    facts = upgrade.sides[side]
    run = upgrade.both[0] if side == "old" else upgrade.run
    environment = run.environment
    return {
        "asked for": facts.label,
        "interpreter": facts.python,
        **({"resolved": facts.resolved} if facts.resolved else {}),
        **{f"variable {name}": value for name, value in sorted(facts.variables.items())},
        "environment class": environment.environment_class,
        **environment.software,
        **{f"machine: {name}": value for name, value in environment.machine.items()},
        "images": environment.data.get("fingerprint", ""),
    }


def _texts(values: Sequence[str | None]) -> list[str]:
    return [NOTHING if value is None else clipped(value) for value in values]
