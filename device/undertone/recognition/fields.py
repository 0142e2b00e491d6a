"""Types of the fields of a manifest, with their bounds."""

from typing import Annotated

from msgspec import Meta

Positive = Annotated[float, Meta(ge=1e-6, le=1e6)]
"""Not ``gt=0``: msgspec compares with the next number, a subnormal one, which is zero where
tflite-runtime for Arm was imported; zero would pass."""
Coefficient = Annotated[float, Meta(ge=-1e6, le=1e6)]
ZeroPoint = Annotated[int, Meta(ge=-128, le=127)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Name = Annotated[str, Meta(pattern=r"^[\w.+-]{1,100}\Z")]
"""The length of a bundle's name: more than ``undertone-train promote`` allows."""
