"""The reference systems: what users would otherwise pick, rebuilt to be measured beside ours.

They are recipes like any other; here are their features (by librosa, never on the device),
their networks, what their authors report, and what they cost.
"""
