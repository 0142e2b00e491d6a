"""The reference systems: published systems, rebuilt to be compared with ours.

They are recipes like any other.  This package has their features (by librosa, never on the device),
their networks, what their authors report, and what they cost.
"""
