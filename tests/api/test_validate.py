"""Validation: all problems at once, in kubectl's words; one row a rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator.api.kinds import KINDS
from emulator.api.validate import MAX_SCHEMA_PROBLEMS, validate

TABLES = Path(__file__).parent.parent / "data" / "validation"

LABEL_FORM = "a lowercase RFC 1123 label must consist of"


def service(spec: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": yaml.safe_load(spec)}


def pod(container: str, rest: str = "{}") -> dict[str, Any]:
    spec = {"containers": [{"name": "a", "image": "b", **yaml.safe_load(container)}], **yaml.safe_load(rest)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}


def workload(kind: str, spec: str = "{}", *, labels: str = "{app: a}", pod_spec: str = "{}") -> dict[str, Any]:
    template = {
        "metadata": {"labels": yaml.safe_load(labels)},
        "spec": {"containers": [{"name": "a", "image": "b"}], **yaml.safe_load(pod_spec)},
    }
    whole = {"selector": {"matchLabels": {"app": "a"}}, "template": template, **yaml.safe_load(spec)}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"}, "spec": whole}


def texts(obj: object) -> list[str]:
    return [str(problem) for problem in validate(obj)]


def rows(table: str) -> list[tuple[str, str]]:
    """Read a table of what is given (YAML) and what is said of it (the start of the only problem, or ok)."""
    lines = (TABLES / f"{table}.txt").read_text(encoding="utf-8").splitlines()
    return [(given, said) for given, said in (line.rsplit(" ; ", 1) for line in lines)]


def check(obj: dict[str, Any], said: str) -> None:
    found = texts(obj)
    if said == "ok":
        assert found == []
    else:
        assert len(found) == 1, found
        assert found[0].startswith(said)


@pytest.mark.parametrize(("spec", "said"), rows("services"))
def test_services(spec: str, said: str) -> None:
    check(service(spec), said)


@pytest.mark.parametrize(("container", "said"), rows("containers"))
def test_containers(container: str, said: str) -> None:
    check(pod(container), said)


@pytest.mark.parametrize(("spec", "said"), rows("pod_specs"))
def test_pod_specs(spec: str, said: str) -> None:
    check(pod("{}", spec), said)


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "DaemonSet"])
def test_workloads(kind: str) -> None:
    path = "spec.template.metadata.labels"
    assert texts(workload(kind)) == []
    check(
        workload(kind, labels="{app: b}"), f'{path}: Invalid value: {{"app":"b"}}: `selector` does not match template'
    )
    check(
        workload(kind, "{selector: {}}"),
        f"spec.selector: Invalid value: {{}}: empty selector is invalid for {kind.lower()}",
    )
    check(workload(kind, pod_spec="{restartPolicy: Never}"), "spec.template.spec.restartPolicy: Unsupported value")
    check(workload(kind, "{minReadySeconds: -1}"), "spec.minReadySeconds: Invalid value: -1: must be greater than")


def test_expressions_are_held_against_the_template_too() -> None:
    expressions = "{selector: {matchExpressions: [{key: app, operator: %s}]}}"
    assert texts(workload("Deployment", expressions % "In, values: [a, b]")) == []
    check(workload("Deployment", expressions % "NotIn, values: [a]"), "spec.template.metadata.labels: Invalid value")
    check(workload("Deployment", expressions % "In"), "spec.selector.matchExpressions[0].values: Required value")


def test_deployment_strategies() -> None:
    strategy = "{strategy: {type: %s, rollingUpdate: {maxSurge: %s, maxUnavailable: %s}}}"
    where = "spec.strategy.rollingUpdate"
    assert texts(workload("Deployment", strategy % ("RollingUpdate", "25%", 0))) == []
    check(workload("Deployment", strategy % ("Recreate", 1, 1)), f"{where}: Forbidden: may not be specified when")
    check(
        workload("Deployment", strategy % ("RollingUpdate", 0, 0)), f"{where}.maxUnavailable: Invalid value: 0: may not"
    )
    check(
        workload("Deployment", strategy % ("RollingUpdate", "x", 1)),
        f'{where}.maxSurge: Invalid value: "x": a valid percent',
    )


@pytest.mark.parametrize(
    ("kind", "strategy", "said"),
    [
        ("StatefulSet", "{type: Recreate}", 'updateStrategy.type: Unsupported value: "Recreate": supported values:'),
        ("StatefulSet", "{type: OnDelete, rollingUpdate: {partition: 1}}", "only allowed for updateStrategy"),
        (
            "StatefulSet",
            "{rollingUpdate: {partition: -1}}",
            "partition: Invalid value: -1: must be greater than or equal",
        ),
        (
            "DaemonSet",
            "{rollingUpdate: {maxUnavailable: many}}",
            'maxUnavailable: Invalid value: "many": a valid percent',
        ),
        ("DaemonSet", "{rollingUpdate: {maxSurge: -1}}", "maxSurge: Invalid value: -1: must be greater than or equal"),
        ("DaemonSet", "{type: sometimes}", 'supported values: "OnDelete", "RollingUpdate"'),
    ],
)
def test_update_strategies(kind: str, strategy: str, said: str) -> None:
    (only,) = texts(workload(kind, f"updateStrategy: {strategy}"))
    assert said in only


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
@pytest.mark.parametrize("strategy", ["{}", "{type: OnDelete}", "{type: RollingUpdate, rollingUpdate: {}}"])
def test_update_strategies_that_are_right(kind: str, strategy: str) -> None:
    assert texts(workload(kind, f"updateStrategy: {strategy}")) == []


@pytest.mark.parametrize(
    ("replicas", "said"),
    [
        (2**31, "must be less than or equal to 2147483647"),
        (2**64, "is greater than the maximum of 9223372036854775807"),
    ],
)
def test_numbers_have_an_end(replicas: int, said: str) -> None:
    assert any(said in text for text in texts(workload("Deployment", f"replicas: {replicas}")))


def test_a_type_that_is_none_is_shown_on_one_line() -> None:
    assert all(text.isprintable() for text in texts(service('{type: "a\\nb", clusterIP: None, ports: [{port: 80}]}')))


def test_stateful_sets_mount_their_claims() -> None:
    claims = "{serviceName: db, volumeClaimTemplates: [{metadata: {name: data}, spec: {}}]}"
    mounts = "{containers: [{name: a, image: b, volumeMounts: [{name: data, mountPath: /x}]}]}"
    assert texts(workload("StatefulSet", claims, pod_spec=mounts)) == []
    assert texts(workload("StatefulSet", pod_spec=mounts)) == [
        'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"'
    ]


def test_jobs_end() -> None:
    template = {"spec": {"containers": [{"name": "a", "image": "b"}]}}
    job: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {"template": template},
    }
    check(job, 'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"')
    template["spec"]["restartPolicy"] = "Never"  # type: ignore[call-overload]
    assert texts(job) == []


def test_endpoint_slices() -> None:
    def endpoint_slice(address: str, address_type: str = "IPv4", port: int = 80) -> dict[str, Any]:
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "web-1"},
            "addressType": address_type,
            "endpoints": [{"addresses": [address]}],
            "ports": [{"port": port}],
        }

    where = "endpoints[0].addresses[0]: Invalid value"
    assert texts(endpoint_slice("10.0.0.1")) == []
    check(endpoint_slice("127.0.0.1"), f'{where}: "127.0.0.1": may not be in the loopback range')
    check(endpoint_slice("fd00::1"), f'{where}: "fd00::1": must be an IPv4 address')
    check(endpoint_slice("10.0.0.1", port=0), "ports[0].port: Invalid value: 0: must be between")
    check(endpoint_slice("10.0.0.1", "Foo"), 'addressType: Unsupported value: "Foo"')


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, "metadata.name: Required value: name or generateName is required"),
        ({"generateName": "web-"}, "ok"),
        ({"name": "web", "namespace": "Prod"}, f'metadata.namespace: Invalid value: "Prod": {LABEL_FORM}'),
        ({"name": "web", "labels": {"app.kubernetes.io/name": "x", "tier": ""}}, "ok"),
        ({"name": "web", "labels": {"a b": "x"}}, 'metadata.labels: Invalid value: "a b": name part must consist of'),
        ({"name": "web", "labels": {"a": "x" * 64}}, "metadata.labels: Invalid value"),
        ({"name": "web", "annotations": {"Upper.io/x": "any text, too"}}, "ok"),
        ({"name": "web", "annotations": {"a": "x" * 300_000}}, "metadata.annotations: Too long: may not be more than"),
        ({"name": "web", "nmae": "x"}, 'unknown field "metadata.nmae"; did you mean "name"?'),
        ({"name": 3}, "metadata.name: Invalid value: 3: must be a string, not a number"),
    ],
)
def test_metadata(metadata: dict[str, Any], said: str) -> None:
    check({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}, said)


@pytest.mark.parametrize(
    ("kind", "api_version", "good", "bad"),
    [
        ("Namespace", "v1", "team-1", "team.one"),
        ("ConfigMap", "v1", "kube-root-ca.crt", "Config"),
        ("ClusterRole", "rbac.authorization.k8s.io/v1", "system:node", "a/b"),
    ],
)
def test_names_by_kind(kind: str, api_version: str, good: str, bad: str) -> None:
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": good}}
    assert texts(obj) == []
    assert texts({**obj, "metadata": {"name": bad}})[0].startswith(f'metadata.name: Invalid value: "{bad}"')


def test_service_names_start_with_a_letter() -> None:
    obj = service("{ports: [{port: 80}]}")
    obj["metadata"]["name"] = "1web"
    check(obj, 'metadata.name: Invalid value: "1web": a DNS-1035 label must consist of')


@pytest.mark.parametrize(
    ("api_version", "kind", "said"),
    [
        ("extensions/v1beta1", "Deployment", "; use apps/v1"),
        ("v1", "Deploymnt", "; did you mean Deployment?"),
        ("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition", "; use apiextensions.k8s.io/v1"),
        ("cilium.io", "Widget", ""),
        ("cilium.io/2", "Widget", ""),
        ("networking.k8s.oi/v1", "Ingress", "; use networking.k8s.io/v1"),
        ("authorization.k8s.io/v1", "SubjectAccessReview", ": it is not emulated; leave this object out"),
        (
            "kustomize.config.k8s.io/v1beta1",
            "Kustomization",
            ": it configures a tool, and is no object of a cluster; leave it out",
        ),
        ("v1", "Zebra", ""),
    ],
)
def test_unknown_kinds(api_version: str, kind: str, said: str) -> None:
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}}
    assert texts(obj) == [f'no matches for kind "{kind}" in version "{api_version}"{said}']


@pytest.mark.parametrize("obj", [None, [], "text", 3])
def test_values_that_are_no_objects(obj: object) -> None:
    assert texts(obj)[0].startswith("expected an object with apiVersion and kind")


def test_missing_types_are_both_told() -> None:
    assert texts({}) == ["apiVersion: Required value", "kind: Required value"]
    assert texts({"apiVersion": 1, "kind": ""}) == [
        "apiVersion: Invalid value: 1: must be a string",
        "kind: Required value",
    ]


def test_secrets_are_base64() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "aGk=", "b": "no base64!"}}
    (only,) = texts(secret)
    assert only.startswith("data.b: Invalid value: illegal base64 data")
    assert "no base64!" not in only  # a secret is not shown


def test_network_policies_have_valid_blocks() -> None:
    rule = {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/99"]}}]}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p"},
        "spec": {"podSelector": {}, "ingress": [rule]},
    }
    check(policy, 'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "10.0.0.0/99": must be a valid CIDR')


def test_problems_come_in_the_order_of_the_object() -> None:
    found = texts(service("{zzz: 1, ports: [{port: 0}, {port: 70000, name: a}], type: Foo, aaa: 1}"))
    assert [text.split(":")[0] for text in found] == [
        'unknown field "spec.zzz"',
        "spec.ports[0].port",
        "spec.ports[0].name",
        "spec.ports[1].port",
        "spec.type",
        'unknown field "spec.aaa"',
    ]


def test_a_flood_of_problems_is_bounded() -> None:
    obj = service("{ports: [{port: 80}]}")
    obj["spec"] |= {f"field{number}": 1 for number in range(1000)}
    assert len(texts(obj)) == MAX_SCHEMA_PROBLEMS


def test_every_kind_has_a_schema_that_compiles() -> None:
    for kind in KINDS:
        obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "x"}, "no-such-field": 1}
        assert 'unknown field "no-such-field"' in texts(obj)


def test_replication_controllers_select_by_plain_labels() -> None:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "b"}]}}
    obj: dict[str, Any] = {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "web"}}
    assert texts({**obj, "spec": {"template": template}}) == []
    assert texts({**obj, "spec": {"selector": {"app": "web"}, "template": template}}) == []
    check({**obj, "spec": {"selector": {"app": "db"}, "template": template}}, "spec.template.metadata.labels: Invalid")
    check({**obj, "spec": {"replicas": 1}}, "spec.template: Required value")
    check({**obj, "spec": {"template": {"spec": template["spec"]}}}, "spec.selector: Required value")
