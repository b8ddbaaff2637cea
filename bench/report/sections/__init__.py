"""Sections of a report: functions of a conclusion, for runs, upgrades and comparisons alike.

Each returns a section, or None where the conclusion has nothing for it. A brief one has fewer rows.
"""
