"""Draws conversations and their steps: what two hosts would say, with loss, repeats and oddities."""

from __future__ import annotations

import random

from tests.kernel_oracle.drawn.case import (
    CLIENT,
    PLAIN,
    SERVER,
    CheckStep,
    Conversation,
    Cut,
    DatagramStep,
    DeleteStep,
    EchoStep,
    ErrorStep,
    ExpireStep,
    SctpStep,
    Shape,
    Step,
    TcpStep,
    WaitStep,
)
from tests.kernel_oracle.drawn.packet import ACK, FIN, FLAWS, ICMP, PSH, RST, SCTP, SYN, TCP, UDP, URG
from tests.kernel_oracle.drawn.topology import CLIENT_PORTS, FAR, ODD, SERVER_PORTS, VIPS, Topology

_OTHER_PROTOCOLS = (47, 200, 50, 253)
_SYN_OPTIONS = (
    "", "", "020405b4", "020405b40402080a00000001000000000103030a", "020405b401030307", "0204010001030300",
    "02040fff04020101", "0101080a0000000100000000", "020402",
)  # fmt: skip
_DATA_OPTIONS = ("", "", "", "0101080a0000000200000001", "0101050a000003e8000007d0", "01010d00")
_SEQUENCE_ERRORS = (-1, 1, -1000, 1000, 70_000, -70_000, 1 << 31, 200_000, -2)
_IP_OPTIONS = (
    "01010100", "0707040000000000", "9404000001010100", "8307040808080800", "07030401", "4404050001010101",
    "440c0d010000000000000000", "070b080a0002020000000000", "0703030144040500", "44040ff001010101", "00112233",
    "0706040101010101", "440805f300000000", "07070400000000070704000000000001", "070804000000000101010101",
)  # fmt: skip


class Drawer:
    """Draws the traffic of one case. `flavour` makes one kind of it likely."""

    def __init__(self, r: random.Random, topology: Topology, flavour: str) -> None:
        self._r = r
        self._topology = topology
        self._flavour = flavour

    def conversations(self) -> tuple[Conversation, ...]:
        """Draw one to four, often alike, so that their tuples clash once they are translated."""
        r = self._r
        result: list[Conversation] = []
        for _ in range(r.choice((1, 1, 2, 2, 3, 4)) + (2 if self._flavour == "nat" else 0)):
            if result and r.random() < (0.7 if self._flavour == "nat" else 0.35):
                result.append(self._alike(r.choice(result)))
            else:
                result.append(self._conversation())
        self._own_sockets = not all(plan.link for plan in result)
        return tuple(result)

    def _conversation(self) -> Conversation:
        r = self._r
        if r.random() < 0.07:
            source = r.choice(self._topology.own_addresses)
            return Conversation(
                UDP, "", source, r.choice(CLIENT_PORTS), self._target(source, odd=False), r.choice(SERVER_PORTS)
            )
        link = r.choice(self._topology.links)
        source = r.choice(link.hosts)
        if r.random() < 0.03:
            source = r.choice((*ODD, *FAR, *self._topology.own_addresses, *self._topology.hosts))
        protocols = (TCP, UDP, ICMP, SCTP, r.choice(_OTHER_PROTOCOLS))
        protocol = r.choices(protocols, self._protocol_weights())[0]
        sport = r.choice(CLIENT_PORTS) if protocol != ICMP else r.choice((7, 8))
        return Conversation(protocol, link.name, source, sport, self._target(source), r.choice(SERVER_PORTS))

    def _protocol_weights(self) -> tuple[float, ...]:
        return {"tcp": (9, 1, 1, 0.3, 0.1), "fragments": (1, 5, 3, 0.3, 0.5), "sctp": (1, 1, 1, 9, 0.1)}.get(
            self._flavour, (6, 4, 2, 0.5, 0.3)
        )

    def _target(self, source: str, *, odd: bool = True) -> str:
        r = self._r
        kind = r.random()
        if kind < 0.6:
            return r.choice([host for host in self._topology.hosts if host != source])
        if kind < 0.78:
            return r.choice(VIPS)
        if kind < 0.9:
            return r.choice(self._topology.own_addresses)
        return r.choice(FAR) if kind < 0.96 or not odd else r.choice(ODD)

    def _alike(self, other: Conversation) -> Conversation:
        r = self._r
        link = r.choice(self._topology.links)
        source = r.choice([host for host in link.hosts if host != other.target])
        return Conversation(other.protocol, link.name, source, other.sport, other.target, other.dport)

    # Steps

    def steps(self, conversations: tuple[Conversation, ...]) -> tuple[Step, ...]:
        """Draw the steps of all conversations, shuffled into each other, with the machine's own events between."""
        r = self._r
        queues = [self._of(number, plan) for number, plan in enumerate(conversations)]
        steps: list[Step] = []
        while any(queues):
            queue = r.choice([queue for queue in queues if queue])
            count = r.choice((1, 1, 2, 3, 6))
            steps += queue[:count]
            del queue[:count]
            if r.random() < 0.1:
                steps.append(self._error())
            if r.random() < 0.03:
                steps.append(self._event())
        return tuple(steps[:60])

    def _of(self, number: int, plan: Conversation) -> list[Step]:
        if plan.protocol == TCP:
            return list(self._tcp(number))
        if plan.protocol == SCTP:
            return self._sctp(number)
        if plan.protocol == ICMP:
            return list(self._echo(number))
        return list(self._datagrams(number))

    def _event(self) -> Step:
        r = self._r
        kind = r.random()
        if kind < 0.35:
            return ExpireStep(r.choice(("tcp", "udp", "icmp", "")), 0)
        if kind < 0.5:
            return DeleteStep(r.choice(("tcp", "udp", "icmp")))
        if kind < 0.97:
            return CheckStep()
        return WaitStep(r.choice((0.1, 1.1, 2.2)))

    def _error(self) -> ErrorStep:
        r = self._r
        kind, code = r.choice(((3, 3), (3, 1), (3, 4), (11, 0), (11, 1), (12, 0), (5, 1), (3, 13), (4, 0), (3, 0)))
        if (kind, code) == (3, 4) and self._own_sockets:
            code = 3  # path MTUs of our own outlive a case
        info = {3: r.choice((0, 0, 1400, 576)), 5: 0x0A000202}.get(kind, 0)
        quote = r.choice((28, 28, 28, 48, 128, 24, 20, 10, 27))
        return ErrorStep(
            r.choice((0, 0, 0, 1, 2, 4)), kind, code, info, quote, r.random() < 0.3, self._shape(0.05, cut=False)
        )

    def _shape(self, oddness: float = 0.05, *, cut: bool = True) -> Shape:
        r = self._r
        if self._flavour == "malformed":
            oddness = max(oddness, 0.4)
        cut_chance = 0.5 if self._flavour == "fragments" else 0.04
        plan = self._cut() if cut and r.random() < cut_chance else None
        lost = r.random() < 0.05
        if r.random() >= oddness:
            return Shape(cut=plan, lost=lost, ttl=r.choice((63, 63, 62, 128))) if plan or lost else PLAIN
        return Shape(
            ttl=r.choice((63, 63, 63, 1, 2, 255, 0, 3)),
            tos=r.choice((0, 0, 0, 0x10, 0xB8, 0x03)),
            dont_fragment=r.random() < 0.3,
            options=r.choice(_IP_OPTIONS) if r.random() < 0.25 else "",
            flaw=r.choice(FLAWS) if r.random() < 0.5 else "",
            cut=plan,
            lost=lost,
        )

    def _cut(self) -> Cut:
        r = self._r
        units = tuple(r.choice((1, 1, 2, 3, 5, 10, 60)) for _ in range(r.randint(1, 4)))
        order = list(range(len(units) + 1))
        if r.random() < 0.5:
            r.shuffle(order)
        if r.random() < 0.1:
            order.append(r.choice(order))
        overlap = 1 if r.random() < 0.1 else 0
        return Cut(units, tuple(order), overlap, r.randrange(len(units) + 1) if r.random() < 0.1 else -1)

    def _length(self) -> int:
        lengths = (0, 1, 10, 100, 100, 500, 1400, 1460)
        return self._r.choice((*lengths, 2000, 3000) if self._flavour == "fragments" else lengths)

    def _datagrams(self, number: int) -> list[Step]:
        r = self._r
        sides = [CLIENT] + [r.choice((CLIENT, SERVER, SERVER)) for _ in range(r.randint(1, 6))]
        return [DatagramStep(number, side, self._length(), self._shape()) for side in sides]

    def _echo(self, number: int) -> list[Step]:
        r = self._r
        steps: list[Step] = []
        for sequence in range(r.randint(1, 4)):
            kind = 8 if r.random() < 0.92 else r.choice((13, 17, 15, 0, 42))
            steps.append(EchoStep(number, CLIENT, kind, sequence, self._length(), self._shape()))
            if r.random() < 0.8:
                answer = {8: 0, 13: 14, 17: 18, 15: 16}.get(kind, 0)
                steps.append(EchoStep(number, SERVER, answer, sequence, self._length(), self._shape()))
        return steps

    def _sctp(self, number: int) -> list[Step]:
        """An association's chunks in order, with some left out, doubled, of another kind or with a wrong tag."""
        r = self._r
        first, last = r.sample((CLIENT, SERVER), 2)
        plan = [(CLIENT, 1), (SERVER, 2), (CLIENT, 10), (SERVER, 11)]
        plan += [(side, chunk) for _ in range(r.randint(0, 3)) for side, chunk in ((first, 0), (last, 3))]
        plan += [(r.choice((CLIENT, SERVER)), r.choice((4, 5)))] if r.random() < 0.3 else []
        plan += [(first, 7), (last, 8), (first, 14)] if r.random() < 0.6 else [(first, 6)]
        steps: list[Step] = []
        for side, chunk in plan[: r.randint(1, len(plan))]:
            kind = r.random()
            tag = r.choice((1, 1 << 31)) if r.random() < 0.05 else 0
            step = SctpStep(number, side, chunk, tag, r.choice((0, 4, 30)), self._shape(0.03))
            steps += [] if kind < 0.06 else [step, step] if kind < 0.12 else [step]
            if kind > 0.92:
                steps.append(SctpStep(number, r.choice((CLIENT, SERVER)), r.choice((0, 1, 2, 6, 7, 9, 10, 14, 192))))
        return steps

    # TCP

    def _tcp(self, number: int) -> list[Step]:
        r = self._r
        steps: list[Step] = []
        for _ in range(r.choice((1, 1, 1, 2))):  # the second time the same ports are used again
            steps += self._one_connection(number)
        oddness = r.choice((0, 0.05, 0.15, 0.4))
        result: list[Step] = []
        for step in steps:
            if isinstance(step, TcpStep) and r.random() < oddness:
                result += self._odd(step)
            else:
                result.append(step)
        return result

    def _one_connection(self, number: int) -> list[Step]:
        r = self._r
        window = r.choice((1000, 1000, 65_535, 100, 0, 5840))

        def say(side: int, flags: int, length: int = 0, options: str = "") -> TcpStep:
            return TcpStep(number, side, flags, length, 0, 0, window, options, self._shape(0.03))

        steps: list[Step] = [
            say(CLIENT, SYN, 0, r.choice(_SYN_OPTIONS)),
            say(SERVER, SYN | ACK, 0, r.choice(_SYN_OPTIONS)),
            say(CLIENT, ACK),
        ]
        for _ in range(r.randint(0, 4)):
            side = r.choice((CLIENT, SERVER))
            steps.append(say(side, ACK | r.choice((0, PSH)), self._length(), r.choice(_DATA_OPTIONS)))
            steps.append(say(1 - side, ACK, 0, r.choice(_DATA_OPTIONS)))
        first = r.choice((CLIENT, SERVER))
        ending = r.random()
        if ending < 0.6:
            steps += [say(first, FIN | ACK), say(1 - first, ACK), say(1 - first, FIN | ACK), say(first, ACK)]
        elif ending < 0.8:
            steps.append(say(first, r.choice((RST, RST | ACK))))
        start = r.choice((0, 0, 0, 0, 0, 0, 1, 2))
        return steps[start : r.randint(start + 1, len(steps)) if r.random() < 0.5 else len(steps)]

    def _odd(self, step: TcpStep) -> list[Step]:
        r = self._r
        kind = r.randrange(8)
        number, side = step.conversation, step.side
        if kind == 0:
            return []
        if kind == 1:
            grown = step.length + bool(step.flags & SYN) + bool(step.flags & FIN)
            return [step, TcpStep(number, side, step.flags, step.length, -grown, 0, step.window, step.options)]
        if kind == 2:
            return [TcpStep(number, side, r.randrange(64), step.length, 0, 0, step.window, step.options)]
        if kind == 3:
            return [TcpStep(number, side, step.flags, step.length, r.choice(_SEQUENCE_ERRORS), 0, step.window), step]
        if kind == 4:
            return [TcpStep(number, side, step.flags, step.length, 0, r.choice(_SEQUENCE_ERRORS), step.window), step]
        if kind == 5:
            wrong = r.choice((0, 0, 1, -1, 500, -500, 100_000))
            return [step, TcpStep(number, r.choice((0, 1)), r.choice((RST, RST | ACK)), 0, wrong, 0, 0)]
        if kind == 6:
            return [step, TcpStep(number, r.choice((0, 1)), SYN, 0, r.choice((0, 100_000, -5)), 0, step.window)]
        return [step, TcpStep(number, r.choice((0, 1)), r.choice((FIN, FIN | URG, SYN | FIN, SYN | ACK, 0, ACK)), 0)]
