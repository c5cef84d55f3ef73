"""Which hooks each chain of a table can be reached from, and how deep: what a change may not make wrong.

Linux looks at it when rules change (nft_chain_validate). Most changes are seen to be right by the bounds that chains
keep (`Chain.height`, `Chain.hooks`), in time that grows with the change; where they do not tell, all is looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from typing import TYPE_CHECKING

from emulator.kernel.netfilter.error import KernelError
from emulator.kernel.netfilter.hook import Hook
from emulator.kernel.netfilter.iptables.chain import ALL_HOOKS

if TYPE_CHECKING:
    from emulator.kernel.netfilter.iptables.draft import Draft
    from emulator.kernel.netfilter.iptables.table import Table

_DEEPEST = 16  # jumps, one in another (NFT_JUMP_STACK_SIZE)
_ENDLESS = 1 << 16  # the height of chains in a loop that no packet gets to
Bound = tuple[int, int]
"""A chain's height and hooks."""


@cache
def bits_of(hooks: frozenset[Hook]) -> int:
    """Return hooks as bits."""
    return sum(1 << hook for hook in hooks)


def names_of(hooks: Collection[Hook]) -> str:
    """Return the names of hooks, in the order of a packet's way."""
    return ", ".join(hook.name for hook in Hook if hook in hooks)


def settle(draft: Draft, jumps: Mapping[str, Collection[str]]) -> bool:
    """Give each changed chain its bounds; return whether these tell that the whole is right.

    `jumps` has where the new rules of each changed chain jump to. Bounds only grow here: what a rule that went leaves
    too high is found when the bounds do not tell. A chain that was there and whose bounds grow does not tell either,
    since those that jump to it are not known.
    """
    settled: dict[str, Bound] = {}
    for name, chain in draft.own.items():
        bound = _bound(name, draft, jumps, settled, 0)
        if bound is None:
            return False
        height, hooks = chain.height, chain.hooks = bound
        live = draft.live(name)
        if chain.builtin:
            if height >= _DEEPEST or not hooks >> Hook[name] & 1:
                return False
        elif live is not None and (height > live.height or live.hooks & ~hooks):
            return False
    return True


def _bound(
    name: str, draft: Draft, jumps: Mapping[str, Collection[str]], settled: dict[str, Bound], depth: int
) -> Bound | None:
    """Return height and hooks of a chain; None for a loop, or for more jumps than may be."""
    if name in settled:
        return settled[name]
    chain = draft[name]
    if name not in draft.own:
        return chain.height, chain.hooks
    if depth > _DEEPEST:  # as in a loop
        return None
    height, hooks = chain.height, chain.hooks
    for target in jumps.get(name, ()):
        if target not in draft:  # the rule went again, and then the chain
            continue
        below = _bound(target, draft, jumps, settled, depth + 1)
        if below is None:
            return None
        height = max(height, below[0] + 1)
        hooks &= below[1]
    settled[name] = height, hooks
    return height, hooks


def check_whole(table: Table, draft: Draft) -> Mapping[str, Bound]:
    """Look at the whole table; return each chain's exact height and hooks. KernelError for what is wrong."""
    jumps = {chain.name: {rule.spec.jump for rule in chain.rules if rule.spec.jump} for chain in draft.values()}
    special = {
        chain.name: [part for rule in chain.rules for part in rule.spec.parts() if len(part.hooks) < len(Hook)]
        for chain in draft.values()
    }
    for hook in table.kind.hooks:
        for name in _reachable(hook.name, jumps):
            for part in special[name]:
                if hook not in part.hooks:
                    allowed = names_of(part.hooks)
                    why = f"{part.name} in chain {name} is reached from {hook.name}, not only {allowed}"
                    raise KernelError("Invalid argument", why)
    own = dict.fromkeys(draft, ALL_HOOKS)
    for name, parts in special.items():
        for part in parts:
            own[name] &= bits_of(part.hooks)
    return _exact(jumps, own)


def _reachable(start: str, jumps: Mapping[str, set[str]]) -> set[str]:
    """Return the chains that packets can get to from one. KernelError for a loop or too many jumps in one another."""
    depth = {start: 0}
    order = [start]
    for name in order:  # grows while it is walked: a chain comes again when it is found deeper
        for target in jumps[name]:
            if depth.get(target, -1) < depth[name] + 1:
                depth[target] = depth[name] + 1
                if depth[target] >= _DEEPEST:
                    why = f"jumps from {start} loop or go over {_DEEPEST - 1} deep, at {target}"
                    raise KernelError("Too many links", why)
                order.append(target)
    return set(depth)


def _exact(jumps: Mapping[str, set[str]], own: Mapping[str, int]) -> dict[str, Bound]:
    """Return each chain's bounds. Those in loops, which no packet gets to, and above them get none that could tell."""
    bounds = dict.fromkeys(jumps, (_ENDLESS, 0))
    callers: dict[str, list[str]] = {}
    waiting = {name: len(targets) for name, targets in jumps.items()}
    for name, targets in jumps.items():
        for target in targets:
            callers.setdefault(target, []).append(name)
    ready = [name for name, count in waiting.items() if not count]
    for name in ready:  # grows while it is walked: a chain comes once all that it jumps to has come
        height, hooks = 0, own[name]
        for target in jumps[name]:
            height = max(height, bounds[target][0] + 1)
            hooks &= bounds[target][1]
        bounds[name] = height, hooks
        for caller in callers.get(name, ()):
            waiting[caller] -= 1
            if not waiting[caller]:
                ready.append(caller)
    return bounds
