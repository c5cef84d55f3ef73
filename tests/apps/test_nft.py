"""nft in a namespace: what it changes, lists and refuses."""

from __future__ import annotations

from .conftest import Lab

RULES = """table ip t {
\tset s {
\t\ttype ipv4_addr
\t\telements = { 10.0.0.1, 10.0.0.2 }
\t}

\tchain c {
\t\ttype filter hook input priority filter; policy accept;
\t\ticmp type echo-request counter packets 0 bytes 0 drop
\t}
}
"""


async def test_a_rule_set_from_standard_input(lab: Lab) -> None:
    assert (await lab.run("nft -f -", "server", stdin=RULES.encode())).status == 0
    assert (await lab.run("nft list ruleset", "server")).out == RULES
    assert (await lab.run("nft -s list chain ip t c", "server")).out.splitlines()[
        3
    ] == "\t\ticmp type echo-request counter drop"
    assert "# handle" in (await lab.run("nft -a list ruleset", "server")).out
    assert (await lab.run("nft -j list tables", "server")).out.startswith('{"nftables": [{"metainfo"')
    document = (await lab.run("nft -j list ruleset", "server")).out
    assert (await lab.run("nft flush ruleset", "server")).status == 0
    assert (await lab.run("nft -j -f -", "server", stdin=document.encode())).status == 0
    assert (await lab.run("nft list ruleset", "server")).out == RULES


async def test_commands_as_words(lab: Lab) -> None:
    for command in (
        "nft add table ip t", "nft add set ip t s { type ipv4_addr ; }", "nft add element ip t s { 10.0.0.1 }",
        "nft add chain ip t c", "nft add rule ip t c ip saddr @s drop",
    ):  # fmt: skip
        assert (await lab.run(command)).status == 0, command
    assert "ip saddr @s drop" in (await lab.run("nft list table t")).out
    assert (await lab.run("nft -c delete table ip t")).status == 0
    assert (await lab.run("nft list tables")).out == "table ip t\n"


async def test_packets_meet_the_rules(lab: Lab) -> None:
    await lab.run("nft -f -", "server", stdin=RULES.encode())
    assert (await lab.run("ping -c 1 -W 1 10.244.1.3")).status == 1
    assert "counter packets 1 bytes 84 drop" in (await lab.run("nft list ruleset", "server")).out


async def test_errors(lab: Lab) -> None:
    refused = await lab.run("nft -f -", stdin=b"add table ip t\nadd rule ip t c drop\n")
    assert (refused.status, refused.error) == (
        1,
        "/dev/stdin:2:15-15: Error: No such file or directory\nadd rule ip t c drop\n              ^\n",
    )
    assert (await lab.run("nft list tables")).out == ""
    refused = await lab.run("nft delete table ip nope")
    told = "Error: No such file or directory\ndelete table ip nope\n                ^^^^\n"
    assert (refused.status, refused.error) == (1, told)
    assert "family netdev is not supported here" in (await lab.run("nft add table netdev t")).error
    assert (await lab.run("nft -v")).out == "nftables v1.0.6 (Lester Gooch #5)\n"
