"""Figures: what they show, as data; only ``draw`` and ``panels`` import matplotlib."""
