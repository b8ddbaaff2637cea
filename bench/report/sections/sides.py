"""What was compared: both sides next to each other, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from packaging.utils import canonicalize_name

from bench.environments.requirements import LEGACY_KERAS, TENSORFLOWS
from bench.errors import count
from bench.report.document import Block, Bullets, Folded, Section, Table, Verbatim, limited_table
from bench.report.markup import code, strong
from bench.report.sections.answer import versions_of
from bench.report.text import MOST_NAMED, NOTHING, clipped, duration
from bench.results.run import StoredRun
from bench.results.timings import SIDES, Side
from bench.verdict.conclusion import Conclusion

#: Distributions by the names under which reports show their versions.
TITLES = {"tensorflow": "TensorFlow", "keras": "Keras", "numpy": "NumPy", "python": "Python"}
#: Distributions that a pin names, where the sides differ in them: what users ask for by name.
_PINNED = frozenset((*TENSORFLOWS, "tensorflow-gpu", "keras", "keras-nightly", LEGACY_KERAS))


def sides_section(
    conclusion: Conclusion, *, total_sec: float | None = None, brief: bool = False
) -> Section:
    """Environments, plans and packages of both sides; in bold where they differ."""
    here, there = _facts(conclusion, "new"), _facts(conclusion, "old")
    rows = []
    for name in dict.fromkeys([*here, *there]):
        pair = [there.get(name) or NOTHING, here.get(name) or NOTHING]
        texts = [clipped(value) for value in pair]
        alike = pair[0] == pair[1] or (NOTHING in pair and not conclusion.sides)
        if pair != [NOTHING, NOTHING]:
            rows.append([name, *(texts if alike else map(strong, texts))])
    if total_sec is not None:
        rows.append(["total time", "", duration(total_sec)])
    headers = ("", "baseline", "this run")
    if conclusion.old is not None:
        headers = ("", "OLD", "NEW")
    gone = conclusion.stale
    blocks: list[Block | None] = [
        Table(headers, rows, "lll"),
        f"The baseline also holds {count(len(gone), 'cell')} that no grid has any more, such as "
        f"{code(gone[0].name)}."
        if gone
        else None,
        *(_packages(conclusion, brief=brief) if conclusion.sides else ()),
    ]
    return Section("What was compared", blocks)


def left_out_section(conclusion: Conclusion) -> Section | None:
    """Parts that were not measured because the user said so; None if nothing was."""
    left = conclusion.left_out
    return Section("Left out", [Bullets([clipped(part) for part in left])]) if left else None


def locked(conclusion: Conclusion, side: Side) -> dict[str, str]:
    """Versions by distribution, as the side's lock has them."""
    lines = (line.strip() for line in conclusion.sides[side].lock.splitlines())
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


def pin(conclusion: Conclusion) -> list[str]:
    """Requirements that keep OLD's TensorFlow and Keras; if these are the same on both sides, all in
    which the locks differ. Empty if they do not, or there are no locks."""
    if not conclusion.sides:
        return []
    changed = different(locked(conclusion, "old"), locked(conclusion, "new"))
    kept = {name: old for name, (old, _) in changed.items() if old is not None}
    leading = [name for name in kept if name in _PINNED]
    return [f"{name}=={kept[name]}" for name in leading or kept]


def other_packages(conclusion: Conclusion) -> str:
    """Packages in which an upgrade's locks differ, beside TensorFlow and Keras; empty if none do."""
    if not conclusion.sides:
        return ""
    changed = different(locked(conclusion, "old"), locked(conclusion, "new"))
    texts = [
        f"{name} {new} (new)" if old is None else f"{name} {old} -> {new or 'gone'}"
        for name, (old, new) in changed.items()
        if name not in _PINNED
    ]
    named = texts[:MOST_NAMED] + ([f"{len(texts) - MOST_NAMED} more"] if texts[MOST_NAMED:] else [])
    return clipped(f"Other packages differ, too: {', '.join(named)}.") if texts else ""


def _packages(conclusion: Conclusion, *, brief: bool) -> list[Block]:
    """Packages in which the locks differ, and the locks; those that are the same are counted."""
    locks = [locked(conclusion, side) for side in SIDES]
    changed = different(*locks)
    same = len({*locks[0], *locks[1]}) - len(changed)
    if not any(locks):
        return ["No lock is known of either side."]
    if not changed:
        blocks: list[Block] = [f"All {count(same, 'package')} are the same on both sides."]
    else:
        rows = [
            [code(name), *(NOTHING if value is None else clipped(value) for value in versions)]
            for name, versions in changed.items()
        ]
        blocks = limited_table(("package", "OLD", "NEW"), rows, "lll", "package", brief=brief)
        blocks.append(f"{count(same, 'package')} the same on both sides.")
    if not brief:
        locks_of = {side: conclusion.sides[side].lock.strip() for side in SIDES}
        blocks += [
            Folded(f"Lock of {side.upper()}", [Verbatim(lock)])
            for side, lock in locks_of.items()
            if lock
        ]
    return blocks


def _facts(conclusion: Conclusion, side: Side) -> dict[str, str]:
    """What is known of a side: of a stored baseline, what two measurements should have in common."""
    run = conclusion.run if side == "new" else conclusion.old
    facts: dict[str, str] = {}
    if conclusion.sides:
        asked = conclusion.sides[side]
        variables = {f"variable {name}": value for name, value in sorted(asked.variables.items())}
        facts = {"asked for": asked.label, "interpreter": asked.python, "resolved": asked.resolved}
        facts |= variables
    baseline = conclusion.baseline
    if run is None:
        if baseline is None:
            return facts
        return _terms(baseline.environment_class, versions_of(baseline), baseline.data)
    environment = run.environment
    terms = _terms(environment.environment_class, environment.software, environment.data)
    return {**facts, **terms, **_plan(run)}


def _terms(class_: str, software: Mapping[str, str], data: Mapping[str, str]) -> dict[str, str]:
    return {
        "environment class": class_,
        **{TITLES.get(name, name): version for name, version in software.items()},
        "images": f"{data.get('name', 'unnamed')} {data.get('fingerprint', '')[:12]}".strip(),
    }


def _plan(run: StoredRun) -> dict[str, str]:
    plan = run.plan
    replicas = len(plan.names()) * len(plan.seeds)
    absent = sum(bool(record.absent) for record in run.records.values())
    first = set(plan.seeds)
    further = {replica.cell for replica in run.records if replica.seed not in first}
    seeds = f"{len(plan.seeds)} ({_ranges(plan.seeds)})"
    if further:
        seeds += f"; more for {count(len(further), 'undecided cell')}"
    return {
        "run": str(run.path),
        "tier": f"{plan.tier}, a selection of its cells" if plan.selected else plan.tier,
        "seeds": seeds,
        "replicas": f"{replicas - len(run.missing)} of {replicas} measured"
        + (f", {absent} of them without the parts to be trained" if absent else ""),
        "tried once more": "; ".join(run.environment.retried),
        "machine": ", ".join(f"{key}: {value}" for key, value in run.environment.machine.items()),
        "command": str(run.environment.run.get("command", "")),
    }


def _ranges(seeds: Sequence[int]) -> str:
    ordered = sorted(seeds)
    if len(ordered) > 1 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{ordered[0]}..{ordered[-1]}"
    return clipped(", ".join(map(str, seeds)), 80)
