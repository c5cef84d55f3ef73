"""What the launcher does once, so that no process does it again after its fork: imports, and what first uses build.

Each page that a process writes to becomes its own, and each millisecond of a first use is spent by all of them at once.
"""

from __future__ import annotations

import gc
import hashlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress

import msgspec

from emulator.api import messages
from emulator.api.messages import ClientMessage, Method, Response
from emulator.api.objects import EndpointSlice, Node, Pod, Service
from emulator.kernel.netfilter.match import MATCHES
from emulator.kernel.netfilter.target import TARGETS
from emulator.kube.proxy.modes import make_proxier
from emulator.kube.proxy.settings import ProxyNode, ProxySettings
from emulator.runtime.programs import find_command, import_programs
from emulator.runtime.supervisor.arguments import CloudArguments, ControllerArguments, NodeArguments

_VIEWS = (Node, Pod, Service, EndpointSlice)
_MATCHES = ("addrtype", "comment", "conntrack", "mark", "statistic", "tcp", "udp")
_TARGETS = ("ACCEPT", "DNAT", "DROP", "MARK", "MASQUERADE", "REJECT", "RETURN")
"""What the rules of kube-proxy and of the CNI are made of; whatever else rules name is imported when they do."""
_POOL_SIZE = 16_384
_POOL_HEADER = 48
_BLOCK_SIZES = range(48, 513, 16)
"""Of CPython's allocator (Objects/obmalloc.c): blocks of one size lie in pools, behind a header."""
_MOST_BLOCKS = 100_000  # where Python has another allocator there are no pools to fill

_FIRST_COMMAND = "curl"  # what most people run first; all commands would take a tenth of a second


def warm_up(proxy_mode: str, programs: Iterable[str]) -> list[bytes]:
    """Import programs and kube-proxy's mode, have msgspec look at what will cross a wire, and settle the heap.

    The collector runs from then on, and leaves alone what there is by then: looking at an object writes to it, and so
    copies its page. What is returned fills gaps of the heap, and is to be kept.
    """
    import_programs(programs)
    make_proxier(proxy_mode, ProxyNode("launcher"), ProxySettings())
    for match in _MATCHES:
        MATCHES[match]
    for target in _TARGETS:
        TARGETS[target]
    find_command(_FIRST_COMMAND)
    hashlib.sha256().digest()  # OpenSSL sets itself up
    types: list[object] = [*_VIEWS, Response, NodeArguments, ControllerArguments, CloudArguments]
    types += ClientMessage.__args__
    for value in vars(messages).values():
        if isinstance(value, Method):
            types += [value.params, value.event, value.result]
    for each in types:
        with suppress(msgspec.ValidationError, NotImplementedError):
            msgspec.convert({}, each)
    # CPython's cache of attributes holds names that a fork throws out, which writes to the pages they lie on.
    sys._clear_type_cache()
    fillers = list(_fillers())
    gc.freeze()
    gc.enable()
    return fillers


def _fillers() -> Iterator[bytes]:
    """Yield objects that take the free blocks between those in use, for each size of small blocks.

    What a process makes after its fork lies together then, in pools of its own, and not on pages with old objects
    here and there, each of which would be copied for it.
    """
    for size in _BLOCK_SIZES:
        length = size - b"".__sizeof__()
        for _ in range(_MOST_BLOCKS):
            filler = bytes(length)
            yield filler
            if id(filler) % _POOL_SIZE == _POOL_HEADER:
                break  # the first block of a fresh pool: no other pool had one left
