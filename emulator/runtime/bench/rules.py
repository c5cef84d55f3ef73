"""How long it takes to load, print and first use very many rules, as kube-proxy writes them, inside one process.

With root, the real `iptables-restore` loads the same text into a namespace of its own beside it.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

from msgspec import Struct

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.service import Service
from emulator.api.objects.view import view
from emulator.kernel.kernel import Kernel
from emulator.kernel.netns import Netns
from emulator.kube.proxy.iptables.iptables import IptablesProxy
from emulator.kube.proxy.settings import ProxyNode, ProxySettings
from emulator.kube.proxy.tracker import ServiceTracker
from emulator.runtime.bench.cluster import BenchError
from emulator.runtime.bench.node_cost import service_objects
from emulator.runtime.bench.spread import Spread

RULES_A_SERVICE = 8
"""Of a Service port with two endpoints: one that dispatches, three of its own, four of its endpoints."""

_ENDPOINTS = ["10.244.1.2", "10.244.1.3"]
_NODE = ProxyNode("node-0", ("172.18.0.2",), "10.244.0.0/24", "")
KERNEL_LIMIT = 60.0
"""Seconds after which the real iptables-restore is stopped; some versions need quadratic time."""


class RulesReport(Struct, frozen=True, kw_only=True):
    """Seconds that `rules` rules take: `load` (iptables-restore), `save` (iptables-save), processor time.

    `update`: loading the whole text a second time over the first, as a full sync of kube-proxy does. `kernel` is the
    time of the real `iptables-restore` for the same text, None where it was not asked for; at `KERNEL_LIMIT` seconds it
    was stopped. `load_average` is the machine's before.
    """

    rules: int
    size: int
    load_average: float
    load: Spread
    update: Spread
    save: Spread
    kernel: float | None


def measure_rules(rules: int, runs: int, *, kernel: bool, say: Callable[[str], None]) -> RulesReport:
    """Load at least so many rules, `runs` times; `say` hears how it goes. Raises BenchError."""
    load_average = os.getloadavg()[0]
    services = max(1, -(-rules // RULES_A_SERVICE))
    say(f"writing the rules of {services:,} Services …")
    text = _text(services)
    done = []
    for number in range(1, runs + 1):
        say(f"loading, run {number} of {runs} …")
        done.append(_run(text))
    if kernel:
        say("this machine's iptables-restore …")
    return RulesReport(
        rules=text.count("\n-A "),
        size=len(text),
        load_average=load_average,
        load=Spread.of(load for load, _, _ in done),
        update=Spread.of(update for _, update, _ in done),
        save=Spread.of(save for _, _, save in done),
        kernel=_real(text) if kernel else None,
    )


def _text(services: int) -> str:
    objects = [service_objects(number, _ENDPOINTS) for number in range(services)]
    tracker = ServiceTracker(
        (view(service, Service) for service, _ in objects),
        (view(endpoint_slice, EndpointSlice) for _, endpoint_slice in objects),
    )
    return IptablesProxy(_NODE, ProxySettings()).sync(tracker, 0.0).iptables


def _run(text: str) -> tuple[float, float, float]:
    """Return the seconds to load, to load again, and to print."""
    netfilter = Netns(Kernel("bench", random.Random(1)), "root").netfilter
    times = [time.process_time()]
    netfilter.restore(text, noflush=True)
    times.append(time.process_time())
    netfilter.restore(text, noflush=True)
    times.append(time.process_time())
    netfilter.save()
    times.append(time.process_time())
    load, update, save = (after - before for before, after in pairwise(times))
    return load, update, save


def _real(text: str) -> float:
    with _namespace() as name:
        began = time.monotonic()
        command = ["ip", "netns", "exec", name, "iptables-restore", "--noflush"]
        try:
            subprocess.run(command, input=text, text=True, check=True, capture_output=True, timeout=KERNEL_LIMIT)
        except subprocess.CalledProcessError as error:
            raise BenchError(f"iptables-restore failed: {error.stderr.strip()}") from None
        except subprocess.TimeoutExpired:
            return KERNEL_LIMIT
        return time.monotonic() - began


@contextmanager
def _namespace() -> Iterator[str]:
    name = f"pwbench{os.getpid()}-rules"
    subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)
    try:
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
