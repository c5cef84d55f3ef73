"""What a header was given, without what `build` computes: so a parsed one can be compared with the one it came from."""

from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

COMPUTED = ("checksum", "length", "total_length")

Header = TypeVar("Header", bound=Struct)


def without_computed(header: Header) -> Header:
    """Return the header with zeros for its computed fields."""
    return replace(header, **{name: 0 for name in COMPUTED if name in header.__struct_fields__})
