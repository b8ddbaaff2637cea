"""What tests share: synthetic runs, runs of plans and of main jobs, strategies, golden files.

Importing this package imports nothing: training processes of tests do, from a folder on PYTHONPATH.
"""
