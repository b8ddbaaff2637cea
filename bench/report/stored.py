"""Stored runs and upgrades in a table, with the answers that their reports give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError
from bench.report.text import NOTHING, clipped
from bench.results.environment import Environment
from bench.results.files import read_json
from bench.results.find import is_upgrade
from bench.results.run import ENVIRONMENT, PLAN, REPORT, read_run
from bench.results.upgrade import read_upgrade
from bench.results.writer import in_use

#: Characters of an answer, and of a line of it in the table.
_MOST_ANSWER, ANSWER_WIDTH = 240, 60


def stored_rows(folders: Sequence[Path]) -> list[list[str]]:
    """Name, kind, versions of TensorFlow and Keras, and answer of each."""
    return [
        [
            folder.name,
            "upgrade" if is_upgrade(folder) else "run",
            " -> ".join(
                map(_version, (folder / "old", folder / "new") if is_upgrade(folder) else (folder,))
            ),
            _answer(folder),
        ]
        for folder in folders
    ]


def _version(folder: Path) -> str:
    """TensorFlow and Keras of a run; a dash where its environment is absent or damaged."""
    try:
        environment = read_json(folder / ENVIRONMENT, Environment)
    except BenchError:
        return NOTHING
    versions = (environment.software.get(name, NOTHING) for name in ("tensorflow", "keras"))
    return " + ".join(clipped(version, 20) for version in versions)


def _answer(folder: Path) -> str:
    """The first line of the report, which is the answer; what to do where there is none, what is wrong
    where it tells of results that cannot be read any more, and that it is being measured."""
    if in_use(folder):
        return f"being measured now; so far: bench report {folder.name}"
    try:
        with open(folder / REPORT, encoding="utf-8") as file:
            line = file.readline()
    except (OSError, UnicodeDecodeError):
        if is_upgrade(folder) and not (folder / "old" / PLAN).exists():
            return f"nothing was measured: delete {folder}, or repeat the command with --resume"
        return f"no report: bench report {folder.name}"
    try:
        read_upgrade(folder) if is_upgrade(folder) else read_run(folder)
    except BenchError as error:
        return clipped(f"damaged since its report: {error.message}", _MOST_ANSWER)
    return clipped(line.replace("*", "").strip().rstrip("."), _MOST_ANSWER)
