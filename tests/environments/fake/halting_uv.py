"""uv that halts in an installation.

Where $FAKE_STUCK names a file, an installation makes that file halfway and then waits to be killed.
Where $FAKE_MEETING names a folder, an installation waits there for a second one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from uv import find_uv_bin


def main() -> None:
    command = [find_uv_bin(), *sys.argv[1:]]
    if sys.argv[1:3] == ["pip", "install"]:
        if "FAKE_MEETING" in os.environ:
            meet(Path(os.environ["FAKE_MEETING"]))
        if "FAKE_STUCK" in os.environ:
            lines = sys.stdin.readlines()
            half = "".join(lines[: len(lines) // 2])
            subprocess.run(command, input=half, text=True, check=True)
            Path(os.environ["FAKE_STUCK"]).touch()
            time.sleep(60)
    os.execv(command[0], command)


def meet(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2:
        if time.monotonic() > deadline:
            sys.exit("error: nobody came")
        time.sleep(0.01)


if __name__ == "__main__":
    main()
