"""Options that several commands share.

cyclopts makes flags of names, types and defaults; help is what ``Args`` says, a line each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from bench.jobs import shipped

Run = Annotated[str, Parameter(help="a folder, a name below --results, or 'latest'")]
RunName = Annotated[str, Parameter(help="name of the results (default: time and kind)")]
Resume = Annotated[bool, Parameter(help="continue the one named by --run")]
Tier = Annotated[str, Parameter(help="quick, standard or full")]
AllowUndecided = Annotated[
    bool, Parameter(help="exit with 0 where that would be 3: undecided, or nothing was compared")
]
Verbose = Annotated[bool, Parameter(help="say more at the end: counts, and reasons in full")]
Results = Annotated[Path, Parameter(help="where runs are stored")]
Baselines = Annotated[Path, Parameter(help="where baselines are stored")]
DataDir = Annotated[Path | None, Parameter(help="take the images from here: IDX or npz")]
EnvironmentClass = Annotated[str, Parameter(name="--class", help="only this environment class")]
Format = Annotated[Literal["markdown", "csv", "json"], Parameter(name="--format")]
Plot = Annotated[Path | None, Parameter(help="also draw it: FILE.svg or .png")]

RESULTS = Path("results")
BASELINES = shipped.baselines()


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Folders:
    """Folders that commands read."""

    results: Results = RESULTS
    baselines: Baselines = BASELINES


@Parameter(name="*", group=Group("Cells", sort_key=1))
@dataclass(frozen=True, kw_only=True)
class Cells:
    """A selection of cells.

    Args:
        expression: whose <grid>/<cell id> matches, by the rules of pytest -k; an upgrade also
            selects checks by it
        grid: only this grid; may be repeated
    """

    expression: Annotated[str, Parameter(name="-k")] = ""
    grid: tuple[str, ...] = ()


@Parameter(name="*", group=Group("Environments", sort_key=2))
@dataclass(frozen=True, kw_only=True)
class Environments:
    """Choices in building environments of TensorFlow versions.

    Args:
        package: what bare versions are versions of
        python: build with this Python: 3.12, or a path
        refresh: resolve the requirements anew, not as last time
        cache: where environments are kept (default: the cache)
    """

    package: str = "tensorflow-cpu"
    python: str = ""
    refresh: bool = False
    cache: Path | None = None


@Parameter(name="*", group=Group("Machine and files", sort_key=3))
@dataclass(frozen=True, kw_only=True)
class Places:
    """Devices and folders of commands that train.

    Args:
        workers: training processes in all (default: one per core)
        cell_timeout: seconds that a replica may take; a longer one has crashed
    """

    device: Literal["cpu", "gpu"] = "cpu"
    workers: int | None = None
    cell_timeout: float = 300.0
    results: Results = RESULTS
    data_dir: DataDir = None


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Measuring:
    """Options of all commands that measure several versions.

    Args:
        seeds: of cells whose bits differ (default: the tier's); others get one
        grid_file: also the grids that this Python file declares; may be repeated
    """

    tier: Tier = "quick"
    seeds: int | None = None
    allow_undecided: AllowUndecided = False
    grid_file: tuple[Path, ...] = ()
    cells: Cells = Cells()
    environments: Environments = Environments()
    places: Places = Places()


@Parameter(name="*", group=Group("Your model", sort_key=0))
@dataclass(frozen=True, kw_only=True)
class Own:
    """A model of the user's, measured in the place of the grids.

    Args:
        model: FILE.py:FUNCTION, which builds a tf.keras.Model
        arrays: npz file: x and y, or an array per input and output (default: MNIST or noise)
        steps: training steps
        batch: rows of a batch
    """

    model: str = ""
    arrays: Path | None = None
    steps: int = 100
    batch: int = 32
