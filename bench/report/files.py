"""A report as files: ``report.md``, ``report.html`` and the figures of both; an upgrade's JSON."""

from __future__ import annotations

from pathlib import Path

from bench.report.data import upgrade_json
from bench.report.document import Document
from bench.report.figures.curves import pictures
from bench.report.figures.draw import Second, begun, draw_all
from bench.report.full import full_report
from bench.report.html import html
from bench.report.markdown import markdown
from bench.report.reproducer import NO_SCRIPTS, Scripts
from bench.results.files import write_atomically, write_below
from bench.results.run import REPORT
from bench.verdict.conclusion import Conclusion

#: Name of the page beside the report.
HTML = "report.html"
#: Name of an upgrade's report for programs.
JSON = "upgrade-report.json"


def write_reports(
    conclusion: Conclusion,
    *,
    total_sec: float | None = None,
    reproducers: Scripts = NO_SCRIPTS,
) -> Path:
    """Writes all reports into the conclusion's folder. Arguments are
    :func:`bench.report.full.full_report`'s; returns and raises as :func:`write_document` does."""
    folder = conclusion.folder
    if conclusion.sides:
        data = upgrade_json(conclusion, total_sec=total_sec, reproducers=reproducers)
        write_atomically(folder / JSON, data.encode())
    figures = pictures(conclusion.run)
    with begun(figures.values()) as second:
        document = full_report(
            conclusion, total_sec=total_sec, reproducers=reproducers, figures=figures
        )
        return write_document(document, folder, second)


def write_document(document: Document, folder: Path, second: Second | None = None) -> Path:
    """Writes ``report.md``, then its figures, then ``report.html`` with the figures in it.

    Args:
        document: what is written.
        folder: where.
        second: a process that helps to draw.

    Returns:
        the path of ``report.md``.

    Raises:
        BenchError: the folder cannot be written to, or matplotlib is broken; both reports are there all
            the same.
    """
    path = folder / REPORT
    write_atomically(path, markdown(document).encode())
    try:
        for picture, drawn in draw_all(document.figures(), second):
            write_below(folder, picture.path, drawn)
    finally:
        write_atomically(folder / HTML, html(document, folder=folder).encode())
    return path
