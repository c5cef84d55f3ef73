"""test/e2e/network/service.go: Services as they are made, changed and deleted, and who answers then.

Each test has the name of Kubernetes' own in its docstring; [Conformance] marks those of the conformance list.
"""

import pytest
import trio
from trio.testing import MockClock

from emulator.api.messages import ControlError
from emulator.errors import ManifestError
from tests.scenarios.conformance.framework import Framework, container, every_mode, hostnames, pod, service

HTTP = {"port": 80, "targetPort": 9376}
EXEC = pod("execpod", nodeName="node-a")


@every_mode
async def test_node_port(framework: Framework, autojump_clock: MockClock) -> None:
    """Services should be able to create a functioning NodePort service [Conformance]."""
    await framework.create(hostnames("np", 2), service("np", {"name": "np"}, HTTP, type="NodePort"), EXEC)
    spec, servers = await framework.service("np"), {*await framework.pods("name=np")}
    (port,) = spec["ports"]
    await framework.reaches("execpod", "np", 80, servers)
    await framework.reaches("execpod", spec["clusterIP"], 80, servers)
    for node in ("node-a", "node-b", "node-c"):
        await framework.reaches("execpod", await framework.node_address(node), port["nodePort"], servers)
    assert 30_000 <= port["nodePort"] <= 32_767


async def test_cluster_ip_to_external_name_and_back(framework: Framework, autojump_clock: MockClock) -> None:
    """Services should be able to change the type from ClusterIP, NodePort to ExternalName; and back [Conformance]."""
    await framework.create(hostnames("target", 2), service("target", {"name": "target"}, HTTP), EXEC)
    servers = {*await framework.pods("name=target")}
    for kind in ("ClusterIP", "NodePort"):
        await framework.create(service("changes", {"name": "target"}, HTTP, type=kind))
        before = await framework.service("changes")
        await framework.reaches("execpod", "changes", 80, servers)
        external = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "changes"}}
        external["spec"] = {"type": "ExternalName", "externalName": "target.default.svc.cluster.local"}
        await framework.create(external)
        assert "clusterIP" not in await framework.service("changes")
        await framework.is_unreachable("execpod", before["clusterIP"], 80)
        looked_up = (await framework.run("execpod", "nslookup", "changes.default.svc.cluster.local")).stdout
        assert "target.default.svc.cluster.local" in looked_up
        assert (await framework.service("target"))["clusterIP"] in looked_up
        await framework.reaches("execpod", "changes", 80, servers)
        await framework.create(service("changes", {"name": "target"}, HTTP, type=kind))
        after = await framework.service("changes")
        await framework.reaches("execpod", after["clusterIP"], 80, servers)
        await framework.connects("execpod", "changes", 80)
        if kind == "NodePort":
            await framework.reaches("execpod", await framework.node_address(), after["ports"][0]["nodePort"], servers)
        await framework.cluster.delete("Service", "changes", "default")


async def test_types_change_keeping_the_address(framework: Framework, autojump_clock: MockClock) -> None:
    """Services should be able to update service type to NodePort listening on same port number but different protocols.

    And: should prevent NodePort collisions; should check NodePort out-of-range; should release NodePorts on delete.
    """
    udp, tcp = {"name": "u", "port": 80, "protocol": "UDP"}, {"name": "t", "port": 80}
    await framework.create(service("both", {"name": "none"}, tcp))
    address = (await framework.service("both"))["clusterIP"]
    await framework.create(service("both", {"name": "none"}, tcp, udp, type="NodePort"))
    spec = await framework.service("both")
    assert spec["clusterIP"] == address
    ports = {port["name"]: port["nodePort"] for port in spec["ports"]}
    assert {*ports} == {"t", "u"}
    taken = {**tcp, "nodePort": ports["t"]}
    with pytest.raises((ControlError, ManifestError), match="already allocated"):
        await framework.create(service("other", {"name": "none"}, taken, type="NodePort"))
    with pytest.raises((ControlError, ManifestError), match=r"valid ports|not in the valid range"):
        await framework.create(service("other", {"name": "none"}, {**tcp, "nodePort": 40}, type="NodePort"))
    await framework.create(service("both", {"name": "none"}, tcp, type="ClusterIP"))
    await framework.create(service("other", {"name": "none"}, taken, type="NodePort"))
    await framework.cluster.delete("Service", "other", "default")
    await framework.create(service("again", {"name": "none"}, taken, type="NodePort"))


@every_mode
async def test_basic_endpoint(framework: Framework, autojump_clock: MockClock) -> None:
    """Services should serve a basic endpoint from pods; should serve multiport endpoints from pods [Conformance]."""
    first, second = {"name": "portname1", "port": 80, "targetPort": 100}, {"name": "portname2", "port": 81}
    second["targetPort"] = 101
    await framework.create(service("multi", {"app": "multi"}, first, second), EXEC)
    address = (await framework.service("multi"))["clusterIP"]
    for port in (80, 81):
        await framework.is_refused("execpod", address, port)
    for name, port in (("pod1", 100), ("pod2", 101)):
        serving = pod(name, "netexec", f"--http-port={port}", labels={"app": "multi"})
        serving["spec"]["containers"][0]["ports"] = [{"containerPort": port}]
        serving["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": port}}
        await framework.create(serving)
    await framework.eventually(lambda: _endpoints(framework, "multi", 2), "both pods are endpoints of both ports")
    for port in (80, 81):
        found = {await framework.curl("execpod", address, port, "/hostname") for _ in range(20)}
        # Each port has both pods as its endpoints, of which one has nothing that listens there.
        assert found == {"pod1" if port == 80 else "pod2", ""}
    for gone, left in (("pod1", 1), ("pod2", 0)):
        await framework.cluster.delete("Pod", gone, "default", grace=0)
        await framework.eventually(lambda: _endpoints(framework, "multi", left), "it leaves")  # noqa: B023
    await framework.is_refused("execpod", address, 80)


async def _endpoints(framework: Framework, name: str, count: int) -> bool:
    selector = f"kubernetes.io/service-name={name}"
    slices = await framework.cluster.objects("EndpointSlice", "default", selector=selector)
    return sum(len(each.get("endpoints") or []) for each in slices) == count


@every_mode
async def test_up_and_down(framework: Framework, autojump_clock: MockClock) -> None:
    """Services should be able to up and down services; should work after the service has been recreated."""
    for name in ("up-down-1", "up-down-2"):
        await framework.create(hostnames(name), service(name, {"name": name}, HTTP))
    await framework.create(EXEC)
    addresses = {name: (await framework.service(name))["clusterIP"] for name in ("up-down-1", "up-down-2")}
    for name, address in addresses.items():
        await framework.reaches("execpod", address, 80, {*await framework.pods(f"name={name}")})
    await framework.cluster.delete("Service", "up-down-1", "default")
    await framework.is_unreachable("execpod", addresses["up-down-1"], 80)
    await framework.reaches("execpod", addresses["up-down-2"], 80, {*await framework.pods("name=up-down-2")})
    again = service("up-down-1", {"name": "up-down-1"}, HTTP, clusterIP=addresses["up-down-1"])
    await framework.create(again)
    await framework.reaches("execpod", addresses["up-down-1"], 80, {*await framework.pods("name=up-down-1")})


@every_mode
async def test_no_endpoints(framework: Framework, autojump_clock: MockClock) -> None:
    """Services should be rejected when no endpoints exist; for evicted pods."""
    await framework.create(service("no-pods", {"name": "no-pods"}, HTTP, type="NodePort"), EXEC)
    spec = await framework.service("no-pods")
    await framework.is_refused("execpod", "no-pods", 80)
    await framework.is_refused("execpod", spec["clusterIP"], 80)
    await framework.is_refused("execpod", await framework.node_address(), spec["ports"][0]["nodePort"])


@pytest.mark.parametrize("label", ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"])
async def test_labels_that_keep_kube_proxy_away(framework: Framework, label: str, autojump_clock: MockClock) -> None:
    """Services should implement service.kubernetes.io/service-proxy-name; service.kubernetes.io/headless."""
    other, toggled = (service(name, {"name": name}, HTTP) for name in ("up", "toggled"))
    await framework.create(hostnames("up"), other, hostnames("toggled"), EXEC)
    labelled = {**toggled, "metadata": {"name": "toggled", "labels": {label: "foo"}}}
    await framework.create(labelled)
    await framework.reaches(
        "execpod", (await framework.service("up"))["clusterIP"], 80, {*await framework.pods("name=up")}
    )
    address = (await framework.service("toggled"))["clusterIP"]
    await framework.is_unreachable("execpod", address, 80)
    await framework.create(toggled)
    await framework.reaches("execpod", address, 80, {*await framework.pods("name=toggled")})
    await framework.create(labelled)
    await framework.is_unreachable("execpod", address, 80)


@every_mode
async def test_source_address_and_hairpin(framework: Framework, autojump_clock: MockClock) -> None:
    """Services should preserve source pod IP for traffic thru service cluster IP; should allow pods to hairpin back."""
    echo = pod("echo", "netexec", "--http-port", "8080", labels={"app": "echo"}, nodeName="node-b")
    await framework.create(echo, service("echo", {"app": "echo"}, {"port": 80, "targetPort": 8080}), EXEC)
    address = (await framework.service("echo"))["clusterIP"]
    seen = await framework.curl("execpod", address, 80, "/clientip")
    assert seen.rpartition(":")[0] == await framework.cluster.pod("execpod").address()
    await framework.reaches("execpod", address, 80, {await framework.curl("execpod", address, 80)})
    assert await framework.curl("echo", address, 80, "/hostname") == "echo"


@every_mode
async def test_internal_traffic_policy_local(framework: Framework, mode: str, autojump_clock: MockClock) -> None:
    """Services should respect internalTrafficPolicy=Local Pod to Pod, Pod (hostNetwork: true) to Pod."""
    echo = pod("echo", "netexec", "--http-port", "8080", labels={"app": "echo"}, nodeName="node-b")
    local = service("echo", {"app": "echo"}, {"port": 80, "targetPort": 8080}, internalTrafficPolicy="Local")
    await framework.create(
        echo, local, EXEC, pod("near", nodeName="node-b"), pod("host", nodeName="node-b", hostNetwork=True)
    )
    address = (await framework.service("echo"))["clusterIP"]
    for place in ("near", "host"):
        assert await framework.curl(place, address, 80, "/hostname") == "echo"
    assert await framework.curl("execpod", address, 80, "/hostname") == ""
    outcome = await framework.run("execpod", "agnhost", "connect", "--timeout=3s", f"{address}:80")
    # Dropped; a virtual server of IPVS without real servers refuses.
    assert outcome.stderr.strip() == ("REFUSED" if mode == "ipvs" else "TIMEOUT")


async def test_ports_are_added_and_deleted(framework: Framework, autojump_clock: MockClock) -> None:
    """Services should be updated after adding or deleting ports.

    And: should serve endpoints on same port and different protocols; should support named targetPorts that resolve to
    different ports on different endpoints.
    """
    for index, port in enumerate((8080, 8090)):
        ports = [{"name": "web", "containerPort": port}, {"name": "ask", "containerPort": port, "protocol": "UDP"}]
        args = ("netexec", f"--http-port={port}", f"--udp-port={port}")
        await framework.create(pod(f"server-{index}", *args, labels={"app": "named"}, ports=ports))
    tcp, udp = {"name": "t", "port": 80, "targetPort": "web"}, {"name": "u", "port": 80, "targetPort": "ask"}
    udp["protocol"] = "UDP"
    await framework.create(service("named", {"app": "named"}, tcp), EXEC)
    both, address = {"server-0", "server-1"}, (await framework.service("named"))["clusterIP"]

    async def ask() -> str:
        return (
            await framework.run("execpod", "nc", "-u", "-w", "1", address, "80", stdin=b"hostname\n")
        ).stdout.strip()

    async def answering() -> set[str]:
        return {await framework.curl("execpod", address, 80, "/hostname") for _ in range(15)}

    assert await answering() == both
    assert await ask() == ""
    await framework.create(service("named", {"app": "named"}, tcp, udp))
    assert await answering() == both
    assert {await ask() for _ in range(15)} == both
    await framework.create(service("named", {"app": "named"}, udp))
    assert await answering() == {""}
    assert {await ask() for _ in range(15)} == both


async def test_unready_pods(framework: Framework, autojump_clock: MockClock) -> None:
    """Services should create endpoints for unready pods (publishNotReadyAddresses)."""
    never = pod("never", "netexec", "--http-port=80", labels={"app": "never"})
    never["spec"]["containers"][0]["readinessProbe"] = {"exec": {"command": ["/bin/false"]}}
    ports = ({"port": 80, "targetPort": 80},)
    both = [
        service("all", {"app": "never"}, *ports, publishNotReadyAddresses=True),
        service("some", {"app": "never"}, *ports),
    ]
    await framework.cluster.apply([never, *both, EXEC])
    await framework.eventually(lambda: _answers(framework, "all"), "an unready pod is reached where it is asked for")
    await framework.is_refused("execpod", "some", 80)


async def _answers(framework: Framework, host: str) -> bool:
    return await framework.curl("execpod", host, 80, "/hostname") == "never"


async def test_restartable_init_containers(framework: Framework, autojump_clock: MockClock) -> None:
    """Services should connect to the ports exposed by restartable init containers."""
    serving = pod("sidecar", "pause", labels={"app": "sidecar"})
    ports = [{"name": "web", "containerPort": 8080}]
    init = container("netexec", "--http-port=8080", name="init", ports=ports, restartPolicy="Always")
    serving["spec"]["initContainers"] = [init]
    await framework.create(serving, service("sidecar", {"app": "sidecar"}, {"port": 80, "targetPort": "web"}), EXEC)
    assert await framework.curl("execpod", "sidecar", 80, "/hostname") == "sidecar"


async def test_all_namespaces_and_collection(framework: Framework, autojump_clock: MockClock) -> None:
    """Services should find a service from listing all namespaces [Conformance]; complete a service status lifecycle."""
    await framework.create(service("listed", {"name": "none"}, HTTP))
    found = await framework.cluster.objects("Service")
    assert {("default", "listed"), ("kube-system", "kube-dns")} <= {
        (each["metadata"]["namespace"], each["metadata"]["name"]) for each in found
    }
    condition = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}
    condition["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    await framework.cluster.update_status("Service", "listed", "default", {"conditions": [condition]})
    await trio.sleep(1)
    assert (await framework.cluster.get("Service", "listed", "default"))["status"]["conditions"] == [condition]
