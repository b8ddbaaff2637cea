"""A report as one HTML page that needs nothing else; ``page.html.jinja`` says how it looks,
``page.js`` how its tables are sorted."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

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

    script, hashed = _script()
    return _template().render(
        document=document, unique=unique, image=image, script=script, hash=hashed
    )


@cache
def _script() -> tuple[Markup, str]:
    """The page's script, and the hash by which its policy allows it."""
    text = files("bench.report").joinpath("page.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return Markup(text), f"sha256-{digest}"  # noqa: S704 # ours, and of nothing else


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["spans"] = spans
    return environment.from_string(
        files("bench.report").joinpath("page.html.jinja").read_text("utf-8")
    )
