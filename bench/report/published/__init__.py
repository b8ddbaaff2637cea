"""Report of the published experiments: a page of Markdown, and its figures.

    page.py       the text: published against ours, what holds, what crashed
    pictures.py   which figures there are; learning.py, gradients.py and remedies.py make them
    panels.py     what a figure is made of, as data
    seeds.py      curves of several seeds and their mean
    drawing.py    draws them; called by :mod:`bench.report.figures.draw`, which sets matplotlib up

Nothing here imports TensorFlow.
"""

from bench.report.published.page import answer, figures, page, tables
from bench.report.published.panels import PublishedPicture
from bench.report.published.pictures import pictures

__all__ = ["PublishedPicture", "answer", "figures", "page", "pictures", "tables"]
