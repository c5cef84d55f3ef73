"""The hash table of a set as the kernel lays it out (ip_set_hash_gen.h), beside the dict that lookups use.

Which bucket and place an element has decides the order of `ipset list`, when the table doubles (`hashsize`), whether
a rule's `-j SET` finds room, and the size in memory. Buckets hold keys, or None for a place that was left.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

from msgspec import Struct

from emulator.kernel.netfilter.ipset.extension import Entry

Key = TypeVar("Key", bound=Hashable)

STEP = 2  # places that a bucket grows and shrinks by (AHASH_INIT_SIZE)
MOST_PLACES = 64  # AHASH_MAX_TUNED
_BUCKET = 32  # sizeof(struct hbucket)
_TABLE = 24  # sizeof(struct htable)
_REGION = 24  # sizeof(struct ip_set_region)
_REGION_BITS = 10


class Placed(enum.Enum):
    """How an attempt to add an element went."""

    ADDED = enum.auto()
    BUCKET_FULL = enum.auto()  # the table has to grow
    SET_FULL = enum.auto()


class Bucket(Generic[Key]):
    """`places` up to the last that was used; `size` of them are allocated.

    `left` has what was at a place that was left: the kernel does not clear its counters, and who comes next counts on.
    """

    __slots__ = ("left", "places", "size")

    def __init__(self) -> None:
        self.places: list[Key | None] = []
        self.size = STEP
        self.left: dict[int, Entry] | None = None


class Keys(Struct, Generic[Key], frozen=True):
    """What a table must know of its keys. `expired` is None for sets without timeouts.

    `same_network`, of types where a network may be there many times, says whether two keys hash alike on purpose.
    """

    hash: Callable[[Key], int]
    forget: Callable[[Key, Entry], None]  # called for each element that leaves
    expired: Callable[[Key], bool] | None
    same_network: Callable[[Key, Key], bool] | None
    counted: bool


class HashTable(Generic[Key]):
    """2 ** `bits` buckets of at most `bucket_size` elements, each of `element_size` bytes in the kernel's memory."""

    __slots__ = ("_element_size", "_keys", "allocated", "bits", "bucket_size", "buckets", "entries", "regions")

    def __init__(self, bits: int, bucket_size: int, element_size: int, keys: Keys[Key]) -> None:
        self.bits = bits
        self.bucket_size = bucket_size
        self._element_size = element_size
        self._keys = keys
        self.clear()

    def clear(self) -> None:
        """Forget all elements; the size stays."""
        self.entries: dict[Key, Entry] = {}
        self.buckets: dict[int, Bucket[Key]] = {}
        self.allocated = 0
        self.regions = [0] * (1 << max(0, self.bits - _REGION_BITS))  # elements in each

    def memory(self) -> int:
        """Return the bytes that the table takes, without the set's own structure and comments."""
        return _TABLE + _REGION * len(self.regions) + self.allocated

    def __iter__(self) -> Iterator[Key]:
        """Yield the keys in the kernel's order."""
        for index in sorted(self.buckets):
            for key in self.buckets[index].places:
                if key is not None:
                    yield key

    def index(self, key: Key) -> int:
        """Return a key's bucket."""
        return self._keys.hash(key) & (1 << self.bits) - 1

    @staticmethod
    def region(index: int) -> int:
        """Return the region that a bucket belongs to."""
        return index >> _REGION_BITS

    def add(self, key: Key, index: int, make: Callable[[Entry | None], Entry], *, full: bool, force: bool) -> Placed:
        """Put a new key into its bucket (mtype_add).

        `make` gives its entry, from what is left of another at its place. `full`: only into a place that was used;
        `force`: at another's cost.
        """
        bucket = self.buckets.get(index)
        if bucket is None:
            if full:
                return Placed.SET_FULL
            bucket = self.buckets[index] = Bucket()
            self.allocated += _BUCKET + STEP * self._element_size
            position = 0
        else:
            free = self._free_place(bucket.places)
            if free is None and force:
                free = 0
            if free is None:
                if full:
                    return Placed.SET_FULL
                outcome = self._extend(bucket, key)
                if outcome is not Placed.ADDED:
                    return outcome
            position = len(bucket.places) if free is None else free
        self._occupy(bucket, position, key, index, make)
        return Placed.ADDED

    def _free_place(self, places: list[Key | None]) -> int | None:
        expired = self._keys.expired
        if expired is None:
            return places.index(None) if None in places else None
        for position, key in enumerate(places):
            if key is None or expired(key):
                return position
        return None

    def _extend(self, bucket: Bucket[Key], key: Key) -> Placed:
        """Make sure of a place behind the last."""
        if len(bucket.places) < bucket.size:
            return Placed.ADDED
        same = self._keys.same_network
        if same is not None:
            if self.bucket_size >= MOST_PLACES:
                return Placed.SET_FULL
            if self.bucket_size <= sum(1 for other in bucket.places if other is not None and same(other, key)):
                self.bucket_size += STEP
        if bucket.size >= self.bucket_size:
            return Placed.BUCKET_FULL
        bucket.size += STEP
        self.allocated += _BUCKET + STEP * self._element_size
        return Placed.ADDED

    def _occupy(
        self, bucket: Bucket[Key], position: int, key: Key, index: int, make: Callable[[Entry | None], Entry]
    ) -> None:
        before = bucket.left.pop(position, None) if bucket.left else None
        if position == len(bucket.places):
            bucket.places.append(key)
        else:
            old = bucket.places[position]
            if old is not None:
                before = self.entries.pop(old)
                self.regions[self.region(index)] -= 1
                self._keys.forget(old, before)
            bucket.places[position] = key
        self.entries[key] = make(before)
        self.regions[self.region(index)] += 1

    def remove(self, key: Key) -> None:
        """Take a key out of its bucket, which shrinks when two places are free (mtype_del)."""
        index = self.index(key)
        bucket = self.buckets[index]
        places = bucket.places
        position = places.index(key)
        self._leave(bucket, position, key)
        self.regions[self.region(index)] -= 1
        if position + 1 == len(places):
            places.pop()  # others that were left stay until the bucket is compacted
        free = places.count(None)
        if free == len(places):
            self._free(index, bucket)
        elif free >= STEP:
            self._compact(bucket)

    def _leave(self, bucket: Bucket[Key], position: int, key: Key) -> None:
        entry = self.entries.pop(key)
        bucket.places[position] = None
        if self._keys.counted:
            bucket.left = bucket.left or {}
            bucket.left[position] = entry
        self._keys.forget(key, entry)

    def _free(self, index: int, bucket: Bucket[Key]) -> None:
        self.allocated -= _BUCKET + bucket.size * self._element_size
        del self.buckets[index]

    def _compact(self, bucket: Bucket[Key]) -> None:
        bucket.places = [key for key in bucket.places if key is not None]
        bucket.left = None
        bucket.size -= STEP
        self.allocated -= _BUCKET + STEP * self._element_size

    def collect(self, region: int) -> None:
        """Remove the elements of a region whose time is over (mtype_gc_do)."""
        expired = self._keys.expired
        if expired is None:
            return
        for index in [index for index in self.buckets if self.region(index) == region]:
            bucket = self.buckets[index]
            for position, key in enumerate(bucket.places):
                if key is not None and expired(key):
                    self._leave(bucket, position, key)
                    self.regions[region] -= 1
            free = bucket.places.count(None)
            if free >= bucket.size:
                self._free(index, bucket)
            elif free >= STEP:
                self._compact(bucket)

    def grow(self) -> None:
        """Double the table until every bucket has room; elements whose time is over stay behind (mtype_resize)."""
        expired = self._keys.expired
        entries = self.entries
        keys = list(self)
        if expired is not None:
            over = {key for key in keys if expired(key)}
            keys = [key for key in keys if key not in over]
            for key in over:
                self._keys.forget(key, entries[key])
        while True:
            self.bits += 1
            self.clear()
            if all(self._move(key, entries[key]) for key in keys):
                return

    def _move(self, key: Key, entry: Entry) -> bool:
        index = self.index(key)
        bucket = self.buckets.get(index)
        if bucket is None:
            bucket = self.buckets[index] = Bucket()
            self.allocated += _BUCKET + STEP * self._element_size
        elif len(bucket.places) >= bucket.size:
            if bucket.size >= self.bucket_size:
                return False
            bucket.size += STEP
            self.allocated += _BUCKET + STEP * self._element_size
        bucket.places.append(key)
        self.entries[key] = entry
        self.regions[self.region(index)] += 1
        return True
