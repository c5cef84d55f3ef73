"""One run of traffic: loads on all their nodes, changes of the cluster at their time, and the counts as they come in.

A node makes all requests of a load that are its pods'; here is one exchange for each load and node.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import trio
from msgspec import Struct

from emulator.api.messages import LOAD_RUN, ControlError, LoadClient, LoadNews, LoadParams
from emulator.api.traffic.assertion import Assertion, parse_assertion
from emulator.api.traffic.traffic import LoadSpec, Phase
from emulator.apps.load.generator import Generator, Request
from emulator.apps.load.tally import Tally
from emulator.errors import PodwireError
from emulator.runtime.cluster.cluster import Cluster
from emulator.runtime.control.client import ClientExchange
from emulator.runtime.traffic import changes, clients
from emulator.runtime.traffic.checks import check
from emulator.runtime.traffic.clients import ClientPlace
from emulator.runtime.traffic.report import Cell, Event, Report
from emulator.runtime.traffic.surroundings import Progress, Surroundings, surroundings

INTERVAL = 0.5
IMPLIED = ("errors == 0", "answered > 0")
"""What is asserted where a script asserts nothing."""

OnChange = Callable[[], Awaitable[None]]


class OwnLoad(Struct, frozen=True):
    """Requests that the script makes itself, in this process: `spec` has the pace, its targets are not looked at."""

    spec: LoadSpec
    request: Request


class Plan(Struct, frozen=True):
    """All that is to be done; `own_changes` are coroutine functions of the script, each with its time and its name."""

    name: str
    namespace: str
    seed: int
    loads: Sequence[LoadSpec] = ()
    own_loads: Sequence[OwnLoad] = ()
    phases: Sequence[Phase] = ()
    own_changes: Sequence[tuple[float, str, OnChange]] = ()
    assertions: Sequence[Assertion] = ()
    description: str = ""

    @property
    def duration(self) -> float:
        """Seconds until the last request is sent."""
        every = [*self.loads, *(own.spec for own in self.own_loads)]
        return max((load.start + load.pace.duration for load in every), default=0.0)


class Run:
    """One run of a plan. Use it once."""

    def __init__(self, cluster: Cluster, plan: Plan) -> None:
        self._cluster = cluster
        self._plan = plan
        self._around = surroundings.get() or Surroundings()
        self._cells: dict[tuple[str, str, str], Tally] = {}
        self._recent = Tally()
        self._seconds: dict[str, float] = {}
        self._events: list[Event] = []
        self._began = 0.0

    async def run(self) -> Report:
        """Make the traffic and return its report. PodwireError where a load's clients cannot be found."""
        plan = self._plan
        if not plan.loads and not plan.own_loads:
            raise PodwireError("no traffic: there is no load")
        places = {load.name: await clients.wanted(self._cluster, load, plan.namespace) for load in plan.loads}
        known = await self._pod_names()
        self._began = trio.current_time()
        self._around.running += 1
        try:
            async with trio.open_nursery() as beside:
                beside.start_soon(self._watch_progress)
                self._start_changes(beside)
                async with trio.open_nursery() as sending:
                    for load in plan.loads:
                        self._start_load(sending, load, places[load.name])
                    for own in plan.own_loads:
                        sending.start_soon(self._run_own, own)
                beside.cancel_scope.cancel()
        finally:
            self._around.running -= 1
        duration = trio.current_time() - self._began
        known |= await self._pod_names()
        return self._report(duration, known)

    def _report(self, duration: float, known: Mapping[str, str]) -> Report:
        plan = self._plan
        for tally in self._cells.values():
            named: dict[str, int] = {}
            for endpoint, count in tally.endpoints.items():
                name = known.get(endpoint, endpoint)
                named[name] = named.get(name, 0) + count
            tally.endpoints.clear()
            tally.endpoints.update(named)
        cells = tuple(Cell(*key, tally) for key, tally in self._cells.items())
        assertions = plan.assertions or [parse_assertion(text) for text in IMPLIED]
        every = [*plan.loads, *(own.spec for own in plan.own_loads)]
        return Report(
            name=plan.name,
            duration=duration,
            cells=cells,
            seconds=self._seconds,
            closed=frozenset(load.name for load in every if not load.rate),
            seed=plan.seed,
            events=tuple(sorted(self._events, key=lambda event: event.at)),
            checks=tuple(check(assertions, cells, self._seconds, duration)),
            interrupted=self._around.stop.is_set(),
            description=plan.description,
        )

    async def _pod_names(self) -> dict[str, str]:
        """Names of pods by their addresses, for endpoints that nodes knew no name of; not those on a node's address."""
        names = {}
        for pod in await self._cluster.objects("Pod"):
            if pod.get("status", {}).get("podIP") and not pod["spec"].get("hostNetwork"):
                namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
                shown = name if namespace == self._plan.namespace else f"{namespace}/{name}"
                names[str(pod["status"]["podIP"])] = shown
        return names

    # Loads

    def _start_load(self, nursery: trio.Nursery, load: LoadSpec, places: Sequence[ClientPlace]) -> None:
        """Start a load's part on each of its nodes."""
        nodes: dict[str, list[tuple[ClientPlace, LoadClient]]] = {}
        for place, client in clients.shares(load, places, self._plan.seed):
            nodes.setdefault(place.node, []).append((place, client))
            for target in load.targets:
                self._cells.setdefault((load.name, place.label, target.url), Tally())
        for node, parts in nodes.items():
            nursery.start_soon(self._run_on_node, load, node, parts)

    async def _run_on_node(self, load: LoadSpec, node: str, parts: Sequence[tuple[ClientPlace, LoadClient]]) -> None:
        if not await self._wait_until(load.start):
            return
        params = LoadParams(
            pace=load.pace, targets=load.targets, clients=tuple(client for _, client in parts), interval=INTERVAL
        )
        began = trio.current_time()
        take = partial(self._take, load, [place for place, _ in parts])
        try:
            async with (
                self._cluster.connect_node(node) as connection,
                connection.stream(LOAD_RUN, params) as exchange,
                trio.open_nursery() as nursery,
            ):
                nursery.start_soon(self._pass_stop, exchange)
                async for news in exchange:
                    take(news)
                take(await exchange.result())
                nursery.cancel_scope.cancel()
        except* (OSError, ControlError) as group:
            self._fail(f"load {load.name} on {node}: {_only(group)}")
        self._note_seconds(load, began)

    async def _wait_until(self, start: float) -> bool:
        """Wait for a time after the beginning; False if the traffic is ended before."""
        with trio.move_on_at(self._began + start):
            await self._around.stop.wait()
            return False
        return True

    async def _pass_stop(self, exchange: ClientExchange[LoadNews, LoadNews]) -> None:
        await self._around.stop.wait()
        await exchange.interrupt()

    def _take(self, load: LoadSpec, places: Sequence[ClientPlace], news: LoadNews) -> None:
        for part in news.tallies:
            key = (load.name, places[part.client].label, load.targets[part.target].url)
            self._cells[key].add(part)
            self._recent.add(part)
        for number in news.gone:
            self._say(f"client {places[number].label} went away, and sent no more of {load.name}")

    async def _run_own(self, own: OwnLoad) -> None:
        """Make the requests of the script in this process."""
        load = own.spec
        if not await self._wait_until(load.start):
            return
        began = trio.current_time()
        client = LoadClient(
            pod="",
            rate=load.rate,
            concurrency=load.concurrency,
            requests=load.requests,
            seed=f"{self._plan.seed}/{load.name}",
        )
        generator = Generator(client, load.pace, [own.request])
        whole = self._cells.setdefault((load.name, "script", load.name), Tally())

        def take() -> None:
            part = generator.tallies[0].take(0, 0)
            whole.add(part)
            self._recent.add(part)

        async with trio.open_nursery() as nursery:

            async def end_early() -> None:
                await self._around.stop.wait()
                nursery.cancel_scope.cancel()

            async def tell() -> None:
                while True:
                    await trio.sleep(INTERVAL)
                    take()

            nursery.start_soon(end_early)
            nursery.start_soon(tell)
            await generator.run()
            nursery.cancel_scope.cancel()
        take()
        self._note_seconds(load, began)

    def _note_seconds(self, load: LoadSpec, began: float) -> None:
        self._seconds[load.name] = max(self._seconds.get(load.name, 0.0), trio.current_time() - began)

    # Beside the loads

    def _start_changes(self, nursery: trio.Nursery) -> None:
        cluster, namespace = self._cluster, self._plan.namespace
        for phase in self._plan.phases:
            act = partial(changes.change, cluster, phase, namespace, self._say)
            nursery.start_soon(self._change, phase.at, str(phase), act)
        for at, name, own in self._plan.own_changes:
            nursery.start_soon(self._change, at, name, own)

    async def _change(self, at: float, name: str, act: OnChange) -> None:
        """Make a change at its time; the traffic's end ends it too, which is told."""
        try:
            await trio.sleep_until(self._began + at)
            await act()
        except trio.Cancelled:
            if not self._around.stop.is_set():
                self._fail(f"{name}: not through when the traffic ended")
            raise
        except (PodwireError, OSError) as error:
            self._fail(f"{name}: {error}")

    def _say(self, text: str) -> None:
        self._events.append(Event(trio.current_time() - self._began, text))

    def _fail(self, text: str) -> None:
        self._events.append(Event(trio.current_time() - self._began, text, failed=True))

    async def _watch_progress(self) -> None:
        last, sent, failed = self._began, 0, 0
        while self._around.on_progress is not None:
            await trio.sleep(INTERVAL)
            now, recent = trio.current_time(), self._recent
            self._recent = Tally()
            sent, failed = sent + recent.sent, failed + recent.failed
            rate, latency = recent.succeeded / (now - last), recent.latencies.percentile(0.99) / 1000
            elapsed, last = now - self._began, now
            self._around.on_progress(Progress(elapsed, self._plan.duration, sent, failed, rate, latency))


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
