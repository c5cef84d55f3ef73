"""The modes of kube-proxy by name; each is imported when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable

from emulator.errors import PodwireError
from emulator.kube.proxy.proxier import Proxier
from emulator.kube.proxy.settings import ProxyNode, ProxySettings


class UnknownModeError(PodwireError):
    """A mode that kube-proxy has not, or that this version has not yet."""

    def __init__(self, mode: str) -> None:
        super().__init__(f'proxy mode "{mode}" is not there; choose one of {", ".join(MODES)}')


def _iptables(node: ProxyNode, settings: ProxySettings) -> Proxier:
    from emulator.kube.proxy.iptables import IptablesProxy

    return IptablesProxy(node, settings)


MODES: dict[str, Callable[..., Proxier]] = {"iptables": _iptables}
"""What makes the proxier of a mode for a node: `MODES[mode](node, settings)`."""


def make_proxier(mode: str, node: ProxyNode, settings: ProxySettings) -> Proxier:
    """Return the proxier of a mode for one node. Raises UnknownModeError."""
    make = MODES.get(mode)
    if make is None:
        raise UnknownModeError(mode)
    return make(node, settings)
