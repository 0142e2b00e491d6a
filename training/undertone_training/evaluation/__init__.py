"""Figures of runs and bundles on clips that they never learned from."""
