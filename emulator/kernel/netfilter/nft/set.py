"""A set or map of a table: its declaration, its elements with their timeouts, the order of a listing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.nft.datatype import IFNAME, Datatype
from emulator.kernel.netfilter.nft.element import Counted, Element, ElementKey, Span
from emulator.kernel.netfilter.nft.storage import ConcatenatedIntervals, Hash, Intervals, Storage

if TYPE_CHECKING:
    from emulator.kernel.kernel import Kernel
    from emulator.kernel.netfilter.nft.expression.expression import Key

FLAGS = ("constant", "dynamic", "interval", "timeout")  # in the order in which they are printed
VERDICT, COUNTER = "verdict", "counter"


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a set was declared with. `typeof`: the words of its key's (and data's) expressions, else the types' names.

    `data` is empty for a set, VERDICT or COUNTER for maps to these, and "value" where `data_types` says of what.
    Times are in milliseconds.
    """

    types: tuple[Datatype, ...]
    typeof: str = ""
    data: str = ""
    data_types: tuple[Datatype, ...] = ()
    data_typeof: str = ""
    flags: frozenset[str] = frozenset()
    timeout: int = 0
    gc_interval: int = 0
    size: int = 0
    policy: str = ""
    auto_merge: bool = False
    counts: bool = False
    comment: str = field(default="", compare=False)

    @property
    def interval(self) -> bool:
        """Whether elements may be intervals."""
        return "interval" in self.flags

    @property
    def names_are_numbers(self) -> bool:
        """Whether interface names are kept as numbers, so that patterns are intervals."""
        return self.interval and self.types == (IFNAME,)

    def type_words(self) -> str:
        """Print the types of the key."""
        return " . ".join(kind.name for kind in self.types)

    def data_words(self) -> str:
        """Print the type of a map's data."""
        return " . ".join(kind.name for kind in self.data_types) if self.data == "value" else self.data


class NftSet:
    """A set. `uses` counts the rules that look into it; `default` is the element `*`."""

    __slots__ = ("anonymous", "declaration", "default", "handle", "kernel", "name", "packet_size", "storage",
                 "users", "uses")  # fmt: skip

    def __init__(self, kernel: Kernel, name: str, declaration: Declaration, *, anonymous: bool = False) -> None:
        self.kernel = kernel
        self.name = name
        self.declaration = declaration
        self.anonymous = anonymous
        self.handle = 0
        self.uses = 0
        self.users: dict[str, int] = {}  # the chains whose rules they are
        self.packet_size = 0  # how many elements it may get from packets; set by the first rule that adds some
        self.default: Element | None = None
        self.storage: Storage = _storage(declaration)

    def __iter__(self) -> Iterator[Element]:
        now = self.kernel.now
        for element in self.storage:
            if not element.expires or element.expires > now:
                yield element
        if self.default is not None:
            yield self.default

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def find(self, key: Key) -> Element | None:
        """Return the living element that holds a packet's value."""
        element = self.storage.find(key)
        if element is not None and element.expires and element.expires <= self.kernel.now:
            element = None
        return self.default if element is None else element

    def exact(self, key: ElementKey) -> Element | None:
        """Return the living element with this very key, and let go of one whose time is over."""
        element = self.storage.exact(key)
        if element is not None and element.expires and element.expires <= self.kernel.now:
            self.storage.remove(key)
            return None
        return element

    def start(self, element: Element) -> None:
        """Begin an element's time, and its counter where the set counts."""
        timeout = element.timeout or self.declaration.timeout
        if element.timeout == self.declaration.timeout:
            element.timeout = 0
        if timeout and not element.expires:
            element.expires = self.kernel.now + timeout / 1000
        if self.declaration.counts and element.counter is None:
            element.counter = Counted()

    def full(self) -> bool:
        """Whether it may not grow; those whose time is over are let go of first."""
        size = self.declaration.size or self.packet_size
        if not size or len(self.storage) < size:
            return False
        self.collect()
        return len(self.storage) >= size

    def collect(self) -> None:
        """Let go of the elements whose time is over."""
        now = self.kernel.now
        for element in [each for each in self.storage if each.expires and each.expires <= now]:
            self.storage.remove(element.key)

    def sorted_elements(self) -> list[Element]:
        """Return the elements as a listing has them: ascending; concatenated intervals as they were added."""
        living = [element for element in self if element is not self.default]
        if isinstance(self.storage, Hash):
            living.sort(key=lambda element: sort_key(self.declaration.types, element))
        return living if self.default is None else [*living, self.default]


def sort_key(types: Sequence[Datatype], element: Element) -> int:
    """Return what nft sorts by: a number, of a concatenation that of its bytes with the last as the highest."""
    parts = [part.low if isinstance(part, Span) else part for part in element.parts()]
    if len(parts) == 1:
        return types[0].sort_key(parts[0])
    data = b"".join(kind.encode(part) for kind, part in zip(types, parts, strict=True))
    return int.from_bytes(data, "little")


def _storage(declaration: Declaration) -> Storage:
    if not declaration.interval:
        return Hash()
    return Intervals() if len(declaration.types) == 1 else ConcatenatedIntervals()
