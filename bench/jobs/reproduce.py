"""Reproduce: whether a short script shows a difference when it runs under two versions.

The script comes from :mod:`bench.report.reproducer.script`; it prints numbers, with what rounding
explains of
each: FACTOR times the largest change that its copies show up to step 2t + 1, and at least FACTOR
units in the last place (:func:`bench.verdict.departures.rounding_factor` derives the factor). A number
shows a change if the two versions differ in it by more than the rounding of both, under each of
:data:`SEEDS` seeds. As the envelope of :mod:`bench.verdict.envelope` has it, rounding alone does that
with a probability of at most ``risk(COPIES * SEEDS, SEEDS)``.

That holds for relative rounding. Where float16 underflows, one version may give exactly 0 and the other
its smallest number: from zero weights that shows as a change.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from bench.measure.trajectory import LENGTH
from bench.report.reproducer.body import COPIES
from bench.report.reproducer.script import FEWEST_STEPS
from bench.verdict.differences import LOOK_AHEAD
from bench.verdict.envelope import risk
from bench.verdict.judgement import Judgement

Array = npt.NDArray[np.float64]

#: Seeds under which a difference must show: with COPIES = 3 copies each, rounding alone passes for a
#: change with a probability of at most .3 %.
SEEDS = 3

#: Steps where no number of steps follows from what was found: the first two decades of looks at
#: tensors lie within.
_STEPS = 20
_OUTPUT_CHARACTERS = 2000
_LINE_CHARACTERS = 300
_TRACEBACK = b"Traceback (most recent call last)"
#: What a contract's script prints of a number, and of an error.
_COMPARED = re.compile(r"(^|: )got .*, expected ")
_SEED = re.compile(r"^SEED, (.*) = (\d+), ", re.MULTILINE)


class Installed(Protocol):
    """An environment: an interpreter and variables under which it is started."""

    @property
    def python(self) -> str: ...

    @property
    def variables(self) -> Mapping[str, str]: ...


class Reproduction(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a script shows the difference."""

    shown: bool
    reason: str
    """One line: what differs, from which step, how far; or how near it came."""
    seeds: Sequence[int]
    """Under which the script ran."""
    step: int | None = None
    """The first at which a number differs under every seed; None without such a number."""
    name: str = ""
    """Of the number at that step that is furthest beyond rounding."""
    old: float | None = None
    """That number under the first seed; None if it is not finite."""
    new: float | None = None
    ratio: float | None = None
    """Largest difference over what rounding explains, under the seed that strays least; None stands
    for infinity, or for nothing to compare."""
    risk: float | None = None
    """Bound on the probability that rounding alone shows as much."""
    versions: tuple[str, str] = ("", "")
    """Of TensorFlow, as the two runs told."""
    errors: tuple[str, str] = ("", "")
    """The end of what a side that failed printed on standard error under the last seed."""


def steps_to_show(judgement: Judgement) -> int:
    """How many steps a script for this judgement should train.

    Twice as many as it took on MNIST, for the script's images are others: until losses left the
    envelope, or, if it was earlier, until a tensor was seen to depart. Never more than the cell
    trains, or a trajectory keeps.
    """
    test = judgement.envelope
    ends = []
    if test is not None:
        ends = [test.first_step, test.departure.step if test.departure else None]
    known = [end for end in ends if end is not None]
    wanted = LOOK_AHEAD * (min(known) + 1) if known else _STEPS
    return max(FEWEST_STEPS, min(max(wanted, _STEPS), judgement.item.cell.steps, LENGTH))


def check(
    path: Path, *, old: Installed, new: Installed, timeout_sec: float, seeds: int = SEEDS
) -> Reproduction:
    """Runs a script in both environments and compares what it prints.

    Args:
        path: of a script as :func:`bench.report.reproducer.script.script` writes it.
        old: the older environment.
        new: the newer one.
        timeout_sec: for each run; a run that takes longer has failed.
        seeds: how many, from the script's own on; later ones are left out once one shows nothing.

    Raises:
        BenchError: the file is no such script, or an interpreter does not come so far as to import
            TensorFlow.
    """
    text = _read(path)
    match = _SEED.search(text)
    if match is None:
        raise BenchError(f"{path} has no line 'SEED, ... = 0, ...'", hint="write the script anew")
    start = int(match[2])
    pairs: list[tuple[_Run, _Run]] = []
    for seed in range(start, start + seeds):
        seeded = _SEED.sub(rf"SEED, \g<1> = {seed}, ", text)
        pairs.append((_run(seeded, old, timeout_sec), _run(seeded, new, timeout_sec)))
        found = _compare(pairs)
        if not found.shown:
            break
    last = pairs[-1]
    return msgspec.structs.replace(
        found,
        seeds=list(range(start, start + len(pairs))),
        versions=(last[0].version, last[1].version),
        errors=(last[0].error, last[1].error),
    )


@dataclass(frozen=True)
class _Run:
    """What one run of a script left."""

    version: str
    failure: str
    """How it ended, if not well."""
    error: str
    names: Sequence[str]
    numbers: Array
    """(steps, names)"""
    rounding: Array


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"{path} cannot be read: {error}", hint="write the script anew") from None


def _done(text: str, environment: Installed, timeout_sec: float) -> tuple[Any, str]:
    """Runs a script in a folder of its own - Python looks for modules beside it first - and how it
    ended, if not well."""
    with tempfile.TemporaryDirectory(prefix="bench-reproduce-") as folder:
        script = Path(folder, "script.py")
        script.write_text(text, encoding="utf-8")
        try:
            done: Any = subprocess.run(
                [environment.python, str(script)],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **_VARIABLES, "KERAS_HOME": folder, **environment.variables},
                cwd=folder,
                timeout=timeout_sec,
            )
            return done, _ending(done.returncode)
        except subprocess.TimeoutExpired as expired:
            return expired, f"it had not ended after {timeout_sec:.0f} s"
        except OSError as error:
            raise BenchError(
                f"{environment.python} does not start: {error}",
                hint="see whether the environment is still where it was",
            ) from None


def _run(text: str, environment: Installed, timeout_sec: float) -> _Run:
    """Runs a script that prints a line a step."""
    done, failure = _done(text, environment, timeout_sec)
    output, noise = _told(done)
    lines = [_parsed(line) for line in output.splitlines()]
    version = next((line["tensorflow"] for line in lines if "tensorflow" in line), "")
    if not version:
        raise BenchError(
            f"{environment.python}: the script did not come so far as to import TensorFlow: "
            f"{failure or 'it printed nothing'}\n{noise}".rstrip(),
            hint="`python -c 'import tensorflow'` in the same environment should work",
        )
    if failure and not isinstance(done, subprocess.TimeoutExpired):
        failure = " ".join([failure, *noise.splitlines()[-1:]])
    steps = [line for line in lines if "step" in line]
    names = list(steps[0]["numbers"]) if steps else []
    return _Run(
        version=version,
        failure=failure,
        error=noise if failure else "",
        names=names,
        numbers=np.array([[line["numbers"][name] for name in names] for line in steps]),
        rounding=np.array([[line["rounding"][name] for name in names] for line in steps]),
    )


def _told(done: Any) -> tuple[str, str]:
    """What a script printed, and the end of what it printed on standard error."""
    output, noise = ((part or b"").decode(errors="replace") for part in (done.stdout, done.stderr))
    return output, noise.strip()[-_OUTPUT_CHARACTERS:]


def check_contract(
    path: Path, *, kept: Installed, broken: Installed, timeout_sec: float
) -> Reproduction:
    """Runs the script of a contract where it is kept, and where it is broken.

    It shows that if it ends there with status 0, and here with status 1 by its own doing, having said
    what it got: an error that nobody expected ends Python with status 1, too.

    Args:
        path: of a script of :func:`bench.report.reproducer.contracts.script.contract_script`.
        kept: the environment that keeps the contract.
        broken: the one that breaks it.
        timeout_sec: for each run; a run that takes longer has failed.

    Raises:
        BenchError: the file is no such script, or an interpreter does not start.
    """
    text, told = _read(path), []
    for environment, wanted in ((kept, 0), (broken, 1)):
        done, failure = _done(text, environment, timeout_sec)
        output, noise = _told(done)
        lines = [line for line in output.splitlines() if _COMPARED.search(line)]
        said = (lines or [""])[-1][:_LINE_CHARACTERS]
        raised = _TRACEBACK in (done.stderr or b"")
        if getattr(done, "returncode", None) != wanted or raised or not (said or wanted == 0):
            where = "broken" if wanted else "kept"
            last = noise.splitlines()[-1:] if raised else [said]
            why = " ".join([failure or "it ended with status 0:", *last]).strip()
            return Reproduction(
                shown=False, reason=f"not shown: where the contract is {where}, {why}", seeds=[]
            )
        told.append(said or "no error")
    return Reproduction(shown=True, reason=f"kept: {told[0]}; broken: {told[1]}", seeds=[])


#: Those that the environment names itself win.
_VARIABLES = {
    "PYTHONPATH": "",
    "PYTHONHOME": "",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "PYTHONFAULTHANDLER": "1",
    "KERAS_BACKEND": "tensorflow",
}


def _ending(code: int) -> str:
    if code >= 0:
        return f"it ended with status {code}:" if code else ""
    try:
        return f"it was killed by {signal.Signals(-code).name}:"
    except ValueError:
        return f"it was killed by signal {-code}:"


def _parsed(line: str) -> dict[str, Any]:
    """A line that the script printed; empty for what somebody else did."""
    if not line.startswith("{"):
        return {}
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _compare(pairs: Sequence[tuple[_Run, _Run]]) -> Reproduction:
    """What the runs of all seeds so far show together."""
    sides = [[pair[side].failure for pair in pairs] for side in (0, 1)]
    if any(any(side) for side in sides):
        return _compare_endings(pairs, sides)
    first = pairs[0]
    if len({tuple(run.names) for pair in pairs for run in pair}) > 1 or not first[0].names:
        raise BenchError("the script's two runs print other numbers", hint="write the script anew")
    ratios = np.min([_ratio(*pair) for pair in pairs], axis=0)
    worst = float(ratios.max())
    known = worst if math.isfinite(worst) else None
    shown = ratios > 1
    if not shown.any():
        step, index = divmod(int(ratios.argmax()), ratios.shape[1])
        nearest = f"{first[0].names[index]} at step {step}"
        if worst:
            size = f"at most {worst:.2g} of what rounding explains, {nearest}"
        elif all(np.array_equal(a.numbers, b.numbers, equal_nan=True) for a, b in pairs):
            size = "no number differs at all"
        elif len(pairs) > 1:
            size = "what differs under one seed does not under another"
        else:
            size = "what differs is not finite, or rounding makes it so"
        return Reproduction(
            shown=False,
            reason=f"not shown: {size}",
            seeds=[],
            ratio=known,
        )
    step = int(np.argmax(shown.any(axis=1)))
    index = int(np.argmax(ratios[step]))
    name, here = first[0].names[index], float(ratios[step, index])
    old, new = (float(run.numbers[step, index]) for run in first)
    size = f"{here:.3g} times what rounding explains"
    return Reproduction(
        shown=True,
        reason=(
            f"{name} at step {step} is {old:.7g} in the old version and {new:.7g} in the new one: "
            f"{size if math.isfinite(here) else 'no rounding explains that'}"
        ),
        seeds=[],
        step=step,
        name=name,
        old=old if math.isfinite(old) else None,
        new=new if math.isfinite(new) else None,
        ratio=known,
        risk=risk(COPIES * len(pairs), len(pairs)),
    )


def _compare_endings(
    pairs: Sequence[tuple[_Run, _Run]], sides: Sequence[Sequence[str]]
) -> Reproduction:
    """Some run failed: that is a difference if one side always fails and the other never does."""
    words = ("old", "new")
    for side in (0, 1):
        if all(sides[side]) and not any(sides[1 - side]):
            return Reproduction(
                shown=True,
                reason=f"the script fails in the {words[side]} version only: {sides[side][0]}",
                seeds=[],
            )
    ended = "; ".join(
        f"the {word} version under {len(failed)} of {len(pairs)} seeds: {failed[0]}"
        for word, side in zip(words, sides, strict=True)
        if (failed := [failure for failure in side if failure])
    )
    return Reproduction(shown=False, reason=f"not shown: the script fails in {ended}", seeds=[])


def _ratio(old: _Run, new: _Run) -> Array:
    """|old - new| over what rounding explains, (steps, names): 0 where the numbers are equal or both
    not finite, infinite where one is not and the other, with all its copies, is."""
    finite = np.isfinite(old.numbers), np.isfinite(new.numbers)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.abs(old.numbers - new.numbers)
        # The rounding of a number that is not finite says nothing.
        explained = np.maximum(
            np.where(finite[0], old.rounding, 0.0), np.where(finite[1], new.rounding, 0.0)
        )
        ratio = np.where(np.isfinite(explained), apart / explained, 0.0)
    ratio = np.where(np.isfinite(explained) & (finite[0] != finite[1]), np.inf, ratio)
    return np.where((apart == 0) | (~finite[0] & ~finite[1]), 0.0, ratio)
