"""Command lines for iptables against the real one: output, message, exit status, and the rules that are left."""

from __future__ import annotations

import os
import random
import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest

from emulator.apps.commands.iptables_error import told
from emulator.kernel.kernel import Kernel
from emulator.kernel.netfilter.error import RuleError
from emulator.kernel.netfilter.iptables.command import iptables
from emulator.kernel.netns import Netns

pytestmark = pytest.mark.kernel

BEFORE = """*filter
:INPUT DROP [4:400]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:EMPTY - [0:0]
:ONE - [0:0]
:TWO - [0:0]
[1:100] -A INPUT -s 10.0.0.1/32 -j ONE
[2:200] -A INPUT -p tcp -m tcp --dport 80 -j ACCEPT
[3:300] -A INPUT -i eth0 -p udp -m comment --comment "a b" -g TWO
[0:0] -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
[123456:7890123456] -A ONE -j ACCEPT
[0:0] -A TWO -j ONE
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
[5:500] -A POSTROUTING -o eth0 -j MASQUERADE
COMMIT
"""
COMMANDS = """
-A INPUT -j ACCEPT
-A INPUT
-A
-A NOPE -j ACCEPT
-A INPUT -j NOPE
-A INPUT -g NOPE
-A INPUT -g ACCEPT
-A INPUT -j FORWARD
-A INPUT -j
-A INPUT -j ACCEPT -j DROP
-A INPUT -p tcp --dport 70000
-A INPUT -p tcp --dport
-A INPUT --dport 80
-A INPUT -p nosuch
-A INPUT -s 1.2.3.4.5
-A INPUT -s 1.2.3.4/40
-A INPUT ! -s 1.2.3.4 ! -d 5.6.7.8/16 -j DROP
-A INPUT ! ! -s 1.2.3.4
-A INPUT !
-A INPUT -s 1.1.1.1,2.2.2.2 -j ACCEPT
-A INPUT -m nosuch
-A INPUT -m
-A INPUT -o eth0 -j ACCEPT
-A OUTPUT -i eth0 -j ACCEPT
-A INPUT -i averylonginterfacename
-A INPUT -f -j ACCEPT
-A INPUT -c 5 6 -j ACCEPT
-A INPUT -c 5 -j ACCEPT
-A INPUT -c x 6 -j ACCEPT
-A INPUT -j REJECT --reject-with tcp-reset
-A INPUT -j MASQUERADE
-A INPUT -m mac --mac-source 1:2:3:4:5:6
-A OUTPUT -m mac --mac-source 1:2:3:4:5:6
-A INPUT extra
-A INPUT FORWARD -j ACCEPT
-A ONE -j TWO
-A ONE -j ONE
-A EMPTY -j EMPTY
--append INPUT --protocol tcp --source 10.0.0.0/8 --jump DROP
--app INPUT -j ACCEPT
-A INPUT --prot tcp -j ACCEPT
-I INPUT -j ACCEPT
-I INPUT 2 -j ACCEPT
-I INPUT 4 -j ACCEPT
-I INPUT 5 -j ACCEPT
-I INPUT 0 -j ACCEPT
-I INPUT x -j ACCEPT
-I INPUT -s 1.1.1.1,2.2.2.2 -j ACCEPT
-I INPUT 2 -s 1.1.1.1,2.2.2.2 -j ACCEPT
-I
-D INPUT 1
-D INPUT 3
-D INPUT 4
-D INPUT 0
-D INPUT x
-D INPUT -s 10.0.0.1 -j ONE
-D INPUT -s 10.0.0.1/32 -j ONE
-D INPUT -s 10.0.0.1 -j TWO
-D INPUT -p tcp --dport 80 -j ACCEPT
-D INPUT -j NOPE
-D NOPE 1
-D NOPE -j ACCEPT
-D INPUT
-D
-D INPUT -p tcp -m icmp --icmp-type 8
-R INPUT 1 -j DROP
-R INPUT 4 -j DROP
-R INPUT 0 -j DROP
-R INPUT -j DROP
-R INPUT 1 -s 1.1.1.1,2.2.2.2
-R INPUT 2
-R NOPE 1 -j DROP
-R INPUT 1 -c 7 8 -j DROP
-C INPUT -s 10.0.0.1 -j ONE
-C INPUT -j DROP
-C INPUT -j NOPE
-C NOPE -j DROP
-C INPUT
-N NEW
-N ONE
-N INPUT
-N ACCEPT
-N MASQUERADE
-N
-N -x
-N !x
-N averyveryverylongchainname123
-N averyveryverylongchainname12
-N A B
-X EMPTY
-X ONE
-X TWO
-X NOPE
-X INPUT
-X
-E EMPTY NEW
-E ONE NEW
-E ONE TWO
-E ONE INPUT
-E NOPE NEW
-E ONE
-E
-P INPUT ACCEPT
-P INPUT DROP
-P INPUT REJECT
-P INPUT nosuch
-P ONE ACCEPT
-P NOPE ACCEPT
-P INPUT
-P
-F
-F INPUT
-F NOPE
-F INPUT FORWARD
-Z
-Z INPUT
-Z INPUT 1
-Z INPUT 9
-Z NOPE
-L
-L -n
-nL
-nvL
-vnL INPUT
-L INPUT -v -n --line-numbers
-L INPUT -nvx
-L INPUT 2 -n
-L INPUT 9
-L INPUT 0
-L NOPE
-L ONE
-nvL TWO
-S
-S INPUT
-S INPUT 2
-S INPUT 9
-S NOPE
-S -v
-S ONE -v
-L -Z
-L INPUT -Z -n
-t nat -L -n
-t nat -nvL POSTROUTING
-t nat -S
-t nat -A POSTROUTING -j DROP
-t nat -A PREROUTING -j DNAT --to-destination 1.2.3.4
-t nat -A POSTROUTING -j DNAT --to-destination 1.2.3.4
-t nat -P PREROUTING DROP
-t nat -F
-t mangle -L -n
-t mangle -S
-t raw -A PREROUTING -j NOTRACK
-t nosuch -L
-t
-t nat
--table nat -L POSTROUTING -n
-L -t nat -n POSTROUTING
-w -L EMPTY
-w 5 -S EMPTY
--wait -S EMPTY
-4 -S EMPTY
-n
-v -A INPUT -p udp -j ACCEPT
-A INPUT -j ACCEPT -D INPUT 1
-L -S
-Q
nosuch
-A INPUT -s localhost -j ACCEPT
-A INPUT -p TCP -m tcp --dport http -j ACCEPT
-A INPUT -m limit -j ACCEPT -m comment --comment "x y"
-A INPUT -m tcp --dport 80 -j ACCEPT
-A INPUT -p tcp -m multiport --dports 80,81 --sports 5
-A INPUT -p tcp --syn --tcp-flags ALL SYN
-A INPUT -m conntrack --ctstate NOPE
-A INPUT -j LOG --log-prefix "in: " --log-level debug
-A INPUT -j LOG --log-prefix "a prefix that is far too long for a log"
-A INPUT -j REJECT --reject-with nosuch
-A INPUT -j ACCEPT --nosuch
-A INPUT -m mark --mark x
-A INPUT -m addrtype
-A INPUT -m comment
-A INPUT -n -j ACCEPT
-A INPUT -x -j ACCEPT
-A INPUT --line-numbers -j ACCEPT
-D INPUT 1 -j ACCEPT
-D INPUT 1 -s 1.2.3.4
-L -s 1.2.3.4
-F -n
-F -j ACCEPT
-Z -x
-N Q -n
-X Q -j ACCEPT
-P INPUT ACCEPT -n
-E ONE THREE -n
-D INPUT -c 5 6 -j ACCEPT
-S -n
-S --line-numbers
-C INPUT -c 1 2 -j ACCEPT
-P INPUT ACCEPT -v
-F -v
-Z -v
-F -v INPUT
-N NEW -v
-v -A INPUT -i eth0 -s 10.0.0.0/8 ! -d 1.2.3.4 ! -p udp -m comment --comment hi -j ACCEPT
-v -I INPUT -f -p tcp --dport 80 -j LOG --log-prefix "x: "
-v -D INPUT -s 10.0.0.1 -j ONE
-v -D INPUT 1
-v -C INPUT -p tcp -j ACCEPT
-v -C INPUT -s 10.0.0.1 -j ONE
-v -R INPUT 1 -p tcp -g EMPTY
-v -A INPUT -s 1.1.1.1,2.2.2.2
-4 -L ONE
-L -Z
-S -Z
-Z -L INPUT
-L INPUT -Z FORWARD
-D INPUT -j ACCEPT -A INPUT
-L -A INPUT
-L -F
-A INPUT --dst 1.2.3.4 --jum ACCEPT
-A INPUT --s 1.2.3.4
--li INPUT
-A INPUT --sourc 1.2.3.4 -p tcp --des 5
-A INPUT -p tcp --dpo 80
-A INPUT -p tcp -m tcp --tcp 1
-A INPUT -p tcp --sp=80
-A INPUT -m comment --comment -t
-A INPUT -m comment --comment -A
-A INPUT -p 89
-A INPUT -p OSPF
-A INPUT -p mh -j ACCEPT
-A INPUT -p OSPFIGP
-A INPUT -p tcp --dport http-alt
-A INPUT -p tcp --dport ntp
-A INPUT -p udp --dport www
-A INPUT -p sctp --dport amqp
-A INPUT -p sctp --dport www
-A INPUT -p udp -m multiport --dports www
-A INPUT -p udp -m multiport --dports ntp,kerberos-sec
-t nat -A PREROUTING -p udp -j REDIRECT --to-ports imap
-A INPUT -m nosuch --dir in --pol ipsec -j ACCEPT
-A INPUT --pol x -m nosuch
-A INPUT -j NOSUCH --pol x
-L -m nosuch
-A INPUT -p tcp -dport 22
-A INPUT -p tcp -sport 22 -j ACCEPT
-A INPUT -p tcp -m tcp -sport 22
-A INPUT -p tcp -dport=22
-A INPUT -dport
-A INPUT -s1.2.3.4
-A INPUT -pudp --dport 3
-A INPUT -io eth0
-A INPUT -ieth0 -j ACCEPT
-A INPUT -s nosuch -p tcp --dport 70000
-A INPUT -s 1.1.1.1/40 --nosuch
-A INPUT ! -s 0.0.0.0/0 -m nosuch
-A INPUT -p tcp --dport=80 -j ACCEPT
-6 -A INPUT -s 1.1.1.1
-A INPUT -6 -s 1.1.1.1
-A INPUT --ipv6
-A INPUT -4 -s 1.1.1.1
-A INPUT --ipv4 -s 1.1.1.1
"""


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = f"pwo-command-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True)


def run(namespace: str, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
    words = ["ip", "netns", "exec", namespace, *command]
    return subprocess.run(words, input=text, capture_output=True, text=True, check=False)


def saved(namespace: str) -> str:
    output = run(namespace, "iptables-save", "-c").stdout
    return "".join(line + "\n" for line in output.splitlines() if not line.startswith("#"))


def comparable(text: str) -> str:
    """Take out what ours says more (what there is, and why the kernel refuses) and the real tool's empty lines."""
    text = "\n".join(line.rstrip() for line in text.split("\n") if line.strip())
    text = re.sub(r"( failed \([^)]*\): (?:rule in )?chain \S+)(?: \(.*\))?$", r"\1", text, flags=re.MULTILINE)
    text = re.sub(r" \((?:targets|known) are .*\)", "", text)
    text = text.replace(':\nThe "nat"', ': The "nat"')
    return re.sub(r"(Couldn't load (?:match|target) `[^']*'):.*", r"\1", text)


def test_every_name_of_a_port_and_protocol_is_listed_alike(namespace: str) -> None:
    protocols = "".join(f"-A INPUT -p {number}\n" for number in range(1, 256))
    ports = (7, 21, 53, 67, 80, 88, 123, 143, 443, 512, 513, 514, 750, 2431, 5060, 5672, 7000, 8080, 60179, 60180)
    ruled = "".join(f"-A INPUT -p {name} --dport {port}\n" for name in ("tcp", "udp", "sctp") for port in ports)
    text = f"*filter\n{protocols}{ruled}COMMIT\n"
    assert run(namespace, "iptables-restore", text=text).returncode == 0
    netfilter = Netns(Kernel("machine", random.Random(1)), "test").netfilter
    netfilter.restore(text)
    assert iptables(netfilter, ["-S", "INPUT"]) == run(namespace, "iptables", "-S", "INPUT").stdout
    assert iptables(netfilter, ["-L", "INPUT"]) == run(namespace, "iptables", "-L", "INPUT").stdout


@pytest.mark.parametrize("command", COMMANDS.strip().splitlines())
def test_a_command_line_does_the_same(namespace: str, command: str) -> None:
    words = shlex.split(command)
    assert run(namespace, "iptables-restore", "-c", text="*mangle\nCOMMIT\n*raw\nCOMMIT\n" + BEFORE).returncode == 0
    real = run(namespace, "iptables", *words)
    netfilter = Netns(Kernel("machine", random.Random(1)), "test").netfilter
    netfilter.restore(BEFORE, counters=True)
    output, message, status = "", "", 0
    try:
        output = iptables(netfilter, words)
    except RuleError as error:
        message, status = told(error)
    left = saved(namespace)
    assert (status, comparable(message), output) == (real.returncode, comparable(real.stderr), real.stdout)
    assert netfilter.save(counters=True) == left
