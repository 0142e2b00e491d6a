"""Models that end early, by which the time of each operator is measured.

The runtimes' Python interfaces tell no operator's time.  But the list of operators and that of
outputs stand in a model's file as numbers that can be changed in place: a model that ends after
its third operator is the same file with another count and another output.
"""

import struct

_SUBGRAPHS = 2  # the third field of the table Model in TFLite's schema
_OUTPUTS, _OPERATORS = 2, 3  # fields of the table SubGraph


def truncate(model: bytes, operators: int, output: int) -> bytes:
    """``model`` with only its first ``operators``, and the tensor number ``output`` as its output.

    ``model`` is one that has been loaded, so that its offsets lie inside it.
    """
    subgraphs = _field(model, _offset(model, 0), _SUBGRAPHS)
    first = _offset(model, subgraphs + 4)
    shorter = bytearray(model)
    struct.pack_into("<I", shorter, _field(model, first, _OPERATORS), operators)
    struct.pack_into("<i", shorter, _field(model, first, _OUTPUTS) + 4, output)
    return bytes(shorter)


def _field(model: bytes, table: int, number: int) -> int:
    """Where the vector begins that is the field ``number`` of the table at ``table``.

    A FlatBuffers table begins with the distance back to its vtable, which holds two lengths and
    then the distance from the table to each of its fields.
    """
    vtable = table - int(struct.unpack_from("<i", model, table)[0])
    distance = int(struct.unpack_from("<H", model, vtable + 4 + 2 * number)[0])
    return _offset(model, table + distance)


def _offset(model: bytes, at: int) -> int:
    return at + int(struct.unpack_from("<I", model, at)[0])
