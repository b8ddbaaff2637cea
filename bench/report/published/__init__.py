"""Report of the published experiments: a section, and its figures.

    page.py       the section: published against ours, what holds, what crashed
    pictures.py   which figures there are; learning.py, gradients.py and remedies.py make them
    panels.py     what they have in common
    seeds.py      curves of several seeds and their mean

Nothing here imports TensorFlow.
"""

from bench.report.published.page import answer, published_section, tables
from bench.report.published.pictures import pictures

__all__ = ["answer", "pictures", "published_section", "tables"]
