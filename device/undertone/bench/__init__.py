"""Measures the size, latency, memory and real-time factor of a bundle on this machine."""
