"""The knobs of one namespace under the names that sysctl(8) knows; whoever owns a knob registers it with its default.

Knobs that every packet reads are plain attributes: `Sysctl.default_ttl`, and `LinkConf` for net.ipv4.conf.LINK.*.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from functools import partial

from msgspec import Struct

from emulator.errors import PodwireError

CONF_PREFIX = "net.ipv4.conf."
INERT_PREFIXES = ("fs.", "kernel.", "net.core.", "net.ipv4.tcp_", "vm.")
"""Of names that `inert_knobs.py` makes known, if nobody else does."""

# net/ipv4/devinet.c, ipv4_devconf_dflt; `all` starts with accept_source_route off.
CONF_DEFAULTS = {
    "accept_local": 0,
    "accept_redirects": 1,
    "accept_source_route": 1,
    "arp_accept": 0,
    "arp_announce": 0,
    "arp_filter": 0,
    "arp_ignore": 0,
    "arp_notify": 0,
    "forwarding": 0,
    "ignore_routes_with_linkdown": 0,
    "log_martians": 0,
    "proxy_arp": 0,
    "route_localnet": 0,
    "rp_filter": 0,
    "secure_redirects": 1,
    "send_redirects": 1,
    "shared_media": 1,
    "src_valid_mark": 0,
}

PLAIN_DEFAULTS = {
    "net.ipv4.fib_multipath_hash_fields": 7,
    "net.ipv4.fib_multipath_hash_policy": 0,
    "net.ipv4.fib_multipath_hash_seed": 0,
    "net.ipv4.fib_multipath_use_neigh": 0,
    "net.ipv4.fwmark_reflect": 0,
    "net.ipv4.icmp_echo_ignore_all": 0,
    "net.ipv4.icmp_echo_ignore_broadcasts": 1,
    "net.ipv4.icmp_errors_use_inbound_ifaddr": 0,
    "net.ipv4.icmp_msgs_burst": 50,
    "net.ipv4.icmp_msgs_per_sec": 1000,
    "net.ipv4.icmp_ratelimit": 1000,
    "net.ipv4.icmp_ratemask": 6168,
    "net.ipv4.ip_default_ttl": 64,
    "net.ipv4.ip_forward": 0,
    "net.ipv4.ip_nonlocal_bind": 0,
    "net.ipv4.ip_no_pmtu_disc": 0,
    "net.ipv4.ip_unprivileged_port_start": 1024,
    "net.ipv4.ipfrag_high_thresh": 4_194_304,
    "net.ipv4.ipfrag_max_dist": 64,
    "net.ipv4.ipfrag_time": 30,
    "net.ipv4.route.error_burst": 1250,
    "net.ipv4.route.error_cost": 250,
    "net.ipv4.route.min_pmtu": 552,
    "net.ipv4.route.mtu_expires": 600,
    "net.ipv4.route.redirect_load": 5,
    "net.ipv4.route.redirect_number": 9,
    "net.ipv4.route.redirect_silence": 5120,
    "net.bridge.bridge-nf-call-arptables": 1,
    "net.bridge.bridge-nf-call-ip6tables": 1,
    "net.bridge.bridge-nf-call-iptables": 1,
    "net.bridge.bridge-nf-filter-vlan-tagged": 0,
    "net.ipv4.neigh.default.base_reachable_time_ms": 30_000,
    "net.ipv4.neigh.default.delay_first_probe_time": 5,
    "net.ipv4.neigh.default.gc_stale_time": 60,
    "net.ipv4.neigh.default.gc_thresh1": 128,
    "net.ipv4.neigh.default.gc_thresh2": 512,
    "net.ipv4.neigh.default.gc_thresh3": 1024,
    "net.ipv4.neigh.default.locktime": 100,
    "net.ipv4.neigh.default.mcast_solicit": 3,
    "net.ipv4.neigh.default.retrans_time_ms": 1000,
    "net.ipv4.neigh.default.ucast_solicit": 3,
    "net.ipv4.neigh.default.unres_qlen": 101,
    "net.ipv4.neigh.default.unres_qlen_bytes": 212_992,
}

HZ = 250  # net.ipv4.route.* are in jiffies


class SysctlError(PodwireError):
    """A name that does not exist (ENOENT) or a value that is not taken (EINVAL); the text is sysctl(8)'s."""

    def __init__(self, number: int, message: str) -> None:
        self.errno = number
        super().__init__(message)


class LinkConf:
    """The net.ipv4.conf values of one link, of `all` or of `default`."""

    __slots__ = tuple(CONF_DEFAULTS)

    accept_local: int
    accept_redirects: int
    accept_source_route: int
    arp_accept: int
    arp_announce: int
    arp_filter: int
    arp_ignore: int
    arp_notify: int
    forwarding: int
    ignore_routes_with_linkdown: int
    log_martians: int
    proxy_arp: int
    route_localnet: int
    rp_filter: int
    secure_redirects: int
    send_redirects: int
    shared_media: int
    src_valid_mark: int

    def __init__(self, base: LinkConf | None = None) -> None:
        for name, default in CONF_DEFAULTS.items():
            setattr(self, name, default if base is None else getattr(base, name))


class _Knob(Struct):
    value: str
    apply: Callable[[str], None] | None
    numeric: bool


class Sysctl:
    """Values by name. `all` and `default` are the LinkConf of these names; a link's is `link.conf`."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.all = LinkConf()
        self.all.accept_source_route = 0
        self.default = LinkConf()
        self.links: dict[str, LinkConf] = {}
        self.default_ttl = 64
        self.bridge_call_iptables = True
        self._on_change = on_change
        self._knobs: dict[str, _Knob] = {}  # of the plain ones those that were asked for, since a namespace has many
        self._numbers: dict[str, int] = {}
        self._read_only: dict[str, Callable[[], int]] = {}
        self._families: dict[str, Callable[[], object]] = {}
        for prefix in INERT_PREFIXES:
            self.register_family(prefix, partial(self._register_inert, prefix))
        for name, apply in (
            ("net.ipv4.ip_default_ttl", self._set_default_ttl),
            ("net.ipv4.ip_forward", self._set_forwarding),
            ("net.bridge.bridge-nf-call-iptables", self._set_bridge_call_iptables),
        ):
            self.register(name, PLAIN_DEFAULTS[name], apply)

    def register(
        self, name: str, default: int | str, apply: Callable[[str], None] | None = None, *, numeric: bool = True
    ) -> None:
        """Make a knob known. `apply` gets each value that is set, as text, and may refuse it with ValueError."""
        self._knobs[name] = _Knob(str(default), apply, numeric)
        if numeric:
            self._numbers[name] = int(default)

    def register_read_only(self, name: str, read: Callable[[], int]) -> None:
        """Make a name known whose value is asked for each time, and cannot be set."""
        self._read_only[name] = read

    def register_family(self, prefix: str, load: Callable[[], object]) -> None:
        """Say who makes the names with a prefix known, once one of them is asked for (a module that is loaded then)."""
        self._families[prefix] = load

    def knows(self, name: str) -> bool:
        """Whether a plain name has been made known."""
        return name in self._knobs or name in PLAIN_DEFAULTS or name in self._read_only

    def load(self, name: str) -> None:
        """Load who makes a name known, if that is not done."""
        for prefix in [each for each in self._families if name.startswith(each)]:
            self._families.pop(prefix)()

    def get(self, name: str) -> str:
        """Return a value as `sysctl -n` prints it. SysctlError for an unknown name."""
        conf = self._find_conf(name)
        if conf is not None:
            return str(getattr(conf[0], conf[1]))
        if name in self._read_only:
            return str(self._read_only[name]())
        return self._knob(name).value

    def number(self, name: str) -> int:
        """Return the value of a numeric knob (not of net.ipv4.conf)."""
        number = self._numbers.get(name)
        return PLAIN_DEFAULTS[name] if number is None else number

    def set(self, name: str, value: str | int) -> None:
        """Set a value. SysctlError for an unknown name or a value that is not taken."""
        text = str(value).strip()
        conf = self._find_conf(name)
        if conf is not None:
            self._set_conf(conf[0], conf[1], self._to_int(name, text))
        else:
            self._set_plain(name, text)
        self._on_change()

    def names(self) -> Iterator[str]:
        """Every name there is now, sorted, as `sysctl -a` lists them."""
        for prefix in INERT_PREFIXES:
            self.load(prefix)
        names = [*{**PLAIN_DEFAULTS, **self._knobs}, *self._read_only]
        for link in ("all", "default", *self.links):
            names += [f"{CONF_PREFIX}{link}.{field}" for field in CONF_DEFAULTS]
        yield from sorted(names)

    def add_link(self, name: str) -> LinkConf:
        """Give a new link its values, copied from `default`."""
        conf = LinkConf(self.default)
        self.links[name] = conf
        return conf

    def rename_link(self, old: str, new: str) -> None:
        """Keep a link's values under its new name."""
        self.links[new] = self.links.pop(old)

    def remove_link(self, name: str) -> None:
        """Forget a link's values."""
        self.links.pop(name, None)

    def _register_inert(self, prefix: str) -> None:
        from emulator.kernel.inert_knobs import register

        register(self, prefix)

    def _find_conf(self, name: str) -> tuple[LinkConf, str] | None:
        if not name.startswith(CONF_PREFIX):
            return None
        link, dot, field = name[len(CONF_PREFIX) :].rpartition(".")
        conf = self.all if link == "all" else self.default if link == "default" else self.links.get(link)
        if not dot or conf is None or field not in CONF_DEFAULTS:
            raise self._unknown(name)
        return conf, field

    def _knob(self, name: str) -> _Knob:
        knob = self._knobs.get(name)
        if knob is None and name in PLAIN_DEFAULTS:
            knob = self._knobs[name] = _Knob(str(PLAIN_DEFAULTS[name]), None, numeric=True)
        if knob is None:
            self.load(name)
            knob = self._knobs.get(name)
        if knob is None:
            raise self._unknown(name)
        return knob

    @staticmethod
    def _unknown(name: str) -> SysctlError:
        path = name.replace(".", "/")
        return SysctlError(errno.ENOENT, f"sysctl: cannot stat /proc/sys/{path}: No such file or directory")

    @staticmethod
    def _invalid(name: str) -> SysctlError:
        return SysctlError(errno.EINVAL, f'sysctl: setting key "{name}": Invalid argument')

    def _to_int(self, name: str, text: str) -> int:
        try:
            return int(text)
        except ValueError:
            raise self._invalid(name) from None

    def _set_plain(self, name: str, text: str) -> None:
        if name in self._read_only:
            raise self._invalid(name)
        knob = self._knob(name)
        number = self._to_int(name, text) if knob.numeric else 0
        if knob.apply is not None:
            try:
                knob.apply(text)
            except ValueError:
                raise self._invalid(name) from None
        knob.value = text if not knob.numeric else str(number)
        if knob.numeric:
            self._numbers[name] = number

    def _set_conf(self, conf: LinkConf, field: str, value: int) -> None:
        if field == "forwarding" and conf is self.all:
            self._set_plain("net.ipv4.ip_forward", str(value))
            return
        setattr(conf, field, value)

    def _set_forwarding(self, text: str) -> None:
        """Switch forwarding on every link, as net/ipv4/devinet.c's inet_forward_change does."""
        on = int(bool(int(text)))
        self.all.accept_redirects = 1 - on
        for conf in (self.all, self.default, *self.links.values()):
            conf.forwarding = on

    def _set_default_ttl(self, text: str) -> None:
        ttl = int(text)
        if not 1 <= ttl <= 255:
            raise ValueError(text)
        self.default_ttl = ttl

    def _set_bridge_call_iptables(self, text: str) -> None:
        self.bridge_call_iptables = int(text) != 0
