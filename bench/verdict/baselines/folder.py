"""Stored baselines: reviewed results of an environment class, every seed's values kept.

``<root>/<environment class>/`` holds four kinds of files:

- ``class.json``: what is common: numerics, images, the names of the grids, who accepted what.
- ``<grid>.json``: the cells of one grid, one line per seed, so that a diff reads well.
- ``<grid>.traces.jsonl``: a line per seed of these: trajectory, fingerprints, too much for a diff.
- ``<grid>.history.jsonl``: a line per cell and acceptance whose results were replaced since. Lines
  are only ever added.

Schema 1 had the first two kinds, neither traces nor recipes, and did not tell which acceptance gave a
cell's results: they are taken as of the last one. Each file is written whole and ``class.json`` last.
A reader knows a state between two writes as damage: lines of the history that no acceptance accounts
for, traces of other digests than the grid's, cells of an acceptance or of images that ``class.json``
does not have, grids that it does not name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench.errors import BenchError
from bench.results.environment import Numerics
from bench.results.files import pretty, write_atomically
from bench.results.reading import decode, read_bytes
from bench.verdict.baselines.files import (
    CLASS,
    HISTORY,
    RESTORE,
    SCHEMA,
    TRACES,
    ClassFile,
    Described,
    GridFile,
    StoredCell,
    Trace,
    altered,
    grid_text,
    history_text,
    ordered,
    read_file,
    read_lines,
    summed,
    traces_text,
)
from bench.verdict.baselines.samples import (
    Acceptance,
    Baseline,
    BaselineCell,
    Sample,
    baseline_cell,
    baseline_from_run,
    chained,
    difference,
    sample,
)
from bench.verdict.baselines.speeds import SPEEDS

__all__ = [
    "CLASS",
    "Acceptance",
    "Baseline",
    "BaselineCell",
    "Sample",
    "baseline_cell",
    "baseline_from_run",
    "class_folders",
    "difference",
    "read_baseline",
    "read_classes",
    "sample",
    "write_baseline",
]

# Reading


def read_baseline(root: Path, environment_class: str) -> Baseline | None:
    """The stored baseline of an environment class, None if nothing was ever accepted for it.

    Raises:
        BenchError: a file is absent, is not JSON, holds NaN or unknown fields, has another schema, or
            does not belong to the others; or the folder's name is not its class, or two folders are
            of this class.
    """
    _check_names(root, environment_class)
    folder = root / environment_class
    if not folder.is_dir():
        return None
    head = read_file(folder / CLASS, ClassFile)
    _check_acceptances(folder / CLASS, head.acceptances)
    names = [path.stem for path in sorted(folder.glob("*.json")) if path.name != CLASS]
    _check_listed(folder, head, names)
    files = {name: read_file(folder / f"{name}.json", GridFile) for name in names}
    for name, file in files.items():
        _check_grid_file(folder / f"{name}.json", file, head)
    grids = {name: _with_traces(folder, file, head) for name, file in files.items()}
    baseline = Baseline(
        environment_class=environment_class,
        numerics=head.numerics,
        data=head.data,
        acceptances=head.acceptances,
        grids=grids,
        name=f"baseline {environment_class}",
        history=_read_history(folder, head),
        checked=bool(head.sum),
    )
    _check_account(folder, baseline)
    _check_sums(folder, head, files)
    return baseline


def class_folders(root: Path) -> list[Path]:
    """Folders that are, or should be, those of environment classes."""
    return sorted(path for path in root.glob("*") if path.is_dir() and path.name != SPEEDS)


def read_classes(root: Path, numerics: Numerics) -> Baseline | None:
    """The stored baselines on a kind of device, each the fallback of the one before it: the class with
    these numerics first, then those with the fewest differences; None if there is none.

    Raises:
        BenchError: a baseline is damaged, or a folder's name is not its class.
    """
    _check_names(root, None)
    wanted = msgspec.structs.asdict(numerics)
    found: list[tuple[int, str]] = []
    for path in root.glob(f"*/{CLASS}"):
        stored = read_file(path, ClassFile).numerics
        if stored.device == numerics.device:
            known = msgspec.structs.asdict(stored)
            found.append((sum(wanted[key] != known[key] for key in known), path.parent.name))
    chain: Baseline | None = None
    for _, name in sorted(found, reverse=True):
        baseline = read_baseline(root, name)
        assert baseline is not None  # its class file was read
        chain = msgspec.structs.replace(baseline, fallback=chain)
    return chain


def _check_names(root: Path, environment_class: str | None) -> None:
    """Checks that folders are named as the class they describe: those of one class, or all if None.

    A class file that cannot be read says nothing here; reading its own class does.
    """
    for path in sorted(root.glob(f"*/{CLASS}")):
        folder = path.parent
        try:
            described = decode(read_bytes(path), msgspec.json.Decoder(Described))
        except (OSError, ValueError):
            continue
        name = described.numerics.environment_class
        concerned = environment_class is None or environment_class in (name, folder.name)
        if name == folder.name or not concerned:
            continue
        if (root / name).is_dir():
            raise BenchError(
                f"{root / name} and {folder}: two baselines for one class, {name}",
                hint=f"keep the one that was reviewed, in a folder named {name}, and remove the "
                "other; if it is of another class, correct the numerics in its class.json",
            )
        raise BenchError(
            f"{path}: describes class {name}, and its folder is {folder.name}",
            hint=f"rename the folder to the class, or {RESTORE}",
        )


def _with_traces(folder: Path, file: GridFile, head: ClassFile) -> dict[str, BaselineCell]:
    """A grid's cells, each sample with its trace."""
    path = folder / f"{file.grid}{TRACES}"
    if file.schema == 1:
        return {cell.id: _cell(cell, acceptance=len(head.acceptances)) for cell in file.cells}
    wanted = {(cell.id, sample.seed): sample for cell in file.cells for sample in cell.samples}
    traces: dict[tuple[str, int], Trace] = {}
    for number, trace in read_lines(path, file.grid, Trace):
        key = trace.id, trace.seed
        what = f"{trace.id}, seed {trace.seed}"
        stored = wanted.get(key)
        if stored is None:
            wrong = f"is of {what}, which {file.grid}.json does not have"
        elif key in traces:
            wrong = f"is the second one of {what}"
        elif stored.digest != trace.digest:
            wrong = f"belongs to another result of {what} than {file.grid}.json has"
        elif altered(trace) or (head.sum and not trace.sum):
            wrong = _ALTERED.format(what)
        else:
            traces[key] = trace
            continue
        raise BenchError(
            f"{path}, line {number}: {wrong}",
            hint=f"{RESTORE}, together with {file.grid}.json; if the cell was removed there by "
            "hand, remove its lines here",
        )
    missing = [f"{id_}, seed {seed}" for id_, seed in wanted if (id_, seed) not in traces]
    if missing:
        raise BenchError(
            f"{path}: lacks the line of {missing[0]}",
            hint=f"{RESTORE}, together with {file.grid}.json",
        )
    return {cell.id: _cell(cell, traces) for cell in file.cells}


def _cell(
    stored: StoredCell,
    traces: dict[tuple[str, int], Trace] | None = None,
    *,
    acceptance: int | None = None,
) -> BaselineCell:
    samples = []
    for one in stored.samples:
        trace = traces[stored.id, one.seed] if traces else None
        samples.append(
            Sample(
                seed=one.seed,
                outcome=one.outcome,
                digest=one.digest,
                metrics=one.metrics,
                trajectory=trace.trajectory if trace else b"",
                states=trace.states if trace else b"",
                tensors=trace.tensors if trace else None,
                ends=trace.ends if trace else None,
            )
        )
    return BaselineCell(
        id=stored.id,
        cell=stored.cell,
        samples=samples,
        recipe=stored.recipe,
        acceptance=stored.acceptance if acceptance is None else acceptance,
    )


def _read_history(folder: Path, head: ClassFile) -> dict[str, list[BaselineCell]]:
    history = {}
    for path in sorted(folder.glob(f"*{HISTORY}")):
        grid = path.name.removesuffix(HISTORY)
        lines = read_lines(path, grid, StoredCell)
        for number, cell in lines:
            if not 1 <= cell.acceptance <= len(head.acceptances):
                raise BenchError(
                    f"{path}, line {number}: {cell.id} is of acceptance {cell.acceptance}, and "
                    f"{CLASS} has {len(head.acceptances)}",
                    hint=f"{RESTORE}, together with {CLASS}",
                )
            if altered(cell) or (head.sum and not cell.sum):
                raise BenchError(
                    f"{path}, line {number}: {_ALTERED.format(cell.id)}", hint=_RESTORE_CELL
                )
        history[grid] = [_cell(cell) for _, cell in lines]
    return history


# What belongs together


def _check_acceptances(path: Path, acceptances: Sequence[Acceptance]) -> None:
    for number, taken in enumerate(acceptances, start=1):
        before = acceptances[: number - 1]
        unchained = not taken.chain and not any(earlier.chain for earlier in before)
        if not unchained and chained(before, taken).chain != taken.chain:
            raise BenchError(
                f"{path}: acceptance {number} ({taken.date}, {taken.run}) does not follow on those "
                "before it: one of them was removed, moved or edited",
                hint=f"{RESTORE}; acceptances are only ever added, and of two branches that each "
                "added one, the second accepts its run again",
            )


def _check_listed(folder: Path, head: ClassFile, names: Sequence[str]) -> None:
    """Checks that the class file names the grids that have files, and no grid lacks its traces."""
    traced = {path.name.removesuffix(TRACES) for path in folder.glob(f"*{TRACES}")}
    kept = {path.name.removesuffix(HISTORY) for path in folder.glob(f"*{HISTORY}")}
    if head.schema == 1:
        extra = [f"{name}{TRACES}" for name in sorted(traced)]
        extra += [f"{name}{HISTORY}" for name in sorted(kept)]
        wrong = f"{folder / extra[0]}: does not belong to a baseline of schema 1" if extra else ""
    else:
        listed = set(head.grids)
        lacking = [f"{name}.json" for name in sorted(listed - set(names))]
        lacking += [f"{name}{TRACES}" for name in sorted(listed - traced)]
        extra = [f"{name}.json" for name in names if name not in listed]
        extra += [f"{name}{TRACES}" for name in sorted(traced - listed)]
        wrong = f"{folder / extra[0]}: {CLASS} does not name this grid" if extra else ""
        wrong = f"{folder / lacking[0]}: is absent" if lacking else wrong
    if wrong:
        raise BenchError(
            f"{wrong}: an acceptance was interrupted, or files were moved",
            hint=f"restore all of {folder} from version control or another copy; if there is "
            "none, remove it and accept the run again",
        )


def _check_grid_file(path: Path, file: GridFile, head: ClassFile) -> None:
    twice = [name for name, n in Counter(cell.id for cell in file.cells).items() if n > 1]
    accepted = len(head.acceptances)
    least = min(accepted, 1) if file.schema > 1 else 0
    strange = [cell for cell in file.cells if not least <= cell.acceptance <= accepted]
    wrong = ""
    if twice:
        wrong = f"holds {twice[0]} twice"
    elif file.grid != path.stem:
        wrong = f"is the file of grid {file.grid}"
    elif file.schema != head.schema:
        wrong = f"has schema {file.schema}, and {CLASS} beside it schema {head.schema}"
    elif strange:
        wrong = (
            f"{strange[0].id} is of acceptance {strange[0].acceptance}, and {CLASS} has {accepted}"
        )
    elif file.schema > 1 and file.images != head.data.get("fingerprint", ""):
        wrong = f"was trained on images {file.images}, and {CLASS} has others"
    if wrong:
        raise BenchError(f"{path}: {wrong}", hint=f"{RESTORE}, together with {CLASS}")


def _check_account(folder: Path, baseline: Baseline) -> None:
    """Checks that no acceptance holds more than it took, and the history what was replaced."""
    held = sum(map(len, baseline.history.values()))
    replaced = sum(taken.superseded for taken in baseline.acceptances)
    taken: Counter[int] = Counter()
    for cells in (*map(dict.values, baseline.grids.values()), *baseline.history.values()):
        taken.update(cell.acceptance for cell in cells)
    wrong = ""
    if held != replaced:
        wrong = f"the history holds {held} cells, and the acceptances replaced {replaced}"
    for number, accepted in enumerate(baseline.acceptances, start=1):
        if accepted.chain and taken[number] > accepted.cells:
            wrong = f"{taken[number]} cells are of acceptance {number}, which took {accepted.cells}"
    if wrong:
        raise BenchError(
            f"{folder}: {wrong}: an acceptance was interrupted, or two were merged",
            hint=f"restore all of {folder} from another copy, and accept the run again",
        )


_ALTERED = "{} is not what was written: its checksum is another one, or removed"
_RESTORE_CELL = f"{RESTORE}; results are only ever replaced by `bench baseline accept`"


def _check_sums(folder: Path, head: ClassFile, files: Mapping[str, GridFile]) -> None:
    """That no cell, and nothing that is common to all, was altered since it was written."""
    found = [
        f"{folder / name}.json: {_ALTERED.format(cell.id)}"
        for name, file in files.items()
        for cell in file.cells
        if altered(cell) or (head.sum and not cell.sum)
    ]
    if altered(head):
        found.append(f"{folder / CLASS}: {_ALTERED.format('it')}")
    if found:
        others = f"\n  and {len(found) - 1} more of this class" if len(found) > 1 else ""
        raise BenchError(f"{found[0]}{others}", hint=_RESTORE_CELL)


# Writing


def write_baseline(root: Path, baseline: Baseline) -> None:
    """Writes every file of a class, each whole; a grid that is left without cells loses its file.

    Raises:
        BenchError: the place cannot be written to, a grid has no usable name, or a sample is a crash.
    """
    folder = root / baseline.environment_class
    _check_writable(folder, baseline)
    grids = {grid: ordered(cells.values()) for grid, cells in sorted(baseline.grids.items())}
    images = baseline.data.get("fingerprint", "")
    head = ClassFile(
        schema=SCHEMA,
        numerics=baseline.numerics,
        data=baseline.data,
        grids=list(grids),
        acceptances=baseline.acceptances,
    )
    contents = {f"{grid}{HISTORY}": history_text(grid, c) for grid, c in baseline.history.items()}
    contents |= {f"{grid}{TRACES}": traces_text(grid, cells) for grid, cells in grids.items()}
    contents |= {f"{grid}.json": grid_text(grid, images, cells) for grid, cells in grids.items()}
    for name, content in contents.items():
        write_atomically(folder / name, content)
    for path in (*folder.glob("*.json"), *folder.glob(f"*{TRACES}"), *folder.glob(f"*{HISTORY}")):
        if path.name not in contents and path.name != CLASS:
            path.unlink()
    write_atomically(folder / CLASS, pretty(summed(head)))


def _check_writable(folder: Path, baseline: Baseline) -> None:
    for grid, cells in baseline.grids.items():
        if f"{grid}.json" == CLASS or not re.fullmatch(r"[\w-][\w.-]*", grid):
            raise BenchError(f"{folder / grid}.json: no name for a grid's file", hint="rename it")
        for cell in cells.values():
            if any(sample.outcome == "crashed" for sample in cell.samples):
                raise BenchError(
                    f"{folder / grid}.json: {cell.id} crashed, and a crash is no result to store",
                    hint="leave the crashed seeds out",
                )
