"""dig, host and nslookup print what the real ones print, of the same server's answers to the same questions."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from trio.testing import MockClock

from emulator.runtime.sockets.network import NetnsNetwork
from emulator.runtime.sockets.resolver import ResolverSettings
from tests.apps.conftest import ADDRESSES, SEARCH, Lab

from .real_server import ADDRESS
from .world import endpoint, endpoints, service, start

pytestmark = pytest.mark.kernel

SEARCH_LIST = (*SEARCH, "testns.svc.cluster.local")
COREFILE = """. {
    kubernetes cluster.local in-addr.arpa {
        pods insecure
        ttl 30
        fallthrough in-addr.arpa
    }
}"""
ZONE = "svc.cluster.local"
COMMANDS = f"""\
dig svc1.testns.{ZONE}
dig +short svc1.testns.{ZONE}
dig +noall +answer svc1.testns.{ZONE}
dig +noall +answer +authority nope.testns.{ZONE}
dig _http._tcp.hdls1.testns.{ZONE} SRV
dig -x 10.0.0.1
dig -x 10.0 +noall +question
dig svc1.testns +search
dig svc1.testns +search +showsearch +noall +answer +comments
dig +tcp svc1.testns.{ZONE}
dig +norecurse +noedns svc1.testns.{ZONE}
dig +noedns many.testns.{ZONE} +noall +answer +stats
dig +noedns +ignore many.testns.{ZONE} +noall +comments
dig +bufsize=512 many.testns.{ZONE} +noall +comments
dig svc1.testns.{ZONE} nope.testns.{ZONE} A two.testns.{ZONE}
dig +noall +answer -x 10.0.0.1 -x 10.0.0.2
dig @10.244.1.2 svc1.testns.{ZONE} +time=1 +tries=2
dig @10.244.1.2 +short x +tries=1
dig @{ADDRESS} svc1.testns.{ZONE} +noall +cmd
dig svc1.testns.{ZONE} ANY
dig svc1.testns.{ZONE} AXFR
dig svc1.testns.{ZONE} CH
dig -t NOPE svc1
dig -t AAAA dual.testns.{ZONE} +multiline
dig cluster.local SOA +multiline
dig cluster.local SOA
dig cluster.local NS
dig +short dns-version.cluster.local TXT
dig +ttlunits +noall +answer dns-version.cluster.local TXT
dig +dnssec svc1.testns.{ZONE}
dig +nocookie svc1.testns.{ZONE}
dig +noclass +nottlid svc1.testns.{ZONE}
dig +noclass svc1.testns.{ZONE}
dig +nocmd +noquestion +nostats svc1.testns.{ZONE}
dig +nocomments svc1.testns.{ZONE}
dig +ndots=1 +search svc1.testns
dig to-service.testns.{ZONE}
dig -q svc1.testns.{ZONE} -t A -c IN
dig +qr svc1.testns.{ZONE}
dig +qr +subnet=10.0.0.0/8 +nsid svc1.testns.{ZONE}
dig +noadflag +cdflag +aaflag svc1.testns.{ZONE} +noall +comments +qr
dig +edns=1 svc1.testns.{ZONE}
dig +edns=1 +noednsneg svc1.testns.{ZONE}
dig -4 +domain=testns.{ZONE} +short svc1
dig mx
dig
dig -v
dig -h
dig a..b
dig +nonsense
dig +time=x y
dig -p x y
host svc1.testns
host -v svc1.testns.{ZONE}
host -a svc1.testns.{ZONE}
host -t SRV _http._tcp.hdls1.testns.{ZONE}
host dual.testns
host svc6.testns
host nope.testns.{ZONE}.
host 10.0.0.1
host to-service.testns
host to-nothing.testns
host -t SOA cluster.local
host -t NS cluster.local
host -t TXT dns-version.cluster.local.
host -t AAAA svc1.testns.{ZONE}
host -T svc1.testns
host -r svc1.testns
host svc1.testns {ADDRESS}
host svc1.testns 10.244.1.2
host -N 1 svc1.testns
host nope
host many.testns
host
host -t NOPE x
nslookup svc1.testns
nslookup dual.testns
nslookup svc6.testns
nslookup nope.testns.{ZONE}.
nslookup nope
nslookup 10.0.0.1
nslookup 10.9.9.9
nslookup -type=srv _http._tcp.svc1.testns.{ZONE}
nslookup -type=soa cluster.local.
nslookup -type=ns cluster.local
nslookup -type=txt dns-version.cluster.local.
nslookup -type=aaaa svc1.testns.{ZONE}
nslookup -type=any svc1.testns.{ZONE}
nslookup -query=cname external.testns.{ZONE}
nslookup svc1.testns {ADDRESS}
nslookup nope {ADDRESS}
nslookup -timeout=1 -retry=2 svc1.testns 10.244.1.2
nslookup -debug svc1.testns
nslookup -debug dual.testns
nslookup -vc svc1.testns
nslookup -nosearch svc1.testns
nslookup to-service.testns
nslookup to-nothing.testns
nslookup hdls1.testns
nslookup many.testns
nslookup a b c
getent hosts svc1.testns
getent hosts to-service.testns
getent hosts many.testns
getent hosts nope.testns.{ZONE}.
getent hosts 10.0.0.1
getent ahosts svc1.testns
getent ahostsv4 svc1.testns
""".splitlines()


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    """A namespace of the machine in which the real server answers."""
    name = f"pwt-dns-{os.getpid()}"
    folder = Path("/etc/netns", name)
    folder.mkdir(parents=True)
    search = " ".join(SEARCH_LIST)
    (folder / "resolv.conf").write_text(f"search {search}\nnameserver {ADDRESS}\noptions ndots:5\n")
    try:
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        for address in (ADDRESS, ADDRESSES["client"]):
            run("ip", "-n", name, "addr", "add", f"{address}/32", "dev", "lo")
        with subprocess.Popen(
            ["ip", "netns", "exec", name, sys.executable, "-m", "tests.apps.dns.real_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        ) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            yield name
            server.communicate(timeout=10)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)
        (folder / "resolv.conf").unlink()
        folder.rmdir()


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)


def plain(text: str) -> str:
    """What is another in each run is left out: identifiers, cookies, times."""
    text = re.sub(r"id: \d+", "id: N", text)
    text = re.sub(r"COOKIE: [0-9a-f]+", "COOKIE: C", text)
    text = re.sub(r"(WHEN:).*", r"\1", text)
    return re.sub(r"(time:|in) \d+ (msec|ms)", r"\1 N \2", text)


async def test_the_same_is_printed(lab: Lab, autojump_clock: MockClock, namespace: str) -> None:
    settings = ResolverSettings((ADDRESS,), SEARCH_LIST, 5)
    lab.networks["client"] = NetnsNetwork(lab.machine, lab.networks["client"].netns, settings)
    known = await start(lab, COREFILE)
    known.put("Service", service("many", clusterIP="None"))
    known.put("EndpointSlice", endpoints("many", *(endpoint(f"172.1.0.{last}") for last in range(1, 61))))
    differences = ""
    for command in COMMANDS:
        real, ours = really(namespace, command), await lab.run(command)
        if (ours.status, plain(ours.out)) != (real.returncode, plain(real.stdout)):
            differences += f"$ {command}\n--- real ({real.returncode})\n{real.stdout}{real.stderr}\n"
            differences += f"--- ours ({ours.status})\n{ours.out}{ours.error}\n"
    assert not differences, differences


def really(namespace: str, command: str) -> subprocess.CompletedProcess[str]:
    words = ["ip", "netns", "exec", namespace, *command.split()]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
