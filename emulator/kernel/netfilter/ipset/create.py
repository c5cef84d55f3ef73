"""The options of `ipset create`, read and checked: which of them a type takes is in its class."""

from __future__ import annotations

from msgspec import Struct, field

from emulator.kernel.netfilter.ipset.extension import Extensions
from emulator.kernel.netfilter.ipset.family import UNSPEC, Family

DEFAULT_HASHSIZE = 1024
DEFAULT_MAXELEM = 65536
SMALLEST_HASHSIZE = 64
MOST_PER_BUCKET = 12  # AHASH_MAX_SIZE


class CreateOptions(Struct, frozen=True):
    """What a set is to be. None, for `netmask` and `initval`: not given. `first` and `last` are a bitmap's range."""

    family: Family = UNSPEC
    extensions: Extensions = field(default_factory=Extensions)
    hashsize: int = DEFAULT_HASHSIZE
    maxelem: int = DEFAULT_MAXELEM
    bucketsize: int = MOST_PER_BUCKET
    initval: int | None = None
    forceadd: bool = False
    netmask: int | None = None
    bitmask: int | None = None
    markmask: int = 0xFFFFFFFF
    size: int = 8
    first: int = 0
    last: int = 0
    cidr: int | None = None
