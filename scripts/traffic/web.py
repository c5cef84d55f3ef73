"""HTTP and DNS from the pods of configs/3node.toml at a rate: to its Service `web`, and lookups of that name.

emulator traffic run scripts/traffic/web.py --set duration=30 --set rate=100
"""

from __future__ import annotations

import emulator


async def main(
    cluster: emulator.Cluster, *, duration: float = 10.0, rate: float = 60.0, url: str = "http://web/"
) -> emulator.Report:
    """Send `rate` requests a second for `duration` seconds, half of them HTTP, from all pods alike."""
    load = emulator.Load(cluster, duration, name="web")
    clients = ("pod/client", "deployment/web")
    load.add("http", clients, url, rate=rate / 2)
    load.add("dns", clients, "dns:web", rate=rate / 2)
    load.expect("errors == 0")
    return await load.run()
