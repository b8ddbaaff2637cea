"""Page of what contracts each version of Keras and TensorFlow breaks and mends, from stored runs.

``python tests/checks/contracts/by_version.py RUN ... > docs/contracts-by-version.md``, runs in the
order of their versions, as ``bench matrix --skip cells --skip arithmetic --skip saving`` leaves them.
Without a run, the part of the page that is made of the known faults alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from tabulate import tabulate

from bench.checks.catalogue import checks
from bench.checks.contracts.fault import TRIED
from bench.checks.contracts.known_faults import KNOWN_FAULTS, known
from bench.report.text import grouped
from bench.results.check import CONTRACTS, CheckResult
from bench.results.run import StoredRun, read_run
from bench.verdict.contrast import Wrong, contrast_checks, contrast_documents

HEAD = """\
# Contracts by version

What each version breaks of the [contracts](contracts.md) of the training API, and what each step mends:

    bench matrix {sides} --tier full --skip cells --skip arithmetic --skip saving

on two cores of {cpu}, one thread a process; made from the stored results by `python
tests/checks/contracts/by_version.py RUN ...`. A step in which a contract is newly broken, kept anew,
documented otherwise or gone is not safe: whoever relies on it gets something else. Faults of some
processors, or of several threads, show only there.
"""


def versions(run: StoredRun) -> tuple[str, str]:
    """TensorFlow and Keras."""
    software = run.environment.software
    return software["tensorflow"], software["keras"]


def title(run: StoredRun) -> str:
    """``2.15.1, Keras 2.15.0``"""
    return "{}, Keras {}".format(*versions(run))


def cause(result: CheckResult, run: StoredRun) -> str:
    """What is wrong with a contract, as it is known or as it shows."""
    tensorflow, keras = versions(run)
    return known(result.check.id, keras=keras, tensorflow=tensorflow) or result.reason


def table(runs: Sequence[StoredRun]) -> str:
    """How many contracts each cause breaks, by version."""
    broken = [
        grouped((cause(result, run), result.check.id) for result in run.results if result.wrong)
        for run in runs
    ]
    causes = dict.fromkeys(why for each in broken for why in each)
    rows = [[why, *(len(each[why]) if why in each else "" for each in broken)] for why in causes]
    rows.append(["all", *(sum(map(len, each.values())) for each in broken)])
    rows.append(["of contracts", *(sum(r.compared > 0 for r in run.results) for run in runs)])
    headers = [
        "broken contracts, by TensorFlow and Keras",
        *(" ".join(versions(run)) for run in runs),
    ]
    align = ["left", *["right"] * len(runs)]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def known_table() -> str:
    """How many of today's contracts each known fault breaks, by tried version."""
    ids = [check.id for check in checks("full", CONTRACTS)]
    rows = [
        [
            fault.what,
            *(
                sum(map(fault.breaks, ids)) if fault.applies(keras, tensorflow) else ""
                for tensorflow, keras in TRIED
            ),
        ]
        for fault in KNOWN_FAULTS
        if fault.always
    ]
    headers = ["known fault, by TensorFlow and Keras", *map(" ".join, TRIED)]
    align = ["left", *["right"] * len(TRIED)]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


KNOWN = """\
## Every family, by the file of known faults

Contracts that were added since the runs above - growth, saving, Muon, feeding, monitors, configs,
masks, preprocessing, nested and partial outputs, calls, merging, recurrence, shapes, functions,
utilities, mixed precision, logs, settings, fitting - were tried on these versions one by one. What they
found is in the file of known faults, and so in this table of all contracts of today. An entry that does
not hold in one of these versions fails a run there. Those of TensorFlow outside Keras - tensors,
numbers, algebra, structures, graphs, draws, nn, pipelines, records, images - were tried on TensorFlow
2.12.1, 2.13.0, 2.15.1, 2.16.2, 2.18.1, 2.20.0 and 2.21.0: no version breaks one. `ops` and
`augmentation` are of Keras 3, and were tried on all of its versions here.

{table}
"""


def step(old: StoredRun, new: StoredRun) -> Iterator[str]:
    """What a step breaks, mends, documents otherwise and drops, a line each."""
    for wrong, word in ((Wrong.NEW, "Breaks"), (Wrong.OLD, "Mends")):
        side = new if wrong is Wrong.NEW else old
        found = [
            (cause(result, side), f"`{contrast.check.id}`")
            for contrast in contrast_checks(old, new)
            if contrast.wrong is wrong
            for result in [contrast.new if wrong is Wrong.NEW else contrast.old]
            if result is not None
        ]
        for why, ids in grouped(found).items():
            yield f"- {word}: {why}: {', '.join(ids)}"
    for contrast in contrast_documents(old, new):
        before, after = contrast.old, contrast.new
        if after is None:
            yield f"- Not there any more: `{before.thing}`: {before.truth}"
        else:
            yield f"- Documented otherwise: `{after.thing}`: {before.truth} Now: {after.truth}"
    lacking = {result.check for result in old.results if result.absent}
    gained = [f"`{r.check.id}`" for r in new.results if r.compared and r.check in lacking]
    if gained:
        yield f"- Held to only now: {len(gained)} contracts."


def page(runs: Sequence[StoredRun], *, cpu: str) -> str:
    """Markdown."""
    names = []
    for run in runs:
        tensorflow, keras = versions(run)
        later = int(tensorflow.split(".")[1]) >= 16
        names.append(f'"{tensorflow} keras=={keras}"' if later else tensorflow)
    parts = [HEAD.format(sides=" ".join(names), cpu=cpu), table(runs)]
    for old, new in pairwise(runs):
        lines = list(step(old, new))
        safe = "no change" if all(line.startswith("- Held to") for line in lines) else "not safe"
        lines = lines or ["- Nothing of it changes."]
        parts.append("\n".join([f"## {title(old)} to {title(new)}: {safe}\n", *lines]))
    parts.append(KNOWN.format(table=known_table()))
    return "\n\n".join(part.strip() for part in parts) + "\n"


if __name__ == "__main__":
    stored = [read_run(Path(name)) for name in sys.argv[1:]]
    if stored:
        sys.stdout.write(page(stored, cpu=stored[0].environment.machine["cpu"]))
    else:
        sys.stdout.write(KNOWN.format(table=known_table()))
