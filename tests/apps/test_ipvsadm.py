"""ipvsadm in a namespace: what it changes, prints, reads from standard input and refuses."""

from __future__ import annotations

from .conftest import Lab

TABLE = (
    "IP Virtual Server version 1.2.1 (size=4096)\n"
    "Prot LocalAddress:Port Scheduler Flags\n"
    "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
)
SAVED = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.244.1.3:80 -m -w 1\n"


async def test_commands_as_words(lab: Lab) -> None:
    assert (await lab.run("ipvsadm")).out == TABLE
    assert (await lab.run("ipvsadm -A -t 10.0.0.1:80 -s rr")).status == 0
    assert (await lab.run("ipvsadm -a -t 10.0.0.1:80 -r 10.244.1.3 -m")).status == 0
    assert (await lab.run("ipvsadm -Ln")).out == (
        f"{TABLE}TCP  10.0.0.1:80 rr\n  -> 10.244.1.3:80                Masq    1      0          0         \n"
    )
    assert (await lab.run("ipvsadm -Sn")).out == SAVED
    assert (await lab.run("ipvsadm -Lnc")).out.splitlines()[0] == "IPVS connection entries"
    assert (await lab.run("ipvsadm -L --timeout")).out == "Timeout (tcp tcpfin udp): 900 120 300\n"
    assert (await lab.run("ipvsadm -L --daemon")).out == ""
    assert (await lab.run("ipvsadm -Ln -t 10.0.0.1:80")).out.startswith("Prot LocalAddress:Port Scheduler Flags\n")
    assert (await lab.run("ipvsadm -C")).status == 0
    assert (await lab.run("ipvsadm -Sn")).out == ""
    assert (await lab.run("ipvsadm -v")).out == "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n"
    assert "--sctp-service" in (await lab.run("ipvsadm -h")).out


async def test_standard_input(lab: Lab) -> None:
    assert (await lab.run("ipvsadm -R", stdin=f"# saved\nipvsadm {SAVED}".encode())).status == 0
    assert (await lab.run("ipvsadm -Sn")).out == SAVED
    again = await lab.run("ipvsadm -R", stdin=f"{SAVED}-A -u 10.0.0.1:53 -s rr\n".encode())
    assert (again.status, again.error) == (0, "Service already exists\nDestination already exists\n")
    wrong = await lab.run("ipvsadm -R", stdin=b"-A -t nowhere\n-C\n")
    assert (wrong.status, wrong.error) == (2, "illegal virtual server address[:port] specified\n")
    assert (await lab.run("ipvsadm -Sn")).out.startswith(SAVED)


async def test_errors(lab: Lab) -> None:
    for line, status, told in (
        ("-D -t 10.0.0.1:80", 255, "No such service"),
        ("-a -t 10.0.0.1:80 -r 10.244.1.3 -m", 255, "Service not defined"),
        ("-Ln -t 10.0.0.1:80", 1, "No such service"),
        ("-L --timeout --stats", 2, "options conflicts in the list command"),
        ("--start-daemon master", 255, "there is no other director here to synchronize connections with"),
        ("-x", 255, "Try `ipvsadm -h' or 'ipvsadm --help' for more information."),
    ):
        refused = await lab.run(f"ipvsadm {line}")
        assert (refused.status, refused.error) == (status, f"{told}\n"), line


async def test_sysctls_are_there_when_they_are_asked_for(lab: Lab) -> None:
    assert (await lab.run("sysctl net.ipv4.vs.conntrack")).out == "net.ipv4.vs.conntrack = 0\n"
    assert (await lab.run("sysctl -w net.ipv4.vs.conntrack=1")).status == 0
    assert lab.netns("client").netfilter.ipvs.settings.conntrack == 1
    assert (await lab.run("sysctl net.ipv4.vs.drop_packet=4")).status != 0
    assert (await lab.run("sysctl net.ipv4.vs.nothing")).status != 0
