"""Scripts of all contracts, run on the TensorFlow that is installed. One of a contract that is kept
must end with status 0, and with 1 where another truth is written in; one of a contract that this
version breaks with 1.

``python -m tests.checks.contracts.scripts [PATTERN ...]`` runs those of contracts whose ids match, and
prints how many have a script, why others have none, and which run wrong: then it ends with status 1.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from bench.checks.catalogue import catalogue_of, checks
from bench.checks.lab import AbsentError, Lab
from bench.errors import BenchError
from bench.report.reproducer.contracts.script import contract_script
from bench.results.check import CONTRACTS, Check, Deviation

#: Contracts whose truth comes of weights that are drawn anew each time: no literal can stand for it.
DRAWN = ("regularizers:weights-layers",)
_RAISED = Deviation(tensor="raises", excess=None, evidence="Error")
_EXPECTED = re.compile(r"^(AT, EXPECTED, BOUND = .*), (\S+), (\S+)$", re.MULTILINE)

_TYPE = re.compile(r"^(EXPECTED) = (.*)$", re.MULTILINE)


def worst(check: Check) -> Deviation | None:
    """The number that is out here, else the one that is closest to its bound; None if nothing is
    compared."""
    compared: list[Deviation] = []
    try:
        for deviation in catalogue_of(check.family).run(check, Lab(None, "cpu")):  # type: ignore[arg-type]
            compared.append(deviation)  # noqa: PERF402 - keeps what came before an error
    except AbsentError:
        pass
    except Exception:
        compared.append(_RAISED)
    out = [each for each in compared if each.out]
    told = [each for each in compared if each.evidence != "no entries"]
    return next(iter(out), max(told, key=lambda each: each.used, default=None))


def written(check: Check, deviation: Deviation) -> str:
    """The script of a contract.

    Raises:
        BenchError: there is none.
    """
    return contract_script(check, deviation, kept="one version", broken="another")


def status(text: str) -> int | str:
    """The status that a script ends with, or the error that it ends in; run from a file, as AutoGraph
    reads its source."""
    silent = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    try:
        with silent[0], silent[1], tempfile.TemporaryDirectory() as folder:
            script = Path(folder, "script.py")
            script.write_text(text, "utf-8")
            runpy.run_path(str(script), run_name="__main__")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else str(ended.code)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return 0


def otherwise(text: str) -> str:
    """The same script with another truth: further off than its bound, and a thousandth."""
    text = _TYPE.sub(r"\1 = (\2, 'another')", text)
    return _EXPECTED.sub(r"\1, \2 + 3 * \3 + 1e-3 * (1 + abs(\2)), \3", text)


def wrong(text: str, *, broken: bool) -> str:
    """What is wrong with a script on this version, as a text; empty if nothing is."""
    ended, other = status(text), otherwise(text)
    if ended != int(broken):
        return f"ends with {ended!r}"
    if not broken and other != text and (ended := status(other)) != 1:
        return f"with another truth it ends with {ended!r}"
    return ""


def main(patterns: Sequence[str]) -> int:
    """Runs scripts; status 1 if one is wrong."""
    counts, why, faults = Counter[str](), Counter[str](), list[str]()
    for check in _chosen(patterns):
        deviation = worst(check)
        if deviation is None:
            counts["absent here"] += 1
            continue
        try:
            text = written(check, deviation)
        except BenchError as error:
            counts["without a script"] += 1
            why[error.message.partition("show it: ")[2]] += 1
            continue
        fault = wrong(text, broken=deviation.out)
        counts["drawn" if check.id in DRAWN else "broken here" if deviation.out else "kept"] += 1
        if bool(fault) != (check.id in DRAWN):
            faults.append(f"{check.id}: {deviation.tensor}: {fault or 'is right'}")
    for reason, number in why.most_common():
        print(f"{number:4} without a script: {reason}")
    print(", ".join(f"{number} {name}" for name, number in counts.items()))
    print("\n".join([f"{len(faults)} run wrong", *faults]))
    return int(bool(faults))


def _chosen(patterns: Sequence[str]) -> Iterable[Check]:
    return (
        check
        for check in checks("full", CONTRACTS)
        if not patterns or any(fnmatchcase(check.id, pattern) for pattern in patterns)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
