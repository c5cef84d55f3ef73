"""The virtual and real servers of IPVS mode: what is there, what is wanted, and the `ipvsadm` lines between the two.

A real server that nobody wants any more goes gracefully: weight 0, and away once its connections have ended.
Source: pkg/proxy/ipvs/proxier.go (`syncService`, `syncEndpoint`), graceful_termination.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from emulator.kube.proxy.ipvs.service import Frontend, Scheduling, VirtualServer
from emulator.kube.proxy.service_port import ServicePortName

Connections = Callable[[Frontend, str], tuple[int, int]]
"""Active and inactive connections of a real server ("ip:port") of a virtual one."""

_OPTIONS = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}
_GRACEFUL = frozenset({"tcp"})
"""What IPVS knows the end of. Of other protocols the server goes at once; `expire_nodest_conn` ends what it had."""


class ServerState(Struct, frozen=True):
    """A virtual server as the node has it: the weights of its real servers by "ip:port"."""

    scheduling: Scheduling
    weights: Mapping[str, int]


class _Server:
    """A virtual server of the node, as it is after all lines given out so far."""

    __slots__ = ("leaving", "scheduling", "weights")

    def __init__(self, scheduling: Scheduling, weights: Mapping[str, int] | None = None) -> None:
        self.scheduling = scheduling
        self.weights = dict(weights or {})
        self.leaving: set[str] = set()  # weight 0, until their connections have ended


class Servers:
    """All virtual servers. What one service port changes is compared and written; the others are not looked at."""

    def __init__(
        self,
        present: Mapping[Frontend, ServerState],
        connections: Connections,
        is_excluded: Callable[[str], bool],
    ) -> None:
        """Begin with nothing wanted, on a node that has `present`.

        Servers at an address that `is_excluded` are never removed: somebody else made them.
        """
        self._connections = connections
        self._is_excluded = is_excluded
        self._there = {frontend: _Server(state.scheduling, state.weights) for frontend, state in present.items()}
        self._wanted: dict[Frontend, dict[ServicePortName, VirtualServer]] = {}
        self._touched = dict.fromkeys(present)
        self._leaving: dict[tuple[Frontend, str], None] = {}

    def __len__(self) -> int:
        """How many virtual servers the node has after all lines given out so far."""
        return len(self._there)

    @property
    def waits(self) -> bool:
        """Whether a real server is waiting for the end of its connections."""
        return bool(self._leaving)

    def add(self, name: ServicePortName, server: VirtualServer) -> None:
        """A service port wants this virtual server."""
        self._wanted.setdefault(server.frontend, {})[name] = server
        self._touched[server.frontend] = None

    def discard(self, name: ServicePortName, frontend: Frontend) -> None:
        """A service port no longer wants the virtual server there."""
        claims = self._wanted[frontend]
        del claims[name]
        if not claims:
            del self._wanted[frontend]
        self._touched[frontend] = None

    def take_lines(self) -> list[str]:
        """Return the lines that make the node's servers those that are wanted; servers that go come last."""
        lines: list[str] = []
        gone: list[str] = []
        for frontend in self._touched:
            claims = self._wanted.get(frontend)
            if claims is None:
                gone += self._remove(frontend)
            else:
                # Two Services may claim one external address and port; as in iptables mode the first by name has it.
                lines += self._change(claims[min(claims)])
        self._touched = {}
        return lines + gone

    def end_finished(self) -> list[str]:
        """Return the lines that remove the real servers whose connections have ended since they were given up."""
        lines = []
        for frontend, backend in list(self._leaving):
            if not any(self._connections(frontend, backend)):
                lines.append(self._delete(frontend, backend))
        return lines

    def _remove(self, frontend: Frontend) -> Iterable[str]:
        server = self._there.get(frontend)
        if server is None or self._is_excluded(frontend.address):
            return ()
        del self._there[frontend]
        for backend in server.leaving:
            del self._leaving[frontend, backend]
        return (f"-D {_service(frontend)}",)

    def _change(self, wanted: VirtualServer) -> list[str]:
        frontend = wanted.frontend
        server = self._there.get(frontend)
        lines = []
        if server is None:
            server = self._there[frontend] = _Server(wanted.scheduling)
            lines.append(f"-A {_service(frontend)} {_schedule(wanted.scheduling)}")
        elif server.scheduling != wanted.scheduling:
            server.scheduling = wanted.scheduling
            lines.append(f"-E {_service(frontend)} {_schedule(wanted.scheduling)}")
        for backend in wanted.backends:
            if backend in server.leaving:
                # One that comes back is a new server: what it had of weight, connections and order counts no more.
                lines.append(self._delete(frontend, backend))
            weight = server.weights.get(backend)
            if weight != 1:
                server.weights[backend] = 1
                lines.append(f"-{'a' if weight is None else 'e'} {_real(frontend, backend)} -m -w 1")
        unwanted = sorted(server.weights.keys() - wanted.backends - server.leaving)
        return lines + [self._give_up(frontend, backend) for backend in unwanted]

    def _give_up(self, frontend: Frontend, backend: str) -> str:
        """Delete a real server that has no connections, or let it have no new ones."""
        if frontend.protocol not in _GRACEFUL or not any(self._connections(frontend, backend)):
            return self._delete(frontend, backend)
        server = self._there[frontend]
        server.weights[backend] = 0
        server.leaving.add(backend)
        self._leaving[frontend, backend] = None
        return f"-e {_real(frontend, backend)} -m -w 0"

    def _delete(self, frontend: Frontend, backend: str) -> str:
        server = self._there[frontend]
        del server.weights[backend]
        server.leaving.discard(backend)
        self._leaving.pop((frontend, backend), None)
        return f"-d {_real(frontend, backend)}"


def _service(frontend: Frontend) -> str:
    return f"{_OPTIONS[frontend.protocol]} {frontend.address}:{frontend.port}"


def _real(frontend: Frontend, backend: str) -> str:
    return f"{_service(frontend)} -r {backend}"


def _schedule(scheduling: Scheduling) -> str:
    persistence = f" -p {scheduling.persistence}" if scheduling.persistence else ""
    flags = f" -b {','.join(scheduling.flags)}" if scheduling.flags else ""
    return f"-s {scheduling.scheduler}{persistence}{flags}"
