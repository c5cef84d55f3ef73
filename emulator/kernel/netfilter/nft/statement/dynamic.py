"""`add @hosts { ip saddr timeout 30s counter }`: sets that packets change (nft_dynset.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.nft.datatype import Scalar
from emulator.kernel.netfilter.nft.element import Counted, Data, Element
from emulator.kernel.netfilter.nft.expression.expression import Expression, Getter
from emulator.kernel.netfilter.nft.expression.lookup import bind_value
from emulator.kernel.netfilter.nft.statement.limit import Limit
from emulator.kernel.netfilter.nft.statement.statement import Counter, Statement, Step
from emulator.kernel.netfilter.nft.statement.verdict import NO_MATCH, Outcome
from emulator.kernel.netfilter.nft.time import format_time

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netfilter.nft.set import NftSet
    from emulator.kernel.netfilter.nft.table import NftTable
    from emulator.kernel.skb import Skb

DEFAULT_SIZE = 65_535


class Dynamic(Statement, frozen=True):
    """`operation` is add, update or delete; `timeout` is in milliseconds, 0 for the set's own."""

    operation: str
    set_name: str
    key: Expression
    timeout: int = 0
    counts: bool = False
    limit: Limit | None = None
    data: Scalar | Expression | None = None

    @property
    def needs_conntrack(self) -> bool:
        return self.key.needs_conntrack or (isinstance(self.data, Expression) and self.data.needs_conntrack)

    def set_names(self) -> tuple[str, ...]:
        return (self.set_name,)

    def format(self, state: object = None, *, stateless: bool = False) -> str:
        words = [self.key.format()]
        if self.timeout:
            words.append(f"timeout {format_time(self.timeout)}")
        if self.counts:
            words.append("counter")
        if self.limit is not None:
            words.append(self.limit.format())
        if self.data is not None:
            words.append(f": {self._data_words()}")
        return f"{self.operation} @{self.set_name} {{ {' '.join(words)} }}"

    def _data_words(self) -> str:
        if isinstance(self.data, Expression):
            return self.data.format()
        return f"0x{self.data:08x}" if isinstance(self.data, int) else f'"{self.data}"'

    def json(self, state: object = None, *, stateless: bool = False) -> object:
        if self.data is not None:  # libnftables has no JSON for it
            return self.format()
        element = self.key.json()
        if self.timeout:
            element = {"elem": {"val": element, "timeout": self.timeout // 1000}}
        values: dict[str, object] = {"op": self.operation, "elem": element}
        values["set"] = f"@{self.set_name}"
        if self.counts:
            values["stmt"] = [Counter().json(stateless=True)]
        if self.limit is not None:
            values["stmt"] = [self.limit.json()]
        return {"set": values}

    def bind(self, netfilter: Netfilter, table: NftTable, state: object) -> Step | None:
        found = table.sets[self.set_name]
        key = self.key.bind(netfilter)
        get_data = bind_value(self.data, netfilter, table) if isinstance(self.data, Expression) else None
        if self.operation == "delete":
            return _deleting(found, key)
        updates, limit, constant = self.operation == "update", self.limit, self.data

        def change(skb: Skb, context: Context) -> Outcome | None:
            value = key(skb, context)
            if value is None:
                return NO_MATCH
            element = found.exact(value)
            if element is None:
                data = get_data(skb, context) if get_data is not None else constant
                element = self._insert(found, value, data)  # type: ignore[arg-type]
                if element is None:
                    return NO_MATCH
            elif updates and element.expires:
                element.expires = context.netns.kernel.now + (self.timeout or found.declaration.timeout) / 1000
            if element.counter is not None:
                element.counter.packets += 1
                element.counter.bytes += len(skb.data) - skb.network
            if limit is None:
                return None
            step = element.limit_step
            if step is None:
                element.limit = limit
                step = element.limit_step = limit.bind(netfilter, table, limit.start(netfilter))
            return None if step is None else step(skb, context)

        return change

    def _insert(self, found: NftSet, key: Scalar | tuple[Scalar, ...], data: Data | None) -> Element | None:
        """Make an element, unless the set is full."""
        if found.full():
            return None
        element = Element(key, data, timeout=self.timeout, counter=Counted() if self.counts else None)
        found.start(element)
        found.storage.add(element)
        return element


def _deleting(found: NftSet, key: Getter) -> Step:
    def delete(skb: Skb, context: Context) -> Outcome | None:
        value = key(skb, context)
        if value is None:
            return NO_MATCH
        if found.exact(value) is not None:
            found.storage.remove(value)
        return None

    return delete
