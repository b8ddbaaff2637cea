"""Stored baselines: samples, files, acceptance, history."""
