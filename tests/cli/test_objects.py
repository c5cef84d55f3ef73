"""apply, delete, scale and describe against a real controller."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Ask, run, run_here

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME}
spec:
  replicas: 1
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec: {containers: [{name: main, image: traefik/whoami, readinessProbe: {exec: {command: [true-ish]}}}]}
"""
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: '1'}\n"
BUDGET = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: budget}\nspec: {minAvailable: 1}\n"


def test_apply_says_what_it_did_and_what_has_no_effect(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "objects.yaml"
    file.write_text(f"{DEPLOYMENT.replace('NAME', 'applied')}---\n{CONFIG_MAP}---\n{BUDGET}")
    done = ask("apply", "-f", str(file))
    assert done.out == (
        "deployment.apps/applied created\nconfigmap/settings created\npoddisruptionbudget.policy/budget created\n"
    )
    assert done.err.splitlines() == [
        "note: poddisruptionbudgets.policy budget: kept, has no effect",
        "note: deployment.apps/applied: probes that cannot run here count as passed: main readinessProbe",
    ]
    file.write_text(file.read_text().replace("replicas: 1", "replicas: 2"))
    assert ask.ok("apply", "-f", str(file), "--dry-run=server").splitlines() == [
        "deployment.apps/applied configured (server dry run)",
        "configmap/settings unchanged (server dry run)",
        "poddisruptionbudget.policy/budget unchanged (server dry run)",
    ]
    assert ask.lines("apply", "-f", str(file))[0] == "deployment.apps/applied configured"
    assert ask.lines("delete", "-f", str(file)) == [
        'deployment.apps "applied" deleted',
        'configmap "settings" deleted',
        'poddisruptionbudget.policy "budget" deleted',
    ]


def test_apply_lists_all_problems_and_applies_nothing(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(CONFIG_MAP)
    (tmp_path / "b.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {ports: [{port: 0}]}\n")
    (tmp_path / "c.json").write_text('{"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {"x": 1}}')
    done = ask("apply", "-f", str(tmp_path))
    assert (done.status, done.out) == (1, "")
    assert all(line.startswith("error: ") for line in done.err.splitlines())
    assert "b.yaml:4: spec.ports[0].port: Invalid value: 0" in done.err
    assert "c.json:1:" in done.err
    assert ask("get", "configmap", "settings").status == 1


def test_urls_are_not_fetched() -> None:
    done = run_here("apply", "-f", "https://k8s.io/examples/pods/simple-pod.yaml")
    assert (done.status, done.out) == (1, "")
    assert "URLs are not fetched" in done.err
    assert done.err.count("\n") == 1


def test_apply_refuses_nodes_and_namespaces_that_do_not_exist(ask: Ask) -> None:
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: SPACE}\nspec:\n  nodeName: NODE\n"
    pod += "  containers: [{name: c, image: nginx}]\n"
    done = ask("apply", "-f", "-", stdin=pod.replace("NODE", "node-z").replace("SPACE", "default"))
    assert done.status == 1
    assert done.err == (
        'error: standard input:1: spec.nodeName: there is no node "node-z"; the nodes are: node-a, node-b\n'
    )
    done = ask("apply", "-f", "-", stdin=pod.replace("NODE", "node-a").replace("SPACE", "elsewhere"))
    assert 'there is no namespace "elsewhere"' in done.err
    assert done.err.count("\n") == 1


def test_a_client_dry_run_needs_no_cluster(tmp_path: Path) -> None:
    extra = {"XDG_RUNTIME_DIR": "", "XDG_STATE_HOME": str(tmp_path)}
    done = run("apply", "-f", "-", "--dry-run", "client", stdin=CONFIG_MAP, extra=extra)
    assert (done.status, done.out) == (0, "configmap/settings checked (dry run)\n")


def test_directories_below_are_read_on_request(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "map.yaml").write_text(CONFIG_MAP)
    done = ask("apply", "-f", str(tmp_path), "--dry-run=client")
    assert done.status == 1
    assert "add -R" in done.err
    assert ask.ok("apply", "-R", "-f", str(tmp_path), "--dry-run=client", "-o", "name") == "configmap/settings\n"


def test_delete_waits_until_pods_are_gone(ask: Ask) -> None:
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: brief}\nspec: {containers: [{name: c, image: traefik/whoami}]}\n"
    ask.ok("apply", "-f", "-", stdin=pod)
    assert ask.ok("delete", "pod", "brief") == 'pod "brief" deleted\n'
    assert ask("get", "pod", "brief").status == 1
    done = ask("delete", "pod", "brief")
    assert (done.status, done.err) == (1, 'Error from server (NotFound): pods "brief" not found\n')
    assert ask("delete", "pod", "brief", "--ignore-not-found").status == 0


def test_delete_wants_to_know_which(ask: Ask) -> None:
    assert ask("delete", "pods").status == 2
    assert ask("delete").status == 2
    assert ask("delete", "pod", "x", "--all").status == 2


def test_scale_up_and_down(ask: Ask) -> None:
    ask.ok("apply", "-f", "-", stdin=DEPLOYMENT.replace("NAME", "scaled"))
    assert ask.ok("scale", "deploy/scaled", "--replicas", "3") == "deployment.apps/scaled scaled\n"
    done = ask("scale", "deploy/scaled", "--replicas", "4", "--current-replicas", "1")
    assert done.status == 1
    assert done.err.startswith("Error from server (Conflict): Expected replicas to be 1, was 3")
    assert json.loads(ask.ok("get", "deploy/scaled", "-o", "json"))["spec"]["replicas"] == 3
    assert ask("scale", "svc/web", "--replicas", "1").err == "error: services cannot be scaled\n"
    ask.ok("delete", "deploy", "scaled")


def test_a_load_balancer_has_an_address_and_its_page_says_what_is_not_there(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "service.yaml"
    file.write_text(
        "apiVersion: v1\nkind: Service\nmetadata: {name: front}\nspec: {type: LoadBalancer, "
        "loadBalancerIP: 203.0.113.9, loadBalancerSourceRanges: [10.0.0.0/8], externalTrafficPolicy: Local, "
        "healthCheckNodePort: 30009, ports: [{port: 80, nodePort: 30080}]}\n"
    )
    ask.ok("apply", "-f", str(file))
    ask.ok("get", "svc", "front")
    [row] = ask.lines("get", "svc", "front", "--no-headers")
    assert (row.split()[1], row.split()[3]) == ("LoadBalancer", "203.0.113.9")
    assert row.split()[4] == "80:30080/TCP"
    page = dict(line.split(":", 1) for line in ask.ok("describe", "svc/front").splitlines() if ":" in line)
    said = {key: value.strip() for key, value in page.items()}
    assert said["LoadBalancer Ingress"] == "203.0.113.9 (VIP)"
    assert said["Desired LoadBalancer IP"] == "203.0.113.9"
    assert "no load balancer outside the nodes" in said["LoadBalancer Note"]
    assert said["LoadBalancer Source Ranges"] == "10.0.0.0/8"
    assert said["HealthCheck NodePort"] == "30009"
    assert said["NodePort"] == "<unset>  30080/TCP"
    file.write_text(file.read_text().replace("203.0.113.9", "10.96.0.77"))
    ask.ok("apply", "-f", str(file))
    assert ask.lines("get", "svc", "front", "--no-headers")[0].split()[3] == "<pending>"
    assert "is of the cluster's own 10.96.0.0/12" in ask.ok("describe", "svc/front")
    ask.ok("delete", "-f", str(file))


def test_describe(ask: Ask) -> None:
    pod = ask.ok("describe", "pod", "client")
    assert pod.splitlines()[0] == "Name:            client"
    assert "    Image:          curlimages/curl" in pod
    service = ask.ok("describe", "svc/web")
    assert "TargetPort:               http/TCP" in service
    assert "PodCIDR:" in ask.ok("describe", "node", "node-a")
    deployment = ask.ok("describe", "deploy/web")
    assert "2 desired | 2 updated | 2 total | 2 ready" in deployment
    assert ask.ok("describe", "ns/default").startswith("Name:")
    assert ask("describe", "pod", "nobody").err == 'Error from server (NotFound): pods "nobody" not found\n'


def test_describe_says_which_probes_count_as_passed(ask: Ask) -> None:
    ask.ok("apply", "-f", "-", stdin=DEPLOYMENT.replace("NAME", "probed"))
    ask.ok("exec", "deploy/probed", "--", "hostname")
    text = ask.ok("describe", "pods", "-l", "app=probed")
    assert "count as passed: main readinessProbe" in text
    ask.ok("delete", "deploy", "probed")


def test_a_directory_may_have_rules_for_kustomize(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [settings.yaml]\n")
    (tmp_path / "settings.yaml").write_text(CONFIG_MAP)
    done = ask("apply", "-f", str(tmp_path))
    assert done.out == "configmap/settings created\n"
    assert done.err.startswith(f"note: {tmp_path}/kustomization.yaml is left out: it is for kustomize")
    ask.ok("delete", "-f", str(tmp_path))


CUSTOM = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Cluster
  names: {kind: CronTab, plural: crontabs, shortNames: [ct], categories: [all]}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, default: {}}}}}
---
apiVersion: stable.example.com/v1
kind: CronTab
metadata: {name: nightly}
spec: {cron: 0 0 * * *}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front}
spec: {selector: {istio: ingressgateway}}
"""


def test_custom_resources_are_kept_and_found_by_their_names(ask: Ask, tmp_path: Path) -> None:
    """Of Istio's gateway there is no definition here: a real API server would refuse it, we keep it and say so."""
    file = tmp_path / "custom.yaml"
    file.write_text(CUSTOM)
    done = ask("apply", "-f", str(file))
    assert done.out.splitlines() == [
        "customresourcedefinition.apiextensions.k8s.io/crontabs.stable.example.com created",
        "crontab.stable.example.com/nightly created",
        "gateway.networking.istio.io/front created",
    ]
    why = "kept, has no effect: no controller acts on custom resources"
    assert done.err.splitlines() == [
        "note: customresourcedefinitions.apiextensions.k8s.io crontabs.stable.example.com: kept, has no effect: "
        "objects of its kind are kept, but no controller acts on them",
        f"note: crontabs.stable.example.com nightly: {why}",
        f"note: gateways.networking.istio.io front: {why}; "
        "it has no CustomResourceDefinition here, so that a real API server refuses it",
    ]
    assert {line.split()[1] for line in ask.lines("apply", "-f", str(file))} == {"unchanged"}
    assert ask.ok("get", "ct,gateways", "-o", "name").splitlines() == [
        "crontab.stable.example.com/nightly",
        "gateway.networking.istio.io/front",
    ]
    assert "crontab.stable.example.com/nightly" in ask.ok("get", "all", "-o", "name")
    assert "cron: 0 0 * * *" in ask.ok("describe", "crontab", "nightly")
    assert ask.lines("delete", "-f", str(file)) == [
        'crontab.stable.example.com "nightly" deleted',
        'gateway.networking.istio.io "front" deleted',
        'customresourcedefinition.apiextensions.k8s.io "crontabs.stable.example.com" deleted',
    ]
    assert "resource type" in ask("get", "crontabs").err
    assert 'gateways.networking.istio.io "front" not found' in ask("delete", "-f", str(file)).err


def test_a_namespace_in_a_file_goes_after_what_is_in_it(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    inside = CONFIG_MAP.replace("{name: settings}", "{name: settings, namespace: shop}")
    file.write_text(f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: shop}}\n---\n{inside}")
    ask.ok("apply", "-f", str(file))
    assert ask.lines("delete", "-f", str(file)) == ['configmap "settings" deleted', 'namespace "shop" deleted']
