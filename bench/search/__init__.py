"""Searches that know no package: over releases in order, and over sets of differences."""
