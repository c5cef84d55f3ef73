from __future__ import annotations

from typing import Any

from emulator.api.objects.pod import Pod
from emulator.api.objects.view import view
from emulator.kube.dns import pod_hosts, pod_resolver


def pod(**spec: Any) -> Pod:
    return view({"metadata": {"name": "p", "namespace": "shop"}, "spec": {"containers": []} | spec}, Pod)


def test_cluster_first_resolver() -> None:
    resolver = pod_resolver(pod(), "10.96.0.10")
    assert str(resolver) == (
        "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
    )
    assert resolver.ndots == 5


def test_dns_policies() -> None:
    assert pod_resolver(pod(dnsPolicy="Default"), "10.96.0.10", ("172.18.0.1",)).nameservers == ("172.18.0.1",)
    assert pod_resolver(pod(hostNetwork=True), "10.96.0.10").nameservers == ()
    assert pod_resolver(pod(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"), "10.96.0.10").ndots == 5
    own = {"nameservers": ["9.9.9.9"], "searches": ["x.org"], "options": [{"name": "ndots", "value": "2"}]}
    resolver = pod_resolver(pod(dnsPolicy="None", dnsConfig=own), "10.96.0.10")
    assert (resolver.nameservers, resolver.search, resolver.ndots) == (("9.9.9.9",), ("x.org",), 2)


def test_hosts() -> None:
    hosts = pod_hosts(
        pod(hostname="db-0", subdomain="db", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["x"]}]), "10.0.0.5"
    )
    assert hosts == {
        "localhost": "127.0.0.1",
        "x": "1.2.3.4",
        "db-0": "10.0.0.5",
        "db-0.db.shop.svc.cluster.local": "10.0.0.5",
    }
