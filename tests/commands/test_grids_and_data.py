"""``bench grids`` and ``bench data``: what is printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.cells.component_grids import UPGRADE_GRIDS
from bench.cells.grids import GRIDS
from bench.commands import main as cli


def test_grids(capsys: pytest.CaptureFixture[str]) -> None:
    """Every cell of the tier under its grid's question; the full tier has more."""
    assert cli.main(["grids"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("# ") for line in lines) == len(UPGRADE_GRIDS)
    expected = [
        f"{grid.name}/{id_}" for grid in UPGRADE_GRIDS.values() for id_ in grid.cells("quick")
    ]
    assert [line for line in lines if not line.startswith("# ")] == expected
    assert lines[0].startswith(
        "# Depth: 40 cells, 1 seed each and 4 more of cells whose bits differ."
    )
    assert cli.main(["grids", "depth", "--tier", "full"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(GRIDS["depth"].cells("full")) + 1
    assert f"{len(lines) - 1} cells x 10 seeds. " in lines[0]
    assert cli.main(["grids", "deep"]) == 2
    assert "no grid 'deep'\n  -> one of depth, activation" in capsys.readouterr().err
    assert cli.main(["grids", "--tier", "quack"]) == 2
    assert "no tier 'quack'" in capsys.readouterr().err


def test_grids_selected(capsys: pytest.CaptureFixture[str]) -> None:
    """An axis and an expression select as those of a run do; grids without such a cell are left out."""
    assert cli.main(["grids", "--axis", "depth=3,10", "-k", "relu and not leaky"]) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = [line for line in lines if not line.startswith("# ")]
    assert {"depth/depth:10-arch:mlp-act:relu-init:he_normal-norm:none"} <= set(cells)
    assert all("relu" in cell and "leaky" not in cell for cell in cells)
    assert not any("depth:30-" in cell for cell in cells)
    titles = [line for line in lines if line.startswith("# ")]
    assert len(titles) == len({cell.partition("/")[0] for cell in cells})
    numbers = [int(re.findall(r": (\d+) cell", title)[0]) for title in titles]
    assert sum(numbers) == len(cells)
    assert cli.main(["grids", "depth", "-k", "moon"]) == 2
    assert "no cell of tier quick is selected" in capsys.readouterr().err
    assert cli.main(["grids", "--axis", "deep=3"]) == 2
    assert "no axis 'deep'" in capsys.readouterr().err


def test_data_without_network(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing cached is trouble with a remedy; ``where`` always answers; sources are checked."""
    monkeypatch.setenv("BENCH_CACHE_DIR", str(place / "cache"))
    monkeypatch.delenv("BENCH_MNIST_DIR", raising=False)
    assert cli.main(["data", "verify"]) == 2
    assert "nothing is cached in" in capsys.readouterr().err
    assert cli.main(["data", "where"]) == 0
    assert str(place / "cache") in capsys.readouterr().out
    assert cli.main(["data", "fetch", "--source", "cache", "moon"]) == 2
    assert "unknown MNIST source 'moon'" in capsys.readouterr().err
    assert cli.main(["data", "fetch", "--source", "cache"]) == 2
