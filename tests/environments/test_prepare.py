"""Tests of environments: built by uv from a folder of tiny wheels, kept, killed halfway."""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from uv import find_uv_bin

import bench
from bench.checks.catalogue import module_of
from bench.environments import bench_copy, installer
from bench.environments.prepare import Built, prepare
from bench.environments.requirements import Side, lock_versions, parse_side
from bench.errors import BenchError
from bench.results.check import FAMILIES
from support.wheels import make_index, make_wheel

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
TIMEOUT_SEC = 60.0


class Place:
    """A package index, a uv whose calls are noted, and a cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.index = make_index(folder / "index")
        self.log = folder / "log"
        self.log.touch()
        self.uv = folder / "uv"
        self.uv.write_text(
            '#!/bin/sh\necho "$*" >> "$FAKE_LOG"\n'
            f'[ -n "$FAKE_MEETING$FAKE_STUCK" ] || exec "{find_uv_bin()}" "$@"\n'
            f'exec "{sys.executable}" "{HERE / "fake" / "halting_uv.py"}" "$@"\n'
        )
        self.uv.chmod(0o755)

    def fill(self, template: Path) -> Built:
        """The environment of 2.20, as if it had been built here."""
        shutil.copytree(template, self.cache, symlinks=True)
        built = self.prepare("2.20")
        assert self.calls("pip") == 0
        return built

    def prepare(self, text: str, *variables: str, refresh: bool = False) -> Built:
        side = parse_side(text, variables=variables)
        (built,) = prepare([side], cache=self.cache, refresh=refresh)
        return built

    def calls(self, words: str) -> int:
        """How often uv was called so."""
        return sum(line.startswith(words) for line in self.log.read_text().splitlines())

    def scratch(self) -> list[Path]:
        return list((self.cache / "environments").glob("building-*"))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frozen: Path) -> Place:
    """No network, and an index of which pip's settings alone tell."""
    return make_place(tmp_path, monkeypatch, frozen)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of bench that nobody edits while the tests run, without what these do not need."""
    folder = tmp_path_factory.mktemp("frozen")
    idle = ("__pycache__", "mnist", "checks", "report", "theory", "verdict")
    source = Path(bench.__file__).parent
    shutil.copytree(source, folder / "bench", ignore=shutil.ignore_patterns(*idle))
    return folder


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, frozen: Path) -> Path:
    """A cache that holds the environment of 2.20."""
    with pytest.MonkeyPatch.context() as patch:
        made = make_place(tmp_path_factory.mktemp("template"), patch, frozen)
        made.prepare("2.20")
    return made.cache


def make_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frozen: Path) -> Place:
    made = Place(tmp_path)
    monkeypatch.setattr(bench, "__file__", str(frozen / "bench" / "__init__.py"))
    monkeypatch.setenv("PYTHONPATH", str(frozen))  # for processes that prepare environments
    monkeypatch.setattr(installer, "find_uv_bin", lambda: str(made.uv))
    installer.pip_settings.cache_clear()
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    settings = {
        "HOME": str(tmp_path),
        "FAKE_LOG": str(made.log),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(made.index),
        "UV_CACHE_DIR": str(tmp_path / "uv-cache"),
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return made


def run_in(built: Built, code: str) -> str:
    """What code prints in an environment, started here, where there is another ``bench``; but Python
    3.10 cannot be told to leave out the folder that it is started in."""
    done = subprocess.run(
        [built.python, "-c", code],
        env={**os.environ, **built.variables},
        cwd=None if sys.version_info >= (3, 11) else built.python.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def preparing(place: Place, text: str, **variables: str) -> subprocess.Popen[str]:
    """Another process, with a group of its own, that prepares an environment and prints its path."""
    return subprocess.Popen(
        [sys.executable, str(HERE / "fake" / "prepare.py"), str(place.uv), str(place.cache), text],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Until the process, or what it has started, has made this file."""
    deadline = time.monotonic() + TIMEOUT_SEC
    while not path.exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)


def check_is_complete(built: Built) -> None:
    """TensorFlow and what bench needs come from the environment itself, and bench from its copy."""
    names = ["tensorflow", *bench_copy.NEEDED, "bench"]
    code = f"import {', '.join(names)}; print({', '.join(f'{name}.__file__' for name in names)})"
    *paths, copied = run_in(built, code).split()
    folder = str(built.python.parents[1])
    assert all(path.startswith(folder) for path in paths)
    assert copied == str(Path(built.variables["PYTHONPATH"], "bench", "__init__.py"))
    assert not list(Path(folder).glob("lib/python3.*/site-packages/bench"))


def test_an_environment_holds_what_was_asked_for_and_what_bench_needs(place: Place) -> None:
    """The lock is complete, sorted, with the newest versions that fit; bench is not part of it."""
    built = place.prepare("2.20 keras==3.10.*")
    check_is_complete(built)
    lines = built.lock.splitlines()
    assert lines == sorted(lines)
    assert {"tensorflow-cpu==2.20.0", "keras==3.10.0", "numpy==2.2.0"} < set(lines)
    assert {line.partition("==")[0] for line in lines} == {
        "tensorflow-cpu",
        "keras",
        *bench_copy.NEEDED,
    }
    assert built.label == "tensorflow-cpu==2.20.* keras==3.10.*"
    assert run_in(built, "import platform; print(platform.python_version())") == (
        platform.python_version()
    )


def test_a_finished_environment_needs_no_installer_and_no_index(
    place: Place, template: Path
) -> None:
    """The second time nothing is resolved, and other variables are no other environment."""
    first = place.fill(template)
    shutil.rmtree(place.index)
    calls = len(place.log.read_text())
    again = place.prepare("2.20", "TF_ENABLE_ONEDNN_OPTS=0")
    assert len(place.log.read_text()) == calls
    assert (again.python, again.key, again.lock) == (first.python, first.key, first.lock)
    assert again.resolved == first.resolved != ""
    assert again.variables["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert "TF_ENABLE_ONEDNN_OPTS" not in first.variables


def test_a_wheel_file_is_installed_and_recorded_by_its_hash(place: Place) -> None:
    """The same name and version with other content is another environment."""
    own = place.folder / "own"
    own.mkdir()
    keys = {}
    for content in ("one", "other"):
        make_wheel(own, "keras", "3.99.0", requires=[] if content == "one" else ["numpy"])
        wheel = own / "keras-3.99.0-py3-none-any.whl"
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        built = place.prepare(f"2.20 {wheel}")
        assert f"keras==3.99.0+sha256.{digest[:12]}" in built.lock.splitlines()
        assert run_in(built, "import keras; print(keras.__version__)") == "3.99.0"
        keys[built.key] = str(wheel)
        assert str(wheel) in built.label
    assert len(keys) == 2


def test_a_checkout_of_keras_is_built_and_recorded_by_its_hash(place: Place) -> None:
    """As it is now: an edited file is another environment."""
    checkout = place.folder / "checkout"
    (checkout / "keras").mkdir(parents=True)
    (checkout / "backend.py").write_text(BACKEND)
    (checkout / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    locks = []
    for text in ("here", "edited"):
        (checkout / "keras" / "__init__.py").write_text(f"where = {text!r}\n")
        built = place.prepare(f"2.20 {checkout}")
        assert run_in(built, "import keras; print(keras.where)") == text
        locks.append([line for line in built.lock.splitlines() if line.startswith("keras==")])
    assert all(re.fullmatch(r"keras==3\.88\.0\+sha256\.[0-9a-f]{12}", one) for (one,) in locks)
    assert locks[0] != locks[1]
    names = {"keras", "backend.py", "pyproject.toml"}
    assert {path.name for path in checkout.iterdir()} == names


def test_another_index_is_for_one_side_alone(place: Place) -> None:
    """What comes from it is recorded by the hashes that it announces; the rest comes as always."""
    folder = place.folder / "other" / "keras"
    folder.mkdir(parents=True)
    make_wheel(folder, "keras", "3.77.0")
    (wheel,) = folder.iterdir()
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    link = f'<a href="{wheel.name}#sha256={digest}">{wheel.name}</a>'
    (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")
    address = folder.parent.as_uri()
    os.environ.pop("PIP_NO_INDEX")
    os.environ["UV_FIND_LINKS"] = str(place.index)
    os.environ["UV_DEFAULT_INDEX"] = address
    built = place.prepare(f"2.20 keras==3.77.0 {address}")
    announced = hashlib.sha256(digest.encode()).hexdigest()[:12]
    assert f"keras==3.77.0+sha256.{announced}" in built.lock.splitlines()
    assert "tensorflow-cpu==2.20.0" in built.lock.splitlines()
    assert run_in(built, "import keras; print(keras.__version__)") == "3.77.0"


#: Builds a wheel of a package without a line of what others build with.
BACKEND = """
import sys, zipfile
from pathlib import Path

def build_wheel(folder, config_settings=None, metadata_directory=None):
    Path("build").mkdir()
    name = "keras-3.88.0-py3-none-any.whl"
    info = "keras-3.88.0.dist-info"
    files = {
        "keras/__init__.py": Path("keras", "__init__.py").read_text(),
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: keras\\nVersion: 3.88.0\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    record = "".join(f"{path},,\\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(Path(folder, name), "w") as wheel:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(path, text)
    return name
"""


def test_versions_of_another_environment_are_kept_where_they_can(place: Place) -> None:
    """A lock has its say about what the requirements leave open."""
    side = parse_side("tensorflow-cpu==2.20.0")
    kept = Side(requirements=side.requirements, preferred="keras==3.10.0\nnumpy==1.26.4\n")
    (built,) = prepare([kept], cache=place.cache)
    assert {"keras==3.10.0", "numpy==1.26.4"} < set(built.lock.splitlines())
    assert "keras==3.12.0" in place.prepare("tensorflow-cpu==2.20.0").lock.splitlines()


def test_what_is_compiled_is_shared(place: Place) -> None:
    """Of the same file alone: the other version of a package is compiled anew."""
    first = place.prepare("2.20")
    code = "import keras, tensorflow; print(keras.__cached__, tensorflow.__cached__)"
    if sys.dont_write_bytecode:
        code = f"import sys; sys.dont_write_bytecode = False; {code}"
    keras, tensorflow = map(Path, run_in(first, code).split())
    other = place.prepare("2.20 keras==3.10.*")
    folders = [built.python.parents[1] for built in (first, other)]
    assert (folders[1] / tensorflow.relative_to(folders[0])).samefile(tensorflow)
    assert keras.exists()
    assert not (folders[1] / keras.relative_to(folders[0])).exists()
    check_is_complete(other)


def test_requirements_with_one_lock_share_an_environment(place: Place, template: Path) -> None:
    """What is resolved to a lock that is already built is not installed again."""
    first = place.fill(template)
    assert place.prepare("tensorflow-cpu==2.20.0").python == first.python
    assert place.calls("pip install") == 0
    assert place.calls("pip compile") == 1


def test_refresh_takes_what_appeared_since(place: Place, template: Path) -> None:
    """A stored resolution is kept until it is asked for anew."""
    old = place.fill(template)
    make_wheel(place.index, "keras", "3.13.0")
    assert place.prepare("2.20").key == old.key
    new = place.prepare("2.20", refresh=True)
    assert "keras==3.13.0" in new.lock
    assert new.key != old.key
    assert place.prepare("2.20").key == new.key
    check_is_complete(old)


def test_a_process_killed_halfway_costs_nothing_but_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it left is not taken for an environment, and is removed."""
    stuck = place.folder / "stuck"
    with preparing(place, "2.21", FAKE_STUCK=str(stuck)) as process:
        wait_for(stuck, process)
        os.killpg(process.pid, signal.SIGKILL)
    assert len(place.scratch()) == 1
    assert [one.name for one in (place.cache / "environments").iterdir()] == [
        place.scratch()[0].name
    ]
    check_is_complete(place.prepare("2.21"))
    assert place.scratch() == []


def test_two_processes_build_one_environment(place: Place) -> None:
    """The second waits for the first, and takes what it built."""
    both = [preparing(place, "2.20") for _ in range(2)]
    printed = [process.communicate(timeout=TIMEOUT_SEC)[0] for process in both]
    assert printed[0] == printed[1] != ""
    assert place.calls("pip install") == 1


@pytest.mark.parametrize("what", ["package", "other version", "interpreter", "marker"])
def test_a_damaged_environment_is_built_again(place: Place, template: Path, what: str) -> None:
    """An environment that lacks anything of its lock, or does not start, is not used."""
    built = place.fill(template)
    folder = built.python.parents[1]
    (site,) = folder.glob("lib/python3.*/site-packages")
    if what == "package":
        shutil.rmtree(site / "keras-3.12.0.dist-info")
    elif what == "other version":
        (site / "keras-3.12.0.dist-info").rename(site / "keras-3.11.0.dist-info")
        metadata = site / "keras-3.11.0.dist-info" / "METADATA"
        metadata.write_text(metadata.read_text().replace("3.12.0", "3.11.0"))
    elif what == "interpreter":
        built.python.unlink()
    else:
        (folder.parent / "environment.json").write_text("{")
    again = place.prepare("2.20")
    assert again.key == built.key
    assert place.calls("pip install") == 1
    check_is_complete(again)


def test_a_conflict_is_shown_as_the_resolver_tells_it(place: Place) -> None:
    """Its own words, the requirements, and what to do; nothing is left behind."""
    with pytest.raises(BenchError, match="No solution found") as caught:
        place.prepare("2.20 keras==3.5.*")
    assert "tensorflow-cpu==2.20.* keras==3.5.*" in caught.value.message
    assert "you require keras==3.5.*" in " ".join(caught.value.message.split())
    assert "change a requirement" in caught.value.hint
    assert list((place.cache / "environments").iterdir()) == []


def test_two_distributions_of_tensorflow_are_refused(place: Place) -> None:
    """One of them would overwrite the other's files, and nobody knew which one was tested."""
    with pytest.raises(BenchError, match="tensorflow and tensorflow-cpu would be installed"):
        place.prepare("2.20 greedy")


@pytest.mark.parametrize("text", ["2.20", "2.20 tf-keras==2.20.*"])
def test_keras_2_comes_without_the_tensorflow_that_it_requires(place: Place, text: str) -> None:
    """``tf-keras`` requires ``tensorflow``, which would overwrite ``tensorflow-cpu``."""
    built = place.prepare(text, "TF_USE_LEGACY_KERAS=1")
    names = [line.partition("==")[0] for line in built.lock.splitlines()]
    assert "tf-keras" in names
    assert "tensorflow" not in names
    assert lock_versions(built.lock)["tf-keras"] == "2.20.1"


def test_numpy_is_held_to_what_tensorflow_was_compiled_for(place: Place) -> None:
    """Also where the metadata of a TensorFlow forget to say so, as 2.14.0's do."""
    make_wheel(place.index, "tensorflow-cpu", "2.14.0", requires=["keras"], module="tensorflow")
    if sys.version_info < (3, 12):
        assert "numpy==1.26.4" in place.prepare("2.14.0").lock


def test_both_sides_of_a_pair_are_built_at_the_same_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two versions on one Python, running the same bench; neither of these installations ends before
    the other one has begun."""
    (place.folder / "meeting").mkdir()
    monkeypatch.setenv("FAKE_MEETING", str(place.folder / "meeting"))
    old, new = prepare([parse_side("2.20"), parse_side("2.21")], cache=place.cache)
    assert old.key != new.key
    versions = [lock_versions(built.lock)["tensorflow-cpu"] for built in (old, new)]
    assert versions == ["2.20.0", "2.21.0"]
    assert len({run_in(one, "import sys; print(sys.version)") for one in (old, new)}) == 1
    assert old.variables == new.variables
    assert len(list((place.cache / "copies").iterdir())) == 1


def test_one_environment_under_two_settings(place: Place, template: Path) -> None:
    """Sides with equal requirements share it, and nobody waits for anybody."""
    place.fill(template)
    said: list[str] = []
    old, new = parse_side("2.20"), parse_side("2.20", variables=["TF_ENABLE_ONEDNN_OPTS=0"])
    first, second = prepare([old, new], cache=place.cache, say=said.append)
    assert first.python == second.python
    assert first.variables | {"TF_ENABLE_ONEDNN_OPTS": "0"} == second.variables
    assert said == []


@pytest.mark.parametrize("order", ["old", "new"])
def test_a_side_that_cannot_be_had_ends_the_waiting_of_the_other(place: Place, order: str) -> None:
    """Also while another process builds that one; its own words are shown, not the other's."""
    stuck = place.folder / "stuck"
    with preparing(place, "2.21", FAKE_STUCK=str(stuck)) as process:
        wait_for(stuck, process)
        sides = [parse_side("2.20 keras==3.5.*"), parse_side("2.21")]
        said: list[str] = []
        with pytest.raises(BenchError, match="No solution found"):
            prepare(sides if order == "old" else sides[::-1], cache=place.cache, say=said.append)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
    assert any("is being built already" in line for line in said)


def test_another_bench_needs_no_other_environment(
    place: Place, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sides never run an older bench than the one that compares them; nothing is installed for it."""
    first = place.fill(template)
    edited = tmp_path / "edited" / "bench"
    shutil.copytree(Path(bench.__file__).parent, edited)
    monkeypatch.setattr(bench, "__file__", str(edited / "__init__.py"))
    assert place.prepare("2.20") == first
    (edited / "cells" / "cell.py").write_text(
        (edited / "cells" / "cell.py").read_text() + "EDITED = 1\n"
    )
    second = place.prepare("2.20")
    assert (second.key, second.python) == (first.key, first.python)
    assert place.calls("pip") == 0
    code = "import bench; print('EDITED' in open(bench.__path__[0] + '/cells/cell.py').read())"
    assert [run_in(built, code) for built in (first, second)] == ["False", "True"]


def test_a_damaged_copy_of_bench_is_made_again(place: Place, template: Path) -> None:
    """Whatever was lost or edited in the cache is not what sides run; nothing else is in its way."""
    built = place.fill(template)
    copied = Path(built.variables["PYTHONPATH"], "bench")
    before = (copied / "cells" / "cell.py").read_bytes()
    (copied / "cells" / "cell.py").write_text("raise RuntimeError")
    shutil.rmtree(copied / "nets")
    assert place.prepare("2.20") == built
    assert (copied / "cells" / "cell.py").read_bytes() == before
    assert (copied / "nets").is_dir()
    assert [one.name for one in (place.cache / "copies").iterdir()] == [copied.parent.name]


def test_what_was_not_used_for_long_is_removed(place: Place, template: Path) -> None:
    """By the next one that prepares; what it uses itself stays, however old."""
    used = place.fill(template)
    folders = [place.cache / "environments", place.cache / "copies"]
    for folder in folders:
        (folder / "unused").mkdir()
        for one in folder.iterdir():
            os.utime(one, (0, 0))
    assert place.prepare("2.20") == used
    kept = [used.key, Path(used.variables["PYTHONPATH"]).name]
    assert [[one.name for one in folder.iterdir()] for folder in folders] == [[one] for one in kept]
    check_is_complete(used)
    for one in (place.cache / "environments").iterdir():
        os.utime(one, (0, 0))
    prepare([parse_side(python=str(used.python))] * 2, cache=place.cache)
    assert list((place.cache / "environments").iterdir()) == []


def test_variables_keep_foreign_modules_out(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PYTHONPATH of this process does not reach into an environment."""
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "keras.py").write_text("__version__ = 'foreign'\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "foreign"))
    built = place.prepare("2.20")
    assert run_in(built, "import keras; print(keras.__version__)") == "3.12.0"


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """The folder is named, with a way out."""
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match="cannot be kept in") as caught:
        prepare([parse_side("2.20")], cache=tmp_path / "file" / "cache")
    assert "choose a folder" in caught.value.hint


@pytest.fixture
def existing(place: Place, template: Path) -> Path:
    """The interpreter of an environment that somebody else made, whole."""
    return place.fill(template).python


def tree(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def test_an_existing_interpreter_is_used_and_not_changed(place: Place, existing: Path) -> None:
    """bench reaches it by a folder that holds nothing else."""
    before = tree(existing.parents[1])
    (built,) = prepare([parse_side(python=str(existing))], cache=place.cache)
    assert tree(existing.parents[1]) == before
    assert built.python == existing
    folder = Path(built.variables["PYTHONPATH"])
    assert [one.name for one in folder.iterdir()] == ["bench"]
    assert run_in(built, "import bench; print(bench.__file__)").startswith(str(folder))
    assert "tensorflow-cpu==2.20.0" in built.lock.splitlines()
    assert lock_versions(built.lock)["keras"] == "3.12.0"


def test_what_a_training_process_may_import_is_what_is_installed() -> None:
    """Each module that is reached from its entry point, also later than at its start, is listed, and
    nothing else: a missing one would crash cells, an idle one would narrow what users can install."""
    reached = third_party_imports(["bench.execution.trainer", *FAMILY_MODULES])
    assert reached - {"tensorflow", "keras"} == set(bench_copy.NEEDED)
    assert set(bench_copy.needed()) == set(bench_copy.NEEDED)


#: The examiner imports them by name.
FAMILY_MODULES = [module_of(family) for family in FAMILIES]


def third_party_imports(modules: list[str]) -> set[str]:
    """Top-level modules, neither Python's nor ours, imported anywhere in what these modules import."""
    todo, seen, found = list(modules), set(), set()
    while todo:
        module = todo.pop()
        path = source_of(module)
        if module in seen or path is None:
            continue
        seen.add(module)
        for name in imported(ast.parse(path.read_text())):
            top = name.partition(".")[0]
            parts = name.split(".")
            if top == "bench":
                todo += [".".join(parts[: end + 1]) for end in range(len(parts))]
            elif top not in sys.stdlib_module_names:
                found.add(top)
    return found


def source_of(module: str) -> Path | None:
    """The file of one of bench's modules; None for names that are not modules."""
    path = Path(bench.__file__).parents[1] / module.replace(".", "/")
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((one for one in candidates if one.exists()), None)


def imported(tree: ast.Module) -> Iterator[str]:
    """All that a module imports, wherever, but for the type checker and for notebooks."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            todo += node.orelse
            continue
        if isinstance(node, ast.FunctionDef) and node.name == "__getattr__":
            continue  # what the package offers to notebooks
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield from (f"{node.module}.{one.name}" for one in node.names)
        todo += ast.iter_child_nodes(node)


def test_what_an_existing_interpreter_lacks_is_said_with_the_remedy(
    place: Place, existing: Path
) -> None:
    """Absent and too old are told apart, and one command mends both."""
    (site,) = existing.parents[1].glob("lib/python3.*/site-packages")
    (site / "msgspec.py").unlink()
    shutil.rmtree(next(site.glob("msgspec-*")))
    metadata = next(site.glob("pooch-*")) / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.8", "Version: 1.2"))
    (site / "tensorflow.py").unlink()
    with pytest.raises(BenchError) as caught:
        prepare([parse_side(python=str(existing))], cache=place.cache)
    assert caught.value.message == (
        f"{existing} lacks msgspec>=0.18.6 (there is none), pooch>=1.8 (there is 1.2), tensorflow"
    )
    assert caught.value.hint == (
        f"{existing} -m pip install 'msgspec>=0.18.6' 'pooch>=1.8' 'tensorflow'"
    )


def test_an_existing_tensorflow_that_is_too_old_is_said(place: Place, existing: Path) -> None:
    """bench is made for TensorFlow 2.12 and later, however it came there."""
    (site,) = existing.parents[1].glob("lib/python3.*/site-packages")
    metadata = next(site.glob("tensorflow_cpu-*")) / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 2.20.0", "Version: 2.11.0"))
    with pytest.raises(BenchError, match=re.escape("TensorFlow 2.11.0")):
        prepare([parse_side(python=str(existing))], cache=place.cache)


def test_a_path_that_is_no_interpreter_is_said(tmp_path: Path) -> None:
    """It is named, with what it said."""
    with pytest.raises(BenchError, match="nowhere: no Python interpreter"):
        prepare([Side(python=str(tmp_path / "nowhere"))], cache=tmp_path)
