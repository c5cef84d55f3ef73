"""The names of the emulated internet."""

from ipaddress import IPv4Address

import pytest

from emulator.api.cloud_section import INTERNET, NODE
from emulator.cloud.plan import Host
from emulator.cloud.zone import InternetZone
from emulator.packet.dns_record import AAAA, ANY, PTR, SOA, A

ZONE = InternetZone(
    (
        Host("example.com", INTERNET, IPv4Address("198.51.100.80")),
        Host("api.shop.example.org", INTERNET, IPv4Address("198.51.100.81")),
        Host("laptop.home", NODE, IPv4Address("172.18.255.254")),
    )
)


@pytest.mark.parametrize(
    ("name", "record_type", "data", "exists"),
    [
        ("example.com.", A, [0xC6336450], True),
        ("EXAMPLE.com", A, [0xC6336450], True),
        ("example.com.", AAAA, [], True),  # NODATA
        ("www.example.com.", A, [], False),
        ("com.", A, [], True),  # RFC 8020: something is below it
        (".", A, [], True),
        ("shop.example.org.", A, [], True),
        ("api.shop.example.org.", A, [0xC6336451], True),
        ("80.100.51.198.in-addr.arpa.", PTR, ["example.com."], True),
        ("79.100.51.198.in-addr.arpa.", PTR, [], False),
        ("laptop.home.", A, [], False),  # not on the internet
    ],
)
def test_each_question_has_an_answer(name: str, record_type: int, data: list[object], exists: bool) -> None:
    answer = ZONE.lookup(name, record_type)
    assert ([record.data for record in answer.records], answer.exists) == (data, exists)
    assert bool(answer.authority) is not bool(answer.records)


@pytest.mark.parametrize(
    ("name", "zone"), [("www.example.com.", "example.com."), ("x.example.org.", "example.org."), ("nowhere.test.", ".")]
)
def test_the_zone_that_denies_a_name_says_so(name: str, zone: str) -> None:
    (soa,) = ZONE.lookup(name, A).authority
    assert (soa.name, soa.type) == (zone, SOA)
    assert {record.type for record in ZONE.lookup("example.com.", ANY).records} == {A, SOA}
