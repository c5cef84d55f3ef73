"""ipset in a namespace: what it changes, prints and refuses, as the machine's own ipset does."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from difflib import unified_diff

import pytest
from trio.testing import MockClock

from .conftest import Lab

HINT = "Try `ipset help' for more information.\n"
SETS = """
create a hash:ip initval 1
create n hash:net initval 1
create p hash:ip,port initval 1
create pi hash:ip,port,ip initval 1
create pn hash:ip,port,net initval 1
create np hash:net,port initval 1
create b bitmap:port range 30000-32767
create l list:set
"""
SCENARIOS = {
    "elements": """
add a 10.0.0.0/30
add a 10.0.1.0-10.0.1.3
add a 10.0.0.1
add a 0.0.0.0
add a 10.0.0.0/0
add a 10.0.0.0/33
add a 1.2.3.4,5
add a 1.2.3
add a 1.2.3.4/32
add a 10.1.0.3-10.1.0.1
add a 0.0.0.0-0.0.0.2
add n 10.0.0.0/8
add n 10.1.0.0/16 nomatch
add n 10.1.0.0/16
-exist add n 10.1.0.0/16
add n 0.0.0.0/0
add n 0.0.0.0-255.255.255.255
add n 10.2.0.0-10.2.0.6
add p 10.0.0.1,80
add p 10.0.0.1,tcp:80
add p 10.0.0.1,sctp:103-100
add p 10.0.0.1,icmp:8/0
add p 10.0.0.1,icmp:ping
add p 10.0.0.1,icmp:3/77
add p 10.0.0.1,icmp:256/0
add p 10.0.0.1,icmp:nothing
add p 10.0.0.1,gre:0
add p 10.0.0.1,gre:5
add p 10.0.0.1,47:0
add p 10.0.0.1,http
add p 10.0.0.1,udp:domain
add p 10.0.0.1,nothing
add p 10.0.0.1,foo:1
add p 10.0.0.1,0:1
add p 10.0.0.1,0:0
add p 10.0.0.1,ip:0
add p 10.0.0.1,all:0
add p 0.0.0.2-0.0.0.0,5
add p 10.0.0.0/31,tcp:1-2
add p 10.0.0.1
add p 10.0.0.1,tcp:80,1.2.3.4
add p 10.0.0.1,tcp:0
add p 10.0.0.1,tcp:70000
add p 0.0.0.0,tcp:9
add pi 10.0.0.1,tcp:80,10.0.0.1
add pi 10.0.0.1,tcp:80
add pi 10.0.0.0/31,tcp:1-2,10.0.0.1
add pi 10.0.0.1,tcp:1,10.0.0.0/24
add pi 10.0.0.1,1,2,3
add pn 10.0.0.1,tcp:80,10.0.0.0/24
add pn 10.0.0.1,tcp:81,10.0.0.0-10.0.0.5
add pn 10.0.0.1,tcp:81,0.0.0.0/0
add pn 10.0.0.0/31,udp:81,10.0.0.9/24 nomatch
add np 10.0.0.0/8,80-81
add np 10.0.0.0-10.0.0.9,udp:53
add np 10.0.0.0/0,80
add b 30000
add b tcp:30001
add b udp:30002
add b 30005-30003
add b 29999
add b 30006-40000
add b sctp:30010
add b nothing
add l a
add l n before a
add l p after a
add l l
add l none
add l pi before none
add l pi before pn
add l n
-exist add l n after a
del l p before a
del l pi
del l pi before a
list -s
list
save
del a 10.0.0.0/29
del a 9.9.9.9
-exist del a 9.9.9.9
del n 10.2.0.0-10.2.0.6
del p 10.0.0.1,sctp:100-103
del pn 10.0.0.1,tcp:81,10.0.0.0-10.0.0.5
del b 30003-30009
del b 30004
del l p after a
list
flush a
flush
list -t
""",
    "links": """
create h hash:net,iface initval 1 timeout 1000 counters
add h 10.0.0.0/24,eth wildcard nomatch packets 4
add h 10.0.0.0/24,eth0
add h 10.0.0.0/24,eth
add h 10.0.0.0/24,physdev:eth0
add h 10.0.0.0/24,eth1 wildcard
add h 10.0.1.0/24,eth1
add h 10.0.1.0/24,eth wildcard
add h 10.0.1.0/24,eth2
add h 10.0.1.0/24,averyveryverylongname
add h 0.0.0.0/0,lo
add h 10.0.2.0-10.0.2.5,lo
add h 10.0.1.0/24
add h 10.0.1.0/24,
add h 10.0.1.0/24,lo,lo
test h 10.0.0.5,eth7
test h 10.0.0.5,eth7 nomatch
test h 10.0.1.5,eth2
test h 10.0.1.5,eth1
test h 10.0.1.5,lo
test h 10.0.3.5,lo
test h 10.0.1.0/24,lo
test h 10.0.1.0/24,eth5 wildcard
test h 10.0.1.0/24,physdev:lo
test h 10.0.0.0/24,physdev:eth0
list h
save h
-exist add h 10.0.1.0/24,eth timeout 400
-exist add h 10.0.1.0/24,eth1 wildcard timeout 400
list h
del h 10.0.0.0/24,eth5
del h 10.0.1.0/24,eth5
list h
flush h
list h
""",
    "ranges of addresses": """
create b6 bitmap:ip range 10.0.0.5
create b7 bitmap:ip range 10.0.0.5/30
create b8 bitmap:ip range 10.0.0.5-10.0.0.1
create b9 bitmap:ip range 10.0.0.0/15
create b10 bitmap:ip range 10.0.0.0/15 netmask 24
create b11 bitmap:ip range 10.0.0.0/16 netmask 8
create b12 bitmap:ip range 10.0.0.0/24 netmask 32
create b13 bitmap:ip
create b14 bitmap:ip range 0.0.0.0/0 netmask 16
create b15 bitmap:ip range 10.0.0.0/24 netmask 33
create b16 ipmap --from 10.0.0.0 --to 10.0.0.255
create b17 bitmap:ip range 10.0.0.0-10.0.3.7 netmask 24
add b7 10.0.0.5
add b7 10.0.0.3
add b7 10.0.0.6-10.0.0.9
add b7 10.0.0.0/24
add b7 10.0.0.6/31
add b10 10.0.0.7-10.0.9.1
add b10 10.1.9.9/25
add b10 10.1.9.9
test b10 10.1.9.1
test b10 10.1.9.0/24
del b10 10.0.1.1-10.0.2.2
add a 10.0.0.9
swap b12 a
list
""",
    "tests": """
add a 10.0.0.1
add n 10.0.0.0/8
add n 10.1.0.0/16 nomatch
add p 10.0.0.1,tcp:80
add pn 10.0.0.1,tcp:80,10.0.0.0/24
add b 30000
add l a
add l n
test a 10.0.0.1
test a 10.0.0.2
test a 10.0.0.0/31
test a 10.0.0.1-10.0.0.9
-q test a 10.0.0.2
test n 10.1.1.1
test n 10.1.1.1 nomatch
test n 10.2.1.1
test n 10.2.1.1 nomatch
test n 10.1.0.0/16
test n 10.1.0.0/16 nomatch
test n 10.2.0.0/16
test n 10.0.0.1-10.0.0.2
test p 10.0.0.1,80
test p 10.0.0.1,tcp:81-82
test p 10.0.0.0/30,tcp:81
test p 10.0.0.1-10.0.0.2,81
test p 10.0.0.1,icmp:ping
test pi 10.0.0.1,80,1.1.1.1
test pn 10.0.0.1,80,10.0.0.7
test pn 10.0.0.1,80,10.0.0.0/24
test pn 10.0.0.1,80,10.0.1.0/24
test pn 10.0.0.1,80,10.0.0.0-10.0.0.7
test np 10.0.0.0/24,80
test b 30000
test b 30001
test b 30000-30001
test b 1
test l a
test l a before n
test l n before a
test l n after a
test l none
test none a
""",
    "extensions": """
create c hash:ip counters comment skbinfo timeout 100 initval 1
add c 1.1.1.1
add c 1.1.1.2 timeout 0 packets 5 bytes 7 comment "a b" skbmark 0x10/0xff skbprio 1:10 skbqueue 3
add c 1.1.1.3 skbmark 0x10
add c 1.1.1.4 skbmark 16
add c 1.1.1.4 skbprio 16
add c 1.1.1.4 comment 'a"b'
add c 1.1.1.5 comment ""
add c 1.1.1.6 timeout 2147484
add c 1.1.1.6 timeout 2147483
add c 1.1.1.7 packets -1
add c 1.1.1.7 packets 18446744073709551614
add c 1.1.1.8 skbmark 0x0/0x0 skbprio 0:0 skbqueue 0
add c 1.1.1.9 skbqueue 70000
add c 1.1.1.9 timeout many
add c 1.1.1.9 timeout 010
add c 1.1.1.9 timeout 1 timeout 2
add c 1.1.1.9 timeout
add c 1.1.1.9 nothing 5
add c 1.1.1.9 nomatch
add a 1.2.3.4 timeout 5
add a 1.2.3.4 packets 5
add a 1.2.3.4 bytes 5
add a 1.2.3.4 comment x
add a 1.2.3.4 skbmark 0x1
add a 1.2.3.4 skbprio 1:1
list c
save c
list -o xml c
-exist add c 1.1.1.2 timeout 7
-exist add c 1.1.1.2 packets 9 comment other
list c
del c 1.1.1.2
add c 1.1.1.2
list -s c
create d bitmap:port range 1-9 counters comment skbinfo timeout 9
add d 5 packets 7 bytes 8 comment x
add d 6 timeout 0 comment "two words"
del d 5
add d 5
list d
flush d
add d 5
list d
create m list:set counters comment timeout 50 size 9
add m c comment "first one" packets 3
add m a timeout 0
list m
save m
""",
    "creating": """
create a hash:ip
-exist create a hash:ip
-exist create a hash:ip maxelem 5
-exist create a hash:net
-! create a hash:ip hashsize 64
create x hash:foo
create x hash:ip foo
create x hash:ip timeout
create x hash:ip timeout x
create x hash:ip timeout 1 timeout 2
create x hash:ip netmask 33
create x hash:ip netmask 0
create x hash:ip netmask x
create x hash:net netmask 24
create x hash:ip family inet5
create x hash:ip family inet family inet
create xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx hash:ip
create x hash:ipxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
create x bitmap:port
create x bitmap:port range 5
create x bitmap:port range 1-70000
create x bitmap:port from 1
create x hash:ip netmask 24 bitmask 255.255.255.0
create x hash:ip bitmask 0.0.0.0
create x hash:ip bitmask x
create h1 hash:ip hashsize 100 maxelem 0 bucketsize 3 initval 1
create h2 hash:ip hashsize 1 maxelem 0x10 bucketsize 99 initval 2
create h3 hash:ip hashsize 65 maxelem 10 bucketsize 0 initval 3
create h4 hash:ip timeout 300 counters comment skbinfo forceadd netmask 24 initval 4
create h5 hash:ip bitmask 255.255.0.255 bucketsize 4 initval 0x1234
create h6 hash:ip -6 netmask 64 initval 1
create h7 hash:ip,port netmask 24 timeout 4 initval 1
create h8 hash:ip family ipv6 initval 1
create h9 hash:ip bitmask 255.255.255.255 initval 1
create h10 hash:ip netmask 32 initval 1
create b1 bitmap:port range 5-1
create b2 bitmap:port range udp:1-5 timeout 4
create b3 bitmap:port range 5-5
create b4 portmap --from 1 --to 5
create l1 list:set size 0
create l2 setlist --size 16
new n1 nethash initval 1
-N n2 iphash --hashsize 2048 --initval 1
list -t
list -o save
list -n
list -n -o xml
list -t -o xml
list -o xml h4
""",
    "names": """
add l a
destroy a
destroy
rename a x
swap a p
swap a none
swap none a
rename none x
rename p a
rename n p
rename n xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
destroy none
flush none
list none
save none
add none 1.1.1.1
-exist destroy none
-q destroy none
create a2 hash:ip initval 1
add a2 9.9.9.9
swap a a2
list
del l a
rename a x
e x a
-W a a2
x a2
--destroy pi
-X pn
create pi hash:ip initval 1
list -n
destroy
list
save
list -n
list -o xml
""",
    "command lines": """

foo
create
create x
add a
add
list a b
rename a
swap
list -o foo
-o
-f
version
version x
restore x
list -x
-q list -s -t l
a a 5.5.5.5
-D a 5.5.5.5
-T a 5.5.5.5
l l
-L l -t
--list l -terse
--add a 7.7.7.7
s l
f l
-F
""",
}  # fmt: skip
RESTORES = (
    "create a hash:ip initval 1\nadd a 1.1.1.1\ntest a 1.1.1.1\nadd a 1.1.1.2\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\ntest a 1.1.1.9\nadd a 1.1.1.2\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\nlist a\nadd a 1.1.1.2\nsave a\nsave\nlist -n\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\nadd a foo\nadd a 1.1.1.2\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\ncreate b hash:ip initval 1\nadd b 2.2.2.2\nadd a foo\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\nadd a 1.1.1.1\nadd a 1.1.1.3\ncreate b hash:ip initval 1\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\nadd a 1.1.1.1\nadd a 1.1.1.3\nadd a foo\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\n-exist add a 1.1.1.1\nadd a 1.1.1.1\nadd a 1.1.1.3\n",
    "create a hash:ip initval 1\n-exist add a 1.1.1.1\nadd a 1.1.1.1\nadd a 1.1.1.3\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\nadd nosuch 1.1.1.1\nadd a 1.1.1.3\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\ndel a 2.2.2.2\nadd a 1.1.1.3\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\n\n# comment\n   # c\nCOMMIT\n  add a 1.1.1.3\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\nversion\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\nrestore\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\nhelp\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\nquit\nadd a 1.1.1.2\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\nfoo\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\nadd a\n",
    'create a hash:ip initval 1 comment\nadd a 1.1.1.1 comment "x y\n',
    'create a hash:ip initval 1 comment\nadd a 1.1.1.1 comment x"y z"w\n',
    'create a hash:ip initval 1 comment\nadd a 1.1.1.2 comment ""\n',
    'create a hash:ip initval 1 comment\nadd a 1.1.1.3 comment "q" \n',
    "create a hash:ip initval 1\nadd a 1.1.1.1 \tCOMMIT\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\n COMMIT \nadd a 1.1.1.2",
    "create a hash:ip initval 1\nadd a 1.1.1.1\nflush\nadd a 1.1.1.2\nswap a a\nrename a b\nadd b 1.1.1.4\ndestroy b\n"
    "create c hash:net initval 1\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\n-q add a 1.1.1.1\nadd a 1.1.1.4\n",
    "create a hash:ip initval 1\nadd a 1.1.1.1\ndel a 1.1.1.1\nadd a 1.1.1.1\nadd a 1.1.1.1\n",
    "create a hash:ip initval 1\nadd  a\t1.1.1.2 --timeout 5\n",
    "create l list:set\nadd l x\n",
    "-N a iphash --hashsize 1024 --initval 1\n-A a 1.1.1.1\n-A a 1.1.1.1\n",
)
BIG = {
    "plain": ("hash:ip", "10.0.{}.{}"),
    "much said of each": (
        "hash:ip,port timeout 100 counters comment skbinfo",
        '10.0.{}.{},udp:5-6 timeout 6 packets 4 bytes 0 comment "four words in all" skbmark 0x1 skbprio 1:1 skbqueue 4',
    ),
    "networks": ("hash:ip,port,net timeout 0", "10.0.{}.{},80,10.0.0.0/24 nomatch"),
    "inet6": ("hash:net family inet6", "fd00:{}:{}::/48"),
}
_numbers = itertools.count()
_TIMEOUT = re.compile(r"(?<=timeout)([ >])\d+")


@pytest.fixture
def judge() -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Run the machine's own ipset in a namespace."""
    name = f"pwi-sets-{os.getpid()}-{next(_numbers)}"
    subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)

    def run(words: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
        command = ["ip", "netns", "exec", name, "ipset", *words]
        return subprocess.run(command, check=False, capture_output=True, text=True, input=text)

    try:
        yield run
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True, capture_output=True)


def same(text: str) -> str:
    """Blank what real time changes."""
    return _TIMEOUT.sub(r"\1T", text)


@pytest.mark.kernel
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_does_and_says_what_the_real_tool_does(
    lab: Lab, autojump_clock: MockClock, judge: Callable[..., subprocess.CompletedProcess[str]], scenario: str
) -> None:
    await lab.run("ipset restore", stdin=SETS.encode())
    assert judge(["restore"], SETS).returncode == 0
    different = []
    for line in SCENARIOS[scenario][1:-1].split("\n"):
        words = shlex.split(line)
        real = judge(words)
        ours = await lab.run(["ipset", *words])
        texts = [
            f"{same(out)}{error}status {status}\n"
            for out, error, status in (
                (real.stdout, real.stderr, real.returncode),
                (ours.out, ours.error, ours.status),
            )
        ]
        if texts[0] != texts[1]:
            different += [f"ipset {line}", *unified_diff(*(text.splitlines() for text in texts), lineterm="", n=1)]
    assert not different, "\n".join(["the real tool (-), ours (+):", *different])


@pytest.mark.kernel
@pytest.mark.parametrize("text", RESTORES)
@pytest.mark.parametrize("option", ["", "-exist", "-q"])
async def test_restores_as_the_real_tool_does(
    lab: Lab, autojump_clock: MockClock, judge: Callable[..., subprocess.CompletedProcess[str]], text: str, option: str
) -> None:
    real = judge([*option.split(), "restore"], text)
    ours = await lab.run(f"ipset {option} restore", stdin=text.encode())
    assert (ours.out, ours.error, ours.status) == (real.stdout, real.stderr, real.returncode)
    assert (await lab.run("ipset save")).out == judge(["save"]).stdout


@pytest.mark.kernel
@pytest.mark.parametrize("kind", BIG)
@pytest.mark.parametrize("end", ["add big foo\n", "add big foo\n# \n", "create big hash:ip\n", ""])
async def test_a_line_that_cannot_be_read_takes_the_message_along(
    lab: Lab, autojump_clock: MockClock, judge: Callable[..., subprocess.CompletedProcess[str]], kind: str, end: str
) -> None:
    create, element = BIG[kind]
    lines = [f"add big {element.format(n // 200, n % 200 + 1)}\n" for n in range(700)]
    text = f"create big {create} initval 1\n{''.join(lines)}{end}"
    real = judge(["restore"], text)
    ours = await lab.run("ipset restore", stdin=text.encode())
    assert (ours.error, ours.status) == (real.stderr, real.returncode)
    assert same((await lab.run("ipset list")).out) == same(judge(["list"]).stdout)


async def test_help_names_what_there_is(lab: Lab, autojump_clock: MockClock) -> None:
    done = await lab.run("ipset help")
    assert done.status == 0
    assert "    hash:ip,port,net\t8\n" in done.out
    assert (
        "create SETNAME bitmap:port \n               range FROM-TO\n" in (await lab.run("ipset help bitmap:port")).out
    )
    done = await lab.run("ipset help hash:foo")
    assert (done.error, done.status) == (f"ipset v7.17: Unknown settype: `hash:foo'\n{HINT}", 2)


async def test_files_are_refused_by_name(lab: Lab, autojump_clock: MockClock) -> None:
    done = await lab.run("ipset restore -f rules.txt")
    assert (done.status, done.error) == (
        1,
        "ipset v7.17: cannot open rules.txt: there are no files here; use standard input and output\n",
    )
