"""Draws the tests of the rarer matches, as `matches.py` does of the common ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.kernel_oracle.drawn.topology import CLIENT_PORTS, SERVER_PORTS

if TYPE_CHECKING:
    from tests.kernel_oracle.drawn.matches import Place

_RECEIVING = {"PREROUTING", "INPUT", "FORWARD"}
_SENDING = {"OUTPUT", "POSTROUTING"}
# Programs of the classic BPF: the protocol, UDP to port 80, a mark, the length, the type of the link, what TCP carries,
# memory and arithmetic, and an offset before the IP header.
_PROGRAMS = (
    "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0",
    "8,48 0 0 9,21 0 5 17,177 0 0 0,72 0 0 2,21 0 2 80,6 0 0 65535,6 0 0 0,6 0 0 0",
    "4,32 0 0 4294963220,21 0 1 1,6 0 0 1,6 0 0 0",
    "4,128 0 0 0,37 0 1 60,6 0 0 1,6 0 0 0",
    "4,32 0 0 4294963228,21 0 1 1,6 0 0 1,6 0 0 0",
    "6,32 0 0 4294963252,7 0 0 0,80 0 0 0,21 0 1 65,6 0 0 1,6 0 0 0",
    "9,40 0 0 2,2 0 0 3,97 0 0 3,12 0 0 0,116 0 0 1,84 0 0 255,37 0 1 60,6 0 0 1,6 0 0 0",
    "4,40 0 0 4292870156,21 0 1 2048,6 0 0 1,6 0 0 0",
    "4,32 0 0 4294963204,21 0 1 0,6 0 0 1,6 0 0 0",
    "5,32 0 0 12,84 0 0 255,148 0 0 3,22 0 0 0,6 0 0 0",
)


def owner(place: Place) -> str:
    """`-m owner`: the sockets of the machine are root's, those of the kernel nobody's."""
    if not place.hooks <= _SENDING:
        return ""
    tests = (
        f"{place.bang()}--socket-exists",
        f"{place.bang()}--uid-owner {place.one(('0', '0-5', '1337'))}",
        f"{place.bang()}--gid-owner {place.one(('0', '5-9'))}",
        f"{place.bang()}--uid-owner 0 {place.bang()}--gid-owner 0",
        f"{place.bang()}--gid-owner 0 --suppl-groups",
    )
    return f"-m owner {place.one(tests)}"


def socket(place: Place) -> str:
    """`-m socket`."""
    if not place.hooks <= {"PREROUTING", "INPUT"}:
        return ""
    words = [word for word in ("--transparent", "--nowildcard", "--restore-skmark") if place.chance(0.25)]
    return " ".join(["-m socket", *words])


def bpf(place: Place) -> str:
    """`-m bpf`."""
    return f'-m bpf --bytecode "{place.one(_PROGRAMS)}"'


def u32(place: Place) -> str:
    """`-m u32`."""
    tests = (
        "6&0xFF=17",
        "0>>22&0x3C@0>>16=80,443",
        "0>>22&0x3C@0>>16=53&&6&0xFF=1:17",
        "12=0x0a000102:0x0a000103",
        "16&0xFFFFFF00=0x0a000200",
        "4&0x1FFF=0&&0>>22&0x3C@8=0x41424344",
        "0>>22&0x3C@12>>26&0x3C@0=0x41424344",
        "0&0xFFFF=0x40:0xFFFF",
        "40=0:0xFFFFFFFF",
        "8>>8<<8&0xFF00=0x1100",
    )
    return f'-m u32 {place.bang()}--u32 "{place.one(tests)}"'


def string(place: Place) -> str:
    """`-m string`, in what is carried and in the IP header."""
    texts = (
        "--string ABCD", "--string abc", "--hex-string |0a000102|", "--string CDEFGHIJKLMNOPQRSTUVWXYZA",
        '--hex-string "|41 42|CD"', "--string abcd --icase", "--string aBcDeF --icase",
    )  # fmt: skip
    words = [f"-m string {place.bang()}{place.one(texts)} --algo {place.one(('bm', 'kmp'))}"]
    words += [f"--from {place.one(('12', '28', '40', '60'))}"] if place.chance(0.4) else []
    words += [f"--to {place.one(('60', '64', '80', '200'))}"] if place.chance(0.4) else []
    return " ".join(words)


def dscp(place: Place) -> str:
    """`-m dscp`."""
    return f"-m dscp {place.bang()}--dscp {place.one(('0', '4', '0x2e', '1'))}"


def tos(place: Place) -> str:
    """`-m tos`."""
    return f"-m tos {place.bang()}--tos {place.one(('0', '0x10/0x3f', '0xb8', '0x03/0x03', '0/0xf0'))}"


def ecn(place: Place) -> str:
    """`-m ecn`."""
    if place.protocol == "tcp" and place.chance(0.5):
        return f"-m ecn {place.bang()}--ecn-tcp-{place.one(('cwr', 'ece'))}"
    return f"-m ecn {place.bang()}--ecn-ip-ect {place.one(('0', '1', '2', '3'))}"


def connlimit(place: Place) -> str:
    """`-m connlimit`."""
    words = [f"-m connlimit --connlimit-{place.one(('upto', 'above'))} {place.random.randint(0, 4)}"]
    words += [f"--connlimit-mask {place.one(('0', '24', '31', '32'))}"] if place.chance(0.5) else []
    words += [f"--connlimit-{place.one(('saddr', 'daddr'))}"] if place.chance(0.5) else []
    return " ".join(words)


def connbytes(place: Place) -> str:
    """`-m connbytes`."""
    mode = place.one(("packets", "bytes", "avgpkt"))
    spans = ("1:2", "2:", "0:1", "3:9") if mode == "packets" else ("0:100", "60:", "41:59", "200:4000")
    direction = place.one(("original", "reply", "both"))
    return (
        f"-m connbytes {place.bang()}--connbytes {place.one(spans)} --connbytes-mode {mode} --connbytes-dir {direction}"
    )


def time(place: Place) -> str:
    """`-m time`: by the day and by halves of it, whose ends no case is likely to meet."""
    tests = (
        "--timestart 12:00", "--timestop 11:59:59", "--timestart 18:00 --timestop 06:00",
        "--timestart 18:00 --timestop 06:00 --contiguous --weekdays Mo,Tu,We,Th", "--weekdays Sat,Sun",
        "! --weekdays Mon,Wed,Fri", "! --monthdays 1,15,28,31", "--datestart 2020-01-01", "--datestop 2021",
        "--monthdays 2,4,6,8,10,12,14,16,18,20,22,24,26,28,30 --kerneltz",
    )  # fmt: skip
    return f"-m time {place.one(tests)}"


def nothing_special(place: Place) -> str:
    """What answers the same of every packet here: no realms, groups, IPsec, helpers or control groups."""
    tests = [f"-m helper {place.bang()}--helper ftp"]
    if not place.hooks & {"PREROUTING"}:
        tests.append(f"-m realm {place.bang()}--realm {place.one(('0', '5', '0/0xff'))}")
    if place.hooks <= _RECEIVING:
        tests.append(f"-m devgroup {place.bang()}--src-group {place.one(('0', '1'))}")
        tests.append(f"-m policy --dir in --pol {place.one(('none', 'ipsec'))}")
    if place.hooks <= _SENDING:
        tests.append(f"-m cgroup {place.bang()}{place.one(('--cgroup 0', '--cgroup 5', '--path /'))}")
    if place.protocol == "tcp":
        tests.append(f"-m osf {place.bang()}--genre Linux")
    return place.one(tuple(tests))


def quota(place: Place) -> str:
    """`-m quota`."""
    return f"-m quota {place.bang()}--quota {place.one(('0', '40', '100', '300', '5000'))}"


def cluster(place: Place) -> str:
    """`-m cluster`."""
    total = place.random.randint(1, 5)
    return (
        f"-m cluster --cluster-total-nodes {total} {place.bang()}--cluster-local-node {place.random.randint(1, total)} "
        f"--cluster-hash-seed {place.random.getrandbits(32)}"
    )


def ports_of_dccp(place: Place) -> str:
    """`-m dccp` needs `-p dccp`, which no packet has; it is drawn for its words."""
    if place.protocol:
        return ""
    return f"-p dccp -m dccp --dport {place.random.choice((*SERVER_PORTS, *CLIENT_PORTS))}"


MORE_MATCHES: dict[str, tuple[float, Callable[[Place], str]]] = {
    "owner": (1.5, owner),
    "socket": (1, socket),
    "bpf": (1, bpf),
    "u32": (1, u32),
    "string": (1, string),
    "dscp": (0.5, dscp),
    "tos": (0.5, tos),
    "ecn": (0.5, ecn),
    "connlimit": (1, connlimit),
    "connbytes": (1, connbytes),
    "time": (0.7, time),
    "nothing": (0.7, nothing_special),
    "quota": (0.7, quota),
    "cluster": (0.7, cluster),
    "dccp": (0.1, ports_of_dccp),
}
