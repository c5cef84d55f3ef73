"""The plugin in a pytest of its own: the example of docs/testing.md, the mark, and what is said of a wrong one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import emulator
from emulator.runtime.cluster.cluster import Cluster

pytest_plugins = ["pytester"]
DOCS = Path(__file__).parents[2] / "docs" / "testing.md"
TRIO = "[pytest]\ntrio_mode = true\n"


async def test_cluster_fixture_is_ready(cluster: Cluster) -> None:
    overview = await cluster.status()
    assert [node.ready for node in overview.nodes] == [True, True]
    assert emulator.Cluster is Cluster


def test_plugin_and_package_import_nothing_slow() -> None:
    program = "import sys, emulator, emulator.runtime.pytest_plugin; print('trio' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist", *arguments)


def test_the_example_of_the_docs_passes_and_is_skipped_for_real(pytester: pytest.Pytester) -> None:
    for code in re.findall(r"```(?:python|yaml)\n(.*?)```", DOCS.read_text(), re.DOTALL):
        (pytester.path / code.splitlines()[0].removeprefix("# ")).write_text(code)
    (pytester.path / "pytest.ini").write_text(TRIO)
    run(pytester, "--strict-markers").assert_outcomes(passed=1)
    run(pytester, "--podwire-real").assert_outcomes(skipped=1)


def test_words_of_the_mark(pytester: pytest.Pytester) -> None:
    pytester.makefile(".ini", pytest=TRIO)
    pytester.makefile(".toml", mine='[cluster]\nname = "mine"\n[[nodes]]\nname = "one"\n')
    pytester.makepyfile(
        apps="async def main():\n    print('ran')\n",
        test_words="""
        import pytest

        POD = '''{"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "p", "annotations": {"podwire/app": "apps:main"}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}'''

        @pytest.mark.podwire(nodes=["x", "y", "z"], proxy_mode="ipvs", seed=9)
        async def test_names(cluster):
            assert [node.name for node in cluster.config.nodes] == ["x", "y", "z"]
            assert (cluster.config.proxy_mode, cluster.config.seed) == ("ipvs", 9)

        @pytest.mark.podwire(config="mine.toml", seed=3)
        async def test_file(cluster):
            assert (cluster.config.name, cluster.config.nodes[0].name, cluster.config.seed) == ("mine", "one", 3)

        async def test_apps_beside_the_test(cluster, autojump_clock):
            await cluster.apply(POD)
            await cluster.wait_for("Pod", lambda pods: any(
                pod.get("status", {}).get("phase") == "Succeeded" for pod in pods))
        """,
    )
    run(pytester).assert_outcomes(passed=3)


def test_what_is_wrong_is_said(pytester: pytest.Pytester) -> None:
    pytester.makefile(".ini", pytest=TRIO)
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.podwire(node=3)
        async def test_unknown(cluster): ...

        @pytest.mark.podwire(manifests=["none.yaml"])
        async def test_no_file(cluster): ...

        @pytest.mark.podwire(manifests="none.yaml")
        async def test_no_list(cluster): ...

        @pytest.mark.podwire(proxy_mode="ebpf")
        async def test_no_mode(cluster): ...

        def test_not_async(cluster): ...
        """
    )
    result = run(pytester)
    result.assert_outcomes(errors=5)
    for line in (
        "podwire: node is none of config, nodes, manifests, app_path, proxy_mode, seed",
        "manifests: there is no /",
        'manifests is a list: ["none.yaml"]',
        "proxy_mode is one of iptables, ipvs, nftables",
        "fixture is for trio tests: write `async def`",
    ):
        assert line in result.stdout.str()


def test_without_pytest_trio_it_says_what_to_install(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(cluster): ...")
    result = run(pytester, "-p", "no:trio")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*needs pytest-trio: pip install pytest-trio*"])
