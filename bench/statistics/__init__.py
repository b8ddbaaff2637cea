"""Tests that know no cell."""
