"""The keys and the words of the pages."""

from __future__ import annotations

HELP: list[tuple[str, str]] = [
    ("1 2 3 4 5", "flows, nodes, pods, Services, events (or tab, shift+tab, a click)"),
    ("↑ ↓ j k", "move; pgup, pgdn: by screens; end, G: to the last row"),
    ("home  g", "to the first row, and stay there whatever comes"),
    ("enter", "all about the row; a flow's NAT and its conntrack entry on each node"),
    ("/", "filter; enter keeps it, escape clears it"),
    ("s   S   r", "sort by the next column, the one before; reverse (or click a header)"),
    ("p  space", "hold the picture, and let it go on"),
    ("c", "choose columns"),
    ("y", "copy the row, or the text of a window (by the terminal: OSC 52)"),
    ("t", "on a flow: send a packet on its way, and show each hop, chain and rewrite"),
    ("f", "on flows: follow the newest; on a node, pod or Service: its flows"),
    ("l", "on a pod: its logs, followed"),
    ("esc", "leave a window"),
    ("?   q", "this page; quit, also with ctrl-c (the cluster runs on)"),
    ("", ""),
    ("Filter", "all of: words found anywhere, fields, and ! before what must not be:"),
    (" ", "from:client to:web pod: service: namespace: ip: port:80,443 protocol:udp"),
    (" ", "verdict:dropped reason:no_socket state:established node:node-a !port:53"),
    (" ", "on other pages the fields are the columns: status:running node:node-a"),
    ("Names", "default/client is a pod, default/svc/web a Service, node/node-a a node"),
    ("Verdicts", "FORWARDED: sent on; yellow while nothing came back"),
    (" ", "DROPPED: in silence; REJECTED: by a rule, or an ICMP error on the way;"),
    (" ", "REFUSED: by the destination, with a TCP reset or port unreachable"),
    ("NAT", "10.244.1.2:43122 → 10.96.0.10:80 ⇒ 10.244.2.3:8080, as sent ⇒ as it arrives"),
    ("Rates", "of flows by each node's counters; FRM/S: underlay frames, both ways"),
    ("Stale", "in italics: the node does not answer now, this is what it told last"),
]
"""What `?` shows, as (keys or word, meaning)."""
