import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import WireError
from emulator.packet import address

ADDRESSES = st.integers(0, 2**32 - 1)
MACS = st.integers(0, 2**48 - 1)


@given(ADDRESSES)
def test_ipv4_text_is_the_standard_librarys(value: int) -> None:
    text = address.format_ipv4(value)
    assert text == str(ipaddress.IPv4Address(value))
    assert address.ipv4_to_int(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0",
        "10.0.0.0.1",
        "10.0.0.256",
        "10.0.0.01",
        "10.0.0.1 ",
        " 10.0.0.1",
        "10.0.0.-1",
        "0x0a.0.0.1",
        "10.0.0.1\n",
        "10.0.0.१",
        "167772161",
        "10.0.0.999",
        "a.b.c.d",
        "10..0.1",
    ],
)
def test_what_is_no_ipv4_address_is_refused(text: str) -> None:
    with pytest.raises(WireError, match="not an IPv4 address"):
        address.ipv4_to_int(text)


@given(MACS)
def test_mac_round_trip(value: int) -> None:
    text = address.format_mac(value)
    assert address.mac_to_int(text) == address.mac_to_int(text.upper()) == value
    assert address.mac_from_bytes(b"xx" + address.mac_to_bytes(value), 2) == value
    assert bytes.fromhex(text.replace(":", "")) == address.mac_to_bytes(value)


@pytest.mark.parametrize(
    "text", ["", "02:00:00:00:00", "02-00-00-00-00-01", "2:0:0:0:0:1", "02:00:00:00:00:0g", "0200.0000.0001"]
)
def test_what_is_no_mac_is_refused(text: str) -> None:
    with pytest.raises(WireError, match="not a MAC address"):
        address.mac_to_int(text)


@given(ADDRESSES, st.integers(0, 32))
def test_networks_are_the_standard_librarys(value: int, length: int) -> None:
    network = ipaddress.IPv4Network((value, length), strict=False)
    text = f"{address.format_ipv4(value)}/{length}"
    assert address.parse_interface(text) == (value, length)
    assert address.parse_network(str(network)) == (int(network.network_address), length)
    assert address.format_network(int(network.network_address), length) == str(network)
    assert address.prefix_mask(length) == int(network.netmask)
    assert address.network_broadcast(value, length) == int(network.broadcast_address)
    assert address.in_network(value, int(network.network_address), length)
    if length:
        assert not address.in_network(value ^ 1 << (32 - length), int(network.network_address), length)
    if value != int(network.network_address):
        with pytest.raises(WireError, match=f"host bits set; write {network}"):
            address.parse_network(text)


@pytest.mark.parametrize(
    "text", ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/-1", "10.0.0.0/8/8", "/8", "10.0.0.0/1००"]
)
def test_what_is_no_prefix_is_refused(text: str) -> None:
    with pytest.raises(WireError):
        address.parse_network(text)


def test_a_bare_address_is_a_host_prefix() -> None:
    assert address.parse_network("10.0.0.1") == (0x0A000001, 32)


@pytest.mark.parametrize("length", [-1, 33])
def test_a_prefix_length_out_of_range_is_refused(length: int) -> None:
    with pytest.raises(WireError, match="between 0 and 32"):
        address.prefix_mask(length)


@given(ADDRESSES)
def test_kinds_of_addresses(value: int) -> None:
    library = ipaddress.IPv4Address(value)
    assert address.is_multicast(value) == library.is_multicast
    assert address.is_loopback(value) == library.is_loopback
    assert address.is_link_local(value) == library.is_link_local
    assert address.is_zeronet(value) == (value == 0)


def test_edges_of_kinds() -> None:
    assert address.is_broadcast(address.ipv4_to_int("255.255.255.255"))
    assert address.is_multicast(address.ipv4_to_int("239.255.255.255"))
    assert not address.is_multicast(address.ipv4_to_int("240.0.0.0"))
    assert address.is_loopback(address.LOOPBACK_IPV4)


def test_a_group_has_its_multicast_mac() -> None:
    # RFC 1112: the 24th bit of the address is lost, so two groups share a MAC.
    assert address.format_mac(address.multicast_mac(address.ipv4_to_int("224.0.0.251"))) == "01:00:5e:00:00:fb"
    assert address.format_mac(address.multicast_mac(address.ipv4_to_int("239.255.255.250"))) == "01:00:5e:7f:ff:fa"


def test_kinds_of_macs() -> None:
    assert not address.is_valid_station_mac(address.ZERO_MAC)
    assert not address.is_valid_station_mac(address.BROADCAST_MAC)
    assert address.is_valid_station_mac(address.mac_to_int("02:00:00:00:00:01"))


@given(st.integers(0, 2**128 - 1))
def test_ipv6_text_round_trip(value: int) -> None:
    assert address.ipv6_to_int(address.format_ipv6(value)) == value


@pytest.mark.parametrize("text", ["", "1::2::3", "fe80::1%eth0", "10.0.0.1", "12345::"])
def test_what_is_no_ipv6_address_is_refused(text: str) -> None:
    with pytest.raises(WireError, match="not an IPv6 address"):
        address.ipv6_to_int(text)
