"""Frozen values with abstract methods, which matches and targets are.

They are Structs, since those are quick to define and to make: a dataclass takes CPython a millisecond to define, thirty
times as long, and a hundred of them would have to be there before the first node runs.
"""

from __future__ import annotations

from abc import ABCMeta

from msgspec import StructMeta


class AbstractStructMeta(StructMeta, ABCMeta):
    """The metaclass of a Struct that has abstract methods."""

    # Nothing is registered as a virtual subclass, which ABCMeta would look for at each isinstance that fails.
    __instancecheck__ = type.__instancecheck__
