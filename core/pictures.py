"""What the picture library raises of files that are damaged, found by fuzzing it."""

import struct
import zlib

DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    struct.error,
    zlib.error,
)
"""Catch these around opening, decoding and turning a picture from outside, and nothing else."""
