"""Does ``bench upgrade`` find faults that are late, rare, or in inference only, in a real Keras?

    python tests/verdict/planted_upgrades.py FOLDER [FAULT ...] [--python PATH]
    python tests/verdict/planted_upgrades.py --list

copies the environment of PATH (default: the running interpreter) below FOLDER with hard links, plants a
fault of :mod:`support.planted_faults` in the copy, runs ``bench upgrade`` from the environment to its
copy on the cells that the fault touches, and prints a row for each fault: what was concluded, where,
and whether that is as it should be. Every cell that a fault touches must be ``changed`` or
``regressed``, with the right place; the control must be identical and safe. Exit code
1 if any is not, 2 in trouble.

``--probe`` trains one of each fault's cells in both environments instead, without any verdict, and says
whether the fault acts: nothing differs before its moment, something does after it.

FOLDER must lie on the file system of the environment, whose files are linked and never written.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # this is a script, too

from bench.errors import EXIT_OK, EXIT_REGRESSED, EXIT_TROUBLE, BenchError
from support.planted_faults import BY_NAME, CONTROL, FAULTS, Fault, Place

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
PROBE = Path(__file__).with_name("planted_probe.py")
#: Of the command, which takes half a minute.
LIMIT_SEC = 900.0
#: The command without the scripts that reproduce a change: each would take half a minute.
_BENCH = (
    "import sys; from bench.commands import main as cli; from bench.jobs import reproducers; "
    "reproducers.MOST = {scripts}; sys.exit(cli.main())"
)
_ASK = """
import importlib.metadata, json, sysconfig
found = {}
for name in ("keras", "tensorflow", "tensorflow-cpu"):
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
folders = [sysconfig.get_path(kind) for kind in ("purelib", "platlib")]
print(json.dumps({"versions": found, "folders": folders}))
"""


# Environments


class Environment(NamedTuple):
    """An interpreter and the folders of what is installed for it."""

    python: Path
    packages: tuple[Path, ...]


def environment(python: Path) -> Environment:
    """The environment of an interpreter.

    Raises:
        BenchError: it does not start, or has no Keras 3.
    """
    asked = _run([python, "-I", "-c", _ASK])
    told = json.loads(asked.stdout.splitlines()[-1])
    keras = told["versions"].get("keras", "none")
    if not keras.startswith("3."):
        raise BenchError(
            f"{python} has Keras {keras}, and faults are made for Keras 3",
            hint="--python PATH of an environment with TensorFlow 2.16 or later",
        )
    return Environment(python, _packages(told["folders"]))


def _packages(folders: Sequence[str]) -> tuple[Path, ...]:
    """Each folder once, as lib and lib64 may be one."""
    return tuple({Path(folder).resolve(): Path(folder) for folder in folders}.values())


def copied(base: Environment, folder: Path) -> Environment:
    """A virtual environment below ``folder`` with the packages of ``base``, as hard links.

    Raises:
        BenchError: ``folder`` is there already, or on another file system.
    """
    if folder.exists():
        raise BenchError(f"{folder}: there is something already", hint="remove it")
    _run([base.python, "-m", "venv", "--without-pip", folder])
    python = folder / "bin" / "python"
    told = json.loads(_run([python, "-I", "-c", _ASK]).stdout.splitlines()[-1])
    new = Environment(python, _packages(told["folders"]))
    for source, target in zip(base.packages, new.packages, strict=True):
        link_tree(source, target)
    return new


def link_tree(source: Path, target: Path) -> None:
    """Makes ``target`` a copy of ``source`` whose files are hard links; links stay what they are.

    Raises:
        BenchError: files cannot be linked, as on another file system.
    """
    try:
        shutil.copytree(source, target, symlinks=True, copy_function=os.link, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        first = error.args[0][0] if isinstance(error, shutil.Error) else error
        raise BenchError(
            f"{source} cannot be linked to {target}: {first}",
            hint="choose a folder on the file system of the environment",
        ) from None


def plant(packages: Path, fault: Fault) -> Path:
    """Replaces a fault's text in a file below ``packages``, and returns the file's path.

    A new file takes the place of the old one, so what was linked to it stays as it is; so does what
    Python has compiled from it, of which the link here is removed.

    Raises:
        BenchError: no such file, or the text is not in it exactly once.
    """
    path = packages / fault.file
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BenchError(f"{fault.name}: {path} cannot be read: {error}", hint=_OTHER) from None
    count = text.count(fault.old)
    if count != 1:
        first = fault.old.strip().splitlines()[0]
        raise BenchError(
            f"{fault.name}: {path} has {count} times, not once, what begins with {first!r}",
            hint=_OTHER,
        )
    scratch = path.with_name(f"{path.name}.planted")
    scratch.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
    scratch.replace(path)
    compiled = Path(importlib.util.cache_from_source(str(path)))
    for old in compiled.parent.glob(f"{path.stem}.*.pyc"):
        old.unlink()
    return path


_OTHER = "this Keras is another one: write the replacement in planted_faults.py anew"


def planted(base: Environment, fault: Fault, folder: Path) -> Environment:
    """A copy of ``base`` with the fault in it; one that is there is made anew."""
    remove(folder)
    new = copied(base, folder)
    homes = [packages for packages in new.packages if (packages / fault.file).exists()]
    plant((homes or new.packages)[0], fault)
    return new


def remove(folder: Path) -> None:
    """Removes a folder if it is there; of linked files only the links."""
    if folder.exists():
        shutil.rmtree(folder)


def _run(command: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """Raises :class:`BenchError` with the last line that the command wrote if it fails."""
    try:
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=LIMIT_SEC, **options
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise BenchError(f"{command[0]}: {error}") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise BenchError(f"{command[0]}: {lines[-1]}")
    return done


# Upgrades


class Found(NamedTuple):
    """What a comparison says of a fault."""

    fault: Fault
    report: dict[str, Any]
    """As ``upgrade-report.json`` has it."""
    exit_code: int
    """Of the command."""
    seconds: float


def compare(base: Environment, fault: Fault, folder: Path, *, scripts: int = 0) -> Found:
    """Plants the fault, and runs ``bench upgrade`` from ``base`` to the copy.

    Args:
        base: the old side.
        fault: what is planted on the new side.
        folder: in which the upgrade is kept, and the copy as long as it is needed.
        scripts: how many that reproduce a change are made at most.

    Raises:
        BenchError: there is no result.
    """
    begin = time.monotonic()
    copy, results = folder / "environments" / fault.name, folder / "upgrades"
    remove(results / fault.name)
    results.mkdir(parents=True, exist_ok=True)
    try:
        new = planted(base, fault, copy)
        command = [sys.executable, "-c", _BENCH.format(scripts=scripts), "upgrade"]
        command += ["--old-python", str(base.python), "--new-python", str(new.python)]
        command += [part for grid in fault.grids for part in ("--grid", grid)]
        command += ["-k", fault.expression, "--tier", fault.tier, "--seeds", "3"]
        command += ["--skip", "checks", "--skip", "saving", "--skip", "speed"]
        command += ["--results", str(results.resolve()), "--run", fault.name]
        log = results / f"{fault.name}.log"
        with log.open("w") as output:
            code = subprocess.run(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                timeout=LIMIT_SEC,
            ).returncode
    except subprocess.TimeoutExpired:
        raise BenchError(f"{fault.name}: no answer in {LIMIT_SEC:.0f} s; see {log}") from None
    finally:
        remove(copy)
    report = results / fault.name / "upgrade-report.json"
    if not report.exists():
        raise BenchError(f"{fault.name}: bench upgrade says {code} and nothing more; see {log}")
    return Found(fault, json.loads(report.read_text()), code, time.monotonic() - begin)


def complaints(found: Found) -> list[str]:
    """What is not as it should be, in words; none if all is."""
    fault, cells = found.fault, found.report["cells"]
    told = []
    if len(cells) != fault.cells:
        told.append(f"{len(cells)} cells in place of {fault.cells}")
    answer, code = ("safe", EXIT_OK) if fault.place is None else ("not safe", EXIT_REGRESSED)
    if found.report["answer"] != answer:
        told.append(f"{found.report['answer']}")
    if found.exit_code != code:
        told.append(f"exit code {found.exit_code}")
    wrong = [_complaint(cell, fault.place) for cell in cells]
    counted = Counter(filter(None, wrong))
    return told + [f"{number} x {reason}" for reason, number in counted.items()]


def _complaint(cell: dict[str, Any], place: Place | None) -> str:
    verdict = str(cell["verdict"])
    if place is None:
        return "" if verdict == "identical" else verdict
    if verdict not in ("changed", "regressed"):
        return f"missed ({verdict})"
    return place.misses(cell)


HEADER = (
    "| fault | cells | verdicts | first step, tensor | answer | exit code | as expected | s |\n"
    "|:--|--:|:--|:--|:--|--:|:--|--:|"
)


def row(found: Found) -> str:
    """One row of the table below :data:`HEADER`."""
    cells = found.report["cells"]
    verdicts = Counter(cell["verdict"] for cell in cells)
    wrong = complaints(found)
    parts = (
        found.fault.name,
        len(cells),
        ", ".join(f"{number} {verdict}" for verdict, number in verdicts.most_common()),
        _places(cells),
        found.report["answer"],
        found.exit_code,
        f"NO: {'; '.join(wrong)}" if wrong else "yes",
        round(found.seconds),
    )
    return f"| {' | '.join(map(str, parts))} |"


def _places(cells: Sequence[dict[str, Any]]) -> str:
    """The span of the first steps that were named, and the tensors."""
    steps = sorted(cell["first_step"] for cell in cells if cell["first_step"] is not None)
    tensors = Counter(
        f"{cell['tensor']} at {cell['tensor_step']}" for cell in cells if cell["tensor"] is not None
    )
    told = []
    if steps:
        told.append(str(steps[0]) if steps[0] == steps[-1] else f"{steps[0]} to {steps[-1]}")
    told += [name if number == 1 else f"{number} x {name}" for name, number in tensors.items()]
    return "; ".join(told) or "none"


# Probes


class Probed(NamedTuple):
    """What a training shows, as :mod:`planted_probe` writes it, by name."""

    before: dict[str, Any]
    """Of what is computed before the fault's moment."""
    training: dict[str, Any]
    """Losses and trainable variables after it."""
    inference: dict[str, Any]
    """Moving variables and logits of inference after it."""


def probe(base: Environment, fault: Fault, folder: Path) -> list[str]:
    """What is not as the fault says, in words, in one of its cells in both environments.

    Raises:
        BenchError: it cannot be trained.
    """
    copy, results = folder / "environments" / fault.name, folder / "probes"
    results.mkdir(parents=True, exist_ok=True)
    try:
        new = planted(base, fault, copy)
        sides = []
        for side, python in (("old", base.python), ("new", new.python)):
            path = results / f"{fault.name}-{side}.npz"
            _run(
                [python, PROBE, fault.name, path.resolve()],
                cwd=ROOT,
                env={
                    **os.environ,
                    "PYTHONPATH": f"{ROOT}{os.pathsep}{TESTS}",
                    "CUDA_VISIBLE_DEVICES": "-1",
                    "TF_CPP_MIN_LOG_LEVEL": "3",
                },
            )
            sides.append(_probed(path))
    finally:
        remove(copy)
    return _acts(fault, *sides)


def _probed(path: Path) -> Probed:
    parts: dict[str, dict[str, Any]] = {name: {} for name in Probed._fields}
    with np.load(path) as arrays:
        for name in arrays:
            part, _, rest = name.partition("/")
            parts[part][rest] = arrays[name]
    return Probed(**parts)


def _acts(fault: Fault, old: Probed, new: Probed) -> list[str]:
    place = fault.place
    told = [f"{name} differs before" for name in _different(old.before, new.before)]
    training = list(_different(old.training, new.training))
    inference = list(_different(old.inference, new.inference))
    if place is None:
        return told + [f"{name} differs" for name in training + inference]
    if not place.training:
        told += [f"{name} differs" for name in training]
    if place.training and not training:
        told.append("training does not differ")
    if not inference:
        told.append("inference does not differ")
    return told


def _different(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    assert old.keys() == new.keys()
    return (name for name in old if old[name].tobytes() != new[name].tobytes())


# Command


def main(argv: Sequence[str] | None = None) -> int:
    """Plants the faults that are named, or all, and prints the table."""
    arguments = _parser().parse_intermixed_args(argv)
    if arguments.list:
        for fault in FAULTS:
            print(f"{fault.name}\n    {fault.reason}")
        return EXIT_OK
    unknown = [name for name in arguments.faults if name not in BY_NAME]
    if unknown or arguments.folder is None:
        what = f"no fault {unknown[0]!r}" if unknown else "no folder"
        print(f"{what}: FOLDER [FAULT ...]; --list lists them", file=sys.stderr)
        return EXIT_TROUBLE
    chosen = [BY_NAME[name] for name in arguments.faults] or list(FAULTS)
    try:
        return _all(arguments, chosen)
    except BenchError as error:
        print(error, file=sys.stderr)
        return EXIT_TROUBLE


def _all(arguments: argparse.Namespace, chosen: Sequence[Fault]) -> int:
    base = environment(arguments.python)
    wrong = 0
    if not arguments.probe:
        print(HEADER, flush=True)
    for fault in chosen:
        if arguments.probe:
            told = probe(base, fault, arguments.folder)
            print(f"{fault.name}: {'; '.join(told) or 'acts as it says'}", flush=True)
            wrong += bool(told)
        else:
            found = compare(base, fault, arguments.folder, scripts=arguments.scripts)
            print(row(found), flush=True)
            wrong += bool(complaints(found))
    print(f"\n{len(chosen) - wrong} of {len(chosen)} as expected")
    return EXIT_REGRESSED if wrong else EXIT_OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
    parser.add_argument(
        "faults", nargs="*", metavar="FAULT", help=f"default: all, {CONTROL.name} too"
    )
    parser.add_argument(
        "--python",
        type=_path,
        default=Path(sys.executable),
        metavar="PATH",
        help="interpreter of the environment that is copied (default: the running one)",
    )
    parser.add_argument("--list", action="store_true", help="say what faults there are")
    parser.add_argument("--probe", action="store_true", help="only see whether faults act")
    parser.add_argument(
        "--scripts",
        type=int,
        default=0,
        metavar="N",
        help="scripts that reproduce a change, for each fault at most (default: none)",
    )
    return parser


def _path(text: str) -> Path:
    """Absolute, links not followed: an environment's interpreter is one."""
    return Path(text).expanduser().absolute()


if __name__ == "__main__":
    sys.exit(main())
