"""The keys and the words of the pages."""

from __future__ import annotations

HELP: list[tuple[str, str]] = [
    ("1 2 3 4", "flows, nodes, pods, Services (or tab)"),
    ("↑ ↓ pgup pgdn", "move; home goes to the top and stays there"),
    ("enter", "all about the row; for a flow its conntrack entry on each node"),
    ("s   r", "sort by the next column; reverse (or click a header)"),
    ("p", "hold the picture, and let it go on"),
    ("/", "filter flows; enter keeps it, escape clears it"),
    ("?   q", "this page; quit, also with ctrl-c (the cluster runs on)"),
    ("", ""),
    ("Filter", "all of: words found anywhere; pod:client service:web port:80"),
    ("", "verdict:dropped protocol:udp node:node-a"),
    ("Names", "default/client is a pod, default/svc/web a Service, node/node-a a node"),
    ("NAT", "10.244.1.2:43122 → 10.96.0.10:80 ⇒ 10.244.2.3:8080, as sent ⇒ as it arrives"),
    ("Stale", "in italics: the node does not answer now, this is what it told last"),
]
"""What `?` shows, as (keys or word, meaning)."""
