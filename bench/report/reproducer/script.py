"""Reproducer: a short script that shows a difference between two versions without this package.

It is written for one cell, with the lines that this cell needs and no others, for somebody who has
TensorFlow and NumPy only. Its images are drawn by NumPy: as in MNIST, a fifth of the pixels has ink
(mean .13 of 0..1), each class has its own, and many pixels are 0 throughout a batch.
"""

from __future__ import annotations

import itertools
import re
import textwrap

from bench.cells import architectures, recurrent
from bench.cells.cell import FITTED
from bench.errors import BenchError
from bench.report.reproducer.body import COLUMNS, body
from bench.theory.oracle.network import parameters
from bench.verdict.judgement import Judgement, Verdict

#: Most lines of a script.
LINES = 60

#: A version as PEP 440 has it, and as TensorFlow names release candidates.
_VERSION = re.compile(r"[0-9][0-9a-z.+-]{0,39}", re.ASCII)

#: Least steps: zero weights are moved between the first and the second.
FEWEST_STEPS = 2

#: Most tensors that a script prints a number of, beside the loss and the logits.
WATCHED = 8


def script(judgement: Judgement, *, seed: int, steps: int, versions: tuple[str, str]) -> str:
    """The source of a script that trains the judged cell and prints numbers to compare.

    Args:
        judgement: judgement on the cell that the script trains.
        seed: seed of the first run; whoever runs the script may set another SEED in it.
        steps: training steps; at least :data:`FEWEST_STEPS` are run.
        versions: versions of TensorFlow on the older and the newer side.

    Raises:
        BenchError: two runs of a script cannot show what was found.

    Example:
        >>> from bench.cells.cell import Cell
        >>> from bench.results.plan import Item
        >>> cell = Cell(optimizer="nadam")
        >>> judgement = Judgement(
        ...     item=Item(grid="optimizer", id=cell.id(), cell=cell),
        ...     verdict=Verdict.CHANGED,
        ...     reason="losses leave the rounding envelope at step 1",
        ...     rung="envelope",
        ... )
        >>> print(script(judgement, seed=0, steps=20, versions=("2.12.1", "2.21.0"))[:51])
        # TensorFlow 2.12.1 and 2.21.0: they train a networ
    """
    refuse(judgement, versions)
    cell, steps = judgement.item.cell, max(steps, FEWEST_STEPS)
    # Where all axes ask for lines at once, fewer numbers are printed, then blank lines go, and then
    # the reason.
    sacrifices = itertools.product((True, False), (True, False), range(WATCHED, 0, -1))
    for reasoned, spaced, most in sacrifices:
        lines = body(cell, seed=seed, steps=steps, names=watched(judgement, most))
        lines = [line for line in lines if line or spaced]
        top = head(judgement, versions, most=LINES - len(lines), reasoned=reasoned)
        if top:
            return "\n".join([*top, *lines, ""])
    raise BenchError(
        f"{judgement.item.id}: no script of {LINES} lines can build this network",
        hint="reproduce another cell that changed with it",
    )


def refuse(judgement: Judgement, versions: tuple[str, str]) -> None:
    """Raises :class:`BenchError` where two versions' runs of a script would show nothing, or what is
    called a version is none."""
    for version in versions:
        if not _VERSION.fullmatch(version):
            raise BenchError(
                f"{judgement.item.id}: no script can be written: {version[:80]!r} is no version of "
                "TensorFlow",
                hint="environment.json of the sides' runs has it: measure the upgrade anew",
            )
    verdict, cell = judgement.verdict, judgement.item.cell
    trouble = {
        Verdict.IDENTICAL: ("both versions train it bit for bit alike", _NOTHING),
        Verdict.ROUNDING: ("the versions differ by rounding alone", _NOTHING),
        Verdict.EQUIVALENT: ("what differs is shown to be too small to matter", _NOTHING),
        Verdict.MISSING: ("it was not trained", "complete the run with --resume"),
        Verdict.NEW: ("there is nothing to compare with", "compare two runs that both have it"),
        Verdict.NOT_COMPARABLE: ("its two sides are not comparable", judgement.reason),
        Verdict.CLAIM_VIOLATED: (
            "a claim is held against theory, not against another version",
            "the report says what was expected and what was measured",
        ),
    }.get(verdict)
    if judgement.rung == "absent":
        trouble = (judgement.reason, "a script would fail at the optimizer's name and show no more")
    elif trouble is None and cell.dropout and verdict is not Verdict.CRASHED:
        trouble = (
            "dropout draws its random numbers in the framework, so that two versions differ in every "
            "number, changed or not",
            "reproduce the same cell without dropout, or show accuracies of many seeds",
        )
    if trouble is not None:
        raise BenchError(
            f"{judgement.item.id}: no script can show it: {trouble[0]}", hint=trouble[1]
        )


_NOTHING = "reproduce a cell that is 'changed', 'regressed' or 'crashed'"


def watched(judgement: Judgement, most: int = WATCHED) -> dict[int, str]:
    """Names of the numbers that a script prints, by their place among ``[loss, logits, gradients of
    trainable weights, trainable weights, other weights]``; of ``fit``, which shows no more,
    ``[loss, trainable weights, other weights]``.

    Loss and logits, then at most ``most``: first the tensor in which the difference begins, then
    kernels of the first and the output layer with their gradients, what normalization adds, and the
    middle and last hidden layer.
    """
    cell = judgement.item.cell
    fit, normalized = cell.engine in FITTED, cell.normalization != "none"
    hidden = [f"layer {layer}" for layer in range(1, cell.depth + 1)]
    own = ["kernel", "bias"]
    if cell.architecture in recurrent.ARCHITECTURES:
        ways = [""] if cell.direction == "forward" else ["forward ", "backward "]
        own = [f"{way}{kind}" for way in ways for kind in ("kernel", "recurrent kernel", "bias")]
    kinds = [*own, *(["gamma", "beta"] if normalized else [])]
    moving = ["moving mean", "moving variance"] if cell.normalization == "batch" else []
    trainable = [f"{layer} {kind}" for layer in hidden for kind in kinds]
    trainable += ["output layer kernel", "output layer bias"]
    if cell.architecture in architectures.ARCHITECTURES:
        trainable = [name.replace(",", "") for name in parameters(cell)]
    gradients = [] if fit else [f"{name} gradient" for name in trainable]
    others = [f"{layer} {kind}" for layer in hidden for kind in moving]
    start = ["loss"] if fit else ["loss", "logits"]
    places = {name: place for place, name in enumerate([*start, *gradients, *trainable, *others])}
    departure = judgement.envelope.departure if judgement.envelope else None
    begins = departure.tensor.replace(",", "") if departure else ""
    middle = [f"layer {(cell.depth + 1) // 2} kernel", f"layer {cell.depth} kernel"]
    first = [f"layer 1 {kind}" for kind in own if kind.endswith("kernel")]
    first.append("output layer kernel")
    rest = ["layer 1 gamma", *(f"layer 1 {kind}" for kind in moving), *middle]
    rest += ["output layer bias", "layer 1 bias"]
    wanted = [begins, *(f"{name}{kind}" for name in first for kind in (" gradient", "")), *rest]
    wanted += [f"{name} gradient" for name in middle]
    known = [name for name in dict.fromkeys(wanted) if name in places and name not in start]
    return {place: name for name, place in places.items() if name in {*start, *known[:most]}}


def head(
    judgement: Judgement, versions: tuple[str, str], *, most: int, reasoned: bool
) -> list[str]:
    """Comment lines, at most ``most``: the verdict, its reason if it is ``reasoned``, how to run the
    script and what to compare. Empty if ``most`` is too few."""
    crashed = judgement.verdict is Verdict.CRASHED
    verdict = "training fails in one of them" if crashed else "they train a network differently"
    title = f"TensorFlow {versions[0]} and {versions[1]}: {verdict}."
    # A reason may hold what a crashed process printed: its control characters stay out, and what in the
    # second line would say how Python is to decode the file (PEP 263).
    reason = " ".join("".join(c if c.isprintable() else " " for c in judgement.reason).split())
    reason = re.sub(r"coding(?=[:=])", "coding ", reason)
    width = COLUMNS - 2
    last = textwrap.wrap(_COMPARE, width)
    left = most - 1 - len(last)
    if left < reasoned:
        return []
    kept = textwrap.wrap(reason, width, max_lines=left, placeholder=" ...") if reasoned else []
    return [f"# {line}" for line in [f"{title} There:" if kept else title, *kept, *last]]


_COMPARE = (
    "Run this file with `python` in both: each line is a step. Numbers (norms of tensors) of the two "
    "that differ by more than both their roundings show a change, if they do under several SEEDs."
)
