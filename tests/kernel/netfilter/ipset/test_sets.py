"""Sets as text: what a command adds, deletes, refuses and saves."""

from __future__ import annotations

import pytest

from emulator.kernel.netfilter.ipset.error import IpsetError, IpsetRestoreError
from tests.kernel.netfilter.ipset.world import fresh, members

ONE_OF_EACH = """\
create a hash:ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x00000001
add a 10.0.0.1
create n hash:net family inet hashsize 1024 maxelem 65536 timeout 0 bucketsize 12 initval 0x00000001
add n 10.1.0.0/16 timeout 0 nomatch
add n 10.0.0.0/8 timeout 0
create p hash:ip,port family inet hashsize 1024 maxelem 65536 counters bucketsize 12 initval 0x00000001
add p 10.0.0.1,tcp:80 packets 3 bytes 180
create pi hash:ip,port,ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x00000001
add pi 10.0.0.1,udp:53,10.0.0.1
create pn hash:ip,port,net family inet hashsize 1024 maxelem 65536 comment bucketsize 12 initval 0x00000001
add pn 10.0.0.1,sctp:53,10.0.0.0/24 comment "a word and another"
create np hash:net,port family inet6 hashsize 1024 maxelem 65536 bucketsize 12 initval 0x00000001
add np fd00::/64,ipv6-icmp:echo-request
create b bitmap:port range 30000-32767
add b 30080
create l list:set size 8 skbinfo
add l n skbmark 0x10/0xff skbprio 1:10 skbqueue 3
add l a
"""


def test_what_is_saved_is_restored() -> None:
    sets = fresh(ONE_OF_EACH)
    assert sets.save() == ONE_OF_EACH
    assert [sets.references(slot) for slot in sets] == [1, 1, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("create", "element", "expected"),
    [
        ("hash:ip", "10.0.0.2/31", ["10.0.0.2", "10.0.0.3"]),
        ("hash:ip", "10.0.0.9-10.0.0.8", ["10.0.0.8", "10.0.0.9"]),
        ("hash:ip netmask 24", "10.0.0.9-10.0.2.1", ["10.0.0.0", "10.0.1.0", "10.0.2.0"]),
        ("hash:ip bitmask 255.0.0.255", "10.9.9.7", ["10.0.0.7"]),
        ("hash:net", "10.0.0.9/24", ["10.0.0.0/24"]),
        ("hash:net", "10.0.0.3-10.0.0.8", ["10.0.0.3", "10.0.0.4/30", "10.0.0.8"]),
        ("hash:ip,port", "10.0.0.0/31,80-81", [f"10.0.0.{n},tcp:{port}" for n in (0, 1) for port in (80, 81)]),
        ("hash:ip,port", "10.0.0.1,icmp:ping", ["10.0.0.1,icmp:echo-request"]),
        ("hash:ip,port", "10.0.0.1,icmp:3/8", ["10.0.0.1,icmp:3/8"]),
        ("hash:ip,port", "10.0.0.1,gre:0", ["10.0.0.1,gre:0"]),
        ("hash:ip,port,ip", "10.0.0.1,udp:domain,1.1.1.1", ["10.0.0.1,udp:53,1.1.1.1"]),
        ("hash:ip,port,net", "10.0.0.1,5,10.0.0.0-10.0.0.2", ["10.0.0.1,tcp:5,10.0.0.0/31", "10.0.0.1,tcp:5,10.0.0.2"]),
        ("hash:net,port", "10.0.0.0/30,udp:2-1", ["10.0.0.0/30,udp:1", "10.0.0.0/30,udp:2"]),
        ("bitmap:port range 10-20", "12-10", ["10", "11", "12"]),
    ],
)
def test_ranges_are_expanded_as_ipset_does(create: str, element: str, expected: list[str]) -> None:
    sets = fresh(f"create x {create}\nadd x {element}\n")
    assert members(sets, "x") == expected
    sets.restore(f"del x {element}\n")
    assert members(sets, "x") == []


def test_references_swap_and_rename() -> None:
    sets = fresh("create a hash:ip\ncreate b hash:ip\ncreate n hash:net\ncreate l list:set\nadd a 1.1.1.1\nadd l a\n")
    with pytest.raises(IpsetError, match="in use by a kernel component"):
        sets.destroy("a")
    with pytest.raises(IpsetError, match="in use by another system"):
        sets.rename("a", "c")
    with pytest.raises(IpsetError, match="type does not match"):
        sets.swap("a", "l")
    sets.swap("a", "b")
    assert (members(sets, "a"), members(sets, "b")) == ([], ["1.1.1.1"])
    sets.rename("b", "c")
    sets.flush("l")
    sets.destroy("a")
    sets.destroy()
    assert sets.save() == ""


def test_an_error_names_its_line_and_what_came_before_stays() -> None:
    sets = fresh()
    with pytest.raises(IpsetRestoreError) as raised:
        sets.restore("create a hash:ip\nadd a 1.1.1.1\n\nadd a 1.1.1.1\nadd a 1.1.1.2\n")
    assert str(raised.value) == "Error in line 4: Element cannot be added to the set: it's already added"
    assert members(sets, "a") == ["1.1.1.1"]
