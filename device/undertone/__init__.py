"""Undertone hears how something is said: the runtime for the Raspberry Pi.

Nothing is imported here, so that ``undertone --help`` and every room can be had alone.
"""

__version__ = "0.1.0"
