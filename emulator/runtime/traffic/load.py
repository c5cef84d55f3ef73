"""Traffic from Python: what a script's `main` and tests make a report with.

```python
async def main(cluster, *, rate=60.0):
    load = Load(cluster, duration=10)
    load.add("browse", "deployment/web", "http://web/", rate=rate)
    load.at(5, "restart", "deployment/web")
    load.expect("errors == 0", "p99 < 100ms")
    return await load.run()
```
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import trio

from emulator.api.messages import LoadPace, LoadTarget
from emulator.api.traffic.assertion import Assertion, parse_assertion
from emulator.api.traffic.traffic import DEFAULT_DURATION, DEFAULT_NAMESPACE, LoadSpec, Phase, Verb
from emulator.api.traffic.url import parse_target_url
from emulator.apps.load.tally import Tally
from emulator.errors import PodwireError
from emulator.runtime.cluster.cluster import Cluster
from emulator.runtime.traffic.report import Report
from emulator.runtime.traffic.run import OnChange, OwnLoad, Plan, Run

Words = str | Sequence[str]
Targets = str | LoadTarget | Sequence[str | LoadTarget]


class Load:
    """Requests from a cluster's pods for `duration` seconds. Add loads, then `run`; words are as in traffic files."""

    def __init__(
        self,
        cluster: Cluster,
        duration: float = DEFAULT_DURATION,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        seed: int = 0,
        name: str = "traffic",
    ) -> None:
        self._cluster = cluster
        self._duration = duration
        self._namespace = namespace
        self._seed = seed
        self._name = name
        self._loads: list[LoadSpec] = []
        self._own: list[OwnLoad] = []
        self._phases: list[Phase] = []
        self._changes: list[tuple[float, str, OnChange]] = []
        self._assertions: list[Assertion] = []

    def add(
        self,
        name: str,
        clients: Words,
        targets: Targets,
        *,
        rate: float = 0.0,
        concurrency: int = 1,
        requests: int = 0,
        start: float = 0.0,
        duration: float | None = None,
        **pace: Any,
    ) -> None:
        """Add requests of some clients (all pods that the words mean) to some targets, in turn.

        `rate` (requests a second) makes an open loop, without it `concurrency` requests are under way; both are of all
        clients together. `pace`: what `LoadPace` has (poisson, timeout, pause, in_flight, keep, lookup_each).
        PodwireError for what cannot be.
        """
        given = [targets] if isinstance(targets, str | LoadTarget) else targets
        spec = LoadSpec(
            name=name,
            clients=(clients,) if isinstance(clients, str) else tuple(clients),
            targets=tuple(parse_target_url(target) if isinstance(target, str) else target for target in given),
            pace=LoadPace(duration=duration or max(0.0, self._duration - start), **pace),
            rate=rate,
            concurrency=concurrency,
            requests=requests,
            start=start,
        )
        self._check(spec)
        self._loads.append(spec)

    def call(
        self, name: str, request: Callable[[], Awaitable[str]], *, rate: float = 0.0, concurrency: int = 1, **pace: Any
    ) -> None:
        """Add requests that the script makes itself: `request` does one, and returns who answered ("" if unknown).

        It raises OSError, trio's errors of streams, or FailedError with the kind of the error, where it fails.
        """
        spec = LoadSpec(
            name=name,
            clients=("script",),
            targets=(LoadTarget(url=name, protocol="script"),),
            pace=LoadPace(duration=self._duration, **pace),
            rate=rate,
            concurrency=concurrency,
        )
        self._check(spec)
        self._own.append(OwnLoad(spec, _Called(request)))

    def at(self, seconds: float, verb: str | OnChange, what: str = "", *, replicas: int = 0) -> None:
        """Change the cluster so many seconds after the beginning.

        "scale", "restart" or "delete" a KIND/NAME, "apply" a file, or call a coroutine function of the script.
        """
        if not isinstance(verb, str):
            self._changes.append((seconds, what or getattr(verb, "__name__", "change"), verb))
            return
        try:
            known = Verb(verb)
        except ValueError:
            raise PodwireError(f"{verb}: must be one of {', '.join(verb.value for verb in Verb)}") from None
        file = Path(what) if known is Verb.APPLY else None
        self._phases.append(Phase(at=seconds, verb=known, what="" if file else what, replicas=replicas, file=file))

    def expect(self, *assertions: str, load: str = "", each: str = "") -> None:
        """Assert something of the report: `errors == 0`, `p99 < 50ms`. Without any, that no request fails.

        Of one load alone, and for each "client", "target" or "load" by itself. AssertionSyntaxError.
        """
        self._assertions += [parse_assertion(text, load=load, each=each) for text in assertions]

    async def run(self) -> Report:
        """Make the traffic, wait for the last answers, and return what came of it. PodwireError."""
        plan = Plan(
            name=self._name,
            namespace=self._namespace,
            seed=self._seed,
            loads=self._loads,
            own_loads=self._own,
            phases=self._phases,
            own_changes=self._changes,
            assertions=self._assertions,
        )
        return await Run(self._cluster, plan).run()

    def _check(self, spec: LoadSpec) -> None:
        names = {load.name for load in (*self._loads, *(own.spec for own in self._own))}
        if spec.name in names:
            raise PodwireError(f"load {spec.name}: there is one of this name already")
        if spec.rate < 0 or spec.concurrency < 1 or spec.pace.duration <= 0:
            raise PodwireError(f"load {spec.name}: a rate, a concurrency and a duration must be more than 0")


class _Called:
    """A request that is a script's function."""

    def __init__(self, request: Callable[[], Awaitable[str]]) -> None:
        self._request = request

    async def __call__(self, tally: Tally) -> str:
        """Make one request; its bytes are not known."""
        del tally
        return await self._request()

    async def aclose(self) -> None:
        """Nothing is kept."""
        await trio.lowlevel.checkpoint()
