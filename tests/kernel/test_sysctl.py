"""sysctls: Linux's names and defaults, values that are refused, and switches that reach every link."""

from __future__ import annotations

import errno

import pytest

from emulator.kernel.sysctl import Sysctl, SysctlError
from tests.kernel.router import Router


def test_forwarding_reaches_all_links_and_those_to_come() -> None:
    router = Router(forwarding=False)
    sysctl = router.ns.sysctl
    sysctl.set("net.ipv4.ip_forward", "1")
    assert sysctl.get("net.ipv4.conf.all.forwarding") == sysctl.get("net.ipv4.conf.a.forwarding") == "1"
    later = router.nic("c", "02:00:00:00:00:0c", "10.3.0.1/24")
    assert later.conf.forwarding == 1
    sysctl.set("net.ipv4.conf.all.forwarding", 0)
    assert sysctl.get("net.ipv4.ip_forward") == "0"
    assert later.conf.forwarding == 0


@pytest.mark.parametrize("name", ["net.ipv4.nothing", "net.ipv4.conf.a.nothing", "net.ipv4.conf.zz.rp_filter"])
def test_unknown_names(name: str) -> None:
    sysctl = Router().ns.sysctl
    for attempt in (lambda: sysctl.get(name), lambda: sysctl.set(name, 1)):
        with pytest.raises(SysctlError, match=r"cannot stat /proc/sys/net/ipv4/.*: No such file") as caught:
            attempt()
        assert caught.value.errno == errno.ENOENT


@pytest.mark.parametrize(
    ("name", "value"),
    [("net.ipv4.ip_default_ttl", 0), ("net.ipv4.ip_forward", "yes"), ("net.ipv4.conf.a.rp_filter", "")],
)
def test_values_that_are_not_taken(name: str, value: int | str) -> None:
    sysctl = Router().ns.sysctl
    before = sysctl.get(name)
    with pytest.raises(SysctlError, match="Invalid argument") as caught:
        sysctl.set(name, value)
    assert caught.value.errno == errno.EINVAL
    assert sysctl.get(name) == before


def test_others_register_names_with_setters() -> None:
    sysctl = Router().ns.sysctl
    got: list[str] = []
    sysctl.register("net.netfilter.nf_conntrack_test", 262_144, got.append)
    sysctl.set("net.netfilter.nf_conntrack_test", 5)
    assert got == ["5"]
    assert sysctl.number("net.netfilter.nf_conntrack_test") == 5
    assert "net.netfilter.nf_conntrack_test" in set(sysctl.names())
    assert "net.ipv4.conf.a.rp_filter" in set(sysctl.names())


def test_the_default_ttl_is_used() -> None:
    router = Router()
    router.ns.sysctl.set("net.ipv4.ip_default_ttl", 33)
    router.ns.ip.output(17, bytes(8), daddr=0x0A020002)
    assert router.taken(router.b)[0][22] == 33


def test_knobs_of_other_subsystems_are_kept_as_they_are_set() -> None:
    """Init containers of databases set them, and would fail where there are none."""
    sysctl = Sysctl(lambda: None)
    assert sysctl.get("vm.max_map_count") == "65530"
    sysctl.set("vm.max_map_count", "262144")
    assert sysctl.get("vm.max_map_count") == "262144"
    sysctl.set("kernel.sem", "250 32000 100 128")
    assert sysctl.get("kernel.sem") == "250 32000 100 128"
    assert sysctl.get("net.core.rmem_max") == "4194304"
    with pytest.raises(SysctlError):
        sysctl.set("vm.max_map_count", "many")
    with pytest.raises(SysctlError, match="cannot stat /proc/sys/vm/nothing"):
        sysctl.get("vm.nothing")
