"""Truncates a model after an operator, so that the time of each operator can be measured.

The runtimes' Python interfaces give no times of operators.  But the number of operators and the
list of outputs can be changed in place in a model's file: a model that ends after its third
operator is the same file with another count and another output.
"""

import struct

_SUBGRAPHS = 2  # the third field of the table Model in TFLite's schema
_OUTPUTS, _OPERATORS = 2, 3  # fields of the table SubGraph


def truncate(model: bytes, operators: int, output: int) -> bytes:
    """``model`` with only its first ``operators``, and the tensor ``output`` (index) as its output.

    ``model`` must have been loaded before, so that its offsets are known to be valid.
    """
    subgraphs = _field(model, _offset(model, 0), _SUBGRAPHS)
    first = _offset(model, subgraphs + 4)
    shorter = bytearray(model)
    struct.pack_into("<I", shorter, _field(model, first, _OPERATORS), operators)
    struct.pack_into("<i", shorter, _field(model, first, _OUTPUTS) + 4, output)
    return bytes(shorter)


def _field(model: bytes, table: int, number: int) -> int:
    """The offset of the vector in field ``number`` of the table at offset ``table``.

    A FlatBuffers table begins with the distance back to its vtable, which holds two lengths and
    then the distance from the table to each of its fields.
    """
    vtable = table - int(struct.unpack_from("<i", model, table)[0])
    distance = int(struct.unpack_from("<H", model, vtable + 4 + 2 * number)[0])
    return _offset(model, table + distance)


def _offset(model: bytes, at: int) -> int:
    return at + int(struct.unpack_from("<I", model, at)[0])
