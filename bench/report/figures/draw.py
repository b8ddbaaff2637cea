"""Pictures as SVG or PNG. Only this module and :mod:`bench.report.figures.panels`, which it calls,
import matplotlib, and only while they draw.

No state of matplotlib's is used or left behind: no pyplot, a canvas of its own, default settings
whatever the user's are. Equal data give equal bytes under one version of matplotlib.
"""

from __future__ import annotations

import contextlib
import gc
import io
import math
import textwrap
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError
from bench.report.figures.names import in_lines
from bench.report.figures.picture import Heat, Picture
from bench.results.aside import Aside, AsideError

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

FORMATS = ("svg", "png")

#: Panels beyond which a second process pays: it takes as long to start as six.
_MANY_PANELS = 24
#: Inches that the heading and a legend of one row take.
_HEAD = 0.6
#: Inches that a character of the heading takes.
_CHARACTER = 0.086
#: No date and no version: they would differ between two equal figures.
_METADATA: Mapping[str, dict[str, str | None]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}
_STYLE: Any = {
    # Text as text: a quarter of the size, and it can be searched.
    "svg.fonttype": "none",
    "svg.hashsalt": "bench",
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.size": 2,
    "ytick.major.size": 2,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.08,
}


def draw(picture: Picture, form: str = "svg") -> bytes:
    """The file's content.

    Args:
        picture: what to draw; has at least one panel.
        form: one of :data:`FORMATS`.

    Raises:
        BenchError: matplotlib cannot be imported.
    """
    stream = io.BytesIO()
    with _matplotlib():
        figure = _figure(picture)
        if (
            form == "svg"
        ):  # savefig would draw it twice, first to lay it out, and get the same bytes
            from matplotlib.backends.backend_svg import FigureCanvasSVG

            FigureCanvasSVG(figure).print_svg(stream, metadata=_METADATA[form])
        else:
            figure.savefig(stream, format=form, metadata=_METADATA[form], dpi=110)
    return stream.getvalue()


class Second:
    """A second process that draws one picture at a time.

    Raises:
        AsideError: there is none, as of all else.
    """

    def __init__(self, aside: Aside) -> None:
        self._aside, self.drawing, self.ready = aside, deque[Picture](maxlen=1), aside.ready

    def begin(self, picture: Picture) -> None:
        """Has it draw a picture, if it does not do so already."""
        if picture not in self.drawing:
            if self.drawing:
                self.result()
            self.drawing.append(picture)
            self._aside.submit(draw, picture)

    def result(self) -> bytes:
        """The picture that was begun."""
        self.drawing.clear()
        drawn: bytes = self._aside.result()
        return drawn


@contextlib.contextmanager
def begun(pictures: Iterable[Picture]) -> Iterator[Second | None]:
    """Has the largest picture drawn by a second process while the block works at something else, if
    there are many panels; for :func:`draw_all`."""
    every, second = _by_size(pictures), None
    with contextlib.ExitStack() as stack:
        if len(every) > 1 and sum(len(picture.panels) for picture in every) > _MANY_PANELS:
            with contextlib.suppress(AsideError):
                second = Second(stack.enter_context(Aside()))
                second.begin(every[-1])
        yield second


def draw_all(
    pictures: Iterable[Picture], second: Second | None = None
) -> Iterator[tuple[Picture, bytes]]:
    """All pictures as SVG, in any order; by two processes where there are many panels.

    Args:
        pictures: all of them.
        second: what has begun already.

    Raises:
        BenchError: matplotlib cannot be imported.
    """
    left = _by_size(pictures)
    with contextlib.ExitStack() as stack:
        if second is None:
            second = stack.enter_context(begun(left))
        if second is not None:
            left = deque(sorted(left, key=lambda picture: picture in second.drawing))
            with contextlib.suppress(AsideError):
                yield from _shared(left, second)
    while left:
        yield left[-1], _drawn(left[-1])
        left.pop()


def _by_size(pictures: Iterable[Picture]) -> deque[Picture]:
    return deque(sorted(pictures, key=lambda picture: len(picture.panels)))


def _shared(left: deque[Picture], second: Second) -> Iterator[tuple[Picture, bytes]]:
    """Draws the smallest one after the other, and leaves the other process the largest."""
    while len(left) > 1:
        theirs = left.pop()
        try:
            second.begin(theirs)
            while left and not second.ready():
                ours = left.popleft()
                yield ours, _drawn(ours)
            yield theirs, second.result()
        except AsideError:
            left.append(theirs)
            raise


def _drawn(picture: Picture) -> bytes:
    """A picture, without what matplotlib leaves behind: 10 MB of cycles, which nobody else may look for
    while all of a run's records are in memory."""
    drawn = draw(picture)
    gc.collect()
    return drawn


def _figure(picture: Picture) -> Figure:
    from matplotlib.figure import Figure

    from bench.report.figures.panels import draw_heat, draw_panel, legend_entries

    columns, (width, height) = picture.columns, picture.size
    rows = math.ceil(len(picture.panels) / columns)
    figure = Figure(figsize=(width * columns, height * rows + _HEAD), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in list(grid.flat)[len(picture.panels) :]:
        axes.set_axis_off()
    for panel, axes in zip(picture.panels, grid.flat, strict=False):
        if isinstance(panel, Heat):
            draw_heat(axes, panel)
        else:
            draw_panel(axes, panel)
    entries = legend_entries(panel for panel in picture.panels if not isinstance(panel, Heat))
    _head(figure, picture.heading, entries)
    return figure


def _head(figure: Figure, heading: str, entries: Mapping[str, Artist]) -> None:
    """The heading in lines that fit and, below it, the legend in as many columns as fit."""
    width = int(figure.get_figwidth() / _CHARACTER)
    pieces = "\n".join(in_lines(line, width) for line in heading.split("\n")).split("\n")
    title = "\n".join("\n".join(textwrap.wrap(piece, width)) for piece in pieces)
    for columns in range(max(len(entries), 1), 0, -1):
        legend = figure.legend(
            list(entries.values()),
            list(entries),
            loc="outside upper left",
            title=title,
            title_fontsize=11,
            alignment="left",
            ncols=columns,
            handlelength=2.6,
            labelspacing=0.35,
        )
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


@contextlib.contextmanager
def _matplotlib() -> Iterator[None]:
    """Matplotlib's own defaults and our style, whatever the user's settings say, and none of them
    kept."""
    try:
        import matplotlib
    except (ImportError, ValueError, OSError) as error:  # ValueError: a backend that is none
        raise BenchError(
            f"no figure can be drawn: matplotlib cannot be imported: {error}",
            hint="unset MPLBACKEND, or python -m pip install --force-reinstall matplotlib",
        ) from error
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield
