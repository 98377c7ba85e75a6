"""Measurements, each as a ratio to its peer in the same run: ``make bench``."""
