"""A container's variables: those of Services, `$(NAME)`, what ConfigMaps and Secrets hold."""

from __future__ import annotations

import base64
import subprocess
import sys

import pytest
import trio

from emulator.api.messages import Object
from emulator.api.objects.container import Container
from emulator.api.objects.service import Service
from emulator.api.objects.view import view
from emulator.runtime.node.kubelet.environment import (
    MOST_LINKED,
    EnvironmentMaker,
    MissingReferenceError,
    ServiceLinks,
    expand,
    service_variables,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("x$(A)$(B)y", "x12y"),
        ("$(NONE)", "$(NONE)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        ("$()", "$()"),
    ],
)
def test_references_are_replaced_where_there_is_a_value(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expected


def service(name: str, address: str, *ports: Object, namespace: str = "default") -> Service:
    return view(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterIP": address, "ports": [*ports]},
        },
        Service,
    )


def test_services_are_told_of_as_docker_links_were() -> None:
    services = [
        service("my-db", "10.96.0.5", {"name": "sql", "port": 5432}, {"name": "ping", "port": 53, "protocol": "UDP"}),
        service("headless", "None", {"port": 80}),
        service("other", "10.96.0.6", {"port": 80}, namespace="elsewhere"),
    ]
    assert service_variables(services, "default") == {
        "MY_DB_SERVICE_HOST": "10.96.0.5",
        "MY_DB_SERVICE_PORT": "5432",
        "MY_DB_SERVICE_PORT_SQL": "5432",
        "MY_DB_SERVICE_PORT_PING": "53",
        "MY_DB_PORT": "tcp://10.96.0.5:5432",
        "MY_DB_PORT_5432_TCP": "tcp://10.96.0.5:5432",
        "MY_DB_PORT_5432_TCP_PROTO": "tcp",
        "MY_DB_PORT_5432_TCP_PORT": "5432",
        "MY_DB_PORT_5432_TCP_ADDR": "10.96.0.5",
        "MY_DB_PORT_53_UDP": "udp://10.96.0.5:53",
        "MY_DB_PORT_53_UDP_PROTO": "udp",
        "MY_DB_PORT_53_UDP_PORT": "53",
        "MY_DB_PORT_53_UDP_ADDR": "10.96.0.5",
    }


def test_links_are_made_once_and_not_for_more_than_a_program_can_take() -> None:
    services = [service("a", "10.96.0.5", {"port": 80})]
    links = ServiceLinks(lambda: services)
    assert links.of("default")["A_SERVICE_PORT"] == "80"
    assert links.of("default") is links.of("default")
    services *= MOST_LINKED + 1
    links.clear()
    assert links.of("default") == {}


OBJECTS: dict[tuple[str, str], Object] = {
    ("ConfigMap", "conf"): {"kind": "ConfigMap", "data": {"a": "1", "b": "2", "bad name": "x"}},
    ("Secret", "hidden"): {
        "kind": "Secret",
        "data": {"word": base64.b64encode(b"s3cret").decode()},
        "stringData": {"more": "plain"},
    },
}


async def made(**spec: object) -> dict[str, str]:
    async def get(kind: str, _namespace: str, name: str) -> Object | None:
        await trio.lowlevel.checkpoint()
        return OBJECTS.get((kind, name))

    maker = EnvironmentMaker("default", "client", get, lambda path: f"<{path}>")
    container = view({"name": "c", "image": "x", **spec}, Container)
    found = dict(await maker.make(container, {"WEB_SERVICE_HOST": "10.96.0.1"}))
    for name in ("PATH", "HOME", "HOSTNAME"):
        assert found.pop(name)
    return found


async def test_later_variables_win_and_may_refer_to_those_before() -> None:
    assert await made(
        envFrom=[{"configMapRef": {"name": "conf"}}, {"prefix": "S_", "secretRef": {"name": "hidden"}}],
        env=[
            {"name": "b", "value": "own"},
            {"name": "c", "value": "$(a) $(b) $(WEB_SERVICE_HOST) $(d)"},
            {"name": "d", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "e", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "word"}}},
            {"name": "f", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "zzz", "optional": True}}},
            {"name": "WEB_SERVICE_HOST", "value": "mine"},
        ],
    ) == {
        "a": "1", "b": "own", "S_word": "s3cret", "S_more": "plain", "c": "1 own 10.96.0.1 $(d)", "d": "<status.podIP>",
        "e": "s3cret", "WEB_SERVICE_HOST": "mine",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"envFrom": [{"configMapRef": {"name": "nope"}}]}, 'configmap "nope" not found'),
        (
            {"env": [{"name": "x", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "nope"}}}]},
            "couldn't find key nope in Secret default/hidden",
        ),
    ],
)
async def test_what_is_missing_is_said_in_the_kubelets_words(spec: Object, message: str) -> None:
    with pytest.raises(MissingReferenceError) as raised:
        await made(**spec)
    assert str(raised.value) == message
    assert await made(envFrom=[{"configMapRef": {"name": "nope", "optional": True}}]) == {
        "WEB_SERVICE_HOST": "10.96.0.1"
    }


def test_a_node_without_scripts_does_not_import_the_shell() -> None:
    code = """
import sys
from emulator.runtime.node.node import NodeMachine
from emulator.apps import images
images.can_run("nginx", ("nginx", "-g", "x"))
images.module_for("busybox", ("sleep", "1"))
import emulator.apps.programs.agnhost, emulator.apps.programs.netexec, emulator.apps.programs.command
print([name for name in sys.modules if name.startswith("emulator.apps.shell")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
