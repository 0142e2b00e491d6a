"""The speech detector: the sounds it learns from, its training, and how the gate is measured."""
