"""The user's model behind a session of the suites: described before its cells are collected."""

from __future__ import annotations

import sys
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

from bench import mnist
from bench.cells.grid import TIERS, Grid
from bench.errors import BenchError
from bench.execution import protocol
from bench.execution.supervisor import Supervisor
from bench.jobs.own_model import Asked, asked, grid_of, prepared
from bench.results.own_model import FOLDER


class ModelOption:
    """The options ``--model`` and ``--arrays``, and what comes of them.

    Args:
        option: pytest's.
        run: folder of the run.

    Raises:
        BenchError: what they name cannot be used.
    """

    def __init__(self, option: Any, run: Path) -> None:
        self._option = option
        self._run = run
        self._asked: Asked | None = None
        if option.model:
            sizes = {"steps": option.model_steps, "batch": option.model_batch}
            self._asked = asked(option.model, arrays=option.arrays, **sizes)
            if option.scheduler:
                raise BenchError(
                    "--model is trained on this machine, and --scheduler elsewhere",
                    hint="leave out one of both",
                )
        elif option.arrays is not None:
            raise BenchError(
                "--arrays are of a model", hint="give it with --model FILE.py:FUNCTION"
            )

    def __bool__(self) -> bool:
        return self._asked is not None

    @property
    def folder(self) -> str:
        """Folder that trainings start from; empty without a model."""
        return str(self._folder) if self else ""

    @cached_property
    def _folder(self) -> Path:
        if self._option.collectonly:  # nothing is kept
            self._scratch = tempfile.TemporaryDirectory(prefix="bench-model-")
            return Path(self._scratch.name)
        return (self._run / FOLDER).absolute()

    @cached_property
    def grid(self) -> Grid:
        """The model's cells, as the installed TensorFlow, or the run that is compared with, has it.

        Raises:
            BenchError: it cannot be built, or fed.
        """
        option, wanted = self._option, self._asked
        assert wanted is not None
        sources = (
            mnist.resolve_sources(option.data_sources) if option.data_sources else mnist.SOURCES
        )
        data = mnist.load(directory=option.data_dir, sources=sources)

        def supervisor() -> Supervisor:
            settings = protocol.Settings(
                device="cpu",
                data=data.fingerprint,
                cache_dir=str(mnist.cache_directory()),
                own=self.folder,
            )
            return Supervisor(settings, environment={"CUDA_VISIBLE_DEVICES": "-1"}, name="model")

        told = prepared(
            wanted,
            self._folder,
            supervisor,
            seeds=range(max(option.seeds or TIERS[option.tier].seeds, option.decide or 0)),
            say=_say,
            earlier=option.against / FOLDER if option.against else None,
        )
        return grid_of(told, steps=wanted.steps, batch=wanted.batch)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
