"""test/e2e/network/dns.go, dns_configmap.go: names of the cluster, of Services and of pods, looked up in pods.

Each test has the name of Kubernetes' own in its docstring; [Conformance] marks those of the conformance list.
"""

import pytest
from trio.testing import MockClock

from tests.scenarios.conformance.framework import Framework, pod, service

PROBER = pod("dns-test", nodeName="node-b")
HTTP = {"name": "http", "port": 80, "protocol": "TCP"}


async def dig(framework: Framework, *words: str) -> list[str]:
    """Look up as the probe commands do (`dig +notcp +noall +answer +search`), over UDP and over TCP; short answers."""
    answers = [
        (await framework.run("dns-test", "dig", transport, "+short", "+search", *words)).stdout.split("\n")[:-1]
        for transport in ("+notcp", "+tcp")
    ]
    assert sorted(answers[0]) == sorted(answers[1])
    return sorted(answers[0])


async def test_cluster(framework: Framework, autojump_clock: MockClock) -> None:
    """DNS should provide DNS for the cluster [Conformance]; should resolve DNS of partial qualified names for it."""
    await framework.create(PROBER)
    dns = await framework.cluster.get("Service", "kube-dns", "kube-system")
    for name in ("kube-dns.kube-system.svc.cluster.local", "kube-dns.kube-system.svc", "kube-dns.kube-system"):
        assert await dig(framework, name, "A") == [dns["spec"]["clusterIP"]]
    resolv = (await framework.run("dns-test", "cat", "/etc/resolv.conf")).stdout
    assert f"nameserver {dns['spec']['clusterIP']}\n" in resolv
    assert "search default.svc.cluster.local svc.cluster.local cluster.local" in resolv
    assert "options ndots:5" in resolv


async def test_hosts_entries(framework: Framework, autojump_clock: MockClock) -> None:
    """DNS should provide /etc/hosts entries for the cluster [Conformance]."""
    aliased = pod("dns-test", nodeName="node-b", hostAliases=[{"ip": "192.0.2.7", "hostnames": ["foo.local"]}])
    await framework.create(aliased)
    address = await framework.cluster.pod("dns-test").address()
    assert (await framework.run("dns-test", "getent", "hosts", "dns-test")).stdout.split()[0] == address
    assert (await framework.run("dns-test", "getent", "hosts", "foo.local")).stdout.split()[0] == "192.0.2.7"


async def test_services(framework: Framework, autojump_clock: MockClock) -> None:
    """DNS should provide DNS for services; should resolve DNS of partial qualified names for services [Conformance]."""
    selector = {"dns-test": "true"}
    headless = service("dns-test-service", selector, HTTP, clusterIP="None")
    await framework.create(headless, service("test-service-2", selector, HTTP), PROBER)
    backends = [pod(f"backend-{index}", "netexec", "--http-port=80", labels=selector) for index in range(2)]
    await framework.create(*backends)
    addresses = sorted((await framework.pods("dns-test=true")).values())
    vip = (await framework.service("test-service-2"))["clusterIP"]
    for suffix in ("", ".default", ".default.svc", ".default.svc.cluster.local"):
        assert await dig(framework, f"dns-test-service{suffix}", "A") == addresses
        assert await dig(framework, f"test-service-2{suffix}", "A") == [vip]
    for suffix in (".default.svc", ".default.svc.cluster.local"):
        (record,) = await dig(framework, f"_http._tcp.test-service-2{suffix}", "SRV")
        assert record == "0 100 80 test-service-2.default.svc.cluster.local."
        records = await dig(framework, f"_http._tcp.dns-test-service{suffix}", "SRV")
        assert [record.split()[:3] for record in records] == [["0", "50", "80"]] * 2
    assert await dig(framework, "-x", vip) == ["test-service-2.default.svc.cluster.local."]
    for address in addresses:
        dashed = address.replace(".", "-")
        assert f"{dashed}.dns-test-service.default.svc.cluster.local." in await dig(framework, "-x", address)


async def test_hostname_and_subdomain(framework: Framework, autojump_clock: MockClock) -> None:
    """DNS should provide DNS for pods for Hostname; for pods for Subdomain [Conformance]."""
    labels = {"dns-test-hostname-attribute": "true"}
    await framework.create(
        service("dns-test-service-2", labels, HTTP, clusterIP="None"),
        pod("dns-test", labels=labels, hostname="dns-querier-2", subdomain="dns-test-service-2"),
    )
    address = await framework.cluster.pod("dns-test").address()
    host = "dns-querier-2.dns-test-service-2.default.svc.cluster.local"
    assert await dig(framework, host, "A") == [address]
    assert await dig(framework, "dns-test-service-2.default.svc.cluster.local", "A") == [address]
    assert f"{address}\t{host}\tdns-querier-2\n" in (await framework.run("dns-test", "cat", "/etc/hosts")).stdout
    for name in (host, "dns-querier-2"):
        assert (await framework.run("dns-test", "getent", "hosts", name)).stdout.split()[0] == address
    assert (await framework.run("dns-test", "hostname")).stdout == "dns-querier-2\n"


async def test_external_name(framework: Framework, autojump_clock: MockClock) -> None:
    """DNS should provide DNS for ExternalName services; and when it changes, to a ClusterIP too [Conformance]."""
    await framework.create(PROBER)
    name = "dns-test-service-3.default.svc.cluster.local"
    for target in ("foo.example.com", "bar.example.com"):
        external = {"type": "ExternalName", "externalName": target}
        await framework.create({**service("dns-test-service-3"), "spec": external})
        assert await dig(framework, name, "CNAME") == [f"{target}."]
    await framework.create(service("dns-test-service-3", {"app": "none"}, HTTP, type="ClusterIP"))
    assert await dig(framework, name, "A") == [(await framework.service("dns-test-service-3"))["clusterIP"]]
    assert await dig(framework, name, "CNAME") == []


@pytest.mark.parametrize("policy", ["None", "ClusterFirst"])
async def test_configurable_nameservers(framework: Framework, policy: str, autojump_clock: MockClock) -> None:
    """DNS should support configurable pod DNS nameservers [Conformance], resolv.conf."""
    config = {
        "nameservers": ["192.0.2.53"],
        "searches": ["resolv.conf.local"],
        "options": [{"name": "ndots", "value": "2"}],
    }
    await framework.create(pod("dns-test", dnsPolicy=policy, dnsConfig=config))
    lines = (await framework.run("dns-test", "cat", "/etc/resolv.conf")).stdout.splitlines()
    servers = [line.split()[1] for line in lines if line.startswith("nameserver")]
    assert servers[-1] == "192.0.2.53"
    assert len(servers) == (1 if policy == "None" else 2)
    search = next(line for line in lines if line.startswith("search")).split()[1:]
    assert search[-1] == "resolv.conf.local"
    assert (search[0] == "default.svc.cluster.local") is (policy == "ClusterFirst")
    assert "ndots:2" in next(line for line in lines if line.startswith("options"))
