"""The sample rate, in a module that imports nothing: NumPy would be half of a small process."""

SAMPLE_RATE_HZ = 16_000
"""The only sample rate inside the device: the one the models were trained at."""
