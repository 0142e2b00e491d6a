"""Figures of runs and bundles on held-out clips."""
