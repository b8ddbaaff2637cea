"""The short report in a GitHub job's summary."""

from __future__ import annotations

import os
from collections.abc import Mapping

VARIABLE = "GITHUB_STEP_SUMMARY"

#: GitHub drops a step's summary above 1 MiB altogether; other steps' text counts apart.
MOST_BYTES = 1024 * 1024


def append_step_summary(text: str, environ: Mapping[str, str] | None = None) -> str | None:
    """Appends ``text`` to the file that ``$GITHUB_STEP_SUMMARY`` names, if it is set.

    Args:
        text: the short report.
        environ: where to look for the variable; this process's environment if None.

    Returns:
        None, or a warning for the terminal: a summary that cannot be written fails no run.
    """
    path = (os.environ if environ is None else environ).get(VARIABLE)
    if not path:
        return None
    content = (text.rstrip("\n") + "\n\n").encode()
    try:
        with open(path, "ab") as file:
            size = file.tell()
            if size + len(content) > MOST_BYTES:
                return (
                    f"${VARIABLE}: not written: {path} would have {size + len(content):,} bytes, "
                    f"and GitHub shows at most {MOST_BYTES:,}"
                )
            file.write(content)
    except OSError as error:
        return f"${VARIABLE}: cannot write {path}: {error.strerror or error}"
    return None
