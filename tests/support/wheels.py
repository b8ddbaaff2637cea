"""A folder of tiny wheels that stands for a package index."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from bench.environments.bench_copy import NEEDED, needed


def make_wheel(
    folder: Path, name: str, version: str, *, requires: Sequence[str] = (), module: str = ""
) -> None:
    """A wheel with one module and its metadata."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {one}\n" for one in requires)
    files = {
        f"{module or name.replace('-', '_')}.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(path, text)


def make_index(folder: Path) -> Path:
    """TensorFlow, Keras, and what bench needs, in a few versions."""
    folder.mkdir()
    for minor in (20, 21):
        requires = ["keras>=3.10", "numpy>=1.26"]
        make_wheel(folder, "tensorflow-cpu", f"2.{minor}.0", requires=requires, module="tensorflow")
    make_wheel(folder, "tensorflow", "2.20.0", requires=["keras"])
    make_wheel(folder, "tf-keras", "2.20.1", requires=["tensorflow<2.21,>=2.20"])
    make_wheel(folder, "greedy", "1.0", requires=["tensorflow"])
    for version in ("3.10.0", "3.12.0"):
        make_wheel(folder, "keras", version)
    for version in ("1.26.4", "2.2.0"):
        make_wheel(folder, "numpy", version)
    for name in set(NEEDED) - {"numpy"}:
        make_wheel(folder, name, needed()[name].rpartition("=")[2])
    return folder
