"""The main job's options on pytest's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.jobs import shipped


def add_options(parser: pytest.Parser) -> None:
    """Adds them to pytest's."""
    _add_what(parser.getgroup("bench: what is run"))
    _add_own(parser.getgroup("bench: what is yours"))
    _add_where(parser.getgroup("bench: where it runs"))
    _add_files(parser.getgroup("bench: data, results, baselines"))


def _add_what(what: pytest.OptionGroup) -> None:
    what.addoption("--tier", default="quick", help="quick, standard or full (default: quick)")
    what.addoption(
        "--axis",
        action="append",
        default=[],
        metavar="AXIS=VALUE[,VALUE]",
        help="only cells with one of these values on the axis; repeat to narrow further",
    )
    what.addoption(
        "--cell", action="append", default=[], metavar="ID", help="only this cell; may be repeated"
    )
    what.addoption("--seeds", type=int, metavar="N", help="seeds per cell (default: the tier's)")
    what.addoption(
        "--all-seeds",
        action="store_true",
        help="train every seed, as a baseline needs; the quick tier's default: the others only of "
        "cells whose bits differ from the baseline under the first",
    )
    what.addoption(
        "--retry-crashed",
        action="store_true",
        help="with --resume: try again what crashed",
    )
    what.addoption(
        "--allow-undecided",
        action="store_true",
        help="exit with 0 where that would be 3: cells are undecided, or nothing was compared",
    )
    what.addoption(
        "--decide",
        type=int,
        nargs="?",
        const=24,
        metavar="N",
        help="give undecided cells more seeds until they are decided, up to N (default: 24)",
    )
    what.addoption(
        "--decide-speed",
        action="store_true",
        help="compare speed and memory that are beyond this machine's limits side by side with the "
        "stored version, which takes minutes",
    )
    what.addoption(
        "--check-seeds",
        type=int,
        default=1,
        metavar="N",
        help="run each check of TensorFlow's arithmetic on N draws of its inputs (default: 1)",
    )


def _add_own(own: pytest.OptionGroup) -> None:
    own.addoption(
        "--model",
        metavar="FILE.py:FUNCTION",
        help="train the tf.keras.Model that this function builds, in the place of all grids",
    )
    own.addoption(
        "--arrays",
        type=Path,
        metavar="FILE.npz",
        help="of the model: x and y, or an array per input and output (default: MNIST or noise)",
    )
    own.addoption("--model-steps", type=int, default=100, metavar="N", help="of it (default: 100)")
    own.addoption("--model-batch", type=int, default=32, metavar="N", help="of it (default: 32)")
    own.addoption(
        "--grid-file",
        action="append",
        type=Path,
        default=[],
        metavar="FILE.py",
        help="also train the grids that this file declares; may be repeated",
    )


def _add_where(where: pytest.OptionGroup) -> None:
    where.addoption("--device", default="cpu", choices=("cpu", "gpu", "auto"), help="default: cpu")
    where.addoption(
        "--require-device", action="store_true", help="fail, not skip, where the device is absent"
    )
    where.addoption("--workers", type=int, metavar="N", help="default: one per core or GPU")
    where.addoption(
        "--workers-per-gpu", type=int, default=1, metavar="K", help="share each GPU (default: 1)"
    )
    where.addoption(
        "--scheduler",
        metavar="ADDRESS",
        help="use the workers of a Dask scheduler, whom you trust: tcp://HOST:PORT or tls://...",
    )
    where.addoption(
        "--cell-timeout",
        type=float,
        default=300.0,
        metavar="SEC",
        help="a replica that takes longer has crashed (default: 300)",
    )
    where.addoption(
        "--memory-limit", type=float, metavar="GIB", help="per worker; 0: none (default: its share)"
    )


def _add_files(files: pytest.OptionGroup) -> None:
    files.addoption("--results", type=Path, default=Path("results"), metavar="DIR")
    files.addoption("--run", metavar="NAME", help="name of the run (default: time and tier)")
    files.addoption(
        "--resume", action="store_true", help="continue the run named by --run, or the newest one"
    )
    files.addoption("--baselines", type=Path, default=shipped.baselines(), metavar="DIR")
    files.addoption(
        "--against",
        type=Path,
        metavar="DIR",
        help="compare with this run's folder in place of a baseline",
    )
    files.addoption(
        "--tensorboard",
        type=Path,
        metavar="DIR",
        help="write event files for TensorBoard below DIR/<run>; needs the extra 'tensorboard'",
    )
    files.addoption("--data-dir", type=Path, metavar="DIR", help="MNIST as IDX or npz")
    files.addoption(
        "--data-sources", metavar="A,B", help="where MNIST may come from; see `bench data --help`"
    )
