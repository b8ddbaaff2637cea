"""Ranges of stored numbers and lengths of stored texts.

They are checked where files and answers of training processes are decoded, so that nothing behind a
reader meets a share of 7.9 or a million seeds. Each bound is far beyond what a run can have.
"""

from __future__ import annotations

import sys
from typing import Annotated

from msgspec import Meta

#: Seeds under which a cell may be trained, of a plan and of ``--decide`` and ``--seeds`` too.
MOST_SEEDS = 10_000
_LARGEST = sys.float_info.max
_LARGEST_WHOLE = 2**53 - 1

Share = Annotated[float, Meta(ge=0, le=1)]
Finite = Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)]
NotNegative = Annotated[float, Meta(ge=0, le=_LARGEST)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
Rate = Annotated[float, Meta(ge=0, le=1e15)]
Count = Annotated[int, Meta(ge=0, le=_LARGEST_WHOLE)]
#: What NumPy's generators take as a word of a seed.
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]
#: A step of a training, or the number of steps.
Step = Annotated[int, Meta(ge=0, le=10**9)]

#: A name, digest, id, version or path.
Name = Annotated[str, Meta(max_length=4096)]
#: Part of the name of a file.
Word = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\Z")]
#: A message, or what a process printed.
Text = Annotated[str, Meta(max_length=1 << 20)]
