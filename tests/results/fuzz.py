"""Fuzzing of all that is read from a folder: run by ``tox run -e fuzz``, and in small by the tests.

A sound folder of each kind - a run, an upgrade, a baseline - is damaged in one place: in its bytes or,
behind valid checksums, in its values, as a hostile or careless author would. Then it is read, judged
and reported. Nothing but :class:`bench.errors.BenchError` may come of that, within :data:`LIMIT_SEC`.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.cells.cell import OWN_AXES, Cell
from bench.cells.own_model import OwnModel
from bench.errors import BenchError
from bench.frames.frame import of_baseline, of_cells, of_run, records
from bench.jobs.merge import merge
from bench.measure.tensors import TEST_LOGITS, fingerprints
from bench.measure.trajectory import marks
from bench.report.data import upgrade_json
from bench.report.full import full_report
from bench.report.html import html
from bench.report.markdown import markdown
from bench.report.reproducer.own_model import own_script
from bench.report.reproducer.script import script
from bench.report.short import short_report
from bench.report.terminal import summary_lines
from bench.results import own_model
from bench.results.blame import write_blame
from bench.results.checksum import with_sum
from bench.results.environment import RETRIED
from bench.results.files import pretty, read_json
from bench.results.kind import Crash
from bench.results.own_model import DESCRIPTION, FOLDER, DefaultLoss, OwnMeasured
from bench.results.record import Record, Tensors
from bench.results.run import StoredRun, read_run
from bench.results.tasks import KINDS
from bench.results.timings import SIDES
from bench.results.upgrade import Description, read_upgrade
from bench.verdict.baselines.acceptance import accept, check
from bench.verdict.baselines.folder import read_baseline
from bench.verdict.baselines.history import history_of, places
from bench.verdict.conclusion import Conclusion, against_baseline, between, of_upgrade
from bench.verdict.metrics import METRICS
from support import paces
from support.builders import CLASS, copied, environment, items, plan, stored, trained, write
from support.trials import ended, trial
from support.upgraded import BLAME, CHECK, checked, exchange, measured, timed

#: Seconds of the processor that one input may take: a sound one takes less than a tenth.
LIMIT_SEC = 30
#: Inputs between two lines of progress.
PROGRESS = 5_000

MODEL = OwnModel(name="net.build", source="0", longest=600, normalized=(("norm", 39_200),))
OWN = Cell(own=MODEL, engine="fit", steps=200)
CELLS = [*(Cell(depth=depth, steps=200) for depth in (1, 3)), OWN]
ITEMS = [*items("depth", CELLS[:2], ("depth",)), *items("model", [OWN], OWN_AXES)]

DESCRIBED = own_model.Description(
    model=MODEL,
    path="/net.py",
    function="build",
    file="0",
    given="",
    data="MNIST",
    inputs={"x": "float32 (784,)"},
    outputs={"y": "int32 ()"},
    examples=600,
    evaluated=100,
    parameters=7850,
    losses={"y": DefaultLoss("MeanSquaredError")},
    seeds=[0, 1, 2],
)

#: Values that a file may have in the place of any other.
HOSTILE: list[Any] = [
    *(None, True, False, -1, 0, 1, 2, 7, 1000, 2**31, 2**32, 2**53, 2**63, 2**64, 10**15, 10**30),
    *(0.0, -0.0, 0.5, 7.9, -1.5, 1e-300, 5e-324, 1e300, 1.7e308, -1.7e308, 1e30, 1e9, -1e9),
    *(
        "",
        " ",
        "a",
        "0",
        "A" * 5000,
        "../../x",
        "/etc/passwd",
        "a/b",
        "\n",
        "\u2028",
        "\x00",
        "\x1b[2J",
    ),
    *(
        "nan",
        "inf",
        "None",
        "=cmd|' /C calc'!A0",
        "$\\frac{a}$",
        "{{7*7}}",
        "%s%n",
        "\ufdd0\ufdd4",
        "é" * 99,
    ),
    *(
        "depth",
        "test_accuracy",
        "trained",
        "crashed",
        "diverged",
        "absent",
        "AAAA",
        "2026-11-21T03:15:02Z",
    ),
    *(
        [],
        {},
        [[]],
        [0],
        [0] * 3,
        [None],
        [1e308] * 3,
        ["a"],
        {"a": 1},
        {"depth": 3},
        [[[1.0, 2.0]]],
    ),
]
#: JSON that no value of Python's stands for.
RAW = [
    *("[" * 20_000, "[" * 500 + "]" * 500, "1e999", "-1e999", "NaN", "9" * 5_000, "1e-999"),
    *(
        '"\\ud800"',
        '"' + "x" * 100_000 + '"',
        "[" + "0," * 50_000 + "0]",
        '{"a":' * 300 + "1" + "}" * 300,
    ),
]


def sound_run(path: Path, *, salt: str = "", accuracy: float = 0.94) -> StoredRun:
    """A run with results of every kind, of which a cell diverged and another crashed."""
    planned = plan(ITEMS, seeds=(0, 1), checks=[CHECK], further=[2])
    made = [
        _whole(trained(cell, seed, salt=salt, accuracy=accuracy, spread=0.0), salt)
        for cell in CELLS
        for seed in (0, 1, 2)
    ]
    trials = [ended(trial("P1", variant), 0.9) for variant in ("two layers", "three layers")]
    crash = Crash(reason="signal", message="killed by SIGSEGV", output="a\nb")
    made[5] = made[5].key.crashed(crash)
    planned = msgspec.structs.replace(planned, trials=[each.trial for each in trials])
    paced = paces.result()
    planned = msgspec.structs.replace(planned, paces=[paced.pace])
    copies = (copied(made[0], n) for n in (0, 1))
    outcomes = [*made, checked(out=bool(salt)), *copies, *trials, paced]
    retried = {RETRIED: ["depth:1, seed 0: killed by SIGKILL"]}
    run = stored(planned, [], path=path, of=environment(run=retried))
    return msgspec.structs.replace(run, outcomes={each.key: each for each in outcomes})


def _whole(record: Record, salt: str) -> Record:
    """A record with all that one can have."""
    states = np.arange(len(marks(record.cell.steps)), dtype="<u4")
    return msgspec.structs.replace(
        record,
        states=(states + len(salt)).tobytes(),
        tensors=_taken(salt, record.seed, (0, 1, 10, 100)),
        ends=_taken(salt, record.seed, (0, 200)),
        own=OwnMeasured(metrics={"loss": 0.3, "auc": None}, peak_mib=300.0)
        if record.cell.model
        else msgspec.UNSET,
    )


def _taken(salt: str, seed: int, steps: Sequence[int]) -> Tensors:
    names = ("layer 1, kernel", "layer 1, kernel, gradient", "norm, moving_mean", TEST_LOGITS)
    values = np.random.default_rng(seed).normal(size=9) * (1 + 1e-6 * len(salt))
    return fingerprints({step: dict.fromkeys(names, values + step) for step in steps})


def sound(folder: Path) -> None:
    """Writes a folder of each kind."""
    write(sound_run(folder / "run"))
    for side, salt in zip(SIDES, ("", "x"), strict=True):
        write(sound_run(folder / "upgrade" / side, salt=salt, accuracy=0.94 if not salt else 0.6))
    upgrade = folder / "upgrade"
    described = Description(
        tier="quick", sides=measured().sides, runs={side: side for side in SIDES}, left_out=["a"]
    )
    (upgrade / "upgrade.json").write_bytes(msgspec.json.encode(described))
    (upgrade / "speed.json").write_bytes(msgspec.json.encode([timed(1.0), timed(1.3)]))
    (upgrade / "saving.json").write_bytes(msgspec.json.encode([exchange("keras"), exchange("h5")]))
    write_blame(upgrade, BLAME)
    (upgrade / FOLDER).mkdir()
    (upgrade / FOLDER / DESCRIPTION).write_bytes(pretty(DESCRIBED))
    run = read_run(folder / "run")
    for salt in ("", "y"):
        other = sound_run(folder / f"accepted{salt}", salt=salt)
        baseline = read_baseline(folder / "baselines", CLASS)
        accept(
            *(folder / "baselines", other, baseline, other.plan.items), reason="sound", force=True
        )
    for path in (folder / "baselines" / CLASS).iterdir():  # each value counts, not the checksum
        path.write_bytes(re.sub(rb',\s*"sum":\s*"[0-9a-f]{16}"', b"", path.read_bytes()))
    assert run.outcomes


def damaged(content: bytes, *, lines: bool, chance: random.Random) -> bytes:
    """A file that is damaged in one place; of lines with checksums, these are right again."""
    if not content or chance.random() < 0.25:
        return _bytes_damaged(content, chance)
    if not lines:
        return _value_damaged(content, chance)
    rows = content.split(b"\n")
    number = chance.randrange(max(len(rows) - 1, 1))
    match = re.search(rb',"sum":"[0-9a-f]{16}"\}$', rows[number])
    line = rows[number][: match.start()] + b"}" if match else rows[number]
    line = _value_damaged(line, chance)
    rows[number] = with_sum(line) if match and line.endswith(b"}") else line
    return b"\n".join(rows)


def _bytes_damaged(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    to = min(len(content), at + chance.choice((1, 1, 4, 100, 10_000)))
    middle = chance.choice(
        (b"", bytes([chance.randrange(256)]), content[at:to] * 2, b"\x00" * 16, b"\n", b'"', b"}")
    )
    return content[:at] + middle + content[to if chance.random() < 0.7 else at :]


def _value_damaged(content: bytes, chance: random.Random) -> bytes:
    try:
        whole = json.loads(content)
    except ValueError:
        return _bytes_damaged(content, chance)
    places: list[tuple[Any, Any]] = []
    _walk(whole, places)
    if not places:
        return _bytes_damaged(content, chance)
    holder, key = chance.choice(places)
    raw = ""
    kind = chance.random()
    if kind < 0.15:
        del holder[key]
    elif kind < 0.25:
        if isinstance(holder, list):
            holder.insert(key, holder[chance.randrange(len(holder))])
        else:
            holder[str(chance.choice(HOSTILE))] = holder[key]
    elif kind < 0.4 and isinstance(holder[key], (int, float)):
        holder[key] = chance.choice((-1, 2, 10, 1e10, 1e-10, 0.999)) * holder[key]
    elif kind < 0.5:
        holder[key] = (lambda other: other[0][other[1]])(chance.choice(places))
    elif kind < 0.55:
        raw, holder[key] = chance.choice(RAW), "\ufdef"
    else:
        holder[key] = chance.choice(HOSTILE)
    try:
        text = json.dumps(whole, separators=(",", ":"), ensure_ascii=chance.random() < 0.5)
    except (ValueError, RecursionError):  # it holds itself
        return content
    return text.replace('"\ufdef"', raw).replace('"\\ufdef"', raw).encode("utf-8", "surrogatepass")


def _walk(value: Any, places: list[tuple[Any, Any]]) -> None:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, held in list(pairs):
        places.append((value, key))
        if isinstance(held, (dict, list)):
            _walk(held, places)


class Exercise:
    """Everything that commands do with what they read, in a folder with one of each kind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._run = read_run(folder / "run")
        self.thorough = True
        """Whether frames are made and runs merged, which take most of the time."""

    def run(self) -> None:
        found = read_run(self._folder / "run")
        baseline = read_baseline(self._folder / "baselines", found.environment.environment_class)
        conclusion = against_baseline(found, baseline)
        self._told(conclusion)
        self._told(between(self._run, found))
        if self.thorough:
            records(of_run(found))
            self._merged()

    def upgrade(self) -> None:
        found = of_upgrade(read_upgrade(self._folder / "upgrade"))
        self._told(found)
        upgrade_json(found)
        versions = [run.environment.software["tensorflow"] for run in found.both]
        place = self._folder / "upgrade" / FOLDER
        described = read_json(place / DESCRIPTION, own_model.Description)
        for judgement in found.failing[:3]:
            asked: Any = {"steps": 20, "versions": (versions[0], versions[1])}
            if judgement.item.cell.model:
                own_script(judgement, described, place, **asked)
            else:
                script(judgement, seed=0, **asked)

    def baseline(self) -> None:
        root = self._folder / "baselines"
        check(root)
        found = read_baseline(root, CLASS)
        assert found is not None
        self._told(against_baseline(self._run, found))
        if self.thorough:
            records(of_baseline(found))
        for place in places(found, [self._run]):
            history_of(place, METRICS[0], found, [self._run], environment_class=CLASS)

    def _told(self, found: Conclusion) -> None:
        document = full_report(found)
        markdown(document).encode()
        html(document).encode()
        short_report(found).encode()
        "\n".join(summary_lines(found, report=Path("report.md"))).encode()
        if self.thorough:
            records(of_cells(found))

    def _merged(self) -> None:
        into = self._folder / "merged"
        shutil.rmtree(into, ignore_errors=True)
        merge([self._folder / "run", self._folder / "upgrade" / "old"], into)


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raises TimeoutError in what takes more seconds of the processor; in what waits, after twenty
    times as many, since a machine that is shared may be as slow."""

    def late(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s")

    signal.signal(signal.SIGPROF, late)
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(20 * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)


def targets(folder: Path) -> list[tuple[Path, Callable[[Exercise], None]]]:
    """The files that are damaged, each with what reads it."""
    found = [(path, Exercise.run) for path in sorted((folder / "run").iterdir())]
    upgrade = folder / "upgrade"
    found += [
        (upgrade / f"{name}.json", Exercise.upgrade)
        for name in ("upgrade", "speed", "saving", "blame")
    ]
    found += [(upgrade / FOLDER / DESCRIPTION, Exercise.upgrade)]
    found += [(path, Exercise.upgrade) for path in sorted((upgrade / "new").iterdir())]
    found += [
        (path, Exercise.baseline) for path in sorted((folder / "baselines" / CLASS).iterdir())
    ]
    return [(path, use) for path, use in found if path.is_file()]


def fuzz(folder: Path, seeds: range, tell: Callable[[str], None]) -> Counter[str]:
    """Counts of what became of an input for each seed; ``tell`` gets a text about each that is wrong.

    Args:
        folder: an empty one.
        seeds: one for each input.
        tell: called with the seed, the file and the traceback.
    """
    sound(folder)
    exercise, files = Exercise(folder), targets(folder)
    for use in (Exercise.run, Exercise.upgrade, Exercise.baseline):
        use(exercise)  # undamaged: a refusal would end it
    counts: Counter[str] = Counter()
    for seed in seeds:
        if seed % PROGRESS == PROGRESS - 1:
            print(f"up to seed {seed}: {dict(counts)}", file=sys.stderr, flush=True)
        chance = random.Random(seed)
        exercise.thorough = not seed % 8
        path, use = chance.choice(files)
        content = path.read_bytes()
        path.write_bytes(damaged(content, lines=path.suffix == ".jsonl", chance=chance))
        try:
            with limited(LIMIT_SEC):
                use(exercise)
            counts["read"] += 1
        except BenchError:
            counts["refused"] += 1
        except TimeoutError:
            counts["hang"] += 1
            tell(f"seed {seed}: {path.name}: a hang\n{traceback.format_exc()}")
        except Exception as error:
            counts["exception"] += 1
            tell(f"seed {seed}: {path.name}: {type(error).__name__}\n{traceback.format_exc()}")
        finally:
            path.write_bytes(content)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    chosen = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        seeds = range(chosen.first, chosen.first + chosen.inputs)
        counts = fuzz(Path(folder), seeds, lambda text: print(text, flush=True))
    print(f"{chosen.inputs} inputs in {time.monotonic() - begin:.0f} s: {dict(counts)}")
    return 1 if counts["exception"] or counts["hang"] else 0


assert len(KINDS) == 5, "a new kind needs an outcome in sound_run"

if __name__ == "__main__":
    sys.exit(main())
