"""What a rule is evaluated in: the namespace and the hook. Everything about the packet is on the Skb."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.netfilter.hook import Hook

if TYPE_CHECKING:
    from emulator.kernel.netfilter.netfilter import Netfilter
    from emulator.kernel.netns import Netns


class Context:
    """One for each hook of a namespace, made once."""

    __slots__ = ("hook", "netfilter", "netns")

    def __init__(self, netfilter: Netfilter, hook: Hook) -> None:
        self.netfilter = netfilter
        self.netns: Netns = netfilter.netns
        self.hook = hook
