"""What a bundle lacks: files that are not there, and what matches remember; each is told in one line."""

from __future__ import annotations

from pathlib import Path

from emulator.bundle.inputs import Source
from tests.bundle.maker import ROUTER, link, make, router, udp_frame


def notes(path: Path, **options: object) -> list[str]:
    made = make(path)
    run = made.prepare(Source("eth0", made.capture([udp_frame("10.0.1.2", "10.0.2.2")])), **options)
    return list(run.bundle.notes)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    made = make(tmp_path, links=ROUTER, sysctl="net.ipv4.ip_forward = 1\n")
    assert notes(tmp_path) == [
        "not there: iptables-save.txt (no rules of iptables), conntrack.txt (no connections), routes.json (connected "
        "routes only), rules.json (Linux's three), neigh.json (MACs of next hops are made up)"
    ]
    for name in ("conntrack.txt", "routes.json", "rules.json"):
        made.write(name, "")  # the tool had nothing to print
    (line,) = notes(tmp_path, assume_neighbours=False)
    assert line == "not there: iptables-save.txt (no rules of iptables), neigh.json (no neighbours)"
    made.write("links.json", [*ROUTER, link("cbr0", kind="bridge")])
    made.write("neigh.json", [])
    made.write("iptables-save.txt", "")
    assert notes(tmp_path) == ["not there: fdb.json (bridges know no stations yet)"]
    made.write("fdb.json", [])
    assert notes(tmp_path) == []


def test_what_rules_remember(tmp_path: Path) -> None:
    """Once for each kind of match, however many rules have it; chance remembers nothing that a tool could print."""
    rules = (
        "*filter\n-A FORWARD -m limit --limit 5/sec\n-A FORWARD -m limit --limit 6/sec\n"
        "-A FORWARD -m hashlimit --hashlimit-upto 5/sec --hashlimit-name h\n-A FORWARD -m recent --set\n"
        "-A FORWARD -m statistic --mode {mode}\nCOMMIT\n"
    )
    router(tmp_path, rules.format(mode="nth --every 3 --packet 0"), routes=[], rules=[], conntrack="")
    assert notes(tmp_path) == [
        "limit: how much credit was left is not in a bundle: taken as full",
        "hashlimit: how much credit each had left is not in a bundle: all are taken as full",
        "recent: which addresses were seen is not in a bundle: taken as none",
        "statistic: how far --mode nth had counted is not in a bundle: it begins anew",
    ]
    router(tmp_path, "*filter\n-A FORWARD -m statistic --mode random --probability 0.5\nCOMMIT\n")
    assert notes(tmp_path) == []
