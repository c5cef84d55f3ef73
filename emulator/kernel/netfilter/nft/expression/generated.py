"""`numgen random mod 2`, `jhash ip saddr mod 4`: numbers that spread packets (nft_numgen.c, nft_hash.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.jhash import jhash
from emulator.kernel.netfilter.nft.datatype import Datatype, Order, integer
from emulator.kernel.netfilter.nft.expression.expression import Derived, Expression, Getter, Key

if TYPE_CHECKING:
    from emulator.kernel.netfilter.context import Context
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.skb import Skb

_NUMBER = integer(32, Order.HOST)


class Numgen(Expression, frozen=True):
    """`numgen inc mod 3 offset 100`: 100, 101, 102, 100 and so on; `random` draws."""

    random: bool
    modulus: int
    offset: int = 0

    @property
    def types(self) -> tuple[Datatype, ...]:
        return (_NUMBER,)

    def format(self) -> str:
        tail = f" offset {self.offset}" if self.offset else ""
        return f"numgen {'random' if self.random else 'inc'} mod {self.modulus}{tail}"

    def json(self) -> object:
        mode = "random" if self.random else "inc"
        return {"numgen": {"mode": mode, "mod": self.modulus, "offset": self.offset}}

    def bind(self, netfilter: Netfilter) -> Getter:
        modulus, offset = self.modulus, self.offset
        if self.random:
            kernel = netfilter.netns.kernel
            return lambda skb, context: kernel.choices.one_of(modulus) + offset
        counter = modulus - 1

        def increment(skb: Skb, context: Context) -> Key | None:
            nonlocal counter
            counter = counter + 1 if counter + 1 < modulus else 0
            return counter + offset

        return increment


class Jhash(Derived, frozen=True):
    """`jhash ip saddr . tcp dport mod 2 seed 0x5 offset 5`. Without a seed the kernel draws one."""

    modulus: int
    seed: int | None = None
    offset: int = 0

    @property
    def types(self) -> tuple[Datatype, ...]:
        return (_NUMBER,)

    def format(self) -> str:
        text = f"jhash {self.inner.format()} mod {self.modulus}"
        if self.seed is not None:
            text += f" seed {self.seed:#x}"
        return f"{text} offset {self.offset}" if self.offset else text

    def json(self) -> object:
        values: dict[str, object] = {"mod": self.modulus}
        if self.seed is not None:
            values["seed"] = self.seed
        if self.offset:
            values["offset"] = self.offset
        return {"jhash": {**values, "expr": self.inner.json()}}

    def bind(self, netfilter: Netfilter) -> Getter:
        seed = netfilter.netns.kernel.random.getrandbits(32) if self.seed is None else self.seed
        inner, kinds, modulus, offset = self.inner.bind(netfilter), self.inner.types, self.modulus, self.offset
        padded = len(kinds) > 1

        def hashed(skb: Skb, context: Context) -> Key | None:
            value = inner(skb, context)
            if value is None:
                return None
            values = value if isinstance(value, tuple) else (value,)
            parts = [kind.encode(each) for kind, each in zip(kinds, values, strict=True)]
            data = b"".join(part + bytes(-len(part) % 4) for part in parts) if padded else parts[0]
            return (jhash(data, seed) * modulus >> 32) + offset

        return hashed
