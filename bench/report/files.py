"""A report as files: ``report.md``, ``report.html`` and the figures of both."""

from __future__ import annotations

from pathlib import Path

from bench.report.document import Document
from bench.report.figures.draw import draw
from bench.report.html import html
from bench.report.markdown import markdown
from bench.results.files import write_atomically
from bench.results.run import REPORT

#: Name of the page beside the report.
HTML = "report.html"


def write_document(document: Document, folder: Path) -> Path:
    """Writes ``report.md``, then its figures, then ``report.html`` with the figures in it.

    Returns:
        the path of ``report.md``.

    Raises:
        BenchError: the folder cannot be written to, or matplotlib is broken; both reports are there all
            the same.
    """
    path = folder / REPORT
    write_atomically(path, markdown(document).encode())
    try:
        for picture in document.figures():
            write_atomically(folder / picture.path, draw(picture))
    finally:
        write_atomically(folder / HTML, html(document, folder=folder).encode())
    return path
