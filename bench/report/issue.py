"""A finding as the text of an issue for the developers of the package that it is blamed on."""

from __future__ import annotations

from bench.checks import catalogue
from bench.environments.requirements import lock_versions
from bench.report.document import Block, Bullets, Folded, Section, Verbatim
from bench.report.markdown import markdown
from bench.report.markup import code, upstream
from bench.report.sections.blame import avoided, since
from bench.report.text import NOTHING, clipped
from bench.results.blame import Blame
from bench.results.check import Check

_SHOWN = ("tensorflow", "tensorflow-cpu", "keras", "tf-keras", "numpy")


def issue(blame: Blame, check: Check | None, *, own: bool = False) -> str:
    """Markdown to paste: what is expected and what comes, versions, how to see it.

    What is known already is linked, to be looked at before anything is reported anew.

    Args:
        blame: what is known of the finding.
        check: if it is a check.
        own: whether it is about the user's model.
    """
    title = f"{blame.finding}: {since(blame) or 'changed'}"
    reported = "; ".join(upstream(clipped(text)) for text in blame.known if "#" in text)
    listed = "; ".join(clipped(text) for text in blame.known if "#" not in text)
    blocks: list[Block | None] = [
        f"Known already, so look there first: {reported}." if reported else None,
        f"Seen before, by bench: {listed}." if listed else None,
        *_contract(check),
        f"Expected (as before): {clipped(blame.old, 700)}",
        f"Got: {clipped(blame.new, 700)}",
        Section("Since when", [Bullets(_pairs(blame))]),
        Section("To see it", _reproduce(blame, check, own=own)),
        Section(
            "Versions",
            [
                Bullets([f"{name}: {' against '.join(v)}" for name, v in _versions(blame).items()]),
                Bullets([f"{key}: {clipped(value)}" for key, value in blame.machine.items()]),
                *(
                    Folded(title, [Verbatim(lock.strip())])
                    for title, lock in zip(("before", "after"), blame.locks, strict=False)
                ),
            ],
        ),
        Section("What avoids it", [Bullets(avoided(blame))]) if blame.remedies else None,
    ]
    return f"# {clipped(title)}\n\n{markdown(blocks)}"


def _contract(check: Check | None) -> list[str]:
    """What a contract promises, and of what."""
    contract = None if check is None else catalogue.contract_of(check)
    if contract is None:
        return []
    return [f"{code(contract.thing)}: {contract.truth}"]


def _pairs(blame: Blame) -> list[str]:
    lines = [
        f"{blame.package} {pair.before} {'does not show' if pair.comes else 'shows'} it, "
        f"{pair.after} {'does' if pair.comes else 'does not'}"
        for pair in blame.pairs
    ]
    causes = [f"changed by {', '.join(cause.parts)}" for cause in blame.causes]
    return [*lines, *causes, *([f"changelog: {code(blame.changelog)}"] if blame.changelog else [])]


def _reproduce(blame: Blame, check: Check | None, *, own: bool) -> list[Block | None]:
    if blame.script and own:
        return [
            f"Run {code(blame.script)} with both versions; attached, with the model's file and the "
            "folder of arrays that its first lines name."
        ]
    if blame.script:
        contract = check is not None and check.is_contract
        ends = ": it ends with status 0 where the contract is kept, with 1 where it is broken"
        return [
            f"Run {code(blame.script)}, attached, with both versions{ends if contract else ''}."
        ]
    if own:
        again = code(f"bench bisect {blame.finding} --of UPGRADE")
        return [f"Attach the model's file, and its arrays if they are yours. {again} asks anew."]
    if check is None:
        return [code(f"bench bisect {blame.finding}")]
    suite = "test_contracts.py" if check.is_contract else "test_checks.py"
    versions = [
        " ".join(f"{name}=={found[name]}" for name in _SHOWN if name in found)
        for found in (lock_versions(lock) for lock in blame.locks)
    ]
    lines = [f"python -m pip install {each}" for each in versions[-1:]]
    return [
        "No script that stands alone shows it; this needs a checkout of bench.",
        Verbatim("\n".join([*lines, f"python -m pytest suites/{suite} -k '{check.id}'"])),
    ]


def _versions(blame: Blame) -> dict[str, list[str]]:
    pairs = [lock_versions(lock) for lock in blame.locks]
    names = [name for name in _SHOWN if any(name in found for found in pairs)]
    return {name: [found.get(name, NOTHING) for found in pairs] for name in names}
