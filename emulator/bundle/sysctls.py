"""sysctl.txt, `sysctl -a`: values of the knobs that are emulated; all others are counted and passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.kernel.sysctl import CONF_PREFIX, SysctlError

if TYPE_CHECKING:
    from emulator.bundle.problem import Problems
    from emulator.kernel.netns import Netns

FILE = "sysctl.txt"
_FORWARD = "net.ipv4.ip_forward"
_BRIDGE = "net.bridge.bridge-nf-call-iptables"
_COMPLAINT = "sysctl: "  # what sysctl(8) says of what it may not read, in case standard error was saved too

# Known neighbours stay known: the answers to the probes that Linux would send them are in no file.
_NEVER_PROBED = {
    "net.ipv4.neigh.default.base_reachable_time_ms": 10**12,
    "net.ipv4.neigh.default.delay_first_probe_time": 10**9,
}
# Of what a replay has no use for: a node may well have its own connections run BBR.
_CONGESTION = {"net.ipv4.tcp_available_congestion_control", "net.ipv4.tcp_congestion_control"}
_NOT_TAKEN = frozenset(
    {*_NEVER_PROBED, *_CONGESTION, f"{CONF_PREFIX}all.forwarding", "net.netfilter.nf_conntrack_count"}
)


def load_sysctls(netns: Netns, text: str | None, problems: Problems) -> int:
    """Set the values; return how many lines are not of what is emulated."""
    values = {} if text is None else _read(text, problems)
    if text is None:
        problems.note(
            f"{FILE} is not there: forwarding is taken to be on, as on every Kubernetes node, and all else to be as "
            "Linux has it by default"
        )
    elif _BRIDGE not in values:
        netns.sysctl.set(_BRIDGE, 0)  # without br_netfilter there is no such knob
    if not _tells_of_forwarding(values):
        values[_FORWARD] = (0, "1")
        if text is not None:
            problems.note(f"{FILE} does not have {_FORWARD}: it is taken to be 1")
    ignored = 0
    for name in values:
        netns.sysctl.load(name)
    known = set(netns.sysctl.names())
    # ip_forward first, since it sets forwarding and accept_redirects of all links.
    for name in sorted(values, key=lambda name: name != _FORWARD):
        line, value = values[name]
        if name not in known or name in _NOT_TAKEN:
            ignored += 1
            continue
        try:
            netns.sysctl.set(name, value)
        except SysctlError:
            problems.add(f"{FILE}: line {line}", f"{value!r} is no value for {name}")
    for name, number in _NEVER_PROBED.items():
        netns.sysctl.set(name, number)
    return ignored


def _read(text: str, problems: Problems) -> dict[str, tuple[int, str]]:
    """Return each name with its line and value. In a link's name sysctl(8) prints a slash for a dot."""
    values: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#;" or stripped.startswith(_COMPLAINT):
            continue
        name, equals, value = stripped.partition("=")
        if not equals:
            problems.add(f"{FILE}: line {number}", "not `name = value`, as `sysctl -a` prints it")
            continue
        values[name.strip().replace("/", ".")] = (number, value.strip())
    return values


def _tells_of_forwarding(values: dict[str, tuple[int, str]]) -> bool:
    return _FORWARD in values or any(name.startswith(CONF_PREFIX) and name.endswith(".forwarding") for name in values)
