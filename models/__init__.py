"""Bundles, data only: one folder each; see docs/bundle.md."""
