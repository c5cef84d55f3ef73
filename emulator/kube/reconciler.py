"""What every controller is: a function from the stored objects to the changes that bring them nearer to their specs.

It stands between the store's events and the store's writes; the runtime carries both.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from emulator.api.objects.meta import Object
from emulator.api.store.index import Index
from emulator.errors import PodwireError


class AdmissionError(PodwireError):
    """An object that may not be stored: `problems` has one line for each reason, with the path in the object."""

    def __init__(self, kind: str, name: str, problems: list[str]) -> None:
        super().__init__(f"{kind} {name!r} is refused: {'; '.join(problems)}")
        self.problems = problems


class Key(Struct, frozen=True, order=True):
    """Names one object; `namespace` is empty for kinds that have none."""

    kind: str
    namespace: str
    name: str


class Create(Struct, frozen=True):
    """Add this object. If it is there already, nothing is done and the reconciler is asked again."""

    object: Object


class Replace(Struct, frozen=True):
    """Write the object's metadata and spec; stale resource versions make the reconciler be asked again."""

    object: Object


class UpdateStatus(Struct, frozen=True):
    """Replace the object's status, nothing else."""

    key: Key
    status: Mapping[str, Any]


class Delete(Struct, frozen=True):
    """Delete the object: with `grace` seconds where a kubelet must confirm, at once where it is 0 or None."""

    key: Key
    grace: int | None = None


class Requeue(Struct, frozen=True):
    """Ask again for `key` in `after` seconds, though nothing may have changed by then."""

    key: Key
    after: float


Change = Create | Replace | UpdateStatus | Delete | Requeue


class Moment(Struct, frozen=True):
    """The time and the randomness of one reconciliation, as arguments.

    `wall` is what goes into objects (RFC 3339, UTC, seconds: "2026-01-31T12:00:00Z"); `monotonic` is in seconds.
    """

    wall: str
    monotonic: float
    random_bits: int

    def suffix(self, salt: int = 0) -> str:
        """Return five characters of Kubernetes' safe alphabet (no vowels), drawn from `random_bits` and `salt`."""
        alphabet = "bcdfghjklmnpqrstvwxz2456789"
        number = (self.random_bits ^ (salt * 0x9E3779B97F4A7C15)) & (2**64 - 1)
        letters = []
        for _ in range(5):
            number, digit = divmod(number, len(alphabet))
            letters.append(alphabet[digit])
        return "".join(letters)


class Reader(Protocol):
    """The store as reconcilers see it. Objects are shared: never change one, build a new one."""

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """Return one object or None."""

    def list(self, kind: str, namespace: str | None = None) -> Iterable[Object]:
        """Return the objects of a kind, of one namespace or of all."""

    def kinds(self) -> Iterable[str]:
        """Return the keys of the kinds of which there are objects."""

    def find(self, index: Index, value: Hashable) -> Sequence[Object]:
        """Return the objects that have `value` in `index`."""

    def count(self, index: Index, value: Hashable) -> int:
        """Return how many objects have `value` in `index`."""


class Reconciler(Protocol):
    """One controller."""

    watches: frozenset[str]  # the kinds whose events concern it

    def keys(self, reader: Reader, event: Object) -> Iterable[Key]:
        """Return what must be looked at again because this object came, changed or went."""

    def reconcile(self, reader: Reader, key: Key, moment: Moment) -> list[Change]:
        """Return the changes that `key` needs now; an empty list when it is as it should be."""
