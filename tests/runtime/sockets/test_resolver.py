"""Names as glibc looks them up, against a name server of the test's own on the other side of a veth."""

from collections.abc import Callable

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from emulator.apps.environment import ResolveError
from emulator.packet import dns
from emulator.packet.address import ipv4_to_int
from emulator.packet.dns_record import AAAA, CNAME, A, Record
from emulator.runtime.sockets.network import NetnsNetwork
from emulator.runtime.sockets.resolver import ResolverSettings
from tests.runtime.conftest import Pair

Answers = dict[str, list[Record]]

WEB: Answers = {
    "web.default.svc.cluster.local.": [Record("web.default.svc.cluster.local.", A, 30, ipv4_to_int("10.96.0.7"))]
}


class Server:
    """Answers from a table; notes what it is asked. `transform` may spoil an answer."""

    def __init__(self, answers: Answers, transform: Callable[[dns.Message], dns.Message | None]) -> None:
        self.answers = answers
        self.transform = transform
        self.asked: list[str] = []
        self.asked6: list[str] = []

    async def run(self, pair: Pair) -> None:
        with pair.b.open_udp(53) as endpoint:
            while True:
                datagram = await endpoint.receive()
                response = self.answer(dns.Message.parse(datagram.payload))
                if response is not None:
                    await endpoint.send_to(response.build(), datagram.source)

    async def run_tcp(self, pair: Pair) -> None:
        async with await pair.b.open_tcp_listener(53) as listener:
            while True:
                async with await listener.accept() as stream:
                    query = dns.Message.parse((await stream.receive_some())[2:])
                    records = self.answers[query.questions[0].name] if query.questions[0].type == A else []
                    answer = query.reply(answers=tuple(records)).build()
                    await stream.send_all(len(answer).to_bytes(2, "big") + answer)

    def answer(self, query: dns.Message) -> dns.Message | None:
        name = query.questions[0].name
        if query.questions[0].type == AAAA:
            self.asked6.append(name)
            return self.transform(query.reply(dns.NXDOMAIN if name not in self.answers else dns.NOERROR))
        self.asked.append(name)
        records = self.answers.get(name)
        rcode = dns.NXDOMAIN if records is None else dns.NOERROR
        return self.transform(query.reply(rcode, tuple(records or ())))


async def resolve(
    pair: Pair, host: str, answers: Answers, transform: Callable[[dns.Message], dns.Message | None] = lambda each: each
) -> tuple[list[str], list[str]]:
    """Return what `host` resolves to, and the names that were asked for."""
    server = Server(answers, transform)
    outcome: list[str] | ResolveError
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run, pair)
        nursery.start_soon(server.run_tcp, pair)
        await trio.testing.wait_all_tasks_blocked()
        try:
            outcome = await pair.a.resolve(host)
        except ResolveError as error:
            outcome = error
        nursery.cancel_scope.cancel()
    if isinstance(outcome, ResolveError):
        raise outcome
    return outcome, server.asked


@pytest.mark.parametrize(
    ("host", "ndots", "expected"),
    [
        ("web", 5, ["web.one.", "web.two.", "web."]),
        ("web.ns", 1, ["web.ns.", "web.ns.one.", "web.ns.two."]),
        ("web.ns", 5, ["web.ns.one.", "web.ns.two.", "web.ns."]),
        ("web.", 5, ["web."]),
    ],
)
def test_search_list(host: str, ndots: int, expected: list[str]) -> None:
    assert list(ResolverSettings(search=("one", "two."), ndots=ndots).candidates(host)) == expected


async def test_short_name_through_the_search_list(pair: Pair, autojump_clock: MockClock) -> None:
    addresses, asked = await resolve(pair, "web", WEB)
    assert addresses == ["10.96.0.7"]
    assert asked == ["web.default.svc.cluster.local."]


async def test_addresses_and_hosts_are_not_asked_for(pair: Pair, autojump_clock: MockClock) -> None:
    for host, address in (("10.1.2.3", "10.1.2.3"), ("me", "10.0.0.1"), ("ME.", "10.0.0.1")):
        assert await resolve(pair, host, {}) == ([address], [])


async def test_alias_is_followed_within_the_answer(pair: Pair, autojump_clock: MockClock) -> None:
    name = "x.default.svc.cluster.local."
    records = [Record(name, CNAME, 30, "web.example."), Record("web.example.", A, 30, ipv4_to_int("192.0.2.1"))]
    assert (await resolve(pair, "x", {name: records}))[0] == ["192.0.2.1"]


async def test_unknown_name(pair: Pair, autojump_clock: MockClock) -> None:
    with pytest.raises(ResolveError, match=r"Could not resolve host: nope \(Name or service not known\)"):
        await resolve(pair, "nope", {})


async def test_truncated_answer_is_asked_for_again_over_tcp(pair: Pair, autojump_clock: MockClock) -> None:
    def truncate(message: dns.Message) -> dns.Message:
        return dns.Message(message.identifier, message.questions, is_response=True, truncated=True)

    assert (await resolve(pair, "web", WEB, truncate))[0] == ["10.96.0.7"]


async def test_silent_server_is_asked_twice_for_five_seconds_each(pair: Pair, autojump_clock: MockClock) -> None:
    start = trio.current_time()
    with pytest.raises(ResolveError, match="no name server answered"):
        await resolve(pair, "web.", WEB, lambda message: None)
    assert trio.current_time() - start == pytest.approx(10, abs=0.1)


async def test_answer_to_another_question_is_passed_over(pair: Pair, autojump_clock: MockClock) -> None:
    def forge(message: dns.Message) -> dns.Message:
        return dns.Message(message.identifier ^ 1, message.questions, message.answers, is_response=True)

    with pytest.raises(ResolveError):
        await resolve(pair, "web.", WEB, forge)


async def test_closed_port_is_no_long_wait(pair: Pair, autojump_clock: MockClock) -> None:
    start = trio.current_time()
    with pytest.raises(ResolveError, match="no name server answered"):
        await pair.a.resolve("web.")
    assert trio.current_time() - start < 1


@pytest.mark.parametrize("host", ["", "..", "a" * 64, "x." * 200])
async def test_what_is_no_host_name_is_said_so(pair: Pair, autojump_clock: MockClock, host: str) -> None:
    with pytest.raises(ResolveError, match="Could not resolve host"):
        await pair.a.resolve(host)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("ndots:5", "timeout:1", "attempts:3"), (5, 1.0, 3)),
        (("ndots:99", "timeout:99", "attempts:99"), (15, 30, 5)),
        (("rotate", "ndots:x"), (1, 5.0, 2)),
    ],
)
def test_options(options: tuple[str, ...], expected: tuple[int, float, int]) -> None:
    settings = ResolverSettings(options=options)
    assert (settings.ndots, settings.timeout, settings.attempts) == expected
    assert settings.has("rotate") is ("rotate" in options)


async def asked_with(pair: Pair, options: tuple[str, ...], drop: Callable[[dns.Message], bool]) -> tuple[float, Server]:
    """Look `web.` up with options, while the server is silent to some queries; return seconds and the server."""
    server = Server({"web.": [Record("web.", A, 5, 1)]}, lambda message: None if drop(message) else message)
    network = NetnsNetwork(pair.machine, pair.a.netns, ResolverSettings(("10.0.0.2",), options=options))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run, pair)
        nursery.start_soon(server.run_tcp, pair)
        await trio.testing.wait_all_tasks_blocked()
        begin = trio.current_time()
        assert await network.resolve("web.") == ["0.0.0.1"]
        took = trio.current_time() - begin
        nursery.cancel_scope.cancel()
    return took, server


async def test_addresses_of_both_families_are_asked_for_at_once(pair: Pair, autojump_clock: MockClock) -> None:
    took, server = await asked_with(pair, (), lambda _message: False)
    assert (server.asked, server.asked6, took < 0.1) == (["web."], ["web."], True)
    _, server = await asked_with(pair, ("no-aaaa",), lambda _message: False)
    assert (server.asked, server.asked6) == (["web."], [])
    took, server = await asked_with(pair, ("use-vc",), lambda _message: True)
    assert (server.asked, server.asked6, took < 0.1) == ([], [], True)  # over TCP, where it is not silent


async def test_a_server_that_takes_one_question_at_a_time_is_asked_for_the_other_alone(
    pair: Pair, autojump_clock: MockClock
) -> None:
    seen: list[int] = []

    def drop(message: dns.Message) -> bool:
        seen.append(message.questions[0].type)
        return seen.count(AAAA) == 1 and message.questions[0].type == AAAA

    took, _ = await asked_with(pair, (), drop)
    assert seen == [A, AAAA, AAAA]
    assert 5 <= took < 5.1
    seen.clear()
    took, _ = await asked_with(pair, ("single-request", "timeout:1"), drop)
    assert seen == [A, AAAA, A, AAAA]  # each alone, and both again after a second
    assert 1 <= took < 1.1


async def test_servers_take_turns_and_a_silent_one_costs_its_time(pair: Pair, autojump_clock: MockClock) -> None:
    settings = ResolverSettings(("10.0.0.9", "10.0.0.2"), options=("timeout:1",))
    server = Server({"web.": [Record("web.", A, 5, 1)]}, lambda message: message)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run, pair)
        await trio.testing.wait_all_tasks_blocked()
        begin = trio.current_time()
        assert await NetnsNetwork(pair.machine, pair.a.netns, settings).resolve("web.") == ["0.0.0.1"]
        assert 1 <= trio.current_time() - begin < 1.1
        turning = ResolverSettings(settings.nameservers, options=("rotate", "timeout:1"))
        network = NetnsNetwork(pair.machine, pair.a.netns, turning)
        times = []
        for _ in range(4):
            begin = trio.current_time()
            await network.resolve("web.")
            times.append(trio.current_time() - begin >= 1)
        assert times == [False, True, False, True]
        nursery.cancel_scope.cancel()


async def test_a_name_without_addresses_is_told_from_one_that_is_not(pair: Pair, autojump_clock: MockClock) -> None:
    with pytest.raises(ResolveError) as caught:
        await resolve(pair, "web.", {"web.": []})
    assert caught.value.reason == "No address associated with hostname"


async def test_an_outside_name_costs_eight_questions_with_ndots_5(pair: Pair, autojump_clock: MockClock) -> None:
    """What Kubernetes' search list of three is known for: four names, of two types each; with a dot at the end, two."""
    search = ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local")
    server = Server({"example.com.": [Record("example.com.", A, 5, 1)]}, lambda message: message)
    settings = ResolverSettings(("10.0.0.2",), search, options=("ndots:5",))
    network = NetnsNetwork(pair.machine, pair.a.netns, settings)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run, pair)
        await trio.testing.wait_all_tasks_blocked()
        await network.resolve("example.com")
        assert server.asked == server.asked6 == [*(f"example.com.{domain}." for domain in search), "example.com."]
        server.asked.clear()
        await network.resolve("example.com.")
        assert server.asked == ["example.com."]
        nursery.cancel_scope.cancel()
