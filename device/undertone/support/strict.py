"""The base class for everything that is read from a file with a schema."""

import msgspec


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A frozen dataclass whose unknown, missing and mistyped keys are errors that name the key."""
