"""Measurements, each run as ``python -m benchmark NAME``; not tests, and not installed."""
