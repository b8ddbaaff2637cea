"""Own model: from a user's file to cells that are trained as all others are.

The file is never imported here: it is read, hashed and searched for the function's name. Training
processes run it.
"""

from __future__ import annotations

import ast
import shutil
import zipfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from bench.cells import own_model
from bench.cells.cell import Cell
from bench.cells.grid import Grid
from bench.errors import BenchError
from bench.execution.protocol import Describe
from bench.execution.supervisor import Supervisor
from bench.measure.trajectory import digest
from bench.results.checksum import checksum
from bench.results.files import make_folder, pretty, read_json, write_atomically
from bench.results.own_model import DESCRIPTION, Description

#: Time to import and build a model under all seeds; a large one takes a minute.
DESCRIBE_SEC = 600.0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the user asked for, checked as far as it can be without running it."""

    path: Path
    function: str
    arrays: Path | None
    steps: int
    batch: int
    file: str
    """Hash of the file."""
    given: str
    """Hash of the arrays; empty without any."""


def asked(text: str, *, arrays: Path | None, steps: int, batch: int) -> Asked:
    """What ``FILE.py:function`` means.

    Raises:
        BenchError: no such file or function, or arrays that cannot be used.
    """
    name, colon, function = text.rpartition(":")
    if not colon or not function.isidentifier():
        raise BenchError(f"--model {text}: not FILE.py:FUNCTION", hint="name a function in a file")
    path = Path(name).absolute()
    try:
        content = path.read_bytes()
        tree = ast.parse(content, name)
    except OSError as error:
        raise BenchError(
            f"--model {name}: cannot be read: {error.strerror}", hint="name a Python file"
        ) from error
    except (SyntaxError, ValueError) as error:
        raise BenchError(
            f"--model {name}: not Python: {error}", hint="name a Python file"
        ) from error
    if function not in _names(tree):
        known = ", ".join(node.name for node in tree.body if isinstance(node, ast.FunctionDef))
        raise BenchError(
            f"--model {name}: has no function {function}", hint=f"it has {known or 'none'}"
        )
    for option, number in (("--steps", steps), ("--batch", batch)):
        if number < 1:
            raise BenchError(f"{option} must be above 0", hint="leave it out for the default")
    given = _given(arrays) if arrays is not None else {}
    return Asked(
        path=path,
        function=function,
        arrays=arrays.absolute() if arrays is not None else None,
        steps=steps,
        batch=batch,
        file=checksum(content),
        given=digest(list(given.values())) if given else "",
    )


def _names(tree: ast.Module) -> set[str]:
    """Names that a module binds at its top, or may, where it imports everything of another."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def _given(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    """The user's arrays.

    Raises:
        BenchError: no such file, not an npz file, pickled objects, numbers that are not finite, no
            rows, or not as many in all.
    """
    arrays = {}
    why = "is damaged, or no npz file"
    try:
        stored = np.load(path, allow_pickle=False)
        if not hasattr(stored, "files"):
            raise BenchError(f"--arrays {path}: one array, no npz file", hint=_SAVEZ)
        why = "is damaged, or holds pickled objects"
        with stored:
            arrays = {name: stored[name] for name in stored.files}
    except OSError as error:
        raise BenchError(
            f"--arrays {path}: cannot be read: {error.strerror or error}", hint=_SAVEZ
        ) from error
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise BenchError(f"--arrays {path}: {why}", hint=_SAVEZ) from error
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise BenchError(
                f"--arrays {path}: {name!r} is of {array.dtype}, not of numbers", hint=_SAVEZ
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise BenchError(
                f"--arrays {path}: {name!r} has numbers that are not finite",
                hint="training on them gives NaN in any version: take them out",
            )
    rows = {name: array.shape[:1] for name, array in arrays.items()}
    if len(set(rows.values())) != 1 or rows[next(iter(rows))] in ((), (0,)):
        listed = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise BenchError(
            f"--arrays {path}: not as many rows in all: {listed or 'nothing'}", hint=_SAVEZ
        )
    return arrays


_SAVEZ = "np.savez(FILE, x=..., y=...), or one array per input and output by its name"


def prepared(
    wanted: Asked,
    folder: Path,
    supervisor: Callable[[], Supervisor],
    *,
    seeds: Sequence[int],
    say: Callable[[str], None],
    earlier: Path | None = None,
) -> Description:
    """The model's description, and in its folder all that trainings start from.

    What is there is used again if it is of the same file, arrays and sizes; so a resumed run, and one
    that is compared with an earlier one, start from the same numbers.

    Args:
        wanted: what the user asked for.
        folder: of the model; made if absent.
        supervisor: of a process with the TensorFlow that draws the initial weights.
        seeds: under which they are drawn.
        say: shows a line.
        earlier: folder of the same model in another run, whose numbers are taken.

    Raises:
        BenchError: the model cannot be built there, or cannot be fed.
    """
    known = _known(folder, wanted, seeds)
    if known is None and earlier is not None and (taken := _known(earlier, wanted, seeds)):
        shutil.copytree(earlier, folder, dirs_exist_ok=True)
        known = msgspec.structs.replace(taken, path=str(wanted.path))
        write_atomically(folder / DESCRIPTION, pretty(known))
    if known is not None:
        return known
    make_folder(folder)
    say(f"model: building {wanted.path.name}:{wanted.function}, to draw its weights")
    with closing(supervisor()) as process:
        request = Describe(
            path=str(wanted.path),
            function=wanted.function,
            arrays=str(wanted.arrays or ""),
            seeds=list(seeds),
            batch=wanted.batch,
            steps=wanted.steps,
        )
        answer = process.do(request, timeout_sec=DESCRIBE_SEC)
    if answer.description is None:
        shown = f"\n{answer.output}".rstrip()
        raise BenchError(
            f"--model: {answer.trouble}{shown}",
            hint="the model has to be built, and fed, by the version that is compared with",
        )
    return answer.description


def _known(folder: Path, wanted: Asked, seeds: Sequence[int]) -> Description | None:
    """What a folder describes, if it is what is wanted."""
    if not (folder / DESCRIPTION).exists():
        return None
    told = read_json(folder / DESCRIPTION, Description)
    same = (told.file, told.given, told.function) == (wanted.file, wanted.given, wanted.function)
    return told if same and set(seeds) <= set(told.seeds) else None


def still_the_same(told: Description) -> None:
    """Makes sure that the user's file is the one that was described.

    Raises:
        BenchError: it is another one by now, or gone.
    """
    path = Path(told.path)
    try:
        same = checksum(path.read_bytes()) == told.file
    except OSError as error:
        raise BenchError(
            f"{path}: cannot be read: {error.strerror}", hint="put the model's file back"
        ) from error
    if not same:
        raise BenchError(
            f"{path} was edited since the upgrade began: what was measured is of another model",
            hint="put it back as it was, or upgrade again under another --run",
        )


def grid_of(told: Description, *, steps: int, batch: int) -> Grid:
    """The model as a grid: trained in each of the ways in which users do."""
    cells = [
        Cell(own=told.model, engine=engine, steps=steps, batch=min(batch, told.examples))
        for engine in own_model.ENGINES
    ]
    return Grid(
        name=own_model.GRID,
        title="Your model",
        question="Does it still train the same?",
        axes=("engine", "model"),
        added={"quick": cells},
    )
