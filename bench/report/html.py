"""A report as one HTML page that needs nothing else; how it looks is said in ``page.html.jinja``."""

from __future__ import annotations

import base64
from collections import Counter
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template

from bench.report.document import Document
from bench.report.figures.picture import Picture
from bench.report.markup import anchor, spans


def html(document: Document, *, folder: Path | None = None) -> str:
    """The page, which ends in one newline.

    Args:
        document: a report.
        folder: where its figures are stored; one that is not there is replaced by its description.
    """
    seen: Counter[str] = Counter()

    def unique(title: str) -> str:
        """The section's anchor; numbered where sections before it have the same, as on GitHub."""
        name = anchor(title)
        seen[name] += 1
        return name if seen[name] == 1 else f"{name}-{seen[name] - 1}"

    def image(picture: Picture) -> str:
        """The figure as an address that is the figure; empty if there is no file."""
        if folder is None or not (path := folder / picture.path).is_file():
            return ""
        return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"

    return _template().render(document=document, unique=unique, image=image)


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters |= {"spans": spans, "anchor": anchor}
    return environment.from_string(
        files("bench.report").joinpath("page.html.jinja").read_text("utf-8")
    )
