"""Figures of runs. Only what :mod:`bench.report.figures.draw` calls imports matplotlib."""
