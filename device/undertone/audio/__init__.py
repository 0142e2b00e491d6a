"""Samples in, Blocks out: the only rooms that touch sound hardware and sound files."""
