"""Traffic from Python on a simulated cluster: loads, changes meanwhile, assertions, Ctrl-C, the same again by seed."""

import errno

import pytest
import trio

from emulator.api.cluster_file import ClusterConfig, NodeConfig
from emulator.errors import PodwireError
from emulator.runtime.cluster.cluster import Cluster
from emulator.runtime.traffic.load import Load
from emulator.runtime.traffic.stage import stage
from emulator.runtime.traffic.surroundings import Surroundings, surroundings

CONFIG = "configs/3node.toml"


def answer(endpoint="web-1"):
    async def request():
        await trio.sleep(0.01)
        return endpoint

    return request


async def traffic(seed):
    async with Cluster.start(CONFIG, simulate=True, seed=seed) as cluster:
        load = Load(cluster, 5.0, seed=seed)
        load.add("http", ["deployment/web", "pod/client"], "http://web/", rate=20, poisson=True)
        load.add("node", "node/node-a", ["ping://10.244.2.1", "http://localhost:81/"], concurrency=2, requests=6)
        load.add("udp", "app=client", "dns:web", rate=4, start=2.0)
        load.call("own", answer(), rate=10)
        load.at(1.0, "scale", "deployment/web", replicas=2)
        load.expect("errors == 0", load="http")
        load.expect("errors(Connection refused) == 3", load="node")
        return await load.run()


async def test_loads_from_pods_nodes_and_the_script(autojump_clock):
    report = await traffic(1)
    loads = report.by("load")
    assert report.passed, report.failures
    assert {name: tally.sent for name, tally in loads.items()} == {
        "http": loads["http"].sent, "node": 6, "udp": 12, "own": 50,
    }  # fmt: skip
    assert 70 < loads["http"].sent < 130
    assert {name.rpartition("-")[0] for name in loads["http"].endpoints} == {"web-8qn8lfkhfb"}
    assert len(loads["http"].endpoints) == 3
    assert loads["own"].endpoints == {"web-1": 50}
    clients = report.by("client")
    assert len(clients) == 6  # web's three pods, client, node/node-a, the script
    assert clients["node/node-a"].sent == 6
    scaled, *more = (event.text for event in report.events)
    assert scaled == "scaled deployment.apps/web to 2"
    assert {text.partition(" web-")[0] for text in more} == {"deployment.apps/web is rolled out", "client"}


async def test_the_same_seed_gives_the_same_report(autojump_clock):
    first, second = await traffic(2), await traffic(2)
    assert first.summary() == second.summary()


async def test_changes_that_fail_and_clients_that_are_not_there(autojump_clock):
    async with Cluster.start(CONFIG, simulate=True, seed=1) as cluster:
        load = Load(cluster, 3.0)
        load.add("http", "pod/client", "http://web/", rate=5)
        load.at(1.0, "scale", "deployment/nothing", replicas=2)
        load.at(9.0, "delete", "deployment/web")

        async def own():
            raise OSError(errno.EIO, "no")

        load.at(0.5, own)
        report = await load.run()
        assert [event.text.partition(":")[0] for event in report.events] == [
            "own", "scale deployment/nothing to 2", "delete deployment/web",
        ]  # fmt: skip
        assert not report.passed
        assert [check.assertion.text for check in report.checks] == ["errors == 0", "answered > 0"]
        for words, message in [
            ("pod/nobody", 'load x: pods "nobody" not found'),
            ("app=nobody", "load x: app=nobody: no pod that runs"),
            ("gizmo/x", "load x: gizmo/x: no client"),
        ]:
            missing = Load(cluster, 1.0)
            missing.add("x", words, "http://web/", rate=1)
            with pytest.raises(PodwireError, match=message):
                await missing.run()
        with pytest.raises(PodwireError, match="there is no load"):
            await Load(cluster, 1.0).run()
        await lose_a_node(cluster)


async def lose_a_node(cluster):
    """A node that is killed under its load is told; the figures until then stay."""
    node = await cluster.pod("client").node_name()
    load = Load(cluster, 20.0)
    load.add("dns", "pod/client", "dns:web", rate=5)

    async def kill():
        cluster.simulation.kill_node(node)

    load.at(4.0, kill)
    report = await load.run()
    assert report.duration < 6.0
    assert 15 <= report.total.succeeded <= 20
    assert [event.text.partition(":")[0] for event in report.events if event.failed] == [f"load dns on {node}"]


async def test_ctrl_c_ends_it_with_the_report_so_far(autojump_clock):
    told = []
    around = Surroundings(on_progress=told.append)
    token = surroundings.set(around)
    async with Cluster.start(CONFIG, simulate=True, seed=1) as cluster:
        load = Load(cluster, 60.0)
        load.add("http", "pod/client", "http://web/", rate=10)
        load.add("later", "pod/client", "http://web/", rate=10, start=30.0)
        load.call("own", answer(), rate=10)

        async def press():
            await trio.sleep(3.25)
            around.stop.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(press)
            report = await load.run()
    surroundings.reset(token)
    assert report.interrupted
    assert report.duration == pytest.approx(3.25, abs=0.1)
    assert {name: tally.succeeded // 10 for name, tally in report.by("load").items()} == {
        "http": 3,
        "later": 0,
        "own": 3,
    }
    assert [round(progress.elapsed, 1) for progress in told] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert 16.0 < sum(progress.rate for progress in told) / 6 < 21.0  # the last news may come after the last look
    assert "/60 s" in str(told[-1])


async def test_a_stage_is_cleared_whatever_was_there_before(autojump_clock, tmp_path):
    manifest = tmp_path / "things.yaml"
    one = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n---\n"
    manifest.write_text(f"{one}apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: two}}\n")
    config = ClusterConfig(name="stage", nodes=(NodeConfig("node-a"),))
    async with Cluster.start(config, simulate=True) as cluster:

        async def names(namespace):
            return {obj["metadata"]["name"] for obj in await cluster.objects("ConfigMap", namespace)} - {
                "kube-root-ca.crt"
            }

        await cluster.apply(one.replace("---\n", ""))
        async with stage(cluster, "default", [str(manifest)]):
            assert await names("default") == {"one", "two"}
        assert await names("default") == {"one"}

        async def fail():
            async with stage(cluster, "mine", [str(manifest)]):
                assert await names("mine") == {"one", "two"}
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        assert "mine" not in {obj["metadata"]["name"] for obj in await cluster.objects("Namespace")}


def test_loads_that_cannot_be():
    load = Load(None, 5.0)
    load.add("one", "pod/a", "http://web/", rate=1)
    for arguments, message in [
        (("one", "pod/a", "http://web/"), "there is one of this name already"),
        (("two", "pod/a", "web"), "must begin with one of"),
    ]:
        with pytest.raises(PodwireError, match=message):
            load.add(*arguments, rate=1)
    with pytest.raises(PodwireError, match="must be more than 0"):
        load.add("three", "pod/a", "http://web/", rate=-1)
    with pytest.raises(PodwireError, match="must be one of apply, delete, scale, restart"):
        load.at(1.0, "explode", "deployment/web")
