"""`emulator proxy`: kube-proxy's rules, without a cluster or in the one that runs."""

from __future__ import annotations

from emulator.cli.command import LazyGroup

proxy = LazyGroup(
    "proxy",
    modules={
        "render": ("emulator.cli.proxy.render:render", "Print the rules that kube-proxy would load on a node."),
        "check": ("emulator.cli.proxy.check:check", "Tell where flows go by these rules, and check it."),
        "set-mode": ("emulator.cli.proxy.set_mode:set_mode", "Change the mode of a cluster that runs, live."),
    },
    help="kube-proxy's rules for a node in each of its modes, and the mode of a cluster that runs.",
)
